"""Download a file once, checked by its checksum; nothing stands under its final name until the check has passed."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analytic_dd.errors import DataError
from analytic_dd.files import file_error

__all__ = ["RemoteFile", "download"]

_TIMEOUT = 30.0  # seconds without a byte


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
        Bytes, for the listing.
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
        No place could be reached, or what came has another checksum; nothing is kept then.
    OSError
        The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise file_error(folder, error) from error
    reasons = []
    for url in file.urls:
        try:
            return _retrieve(url, file, folder, progress)
        except DataError as error:
            reasons.append(str(error))
    raise DataError(f"cannot download {file.name}: {'; '.join(reasons)}; check the network, or put it into {folder}")


def _retrieve(url: str, file: RemoteFile, folder: Path, progress: bool) -> Path:
    import pooch
    import requests

    pooch.get_logger().setLevel(logging.WARNING)  # it announces every download on standard error
    bar = progress and sys.stderr.isatty()
    fetch: Any = pooch.HTTPDownloader(progressbar=bar, timeout=_TIMEOUT)
    try:
        got = pooch.retrieve(url, f"sha256:{file.sha256}", fname=file.name, path=folder, downloader=fetch)
    except requests.RequestException as error:
        raise DataError(f"{url}: {_reason(error)}") from error
    except OSError as error:
        raise file_error(folder / file.name, error) from error
    except ValueError as error:  # pooch's word for another checksum
        raise DataError(f"{url}: what came does not have the SHA-256 {file.sha256[:12]}...; it was not kept") from error
    return Path(got)


def _reason(error: Exception) -> str:
    """Return the cause of a failed request in a few words; the library's own text nests several exceptions."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answered {response.status_code} {response.reason}".strip()
    text = str(error).lower()
    known = ("connection refused", "timed out", "name or service not known", "name resolution", "certificate")
    return next((words for words in known if words in text), type(error).__name__)
