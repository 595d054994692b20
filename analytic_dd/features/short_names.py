"""What each short name of the command line builds from the size and shape of an input: names, options, defaults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from analytic_dd.errors import ShapeError
from analytic_dd.features.base import FeatureMap
from analytic_dd.features.conv import Convolutional
from analytic_dd.features.deep_linear import DeepLinear
from analytic_dd.features.dense import FullyConnected
from analytic_dd.features.fourier import RandomFourier
from analytic_dd.features.identity import Identity
from analytic_dd.features.invertible import InvertibleNetwork
from analytic_dd.features.spectral import median_lengthscale

__all__ = ["SHORT_NAMES"]


def _identity(d: int, *, image_shape: tuple[int, ...], rng: Any, sample: Any) -> FeatureMap:
    return Identity(d)


def _fourier(
    d: int,
    *,
    image_shape: tuple[int, ...],
    rng: np.random.Generator,
    sample: np.ndarray | None,
    p: int | None = None,
    lengthscale: float | str = "median",
    kernel: str = "gaussian",
    nu: float | None = None,
    form: str = "cos",
    orthogonal: bool = False,
) -> FeatureMap:
    if nu is not None and kernel != "matern":
        raise ValueError(f"nu is an option of kernel=matern, got nu={nu} with kernel={kernel}; leave one of them out")
    if lengthscale == "median":
        if sample is None:
            raise ValueError("lengthscale=median needs training inputs (sample=...); give a number, lengthscale=10")
        lengthscale = median_lengthscale(sample, rng=rng, kernel=kernel)
    elif isinstance(lengthscale, str):
        raise ValueError(f"lengthscale must be a number or median, got {lengthscale!r}")
    return RandomFourier(
        d,
        d if p is None else p,
        lengthscale=lengthscale,
        rng=rng,
        kernel=kernel,
        nu=1.5 if nu is None else nu,
        form=form,
        orthogonal=orthogonal,
    )


def _dense(
    d: int,
    *,
    image_shape: tuple[int, ...],
    rng: np.random.Generator,
    sample: Any,
    depth: int | None = None,
    width: int | str | None = None,
    activation: str = "leaky_relu",
    slope: float = 0.1,
    bias: bool = False,
    weights: str = "gaussian",
) -> FeatureMap:
    # A chain of square Gaussian layers has condition 1e4 to the power depth; widths that shrink to 3/4 of d have 1e2
    layers = _checked(depth, default=1)
    shrinking = [d - d * layer // (4 * layers) for layer in range(layers + 1)]
    widths = shrinking if width is None and layers > 1 else _widths(d, depth, width, default=1)
    return FullyConnected(widths, activation=activation, slope=slope, bias=bias, weights=weights, rng=rng)


def _deep_linear(
    d: int,
    *,
    image_shape: tuple[int, ...],
    rng: np.random.Generator,
    sample: Any,
    depth: int | None = None,
    width: int | str | None = None,
    bias: bool = False,
    weights: str = "gaussian",
) -> FeatureMap:
    # Hidden layers of 2 d: the product then has the condition of one square layer, not of several (1e4 against 1e7)
    wide = [d, *([2 * d] * (_checked(depth, default=2) - 1)), d]
    widths = wide if width is None else _widths(d, depth, width, default=2)
    return DeepLinear(widths, bias=bias, weights=weights, rng=rng)


def _checked(depth: int | None, *, default: int) -> int:
    if depth is not None and depth < 1:
        raise ValueError(f"depth must be an integer >= 1, got {depth!r}")
    return default if depth is None else depth


def _widths(d: int, depth: int | None, width: int | str | None, *, default: int) -> list[int]:
    """Widths of all layers: one for every layer, or 600-500-400 for each (which then says the depth)."""
    if isinstance(width, str):
        try:
            widths = [int(part) for part in width.split("-")]
        except ValueError:
            raise ValueError(f"width must be a number, or numbers such as 600-500-400, got {width!r}") from None
        if depth not in (None, len(widths)):
            raise ValueError(f"width={width} is {len(widths)} layers, got depth={depth}; leave depth out")
        return [d, *widths]
    return [d] + [d if width is None else width] * _checked(depth, default=default)


def _convolutional(
    d: int,
    *,
    image_shape: tuple[int, ...],
    rng: np.random.Generator,
    sample: Any,
    depth: int = 3,
    channels: int | str | None = None,
    stride: int | str | None = None,
    size: int = 3,
    padding: str = "circular",
    pool: str | None = None,
    activation: str = "leaky_relu",
    slope: float = 0.1,
    bias: bool = False,
    spread: float = 0.9,
) -> FeatureMap:
    if len(image_shape) == 1:
        raise ShapeError(
            f"features 'cnn' need images, got rows of {d} numbers; give an array of images, or pass a map that knows "
            "the image_shape: features.Convolutional(image_shape, channels, rng=0)"
        )
    return Convolutional.from_options(
        image_shape,
        depth=depth,
        channels=channels,
        stride=stride,
        size=size,
        padding=padding,
        pool=None if pool == "none" else pool,
        activation=activation,
        slope=slope,
        bias=bias,
        spread=spread,
        rng=rng,
    )


def _invertible(
    d: int,
    *,
    image_shape: tuple[int, ...],
    rng: np.random.Generator,
    sample: Any,
    blocks: int = 4,
    coupling: str = "affine",
    hidden: int | None = None,
    squeeze: str | None = None,
) -> FeatureMap:
    squeeze = None if squeeze == "none" else squeeze
    return InvertibleNetwork(image_shape, blocks=blocks, coupling=coupling, hidden=hidden, squeeze=squeeze, rng=rng)


# Options in the text are keyword arguments of these functions.
SHORT_NAMES: dict[str, Callable[..., FeatureMap]] = {
    "identity": _identity,
    "rff": _fourier,
    "fcnn": _dense,
    "cnn": _convolutional,
    "inn": _invertible,
    "deep-linear": _deep_linear,
}
