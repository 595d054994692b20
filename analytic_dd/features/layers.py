"""Random layers: their widths and how their weights are drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analytic_dd.errors import ShapeError
from analytic_dd.features.orthonormal import draw_orthonormal

__all__ = ["as_widths", "draw_layer"]


def as_widths(widths: Sequence[int]) -> list[int]:
    """Check ``[d, ..., p]``: at least two positive integers.

    Raises
    ------
    ShapeError
        Fewer than two widths, or one that is not a positive integer.

    Examples
    --------
    >>> as_widths((784, 10))
    [784, 10]
    >>> as_widths([784])
    Traceback (most recent call last):
        ...
    analytic_dd.errors.ShapeError: widths must be two or more positive integers [d, ..., p], got [784]; add one
    """
    checked = [int(width) for width in widths if int(width) == width and width > 0]
    if len(checked) < 2 or len(checked) != len(widths):
        wanted = "two or more positive integers [d, ..., p]"
        raise ShapeError(f"widths must be {wanted}, got {list(widths)}; add one")
    return checked


def draw_layer(
    fan_in: int, fan_out: int, *, bias: bool, weights: str, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return ``W`` (fan_out, fan_in) and ``b`` (fan_out,) or None; both have entries of variance 1 / fan_in.

    Raises
    ------
    ValueError
        ``weights`` is neither "gaussian" nor "orthogonal".

    Examples
    --------
    >>> W, b = draw_layer(3, 2, bias=False, weights="gaussian", rng=np.random.default_rng(0))
    >>> W.shape, b
    ((2, 3), None)
    >>> draw_layer(3, 2, bias=False, weights="sparse", rng=np.random.default_rng(0))
    Traceback (most recent call last):
        ...
    ValueError: weights must be gaussian or orthogonal, got 'sparse'
    """
    if weights not in ("gaussian", "orthogonal"):
        raise ValueError(f"weights must be gaussian or orthogonal, got {weights!r}")
    W = (
        rng.standard_normal((fan_out, fan_in)) / np.sqrt(fan_in)
        if weights == "gaussian"
        else draw_orthonormal(rng, fan_out, fan_in) * np.sqrt(max(1.0, fan_out / fan_in))
    )
    return W, rng.standard_normal(fan_out) / np.sqrt(fan_in) if bias else None
