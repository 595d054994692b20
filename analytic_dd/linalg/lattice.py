r"""Integers near given numbers whose given combinations are nearer still: LLL reduction and Babai's nearest plane.

For C (q, m) the vectors (z, S C z), z integer, are a lattice of rank m. An integer z near a real target t with C z very
near C t is a lattice vector near (t, S C t): its first part is then off by about S^(q/m), and C z by about
S^-(1 - q/m). One reduction of the lattice serves any number of targets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analytic_dd.errors import optional

__all__ = ["Lattice", "combination_lattice"]

_UNIT = 1024  # a component is an integer of this fraction: LLL is exact, and rounding C S to it changes no result


@dataclass(frozen=True)
class Lattice:
    """A reduced basis of the lattice (z, S C z)."""

    basis: np.ndarray  # (m, m + q) float64: rows; the first m columns are integers
    combinations: np.ndarray  # (q, m) float64: C
    scale: float  # S

    def nearest(self, targets: np.ndarray, combined: np.ndarray) -> np.ndarray:
        """Return integers Z (m, d), column by column near ``targets`` (m, d) with C Z near ``combined`` (q, d).

        Babai's nearest plane, from the last basis vector to the first, all columns at once.

        Notes
        -----
        *Cost.* O(m^2 (m + q)) for the triangular factor, m^2 d for the columns.
        """
        m = len(self.basis)
        Q, R = np.linalg.qr(self.basis.T)
        left = np.hstack([targets.T, self.scale * combined.T]) @ Q
        steps = np.zeros((left.shape[0], m))
        for i in range(m - 1, -1, -1):
            steps[:, i] = np.rint((left[:, i] - steps[:, i + 1 :] @ R[i, i + 1 :]) / R[i, i])
        found: np.ndarray = np.rint((steps @ self.basis[:, :m]).T)
        return found


def combination_lattice(C: np.ndarray, scale: float) -> Lattice:
    """Reduce the lattice of (z, S C z) by the algorithm of Lenstra, Lenstra and Lovasz.

    Theorem: T24 (the lattice).

    Parameters
    ----------
    C : (q, m) float64 array
    scale : float
        S > 0.

    Raises
    ------
    ImportError
        python-flint is not installed.

    Notes
    -----
    *Cost.* Half a second for m = 100 and q = 10; the reduction is in exact integers.

    Examples
    --------
    >>> golden = np.array([[(1.0 + 5.0**0.5) / 2.0, -1.0]])  # integers (a, b) with b / a near the golden ratio
    >>> Z = combination_lattice(golden, 1e3).nearest(np.array([[30.3], [50.0]]), np.zeros((1, 1)))
    >>> Z.ravel().tolist(), bool(abs(golden @ Z) < 0.02)
    ([34.0, 55.0], True)
    """
    flint = optional("flint", "python-flint", extra="bytes", what="find integers that carry W")  # 10 MB
    q, m = C.shape
    rows = np.hstack([np.eye(m), scale * C.T])
    integers = flint.fmpz_mat([[round(float(value) * _UNIT) for value in row] for row in rows])
    reduced = integers.lll()
    basis = np.array([[int(reduced[i, j]) for j in range(m + q)] for i in range(m)], dtype=np.float64) / _UNIT
    return Lattice(basis, C, float(scale))
