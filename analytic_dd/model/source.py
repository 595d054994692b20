"""Where training samples come from: a data set, arrays, or sums alone; normalised in one place, never copied whole."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from analytic_dd.arrays import Array, as_weights, eps_of
from analytic_dd.data import Dataset
from analytic_dd.data.blocks import device_blocks
from analytic_dd.data.dataset import content_sha256
from analytic_dd.data.normalisation import class_means, column_ranges, normalised, value_range
from analytic_dd.data.tables import Table
from analytic_dd.errors import DataError
from analytic_dd.labels import centred_one_hot, one_hot
from analytic_dd.model.units import units_of

__all__ = ["ArraySource", "DatasetSource", "Origin", "Source", "TableSource", "source_of"]

Block = tuple[Any, ...]  # (X, Y), or (X, Y, weights)


@dataclass(frozen=True)
class Origin:
    """What is stored of the data.

    Attributes
    ----------
    name, sha256, source : str
    image_shape : tuple of int
    classes : tuple of int or str
    samples : int
        Training samples.
    class_means : (k, *image_shape) array or None
    """

    name: str
    sha256: str
    source: str
    image_shape: tuple[int, ...]
    classes: tuple[int | str, ...]
    samples: int
    class_means: np.ndarray | None = None


class Source(ABC):
    """Training samples in blocks of normalised inputs and labels; a sample of weight 0 is not among them.

    Attributes
    ----------
    n, d, k : int
        Samples, numbers in an input, outputs.
    image_shape : tuple of int
    mean, std : (channels,) arrays
        inputs = (x - mean) / std, in the data's units.
    classified : bool
        Whether outputs are classes.
    label_kind : str
        ``"one-hot"``, ``"centred"`` or ``"outputs"``.
    weights : (n,) array or None
        Positive.
    units : (k,) array or None
        What outputs are divided by, powers of two; None for classes.
    tabular : bool
        Whether inputs are rows of a table, each column in its own unit.
    """

    n: int
    d: int
    k: int
    image_shape: tuple[int, ...]
    mean: np.ndarray
    std: np.ndarray
    classified: bool
    label_kind: str
    weights: np.ndarray | None
    units: np.ndarray | None = None
    tabular: bool = False

    @property
    def of_classes(self) -> bool:
        """Whether outputs are classes, or shares of classes that sum to 1: a one-hot matrix, probabilities."""
        return self.classified

    @abstractmethod
    def blocks(
        self, rows: int, order: np.ndarray | None = None, *, dtype: type = np.float64, device: str = "cpu"
    ) -> Iterator[Block]:
        """Yield (X, Y) or (X, Y, weights), ``rows`` samples a block, all in their order or those of ``order``.

        On a device other than ``"cpu"`` the blocks are torch tensors there. A block is valid until the next is asked
        for.
        """

    @abstractmethod
    def inputs(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the normalised inputs (m, d) and classes (m,) of some samples, in the order of ``rows``."""

    @property
    @abstractmethod
    def groups(self) -> np.ndarray:
        """The class (n,) of each sample, or 0 for all where outputs are no classes."""

    @property
    @abstractmethod
    def value_range(self) -> tuple[Any, Any]:
        """The range of the pixels, or two (d,) arrays for a table, whose columns have units of their own."""

    @property
    @abstractmethod
    def origin(self) -> Origin:
        """What is stored of the data."""

    def bytes_of(self, rows: int) -> Iterator[tuple[np.ndarray, np.ndarray]] | None:
        """Yield stored bytes (b, d) and labels (b, k), or return None where samples are no bytes."""
        return None

    def as_given(self) -> Source:
        """Return the source with outputs as they are: probabilities and counts have no unit."""
        if self.units is None:
            return self
        plain = copy(self)
        plain.units = None
        return plain


def _kept(weights: np.ndarray | None, n: int) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Check weights; return those that are positive, and the rows that have them where some are 0 (T12)."""
    if weights is None:
        return None, None
    checked = np.asarray(as_weights(weights, n), dtype=np.float64)
    rows = np.flatnonzero(checked > 0.0)
    if not len(rows):
        raise DataError("no sample has a weight above 0; give some weight to at least one")
    return checked[rows], None if len(rows) == n else rows


class DatasetSource(Source):
    """The training part of a data set, normalised by its channel moments.

    Parameters
    ----------
    dataset : Dataset
    centred : bool
        Labels are one-hot less 1/k (T5).
    weights : (n,) array, optional
        Weights >= 0; samples of weight 0 are left out, as if the data set did not have them.
    moments : (mean, std), optional
        In the place of the channel moments of the samples.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        centred: bool = False,
        weights: np.ndarray | None = None,
        moments: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> None:
        self.weights, rows = _kept(weights, len(dataset.y_train))
        self.dataset = dataset if rows is None else dataset.only(rows)
        self.n, self.d, self.k = len(self.dataset.y_train), dataset.d, len(dataset.classes)
        self.image_shape, self.classified, self.tabular = dataset.image_shape, True, bool(dataset.columns)
        self.mean, self.std = self.dataset.statistics() if moments is None else moments
        self.label_kind = "centred" if centred else "one-hot"
        self.labels = np.asarray((centred_one_hot if centred else one_hot)(np.arange(self.k), self.k))

    def blocks(
        self, rows: int, order: np.ndarray | None = None, *, dtype: type = np.float64, device: str = "cpu"
    ) -> Iterator[Block]:
        """Yield blocks; see :class:`Source`. Stored bytes go to a device as they are."""
        table, done = _placed(self.labels.astype(dtype), device), 0
        weights = self.weights if self.weights is None or order is None else self.weights[order]
        for X, y in self._samples(rows, order, dtype, device):
            some = () if weights is None else (_placed(weights[done : done + len(y)], device),)
            done += len(y)
            yield X, table[y], *some

    def _samples(self, rows: int, order: np.ndarray | None, dtype: type, device: str) -> Iterator[tuple[Any, Any]]:
        data, moments = self.dataset, {"mean": self.mean, "std": self.std}
        if device != "cpu":
            kind = np.dtype(dtype).name
            yield from device_blocks(
                data.x_train, data.y_train, rows=rows, **moments, device=device, dtype=kind, order=order
            )
            return
        # The one array of ``reuse`` is enough: a block is given up when the next is asked for. (A thread that reads
        # ahead was slower: BLAS keeps both cores busy.)
        for X, y in data.blocks("train", rows=rows, **moments, order=order, reuse=True):
            yield X.astype(dtype, copy=False), y

    def inputs(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the normalised inputs (m, d) and classes (m,) of some samples."""
        blocks = list(self.dataset.blocks("train", mean=self.mean, std=self.std, order=rows))
        return np.concatenate([X for X, _ in blocks]), np.concatenate([y for _, y in blocks])

    @property
    def groups(self) -> np.ndarray:
        """The class (n,) of each sample."""
        return self.dataset.y_train

    @cached_property
    def value_range(self) -> tuple[Any, Any]:
        """The range of the pixels, or of each column of a table, in the data's units."""
        return column_ranges(self.dataset.x_train) if self.tabular else self.dataset.value_range()

    @cached_property
    def origin(self) -> Origin:
        """What is stored of the data."""
        data = self.dataset
        facts = data.name, data.sha256, data.source, data.image_shape, data.classes
        return Origin(*facts, self.n, data.class_means())

    def bytes_of(self, rows: int) -> Iterator[tuple[np.ndarray, np.ndarray]] | None:
        """Yield stored bytes (b, d) and labels (b, k)."""
        if self.dataset.x_train.dtype != np.uint8 or self.weights is not None:
            return None
        x, y = self.dataset.x_train, self.dataset.y_train
        starts = range(0, self.n, rows)
        return ((x[i : i + rows].reshape(-1, self.d), self.labels[y[i : i + rows]]) for i in starts)


class ArraySource(Source):
    """Samples in an array, taken as they are (whoever wants them normalised does so first); outputs in their units.

    Parameters
    ----------
    X : (n, d) or (n, \\*image_shape) array
    y : (n,) int array, or (n, k) float array
        Indices of classes, or outputs.
    classes : sequence, optional
        The names of the classes; None where ``y`` are outputs.
    centred : bool
        Labels of classes are one-hot less 1/k (T5).
    weights : (n,) array, optional
        Weights >= 0; samples of weight 0 are left out.
    """

    def __init__(
        self,
        X: np.ndarray,
        y: np.ndarray,
        *,
        classes: tuple[int | str, ...] | None = None,
        centred: bool = False,
        weights: np.ndarray | None = None,
    ) -> None:
        self.weights, rows = _kept(weights, len(X))
        self.X: np.ndarray = X if rows is None else X[rows]
        self.y: np.ndarray = y if rows is None else y[rows]
        self.n, self.image_shape = len(self.X), tuple(X.shape[1:])
        self.d, self.classified = math.prod(self.image_shape), classes is not None
        channels = self.image_shape[2] if len(self.image_shape) == 3 else 1
        self.mean, self.std = np.zeros(channels), np.ones(channels)
        self.label_kind = "outputs" if classes is None else "centred" if centred else "one-hot"
        self.k = y.shape[1] if classes is None else len(classes)
        self.classes = tuple(range(self.k)) if classes is None else classes
        encode = centred_one_hot if centred else one_hot
        self.labels = None if classes is None else np.asarray(encode(np.arange(self.k), self.k))
        self.units = units_of(self.y) if classes is None else None

    @property
    def of_classes(self) -> bool:
        """Whether outputs are classes, or shares of classes that sum to 1: a one-hot matrix, probabilities."""
        if self.classified or self.k < 2 or not np.all(self.y >= 0.0):
            return self.classified
        return bool(np.all(np.abs(self.y.sum(axis=1) - 1.0) <= self.k * eps_of(self.y)))

    def blocks(
        self, rows: int, order: np.ndarray | None = None, *, dtype: type = np.float64, device: str = "cpu"
    ) -> Iterator[Block]:
        """Yield blocks; see :class:`Source`."""
        total = self.n if order is None else len(order)
        for start in range(0, total, rows):
            some = slice(start, min(start + rows, total)) if order is None else order[start : start + rows]
            X: np.ndarray = self.X[some].reshape(-1, self.d).astype(dtype, copy=False)
            y = self.y[some]
            outputs = y if self.units is None else y / self.units
            Y: np.ndarray = (outputs if self.labels is None else self.labels[y]).astype(dtype, copy=False)
            arrays = (X, Y) if self.weights is None else (X, Y, self.weights[some])
            yield tuple(_placed(A, device) for A in arrays)

    def inputs(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the inputs (m, d) of some samples, and their classes (m,) where there are any."""
        X = np.asarray(self.X[rows].reshape(len(rows), self.d), dtype=np.float64)
        return X, self.y[rows] if self.classified else None

    @property
    def groups(self) -> np.ndarray:
        """The class (n,) of each sample, or 0 for all."""
        return self.y if self.classified else np.zeros(self.n, dtype=np.int64)

    @cached_property
    def value_range(self) -> tuple[Any, Any]:
        """The range of the entries; 0 to 1 where they lie in it."""
        return value_range(self.X)

    @cached_property
    def origin(self) -> Origin:
        """What is stored of the arrays."""
        sha256 = content_sha256(self.X, self.y)
        means = None
        if self.classified:
            means = class_means(self.X, self.y, self.k)
        return Origin("arrays", sha256, "arrays", self.image_shape, self.classes, self.n, means)


class TableSource(ArraySource):
    """The training part of a table, each column normalised by its own moments; outputs in their units.

    Parameters
    ----------
    table : Table
    weights : (n,) array, optional
        Weights >= 0; samples of weight 0 are left out.
    moments : (mean, std), optional
        In the place of the moments of the columns.
    """

    def __init__(
        self,
        table: Table,
        *,
        weights: np.ndarray | None = None,
        moments: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> None:
        mean, std = table.statistics() if moments is None else moments
        super().__init__(normalised(table.x_train, mean, std), table.y_train, weights=weights)
        self.table, self.mean, self.std, self.tabular = table, mean, std, True

    @cached_property
    def value_range(self) -> tuple[Any, Any]:
        """The range of each column, in the data's units."""
        return column_ranges(self.table.x_train)

    @cached_property
    def origin(self) -> Origin:
        """What is stored of the table."""
        table = self.table
        return Origin(table.name, table.sha256, table.source, self.image_shape, table.outputs, self.n)


def source_of(data: Dataset | Table, *, centred: bool, weights: np.ndarray | None) -> DatasetSource | TableSource:
    """Return the training part of data with classes or with outputs."""
    if isinstance(data, Dataset):
        return DatasetSource(data, centred=centred, weights=weights)
    if centred:
        raise ValueError("labels='centred' belong to classes; choose one-hot or learned for a regression")
    return TableSource(data, weights=weights)


def _placed(values: np.ndarray, device: str) -> Array:
    """Put values where the blocks are."""
    if device == "cpu":
        return values
    import torch

    return torch.as_tensor(values, device=device)
