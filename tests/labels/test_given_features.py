"""T4: labels that make given features exact, any ridge; T4': labels that make a ridge feasible."""

import numpy as np
import pytest

from analytic_dd import distill_features
from analytic_dd.arrays import to_numpy
from analytic_dd.distill import largest_ridge
from analytic_dd.errors import InfeasibleError, ShapeError
from analytic_dd.labels import feasible_scale, labels_for, scale_to_feasible

K, M, P = 3, 5, 7
RIDGES = [0.0, 1e-6, 0.5, 1e3]


def projector(Phi):
    return np.linalg.pinv(Phi) @ Phi


def test_features_whose_rows_span_the_weights_recover_them_exactly(library, ratio, refit, rng):
    for ridge in RIDGES:
        for m in [K, M, 11]:
            W = rng.standard_normal((K, P))
            Phis = np.vstack([rng.standard_normal((K, K)) @ W, rng.standard_normal((m - K, P))])
            Phis, W = library.array(Phis), library.array(W)
            Ys = labels_for(Phis, W, ridge=ridge)
            assert library.owns(Ys)
            cond = np.linalg.cond(to_numpy(Phis))
            assert ratio(refit(Phis, Ys, ridge), W, eps=library.eps, size=m + P, amplification=cond) < 30


def test_error_of_other_features_is_the_part_of_the_weights_outside_their_span(ratio, refit, rng):
    """W_s = W P for the projector P on the rows of Phi; |W_s - W| = |W (I - P)|, the same for every ridge."""
    for ridge in RIDGES:
        for m in [1, 2, M]:
            W, Phis = rng.standard_normal((K, P)), rng.standard_normal((m, P))
            W_s = refit(Phis, labels_for(Phis, W, ridge=ridge), ridge)
            cond, wanted = np.linalg.cond(Phis), W @ projector(Phis)
            assert ratio(W_s, wanted, size=m + P, amplification=cond) < 30
            error = np.linalg.norm(W - W @ projector(Phis))
            assert abs(np.linalg.norm(W_s - W) - error) < 30 * 2**-52 * (m + P) * cond * np.linalg.norm(W)
            assert error > 0.1


def test_no_other_labels_do_better(ratio, rng):
    for ridge in RIDGES:
        W, Phis = rng.standard_normal((K, P)), rng.standard_normal((M, P))
        R = np.linalg.solve(Phis @ Phis.T + ridge * np.eye(M), Phis)
        best = np.linalg.norm(labels_for(Phis, W, ridge=ridge).T @ R - W)
        least = np.linalg.norm(np.linalg.lstsq(R.T, W.T, rcond=None)[0].T @ R - W)
        assert ratio(best, least, size=M + P, amplification=np.linalg.cond(R), unit=np.linalg.norm(W)) < 30
        for _ in range(50):
            other = labels_for(Phis, W, ridge=ridge) * (1 + 0.1 * rng.standard_normal((M, K)))
            assert np.linalg.norm(other.T @ R - W) > best


def test_labels_at_ridge_zero_are_the_predictions_of_the_model(rng):
    W, Phis = rng.standard_normal((K, P)), rng.standard_normal((M, P))
    assert np.array_equal(labels_for(Phis, W, ridge=0.0), Phis @ W.T)


def test_labels_scale_with_features_and_ridge(ratio, rng):
    """T4': (c Phi, c Y, c^2 ridge) has the same W."""
    W, Phis = rng.standard_normal((K, P)), rng.standard_normal((M, P))
    for c in (1e-8, 3.0, 1e8):
        got = labels_for(c * Phis, W, ridge=0.3 * c * c)
        assert ratio(got, c * labels_for(Phis, W, ridge=0.3), size=P, amplification=np.linalg.cond(Phis)) < 30


def test_rank_deficient_features_are_inverted_at_their_rank(ratio, matrix, rng):
    W, Phis = rng.standard_normal((K, P)), matrix(M, P, rng=rng, rank=2)
    wanted = (Phis + 0.3 * np.linalg.pinv(Phis, rcond=1e-10).T) @ W.T
    assert ratio(labels_for(Phis, W, ridge=0.3), wanted, size=P, amplification=10) < 30


def test_scaled_labels_admit_the_ridge_with_the_margin(library, ratio, rng):
    sizes = [M] if library.name == "jax" else [K, M]  # jax compiles for every shape
    for margin in [1.0, 2.0, 10.0]:
        for m in sizes:
            W, Ys = library.array(rng.standard_normal((K, P))), library.array(rng.standard_normal((m, K)))
            ridge = 100.0 * largest_ridge(W, Ys)
            scaled = scale_to_feasible(Ys, W, ridge=ridge, margin=margin)
            assert library.owns(scaled)
            cond = np.linalg.cond(to_numpy(Ys))
            for got, wanted in (
                (largest_ridge(W, scaled), margin * ridge),
                (feasible_scale(Ys, W, ridge=ridge, margin=margin), 10 * margin**0.5),
            ):
                assert ratio(got, wanted, size=m + P, amplification=cond, eps=library.eps) < 30
            with pytest.raises(InfeasibleError):
                distill_features(W, Ys, ridge=ridge)
            distill_features(W, scaled, ridge=ridge)


def test_scale_is_two_root_ridge_times_the_norm_of_the_target(ratio, rng):
    W, Ys = rng.standard_normal((K, P)), rng.standard_normal((M, K))
    wanted = 2 * np.sqrt(7.0) * np.linalg.norm(np.linalg.pinv(Ys).T @ W, 2)
    got = feasible_scale(Ys, W, ridge=7.0, margin=1.0)
    assert ratio(got, wanted, size=M + P, amplification=np.linalg.cond(Ys)) < 30


def test_labels_that_admit_the_ridge_are_left_alone(library, rng):
    W, Ys = library.array(rng.standard_normal((K, P))), library.array(rng.standard_normal((M, K)))
    for ridge in (0.0, 0.999 * largest_ridge(W, Ys)):
        assert feasible_scale(Ys, W, ridge=ridge) == 1.0
    assert feasible_scale(Ys, W * 0.0, ridge=1e6) == 1.0


def test_wrong_sizes_ridges_and_margins_are_refused(rng):
    W, Ys, Phis = rng.standard_normal((K, P)), rng.standard_normal((M, K)), rng.standard_normal((M, P))
    with pytest.raises(ShapeError, match="Phis and W must have the same number of columns, got 7 and 6"):
        labels_for(Phis, W[:, :6], ridge=0.0)
    with pytest.raises(ShapeError, match="as many columns as W has rows, got 3 and 2"):
        feasible_scale(Ys, W[:2], ridge=0.0)
    for margin in (0.5, np.nan, np.inf):
        with pytest.raises(ValueError, match="margin must be at least 1"):
            feasible_scale(Ys, W, ridge=1.0, margin=margin)
    with pytest.raises(ValueError, match="ridge must be finite and >= 0"):
        labels_for(Phis, W, ridge=-1.0)
