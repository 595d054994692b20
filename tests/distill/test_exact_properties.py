"""T2 and T3 over shapes, ranks, conditions, scales, labels and roots: the error stays within rounding times T15.

    |W_s - W| / |W|  <  30 * eps * (m + sqrt(p)) * amplification

refitted in exact rational arithmetic, so that the oracle has no error of its own, and by the solvers of the package.
"""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analytic_dd import distill_features, ridge_weights
from analytic_dd.distill import free_matrix, largest_ridge
from analytic_dd.labels import centred_one_hot, one_hot

EPS = 2.0**-52
LABELS = ("one-hot", "surplus", "repeated", "unbalanced", "centred", "learned", "random")


def labels_and_weights(kind, k, p, cond, scale, rng, matrix):
    """Labels (m, k) of a kind and weights (k, p) that they can express, with the given condition."""
    W = matrix(k, p, rng=rng, cond=cond, scale=scale)
    if kind == "one-hot":
        return np.eye(k), W
    if kind == "repeated":
        return one_hot(np.arange(2 * k) % k), W
    if kind == "unbalanced":
        return one_hot(np.repeat(np.arange(k), [1] * (k - 1) + [5])), W
    if kind == "surplus":  # one-hot labels, one more than rank W
        return np.eye(k), matrix(k, p, rng=rng, cond=cond, scale=scale, rank=k - 1)
    if kind == "centred":  # rank k - 1: both sides of W^T 1 = 0
        basis = np.linalg.qr(np.hstack([np.ones((k, 1)), rng.standard_normal((k, k - 1))]))[0][:, 1:]
        return centred_one_hot(np.arange(k)[: max(k - 1, 1)], k), basis @ matrix(
            k - 1, p, rng=rng, cond=cond, scale=scale
        )
    if kind == "learned":  # the predictions on k - 1 random points, W in their span: rank k - 1 < k
        Phi = rng.standard_normal((k - 1, p))
        A = matrix(k, k - 1, rng=rng, cond=cond, scale=scale)
        return Phi @ (A @ Phi).T, A @ Phi
    return matrix(k + 2, k, rng=rng, cond=5.0), W


CASES = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(LABELS),
        "k": st.integers(2, 5),
        "extra": st.integers(0, 6),
        "log_cond": st.floats(0, 12),
        "log_scale": st.floats(-8, 8),
        "fraction": st.sampled_from([0.0, 1e-8, 1e-3, 0.3, 0.99, 1.0]),
        "root": st.sampled_from(["large", "small"]),
        "free": st.booleans(),
        "seed": st.integers(0, 2**16),
    }
)
HARD = {"k": 5, "extra": 6, "log_cond": 12.0, "log_scale": 0.0, "root": "large", "free": False, "seed": 1}


def build(matrix, kind, k, extra, log_cond, log_scale, fraction, root, free, seed):
    rng = np.random.default_rng(seed)
    Ys, W = labels_and_weights(kind, k, k + extra, 10.0**log_cond, 10.0**log_scale, rng, matrix)
    Z = free_matrix(W, Ys, rng=rng) if free else None
    ridge = fraction * largest_ridge(W, Ys, free=Z)
    return W, distill_features(W, Ys, ridge=ridge, root=root, free=Z)


@given(CASES)
@example(HARD | {"kind": "one-hot", "fraction": 0.0})
@example(HARD | {"kind": "one-hot", "fraction": 1e-8})
@example(HARD | {"kind": "surplus", "fraction": 1e-8, "log_cond": 2.0})
@example(HARD | {"kind": "learned", "fraction": 0.3, "log_cond": 6.0, "log_scale": -8.0})
@example(HARD | {"kind": "unbalanced", "fraction": 1.0, "extra": 0, "log_scale": 8.0, "free": True})
@pytest.mark.filterwarnings("ignore:singular value:analytic_dd.errors.RankWarning")
def test_error_is_rounding_times_the_amplification(ratio, refit, matrix, case):
    W, distilled = build(matrix, **case)
    Phis, Ys, ridge = distilled.features, distilled.labels, distilled.ridge
    m, p = Phis.shape
    size = m + math.sqrt(p)
    fits = {"package": ridge_weights(Phis, Ys, ridge=ridge)}
    if ridge > 0.0 or np.linalg.matrix_rank(Phis, tol=1e-14 * np.linalg.norm(Phis)) == min(m, p):
        fits["exact"] = refit(Phis, Ys, ridge)
    else:  # the pseudo-inverse at the rank of W
        rank = np.linalg.matrix_rank(W, tol=1e-14 * np.linalg.norm(W))
        U, s, Vt = np.linalg.svd(Phis, full_matrices=False)
        rank = max(rank, int((s > 1e-13 * s[0]).sum()))
        fits["svd"] = (Ys.T @ U[:, :rank] / s[:rank]) @ Vt[:rank]
    for name, got in fits.items():
        assert ratio(got, W, size=size, amplification=distilled.amplification) < 30, name


@given(k=st.integers(2, 5), extra=st.integers(0, 6), log_cond=st.floats(0, 12), seed=st.integers(0, 2**16))
@example(k=5, extra=6, log_cond=12.0, seed=0)
def test_all_small_roots_recover_to_rounding_whatever_the_condition(ratio, refit, matrix, k, extra, log_cond, seed):
    """T15: amplification at most 2 for one-hot labels, even at cond(W) = 1e12."""
    for fraction in (1e-6, 0.3, 1.0):
        W, distilled = build(matrix, "one-hot", k, extra, log_cond, 0.0, fraction, "small", False, seed)
        assert distilled.amplification <= 2.0 * (1 + 30 * EPS * (2 * k + extra))
        W_s = refit(distilled.features, distilled.labels, distilled.ridge)
        assert ratio(W_s, W, size=k + math.sqrt(k + extra), amplification=2.0) < 30


@given(k=st.integers(2, 5), extra=st.integers(0, 6), log_cond=st.floats(0, 12), seed=st.integers(0, 2**16))
def test_amplification_of_one_hot_labels_is_that_of_the_theory(ratio, matrix, k, extra, log_cond, seed):
    """T15: cond(D) at ridge 0, at most 2 cond(D) for the large root."""
    for fraction in (0.0, 1e-6, 0.3, 1.0):
        W, distilled = build(matrix, "one-hot", k, extra, log_cond, 0.0, fraction, "large", False, seed)
        cond = np.linalg.cond(W)
        size = 2 * k + extra
        assert ratio(distilled.condition, cond, size=size, amplification=cond) < 30
        rounding = 30 * EPS * size * cond
        assert distilled.amplification <= (2.0 if fraction else 1.0) * cond * (1 + rounding)
        assert fraction > 0.0 or distilled.amplification >= cond * (1 - rounding)


def test_small_root_loses_digits_when_the_other_root_is_taken(ratio, refit, matrix):
    """The contrast that makes the claim meaningful: the large root at cond(W) = 1e12 is off by far more."""
    errors = {}
    for root in ("large", "small"):
        W, distilled = build(matrix, "one-hot", 5, 6, 12.0, 0.0, 1e-3, root, False, 0)
        W_s = refit(distilled.features, distilled.labels, distilled.ridge)
        errors[root] = ratio(W_s, W, size=5 + math.sqrt(11), amplification=2.0)
    assert errors["small"] < 30 < 1e6 < errors["large"]
