"""One BLAS thread for small work, because two on a busy machine wait for each other, up to a hundred times as long."""

from __future__ import annotations

import threading
from functools import lru_cache
from types import TracebackType
from typing import Any

__all__ = ["one_thread"]

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


@lru_cache(maxsize=1)
def _libraries() -> list[Any]:
    """Return the BLAS libraries that numpy and scipy have loaded."""
    import scipy.linalg  # noqa: F401 - its BLAS is another library than numpy's
    import threadpoolctl

    return list(threadpoolctl.ThreadpoolController().select(user_api="blas").lib_controllers)
