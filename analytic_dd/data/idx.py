"""IDX, the format of MNIST: a magic number, the sizes as big-endian integers, then the numbers.

A set is four files, ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte`` and the same of ``t10k`` or ``test``, each
plain or ``.gz``, with a dot in the place of a dash (Kaggle), with a prefix (EMNIST), in a folder of its own name
(Kaggle), below ``MNIST/raw`` (torchvision), or in a tar or a zip.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import math
import os
import re
import struct
import zlib
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from analytic_dd.data.archive import members, open_stream, title
from analytic_dd.data.dataset import Dataset
from analytic_dd.errors import DataError
from analytic_dd.files import MAX_BYTES, file_error, may_unpack_to

__all__ = ["has_all_idx", "is_idx", "read_idx", "read_idx_folder"]

_DTYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_CHUNK = 2**20
_NAME = re.compile(
    r"(?:(?P<set>.+)-)?(?P<part>train|t10k|test)-(?P<kind>images|labels)[-.]idx\d-ubyte(?P<packed>\.gz)?"
)
_DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError)


def read_idx(path: str | Path, *, max_bytes: int = MAX_BYTES) -> np.ndarray:
    """Read one IDX file, plain or compressed.

    Parameters
    ----------
    path : str or Path
        The file; gzip is recognised by its first bytes, not by its name.
    max_bytes : int
        A file that declares more is refused before it is unpacked, as is one that declares more than
        :func:`analytic_dd.files.may_unpack_to`.

    Returns
    -------
    array
        The array, of the declared shape and in native byte order.

    Raises
    ------
    DataError
        The file is no IDX file, has another size than it declares, or is damaged.
    OSError
        The file cannot be opened.
    """
    path = Path(path)
    with open_stream(path) as stream:
        return _read(stream, path.stat().st_size, str(path), max_bytes)


def _read(stream: IO[bytes], size: int, where: str, max_bytes: int = MAX_BYTES) -> np.ndarray:
    """Read an array from a stream that unpacks ``size`` bytes."""
    try:
        shape, dtype = _header(stream, where)
        packed = isinstance(stream, gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile)
        _check_size(where, math.prod(shape) * dtype.itemsize, size, may_unpack_to(size, max_bytes), packed, max_bytes)
        values = _values(stream, shape, dtype, where)
        if stream.read(1):
            raise DataError(f"{where} has bytes after the {values.nbytes:,} that it declares; it is damaged")
    except _DAMAGED as error:
        raise DataError(f"{where} is damaged or truncated ({error}); make or fetch it again") from error
    return values.astype(dtype.newbyteorder("="), copy=False)


def _header(stream: IO[bytes], where: str) -> tuple[tuple[int, ...], np.dtype]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPES or not 1 <= magic[3] <= 8:
        start = magic.hex(" ") or "nothing"
        raise DataError(f"{where} is not an IDX file: it starts with {start}; images start with 00 00 08 03")
    sizes = stream.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise DataError(f"{where} is truncated: it ends within its header; make or fetch it again")
    return struct.unpack(f">{magic[3]}I", sizes), np.dtype(_DTYPES[magic[2]])


def _check_size(where: str, declared: int, size: int, most: int, packed: bool, max_bytes: int) -> None:
    """Refuse a declared size that is too large, or that the file on disk cannot hold, before memory is taken."""
    if declared > max_bytes:
        raise DataError(f"{where} declares {declared:,} bytes, more than the {max_bytes:,} that are read")
    if not packed and declared > size:
        raise DataError(f"{where} is truncated: it declares {declared:,} bytes and holds no more than {size:,}")
    if declared > most:
        raise DataError(
            f"{where} declares {declared:,} bytes in {size:,} packed ones, more than the {most:,} that are read; it is "
            "truncated or hostile: unpack it yourself if you trust it"
        )


def _values(stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype, where: str) -> np.ndarray:
    values = np.empty(shape, dtype)
    view = values.reshape(-1).view(np.uint8).data
    filled = 0
    while filled < len(view):
        got = stream.readinto(view[filled : filled + _CHUNK])  # type: ignore[attr-defined]
        if not got:
            raise DataError(f"{where} is truncated: it ends after {filled:,} of the {len(view):,} bytes it declares")
        filled += got
    return values


def is_idx(name: str) -> bool:
    """Say whether a file's name is that of an IDX file of a set, such as ``train-images-idx3-ubyte.gz``."""
    return _NAME.fullmatch(name.rsplit("/", maxsplit=1)[-1]) is not None


def has_all_idx(folder: Path) -> bool:
    """Say whether images and labels of both parts of a set without a prefix are directly in a folder."""
    try:
        names = [_NAME.fullmatch(entry.name) for entry in os.scandir(folder)] if folder.is_dir() else []
    except OSError as error:
        raise file_error(folder, error, "read") from error
    found = {(m["part"] == "train", m["kind"]) for m in names if m is not None and not m["set"]}
    return len(found) == 4


@dataclass(frozen=True)
class _Member:
    """What the name of a file says: its folder, the prefix of the set, the part and the kind."""

    name: str
    folder: str
    prefix: str
    part: str
    kind: str

    @classmethod
    def of(cls, name: str) -> _Member | None:
        """Return what a name says, or None for one that is no IDX file's."""
        folder, _, file = name.rpartition("/")
        found = _NAME.fullmatch(file)
        if found is None:
            return None
        above, _, own = folder.rpartition("/")
        folder = above if own in (file, file.removesuffix(".gz")) else folder  # Kaggle: a folder a file, of its name
        part = "train" if found["part"] == "train" else "test"
        return cls(name, folder, found["set"] or "", part, found["kind"])


def read_idx_folder(
    path: str | Path, *, name: str | None = None, classes: tuple[int | str, ...] | None = None
) -> Dataset:
    """Read the IDX files of MNIST and its relatives.

    Parameters
    ----------
    path : str or Path
        The folder, any file in it, a folder above it, a tar or a zip. Images and labels for training are needed, those
        of the test part optional (one is set aside without them). Of several sets, name the folder or a file of one.
        EMNIST's images lie on their side, as published.
    name : str, optional
        Name of the data set. Default: the prefix of its files, or else the name of the folder or archive.
    classes : tuple, optional
        Names of the classes, by label. Default: the labels that occur.

    Raises
    ------
    DataError
        A file is missing or damaged, there are several sets, or images and labels do not fit together.
    """
    path = Path(path)
    own = _Member.of(path.name) if path.is_file() else None
    root = path if own is None else path.parent
    chosen = _one_set(root, own)
    arrays = _arrays(root, {member.name: key for key, member in chosen.items()})
    parts = [_pair(root, arrays, part) for part in ("train", "test")]
    prefix = next(iter(chosen.values())).prefix
    called = name or prefix or title(root)
    return Dataset.from_arrays(*parts[0], *parts[1], name=called, source=str(root), classes=classes, split=True)


def _one_set(root: Path, own: _Member | None) -> dict[tuple[str, str], _Member]:
    """Return the files of the one set that is there, by part and kind; of a packed and a plain one the packed."""
    sets: dict[tuple[str, str], dict[tuple[str, str], _Member]] = {}
    with closing(members(root)) as found:
        for name, _ in found:
            member = _Member.of(name)
            if member is None or (own is not None and (member.prefix != own.prefix or "/" in name)):
                continue
            of_set = sets.setdefault((member.folder, member.prefix), {})
            if (member.part, member.kind) not in of_set or name.endswith(".gz"):
                of_set[member.part, member.kind] = member
    if not sets:
        raise DataError(f"{root} has no train-images-idx3-ubyte, plain or .gz; wanted training images and labels")
    if len(sets) > 1:
        where = ", ".join("/".join(filter(None, key)) or "." for key in sorted(sets))
        raise DataError(f"{root} must have one set of IDX files, got {where}; name the folder or a file of one")
    return next(iter(sets.values()))


def _arrays(root: Path, wanted: dict[str, tuple[str, str]]) -> dict[tuple[str, str], np.ndarray]:
    """Read the arrays of the members that are wanted, in the order in which they come."""
    if root.is_dir():
        return {key: read_idx(root / name) for name, key in wanted.items()}
    arrays = {}
    with closing(members(root)) as found:
        for name, read in found:
            if name in wanted:
                data = read()
                stream: IO[bytes] = io.BytesIO(data)
                stream = gzip.GzipFile(fileobj=stream) if data.startswith(b"\x1f\x8b") else stream  # type: ignore[assignment]
                arrays[wanted[name]] = _read(stream, len(data), f"{root}: {name!r}")
    return arrays


def _pair(root: Path, arrays: dict[tuple[str, str], np.ndarray], part: str) -> tuple[np.ndarray | None, ...]:
    pair = tuple(arrays.get((part, kind)) for kind in ("images", "labels"))
    for array, kind, other in zip(pair, ("images", "labels"), ("labels", "images"), strict=True):
        if array is None and (part == "train" or arrays.get((part, other)) is not None):
            stem = f"{'train' if part == 'train' else 't10k'}-{kind}"
            raise DataError(f"{root} has no {stem}-idx*-ubyte, plain or .gz; a part needs its images and its labels")
    return pair
