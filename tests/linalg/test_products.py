"""Products in float32: the measured error is a bound and tight, budgets are kept, overflow is named."""

import numpy as np
import pytest

from analytic_dd.arrays import dtype_name, to_numpy
from analytic_dd.errors import InfeasibleError, RangeError
from analytic_dd.linalg import GramStatistics, ProductRule
from analytic_dd.linalg.products import float32_error_limit, gram_product

N, P, K = 5000, 37, 3


@pytest.fixture
def data(rng):
    return rng.standard_normal((N, P)) + 0.5, rng.standard_normal((N, K))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", range(10))
def test_measured_error_is_a_bound_and_tight(dtype, seed):
    F = (np.random.default_rng(seed).standard_normal((700, P)) * 3.0).astype(dtype)
    product, exact = gram_product(F, ProductRule("float32")), F.astype(float).T @ F.astype(float)
    error = np.linalg.norm(product.value - exact)
    assert error <= product.error <= 30 * error
    assert product.error <= float32_error_limit(700, np.trace(exact))
    assert product.single


def test_error_of_the_sums_is_bounded(data):
    sums = GramStatistics(P, K, products="float32").update(*data)
    exact = GramStatistics(P, K).update(*data)
    error = np.linalg.norm(sums.G - exact.G, 2)
    assert 0.0 < error <= sums.gram_error < 100 * error
    assert sums.float32_samples == N
    assert np.array_equal(sums.G, sums.G.T)
    assert (exact.gram_error, exact.float32_samples) == (0.0, 0)


def test_sums_stay_in_float64_on_every_library(summing_library, rng):
    Phi, Y = (summing_library.array(rng.standard_normal((40, n))) for n in (P, K))
    sums = GramStatistics(P, K, products="float32").update(Phi, Y)
    assert isinstance(sums.G, summing_library.kind)
    assert dtype_name(sums.G) == "float64"
    exact = to_numpy(Phi).astype(float)
    assert np.linalg.norm(to_numpy(sums.G) - exact.T @ exact) <= sums.gram_error


def test_blocks_are_added_in_float64():
    """2,048 rows of 1 a block; a float32 sum of all stops at 2^24."""
    one = np.ones((2**15, 1), dtype=np.float32)
    sums = GramStatistics(1, 1, products="float32")
    for _ in range(600):
        sums.update(one, one)
    assert float(sums.G[0, 0]) == 600 * 2**15 > 2**24


def test_error_of_the_weights_is_within_what_is_reported(data):
    exact = GramStatistics(P, K).update(*data)
    ridge = 0.1 * float(exact.spectrum().values[0])
    sums = GramStatistics(P, K, products="float32", tolerance=1e-3).update(*data)
    W, wanted = sums.weights(ridge), exact.weights(ridge)
    lowest = float(exact.spectrum().values[-1]) + ridge
    assert np.linalg.norm(W - wanted) <= sums.gram_error / lowest * np.linalg.norm(wanted)


def test_bound_above_the_tolerance_is_refused(data):
    sums = GramStatistics(P, K, products="float32", tolerance=1e-9).update(*data)
    for use in (lambda: sums.weights(1.0), lambda: sums.path([1e9, 1.0]), lambda: sums.centred().weights(1.0)):
        with pytest.raises(InfeasibleError, match="float32 products may have changed W by") as caught:
            use()
        assert caught.value.value > caught.value.limit == 1e-9


def test_auto_keeps_within_its_budget(data):
    exact = GramStatistics(P, K).update(*data)
    full = GramStatistics(P, K, products="float32").update(*data).gram_error
    used, rounding = [], 30 * 2.0**-52 * N * np.linalg.cond(data[0]) ** 2
    for share in (1e-9, 0.5, 10.0):  # of the error of all blocks
        ridge = share * full / 1e-6
        sums = GramStatistics(P, K, products="auto", smallest_ridge=ridge).update(*data)
        assert sums.gram_error <= 1e-6 * ridge
        W, wanted = sums.weights(ridge), exact.weights(ridge)
        assert np.linalg.norm(W - wanted) <= (1e-6 + rounding) * np.linalg.norm(wanted)  # |dG| / ridge and rounding
        used.append(sums.float32_samples)
    assert used[0] == 0 < used[1] < used[2] == N


def test_weights_of_samples_are_in_the_product(data, rng):
    w = rng.uniform(0.0, 3.0, N)
    sums = GramStatistics(P, K, products="float32").update(*data, sample_weight=w)
    exact = GramStatistics(P, K).update(*data, sample_weight=w)
    assert np.linalg.norm(sums.G - exact.G) <= sums.gram_error


def test_errors_add_when_sums_are_merged(data):
    parts = [
        GramStatistics(P, K, products="float32").update(data[0][s], data[1][s]) for s in (np.s_[:900], np.s_[900:])
    ]
    errors = [part.gram_error for part in parts]
    merged = parts[0].merge(parts[1])
    assert merged.gram_error == sum(errors)
    assert merged.float32_samples == N


def test_overflow_in_float32_is_named_and_changes_nothing(summing_library, data):
    sums = GramStatistics(P, K, products="float32").update(*(summing_library.array(A) for A in data))
    G, bad = to_numpy(sums.G).copy(), data[0].copy()
    bad[4000, 5] = 2e19
    with pytest.raises(RangeError, match=r"overflow in float32: the squares of column 5 add up to 4e\+38"):
        sums.update(summing_library.array(bad), summing_library.array(data[1]))
    assert sums.n == N
    assert np.array_equal(to_numpy(sums.G), G)
    automatic = GramStatistics(P, K, products="auto", smallest_ridge=1e30).update(bad, data[1])
    assert 0 < automatic.float32_samples < N  # the block with 2e19 is in float64
    assert np.all(np.isfinite(automatic.G))


def test_underflow_is_within_the_bound():
    F = np.full((100, 2), 1e-25)
    product = gram_product(F, ProductRule("float32"))
    assert np.linalg.norm(product.value - F.T @ F) <= product.error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"products": "float16"}, "unknown products 'float16'"),
        ({"products": "auto"}, "needs smallest_ridge > 0, got None"),
        ({"products": "float32", "tolerance": 0.0}, r"tolerance must be in \(0, 1\)"),
    ],
)
def test_rules_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        GramStatistics(P, K, **options)
