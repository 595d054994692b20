"""One thread for small work, because two on a busy machine wait for each other, up to a hundred times as long."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from types import TracebackType
from typing import Any

__all__ = ["PREFIX", "one_thread", "one_torch_thread", "shared_among_threads"]

PREFIX = "share"  # of the names of threads that work is shared among
_FEWEST = 2  # calls a thread, below which starting it costs more than it saves

_lock = threading.Lock()
_inside = 0  # contexts that are open, in any thread
_before: list[tuple[Any, int]] = []  # libraries that were limited, and the threads that they had
_of_torch: list[int] = []  # the threads that torch had, once for each of its contexts that is open


class one_thread:
    """Limit BLAS to one thread in a block of code, where ``when`` holds.

    BLAS libraries have one number of threads for the whole process. So the first block that any Python thread enters
    limits it, and the last that is left restores it, unless somebody else has set it meanwhile.

    Notes
    -----
    *Cost.* Some microseconds, since the libraries are looked up once.

    Examples
    --------
    >>> import threadpoolctl
    >>> with one_thread(when=True):
    ...     largest = max(info["num_threads"] for info in threadpoolctl.threadpool_info() if info["user_api"] == "blas")
    >>> largest
    1
    """

    def __init__(self, when: bool = True) -> None:
        self._when = when

    def __enter__(self) -> None:
        global _inside
        if not self._when:
            return
        with _lock:
            _inside += 1
            if _inside == 1:
                _before[:] = [(library, library.num_threads) for library in _libraries()]
                for library, count in _before:
                    if count > 1:
                        library.set_num_threads(1)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        global _inside
        if not self._when:
            return
        with _lock:
            _inside -= 1
            if _inside == 0:
                for library, count in _before:
                    if count > 1 and library.num_threads == 1:
                        library.set_num_threads(count)


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Limit torch to one thread in a block of code, and in the Python threads that start there.

    Blocks of several Python threads may overlap: each restores the number that torch had before the first of them.
    """
    import torch

    with _lock:
        _of_torch.append(_of_torch[0] if _of_torch else torch.get_num_threads())
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _lock:
            torch.set_num_threads(_of_torch.pop())


def shared_among_threads(function: Callable[[int], object], count: int, *, threads: int | None = None) -> None:
    """Call ``function(i)`` for every i < ``count``, in as many Python threads as BLAS has, each with one BLAS thread.

    Calls that spend their time in numpy or torch run beside each other. They must be independent, and write their own
    results. So the results have the same bits whatever the number of threads. An interrupt ends after the calls that
    run. ``threads`` is another number of Python threads.

    Raises
    ------
    Exception
        What a call raised; the calls of other threads end first.

    Examples
    --------
    >>> squares = [0] * 20
    >>> shared_among_threads(lambda i: squares.__setitem__(i, i * i), 20)
    >>> squares[3], squares[19]
    (9, 361)
    """
    if threads is None:
        threads = max((library.num_threads for library in _libraries()), default=1)
    threads = min(threads, count // _FEWEST)
    with one_thread():
        if threads < 2:
            for i in range(count):
                function(i)
            return
        left = threading.Event()
        with ThreadPoolExecutor(threads, PREFIX) as pool:
            try:
                for done in [pool.submit(_each, function, range(k, count, threads), left) for k in range(threads)]:
                    done.result()
            finally:
                left.set()


def _each(function: Callable[[int], object], some: range, left: threading.Event) -> None:
    """Call the function, until an error here or in another thread or an interrupt has left the rest."""
    for i in some:
        if left.is_set():
            return
        try:
            function(i)
        except BaseException:
            left.set()
            raise


@lru_cache(maxsize=1)
def _libraries() -> list[Any]:
    """Return the BLAS libraries that numpy and scipy have loaded."""
    import scipy.linalg  # noqa: F401 - its BLAS is another library than numpy's
    import threadpoolctl

    return list(threadpoolctl.ThreadpoolController().select(user_api="blas").lib_controllers)
