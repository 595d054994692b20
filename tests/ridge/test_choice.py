"""The choice of the ridge: leave-one-out against brute force, GCV against its definition, validation."""

import itertools

import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeCV

from analytic_dd import ridge_weights, select_ridge
from analytic_dd.arrays import to_numpy
from analytic_dd.errors import ShapeError
from analytic_dd.linalg import GramStatistics
from analytic_dd.ridge import (
    DualStatistics,
    leave_one_out_scores,
    ridge_grid,
    ridge_weights_with_intercept,
    validation_scores,
)

K, P, N = 3, 7, 40
GRID = np.array([1e-3, 0.1, 1.0, 30.0])
both_intercepts = pytest.mark.parametrize("intercept", [False, True])
both_scorings = pytest.mark.parametrize("scoring", ["squared_error", "accuracy"])


@pytest.fixture
def data(rng):
    """Features with a mean, labels of three classes that the features predict with errors."""
    Phi = rng.standard_normal((N, P)) + 0.5
    return Phi, np.eye(K)[(Phi[:, :K] + 0.7 * rng.standard_normal((N, K))).argmax(1)]


def squared_condition(Phi, ridge):
    """cond_eff^2: what solutions from a Gram matrix lose, and what 1 / (1 - leverage) multiplies for n < p."""
    s = np.linalg.svd(Phi, compute_uv=False)
    return (s[0] ** 2 + ridge) / (ridge + (s[-1] ** 2 if len(Phi) > Phi.shape[1] else 0.0))


def predict(Phi, Y, at, ridge, intercept):
    if not intercept:
        return at @ ridge_weights(Phi, Y, ridge=ridge).T
    model = ridge_weights_with_intercept(Phi, Y, ridge=ridge)
    return at @ model.weights.T + model.intercept


def score(fitted, Y, scoring):
    return (fitted.argmax(1) == Y.argmax(1)).mean() if scoring == "accuracy" else ((fitted - Y) ** 2).mean()


def brute_force(Phi, Y, ridge, scoring, intercept):
    """One refit a sample."""
    kept = [np.delete(np.arange(len(Y)), i) for i in range(len(Y))]
    rows = [predict(Phi[rest], Y[rest], Phi[i : i + 1], ridge, intercept) for i, rest in enumerate(kept)]
    return score(np.vstack(rows), Y, scoring)


def test_leave_one_out_is_one_refit_a_sample(ratio, data):
    for intercept, scoring, rows in itertools.product([False, True], ["squared_error", "accuracy"], [N, 5]):
        Phi, Y = data[0][:rows], data[1][:rows]
        sums = GramStatistics(P, K).update(Phi, Y)
        scores, samples = leave_one_out_scores(sums, [(Phi, Y)], GRID, scoring=scoring, intercept=intercept)
        wanted = [brute_force(Phi, Y, ridge, scoring, intercept) for ridge in GRID]
        assert samples == rows
        for got, expected, ridge in zip(scores, wanted, GRID, strict=True):
            assert ratio(got, expected, size=N, amplification=squared_condition(Phi, ridge)) < 30


def test_every_library_makes_the_choice_of_numpy(summing_library, ratio, data):
    for intercept, scoring, criterion in itertools.product(
        [False, True], ["squared_error", "accuracy"], ["loo", "gcv", "validation"]
    ):
        options = {"criterion": criterion, "scoring": scoring, "intercept": intercept, "ridges": GRID}

        def choose(array):
            Phi, Y = (array(A) for A in data)
            return select_ridge(Phi, Y, **options, validation=(Phi[:11, :], Y[:11, :]))

        got, wanted = choose(summing_library.array), choose(lambda A: A)
        assert got.ridge == wanted.ridge
        lost = squared_condition(data[0], GRID[0])
        assert ratio(got.scores, wanted.scores, size=N, amplification=lost, eps=summing_library.eps) < 30


@both_intercepts
def test_squared_error_of_leave_one_out_is_that_of_scikit_learn(ratio, data, intercept):
    Phi, Y = data
    oracle = RidgeCV(alphas=GRID, fit_intercept=intercept, store_cv_results=True).fit(Phi, Y)
    got = select_ridge(Phi, Y, ridges=GRID, intercept=intercept)
    assert got.ridge == oracle.alpha_
    lost = squared_condition(Phi, GRID[0])
    assert ratio(got.scores, oracle.cv_results_.mean((0, 1)), size=N, amplification=lost) < 30


@both_intercepts
@pytest.mark.parametrize("rows", [N, 5])
def test_gcv_is_its_definition_with_the_hat_matrix(ratio, data, intercept, rows):
    """n |Y - H Y|^2 / (n - trace H)^2 / k with H from one refit a unit label; an intercept counts in the trace."""
    Phi, Y = data[0][:rows], data[1][:rows]
    grid = GRID[1:] if rows < P else GRID

    def definition(ridge):
        H = predict(Phi, np.eye(rows), Phi, ridge, intercept)
        lost.append((rows / (rows - np.trace(H))) ** 2 * squared_condition(Phi, ridge))
        return rows * ((Y - H @ Y) ** 2).sum() / (rows - np.trace(H)) ** 2 / K

    lost = []
    choice = select_ridge(Phi, Y, criterion="gcv", ridges=grid, intercept=intercept)
    wanted = [definition(ridge) for ridge in grid]
    for got, expected, amplification in zip(choice.scores, wanted, lost, strict=True):
        assert ratio(got, expected, size=N, amplification=amplification) < 30
    assert choice.ridge == grid[np.argmin(wanted)]
    assert (choice.criterion, choice.scoring, choice.samples) == ("gcv", "squared_error", rows)


def test_gcv_of_noise_free_labels_is_no_difference_of_large_numbers(rng):
    """The score at a small ridge is a sum of squares: it falls with ridge^2 and is not lost in |Y|^2 eps."""
    Phi = rng.standard_normal((N, P))
    choice = select_ridge(Phi, Phi[:, :K], criterion="gcv", ridges=[1e-3, 1e-2])
    assert choice.scores[1] / choice.scores[0] == pytest.approx(100.0, rel=2e-2 / np.linalg.norm(Phi, -2) ** 2)
    assert choice.ridge == 1e-3


def test_gcv_is_positive_for_fewer_samples_than_features(rng):
    choice = select_ridge(rng.standard_normal((5, 11)), rng.standard_normal((5, K)), criterion="gcv")
    assert np.all(choice.scores > 0)


@both_intercepts
@both_scorings
def test_validation_scores_the_held_out_pair(ratio, data, scoring, intercept):
    (Phi, Y), (Phi_v, Y_v) = (A[:29] for A in data), (A[29:] for A in data)
    choice = select_ridge(
        Phi, Y, criterion="validation", ridges=GRID, scoring=scoring, validation=(Phi_v, Y_v), intercept=intercept
    )
    wanted = [score(predict(Phi, Y, Phi_v, ridge, intercept), Y_v, scoring) for ridge in GRID]
    assert ratio(choice.scores, wanted, size=N, amplification=squared_condition(Phi, GRID[0])) < 30
    assert choice.samples == 11


def test_blocks_score_as_the_whole(ratio, data):
    Phi, Y = data
    sums = GramStatistics(P, K).update(Phi, Y)
    for scores_of in (leave_one_out_scores, validation_scores):
        whole, _ = scores_of(sums, [(Phi, Y)], GRID, scoring="squared_error")
        blocks = [(Phi[:1], Y[:1]), (Phi[1:30], Y[1:30]), (Phi[30:], Y[30:])]
        parts, samples = scores_of(sums, blocks, GRID, scoring="squared_error")
        assert samples == N
        assert ratio(parts, whole, size=N, amplification=squared_condition(Phi, GRID[0])) < 30


def test_ties_go_to_the_larger_ridge(data):
    """Features that separate the classes have accuracy 1 at every small ridge; also for a grid in another order."""
    Y = np.eye(K)[np.arange(N) % K]
    Phi = np.hstack([10 * Y, 1e-3 * data[0]])
    choice = select_ridge(Phi, Y, ridges=[1e-1, 1e-3, 1e-2], scoring="accuracy")
    assert choice.scores.tolist() == [1.0, 1.0, 1.0]
    assert choice.ridges.tolist() == [1e-3, 1e-2, 1e-1]
    assert choice.ridge == 1e-1
    assert choice.at_edge


def test_choice_inside_the_grid_is_not_at_its_edge(data):
    Phi, Y = data
    choice = select_ridge(Phi, Y)
    assert not choice.at_edge
    assert not select_ridge(Phi, Y, ridges=[1.0]).at_edge
    assert choice.ridge == choice.ridges[choice.scores.argmin()]


def test_default_grid_is_relative_to_the_largest_squared_singular_value(ratio, data):
    s = np.linalg.norm(data[0], 2)
    for scale in (1e-8, 1.0, 1e8):
        grid = ridge_grid(GramStatistics(P, K).update(scale * data[0], data[1]))
        assert ratio(grid / (np.geomspace(1e-10, 1.0, 21) * (scale * s) ** 2), np.ones(21), size=N) < 30


def test_sampled_leave_one_out_scores_that_many_samples_of_the_whole_model(ratio, data):
    Phi, Y = data
    options = {"ridges": GRID, "max_samples": 11}
    choice = select_ridge(Phi, Y, rng=np.random.default_rng(5), **options)
    rows = np.sort(np.random.default_rng(5).permutation(N)[:11])
    sums = GramStatistics(P, K).update(Phi, Y)
    wanted, _ = leave_one_out_scores(sums, [(Phi[rows], Y[rows])], GRID, scoring="squared_error")
    assert choice.samples == 11
    assert ratio(choice.scores, wanted, size=N, amplification=squared_condition(Phi, GRID[0])) < 30
    with pytest.raises(ValueError, match="40 samples: leave-one-out draws 11 of them and needs rng"):
        select_ridge(Phi, Y, **options)


def test_sampling_serves_every_library(summing_library, ratio, data):
    Phi, Y = (summing_library.array(A) for A in data)
    choice = select_ridge(Phi, Y, ridges=GRID, max_samples=11, rng=np.random.default_rng(5))
    wanted = select_ridge(*data, ridges=GRID, max_samples=11, rng=np.random.default_rng(5))
    lost = squared_condition(data[0], GRID[0])
    assert ratio(choice.scores, wanted.scores, size=N, amplification=lost, eps=summing_library.eps) < 30


@pytest.mark.parametrize("criterion", ["loo", "gcv"])
def test_ridge_too_small_to_leave_a_sample_out_is_not_chosen(rng, criterion):
    """n < p: without a ridge every sample has leverage 1; what sums in float64 cannot resolve is no score."""
    Phi, Y = rng.standard_normal((5, 11)), rng.standard_normal((5, K))
    sums = GramStatistics(11, K).update(Phi, Y)
    choice = select_ridge(Phi, Y, criterion=criterion, ridges=[1e-300, 1.0], statistics=sums)
    assert choice.ridge == 1.0
    assert np.isnan(choice.scores[0])
    with pytest.raises(ValueError, match=r"no ridge of the grid .* gives a finite score; try larger ones"):
        select_ridge(Phi, Y, criterion=criterion, ridges=[1e-300], statistics=sums)


@both_intercepts
@both_scorings
def test_inner_products_resolve_the_limit_of_no_ridge(ratio, rng, scoring, intercept):
    """n < p: the score at 1e-300 is that of interpolation without each sample, by brute force."""
    Phi, Y = rng.standard_normal((6, 11)), rng.standard_normal((6, K))
    dual = DualStatistics(Phi, Y)
    options = {"statistics": dual, "scoring": scoring, "intercept": intercept}
    choice = select_ridge(Phi, Y, ridges=[1e-300, 0.3], **options)
    wanted = np.array([brute_force(Phi, Y, ridge, scoring, intercept) for ridge in (0.0, 0.3)])
    assert ratio(choice.scores, wanted, size=11, amplification=np.linalg.cond(Phi) ** 2) < 30
    assert choice.samples == 6


@both_intercepts
@both_scorings
def test_inner_products_score_what_is_drawn(ratio, rng, scoring, intercept):
    """The draw is that of the sums; samples twice make K singular."""
    Phi, Y = rng.standard_normal((8, 30)), np.eye(K)[np.arange(8) % K]
    Phi[4:], Y[4:] = Phi[:4], Y[:4]
    options = {"ridges": GRID, "scoring": scoring, "intercept": intercept, "max_samples": 5}
    sums = GramStatistics(30, K).update(Phi, Y)
    one = select_ridge(Phi, Y, **options, rng=np.random.default_rng(3))
    other = select_ridge(Phi, Y, **options, rng=np.random.default_rng(3), statistics=sums)
    amplification = np.linalg.norm(Phi) ** 2 / np.min(GRID)
    assert ratio(one.scores, other.scores, size=30, amplification=amplification) < 30
    with pytest.raises(ValueError, match="8 samples: leave-one-out draws 5 of them and needs rng"):
        select_ridge(Phi, Y, **options)


@both_intercepts
@both_scorings
def test_rows_are_validated_as_sums_are(ratio, rng, scoring, intercept):
    """n < p: the held-out scores are those of the (p, p) sums, which are never formed."""
    Phi, Y, held = rng.standard_normal((5, 11)), np.eye(K)[np.arange(5) % K], rng.standard_normal((40, 11))
    pair = held, np.eye(K)[np.arange(40) % K]
    options = {"criterion": "validation", "ridges": GRID, "scoring": scoring, "validation": pair}
    found = select_ridge(Phi, Y, **options, intercept=intercept)
    wanted = select_ridge(Phi, Y, **options, intercept=intercept, statistics=GramStatistics(11, K).update(Phi, Y))
    assert ratio(found.scores, wanted.scores, size=40, amplification=np.linalg.norm(Phi) ** 2 / GRID[0]) < 30
    assert found.ridge == wanted.ridge


def test_statistics_at_hand_are_used(ratio, data):
    Phi, Y = data
    sums = GramStatistics(P, K).update(2 * Phi, Y)  # of other data: the choice shows that they were taken
    assert ratio(select_ridge(Phi, Y, statistics=sums).ridges[-1], 4 * np.linalg.norm(Phi, 2) ** 2, size=N) < 30


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"criterion": "aic"}, "unknown criterion 'aic'; choose from loo, gcv, validation"),
        ({"scoring": "auc"}, "unknown scoring 'auc'; choose accuracy .* or squared_error"),
        ({"ridges": []}, "ridges must be a grid of finite numbers > 0"),
        ({"ridges": [0.0, 1.0]}, r"finite numbers > 0, got \[0.0, 1.0\]; fit ridge = 0 directly"),
        ({"ridges": [-1.0]}, "ridges must be a grid"),
        ({"ridges": [np.nan]}, "ridges must be a grid"),
        ({"ridges": [np.inf], "criterion": "gcv"}, "ridges must be a grid"),
        ({"criterion": "validation"}, r"needs validation=\(Phi, Y\)"),
    ],
)
def test_bad_options_are_refused(data, options, message):
    with pytest.raises(ValueError, match=message):
        select_ridge(*data, **options)


def test_validation_pair_of_other_sizes_is_refused(data):
    with pytest.raises(ShapeError, match="validation Phi must have 7 columns, got 5"):
        select_ridge(*data, criterion="validation", validation=(data[0][:, :5], data[1]))
    with pytest.raises(ShapeError, match="validation Y must have 40 rows, got 11"):
        select_ridge(*data, criterion="validation", validation=(data[0], data[1][:11]))


def test_scores_are_those_of_the_library(summing_library, ratio, data):
    """float32 blocks are scored in float64."""
    Phi, Y = (summing_library.array(A) for A in data)
    sums = GramStatistics(P, K).update(Phi, Y)
    got, _ = leave_one_out_scores(sums, [(Phi, Y)], GRID, scoring="squared_error")
    F, T = to_numpy(Phi).astype(float), to_numpy(Y).astype(float)
    wanted, _ = leave_one_out_scores(GramStatistics(P, K).update(F, T), [(F, T)], GRID, scoring="squared_error")
    assert ratio(got, wanted, size=N, amplification=squared_condition(F, GRID[0])) < 30


@pytest.mark.parametrize("array", [np.asarray, torch.tensor], ids=["numpy", "torch"])
def test_fewer_samples_than_features_are_scored_by_their_inner_products(ratio, array):
    """The scores are those of the (p, p) sums, which are never formed."""
    for criterion, intercept in itertools.product(["loo", "gcv"], [False, True]):
        rng = np.random.default_rng(0)
        Phi, Y = rng.standard_normal((12, 40)), rng.standard_normal((12, 2))
        ridges = [0.1, 1.0, 10.0, 100.0]
        found = select_ridge(array(Phi), array(Y), criterion=criterion, ridges=ridges, intercept=intercept)
        sums = GramStatistics(40, 2).update(Phi, Y)
        wanted = select_ridge(Phi, Y, criterion=criterion, ridges=ridges, intercept=intercept, statistics=sums)
        assert ratio(found.scores, wanted.scores, size=40, amplification=squared_condition(Phi, ridges[0])) < 30
        assert found.ridge == wanted.ridge
