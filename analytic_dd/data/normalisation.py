"""Normalisation and its inverse, and the moments of samples that are never in float64 all at once.

X = (x - mean) / std,   x = X std + mean,   with one number for each channel, channels last
"""

from __future__ import annotations

import numpy as np

from analytic_dd.data.blocks import block_rows
from analytic_dd.errors import DataError

__all__ = ["channel_moments", "class_means", "column_ranges", "normalised", "pixels", "value_range"]

# 255^2 * 65536 < 2^32: a column of this many squared bytes cannot overflow the unsigned sum below.
_EXACT_ROWS = 65536


def value_range(x: np.ndarray) -> tuple[float, float]:
    """Return the range that the values of images have by their format.

        bytes                     0 to 255, if they use the eighth bit
        floats between 0 and 1    0 to 1
        others                    smallest to largest value (digits: bytes from 0 to 16)

    Examples
    --------
    >>> value_range(np.array([3, 200], np.uint8)), value_range(np.array([0.1, 0.7])), value_range(np.array([-2.0, 5.0]))
    ((0.0, 255.0), (0.0, 1.0), (-2.0, 5.0))
    """
    low, high = float(x.min()), float(x.max())
    if x.dtype == np.uint8 and high > 127.0:
        return 0.0, 255.0
    if x.dtype.kind == "f" and low >= 0.0 and high <= 1.0:
        return 0.0, 1.0
    return low, high


def column_ranges(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and the largest value (d,) of each column of a table; a constant has a range of 1 about it.

    Examples
    --------
    >>> column_ranges(np.array([[1.0, 7.0], [5.0, 7.0]]))
    (array([1. , 6.5]), array([5. , 7.5]))
    """
    low, high = (np.asarray(each, dtype=np.float64) for each in (x.min(axis=0), x.max(axis=0)))
    spare = np.where(low == high, 0.5, 0.0)
    return low - spare, high + spare


def channel_moments(x: np.ndarray, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (mean, std), each (channels,) float64, over samples and positions; a deviation of 0 becomes 1.

    The divisor is n, not n - 1. Sums over uint8 are exact integers, rounded once at the end.
    """
    moments = _moments_of_bytes if x.dtype == np.uint8 else _moments_of_numbers
    with np.errstate(over="ignore", invalid="ignore"):
        mean, variance = moments(x.reshape(len(x), -1), channels)
    if not np.all(np.isfinite(variance)):
        raise DataError("values of the samples overflow when they are squared in float64; divide the data by a number")
    std = np.sqrt(variance)
    return mean, np.where(std == 0.0, 1.0, std)


def _moments_of_bytes(X: np.ndarray, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Sum bytes and their squares down the columns, where 16-bit squares are exact and need no float copy."""
    total = np.zeros(X.shape[1], dtype=np.uint64)
    squares = np.zeros(X.shape[1], dtype=np.uint64)
    rows = min(block_rows(X.shape[1:]), _EXACT_ROWS)
    for start in range(0, len(X), rows):
        block = X[start : start + rows]
        total += block.sum(axis=0, dtype=np.uint32)
        squares += np.multiply(block, block, dtype=np.uint16).sum(axis=0, dtype=np.uint32)
    count = X.size // channels
    S = [int(s) for s in total.reshape(-1, channels).sum(axis=0)]
    Q = [int(q) for q in squares.reshape(-1, channels).sum(axis=0)]
    # Python integers lose nothing to cancellation in n Q - S^2.
    variance = [(count * q - s * s) / (count * count) for s, q in zip(S, Q, strict=True)]
    return np.array([s / count for s in S]), np.array(variance)


def _moments_of_numbers(X: np.ndarray, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Merge block means and squared deviations; samples are shifted by the first, so that a constant is exact."""
    shift = X[0].reshape(-1, channels)[0].astype(np.float64)
    count, mean, deviation = 0, np.zeros(channels), np.zeros(channels)
    rows = block_rows(X.shape[1:])
    for start in range(0, len(X), rows):
        block = X[start : start + rows].reshape(-1, channels) - shift
        size, block_mean = len(block), block.mean(axis=0)
        block_deviation = ((block - block_mean) ** 2).sum(axis=0)
        delta = block_mean - mean
        deviation += block_deviation + delta**2 * (count * size / (count + size))
        count += size
        mean += delta * (size / count)
    return shift + mean, deviation / count


def normalised(x: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Return inputs (m, d) = (x - mean) / std of samples (m, ...) with channels last; :func:`pixels` undoes it.

    Examples
    --------
    >>> normalised(np.array([[[[1.0, 8.0]]]]), mean=np.array([0.0, 4.0]), std=np.array([1.0, 2.0]))
    array([[1., 2.]])
    """
    channels = x.reshape(-1, len(mean))
    return np.asarray(((channels - mean) / std).reshape(len(x), -1))


def pixels(inputs: np.ndarray, mean: np.ndarray, std: np.ndarray, image_shape: tuple[int, ...]) -> np.ndarray:
    """Return samples (m, *image_shape) = inputs * std + mean in the data's units, channels last."""
    return np.asarray((inputs.reshape(-1, len(mean)) * std + mean).reshape(len(inputs), *image_shape))


def class_means(x: np.ndarray, y: np.ndarray, k: int) -> np.ndarray:
    """Return the mean sample of each of k classes (k, *shape), in the data's units; sums of bytes are exact."""
    kinds = {"u1": np.uint32, "b1": np.uint32}  # 16 million bytes a sum before it could overflow, and fast
    dtype = kinds.get(x.dtype.str[1:], np.int64 if x.dtype.kind in "ui" else np.float64)
    members = (x[y == label] for label in range(k))
    return np.stack([rows.sum(axis=0, dtype=dtype) / len(rows) for rows in members])
