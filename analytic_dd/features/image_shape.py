"""Shapes of images, and lists of sizes one per layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analytic_dd.errors import ShapeError

__all__ = ["Shape", "as_image_shape", "as_sizes", "default_layers"]

Shape = tuple[int, int, int]  # rows, columns, channels of an image


def as_image_shape(shape: Sequence[int]) -> Shape:
    """Return (rows, columns, channels) of an image; one channel when two sizes are given.

    Raises
    ------
    ShapeError
        Not two or three positive integers.

    Examples
    --------
    >>> as_image_shape((28, 28))
    (28, 28, 1)
    >>> as_image_shape((784,))
    Traceback (most recent call last):
        ...
    analytic_dd.errors.ShapeError: image_shape must be (rows, columns) or (rows, columns, channels), got (784,)
    """
    sizes = tuple(shape)
    if len(sizes) not in (2, 3) or any(isinstance(n, bool) or int(n) != n or n < 1 for n in sizes):
        raise ShapeError(f"image_shape must be (rows, columns) or (rows, columns, channels), got {sizes}")
    h, w, c = (*sizes, 1)[:3]
    return int(h), int(w), int(c)


def as_sizes(what: str, value: Any, depth: int | None = None) -> tuple[int, ...]:
    """Return one size per layer from an integer (the same for all), a list, or text such as ``3-11-10``.

    Raises
    ------
    ValueError
        Not positive integers, or not ``depth`` of them.

    Examples
    --------
    >>> as_sizes("channels", "3-11-10"), as_sizes("stride", 2, 3)
    ((3, 11, 10), (2, 2, 2))
    >>> as_sizes("stride", [2, 1], 3)
    Traceback (most recent call last):
        ...
    ValueError: stride must have one entry per layer, 3 in all, got 2: (2, 1)
    """
    items = value.split("-") if isinstance(value, str) else [value] if isinstance(value, int) else list(value)
    try:
        sizes = tuple(int(item) for item in items if not isinstance(item, bool))
    except ValueError:
        sizes = ()
    if len(sizes) != len(items) or not sizes or min(sizes) < 1:
        raise ValueError(f"{what} must be integers >= 1, such as 8 or 3-11-10, got {value!r}")
    if depth is not None and len(sizes) == 1:
        return sizes * depth
    if depth is not None and len(sizes) != depth:
        raise ValueError(f"{what} must have one entry per layer, {depth} in all, got {len(sizes)}: {sizes}")
    return sizes


def default_layers(
    shape: Shape,
    depth: int,
    *,
    size: int,
    channels: tuple[int, ...] | None,
    stride: tuple[int, ...] | None,
    halving: int,
) -> tuple[list[int], list[int]]:
    """Return (channels, strides) of each layer where they are not given.

    Stride 2 while both sides are even, which makes room for channels; T8c: one channel less than the c_in * stride^2
    (or c_in * size^2, if less) that a position sees, at least 1. ``halving`` is what pooling divides the sides by.
    """
    h, w, c = shape
    widths, strides = [], []
    for layer in range(depth):
        s = stride[layer] if stride else 2 if h % 2 == w % 2 == 0 else 1
        c = channels[layer] if channels else max(1, c * min(s, size) ** 2 - 1)
        widths.append(c)
        strides.append(s)
        h, w = h // s // halving, w // s // halving
    return widths, strides
