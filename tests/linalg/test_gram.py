"""Sums that determine ridge regression: they add, they are symmetric, and they are kept in float64."""

import copy
from dataclasses import FrozenInstanceError

import array_api_strict
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from analytic_dd.arrays import dtype_name, to_numpy
from analytic_dd.errors import DataError, ShapeError
from analytic_dd.linalg import GramStatistics, Provenance, gram

K, P, N = 3, 7, 40
LIKE = {"torch": torch.tensor, "strict": array_api_strict.asarray, "jax": jnp.asarray}
SUMS = ("G", "C", "yy", "sum_phi", "sum_y")


@pytest.fixture
def data(rng):
    """Features and labels with a mean that is not zero."""
    return rng.standard_normal((N, P)) + 1.0, rng.standard_normal((N, K)) - 2.0


def sums(statistics):
    return [to_numpy(getattr(statistics, name)) for name in SUMS]


def assert_same(ratio, one, other, amplification=1.0):
    assert one.n == other.n
    for got, wanted in zip(sums(one), sums(other), strict=True):
        assert ratio(got, wanted, size=N, amplification=amplification) < 30


def test_sums_are_their_definitions(summing_library, ratio, data):
    Phi, Y = (summing_library.array(A) for A in data)
    statistics = GramStatistics(P, K).update(Phi, Y)
    F, T = to_numpy(Phi).astype(float), to_numpy(Y).astype(float)
    wanted = F.T @ F, T.T @ F, (T**2).sum(0), F.sum(0), T.sum(0)
    assert statistics.n == N
    for name, value in zip(SUMS, wanted, strict=True):
        got = getattr(statistics, name)
        assert isinstance(got, summing_library.kind)
        assert dtype_name(got) == "float64"
        assert ratio(got, value, size=N) < 30


@pytest.mark.parametrize("rows", [1, 3, 64])
def test_gram_matrix_is_symmetric_to_the_last_bit(rng, rows):
    """numpy computes one triangle and mirrors it; eigh and a solver that read different triangles then agree."""
    G = GramStatistics(300, 1).update(rng.standard_normal((rows, 300)), np.ones((rows, 1))).G
    assert np.array_equal(G, G.T)


def test_chunks_add_up_to_the_whole(summing_library, ratio, data):
    jax = summing_library.name == "jax"  # which compiles for every shape
    for cuts in [(20,)] if jax else [(1,), (7, 8, 39), range(1, N)]:
        Phi, Y = (summing_library.array(A) for A in data)
        parts = GramStatistics(P, K)
        for start, stop in zip((0, *cuts), (*cuts, N), strict=True):
            parts.update(Phi[start:stop, :], Y[start:stop, :])
        assert_same(ratio, parts, GramStatistics(P, K).update(Phi, Y))


def test_blocks_within_an_update_add_up_to_the_whole(monkeypatch, ratio, rng):
    Phi, Y = rng.standard_normal((5000, P)), rng.standard_normal((5000, K))
    whole = GramStatistics(P, K).update(Phi, Y)
    monkeypatch.setattr(gram, "_BLOCK_BYTES", 1)  # 4,096 rows at least
    assert_same(ratio, GramStatistics(P, K).update(Phi, Y), whole)


def test_merge_is_commutative_and_associative_to_rounding(summing_library, ratio, data):
    Phi, Y = (summing_library.array(A) for A in data)

    def part(start, stop):
        return GramStatistics(P, K).update(Phi[start:stop, :], Y[start:stop, :])

    a, b, c = (0, 11), (11, 14), (14, N)
    one = part(*a).merge(part(*b)).merge(part(*c))
    for other in (part(*c).merge(part(*a)).merge(part(*b)), part(*a).merge(part(*b).merge(part(*c)))):
        assert_same(ratio, one, other)
    assert_same(ratio, one, GramStatistics(P, K).update(Phi, Y))


def test_merge_with_nothing_changes_nothing_and_leaves_the_other_alone(data):
    whole = GramStatistics(P, K).update(*data)
    before = [A.copy() for A in sums(whole)]
    other = GramStatistics(P, K).merge(whole).merge(GramStatistics(P, K))
    assert all(np.array_equal(one, two) for one, two in zip(sums(other), before, strict=True))
    other.update(*data)
    assert whole.n == N
    assert all(np.array_equal(one, two) for one, two in zip(sums(whole), before, strict=True))


def test_other_sizes_do_not_merge(data):
    with pytest.raises(ShapeError, match=r"same p and k, got \(7, 3\) and \(5, 3\)"):
        GramStatistics(P, K).update(*data).merge(GramStatistics(5, K))


def test_float32_data_are_summed_in_float64(summing_library):
    """A float32 sum of ones stops at 2^24; here 2^24 + 2 ones come after a large one."""
    large = 2.0**24
    Phi = summing_library.array(np.array([[large], [1.0], [1.0], [1.0]]))
    statistics = GramStatistics(1, 1).update(Phi, summing_library.array(np.ones((4, 1))))
    assert float(statistics.sum_phi[0]) == float(statistics.C[0, 0]) == large + 3
    assert float(statistics.G[0, 0]) == large**2 + 3  # float32 would lose the 3
    for _ in range(3):
        statistics.update(Phi[1:, :], summing_library.array(np.ones((3, 1))))
    assert float(statistics.G[0, 0]) == large**2 + 12


def test_refused_samples_change_nothing(summing_library, data):
    statistics = GramStatistics(P, K).update(*(summing_library.array(A) for A in data))
    before, bad = [A.copy() for A in sums(statistics)], data[0].copy()
    bad[3, 5] = np.inf
    with pytest.raises(ValueError, match="Phi must be finite, got inf at row 3, column 5"):
        statistics.update(summing_library.array(bad), summing_library.array(data[1]))
    with pytest.raises(ShapeError, match="Y must have 40 rows, got 39"):
        statistics.update(*(summing_library.array(A) for A in (data[0], data[1][1:])))
    assert statistics.n == N
    assert all(np.array_equal(one, two) for one, two in zip(sums(statistics), before, strict=True))


def test_sums_that_were_handed_out_stay_as_they_are(summing_library, data):
    """The accumulator goes on in arrays of its own; the arrays of frozen sums are nobody's to change."""
    Phi, Y = (summing_library.array(A) for A in data)
    statistics = GramStatistics(P, K).update(Phi, Y)
    given = statistics.sums()
    before, spectrum = [A.copy() for A in sums(given)], given.spectrum()
    assert statistics.sums() is given
    for changed in (statistics, GramStatistics.of(given), GramStatistics(P, K).merge(given), copy.copy(statistics)):
        changed.update(Phi, Y)
        assert changed.n == 2 * N
        assert changed.sums() is not given
        assert all(np.array_equal(one, two) for one, two in zip(sums(given), before, strict=True))
    assert given.spectrum() is spectrum
    with pytest.raises(FrozenInstanceError):
        given.n = 3


def test_sums_are_copied_only_where_somebody_has_them(data):
    statistics = GramStatistics(P, K).update(*data)
    G = statistics.sums().G
    statistics.update(*data)
    own = statistics._held[0].G
    assert own is not G
    statistics.update(*data)
    assert statistics._held[0].G is own


def test_sums_add_and_subtract(summing_library, ratio, data):
    Phi, Y = (summing_library.array(A) for A in data)
    one, other = (GramStatistics(P, K).update(Phi[s, :], Y[s, :]).sums() for s in (slice(0, 11), slice(11, N)))
    both = GramStatistics(P, K).update(Phi, Y).sums()
    assert_same(ratio, one + other, both)
    assert_same(ratio, both - other, one, amplification=10)
    assert (one + other).weight == N
    with pytest.raises(ShapeError, match=r"same p and k, got \(7, 3\) and \(5, 3\)"):
        both + GramStatistics(5, K).update(Phi[:, :5], Y).sums()
    with pytest.raises(ValueError, match="all 40 samples are taken away, and nothing is left to fit"):
        both - both


def test_statistics_add_and_subtract_as_their_sums_do(data):
    Phi, Y = data
    told = [Provenance.of({"mean": [0.5]}, data="d", sha256="ab", start=a, stop=b) for a, b in ((0, 11), (11, N))]
    one, other = (GramStatistics(P, K).update(Phi[s], Y[s]) for s in (slice(0, 11), slice(11, N)))
    one.provenance, other.provenance = told
    before, wanted = [A.copy() for A in sums(one)], one.sums() + other.sums()
    for total in (one + other, other + one, one + other.sums(), one.sums() + other):
        assert isinstance(total, GramStatistics)
        assert all(map(np.array_equal, sums(total), sums(wanted)))
        assert total.provenance == wanted.provenance
    for left in (total - other, total - other.sums(), total.sums() - other):
        assert all(map(np.array_equal, sums(left), sums(wanted - other.sums())))
        assert left.provenance == told[0]
    total.update(Phi, Y)
    assert all(map(np.array_equal, sums(one), before))
    assert (GramStatistics(P, K) + one).n == (one + GramStatistics(P, K)).n == 11
    with pytest.raises(DataError, match="samples 0 to 11 of 'd' are in both sums"):
        one + one
    with pytest.raises(ShapeError, match="sums of different feature maps do not add"):
        one + GramStatistics(P + 1, K)
    with pytest.raises(ValueError, match="cannot take 29 samples"):
        one - other
    for wrong in (lambda: one + 1, lambda: one.sums() - 1):
        with pytest.raises(TypeError, match="unsupported operand"):
            wrong()


def test_products_with_the_gram_matrix_and_its_trace(summing_library, ratio, data):
    given = GramStatistics(P, K).update(*(summing_library.array(A) for A in data)).sums()
    G, X = to_numpy(given.G), np.arange(5.0 * P).reshape(5, P)
    assert ratio(given.apply_gram(to_library(summing_library, X)), X @ G, size=P) < 30
    assert ratio(given.trace, np.trace(G), size=P) < 30
    assert ratio(given.largest_eigenvalue(), np.linalg.norm(G, 2), size=P) < 30
    assert isinstance(given.on_host().G, np.ndarray)


def to_library(library, X):
    """X in float64, as the sums are."""
    return np.asarray(X) if library.name == "numpy" else LIKE[library.name](X)


def test_empty_statistics_and_sizes_are_refused():
    for use in (lambda s: s.G, lambda s: s.weights(1.0), lambda s: s.path([1.0]), lambda s: s.centred()):
        with pytest.raises(ValueError, match="the statistics are empty; call update"):
            use(GramStatistics(P, K))
    for p, k in ((0, 1), (1, 0)):
        with pytest.raises(ShapeError, match="at least one feature and one output"):
            GramStatistics(p, k)


def test_centred_sums_are_those_of_the_centred_data(summing_library, ratio, data):
    Phi, Y = (to_numpy(summing_library.array(A)).astype(float) for A in data)
    centred = GramStatistics(P, K).update(*(summing_library.array(A) for A in data)).centred()
    explicit = GramStatistics(P, K).update(Phi - Phi.mean(0), Y - Y.mean(0))
    lost = (Phi**2).sum() / ((Phi - Phi.mean(0)) ** 2).sum() * 10  # by how much the sums exceed the differences
    for name in ("G", "C", "yy"):
        got, wanted = getattr(centred, name), getattr(explicit, name)
        assert ratio(got, wanted, size=N, amplification=lost) < 30
    assert np.array_equal(to_numpy(centred.sum_phi), np.zeros(P))
    assert np.array_equal(to_numpy(centred.sum_y), np.zeros(K))
    assert centred.n == N


def test_weights_are_those_of_the_exact_oracle(summing_library, ratio, refit, data):
    for ridge in [0.0, 1e-12, 1e-3, 1.0, 1e3]:
        Phi, Y = (summing_library.array(A) for A in data)
        s = np.linalg.svd(to_numpy(Phi).astype(float), compute_uv=False)
        squared = (s[0] ** 2 + ridge) / (s[-1] ** 2 + ridge)  # cond_eff^2: what a Gram matrix costs
        wanted = refit(Phi, Y, ridge)
        statistics = GramStatistics(P, K).update(Phi, Y)
        assert ratio(statistics.weights(ridge), wanted, size=P, amplification=squared) < 30
        assert ratio(statistics.path([ridge, 5.0])[0, ...], wanted, size=P, amplification=squared) < 30
        assert ratio(statistics.weights(ridge), wanted, size=P, amplification=squared) < 30  # now from the spectrum


def test_a_new_sample_renews_the_spectrum(ratio, refit, data):
    Phi, Y = data
    statistics = GramStatistics(P, K).update(Phi[:20], Y[:20])
    statistics.path([1.0])
    statistics.update(Phi[20:], Y[20:])
    assert ratio(statistics.path([1.0])[0], refit(Phi, Y, 1.0), size=P, amplification=100) < 30


def test_weights_at_ridge_zero_have_minimum_norm_at_any_rank(summing_library, matrix, ratio, rng):
    Phi, Y = summing_library.array(matrix(N, P, rng=rng, rank=5)), summing_library.array(rng.standard_normal((N, K)))
    F, T = to_numpy(Phi).astype(float), to_numpy(Y).astype(float)
    # a float32 matrix has full rank: its rounding is genuine data to float64 sums
    wanted = np.linalg.lstsq(F, T, rcond=1e-7 if summing_library.dtype == "float64" else None)[0].T
    squared = np.linalg.cond(F) ** 2 if summing_library.dtype == "float32" else 100.0  # of ``matrix``
    assert ratio(GramStatistics(P, K).update(Phi, Y).weights(0.0), wanted, size=P, amplification=squared) < 30


def test_features_that_overflow_when_squared_are_named():
    statistics = GramStatistics(2, 1).update(np.full((1, 2), 1e200), np.ones((1, 1)))
    with pytest.raises(ValueError, match="features overflow when squared; scale them down"):
        statistics.weights(0.0)


def test_a_short_repr_says_what_the_sums_are_of(data):
    found = GramStatistics(P, K).update(*data)
    assert repr(found) == "GramStatistics(n=40, p=7, k=3)"
    assert repr(found.sums()) == "Sums(n=40, p=7, k=3)"
