"""Preconditioners of G + ridge I from one pass over the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from analytic_dd.arrays import Array, namespace
from analytic_dd.ridge.stream import SampleStream

__all__ = ["Diagonal", "FirstPass", "Nystrom", "Preconditioner", "first_pass"]


class Preconditioner(Protocol):
    """An approximate inverse of ``G + ridge I``, symmetric and positive definite."""

    def solve(self, R: Array) -> Array:
        """Apply it to ``R`` (p, q)."""


@dataclass(frozen=True)
class Diagonal:
    """``(diag G + ridge)^-1``."""

    inverse: Array

    def solve(self, R: Array) -> Array:
        """Apply it to ``R`` (p, q)."""
        return self.inverse[:, None] * R


@dataclass(frozen=True)
class Nystrom:
    r"""The low-rank part of G from a random sketch: ``U ((l_r + ridge) / (L + ridge) - 1) U^T + I``.

    With G ~ U L U^T from G Omega, Omega (p, r) orthonormal: the condition of the preconditioned matrix is below 28 in
    expectation when r exceeds twice the effective dimension trace(G (G + ridge I)^-1) (Frangella, Tropp, Udell 2023).

    Attributes
    ----------
    U : (p, r) array
    values : (r,) array
        Descending.
    ridge : float
    """

    U: Array
    values: Array
    ridge: float

    @classmethod
    def of(cls, omega: Array, sketch: Array, ridge: float) -> Nystrom:
        """Make it from ``omega`` (p, r), orthonormal, and ``sketch = G omega``: O(p r^2)."""
        xp = namespace(sketch)
        eps = float(xp.finfo(sketch.dtype).eps)
        shift = sketch.shape[0] ** 0.5 * eps * float(xp.linalg.matrix_norm(sketch))  # keeps the core definite
        shifted = sketch + shift * omega
        core = omega.T @ shifted
        values, vectors = xp.linalg.eigh(0.5 * (core + core.T))
        kept = values > shift * 0.5
        scale = xp.where(kept, 1.0 / xp.sqrt(xp.where(kept, values, 1.0)), 0.0)
        U, s, _ = xp.linalg.svd((shifted @ vectors) * scale, full_matrices=False)
        found = s * s - shift
        return cls(U, xp.where(found > 0.0, found, 0.0 * found), ridge)

    def solve(self, R: Array) -> Array:
        """Apply it to ``R`` (p, q)."""
        least = float(self.values[-1]) + self.ridge
        inside = self.U.T @ R
        return R + self.U @ ((least / (self.values + self.ridge) - 1.0)[:, None] * inside)


@dataclass(frozen=True)
class FirstPass:
    """What the first pass over the data gives.

    Attributes
    ----------
    C : (k, p) array
    diagonal : (p,) array
        Of G.
    sketch : (p, r) array or None
        G omega.
    """

    C: Array
    diagonal: Array
    sketch: Array | None


def first_pass(stream: SampleStream, omega: np.ndarray | None) -> tuple[FirstPass, Array | None]:
    """Return the sums of one pass, and ``omega`` as an array of the data's library and device."""
    C, diagonal, sketch, placed = None, None, None, None
    for F, T in stream:
        xp = namespace(F)
        if omega is not None and placed is None:
            placed = xp.asarray(omega, dtype=F.dtype, device=getattr(F, "device", None))
        c, d = T.T @ F, xp.sum(F * F, axis=0)
        C, diagonal = (c, d) if C is None else (C + c, diagonal + d)
        if placed is not None:
            s = F.T @ (F @ placed)
            sketch = s if sketch is None else sketch + s
    if C is None:
        raise ValueError("the stream has no samples; give at least one block")
    return FirstPass(C, diagonal, sketch), placed
