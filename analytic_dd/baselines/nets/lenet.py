"""The networks of unrolled distillation: LeNet for grey digits, and the AlexNet for CIFAR-10 of its authors."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch import device as on
from torch.nn import functional as F

from analytic_dd.baselines.nets.network import Network

__all__ = ["AlexCifarNet", "LeNet", "NeighbourNorm"]


class LeNet(Network):
    """Two convolutions 5 x 5 of w and 8 w / 3 channels, each with ReLU and a maximum pool; then 20 w and 14 w units.

    w is 6 in the literature (LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition",
    1998). Images of less than 32 pixels are padded by 2.
    """

    def __init__(self, shape: tuple[int, int, int], k: int, *, width: int) -> None:
        channels, *sides = shape
        padding = 2 if min(sides) < 32 else 0
        last = [((side + 2 * padding - 4) // 2 - 4) // 2 for side in sides]
        if min(last) < 1:
            raise ValueError(
                f"LeNet takes images of 12 x 12 pixels or more, got {sides[0]} x {sides[1]}; use a ConvNet"
            )
        second, wide, narrow = 8 * width // 3, 20 * width, 14 * width
        with on("meta"):
            layers: dict[str, nn.Module] = {
                "0": nn.Conv2d(channels, width, 5, padding=padding),
                "relu0": nn.ReLU(),
                "pool0": nn.MaxPool2d(2),
                "1": nn.Conv2d(width, second, 5),
                "relu1": nn.ReLU(),
                "pool1": nn.MaxPool2d(2),
                "flatten": nn.Flatten(),
                "2": nn.Linear(second * last[0] * last[1], wide),
                "relu2": nn.ReLU(),
                "3": nn.Linear(wide, narrow),
                "relu3": nn.ReLU(),
                "classifier": nn.Linear(narrow, k),
            }
        super().__init__(shape, k, layers)


class NeighbourNorm(nn.Module):
    """x / (1 + alpha mean of x^2 over four neighbouring channels)^(3/4), with alpha of 0.001 / 9.

    The channels are two before, the one itself and one after; beyond the first and the last they are zero. It is
    written out because a pool in torch has no derivative under vmap.
    """

    size, alpha, power = 4, 0.001 / 9.0, 0.75

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the normalised maps (n, c, h, w)."""
        channels = hidden.shape[1]
        squares = F.pad(hidden * hidden, (0, 0, 0, 0, self.size // 2, (self.size - 1) // 2))
        total = sum((squares[:, i : i + channels] for i in range(1, self.size)), squares[:, :channels])
        return hidden / (1.0 + self.alpha / self.size * total) ** self.power


class AlexCifarNet(Network):
    """Two convolutions 5 x 5 of w channels with ReLU, pool and :class:`NeighbourNorm`; then 6 w and 3 w units.

    Pools take the maximum of 3 x 3 pixels at every second. w is 64 in the literature.

    References
    ----------
    Wang, Zhu, Torralba, Efros, "Dataset distillation", arXiv:1811.10959, 2018.
    """

    def __init__(self, shape: tuple[int, int, int], k: int, *, width: int) -> None:
        channels, *sides = shape
        if min(sides) < 2:
            raise ValueError(f"AlexCifarNet takes images, got {sides[0]} x {sides[1]} pixels; use an MLP for rows")
        height, across = (math.ceil(math.ceil(side / 2) / 2) for side in sides)
        with on("meta"):
            layers: dict[str, nn.Module] = {
                "0": nn.Conv2d(channels, width, 5, padding=2),
                "relu0": nn.ReLU(),
                "pool0": nn.MaxPool2d(3, 2, padding=1),
                "norm0": NeighbourNorm(),
                "1": nn.Conv2d(width, width, 5, padding=2),
                "relu1": nn.ReLU(),
                "norm1": NeighbourNorm(),
                "pool1": nn.MaxPool2d(3, 2, padding=1),
                "flatten": nn.Flatten(),
                "2": nn.Linear(width * height * across, 6 * width),
                "relu2": nn.ReLU(),
                "3": nn.Linear(6 * width, 3 * width),
                "relu3": nn.ReLU(),
                "classifier": nn.Linear(3 * width, k),
            }
        super().__init__(shape, k, layers)
