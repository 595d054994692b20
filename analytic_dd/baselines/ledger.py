"""The ledger of what a distillation has cost, in seconds, in bytes and in passes of one sample."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any

__all__ = ["Ledger"]


@dataclass
class Ledger:
    """Counters that only grow. They are part of the saved state, so that a resumed run goes on counting."""

    wall_seconds: float = 0.0  # time inside the steps of the method, without evaluation and the writing of states
    cpu_seconds: float = 0.0
    # Largest memory that was allocated on a CUDA device. On a CPU it is the high-water mark of the process, which
    # includes what ran before.
    peak_bytes: int = 0
    steps: int = 0  # number of outer steps of the method
    # Passes of one real or synthetic sample through a network or a feature map. A gradient in the weights or in the
    # samples is one backward pass, and a second derivative is another.
    real_forward: int = 0
    real_backward: int = 0
    synthetic_forward: int = 0
    synthetic_backward: int = 0
    network_steps: int = 0  # number of optimiser steps of networks, in inner loops, of students and of experts
    kernel_entries: int = 0  # number of entries of kernel matrices that were evaluated
    expert_bytes: int = 0  # bytes of the weights of experts

    @contextmanager
    def timed(self, device: Any = "cpu") -> Iterator[None]:
        """Add the wall and CPU time of a block, after the CUDA device has finished."""
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            on_cuda = str(device).startswith("cuda")
            if on_cuda:
                import torch

                torch.cuda.synchronize(device)
                used = int(torch.cuda.max_memory_allocated(device))
            else:
                used = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            self.peak_bytes = max(self.peak_bytes, used)
            self.wall_seconds += time.perf_counter() - wall
            self.cpu_seconds += time.process_time() - cpu

    def add(self, **counts: int) -> None:
        """Add to counters by their names."""
        for name, value in counts.items():
            setattr(self, name, getattr(self, name) + value)

    def to_dict(self) -> dict[str, Any]:
        """Return the counters as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Ledger:
        """Read what :meth:`to_dict` returned."""
        return cls(**{field.name: values[field.name] for field in fields(cls)})
