"""The networks that sets are transferred to: ResNet-18, VGG-11 and AlexNet for images of 32 x 32 and smaller.

They are the networks of the cross-architecture tables of the literature. The first convolutions do not halve the image,
an instance norm with affine stands in place of the batch norm (which means nothing for a batch of ten images), and one
linear layer stands at the end.

A network skips the halvings that a small image has no pixels for: a halving is done only where the maps are larger than
those of a 32 x 32 image are after it, so that the last layers see maps of the published sizes. A halving that would
leave one pixel to an instance norm is skipped too, because the norm of one pixel is zero whatever comes in. An image of
32 x 32, or of 28 x 28 in one channel, is halved as published.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from analytic_dd.baselines.nets.network import Network, block

__all__ = ["AlexNet", "ResNet18", "Vgg11"]


def _require_images(network: str, shape: tuple[int, int, int], width: int) -> None:
    if min(shape[1:]) < 4:
        raise ValueError(f"{network} takes images of 4 x 4 pixels or more, got {shape[1]} x {shape[2]}; use an MLP")
    if width < 2 or width % 2:
        raise ValueError(f"width must be an even number >= 2, got {width}")


def _halved(side: int, halvings: int, least: int, *, up: bool = False) -> bool:
    """Whether maps of a side are halved where those of a 32 x 32 image are halved for the ``halvings``-th time."""
    half = -(-side // 2) if up else side // 2
    return side > 32 >> halvings and half >= least


class Residual(nn.Module):
    """Two convolutions whose result is added to the input, which a 1 x 1 convolution first takes to the same shape."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.first = block(nn.Conv2d(channels, out, 3, stride, padding=1, bias=False), nn.ReLU())
        self.second = block(nn.Conv2d(out, out, 3, padding=1, bias=False))
        changed = stride > 1 or channels != out
        self.skip = block(nn.Conv2d(channels, out, 1, stride, bias=False)) if changed else nn.Identity()

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the maps after the block."""
        return F.relu(self.second(self.first(hidden)) + self.skip(hidden))


class PixelMean(nn.Module):
    """The mean over the pixels of each channel."""

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return (n, channels)."""
        return hidden.mean(dim=(2, 3))


class ResNet18(Network):
    """A stem and eight residual blocks of two convolutions, in four stages of width w, 2w, 4w, 8w; global average.

    Each stage but the first begins with a stride of 2. Convolutions have no bias. w is 64 in the literature (He, Zhang,
    Ren, Sun, "Deep residual learning for image recognition", CVPR 2016).
    """

    def __init__(self, shape: tuple[int, int, int], k: int, *, width: int) -> None:
        _require_images("ResNet-18", shape, width)
        side, channels = min(shape[1:]), width
        with torch.device("meta"):
            stem = nn.Conv2d(shape[0], width, 3, padding=1, bias=False)
            layers: dict[str, nn.Module] = {"stem": block(stem, nn.ReLU())}
            for stage in range(4):
                out = width << stage
                stride = 2 if stage > 0 and _halved(side, stage, 2, up=True) else 1
                side = -(-side // stride)
                layers[str(stage)] = nn.Sequential(Residual(channels, out, stride), Residual(out, out, 1))
                channels = out
            layers |= {"mean": PixelMean(), "classifier": nn.Linear(channels, k)}
        super().__init__(shape, k, layers)


class _Plain(Network):
    """Convolutions and maximum pools one after the other, then one linear layer of all pixels."""

    title: ClassVar[str]
    norm: ClassVar[bool]  # whether an instance norm follows each convolution

    @staticmethod
    @abstractmethod
    def plan(width: int) -> list[tuple[int, int, bool]]:
        """Return for each layer the channels, the side of the filter, and whether a pool follows."""

    def __init__(self, shape: tuple[int, int, int], k: int, *, width: int) -> None:
        _require_images(self.title, shape, width)
        channels, *sides = shape
        grown = 4 if channels == 1 and min(sides) >= 28 else 0  # 28 x 28 in one channel becomes 32 x 32
        sides, pools, plan = [side + grown for side in sides], 0, self.plan(width)
        layers: dict[str, nn.Module] = {}
        with torch.device("meta"):
            for index, (out, size, pool) in enumerate(plan):
                padding = size // 2 + (0 if index else grown // 2)
                pools += pool
                least = 2 if self.norm and index + 1 < len(plan) else 1
                after: list[nn.Module] = [nn.ReLU()]
                if pool and _halved(min(sides), pools, least):
                    after.append(nn.MaxPool2d(2))
                    sides = [side // 2 for side in sides]
                layers[str(index)] = block(nn.Conv2d(channels, out, size, padding=padding), *after, norm=self.norm)
                channels = out
            layers |= {"flatten": nn.Flatten(), "classifier": nn.Linear(channels * math.prod(sides), k)}
        super().__init__(shape, k, layers)


class Vgg11(_Plain):
    """Eight convolutions 3 x 3 of width w, 2w, 4w, 4w, 8w, 8w, 8w, 8w with instance norm, and five maximum pools.

    w is 64 in the literature (Simonyan, Zisserman, "Very deep convolutional networks for large-scale image
    recognition", ICLR 2015, A).
    """

    title, norm = "VGG-11", True

    @staticmethod
    def plan(width: int) -> list[tuple[int, int, bool]]:
        """Return the eight layers."""
        return [(width * times, 3, index in (0, 1, 3, 5, 7)) for index, times in enumerate((1, 2, 4, 4, 8, 8, 8, 8))]


class AlexNet(_Plain):
    """Two convolutions 5 x 5 and three 3 x 3 of width w, 3w/2, 2w, 3w/2, 3w/2, and three maximum pools; no norm.

    This is the version of the distillation literature for 32 x 32 pixels, with one linear layer at the end and w = 128
    (Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks", NIPS 2012).
    """

    title, norm = "AlexNet", False

    @staticmethod
    def plan(width: int) -> list[tuple[int, int, bool]]:
        """Return the five layers."""
        wide = 3 * width // 2
        return [(width, 5, True), (wide, 5, True), (2 * width, 3, False), (wide, 3, False), (wide, 3, True)]
