"""Files: atomic writes, and npz archives read without trusting them.

A write goes to a temporary name beside the target and is renamed when complete: an interrupted or failed write leaves
the old file as it was. A read never unpickles and refuses an archive by its *declared* size before reading it.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import shutil
import struct
import tempfile
import tokenize
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import IO

import numpy as np

from analytic_dd.errors import DataError

__all__ = ["MAX_BYTES", "atomic_write", "file_error", "read_npz", "staged", "write_npz"]

MAX_BYTES = 16 * 2**30  # the largest content that a reader unpacks; ImageNet at 64x64 in uint8 is 15.7 GB

_UNREADABLE = (ValueError, TypeError, LookupError, OverflowError, RuntimeError)  # what parsing hostile bytes may raise


def file_error(path: str | Path, error: OSError, what: str = "write") -> OSError:
    """Return ``error`` again as one line that names the file, the reason and the remedy."""
    reason = error.strerror or str(error)
    remedy = {
        "ENOSPC": "free some space or choose another folder",
        "EDQUOT": "free some space or choose another folder",
        "EACCES": "choose a folder that you may write to" if what == "write" else "check its permissions",
        "EROFS": "choose a folder that you may write to",
        "ENOENT": "check the path",
    }.get(_code(error), "check the path")
    return type(error)(error.errno, f"cannot {what} {path}: {reason.lower()}; {remedy}")


def _code(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, "")


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a temporary binary file that becomes ``path`` when the block ends without an exception.

    Raises
    ------
    OSError
        The folder cannot be written, the disk is full, ...; the message names ``path`` and a remedy. Whatever
        stood at ``path`` before is still there, and the temporary file is gone.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)  # mkstemp makes it private; a result is an ordinary file
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise file_error(path, error) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


@contextlib.contextmanager
def staged(folder: str | Path, *, without: Collection[str] = ()) -> Iterator[Path]:
    """Give out a temporary folder inside ``folder``; its files move there together when the block ends well.

    Files named in ``without``, pictures of what is replaced, are removed from ``folder`` then. An exception or an
    interrupt leaves what stood in ``folder`` before, and no folder that was not there.

    Raises
    ------
    OSError
        The folder cannot be made or written; raised before the block runs.
    """
    folder = Path(folder)
    existed = folder.is_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=folder))
    except OSError as error:
        raise file_error(folder, error) from error
    try:
        yield staging
        for name in without:
            (folder / name).unlink(missing_ok=True)
        for file in sorted(staging.iterdir()):
            os.replace(file, folder / file.name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if not existed:
            with contextlib.suppress(OSError):
                folder.rmdir()  # fails, as it should, when the results are there


def write_npz(path: str | Path, arrays: Mapping[str, np.ndarray], *, compress: bool = False) -> None:
    """Write ``arrays`` to an npz file atomically, without pickles and with the same bytes for the same arrays.

    Raises
    ------
    TypeError
        An array has dtype object, which only a pickle could hold.
    OSError
        See :func:`atomic_write`.
    """
    kind = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with atomic_write(path) as stream, zipfile.ZipFile(stream, "w", kind) as archive:
        for name, value in arrays.items():
            array = np.asarray(value)
            if array.dtype.hasobject:
                raise TypeError(f"{name} has dtype object, which npz stores as a pickle; convert it to numbers or text")
            member = zipfile.ZipInfo(f"{name}.npy")  # ZipInfo's default date is fixed: equal content, equal bytes
            member.compress_type = kind
            with archive.open(member, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.ascontiguousarray(array).reshape(array.shape), allow_pickle=False)


def read_npz(
    path: str | Path, *, max_bytes: int = MAX_BYTES, most_inflation: float = math.inf
) -> dict[str, np.ndarray]:
    """Read every array of an npz file; nothing is unpickled, nothing is extracted.

    Raises
    ------
    DataError
        Not an npz file, a damaged one, one with a pickled array, or one that declares more than ``max_bytes`` or than
        ``most_inflation`` times its own size.
    OSError
        The file cannot be opened.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            declared = sum(member.file_size for member in members)
            if declared > max_bytes:
                raise DataError(
                    f"{path} declares {declared:,} bytes of arrays, more than the {max_bytes:,} that are read; "
                    "split it, or raise max_bytes if you trust it"
                )
            size = path.stat().st_size
            if declared > most_inflation * size:
                raise DataError(
                    f"{path} declares {declared:,} bytes of arrays in a file of {size:,}; it is damaged or hostile: "
                    "make or fetch it again"
                )
            return {member.filename.removesuffix(".npy"): _read_member(archive, member, path) for member in members}
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, struct.error, *_UNREADABLE) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # EINVAL: a damaged offset
            raise file_error(path, error, "read") from error
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{path} is not a readable npz file ({error}); it may be damaged: make or fetch it again"
        ) from error


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> np.ndarray:
    """Read one .npy member after checking that its header matches its declared size."""
    with archive.open(member) as file:
        try:
            version = np.lib.format.read_magic(file)
            read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, _, dtype = read_header[version](file)
        except (*_UNREADABLE, SyntaxError, MemoryError, tokenize.TokenError) as error:  # the header is Python text
            raise DataError(f"{path}: member {member.filename!r} is not a numpy array ({error})") from error
    if dtype.hasobject:
        raise DataError(f"{path}: member {member.filename!r} is a pickle, which is never loaded; store plain arrays")
    if math.prod(shape) * dtype.itemsize > member.file_size:
        raise DataError(f"{path}: member {member.filename!r} is shorter than its header says; it is damaged")
    with archive.open(member) as file:
        try:
            return np.asarray(np.lib.format.read_array(file, allow_pickle=False))
        except _UNREADABLE as error:
            raise DataError(f"{path}: member {member.filename!r} is damaged ({error})") from error
