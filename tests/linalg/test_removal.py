"""Samples taken away from sums: as if they had never been added; what was never added is refused."""

import numpy as np
import pytest

from analytic_dd.arrays import to_numpy
from analytic_dd.errors import DataError, ShapeError
from analytic_dd.linalg import GramStatistics, Provenance

N, P, K = 40, 7, 3
SUMS = ("G", "C", "yy", "sum_phi", "sum_y")


@pytest.fixture
def data(rng):
    return rng.standard_normal((N, P)) + 1.0, rng.standard_normal((N, K)), rng.uniform(0.5, 2.0, N)


def test_removal_undoes_an_update(summing_library, ratio, data):
    for weighted in [False, True]:
        Phi, Y, w = (summing_library.array(A) for A in data)

        def part(rows):
            return (Phi[rows, :], Y[rows, :]), {"sample_weight": w[rows] if weighted else None}

        first, second = part(slice(0, 29)), part(slice(29, N))
        sums = GramStatistics(P, K).update(*first[0], **first[1]).update(*second[0], **second[1])
        left = sums.remove(*second[0], **second[1])
        wanted = GramStatistics(P, K).update(*first[0], **first[1])
        assert left is sums
        assert left.n == wanted.n == 29
        assert ratio(left.weight, wanted.weight, size=N) < 30
        for name in SUMS:
            assert ratio(getattr(left, name), getattr(wanted, name), size=N) < 30
        exact, got = to_numpy(wanted.G), to_numpy(left.G)
        assert np.linalg.norm(got - exact, 2) <= left.gram_error <= 1e3 * 2.0**-52 * np.trace(exact) * 30


def test_all_but_a_few_are_forgotten(ratio, data, refit):
    """Nothing near what is left is lost, though what was taken is 1e6 times larger."""
    Phi, Y, _ = data
    sums = GramStatistics(P, K).update(Phi, Y).update(1e3 * Phi, Y)
    sums.remove(1e3 * Phi, Y)
    lost = 1e6 * np.linalg.cond(Phi) ** 2
    assert ratio(sums.weights(1.0), refit(Phi, Y, 1.0), size=N, amplification=lost) < 30
    assert np.linalg.norm(sums.G - Phi.T @ Phi, 2) <= sums.gram_error <= 1e3 * 2.0**-52 * np.linalg.norm(1e3 * Phi) ** 2


def test_nothing_is_left_when_all_is_taken(data):
    Phi, Y, _ = data
    sums = GramStatistics(P, K).update(Phi, Y).remove(Phi, Y)
    assert (sums.n, sums.weight, sums.gram_error) == (0, 0.0, 0.0)
    with pytest.raises(ValueError, match="the statistics are empty"):
        sums.weights(1.0)
    sums.update(Phi, Y)
    assert np.array_equal(sums.G, GramStatistics(P, K).update(Phi, Y).G)


def test_what_was_never_added_is_refused_and_nothing_changes(data):
    Phi, Y, w = data
    sums = GramStatistics(P, K).update(Phi, Y)
    before = sums.G.copy()
    other = np.random.default_rng(1).standard_normal((9, P)) * 10.0
    with pytest.raises(ValueError, match="is no sum of squares: its smallest eigenvalue is -"):
        sums.remove(other, Y[:9])
    with pytest.raises(ValueError, match="cannot take 41 samples of weight 41 from 40 of weight 40"):
        sums.remove(np.vstack([Phi, Phi[:1]]), np.vstack([Y, Y[:1]]))
    with pytest.raises(ValueError, match="of weight"):
        sums.remove(Phi[:9], Y[:9], sample_weight=10.0 * w[:9])
    with pytest.raises(ValueError, match="sum of squared labels of -"):
        sums.remove(Phi[:9], 1e3 * Y[:9])
    with pytest.raises(ShapeError, match="same p and k"):
        sums.subtract(GramStatistics(P + 1, K))
    assert np.array_equal(sums.G, before)
    assert sums.n == N


def test_a_remainder_of_low_rank_is_no_error(ratio, data):
    """Fewer samples than features are left: G is singular, eigenvalues of -1e-16 are rounding."""
    Phi, Y, _ = data
    sums = GramStatistics(P, K).update(Phi, Y)
    for start in range(3, N, 5):
        sums.remove(Phi[start : start + 5], Y[start : start + 5])
    assert sums.n == 3
    assert ratio(np.linalg.eigvalsh(sums.G)[0], 0.0, size=N, unit=np.linalg.norm(Phi, 2) ** 2) < 30


def test_subtraction_undoes_a_merge(ratio, data):
    Phi, Y, _ = data
    one, other = (GramStatistics(P, K).update(Phi[s], Y[s]) for s in (np.s_[:9], np.s_[9:]))
    both = GramStatistics(P, K).merge(one).merge(other)
    spectrum = both.spectrum()
    left = both.subtract(other)
    assert ratio(left.G, one.G, size=N, amplification=10) < 30
    assert left.spectrum() is not spectrum
    assert left.subtract(GramStatistics(P, K)).n == 9


def test_provenance_follows(data):
    Phi, Y, _ = data

    def told(start, stop):
        return Provenance.of({"map": "identity"}, data="d", sha256="s", start=start, stop=stop)

    sums = GramStatistics(P, K).update(Phi, Y)
    sums.provenance = told(0, N)
    sums.remove(Phi[10:20], Y[10:20], provenance=told(10, 20))
    assert [(part.start, part.stop) for part in sums.provenance.samples] == [(0, 10), (20, N)]
    with pytest.raises(DataError, match="samples 12 to 15 of 'd' are not all in the sums"):
        sums.remove(Phi[12:15], Y[12:15], provenance=told(12, 15))
    with pytest.raises(DataError, match="one of the two sums has a provenance"):
        sums.remove(Phi[:3], Y[:3])
    assert sums.n == 30
