"""Affine feature maps B x + c of any rank, whose range is a subspace or a translate of one (T8e)."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property

import numpy as np

from analytic_dd.arrays import Array, as_matrix, eps_of, namespace
from analytic_dd.errors import RangeError
from analytic_dd.features.base import FeatureMap, Kind
from analytic_dd.features.ranges import Affine, RangeCheck, Subspace, affine_range
from analytic_dd.features.right_inverse import nearest_solution, right_inverse, spectral_norm

__all__ = ["AffineMap"]

_RANGE_RTOL = 64  # times eps is ten times the rounding of two products, measured at widths up to 3072


class AffineMap(FeatureMap):
    """phi(x) = B x + c with  B = L R,  L (p, r) of full column rank and R (r, d) of full row rank: B^+ = R^+ L^+ .

    A subclass sets ``_B``, ``_c`` (or None), and ``_factors() -> (L, R)`` with None for an identity.
    """

    _B: np.ndarray
    _c: np.ndarray | None
    rank: int

    @abstractmethod
    def _factors(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Return L and R; None stands for the identity."""

    def _kind(self) -> Kind:
        onto, one_to_one = self.rank == self.p, self.rank == self.d
        if onto:
            return "bijective" if one_to_one else "surjective"
        return "injective" if one_to_one else "general"

    def affine(self) -> tuple[np.ndarray, np.ndarray]:
        """Return ``B`` (p, d) and ``c`` (p,), float64: phi(x) = B x + c (T8e; c = 0 without biases)."""
        return self._B, np.zeros(self.p) if self._c is None else self._c

    @cached_property
    def range(self) -> Subspace | Affine:
        """range(B), or c + range(B) where that leaves out 0."""
        return affine_range(self._B, self._c, self._basis)

    def in_range(self, Phi: Array) -> RangeCheck:
        """Say whether each row lies in c + range(B): a distance of at most 64 eps (|phi| + |c| + |B| |B^+ (phi - c)|).

        The bound is the rounding of phi, so that its own features are always in the range.
        """
        as_matrix(Phi, "Phi", columns=self.p)
        if self.rank == self.p:
            return RangeCheck(True)
        xp = namespace(Phi)
        Q, P, c = self._like(Phi, self._basis), self._like(Phi, self._inverse), self.affine()[1]
        F = Phi - self._like(Phi, c) if self._c is not None else Phi
        perp = F - (F @ Q) @ Q.T
        sizes = [xp.sqrt(xp.sum(A * A, axis=1)) for A in (perp, Phi, F @ P.T)]
        scale = sizes[1] + float(np.linalg.norm(c)) + self._norm * sizes[2]
        excess = sizes[0] - _RANGE_RTOL * eps_of(Phi) * scale
        row = int(xp.argmax(excess))
        worst = float(excess[row])
        where = "range(B)" if self._c is None else "c + range(B)"
        return RangeCheck(worst <= 0.0, row, -1, worst, f"rows lie in {where}, of rank {self.rank}")

    def scale_into_range(self, Phi: Array) -> float:
        """Return 1 in the range; outside, with biases and rank < p, the one c that brings all rows to e.phi = 1.

        Raises
        ------
        RangeError
            No scaling does; project on the range first (:meth:`project`), or choose other labels (T8e).
        """
        as_matrix(Phi, "Phi", columns=self.p)
        if self.in_range(Phi):
            return 1.0
        if self._c is not None:
            Q = self._basis
            perp = self._c - Q @ (Q.T @ self._c)
            heights = Phi @ self._like(Phi, perp / (perp @ perp))
            scale = 1.0 / float(namespace(Phi).mean(heights))
            if 0.0 < scale <= 1.0 and self.in_range(scale * Phi):
                return scale
        raise RangeError(
            f"rows must lie in the range (rank {self.rank} of {self.p}) after one scaling, the worst is outside by "
            f"{self.in_range(Phi).excess:.3g}; project the weights on the range first, or choose labels by T8e"
        )

    def condition(self) -> float:
        """Return |B| |B^+| in spectral norms; with biases, rows should not be small beside c."""
        return self._norm * spectral_norm([self._inverse])

    def _map(self, X: Array) -> Array:
        Phi = X @ self._like(X, self._B).T
        return Phi if self._c is None else Phi + self._like(X, self._c)

    def _jvp(self, X: Array, V: Array) -> Array:
        return V @ self._like(V, self._B).T

    def _vjp(self, X: Array, U: Array) -> Array:
        return U @ self._like(U, self._B)

    def _jacobian(self, x: Array) -> Array:
        return self._like(x, self._B)

    def _affine(self) -> tuple[np.ndarray, np.ndarray | None]:
        return self._B, self._c

    def _preimage(self, Phi: Array, near: Array | None) -> Array:
        F = Phi if self._c is None else Phi - self._like(Phi, self._c)
        B, P = self._like(Phi, self._B), self._like(Phi, self._inverse)
        return nearest_solution(B, P, F, near if self.rank < self.d else None)

    @cached_property
    def _inverse(self) -> np.ndarray:
        """B^+ = R^+ L^+."""
        L, R = self._factors()
        left = None if L is None else np.asarray(right_inverse(L.T, theorem="T8e")).T
        right = None if R is None else np.asarray(right_inverse(R, theorem="T8e"))
        found = right if left is None else left if right is None else right @ left
        assert found is not None
        return found

    @cached_property
    def _basis(self) -> np.ndarray:
        """Orthonormal columns that span range(B)."""
        L = self._factors()[0]
        return np.eye(self.p) if L is None else np.linalg.qr(L)[0]

    @cached_property
    def _norm(self) -> float:
        return spectral_norm([self._B])
