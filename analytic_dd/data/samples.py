"""Samples as they are kept, images with channels last or plain rows, in the dtype of their source; draws of some."""

from __future__ import annotations

import numpy as np

from analytic_dd.arrays import host_array
from analytic_dd.data.blocks import block_rows
from analytic_dd.errors import DataError

__all__ = ["as_samples", "balanced_rows", "check_same_dtype", "check_samples", "first_non_finite"]

_CHANNELS = (1, 3, 4)


_EITHER = "pass channels='first' or channels='last' (in an npz file: an array channels that holds this word)"


def as_samples(x: object, name: str, *, channels: str | None = None, either: str = _EITHER) -> np.ndarray:
    """Return ``x`` as contiguous samples (n, d), (n, h, w) or (n, h, w, c), without changing a value or the dtype.

    Channels first, (n, c, h, w) with c of 1, 3 or 4, become channels last, a single channel loses its axis, and foreign
    byte order becomes native. An array of four axes that could be either, or neither, is refused unless ``channels``
    says "first" or "last"; ``either`` is then the remedy in the message.
    """
    array = host_array(x, name)
    if array.dtype.kind not in "buif":
        raise DataError(f"{name} must hold numbers, got dtype {array.dtype}; convert it, e.g. to uint8 or float64")
    if array.dtype.itemsize > 8:
        raise DataError(f"{name} must hold at most 64-bit numbers, got dtype {array.dtype}; convert it to float64")
    if not 2 <= array.ndim <= 4 or 0 in array.shape[1:]:
        raise DataError(f"{name} must be rows (n, d) or images (n, h, w[, c]), got shape {array.shape}; reshape it")
    if array.ndim == 4:
        array = _channels_last(array, name, channels, either)
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))


def _channels_last(array: np.ndarray, name: str, channels: str | None, either: str) -> np.ndarray:
    if channels not in (None, "first", "last"):
        raise DataError(f"channels must be 'first' or 'last', got {channels!r}")
    first, last = (array.shape[axis] in _CHANNELS and channels != other for axis, other in ((1, "last"), (3, "first")))
    if first and last:
        raise DataError(
            f"{name} of shape {array.shape} could have its {array.shape[1]} or its {array.shape[3]} as channels; "
            f"{either}"
        )
    if not (first or last):
        raise DataError(
            f"{name} must have 1, 3 or 4 channels on its last axis, got shape {array.shape}; "
            "move the channels last, or flatten the samples to rows"
        )
    array = np.moveaxis(array, 1, -1) if first else array
    return array[..., 0] if array.shape[-1] == 1 else array


def check_same_dtype(x_train: np.ndarray, x_test: np.ndarray) -> None:
    """Refuse bytes in one part and numbers from 0 to 1 in the other, since one mean cannot serve both."""
    if x_train.dtype != x_test.dtype:
        raise DataError(f"x_train is {x_train.dtype} and x_test {x_test.dtype}; bring both to one dtype and one scale")


def check_samples(x: np.ndarray, y: np.ndarray, image_shape: tuple[int, ...], split: str) -> None:
    """Check dtype, sizes and finiteness of the samples of one part."""
    if x.dtype.kind not in "buif":
        raise DataError(f"x_{split} must hold numbers, got dtype {x.dtype}; convert it, e.g. to uint8")
    if x.shape[1:] != image_shape or 0 in image_shape or not 1 <= len(image_shape) <= 3:
        raise DataError(f"x_{split} must be samples of shape {image_shape}, got an array {x.shape}; resize them")
    if len(x) != len(y):
        raise DataError(f"x_{split} has {len(x)} samples and y_{split} {len(y)} labels; give one label a sample")
    found = first_non_finite(x)
    if found is not None:
        value, sample, position = found
        raise DataError(
            f"x_{split} must be finite, got {value} at sample {sample}, position {position}; drop or repair it"
        )


def first_non_finite(x: np.ndarray) -> tuple[float, int, tuple[int, ...]] | None:
    """Return (value, sample, position in the sample) of the first NaN or infinity, or None.

    It is looked for a block at a time, so that no array of booleans of the size of ``x`` is made.
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


def balanced_rows(y: np.ndarray, m: int, *, k: int, rng: np.random.Generator) -> np.ndarray:
    """Draw ``m`` samples, as evenly over the classes as possible, class-major.

    Parameters
    ----------
    y : (n,) int array
        Class indices.
    m : int
        Number of samples; the first m mod k classes have one more.
    k : int
        Number of classes.
    rng : numpy.random.Generator

    Returns
    -------
    (m,) int array
        Row indices, none of which comes twice where its class has enough samples.

    Examples
    --------
    >>> y = np.array([0, 1, 0, 1, 1])
    >>> y[balanced_rows(y, 3, k=2, rng=np.random.default_rng(0))]
    array([0, 0, 1])
    """
    counts = np.bincount(np.sort(np.arange(m) % k), minlength=k)
    chosen = []
    for label in np.flatnonzero(counts):
        members, count = np.flatnonzero(y == label), int(counts[label])
        chosen.append(rng.choice(members, size=count, replace=count > len(members)))
    return np.concatenate(chosen)
