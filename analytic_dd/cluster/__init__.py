"""Sums made by several processes or machines, and added: shards, Dask, torch.distributed (imported when used)."""

from analytic_dd.cluster.all_reduce import all_reduce_statistics, torchrun_shard, torchrun_total
from analytic_dd.cluster.array_source import ArraySource
from analytic_dd.cluster.dask_sums import dask_array_statistics, dask_statistics
from analytic_dd.cluster.pure_tasks import current_client, in_order, over_dask
from analytic_dd.cluster.shards import ShardTask, dataset_shard, parse_shard, shard_range, shard_tasks

__all__ = [
    "ArraySource",
    "ShardTask",
    "all_reduce_statistics",
    "current_client",
    "dask_array_statistics",
    "dask_statistics",
    "dataset_shard",
    "in_order",
    "over_dask",
    "parse_shard",
    "shard_range",
    "shard_tasks",
    "torchrun_shard",
    "torchrun_total",
]
