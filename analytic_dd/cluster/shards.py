"""A share of the samples: what one worker, machine or party sums, as a task that can be sent and repeated exactly."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import threadpoolctl

from analytic_dd.arrays import as_weights
from analytic_dd.cluster.array_source import ArraySource
from analytic_dd.cluster.read_ahead import ReadAhead
from analytic_dd.data import Dataset, Table, normalised_blocks
from analytic_dd.errors import DataError
from analytic_dd.features import FeatureMap, from_spec
from analytic_dd.labels import centred_one_hot, one_hot
from analytic_dd.linalg import GramStatistics, Provenance, accumulate
from analytic_dd.staging import locked

__all__ = ["ShardTask", "agreement", "dataset_shard", "parse_shard", "shard_range", "shard_tasks"]

_LABELS = ("one-hot", "centred", "values")
_BLOCK_BYTES = 32 * 2**20  # of float64 inputs


def parse_shard(text: str) -> tuple[int, int]:
    """Return (i, N) of ``"i/N"``, 1 <= i <= N.

    Examples
    --------
    >>> parse_shard("2/5")
    (2, 5)
    >>> parse_shard("0/5")
    Traceback (most recent call last):
        ...
    ValueError: a shard is i/N with 1 <= i <= N, such as 2/5; got '0/5'
    """
    first, slash, last = text.partition("/")
    if slash and first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last):
        return int(first), int(last)
    raise ValueError(f"a shard is i/N with 1 <= i <= N, such as 2/5; got {text!r}")


def shard_range(n: int, i: int, count: int) -> tuple[int, int]:
    """Return (start, stop) of shard ``i`` of ``count``, counted from 1; the shards cut n samples into equal parts.

    Examples
    --------
    >>> [shard_range(10, i, 3) for i in (1, 2, 3)]
    [(0, 3), (3, 6), (6, 10)]
    >>> shard_range(2, 1, 3)
    Traceback (most recent call last):
        ...
    ValueError: 2 samples do not fill 3 shards; take at most 2
    """
    if count > n:
        raise ValueError(f"{n} samples do not fill {count} shards; take at most {n}")
    return (i - 1) * n // count, i * n // count


def agreement(
    feature_map: Mapping[str, Any],
    *,
    mean: np.ndarray,
    std: np.ndarray,
    labels: str,
    classes: Any,
    image_shape: tuple[int, ...],
) -> dict[str, Any]:
    """Return the facts that must agree between sums that are added, by name (``Provenance.agree``)."""
    return {
        "image shape": list(image_shape),
        "feature map": dict(feature_map),
        "mean": np.asarray(mean),
        "std": np.asarray(std),
        "labels": labels,
        "classes": list(classes) if isinstance(classes, tuple | list) else classes,
    }


@dataclass(frozen=True)
class ShardTask:
    """The task to sum samples ``start`` to ``stop`` of a source; it is small, and every worker gets the same sums.

    Attributes
    ----------
    source : ArraySource
    feature_map : mapping
        The specification :meth:`FeatureMap.spec`, from which the worker rebuilds the map.
    mean, std : tuple of float
        One number for each channel; inputs are (x - mean) / std.
    labels : {"one-hot", "centred", "values"}
        Whether y becomes one-hot rows, or those minus 1/k, or stays as it is, (n, k) floats.
    k : int
        Number of outputs.
    start, stop : int
    rows : int
        Number of samples in a block, which bounds the memory.
    image_shape : tuple of int
        Shape of a sample, for the provenance.
    shard : str
        The share as text such as ``"2/5"``, for the provenance.
    """

    source: ArraySource
    feature_map: Mapping[str, Any]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    labels: str
    k: int
    start: int
    stop: int
    rows: int
    image_shape: tuple[int, ...] = ()
    shard: str = ""

    def __post_init__(self) -> None:
        if self.labels not in _LABELS:
            raise ValueError(f"unknown labels {self.labels!r}; choose from {', '.join(_LABELS)}")

    @cached_property
    def _map(self) -> FeatureMap:
        return from_spec(self.feature_map)

    def statistics(self, *, state: str | Path | None = None, threads: int | None = 1) -> GramStatistics:
        """Return the sums, with their provenance.

        Parameters
        ----------
        state : path, optional
            A file from which an interrupted task goes on, see :func:`analytic_dd.linalg.accumulate`.
        threads : int, optional
            Number of BLAS threads; one is right for several workers on a machine.

        Raises
        ------
        BlockError
            Samples cannot be read or added; it names them.
        DataError
            Another process is at work on ``state``, or it is the state of another task.
        """
        with _held(state), threadpoolctl.threadpool_limits(threads), ThreadPoolExecutor(1) as thread:
            ahead = ReadAhead(self.source.read, self.stop, thread)
            return accumulate(
                GramStatistics(self._map.p, self.k),
                lambda start, stop: self.features_of(*ahead(start, stop)),
                start=self.start,
                stop=self.stop,
                rows=self.rows,
                state=state,
                provenance=self.provenance,
            )

    def features_of(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return features and labels of samples in memory."""
        X, y = next(normalised_blocks(x, y, len(x), None, np.asarray(self.mean), np.asarray(self.std)))
        return self._map(X), _encoded(y, self.k, self.labels)

    def provenance(self, start: int, stop: int) -> Provenance:
        """Return the provenance of some samples."""
        agree = agreement(
            self.feature_map,
            mean=np.asarray(self.mean),
            std=np.asarray(self.std),
            labels=self.labels,
            classes=self.k,
            image_shape=self.image_shape,
        )
        name, sha256 = self.source.name, self.source.sha256
        return Provenance.of(agree, data=name, sha256=sha256, start=start, stop=stop, shard=self.shard)


def _held(state: str | Path | None) -> AbstractContextManager[None]:
    """Hold a state file, so that no second process goes on from it."""
    return nullcontext() if state is None else locked(Path(state).parent, Path(state).name)


def _encoded(y: np.ndarray, k: int, labels: str) -> np.ndarray:
    if labels == "values":
        return y.reshape(len(y), -1).astype(np.float64, copy=False)
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise DataError(
            f"labels must be {len(y)} integers 0 .. {k - 1}, got dtype {y.dtype} of shape {y.shape}; for rows of "
            "numbers use labels='values'"
        )
    return np.asarray((centred_one_hot if labels == "centred" else one_hot)(y, k))


def shard_tasks(
    source: ArraySource,
    feature_map: FeatureMap,
    *,
    count: int,
    k: int,
    mean: np.ndarray,
    std: np.ndarray,
    labels: str = "one-hot",
    rows: int | None = None,
) -> list[ShardTask]:
    """Cut a source into ``count`` tasks of equal size, in order; see :class:`ShardTask`."""
    x, _ = source.open()
    n, size = int(x.shape[0]), int(np.prod(x.shape[1:]))
    rows = max(1, _BLOCK_BYTES // (8 * max(size, feature_map.p))) if rows is None else rows
    scale = tuple(float(m) for m in mean), tuple(float(s) for s in std)
    return [
        ShardTask(
            source,
            feature_map.spec(),
            *scale,
            labels,
            k,
            *shard_range(n, i, count),
            rows,
            image_shape=tuple(int(size) for size in x.shape[1:]),
            shard=f"{i}/{count}",
        )
        for i in range(1, count + 1)
    ]


def dataset_shard(
    dataset: Dataset | Table,
    feature_map: FeatureMap,
    *,
    shard: tuple[int, int] = (1, 1),
    mean: np.ndarray,
    std: np.ndarray,
    labels: str = "one-hot",
    sample_weight: np.ndarray | None = None,
    weighting: str = "given",
    rows: int | None = None,
    state: str | Path | None = None,
    progress: Any = None,
) -> GramStatistics:
    """Sum one shard of the training part of a data set, as ``analytic-dd stats --shard i/N`` does.

    Parameters
    ----------
    shard : (i, N)
        Counted from 1, as from :func:`parse_shard`.
    mean, std : (channels,) arrays
        Moments of *all* the data; parties that cannot see each other's data agree on them before.
    labels : {"one-hot", "centred", "values"}
        Of the classes of a data set; the outputs of a table are values, in their units.
    sample_weight : (n,) array, optional
        Weights >= 0 of *all* training samples (T12).
    weighting : str
        Name of the weights in the provenance, by which sums of other weightings are refused.
    rows, state, progress
        See :func:`analytic_dd.linalg.accumulate`.

    Examples
    --------
    >>> from analytic_dd.features import Identity
    >>> data = Dataset.from_arrays(np.eye(4), [0, 1, 0, 1])
    >>> scale = {"mean": np.zeros(1), "std": np.ones(1)}
    >>> parts = [dataset_shard(data, Identity(4), shard=(i, 2), **scale) for i in (1, 2)]
    >>> parts[0].merge(parts[1]).provenance.count
    4
    """
    i, count = shard
    start, stop = shard_range(len(dataset.y_train), i, count)
    names = dataset.classes if isinstance(dataset, Dataset) else dataset.outputs
    k = len(names)
    rows = max(1, _BLOCK_BYTES // (8 * max(dataset.d, feature_map.p))) if rows is None else rows
    agree = agreement(
        feature_map.spec(), mean=mean, std=std, labels=labels, classes=names, image_shape=dataset.image_shape
    )
    if dataset.columns:
        agree["columns"] = list(dataset.columns)
    weights = None
    if sample_weight is not None:
        weights, agree = as_weights(sample_weight, len(dataset.y_train)), agree | {"sample weights": weighting}

    def read(a: int, b: int) -> tuple[np.ndarray, ...]:
        pair = dataset.x_train[a:b], dataset.y_train[a:b]
        X, y = next(normalised_blocks(*pair, b - a, None, np.asarray(mean), np.asarray(std)))
        some = () if weights is None else (weights[a:b],)
        return feature_map(X), _encoded(y, k, labels), *some

    def told(a: int, b: int) -> Provenance:
        where = {"data": dataset.name, "sha256": dataset.sha256}
        return Provenance.of(agree, start=a, stop=b, shard=f"{i}/{count}", **where)

    empty = GramStatistics(feature_map.p, k)
    with _held(state):
        return accumulate(
            empty, read, start=start, stop=stop, rows=rows, state=state, provenance=told, progress=progress
        )
