"""IDX, the format of MNIST: a magic number, the sizes as big-endian integers, then the numbers."""

from __future__ import annotations

import gzip
import io
import lzma
import math
import re
import struct
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from analytic_dd.data.archive import open_stream
from analytic_dd.data.dataset import Dataset
from analytic_dd.errors import DataError
from analytic_dd.files import MAX_BYTES

__all__ = ["find_idx", "has_all_idx", "is_idx", "read_idx", "read_idx_folder"]

_DTYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_CHUNK = 2**20
# How many bytes one byte on disk can become: deflate's limit; other decompressors have none worth a check.
_MOST: dict[type, float] = {gzip.GzipFile: 1032, io.BufferedReader: 1}


def read_idx(path: str | Path, *, max_bytes: int = MAX_BYTES) -> np.ndarray:
    """Read one IDX file, plain or compressed.

    Parameters
    ----------
    path : str or Path
        The file; gzip is recognised by its first bytes, not by its name.
    max_bytes : int
        A file that declares more is refused before it is unpacked.

    Returns
    -------
    array
        Of the declared shape, native byte order.

    Raises
    ------
    DataError
        Not an IDX file, a size that does not fit the file, truncated, damaged, or bytes after the end.
    OSError
        The file cannot be opened.
    """
    path = Path(path)
    with open_stream(path) as stream:
        try:
            shape, dtype = _header(stream, path)
            _check_size(path, math.prod(shape) * dtype.itemsize, max_bytes, _MOST.get(type(stream), math.inf))
            values = _values(stream, shape, dtype, path)
            if stream.read(1):
                raise DataError(f"{path} has bytes after the {values.nbytes:,} that it declares; it is damaged")
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise DataError(f"{path} is damaged or truncated ({error}); make or fetch it again") from error
    return values.astype(dtype.newbyteorder("="), copy=False)


def _header(stream: IO[bytes], path: Path) -> tuple[tuple[int, ...], np.dtype]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPES or not 1 <= magic[3] <= 8:
        start = magic.hex(" ") or "nothing"
        raise DataError(f"{path} is not an IDX file: it starts with {start}; images start with 00 00 08 03")
    sizes = stream.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise DataError(f"{path} is truncated: it ends within its header; make or fetch it again")
    return struct.unpack(f">{magic[3]}I", sizes), np.dtype(_DTYPES[magic[2]])


def _check_size(path: Path, declared: int, max_bytes: int, most: float) -> None:
    """Refuse a declared size that is too large, or that the file on disk cannot hold, before memory is taken."""
    if declared > max_bytes:
        raise DataError(f"{path} declares {declared:,} bytes, more than the {max_bytes:,} that are read")
    held = path.stat().st_size * most
    if declared > held:
        raise DataError(f"{path} is truncated: it declares {declared:,} bytes and cannot hold more than {held:,.0f}")


def _values(stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype, path: Path) -> np.ndarray:
    values = np.empty(shape, dtype)
    view = values.reshape(-1).view(np.uint8).data
    filled = 0
    while filled < len(view):
        got = stream.readinto(view[filled : filled + _CHUNK])  # type: ignore[attr-defined]
        if not got:
            raise DataError(f"{path} is truncated: it ends after {filled:,} of the {len(view):,} bytes it declares")
        filled += got
    return values


def is_idx(name: str) -> bool:
    """Say whether a file's name is that of an IDX file, such as ``train-images-idx3-ubyte.gz``."""
    return re.search(r"[-.]idx\d-ubyte(\.gz)?$", name) is not None


def find_idx(folder: Path, stem: str) -> Path | None:
    """Return the file of a part such as ``train-images``, packed or not, or None."""
    kind = "idx3" if stem.endswith("images") else "idx1"
    for name in (f"{stem}-{kind}-ubyte", f"{stem}.{kind}-ubyte"):
        for suffix in (".gz", ""):
            if (folder / (name + suffix)).is_file():
                return folder / (name + suffix)
    return None


def has_all_idx(folder: Path) -> bool:
    """Say whether images and labels of both parts are there."""
    return all(find_idx(folder, f"{part}-{kind}") for part in ("train", "t10k") for kind in ("images", "labels"))


def read_idx_folder(
    path: str | Path, *, name: str | None = None, classes: tuple[int | str, ...] | None = None
) -> Dataset:
    """Read the four IDX files of MNIST and its relatives.

    Parameters
    ----------
    path : str or Path
        The folder, or any file in it. ``train-images-idx3-ubyte`` and ``train-labels-idx1-ubyte`` are needed, the two
        of ``t10k`` optional (a test part is set aside without them); each plain or ``.gz``.
    name : str, optional
        Name of the data set. Default: that of the folder.
    classes : tuple, optional
        Names of the classes, by label. Default: the labels that occur.

    Raises
    ------
    DataError
        A file is missing or damaged, or they do not fit together.
    """
    path = Path(path)
    folder = path if path.is_dir() else path.parent
    train = _read_pair(folder, "train")
    has_test = find_idx(folder, "t10k-images") or find_idx(folder, "t10k-labels")
    test = _read_pair(folder, "t10k") if has_test else (None, None)
    title = name or folder.resolve().name
    return Dataset.from_arrays(*train, *test, name=title, source=str(folder), classes=classes, split=True)


def _read_pair(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    return read_idx(_needed(folder, f"{part}-images")), read_idx(_needed(folder, f"{part}-labels"))


def _needed(folder: Path, stem: str) -> Path:
    file = find_idx(folder, stem)
    if file is None:
        raise DataError(f"{folder} has no {stem}-idx*-ubyte, plain or .gz; a part needs its images and its labels")
    return file
