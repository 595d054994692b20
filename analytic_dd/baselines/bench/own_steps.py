"""Networks as the sets of unrolled distillation are made for: its first weights, its gradient steps, its step sizes."""

from __future__ import annotations

import torch

from analytic_dd.baselines.bench.evaluate import test_accuracies
from analytic_dd.baselines.ledger import Ledger
from analytic_dd.baselines.methods.dd import UnrolledDistillation
from analytic_dd.baselines.methods.driver import BaselineResult
from analytic_dd.baselines.methods.method import configured
from analytic_dd.baselines.methods.registry import METHODS, method_type
from analytic_dd.baselines.methods.task import Task
from analytic_dd.baselines.methods.unroll import Variables, descend
from analytic_dd.baselines.nets.network import Network, Parameters
from analytic_dd.data import Dataset

__all__ = ["own_accuracies", "trained_networks"]


def own_accuracies(
    result: BaselineResult, dataset: Dataset, *, nets: int = 1, device: str = "cpu"
) -> tuple[float, ...]:
    """Return the test accuracies of :func:`trained_networks`, one a network."""
    network, trained = trained_networks(result, dataset, nets=nets, device=device)
    return tuple(test_accuracies(network, trained, dataset, device))


def trained_networks(
    result: BaselineResult, dataset: Dataset, *, nets: int = 1, device: str = "cpu"
) -> tuple[Network, list[Parameters]]:
    """Return networks after the gradient steps that a set of DD or LD was made for.

    With ``fixed`` weights there is one network, the one of the distillation, made again from the seed. Else there are
    ``nets`` of them whose first weights no step has seen: random ones, or experts beyond those of the run.

    Parameters
    ----------
    result : BaselineResult
        Of DD or LD: inputs, labels, config, seed and step sizes are used, nothing else.
    dataset : Dataset
        The one of the distillation; its training part is used where networks are pre-trained.
    nets : int
    device : str

    Returns
    -------
    network, list of Parameters

    Raises
    ------
    ValueError
        A result of another method.
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
    count = len(next(iter(last.values())))
    return method.network, [{name: value[net] for name, value in last.items()} for net in range(count)]
