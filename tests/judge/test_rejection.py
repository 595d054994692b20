"""The judge rejects what is nearly right: errors planted in exact sets fail, unless conditioning hides them."""

import numpy as np
import pytest

from analytic_dd import certify_recovery, distill_features, minimal_features
from analytic_dd.arrays import to_numpy
from analytic_dd.distill import largest_ridge
from analytic_dd.judge import refit

K, M, P = 3, 5, 7
EPS = 2.0**-52

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


def with_a_last_singular_value(matrix, rng, size):
    """Features (M, P) with singular values 1, ..., and a last one of size max(m, p) eps, and consistent labels."""
    U, _, Vt = np.linalg.svd(matrix(M, P, rng=rng, cond=10.0), full_matrices=False)
    s = np.append(np.geomspace(1.0, 0.1, M - 1), size * P * EPS)
    W = rng.standard_normal((K, M - 1)) @ Vt[:-1]
    return W, (U * s) @ Vt, ((U * s) @ Vt) @ W.T


@pytest.mark.parametrize("size", [0.6, 0.9, 1.1, 2.0, 3.0])
def test_a_singular_value_near_the_cut_off_of_solvers_is_no_pass(matrix, rng, size):
    """A solver that keeps it divides the rounding of the labels by it; one that cuts it off has W."""
    errors = []
    for _ in range(5):
        W, F, Y = with_a_last_singular_value(matrix, rng, size)
        assert certify_recovery(W, F, Y, ridge=0.0).verdict != "pass"
        kept = Y.T @ np.linalg.pinv(F, rcond=size * P * EPS / 2).T
        errors.append(np.linalg.norm(kept - W) / np.linalg.norm(W))
    assert max(errors) > 1e-3


def test_a_singular_value_that_is_rounding_is_a_pass(matrix, rng):
    for _ in range(20):
        assert certify_recovery(*with_a_last_singular_value(matrix, rng, 0.0), ridge=0.0).verdict == "pass"


@pytest.mark.parametrize(("condition", "verdict"), [(np.inf, "inconclusive"), (np.nan, "fail")])
def test_what_is_not_finite_proves_nothing(rng, condition, verdict):
    W, d = next(constructions(rng))
    assert certify_recovery(W, d.features, d.labels, ridge=d.ridge, map_condition=condition).verdict == verdict


@pytest.mark.parametrize("broken", ["wrong product", "not orthonormal", "does not converge"])
def test_a_decomposition_is_multiplied_out_before_it_is_believed(rng, monkeypatch, broken):
    """LAPACK's faster algorithm once gave wrong vectors; the other one is taken, and without either nothing is said."""
    W, d = next(constructions(rng))
    plain, called = refit.lapack.svd, []

    def svd(A, *, lapack_driver, **options):
        called.append(lapack_driver)
        if lapack_driver in drivers:
            if broken == "does not converge":
                raise np.linalg.LinAlgError
            U, s, Vt = plain(A, lapack_driver="gesdd", **options)
            return (U, s * (1 + 1e-9), Vt) if broken == "wrong product" else (U * 2, s / 2, Vt)
        return plain(A, lapack_driver=lapack_driver, **options)

    monkeypatch.setattr(refit.lapack, "svd", svd)
    drivers = ("gesdd",)
    assert certify_recovery(W, d.features, d.labels, ridge=d.ridge).verdict == "pass"
    assert called == ["gesdd", "gesvd"]
    drivers = ("gesdd", "gesvd")
    with pytest.raises(np.linalg.LinAlgError, match="do not multiply"):
        certify_recovery(W, d.features, d.labels, ridge=d.ridge)
