"""Sums of a shard of a data set: shards and parties send statistics, never data (T13)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from analytic_dd import cluster
from analytic_dd.clock import Listener
from analytic_dd.data import Dataset, Table, moments_for, weighting, weights_of_samples
from analytic_dd.linalg import GramStatistics
from analytic_dd.model.distillation import build_map, streams
from analytic_dd.model.source import DatasetSource, TableSource
from analytic_dd.model.units import require_squares

__all__ = ["sum_shard"]


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
