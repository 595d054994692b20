"""What each short name of the command line builds from the size and shape of an input: names, options, defaults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

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
    nu: float = 1.5,
    form: str = "cos",
    orthogonal: bool = False,
) -> FeatureMap:
    if lengthscale == "median":
        if sample is None:
            raise ValueError("lengthscale=median needs training inputs (sample=...); give a number, lengthscale=10")
        lengthscale = median_lengthscale(sample, rng=rng, kernel=kernel)
    elif isinstance(lengthscale, str):
        raise ValueError(f"lengthscale must be a number or median, got {lengthscale!r}")
    return RandomFourier(
        d, p or d, lengthscale=lengthscale, rng=rng, kernel=kernel, nu=nu, form=form, orthogonal=orthogonal
    )


def _dense(
    d: int,
    *,
    image_shape: tuple[int, ...],
    rng: np.random.Generator,
    sample: Any,
    depth: int = 1,
    width: int | str | None = None,
    activation: str = "leaky_relu",
    slope: float = 0.1,
    bias: bool = False,
    weights: str = "gaussian",
) -> FeatureMap:
    # A chain of square Gaussian layers has condition 1e4 to the power depth; widths that shrink to 3/4 of d have 1e2
    shrinking = [d - d * layer // (4 * _checked(depth)) for layer in range(depth + 1)]
    widths = shrinking if width is None and depth > 1 else _widths(d, depth, width)
    return FullyConnected(widths, activation=activation, slope=slope, bias=bias, weights=weights, rng=rng)


def _deep_linear(
    d: int,
    *,
    image_shape: tuple[int, ...],
    rng: np.random.Generator,
    sample: Any,
    depth: int = 2,
    width: int | str | None = None,
    bias: bool = False,
    weights: str = "gaussian",
) -> FeatureMap:
    # Hidden layers of 2 d: the product then has the condition of one square layer, not of several (1e4 against 1e7)
    wide = [d, *([2 * d] * (_checked(depth) - 1)), d]
    return DeepLinear(wide if width is None else _widths(d, depth, width), bias=bias, weights=weights, rng=rng)


def _checked(depth: int) -> int:
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 1:
        raise ValueError(f"depth must be an integer >= 1, got {depth!r}")
    return depth


def _widths(d: int, depth: int, width: int | str | None) -> list[int]:
    """Widths of all layers: one for every layer, or 600-500-400 for each (which then says the depth)."""
    if isinstance(width, str):
        try:
            return [d, *(int(part) for part in width.split("-"))]
        except ValueError:
            raise ValueError(f"width must be a number, or numbers such as 600-500-400, got {width!r}") from None
    return [d] + [d if width is None else width] * _checked(depth)


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
