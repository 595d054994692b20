"""Sums of bytes are exact, and those of normalised samples follow from them with a few roundings an entry."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

from analytic_dd.errors import ShapeError
from analytic_dd.linalg import ByteSums, GramStatistics, byte_sums, tiles

N, D, K = 40, 7, 3
EPS = 2.0**-52


def problem(n, d, *, seed=0, low=0, high=256):
    rng = np.random.default_rng(seed)
    x = rng.integers(low, high, (n, d), dtype=np.uint8)
    return x, np.eye(K)[rng.integers(0, K, n)], rng.uniform(20.0, 200.0, d), rng.uniform(10.0, 90.0, d)


def exactly(x, Y, mean, std):
    """G and C of (x - mean) / std in rational arithmetic, rounded once."""
    X = [[(Fraction(int(v)) - Fraction(m)) / Fraction(s) for v, m, s in zip(row, mean, std, strict=True)] for row in x]
    columns = list(zip(*X, strict=True))
    labels = [[Fraction(v) for v in column] for column in Y.T]

    def products(left, right):
        return np.array([[float(sum(a * b for a, b in zip(u, v, strict=True))) for v in right] for u in left])

    return products(columns, columns), products(labels, columns)


def test_sums_are_those_of_rational_arithmetic(ratio):
    x, Y, mean, std = problem(N, D)
    got, (G, C) = ByteSums(D, K).update(x, Y).statistics(mean, std), exactly(x, Y, mean, std)
    assert ratio(got.G, G, size=1) < 30
    assert ratio(got.C, C, size=1, amplification=255.0 / float(std.min())) < 30
    assert np.array_equal(got.G, got.G.T)
    assert (got.n, got.weight) == (N, N)


@pytest.mark.parametrize("labels", ["one-hot", "centred", "values"])
def test_every_sum_is_that_of_the_normalised_samples(monkeypatch, ratio, labels):
    for tile, n in itertools.product([3, 4, 800], [1, N, 2500]):  # 2500: more than one exact block
        monkeypatch.setattr(tiles, "_WIDTH", tile)
        x, Y, mean, std = problem(n, D)
        Y = {"one-hot": Y, "centred": Y - 1.0 / K, "values": Y * 2.5}[labels]
        X = (x - mean) / std
        wanted, got = GramStatistics(D, K).update(X, Y), ByteSums(D, K)
        for start in range(0, n, 999):
            got.update(x[start : start + 999], Y[start : start + 999])
        got = got.statistics(mean, std)
        size = n * 255.0 / std.min()
        for name in ("G", "C", "yy", "sum_phi", "sum_y"):
            assert np.abs(getattr(got, name) - getattr(wanted, name)).max() < 30 * EPS * size * 255.0 / std.min(), name
        assert ratio(got.G, wanted.G, size=np.sqrt(n), amplification=(255.0 / std.min()) ** 2) < 30


@pytest.mark.parametrize("value", [0, 255])
def test_the_largest_products_are_exact(value):
    """All 0 is z = -128: 1,024 squares add up to 2^24, the last integer before float32 has gaps."""
    x = np.full((5 * 1024 + 1, D), value, np.uint8)
    G = ByteSums(D, 1).update(x, np.ones((len(x), 1))).statistics(np.full(D, 128.0), np.ones(D)).G
    assert np.all(len(x) * (value - 128.0) ** 2 == G)


def test_one_product_more_would_not_be_exact(monkeypatch):
    """The limit of a block is sharp: with twice the rows float32 loses the odd sum."""
    monkeypatch.setattr(byte_sums, "_EXACT_ROWS", 4096)
    x = np.zeros((2049, D), np.uint8)
    x[0] = 127  # z = -1: the sum of squares is 2048 * 2^14 + 1
    G = ByteSums(D, 1).update(x, np.ones((len(x), 1))).statistics(np.full(D, 128.0), np.ones(D)).G
    assert np.any(np.rint(G) != 2048 * 128**2 + 1)


def test_a_constant_entry_has_no_deviation():
    """Entries that never change are exactly proportional to the ones, however far from 0."""
    x, Y, _, std = problem(N, D)
    x[:, 2] = 200
    found = ByteSums(D, K).update(x, Y).statistics(np.full(D, 200.0), std)
    assert np.all(found.G[2] == 0.0)
    assert np.all(found.sum_phi[2] == 0.0)


def test_other_sizes_and_dtypes_are_refused():
    x, Y, _, _ = problem(N, D)
    with pytest.raises(TypeError, match="exact sums are of bytes, got float64"):
        ByteSums(D, K).update(x.astype(float), Y)
    with pytest.raises(ShapeError, match=r"must be \(n, 6\)"):
        ByteSums(D - 1, K).update(x, Y)
    with pytest.raises(ShapeError, match="got"):
        ByteSums(D, K).update(x, Y[1:])
