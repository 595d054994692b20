"""T12 with T6, T6b: the nearest set of a model with an intercept is exact, at the predicted distance, and optimal."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize

from analytic_dd import InfeasibleError, ShapeError, nearest_features
from analytic_dd.distill.intercept import contrasts
from analytic_dd.distill.nearest_to_references import nearest_to_references
from analytic_dd.labels import one_hot, repeated_classes
from analytic_dd.ridge import ridge_weights_with_intercept

K, M, P = 3, 7, 11


@pytest.fixture
def model(rng):
    """Weights and intercept as a fit on one-hot labels gives them: columns sum to 0, the intercept to 1."""
    W, b = rng.standard_normal((K, P)), rng.standard_normal(K)
    return W - W.mean(axis=0), b - b.mean() + 1.0 / K


def cond_of(W):
    """Of W about its mean, which has rank K - 1."""
    s = np.linalg.svd(W, compute_uv=False)
    return s[0] / s[K - 2]


def errors(built, W, b, ratio, ridge):
    fitted = ridge_weights_with_intercept(built.features, built.labels, ridge=ridge)
    size, gain = len(built) + math.sqrt(P), built.amplification * max(1.0, np.linalg.norm(built.features))
    return ratio(fitted.weights, W, size=size, amplification=gain), ratio(
        fitted.intercept, b, size=size, amplification=gain
    )


@pytest.mark.parametrize("ridge", [0.0, 0.25])
@pytest.mark.parametrize("m", [K, M, P + 3])
def test_learned_labels_are_exact_with_an_intercept(model, ratio, rng, ridge, m):
    W, b = model
    references = 5.0 + rng.standard_normal((m, P))
    built = nearest_to_references(W, references, b=b, ridge=ridge)
    assert len(built) == m
    assert max(errors(built, W, b, ratio, ridge)) < 30
    for wanted in (np.linalg.norm(built.features - references), built.predicted_distance):
        assert ratio(built.distance, wanted, size=m + P, amplification=cond_of(W), unit=np.linalg.norm(references)) < 30


def test_distance_is_that_of_the_references_about_their_mean(model, ratio, rng):
    W, b = model
    references = rng.standard_normal((M, P))
    built = nearest_to_references(W, references, b=b)
    centred = nearest_features(W, contrasts(M) @ references)
    lost = cond_of(W) * np.linalg.norm(references) / centred.distance
    assert ratio(built.distance, centred.distance, size=M + P, amplification=lost) < 30
    unit = np.linalg.norm(references)
    assert ratio(built.features.mean(axis=0), references.mean(axis=0), size=M + P, unit=unit) < 30
    moved = nearest_to_references(W, references + 100.0, b=b)  # an intercept does not see where the mean is
    unit = np.linalg.norm(references + 100.0)
    assert ratio(moved.features - 100.0, built.features, size=M + P, amplification=built.condition, unit=unit) < 30


def test_fixed_labels_are_exact_with_an_intercept(model, ratio, rng):
    W, b = model
    references, Ys = rng.standard_normal((M, P)), one_hot(repeated_classes(K, M), K)
    built = nearest_to_references(W, references, b=b, labels=Ys)
    assert np.array_equal(built.labels, Ys)
    assert max(errors(built, W, b, ratio, 0.0)) < 30
    for wanted in (np.linalg.norm(built.features - references), built.predicted_distance):
        assert (
            ratio(built.distance, wanted, size=M + P, amplification=built.condition, unit=np.linalg.norm(references))
            < 30
        )


def test_no_direct_search_over_exact_sets_is_nearer(rng):
    """Exact: C Phi = A basis for contrasts C = Z H of the points; for each C and A the nearest is a projection."""
    W, b, references = rng.standard_normal((2, 6)), rng.standard_normal(2), rng.standard_normal((4, 6))
    basis, H = np.linalg.qr(W.T)[0].T, contrasts(4)
    best = nearest_to_references(W, references, b=b).distance

    def distance(z):
        C, A = z[:6].reshape(2, 3) @ H, z[6:].reshape(2, 2)
        return np.linalg.norm(np.linalg.pinv(C) @ (A @ basis - C @ references)) / best

    found = [minimize(distance, rng.standard_normal(10), options={"maxiter": 400}).fun for _ in range(12)]
    assert min(found) >= 1 - 30 * 2.0**-52 * 10 * np.linalg.norm(references) / best
    assert min(found) < 1 + 1e-4  # where the search stops


@pytest.mark.parametrize("ridge", [0.0, 0.1])
def test_a_box_has_one_point_more_and_is_exact(model, ratio, rng, ridge):
    W, b = model
    references = rng.uniform(0.0, 1.0, (M, P))
    built = nearest_to_references(W, references, b=b, box=(0.0, 1.0), ridge=ridge)
    assert len(built) == M + 1
    assert built.theorem == "T12 on T6, Box"
    assert built.features.min() >= 0.0
    assert built.features.max() <= 1.0
    assert max(errors(built, W, b, ratio, ridge)) < 30


def test_refusals(model, rng):
    W, b = model
    for few in (1, 2):
        with pytest.raises(InfeasibleError, match=rf"rank W \+ 1 = 3 references are needed, got {few}; use points=3"):
            nearest_to_references(W, rng.standard_normal((few, P)), b=b)
    with pytest.raises(ShapeError, match=r"mean\(labels\) - b must lie in the range of W"):
        nearest_to_references(W, rng.standard_normal((M, P)), b=b + 1.0, labels=one_hot(repeated_classes(K, M), K))
