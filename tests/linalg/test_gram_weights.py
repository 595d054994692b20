"""T12: an integer weight is so many copies of the sample; a weight of 0 is no sample."""

import itertools

import numpy as np
import pytest

from analytic_dd.errors import ShapeError
from analytic_dd.linalg import GramStatistics
from analytic_dd.ridge import leave_one_out_scores

N, P, K = 40, 7, 3
EPS = np.finfo(float).eps


@pytest.fixture
def samples(rng):
    return rng.standard_normal((N, P)) + 1.0, rng.standard_normal((N, K)), rng.integers(0, 4, N)


def both(samples):
    Phi, Y, counts = samples
    weighted = GramStatistics(P, K).update(Phi, Y, sample_weight=counts.astype(float))
    repeated = GramStatistics(P, K).update(np.repeat(Phi, counts, axis=0), np.repeat(Y, counts, axis=0))
    return weighted, repeated


def test_integer_weights_are_copies(samples):
    for centred, name in itertools.product([False, True], ["G", "C", "yy", "sum_phi", "sum_y", "weight"]):
        weighted, repeated = (each.centred() if centred else each for each in both(samples))
        a, b = np.asarray(getattr(weighted, name)), np.asarray(getattr(repeated, name))
        scale = np.linalg.norm(np.asarray(getattr(both(samples)[1], name)))  # centring subtracts numbers of this size
        assert np.linalg.norm(a - b) <= 30 * EPS * N * scale


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("scoring", ["accuracy", "squared_error"])
def test_leave_one_out_with_integer_weights_is_that_of_copies(samples, scoring, intercept, ratio):
    Phi, Y, counts = samples
    weighted, repeated = both(samples)
    ridges = [1e-3, 0.1, 10.0]
    blocks = [(Phi, Y, counts.astype(float))]
    got, used = leave_one_out_scores(weighted, blocks, ridges, scoring=scoring, intercept=intercept)
    pair = np.repeat(Phi, counts, axis=0), np.repeat(Y, counts, axis=0)
    wanted, _ = leave_one_out_scores(repeated, [pair], ridges, scoring=scoring, intercept=intercept)
    s = np.linalg.svd(pair[0], compute_uv=False)
    amplification = (s[0] ** 2 + min(ridges)) / (s[-1] ** 2 + min(ridges))
    assert ratio(got, wanted, size=N, amplification=amplification) < 30
    assert used == np.sum(counts > 0)


def test_a_part_of_a_sample_is_left_out_exactly(ratio, samples, rng):
    """Weights below 1: the score is that of a fit without the sample, by brute force."""
    Phi, Y, _ = samples
    w, ridge = rng.uniform(0.2, 1.0, N), 0.3
    statistics = GramStatistics(P, K).update(Phi, Y, sample_weight=w)
    got, _ = leave_one_out_scores(statistics, [(Phi, Y, w)], [ridge], scoring="squared_error")
    total = 0.0
    for i in range(N):
        rest = np.arange(N) != i
        W = GramStatistics(P, K).update(Phi[rest], Y[rest], sample_weight=w[rest]).weights(ridge)
        total += w[i] * np.sum((Y[i] - W @ Phi[i]) ** 2)
    assert ratio(got[0], total / w.sum() / K, size=N, amplification=np.linalg.cond(Phi) ** 2) < 30


def test_merging_adds_weights(samples):
    Phi, Y, counts = samples
    w = counts.astype(float)
    parts = [GramStatistics(P, K).update(Phi[s], Y[s], sample_weight=w[s]) for s in (slice(0, 9), slice(9, N))]
    assert parts[0].merge(parts[1]).weight == w.sum()


def test_weights_survive_a_file(samples, tmp_path):
    weighted, _ = both(samples)
    weighted.save(tmp_path / "sums.npz")
    assert GramStatistics.load(tmp_path / "sums.npz").weight == weighted.weight


def test_wrong_weights_leave_the_sums_alone(samples):
    Phi, Y, _ = samples
    statistics = GramStatistics(P, K).update(Phi, Y)
    before = statistics.G.copy()
    with pytest.raises(ValueError, match=r"finite and >= 0, got -1\.0 for sample 2"):
        statistics.update(Phi, Y, sample_weight=np.where(np.arange(N) == 2, -1.0, 1.0))
    with pytest.raises(ShapeError, match=r"must have shape \(40,\)"):
        statistics.update(Phi, Y, sample_weight=np.ones(N - 1))
    with pytest.raises(TypeError, match="float32 or float64, got int64"):
        statistics.update(Phi, Y, sample_weight=np.ones(N, dtype=int))
    assert np.array_equal(statistics.G, before)
    assert statistics.n == N


def test_all_weights_zero_is_refused():
    statistics = GramStatistics(2, 1).update(np.ones((3, 2)), np.ones((3, 1)), sample_weight=np.zeros(3))
    with pytest.raises(ValueError, match="have no weight"):
        statistics.weights(1.0)
