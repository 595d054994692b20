"""Units change nothing but the numbers that have them: powers of two in features, columns, outputs and the ridge."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytic_dd import RangeError, RidgeDistiller, RidgeDistillerRegressor, ridge_weights
from analytic_dd.linalg import GramStatistics, StreamingQR, least_squares
from analytic_dd.ridge import fit_weights, ridge_weights_with_intercept

K, P, N = 3, 7, 40
EPS = 2.0**-52
SOLVERS = ("auto", "svd", "gram", "dual", "tsqr", "refined")


def problem(seed, n=N):
    rng = np.random.default_rng(seed)
    Phi = rng.standard_normal((n, P))
    return Phi, Phi @ rng.standard_normal((P, K)) + 0.3 * rng.standard_normal((n, K))


@given(
    seed=st.integers(0, 2**16),
    solver=st.sampled_from(SOLVERS),
    n=st.sampled_from([5, 40]),
    of_features=st.integers(-250, 250),
    of_outputs=st.lists(st.integers(-400, 400), min_size=K, max_size=K),
)
def test_powers_of_two_in_features_and_outputs_change_no_bit(seed, solver, n, of_features, of_outputs):
    """Phi 2^f, Y_i 2^(y_i), ridge 4^f has the weights W_i 2^(y_i - f)."""
    if n < P and solver == "refined":
        return  # it needs the sums (p, p) to be definite by themselves
    Phi, Y = problem(seed, n)
    y = np.array(of_outputs)
    plain = ridge_weights(Phi, Y, ridge=0.5, solver=solver)
    other = ridge_weights(
        np.ldexp(Phi, of_features), np.ldexp(Y, y), ridge=float(np.ldexp(0.5, 2 * of_features)), solver=solver
    )
    assert np.array_equal(np.ldexp(other, of_features - y[:, None]), plain)


@given(seed=st.integers(0, 2**16), solver=st.sampled_from(["auto", "svd", "gram", "tsqr"]), powers=st.data())
def test_columns_in_any_units_are_all_fitted_at_ridge_0(seed, solver, powers):
    """The minimiser is unique, so that no column is rounding beside another; by power of two no bit changes."""
    Phi, Y = problem(seed)
    limit = 100 if solver == "gram" else 300
    columns = np.array(powers.draw(st.lists(st.integers(-limit, limit), min_size=P, max_size=P)))
    if np.ptp(columns) > limit and solver == "gram":  # its squares are no numbers in one unit
        return
    plain = ridge_weights(Phi, Y, ridge=0.0, solver=solver)
    other = ridge_weights(np.ldexp(Phi, columns), Y, ridge=0.0, solver=solver)
    size = N + P**0.5
    error = np.linalg.norm(np.ldexp(other, columns) - plain) / np.linalg.norm(plain)
    assert error / (EPS * size * np.linalg.cond(Phi) ** (2 if solver == "gram" else 1)) < 30


@pytest.mark.parametrize("power", [-300, -150, 150, 300])
@pytest.mark.parametrize("solver", SOLVERS)
def test_sizes_whose_squares_are_no_numbers_are_fitted(ratio, power, solver):
    Phi, Y = problem(1)
    if abs(power) < 300:  # else the ridge is none either
        ridge = float(np.ldexp(1.0, int(2 * power * np.log2(10.0))))
        factor = np.sqrt(ridge) / 10.0**power
        wanted = ridge_weights(Phi, Y, ridge=factor**2)
        got = ridge_weights(Phi * 10.0**power, Y, ridge=ridge, solver=solver) * 10.0**power
        assert ratio(got, wanted, size=N + P, amplification=np.linalg.cond(Phi) ** 2) < 30
    if solver not in ("dual", "refined"):
        wanted = ridge_weights(Phi, Y, ridge=0.0)
        got = ridge_weights(Phi * 10.0**power, Y, ridge=0.0, solver=solver) * 10.0**power
        assert ratio(got, wanted, size=N + P, amplification=np.linalg.cond(Phi) ** 2) < 30


def test_columns_that_depend_on_each_other_keep_the_least_norm(ratio):
    Phi, Y = problem(2)
    Phi[:, 3] = 0.0
    Phi[:, 4] = Phi[:, 1] - 2.0 * Phi[:, 0]
    wanted = (np.linalg.pinv(Phi) @ Y).T
    for got in (least_squares(Phi, Y), StreamingQR(P, K).update(Phi, Y).weights(0.0)):
        assert ratio(got, wanted, size=N + P, amplification=100.0) < 30
    assert ratio(GramStatistics(P, K).update(Phi, Y).weights(0.0), wanted, size=N + P, amplification=1e4) < 30


def test_columns_of_zeros_do_not_hide_a_small_one(ratio):
    Phi, Y = problem(3)
    Phi[:, 2] = 0.0
    units = np.array([1e12, 1.0, 1.0, 1e-12, 1.0, 1.0, 1.0])
    wanted = (np.linalg.pinv(Phi) @ Y).T
    for solver in ("svd", "tsqr"):
        got = ridge_weights(Phi * units, Y, ridge=0.0, solver=solver) * units
        assert ratio(got, wanted, size=N + P, amplification=np.linalg.cond(np.delete(Phi, 2, 1))) < 30


def test_weights_beyond_float32_are_refused():
    Phi, Y = (A.astype(np.float32) for A in problem(4))
    with pytest.raises(RangeError, match=r"weights must be numbers of float32, at most 3.4e\+38, got"):
        ridge_weights(Phi * np.float32(1e-30), Y * np.float32(1e30), ridge=0.0)
    large = ridge_weights(Phi * np.float32(1e-10), Y * np.float32(1e20), ridge=0.0)
    assert large.dtype == np.float32
    assert np.all(np.isfinite(large))


TIME = 1.7e9


def with_a_time(seed, n=N):
    """Features, one of them a time stamp; and the same about its beginning, exactly."""
    rng = np.random.default_rng(seed)
    Phi = rng.standard_normal((n, P))
    Phi[:, 2] = rng.integers(0, 100, n)
    stamps = Phi.copy()
    stamps[:, 2] += TIME
    Y = Phi @ rng.standard_normal((P, K)) + 0.3 * rng.standard_normal((n, K)) + 5.0
    return stamps, Phi, Y


@pytest.mark.parametrize("n", [5, 40, 9000])
@pytest.mark.parametrize("ridge", [0.0, 1.0, "loo", "gcv"])
def test_a_time_stamp_is_no_constant(ratio, n, ridge):
    """A feature that is far from zero has the weights of one that is not, with an intercept."""
    stamps, Phi, Y = with_a_time(5, n)

    def fitted(A):
        def blocks(rows=None, /, *, stage=""):
            kept = np.arange(n) if rows is None else rows
            for start in range(0, len(kept), 4096):
                yield A[kept[start : start + 4096]], Y[kept[start : start + 4096]]

        return fit_weights(blocks, n=n, p=P, k=K, ridge=ridge, intercept=True, rng=np.random.default_rng(0))

    found, wanted = fitted(stamps), fitted(Phi)
    size = np.linalg.cond(Phi - Phi.mean(axis=0)) ** 2
    assert ratio(found.ridge, wanted.ridge, size=n + P, amplification=size) < 30
    assert ratio(found.weights, wanted.weights, size=n + P, amplification=size) < 30
    scores, right = stamps @ found.weights.T + found.intercept, Phi @ wanted.weights.T + wanted.intercept
    rounding = EPS * TIME * np.linalg.norm(found.weights[:, 2])
    assert np.abs(scores - right).max() < 30 * (rounding + EPS * (n + P) * size * np.abs(right).max())
    assert ratio(found.statistics.mean_phi, stamps.mean(axis=0), size=n) < 30
    assert ratio(found.centred.squares, wanted.centred.squares, size=n + P, amplification=100.0) < 30


def test_sums_of_a_stream_about_a_provisional_mean_are_the_sums(ratio):
    """What is handed out is not shifted: sums of shards can still be added to it."""
    _, Phi, Y = with_a_time(6)
    w = np.random.default_rng(0).uniform(0.5, 2.0, N)
    found = fit_weights(
        lambda rows=None, /, *, stage="": [(Phi, Y, w)], n=N, p=P, k=K, ridge=1.0, intercept=True
    ).statistics
    wanted = GramStatistics(P, K).update(Phi, Y, sample_weight=w).sums()
    for name in ("G", "C", "yy", "sum_phi", "sum_y"):
        assert ratio(getattr(found, name), getattr(wanted, name), size=N, amplification=10.0) < 30
    assert (found.n, found.weight) == (wanted.n, wanted.weight)


@pytest.mark.parametrize("door", [RidgeDistiller, RidgeDistillerRegressor])
def test_estimators_fit_a_time_stamp(door, ratio):
    stamps, Phi, Y = with_a_time(8)
    y = (Y - Y.mean(axis=0)).argmax(axis=1) if door is RidgeDistiller else Y
    one, other = (door(ridge=1.0, fit_intercept=True, random_state=0).fit(A, y) for A in (stamps, Phi))
    size = np.linalg.cond(Phi - Phi.mean(axis=0)) ** 2
    assert ratio(one.coef_, other.coef_, size=N + P, amplification=size) < 30
    assert one.certificate_.verdict != "fail"
    alone = door(ridge=1.0, fit_intercept=True, random_state=0).fit(stamps[:, 2:3], y)
    assert alone.certificate_.verdict != "fail"


def test_an_intercept_in_memory_is_about_the_mean_too(ratio):
    stamps, Phi, Y = with_a_time(9)
    one, other = (ridge_weights_with_intercept(A, Y, ridge=1.0) for A in (stamps, Phi))
    assert ratio(one.weights, other.weights, size=N + P, amplification=np.linalg.cond(Phi) ** 2) < 30


@pytest.mark.parametrize(("size", "said"), [(1e-160, "too small"), (1e-130, "too small"), (1e130, "beyond 1e.250")])
@pytest.mark.parametrize("ridge", ["loo", 1e-250])
def test_features_whose_squares_are_no_numbers_are_refused_in_a_sentence(size, said, ridge):
    Phi, Y = problem(10)
    with pytest.raises(ValueError, match=said):
        RidgeDistiller(ridge=ridge, random_state=0).fit(Phi * size, Y.argmax(axis=1))
