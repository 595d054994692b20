"""Samples as they are kept: images with channels last, or plain rows, in the dtype they came in."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from analytic_dd.arrays import cached_rows
from analytic_dd.errors import DataError

__all__ = ["BLOCK_BYTES", "as_samples", "block_rows", "first_non_finite", "normalised_blocks"]

BLOCK_BYTES = 16 * 2**20  # of float64: large enough for BLAS to be fast, small beside any data set worth a block

_CHANNELS = (1, 3, 4)


def as_samples(x: object, name: str) -> np.ndarray:
    """Return ``x`` as contiguous samples (n, d), (n, h, w) or (n, h, w, c), without changing a value or the dtype.

    Channels first, (n, c, h, w) with c of 1, 3 or 4, becomes channels last; a single channel loses its axis; foreign
    byte order becomes native. A 4-axis array that has 1, 3 or 4 on neither end is refused, not guessed at.
    """
    array = np.asarray(x)
    if array.dtype.kind not in "buif":
        raise DataError(f"{name} must hold numbers, got dtype {array.dtype}; convert it, e.g. to uint8 or float64")
    if array.dtype.itemsize > 8:
        raise DataError(f"{name} must hold at most 64-bit numbers, got dtype {array.dtype}; convert it to float64")
    if not 2 <= array.ndim <= 4 or 0 in array.shape[1:]:
        raise DataError(f"{name} must be rows (n, d) or images (n, h, w[, c]), got shape {array.shape}; reshape it")
    if array.ndim == 4:
        array = _channels_last(array, name)
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))


def _channels_last(array: np.ndarray, name: str) -> np.ndarray:
    if array.shape[-1] not in _CHANNELS:
        if array.shape[1] not in _CHANNELS:
            raise DataError(
                f"{name} must have 1, 3 or 4 channels on its last axis, got shape {array.shape}; "
                "move the channels last, or flatten the samples to rows"
            )
        array = np.moveaxis(array, 1, -1)
    return array[..., 0] if array.shape[-1] == 1 else array


def block_rows(shape: tuple[int, ...]) -> int:
    """Return how many samples of ``shape`` make about :data:`BLOCK_BYTES` of float64 (at least one)."""
    return max(1, BLOCK_BYTES // (8 * math.prod(shape)))


def first_non_finite(x: np.ndarray) -> tuple[float, int, tuple[int, ...]] | None:
    """Return (value, sample, position in the sample) of the first NaN or infinity, or None.

    Looked for a block at a time, so that no array of booleans of the size of ``x`` is made.
    """
    if x.dtype.kind != "f":
        return None
    rows = block_rows(x.shape[1:])
    for start in range(0, len(x), rows):
        finite = np.isfinite(x[start : start + rows])
        if not finite.all():
            sample, *position = (int(i) for i in np.unravel_index(int(np.argmin(finite)), finite.shape))
            return float(x[(start + sample, *position)]), start + sample, tuple(position)
    return None


def normalised_blocks(
    x: np.ndarray,
    y: np.ndarray,
    rows: int,
    order: np.ndarray | None,
    mean: np.ndarray,
    std: np.ndarray,
    *,
    reuse: bool = False,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield what :meth:`Dataset.blocks` describes; ``mean`` and ``std`` have one number a channel."""
    total, size = len(x) if order is None else len(order), math.prod(x.shape[1:])
    if len(mean) > 1:  # rows: numpy is slow along an axis of 3 channels
        mean, std = (np.tile(v, size // len(v)) for v in (mean, std))
    memory = np.empty((min(rows, total) if reuse else 0, size))
    for start in range(0, total, rows):
        chosen = slice(start, start + rows) if order is None else order[start : start + rows]
        samples = x[chosen].reshape(-1, size)
        X = memory[: len(samples)] if reuse else np.empty(samples.shape)
        for part in cached_rows(X):
            X[part] = samples[part]
            X[part] -= mean
            X[part] /= std
        yield X, y[chosen].copy()
