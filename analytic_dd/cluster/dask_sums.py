"""Sums by Dask workers, each with one long task; a tree adds their results in a fixed order."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import threadpoolctl

from analytic_dd.cluster.shards import ShardTask
from analytic_dd.errors import DataError
from analytic_dd.linalg import GramStatistics

__all__ = ["dask_array_statistics", "dask_statistics"]


class SumTask(Protocol):
    """What a worker runs: a share of the samples."""

    def statistics(self) -> GramStatistics:
        """Return the sums over the share."""


def dask_statistics(tasks: Sequence[SumTask], client: Any, *, retries: int = 2) -> GramStatistics:
    r"""Run shard tasks on a Dask cluster and return the sum of their statistics.

    Theorem: T13.

    Parameters
    ----------
    tasks : sequence of ShardTask, or of others with a method ``statistics``
        One task for each worker is best (``count=len(client.scheduler_info()["workers"])``), since each sends p^2
        numbers back. More tasks lose less when a worker dies.
    client : distributed.Client
    retries : int
        How often a task that raises is tried again; a task whose worker died always runs again on another.

    Returns
    -------
    GramStatistics
        The sum, with the same bits wherever and however often tasks ran, because each result counts once and results
        are added in the order of the tasks.

    Raises
    ------
    BlockError
        See :meth:`ShardTask.statistics`, which raises it in the worker.

    Notes
    -----
    *Cost.* A worker holds a block and 2 p^2 numbers, or 4 p^2 when it adds two results, and has one BLAS thread.
    Results travel log2 of the number of tasks times, one after another.
    """
    if not tasks:
        raise ValueError("no tasks to run; make them with shard_tasks")
    # a task without a key of its own would share the result of an equal one that ran before
    sums = [client.submit(_statistics, task, pure=False, retries=retries) for task in tasks]
    return _tree_sum(sums, client)


def _statistics(task: SumTask) -> GramStatistics:
    return task.statistics()


def _added(one: GramStatistics, other: GramStatistics) -> GramStatistics:
    """Return a new sum, since results that a worker holds for others must not change."""
    return GramStatistics.of(one.sums() + other.sums())


def _tree_sum(sums: list[Any], client: Any) -> GramStatistics:
    while len(sums) > 1:
        pairs = [client.submit(_added, *sums[i : i + 2], pure=False) for i in range(0, len(sums) - 1, 2)]
        sums = pairs + sums[2 * len(pairs) :]
    result: GramStatistics = sums[0].result()
    return result


def dask_array_statistics(x: Any, y: Any, client: Any, *, task: ShardTask, chains: int) -> GramStatistics:
    r"""Sum over a ``dask.array`` of samples and one of labels, chunk by chunk.

    Each of ``chains`` chains goes through consecutive chunks, one after another, on the worker that holds its sums. A
    worker holds one chunk of a chain at a time, and those that the scheduler reads ahead.

    Theorem: T13.

    Parameters
    ----------
    x, y : dask arrays
        (n, ...) and (n,) or (n, k), with chunks along the samples only and in the same places. A chunk may be empty.
    client : distributed.Client
    task : ShardTask
        It says feature map, normalisation, labels and, for the provenance, the source; ``start`` and ``stop`` are
        unused.
    chains : int
        The number of workers is best.

    Raises
    ------
    DataError
        Chunks of ``x`` and ``y`` differ, cut a sample or have an unknown size, or there is no sample.
    """
    import dask

    if chains < 1:
        raise ValueError(f"at least one chain is needed, got {chains}; take the number of workers")
    if any(math.isnan(size) for size in (*x.chunks[0], *y.chunks[0])):
        raise DataError("the sizes of the chunks must be known; call compute_chunk_sizes() of x and of y")
    if x.chunks[0] != y.chunks[0] or any(len(sizes) > 1 for sizes in (*x.chunks[1:], *y.chunks[1:])):
        raise DataError(
            f"x and y must be chunked along the samples only and alike, got chunks {x.chunks} and {y.chunks}; rechunk"
        )
    edges = np.cumsum([0, *x.chunks[0]])
    chunks = zip(x.to_delayed().ravel(), y.to_delayed().ravel(), edges[:-1], edges[1:], strict=True)
    parts = [part for part in chunks if part[2] < part[3]]  # a filter may have emptied others
    if not parts:
        raise DataError("x and y have no sample; the chunks are all empty")
    chains = min(chains, len(parts))
    cuts = [i * len(parts) // chains for i in range(chains + 1)]
    sums = []
    for first, last in itertools.pairwise(cuts):
        total = None
        for index in range(first, last):
            of_x, of_y, start, stop = parts[index]
            piece = dask.delayed(replace(task, start=int(start), stop=int(stop)), traverse=False)
            total = dask.delayed(_extended)(total, of_x, of_y, piece)  # one graph a chain: an added chunk is forgotten
        sums.append(client.compute(total, optimize_graph=False))
    return _tree_sum(sums, client)


def _extended(total: GramStatistics | None, x: np.ndarray, y: np.ndarray, task: ShardTask) -> GramStatistics:
    with threadpoolctl.threadpool_limits(1):
        Phi, Y = task.features_of(x, y)
        more = GramStatistics(Phi.shape[1], task.k).update(Phi, Y)
    more.provenance = task.provenance(task.start, task.stop)
    return more if total is None else _added(total, more)
