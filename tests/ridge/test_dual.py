"""Rows of n < p samples: read as sums are, weighted, centred, and scored without each sample."""

import itertools

import numpy as np
import pytest

from analytic_dd.arrays import to_numpy
from analytic_dd.errors import ShapeError
from analytic_dd.linalg import GramStatistics
from analytic_dd.ridge import DualStatistics

K, P, N = 3, 11, 7
WEIGHTS = np.array([1.0, 0.25, 3.0, 1.0, 0.0, 0.5, 2.0])
both_intercepts = pytest.mark.parametrize("intercept", [False, True])


@pytest.fixture
def data(rng):
    return rng.standard_normal((N, P)) + 1.0, rng.standard_normal((N, K)) - 2.0


def weighted_fit(Phi, Y, w, ridge, intercept):
    """W and b by a general solve of the normal equations, a column of ones unpenalised."""
    F = np.hstack([Phi, np.ones((len(Phi), 1))]) if intercept else Phi
    penalty = ridge * np.eye(F.shape[1])
    if intercept:
        penalty[-1, -1] = 0.0
    A = np.linalg.solve((F * w[:, None]).T @ F + penalty, (F * w[:, None]).T @ Y)
    return (A[:-1].T, A[-1]) if intercept else (A.T, np.zeros(Y.shape[1]))


def test_rows_are_read_as_sums_are(summing_library, ratio, data):
    for weights, centred in itertools.product([None, WEIGHTS], [False, True]):
        given = [None if A is None else summing_library.array(A) for A in (*data, weights)]
        rows = DualStatistics(*given[:2], sample_weight=given[2])
        sums = GramStatistics(P, K).update(*given[:2], sample_weight=given[2])
        if centred:
            rows, sums = rows.centred(), sums.centred()
        for name in ("C", "yy", "mean_phi", "mean_y", "sum_phi", "sum_y"):
            got, wanted = (getattr(each, name) for each in (rows, sums))
            assert isinstance(got, summing_library.kind)
            assert np.linalg.norm(to_numpy(got) - to_numpy(wanted)) <= 30 * 2.0**-52 * N * 10 * np.linalg.norm(wanted)
        assert abs(rows.trace - sums.trace) <= 30 * 2.0**-52 * N * 10 * sums.trace
        X = summing_library.array(np.eye(P)[:4] + 1.0)
        X = X if summing_library.dtype == "float64" else rows.F[:4, :]
        assert ratio(rows.apply_gram(X), sums.apply_gram(X), size=N, amplification=10) < 30
        assert rows.weight == sums.weight
        assert (rows.p, rows.k, rows.n) == (P, K, N if weights is None else N - 1)


@both_intercepts
def test_spectrum_is_that_of_the_gram_matrix(ratio, data, intercept):
    rows = DualStatistics(*data).centred() if intercept else DualStatistics(*data)
    spectrum, F = rows.spectrum(), data[0] - intercept * data[0].mean(0)
    r = N - intercept
    V, values = spectrum.vectors[:, :r], spectrum.values[:r]
    assert ratio((V * values) @ V.T, F.T @ F, size=P) < 30
    assert ratio(V.T @ V, np.eye(r), size=P) < 30
    assert rows.largest_eigenvalue() == pytest.approx(float(values[0]), rel=30 * P * 2.0**-52)


def test_weighted_rows_fit_the_weighted_normal_equations(ratio, data):
    for intercept, by, ridge in itertools.product([False, True], ["weights", "weights_by_svd"], [0.3, 5.0]):
        rows = DualStatistics(*data, sample_weight=WEIGHTS)
        W = getattr(rows.centred() if intercept else rows, by)(ridge)
        wanted, b = weighted_fit(*data, WEIGHTS, ridge, intercept)
        amplification = np.linalg.norm(data[0]) ** 2 / ridge
        assert ratio(W, wanted, size=P, amplification=amplification) < 30
        if intercept:
            assert ratio(rows.mean_y - W @ rows.mean_phi, b, size=P, amplification=amplification) < 30


@both_intercepts
def test_ridge_zero_interpolates_with_the_least_norm(ratio, data, intercept):
    rows = DualStatistics(*data, sample_weight=WEIGHTS)
    fitted = rows.centred() if intercept else rows
    W = fitted.weights_by_svd(0.0)
    assert ratio(fitted.F @ W.T, fitted.T, size=P, amplification=np.linalg.cond(data[0]) * 10) < 30
    basis = np.linalg.qr(fitted.F.T)[0]
    assert ratio(W @ basis @ basis.T, W, size=P, amplification=np.linalg.cond(data[0]) * 10) < 30


@both_intercepts
def test_a_weight_of_zero_is_a_sample_left_out(data, intercept):
    kept = WEIGHTS > 0.0
    one = DualStatistics(*data, sample_weight=WEIGHTS)
    two = DualStatistics(data[0][kept], data[1][kept], sample_weight=WEIGHTS[kept])
    if intercept:
        one, two = one.centred(), two.centred()
    for use in (lambda s: s.weights(0.5), lambda s: s.left_out([0.1, 1.0]), lambda s: s.gcv([0.1, 1.0])):
        assert np.array_equal(use(one), use(two))


@both_intercepts
@pytest.mark.parametrize("ridge", [0.1, 2.0])
def test_leaving_a_copy_out_is_a_refit_without_it(ratio, data, ridge, intercept):
    """Of weight w the part min(w, 1) is left out, as from sums."""
    rows = DualStatistics(*data, sample_weight=WEIGHTS)
    got = (rows.centred() if intercept else rows).left_out([ridge, 10.0])[:, 0, :]
    wanted = []
    for i in np.flatnonzero(WEIGHTS):
        w = WEIGHTS.copy()
        w[i] = max(w[i] - 1.0, 0.0)
        W, b = weighted_fit(*data, w, ridge, intercept)
        wanted.append(W @ data[0][i] + b)
    assert ratio(got, np.array(wanted), size=P, amplification=np.linalg.norm(data[0]) ** 2 / ridge) < 30


@both_intercepts
def test_repeated_samples_are_samples_of_weight_two(ratio, data, intercept):
    twice = np.array([0, 1, 1, 2, 3, 3])
    counts = np.array([1.0, 2.0, 1.0, 2.0])
    one = DualStatistics(data[0][:4], data[1][:4], sample_weight=counts)
    two = DualStatistics(data[0][twice], data[1][twice])
    if intercept:
        one, two = one.centred(), two.centred()
    grid = [0.1, 3.0]
    amplification = np.linalg.norm(data[0]) ** 2 / min(grid)
    assert ratio(one.gcv(grid), two.gcv(grid), size=P, amplification=amplification) < 30
    first = [0, 1, 3, 4]
    assert ratio(one.left_out(grid), two.left_out(grid)[first], size=P, amplification=amplification) < 30
    assert ratio(one.weights(0.1), two.weights(0.1), size=P, amplification=amplification) < 30


def test_a_mean_far_away_costs_the_dual_nothing(ratio, rng):
    """Seconds since 1970 beside a deviation of some: sums would keep no digit of it, rows are centred first."""
    Phi, Y = rng.integers(0, 100, (N, P)).astype(float), rng.standard_normal((N, K))
    wanted = DualStatistics(Phi, Y).centred().weights(1.0)
    got = DualStatistics(Phi + 1.7e9, Y).centred().weights(1.0)
    s = np.linalg.svd(Phi - Phi.mean(0), compute_uv=False)
    assert ratio(got, wanted, size=P, amplification=1.7e9 / s[0] * (s[0] ** 2 + 1.0)) < 30


def test_blocks_are_copied_into_rows(summing_library, data):
    Phi, Y, w = (summing_library.array(A) for A in (*data, WEIGHTS))
    whole = DualStatistics(Phi, Y, sample_weight=w)
    cuts = [slice(0, 3), slice(3, 6), slice(6, N)]
    parts = DualStatistics.of(((Phi[cut, :], Y[cut, :], w[cut]) for cut in cuts), n=N)
    for name in ("F", "T", "Y", "root"):
        assert np.array_equal(to_numpy(getattr(whole, name)), to_numpy(getattr(parts, name)))
        assert isinstance(getattr(whole.on_host(), name), np.ndarray)

    def reused():
        buffer = np.empty((2, 4))
        for i in range(3):
            buffer[:] = i
            yield buffer, np.ones((2, 1))

    assert DualStatistics.of(reused(), n=6).F[:, 0].tolist() == [0.0, 0.0, 1.0, 1.0, 2.0, 2.0]
    for n in (5, 7):
        with pytest.raises(ShapeError, match=f"the blocks must have {n} samples in all, at least 1, got 6"):
            DualStatistics.of(reused(), n=n)


def test_samples_without_weight_are_refused(data):
    with pytest.raises(ValueError, match="the samples have no weight"):
        DualStatistics(*data, sample_weight=np.zeros(N))
