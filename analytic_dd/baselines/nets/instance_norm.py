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

from typing import Any

import torch
from torch import nn

from analytic_dd.baselines.nets.layout import stored_last

__all__ = ["InstanceNorm"]

_EPS = 1e-5
_CACHED = 2**17  # numbers of a product at a time
_backward = torch.ops.aten.native_group_norm_backward.default


class InstanceNorm(nn.Module):
    """Normalise every channel of every image, then scale and shift: torch's group norm with a channel in each group.

    Value and gradient are those of the kernels of torch, also where the gradient is part of a graph. There torch
    itself takes a gradient of other bits, which is some thirty passes over the images to differentiate; these are ten.
    Maps that are stored with channels last, where torch's kernels are slow, have sums over pixels, which agree with
    those to rounding.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.empty(channels)), nn.Parameter(torch.empty(channels))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the normalised maps (n, c, h, w)."""
        found: torch.Tensor = _Norm.apply(hidden, self.weight, self.bias)[0]
        return found


def _sizes(hidden: torch.Tensor) -> tuple[int, int, int, int]:
    n, channels, height, width = hidden.shape
    return n, channels, height * width, channels


class _Norm(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> tuple[torch.Tensor, ...]:
        if stored_last(hidden):
            mean = _mean(hidden)
            scale = torch.rsqrt(torch.cat([_square(*part) for part in zip(*_parts(hidden, mean), strict=True)]) + _EPS)
            slant = weight[:, None, None] * scale
            found = torch.addcmul(bias[:, None, None] - mean * slant, hidden, slant)
            return found, mean[:, :, 0, 0], scale[:, :, 0, 0]
        of_torch: tuple[torch.Tensor, ...] = torch.native_group_norm(hidden, weight, bias, *_sizes(hidden), _EPS)
        return of_torch

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[torch.Tensor, ...], output: tuple[torch.Tensor, ...]) -> None:
        hidden, weight, _ = inputs
        _, mean, scale = output
        ctx.mark_non_differentiable(mean, scale)
        ctx.save_for_backward(hidden, weight, mean, scale)

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor, *_: torch.Tensor) -> tuple[torch.Tensor, ...]:
        hidden, weight, mean, scale = ctx.saved_tensors
        found: tuple[torch.Tensor, ...] = _Slope.apply(slope, hidden, weight, mean, scale)
        return found


class _Slope(torch.autograd.Function):
    """The gradients in x, gamma and beta, as a function of g, x and gamma."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        slope: torch.Tensor, hidden: torch.Tensor, weight: torch.Tensor, mean: torch.Tensor, scale: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        if stored_last(hidden):
            r, gamma, pixels = scale[:, :, None, None], weight[:, None, None], hidden.shape[2] * hidden.shape[3]
            mean = mean[:, :, None, None]
            parts = _parts(slope, hidden, mean)
            products = torch.cat([_mean_product(g, x - middle) for g, x, middle in zip(*parts, strict=True)])
            mg, gz = _mean(slope), r * products
            bent = -gamma * r * r * gz
            by_hidden = torch.addcmul(-gamma * r * mg - bent * mean, slope, gamma * r).addcmul(hidden, bent)
            return by_hidden, pixels * gz.sum(dim=(0, 2, 3)), pixels * mg.sum(dim=(0, 2, 3))
        found: tuple[torch.Tensor, ...] = _backward(
            slope.contiguous(), hidden, mean, scale, weight, *_sizes(hidden), [True, True, True]
        )
        return found

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[torch.Tensor, ...], output: tuple[torch.Tensor, ...]) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, v: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        g, x, gamma, mean, r = ctx.saved_tensors
        mean, r = mean[:, :, None, None], r[:, :, None, None]
        gamma, a, b = gamma[:, None, None], a[:, None, None], b[:, None, None]
        z = (x - mean) * r
        mg, mv, gz, vz, gv = _mean(g), _mean(v), _mean_product(g, z), _mean_product(v, z), _mean_product(g, v)
        pv = gv - mg * mv - gz * vz  # mean(p v), which is mean(g q)
        by_slope = torch.addcmul(b - gamma * r * mv, v, gamma * r).addcmul(z, a - gamma * r * vz)
        bent = gamma * r * r
        of_p, of_q = r * a - bent * vz, -bent * gz
        by_hidden = torch.addcmul(-of_p * mg - of_q * mv, g, of_p).addcmul(v, of_q)
        by_hidden = by_hidden.addcmul(z, -bent * pv - of_p * gz - of_q * vz)
        by_weight = (r * pv).sum(dim=(0, 2, 3)) * (x.shape[2] * x.shape[3])
        return by_slope, by_hidden, by_weight, None, None


def _parts(*maps: torch.Tensor) -> list[tuple[torch.Tensor, ...]]:
    """Return maps of some images at a time: new memory for products of all would cost more than the products."""
    images = max(1, _CACHED // max(1, maps[0].shape[1:].numel()))
    return [one.split(images) for one in maps]


def _square(maps: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """Return the mean squares (n, c, 1, 1) of what maps leave of their means."""
    z = maps - mean
    return _mean(z * z)


def _mean(maps: torch.Tensor) -> torch.Tensor:
    return maps.mean(dim=(2, 3), keepdim=True)


def _mean_product(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Return the means over pixels (n, c, 1, 1) of the products of maps."""
    if stored_last(one):
        return _mean(one * other)
    return torch.einsum("ncp,ncp->nc", one.flatten(2), other.flatten(2))[:, :, None, None] / (
        one.shape[2] * one.shape[3]
    )
