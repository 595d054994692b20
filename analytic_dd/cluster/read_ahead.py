"""The next block of a stream is read in a thread while the one before is summed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Generic, TypeVar

__all__ = ["ReadAhead"]

Block = TypeVar("Block")


class ReadAhead(Generic[Block]):
    """Call ``read(start, stop)`` for ranges that follow each other, and begin the next before it is asked for.

    Parameters
    ----------
    read : callable
        It reads the samples of a range from the disk. An exception of it is raised when the range is asked for.
    stop : int
        The end of the samples.
    thread : concurrent.futures.Executor

    Notes
    -----
    *Cost.* Memory of one more block as it is stored.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor(1) as thread:
    ...     ahead = ReadAhead(lambda start, stop: list(range(start, stop)), 5, thread)
    ...     [ahead(0, 2), ahead(2, 4), ahead(4, 5)]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, read: Callable[[int, int], Block], stop: int, thread: Executor) -> None:
        self._read, self._stop, self._thread = read, stop, thread
        self._range = (0, 0)
        self._block: Future[Block] | None = None

    def __call__(self, start: int, stop: int) -> Block:
        """Return the samples of a range."""
        ready = self._block if self._range == (start, stop) else None
        block = self._read(start, stop) if ready is None else ready.result()
        self._block = None
        if stop < self._stop:
            self._range = stop, min(2 * stop - start, self._stop)
            self._block = self._thread.submit(self._read, *self._range)
        return block
