"""Members of a tar, a zip or a folder, read one after the other in memory, without trusting the archive.

Nothing is extracted. A member is refused by its name or kind (``..``, an absolute path, a link, a device) and by its
*declared* size, before a byte of it is unpacked. A compressed tar may unpack only as far as the headers that were
checked allow, so that a bomb hidden in a header, or behind the last member, stops as well. Hidden members, and what
systems leave beside a user's files, are left out.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import IO, Any

from analytic_dd.errors import DataError
from analytic_dd.files import MAX_BYTES, file_error, may_unpack_to, open_file

__all__ = ["MAX_MEMBER", "is_archive", "members", "open_stream", "title"]

MAX_MEMBER = 256 * 2**20  # the largest single file of a known data set, CIFAR-100's train.bin, has 154 MB

_BLOCK = 512  # of a tar
_AHEAD = 20 * _BLOCK  # what tarfile reads ahead: it copies that much for every header
_PIECE = 2**18  # unpacked ahead
_SLACK = 2**20  # for long names, pax records, padding and what is read ahead
_COMPRESSED: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
# What tarfile, zipfile and the decompressors are known to raise for damaged input.
_DAMAGED = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, OSError, ValueError, NotImplementedError, RuntimeError),
)

# Of Windows' method 9 and of others there is no decompressor here.
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_LITTER = {"__macosx", "@eadir", "$recycle.bin", "lost+found", "system volume information", "thumbs.db", "desktop.ini"}
_ENDING = r"\.(zip|tar|tgz|tbz2?|txz|tar\.(gz|bz2|xz))$"
_DEEPEST = 8  # folders of a folder; links may lead round

Member = tuple[str, Callable[[], bytes]]


def open_stream(path: Path) -> IO[bytes]:
    """Open a file for reading, through the decompressor that its first bytes ask for (gzip, bzip2, xz or none)."""
    with open_file(path) as file:
        start = file.read(6)
    for magic, opener in _COMPRESSED.items():
        if start.startswith(magic):
            return opener(path, "rb")  # type: ignore[no-any-return]
    return open_file(path)


def is_archive(path: Path) -> bool:
    """Say whether the name of a file is that of a tar or a zip."""
    return bool(re.search(_ENDING, path.name, re.IGNORECASE))


def title(path: Path) -> str:
    """Return the name of a folder, or that of an archive without its ending."""
    name = path.resolve().name
    return name if path.is_dir() else re.sub(_ENDING, "", name, flags=re.IGNORECASE)


def members(path: Path, *, max_bytes: int = MAX_BYTES, folders: bool = False) -> Generator[Member, None, None]:
    """Yield (name, read) for every file of a tar, a zip or a folder; ``read()`` returns its bytes, while it is current.

    Names have slashes. Hidden files and folders, and those that systems leave (``__MACOSX``), are left out. With
    ``folders``, folders that the archive names are yielded too: their names end with a slash.

    Raises
    ------
    DataError
        A member is hostile, the archive declares more than ``max_bytes`` or :func:`analytic_dd.files.may_unpack_to`
        allow, is damaged or truncated, or is two zips behind one another. The message names archive and member.
    OSError
        A file cannot be opened.
    """
    for name, read in _all_members(path, max_bytes):
        if not _is_litter(name) and (folders or not name.endswith("/")):
            yield name, read


def _all_members(path: Path, max_bytes: int) -> Iterator[Member]:
    if path.is_dir():
        yield from _folder_members(path, path, ())
        return
    with open_file(path) as stream:
        max_bytes = may_unpack_to(os.fstat(stream.fileno()).st_size, max_bytes)
        if path.suffix.lower() == ".zip":
            with _damage(path):
                yield from _zip_members(stream, path, max_bytes)
            return
    with open_stream(path) as stream, _damage(path), _thread() as thread:
        yield from _tar_members(_ReadAhead(stream, thread), path, max_bytes)


@contextlib.contextmanager
def _thread() -> Iterator[Executor]:
    """Give a thread, and do not wait for its end: where a generator is left unfinished, that may come while the
    interpreter collects garbage in the middle of starting another thread, and the two would wait for each other.
    """
    thread = ThreadPoolExecutor(1)
    try:
        yield thread
    finally:
        thread.shutdown(wait=False, cancel_futures=True)


def _is_litter(name: str) -> bool:
    """Say whether a file or a folder above it is hidden, or one that a system leaves."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return any(part.startswith(".") or part.lower() in _LITTER for part in parts)


@contextlib.contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except _DAMAGED as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path} is damaged or truncated ({reason}); make or fetch it again") from error


def _folder_members(root: Path, folder: Path, above: tuple[tuple[int, int], ...]) -> Iterator[Member]:
    """Yield the files of a folder by name, then those of its folders; a link to a folder above is not followed."""
    try:
        here = folder.stat()
        entries = sorted(
            (Path(entry.path) for entry in os.scandir(folder)), key=lambda file: (file.is_dir(), file.name)
        )
    except OSError as error:
        raise file_error(folder, error, "read") from error
    identity = here.st_dev, here.st_ino
    if identity in above or len(above) > _DEEPEST:
        return
    for file in entries:
        name = file.relative_to(root).as_posix()
        if not file.is_dir():
            yield name, partial(_read_file, file)
        elif not _is_litter(name):
            yield name + "/", bytes
            yield from _folder_members(root, file, (*above, identity))


def _read_file(file: Path) -> bytes:
    with open_file(file) as stream:
        _check_member(file.name, os.fstat(stream.fileno()).st_size, file.parent)
        return stream.read()


def _zip_members(file: IO[bytes], path: Path, max_bytes: int) -> Iterator[Member]:
    with zipfile.ZipFile(file) as archive:
        total = 0
        if _begins_with_another(file, archive):
            raise DataError(f"{path} is two zips behind one another, of which the last alone is found; separate them")
        for info in archive.infolist():
            mode = info.external_attr >> 16
            _refuse_name(info.filename, path)
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise DataError(f"{path}: member {info.filename!r} is a link or a device, which is never read; drop it")
            if info.flag_bits & 1:
                raise DataError(f"{path}: member {info.filename!r} is encrypted; unpack it yourself first")
            if info.compress_type not in _PACKINGS:
                packing = "Deflate64" if info.compress_type == 9 else f"method {info.compress_type}"
                raise DataError(f"{path}: member {info.filename!r} is packed by {packing}; pack it again by deflate")
            total = _charge(total, info.file_size, max_bytes, info.filename, path)
        for info in archive.infolist():
            yield info.filename.replace("\\", "/"), partial(_read_zipped, archive, info, path)


def _begins_with_another(file: IO[bytes], archive: zipfile.ZipFile) -> bool:
    first = min((info.header_offset for info in archive.infolist()), default=0)
    file.seek(0)
    return first > 0 and file.read(4) == b"PK\x03\x04"


def _tar_members(file: _ReadAhead, path: Path, max_bytes: int) -> Iterator[Member]:
    stream: Any = _Allowance(file, path)
    # ignore_zeros: a tar may follow behind the end mark of another
    with tarfile.open(fileobj=stream, mode="r|", bufsize=_AHEAD, tarinfo=_Header, ignore_zeros=True) as archive:
        total = 0
        while (info := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # tarfile keeps every header otherwise
            _refuse_name(info.name, path)
            if not (info.isreg() or info.isdir()) or info.issparse():
                raise DataError(f"{path}: member {info.name!r} is a link or a device, which is never read; drop it")
            total = _charge(total, info.size, max_bytes, info.name, path)
            stream.allow(info.size)
            yield info.name + "/" * info.isdir(), partial(_read_tarred, archive, info, path)
    stream.finish()


def _read_zipped(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> bytes:
    _check_member(info.filename, info.file_size, path)
    with _damage(path):
        return archive.read(info)


def _read_tarred(archive: tarfile.TarFile, info: tarfile.TarInfo, path: Path) -> bytes:
    _check_member(info.name, info.size, path)
    with _damage(path):
        file = archive.extractfile(info)
        return b"" if file is None else file.read()


def _check_member(name: str, size: int, path: Path) -> None:
    if size > MAX_MEMBER:
        raise DataError(f"{path}: member {name!r} declares {size:,} bytes, more than the {MAX_MEMBER:,} that are read")


def _refuse_name(name: str, path: Path) -> None:
    plain = name.replace("\\", "/")
    if plain.startswith("/") or re.match(r"[A-Za-z]:", plain) or ".." in plain.split("/"):
        raise DataError(f"{path}: member {name!r} points outside the archive; it is refused: make the archive again")


def _charge(total: int, size: int, max_bytes: int, name: str, path: Path) -> int:
    """Add a declared size to the total, or refuse the member before it is unpacked."""
    total += size + _BLOCK
    if total > max_bytes:
        raise DataError(
            f"{path}: with member {name!r} it declares {total:,} bytes, more than {max_bytes:,}; unpack or split it"
        )
    return total


class _Header(tarfile.TarInfo):
    """A header that is damaged is an error; tarfile takes it for the end of the archive."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str | None, errors: str) -> _Header:
        try:
            return super().frombuf(buf, encoding, errors)  # type: ignore[arg-type]  # tarfile passes None too
        except tarfile.HeaderError as error:
            if buf.strip(b"\0"):
                raise tarfile.ReadError(f"bad header of a member: {error}") from error
            raise


class _ReadAhead:
    """A stream that a thread unpacks a piece ahead of what is read, as decompressors release the interpreter."""

    def __init__(self, raw: IO[bytes], thread: Executor) -> None:
        self._raw, self._thread = raw, thread
        self._piece, self._place = b"", 0
        self._next = thread.submit(raw.read, _PIECE)

    def read(self, size: int) -> bytes:
        if self._place == len(self._piece):
            self._piece, self._place = self._next.result(), 0
            if self._piece:
                self._next = self._thread.submit(self._raw.read, _PIECE)
        start, self._place = self._place, min(self._place + size, len(self._piece))
        return self._piece[start : self._place]


class _Allowance:
    """A stream that unpacks no more than it was allowed, and knows whether it ended with zeros, as a tar must."""

    def __init__(self, raw: _ReadAhead, path: Path) -> None:
        self._raw, self._path = raw, path
        self._left = _SLACK
        self._tail = b""

    def allow(self, size: int) -> None:
        """Allow a member whose header has just been read; what earlier ones left over is not added up."""
        self._left = size + _SLACK

    def read(self, size: int) -> bytes:
        data = self._raw.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise DataError(f"{self._path} unpacks to more than its members declare; it is refused: make it again")
        self._tail = data[-_BLOCK:] or self._tail
        return data

    def finish(self) -> None:
        """Read to the end, which checks the checksum of a compressed file, and look for the end marker."""
        while self.read(_AHEAD):
            pass
        if self._tail.strip(b"\0"):
            raise tarfile.ReadError("it ends without an end marker")
