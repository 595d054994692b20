"""Features and labels of a source, a block of samples at a time, on the host or on a device (T13)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from analytic_dd.clock import Clock, Listener
from analytic_dd.features import FeatureMap
from analytic_dd.model.source import Source

__all__ = ["FeatureStream"]

_BLOCK_BYTES = 16 * 2**20  # bytes of float64 inputs
_LEAST_ROWS = 4096
_DEVICE_ROWS = 8192


@dataclass(frozen=True)
class FeatureStream:
    """Blocks of (Phi, Y), or (Phi, Y, weights), of the samples of a source."""

    source: Source
    feature_map: FeatureMap
    dtype: type  # arithmetic of the map
    device: str  # ``cpu`` computes by numpy on the host, any other name (``cpu:0`` too) by torch on that device
    clock: Clock
    listener: Listener | None = None  # receives (stage, done, total)

    @property
    def on_host(self) -> bool:
        """Whether blocks are numpy arrays."""
        return self.device == "cpu"

    def blocks(
        self, order: np.ndarray | None = None, *, stage: str = "", most: int | None = None
    ) -> Iterator[tuple[Any, ...]]:
        """Yield the samples in their order, or those of ``order``; ``stage`` names the pass to show progress by.

        ``most`` limits the rows of a block on the host. A block is valid until the next is asked for.
        """
        n = self.source.n
        # a block of few rows would spend its time on the p^2 entries of the sum, not on the product
        rows = max(1, min(n, max(_BLOCK_BYTES // (8 * self.source.d), _LEAST_ROWS)))
        rows = min(rows, most or rows) if self.on_host else _DEVICE_ROWS
        total, done = n if order is None else len(order), 0
        source = self.source.blocks(rows, order, dtype=self.dtype, device=self.device)
        while True:
            with self.clock("normalisation"):
                block = next(source, None)
            if block is None:
                return
            X, Y, *weights = block
            with self.clock("features"):
                Phi = self.feature_map(X)
                if self.device.startswith("cuda"):  # so that the seconds of a stage count all of its work
                    import torch

                    torch.cuda.synchronize(self.device)
            self.clock.mapped += len(Y)
            yield Phi, Y, *weights
            del Phi  # before the next is made
            done += len(Y)
            if self.listener is not None and stage:
                self.listener(stage, done, total)
