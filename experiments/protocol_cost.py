"""Passes of a distillation by its options, as the ledger counts them, and minutes at a stated speed.

An estimate for a graphics card that is not at hand: floating point operations of all passes at ``THROUGHPUT``, and
``LATENCY`` for every call of a network, which small batches are bound by. The published 0.5 s an iteration of
trajectory matching (CIFAR-10, one image a class: 50 student steps, 2 passes forward and 3 backward each) is 250 calls
of 2 ms.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from analytic_dd.baselines.ledger import Ledger
from analytic_dd.baselines.methods.dc import DcConfig
from analytic_dd.baselines.methods.method import Method, configured
from analytic_dd.baselines.methods.registry import method_type
from analytic_dd.baselines.methods.task import Task
from analytic_dd.baselines.nets.network import ConvNet, Network
from analytic_dd.data import Dataset

THROUGHPUT = 1e13  # float32 operations a second that convolutions of some hundred images reach
LATENCY = 2e-3  # seconds of a call of a network, forward or backward
COUNTED = ("real_forward", "real_backward", "synthetic_forward", "synthetic_backward")
METHODS = ("dc", "dsa", "dm", "mtt")


def forward_flops(network: Network) -> float:
    """Return the operations of one image through the convolutions and the classifier."""
    with FlopCounterMode(display=False) as counter:
        network(torch.empty(1, *network.shape, device="meta"))
    return float(counter.get_total_flops())


def passes(method: Method) -> tuple[dict[str, int], int, dict[str, int], int]:
    """Return the counts and the network calls of one step, and those of all that is done once (experts)."""
    task, m, config = method.task, method.task.k * method.points_per_class, method.config
    if method.name == "mtt":
        step, once = method.passes_per_step(), method.passes_once()  # type: ignore[attr-defined]
        batches = once.get("network_steps", 0)
        return _counted(step), 5 * step["network_steps"], _counted(once), 2 * batches
    real = sum(min(config.batch, len(found)) for found in task.members)
    if method.name == "dm":
        return _counts(real, 0, m, m), 3 * task.k, _counts(), 0
    assert isinstance(config, DcConfig)
    outer, inner = config.loops(method.points_per_class)
    training = (outer - 1) * inner
    step = _counts(outer * real, outer * real, outer * m + training * m, 2 * outer * m + training * m)
    return step, 5 * outer * task.k + 2 * training * -(-m // config.net_batch), _counts(), 0


def _counts(*values: int) -> dict[str, int]:
    return dict(zip(COUNTED, values or (0, 0, 0, 0), strict=True))


def _counted(found: Mapping[str, int]) -> dict[str, int]:
    return {name: int(found.get(name, 0)) for name in COUNTED}


def minutes(dataset: Dataset, name: str, per_class: int, options: Mapping[str, Any]) -> float:
    """Return an estimate of the minutes that a run takes with these options."""
    kind = method_type(name)
    config = configured(kind.config_type, options)
    task = Task.of(dataset)
    method = kind(task, config, points_per_class=per_class, seed=0, ledger=Ledger())
    step, calls, once, first = passes(method)
    size = forward_flops(ConvNet(task.shape, task.k, width=config.width or 128, depth=config.depth or 3))

    def operations(counts: Mapping[str, int]) -> float:
        forward = counts["real_forward"] + counts["synthetic_forward"]
        return size * (forward + 2.0 * (counts["real_backward"] + counts["synthetic_backward"]))

    flops = config.steps * operations(step) + operations(once)
    return (flops / THROUGHPUT + LATENCY * (config.steps * calls + first)) / 60.0
