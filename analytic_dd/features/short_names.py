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
    width: int | None = None,
    activation: str = "leaky_relu",
    slope: float = 0.1,
    bias: bool = False,
    weights: str = "gaussian",
) -> FeatureMap:
    widths = _widths(d, depth, width)
    return FullyConnected(widths, activation=activation, slope=slope, bias=bias, weights=weights, rng=rng)


def _deep_linear(
    d: int,
    *,
    image_shape: tuple[int, ...],
    rng: np.random.Generator,
    sample: Any,
    depth: int = 2,
    width: int | None = None,
    bias: bool = False,
    weights: str = "gaussian",
) -> FeatureMap:
    return DeepLinear(_widths(d, depth, width), bias=bias, weights=weights, rng=rng)


def _widths(d: int, depth: int, width: int | None) -> list[int]:
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 1:
        raise ValueError(f"depth must be an integer >= 1, got {depth!r}")
    return [d] + [d if width is None else width] * depth


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
    spread: float = 0.5,
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
