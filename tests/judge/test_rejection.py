"""The judge rejects what is nearly right: errors planted in exact sets fail, unless conditioning hides them."""

import numpy as np
import pytest

from analytic_dd import certify_recovery, distill_features, minimal_features
from analytic_dd.arrays import to_numpy
from analytic_dd.distill import largest_ridge

K, P = 3, 7

PLANTS = {
    "noise of 1e-9 in the weights": lambda W, F, Y, ridge, noise: (W * (1 + 1e-9 * noise(W)), F, Y, ridge),
    "noise of 1e-9 in the features": lambda W, F, Y, ridge, noise: (W, F * (1 + 1e-9 * noise(F)), Y, ridge),
    "noise of 1e-9 in the labels": lambda W, F, Y, ridge, noise: (W, F, Y + 1e-9 * noise(Y), ridge),
    "ridge wrong by 1e-4": lambda W, F, Y, ridge, noise: (W, F, Y, ridge * (1 + 1e-4)),
    "ridge forgotten": lambda W, F, Y, ridge, noise: (W, F, Y, 0.0),
    "permuted labels": lambda W, F, Y, ridge, noise: (W, F, np.roll(Y, 1, axis=0), ridge),
    "permuted classes": lambda W, F, Y, ridge, noise: (np.roll(W, 1, axis=0), F, Y, ridge),
    "dropped point": lambda W, F, Y, ridge, noise: (W, F[1:], Y[1:], ridge),
    "repeated point": lambda W, F, Y, ridge, noise: (W, np.vstack([F, F[:1]]), np.vstack([Y, Y[:1]]), ridge),
    "features scaled without labels": lambda W, F, Y, ridge, noise: (W, 1.001 * F, Y, 1.001**2 * ridge),
    "rounded to 8 bits": lambda W, F, Y, ridge, noise: (
        W,
        np.round(F * 127 / abs(F).max()) / 127 * abs(F).max(),
        Y,
        ridge,
    ),
    "rounded to float32": lambda W, F, Y, ridge, noise: (W, F.astype("float32").astype(float), Y, ridge),
}


def constructions(rng):
    """Exact sets whose ridge matters: W, features, labels, ridge."""
    W = rng.standard_normal((K, P))
    ridge = 0.5 * largest_ridge(W, np.eye(K))
    for root in ("large", "small"):
        yield W, distill_features(W, np.eye(K), ridge=ridge, root=root)
    yield W, minimal_features(W, ridge=1.0)
    five = rng.standard_normal((5, K))
    yield W, distill_features(W, five, ridge=0.5 * largest_ridge(W, five))


@pytest.mark.parametrize("plant", PLANTS.values(), ids=PLANTS)
@pytest.mark.parametrize("index", range(4), ids=["large", "small", "learned", "five points"])
def test_planted_error_is_rejected(rng, plant, index):
    W, d = list(constructions(rng))[index]
    assert certify_recovery(W, d.features, d.labels, ridge=d.ridge).verdict == "pass"
    w, F, Y, ridge = plant(W, d.features, d.labels, d.ridge, lambda A: rng.standard_normal(A.shape))
    found = certify_recovery(w, F, Y, ridge=ridge)
    assert found.verdict == "fail"
    assert found.ratio > 30


def test_a_dropped_point_loses_a_direction_of_its_own(rng):
    W, d = next(constructions(rng))
    assert certify_recovery(W, d.features[1:], d.labels[1:], ridge=d.ridge).out_of_span > 1e-2


def test_errors_far_above_the_rounding_of_float32_are_rejected_there(library, rng):
    W = library.array(rng.standard_normal((K, P)))
    d = minimal_features(W)
    noisy = library.array(to_numpy(W) * (1 + 1e4 * library.eps * rng.standard_normal((K, P))))
    assert certify_recovery(W, d.features, d.labels, ridge=0.0).verdict == "pass"
    assert certify_recovery(noisy, d.features, d.labels, ridge=0.0).verdict == "fail"


def test_float64_eyes_do_not_forgive_a_float32_set_declared_as_float64(rng):
    """eps is that of the arrays handed in: the same float32 numbers in float64 arrays are held to float64."""
    W = rng.standard_normal((K, P))
    d = distill_features(W.astype("float32"), np.eye(K, dtype="float32"))
    assert certify_recovery(W.astype("float32"), d.features, d.labels, ridge=0.0).verdict == "pass"
    assert certify_recovery(W, d.features.astype(float), d.labels.astype(float), ridge=0.0).verdict == "fail"


@pytest.mark.parametrize("cond", [1e9, 1e11])
def test_conditioning_that_could_hide_an_error_is_no_pass(matrix, rng, cond):
    """At ridge 0 and cond 1e9 and more, a planted error of 1e-8 disappears in the bound: the verdict says so."""
    W = matrix(K, P, rng=rng, cond=cond)
    d = distill_features(W, np.eye(K))
    assert certify_recovery(W, d.features, d.labels, ridge=0.0).verdict == "inconclusive"
    noisy = W * (1 + 1e-8 * rng.standard_normal(W.shape))
    assert certify_recovery(noisy, d.features, d.labels, ridge=0.0).verdict != "pass"


def test_same_weights_by_the_small_root_are_conclusive(matrix, rng):
    W = matrix(K, P, rng=rng, cond=1e11)
    d = distill_features(W, np.eye(K), ridge=0.5 * largest_ridge(W, np.eye(K)), root="small")
    assert certify_recovery(W, d.features, d.labels, ridge=d.ridge).verdict == "pass"
    noisy = W * (1 + 1e-8 * rng.standard_normal(W.shape))
    assert certify_recovery(noisy, d.features, d.labels, ridge=d.ridge).verdict == "fail"
