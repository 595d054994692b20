"""What must fail is refused before anything runs: options that do not fit the data, networks, memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from analytic_dd.baselines.bench.estimate import made
from analytic_dd.baselines.bench.plan import Plan, SetCell
from analytic_dd.baselines.bench.protocol import Protocol, predictor_kind
from analytic_dd.baselines.bench.wide import wide_network
from analytic_dd.baselines.methods.kernel_config import KernelConfig
from analytic_dd.baselines.methods.method import Method
from analytic_dd.baselines.methods.registry import METHODS
from analytic_dd.baselines.nets.network import Network
from analytic_dd.baselines.torch_state import plain_torch
from analytic_dd.data import Dataset
from analytic_dd.memory import memory

__all__ = ["activation_bytes", "free_bytes", "least_bytes", "require_possible"]


def require_possible(
    plan: Plan, datasets: Mapping[str, Dataset], *, protocol: Protocol, device: str = "cpu", free: float | None = None
) -> None:
    """Start every method of a plan and make every network that scores, and compare memory with what is free.

    Parameters
    ----------
    free : float, optional
        Bytes that are free on the device; by default they are asked for.

    Raises
    ------
    ValueError
        A cell must fail; the message names it, with the reason.

    Notes
    -----
    A start draws points and makes kernels and networks; experts are trained later. What a run needs at least is counted
    (:func:`least_bytes`), so that a run that passes may still want more.
    """
    free = free_bytes(device) if free is None else free
    seen: set[tuple[str, str, int | None]] = set()
    for cell in plan.sets:
        key = (cell.variant.label, cell.data, cell.ipc)
        if key in seen:
            continue
        seen.add(key)
        try:
            _require_networks(cell, datasets[cell.data], protocol)
            if cell.variant.method in METHODS and cell.ipc is not None:
                _require_start(made(cell, datasets[cell.data], device=device), free)
        except (ValueError, ImportError, OSError, MemoryError) as error:
            raise ValueError(f"{cell.label} must fail: {error}") from error


@plain_torch()
def _require_start(method: Method, free: float) -> None:
    wanted, largest = max((bytes_, what) for what, bytes_ in least_bytes(method).items())
    if wanted > free:
        raise MemoryError(
            f"{largest} take {wanted / 1e9:.3g} GB at least, and {free / 1e9:.3g} GB are free; lower the points a "
            "class, the batch or the width, or keep experts in a folder (expert_folder)"
        )
    method.start()


def least_bytes(method: Method) -> dict[str, float]:
    """Return the bytes that parts of a method take at least, each by its name."""
    config, task, m = method.config, method.task, method.task.k * method.points_per_class
    size = torch.empty(0, dtype=method.dtype).element_size()
    found = {"the synthetic images with gradient and velocity": 3.0 * size * m * task.d}
    if isinstance(config, KernelConfig):
        targets = getattr(config, "target_batch", 0) or 0
        found["the kernel matrices with their gradients"] = 2.0 * size * m * (m + min(targets, task.n))
    if hasattr(config, "expert_folder") and config.expert_folder is None:
        found["the experts"] = float(method.passes_once().get("expert_bytes", 0))
    if hasattr(config, "network_for"):
        network = config.network_for(task)
        unrolled = getattr(config, "student_steps", None) or getattr(config, "unrolled", 0) or 0
        found["the weights of an unrolled network"] = float(size * (unrolled + 1) * network.size())
        images = min(getattr(config, "synthetic_batch", None) or m, m)
        graph = unrolled if getattr(config, "unroll", "") == "graph" else 1
        found["the activations of the synthetic images"] = graph * images * activation_bytes(network, size)
    return found


def activation_bytes(network: Network, size: int = 4) -> float:
    """Return the bytes of what the layers of a network give for one image."""
    return float(size * sum(given for _, given in network.outputs))


def free_bytes(device: str) -> float:
    """Return the bytes that are free on a device: of a CPU what the system calls available, or all it has."""
    if torch.device(device).type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024.0 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return memory()


def _require_networks(cell: SetCell, dataset: Dataset, protocol: Protocol) -> None:
    for predictor in cell.predictors:
        if predictor_kind(predictor) == "network":
            protocol.networks(predictor, full=cell.ipc is None).network_for(dataset)
        if predictor_kind(predictor) == "wide":
            wide_network(protocol.wide(), dataset)
