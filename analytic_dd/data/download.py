"""Download a file once, checked by its checksum; nothing stands under its final name until the check has passed.

A server that sends more than was declared, nothing for a while, or next to nothing for long, is left.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from analytic_dd.errors import DataError
from analytic_dd.files import atomic_write, file_error

__all__ = ["RemoteFile", "download", "is_intact"]

_TIMEOUT = 30.0  # seconds without a byte
_SLOWEST = 10_000  # bytes a second on the average, after the first half minute
_PIECE = 2**18


@dataclass(frozen=True)
class RemoteFile:
    """A file that can be downloaded.

    Parameters
    ----------
    name : str
        Its name in the cache.
    sha256 : str
        Checksum of the file as downloaded.
    size : int
        Bytes; a server that sends more is left.
    urls : tuple of str
        Places that have it, tried in this order.
    """

    name: str
    sha256: str
    size: int
    urls: tuple[str, ...]


def download(file: RemoteFile, folder: Path, *, progress: bool = False) -> Path:
    """Return the path of ``file`` in ``folder``, downloading it if it is not there or is another.

    Parameters
    ----------
    file : RemoteFile
        What to get.
    folder : Path
        Where to keep it; made if needed.
    progress : bool
        Show a bar on standard error, if that is a terminal.

    Raises
    ------
    DataError
        No place could be reached, or the download has another checksum and is not kept.
    OSError
        The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise file_error(folder, error) from error
    path = folder / file.name
    if is_intact(path, file):
        return path
    reasons = []
    for url in file.urls:
        try:
            _retrieve(url, file, path, progress=progress and sys.stderr.isatty())
        except DataError as error:
            reasons.append(str(error))
        else:
            return path
    raise DataError(f"cannot download {file.name}: {'; '.join(reasons)}; check the network, or put it into {folder}")


def is_intact(path: Path, file: RemoteFile) -> bool:
    """Say whether a file is there and is the one that was published.

    Notes
    -----
    *Cost.* One pass over the file: a second for a gigabyte.
    """
    if not path.exists():
        return False
    import pooch  # loaded for files of the cache only: it opens the network

    try:
        return bool(pooch.file_hash(str(path), alg="sha256") == file.sha256)
    except OSError as error:
        raise file_error(path, error, "read") from error


def _retrieve(url: str, file: RemoteFile, path: Path, *, progress: bool) -> None:
    """Write what ``url`` sends to ``path``, if it is the file."""
    digest = hashlib.sha256()
    with atomic_write(path) as stream:
        for piece in _pieces(url, file, progress=progress):
            stream.write(piece)
            digest.update(piece)
        if digest.hexdigest() != file.sha256:
            raise DataError(f"{url}: what came does not have the SHA-256 {file.sha256[:12]}...; it was not kept")


def _pieces(url: str, file: RemoteFile, *, progress: bool) -> Iterator[bytes]:
    """Yield what a server sends, as long as it is not more than the file has, and comes in time."""
    from http.client import HTTPException
    from urllib.request import Request, urlopen

    from tqdm import tqdm

    begun, size = time.monotonic(), 0
    bar = tqdm(total=file.size, unit="B", unit_scale=True, disable=not progress)
    try:
        with bar, urlopen(Request(url, headers={"User-Agent": "analytic-dd"}), timeout=_TIMEOUT) as response:
            while piece := response.read1(_PIECE):
                size += len(piece)
                if size > file.size:
                    raise DataError(f"{url}: the server sends more than the {file.size:,} bytes of the file; left it")
                if time.monotonic() - begun > _TIMEOUT + size / _SLOWEST:
                    raise DataError(f"{url}: the server sends too slowly, {size:,} bytes so far; left it")
                bar.update(len(piece))
                yield piece
    except (OSError, HTTPException) as error:
        raise DataError(f"{url}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """Return the cause of a failed request in a few words."""
    from urllib.error import HTTPError

    if isinstance(error, HTTPError):
        return f"the server answered {error.code} {error.reason}".strip()
    text = str(error).lower()
    known = ("connection refused", "timed out", "name or service not known", "name resolution", "certificate")
    return next((words for words in known if words in text), type(error).__name__)
