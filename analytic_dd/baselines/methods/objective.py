"""What a method minimises, at a set on all the training part, beside the least value that any such set has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from analytic_dd.baselines.methods.task import Task
from analytic_dd.linalg import GramStatistics

__all__ = ["Objective", "class_sums"]

_BLOCK = 2048  # training samples at a time


@dataclass(frozen=True)
class Objective:
    """The objective of a linear or finite-feature run (T20)."""

    # At the set, on all the training part, in the mean over random weights (or over the experts of the run)
    reached: float
    optimum: float  # no set of so many points has less
    theorem: str

    @property
    def gap(self) -> float:
        """How far above the optimum the run ended."""
        return self.reached - self.optimum


def class_sums(task: Task) -> Iterator[GramStatistics]:
    """Yield the sums of each class in float64, divided by its number of samples: rows in the order of the library."""
    for label, members in enumerate(task.members):
        sums = GramStatistics(task.d, task.k)
        for first in range(0, len(members), _BLOCK):
            rows = members[first : first + _BLOCK]
            X = task.as_rows(task.images(rows)).double().cpu().numpy()
            sums.update(X / np.sqrt(len(members)), np.eye(task.k)[np.full(len(rows), label)] / np.sqrt(len(members)))
        yield sums
