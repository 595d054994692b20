"""Convolutional kernels: a loop over pixels, wide finite networks, neural-tangents, equal images, pieces, names."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from analytic_dd import data
from analytic_dd.baselines.methods.conv_kernel import ConvolutionalKernel, convnet, myrtle, plain
from analytic_dd.baselines.methods.driver import distill
from analytic_dd.baselines.methods.kernels import InfiniteNetwork
from analytic_dd.baselines.methods.pixel_pairs import PixelPairs, Positions, convolved, pooled

S, B = 1.3**2, 0.2**2  # unlike each other and unlike the published 2 and 0.01
NETWORKS = {
    "convnet": ((4, 4, 2), convnet(2), "flatten"),
    "odd sizes": ((5, 4, 1), ("conv", "pool", "conv", "conv", "pool"), "flatten"),
    "no pooling": ((3, 4, 1), plain(2), "flatten"),
    "averaged": ((4, 3, 2), ("conv", "conv", "pool", "conv"), "average"),
}


def images(n, shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, math.prod(shape))))


def kernel_named(name, of="ntk", **options):
    return ConvolutionalKernel(*NETWORKS[name], of, S**0.5, B**0.5, **options)


def shifted_sum(D, p, r):
    offsets = itertools.product((-1, 0, 1), repeat=2)
    return sum(D.get(((p[0] + i, p[1] + j), (r[0] + i, r[1] + j)), 0.0) for i, j in offsets)


def cell_mean(D, p, r):
    corners = [[(2 * y + i, 2 * x + j) for i in (0, 1) for j in (0, 1)] for y, x in (p, r)]
    return sum(D[pair] for pair in itertools.product(*corners)) / 16


def by_loops(x, x2, layers, of_first=None, of_second=None):
    """K and T of every pair of pixels, and the variances before each ReLU, one number after another."""
    h, w, c = x.shape
    pixels = list(itertools.product(range(h), range(w)))
    K = {(p, r): float(x[p] @ x2[r]) / c for p in pixels for r in pixels}
    T, variances = dict.fromkeys(K, 0.0), []
    for layer in layers:
        if layer == "pool":
            h, w = h // 2, w // 2
            pairs = list(itertools.product(itertools.product(range(h), range(w)), repeat=2))
            K, T = ({pair: cell_mean(D, *pair) for pair in pairs} for D in (K, T))
            continue
        K = {pair: S / 9 * shifted_sum(K, *pair) + B for pair in K}
        T = {pair: S / 9 * shifted_sum(T, *pair) + K[pair] for pair in T}
        variances.append({p: K[p, r] for p, r in K if p == r})
        q, q2 = (given[len(variances) - 1] if given else variances[-1] for given in (of_first, of_second))
        size = {(p, r): math.sqrt(q[p] * q2[r]) for p, r in K}
        angle = {pair: math.acos(max(-1.0, min(1.0, K[pair] / size[pair]))) for pair in K}
        T = {pair: T[pair] * (math.pi - angle[pair]) / (2 * math.pi) for pair in T}
        K = {
            pair: size[pair] * (math.sin(t) + (math.pi - t) * math.cos(t)) / (2 * math.pi) for pair, t in angle.items()
        }
    return K, T, variances


def oracle(x, x2, shape, layers, readout):
    """The NNGP kernel and the NTK of two images."""
    x, x2 = x.reshape(shape), x2.reshape(shape)
    own = [by_loops(one, one, layers)[2] for one in (x, x2)]
    K, T, _ = by_loops(x, x2, layers, *own)
    chosen = [pair for pair in K if readout == "average" or pair[0] == pair[1]]
    nngp, tangent = (S * sum(D[pair] for pair in chosen) / len(chosen) for D in (K, T))
    return {"nngp": nngp + B, "ntk": tangent + nngp + B}


@pytest.mark.parametrize("name", NETWORKS)
def test_kernels_are_those_of_a_loop_over_pixels(name, ratio):
    shape, layers, _ = NETWORKS[name]
    X = images(2, shape)
    apart, same = (oracle(X[0], X[i], *NETWORKS[name]) for i in (1, 0))
    for of in ("ntk", "nngp"):
        K = kernel_named(name, of)(X)
        assert torch.equal(K, K.T)
        assert ratio(K[0, 1], apart[of], size=9 * len(layers)) < 30
        # where the cosine is 1 the loop's arc cosine has an error of sqrt(eps)
        assert float((K[0, 0] - same[of]).abs() / same[of]) < (1e-7 if of == "ntk" else 1e-14)


def test_images_of_one_pixel_have_the_kernel_of_a_fully_connected_network(ratio):
    """Of a 3 x 3 filter with zero padding one weight of nine is used, s / 9 in place of s."""
    X, X2 = images(10, (1, 1, 5)).split((4, 6))
    inner, b = 2.0 / 9.0, 0.01
    rows = {of: InfiniteNetwork(1, of, W_std=inner**0.5, b_std=0.1)(X, X2) for of in ("ntk", "nngp")}
    # behind the ReLU stand (K - b) / inner and (T - K) / inner; the last layer has s = 2
    K = 2.0 * (rows["nngp"] - b) / inner + b
    T = 2.0 * (rows["ntk"] - rows["nngp"]) / inner + K
    assert ratio(ConvolutionalKernel((1, 1, 5), plain(1), of="nngp")(X, X2), K, size=5, amplification=9) < 30
    assert ratio(ConvolutionalKernel((1, 1, 5), plain(1))(X, X2), T, size=5, amplification=9) < 30


def finite_network(X, shape, layers, readout, width, generator):
    """The output of one network with random weights in the NTK parameterisation, and the gradients of its weights."""
    h, w, c = shape
    value, weights = X.reshape(-1, h, w, c).permute(0, 3, 1, 2), []

    def drawn(*size):
        weights.append(torch.randn(*size, generator=generator, dtype=torch.float64, requires_grad=True))
        return weights[-1]

    for layer in layers:
        if layer == "pool":
            value = torch.nn.functional.avg_pool2d(value, 2)
            continue
        filters = drawn(width, value.shape[1], 3, 3) * (S / (9 * value.shape[1])) ** 0.5
        value = torch.relu(torch.nn.functional.conv2d(value, filters, B**0.5 * drawn(width), padding=1))
    value = value.mean(dim=(2, 3)) if readout == "average" else value.flatten(1)
    output = value @ (drawn(value.shape[1]) * (S / value.shape[1]) ** 0.5) + B**0.5 * drawn(1)
    rows = [torch.cat([g.flatten() for g in torch.autograd.grad(one, weights, retain_graph=True)]) for one in output]
    features = S * value @ value.T / value.shape[1] + B
    return features.detach(), torch.stack(rows)


@pytest.mark.parametrize("name", ["convnet", "averaged"])
def test_kernels_are_those_of_wide_finite_networks(name):
    """Their mean over draws is the kernel up to statistics and a bias of 1 / width a layer."""
    shape, layers, readout = NETWORKS[name]
    X, width, draws = images(3, shape), 64, 20
    generator = torch.Generator().manual_seed(1)
    made = [finite_network(X, shape, layers, readout, width, generator) for _ in range(draws)]
    for of, found in (("nngp", [K for K, _ in made]), ("ntk", [G @ G.T for _, G in made])):
        K, stack = kernel_named(name, of)(X), torch.stack(found)
        allowed = 5.0 * stack.std(dim=0) / draws**0.5 + len(layers) * K.max() / width
        assert float(((stack.mean(dim=0) - K).abs() / allowed).max()) < 1.0
        # another scale of the weights fails
        other = ConvolutionalKernel(shape, layers, readout, of, 1.3 * S**0.5, B**0.5)(X)
        assert float(((stack.mean(dim=0) - other).abs() / allowed).max()) > 1.0


@pytest.fixture(scope="module")
def stored():
    found = json.loads(Path(__file__).with_name("conv_fixture.json").read_text())
    return {name: np.array(value) for name, value in found.items()}


FIXTURE = {"convnet 2": (convnet(2), "flatten"), "plain 2": (plain(2), "flatten")}


@pytest.mark.parametrize("of", ["ntk", "nngp"])
@pytest.mark.parametrize("name", FIXTURE)
def test_kernels_are_those_of_neural_tangents(stored, name, of):
    kernel = ConvolutionalKernel((4, 4, 3), *FIXTURE[name], of)
    for dtype, limit in ((torch.float64, 1e-12), (torch.float32, 1e-6)):
        X, X2 = (torch.tensor(stored[one], dtype=dtype) for one in ("X", "X2"))
        wanted = stored[f"{of} {name}"]
        K = kernel(X, X2)
        assert K.dtype == dtype
        assert np.abs(K.numpy() - wanted).max() / np.abs(wanted).max() < limit


@pytest.mark.parametrize("name", NETWORKS)
def test_equal_images_and_equal_patches_have_the_cosine_one_exactly(name):
    shape, _, _ = NETWORKS[name]
    X = images(3, shape)
    X[2] = 0.5  # the patches inside of this image are all equal
    for dtype in (torch.float64, torch.float32):
        kernel, A = kernel_named(name), X.to(dtype)
        assert torch.equal(kernel(A), kernel(A, A.clone()).triu() + kernel(A, A.clone()).triu(1).T)
    if name != "no pooling":
        return
    kernel, inside = ConvolutionalKernel((1, 1, 1), plain(3), of="ntk", W_std=3.0, b_std=0.0), torch.full((2, 1), 0.3)
    value = kernel(inside, inside)  # s / 9 = 1 and the half of the square a layer: no rounding but of the square
    assert torch.equal(value, torch.full_like(value, 1.0) * (9 / 8) * (torch.tensor(0.3) ** 2) * 4)


def test_gradients_are_those_of_central_differences():
    kernel = ConvolutionalKernel((2, 2, 1), convnet(1))
    X, X2 = (one.clone().requires_grad_() for one in images(4, (2, 2, 1)).split((2, 2)))
    assert torch.autograd.gradcheck(kernel, (X, X2))
    assert torch.autograd.gradcheck(kernel, (X,))
    process = ConvolutionalKernel((1, 2, 2), plain(2), "average", "nngp", b_std=0.0)
    assert torch.autograd.gradcheck(process, (X, X2))


@pytest.mark.parametrize("b_std", [0.1, 0.0])
@pytest.mark.parametrize("name", ["convnet", "averaged"])
def test_gradients_are_finite_at_equal_flat_and_empty_images(name, b_std):
    shape, layers, readout = NETWORKS[name]
    X = images(4, shape)
    X[1], X[2], X[3] = X[0], 0.5, 0.0
    X.requires_grad_()
    kernel = ConvolutionalKernel(shape, layers, readout, b_std=b_std)
    for K in (kernel(X), kernel(X, X.detach().clone())):
        assert bool(K.isfinite().all())
        (gradient,) = torch.autograd.grad(K.sum(), X)
        assert bool(gradient.isfinite().all())
    K = kernel(X.detach())
    assert torch.equal(K[0, 1], K[0, 0])


@pytest.mark.parametrize("memory", [1.0, 1e5, 1e9])
def test_pieces_of_any_size_have_the_same_values_and_gradients(memory, ratio):
    X = images(5, NETWORKS["convnet"][0]).requires_grad_()
    X2 = images(7, NETWORKS["convnet"][0], seed=1)
    cotangent = images(5, (7,), seed=2)
    whole, pieces = kernel_named("convnet", memory=1e12), kernel_named("convnet", memory=memory)
    assert torch.equal(pieces(X, X2), whole(X, X2))
    assert torch.equal(pieces(X), whole(X))
    found, wanted = (torch.autograd.grad((k(X, X2) * cotangent).sum() + k(X).sum(), X)[0] for k in (pieces, whole))
    assert ratio(found, wanted, size=12 * 20) < 30


def test_covariances_are_kept_within_the_radius_of_the_readout():
    """After three poolings and flattening 15 x 15 displacements are needed, and all pixels for an average."""
    sides = ConvolutionalKernel((32, 32, 3), convnet(3))._sides
    assert [rows.radius for rows, _ in sides] == [7, 7, 7, 3, 3, 1, 1, 0]
    assert len(sides[0][0]) ** 2 == (15 * 32 - 56) ** 2
    assert [rows.radius for rows, _ in ConvolutionalKernel((8, 8, 1), plain(2))._sides] == [0, 0, 0]
    averaged = ConvolutionalKernel((8, 8, 1), myrtle(5), "average")._sides
    assert [len(rows) for rows, _ in averaged] == [64, 64, 64, 16, 16, 4, 4]


def test_convolution_and_pooling_are_linear_with_these_adjoints(ratio):
    fine = PixelPairs(Positions(5, 3), Positions(6, 3), torch.float64, torch.device("cpu"))
    coarse = PixelPairs(Positions(2, 1), Positions(3, 1), torch.float64, torch.device("cpu"))
    K, G = images(1, fine.shape)[0].reshape(fine.shape), images(1, fine.shape, 1)[0].reshape(fine.shape)
    assert ratio((convolved(K, fine) * G).sum(), (K * convolved(G, fine)).sum(), size=K.numel(), amplification=9) < 30
    K.requires_grad_()
    H = images(1, coarse.shape, 2)[0].reshape(coarse.shape)
    value = (pooled(K, fine, coarse) * H).sum()
    (gradient,) = torch.autograd.grad(value, K)
    assert ratio((gradient * K).sum().detach(), value.detach(), size=K.numel(), amplification=9) < 30


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"image_shape": (6, 8, 1), "layers": convnet(3)}, "3 poolings need images of at least 8 x 8, got 6 x 8"),
        ({"layers": ("pool",)}, "with a conv among them"),
        ({"layers": ("conv", "relu")}, "layers must be conv or pool"),
        ({"readout": "mean"}, "readout flatten or average, got 'ntk', 'mean'"),
        ({"W_std": 0.0}, "W_std must be > 0"),
    ],
)
def test_what_is_no_network_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        ConvolutionalKernel(**{"image_shape": (8, 8, 1), "layers": convnet(1)} | options)
    with pytest.raises(ValueError, match="a Myrtle network has depth 5, 7 or 10, got 6"):
        myrtle(6)


@pytest.mark.parametrize("kernel", ["convnet-ntk:2", "conv-nngp:1", "myrtle-ntk:5"])
def test_methods_take_convolutional_kernels_by_name(kernel):
    digits = data.load("digits")
    part = data.Dataset.from_arrays(digits.x_train[:60, ::2, ::2], digits.y_train[:60], name="part", split=False)
    name, depth = kernel.split(":")
    config = {"kernel": name, "depth": int(depth), "lr": 0.1}
    found = distill("kip", part, config=config | {"target_batch": 30, "steps": 4})
    assert found.losses[-1][2] < found.losses[0][2]
    assert found.ledger.kernel_entries == 4 * (10 * 10 + 30 * 10)
    del config["lr"]
    without = 0.5 * 0.1 * 0.9  # labels of 0 predict 0, half the mean square of centred one-hot labels away
    assert distill("label-solve", part, config=config).losses[0][2] < without
