"""Sizes and words of the options of maps, and how many numbers a map would draw."""

from __future__ import annotations

import operator
from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from analytic_dd.errors import ShapeError, not_whole

__all__ = [
    "Shape",
    "Sizes",
    "as_count",
    "as_image_shape",
    "as_sizes",
    "as_widths",
    "as_word",
    "default_layers",
    "default_widths",
    "dense_numbers",
]

Shape = tuple[int, int, int]  # rows, columns, channels of an image

MOST_LAYERS = 1000  # layers of a network, so that no count in a file or on a command line runs away


class Sizes(NamedTuple):
    """What a map's options say before anything is drawn.

    Attributes
    ----------
    d, p : int
        Sizes of an input and of a feature vector.
    numbers : int
        How many numbers its parameters have.
    """

    d: int
    p: int
    numbers: int


def as_count(what: str, value: Any, *, most: int | None = None) -> int:
    """Check a count: an integer of at least 1, and at most ``most``.

    Examples
    --------
    >>> as_count("d", 784)
    784
    >>> as_count("blocks", 10**9, most=1000)
    Traceback (most recent call last):
        ...
    ValueError: blocks must be at most 1000, got 1000000000
    """
    if isinstance(value, bool) or not hasattr(value, "__index__") or operator.index(value) < 1:
        raise ValueError(f"{what} must be an integer >= 1, got {value!r}")
    count = operator.index(value)
    if most is not None and count > most:
        raise ValueError(f"{what} must be at most {most}, got {count}")
    return count


def as_word(what: str, value: Any, known: Collection[Any]) -> None:
    """Refuse a value that is not one of ``known``."""
    if value not in known:
        raise ValueError(f"{what} must be one of {', '.join(map(str, known))}, got {value!r}")


def as_widths(widths: Sequence[int]) -> list[int]:
    """Check ``[d, ..., p]``: at least two positive integers.

    Raises
    ------
    ShapeError
        There are fewer than two widths or more than a thousand layers, or a width is not a positive integer.

    Examples
    --------
    >>> as_widths((784, 10))
    [784, 10]
    >>> as_widths([784])
    Traceback (most recent call last):
        ...
    analytic_dd.errors.ShapeError: widths must be two or more positive integers [d, ..., p], got [784]; add one
    """
    if len(widths) > MOST_LAYERS + 1:
        raise ShapeError(f"a network must have at most {MOST_LAYERS} layers, got {len(widths) - 1}; use fewer")
    checked = [int(width) for width in widths if int(width) == width and width > 0]
    if len(checked) < 2 or len(checked) != len(widths):
        wanted = "two or more positive integers [d, ..., p]"
        raise ShapeError(f"widths must be {wanted}, got {list(widths)}; add one")
    return checked


def default_widths(d: int, depth: int | None, width: int | str | None, *, usual: int) -> list[int]:
    """Return the widths of all layers, from one width or from text such as 600-500-400, which also says the depth.

    ``usual`` is the depth where nothing says it.

    Examples
    --------
    >>> default_widths(9, None, "7-5", usual=1), default_widths(9, 2, 7, usual=1)
    ([9, 7, 5], [9, 7, 7])
    """
    if isinstance(width, str):
        try:
            widths = [int(part) for part in width.split("-")]
        except ValueError:
            raise ValueError(f"width {not_whole(width)}, or integers such as 600-500-400") from None
        if depth not in (None, len(widths)):
            raise ValueError(f"width={width} is {len(widths)} layers, got depth={depth}; leave depth out")
        return [d, *widths]
    layers = usual if depth is None else as_count("depth", depth, most=MOST_LAYERS)
    return [d] + [d if width is None else width] * layers


def dense_numbers(widths: Sequence[int]) -> int:
    """Return how many numbers the weights and biases of fully connected layers have."""
    return sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(widths))


def as_image_shape(shape: Sequence[int]) -> Shape:
    """Return (rows, columns, channels) of an image, with one channel for two sizes.

    Raises
    ------
    ShapeError
        The shape is not two or three positive integers.

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
    """Return one size per layer from an integer for all layers, a list, or text such as ``3-11-10``.

    Raises
    ------
    ValueError
        The sizes are not positive integers, or not ``depth`` of them.

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
    if len(items) > MOST_LAYERS or (depth or 0) > MOST_LAYERS:
        raise ValueError(f"{what} must be those of at most {MOST_LAYERS} layers, got {max(len(items), depth or 0)}")
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
    """Return (channels, strides) of each layer, with defaults where they are not given.

    The stride is 2 while both sides are even, which makes room for channels. Channels are one less than the
    c_in * stride^2 (or c_in * size^2) that a position sees, at least 1 (T8c). Pooling divides the sides by ``halving``.
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
