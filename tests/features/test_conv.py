"""Convolutional maps: the convolution is torch's, its singular values and pre-images are those of its matrix (T8c)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analytic_dd.errors import InfeasibleError, RangeError
from analytic_dd.features import conv_border
from analytic_dd.features.conv import Convolutional
from analytic_dd.features.conv_border import ValidLayer, ZeroLayer
from analytic_dd.features.conv_circular import CircularLayer, torus_norm
from analytic_dd.features.conv_layer import ConvolutionLayer, draw_kernel
from analytic_dd.features.registry import from_spec
from analytic_dd.features.stage import ActivationStage, AveragePooling, Chain, MaxPooling

EPS = float(np.finfo(np.float64).eps)
RATIO = 30.0
LAYERS = {"circular": CircularLayer, "valid": ValidLayer, "zero": ZeroLayer}

MAPS: dict[str, Callable[[], Convolutional]] = {
    "one layer": lambda: Convolutional((6, 10), [3], stride=2, rng=0),
    "three layers, biases": lambda: Convolutional((8, 12, 2), [7, 20, 13], stride=[2, 2, 1], bias=True, rng=1),
    "equal sizes": lambda: Convolutional((4, 6), [4, 4], stride=[2, 1], slope=0.3, rng=2),
    "wide kernel": lambda: Convolutional((6, 9, 2), [11], stride=3, size=5, activation="asinh", rng=3),
    "average": lambda: Convolutional((8, 12, 3), [5, 4], pool="average", stride=[2, 1], rng=4),
    "max": lambda: Convolutional((8, 14, 3), [5, 4], pool="max", stride=[2, 1], rng=5),
    "valid": lambda: Convolutional((9, 8, 3), [5, 4], stride=[2, 1], padding="valid", rng=6),
    "zero": lambda: Convolutional((7, 10, 3), [5, 2], stride=[2, 1], padding="zero", bias=True, rng=7),
}
every_map = pytest.mark.parametrize("name", MAPS)


def plain(X: Any, A: np.ndarray) -> Any:
    """Where a layer would place a parameter: numpy float64 only."""
    return A


def layer_of(padding: str, shape: tuple[int, int, int], size: int, c_out: int, stride: int) -> ConvolutionLayer:
    rng = np.random.default_rng([*shape, size, c_out, stride])
    kernel = rng.standard_normal((size, size, shape[2], c_out))
    return LAYERS[padding](shape, kernel, stride=stride, bias=rng.standard_normal(c_out))


def matrix_of(layer: ConvolutionLayer) -> np.ndarray:
    """The layer without its bias, materialised (rows, columns) by mapping the unit images."""
    units = np.eye(layer.columns).reshape(-1, *layer.shape_in)
    return layer._correlate(units, plain).reshape(layer.columns, layer.rows).T


# The convolution


@pytest.mark.parametrize(
    ("size", "stride", "c_out"), [(1, 1, 2), (3, 1, 5), (3, 2, 4), (5, 1, 1), (5, 3, 2), (3, 6, 7)]
)
def test_convolution_is_that_of_torch(ratio: Any, size: int, stride: int, c_out: int) -> None:
    for padding in LAYERS:
        layer = layer_of(padding, (6, 12, 3), size, c_out, stride)
        X = np.random.default_rng(1).standard_normal((2, 6, 12, 3))
        images = torch.tensor(X).permute(0, 3, 1, 2)
        r = size // 2
        if padding == "circular":
            images = torch.nn.functional.pad(images, (r, r, r, r), mode="circular")
        elif padding == "zero":
            images = torch.nn.functional.pad(images, (r, r, r, r))
        weight = torch.tensor(layer.kernel.transpose(3, 2, 0, 1).copy())
        wanted = torch.nn.functional.conv2d(images, weight, torch.tensor(layer.bias), stride=stride).permute(0, 2, 3, 1)
        got = layer.forward(X, plain)
        assert got.shape == (2, *layer.shape_out)
        assert ratio(got, wanted, size=layer.kernel[..., 0].size) < 30


@pytest.mark.parametrize("padding", ["valid", "zero"])
def test_sparse_matrix_is_the_convolution(padding: str) -> None:
    layer = layer_of(padding, (5, 8, 2), 3, 3, 2)
    assert np.array_equal(layer.matrix.toarray(), matrix_of(layer))


def test_kernel_wider_than_the_torus_wraps_round(ratio: Any) -> None:
    """On a 2 x 3 torus the taps of a 5 x 5 kernel that meet at one pixel add."""
    kernel = np.random.default_rng(0).standard_normal((5, 5, 1, 1))
    folded = np.zeros((2, 3))
    for a, b in itertools.product(range(5), range(5)):
        folded[(a - 2) % 2, (b - 2) % 3] += kernel[a, b, 0, 0]
    layer = CircularLayer((2, 3, 1), kernel, stride=1)
    assert ratio(matrix_of(layer)[0].reshape(2, 3), folded, size=kernel.size) < 30
    assert ratio(layer.singular_values(), np.linalg.svd(matrix_of(layer))[1], size=kernel.size) < 30


# Linear algebra in Fourier space


@settings(deadline=None, max_examples=60)
@given(st.tuples(*[st.integers(1, 4)] * 4), st.integers(1, 3), st.sampled_from([1, 3, 5]))
def test_circular_singular_values_and_least_norm_are_those_of_the_matrix(
    ratio: Any, sizes: tuple[int, ...], stride: int, size: int
) -> None:
    h, w, c_in, c_out = sizes
    layer = layer_of("circular", (h * stride, w * stride, c_in), size, c_out, stride)
    A = matrix_of(layer)
    wanted = np.linalg.svd(A, compute_uv=False)
    assert np.max(np.abs(layer.singular_values() - wanted)) < RATIO * EPS * len(wanted) * wanted[0]
    assert layer.rank == np.linalg.matrix_rank(A)
    assert layer.onto == (layer.rank == len(A))
    assert layer.one_to_one == (layer.rank == A.shape[1])
    if layer.onto:
        z = np.random.default_rng(0).standard_normal((2, *layer.shape_out))
        got = layer.preimage(z, None, plain).reshape(2, -1)
        wanted = (z - layer.bias).reshape(2, -1) @ np.linalg.pinv(A).T
        assert ratio(got, wanted, size=max(A.shape), amplification=layer.condition) < 30


def test_singular_values_come_from_the_aliased_symbols(ratio: Any) -> None:
    """T8c as stated: at each output frequency the s^2 aliases of the full symbol, side by side, over s."""
    layer = layer_of("circular", (4, 6, 3), 3, 5, 2)
    u, v = np.ix_(np.arange(4), np.arange(6))
    full = sum(
        np.exp(2j * np.pi * (u * (a - 1) / 4 + v * (b - 1) / 6))[..., None, None] * layer.kernel[a, b].T
        for a in range(3)
        for b in range(3)
    )
    aliased = np.concatenate([full[m * 2 : m * 2 + 2, n * 3 : n * 3 + 3] for m in (0, 1) for n in (0, 1)], axis=-1) / 2
    wanted = np.sort(np.linalg.svd(aliased, compute_uv=False).ravel())[::-1]
    assert ratio(layer.singular_values(), wanted, size=layer.kernel[..., 0].size) < 30


@pytest.mark.parametrize("padding", LAYERS)
def test_nearest_preimage_is_the_projection_of_the_reference(ratio: Any, padding: str) -> None:
    """near + A^+ (z - b - A near): exact, orthogonal to the null space, and no farther than any other pre-image."""
    layer = layer_of(padding, (6, 8, 2), 3, 3, 2)
    A = matrix_of(layer)
    rng = np.random.default_rng(2)
    z, near = rng.standard_normal((3, *layer.shape_out)), rng.standard_normal((3, *layer.shape_in))
    x = layer.preimage(z, near, plain)
    step = (x - near).reshape(3, -1)
    assert ratio(layer.forward(x, plain), z, size=max(A.shape), amplification=layer.condition) < 30
    assert np.linalg.norm(step - step @ np.linalg.pinv(A) @ A) < RATIO * EPS * layer.condition * np.linalg.norm(step)
    assert np.linalg.norm(step) < np.linalg.norm(layer.preimage(z, None, plain) - near)


def vanishing(kernel: np.ndarray, shape: tuple[int, int, int]) -> CircularLayer:
    """The kernel shifted so that its symbol is 0 at frequency 0: constants are lost."""
    return CircularLayer(shape, kernel - kernel.mean(axis=(0, 1)), stride=1)


def test_symbol_that_vanishes_at_one_frequency_is_refused() -> None:
    layer = vanishing(np.random.default_rng(0).standard_normal((3, 3, 1, 1)), (5, 7, 1))
    assert layer.rank == 34
    assert not layer.onto
    assert not layer.one_to_one
    with pytest.raises(InfeasibleError, match="layer 1 must be onto, but its smallest singular value") as caught:
        Chain([layer, ActivationStage((5, 7, 1), "asinh", slope=1.0)], per_layer=2).require_onto()
    assert (caught.value.theorem, caught.value.value, caught.value.limit) == ("T8c", 35.0, 34.0)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 3), st.integers(1, 8), st.integers(1, 3), st.sampled_from([1, 3, 5]), st.floats(0.0, 0.95))
def test_spread_bounds_the_singular_values(c_in: int, c_out: int, stride: int, size: int, spread: float) -> None:
    """An isometry (up to zero singular values where taps are too few) plus noise of norm spread, whatever the sizes."""
    shape = (4 * stride, 3 * stride, c_in)
    kernel, noise = draw_kernel(np.random.default_rng(0), size, c_in, c_out, stride)
    seen = min(c_out, c_in * min(size, stride) ** 2) * 12
    values = CircularLayer(shape, kernel, stride=stride).singular_values()
    assert np.max(np.abs(values[:seen] - 1.0)) < RATIO * EPS
    assert np.all(values[seen:] < RATIO * EPS)
    noise = noise / torus_norm(noise, shape, stride=stride)
    values = CircularLayer(shape, kernel + spread * noise, stride=stride).singular_values()[:seen]
    assert 1 - spread - RATIO * EPS < values[-1] <= values[0] < 1 + spread + RATIO * EPS
    assert CircularLayer(shape, noise, stride=stride).singular_values()[0] == pytest.approx(1.0, rel=RATIO * EPS)


@pytest.mark.parametrize("padding", ["valid", "zero"])
def test_isometry_stays_an_isometry_at_the_border(padding: str) -> None:
    kernel, _ = draw_kernel(np.random.default_rng(0), 3, 2, 5, 2)
    values = np.linalg.svd(matrix_of(LAYERS[padding]((6, 8, 2), kernel, stride=2)), compute_uv=False)
    assert np.max(np.abs(values - 1.0)) < RATIO * EPS


# Borders: the large case


@pytest.mark.parametrize("padding", ["valid", "zero"])
def test_lsmr_and_dense_agree(ratio: Any, padding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = layer_of(padding, (9, 10, 3), 3, 5, 2), layer_of(padding, (9, 10, 3), 3, 5, 2)
    z = np.random.default_rng(0).standard_normal((2, *small.shape_out))
    wanted = small.preimage(z, None, plain), small.extremes
    monkeypatch.setattr(conv_border, "_DENSE", 10)
    got = large.preimage(z, None, plain)
    assert ratio(got, wanted[0], size=small.columns, amplification=small.condition) < 30
    assert ratio(large.forward(got, plain), z, size=small.columns, amplification=small.condition) < 30
    assert np.allclose(large.extremes, wanted[1], rtol=RATIO * EPS * small.condition**2, atol=0)
    assert large.onto


def test_lsmr_that_does_not_converge_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A channel that is all zero makes the system inconsistent: never a least-squares answer in silence."""
    monkeypatch.setattr(conv_border, "_DENSE", 10)
    kernel = np.random.default_rng(0).standard_normal((3, 3, 2, 3))
    kernel[..., 1] = 0.0
    layer = ValidLayer((7, 8, 2), kernel, stride=2)
    assert not layer.onto
    assert layer.rank == layer.rows * 2 // 3
    with pytest.raises(InfeasibleError, match="LSMR must reach a residual") as caught:
        layer.preimage(np.ones((1, *layer.shape_out)), None, plain)
    assert caught.value.theorem == "T8c"
    assert caught.value.value > caught.value.limit


def test_large_valid_map_round_trips(ratio: Any) -> None:
    """3,072 inputs: LSMR, and extremes of the singular values by Lanczos and inverse iteration."""
    phi = Convolutional.from_options((32, 32, 3), depth=1, padding="valid", rng=0)
    assert (phi.p, phi.kind) == (15 * 15 * 11, "surjective")
    Phi = np.random.default_rng(0).standard_normal((2, phi.p))
    assert ratio(phi(phi.preimage(Phi)), Phi, size=len(phi.layers), amplification=phi.condition()) < 30
    tensor = torch.tensor(Phi, dtype=torch.float32)
    assert ratio(phi(phi.preimage(tensor)), Phi, size=len(phi.layers), amplification=phi.condition(), eps=2.0**-23) < 30


def test_zero_padding_of_a_general_kernel_reports_its_condition(ratio: Any) -> None:
    """T8c: 10^6 times that of circular padding here; the pre-image is as good as condition() says."""
    conditions = {}
    for padding in ("zero", "circular"):
        phi = Convolutional((12, 14), [1], padding=padding, spread=4.0, rng=6)
        values = np.linalg.svd(matrix_of(phi.layers[0]), compute_uv=False)
        exact = values[0] / values[-1] / phi.slope
        assert abs(phi.condition() / exact - 1.0) < RATIO * EPS * values[0] / values[-1]
        Phi = np.random.default_rng(0).standard_normal((3, phi.p))
        assert ratio(phi(phi.preimage(Phi)), Phi, size=len(phi.layers), amplification=phi.condition()) < 30
        conditions[padding] = phi.condition()
    assert conditions["zero"] > 1e6 * conditions["circular"]
    assert conditions["zero"] < np.inf


# Pooling


def test_average_pooling_is_torch_and_its_nearest_preimage_is_the_projection(ratio: Any) -> None:
    pool, rng = AveragePooling((5, 8, 3)), np.random.default_rng(0)
    X, Z = rng.standard_normal((2, 5, 8, 3)), rng.standard_normal((2, 2, 4, 3))
    wanted = torch.nn.functional.avg_pool2d(torch.tensor(X).permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
    A = pool.forward(np.eye(120).reshape(-1, 5, 8, 3), plain).reshape(120, -1).T
    assert ratio(pool.forward(X, plain), wanted, size=np.count_nonzero(A[0])) < 30
    rows = Z.reshape(2, -1)
    least, nearest = (pool.preimage(Z, near, plain).reshape(2, -1) for near in (None, X))
    assert ratio(least, rows @ np.linalg.pinv(A).T, size=A.shape[1]) < 30
    flat = X.reshape(2, -1)
    assert ratio(nearest, flat + (rows - flat @ A.T) @ np.linalg.pinv(A).T, size=A.shape[1]) < 30


def test_max_pooling_is_torch_and_its_nearest_preimage_is_the_best_of_all() -> None:
    """In each block some pixel is the maximum: the best choice of it, by brute force."""
    pool, rng = MaxPooling((6, 5, 3)), np.random.default_rng(1)
    X, Z = rng.standard_normal((40, 6, 5, 3)), rng.standard_normal((40, 3, 2, 3))
    wanted = torch.nn.functional.max_pool2d(torch.tensor(X).permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
    assert np.array_equal(pool.forward(X, plain), wanted.numpy())
    found = pool.preimage(Z, X, plain)
    assert np.array_equal(pool.forward(found, plain), Z)
    assert np.array_equal(pool.forward(pool.preimage(Z, None, plain), plain), Z)
    assert np.array_equal(found[:, :, 4], X[:, :, 4])
    for i, j, c in itertools.product(range(3), range(2), range(3)):
        block = X[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c].reshape(40, 4)
        z = Z[:, i, j, c]
        lowered = np.maximum(block - z[:, None], 0.0) ** 2
        best = np.min([lowered.sum(axis=1) - lowered[:, q] + (block[:, q] - z) ** 2 for q in range(4)], axis=0)
        got = found[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c].reshape(40, 4)
        assert np.allclose(np.sum((got - block) ** 2, axis=1), best, rtol=RATIO * EPS, atol=RATIO * EPS)


@pytest.mark.parametrize("kind", [AveragePooling, MaxPooling])
def test_a_point_is_its_own_nearest_preimage(kind: type[AveragePooling] | type[MaxPooling]) -> None:
    X = np.random.default_rng(0).standard_normal((3, 5, 7, 2))
    pool = kind((5, 7, 2))
    assert np.allclose(pool.preimage(pool.forward(X, plain), X, plain), X, rtol=0, atol=RATIO * EPS)


# The map


@every_map
def test_round_trip(ratio: Any, name: str) -> None:
    """phi(preimage(Phi)) = Phi, near a reference too."""
    phi, rng = MAPS[name](), np.random.default_rng(3)
    Phi, near = rng.standard_normal((3, phi.p)), rng.standard_normal((3, phi.d))
    for reference in (None, near):
        back = phi(phi.preimage(Phi, near=reference))
        assert ratio(back, Phi, size=len(phi.layers), amplification=phi.condition()) < 30


@pytest.mark.parametrize(
    ("shape", "channels", "options", "kind"),
    [
        ((4, 6), [3], {"stride": 2}, "surjective"),
        ((4, 6), [4], {"stride": 2}, "bijective"),
        ((4, 6), [5], {"stride": 2}, "injective"),
        ((4, 6), [2, 1], {}, "general"),  # wider, then narrower: of full rank here, but not known to be onto
        ((4, 6, 3), [2], {"pool": "average"}, "surjective"),
        ((4, 6), [2], {"pool": "max"}, "general"),
        ((4, 6), [3], {"stride": 2, "size": 1}, "general"),
        ((4, 6), [1], {"padding": "valid"}, "surjective"),
        ((4, 6), [1], {"padding": "zero"}, "bijective"),
        ((4, 6), [3], {"stride": 2, "activation": "tanh"}, "injective"),
    ],
)
def test_kind_is_the_rank_of_the_jacobian(
    shape: tuple[int, ...], channels: list[int], options: dict[str, Any], kind: str
) -> None:
    phi = Convolutional(shape, channels, rng=0, **options)
    x = torch.tensor(np.random.default_rng(0).standard_normal(phi.d))
    rank = int(torch.linalg.matrix_rank(torch.func.jacrev(lambda x: phi(x[None, :])[0])(x)))
    if options.get("activation") == "tanh":
        assert phi.kind == "general"  # a box, not R^p: neither onto nor, with fewer channels, one-to-one
        return
    assert phi.kind == kind
    if kind != "general":
        assert (rank == phi.p) == (kind in ("surjective", "bijective"))
        assert (rank == phi.d) == (kind in ("injective", "bijective"))
    if kind in ("injective", "general"):
        assert phi.condition() == np.inf
        with pytest.raises(InfeasibleError, match=r"layer 1 must be onto, but its .*\(T10\)"):
            phi.preimage(np.ones((1, phi.p)))


@pytest.mark.parametrize("activation", ["tanh", "relu", "softplus", "gelu"])
def test_activation_that_is_not_onto_is_refused_for_preimages_only(activation: str) -> None:
    phi = Convolutional((4, 6), [3], stride=2, activation=activation, rng=0)
    assert np.all(np.isfinite(phi(np.ones((1, 24)))))
    with pytest.raises(InfeasibleError, match=f"its activation {activation} is not invertible on all of R"):
        phi.preimage(0.1 * np.ones((1, 18)))


def test_asinh_refuses_what_its_inverse_overflows_at() -> None:
    phi = MAPS["wide kernel"]()
    Phi = np.ones((3, phi.p))
    Phi[1, 5] = -1e3
    check = phi.in_range(Phi)
    assert (check.inside, check.row, check.column) == (False, 1, 5)
    assert abs(check.excess - (1e3 - np.arcsinh(1.3e154))) < RATIO * EPS * 1e3
    with pytest.raises(RangeError, match=r"row 1, column 5 is outside by 644; scale"):
        phi.preimage(Phi)
    c = phi.scale_into_range(Phi)
    assert 0.3 < c < 0.355
    assert phi.in_range(c * Phi)
    assert phi.scale_into_range(np.ones((1, phi.p))) == 1.0


# Defaults and refusals


@pytest.mark.parametrize("shape", [(28, 28), (32, 32, 3)])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_defaults_are_onto_and_well_conditioned(ratio: Any, shape: tuple[int, ...], depth: int) -> None:
    """MNIST and CIFAR: as many features as fit below equality; condition below 50 a layer."""
    phi = Convolutional.from_options(shape, depth=depth, rng=0)
    assert phi.kind == "surjective"
    assert phi.p > 0.6 * phi.d
    assert phi.condition() < 50**depth
    Phi = np.random.default_rng(0).standard_normal((4, phi.p))
    back = phi(phi.preimage(Phi))
    assert ratio(back, Phi, size=depth, amplification=phi.condition()) < 30
    assert np.all(np.isfinite(phi.layers[-1].singular_values()))


@pytest.mark.parametrize(
    ("options", "channels", "stride"),
    [
        ({}, (3, 11, 10), (2, 2, 1)),
        ({"depth": 1, "stride": 4}, (8,), (4,)),  # size 3 sees 9 of the 16 pixels
        ({"depth": 2, "stride": "4-7", "size": 7}, (15, 734), (4, 7)),
        ({"depth": 2, "channels": 2}, (2, 2), (2, 2)),
        ({"depth": 2, "channels": "2-5", "stride": [2, 1]}, (2, 5), (2, 1)),
        ({"depth": 2, "pool": "average"}, (3, 2), (2, 1)),
        ({"depth": 2, "stride": 1}, (1, 1), (1, 1)),
    ],
)
def test_options_of_the_command_line(
    options: dict[str, Any], channels: tuple[int, ...], stride: tuple[int, ...]
) -> None:
    phi = Convolutional.from_options((28, 28), rng=0, **options)
    assert (phi.channels, phi.stride) == (channels, stride)
    assert phi.kind == ("general" if channels == (2, 5) else "bijective" if stride == (1, 1) else "surjective")


@pytest.mark.parametrize(
    ("shape", "channels", "options", "message"),
    [
        ((12,), [3], {}, r"image_shape must be .*got \(12,\)"),
        ((4, 0), [3], {}, r"image_shape must be"),
        ((4, 6), [], {}, r"channels must be integers >= 1"),
        ((4, 6), [3, 0], {}, r"channels must be integers >= 1.*\[3, 0\]"),
        ((4, 6), [3, 2], {"stride": [2, 1, 1]}, r"stride must have one entry per layer, 2 in all, got 3"),
        ((4, 6), [3], {"stride": 4}, r"needs a stride that divides the image, got stride 4 and side 6"),
        ((4, 6), [3], {"size": 4}, r"size of a kernel must be odd, got 4; use 5"),
        ((4, 6), [3], {"padding": "same"}, r"padding must be one of circular, valid, zero, got 'same'"),
        ((4, 6), [3], {"pool": "mean"}, r"pool must be one of None, average, max, got 'mean'"),
        ((4, 6), [3], {"activation": "swish"}, r"activation must be one of .*got 'swish'"),
        ((4, 6), [3], {"slope": 0.0}, r"slope must be > 0, got 0.0"),
        ((4, 6), [3], {"spread": -1.0}, r"spread must be >= 0, got -1.0"),
        ((4, 6), [3], {"padding": "valid", "size": 5}, r"kernel of size 5 needs an image .* got 4"),
        ((4, 6), [3, 3, 3], {"pool": "max"}, r"pooling needs an image of at least 2 x 2, got 1 x 1"),
    ],
)
def test_wrong_options_are_refused(
    shape: tuple[int, ...], channels: list[int], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Convolutional(shape, channels, rng=0, **options)


def test_a_kernel_beyond_the_image_is_built_and_read_back(rng: np.random.Generator) -> None:
    """It sees pixels again; files of earlier versions have such."""
    phi, X = Convolutional((6, 6), [1], size=15, rng=0), rng.standard_normal((2, 36))
    assert np.array_equal(from_spec(phi.spec(), d=36, p=phi.p)(X), phi(X))
    with pytest.raises(ValueError, match="size must be at most 49, got 51"):
        Convolutional((6, 6), [1], size=51, rng=0)
