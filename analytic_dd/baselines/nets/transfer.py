"""The networks that sets are transferred to: ResNet-18, VGG-11 and AlexNet for images of 32 x 32 and smaller.

They are those of the cross-architecture tables of the literature: 3 x 3 first convolutions without an early halving,
instance norm with affine in place of batch norm (which a batch of ten images would make meaningless), and one linear
layer at the end.

A smaller image enters further down. A halving is done where the maps are larger than those of a 32 x 32 image are after
it, so that the last layers see maps of the published sizes. Nor is one done that would leave a single pixel to an
instance norm, which is zero for it whatever comes in. At 32 x 32, and at 28 x 28 in one channel, all halvings are done.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

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
    """Whether to halve maps where a 32 x 32 image would be halved for the ``halvings``-th time."""
    half = -(-side // 2) if up else side // 2
    return side > 32 >> halvings and half >= least


class Residual(nn.Module):
    """Two convolutions, added to what comes in; a convolution 1 x 1 takes that to other channels or half the size."""

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

    Each stage but the first begins with a stride of 2. Convolutions have no bias.

    Parameters
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

    def __init__(self, shape: tuple[int, int, int], k: int, *, width: int = 64) -> None:
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
    """Convolutions and maximum pools one after the other.

    Parameters
    ----------
    layers : sequence of (int, int, bool)
        Channels, side of the filter, and whether a pool follows, of each layer.
    norm : bool
        Whether an instance norm follows each convolution.
    """

    def __init__(
        self, shape: tuple[int, int, int], k: int, plan: Sequence[tuple[int, int, bool]], *, norm: bool
    ) -> None:
        channels, *sides = shape
        grown = 4 if channels == 1 and min(sides) >= 28 else 0  # 28 x 28 in one channel becomes 32 x 32
        sides, pools = [side + grown for side in sides], 0
        layers: dict[str, nn.Module] = {}
        with torch.device("meta"):
            for index, (out, width, pool) in enumerate(plan):
                padding = width // 2 + (0 if index else grown // 2)
                pools += pool
                least = 2 if norm and index + 1 < len(plan) else 1
                after: list[nn.Module] = [nn.ReLU()]
                if pool and _halved(min(sides), pools, least):
                    after.append(nn.MaxPool2d(2))
                    sides = [side // 2 for side in sides]
                layers[str(index)] = block(nn.Conv2d(channels, out, width, padding=padding), *after, norm=norm)
                channels = out
            layers |= {"flatten": nn.Flatten(), "classifier": nn.Linear(channels * math.prod(sides), k)}
        super().__init__(shape, k, layers)


class Vgg11(_Plain):
    """Eight convolutions 3 x 3 of width w, 2w, 4w, 4w, 8w, 8w, 8w, 8w with instance norm, and five maximum pools.

    Parameters
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

    def __init__(self, shape: tuple[int, int, int], k: int, *, width: int = 64) -> None:
        _require_images("VGG-11", shape, width)
        times = (1, 2, 4, 4, 8, 8, 8, 8)
        plan = [(width * factor, 3, index in (0, 1, 3, 5, 7)) for index, factor in enumerate(times)]
        super().__init__(shape, k, plan, norm=True)


class AlexNet(_Plain):
    """Two convolutions 5 x 5 and three 3 x 3 of width w, 3w/2, 2w, 3w/2, 3w/2, and three maximum pools; no norm.

    The version for 32 x 32 pixels of the distillation literature, with one linear layer at the end.

    Parameters
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

    def __init__(self, shape: tuple[int, int, int], k: int, *, width: int = 128) -> None:
        _require_images("AlexNet", shape, width)
        wide = 3 * width // 2
        plan = [(width, 5, True), (wide, 5, True), (2 * width, 3, False), (wide, 3, False), (wide, 3, True)]
        super().__init__(shape, k, plan, norm=False)
