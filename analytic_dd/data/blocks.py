"""Samples a block at a time, normalised in float64 on the host or moved to a device as stored bytes.

Bytes that cross the bus as they are take an eighth of the traffic of float64.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from analytic_dd.arrays import cached_rows
from analytic_dd.errors import DataError

__all__ = ["BLOCK_BYTES", "block_rows", "device_blocks", "normalised_blocks", "require_device"]

BLOCK_BYTES = 16 * 2**20  # of float64, with which BLAS is fast


def block_rows(shape: tuple[int, ...]) -> int:
    """Return how many samples of ``shape`` make about :data:`BLOCK_BYTES` of float64 (at least one)."""
    return max(1, BLOCK_BYTES // (8 * math.prod(shape)))


def normalised_blocks(
    x: np.ndarray,
    y: np.ndarray,
    rows: int,
    order: np.ndarray | None,
    mean: np.ndarray,
    std: np.ndarray,
    *,
    reuse: bool = False,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the blocks of :meth:`Dataset.blocks`; ``mean`` and ``std`` have one number for each channel."""
    total, size = len(x) if order is None else len(order), math.prod(x.shape[1:])
    if len(mean) > 1:  # whole rows, because numpy is slow along an axis of 3 channels
        mean, std = (np.tile(v, size // len(v)) for v in (mean, std))
    memory = np.empty((min(rows, total) if reuse else 0, size))
    for start in range(0, total, rows):
        chosen = slice(start, start + rows) if order is None else order[start : start + rows]
        samples = x[chosen].reshape(-1, size)
        X = memory[: len(samples)] if reuse else np.empty(samples.shape)
        for part in cached_rows(X):
            X[part] = samples[part]
            X[part] -= mean
            X[part] /= std
        yield X, y[chosen].copy()


def require_device(device: str) -> None:
    """Refuse a device that torch cannot compute on here in float64, and any without torch."""
    try:
        import torch
    except ModuleNotFoundError as error:
        raise ValueError(f"device {device!r} needs torch; pip install 'analytic-dd[torch]', or use 'cpu'") from error
    try:
        torch.zeros(1, dtype=torch.float64, device=device).cpu().item()
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].partition(". ")[0].partition(" This could be")[0]
        if str(device).startswith("mps"):
            reason = "Apple's GPUs have no float64, and a certificate in float32 would say nothing"
        raise ValueError(f"no device {device!r} with float64 here ({reason}); use device='cpu'") from error


def device_blocks(
    x: np.ndarray,
    y: np.ndarray,
    *,
    rows: int,
    mean: np.ndarray,
    std: np.ndarray,
    device: Any = "cpu",
    dtype: str = "float64",
    order: np.ndarray | None = None,
) -> Iterator[tuple[Any, Any]]:
    """Yield blocks of X (b, d) = (x - mean) / std and y (b,) int64 as torch tensors on ``device``.

    Parameters
    ----------
    x, y : (n, ...), (n,) arrays
        Samples and labels on the host, in the dtype in which they came, channels last.
    rows : int
        Number of samples in a block.
    mean, std : (channels,) arrays
    device : torch.device or str
    dtype : {"float64", "float32"}
        The dtype of X.
    order : (r,) int array, optional
        Indices of the samples to take.

    Notes
    -----
    *Cost.* x.itemsize bytes for each entry cross the bus. Towards CUDA two pinned blocks take turns, and the copy of
    one runs while the host fills the other and the device works.

    Examples
    --------
    >>> x = np.arange(6, dtype=np.uint8).reshape(3, 2)
    >>> [X.tolist() for X, _ in device_blocks(x, np.zeros(3, int), rows=2, mean=np.ones(1), std=np.ones(1))]
    [[[-1.0, 0.0], [1.0, 2.0]], [[3.0, 4.0]]]
    >>> next(device_blocks(x, np.zeros(3, int), rows=0, mean=np.ones(1), std=np.ones(1)))
    Traceback (most recent call last):
        ...
    ValueError: rows must be at least 1, got 0
    """
    import torch

    if rows < 1:
        raise ValueError(f"rows must be at least 1, got {rows}")
    if dtype not in ("float64", "float32"):
        raise ValueError(f"dtype must be float64 or float32, got {dtype!r}")
    target, size = torch.device(device), math.prod(x.shape[1:])
    if size % len(mean):
        raise DataError(f"samples of {size} entries do not have {len(mean)} channels")
    wanted = getattr(torch, dtype)
    shift, scale = (torch.as_tensor(np.asarray(v), dtype=wanted, device=target) for v in (mean, std))
    total = len(x) if order is None else len(order)
    staging = _Staging(min(rows, total), size, x.dtype, pinned=target.type == "cuda")
    for start in range(0, total, rows):
        chosen = slice(start, start + rows) if order is None else order[start : start + rows]
        raw = staging.moved(x[chosen].reshape(-1, size), target)
        X = raw.to(wanted).reshape(len(raw), -1, len(mean))
        X = ((X - shift) / scale).reshape(len(raw), size)
        yield X, torch.as_tensor(np.require(y[chosen], requirements=["C", "W"]), device=target).to(torch.int64)


class _Staging:
    """Two host blocks that take turns; one is filled again only when the device has taken its content."""

    def __init__(self, rows: int, size: int, dtype: np.dtype, *, pinned: bool) -> None:
        import torch

        kind = torch.from_numpy(np.empty(0, dtype)).dtype
        self.blocks = [torch.empty((rows, size), dtype=kind, pin_memory=pinned) for _ in range(2)]
        self.taken: list[Any] = [None, None]
        self.turn, self.pinned = 0, pinned

    def moved(self, samples: np.ndarray, device: Any) -> Any:
        """Copy samples into the next block and start its way to the device."""
        import torch

        block = self.blocks[self.turn][: len(samples)]
        if self.taken[self.turn] is not None:
            self.taken[self.turn].synchronize()
        block.numpy()[...] = samples
        moved = block.to(device, non_blocking=self.pinned, copy=True)
        if self.pinned:
            self.taken[self.turn] = torch.cuda.Event()
            self.taken[self.turn].record()
        self.turn = 1 - self.turn
        return moved
