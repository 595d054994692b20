"""Sums of several processes, which ``torch.distributed`` adds so that every process gets the total.

On the command line,

    torchrun --nproc-per-node 4 -m analytic_dd stats --data mnist --out sums.npz

sums a quarter of the samples in each process.
"""

from __future__ import annotations

import os
from typing import Any

from analytic_dd.arrays import to_numpy
from analytic_dd.errors import DataError, ShapeError
from analytic_dd.linalg import GramStatistics, Provenance, Sums

__all__ = ["all_reduce_statistics", "torchrun_shard", "torchrun_total"]

_SUMS = ("G", "C", "yy", "sum_phi", "sum_y")
_COUNTS = ("n", "weight", "gram_error")


def torchrun_shard() -> tuple[int, int] | None:
    """Return the share (i, N) of this process among those of ``torchrun``, or None where that did not start it."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    return int(os.environ["RANK"]) + 1, int(os.environ["WORLD_SIZE"])


def torchrun_total(statistics: GramStatistics) -> GramStatistics:
    """Return the sum over the processes that ``torchrun`` started, see :func:`all_reduce_statistics`.

    Theorem: T13.
    """
    import torch.distributed as dist

    dist.init_process_group("gloo")
    try:
        return all_reduce_statistics(statistics)
    finally:
        dist.destroy_process_group()


def all_reduce_statistics(statistics: GramStatistics, *, group: Any = None) -> GramStatistics:
    r"""Return the sum over all processes of a group; ``statistics`` is unchanged.

    Theorem: T13.

    Parameters
    ----------
    statistics : GramStatistics
        The sums of this process, torch tensors on its device or numpy arrays; without samples they count as zeros.
    group : torch.distributed.ProcessGroup, optional
        All processes by default.

    Returns
    -------
    GramStatistics
        The total as torch tensors or numpy arrays, as they came, with the same bits in every process.

    Raises
    ------
    ShapeError, DataError
        p or k differ, there is no sample, or provenances do not add. Every process raises it, before the sums travel.
    RuntimeError
        ``torch.distributed`` has not been initialised.

    Notes
    -----
    *Cost.* One all-reduce of p^2 + (k + 1) p + ... float64 numbers, and a copy of them. Counts travel as float64, which
    is exact up to 2^53.
    """
    import torch
    import torch.distributed as dist

    if not dist.is_available() or not dist.is_initialized():
        raise RuntimeError("torch.distributed is not initialised; call torch.distributed.init_process_group first")
    mine = (statistics.p, statistics.k, statistics.n, statistics.provenance)
    told: list[Any] = [None] * dist.get_world_size(group)
    dist.all_gather_object(told, mine, group=group)
    provenance = _agreed(told)
    p, k = statistics.p, statistics.k
    on_device = statistics.n > 0 and isinstance(statistics.C, torch.Tensor)
    sizes = (p * p, k * p, k, p, k, len(_COUNTS))
    if statistics.n == 0:
        device = "cuda" if dist.get_backend(group) == "nccl" else "cpu"
        flat = torch.zeros(sum(sizes), dtype=torch.float64, device=device)
    else:
        values = [getattr(statistics, name) for name in _SUMS]
        tensors = [v if isinstance(v, torch.Tensor) else torch.from_numpy(to_numpy(v)) for v in values]
        counts = [float(getattr(statistics, name)) for name in _COUNTS]
        numbers = torch.tensor(counts, dtype=torch.float64, device=tensors[0].device)
        flat = torch.cat([*(t.reshape(-1) for t in tensors), numbers])
    dist.all_reduce(flat, group=group)
    *parts, numbers = torch.split(flat, sizes)
    shapes = ((p, p), (k, p), (k,), (p,), (k,))
    tensors = [part.reshape(shape).clone() for part, shape in zip(parts, shapes, strict=True)]
    n, weight, error = numbers.tolist()
    arrays = tensors if on_device else [tensor.cpu().numpy() for tensor in tensors]
    return GramStatistics.of(Sums(int(n), weight, *arrays, provenance=provenance, gram_error=error))


def _agreed(told: list[tuple[int, int, int, Provenance | None]]) -> Provenance | None:
    """Return the common provenance, or raise the same error in every process."""
    sizes = sorted({(p, k) for p, k, _, _ in told})
    if len(sizes) > 1:
        raise ShapeError(f"statistics of all processes must have the same p and k, got {' and '.join(map(str, sizes))}")
    present = [provenance for _, _, n, provenance in told if n]
    if not present:
        raise ShapeError("no process has samples; call update(Phi, Y) first")
    if any(provenance is None for provenance in present):
        if any(provenance is not None for provenance in present):
            raise DataError("some processes have a provenance and others none; set it in all, or in none")
        return None
    total: Provenance | None = None
    for provenance in present:
        assert provenance is not None
        total = provenance if total is None else total.joined(provenance)
    return total
