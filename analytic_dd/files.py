"""Files: atomic writes, and npz and npy files read without trusting them.

A write goes to a temporary name beside the target and is renamed when complete: an interrupted or failed write leaves
the old file as it was, and the next write removes what a killed one left. A read never unpickles, opens regular files
only, and refuses a file by its *declared* size before reading it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import secrets
import stat
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from analytic_dd.errors import DataError
from analytic_dd.memory import require_memory

__all__ = [
    "MAX_BYTES",
    "MOST_INFLATION",
    "array_names",
    "atomic_write",
    "expanded",
    "file_error",
    "may_unpack_to",
    "open_file",
    "read_npy",
    "read_npz",
    "take_lock",
    "to_json",
    "write_npz",
]

MAX_BYTES = 16 * 2**30  # the largest content that a reader unpacks; ImageNet at 64x64 in uint8 is 15.7 GB
MOST_INFLATION = 100  # times its size that a file may unpack to; images shrink to a tenth
_SMALL = 64 * 2**20  # bytes that any file may unpack to

_UNREADABLE = (ValueError, TypeError, LookupError, ArithmeticError, RuntimeError)  # for hostile bytes


def expanded(path: str | Path) -> Path:
    """Return a path with ``~`` replaced by the home folder.

    Raises
    ------
    DataError
        There is no home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise DataError(f"{path} begins with ~, and this user has no home folder; write the whole path") from error


def file_error(path: str | Path, error: OSError, what: str = "write") -> OSError:
    """Return ``error`` again as one line that names the file, the reason and the remedy."""
    reason = error.strerror or str(error)
    remedy = {
        "ENOSPC": "free some space or choose another folder",
        "EDQUOT": "free some space or choose another folder",
        "EACCES": "choose a folder that you may write to" if what == "write" else "check its permissions",
        "EROFS": "choose a folder that you may write to",
        "ENOENT": "check the path",
    }.get(errno.errorcode.get(error.errno or 0, ""), "check the path")
    return type(error)(error.errno, f"cannot {what} {path}: {reason.lower()}; {remedy}")


def open_file(path: str | Path) -> IO[bytes]:
    """Open a regular file for reading, and refuse a device or a pipe, which may have no end.

    Raises
    ------
    DataError
        It is a device, a pipe or a socket.
    OSError
        There is no such file, or it may not be read; the message names it.

    Examples
    --------
    >>> open_file("/dev/null")
    Traceback (most recent call last):
        ...
    analytic_dd.errors.DataError: /dev/null is not a regular file; copy what it gives into one
    """
    path = expanded(path)
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode):
            os.close(handle)
            if stat.S_ISDIR(mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            raise DataError(f"{path} is not a regular file; copy what it gives into one")
    except OSError as error:
        raise file_error(path, error, "read") from error
    return os.fdopen(handle, "rb")


def may_unpack_to(size: int, max_bytes: int = MAX_BYTES) -> int:
    """Return to how many bytes a file of ``size`` may unpack: 64 MB, or 100 times its size up to ``max_bytes``."""
    return min(max_bytes, max(_SMALL, MOST_INFLATION * size))


def take_lock(handle: int) -> bool | None:
    """Try to lock an open file until it is closed or its process ends; None where the system has no such locks."""
    try:
        import fcntl
    except ImportError:  # Windows; there a killed run leaves its files
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network file systems
        return None
    return True


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a temporary binary file that becomes ``path`` when the block ends without an exception.

    Raises
    ------
    OSError
        The folder cannot be written, or the disk is full; the message names ``path`` and a remedy. The file that stood
        at ``path`` before is still there, and the temporary file is gone.
    """
    path = expanded(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        _sweep(path)
        handle, temporary = _temporary(path)
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            os.replace(temporary, path)
            temporary = None
    except OSError as error:
        raise file_error(path, error) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def _temporary(path: Path) -> tuple[int, Path]:
    """Create a file beside ``path`` with the permissions of an ordinary one, and lock it."""
    while True:
        name = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        with contextlib.suppress(FileExistsError):
            handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
            if take_lock(handle) is not False and name.exists():
                return handle, name
            os.close(handle)  # another process took it for one that was left behind


def _sweep(path: Path) -> None:
    """Remove temporary files of ``path`` that nobody has locked, because their process was killed."""
    with os.scandir(path.parent) as entries:
        left = [e.path for e in entries if e.name.startswith(f".{path.name}.") and e.name.endswith(".part")]
    for name in left:
        with contextlib.suppress(OSError), open(name, "rb+") as stream:
            if take_lock(stream.fileno()):
                os.unlink(name)


def write_npz(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write ``arrays`` to an npz file atomically, without pickles and with the same bytes for the same arrays.

    Raises
    ------
    TypeError
        An array has dtype object, which only a pickle could hold.
    OSError
        See :func:`atomic_write`.
    """
    with atomic_write(path) as stream, _Archive(stream, "w") as archive:
        for name, value in arrays.items():
            array = np.asarray(value)
            if array.dtype.hasobject:
                raise TypeError(f"{name} has dtype object, which npz stores as a pickle; convert it to numbers or text")
            member = zipfile.ZipInfo(f"{name}.npy")  # ZipInfo's default date is fixed: equal content, equal bytes
            with archive.open(member, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.ascontiguousarray(array).reshape(array.shape), allow_pickle=False)


class _Archive(zipfile.ZipFile):
    """A zip that is completed where nothing went wrong: else its file is gone, and closing it would hide the error."""

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> None:
        if kind is None:
            self.close()

    __del__ = object.__init__  # it does nothing, and in C: what a signal raises in a finaliser of Python is lost


def read_npz(
    path: str | Path,
    *,
    names: Collection[str] | None = None,
    max_bytes: int = MAX_BYTES,
    most_inflation: float | None = None,
    remedy: str = "read it on a machine with more memory",
) -> dict[str, np.ndarray]:
    """Read arrays of an npz file; nothing is unpickled, nothing is extracted.

    Parameters
    ----------
    path : str or Path
    names : collection of str, optional
        The arrays to read where they exist; other members may be anything. By default all members are read.
    max_bytes : int
        The most bytes that those may declare together.
    most_inflation : float, optional
        How many times the file's size they may declare; :func:`may_unpack_to` says it by default.
    remedy : str
        What to do where the arrays exceed the memory of the machine.

    Raises
    ------
    DataError
        The file is no npz file or damaged, an array is a pickle or comes twice, or too much is declared.
    MemoryError
        The arrays exceed the memory of the machine.
    OSError
        The file cannot be opened.
    """
    path = expanded(path)
    with open_file(path) as stream, _damage(path), zipfile.ZipFile(stream) as archive:
        members = _members(archive, names)
        declared, size = sum(member.file_size for member in members.values()), os.fstat(stream.fileno()).st_size
        most = may_unpack_to(size, max_bytes) if most_inflation is None else min(max_bytes, most_inflation * size)
        if declared > most:
            raise DataError(
                f"{path} declares {declared:,} bytes of arrays in a file of {size:,}, more than the {most:,.0f} that "
                "are read; if you trust it, store it uncompressed with numpy.savez, or split it"
            )
        require_memory(declared, f"the arrays of {path}", remedy)
        return {
            name: _read_array(partial(archive.open, member), member.file_size, f"{path}: {member.filename}")
            for name, member in members.items()
        }


def array_names(path: str | Path) -> list[str]:
    """Return the names of the arrays in an npz file, which is not read otherwise; errors as :func:`read_npz`."""
    with open_file(path) as stream, _damage(expanded(path)), zipfile.ZipFile(stream) as archive:
        return list(_members(archive, None))


def _members(archive: zipfile.ZipFile, names: Collection[str] | None) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name == member.filename or (names is not None and name not in names):
            continue
        if name in found:
            raise DataError(f"{name} comes twice; store each array once")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DataError(f"{name} is packed by method {member.compress_type}, not by deflate; store it with numpy")
        found[name] = member
    return found


@contextlib.contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Turn the errors of zipfile and numpy for damaged input into one line."""
    try:
        yield
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, struct.error, *_UNREADABLE) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # EINVAL: a damaged offset
            raise file_error(path, error, "read") from error
        if isinstance(error, DataError):
            raise error if str(path) in str(error) else DataError(f"{path}: {error}") from error
        raise DataError(
            f"{path} is not a readable npz file ({error}); it may be damaged: make or fetch it again"
        ) from error


def read_npy(path: str | Path) -> np.ndarray:
    """Read the array of an npy file; nothing is unpickled.

    Raises
    ------
    DataError
        The file is no npy file, damaged, or an archive of several arrays.
    MemoryError
        The array exceeds the memory of the machine.
    OSError
        The file cannot be opened.
    """
    path = expanded(path)
    with open_file(path) as stream:
        if stream.read(4) == b"PK\x03\x04":
            raise DataError(f"{path} is an archive, not one array; name it .npz and store x (and y)")
        size = os.fstat(stream.fileno()).st_size
    require_memory(size, f"the array of {path}", "take fewer samples, or sum slices of it with cluster.shard_tasks")
    return _read_array(partial(open_file, path), size, str(path))


def _read_array(opened: Callable[[], IO[bytes]], size: int, where: str) -> np.ndarray:
    """Read one array in numpy's format, after a check that its header matches the ``size`` that is there."""
    with opened() as file:
        try:
            version = np.lib.format.read_magic(file)
            read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, _, dtype = read_header[version](file)
            size -= file.tell()
        except (*_UNREADABLE, SyntaxError, MemoryError, tokenize.TokenError) as error:  # the header is Python text
            raise DataError(f"{where} is not a numpy array ({error}); save one with numpy") from error
    if dtype.hasobject:
        raise DataError(
            f"{where} has dtype object, which is stored as a pickle, and pickles are never loaded; save .astype(str) "
            "or numbers"
        )
    if dtype.names is not None or dtype.itemsize == 0 or dtype.kind == "V":
        raise DataError(f"{where} must hold numbers or text, got dtype {dtype}; store each column as an array")
    declared = math.prod(shape) * dtype.itemsize
    if declared > size:
        raise DataError(f"{where} is shorter than its header says; it is damaged, make or fetch it again")
    if declared > MAX_BYTES:
        raise DataError(f"{where} declares {declared:,} bytes, more than the {MAX_BYTES:,} that are read; split it")
    with opened() as file:
        try:
            return np.asarray(np.lib.format.read_array(file, allow_pickle=False))
        except _UNREADABLE as error:
            raise DataError(f"{where} is damaged ({error}); make or fetch it again") from error


def to_json(value: Mapping[str, Any], *, indent: int | None = None) -> str:
    """Return strict JSON: numpy numbers become numbers, an infinite one becomes null."""
    return json.dumps(_plain(value), indent=indent, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
