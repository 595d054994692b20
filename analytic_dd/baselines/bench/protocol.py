"""The predictors that score a set. Each asks another question and has its own column in the table.

convnet, mlp, resnet18, vgg11, alexnet    networks trained on the set, with the largest of its labels as the class
...+dsa, ...+soft                         the same under Siamese augmentation; with labels that are probabilities
...+dc                                    the same under the augmentation that gradient matching scored MNIST with
...+lr                                    the same at the step size that a set of mtt, dd or ld learned, in place of lr
krr-own                                   kernel (or feature) ridge regression with the kernel of the method itself; the
                                          loss of a closed-form set that has another one, on its own map
wide                                      convolutional networks of width 1,024 in the scaling of the wide limit, fitted
                                          to the labels as they are by least squares, as KIP is transferred
own-steps                                 networks after the gradient steps that a set of dd or ld was made for
krr-common                                the tangent kernel of depth 1 and relative ridge 1e-6 for every set
ridge, ridge:MAP                          ridge regression on a feature map, the linear one by default
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from analytic_dd.baselines.bench.closed_form import closed_form_kernel, map_named, weights_of_set
from analytic_dd.baselines.bench.evaluate import Networks, evaluate
from analytic_dd.baselines.bench.own_steps import own_accuracies
from analytic_dd.baselines.bench.wide import WideNetworks, wide_accuracies
from analytic_dd.baselines.methods.driver import BaselineResult
from analytic_dd.baselines.methods.kernel_config import own_kernel
from analytic_dd.baselines.methods.kernels import InfiniteNetwork
from analytic_dd.baselines.methods.krr import krr_accuracy
from analytic_dd.baselines.methods.registry import METHODS, method_type
from analytic_dd.baselines.nets.named import NETWORKS
from analytic_dd.baselines.torch_state import plain_torch
from analytic_dd.data import Dataset
from analytic_dd.features import FeatureMap, check_text
from analytic_dd.judge.controls import best_ridge
from analytic_dd.model import DatasetSource, fit_source

__all__ = [
    "LARGEST_KERNEL",
    "MARKS",
    "OWN",
    "Protocol",
    "Score",
    "learns_step_size",
    "own_predictor",
    "predictor_kind",
    "score",
]

OWN = ("krr-own", "own-steps")  # predictors that only some methods have
MARKS = ("dsa", "dc", "soft", "lr")  # of a network, in their order; the first two are different augmentations
LARGEST_KERNEL = 20_000  # points up to which a kernel matrix is solved: 3.2 GB

_STREAM = 0x72696467  # names the stream of random numbers
_SAMPLES = 2_000  # training samples on which the ridge that favours the set most is chosen


@dataclass(frozen=True)
class Protocol:
    """How networks are trained and scored, the same for every set; see :class:`Networks` for the other options."""

    nets: int = 5  # number of networks for each set
    seed: int = 0
    width: int | None = None  # sizes of the ConvNet, 128 and 3 by default
    depth: int | None = None
    mlp_width: int | None = None  # sizes of the MLP, 128 and 2 by default
    mlp_depth: int | None = None
    transfer_width: int | None = None  # the first width of ResNet-18, VGG-11 and AlexNet in place of the published one
    epochs: int = 300  # epochs on a small set, without and with augmentation
    epochs_augmented: int = 1_000
    epochs_full: int | None = None  # epochs on the whole training set, where they differ
    batch: int = 256
    lr: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4
    wide_width: int = 1024  # sizes of ``wide``, and the number of its gradient steps, each on all points
    wide_depth: int = 3
    wide_steps: int = 1_000

    quick: ClassVar[Mapping[str, Any]] = {
        "width": 32,
        "depth": 2,
        "epochs_full": 30,
        "wide_width": 32,
        "wide_depth": 2,
        "wide_steps": 100,
    }

    def __post_init__(self) -> None:
        for name in ("nets", "epochs", "epochs_augmented", "batch", "wide_width", "wide_depth", "wide_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.seed < 0 or not self.lr > 0.0:
            raise ValueError(f"seed must be >= 0 and lr > 0, got {self.seed} and {self.lr}")

    def wide(self) -> WideNetworks:
        """Return the networks of the predictor ``wide``."""
        return WideNetworks(self.wide_width, self.wide_depth, self.wide_steps, self.nets, self.seed)

    def networks(self, predictor: str, *, full: bool) -> Networks:
        """Return the networks of a predictor such as ``convnet+dsa``; ``full`` says that they train on all the data."""
        name, *marks = predictor.split("+")
        sizes = {"convnet": (self.width, self.depth), "mlp": (self.mlp_width, self.mlp_depth)}
        width, depth = sizes.get(name, (self.transfer_width, None))
        augment = "dc" if "dc" in marks else "dsa" in marks
        epochs = self.epochs_augmented if augment else self.epochs
        epochs = self.epochs_full if full and self.epochs_full is not None else epochs
        return Networks(
            name,
            width,
            depth,
            nets=self.nets,
            seed=self.seed,
            augment=augment,
            soft="soft" in marks,
            epochs=epochs,
            batch=self.batch,
            lr=self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
        )


@dataclass(frozen=True)
class Score:
    """What a predictor says of a set."""

    accuracy: float  # fraction of right decisions on the test part, the mean over networks
    std: float | None  # standard deviation over networks; None where nothing is random
    accuracies: tuple[float, ...]
    seconds: float
    details: dict[str, Any] = field(default_factory=dict)  # labels, ridge, epochs and other JSON values


def predictor_kind(name: str) -> str:
    """Return ``network``, ``wide``, ``krr-own``, ``own-steps``, ``krr-common`` or ``ridge``.

    Raises
    ------
    ValueError
        There is no such predictor, or no such map.
    """
    network, *marks = name.split("+")
    if network in NETWORKS and marks == [one for one in MARKS if one in marks] and marks[:2] != ["dsa", "dc"]:
        return "network"
    if name in (*OWN, "wide", "krr-common", "ridge"):
        return name
    if name.startswith("ridge:") and len(name) > 6:
        check_text(name[6:])
        return "ridge"
    raise ValueError(
        f"unknown predictor {name!r}; choose from {', '.join(NETWORKS)} (with +dsa or +dc, +soft, +lr in this order), "
        "wide, krr-own, own-steps, krr-common, ridge, ridge:MAP"
    )


def own_predictor(method: str) -> str | None:
    """Return the predictor that a method has for itself, if it has one."""
    if method == "closed-form":
        return "krr-own"
    return method_type(method).config_type.own_predictor if method in METHODS else None


def learns_step_size(method: str) -> bool:
    """Whether a method learns the step size with which networks train on its set."""
    return method in METHODS and method_type(method).config_type.learns_step_size


@plain_torch()
def score(
    predictor: str, result: BaselineResult, dataset: Dataset, *, protocol: Protocol, device: str = "cpu"
) -> Score:
    """Score a set on the test part of the data, which nothing has seen before.

    The ``method`` of a ``result`` that is the whole training part is ``full``.
    """
    kind, started = predictor_kind(predictor), time.perf_counter()
    if kind == "network":
        networks = protocol.networks(predictor, full=result.method == "full")
        if "lr" in predictor.split("+"):
            if "step_size" not in result.learned:
                raise ValueError(f"{result.method} learns no step size; leave {predictor} out")
            networks = replace(networks, lr=float(result.learned["step_size"]))
        found = evaluate(result.inputs, result.y, dataset, networks, device=device)
        facts = {"labels": found.labels, "epochs": found.epochs, "diverged": found.diverged, "lr": networks.lr}
        return Score(found.mean, found.std, found.accuracies, found.seconds, facts)
    if kind in ("own-steps", "wide"):
        details: dict[str, Any] = {}
        if kind == "wide":
            accuracies, left = wide_accuracies(result, dataset, protocol.wide(), device=device)
            details = {"labels_left": left}
        else:
            accuracies, details = own_accuracies(result, dataset, nets=protocol.nets, device=device)
        std = float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else None
        return Score(float(np.mean(accuracies)), std, accuracies, time.perf_counter() - started, details)
    maker = {"krr-own": _own, "krr-common": _common, "ridge": _ridge}[kind]
    accuracy, details = maker(predictor, result, dataset, device)
    return Score(accuracy, None, (accuracy,), time.perf_counter() - started, details)


def _common(predictor: str, result: BaselineResult, dataset: Dataset, device: str) -> tuple[float, dict[str, Any]]:
    kernel = InfiniteNetwork(depth=1)
    accuracy = krr_accuracy(result.inputs, result.y, dataset, kernel, ridge_relative=1e-6, device=device)
    return accuracy, {"kernel": "ntk", "depth": 1, "ridge_relative": 1e-6}


def _own(predictor: str, result: BaselineResult, dataset: Dataset, device: str) -> tuple[float, dict[str, Any]]:
    if result.method == "closed-form" and result.config.get("loss", "squared") != "squared":
        text, phi = result.config["features"], map_named(result.config["features"], dataset, seed=result.seed)
        details = {"features": text, "ridge": float(result.learned["ridge"]), "loss": result.config["loss"]}
        return _right(weights_of_set(result, phi), phi, dataset), details
    if result.method == "closed-form":
        features, ridge = closed_form_kernel(result, dataset), float(result.learned["ridge"])
        accuracy = krr_accuracy(result.inputs, result.y, dataset, features, ridge=ridge, device=device)
        return accuracy, {"features": result.config["features"], "ridge": ridge}
    if own_predictor(result.method) != "krr-own":
        raise ValueError(f"{result.method} has no kernel of its own; leave krr-own out")
    config = result.config
    options = {"ridge": config["ridge"], "ridge_relative": config["ridge_relative"]}
    kernel = own_kernel(result, dataset, device=device)
    accuracy = krr_accuracy(result.inputs, result.y, dataset, kernel, device=device, **options)
    return accuracy, {"kernel": config["kernel"], "features": config["features"]} | options


def _ridge(predictor: str, result: BaselineResult, dataset: Dataset, device: str) -> tuple[float, dict[str, Any]]:
    """Ridge regression on the features of the set.

    A closed-form set has on its own map the ridge that it was built for, and the whole training part the ridge of
    leave-one-out. Other sets have the best of nine ridges on training samples, a choice in their favour.
    """
    text = predictor.partition(":")[2] or "identity"
    phi, (mean, std) = map_named(text, dataset, seed=result.seed), dataset.statistics()
    rng = np.random.default_rng([result.seed, _STREAM])
    if result.method == "full":
        model = fit_source(DatasetSource(dataset), phi, rng=rng)
        W, rule = model.weights, "leave-one-out"
    elif result.method == "closed-form" and _own_ridge(result) == text:
        W, rule = weights_of_set(result, phi), "its own"
    else:
        order = np.sort(rng.permutation(len(dataset.y_train))[:_SAMPLES])
        blocks = list(dataset.blocks("train", mean=mean, std=std, order=order))
        Phi, y = phi(np.concatenate([X for X, _ in blocks])), np.concatenate([y for _, y in blocks])
        W, rule = best_ridge(phi(result.inputs), result.y, Phi, y, intercept=False)[0], "best on training samples"
    return _right(W, phi, dataset), {"features": text, "ridge_rule": rule}


def _own_ridge(result: BaselineResult) -> str | None:
    """Return the map on which ridge regression is what a set was made for."""
    return result.config["features"] if result.config.get("loss", "squared") == "squared" else None


def _right(W: np.ndarray, phi: FeatureMap, dataset: Dataset) -> float:
    """Return the part of the test samples that a model decides rightly."""
    mean, std = dataset.statistics()
    right = sum(int(np.sum((phi(X) @ W.T).argmax(axis=1) == y)) for X, y in dataset.blocks("test", mean=mean, std=std))
    return right / len(dataset.y_test)
