r"""Bases of near copies whose Jacobians are known by their products alone, where a Gram matrix is too large (T22b).

With A = [c_i phi(xi_i), J(xi_i)] of s bases, the least (alpha, v) of rows R is that of LSMR on

    P^(-1/2) A z = P^(-1/2) r ,   A z = sum_i c_i alpha_i phi(xi_i) + J(xi_i) v_i

for all rows at once. A factor from the left does not change which solution is least. P is A A^T on l directions that a
sketch finds (Nystroem), and a multiple of the identity beside them; so the large singular values, which slow LSMR, are
made equal.

References: Fong, Saunders: LSMR. SIAM J. Sci. Comput. 33, 2011. Frangella, Tropp, Udell: Randomized Nystroem
preconditioning. SIAM J. Matrix Anal. Appl. 44, 2023.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from analytic_dd.arrays import Array, device_of, eps_of, namespace, norm, to_numpy
from analytic_dd.distill.bases import Bases
from analytic_dd.errors import InfeasibleError
from analytic_dd.linalg import eigh, svd

__all__ = ["ProductBases"]

_SKETCH = 200  # directions of the preconditioner: p numbers each
_ROWS = 32  # of these at a time: s d numbers each
_PROBES = 8  # products that measure the size of a Jacobian
_TOLERANCE = 1e-6  # relative residual of the first solution
_INEXACT = 1e-3  # of a correction, since the next one mends what it leaves
_STEPS = 1_000  # of LSMR
_REACHED = 1e-2  # relative residual above which the bases do not reach the rows


class ProductBases(Bases):
    """Bases with products in the place of Jacobians; see :class:`Bases` for the parameters.

    Theorem: T22b.

    Notes
    -----
    *Cost.* 2 s products of l rows for the preconditioner of each set of bases, and 2 s of q rows a step of LSMR; l p
    and some 6 s q d numbers.
    """

    _at: list[Array] | None = None  # the copies (q, d) of each base at which products are taken, else the bases

    def _require_memory(self) -> None:
        """Nothing of p^2 or p d numbers is formed."""

    def add(self) -> bool:
        """Take the next candidate; False when none is left, or more do not help."""
        i = self.next()
        if i is None:
            return False
        size = np.linalg.norm(self._vjp(i, self._random(_PROBES))) / _PROBES**0.5
        self.scales.append(size / self.map.d**0.5 / (norm(self.values[i : i + 1, :]) or 1.0) or 1.0)
        self.chosen.append(i)
        return True

    def again_in_full(self) -> bool:
        """Products are always in the dtype of the inputs."""
        return False

    def weakest(self, left: list[int]) -> int:
        """Return the candidate whose features are least dependent on those of the bases."""
        values = to_numpy(self.values)
        F = values[left]
        basis = np.linalg.qr(values[self.chosen].T)[0]
        return left[int(np.argmax(np.linalg.norm(F - F @ basis @ basis.T, axis=1)))]

    def complete(self) -> bool:
        """Whether LSMR reaches the target on these bases."""
        if len(self.chosen) * (int(self.map.d) + 1) < self.p:
            return False
        self._precondition()
        self._first = self.solve(self.target)
        return self.reached

    def complete_in_span(self, rtol: float) -> bool:
        """LSMR needs no rank: these bases were complete if they reached the target."""
        return False

    def first(self) -> tuple[list[Array], list[Array]]:
        """Return the solution that showed that these bases reach the target."""
        return self._first

    def correction(self, R: Array, copies: list[list[Array]]) -> tuple[list[Array], list[Array]]:
        """Return Newton's step: products with the Jacobians of the copies themselves take no more than those of bases.

        On two sides these differ, and J(xi_i) is nearer to their mean.
        """
        self._at = copies[0] if len(copies) == 1 else None
        try:
            return self._least(R, _INEXACT)[0]
        finally:
            self._at = None

    def solve(self, R: Array) -> tuple[list[Array], list[Array]]:
        """Return the least alpha_i (q,), v_i (q, d) with sum_i alpha_i phi(xi_i) + J(xi_i) v_i = r  for rows r of R."""
        found, self.residual, self.condition = self._least(R, _TOLERANCE)
        return found

    def _least(self, R: Array, tolerance: float) -> tuple[tuple[list[Array], list[Array]], float, float]:
        """Return alpha_i and v_i, their relative residual, and the condition that LSMR estimates."""
        from scipy.sparse.linalg import LinearOperator, lsmr  # loaded when used: most sets need none

        rows = to_numpy(R)
        q, width = len(rows), int(self.map.d) + 1
        shape = (q * self.p, q * width * len(self.chosen))
        A = LinearOperator(shape, matvec=self._times, rmatvec=self._transposed, dtype=rows.dtype)
        wanted = self._whitened(rows)
        found, _, _, left, _, _, condition, _ = lsmr(
            A, wanted.ravel(), atol=0.0, btol=max(tolerance, eps_of(R)), conlim=0.0, maxiter=_STEPS
        )
        parts = found.reshape(len(self.chosen), q, width)
        alpha = [self._like(c * part[:, 0]) for c, part in zip(self.scales, parts, strict=True)]
        least = alpha, [self._like(part[:, 1:]) for part in parts]
        return least, float(left / (np.linalg.norm(wanted) or 1.0)), float(condition)

    @property
    def reached(self) -> bool:
        """Whether LSMR reached the target."""
        return self.residual <= _REACHED

    def incomplete(self) -> InfeasibleError:
        """Return what LSMR leaves where these bases do not reach the rows."""
        left = self.residual
        return InfeasibleError(
            f"T22b: features and Jacobians of the references{self.whose} must reach the rows of W, got a residual of "
            f"{left:.2g} from {len(self.chosen)} of them; pass more references (about p / (d + 1) at least), or drop "
            "features that nothing activates",
            theorem="T22b",
            value=left,
            limit=_REACHED,
        )

    def _times(self, z: np.ndarray) -> np.ndarray:
        parts = z.reshape(len(self.chosen), -1, int(self.map.d) + 1)
        values = to_numpy(self.values)
        reached: Any = 0.0
        for i, c, part in zip(self.chosen, self.scales, parts, strict=True):
            reached = reached + c * part[:, :1] * values[i] + self._jvp(i, part[:, 1:])
        return self._whitened(reached).ravel()

    def _transposed(self, u: np.ndarray) -> np.ndarray:
        U, values = self._whitened(u.reshape(-1, self.p)), to_numpy(self.values)
        parts = [
            np.hstack([c * (U @ values[i])[:, None], self._vjp(i, U)])
            for i, c in zip(self.chosen, self.scales, strict=True)
        ]
        return np.stack(parts).ravel()

    def _jvp(self, i: int, V: np.ndarray) -> np.ndarray:
        return to_numpy(self.lifted(self.map.jvp(self._where(i), self._like(V)), 0.0))

    def _vjp(self, i: int, U: np.ndarray) -> np.ndarray:
        return to_numpy(self.map.vjp(self._where(i), self._like(U[:, : self.map.p])))

    def _where(self, i: int) -> Array:
        """Return where products with J are taken: at the base, or at each of its copies."""
        return self.candidates[i : i + 1, :] if self._at is None else self._at[self.chosen.index(i)]

    def _like(self, A: np.ndarray) -> Array:
        like = self.candidates
        return namespace(like).asarray(np.ascontiguousarray(A), dtype=like.dtype, device=device_of(like))

    def _random(self, rows: int) -> np.ndarray:
        dtype = to_numpy(self.candidates[:1, :]).dtype
        return np.random.default_rng(0).standard_normal((rows, self.p)).astype(dtype)

    def _precondition(self) -> None:
        """Find l eigenvectors of A A^T and their eigenvalues from products with l random rows."""
        self._vectors, self._factors = None, None
        rows = np.linalg.qr(self._random(min(_SKETCH, self.p // 2)).T)[0].T
        parts = np.array_split(rows, -(-len(rows) // _ROWS))
        products = np.concatenate([self._times(self._transposed(part.ravel())).reshape(part.shape) for part in parts])
        shift = eps_of(rows) * norm(products)  # keeps the small matrix positive definite
        products = products + shift * rows
        core = rows @ products.T
        values, turn = eigh((core + core.T) / 2.0)
        kept = values > shift
        factor = products.T @ (turn[:, kept] / np.sqrt(values[kept]))
        U, s, _ = svd(factor)
        values = np.maximum(s**2 - shift, shift)
        self._vectors, self._factors = U, np.sqrt(values[-1] / values) - 1.0

    def _whitened(self, R: np.ndarray) -> np.ndarray:
        """Multiply rows by the symmetric matrix P^(-1/2)."""
        if self._vectors is None:
            return R
        whitened: np.ndarray = R + ((R @ self._vectors) * self._factors) @ self._vectors.T
        return whitened

    _vectors: np.ndarray | None = None
    _factors: Any = None
    residual: float = 1.0
