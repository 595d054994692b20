"""The ridge of a control is the one of its grid that decides best, as if a model were fitted for each."""

import numpy as np
import pytest

from analytic_dd.judge.accuracy import fitted
from analytic_dd.judge.controls import best_ridge


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("m", [7, 40])
@pytest.mark.parametrize("unit", [2.0**-100, 1.0, 2.0**100])
def test_the_best_ridge_is_that_of_a_fit_for_each(m, intercept, unit):
    k, p, n = 3, 11, 200
    rng = np.random.default_rng(m)
    centres = rng.standard_normal((k, p))
    classes, y = np.arange(m) % k, np.arange(n) % k
    Phis, Phi = (unit * (centres[c] + 1.5 * rng.standard_normal((len(c), p))) for c in (classes, y))
    Ys = np.eye(k)[classes]
    found = []
    for ridge in float(np.sum(Phis**2)) * np.geomspace(1e-8, 1.0, 9):
        W, b = fitted(Phis, Ys, ridge, intercept=intercept)
        found.append((np.mean((Phi @ W.T + b).argmax(axis=1) == y), ridge, W, b))
    score, _, W, b = max(found, key=lambda one: one[:2])
    assert score > min(found, key=lambda one: one[0])[0]  # the ridge matters
    made = best_ridge(Phis, Ys, Phi, y, intercept=intercept)
    assert np.array_equal(made[0], W)
    assert np.array_equal(made[1], b)


def test_a_set_without_features_is_a_model_without_weights():
    W, _ = best_ridge(np.zeros((3, 5)), np.eye(3), np.ones((6, 5)), np.arange(6) % 3, intercept=False)
    assert np.array_equal(W, np.zeros((3, 5)))
