r"""Convolution 3x3 by products of polynomials: a quarter of the multiplications, as matrix products.

The product of polynomials with three and four coefficients g and e has six coefficients s. With the Vandermonde matrix
V of six points and its first r columns V_r, where the last point is infinity and its row is that of the last column,

    V s = (V_3 g) . (V_4 e),        s = V^-1 [(V_3 g) . (V_4 e)]

For fixed taps g the transpose of e -> s takes six inputs d to four outputs y_i = sum_j g_j d_i+j, a convolution:

    y = V_4^T [(V_3 g) . (V^-T d)]

In two dimensions the Kronecker squares A of V_4, G of V_3 and B of V^-T act on the 16 outputs, 9 taps and 36 inputs of
a square, and the sum over channels is a matrix product at each of the 36 points:

    y = A^T m,      m_p = (B d)_p (G g)_p,      (B d)_p (squares, channels),    (G g)_p (channels, filters)

All maps but this product are linear, with their transposes as derivatives, so that derivatives are such products too.

Winograd, "Arithmetic complexity of computations", SIAM 1980; Lavin, Gray, "Fast algorithms for convolutional neural
networks", CVPR 2016.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from analytic_dd.baselines.nets.layout import channels_last, linear

__all__ = ["Convolution", "at_points", "by_points"]

_POINTS = (0.0, 0.625, -0.625, 1.5, -1.5)  # terms grow less than at the usual points 0, 1, -1, 2, -2
_CHANNELS = 64  # of fewer filters, channels last and its transforms take longer than the kernels of torch
_SQUARES = 32  # fewer leave little to multiply
_FEW = 4  # channels at most in images: of more, the numbers under the taps would fill the memory
_PIXELS = 2_048  # pixels of all images up to which the order in memory does not matter


class Convolution(nn.Conv2d):
    """A convolution 3x3 with stride 1, as ``nn.Conv2d``; with 64 filters or more in float32 on a CPU channels are last.

    Parameters
    ----------
    sides : (h, w)
        Of the maps that come in.

    Notes
    -----
    *Cost.* With fewer than 64 filters the kernels of torch for its own order take less time, and it is one of them. Of
    the others, those with 64 channels or more, padding by 1 and sides that are multiples of 4 are :func:`by_points`,
    and those with 4 channels or fewer one matrix product with the numbers under the taps, of which a graph keeps 9 c a
    pixel; its derivatives are such products too.
    *Numerics.* The terms of :func:`by_points` are larger than those of the plain sum, so that it rounds a few times as
    much as the kernels of torch, most in the gradient in the maps.
    """

    def __init__(self, channels: int, filters: int, sides: tuple[int, int], *, padding: int = 1) -> None:
        super().__init__(channels, filters, 3, padding=padding)
        self.sides = sides

    def prepared(self, weight: torch.Tensor, n: int) -> torch.Tensor:
        """Return the filters as :meth:`forward` takes them for maps of n images; it would do so itself each time."""
        (height, width), many = self.sides, self.in_channels >= _CHANNELS
        whole = self.padding == (1, 1) and height % 4 == width % 4 == 0
        enough = n * height * width >= 16 * _SQUARES
        return at_points(weight) if many and whole and enough and self._last(weight) else weight

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the maps (n, filters, h, w)."""
        weight = self.weight if self.weight.ndim == 3 else self.prepared(self.weight, len(maps))
        if weight.ndim == 3:
            assert self.bias is not None
            return by_points(maps, weight) + self.bias[:, None, None]
        if self._last(maps) and maps.numel() >= _PIXELS * self.in_channels:
            if self.in_channels <= _FEW:
                return self._by_taps(maps)
            maps = channels_last(maps)
        return F.conv2d(maps, weight, self.bias, padding=self.padding)

    def _last(self, tensor: torch.Tensor) -> bool:
        """Whether channels last is the quicker order: on a CPU in float32, which alone has kernels of its own there."""
        return bool(tensor.device.type == "cpu" and tensor.dtype == torch.float32 and self.out_channels >= _CHANNELS)

    def _by_taps(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the maps as one product; of its factors' orders these are quick for the derivatives as well."""
        assert self.bias is not None
        n, _, height, width = maps.shape
        grown = 2 * self.padding[0] - 2
        taps = linear(maps, _at_taps, _at_taps_transposed, (*maps.shape, self.padding[0]))
        found = torch.addmm(self.bias, taps.T, self.weight.flatten(1).T.contiguous())
        return found.view(n, height + grown, width + grown, -1).permute(0, 3, 1, 2)


def at_points(filters: torch.Tensor) -> torch.Tensor:
    """Return G g (36, c, f) of filters (f, c, 3, 3)."""
    return linear(filters, _at_points, _at_points_transposed, tuple(filters.shape))


def by_points(maps: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Return the convolution of maps (n, c, h, w) with filters :func:`at_points` (36, c, f), padded by 1.

    h and w are multiples of 4; all stands on the CPU.

    Notes
    -----
    *Cost.* n h w c f 36 / 16 multiplications in place of n h w c f 9.
    """
    found: torch.Tensor = _Convolved.apply(maps, points)
    return found


class _Convolved(torch.autograd.Function):
    """y(d, u) of maps d and points u. Nothing but the arguments is kept for the way back: B d is twice d and more."""

    generate_vmap_rule = True

    @staticmethod
    def forward(maps: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
        return _summed(_evaluated(maps) @ points, *maps.shape[2:])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        by_maps, by_points = ctx.needs_input_grad
        found: tuple[torch.Tensor | None, ...] = _Slopes.apply(*ctx.saved_tensors, slope, by_maps, by_points)
        return found


class _Slopes(torch.autograd.Function):
    """The slopes of <y(d, u), g> in d and in u, or one of them: B^T (A g u^T) and (B d)^T (A g)."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        maps: torch.Tensor, points: torch.Tensor, slope: torch.Tensor, by_maps: bool, by_points: bool
    ) -> tuple[torch.Tensor | None, ...]:
        at = _summed_transposed(slope)
        in_maps = _evaluated_transposed(at @ points.mT, *slope.shape[2:]) if by_maps else None
        return in_maps, _evaluated(maps).mT @ at if by_points else None

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor | None, ...]) -> None:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs[:3])

    @staticmethod
    def backward(ctx: Any, v: torch.Tensor | None, w: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        """Return the slopes of <y(v, u) + y(d, w), g>."""
        (maps, points, slope), (in_maps, in_points, in_slope, *_) = ctx.saved_tensors, ctx.needs_input_grad
        by_maps = by_points = None
        at, products = _summed_transposed(slope), []
        if v is not None:
            values = _evaluated(v)
            products.append(values @ points)
            by_points = values.mT @ at if in_points else None
        if w is not None:
            by_maps = _evaluated_transposed(at @ w.mT, *slope.shape[2:]) if in_maps else None
            products.append(_evaluated(maps) @ w)
        by_slope = _summed(sum(products[1:], products[0]), *slope.shape[2:]) if in_slope and products else None
        return by_maps, by_points, by_slope, None, None


def _at_taps(maps: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Return the numbers (9 c, pixels) of padded maps that each of the taps of a filter meets."""
    padded = F.pad(maps, (shape[-1],) * 4)
    return padded.unfold(2, 3, 1).unfold(3, 3, 1).permute(1, 4, 5, 0, 2, 3).reshape(9 * shape[1], -1)


def _at_taps_transposed(slope: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    n, channels, height, width, pad = shape
    padded = slope.new_zeros((channels, n, height + 2 * pad, width + 2 * pad))
    down, across = height + 2 * pad - 2, width + 2 * pad - 2
    parts = slope.reshape(channels, 3, 3, n, down, across)
    for i in range(3):
        for j in range(3):
            padded[:, :, i : i + down, j : j + across] += parts[:, i, j]
    return padded[:, :, pad : pad + height, pad : pad + width].transpose(0, 1).contiguous()


@functools.cache
def _matrices(
    dtype: torch.dtype, points: tuple[float, ...] = _POINTS
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return A (36, 16), G (36, 9) and B (36, 36) of five points and infinity."""

    def vandermonde(columns: int) -> torch.Tensor:
        powers = torch.tensor(points, dtype=torch.float64)[:, None] ** torch.arange(columns)
        return torch.cat([powers, torch.eye(columns, dtype=torch.float64)[-1:]])

    every = vandermonde(4), vandermonde(3), torch.linalg.inv(vandermonde(6)).T.contiguous()
    A, G, B = (torch.kron(one, one).to(dtype) for one in every)
    return A, G, B


def _at_points(filters: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    taps = filters.permute(2, 3, 0, 1).reshape(9, -1)
    return (_matrices(filters.dtype)[1] @ taps).view(36, *shape[:2]).mT


def _at_points_transposed(slope: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    taps = _matrices(slope.dtype)[1].T @ slope.reshape(36, -1)
    return taps.view(3, 3, shape[1], shape[0]).permute(3, 2, 0, 1)


def _evaluated(maps: torch.Tensor) -> torch.Tensor:
    """Return B d of all squares (36, squares, c) of maps (n, c, h, w)."""
    padded = F.pad(maps.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    squares = padded.unfold(1, 6, 4).unfold(2, 6, 4).permute(4, 5, 0, 1, 2, 3)
    return (_matrices(maps.dtype)[2] @ squares.reshape(36, -1)).view(36, -1, maps.shape[1])


def _evaluated_transposed(slope: torch.Tensor, height: int, width: int) -> torch.Tensor:
    channels, down, across = slope.shape[2], height // 4, width // 4
    parts = (_matrices(slope.dtype)[2].T @ slope.flatten(1)).view(6, 6, -1, down, across, channels)
    parts = parts.permute(2, 3, 0, 4, 1, 5)
    found = slope.new_zeros((len(parts), down + 1, 4, across + 1, 4, channels))
    for i, rows in ((0, slice(4)), (1, slice(4, 6))):  # the last two rows of a square are the first two of the next
        for j, columns in ((0, slice(4)), (1, slice(4, 6))):
            part = parts[:, :, rows, :, columns]
            found[:, i : i + down, : part.shape[2], j : j + across, : part.shape[4]] += part
    pixels = found.view(-1, height + 4, width + 4, channels)
    return pixels[:, 1 : height + 1, 1 : width + 1].permute(0, 3, 1, 2)


def _summed(product: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Return the outputs A^T m (n, f, h, w) of all squares (36, squares, f)."""
    f = product.shape[2]
    sums = (_matrices(product.dtype)[0].T @ product.flatten(1)).view(4, 4, -1, height // 4, width // 4, f)
    return sums.permute(2, 3, 0, 4, 1, 5).reshape(-1, height, width, f).permute(0, 3, 1, 2)


def _summed_transposed(slope: torch.Tensor) -> torch.Tensor:
    n, f, height, width = slope.shape
    squares = slope.permute(0, 2, 3, 1).reshape(n, height // 4, 4, width // 4, 4, f).permute(2, 4, 0, 1, 3, 5)
    return (_matrices(slope.dtype)[0] @ squares.reshape(16, -1)).view(36, -1, f)
