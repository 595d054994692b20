"""Random samples, as evenly over the classes as possible."""

from __future__ import annotations

import numpy as np

__all__ = ["balanced_rows"]


def balanced_rows(y: np.ndarray, m: int, *, k: int, rng: np.random.Generator) -> np.ndarray:
    """Draw ``m`` samples, as evenly over the classes as possible, class-major.

    Parameters
    ----------
    y : (n,) int array
        Class indices.
    m : int
        Number of samples; the first m mod k classes have one more.
    k : int
        Number of classes.
    rng : numpy.random.Generator

    Returns
    -------
    (m,) int array
        Row indices, none of which comes twice where its class has enough samples.

    Examples
    --------
    >>> y = np.array([0, 1, 0, 1, 1])
    >>> y[balanced_rows(y, 3, k=2, rng=np.random.default_rng(0))]
    array([0, 0, 1])
    """
    counts = np.bincount(np.sort(np.arange(m) % k), minlength=k)
    chosen = []
    for label in np.flatnonzero(counts):
        members, count = np.flatnonzero(y == label), int(counts[label])
        chosen.append(rng.choice(members, size=count, replace=count > len(members)))
    return np.concatenate(chosen)
