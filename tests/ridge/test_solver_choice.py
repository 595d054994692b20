"""cond from 1 to 1e10: the predicted errors bound the true ones, and ``auto`` is near the better of the two (T13)."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from analytic_dd.errors import DivergenceError
from analytic_dd.linalg import GramStatistics
from analytic_dd.ridge import SampleStream, choose_solver, refine_weights, stream_weights

N, P, K = 40, 11, 3
EPS = 2.0**-52
CONDITIONS = [10.0**i for i in range(11)]
NOISES = [0.0, 1e-6, 1e-3, 1.0]


def problem(matrix, cond, noise, seed=0, n=N, p=P):
    rng = np.random.default_rng(seed)
    Phi = matrix(n, p, rng=rng, cond=cond)
    return Phi, Phi @ rng.standard_normal((p, K)) + noise * rng.standard_normal((n, K))


def distance(W, wanted):
    return np.linalg.norm(W - wanted) / np.linalg.norm(wanted)


def solved(Phi, Y, ridge, solver):
    return stream_weights(GramStatistics(P, K).update(Phi, Y), [(Phi, Y)], ridge=ridge, solver=solver)


@pytest.mark.parametrize("cond", CONDITIONS)
def test_errors_are_within_the_prediction_and_auto_near_the_better(matrix, refit, cond):
    for ridge in [0.0, 1e-8, 1e-3]:
        for noise in NOISES:
            Phi, Y = problem(matrix, cond, noise)
            wanted = refit(Phi, Y, ridge)
            gram, tsqr, auto = (solved(Phi, Y, ridge, solver) for solver in ("gram", "tsqr", "auto"))
            errors = [distance(found.weights, wanted) for found in (gram, tsqr, auto)]
            assert errors[0] <= gram.choice.gram_error
            assert errors[1] <= tsqr.choice.tsqr_error
            assert errors[2] <= 30 * max(min(errors[:2]), EPS)
            assert tsqr.choice.tsqr_error <= 3e3 * max(errors[1], EPS)  # a prediction, not a phrase


@pytest.mark.parametrize("cond", [1e4, 1e6])
def test_prediction_holds_for_many_samples(matrix, refit, cond):
    """Rounding of a sum grows with n; the prediction has no n in it."""
    Phi, Y = problem(matrix, cond, 1e-6, n=3000)
    wanted = refit(Phi, Y, 0.0)
    for solver in ("gram", "tsqr"):
        found = solved(Phi, Y, 0.0, solver)
        assert distance(found.weights, wanted) <= getattr(found.choice, f"{solver}_error")


def test_choice_goes_from_gram_to_refinement_to_tsqr(matrix):
    """Without noise: with it, cond^2 is in the problem, and TSQR gains nothing."""
    names = []
    for cond in CONDITIONS:
        Phi, Y = problem(matrix, cond, 0.0)
        names.append(solved(Phi, Y, 0.0, "auto").solver)
    assert names == sorted(names, key=["gram", "refined", "tsqr"].index)
    assert set(names) == {"gram", "refined", "tsqr"}
    Phi, Y = problem(matrix, 1e5, 0.0)
    noise = np.random.default_rng(1).standard_normal((N, K))
    noise -= Phi @ np.linalg.lstsq(Phi, noise)[0]
    assert solved(Phi, Y + 10.0 * noise, 0.0, "auto").solver == "gram"


def test_stream_is_read_only_when_it_pays(matrix):
    Phi, Y = problem(matrix, 1.0, 0.0)
    sums = GramStatistics(P, K).update(Phi, Y)
    found = stream_weights(sums, lambda: pytest.fail("read"), ridge=1.0)
    assert (found.solver, found.passes) == ("gram", 0)
    assert not sums.has_spectrum  # a Cholesky factor was enough
    Phi, Y = problem(matrix, 1e4, 0.0)
    sums = GramStatistics(P, K).update(Phi, Y)
    assert stream_weights(sums, [(Phi, Y)], ridge=0.0).solver == "refined"
    accept = 1e-6
    accepted = stream_weights(sums, lambda: pytest.fail("read"), ridge=0.0, accept=accept)
    assert accepted.solver == "gram"
    assert accepted.choice.gram_error <= accept


@pytest.mark.parametrize("at_hand", [False, True])
@pytest.mark.parametrize("cond", [1.0, 1e3, 1e5])
def test_condition_is_that_of_the_problem(ratio, matrix, cond, at_hand):
    Phi, Y = problem(matrix, cond, 0.0)
    sums = GramStatistics(P, K).update(Phi, Y)
    if at_hand:
        sums.spectrum()
    for ridge in (1e-12, 1e-2):
        exact = np.sqrt((1 + ridge) / (cond**-2 + ridge))
        choice = choose_solver(sums, ridge)
        assert ratio(choice.condition, exact, size=N, amplification=exact**2) < 30
        assert choice.resolved
        assert f"{choice.solver}: predicted error of W" in choice.reason


def test_condition_beyond_the_gram_matrix_is_seen_by_tsqr(ratio, matrix):
    Phi, Y = problem(matrix, 1e9, 0.0)
    sums = GramStatistics(P, K).update(Phi, Y)
    choice = choose_solver(sums, 0.0)
    assert not choice.resolved
    assert "does not resolve" in choice.reason
    found = stream_weights(sums, [(Phi, Y)], ridge=0.0)
    assert "predicted error of W" in found.choice.reason
    assert ratio(found.choice.condition, 1e9, size=N, amplification=1e9) < 30
    assert found.choice.resolved


def test_fewer_samples_than_features(ratio, rng):
    Phi, Y = rng.standard_normal((5, P)), rng.standard_normal((5, K))
    sums = GramStatistics(P, K).update(Phi, Y)
    found = stream_weights(sums, [(Phi, Y)], ridge=0.0)
    assert found.solver == "tsqr"
    assert ratio(found.weights, (np.linalg.pinv(Phi) @ Y).T, size=P, amplification=np.linalg.cond(Phi)) < 30


@pytest.mark.parametrize("solver", ["gram", "refined", "tsqr", "auto"])
def test_intercept_and_weights(ratio, rng, solver):
    """The weighted, centred problem written out (T12)."""
    for ridge in [1e-9, 0.1]:
        Phi, Y, w = rng.standard_normal((N, P)) + 1.0, rng.standard_normal((N, K)), rng.uniform(0.0, 2.0, N)
        sums = GramStatistics(P, K).update(Phi, Y, sample_weight=w)
        blocks = [(Phi[s], Y[s], w[s]) for s in (np.s_[:9], np.s_[9:])]
        found = stream_weights(sums, blocks, ridge=ridge, solver=solver, intercept=True)
        F, T = (np.sqrt(w)[:, None] * (A - w @ A / w.sum()) for A in (Phi, Y))
        wanted = np.linalg.lstsq(np.vstack([F, np.sqrt(ridge) * np.eye(P)]), np.vstack([T, np.zeros((P, K))]))[0].T
        assert ratio(found.weights, wanted, size=N, amplification=np.linalg.cond(F) ** 2) < 30


def test_zero_labels_give_zero_weights(matrix):
    Phi, _ = problem(matrix, 10.0, 0.0)
    for solver in ("auto", "refined", "tsqr"):
        found = solved(Phi, np.zeros((N, K)), 0.1, solver)
        assert np.array_equal(found.weights, np.zeros((K, P)))


def test_refinement_repairs_sums_that_lost_digits(ratio, matrix, refit):
    """G rounded to float32, as files of 0.1 may have it: its error is predicted, and the samples mend it."""
    Phi, Y = problem(matrix, 1e2, 0.1)
    sums = GramStatistics(P, K).update(Phi, Y).sums()
    rounded = sums.G.astype(np.float32).astype(np.float64)
    sums = replace(sums, G=rounded, gram_error=float(np.linalg.norm(rounded - sums.G, 2)))
    wanted = refit(Phi, Y, 1e-3)
    assert distance(sums.weights(1e-3), wanted) <= choose_solver(sums, 1e-3).gram_error
    assert distance(sums.weights(1e-3), wanted) > 1e5 * EPS
    found = stream_weights(sums, [(Phi, Y)], ridge=1e-3)
    assert found.solver == "refined"
    assert distance(found.weights, wanted) <= found.choice.tsqr_error
    squared = (1.0 + 1e-3) / (1e-4 + 1e-3)
    left = np.hypot(np.linalg.norm(Y - Phi @ wanted.T), np.sqrt(1e-3) * np.linalg.norm(wanted))
    predicted = np.sqrt(squared) + squared * left / np.linalg.norm(wanted)  # Wedin
    assert ratio(found.choice.tsqr_error, 0.0, size=N, amplification=predicted, unit=1.0) < 30


def test_refinement_reaches_tsqr_on_every_library(summing_library, matrix, refit):
    Phi, Y = (summing_library.array(A) for A in problem(matrix, 1e5, 1e-6))
    sums = GramStatistics(P, K).update(Phi, Y)
    wanted = refit(Phi, Y, 0.0)
    choice = choose_solver(sums, 0.0)
    found = refine_weights(sums, SampleStream([(Phi, Y)]), 0.0, target=choice.tsqr_error)
    assert isinstance(found.weights, summing_library.kind)
    assert distance(np.asarray(found.weights), wanted) <= choice.tsqr_error
    assert found.contraction < 30 * EPS * P * 1e5**2  # cond^2


def test_refinement_of_other_data_is_noticed(matrix):
    """Sums and stream disagree: steps do not shrink."""
    Phi, Y = problem(matrix, 1e3, 0.0)
    sums = GramStatistics(P, K).update(Phi, Y)
    with pytest.raises(DivergenceError, match=r"refinement stands at steps of .* take solver='tsqr'"):
        refine_weights(sums, SampleStream([(3.0 * Phi, 3.0 * Y)]), 0.0, target=1e-12)


def test_refinement_that_fails_is_reported(matrix):
    Phi, Y = problem(matrix, 1e10, 0.0)
    sums = GramStatistics(P, K).update(Phi, Y)
    with pytest.raises(DivergenceError, match="refinement"):
        stream_weights(sums, [(Phi, Y)], ridge=0.0, solver="refined")


def test_auto_that_leaves_refinement_says_so(matrix, monkeypatch, refit):
    def fails(*_, **__):
        raise DivergenceError("refinement stands at 0.5")

    monkeypatch.setattr(sys.modules["analytic_dd.ridge.stream_weights"], "refine_weights", fails)
    Phi, Y = problem(matrix, 1e4, 0.0)
    found = solved(Phi, Y, 0.0, "auto")
    assert (found.solver, found.choice.reason) == ("tsqr", "tsqr, since refinement stands at 0.5")
    assert distance(found.weights, refit(Phi, Y, 0.0)) <= found.choice.tsqr_error


def test_a_generator_is_refused_as_a_stream(matrix):
    Phi, Y = problem(matrix, 1e9, 0.0)
    sums = GramStatistics(P, K).update(Phi, Y)
    with pytest.raises(TypeError, match="blocks are read more than once, got a generator"):
        stream_weights(sums, (pair for pair in [(Phi, Y)]), ridge=0.0)


@pytest.mark.parametrize("ridge", [1e3, 1e10, 1e100])
def test_a_large_ridge_costs_the_gram_matrix_nothing(matrix, ridge):
    Phi, Y = problem(matrix, 1e3, 1.0)
    choice = choose_solver(GramStatistics(P, K).update(Phi, Y), ridge)
    assert choice.solver == "gram"
    W = GramStatistics(P, K).update(Phi, Y).weights(ridge)
    exact = np.linalg.solve((Phi.T @ Phi / ridge + np.eye(P)), Phi.T @ Y).T / ridge
    assert distance(W, exact) <= choice.gram_error < 30 * EPS * N  # cond_eff = 1
