"""Features and labels of the training part, a block of samples at a time, on the host or on a device (T13)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from analytic_dd.arrays import Array
from analytic_dd.data import Dataset, device_blocks
from analytic_dd.distill.distilled import InvertibleMap

__all__ = ["FeatureStream", "Progress", "Stages"]

_BLOCK_BYTES = 16 * 2**20  # of float64 inputs
_LEAST_ROWS = 4096
_DEVICE_ROWS = 8192

Progress = Callable[[str, int, int], None]  # stage, done, total


@dataclass
class Stages:
    """Wall seconds by stage; a stage that is entered again adds up. ``mapped`` samples went through the map."""

    seconds: dict[str, float] = field(default_factory=dict)
    mapped: int = 0

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time a block under ``name``."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started


@dataclass(frozen=True)
class FeatureStream:
    """Blocks of (Phi, Y), or (Phi, Y, weights), of the training part.

    Attributes
    ----------
    dataset : Dataset
    feature_map : InvertibleMap
    mean, std : (channels,) arrays
        Of the normalisation.
    labels : (k, k) array
        Row c is the label of class c.
    weights : (n,) array or None
    dtype : numpy float type
        Arithmetic of the map.
    device : str
        ``cpu``: numpy on the host. Others: torch there (``cpu:0`` too); stored bytes go to the device as they are.
    stages : Stages
    progress : Progress or None
    """

    dataset: Dataset
    feature_map: InvertibleMap
    mean: np.ndarray
    std: np.ndarray
    labels: np.ndarray
    weights: np.ndarray | None
    dtype: type
    device: str
    stages: Stages
    progress: Progress | None = None

    @property
    def on_host(self) -> bool:
        """Whether blocks are numpy arrays."""
        return self.device == "cpu"

    def blocks(
        self, order: np.ndarray | None = None, *, stage: str = "", most: int | None = None
    ) -> Iterator[tuple[Any, ...]]:
        """Yield the samples in their order, or those of ``order``; ``stage`` is what progress is shown under.

        ``most`` limits the rows of a block on the host. A block is valid until the next is asked for.
        """
        n = len(self.dataset.y_train)
        # a block of few rows would spend its time on the p^2 entries of the sum, not on the product
        rows = max(1, min(n, max(_BLOCK_BYTES // (8 * self.dataset.d), _LEAST_ROWS)))
        rows = min(rows, most or rows) if self.on_host else _DEVICE_ROWS
        total, done = n if order is None else len(order), 0
        labels = self._there(self.labels.astype(self.dtype))
        weights = None if self.weights is None else self.weights if order is None else self.weights[order]
        source = self._source(rows, order)
        while True:
            with self.stages("normalisation"):
                block = next(source, None)
            if block is None:
                return
            X, y = block
            with self.stages("features"):
                Phi = self.feature_map(X)
                self._wait()
            self.stages.mapped += len(y)
            some = () if weights is None else (self._there(weights[done : done + len(y)]),)
            yield Phi, labels[y], *some
            del Phi  # before the next is made
            done += len(y)
            if self.progress is not None and stage:
                self.progress(stage, done, total)

    def _source(self, rows: int, order: np.ndarray | None) -> Iterator[tuple[Any, Any]]:
        """Yield normalised inputs and classes."""
        data, moments = self.dataset, {"mean": self.mean, "std": self.std}
        if not self.on_host:
            kind = np.dtype(self.dtype).name
            yield from device_blocks(
                data.x_train, data.y_train, rows=rows, **moments, device=self.device, dtype=kind, order=order
            )
            return
        # The one array of ``reuse`` is enough: a block is given up when the next is asked for. (A thread that reads
        # ahead was slower: BLAS keeps both cores busy.)
        for X, y in data.blocks("train", rows=rows, **moments, order=order, reuse=True):
            yield X.astype(self.dtype, copy=False), y

    def _there(self, values: np.ndarray) -> Array:
        """Put values where the blocks are."""
        if self.on_host:
            return values
        import torch

        return torch.as_tensor(values, device=self.device)

    def _wait(self) -> None:
        """Wait for the device, so that a stage has the time that it took."""
        if self.device.startswith("cuda"):
            import torch

            torch.cuda.synchronize(self.device)
