"""How long a benchmark will take, by counted passes at the rate of this machine or by a measured step; and GPU hours.

The model of a graphics card that is not at hand: operations of all passes at ``THROUGHPUT``, and ``LATENCY`` for every
call of a network, which small batches are bound by. The published 0.5 s an iteration of trajectory matching (CIFAR-10,
one image a class: 50 student steps, 2 passes forward and 3 backward each) is 250 calls of 2 ms.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from analytic_dd.baselines.bench.plan import Plan, SetCell
from analytic_dd.baselines.bench.protocol import Protocol, predictor_kind
from analytic_dd.baselines.bench.wide import wide_network
from analytic_dd.baselines.ledger import Ledger
from analytic_dd.baselines.methods.method import Method, configured
from analytic_dd.baselines.methods.registry import METHODS, method_type
from analytic_dd.baselines.methods.task import Task
from analytic_dd.baselines.nets.network import Network
from analytic_dd.baselines.torch_state import plain_torch
from analytic_dd.data import Dataset

__all__ = ["COUNTED", "Estimate", "Work", "estimates", "forward_flops", "gpu_seconds", "made", "work"]

THROUGHPUT = 1e13  # float32 operations a second that convolutions of some hundred images reach
LATENCY = 2e-3  # seconds of a call of a network, forward or backward
COUNTED = ("real_forward", "real_backward", "synthetic_forward", "synthetic_backward")

_BATCH = 64  # images at which the rate is measured
_LONG = 5.0  # seconds of a step after which no second one is measured


@dataclass(frozen=True)
class Work:
    """The passes and network calls of a step, and those of what is done once before the first step."""

    step: Mapping[str, int]
    calls: int
    once: Mapping[str, int]
    first: int


@dataclass(frozen=True)
class Estimate:
    """What one set of a plan takes."""

    cell: str
    steps: int
    # Passes of one sample, forward and backward, of the distillation; None where none are counted before a run
    passes: int | None
    seconds: float  # seconds of the distillation on this machine
    scoring: float  # seconds of the networks that score it, on this machine
    gpu_hours: float | None  # GPU hours of the distillation by the model; None without counted passes
    basis: str  # what ``seconds`` rests on

    def __str__(self) -> str:
        passes = "" if self.passes is None else f", {self.passes:.3g} passes"
        card = "no GPU estimate" if self.gpu_hours is None else f"{self.gpu_hours:.3g} GPU hours (model)"
        return (
            f"{self.cell}: {self.steps:,} steps{passes}; {self.seconds:.3g} s here ({self.basis}), {card}; "
            f"scoring {self.scoring:.3g} s"
        )


def made(cell: SetCell, dataset: Dataset, *, device: str = "cpu") -> Method:
    """Return the method of a cell, not started."""
    assert cell.ipc is not None
    kind = method_type(cell.variant.method)
    task, config = Task.of(dataset, device=device, dtype=kind.dtype), configured(kind.config_type, cell.variant.options)
    return kind(task, config, points_per_class=cell.ipc, seed=cell.seed, ledger=Ledger())


def work(method: Method) -> Work | None:
    """Return the work of a method by its options; None where only a run can tell."""
    step, once = method.passes_per_step(), method.passes_once()
    if step is None or not hasattr(method.config, "network_for"):
        return None
    return Work(_counted(step), method.calls_per_step(), _counted(once), 2 * once.get("network_steps", 0))


def _counted(found: Mapping[str, int]) -> dict[str, int]:
    return {name: int(found.get(name, 0)) for name in COUNTED}


def forward_flops(network: Network) -> float:
    """Return the operations of one image through the convolutions and the linear layers: two for each product.

    Examples
    --------
    >>> from analytic_dd.baselines.nets.network import MultiLayerPerceptron
    >>> forward_flops(MultiLayerPerceptron((1, 8, 8), 10, widths=(5,)))
    740.0
    """
    weighted = [(given, one.weight) for one, given in network.outputs if isinstance(one, nn.Conv2d | nn.Linear)]
    return float(2 * sum(given * (weight.numel() // len(weight)) for given, weight in weighted))


def _network(method: Method) -> Network:
    network: Network = method.config.network_for(method.task)
    return network


def _operations(found: Work, steps: int, size: float) -> float:
    def of(counts: Mapping[str, int]) -> float:
        forward = counts["real_forward"] + counts["synthetic_forward"]
        return size * (forward + 2.0 * (counts["real_backward"] + counts["synthetic_backward"]))

    return float(steps * of(found.step) + of(found.once))


def gpu_seconds(method: Method, found: Work) -> float:
    """Return the seconds of a whole run on a graphics card by the model at the top of this file."""
    steps = method.config.steps
    calls = steps * found.calls + found.first
    return float(_operations(found, steps, forward_flops(_network(method))) / THROUGHPUT + LATENCY * calls)


def _clock(device: torch.device | str) -> float:
    """Return seconds, on a CPU those of this process by thread: other programs do not count."""
    if torch.device(device).type != "cpu":
        return time.perf_counter()
    return float(time.process_time() / torch.get_num_threads())


@plain_torch()
def measured_rate(network: Network, *, device: str = "cpu") -> float:
    """Return the operations a second of passes forward and backward of ``_BATCH`` images, the best of three."""
    generator = torch.Generator().manual_seed(0)
    weights = network.draw(generator, device=device)
    images = torch.randn(_BATCH, *network.shape, generator=generator).to(device)
    classes, seconds = torch.zeros(_BATCH, dtype=torch.int64, device=device), []
    for _ in range(3):
        started = _clock(device)
        leaves = {name: value.detach().requires_grad_() for name, value in weights.items()}
        loss = F.cross_entropy(network.logits(leaves, images), classes)
        torch.autograd.grad(loss, list(leaves.values()))[0].sum().item()  # waits for the device
        seconds.append(_clock(device) - started)
    return 3.0 * _BATCH * forward_flops(network) / min(seconds)


@plain_torch()
def measured_step(method: Method) -> float:
    """Return the seconds of a step: the second one, or the first where that is long or the only one."""
    method.start()
    seconds = 0.0
    for index in range(min(2, method.config.steps)):
        started = _clock(method.task.device)
        method.step(index)
        seconds = _clock(method.task.device) - started
        if seconds > _LONG:
            break
    return seconds


def estimates(
    plan: Plan, datasets: Mapping[str, Dataset], *, protocol: Protocol, device: str = "cpu"
) -> Iterator[Estimate]:
    """Yield what each set of a plan takes; sets that differ in their seed alone are measured once."""
    known: dict[tuple[Any, ...], Estimate] = {}
    rates: dict[str, float] = {}

    def rate(network: Network) -> float:
        key = f"{type(network).__name__} {network.shape} {network.shapes()}"
        if key not in rates:
            rates[key] = measured_rate(network, device=device)
        return rates[key]

    for cell in plan.sets:
        key = (cell.variant.label, cell.data, cell.ipc)
        if key not in known:
            known[key] = _estimate(cell, datasets[cell.data], protocol, device, rate)
        yield Estimate(**vars(known[key]) | {"cell": cell.label})


def _estimate(cell: SetCell, dataset: Dataset, protocol: Protocol, device: str, rate: Any) -> Estimate:
    scoring = sum(_scoring(cell, dataset, name, protocol, rate) for name in cell.predictors)
    if cell.variant.method not in METHODS or cell.ipc is None:
        return Estimate(cell.label, 0, None, 0.0, scoring, None, "no steps")
    method = made(cell, dataset, device=device)
    steps, found = method.config.steps, work(method)
    if found is None:
        seconds = steps * measured_step(method)
        return Estimate(cell.label, steps, None, seconds, scoring, None, "from a step measured here")
    network = _network(method)
    speed, passes = rate(network), steps * sum(found.step.values()) + sum(found.once.values())
    seconds = _operations(found, steps, forward_flops(network)) / speed
    basis = f"counted operations at {speed / 1e9:.3g} Gflop/s measured here"
    return Estimate(cell.label, steps, passes, seconds, scoring, gpu_seconds(method, found) / 3600.0, basis)


def _scoring(cell: SetCell, dataset: Dataset, predictor: str, protocol: Protocol, rate: Any) -> float:
    """Return the seconds of the networks of a predictor; other predictors take seconds and are not counted."""
    if predictor_kind(predictor) == "wide" and cell.ipc is not None:
        wide, m = protocol.wide(), len(dataset.classes) * cell.ipc
        passes = 3.0 * wide.steps * m + len(dataset.y_test)
        found = wide_network(wide, dataset)
        return wide.nets * passes * forward_flops(found) / float(rate(found))
    if predictor_kind(predictor) != "network":
        return 0.0
    settings = protocol.networks(predictor, full=cell.ipc is None)
    network, k = settings.network_for(dataset), len(dataset.classes)
    m = len(dataset.y_train) if cell.ipc is None else k * cell.ipc
    passes = 3.0 * (settings.epochs or 0) * m + len(dataset.y_test)
    return settings.nets * passes * forward_flops(network) / float(rate(network))
