"""Arrays in an npz file: ``x_train, y_train`` and optionally ``x_test, y_test``."""

from __future__ import annotations

from pathlib import Path

from analytic_dd.data.dataset import Dataset
from analytic_dd.errors import DataError
from analytic_dd.files import MAX_BYTES, read_npz

__all__ = ["read_arrays"]

_WANTED = ("x_train", "y_train", "x_test", "y_test")


def read_arrays(path: str | Path, *, name: str | None = None, max_bytes: int = MAX_BYTES) -> Dataset:
    """Read a data set from an npz file.

    Parameters
    ----------
    path : str or Path
        With ``x_train`` (n, d), (n, h, w) or (n, h, w, c), ``y_train`` (n,) integers or text, and optionally
        ``x_test``, ``y_test``; without these a test part is set aside.
    name : str, optional
        Name of the data set. Default: that of the file.
    max_bytes : int
        A file that declares more is refused.

    Raises
    ------
    DataError
        An array is missing, is a pickle, or is no data set's (see :meth:`Dataset.from_arrays`); a damaged file.
    OSError
        The file cannot be opened.
    """
    path = Path(path)
    arrays = read_npz(path, max_bytes=max_bytes)
    for key in _WANTED[:2]:
        if key not in arrays:
            raise DataError(f"{path} has no {key}, but {', '.join(arrays) or 'nothing'}; store {', '.join(_WANTED)}")
    parts = [arrays.get(key) for key in _WANTED]
    return Dataset.from_arrays(*parts, name=name or path.stem, source=str(path), split=True)
