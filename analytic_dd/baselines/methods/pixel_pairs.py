"""Pairs of pixels of two images, on which the covariances of convolutional networks stand.

A covariance K[p, p'] of pixel p = (y, x) of one image and p' = (y', x') of another has a row for the pair (y, y') and
a column for (x, x'). Convolution moves both pixels alike, so that it stays on the diagonals y' - y and x' - x, and
pooling by two doubles the distance that is needed of the layer before it. So only pairs within a radius are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import torch

__all__ = ["PixelPairs", "Positions", "convolved", "pooled"]


@dataclass(frozen=True)
class Positions:
    """Pairs (y, y') along one side of two images with |y' - y| <= ``radius``, one diagonal after another.

    Examples
    --------
    >>> side = Positions(3, 1)
    >>> list(zip(side.first.tolist(), side.second.tolist()))
    [(1, 0), (2, 1), (0, 0), (1, 1), (2, 2), (0, 1), (1, 2)]
    >>> side.follows.tolist()  # whether a pair is on the diagonal of the one before it
    [1, 0, 1, 1, 0, 1]
    """

    size: int  # number of pixels of the side
    radius: int  # at most ``size - 1``, which gives all pairs

    def __len__(self) -> int:
        return (2 * self.radius + 1) * self.size - self.radius * (self.radius + 1)

    @cached_property
    def _pairs(self) -> torch.Tensor:
        shifts = range(-self.radius, self.radius + 1)
        pairs = [(y, y + shift) for shift in shifts for y in range(self.size) if 0 <= y + shift < self.size]
        return torch.tensor(pairs).T.contiguous()

    @property
    def first(self) -> torch.Tensor:
        """The positions y."""
        return self._pairs[0]

    @property
    def second(self) -> torch.Tensor:
        """The positions y'."""
        return self._pairs[1]

    @cached_property
    def follows(self) -> torch.Tensor:
        """1 for each pair but the first that is on the diagonal of the pair before it, else 0."""
        shift = self.second - self.first
        return (shift[1:] == shift[:-1]).long()

    @cached_property
    def middle(self) -> torch.Tensor:
        """The numbers of the pairs (y, y)."""
        return torch.nonzero(self.first == self.second)[:, 0]

    def children(self, coarse: Positions) -> torch.Tensor:
        """Return the numbers (2, 2, len(coarse)) of the pairs (2 y + i, 2 y' + j) that pool into (y, y')."""
        numbers = torch.full((self.size, self.size), -1)
        numbers[self.first, self.second] = torch.arange(len(self))
        steps = torch.arange(2)
        found = numbers[2 * coarse.first + steps[:, None, None], 2 * coarse.second + steps[None, :, None]]
        assert int(found.min()) >= 0, "the radius of a layer covers what the next one pools"
        return found

    def parents(self, coarse: Positions) -> torch.Tensor:
        """Return the number (len(self),) of the pair that a pair pools into, ``len(coarse)`` where there is none."""
        found = torch.full((len(self),), len(coarse))
        found[self.children(coarse)] = torch.arange(len(coarse))
        return found


class PixelPairs:
    """Pairs of positions along both sides, as indices and masks on a device.

    Attributes
    ----------
    rows, columns : Positions
    shape : (int, int)
        Numbers of pairs along both sides.
    """

    def __init__(self, rows: Positions, columns: Positions, dtype: torch.dtype, device: torch.device) -> None:
        self.rows, self.columns, self.device = rows, columns, device
        self.shape = len(rows), len(columns)
        self._first, self._second, self.middle = (
            tuple(getattr(side, name).to(device) for side in (rows, columns)) for name in ("first", "second", "middle")
        )
        self.follows = rows.follows.to(device, dtype)[:, None], columns.follows.to(device, dtype)
        self._links: dict[tuple[int, int], tuple[Any, ...]] = {}

    @classmethod
    def of(cls, rows: Positions, columns: Positions, like: torch.Tensor) -> PixelPairs:
        """Return the pairs for tensors of the dtype and the device of ``like``, made once."""
        return _made(rows, columns, like.dtype, like.device)

    def of_first(self, A: torch.Tensor) -> torch.Tensor:
        """Return the values A[..., y, x] of images for every pair."""
        return A.index_select(-2, self._first[0]).index_select(-1, self._first[1])

    def of_second(self, A: torch.Tensor) -> torch.Tensor:
        """Return the values A[..., y', x'] of images for every pair."""
        return A.index_select(-2, self._second[0]).index_select(-1, self._second[1])

    def diagonal(self, K: torch.Tensor) -> torch.Tensor:
        """Return the values (..., h, w) of the pairs of a pixel with itself."""
        return K.index_select(-2, self.middle[0]).index_select(-1, self.middle[1])

    def links(self, coarse: PixelPairs) -> tuple[Any, ...]:
        """Return children and parents of the pairs that average pooling makes of these, along both sides."""
        if coarse.shape not in self._links:
            sides = ((self.rows, coarse.rows), (self.columns, coarse.columns))
            self._links[coarse.shape] = tuple(
                tuple(getattr(fine, name)(other).to(self.device) for fine, other in sides)
                for name in ("children", "parents")
            )
        return self._links[coarse.shape]


@lru_cache(maxsize=256)
def _made(rows: Positions, columns: Positions, dtype: torch.dtype, device: torch.device) -> PixelPairs:
    return PixelPairs(rows, columns, dtype, device)


def convolved(K: torch.Tensor, pairs: PixelPairs) -> torch.Tensor:
    """Return the sums of K[p + o, p' + o] over the nine offsets o of a 3 x 3 filter; outside of the image K is 0."""
    found: torch.Tensor = _Convolution.apply(K, pairs)
    return found


class _Convolution(torch.autograd.Function):
    """Sum three terms along each side. The sum is its own adjoint, because pixels are neighbours of each other."""

    @staticmethod
    def forward(ctx: Any, K: torch.Tensor, pairs: PixelPairs) -> torch.Tensor:
        ctx.pairs = pairs
        of_rows, of_columns = pairs.follows
        along = K.clone()
        along[..., 1:, :].addcmul_(K[..., :-1, :], of_rows)
        along[..., :-1, :].addcmul_(K[..., 1:, :], of_rows)
        found = along.clone()
        found[..., 1:].addcmul_(along[..., :-1], of_columns)
        found[..., :-1].addcmul_(along[..., 1:], of_columns)
        return found

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return convolved(gradient, ctx.pairs), None


def pooled(K: torch.Tensor, fine: PixelPairs, coarse: PixelPairs) -> torch.Tensor:
    """Return the means over the pixels of both 2 x 2 cells; a last odd row or column is left out."""
    found: torch.Tensor = _Pooling.apply(K, fine, coarse)
    return found


class _Pooling(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, K: torch.Tensor, fine: PixelPairs, coarse: PixelPairs) -> torch.Tensor:
        children, ctx.parents = fine.links(coarse)
        for dim, of_side in zip((-2, -1), children, strict=True):
            same = K.index_select(dim, of_side[0, 0]) + K.index_select(dim, of_side[1, 1])
            K = (same + (K.index_select(dim, of_side[0, 1]) + K.index_select(dim, of_side[1, 0]))) / 4.0
        return K

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        padded = torch.nn.functional.pad(gradient / 16.0, (0, 1, 0, 1))  # zeros for pairs without a parent
        return padded.index_select(-1, ctx.parents[1]).index_select(-2, ctx.parents[0]), None, None
