"""A fixed test part for data that come without one: stratified, seeded, the same on every machine."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["TEST_FRACTION", "describe_split", "stratified_split"]

TEST_FRACTION = 0.2


def describe_split() -> str:
    """Return what :attr:`Dataset.source` says of a test part that was set aside here."""
    return f"no test part: {TEST_FRACTION:.0%} of the samples set aside (stratified, seed 0)"


def stratified_split(y: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return sorted indices (train, test); the test part is a fifth of the samples, rounded up, in equal class shares.

    Parameters
    ----------
    y : (n,) int array
        Class indices 0..k-1.
    k : int
        Number of classes.

    Notes
    -----
    Shares are rounded by largest remainder; a class always keeps one training sample. The draw uses uniform keys
    rather than ``permutation``, whose stream numpy may change between versions.

    Examples
    --------
    >>> train, test = stratified_split(np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1]), 2)
    >>> train.size, test.size, int((test < 5).sum())
    (8, 2, 1)
    """
    counts = np.bincount(y, minlength=k)
    quota = _largest_remainder(counts * TEST_FRACTION, math.ceil(len(y) * TEST_FRACTION))
    quota = np.minimum(quota, np.maximum(counts - 1, 0))
    keys = np.random.Generator(np.random.PCG64(0)).random(len(y))
    by_class = np.lexsort((keys, y))
    rank = np.arange(len(y)) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen = by_class[rank < np.repeat(quota, counts)]
    mask = np.zeros(len(y), dtype=bool)
    mask[chosen] = True
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def _largest_remainder(shares: np.ndarray, total: int) -> np.ndarray:
    """Round ``shares`` to integers that add up to ``total``; ties go to the lower class."""
    quota: np.ndarray = np.floor(shares).astype(np.int64)
    missing = max(0, total - int(quota.sum()))
    order = np.argsort(quota - shares, kind="stable")
    quota[order[:missing]] += 1
    return quota
