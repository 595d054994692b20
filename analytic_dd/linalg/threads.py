"""One BLAS thread for small work, because two on a busy machine wait for each other, up to a hundred times as long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from types import TracebackType
from typing import Any

__all__ = ["one_thread", "shared_among_threads"]

_FEWEST = 2  # calls a thread, below which starting it costs more than it saves

_lock = threading.Lock()
_inside = 0  # contexts that are open, in any thread
_before: list[tuple[Any, int]] = []  # libraries that were limited, and the threads that they had


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


def shared_among_threads(function: Callable[[int], object], count: int) -> None:
    """Call ``function(i)`` for every i < ``count``, in as many Python threads as BLAS has, each with one BLAS thread.

    Calls that spend their time in numpy run beside each other. They must be independent, and write their own results.
    So the results have the same bits whatever the number of threads.

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
    threads = min(max((library.num_threads for library in _libraries()), default=1), count // _FEWEST)
    with one_thread():
        if threads < 2:
            for i in range(count):
                function(i)
            return
        with ThreadPoolExecutor(threads) as pool:
            for done in [pool.submit(_each, function, range(start, count, threads)) for start in range(threads)]:
                done.result()


def _each(function: Callable[[int], object], some: range) -> None:
    for i in some:
        function(i)


@lru_cache(maxsize=1)
def _libraries() -> list[Any]:
    """Return the BLAS libraries that numpy and scipy have loaded."""
    import scipy.linalg  # noqa: F401 - its BLAS is another library than numpy's
    import threadpoolctl

    return list(threadpoolctl.ThreadpoolController().select(user_api="blas").lib_controllers)
