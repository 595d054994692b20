"""Calls of pure functions, here or as tasks of a Dask cluster, with results in the order of the calls."""

from __future__ import annotations

import itertools
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any

__all__ = ["current_client", "in_order", "over_dask"]

_CLIENT: ContextVar[Any] = ContextVar("client", default=None)
_AHEAD = 8  # tasks a worker thread that are submitted before the first result is fetched
_RETRIES = 2  # of a call that raises; one whose worker died always runs again on another


@contextmanager
def over_dask(where: Any) -> Iterator[Any]:
    """Let the workers of a Dask cluster compute what this block computes in pieces; None changes nothing.

    Parameters
    ----------
    where : distributed.Client, str, int or None
        A client, the address of a scheduler, or a number of worker processes to start on this machine, each with one
        thread; a number may be text, and ``"local"`` is one for each core that this process may use.

    Raises
    ------
    ValueError
        The number of workers is below 1.
    OSError
        Nothing answers at the address, or the scheduler there has no worker.
    """
    if where is None:
        yield None
        return
    try:
        from distributed import Client, LocalCluster
    except ModuleNotFoundError as error:
        raise ValueError("dask needs the extra dask; pip install 'analytic-dd[dask]'") from error
    with ExitStack() as stack:
        where = _cores() if where == "local" else where
        if isinstance(where, int) or str(where).isdecimal():
            if int(where) < 1:
                raise ValueError(f"dask must be local, a number of workers >= 1 or a scheduler's address, got {where}")
            options = {"threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "host": "127.0.0.1"}
            quiet = {"silence_logs": logging.CRITICAL}  # what a worker raises is raised here too
            where = stack.enter_context(LocalCluster(n_workers=int(where), processes=True, **options, **quiet))
        client = where if hasattr(where, "submit") else stack.enter_context(_connected(Client, where))
        token = _CLIENT.set(client)
        try:
            yield client
        finally:
            _CLIENT.reset(token)


def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _connected(kind: Any, where: Any) -> Any:
    """Return a client of a cluster of this process, or of the scheduler at an address, which must have workers."""
    try:
        client = kind(where)
    except (OSError, ValueError, TypeError) as error:
        raise OSError(
            f"no Dask scheduler answers at {where} ({error}); give the address that it prints, such as "
            "tcp://127.0.0.1:8786, or 'local'"
        ) from error
    if not client.nthreads():
        client.close()
        raise OSError(f"the Dask scheduler at {where} has no worker; start one (dask worker {where})")
    return client


def current_client() -> Any:
    """Return the client of the innermost :func:`over_dask`, or None."""
    return _CLIENT.get()


def in_order(function: Callable[..., Any], calls: Iterable[Sequence[Any]], client: Any) -> Iterator[Any]:
    r"""Yield ``function(*call)`` for each call, in their order; one that raises, or whose worker died, runs again.

    Parameters
    ----------
    function : callable
        Pure and importable on the workers, so that a call that is repeated returns the same bits.
    calls : iterable of sequences
        Arguments that can be pickled.
    client : distributed.Client or None
        With None the calls are made in this process, one after another.

    Notes
    -----
    *Cost.* At most eight calls a thread of the cluster, with their results, are under way at a time.

    Examples
    --------
    >>> list(in_order(max, [(3, 1), (2, 5)], None))
    [3, 5]
    """
    if client is None:
        yield from (function(*call) for call in calls)
        return
    pending: deque[Any] = deque()
    ahead = _AHEAD * max(1, sum(client.nthreads().values()))
    rest = iter(calls)
    while True:
        # a call without a key of its own would share the result of an equal one that ran before
        fresh = itertools.islice(rest, ahead - len(pending))
        pending.extend(client.submit(function, *call, pure=False, retries=_RETRIES) for call in fresh)
        if not pending:
            return
        yield pending.popleft().result()
