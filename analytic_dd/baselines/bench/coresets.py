"""Coresets: real samples that a short run of training chooses, as controls that a method must beat.

herding      greedily, so that the mean embedding of the chosen is nearest to that of the class
k-center     greedily, each the farthest from those chosen before, from the sample nearest to the mean of the class
el2n         the largest |softmax(f(x)) - y|, in the mean over networks early in training
forgetting   the most changes from right to wrong between epochs; a sample that was never right counts as always
optimised    one of the best fifth of many random draws, by networks that train on each, scored on training samples

Embeddings are what the network has before its classifier after the run.

References
----------
Welling, ICML 2009; Sener, Savarese, ICLR 2018; Paul, Ganguli, Dziugaite, NeurIPS 2021; Toneva et al., ICLR 2019;
optimised: Wang, Zhu, Torralba, Efros, "Dataset distillation", 2018.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from analytic_dd.baselines.methods.task import Task
from analytic_dd.baselines.nets.named import network_named
from analytic_dd.baselines.nets.network import Network, Parameters
from analytic_dd.baselines.nets.training import Course, train_networks, weights_by_epoch
from analytic_dd.baselines.torch_state import plain_torch
from analytic_dd.data import Dataset
from analytic_dd.errors import unknown_word

__all__ = ["CORESETS", "ShortRun", "coreset_rows", "herded", "k_centers"]

CORESETS = ("herding", "k-center", "el2n", "forgetting", "optimised")

_ROWS = 500  # samples at a time
_STREAM = 0x636F7265


@dataclass(frozen=True)
class ShortRun:
    """The training that chooses: a ConvNet on all the training part, or an MLP where samples are rows."""

    epochs: int = 10
    width: int = 32
    nets: int = 2  # number of networks whose ``el2n`` scores are averaged
    batch: int = 256
    lr: float = 0.05
    momentum: float = 0.9
    draws: int = 20  # random draws of ``optimised``
    set_epochs: int = 100  # epochs of the networks that train on a draw
    scored: int = 1_000  # training samples, class-balanced, that those networks are scored on


@plain_torch()
def coreset_rows(
    name: str, dataset: Dataset, points_per_class: int, *, seed: int, run: ShortRun | None = None
) -> np.ndarray:
    """Return the training rows of a coreset, class after class; a class with fewer samples repeats them.

    Notes
    -----
    *Cost.* ``nets`` (1 but for el2n) times ``epochs`` passes of the training part forward and backward, and one more
    forward an epoch for forgetting.
    """
    if name not in CORESETS:
        raise ValueError(unknown_word("coreset", name, CORESETS))
    run = ShortRun() if run is None else run
    task = Task.of(dataset)
    if name == "optimised":
        return _optimised(task, run, points_per_class, np.random.default_rng([seed, _STREAM]), seed)
    if name in ("herding", "k-center"):
        network, weights = _last(task, run, seed, 0)
        choose = herded if name == "herding" else k_centers
        embedded = _outputs(network, weights, task, embed=True)
        chosen = [members[choose(embedded[members], points_per_class)] for members in task.members]
    else:
        scores = _el2n(task, run, seed) if name == "el2n" else _forgotten(task, run, seed)
        chosen = [members[np.argsort(-scores[members], kind="stable")] for members in task.members]
    return np.concatenate([np.resize(rows, points_per_class) for rows in chosen])


def herded(Z: np.ndarray, count: int) -> np.ndarray:
    """Return rows of Z (n, p), in the order of their choice, whose mean stays nearest to that of all.

    Examples
    --------
    >>> herded(np.array([[0.0], [1.0], [5.0]]), 2)
    array([1, 2])
    """
    mean, total, left, chosen = Z.mean(axis=0), np.zeros(Z.shape[1]), np.ones(len(Z), dtype=bool), []
    for size in range(1, min(count, len(Z)) + 1):
        distances = np.linalg.norm((total + Z) / size - mean, axis=1)
        row = int(np.argmin(np.where(left, distances, np.inf)))
        chosen.append(row)
        total, left[row] = total + Z[row], False
    return np.array(chosen)


def k_centers(Z: np.ndarray, count: int) -> np.ndarray:
    """Return rows of Z (n, p): the nearest to the mean, then each the farthest from those before.

    Examples
    --------
    >>> k_centers(np.array([[0.0], [1.0], [5.0]]), 2)
    array([1, 2])
    """
    chosen = [int(np.argmin(np.linalg.norm(Z - Z.mean(axis=0), axis=1)))]
    distances = np.linalg.norm(Z - Z[chosen[0]], axis=1)
    while len(chosen) < min(count, len(Z)):
        chosen.append(int(np.argmax(distances)))
        distances = np.minimum(distances, np.linalg.norm(Z - Z[chosen[-1]], axis=1))
    return np.array(chosen)


def _networks(task: Task, run: ShortRun, seed: int, index: int) -> tuple[Network, torch.Generator, Parameters]:
    name = "mlp" if min(task.shape[1:]) < 4 else "convnet"
    depth = 2 if min(task.shape[1:]) < 16 else 3
    network = network_named(name, task.shape, task.k, width=run.width, depth=depth)
    generator = torch.Generator().manual_seed(int(np.random.default_rng([seed, _STREAM, index]).integers(2**63)))
    return network, generator, network.draw(generator, dtype=task.dtype)


def _epochs(task: Task, run: ShortRun, seed: int, index: int) -> tuple[Network, list[Parameters]]:
    """Return a network and its weights after each epoch."""
    network, generator, first = _networks(task, run, seed, index)
    course = Course(run.epochs, run.batch, run.lr, momentum=run.momentum)
    found = weights_by_epoch(network, first, task.samples, task.n, course, generators=[generator])
    return network, [{name: value.detach() for name, value in weights.items()} for weights in found]


def _last(task: Task, run: ShortRun, seed: int, index: int) -> tuple[Network, Parameters]:
    network, weights = _epochs(task, run, seed, index)
    return network, weights[-1]


def _outputs(network: Network, weights: Parameters, task: Task, *, embed: bool = False) -> np.ndarray:
    """Return the logits, or the embeddings, of all training samples in float64."""
    call = network.embed if embed else network.logits
    found = []
    with torch.no_grad():
        for first in range(0, task.n, _ROWS):
            rows = np.arange(first, min(first + _ROWS, task.n))
            found.append(call(weights, task.images(rows)).double().cpu().numpy())
    return np.concatenate(found)


def _el2n(task: Task, run: ShortRun, seed: int) -> np.ndarray:
    labels = F.one_hot(task.classes_of, task.k).double().cpu().numpy()
    total = np.zeros(task.n)
    for index in range(run.nets):
        logits = torch.from_numpy(_outputs(*_last(task, run, seed, index), task))
        total += np.linalg.norm(torch.softmax(logits, dim=1).numpy() - labels, axis=1)
    return total / run.nets


def _optimised(task: Task, run: ShortRun, count: int, rng: np.random.Generator, seed: int) -> np.ndarray:
    """Return one of the best fifth of random draws, which all train the same first weights."""
    draws = [[np.resize(task.draw(label, count, rng), count) for label in range(task.k)] for _ in range(run.draws)]
    judged = task.draw_balanced(run.scored, rng)
    images, classes = task.samples(judged)
    course = Course(run.set_epochs, run.batch, run.lr, momentum=run.momentum)
    scores = []
    for draw in draws:
        rows = np.concatenate(draw)
        network, generator, _ = _networks(task, run, seed, 0)
        (weights,) = train_networks(network, *task.samples(rows), course=course, generators=[generator])
        with torch.no_grad():
            scores.append(float((network.logits(weights, images).argmax(dim=1) == classes).double().mean()))
    best = np.argsort(-np.array(scores), kind="stable")[: max(1, run.draws // 5)]
    return np.concatenate(draws[int(rng.choice(best))])


def _forgotten(task: Task, run: ShortRun, seed: int) -> np.ndarray:
    network, weights = _epochs(task, run, seed, 0)
    classes = task.classes_of.cpu().numpy()
    right = np.stack([_outputs(network, one, task).argmax(axis=1) == classes for one in weights])
    events = np.sum(right[:-1] & ~right[1:], axis=0).astype(np.float64)
    return np.where(right.any(axis=0), events, float(run.epochs))
