"""The networks that sets are transferred to: ResNet-18, VGG-11 and AlexNet for images of 32 x 32 and smaller.

As in the cross-architecture tables of the literature: 3 x 3 first convolutions without an early halving, instance norm
with affine in place of batch norm (which a batch of ten images would make meaningless), one linear layer at the end.

A smaller image enters further down: a halving is done where the maps are larger than those of a 32 x 32 image are
after it, so that the last layers see maps of the published sizes. Nor is one done that would leave a single pixel to an
instance norm, which is zero for it whatever comes in. At 32 x 32 all halvings are there, and at 28 x 28 in one channel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from analytic_dd.baselines.nets.network import Network, Parameters, instance_norm

__all__ = ["AlexNet", "ResNet18", "Vgg11"]


def _require_images(network: str, shape: tuple[int, int, int], width: int) -> None:
    if min(shape[1:]) < 4:
        raise ValueError(f"{network} takes images of 4 x 4 pixels or more, got {shape[1]} x {shape[2]}; use an MLP")
    if width < 2 or width % 2:
        raise ValueError(f"width must be an even number >= 2, got {width}")


def _halved(side: int, halvings: int, least: int, *, up: bool = False) -> bool:
    """Whether to halve maps where a 32 x 32 image would be halved for the ``halvings``-th time."""
    half = -(-side // 2) if up else side // 2
    return side > 32 >> halvings and half >= least


def _grown(shape: tuple[int, int, int]) -> int:
    """Pixels that the first convolution adds to a side: 28 x 28 in one channel becomes 32 x 32."""
    return 4 if shape[0] == 1 and min(shape[1:]) >= 28 else 0


@dataclass(frozen=True)
class ResNet18(Network):
    """A stem and eight residual blocks of two convolutions, in four stages of width w, 2w, 4w, 8w; global average.

    Each stage but the first begins with a stride of 2. Convolutions have no bias.

    Attributes
    ----------
    width : int
        w, 64 in the literature.

    References
    ----------
    He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016.

    Examples
    --------
    >>> ResNet18((3, 32, 32), 10).size()
    11173962
    """

    shape: tuple[int, int, int]
    k: int
    width: int = 64

    def __post_init__(self) -> None:
        _require_images("ResNet-18", self.shape, self.width)

    def _blocks(self) -> Iterator[tuple[str, int, int, int]]:
        """Yield name, channels in, channels out and stride of each block."""
        side, channels = min(self.shape[1:]), self.width
        for stage in range(4):
            out = self.width << stage
            stride = 2 if stage > 0 and _halved(side, stage, 2, up=True) else 1
            side = -(-side // stride)
            yield f"{stage}.0", channels, out, stride
            yield f"{stage}.1", out, out, 1
            channels = out

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every parameter."""
        found: dict[str, tuple[int, ...]] = {}

        def add(name: str, channels: int, out: int, side: int) -> None:
            found[f"{name}.conv.weight"] = (out, channels, side, side)
            found.update({f"{name}.norm.weight": (out,), f"{name}.norm.bias": (out,)})

        add("stem", self.shape[0], self.width, 3)
        for block, channels, out, stride in self._blocks():
            add(f"{block}.first", channels, out, 3)
            add(f"{block}.second", out, out, 3)
            if stride > 1 or channels != out:
                add(f"{block}.skip", channels, out, 1)
        return found | {"classifier.weight": (self.k, 8 * self.width), "classifier.bias": (self.k,)}

    def embed(self, parameters: Parameters, images: torch.Tensor) -> torch.Tensor:
        """Return the mean over the pixels of the last block (n, 8w)."""

        def normed(name: str, hidden: torch.Tensor, stride: int = 1) -> torch.Tensor:
            weight = parameters[f"{name}.conv.weight"]
            hidden = F.conv2d(hidden, weight, stride=stride, padding=weight.shape[-1] // 2)
            return instance_norm(hidden, parameters[f"{name}.norm.weight"], parameters[f"{name}.norm.bias"])

        hidden = F.relu(normed("stem", images))
        for block, _, _, stride in self._blocks():
            inner = normed(f"{block}.second", F.relu(normed(f"{block}.first", hidden, stride)))
            straight = f"{block}.skip.conv.weight" not in parameters
            hidden = F.relu(inner + (hidden if straight else normed(f"{block}.skip", hidden, stride)))
        return hidden.mean(dim=(2, 3))


@dataclass(frozen=True)
class _Plain(Network):
    """Convolutions and maximum pools one after the other.

    Attributes
    ----------
    width : int
        Channels of the first layer.
    """

    shape: tuple[int, int, int]
    k: int
    width: int

    def _layers(self) -> tuple[tuple[int, int, bool], ...]:
        """Channels, side of the filter, and whether a pool follows, of each layer."""
        raise NotImplementedError

    @property
    def _normed(self) -> bool:
        raise NotImplementedError

    def _pools(self) -> list[bool]:
        """Whether a pool follows each layer, for an image of this size."""
        side, pools = min(self.shape[1:]) + _grown(self.shape), 0
        layers, found = self._layers(), []
        for index, (_, _, pool) in enumerate(layers):
            pools += pool
            least = 2 if self._normed and index + 1 < len(layers) else 1
            found.append(pool and _halved(side, pools, least))
            side //= 2 if found[-1] else 1
        return found

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every parameter."""
        found: dict[str, tuple[int, ...]] = {}
        channels, height, width = self.shape
        height, width = height + _grown(self.shape), width + _grown(self.shape)
        for index, ((out, side, _), pool) in enumerate(zip(self._layers(), self._pools(), strict=True)):
            found |= {f"{index}.conv.weight": (out, channels, side, side), f"{index}.conv.bias": (out,)}
            if self._normed:
                found |= {f"{index}.norm.weight": (out,), f"{index}.norm.bias": (out,)}
            height, width = (height // 2, width // 2) if pool else (height, width)
            channels = out
        return found | {"classifier.weight": (self.k, channels * height * width), "classifier.bias": (self.k,)}

    def embed(self, parameters: Parameters, images: torch.Tensor) -> torch.Tensor:
        """Return the flattened last layer."""
        hidden = images
        for index, ((_, side, _), pool) in enumerate(zip(self._layers(), self._pools(), strict=True)):
            padding = side // 2 + (_grown(self.shape) // 2 if index == 0 else 0)
            weight, bias = parameters[f"{index}.conv.weight"], parameters[f"{index}.conv.bias"]
            hidden = F.conv2d(hidden, weight, bias, padding=padding)
            if self._normed:
                hidden = instance_norm(hidden, parameters[f"{index}.norm.weight"], parameters[f"{index}.norm.bias"])
            hidden = F.relu(hidden)
            hidden = F.max_pool2d(hidden, 2) if pool else hidden
        return hidden.flatten(1)


@dataclass(frozen=True)
class Vgg11(_Plain):
    """Eight convolutions 3 x 3 of width w, 2w, 4w, 4w, 8w, 8w, 8w, 8w with instance norm, and five maximum pools.

    Attributes
    ----------
    width : int
        w, 64 in the literature.

    References
    ----------
    Simonyan, Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR 2015 (A).

    Examples
    --------
    >>> Vgg11((3, 32, 32), 10).size()
    9231114
    """

    width: int = 64

    def __post_init__(self) -> None:
        _require_images("VGG-11", self.shape, self.width)

    def _layers(self) -> tuple[tuple[int, int, bool], ...]:
        w = self.width
        widths = (w, 2 * w, 4 * w, 4 * w, 8 * w, 8 * w, 8 * w, 8 * w)
        return tuple((out, 3, index in (0, 1, 3, 5, 7)) for index, out in enumerate(widths))

    @property
    def _normed(self) -> bool:
        return True


@dataclass(frozen=True)
class AlexNet(_Plain):
    """Two convolutions 5 x 5 and three 3 x 3 of width w, 3w/2, 2w, 3w/2, 3w/2, and three maximum pools; no norm.

    The version for 32 x 32 pixels of the distillation literature, with one linear layer at the end.

    Attributes
    ----------
    width : int
        w, 128 in the literature.

    References
    ----------
    Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks", NIPS 2012.

    Examples
    --------
    >>> AlexNet((3, 32, 32), 10).size()
    1872202
    """

    width: int = 128

    def __post_init__(self) -> None:
        _require_images("AlexNet", self.shape, self.width)

    def _layers(self) -> tuple[tuple[int, int, bool], ...]:
        w, wide = self.width, 3 * self.width // 2
        return (w, 5, True), (wide, 5, True), (2 * w, 3, False), (wide, 3, False), (wide, 3, True)

    @property
    def _normed(self) -> bool:
        return False
