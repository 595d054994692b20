"""A long accumulation that can be interrupted: it goes on from a state file and ends with the same bits."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from analytic_dd.arrays import Array
from analytic_dd.errors import DataError
from analytic_dd.linalg.gram import GramStatistics
from analytic_dd.linalg.provenance import Provenance
from analytic_dd.linalg.sums import Sums, read_sums

__all__ = ["BlockError", "accumulate", "merge_files"]

Read = Callable[[int, int], tuple[Array, ...]]  # start, stop -> (Phi, Y) or (Phi, Y, sample weights)


class BlockError(DataError):
    """Samples ``start`` to ``stop`` of a stream could not be read or added; those before are kept."""

    def __init__(self, message: str, *, start: int, stop: int) -> None:
        super().__init__(message)
        self.start, self.stop = start, stop

    def __reduce__(self) -> tuple[object, ...]:
        return functools.partial(BlockError, start=self.start, stop=self.stop), (str(self),)


def accumulate(
    empty: GramStatistics,
    read: Read,
    *,
    start: int = 0,
    stop: int,
    rows: int,
    state: str | Path | None = None,
    every: float = 60.0,
    provenance: Callable[[int, int], Provenance] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> GramStatistics:
    r"""Add samples ``start`` to ``stop`` to ``empty`` statistics, a block at a time, and return them.

    Theorem: T13.

    Parameters
    ----------
    empty : GramStatistics
        An accumulator without samples, which says p and k.
    read : callable
        ``read(a, b)`` always gives the same samples a to b, as (Phi, Y) or (Phi, Y, sample_weight).
    start, stop : int
        The samples to add.
    rows : int
        Number of samples in a block.
    state : path, optional
        A file that is written every ``every`` seconds, on an error, an interrupt and at the end, and that
        :meth:`GramStatistics.load` reads. Where it exists, the accumulation goes on from it.
    every : float
        Seconds between two writes of the state.
    provenance : callable, optional
        ``provenance(a, b)`` records samples a to b; the state keeps it, and it is compared when the state is read.
    progress : callable, optional
        It is called with the number of samples done and their total.

    Raises
    ------
    BlockError
        ``read`` fails on a block, or the sums refuse it (NaN, another width); the message names the samples and the
        cause. The sums of the blocks before are in ``state``.
    DataError
        The state belongs to another accumulation (other samples, block size, p, k or provenance).

    Notes
    -----
    *Numerics.* Sums are stored exactly and blocks begin where those of a run without interrupts do, so that the result
    is the same to the last bit on one machine with one number of BLAS threads.

    Examples
    --------
    >>> import numpy as np
    >>> Phi, Y = np.eye(4), np.ones((4, 1))
    >>> accumulate(GramStatistics(4, 1), lambda a, b: (Phi[a:b], Y[a:b]), stop=4, rows=3).n
    4
    >>> Phi[2, 2] = np.nan
    >>> accumulate(GramStatistics(4, 1), lambda a, b: (Phi[a:b], Y[a:b]), stop=4, rows=2)
    Traceback (most recent call last):
        ...
    analytic_dd.linalg.accumulation.BlockError: samples 2 to 4 cannot be added: Phi must be finite, got nan at row 0...
    """
    if rows < 1 or not 0 <= start < stop:
        raise ValueError(f"rows >= 1 and 0 <= start < stop are needed, got rows {rows}, samples {start} to {stop}")
    if empty.n:
        raise ValueError(f"accumulate begins with empty statistics, got n = {empty.n}; merge the results instead")
    statistics = empty
    if state is not None and Path(state).exists():
        statistics = _resumed(Path(state), empty, start, stop, rows, provenance)
    saved, written = statistics.n, time.monotonic()

    def keep() -> None:
        nonlocal saved, written
        if state is not None and statistics.n > saved:
            position = start + statistics.n  # counted from the sums, so that no interrupt comes between the two
            if provenance is not None:
                statistics.provenance = provenance(start, position)
            statistics.save_state(state, start=start, stop=stop, position=position, rows=rows)
            saved, written = statistics.n, time.monotonic()

    try:
        while start + statistics.n < stop:
            position = start + statistics.n
            _add(statistics, read, position, min(position + rows, stop), start, state)
            if progress is not None:
                progress(statistics.n, stop - start)
            if time.monotonic() - written >= every:
                keep()
    finally:
        keep()
    if provenance is not None:
        statistics.provenance = provenance(start, stop)
    return statistics


def _add(statistics: GramStatistics, read: Read, position: int, end: int, start: int, state: str | Path | None) -> None:
    """Add one block, or say which one could not be added and why."""
    try:
        Phi, Y, *weights = read(position, end)
        if Phi.shape[0] != end - position:
            raise DataError(f"{Phi.shape[0]} samples came for {end - position}")
        statistics.update(Phi, Y, sample_weight=weights[0] if weights else None)
    except Exception as error:  # readers and decompressors raise whatever they like
        kept = "lost: give a state file to keep them" if state is None else f"kept in {state}"
        raise BlockError(
            f"samples {position} to {end} cannot be added: {error}. {position - start} samples before them are "
            f"summed, and {kept}",
            start=position,
            stop=end,
        ) from error


def _resumed(
    state: Path,
    empty: GramStatistics,
    start: int,
    stop: int,
    rows: int,
    provenance: Callable[[int, int], Provenance] | None,
) -> GramStatistics:
    """Return the sums of a state file, after a check that they belong to this accumulation."""
    sums, counts = read_sums(state, counts=("start", "stop", "position", "rows"))
    wanted = {"p": empty.p, "k": empty.k, "start": start, "stop": stop, "rows": rows}
    found, position = {"p": sums.p, "k": sums.k} | counts, counts["position"]
    for name, value in wanted.items():
        if found[name] != value:
            raise DataError(
                f"{state} is the state of another accumulation: {name} is {found[name]}, wanted {value}; "
                "delete it or name another file"
            )
    if not start < position <= stop or sums.n != position - start:
        raise DataError(f"{state}: position {position} does not fit {sums.n} samples; delete it")
    told = None if provenance is None else provenance(start, position)
    if told != sums.provenance:
        if told is not None and sums.provenance is not None:
            told.joined(Provenance(sums.provenance.agree))  # names the difference, if there is one there
        raise DataError(f"{state} is the state of an accumulation of other data; delete it or name another file")
    return GramStatistics.of(sums)


def merge_files(paths: Sequence[str | Path]) -> GramStatistics:
    """Return the sum of statistics in files, in the order given.

    Theorem: T13.

    Raises
    ------
    DataError
        A file is damaged, or files differ in feature map, normalisation, label code or size, or share a sample; the
        message names the two files and the difference.

    Notes
    -----
    *Cost.* Memory of two files, whatever their number.
    """
    if not paths:
        raise ValueError("no files to merge; name at least one")
    total = Sums.load(paths[0])
    for path in paths[1:]:
        part = Sums.load(path)
        try:
            total = total + part
        except ValueError as error:
            before = str(paths[0]) if path == paths[1] else f"{paths[0]} and those after it"
            raise DataError(f"{path} does not merge with {before}: {error}") from error
    return GramStatistics.of(total)
