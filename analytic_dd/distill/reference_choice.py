"""Which real samples a set is to be near: drawn at random, central by k-means, or herded, class by class."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from analytic_dd.arrays import as_matrix
from analytic_dd.data.samples import balanced_rows
from analytic_dd.errors import DataError, ShapeError

__all__ = ["CANDIDATES", "central_rows", "choose_rows", "herding_rows"]

CANDIDATES = 2_000  # k-means and herding look at this many samples of a class, drawn at random


def choose_rows(
    choice: str,
    y: np.ndarray,
    m: int,
    *,
    k: int,
    rng: np.random.Generator,
    samples: Callable[[np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:
    """Choose ``m`` training samples, as evenly over the classes as possible, class-major.

        random      drawn by ``rng``, without repetition where the class has enough
        k-means     the real samples nearest to the centres of a class's clusters
        herding     those whose running mean follows the mean of the class, see :func:`herding_rows`

    Parameters
    ----------
    choice : {"random", "k-means", "herding"}
    y : (n,) int array
        Class indices of the training samples.
    m : int
        Number of references; the first m mod k classes have one more.
    k : int
        Number of classes.
    rng : numpy.random.Generator
    samples : callable, optional
        Row indices (r,) to the vectors (r, d) that are compared, inputs or features; k-means and herding need it.

    Returns
    -------
    (m,) int array

    Raises
    ------
    ValueError
        An unknown choice.
    DataError
        A class with fewer (different) samples than k-means or herding are to choose of it.

    Notes
    -----
    *Cost.* k-means and herding look at 2,000 samples of a class at most, one class at a time.

    Examples
    --------
    >>> y, X = np.array([0, 1, 0, 1, 0]), np.array([[0.0], [5.0], [1.0], [9.0], [2.2]])
    >>> choose_rows("herding", y, 2, k=2, rng=np.random.default_rng(0), samples=lambda rows: X[rows])
    array([2, 1])
    >>> choose_rows("k-means", y, 6, k=2, rng=np.random.default_rng(0), samples=lambda rows: X[rows])
    Traceback (most recent call last):
        ...
    analytic_dd.errors.DataError: k-means needs 3 different samples of class 1, got 2; ask for fewer points or take
    random references
    """
    if choice not in ("random", "k-means", "herding"):
        raise ValueError(f"unknown references {choice!r}; choose from random, k-means, herding")
    if choice == "random":
        return balanced_rows(y, m, k=k, rng=rng)
    counts = np.bincount(np.sort(np.arange(m) % k), minlength=k)
    chosen = []
    for label in np.flatnonzero(counts):
        members, count = np.flatnonzero(y == label), int(counts[label])
        if len(members) > CANDIDATES:
            members = np.sort(rng.permutation(members)[:CANDIDATES])
        if samples is None:
            raise ValueError(f"{choice} compares samples; pass samples=, a function from row indices to vectors")
        X = samples(members)
        different = len(np.unique(X, axis=0))
        if different < count:
            raise DataError(
                f"{choice} needs {count} different samples of class {label}, got {different}; ask for fewer points or "
                "take random references"
            )
        chosen.append(members[herding_rows(X, count) if choice == "herding" else central_rows(X, count, rng=rng)])
    return np.concatenate(chosen)


def herding_rows(X: np.ndarray, m: int) -> np.ndarray:
    r"""Choose ``m`` rows one by one so that the mean of the chosen stays nearest to the mean mu of all.

        i_t = argmin over rows not chosen  |t mu - (x_(i_1) + ... + x_(i_(t-1))) - x_i|

    Parameters
    ----------
    X : (n, d) array
    m : int
        1 to n.

    Returns
    -------
    (m,) int array
        In the order of choice: the first is the row nearest to the mean.

    Notes
    -----
    *Cost.* O(n d) a step; no matrix (n, n) is formed.

    References
    ----------
    Welling, "Herding dynamical weights to learn", ICML 2009, in the greedy form without repetition.

    Examples
    --------
    >>> herding_rows(np.array([[0.0], [2.0], [4.0], [9.0]]), 2)  # 4 is nearest to 3.75, then 4 + 4 > 2 * 3.75 > 4 + 2
    array([2, 1])
    >>> herding_rows(np.zeros((2, 1)), 3)
    Traceback (most recent call last):
        ...
    analytic_dd.errors.ShapeError: m must lie in 1 .. 2, the number of rows, got 3
    """
    n = as_matrix(X, "X").shape[0]
    if not 1 <= m <= n:
        raise ShapeError(f"m must lie in 1 .. {n}, the number of rows, got {m}")
    centred = X - X.mean(axis=0)  # t mu - sum = -(sum of the centred rows chosen)
    squares = np.sum(centred**2, axis=1)
    total, free = np.zeros(X.shape[1]), np.ones(n, dtype=bool)
    chosen = np.empty(m, dtype=np.int64)
    for step in range(m):
        distances = np.where(free, squares + 2.0 * (centred @ total), np.inf)
        chosen[step] = np.argmin(distances)
        total = total + centred[chosen[step]]
        free[chosen[step]] = False
    return chosen


def central_rows(X: np.ndarray, m: int, *, rng: np.random.Generator) -> np.ndarray:
    """Cluster the rows by k-means and return, for each cluster, the row of it that is nearest to its centre.

    Parameters
    ----------
    X : (n, d) array
        At least ``m`` different rows.
    m : int
        Number of clusters.
    rng : numpy.random.Generator
        Draws the start (k-means++).

    Returns
    -------
    (m,) int array
        All different, in ascending order.

    Examples
    --------
    >>> X = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [13.0]])
    >>> central_rows(X, 2, rng=np.random.default_rng(0))
    array([1, 4])
    >>> central_rows(X, 7, rng=np.random.default_rng(0))
    Traceback (most recent call last):
        ...
    analytic_dd.errors.ShapeError: m must lie in 1 .. 6, the number of rows, got 7
    """
    from sklearn.cluster import KMeans

    n = as_matrix(X, "X").shape[0]
    if not 1 <= m <= n:
        raise ShapeError(f"m must lie in 1 .. {n}, the number of rows, got {m}")
    found = KMeans(n_clusters=m, n_init=1, random_state=int(rng.integers(2**31))).fit(X)
    squares = np.sum((X - found.cluster_centers_[found.labels_]) ** 2, axis=1)
    nearest = (np.flatnonzero(found.labels_ == cluster) for cluster in range(m))
    return np.sort([members[np.argmin(squares[members])] for members in nearest])
