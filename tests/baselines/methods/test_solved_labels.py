"""Solved labels: stationary, best, and the same by every route."""

import numpy as np
import pytest
import torch

from analytic_dd import data
from analytic_dd.baselines.methods.driver import distill
from analytic_dd.baselines.methods.kernels import InfiniteNetwork, Linear
from analytic_dd.baselines.methods.krr import dual_coefficients
from analytic_dd.baselines.methods.solved_labels import feature_labels, kernel_labels, labels_in_graph

K, M, P, N = 3, 5, 11, 40
RIDGE = 0.3


@pytest.fixture
def problem(rng):
    """Points, training rows and their labels."""
    return [torch.from_numpy(rng.standard_normal(size)) for size in ((M, P), (N, P), (N, K))]


def operator(kernel, Xs, X):
    """A, from labels to predictions."""
    return dual_coefficients(kernel(Xs), kernel(X, Xs).T, RIDGE).T


def blocks(kernel, Xs, X, Y, rows=9):
    return [(kernel(A, Xs), B) for A, B in zip(X.split(rows), Y.split(rows), strict=True)]


def by_blocks(kernel, Xs, X, Y):
    return kernel_labels(kernel(Xs), blocks(kernel, Xs, X, Y), RIDGE).labels


@pytest.mark.parametrize("kernel", [Linear(), InfiniteNetwork(1)], ids=["linear", "ntk"])
def test_labels_are_stationary_and_no_others_do_better(kernel, problem, rng):
    Xs, X, Y = problem
    A, y = operator(kernel, Xs, X), by_blocks(kernel, Xs, X, Y)
    residual = A @ y - Y
    gradient = A.T @ residual / (N * K)
    assert float(gradient.abs().max()) < 30 * 2.0**-52 * float(torch.linalg.norm(A) * torch.linalg.norm(Y)) / (N * K)
    best = float((residual**2).sum())
    for size in (1e-3, 1.0):
        for _ in range(20):
            other = y + size * torch.from_numpy(rng.standard_normal(y.shape))
            assert float(((A @ other - Y) ** 2).sum()) > best
    assert float(((A @ (1.001 * y) - Y) ** 2).sum()) > best


def test_the_residual_comes_with_the_labels(problem, ratio):
    Xs, X, Y = problem
    kernel = InfiniteNetwork(2)
    found = kernel_labels(kernel(Xs), blocks(kernel, Xs, X, Y), RIDGE)
    wanted = ((operator(kernel, Xs, X) @ found.labels - Y) ** 2).sum()
    assert ratio(np.array([found.squares]), wanted[None], size=N) < 30


def test_the_linear_kernel_has_the_labels_of_the_normal_equations(problem, ratio):
    Xs, X, Y = problem
    A = X @ Xs.T @ torch.linalg.inv(Xs @ Xs.T + RIDGE * torch.eye(M).double())
    wanted = torch.linalg.solve(A.T @ A, A.T @ Y)
    for got in (by_blocks(Linear(), Xs, X, Y), feature_labels(Xs, X.T @ X, Y.T @ X, RIDGE)):
        assert ratio(got, wanted, size=N, amplification=1e3) < 30  # cond(A)^2 < 1e3


@pytest.mark.parametrize("m", [2, 5, 11, 17])
def test_sums_blocks_and_the_graph_give_the_same_predictions(m, rng, ratio):
    """More points than features included: the labels of minimum norm then differ, the predictions do not."""
    Xs, X, Y = (torch.from_numpy(rng.standard_normal(size)) for size in ((m, P), (N, P), (N, K)))
    A = operator(Linear(), Xs, X)
    graph = A @ labels_in_graph(Linear()(Xs), Linear()(X, Xs), Y, RIDGE)
    for labels in (by_blocks(Linear(), Xs, X, Y), feature_labels(Xs, X.T @ X, Y.T @ X, RIDGE)):
        assert ratio(A @ labels, graph, size=N, amplification=1e4) < 30


def test_points_that_coincide_share_their_label(rng, ratio):
    Xs, X, Y = (torch.from_numpy(rng.standard_normal(size)) for size in ((M, P), (N, P), (N, K)))
    twice = torch.cat([Xs, Xs[:2]])
    A, apart = operator(Linear(), twice, X), operator(Linear(), Xs, X) @ by_blocks(Linear(), Xs, X, Y)
    for labels in (by_blocks(Linear(), twice, X, Y), feature_labels(twice, X.T @ X, Y.T @ X, RIDGE)):
        assert ratio(A @ labels, apart, size=N, amplification=1e4) < 30
        assert ratio(labels[:2], labels[-2:], size=N, amplification=1e4) < 30


def test_data_that_do_not_fill_the_span_of_the_points_have_the_solution_of_minimum_norm(rng, ratio):
    X = torch.from_numpy(rng.standard_normal((N, P)))
    X[:, 3:] = 0.0
    Xs, Y = torch.from_numpy(rng.standard_normal((M, P))), torch.from_numpy(rng.standard_normal((N, K)))
    A, labels = operator(Linear(), Xs, X), feature_labels(Xs, X.T @ X, Y.T @ X, RIDGE)
    wanted = X @ torch.linalg.pinv(X) @ Y
    assert ratio(A @ labels, wanted, size=N, amplification=1e4) < 30


def test_no_block_is_refused():
    with pytest.raises(ValueError, match="at least one block"):
        kernel_labels(torch.eye(2), [], 1.0)


def test_points_that_kip_moves_in_dead_pixels_keep_labels_of_size_one(ratio):
    """No sample of digits differs in some pixels. The points soon span all that the data do: the loss is the least."""
    digits = data.load("digits")
    config = {"features": "identity", "labels": "solved", "steps": 3}
    found = distill("kip", digits, points_per_class=20, config=config)
    assert np.abs(found.y).max() < 10.0  # 2e17 by a Cholesky factor of rounding
    X, Y = data.normalised(digits.x_train, *digits.statistics()), np.eye(10)[digits.y_train]
    assert np.sum(np.ptp(X, axis=0) == 0.0) > 1
    s = np.linalg.svd(X, compute_uv=False)
    best = np.sum((Y - X @ np.linalg.lstsq(X, Y, rcond=1e-12)[0]) ** 2) / (2 * Y.size)
    amplification = float(s[0] / s[s > 1e-12 * s[0]][-1]) ** 2  # the condition of the normal equations
    assert ratio(found.losses[-1][2], best, size=len(X), amplification=amplification) < 30
