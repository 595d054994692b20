"""Networks that take the gradient steps which a set of unrolled distillation was made for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from analytic_dd.baselines.bench.evaluate import test_accuracies
from analytic_dd.baselines.ledger import Ledger
from analytic_dd.baselines.methods.dd import UnrolledDistillation
from analytic_dd.baselines.methods.driver import BaselineResult
from analytic_dd.baselines.methods.method import configured
from analytic_dd.baselines.methods.registry import METHODS, method_type
from analytic_dd.baselines.methods.task import Task
from analytic_dd.baselines.methods.unroll import Variables, descend
from analytic_dd.baselines.nets.network import Network, Parameters, apart
from analytic_dd.baselines.torch_state import plain_torch
from analytic_dd.data import Dataset

__all__ = ["own_accuracies", "trained_networks"]


@plain_torch()
def own_accuracies(
    result: BaselineResult, dataset: Dataset, *, nets: int = 1, device: str = "cpu"
) -> tuple[tuple[float, ...], dict[str, float]]:
    """Return the test accuracies of :func:`trained_networks`, one a network, and what an attack has reached.

    That is ``taken``, the part of the test samples of ``attack_class`` that the networks take for ``target_class``.
    """
    network, trained = trained_networks(result, dataset, nets=nets, device=device)
    accuracies, config = tuple(test_accuracies(network, trained, dataset, device)), result.config
    rows = np.flatnonzero(dataset.y_test == config.get("attack_class"))
    if not config.get("attack") or not len(rows):
        return accuracies, {}
    wanted = np.full_like(dataset.y_test[rows], config["target_class"])
    hindered = replace(dataset, x_test=dataset.x_test[rows], y_test=wanted)
    return accuracies, {"taken": float(np.mean(test_accuracies(network, trained, hindered, device)))}


@plain_torch()
def trained_networks(
    result: BaselineResult, dataset: Dataset, *, nets: int = 1, device: str = "cpu"
) -> tuple[Network, list[Parameters]]:
    """Return networks after the gradient steps that a set of DD or LD was made for.

    With ``fixed`` weights the network of the distillation is made again from the seed. Otherwise ``nets`` networks
    start from weights that no step has seen, which are random or those of further experts.

    Parameters
    ----------
    result : BaselineResult
        The result of DD or LD, of which inputs, labels, config, seed and step sizes are used.
    dataset : Dataset
        The data of the distillation; experts are trained on its training part.
    nets : int
    device : str

    Raises
    ------
    ValueError
        Another method made the result.
    """
    kind = method_type(result.method) if result.method in METHODS else None
    if kind is None or not issubclass(kind, UnrolledDistillation):
        raise ValueError(f"a set of dd or ld has gradient steps of its own, got {result.method!r}; use evaluate()")
    task = Task.of(dataset, device=device, dtype=kind.dtype)
    points_per_class = len(result.inputs) // task.k
    config = configured(kind.config_type, result.config)
    method = kind(task, config, points_per_class=points_per_class, seed=result.seed, ledger=Ledger())
    method.prepare()
    images = task.as_images(torch.as_tensor(result.inputs).to(task.dtype).to(device))
    labels = torch.as_tensor(result.y).to(task.dtype).to(device)

    def loss(weights: Parameters, variables: Variables, step: int) -> torch.Tensor:
        rows = method.rows[step]
        return method.summed_loss(weights, images[rows], labels[rows])

    sizes = [result.learned.get(f"step_size {step}", result.learned["step_size"]) for step in range(len(method.rows))]
    last = descend(loss, method.unseen_weights(nets), {}, torch.tensor(sizes, dtype=task.dtype, device=device))
    return method.network, apart(last)
