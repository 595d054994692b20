"""T18c, T22: counts of points, against brute force, and against sets that exist and that cannot."""

import itertools
import math

import numpy as np
import pytest
from scipy import optimize, special

from analytic_dd import glm_labels, point_bounds
from analytic_dd.judge import lambert_count


def test_counts_are_the_least_that_satisfy_their_inequalities():
    for p, d, q in itertools.product([1, 5, 24, 60, 512], [1, 6, 10, 784], [1, 2, 5]):
        if q > p:
            with pytest.raises(ValueError, match=rf"the rank q of weights with p = {p} features must be in 1 .. {p}"):
                point_bounds(p, d, q)
            continue
        found = point_bounds(p, d, q)
        assert found.necessary == min(m for m in range(q, 2 * p + q + 1) if m * (d + q) >= q * p)
        assert found.open_set == min(m for m in range(q, 2 * p + q + 1) if m + math.floor(m / q) * d >= p)
        assert found.base_inputs == math.ceil(p / (d + 1))
        assert found.every_W == min(found.base_inputs * (q + 1), 2 * found.open_set, p)
        assert q <= found.necessary <= found.open_set
        assert found.at_a_zero == min(m for m in range(q + 1, 3 * p + q + 2) if m * (d + q) - q * q >= q * p)
        assert found.necessary <= found.at_a_zero
        assert found.necessary <= found.every_W <= p


def test_counts_that_the_theory_states():
    found = point_bounds(4096, 784, 9)
    assert (found.necessary, found.every_W) == (47, 60)


def test_below_the_necessary_count_the_jacobian_is_short(rng):
    """(X, C) -> C phi(X) has rank m (d + q) at most, so a set of W of measure zero is reached (Sard)."""
    p, d, q = 20, 3, 2
    A = rng.standard_normal((p, d))
    for m in (point_bounds(p, d, q).necessary - 1, point_bounds(p, d, q).necessary):
        X, C = rng.standard_normal((m, d)), rng.standard_normal((q, m))
        F, S = np.tanh(X @ A.T), 1 - np.tanh(X @ A.T) ** 2
        by_C = np.einsum("ij,ab->iajb", np.eye(q), F).reshape(q * m, q * p)
        by_X = np.einsum("oi,ij,ja->iaoj", C, S, A).reshape(m * d, q * p)
        rank = np.linalg.matrix_rank(np.vstack([by_C, by_X]))
        assert (rank < q * p) == (m < point_bounds(p, d, q).necessary)


@pytest.mark.parametrize("activation", [np.tanh, np.sin], ids=lambda act: act.__name__)
def test_points_near_a_zero_carry_every_w(rng, activation):
    """T22d: pairs x, -x of an odd map are a zero; Newton's steps from it solve C phi(X) = eps W for any W."""
    p, d, q, eps = 10, 3, 2, 1e-3
    s = -(-p // (d + q))
    A, halves = rng.standard_normal((p, d)), rng.standard_normal((s * q, d))
    X0, C0 = np.stack([halves, -halves], axis=1).reshape(-1, d), np.repeat(np.eye(q), 2 * s, axis=1)
    assert np.abs(C0 @ activation(X0 @ A.T)).max() < 1e-12
    assert len(X0) >= point_bounds(p, d, q).at_a_zero
    for _ in range(3):
        W, C, X = rng.standard_normal((q, p)), C0.copy(), X0.copy()
        for _ in range(30):
            Z = X @ A.T
            slope = np.cos(Z) if activation is np.sin else 1.0 - np.tanh(Z) ** 2
            by_C = np.einsum("ij,ab->iajb", np.eye(q), activation(Z)).reshape(q * len(X), q * p)
            by_X = np.einsum("oi,ij,ja->iaoj", C, slope, A).reshape(len(X) * d, q * p)
            wrong = (C @ activation(Z) - eps * W).ravel()
            step = np.linalg.lstsq(np.vstack([by_C, by_X]).T, wrong, rcond=1e-10)[0]
            C, X = C - step[: C.size].reshape(C.shape), X - step[C.size :].reshape(X.shape)
        labels_times_size = C / eps  # W = (C / eps) phi(X): its rows are in the row space of the features
        assert np.linalg.norm(labels_times_size @ activation(X @ A.T) - W) < 1e-9 * np.linalg.norm(W)


def test_bad_sizes_are_refused():
    for p, d in ((0, 3), (3, 0)):
        with pytest.raises(ValueError, match="must be at least 1"):
            point_bounds(p, d, 1)
    with pytest.raises(ValueError, match=r"must be in 1 .. 5, got 0"):
        point_bounds(5, 3, 0)


@pytest.mark.parametrize("k", [2, 3, 10])
def test_no_point_pulls_harder_than_lamberts_function_allows(rng, k):
    """max (y - mu(z)).z over logits and probabilities, by direct search, is w((k - 1) / e)."""
    most = special.lambertw((k - 1) / math.e).real

    def pull(z):
        return np.max(z) - special.softmax(z) @ z  # the best label is one-hot

    found = max(-optimize.minimize(lambda z: -pull(z), 3 * rng.standard_normal(k)).fun for _ in range(20))
    assert most * (1 - 1e-6) < found <= most * (1 + 30 * 2.0**-52 * k)  # where the search stops, and never above
    W = math.sqrt(5.0 * most) * np.eye(k)[:, :1]  # |W|^2 = 5 most
    assert lambert_count(W, ridge=1.0) == 5
    assert lambert_count(W, ridge=1.0 + 1e-9) == 6
    assert lambert_count(W, ridge=0.0) == 1


@pytest.mark.parametrize("k", [2, 4])
def test_count_is_tight_and_one_point_fewer_has_no_probabilities(ratio, k):
    """k points with logits t H e_i at the maximum of t (1 - mu): one-hot labels, and ridge |W|^2 = k w."""
    most = special.lambertw((k - 1) / math.e).real
    t = 1.0 + most
    H = np.eye(k) - 1.0 / k
    Z, Y = t * H, np.eye(k)
    W = (Y - special.softmax(Z, axis=1)).T @ Z  # ridge W W^T for ridge 1 and features Z (W^+)^T
    values, vectors = np.linalg.eigh(W)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    Phi = Z @ np.linalg.pinv(root).T
    assert ratio(np.linalg.norm(root) ** 2, k * most, size=k) < 30
    assert lambert_count(root, ridge=1.0 - 1e-12) == k
    assert lambert_count(root, ridge=1.001) == k + 1
    made = glm_labels(Phi, root, loss="softmax", ridge=1.0 - 1e-9)
    assert made.admissible
    assert not glm_labels(Phi, root, loss="softmax", ridge=1.001).admissible


def test_softmax_needs_two_classes():
    with pytest.raises(ValueError, match="at least two classes, got k = 1"):
        lambert_count(np.ones((1, 3)), ridge=1.0)
