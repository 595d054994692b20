"""Spectral laws of shift-invariant kernels, and the scale of a data set."""

from __future__ import annotations

import math

import numpy as np
import scipy  # its distances are loaded where they are used

from analytic_dd.arrays import Array, as_matrix, to_numpy
from analytic_dd.features.layers import draw_orthonormal
from analytic_dd.features.sizes import as_word

__all__ = ["draw_frequencies", "median_lengthscale"]

KERNELS = ("gaussian", "laplace", "matern")


def draw_frequencies(
    rows: int, d: int, *, kernel: str, nu: float, orthogonal: bool, rng: np.random.Generator
) -> np.ndarray:
    r"""Draw (rows, d) frequencies from the spectral law of a kernel of lengthscale 1.

        gaussian   exp(-|r|_2^2 / 2)                                        N(0, I)
        laplace    exp(-|r|_1)                                              independent Cauchy entries
        matern     2^(1-nu)/Gamma(nu) (sqrt(2 nu)|r|)^nu K_nu(sqrt(2 nu)|r|)  multivariate t, 2 nu degrees of freedom

    Theorem: T8a (Bochner).

    With ``orthogonal`` the rows are orthogonal within blocks of d and have the norms of independent rows. The Laplace
    kernel has no such rows, because its law is not isotropic.

    Raises
    ------
    ValueError
        The kernel is unknown, ``nu`` is not positive, or orthogonal Laplace frequencies are asked for.

    Examples
    --------
    >>> draw_frequencies(5, 3, kernel="matern", nu=1.5, orthogonal=False, rng=np.random.default_rng(0)).shape
    (5, 3)
    >>> draw_frequencies(5, 3, kernel="rbf", nu=1.5, orthogonal=False, rng=np.random.default_rng(0))
    Traceback (most recent call last):
        ...
    ValueError: kernel must be one of gaussian, laplace, matern, got 'rbf'
    """
    as_word("kernel", kernel, KERNELS)
    if not 0.0 < nu < math.inf:
        raise ValueError(f"nu must be finite and > 0, got {nu}; 1.5 is once differentiable")
    if kernel == "laplace":
        if orthogonal:
            raise ValueError("orthogonal frequencies need an isotropic kernel, got laplace; use matern with nu=0.5")
        return rng.standard_cauchy((rows, d))
    if orthogonal:
        blocks = [draw_orthonormal(rng, min(d, rows - start), d) for start in range(0, rows, d)]
        frequencies = np.concatenate(blocks) * np.sqrt(rng.chisquare(d, (rows, 1)))
    else:
        frequencies = rng.standard_normal((rows, d))
    if kernel == "matern":
        frequencies = frequencies / np.sqrt(rng.chisquare(2 * nu, (rows, 1)) / (2 * nu))
    return frequencies


def median_lengthscale(X: Array, *, rng: np.random.Generator, rows: int = 1000, kernel: str = "gaussian") -> float:
    """Return the median distance between rows of ``X``, the usual first guess of a lengthscale.

    Parameters
    ----------
    X : (n, d) array
        Inputs, n >= 2.
    rng : numpy.random.Generator
        It chooses the rows that are compared.
    rows : int
        Largest number of rows that are compared.
    kernel : str
        "laplace" measures |x - y|_1, as its kernel does; the others measure |x - y|_2.

    Raises
    ------
    ValueError
        There are fewer than two rows, or half of the distances are zero.

    Notes
    -----
    *Cost.* O(rows^2 d) time, O(rows^2) memory.

    Examples
    --------
    >>> median_lengthscale(np.array([[0.0, 0.0], [3.0, 4.0]]), rng=np.random.default_rng(0))
    5.0
    >>> median_lengthscale(np.ones((3, 2)), rng=np.random.default_rng(0))
    Traceback (most recent call last):
        ...
    ValueError: the median distance must be > 0, got 0.0: half of the pairs of rows are equal; give a lengthscale
    """
    n = as_matrix(X, "X").shape[0]
    if n < 2:
        raise ValueError(f"a median distance needs two rows or more, got {n}; give a lengthscale")
    chosen = np.sort(rng.choice(n, size=min(n, rows), replace=False))
    S = to_numpy(X)[chosen].astype(np.float64)
    largest = float(np.max(np.abs(S)))
    unit = math.ldexp(1.0, math.frexp(largest)[1])  # differences are squared: in this unit none underflows
    median = unit * float(
        np.median(scipy.spatial.distance.pdist(S / unit, "cityblock" if kernel == "laplace" else "euclidean"))
    )
    if not median > 0.0:
        raise ValueError(
            f"the median distance must be > 0, got {median}: half of the pairs of rows are equal; give a lengthscale"
        )
    return median
