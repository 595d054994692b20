"""Symmetric sums in place, a tile of columns at a time: half the flops of a product, and none of the size of G."""

from __future__ import annotations

import numpy as np

__all__ = ["add_gram", "mirror", "tiles"]

_WIDTH = 800  # columns at most: wide enough for the full rate of BLAS


def tiles(p: int) -> list[slice]:
    """Return slices that cover ``range(p)``, of equal widths: BLAS is slow on a narrow rest.

    Examples
    --------
    >>> tiles(1601)
    [slice(0, 533, None), slice(533, 1067, None), slice(1067, 1601, None)]
    """
    count = -(-p // _WIDTH)
    return [slice(i * p // count, (i + 1) * p // count) for i in range(count)]


def add_gram(G: np.ndarray, F: np.ndarray) -> None:
    """Add ``F^T F`` (p, p) to the tiles of ``G`` on and below the diagonal.

    Notes
    -----
    *Cost.* b p^2 flops for ``F`` (b, p) and 800 (p - 800) entries of memory. numpy sees the transpose in a product and
    calls the symmetric rank-k update of *its* BLAS: scipy's is another library with threads of its own, and two sets of
    threads that wait for work slow each other down.
    """
    for tile in tiles(G.shape[0]):
        G[tile, tile] += F[:, tile].T @ F[:, tile]
        if tile.stop < G.shape[0]:
            G[tile.stop :, tile] += F[:, tile.stop :].T @ F[:, tile]


def mirror(G: np.ndarray) -> None:
    """Copy the tiles below the diagonal of ``G`` to those above it."""
    for tile in tiles(G.shape[0]):
        G[tile, tile.stop :] = G[tile.stop :, tile].T
