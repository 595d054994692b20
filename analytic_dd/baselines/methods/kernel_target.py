"""The training set as the target of kernel ridge regression, in batches, in blocks, or as sums of its features."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from analytic_dd.baselines.ledger import Ledger
from analytic_dd.baselines.methods.kernels import FeatureKernel, Kernel
from analytic_dd.baselines.methods.task import Task
from analytic_dd.linalg import GramStatistics

__all__ = ["KernelTarget"]

_BLOCK = 2048  # training samples at a time


class KernelTarget:
    """Labels of training samples, and their rows, or their features for a feature kernel.

    Rows or features are kept where they take at most ``memory`` bytes; otherwise they are computed when asked for, and
    the ``ledger`` counts the samples that are mapped. With ``centred`` the labels are e_y - 1/k in place of e_y.
    """

    def __init__(self, task: Task, kernel: Kernel, *, centred: bool, memory: float, ledger: Ledger) -> None:
        self.task, self.kernel, self.centred, self.ledger = task, kernel, centred, ledger
        self.width = kernel.feature_map.p if isinstance(kernel, FeatureKernel) else task.d
        self._kept: torch.Tensor | None = None
        if 8 * task.n * self.width <= memory:
            self._kept = torch.cat([self._compute(rows) for rows in self._row_blocks()])

    def _row_blocks(self) -> Iterator[torch.Tensor]:
        yield from torch.arange(self.task.n, device=self.task.device).split(_BLOCK)

    def _compute(self, index: torch.Tensor) -> torch.Tensor:
        """Return rows (b, d) or features (b, p) of samples."""
        task = self.task
        X = task.normalised(index).reshape(len(index), -1)
        if isinstance(self.kernel, FeatureKernel):
            self.ledger.real_forward += len(index)
            return self.kernel.features(X)
        return X

    def points(self, rows: np.ndarray | torch.Tensor) -> torch.Tensor:
        """Return the rows (b, d) of samples, or their features (b, p)."""
        index = torch.as_tensor(rows, device=self.task.device)
        return self._compute(index) if self._kept is None else self._kept[index]

    def labels(self, rows: np.ndarray | torch.Tensor) -> torch.Tensor:
        """Return the labels (b, k) of samples."""
        return self.encode(self.task.labels(rows))

    def encode(self, classes: torch.Tensor) -> torch.Tensor:
        """Return the labels (b, k) of class indices (b,)."""
        Y = torch.nn.functional.one_hot(classes, self.task.k).to(self.task.dtype)
        return Y - 1.0 / self.task.k if self.centred else Y

    def blocks(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield (points, labels) over the whole training set."""
        for rows in self._row_blocks():
            yield self.points(rows), self.labels(rows)

    def all(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the points and the labels of the whole training set at once."""
        rows = torch.arange(self.task.n, device=self.task.device)
        return self.points(rows) if self._kept is None else self._kept, self.labels(rows)

    def sums(self) -> GramStatistics:
        """Return G = Phi^T Phi, C = Y^T Phi and the sums of squares of Y: one pass over the data."""
        statistics = GramStatistics(self.width, self.task.k)
        for Phi, Y in self.blocks():
            statistics.update(Phi, Y)
        return statistics
