"""What this machine can hold: what does not fit is refused, with its size, before any of it is taken."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["memory", "require_memory"]

_GROUP = Path("/sys/fs/cgroup/memory.max")  # of a container


def memory() -> float:
    """Return the bytes that this process can have: those of the machine, or its limit; infinite where nobody says."""
    limits = [float("inf")]
    with suppress(AttributeError, ValueError, OSError):
        limits.append(float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")))
    with suppress(ValueError, OSError):  # a group without a limit says "max"
        limits.append(float(_GROUP.read_text(encoding="ascii")))
    with suppress(ImportError, ValueError, OSError):
        import resource

        soft = resource.getrlimit(resource.RLIMIT_AS)[0]
        limits += [] if soft == resource.RLIM_INFINITY else [float(soft)]
    return min(limits)


def require_memory(needed: float, what: str, remedy: str) -> None:
    """Refuse what this process cannot hold.

    Parameters
    ----------
    needed : float
        Bytes, of what must be there at one time: at most what is taken in fact.
    what : str
        In words, a plural: it takes so many GiB.
    remedy : str

    Raises
    ------
    MemoryError

    Examples
    --------
    >>> require_memory(8.0, "8 bytes", "use fewer")
    >>> require_memory(1e30, "the weights of 1e15 units", "use fewer units")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    MemoryError: the weights of 1e15 units take 9.3e+20 GiB, this machine has ...; use fewer units
    """
    there = memory()
    if needed > there:
        raise MemoryError(f"{what} take {_gib(needed)} GiB, this machine has {_gib(there)}; {remedy}")


def _gib(size: float) -> str:
    return f"{size / 2**30:,.1f}" if size < 2.0**60 else f"{size / 2**30:.2g}"
