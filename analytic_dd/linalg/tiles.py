"""Symmetric sums in place, a tile of columns at a time, with half the flops of a product and little memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["GramAddition", "add_gram", "mirror", "tiles"]

_WIDTH = 800  # columns at most: wide enough for the full rate of BLAS


def tiles(p: int) -> list[slice]:
    """Return slices of equal widths that cover ``range(p)``, since BLAS is slow on a narrow rest.

    Examples
    --------
    >>> tiles(1601)
    [slice(0, 533, None), slice(533, 1067, None), slice(1067, 1601, None)]
    """
    count = -(-p // _WIDTH)
    return [slice(i * p // count, (i + 1) * p // count) for i in range(count)]


def _lower(p: int) -> list[tuple[slice, slice]]:
    """Return rows and columns of the pieces of a (p, p) matrix on and below the diagonal tiles."""
    found = []
    for tile in tiles(p):
        found += [(tile, tile), (slice(tile.stop, p), tile)][: 1 + (tile.stop < p)]
    return found


def add_gram(G: np.ndarray, F: np.ndarray) -> None:
    """Add ``F^T F`` (p, p) to the tiles of ``G`` on and below the diagonal.

    Notes
    -----
    *Cost.* b p^2 flops for ``F`` (b, p) and 800 (p - 800) entries of memory. numpy sees the transpose in a product and
    calls the symmetric rank-k update of *its* BLAS. The BLAS of scipy has threads of its own, and two sets of threads
    that wait for work slow each other down.
    """
    for rows, columns in _lower(G.shape[0]):
        G[rows, columns] += F[:, rows].T @ F[:, columns]


class GramAddition:
    """The sum of ``F^T F`` over blocks of rows, added to ``G`` as by :func:`add_gram`, whatever interrupts it.

    A piece of the sum is made in work space, while ``G`` has the old one, and then copied to its place. Copying it
    twice does no harm, so that :meth:`finish` may be called until it returns.

    Parameters
    ----------
    G : (p, p) array
    rows : callable
        ``rows(i)`` always gives the same block i (b, p) in float64, and needs no new memory.
    count : int
        Number of blocks.
    most : int
        Number of rows of the largest block.

    Attributes
    ----------
    flops : float
        Number of multiplications for a block.
    """

    def __init__(self, G: np.ndarray, rows: Callable[[int], np.ndarray], count: int, most: int) -> None:
        self.G, self._rows, self.flops = G, rows, float(most) * G.size
        pieces = _lower(G.shape[0])
        self._steps = [(block, *piece) for block in range(count) for piece in pieces]
        self._work = np.empty(max(G[piece].size for piece in pieces))
        self._state = 0  # twice the step, plus 1 while it is copied; one number is never half written

    def finish(self) -> None:
        """Add the pieces that have not been added."""
        with np.errstate(over="ignore"):  # an overflow is named by the spectrum
            while self._state < 2 * len(self._steps):
                state = self._state
                block, rows, columns = self._steps[state // 2]
                place = self.G[rows, columns]
                made = self._work[: place.size].reshape(place.shape)
                if state % 2 == 0:
                    F = self._rows(block)
                    np.matmul(F[:, rows].T, F[:, columns], out=made)
                    made += place
                    self._state = state = state + 1
                place[...] = made
                self._state = state + 1


def mirror(G: np.ndarray) -> None:
    """Copy the tiles below the diagonal of ``G`` to those above it."""
    for tile in tiles(G.shape[0]):
        G[tile, tile.stop :] = G[tile.stop :, tile].T
