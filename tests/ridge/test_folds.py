"""Cross-validation by fold from sums: the scores are those of explicit refits."""

from itertools import pairwise

import numpy as np
import pytest

from analytic_dd.linalg import GramStatistics
from analytic_dd.ridge import fold_errors, fold_scores, ridge_weights, ridge_weights_with_intercept

N, P, K = 41, 7, 3
CUTS = [0, 11, 24, N]
RIDGES = [1e-2, 1.0, 50.0]


@pytest.fixture
def data(rng):
    Phi = rng.standard_normal((N, P)) + 0.5
    return Phi, np.eye(K)[rng.integers(0, K, N)] + 0.1 * Phi[:, :K]


def parts(Phi, Y):
    slices = [slice(a, b) for a, b in pairwise(CUTS)]
    return [GramStatistics(P, K).update(Phi[s], Y[s]) for s in slices], [[(Phi[s], Y[s])] for s in slices]


def refitted(Phi, Y, ridge, intercept):
    """Predictions of every sample by a model fitted without its fold."""
    predicted = np.empty_like(Y)
    for a, b in pairwise(CUTS):
        rest = np.r_[0:a, b:N]
        if intercept:
            model = ridge_weights_with_intercept(Phi[rest], Y[rest], ridge=ridge)
            predicted[a:b] = Phi[a:b] @ model.weights.T + model.intercept
        else:
            predicted[a:b] = Phi[a:b] @ ridge_weights(Phi[rest], Y[rest], ridge=ridge).T
    return predicted


@pytest.mark.parametrize("intercept", [False, True])
def test_scores_are_those_of_refits(data, intercept):
    Phi, Y = data
    folds, blocks = parts(Phi, Y)
    before = [fold.G.copy() for fold in folds]
    errors, n = fold_scores(folds, blocks, RIDGES, scoring="squared_error", intercept=intercept)
    right, _ = fold_scores(folds, blocks, RIDGES, scoring="accuracy", intercept=intercept)
    alone, weight = fold_errors(folds, RIDGES, intercept=intercept)
    assert n == weight == N
    for index, ridge in enumerate(RIDGES):
        predicted = refitted(Phi, Y, ridge, intercept)
        wanted = np.mean((predicted - Y) ** 2)
        bound = 30 * 2.0**-52 * N * np.linalg.cond(Phi) ** 2
        assert abs(errors[index] - wanted) <= bound * wanted
        assert abs(alone[index] - wanted) <= bound * np.mean(Y**2)
        assert right[index] == np.mean(predicted.argmax(1) == Y.argmax(1))
    assert all(np.array_equal(fold.G, G) for fold, G in zip(folds, before, strict=True))


def test_one_fold_a_sample_is_leave_one_out(ratio, data):
    from analytic_dd.ridge import leave_one_out_scores

    Phi, Y = data
    folds = [GramStatistics(P, K).update(Phi[i : i + 1], Y[i : i + 1]) for i in range(N)]
    whole = GramStatistics(P, K).update(Phi, Y)
    wanted, _ = leave_one_out_scores(whole, [(Phi, Y)], RIDGES, scoring="squared_error")
    lost = np.linalg.cond(Phi) ** 2 * np.mean(Y**2) / min(wanted)  # the errors are differences of numbers of this size
    assert ratio(fold_errors(folds, RIDGES)[0], wanted, size=N, amplification=lost) < 30


def test_weights_count(ratio, data, rng):
    Phi, Y = data
    counts = rng.integers(1, 4, N)
    one, copies = [], []
    for a, b in pairwise(CUTS):
        one.append(GramStatistics(P, K).update(Phi[a:b], Y[a:b], sample_weight=counts[a:b].astype(float)))
        F, T = (np.repeat(A[a:b], counts[a:b], axis=0) for A in (Phi, Y))
        copies.append(GramStatistics(P, K).update(F, T))
    for intercept in (False, True):
        got, wanted = (fold_errors(folds, RIDGES, intercept=intercept)[0] for folds in (one, copies))
        lost = np.linalg.cond(Phi) ** 2 * np.mean(Y**2) / min(wanted)
        assert ratio(got, wanted, size=N, amplification=lost) < 30


def test_too_few_folds_are_refused(data):
    folds, blocks = parts(*data)
    with pytest.raises(ValueError, match="at least two folds, got 1"):
        fold_errors(folds[:1], RIDGES)
    with pytest.raises(ValueError, match="each of the 3 folds, got 2"):
        fold_scores(folds, blocks[:2], RIDGES, scoring="accuracy")
