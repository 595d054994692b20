"""Finite networks that are fitted to the labels of a set, as KIP transfers to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from analytic_dd.baselines.bench.evaluate import images_of, test_accuracies
from analytic_dd.baselines.methods.driver import BaselineResult
from analytic_dd.baselines.methods.task import channels_first
from analytic_dd.baselines.nets.wide import WideConvNet, fitted
from analytic_dd.baselines.torch_state import plain_torch
from analytic_dd.data import Dataset
from analytic_dd.errors import DivergenceError

__all__ = ["WideNetworks", "wide_accuracies", "wide_network"]

_STREAM = 0x77696465  # of the networks' random numbers


@dataclass(frozen=True)
class WideNetworks:
    """Which wide networks are fitted to a set, and for how long."""

    width: int = 1024  # number of channels, and of blocks that pool
    depth: int = 3
    steps: int = 1000  # number of gradient steps, each on all points
    nets: int = 5
    seed: int = 0


def wide_network(networks: WideNetworks, dataset: Dataset) -> WideConvNet:
    """Return the network for the images of a data set."""
    shape, k = channels_first(dataset.image_shape), len(dataset.classes)
    return WideConvNet(shape, k, width=networks.width, depth=networks.depth)


@plain_torch()
def wide_accuracies(
    result: BaselineResult, dataset: Dataset, networks: WideNetworks, *, device: str = "cpu"
) -> tuple[tuple[float, ...], float]:
    """Return test accuracies of networks fitted to the labels as they are, and what is left of the labels, relative.

    Raises
    ------
    DivergenceError
        A network's outputs are not finite, or farther from the labels than 0 is: the step size is that of its first
        weights, and it has moved too far from them.

    Notes
    -----
    *Cost.* nets * steps passes forward and backward of all points, and 60 passes for each step size. Memory holds what
    the layers make of all points.
    """
    network = wide_network(networks, dataset)
    images = images_of(result.inputs, dataset, device=device)
    targets, trained, left = torch.as_tensor(result.y).to(images), [], 0.0
    for net in range(networks.nets):
        seed = int(np.random.default_rng([networks.seed, _STREAM, net]).integers(2**63))
        first = network.draw(torch.Generator().manual_seed(seed), device=device)
        trained.append(fitted(network, first, images, targets, steps=networks.steps))
        with torch.no_grad():
            missed = float((network.logits(trained[-1], images) - targets).norm() / targets.norm())
        if not missed <= 1.0:
            raise DivergenceError(
                f"a wide network misses the labels by {missed:.2g} of their size after {networks.steps} steps, so that "
                "it has diverged; raise wide_width, or take labels of unit size"
            )
        left = max(left, missed)
    return tuple(test_accuracies(network, trained, dataset, device)), left
