r"""Instance norm with a second derivative of few passes.

For each image and channel, with u = gamma g, P(v) = v - mean(v) - z mean(v z) and means over the N pixels,

    z = (x - mean(x)) r,      r = (mean((x - mean(x))^2) + eps)^(-1/2),      y = gamma z + beta
    g = dL/dy:     dx = gamma r P(g),     d gamma = sum(g z),     d beta = sum(g)

Let S = <v, dx> + <a, d gamma> + <b, d beta>. As P is symmetric,  <v, dx> = gamma r <g, P(v)>, and with
dr/dx = - r^2 z / N and the derivative r P of z, P(g) = p and P(v) = q,

    dS/dg = gamma r q + a z + b,      dS/d gamma = sum(r q g)
    dS/dx = r a p - gamma r^2 (z mean(p v) + p mean(v z) + q mean(g z))
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from analytic_dd.baselines.nets.layout import stored_last
from analytic_dd.baselines.nets.pooling import spread_last

__all__ = ["InstanceNorm"]

_EPS = 1e-5
_CACHED = 2**17  # numbers of a product at a time
_backward = torch.ops.aten.native_group_norm_backward.default


class InstanceNorm(nn.Module):
    """Normalise every channel of every image, then scale and shift: torch's group norm with a channel in each group.

    Value and gradient are those of the kernels of torch, also where the gradient is part of a graph. There torch
    itself takes a gradient of other bits, which is some thirty passes over the images to differentiate; these are ten.
    Maps that are stored with channels last, where torch's kernels are slow, have sums over pixels, which agree with
    those to rounding. A few of them pass at a time, which the cache of a CPU holds.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.empty(channels)), nn.Parameter(torch.empty(channels))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the normalised maps (n, c, h, w)."""
        found: torch.Tensor = _Norm.apply(hidden, self.weight, self.bias, False)[0]
        return found

    def halved(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the normalised maps after a ReLU, averaged over 2 x 2 pixels, for maps with channels last.

        A graph keeps ``hidden`` and nothing else of its size; the rest is computed again on the way back.
        """
        found: torch.Tensor = _Norm.apply(hidden, self.weight, self.bias, True)[0]
        return found


def _sizes(hidden: torch.Tensor) -> tuple[int, int, int, int]:
    n, channels, height, width = hidden.shape
    return n, channels, height * width, channels


class _Norm(torch.autograd.Function):
    """y, or the 2 x 2 means of max(y, 0) if ``halved``; mean(x) and r."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, halved: bool
    ) -> tuple[torch.Tensor, ...]:
        if not stored_last(hidden):
            of_torch: tuple[torch.Tensor, ...] = torch.native_group_norm(hidden, weight, bias, *_sizes(hidden), _EPS)
            return of_torch
        found = []
        for (x,) in _pieces(hidden):
            mean = _mean(x)
            z = x - mean
            scale = torch.rsqrt(_mean(z * z) + _EPS)
            y = _scaled(x, weight, bias, mean, scale)
            found.append((F.avg_pool2d(y.relu_(), 2) if halved else y, mean[:, :, 0, 0], scale[:, :, 0, 0]))
        return _joined(found)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, ...]) -> None:
        *tensors, ctx.halved = inputs
        _, mean, scale = output
        ctx.mark_non_differentiable(mean, scale)
        ctx.save_for_backward(*tensors, mean, scale)

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor, *_: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        found: tuple[torch.Tensor, ...] = _Slope.apply(slope, *ctx.saved_tensors, ctx.halved)
        return *found, None


class _Slope(torch.autograd.Function):
    """The gradients in x, gamma and beta, as a function of g, x and gamma; or of the slope of the 2 x 2 means."""

    generate_vmap_rule = True

    @staticmethod
    def forward(slope: torch.Tensor, *others: Any) -> tuple[torch.Tensor, ...]:
        hidden, weight, bias, means, scales, halved = others
        if not stored_last(hidden):
            of_torch: tuple[torch.Tensor, ...] = _backward(
                slope.contiguous(), hidden, means, scales, weight, *_sizes(hidden), [True, True, True]
            )
            return of_torch
        gamma, found = weight[:, None, None], []
        for x, g, mean, r in _pieces(hidden, slope, means[:, :, None, None], scales[:, :, None, None]):
            if halved:
                g = _passed(spread_last(g), _scaled(x, weight, bias, mean, r))
            mg, gz = _mean(g), r * _mean_product(g, x - mean)
            bent = -gamma * r * r * gz
            by_x = torch.addcmul(-gamma * r * mg - bent * mean, g, gamma * r).addcmul(x, bent)
            found.append((by_x, gz[:, :, 0, 0], mg[:, :, 0, 0]))
        by_hidden, gz, mg = _joined(found)
        pixels = hidden.shape[2] * hidden.shape[3]
        return by_hidden, pixels * gz.sum(dim=0), pixels * mg.sum(dim=0)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, ...]) -> None:
        *tensors, ctx.halved = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, v: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        slope, hidden, weight, bias, means, scales = ctx.saved_tensors
        gamma, a, b, found = weight[:, None, None], a[:, None, None], b[:, None, None], []
        for x, g, one, mean, r in _pieces(hidden, slope, v, means[:, :, None, None], scales[:, :, None, None]):
            y = _scaled(x, weight, bias, mean, r) if ctx.halved else None
            g = g if y is None else _passed(spread_last(g), y)
            z = (x - mean) * r
            mg, mv, gz, vz, gv = _mean(g), _mean(one), _mean_product(g, z), _mean_product(one, z), _mean_product(g, one)
            pv = gv - mg * mv - gz * vz  # mean(p v), which is mean(g q)
            by_g = torch.addcmul(b - gamma * r * mv, one, gamma * r).addcmul(z, a - gamma * r * vz)
            by_g = by_g if y is None else F.avg_pool2d(_passed(by_g, y), 2)
            bent = gamma * r * r
            of_p, of_q = r * a - bent * vz, -bent * gz
            by_x = torch.addcmul(-of_p * mg - of_q * mv, g, of_p).addcmul(one, of_q)
            by_x = by_x.addcmul(z, -bent * pv - of_p * gz - of_q * vz)
            found.append((by_g, by_x, (r * pv)[:, :, 0, 0]))
        by_slope, by_hidden, rpv = _joined(found)
        by_weight = rpv.sum(dim=0) * (hidden.shape[2] * hidden.shape[3])
        return by_slope, by_hidden, by_weight, None, None, None, None


def _pieces(hidden: torch.Tensor, *others: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
    """Yield maps, and what belongs to them, of some images at a time where channels are stored last.

    New memory for products of all would cost more than the products.
    """
    count = max(1, _CACHED // max(1, hidden.shape[1:].numel())) if stored_last(hidden) else max(1, len(hidden))
    return zip(*(one.split(count) for one in (hidden, *others)), strict=True)


def _joined(pieces: list[tuple[torch.Tensor, ...]]) -> tuple[torch.Tensor, ...]:
    return pieces[0] if len(pieces) == 1 else tuple(torch.cat(part) for part in zip(*pieces, strict=True))


def _scaled(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, mean: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """Return y."""
    slant = weight[:, None, None] * scale
    return torch.addcmul(bias[:, None, None] - mean * slant, x, slant)


def _passed(slope: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return a slope where y > 0, and 0 elsewhere."""
    found: torch.Tensor = torch.ops.aten.threshold_backward.default(slope, y, 0.0)
    return found


def _mean(maps: torch.Tensor) -> torch.Tensor:
    return maps.mean(dim=(2, 3), keepdim=True)


def _mean_product(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Return the means over pixels (n, c, 1, 1) of the products of maps."""
    if stored_last(one):
        return _mean(one * other)
    return torch.einsum("ncp,ncp->nc", one.flatten(2), other.flatten(2))[:, :, None, None] / (
        one.shape[2] * one.shape[3]
    )
