r"""Models at some ridges of a grid give those at the others: 1 / (s + ridge) is smooth in the ridge.

    g_l(s) = 1 / (s + ridge_l)  =  sum_b g_b(s) A_bl  (1 + e),   |e| <= error_l at every eigenvalue s,
    |phi^T w_l - sum_b A_bl phi^T w_b|  <=  error_l |phi| |w_l|,     w_l = V diag(g_l) V^T c

Ridges far below all eigenvalues, or far above, have nearly one model, and where the eigenvalues span few decades so do
their neighbours: of 21 ridges over ten decades some 10 carry the others at a condition of 1e3, and 6 at 10.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from analytic_dd.linalg import thin_svd

__all__ = ["Between", "between"]

_SAMPLED = 96  # eigenvalues that the coefficients are fitted at; the error is that of all


@dataclass(frozen=True)
class Between:
    """How models at a few ridges of a grid make those at all of them."""

    chosen: np.ndarray  # (r,) int: places in the grid, ascending
    coefficients: np.ndarray  # (r, L): a
    error: np.ndarray  # (L,): the largest relative error over the eigenvalues, 0 where all ridges are chosen

    @classmethod
    def none(cls, L: int) -> Between:
        """Return the choice of every ridge of a grid of L."""
        return cls(np.arange(L), np.eye(L), np.zeros(L))

    @property
    def all(self) -> bool:
        """Whether nothing is saved."""
        return len(self.chosen) == len(self.error)


def between(values: np.ndarray, inverse: np.ndarray, *, tolerance: float) -> Between:
    """Choose as few ridges as carry the others to ``tolerance``; all of them where that saves less than a quarter.

    Parameters
    ----------
    values : (r,) array
        Eigenvalues s > 0, descending.
    inverse : (r, L) array
        1 / (s + ridge).
    tolerance : float
        Of the relative error.

    Examples
    --------
    >>> s, ridges = np.geomspace(10.0, 1.0, 50), np.geomspace(1e-9, 1.0, 19)
    >>> found = between(s, 1.0 / (s[:, None] + ridges), tolerance=1e-6)
    >>> len(found.chosen) < 7, bool(found.error.max() <= 1e-6)
    (True, True)
    """
    L = inverse.shape[1]
    rows = np.unique(np.linspace(0, len(values) - 1, min(_SAMPLED, len(values))).astype(int))
    some = inverse[rows] / inverse.max()  # whatever the units
    order = scipy.linalg.qr(some / np.linalg.norm(some, axis=0), mode="r", pivoting=True)[1]
    for count in range(1, 3 * L // 4 + 1):
        chosen = np.sort(order[:count])
        A = np.stack([_shares(some[:, chosen], some[:, place]) for place in range(L)], axis=1)
        error = np.max(np.abs((inverse[:, chosen] @ A) / inverse - 1.0), axis=0)
        if error.max() <= tolerance:
            return Between(chosen, A, error)
    return Between.none(L)


def _shares(basis: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Return the combination of columns that is next to ``g`` relative to its size."""
    relative = basis / g[:, None]
    found = thin_svd(relative, rcond=max(relative.shape) * float(np.finfo(np.float64).eps))
    return np.asarray((found.U.sum(axis=0) / found.s) @ found.Vt)
