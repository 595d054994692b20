"""Sums of a shard of a data set: shards, parties and Dask workers send statistics, never data (T13)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import threadpoolctl

from analytic_dd import cluster
from analytic_dd.clock import Listener
from analytic_dd.data import Dataset, Reading, Table, load, moments_for, weighting, weights_of_samples
from analytic_dd.errors import DataError
from analytic_dd.features import FeatureMap, from_spec
from analytic_dd.linalg import GramStatistics, Sums
from analytic_dd.model.distillation import build_map, streams
from analytic_dd.model.source import DatasetSource, Source, TableSource
from analytic_dd.model.units import in_units, require_squares

__all__ = ["NamedData", "NamedShard", "sum_shard"]


def sum_shard(
    dataset: Dataset | Table,
    features: str,
    shard: str,
    *,
    moments: str = "data",
    labels: str = "one-hot",
    sample_weight: np.ndarray | str | None = None,
    seed: int = 0,
    state: Path | None = None,
    listener: Listener | None = None,
) -> GramStatistics:
    """Sum features and labels of shard ``"i/N"`` of the training part: what ``analytic-dd stats`` writes.

    Theorem: T13.

    Parameters
    ----------
    features : str
        A map by name with options, :func:`analytic_dd.model.build_map`; the same seed gives the same map.
    moments : str
        Where the normalisation comes from, :func:`analytic_dd.data.moments_for`.
    labels : {"one-hot", "centred"}
        Of classes. The outputs of a table are summed as they are, so that parties need not agree on a unit.
    state
        See :func:`analytic_dd.cluster.dataset_shard`.
    sample_weight : array, "balanced" or name of an npy file, optional
        Of all training samples, :func:`analytic_dd.data.weights_of_samples`.

    Raises
    ------
    RangeError
        Outputs of a table whose squares overflow or underflow.
    ValueError
        Centred labels for the outputs of a table.
    """
    part = cluster.parse_shard(shard)
    mean, std = moments_for(dataset, moments)
    source: DatasetSource | TableSource
    if isinstance(dataset, Dataset):
        source = DatasetSource(dataset, moments=(mean, std))
    else:
        if labels == "centred":
            raise ValueError("labels='centred' belong to classes; leave it out beside task='regress'")
        require_squares(dataset.y_train)
        source, labels = TableSource(dataset, moments=(mean, std)), "values"
    return cluster.dataset_shard(
        dataset,
        build_map(features, source, rng=streams(seed)[0], keeps="sums"),
        shard=part,
        mean=mean,
        std=std,
        labels=labels,
        sample_weight=weights_of_samples(sample_weight, dataset),
        weighting=weighting(sample_weight) or "",
        state=state,
        progress=None if listener is None else lambda done, total: listener("gram", done, total),
    )


@dataclass(frozen=True)
class NamedData:
    """A data set by its name, which every worker of a Dask cluster reads itself, so that no data travel.

    Attributes
    ----------
    name : str
        A known data set, or a path that every worker sees.
    sha256 : str
        Of the data, by which a worker knows that it reads these.
    reading : Reading
    sample_weight : "balanced", name of an npy file or None
        Of all training samples.
    offline : bool
    """

    name: str
    sha256: str
    reading: Reading
    sample_weight: str | None = None
    offline: bool = False

    def sums(self, client: Any, source: Source, feature_map: FeatureMap) -> Sums:
        """Return the sums over the samples of ``source``, which are these data, by one task a worker.

        Theorem: T13.

        Parameters
        ----------
        client : distributed.Client
        source : DatasetSource or TableSource
        feature_map : FeatureMap
            Workers build it from its specification.

        Raises
        ------
        ValueError
            The map is code, which no specification holds.
        DataError
            A worker reads other data, or none.

        Notes
        -----
        *Cost.* Each worker reads all of the data and sums its share, with one BLAS thread; see
        :func:`analytic_dd.cluster.dask_statistics`. Sums of bytes are those of normalised float64 numbers.
        """
        if feature_map.is_code:
            raise ValueError(
                f"Dask workers build the map from its specification, and features of kind {feature_map.name} are "
                "code; leave out --dask"
            )
        count = min(len(client.nthreads()), source.n)
        labels = "values" if source.label_kind == "outputs" else source.label_kind
        facts = feature_map.spec(), tuple(map(float, source.mean)), tuple(map(float, source.std)), labels
        tasks = [NamedShard(self, *facts, (i, count)) for i in range(1, count + 1)]
        found = replace(cluster.dask_statistics(tasks, client).sums(), n=source.n, provenance=None)
        return found if source.units is None else in_units(found, source.units)


@dataclass(frozen=True)
class NamedShard:
    """The task to sum a share of named data, as ``analytic-dd stats --shard i/N`` does."""

    data: NamedData
    feature_map: Mapping[str, Any]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    labels: str
    shard: tuple[int, int]

    def statistics(self) -> GramStatistics:
        """Return the sums, with one BLAS thread."""
        dataset = load(self.data.name, offline=self.data.offline, reading=self.data.reading)
        if dataset.sha256 != self.data.sha256:
            raise DataError(f"a Dask worker reads another {self.data.name!r} than this machine; give both the same")
        with threadpoolctl.threadpool_limits(1):
            return cluster.dataset_shard(
                dataset,
                from_spec(self.feature_map, d=dataset.d),
                shard=self.shard,
                mean=np.asarray(self.mean),
                std=np.asarray(self.std),
                labels=self.labels,
                sample_weight=weights_of_samples(self.data.sample_weight, dataset),
                weighting=weighting(self.data.sample_weight) or "",
            )
