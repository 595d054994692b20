"""Labels that say a class: one-hot rows, centred one-hot rows."""

from __future__ import annotations

import array_api_compat as compat
import numpy as np

from analytic_dd.arrays import Array, device_of, dtype_name, host_array, namespace
from analytic_dd.errors import ShapeError

__all__ = ["centred_one_hot", "one_hot", "repeated_classes"]

_LARGEST = 16 * 2**30  # bytes of labels; an index that is a hash or an identifier asks for more


def one_hot(y: Array, k: int | None = None, *, dtype: type = np.float64) -> Array:
    """Return rows e_y (n, k) for class indices ``y`` (n,) in 0 .. k - 1; ``k`` defaults to the largest index plus 1.

    The rows are of the library and on the device of ``y``; numpy for anything else.

    Raises
    ------
    TypeError
        Class indices that are not integers (encode names first, as :mod:`analytic_dd.data` does); a library that has
        no such ``dtype`` (jax without ``jax_enable_x64``).
    ShapeError, ValueError
        There is more than one axis, an index outside 0 .. k - 1, or the rows take more than 16 GiB.
    DataError
        Masked or sparse class indices.

    Examples
    --------
    >>> one_hot(np.array([1, 0]), 3)
    array([[0., 1., 0.],
           [1., 0., 0.]])
    """
    given, y = y, host_array(y, "y")
    if y.ndim != 1 or y.size == 0:
        hint = "; use y.ravel()" if y.ndim == 2 and y.shape[1] == 1 else ""
        raise ShapeError(f"class indices must be one non-empty axis, got shape {y.shape}{hint}")
    if y.dtype.kind not in "iu":
        raise TypeError(
            f"class indices must be integers, got {y.dtype}; encode names with numpy.unique(return_inverse=True)"
        )
    k = int(y.max()) + 1 if k is None else int(k)
    if y.min() < 0:
        raise ValueError(f"class indices must be >= 0, got {y.min()}; encode classes as 0 .. k - 1")
    if y.max() >= k:
        raise ValueError(f"class indices must lie in 0 .. {k - 1}, got {y.min()} .. {y.max()}")
    if y.size * k * np.dtype(dtype).itemsize > _LARGEST:
        raise ValueError(
            f"rows for {y.size:,} samples of {k:,} classes take {y.size * k * np.dtype(dtype).itemsize / 1e9:,.0f} GB; "
            "number classes as 0 .. k - 1 with numpy.unique(return_inverse=True), or encode a block at a time"
        )
    Y: np.ndarray = np.zeros((y.size, k), dtype=dtype)
    Y[np.arange(y.size), y] = 1.0
    return _like(given, Y) if compat.is_array_api_obj(given) and not isinstance(given, np.ndarray) else Y


def _like(given: Array, Y: np.ndarray) -> Array:
    """Bring labels to the library and the device of the class indices."""
    labels = namespace(given).asarray(Y, device=device_of(given))
    if dtype_name(labels) != dtype_name(Y):
        raise TypeError(
            f"labels are {dtype_name(Y)} by default, which jax has after jax.config.update('jax_enable_x64', True); do "
            "so, or pass dtype=numpy.float32"
        )
    return labels


def centred_one_hot(y: Array, k: int | None = None, *, dtype: type = np.float64) -> Array:
    """Return rows e_y - 1/k (n, k): rank k - 1, and the same decisions as one-hot labels.

    Theorem: T5.

    Examples
    --------
    >>> centred_one_hot(np.array([1]), 4)
    array([[-0.25,  0.75, -0.25, -0.25]])
    """
    Y = one_hot(y, k, dtype=dtype)
    return Y - 1.0 / Y.shape[1]


def repeated_classes(k: int, points: int) -> np.ndarray:
    """Return ``points`` class indices in class-major order, each class as often as the others or once more.

    Examples
    --------
    >>> repeated_classes(3, 7)
    array([0, 0, 0, 1, 1, 2, 2])
    """
    if k < 1 or points < 1:
        raise ValueError(f"at least one class and one point are needed, got k = {k}, points = {points}")
    return np.sort(np.arange(points) % k)
