"""Kernels: the oracle of neural-tangents, gradients, the diagonal, special rows."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from analytic_dd.baselines.methods import kernels
from analytic_dd.baselines.methods.kernels import ArcCosine, FeatureKernel, Gaussian, InfiniteNetwork, Linear
from analytic_dd.features import FullyConnected, Identity, RandomFourier

SCALES = {"published": (2.0**0.5, 0.1), "other": (1.3, 0.7)}
KERNELS = [
    Linear(),
    Gaussian(2.5),
    InfiniteNetwork(1),
    InfiniteNetwork(3),
    InfiniteNetwork(2, "nngp"),
    FeatureKernel(FullyConnected([11, 7], rng=0)),
    FeatureKernel(RandomFourier(11, 13, lengthscale=3.0, rng=0)),
]
names = [f"{kernel.name}{getattr(kernel, 'depth', '')}" for kernel in KERNELS]


@pytest.fixture(scope="module")
def oracle():
    stored = json.loads(Path(__file__).with_name("ntk_fixture.json").read_text())
    return {name: np.array(value) for name, value in stored.items()}


@pytest.fixture
def rows():
    rng = np.random.default_rng(5)
    return torch.from_numpy(rng.standard_normal((4, 11))), torch.from_numpy(rng.standard_normal((6, 11)))


@pytest.mark.parametrize("scales", SCALES)
@pytest.mark.parametrize("of", ["ntk", "nngp"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_infinite_networks_are_those_of_neural_tangents(oracle, depth, of, scales, ratio):
    kernel = InfiniteNetwork(depth, of, *SCALES[scales])
    X, X2 = torch.from_numpy(oracle["X"]), torch.from_numpy(oracle["X2"])
    assert ratio(kernel(X), oracle[f"{of} {depth} {scales} gram"], size=5 * depth) < 30
    apart = kernel(X, X2[1:])
    assert ratio(apart, oracle[f"{of} {depth} {scales} between"][:, 1:], size=5 * depth) < 30
    # X2 begins with a row of X: cosine 1 in a matrix that is no Gram matrix, where the angle loses half the digits
    half = {"size": 1, "eps": 2.0**-26} if of == "ntk" else {"size": 5 * depth}
    assert ratio(kernel(X, X2), oracle[f"{of} {depth} {scales} between"], **half) < 30


def test_the_oracle_tells_other_scales_depths_and_processes_apart(oracle, ratio):
    X, wanted = torch.from_numpy(oracle["X"]), oracle["ntk 2 published gram"]
    for other in (InfiniteNetwork(1), InfiniteNetwork(2, "nngp"), InfiniteNetwork(2, b_std=0.11)):
        assert ratio(other(X), wanted, size=10) > 1e6


def test_depth_zero_is_linear_regression_with_bias(rows, ratio):
    X, X2 = rows
    wanted = 1.3**2 * X @ X2.T / 11 + 0.7**2
    assert ratio(InfiniteNetwork(0, W_std=1.3, b_std=0.7)(X, X2), wanted, size=11) < 30


@pytest.mark.parametrize("kernel", KERNELS, ids=names)
def test_gradients_are_those_of_central_differences(kernel, rows):
    X, X2 = rows
    assert torch.autograd.gradcheck(kernel, X.requires_grad_())
    assert torch.autograd.gradcheck(kernel, (X, X2.requires_grad_()))


@pytest.mark.parametrize("kernel", KERNELS, ids=names)
def test_a_gram_matrix_is_symmetric_positive_and_equals_the_matrix_between_a_set_and_its_copy(kernel, rows, ratio):
    K = kernel(rows[0])
    assert ratio(K, K.T, size=11) < 30
    assert ratio(min(float(torch.linalg.eigvalsh(K)[0]), 0.0), 0.0, size=len(K), unit=float(K.trace())) < 30
    assert ratio(kernel(rows[0], rows[0].clone()), K, size=1, eps=2.0**-26) < 30  # the arc cosine of 1 on the diagonal


@pytest.mark.parametrize("kernel", KERNELS, ids=names)
def test_points_that_coincide_have_finite_gradients(kernel, rows):
    X = rows[0][[0, 0, 1, 2]].requires_grad_()
    for K in (kernel(X), kernel(X, X.detach())):
        (gradient,) = torch.autograd.grad((K * K).sum(), X, retain_graph=True)
        assert bool(torch.isfinite(gradient).all())


def test_the_diagonal_of_a_gram_matrix_has_the_gradient_of_its_closed_form(rows, ratio):
    X = rows[0].requires_grad_()
    (got,) = torch.autograd.grad(InfiniteNetwork(1)(X).trace(), X)
    s, b = 2.0, 0.01  # q = s |x|^2 / d + b;  T = s q / 2 + (s q / 2 + b)
    q = s * (X * X).sum(1) / 11 + b
    (wanted,) = torch.autograd.grad((s * q / 2 + s * q / 2 + b).sum(), X)
    assert ratio(got, wanted, size=11) < 30


def test_a_row_of_zeros_without_bias_has_kernel_zero_and_a_finite_gradient():
    X = torch.zeros(2, 3, dtype=torch.float64)
    X[1, 0] = 1.0
    X.requires_grad_()
    K = InfiniteNetwork(2, b_std=0.0)(X)
    assert K[0].tolist() == [0.0, 0.0]
    assert bool(torch.isfinite(torch.autograd.grad(K.sum(), X)[0]).all())


def test_the_arc_cosine_has_its_derivative_at_one_and_minus_one():
    c = torch.tensor([-1.0, -0.5, 0.0, 0.9, 1.0], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(ArcCosine.apply(c)[1].sum(), c)
    assert gradient.tolist() == (math.pi - torch.acos(c)).tolist()
    inner = c[1:4].detach().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda c: ArcCosine.apply(c)[1], inner)


def test_kernels_work_under_torch_func(rows, ratio):
    X, X2 = rows
    kernel = InfiniteNetwork(2)
    jacobian = torch.func.jacrev(lambda A: kernel(A, X2).sum(1))(X)
    wanted = torch.autograd.functional.jacobian(lambda A: kernel(A, X2).sum(1), X)
    assert ratio(jacobian, wanted, size=11) < 30


@pytest.mark.parametrize("of", ["ntk", "nngp"])
def test_rows_in_blocks_have_the_matrix_and_the_slopes_of_each_row(of, rows, ratio, monkeypatch):
    """A row of zeros without bias is among them: its cosines and slopes are 0."""
    X, X2 = torch.cat([rows[0], torch.zeros(1, 11)]).requires_grad_(), rows[1].requires_grad_()
    kernel, cotangent = InfiniteNetwork(2, of, b_std=0.0), torch.linspace(-1, 2, 30, dtype=torch.float64).view(5, 6)
    alone = torch.cat([kernel(row[None], X2) for row in X])
    wanted = torch.autograd.grad(alone, (X, X2), cotangent)
    for entries in (1, 12, 18, 1_000):
        monkeypatch.setattr(kernels, "_CACHED", entries)
        K = kernel(X, X2)
        assert K[4].tolist() == [0.0] * 6
        assert ratio(K.detach(), alone.detach(), size=11) < 30
        for got, one in zip(torch.autograd.grad(K, (X, X2), cotangent), wanted, strict=True):
            assert ratio(got, one, size=11, amplification=10.0) < 30  # 1 / sin t at cosines up to 0.8


def test_dtype_and_device_are_kept(rows):
    X = rows[0].float()
    assert {kernel(X).dtype for kernel in KERNELS} == {torch.float32}


def test_an_identity_map_is_the_linear_kernel(rows):
    X, X2 = rows
    assert torch.equal(FeatureKernel(Identity(11))(X, X2), Linear()(X, X2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: InfiniteNetwork(1, "gp"), "of must be ntk or nngp, got 'gp'"),
        (lambda: InfiniteNetwork(-1), "depth and b_std must be >= 0"),
        (lambda: Gaussian(0.0), "lengthscale must be finite and > 0"),
    ],
)
def test_options_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
