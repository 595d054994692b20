"""Kernel ridge regression on a set: two systems, predictions in blocks, accuracy of a distilled set."""

import numpy as np
import pytest
import torch

from analytic_dd import data
from analytic_dd.baselines.methods import krr
from analytic_dd.baselines.methods.kernels import FeatureKernel, Gaussian, InfiniteNetwork, Linear
from analytic_dd.baselines.methods.krr import feature_loss, kernel_loss, sums_loss
from analytic_dd.distill import Exact
from analytic_dd.errors import DataError, ShapeError
from analytic_dd.features import FullyConnected
from analytic_dd.linalg import GramStatistics
from analytic_dd.model import DatasetSource, FitOptions, distil_model, fit_source

K, M, P, B = 3, 5, 7, 40  # classes, points, features, targets


@pytest.fixture
def problem(rng):
    """Features of points and targets, labels of both."""
    sizes = ((M, P), (B, P), (M, K), (B, K))
    return [torch.from_numpy(rng.standard_normal(size)) for size in sizes]


@pytest.mark.parametrize("m", [5, 7, 11])
def test_both_systems_give_the_same_weights(rng, ratio, m):
    Phis, Y = (torch.from_numpy(rng.standard_normal((m, size))) for size in (P, K))
    wanted = torch.linalg.solve(Phis.T @ Phis + 0.3 * torch.eye(P).double(), Phis.T @ Y).T
    assert ratio(krr.feature_weights(Phis, Y, 0.3), wanted, size=m, amplification=100.0) < 30


def test_the_loss_of_the_linear_kernel_is_that_of_primal_ridge_regression(problem, ratio):
    X, Xt, Ys, Yt = problem
    W = torch.linalg.solve(X.T @ X + 0.3 * torch.eye(P).double(), X.T @ Ys)
    primal = ((Xt @ W - Yt) ** 2).sum() / (2 * B * K)
    linear = Linear()
    for dual in (kernel_loss(linear(X), linear(Xt, X), Ys, Yt, 0.3), feature_loss(X, Xt, Ys, Yt, 0.3)):
        assert ratio(dual, primal, size=B, amplification=100.0) < 30
    assert ratio(kernel_loss(linear(X), linear(Xt, X), Ys, Yt, 0.33), primal, size=B, amplification=100.0) > 1e6


def test_the_loss_from_sums_is_that_of_all_samples(problem, ratio):
    X, Xt, Ys, Yt = problem
    sums = GramStatistics(P, K).update(Xt, Yt)
    losses = [lambda A: feature_loss(A, Xt, Ys, Yt, 0.3), lambda A: sums_loss(A, sums, Ys, 0.3)]
    values = [torch.func.grad_and_value(loss)(X) for loss in losses]
    assert ratio(values[1][1], values[0][1], size=B) < 30
    assert ratio(values[1][0], values[0][0], size=B, amplification=100.0) < 30


def test_points_that_are_all_the_data_leave_no_residual():
    X, Y = (torch.from_numpy(np.random.default_rng(0).standard_normal(size)) for size in ((20, 4), (20, 3)))
    gram = InfiniteNetwork(2)(X)
    smallest = float(torch.linalg.eigvalsh(gram)[0])
    for ridge in (1e-6, 1e-9):
        loss = float(kernel_loss(gram, gram, Y, Y, ridge))  # the residual is ridge (K + ridge)^-1 Y
        assert loss <= 0.5 * (ridge / smallest) ** 2 * float((Y**2).mean())
        assert loss > 0.0


@pytest.mark.parametrize("kernel", [Gaussian(2.0), FeatureKernel(FullyConnected([P, 6], rng=0))], ids=["rbf", "fcnn"])
def test_predictions_do_not_depend_on_the_blocks(kernel, problem, monkeypatch, ratio):
    X, Xt, Ys, _ = problem
    whole = krr.predict(kernel, X, Ys, Xt, ridge=0.1)
    monkeypatch.setattr(krr, "_BLOCK", 9)
    K_ss = kernel(X) + 0.1 * torch.eye(M).double()
    condition = float(torch.linalg.cond(K_ss))
    assert ratio(krr.predict(kernel, X, Ys, Xt, ridge=0.1), whole, size=M, amplification=condition) < 30
    assert ratio(kernel(Xt, X) @ torch.linalg.inv(K_ss) @ Ys, whole, size=M, amplification=condition) < 30


def test_a_matrix_that_is_not_definite_is_refused():
    with pytest.raises(torch.linalg.LinAlgError, match=r"kernel matrix \(2, 2\) .* take a larger ridge"):
        krr.solve_positive(torch.tensor([[1.0, 2.0], [2.0, 1.0]]), torch.eye(2))


def test_ridges_are_relative_or_absolute():
    assert float(krr.ridge_value(torch.tensor(8.0, dtype=torch.float64), 4, relative=1e-3)) == 2e-3
    assert float(krr.ridge_value(torch.tensor(8.0), 4, relative=1e-3, absolute=0.5)) == 0.5


@pytest.fixture(scope="module")
def closed_form():
    """A distilled set of the digits and the test accuracy of the model that it was made from."""
    digits, phi = data.load("digits"), FullyConnected([64, 64], rng=3)
    model = fit_source(DatasetSource(digits), phi, FitOptions(ridge=30.0), rng=np.random.default_rng(0))
    found = distil_model(model, Exact(points_per_class=2), rng=np.random.default_rng(1))
    X = np.concatenate([X for X, _ in digits.blocks("test", mean=model.mean, std=model.std)])
    accuracy = np.mean((phi(X) @ model.weights.T).argmax(axis=1) == digits.y_test)
    return digits, phi, (found.inputs, found.distilled.labels), accuracy


def test_the_accuracy_of_an_exact_set_is_that_of_the_original_model(closed_form):
    digits, phi, found, accuracy = closed_form
    own, other = FeatureKernel(phi), FeatureKernel(FullyConnected([64, 64], rng=4))
    assert krr.krr_accuracy(*found, digits, own, ridge=0.0) == accuracy
    assert krr.krr_accuracy(*found, digits, own) == pytest.approx(accuracy, abs=0.02)
    assert krr.krr_accuracy(*found, digits, other, ridge=0.0) < accuracy - 0.1


def test_a_set_that_does_not_fit_the_data_is_refused(closed_form):
    digits, _, (inputs, labels), _ = closed_form
    with pytest.raises(ShapeError, match=r"inputs must be \(m, 64\)"):
        krr.krr_accuracy(inputs[:, :5], labels, digits, Linear())
    part = data.Dataset.from_arrays(digits.x_train, digits.y_train, name="part", split=False)
    with pytest.raises(DataError, match="part has no test part"):
        krr.krr_accuracy(inputs, labels, part, Linear())
