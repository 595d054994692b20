"""Options of the methods that rest on kernel ridge regression, and the kernel that the options name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from analytic_dd.baselines.methods.conv_kernel import ConvolutionalKernel, convnet, myrtle, plain
from analytic_dd.baselines.methods.kernels import FeatureKernel, Gaussian, InfiniteNetwork, Kernel, Linear
from analytic_dd.baselines.methods.method import Config
from analytic_dd.baselines.methods.task import Task
from analytic_dd.data import Dataset
from analytic_dd.features import FeatureMap, check_text, from_spec, from_text, median_lengthscale
from analytic_dd.model.distillation import streams

if TYPE_CHECKING:
    from analytic_dd.baselines.methods.driver import BaselineResult

__all__ = ["KERNELS", "KernelConfig", "feature_map_of", "first_points", "kernel_of", "own_kernel"]

_CONVOLUTIONAL = tuple(f"{network}-{of}" for network in ("conv", "convnet", "myrtle") for of in ("ntk", "nngp"))
KERNELS = ("ntk", "nngp", "rbf", "linear", *_CONVOLUTIONAL)
_DEPTHS = {"convnet": 3, "myrtle": 5}  # depths of the published networks
_STREAM = 0x6B65726E  # names a stream of random numbers that no method draws from
_SAMPLE = 1_000  # training rows from which a lengthscale is chosen


@dataclass(frozen=True)
class KernelConfig(Config):
    """A kernel or a feature map, and its ridge."""

    # ``ntk``, ``nngp`` (fully connected networks), ``rbf``, ``linear``, or that of a convolutional network, as
    # ``conv-ntk`` (3 x 3 convolutions), ``convnet-ntk`` (the network of published KIP: a convolution, then blocks of
    # convolution and 2 x 2 average pooling), ``myrtle-ntk``, each with ``nngp`` too; ``ntk`` by default
    kernel: str | None = None
    # Finite features in place of a kernel: text such as ``fcnn`` or ``rff:p=500``, whose parameters the seed draws, or
    # a map, which is stored by its specification
    features: str | Mapping[str, Any] | FeatureMap | None = None
    # Number of hidden layers of an infinite network, by default 1; of blocks of ``convnet``, by default 3; or 5, 7 or
    # 10 of ``myrtle``, by default 5
    depth: int = None  # type: ignore[assignment]  # never None once made
    W_std: float = math.sqrt(2.0)  # standard deviations of its weights and biases
    b_std: float = 0.1
    lengthscale: float | None = None  # lengthscale of ``rbf``; the median distance of training rows by default
    pooling: bool = False  # whether ``conv-ntk`` or ``conv-nngp`` has average pooling after each layer
    # ``torch``, the default, or ``neural-tangents`` (JAX) for ``ntk``, ``nngp`` and ``conv-ntk`` without pooling
    engine: str = "torch"
    ridge_relative: float = 1e-6  # lambda = ridge_relative * trace(K_ss) / m
    ridge: float | None = None  # lambda itself, in place of ``ridge_relative``
    # Whether one-hot labels are centred. As published, they are with a kernel and not with finite features.
    centred: bool = None  # type: ignore[assignment]
    init: str = "real"  # whether the points start as ``real`` samples or ``noise``
    # The training set, or its features, stays in memory in float64 up to so many bytes, and is computed anew beyond
    feature_memory: float = 4e9

    own_predictor: ClassVar[str | None] = "krr-own"

    def __post_init__(self) -> None:
        if self.kernel is not None and self.features is not None:
            raise ValueError(f"give a kernel or features, not both; got {self.kernel!r} and {self.features!r}")
        if isinstance(self.features, FeatureMap):
            self._set("features", self.features.spec())
        if isinstance(self.features, str):
            check_text(self.features)
        finite = self.features is not None
        if not finite:
            self._set("kernel", self.kernel or "ntk")
            self.require_choice("kernel", KERNELS)
        self._set("depth", _DEPTHS.get(self.network, 1) if self.depth is None else self.depth)
        self._set("centred", not finite if self.centred is None else bool(self.centred))
        self.require_choice("engine", ("torch", "neural-tangents"))
        self.require_choice("init", ("real", "noise"))
        if self.pooling and (self.network != "conv" or self.engine != "torch"):
            raise ValueError(
                "pooling=True is an option of conv-ntk and conv-nngp in torch, got "
                f"{self.kernel or 'features'} in {self.engine}; take kernel='convnet-ntk' for a network that pools"
            )
        if self.engine == "neural-tangents" and self.kernel not in ("ntk", "nngp", "conv-ntk"):
            raise ValueError(f"the engine neural-tangents has ntk, nngp and conv-ntk, got {self.kernel or 'features'}")
        if not self.ridge_relative > 0.0 or not (self.ridge is None or self.ridge > 0.0):
            raise ValueError(f"ridges must be > 0, got relative {self.ridge_relative} and absolute {self.ridge}")
        self.require_at_least(1, "depth")
        if self.network == "myrtle":
            myrtle(self.depth)

    @property
    def network(self) -> str | None:
        """``conv``, ``convnet`` or ``myrtle`` for a convolutional kernel."""
        return str(self.kernel).partition("-")[0] if self.kernel in _CONVOLUTIONAL else None

    @property
    def soft_labels(self) -> bool:
        """Whether labels are probabilities: those that are solved or centred are not."""
        return False

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)


def kernel_of(config: KernelConfig, task: Task, *, seed: int) -> Kernel:
    """Return the kernel that a config names, for the data of a task.

    The ``seed`` draws the parameters of a feature map and the sample for a lengthscale, the same for every method.
    """
    if config.features is not None:
        return FeatureKernel(feature_map_of(config.features, task, streams(seed)[0]))
    options: dict[str, Any] = {"of": str(config.kernel).rpartition("-")[2]}
    options |= {"W_std": config.W_std, "b_std": config.b_std}
    channels, height, width = task.shape
    shape = (height, width, channels)
    if config.engine == "neural-tangents":
        from analytic_dd.baselines.methods.neural_tangents import NeuralTangentsKernel

        return NeuralTangentsKernel(shape if config.network else None, depth=config.depth, **options)
    if config.network == "myrtle":
        return ConvolutionalKernel(shape, myrtle(config.depth), "average", **options)
    if config.network:
        layers = convnet(config.depth) if config.network == "convnet" else plain(config.depth, pooling=config.pooling)
        return ConvolutionalKernel(shape, layers, **options)
    if config.kernel == "linear":
        return Linear()
    if config.kernel == "rbf":
        rng = np.random.default_rng([seed, _STREAM])
        return Gaussian(config.lengthscale or median_lengthscale(_sample(task, rng), rng=rng))
    return InfiniteNetwork(config.depth, **options)


def own_kernel(result: BaselineResult, dataset: Dataset, *, device: str = "cpu") -> Kernel:
    """Return the kernel that a result of KIP or Label Solve was made with."""
    names = {field.name for field in fields(KernelConfig)} - {"steps"}
    config = KernelConfig(**{name: value for name, value in result.config.items() if name in names})
    return kernel_of(config, Task.of(dataset, device=device, dtype=torch.float64), seed=result.seed)


def first_points(config: KernelConfig, task: Task, per_class: int, rng: np.random.Generator) -> torch.Tensor:
    """Return the rows (m, d) that a method starts from: real samples, class-major, or standard normal noise."""
    return task.as_rows(task.first_images(config.init, per_class, rng)).contiguous()


def feature_map_of(features: Any, task: Task, rng: np.random.Generator) -> FeatureMap:
    """Return the map that text or a specification names, for the samples of a task."""
    if isinstance(features, str):
        sample = _sample(task, rng)
        return from_text(features, task.d, image_shape=task.image_shape, rng=rng, sample=sample)
    found = from_spec(features)
    if found.d != task.d:
        raise ValueError(f"the feature map takes {found.d} numbers, the samples of the data have {task.d}")
    return found


def _sample(task: Task, rng: np.random.Generator) -> np.ndarray:
    order = np.sort(rng.permutation(task.n)[:_SAMPLE])
    rows: np.ndarray = task.as_rows(task.images(order)).double().cpu().numpy()
    return rows
