"""A folder of results that is replaced as a whole: its files arrive together, for one process at a time.

The files are made in a folder inside the target, ``.unfinished``. Renaming it to ``.finished`` is the moment from which
the new files stand. What stood there before goes first and the new files move in after it, so that no file of one run
ever lies beside those of another. A process that is killed in between leaves ``.finished``, and the next one that comes
completes the move.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path

from analytic_dd.errors import DataError
from analytic_dd.files import expanded, file_error, take_lock

__all__ = ["locked", "settle", "staged"]

_LOCK, _UNFINISHED, _FINISHED = ".analytic-dd.lock", ".unfinished", ".finished"
_REMOVED = ".removed"  # inside: names of files to remove, one a line


@contextlib.contextmanager
def staged(folder: str | Path, *, files: Collection[str] = (), without: Collection[str] = ()) -> Iterator[Path]:
    """Give out an empty folder; its files move to ``folder`` together when the block ends well.

    An exception or an interrupt leaves what stood in ``folder`` before, and no folder that was not there. What killed
    runs left behind is removed first.

    Parameters
    ----------
    folder : str or Path
        Made if needed.
    files : collection of str
        Names of the files to come: folders that stand in their way are refused before the block runs.
    without : collection of str
        Files to remove from ``folder`` at the same time: pictures of what is replaced.

    Raises
    ------
    DataError
        Another process is at work in ``folder``.
    OSError
        The folder cannot be made or written, or a folder is in the way of a file; raised before the block runs.
    """
    folder = expanded(folder)
    new = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    try:
        with locked(folder):
            _clear_the_way(folder, {*files, *without})
            try:
                unfinished = _made(folder)
                yield unfinished
                names = [file.name for file in unfinished.iterdir()]
                _refuse_folders(folder, names)
                (unfinished / _REMOVED).write_text("\n".join({*names, *without}), "utf-8")
                os.replace(unfinished, folder / _FINISHED)
            finally:
                _despite_interrupts(partial(_end, folder))
    finally:
        with contextlib.suppress(OSError):
            for made in new:
                made.rmdir()  # fails, as it should, when results are in it


def _made(folder: Path) -> Path:
    try:
        (folder / _UNFINISHED).mkdir()
    except OSError as error:
        raise file_error(folder, error) from error
    return folder / _UNFINISHED


def _clear_the_way(folder: Path, names: Collection[str]) -> None:
    """Complete or remove what an earlier run left, and refuse folders where files are to stand."""
    _end(folder)
    _refuse_folders(folder, names)


def _refuse_folders(folder: Path, names: Collection[str]) -> None:
    for name in names:
        if (folder / name).is_dir():
            raise file_error(folder / name, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))


def settle(folder: str | Path) -> None:
    """Complete the move of a run that was killed in the middle of it, unless another process is about to."""
    folder = expanded(folder)
    if (folder / _FINISHED).is_dir():
        with contextlib.suppress(DataError, OSError), locked(folder):
            _move_in(folder)


def _end(folder: Path) -> None:
    _move_in(folder)
    shutil.rmtree(folder / _UNFINISHED, ignore_errors=True)


def _despite_interrupts(action: Callable[[], None]) -> None:
    """Repeat an operation until it is complete; an interrupt that comes meanwhile is raised afterwards."""
    stop: KeyboardInterrupt | None = None
    while True:
        try:
            action()
            break
        except KeyboardInterrupt as interrupt:
            stop = interrupt
    if stop is not None:
        raise stop


def _move_in(folder: Path) -> None:
    """Replace files by those of ``.finished``; it may stop after any step, and begin again."""
    finished = folder / _FINISHED
    if not finished.is_dir():
        return
    try:
        removed = finished / _REMOVED
        if removed.exists():
            for name in filter(None, removed.read_text("utf-8").split("\n")):
                (folder / name).unlink(missing_ok=True)
            removed.unlink()
        for file in sorted(finished.iterdir()):
            os.replace(file, folder / file.name)
        finished.rmdir()
    except OSError as error:
        raise file_error(folder, error) from error


@contextlib.contextmanager
def locked(folder: str | Path, name: str = "") -> Iterator[None]:
    """Hold a folder, or the file ``name`` in it, for this process; the folder is made if needed.

    The system gives a lock back when its process ends, however it ends: none can be left behind. On file systems
    without locks (some network ones) nothing is held.

    Raises
    ------
    DataError
        Another process holds it; the message names that process.
    OSError
        The folder cannot be made or written.
    """
    folder = expanded(folder)
    path = folder / (f".{name}{_LOCK}" if name else _LOCK)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = _locked_file(path, folder / name)
    except OSError as error:
        raise file_error(folder, error) from error
    try:
        yield
    finally:
        _despite_interrupts(partial(_unlink, path))
        os.close(handle)


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _locked_file(path: Path, held: Path) -> int:
    """Open and lock ``path``, the lock of ``held``."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if take_lock(handle) is False:
                holder = os.read(handle, 200).decode(errors="replace").strip() or "another process"
                raise DataError(f"{holder} is writing to {held}; wait until it ends, or choose another place")
            if _is_at(path, handle):
                os.truncate(handle, 0)
                os.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode())
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # its owner removed it just now


def _is_at(path: Path, handle: int) -> bool:
    try:
        found, mine = os.stat(path), os.fstat(handle)
    except FileNotFoundError:
        return False
    return (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino)
