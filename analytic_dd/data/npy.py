"""One array from an npy file, without trusting it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from analytic_dd.errors import DataError
from analytic_dd.files import file_error

__all__ = ["read_floats", "read_npy"]


def read_npy(path: str | Path) -> np.ndarray:
    """Read the array of an npy file; nothing is unpickled.

    Raises
    ------
    DataError
        Not an npy file, or an archive of several arrays.
    OSError
        The file cannot be opened.
    """
    path = Path(path)
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)  # a size beyond the file's is refused, not allocated
    except (ValueError, EOFError) as error:
        raise DataError(f"{path} is not a readable npy file ({error}); save an array with numpy.save") from error
    except OSError as error:
        raise file_error(path, error, "read") from error
    if not isinstance(mapped, np.ndarray):
        mapped.close()
        raise DataError(f"{path} is an archive, not one array; name it .npz and store x (and y)")
    return np.array(mapped)


def read_floats(path: str | Path, what: str) -> np.ndarray:
    """Read an array of numbers as float64; ``what`` names it in the message.

    Raises
    ------
    DataError
        As :func:`read_npy`, or an array of something else than numbers.
    """
    array = read_npy(path)
    if array.dtype.kind not in "buif":
        raise DataError(f"{path} must hold {what} as numbers, got dtype {array.dtype}; save an array of floats")
    return np.asarray(array, dtype=np.float64)
