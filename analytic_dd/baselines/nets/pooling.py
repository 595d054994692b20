"""Average pooling of 2 x 2 pixels by sums of rows and of columns, with its transpose as derivative."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

__all__ = ["HalfPool"]


class HalfPool(nn.Module):
    """Replace each square of 2 x 2 pixels by its mean, as ``nn.AvgPool2d(2)`` does.

    Notes
    -----
    *Cost.* Sums of strided views, which take less than ``nn.AvgPool2d`` on a CPU; elsewhere it is torch's own.
    *Numerics.* It agrees with torch to rounding: the sum of two rows is summed over two columns.
    """

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the maps (..., h / 2, w / 2); a last row or column without a partner falls away."""
        if maps.device.type != "cpu" or maps.shape[-2] % 2 or maps.shape[-1] % 2:
            return F.avg_pool2d(maps, 2)
        found: torch.Tensor = _Pooled.apply(maps, False)
        return found


class _Pooled(torch.autograd.Function):
    """The means of squares, or the transposed map: each is the derivative of the other."""

    generate_vmap_rule = True

    @staticmethod
    def forward(maps: torch.Tensor, transposed: bool) -> torch.Tensor:
        return _spread(maps) if transposed else _halved(maps)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[torch.Tensor, bool], output: torch.Tensor) -> None:
        ctx.transposed = inputs[1]

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor) -> tuple[torch.Tensor, None]:
        return _Pooled.apply(slope, not ctx.transposed), None


def _halved(maps: torch.Tensor) -> torch.Tensor:
    rows = maps[..., ::2, :] + maps[..., 1::2, :]
    return (rows[..., ::2] + rows[..., 1::2]).mul_(0.25)


def _spread(slope: torch.Tensor) -> torch.Tensor:
    """A quarter of each number at each of its four pixels."""
    quarter, (height, width) = 0.25 * slope, slope.shape[-2:]
    found = slope.new_empty((*slope.shape[:-2], height, 2, 2 * width))
    found[..., 0, ::2] = quarter
    found[..., 0, 1::2] = quarter
    found[..., 1, :] = found[..., 0, :]
    return found.flatten(-3, -2)
