"""Average pooling of 2 x 2 pixels, with its transpose as derivative."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from analytic_dd.baselines.nets.layout import linear, stored_last

__all__ = ["HalfPool", "spread_last"]


class HalfPool(nn.Module):
    """Replace each square of 2 x 2 pixels by its mean, as ``nn.AvgPool2d(2)`` does.

    Notes
    -----
    *Cost.* Sums of strided views, which take less than ``nn.AvgPool2d`` on a CPU; elsewhere, and for maps that are
    stored with channels last, it is torch's own.
    *Numerics.* It agrees with torch to rounding: the sum of two rows is summed over two columns.
    """

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the maps (..., h / 2, w / 2); a last row or column without a partner falls away."""
        if maps.device.type != "cpu" or maps.shape[-2] % 2 or maps.shape[-1] % 2:
            return F.avg_pool2d(maps, 2)
        if stored_last(maps):
            return linear(maps, lambda maps, _: F.avg_pool2d(maps, 2), lambda slope, _: spread_last(slope), ())
        return linear(maps, _halved, _spread, tuple(maps.shape))


def spread_last(slope: torch.Tensor) -> torch.Tensor:
    """Return the slope in maps with channels last from that of their means over 2 x 2 pixels."""
    return F.interpolate(0.25 * slope, scale_factor=2)


def _halved(maps: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    rows = maps[..., ::2, :] + maps[..., 1::2, :]
    return (rows[..., ::2] + rows[..., 1::2]).mul_(0.25)


def _spread(slope: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """A quarter of each number at each of its four pixels."""
    quarter, (height, width) = 0.25 * slope, slope.shape[-2:]
    found = slope.new_empty((*slope.shape[:-2], height, 2, 2 * width))
    found[..., 0, ::2] = quarter
    found[..., 0, 1::2] = quarter
    found[..., 1, :] = found[..., 0, :]
    return found.flatten(-3, -2)
