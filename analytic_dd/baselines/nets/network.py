"""Networks as pure functions of their parameters, which torch.func can differentiate, vectorise and unroll.

A network holds shapes only. Its parameters are a dictionary of tensors that are drawn with a generator of one's own, so
nothing touches the global random state.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch.nn import functional as F

__all__ = ["ConvNet", "MultiLayerPerceptron", "Network", "Parameters"]

Parameters = dict[str, torch.Tensor]


class Network(ABC):
    """A classifier: embedding, then one linear layer.

    Attributes
    ----------
    shape : (c, h, w)
    k : int
    """

    shape: tuple[int, int, int]
    k: int

    @abstractmethod
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every parameter in the order they are applied."""

    @abstractmethod
    def embed(self, parameters: Parameters, images: torch.Tensor) -> torch.Tensor:
        """Return what stands before the classifier (n, features)."""

    def __call__(self, parameters: Parameters, images: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, k) of images (n, c, h, w)."""
        return F.linear(self.embed(parameters, images), parameters["classifier.weight"], parameters["classifier.bias"])

    def draw(
        self, generator: torch.Generator, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> Parameters:
        """Draw parameters: weights and biases uniform on +- 1/sqrt(fan in), as torch's layers; norms 1 and 0."""
        parameters: Parameters = {}
        bound = 1.0
        for name, shape in self.shapes().items():
            if ".norm." in name:
                parameters[name] = torch.ones(shape) if name.endswith("weight") else torch.zeros(shape)
                continue
            if len(shape) > 1:
                bound = 1.0 / math.sqrt(math.prod(shape[1:]))  # the bias that follows has the fan of its weight
            parameters[name] = bound * (2.0 * torch.rand(shape, generator=generator) - 1.0)
        return {name: value.to(device=device, dtype=dtype) for name, value in parameters.items()}

    def size(self) -> int:
        """Return the number of parameters."""
        return sum(math.prod(shape) for shape in self.shapes().values())


@dataclass(frozen=True)
class ConvNet(Network):
    """Blocks of convolution 3x3, instance norm with affine, ReLU, average pool 2; then a linear layer.

    The first convolution pads by 3 on one channel (28 to 32 pixels), by 1 otherwise.

    Attributes
    ----------
    width, depth : int
        128 and 3 in the literature: 317,706 parameters on MNIST, 320,010 on CIFAR-10.

    Examples
    --------
    >>> ConvNet((1, 28, 28), 10).size(), ConvNet((3, 32, 32), 10).size()
    (317706, 320010)
    """

    shape: tuple[int, int, int]
    k: int
    width: int = 128
    depth: int = 3

    def __post_init__(self) -> None:
        if min(self._sizes()) < 1:
            _, height, width = self.shape
            raise ValueError(
                f"{self.depth} halvings leave no pixel of {height} x {width}; lower depth, or use an MLP for rows"
            )

    def _padding(self) -> int:
        return 3 if self.shape[0] == 1 and min(self.shape[1:]) >= 28 else 1

    def _sizes(self) -> tuple[int, int]:
        grown = 2 * (self._padding() - 1)
        height, width = ((size + grown) >> self.depth for size in self.shape[1:])
        return height, width

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every parameter."""
        found: dict[str, tuple[int, ...]] = {}
        channels = self.shape[0]
        for block in range(self.depth):
            found[f"{block}.conv.weight"] = (self.width, channels, 3, 3)
            found[f"{block}.conv.bias"] = (self.width,)
            found[f"{block}.norm.weight"] = (self.width,)
            found[f"{block}.norm.bias"] = (self.width,)
            channels = self.width
        height, width = self._sizes()
        found["classifier.weight"] = (self.k, self.width * height * width)
        found["classifier.bias"] = (self.k,)
        return found

    def embed(self, parameters: Parameters, images: torch.Tensor) -> torch.Tensor:
        """Return the flattened last block (n, width * h * w)."""
        hidden = images
        for block in range(self.depth):
            weight, bias = parameters[f"{block}.conv.weight"], parameters[f"{block}.conv.bias"]
            hidden = F.conv2d(hidden, weight, bias, padding=self._padding() if block == 0 else 1)
            gain, shift = parameters[f"{block}.norm.weight"], parameters[f"{block}.norm.bias"]
            hidden = F.relu(instance_norm(hidden, gain, shift))
            hidden = F.avg_pool2d(hidden, 2)
        return hidden.flatten(1)


def instance_norm(hidden: torch.Tensor, gain: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Normalise every channel of every image; written out, so that second derivatives and vmap work everywhere."""
    mean = hidden.mean(dim=(2, 3), keepdim=True)
    centred = hidden - mean
    variance = (centred * centred).mean(dim=(2, 3), keepdim=True)
    return centred * torch.rsqrt(variance + 1e-5) * gain[:, None, None] + shift[:, None, None]


@dataclass(frozen=True)
class MultiLayerPerceptron(Network):
    """Fully connected layers with ReLU.

    Examples
    --------
    >>> network = MultiLayerPerceptron((1, 8, 8), 10, widths=(64,))
    >>> parameters = network.draw(torch.Generator().manual_seed(0))
    >>> tuple(network(parameters, torch.zeros(5, 1, 8, 8)).shape), network.size()
    ((5, 10), 4810)
    """

    shape: tuple[int, int, int]
    k: int
    widths: tuple[int, ...] = (128, 128)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every parameter."""
        found: dict[str, tuple[int, ...]] = {}
        fan = math.prod(self.shape)
        for layer, width in enumerate(self.widths):
            found |= {f"{layer}.weight": (width, fan), f"{layer}.bias": (width,)}
            fan = width
        return found | {"classifier.weight": (self.k, fan), "classifier.bias": (self.k,)}

    def embed(self, parameters: Parameters, images: torch.Tensor) -> torch.Tensor:
        """Return the last hidden layer."""
        hidden = images.flatten(1)
        for layer in range(len(self.widths)):
            hidden = F.relu(F.linear(hidden, parameters[f"{layer}.weight"], parameters[f"{layer}.bias"]))
        return hidden
