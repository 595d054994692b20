"""Array namespaces and the checks made once, at the public boundary.

One source serves numpy, torch (any device) and jax: the namespace comes from the arrays (``array-api-compat``), and
what comes in goes out, dtype and device included. Neither torch nor jax is imported here.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import array_api_compat as compat
import numpy as np

from analytic_dd.errors import DataError, ShapeError

__all__ = [
    "Array",
    "ArrayT",
    "as_count",
    "as_matrices",
    "as_matrix",
    "as_ridge",
    "as_weights",
    "cached_rows",
    "detached",
    "device_of",
    "eps_of",
    "host_array",
    "in_double",
    "namespace",
    "norm",
    "normal_like",
    "refuse_masked",
    "to_numpy",
    "without_autocast",
]

# For type checkers and editors, which need not have torch or jax; other libraries that array-api-compat knows work, too
if TYPE_CHECKING:
    import jax
    import torch

    Array: TypeAlias = np.ndarray | torch.Tensor | jax.Array
else:
    Array = Any

ArrayT = TypeVar("ArrayT", bound=Array)  # what comes in goes out

_CACHED_BYTES = 512 * 2**10
_FLOATS = ("float32", "float64")
_KINDS = ("cpu", "cuda", "mps", "xpu")  # of devices that torch casts on


def namespace(*arrays: Array) -> Any:
    """Return the array-API namespace shared by ``arrays``.

    Raises
    ------
    TypeError
        One of them is not an array (a list, say), or two come from different libraries.
    DataError
        There is a masked array, or a numpy.matrix, whose product is another.
    """
    for A in arrays:
        refuse_masked(A, "the array")
        if isinstance(A, np.matrix):
            raise DataError("expected an array, got numpy.matrix; use numpy.asarray, or .toarray() of a sparse matrix")
        if not compat.is_array_api_obj(A):
            raise TypeError(f"expected an array (numpy, torch or jax), got {type(A).__name__}; convert it first")
    try:
        return compat.array_namespace(*arrays)
    except TypeError as error:
        names = sorted({type(A).__module__.split(".")[0] for A in arrays})
        raise TypeError(
            f"arrays of one library are expected, got {' and '.join(names)}; convert one of them"
        ) from error


def eps_of(A: Array) -> float:
    """Return the unit round-off spacing (machine epsilon) of the dtype of ``A``."""
    return float(namespace(A).finfo(A.dtype).eps)


def dtype_name(A: Array) -> str:
    """Return the plain name of a dtype: ``float64`` for numpy, torch and jax alike."""
    return str(A.dtype).rsplit(".", maxsplit=1)[-1]


def as_matrix(
    A: ArrayT, name: str, *, rows: int | None = None, columns: int | None = None, finite: bool = True
) -> ArrayT:
    """Check that ``A`` is a finite real floating matrix of the given size, and return it, without its gradient.

    Parameters
    ----------
    A : (rows, columns) array
        float32 or float64. Integers are refused: images are converted by :mod:`analytic_dd.data`.
    name : str
        The name of ``A`` in a message.
    rows, columns : int, optional
        Required sizes.
    finite : bool
        Whether to look for NaN and infinity; False where the caller sees them in a sum that it needs anyway.

    Raises
    ------
    TypeError
        ``A`` is no array, or not of float32 or float64.
    ShapeError
        ``A`` is not two-dimensional, is empty, or has another size.
    ValueError
        There is NaN or infinity; the message says where the first one is.
    DataError
        ``A`` is a masked array.

    Notes
    -----
    *Cost.* One reduction over the array and no copy; positions are looked for only when something is wrong.

    Examples
    --------
    >>> as_matrix(np.array([[1.0, np.nan]]), "Phi")
    Traceback (most recent call last):
        ...
    ValueError: Phi must be finite, got nan at row 0, column 1; clean or drop that sample
    """
    refuse_masked(A, name)
    xp = namespace(A)
    A = detached(A)
    if A.ndim != 2:
        kind, one = ("outputs", "(1, -1) makes one row") if name == "W" else ("samples", "(-1, 1) makes one column")
        hint = f"; {name}.reshape{one}" if A.ndim == 1 else ""
        raise ShapeError(f"{name} must have two axes (rows are {kind}), got shape {tuple(A.shape)}{hint}")
    if dtype_name(A) not in _FLOATS:
        raise TypeError(f"{name} must be float32 or float64, got {dtype_name(A)}; convert it, e.g. to float64")
    if 0 in A.shape:
        raise ShapeError(f"{name} must not be empty, got shape {tuple(A.shape)}")
    for axis, wanted, what in ((0, rows, "rows"), (1, columns, "columns")):
        if wanted is not None and A.shape[axis] != wanted:
            raise ShapeError(f"{name} must have {wanted} {what}, got {A.shape[axis]} (shape {tuple(A.shape)})")
    # A finite sum proves finite entries without an array of booleans; an infinite one may also be an overflow.
    with np.errstate(over="ignore", invalid="ignore"):
        suspect = finite and not math.isfinite(float(xp.sum(A)))
    if suspect and not bool(xp.all(xp.isfinite(A))):
        row, column = (int(i) for i in np.argwhere(~np.isfinite(to_numpy(A)))[0])
        value = float(A[row, column])
        raise ValueError(f"{name} must be finite, got {value} at row {row}, column {column}; clean or drop that sample")
    return A


def as_matrices(**matrices: ArrayT) -> tuple[ArrayT, ...]:
    """Check several matrices with :func:`as_matrix` and bring them to their common floating dtype."""
    checked = [as_matrix(A, name) for name, A in matrices.items()]
    xp = namespace(*checked)
    dtype = xp.result_type(*checked)
    devices = {str(device_of(A)) for A in checked}
    if len(devices) > 1:
        raise ValueError(f"{', '.join(matrices)} must be on one device, got {' and '.join(sorted(devices))}; move one")
    return tuple(xp.astype(A, dtype, copy=False) for A in checked)


def as_ridge(ridge: float, name: str = "ridge") -> float:
    """Check a ridge: finite, at least 0. It is absolute: ``ridge * I`` is added to the Gram matrix."""
    if isinstance(ridge, (bool, str)) or ridge is None:
        raise TypeError(f"{name} must be a number >= 0, got {ridge!r}")
    try:
        value = float(ridge)
    except TypeError as error:
        one = np.ndim(ridge) == 0
        got = f"an object of type {type(ridge).__name__}" if one else f"{np.size(ridge)} numbers; pass one at a time"
        raise TypeError(f"{name} must be one number >= 0, got {got}") from error
    if not math.isfinite(value) or value < 0.0:
        raise ValueError(f"{name} must be finite and >= 0, got {value}; it is absolute, in units of squared features")
    return value


def as_count(value: Any, name: str) -> int:
    """Check a number of things: an integer >= 1, and no truth value.

    Examples
    --------
    >>> as_count(np.int64(3), "steps")
    3
    >>> as_count(1.9, "steps")
    Traceback (most recent call last):
        ...
    ValueError: steps must be an integer >= 1, got 1.9
    """
    if not hasattr(value, "__index__") or isinstance(value, bool) or np.ndim(value) or value < 1:
        raise ValueError(f"{name} must be an integer >= 1, got {value!r}")
    return int(value)


def as_weights(weights: Array, n: int) -> Array:
    """Check sample weights: one finite number >= 0 for each of ``n`` samples, float32 or float64.

    Examples
    --------
    >>> as_weights(np.array([1.0, -2.0]), 2)
    Traceback (most recent call last):
        ...
    ValueError: sample weights must be finite and >= 0, got -2.0 for sample 1; a weight of 0 drops a sample
    """
    if isinstance(weights, (str, bytes)):
        raise TypeError(
            f"sample weights must be an array of {n} numbers, got {weights!r}; scikit-learn's compute_sample_weight("
            "'balanced', y) makes one"
        )
    xp = namespace(weights)
    if tuple(weights.shape) != (n,):
        raise ShapeError(f"sample weights must have shape {(n,)}, one for each sample, got {tuple(weights.shape)}")
    if dtype_name(weights) not in _FLOATS:
        raise TypeError(f"sample weights must be float32 or float64, got {dtype_name(weights)}; convert them")
    if not bool(xp.all(xp.isfinite(weights) & (weights >= 0.0))):
        host = to_numpy(weights)
        worst = int(np.flatnonzero(~(np.isfinite(host) & (host >= 0.0)))[0])
        raise ValueError(
            f"sample weights must be finite and >= 0, got {host[worst]} for sample {worst}; "
            "a weight of 0 drops a sample"
        )
    return weights


def cached_rows(A: np.ndarray) -> Iterator[slice]:
    """Yield slices of rows that stay in the cache, for several operations on each entry of a large array."""
    step = max(1, _CACHED_BYTES * len(A) // max(1, A.nbytes))
    for start in range(0, len(A), step):
        yield slice(start, start + step)


def in_double(A: Array) -> Array:
    """Return ``A`` in float64 on its own device, without its gradient, and without a copy when it already is.

    Raises
    ------
    TypeError
        The library or the device has no float64 (jax without ``jax_enable_x64``).
    """
    xp = namespace(A)
    A = detached(A)
    if dtype_name(A) == "float64":
        return A
    if compat.is_jax_array(A) and dtype_name(xp.asarray(0.0)) != "float64":  # astype would stay in float32 and warn
        raise TypeError('sums are kept in float64; call jax.config.update("jax_enable_x64", True) first')
    try:
        return xp.astype(A, xp.float64)
    except (TypeError, RuntimeError) as error:
        raise TypeError("sums are kept in float64, which this device does not have; move the arrays") from error


def detached(A: ArrayT) -> ArrayT:
    """Return a tensor without its gradient, which a sum over blocks would keep alive, and other arrays as they are."""
    if not getattr(A, "requires_grad", False):
        return A
    tensor: Any = A
    return cast(ArrayT, tensor.detach())


def refuse_masked(A: Array, name: str) -> None:
    """Refuse a masked array, because numpy hands on what lies under the mask as if it were data.

    Examples
    --------
    >>> refuse_masked(np.ma.masked_equal([1.0, -9.0, 3.0], -9.0), "y")
    Traceback (most recent call last):
        ...
    analytic_dd.errors.DataError: y has 1 masked entry, the first at (1,); drop those samples, or fill them with .filled
    """
    if isinstance(A, np.ma.MaskedArray):
        places = np.argwhere(np.ma.getmaskarray(A))
        if not len(places):
            raise DataError(f"{name} is a masked array with nothing masked; pass its .data")
        first, entries = tuple(map(int, places[0])), f"{len(places)} masked entr{'y' if len(places) == 1 else 'ies'}"
        raise DataError(f"{name} has {entries}, the first at {first}; drop those samples, or fill them with .filled")


def host_array(values: object, name: str) -> np.ndarray:
    """Return an array of any library, a list, or a column or table of pandas as a numpy array.

    Raises
    ------
    DataError
        The array is masked or sparse, rows differ in length, or numpy does not have the kind of numbers (bfloat16).

    Examples
    --------
    >>> host_array([[1, 2], [3]], "x")
    Traceback (most recent call last):
        ...
    analytic_dd.errors.DataError: x must have rows of equal length, got a list of 2 that has not; pad or resize them
    """
    refuse_masked(values, name)
    if hasattr(values, "toarray") or getattr(values, "is_sparse", False):
        dense = next(one for one in ("toarray", "to_dense", "todense") if hasattr(values, one))
        raise DataError(
            f"{name} is sparse ({type(values).__name__}), which is not read; make it dense, e.g. with .{dense}()"
        )
    try:
        array = to_numpy(values) if compat.is_array_api_obj(values) else np.asarray(values)
    except TypeError as error:
        kind = dtype_name(values) if hasattr(values, "dtype") else type(values).__name__
        raise DataError(f"{name} has numbers of kind {kind}, which numpy has not; convert it to float32") from error
    except ValueError as error:
        many = f"a list of {len(values)}" if isinstance(values, list | tuple) else type(values).__name__
        raise DataError(
            f"{name} must have rows of equal length, got {many} that has not; pad or resize them"
        ) from error
    if array.dtype.name == "bfloat16" or array.dtype.name.startswith("float8"):
        raise DataError(f"{name} has numbers of kind {array.dtype.name}, which numpy has not; convert it to float32")
    return np.asarray(array)


def to_numpy(A: Array) -> np.ndarray:
    """Return ``A`` as a numpy array on the host (no copy when it is one)."""
    if isinstance(A, np.ndarray):
        return A
    if compat.is_torch_array(A):
        return A.detach().cpu().numpy()  # type: ignore[no-any-return]
    if compat.is_jax_array(A) or not hasattr(A, "__dlpack__"):
        return np.asarray(A)
    return np.from_dlpack(A)


def normal_like(A: Array, rows: int, columns: int, rng: np.random.Generator) -> Array:
    """Draw a matrix of standard normal numbers in the library, dtype and device of ``A``."""
    return namespace(A).asarray(rng.standard_normal((rows, columns)), dtype=A.dtype, device=device_of(A))


def device_of(A: Array) -> Any:
    """Return the device of ``A``; None, the default one, of an array that jax traces."""
    return compat.device(A)


def norm(A: Array) -> float:
    """Return the Frobenius norm of ``A`` without overflow or underflow of its squares."""
    xp = namespace(A)
    scale = float(xp.max(xp.abs(A))) if math.prod(A.shape) else 0.0
    if scale == 0.0 or not math.isfinite(scale):
        return scale
    return scale * math.sqrt(float(xp.sum((A / scale) ** 2)))


@contextmanager
def without_autocast() -> Iterator[None]:
    """Let torch compute in the dtype of its tensors where the caller has it cast them; also a decorator.

    torch.autocast holds for one thread, and what its blocks multiply in float32 has the digits of bfloat16.
    """
    torch: Any = sys.modules.get("torch")
    with ExitStack() as stack:
        for kind in _KINDS if torch is not None else ():
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield
