"""Ridge regression weights: oracles, limits and metamorphic relations."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from analytic_dd import ridge_weights
from analytic_dd.arrays import to_numpy
from analytic_dd.errors import DivergenceError, ShapeError
from analytic_dd.linalg import GramStatistics
from analytic_dd.ridge import DualStatistics, choose_solver, ridge_weights_with_intercept

K, P, N = 3, 7, 40
RIDGES = [0.0, 1e-6, 0.3, 50.0]
SOLVERS = ["auto", "svd", "gram", "tsqr"]


@pytest.fixture
def data(rng):
    return rng.standard_normal((N, P)), rng.standard_normal((N, K))


def squared_condition(Phi, ridge):
    s = np.linalg.svd(to_numpy(Phi).astype(float), compute_uv=False)
    return (s[0] ** 2 + ridge) / (s[-1] ** 2 + ridge)


def test_weights_are_those_of_the_exact_oracle(library, ratio, refit, rng):
    more = [] if library.name == "jax" else [(5, P)]  # jax compiles for every shape
    for ridge in RIDGES:
        for shape in [(N, P), (P, N), *more]:
            Phi, Y = library.array(rng.standard_normal(shape)), library.array(rng.standard_normal((shape[0], K)))
            W = ridge_weights(Phi, Y, ridge=ridge)
            assert library.owns(W)
            cond = np.sqrt(squared_condition(Phi, ridge))
            assert ratio(W, refit(Phi, Y, ridge), eps=library.eps, size=max(shape), amplification=cond) < 30


@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_gives_the_same_weights(ratio, refit, data, solver):
    """The Gram matrix at cond_eff^2, the others would pass at cond_eff."""
    for ridge in RIDGES:
        wanted = refit(*data, ridge)
        got = ridge_weights(*data, ridge=ridge, solver=solver)
        assert ratio(got, wanted, size=N, amplification=squared_condition(data[0], ridge)) < 30


@pytest.mark.parametrize("solver", SOLVERS)
def test_ridge_is_absolute(ratio, data, solver):
    """Twice the data at twice the ridge is the same model; at the same ridge, the predicted other one."""
    Phi, Y = data
    wanted = ridge_weights(Phi, Y, ridge=2.0)
    twice = ridge_weights(np.vstack([Phi, Phi]), np.vstack([Y, Y]), ridge=4.0, solver=solver)
    assert ratio(twice, wanted, size=N, amplification=10) < 30
    by_hand = np.linalg.solve(Phi.T @ Phi + 2.0 * np.eye(P), Phi.T @ Y).T
    assert ratio(ridge_weights(Phi, Y, ridge=2.0, solver=solver), by_hand, size=N, amplification=10) < 30
    doubled = np.linalg.solve(2.0 * Phi.T @ Phi + 2.0 * np.eye(P), 2.0 * Phi.T @ Y).T
    got = ridge_weights(np.vstack([Phi, Phi]), np.vstack([Y, Y]), ridge=2.0, solver=solver)
    assert ratio(got, doubled, size=N, amplification=10) < 30


def test_ridge_zero_is_the_minimum_norm_solution_at_any_rank(library, ratio, matrix, rng):
    for rank in [1, 3, 5, P]:
        for rows in [5, P, N]:
            Phi, Y = matrix(rows, P, rng=rng, rank=min(rank, rows)), rng.standard_normal((rows, K))
            wanted = np.linalg.lstsq(Phi, Y, rcond=1e-6)[0].T
            W = ridge_weights(library.array(Phi), library.array(Y), ridge=0.0, rcond=1e-4)
            lost = 100.0  # cond(Phi)^2 of a residual
            assert ratio(W, wanted, eps=library.eps, size=max(rows, P), amplification=lost) < 30
            if library.dtype == "float64":
                plain = ridge_weights(library.array(Phi), library.array(Y), ridge=0.0)
                assert ratio(plain, W, size=N, amplification=lost) < 30


@pytest.mark.parametrize("solver", SOLVERS)
def test_matrix_of_rank_three_does_not_explode_at_ridge_zero(ratio, solver):
    """scikit-learn's Ridge(alpha=0) returns a norm of 1e15 here, by an absolute cut-off."""
    rng = np.random.default_rng(0)
    Phi = rng.standard_normal((N, 3)) @ rng.standard_normal((3, P)) * 10
    Y = rng.standard_normal((N, K))
    W = ridge_weights(Phi, Y, ridge=0.0, solver=solver)
    s = np.linalg.svd(Phi, compute_uv=False)
    assert ratio(W, (np.linalg.pinv(Phi) @ Y).T, size=N, amplification=(s[0] / s[2]) ** 2) < 30


def test_weights_and_intercept_are_those_of_scikit_learn(library, ratio, rng):
    for ridge in RIDGES[1:]:
        for shape in [(N, P), (5, P)]:
            Phi, Y = rng.standard_normal(shape) + 1, rng.standard_normal((shape[0], K)) - 2
            A = [library.array(B) for B in (Phi, Y)]
            F, T = (to_numpy(B).astype(float) for B in A)
            amplification = squared_condition(F, ridge)
            plain = Ridge(alpha=ridge, fit_intercept=False, solver="svd").fit(F, T)
            model, oracle = ridge_weights_with_intercept(*A, ridge=ridge), Ridge(alpha=ridge, solver="svd").fit(F, T)
            assert library.owns(model.weights, model.intercept)
            for got, wanted in (
                (ridge_weights(*A, ridge=ridge), plain.coef_),
                (model.weights, oracle.coef_),
                (model.intercept, oracle.intercept_),
            ):
                assert ratio(got, wanted, eps=library.eps, size=N, amplification=amplification) < 30


def test_intercept_is_not_penalised(ratio, data):
    """A constant added to the labels moves the intercept by it and leaves the weights, whatever the ridge."""
    Phi, Y = data
    one, other = (ridge_weights_with_intercept(Phi, Y + shift, ridge=1e3) for shift in (0.0, 5.0))
    assert ratio(other.weights, one.weights, size=N, amplification=10) < 30
    assert ratio(other.intercept, one.intercept + 5.0, size=N, amplification=10) < 30


@pytest.mark.parametrize("mean", [1e3, 1e8])
def test_mean_far_above_the_deviations_is_no_direction_of_its_own(ratio, rng, mean):
    """n = 4 points have 3 deviations; what rounding leaves of the mean must not be divided by at ridge 0."""
    Phi, Y = mean + rng.standard_normal((4, P)), rng.standard_normal((4, K)) + mean
    H = np.linalg.qr(np.hstack([np.ones((4, 1)), np.eye(4)[:, :3]]))[0][:, 1:].T  # contrasts: H 1 = 0
    wanted = (np.linalg.pinv(H @ (Phi - Phi[0])) @ H @ (Y - Y[0])).T  # differences of near floats are exact
    model = ridge_weights_with_intercept(Phi, Y, ridge=0.0)
    amplification = np.linalg.cond(H @ (Phi - Phi[0]))
    assert ratio(model.weights, wanted, size=P, amplification=amplification) < 30
    assert ratio(Phi @ model.weights.T + model.intercept, Y, size=P, amplification=amplification) < 30


def test_means_of_float32_data_are_taken_in_float64(summing_library, ratio, rng):
    """A float32 running sum of 2^20 values near 100 is off by 1e-4 of them and more; the intercept would show it."""
    n = 2**20
    Phi = (100 + rng.random((n, 1))).astype("float32")
    Y = (np.arange(n, dtype="float32") % 128)[:, None] + 100
    model = ridge_weights_with_intercept(summing_library.array(Phi), summing_library.array(Y), ridge=1e12)
    wanted = Y.mean(dtype="float64") - float(model.weights[0, 0]) * Phi.mean(dtype="float64")
    assert ratio(model.intercept[0], wanted, size=1, eps=summing_library.eps) < 30


def test_path_is_every_single_solution(summing_library, ratio, data):
    statistics = GramStatistics(P, K).update(*(summing_library.array(A) for A in data))
    path = statistics.path(RIDGES)
    assert path.shape == (len(RIDGES), K, P)
    for i, ridge in enumerate(RIDGES):
        single = GramStatistics(P, K).merge(statistics).weights(ridge)
        assert ratio(path[i, ...], single, size=N, amplification=squared_condition(data[0], ridge)) < 30


def test_large_ridge_limit_is_the_correlation_with_first_order_error(data):
    """ridge * W -> C, and |ridge W - C| = |C G| / ridge + O(ridge^-2)."""
    Phi, Y = data
    C, G = Y.T @ Phi, Phi.T @ Phi
    for ridge in (1e5, 1e6, 1e7):
        error = np.linalg.norm(ridge * ridge_weights(Phi, Y, ridge=ridge) - C)
        assert error * ridge == pytest.approx(np.linalg.norm(C @ G), rel=2 * np.linalg.norm(G) / ridge)


def test_small_ridge_limit_is_the_pseudo_inverse_with_first_order_error(data):
    """W(0) - W(ridge) = ridge W(0) G^-1 (I + ridge G^-1)^-1, within a relative ridge |G^-1| of ridge W(0) G^-1."""
    Phi, Y = data
    W, inverse = ridge_weights(Phi, Y, ridge=0.0), np.linalg.inv(Phi.T @ Phi)
    first = np.linalg.norm(W @ inverse)
    for ridge in (1e-3, 1e-4, 1e-5):
        error = np.linalg.norm(ridge_weights(Phi, Y, ridge=ridge) - W)
        rounding = 30 * 2.0**-52 * N * squared_condition(Phi, ridge) * np.linalg.norm(W) / (ridge * first)
        assert error / ridge == pytest.approx(first, rel=ridge * np.linalg.norm(inverse, 2) + rounding)


@pytest.mark.parametrize("solver", SOLVERS)
def test_metamorphic_relations(ratio, data, rng, solver):
    """Row order, a rotation of the features or of the labels, a common scale, a repeated sample."""
    for ridge in RIDGES:
        Phi, Y = data

        def fit(F, T, lam=ridge):
            return ridge_weights(F, T, ridge=lam, solver=solver)

        W, order = fit(Phi, Y), rng.permutation(N)
        Q, R = (np.linalg.qr(rng.standard_normal((side, side)))[0] for side in (P, K))
        weights = np.ones(N)
        weights[3] = np.sqrt(2.0)  # sqrt-weighted rows
        pairs = [
            (fit(Phi[order], Y[order]), W),
            (fit(Phi @ Q, Y), W @ Q),
            (fit(Phi, Y @ R), R.T @ W),
            (fit(1e6 * Phi, 1e6 * Y, 1e12 * ridge), W),
            (fit(Phi, 1e-8 * Y), 1e-8 * W),
            (
                fit(np.vstack([Phi, Phi[3:4]]), np.vstack([Y, Y[3:4]])),
                fit(weights[:, None] * Phi, weights[:, None] * Y),
            ),
            (fit(np.vstack([Phi, 0 * Phi[:5]]), np.vstack([Y, Y[:5]])), W),
        ]
        for got, wanted in pairs:
            assert ratio(got, wanted, size=N, amplification=squared_condition(Phi, ridge)) < 30


def test_normal_equations_hold(library, ratio, rng):
    Phi, Y = library.array(rng.standard_normal((N, P))), library.array(rng.standard_normal((N, K)))
    W = to_numpy(ridge_weights(Phi, Y, ridge=0.5)).astype(float)
    F, T = to_numpy(Phi).astype(float), to_numpy(Y).astype(float)
    assert ratio(W @ (F.T @ F + 0.5 * np.eye(P)), T.T @ F, eps=library.eps, size=N, amplification=10) < 30


def test_unknown_solver_and_negative_ridge_are_refused(data):
    with pytest.raises(ValueError, match="unknown solver 'cg'; choose from auto, svd, gram, dual, tsqr, refined"):
        ridge_weights(*data, ridge=1.0, solver="cg")
    with pytest.raises(ValueError, match="ridge must be finite and >= 0, got -1"):
        ridge_weights(*data, ridge=-1.0)
    with pytest.raises(TypeError, match="required keyword-only argument: 'ridge'"):
        ridge_weights(*data)


def test_dual_is_the_exact_oracle_for_fewer_samples_than_features(summing_library, ratio, refit, rng):
    for ridge in [1e-3, 0.3, 50.0]:
        Phi, Y = summing_library.array(rng.standard_normal((5, P))), summing_library.array(rng.standard_normal((5, K)))
        W = ridge_weights(Phi, Y, ridge=ridge, solver="dual")
        assert summing_library.owns(W)
        s = np.linalg.svd(to_numpy(Phi).astype(float), compute_uv=False)
        squared = (s[0] ** 2 + ridge) / (s[-1] ** 2 + ridge)
        assert ratio(W, refit(Phi, Y, ridge), size=P, amplification=squared, eps=summing_library.eps) < 30


@pytest.mark.parametrize("at_hand", [False, True])
@pytest.mark.parametrize("ridge", [1e-12, 1e-9, 1e-3])
def test_dual_loses_what_an_svd_does(ratio, refit, matrix, rng, ridge, at_hand):
    """cond_eff up to 1e6: without refinement the error would be its square."""
    Phi, Y = matrix(12, 30, rng=rng, cond=1e8), rng.standard_normal((12, K))
    dual = DualStatistics(Phi, Y)
    if at_hand:
        dual.inner_spectrum()
    W, wanted = dual.weights(ridge), refit(Phi, Y, ridge)
    s = np.linalg.svd(Phi, compute_uv=False)
    largest = s[0] * np.max(s / (s**2 + ridge))  # of eps |Phi| |W| in the labels
    A = np.linalg.solve(Phi @ Phi.T + ridge * np.eye(12), Y)
    size = np.linalg.norm(Y) + s[0] * np.linalg.norm(wanted) + ridge * np.linalg.norm(A)
    assert ratio(W, wanted, size=30, amplification=largest * size / (s[0] * np.linalg.norm(wanted)) + largest) < 30


def test_dual_says_when_it_fails(matrix, rng):
    Phi, Y = matrix(12, 30, rng=rng, cond=1e12), rng.standard_normal((12, K))
    with pytest.raises(DivergenceError, match=r"take solver='svd', or a larger ridge|or solver='svd'"):
        ridge_weights(Phi, Y, ridge=1e-22, solver="dual")
    W = ridge_weights(Phi, Y, ridge=1e-22)
    assert np.array_equal(W, ridge_weights(Phi, Y, ridge=1e-22, solver="svd"))
    with pytest.raises(ValueError, match="the dual needs ridge > 0"):
        ridge_weights(Phi, Y, ridge=0.0, solver="dual")
    with pytest.raises(ShapeError, match="Phi and Y must have the same number of rows, got 12 and 11"):
        DualStatistics(Phi, Y[1:])
    with pytest.raises(ValueError, match="inner products are not finite"):
        DualStatistics(1e200 * Phi, Y).inner_spectrum()


@pytest.mark.parametrize(
    ("wide", "cond", "ridge", "taken"),
    [
        *((0, *case) for case in ((1e2, 1.0, "gram"), (1e5, 1e-10, "refined"), (1e9, 0.0, None))),
        *((16, *case) for case in ((1e2, 1.0, None), (1e5, 1e-10, None), (1e9, 1e-18, "tsqr"))),
    ],
)
def test_products_are_taken_while_they_lose_nothing(monkeypatch, ratio, refit, matrix, rng, wide, cond, ridge, taken):
    """n <= 16 p: refined at once; where the problem does not allow 1e-13, by the choice of the solver."""
    from analytic_dd.ridge import weights

    monkeypatch.setattr(weights, "LIMITS", replace(weights.LIMITS, tiny=0.0, wide=wide))
    made = []

    def watched(*given, **options):
        made.append(choose_solver(*given, **options))
        return made[-1]

    monkeypatch.setattr(weights, "choose_solver", watched)
    Phi, Y = matrix(N, P, rng=rng, cond=cond), rng.standard_normal((N, K))
    W = ridge_weights(Phi, Y, ridge=ridge)
    assert [choice.solver for choice in made] == ([] if taken is None else [taken])
    s = np.linalg.svd(Phi, compute_uv=False)
    squared = (s[0] ** 2 + ridge) / (s[-1] ** 2 + ridge)
    left = np.hypot(np.linalg.norm(Y - Phi @ W.T), np.sqrt(ridge) * np.linalg.norm(W))
    predicted = np.sqrt(squared) + squared * left / (np.sqrt(s[0] ** 2 + ridge) * np.linalg.norm(W))  # Wedin
    assert ratio(W, refit(Phi, Y, ridge), size=N, amplification=predicted) < 30


def test_large_ill_conditioned_features_go_to_tsqr(monkeypatch, matrix, rng):
    from analytic_dd.ridge import weights

    Phi, Y = matrix(N, P, rng=rng, cond=1e9), rng.standard_normal((N, K))
    monkeypatch.setattr(weights, "LIMITS", replace(weights.LIMITS, svd=0.0))
    for ridge in (0.0, 1e-18):
        W = ridge_weights(Phi, Y, ridge=ridge)
        assert np.array_equal(W, ridge_weights(Phi, Y, ridge=ridge, solver="tsqr"))
        assert not np.array_equal(W, ridge_weights(Phi, Y, ridge=ridge, solver="svd"))
