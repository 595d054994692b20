"""T11: one set that is exact for every ridge of a list, with as few points as can be."""

import numpy as np
import pytest

from analytic_dd import GramStatistics, certify_recovery, several_ridges_features
from analytic_dd.arrays import to_numpy

K, P, N = 3, 11, 40
LISTS = {"one": [0.5], "with zero": [0.0, 2.0], "three": [0.1, 1.0, 10.0], "far apart": [1e-6, 1.0, 1e6]}


def data(rng, *, n=N, cond=10.0):
    U = np.linalg.qr(rng.standard_normal((n, min(n, P))))[0]
    V = np.linalg.qr(rng.standard_normal((P, min(n, P))))[0]
    return 5.0 * U @ np.diag(np.geomspace(1.0, 1.0 / cond, min(n, P))) @ V.T, rng.standard_normal((n, K))


def stacked(stats, ridges):
    W = to_numpy(stats.path(ridges))
    return (W / np.linalg.norm(W, axis=(1, 2), keepdims=True)).reshape(-1, W.shape[2])


def amplification(Phi, ridge):
    """Of a model from its Gram matrix: cond_eff^2 (T13)."""
    s = np.linalg.svd(Phi, compute_uv=False)
    s = s[s > 1e-8 * s[0]]
    return (s[0] ** 2 + ridge) / (s[-1] ** 2 + ridge)


def test_every_ridge_of_the_list_is_exact(summing_library, ratio, refit, rng):
    for name in LISTS:
        library, (Phi, Y) = summing_library, data(rng)
        Phi, Y = (to_numpy(library.array(A)).astype(np.float64) for A in (Phi, Y))
        built = several_ridges_features(GramStatistics(P, K).update(library.array(Phi), library.array(Y)), LISTS[name])
        assert isinstance(built.features, library.kind)
        assert built.ridges == tuple(LISTS[name])
        for ridge in LISTS[name]:
            got, wanted = refit(built.features, built.labels, ridge), refit(Phi, Y, ridge)
            assert ratio(got, wanted, size=N, amplification=amplification(Phi, ridge)) < 30
        for ridge, W in zip(built.ridges, to_numpy(built.weights), strict=True):
            assert certify_recovery(W, to_numpy(built.features), to_numpy(built.labels), ridge=ridge).ratio < 30
        assert ratio(built.relative_error, 0.0, size=N, amplification=built.amplification, unit=1.0) < 30


@pytest.mark.parametrize("ridges", [[0.5], [0.1, 10.0], [0.1, 1.0, 10.0], [1e-2, 0.1, 1.0, 10.0, 100.0]])
def test_no_smaller_set_can_do(rng, ridges):
    """The rows of all W(ridge) have the rank of the set, and every exact set has them in its row space (T1)."""
    stats = GramStatistics(P, K).update(*data(rng))
    built = several_ridges_features(stats, ridges)
    s = np.linalg.svd(stacked(stats, ridges), compute_uv=False)
    assert len(built) == min(P, K * len(ridges)) == np.linalg.matrix_rank(stacked(stats, ridges))
    assert s[len(built) - 1] > 1e-6
    for left_out in range(len(built)):
        kept = np.delete(built.features, left_out, axis=0)
        beside = stacked(stats, ridges) @ (np.eye(P) - np.linalg.pinv(kept) @ kept)
        assert np.linalg.norm(beside) > 1e-6


def test_between_the_nodes_the_error_is_small_and_far_from_them_it_is_not(rng):
    stats = GramStatistics(P, K).update(*data(rng, cond=3.0))
    built = several_ridges_features(stats, [0.1, 1.0, 10.0])

    def certified(ridge):
        return certify_recovery(stats.weights(ridge), built.features, built.labels, ridge=ridge)

    assert certified(1.0).ratio < 30
    assert certified(3.0).ratio > 1e6
    assert 10 * certified(3.0).relative_error < min(0.1, certified(1e4).relative_error)


def test_repeated_ridges_count_once(rng):
    stats = GramStatistics(P, K).update(*data(rng))
    built, plain = (several_ridges_features(stats, ridges) for ridges in ([2.0, 0.5, 2.0, 0.5], [2.0, 0.5]))
    assert built.ridges == (2.0, 0.5)
    assert np.array_equal(built.features, plain.features)
    assert built.ridge == 2.0


def test_near_ridges_take_fewer_points_without_a_warning(ratio, rng):
    """Ten ridges within a factor of 1.01 span fewer than 10 k directions in float64, and all are exact."""
    Phi, Y = data(rng)
    stats = GramStatistics(P, 1).update(Phi, Y[:, :1])
    ridges = np.linspace(1.0, 1.01, 10)
    built = several_ridges_features(stats, ridges)
    assert len(built) < 8
    assert ratio(built.relative_error, 0.0, size=N, amplification=built.amplification, unit=1.0) < 30
    for ridge in ridges:
        assert certify_recovery(stats.weights(ridge), built.features, built.labels, ridge=ridge).ratio < 30


def test_fewer_samples_than_features(ratio, refit, rng):
    Phi, Y = data(rng, n=7)
    built = several_ridges_features(GramStatistics(P, K).update(Phi, Y), [0.0, 1.0, 10.0])
    assert len(built) == 7
    for ridge in built.ridges:
        got, wanted = refit(built.features, built.labels, ridge), refit(Phi, Y, ridge)
        assert ratio(got, wanted, size=P, amplification=amplification(Phi, ridge)) < 30


def test_small_ridges_on_dependent_features(ratio, rng):
    """Rounding of C over a small ridge is an error of the weights, not of the set: it reproduces what G resolves."""
    Phi, Y = data(rng, n=7)
    built = several_ridges_features(GramStatistics(P, K).update(1e3 * Phi, Y), [1e-4, 1.0])
    lost = (1e3 * np.linalg.norm(Phi, 2)) ** 2 / 1e-4  # cond_eff^2 in a direction that the data do not have
    assert 1e-14 < built.unresolved < 30 * 2.0**-52 * lost
    assert ratio(built.relative_error, 0.0, size=N, amplification=built.amplification, unit=1.0) < 30
    for ridge, W in zip(built.ridges, built.weights, strict=True):
        assert certify_recovery(W, built.features, built.labels, ridge=ridge).ratio < 30


def test_points_are_orthogonal_and_shorter_in_turn(ratio, rng):
    built = several_ridges_features(GramStatistics(P, K).update(*data(rng)), [0.1, 1.0])
    gram = built.features @ built.features.T
    assert ratio(gram, np.diag(np.diag(gram)), size=P) < 30
    assert np.all(np.diff(np.diag(gram)) < 0)


def test_centred_statistics_give_the_slopes_with_an_intercept(ratio, refit, rng):
    Phi, Y = data(rng)
    Phi = Phi + 1.0
    built = several_ridges_features(GramStatistics(P, K).update(Phi, Y).centred(), [0.5, 5.0])
    for ridge in built.ridges:
        F, T = Phi - Phi.mean(axis=0), Y - Y.mean(axis=0)
        wanted = np.linalg.solve(F.T @ F + ridge * np.eye(P), F.T @ T).T
        got = refit(built.features, built.labels, ridge)
        lost = amplification(F, ridge) * np.linalg.norm(Phi) ** 2 / np.linalg.norm(F) ** 2
        assert ratio(got, wanted, size=N, amplification=lost) < 30


def test_a_larger_cut_off_gives_fewer_points_and_says_what_it_costs(ratio, rng):
    stats = GramStatistics(P, K).update(*data(rng, cond=3.0))
    ridges = [0.1, 0.3, 1.0]
    full, short = several_ridges_features(stats, ridges), several_ridges_features(stats, ridges, rcond=1e-2)
    assert len(short) < len(full)
    errors = [
        certify_recovery(stats.weights(ridge), short.features, short.labels, ridge=ridge).relative_error
        for ridge in ridges
    ]
    lost = short.amplification / max(errors)  # errors are relative to |W|
    assert ratio(short.relative_error, max(errors), size=N, amplification=lost) < 30
    assert ratio(full.relative_error, 0.0, size=N, amplification=full.amplification, unit=1.0) < 30
    assert short.relative_error > 1e3 * full.relative_error


@pytest.mark.parametrize(
    ("ridges", "message"),
    [([], "at least one ridge, got none"), ([1.0, -1.0], "must be finite and >= 0, got -1"), ([np.nan], "finite")],
)
def test_no_ridges_and_wrong_ones_are_refused(rng, ridges, message):
    with pytest.raises(ValueError, match=message):
        several_ridges_features(GramStatistics(P, K).update(*data(rng)), ridges)


def test_empty_statistics_and_zero_weights_are_refused(rng):
    with pytest.raises(ValueError, match="the statistics are empty"):
        several_ridges_features(GramStatistics(P, K), [1.0])
    with pytest.raises(ValueError, match="all weights are zero"):
        several_ridges_features(GramStatistics(P, K).update(data(rng)[0], np.zeros((N, K))), [1.0])
    with pytest.raises(ValueError, match="all features are zero"):
        several_ridges_features(GramStatistics(P, K).update(np.zeros((N, P)), data(rng)[1]), [1.0])
    with pytest.raises(ValueError, match=r"rcond must be in \[0, 1\)"):
        several_ridges_features(GramStatistics(P, K).update(*data(rng)), [1.0], rcond=1.5)


@pytest.mark.parametrize("error", ["labels of H", "one ridge left out", "ridge times n"])
def test_planted_errors_are_noticed(ratio, refit, rng, error):
    Phi, Y = data(rng)
    stats, ridges = GramStatistics(P, K).update(Phi, Y), [0.1, 1.0, 10.0]
    built = several_ridges_features(stats, ridges[:2] if error == "one ridge left out" else ridges)
    labels, scale = built.labels, 1.0
    if error == "labels of H":  # H^-1 for H^-1/2
        labels = labels / np.linalg.norm(built.features, axis=1, keepdims=True)
    if error == "ridge times n":
        scale = N
    got, wanted = refit(built.features, labels, 10.0 * scale), refit(Phi, Y, 10.0)
    assert not ratio(got, wanted, size=N, amplification=amplification(Phi, 10.0)) < 30
