"""A cell of a benchmark in a process of its own: what ends that process costs the cell and nothing else."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

import torch

from analytic_dd.baselines.methods.registry import method_type, methods_of_others
from analytic_dd.cluster import current_client, over_dask

__all__ = ["available", "found_in_child"]

_PATIENCE = 10.0  # seconds in which an interrupted child writes its state
_ENDED = object()


def available() -> bool:
    """Whether this platform forks from a server, and a child can have every method and the Dask workers.

    A scheduler in this process (inproc) has no address for others, and one behind TLS wants this client's certificates.
    """
    client = current_client()
    if client is not None and not str(client.scheduler.address).startswith("tcp://"):
        return False
    return "forkserver" in multiprocessing.get_all_start_methods() and "__main__" not in {
        path.partition(":")[0] for path in methods_of_others()
    }


def found_in_child(function: Callable[..., Iterator[Any]], *arguments: Any) -> Iterator[Any]:
    """Yield what ``function(*arguments)`` yields in a process of its own.

    The process forks from a server that has torch imported and no thread started. An interrupt is passed on once, and
    the child ends when this process does. Inside :func:`over_dask` the child has the workers of the same scheduler.
    Arguments of classes that the running program defines itself cannot go there: they belong into a module.

    Raises
    ------
    ChildProcessError
        The process ended before the function did; the message has the name of the signal that ended it.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["analytic_dd.baselines.bench.run"])
    mine, other = context.Pipe()
    client = current_client()
    facts = methods_of_others(), torch.get_num_threads(), None if client is None else client.scheduler.address
    child = context.Process(target=_serve, args=(other, facts, function, arguments))
    with _main_left_out():
        child.start()
    other.close()
    try:
        while (found := _received(mine)) is not _ENDED:
            yield found
        child.join()
        if child.exitcode:
            raise ChildProcessError(_words(child.exitcode))
    finally:
        _end(child)
        mine.close()


@contextlib.contextmanager
def _main_left_out() -> Iterator[None]:
    """Hide the program that runs, which multiprocessing would run again in the child, without a guard or a file."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _received(mine: Connection) -> Any:
    """Return what the child sends, or that it has ended."""
    try:
        return mine.recv()
    except (EOFError, ConnectionResetError):
        return _ENDED


def _end(child: Any) -> None:
    """Interrupt a child that still runs, and kill one that does not end."""
    try:
        if child.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGINT)
            child.join(_PATIENCE)
    finally:  # also where a second interrupt ends the wait
        if child.is_alive():
            child.kill()
        child.join()


def _words(code: int) -> str:
    """Return why a process ended.

    Examples
    --------
    >>> _words(-11)
    'its process was ended by SIGSEGV; --resume tries the cell again'
    >>> _words(3)
    'its process ended with status 3; --resume tries the cell again'
    """
    if code == -signal.SIGKILL:
        how = "was ended by SIGKILL, as when memory is out"
    else:
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
    return f"its process {how}; --resume tries the cell again"


def _serve(
    other: Connection,
    facts: tuple[list[str], int, str | None],
    function: Callable[..., Iterator[Any]],
    arguments: tuple[Any, ...],
) -> None:
    os.setpgid(0, 0)  # Ctrl-C reaches the parent alone, which passes it on once
    threading.Thread(target=_watch, args=(other,), daemon=True).start()
    methods, threads, scheduler = facts
    torch.set_num_threads(threads)
    try:
        for path in methods:
            method_type(path)
        with over_dask(scheduler):
            for found in function(*arguments):
                other.send(found)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def _watch(other: Connection) -> None:
    """End this process when the parent is gone, which sends nothing and closes its end."""
    with contextlib.suppress(EOFError, OSError):
        other.recv()
    os._exit(128 + signal.SIGHUP)
