"""The training set as the target of kernel ridge regression, in batches, in blocks, or as sums of its features."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import torch

from analytic_dd.baselines.ledger import Ledger
from analytic_dd.baselines.methods.kernels import FeatureKernel, Kernel
from analytic_dd.baselines.methods.task import Task
from analytic_dd.linalg import GramStatistics

__all__ = ["KernelTarget"]

_BLOCK = 512  # training samples at a time, which the cache of a CPU holds


class KernelTarget:
    """Labels of training samples, and their rows, or their features for a feature kernel.

    Rows or features are kept where they take at most ``memory`` bytes; otherwise they are computed when asked for, and
    the ``ledger`` counts the samples that are mapped. With ``centred`` the labels are e_y - 1/k in place of e_y.
    """

    def __init__(self, task: Task, kernel: Kernel, *, centred: bool, memory: float, ledger: Ledger) -> None:
        self.task, self.kernel, self.centred, self.ledger = task, kernel, centred, ledger
        self.width = kernel.feature_map.p if isinstance(kernel, FeatureKernel) else task.d
        self._kept: torch.Tensor | None = None
        self._batch = torch.empty((0, self.width), dtype=task.dtype, device=task.device)
        if 8 * task.n * self.width <= memory:
            self._kept = torch.empty((task.n, self.width), dtype=task.dtype, device=task.device)
            for rows in self._row_blocks():
                self._kept[rows] = self._compute(rows)

    def _row_blocks(self) -> Iterator[slice]:
        for first in range(0, self.task.n, _BLOCK):
            yield slice(first, min(first + _BLOCK, self.task.n))

    def _compute(self, index: torch.Tensor | slice) -> torch.Tensor:
        """Return rows (b, d) or features (b, p) of samples."""
        X = self.task.normalised(index).flatten(1)
        if isinstance(self.kernel, FeatureKernel):
            self.ledger.real_forward += len(X)
            return self.kernel.features(X)
        return X

    @functools.cached_property
    def _squares(self) -> torch.Tensor:
        """|x|^2 (n,) of all samples, or of their features."""
        blocks = (self.points(rows) for rows in self._row_blocks())
        return torch.cat([(X * X).sum(dim=1) for X in blocks])

    def matrix(self, rows: torch.Tensor | None, x: torch.Tensor) -> torch.Tensor:
        """Return the kernel (b, m) between samples, or all of them, and the points ``x`` (m, d)."""
        if rows is None:
            return self.kernel.of_known(self.all()[0], self._squares, x)
        return self.kernel.of_known(self.points(rows), self._squares[rows], x)

    def points(self, rows: torch.Tensor | slice) -> torch.Tensor:
        """Return the rows (b, d) of samples, or their features (b, p).

        A batch stands where the one before it stood: new memory of its size would cost more than filling it.
        """
        if self._kept is None:
            return self._compute(rows)
        if not isinstance(rows, torch.Tensor):
            return self._kept[rows]
        if len(self._batch) != len(rows):
            self._batch = self._kept.new_empty((len(rows), self.width))
        return torch.index_select(self._kept, 0, rows, out=self._batch)

    def labels(self, rows: torch.Tensor | slice) -> torch.Tensor:
        """Return the labels (b, k) of samples."""
        return self.encode(self.task.classes_of[rows])

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
        return self.points(slice(None)), self.labels(slice(None))

    def sums(self) -> GramStatistics:
        """Return G = Phi^T Phi, C = Y^T Phi and the sums of squares of Y: one pass over the data."""
        statistics = GramStatistics(self.width, self.task.k)
        for Phi, Y in self.blocks():
            statistics.update(Phi, Y)
        return statistics
