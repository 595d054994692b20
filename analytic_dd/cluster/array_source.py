"""Samples and labels in files that every worker opens itself, so that no data travel."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analytic_dd.errors import DataError, optional
from analytic_dd.files import expanded, file_error, open_file

__all__ = ["ArraySource"]


@dataclass(frozen=True)
class ArraySource:
    """Two arrays on a disk that all workers see: npy files (memory-mapped) or zarr arrays.

    Attributes
    ----------
    x, y : str or Path
        Paths of the samples (n, ...) and of the labels (n,) integers or (n, k) floats. A name that ends in ``.npy`` is
        a npy file, and any other a zarr array.
    name, sha256 : str
        A name and a hash for the provenance, by which the owner knows the content.

    Examples
    --------
    >>> ArraySource("none.npy", "none.npy").open()
    Traceback (most recent call last):
        ...
    FileNotFoundError: [Errno 2] cannot read none.npy: no such file or directory; check the path
    """

    x: str | Path
    y: str | Path
    name: str = "arrays"
    sha256: str = ""

    def __post_init__(self) -> None:
        for name in ("x", "y"):
            object.__setattr__(self, name, str(expanded(getattr(self, name))))

    def open(self) -> tuple[Any, Any]:
        """Return both arrays, from which slices are read when they are asked for.

        Raises
        ------
        DataError
            A file is no array, holds objects, or their lengths differ.
        OSError
            A file is missing.
        """
        x, y = _open(self.x), _open(self.y)
        if x.ndim < 2 or x.shape[0] != y.shape[0] or x.shape[0] == 0:
            raise DataError(
                f"{self.x} and {self.y} must hold samples (n, ...) and n labels, got shapes {x.shape} and {y.shape}"
            )
        return x, y

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Return samples ``start`` to ``stop`` and their labels, in memory."""
        x, y = self.open()
        return np.array(x[start:stop]), np.array(y[start:stop])


def _open(path: str | Path) -> Any:
    path = str(path)
    array = _mapped(path) if path.endswith(".npy") else _zarr(path)
    if array.dtype.kind not in "buif":
        raise DataError(f"{path} must hold numbers, got dtype {array.dtype}; convert it")
    return array


def _mapped(path: str) -> np.ndarray:
    open_file(path).close()  # a device or a pipe is refused before it is read
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
    except OSError as error:
        raise file_error(path, error, "read") from error
    except (ValueError, EOFError, ArithmeticError) as error:
        raise DataError(f"{path} is not a npy file of numbers ({error}); make it again") from error


def _zarr(path: str) -> Any:
    if not Path(path).exists():
        raise file_error(path, FileNotFoundError(2, "no such file or directory"), "read")
    zarr = optional("zarr", "zarr", extra="dask", what=f"read {path}")
    try:
        return zarr.open_array(path, mode="r")
    except Exception as error:  # zarr raises errors of its own, of no common class
        raise DataError(f"{path} is not a zarr array ({error}); name a npy file or a zarr array") from error
