"""Real inputs whose features and Jacobians reach rank p together: the bases of near copies (T22b)."""

from __future__ import annotations

import math

import numpy as np

from analytic_dd.arrays import Array, device_of, dtype_name, eps_of, namespace, norm, normal_like, to_numpy
from analytic_dd.errors import InfeasibleError
from analytic_dd.features import FeatureMap
from analytic_dd.linalg import CholeskyFactor, eigenvalues, eigh, outside
from analytic_dd.memory import require_memory

__all__ = ["Bases", "stored_bytes"]

_CONDITION = 1e7  # of M: its Gram matrix has the square, and Newton mends what that loses
_ROUGH = 1e5  # the same for Jacobians in float32: what they lack leaves a tenth of the residual at a step, or less
_SPARE = 10  # bases beyond twice the count of T22b that are tried


class Bases:
    """Base inputs, the Gram matrix of M = [c_i phi(xi_i), J(xi_i)], and its factor once M has rank p.

    c_i makes the features as long as an average column of the Jacobian: alpha costs nothing, v moves an input.

    Theorem: T22b.

    Parameters
    ----------
    phi : FeatureMap
    candidates : (n, d) array
        Real inputs to choose from.
    rows : (q, p) array
        What is to be carried. A feature that is 0 in all of it need not be reached: one that no data activate.
    constant : bool
        Whether a constant feature belongs to the model: that of an intercept.
    least : int
        So many are taken at least.
    whose : str
        Words of an error after "references": the class whose row they carry.

    Raises
    ------
    InfeasibleError
        T22b: a feature that is to be carried is 0 at all candidates, and so is its derivative.
    ValueError
        There are fewer candidates than ``least``.
    MemoryError
        The Jacobians and the Gram matrix exceed the memory of the machine.
    """

    def __init__(
        self, phi: FeatureMap, candidates: Array, rows: Array, *, constant: bool, least: int = 1, whose: str = ""
    ) -> None:
        if least > len(candidates):
            raise ValueError(
                f"bases={least} must be at most the number of references, got {len(candidates)}; ask for fewer bases, "
                "or pass more references"
            )
        self.map, self.candidates, self.constant = phi, candidates, constant
        self.least, self.whose = least, whose
        self._require_memory()
        self.values, self.target = self.phi(candidates), self.lifted(rows, 0.0)
        self.rough = phi.made_in == "float32" and dtype_name(candidates) == "float64"
        self._refuse_dead()
        self.chosen: list[int] = []
        self.jacobians: list[Array] = []
        self.scales: list[float] = []
        self.gram: Array = 0.0
        self.factor: CholeskyFactor | _Span | None = None
        self._was_complete = False
        self.condition = float("inf")

    def _require_memory(self) -> None:
        """Refuse what the machine cannot hold."""
        require_memory(
            stored_bytes(self.map, self.candidates),
            f"near copies for p = {self.map.p:,} features of d = {self.map.d:,} numbers",
            "use jacobians='products', take a map with fewer features, or smaller images",
        )

    def _refuse_dead(self) -> None:
        """Refuse features that no base can reach, before a Jacobian is computed: 0, and so along a random direction."""
        xp = namespace(self.values)
        dead = ~xp.any(self.values != 0.0, axis=0) & ~self._lacked()
        if not bool(xp.any(dead)):
            return
        V = normal_like(self.candidates, len(self.candidates), self.map.d, np.random.default_rng(0))
        dead = dead & ~xp.any(self.lifted(self.map.jvp(self.candidates, V), 0.0) != 0.0, axis=0)
        count = int(xp.sum(xp.astype(dead, xp.int32)))
        if count > 0:
            raise self._unreached(f"at most {self.p - count}", count, self.p - count)

    @property
    def p(self) -> int:
        """Number of features, the constant one included."""
        return int(self.values.shape[1])

    @property
    def reached(self) -> bool:
        """Whether these bases or the first of them were complete."""
        return self._was_complete

    def lifted(self, A: Array, value: float) -> Array:
        """Return rows with the constant feature of a model with an intercept."""
        return namespace(A).concat([A, 0.0 * A[:, :1] + value], axis=1) if self.constant else A

    def phi(self, X: Array) -> Array:
        """Features, with a constant one where there is an intercept."""
        return self.lifted(self.map(X), 1.0)

    def left(self) -> list[int]:
        """Return the candidates that may still be taken; none where more of them do not help."""
        most = max(self.least, 2 * (-(-self.p // (int(self.map.d) + 1))) + _SPARE)
        every = range(self.values.shape[0]) if len(self.chosen) < most else range(0)
        return [i for i in every if i not in self.chosen]

    def add(self) -> bool:
        """Take the candidate that activates most features which are 0 so far, of several the one with the weakest.

        Return False when none is left, or more do not help.
        """
        i = self.next()
        if i is None:
            return False
        J, f = self._jacobian(i), self.values[i, :]
        scale = norm(J) / J.shape[1] ** 0.5 / (norm(f[None, :]) or 1.0)
        self.chosen.append(i)
        self.jacobians.append(J)
        self.scales.append(scale or 1.0)
        self.gram = self.gram + self._gram_of(i, J, self.scales[-1])
        return True

    def _jacobian(self, i: int) -> Array:
        """Return the Jacobian at a candidate, with a row of zeros for the constant feature."""
        x = self.candidates[i : i + 1, :]
        xp = namespace(x)
        J = xp.astype(self.map.jacobian(xp.astype(x, xp.float32)), x.dtype) if self.rough else self.map.jacobian(x)
        return self.lifted(J.T, 0.0).T

    def again_in_full(self) -> bool:
        """Compute Jacobians that were taken in float32 once more, in the dtype of the inputs; say whether any were."""
        if not self.rough:
            return False
        self.rough, self.factor, self._was_complete = False, None, False
        self.jacobians = [self._jacobian(i) for i in self.chosen]
        self.gram = self._gram_of_first(len(self.chosen))
        return True

    def _gram_of(self, i: int, J: Array, scale: float) -> Array:
        """Return the Gram matrix of [c phi(xi), J(xi)] for one base."""
        f = self.values[i, :]
        gram = J @ J.T + scale**2 * (f[:, None] * f[None, :])
        return 0.5 * (gram + namespace(gram).matrix_transpose(gram))

    def next(self) -> int | None:
        """Return the candidate that activates most features which are 0 so far, of several the one with the weakest."""
        left = self.left()
        if len(left) < 2:
            return left[0] if left else None
        values = to_numpy(self.values)
        fresh = np.count_nonzero(values[left][:, ~np.any(values[self.chosen] != 0.0, axis=0)], axis=1)
        return self.weakest([i for i, count in zip(left, fresh, strict=True) if count == np.max(fresh)])

    def weakest(self, left: list[int]) -> int:
        """Return the candidate with the largest f^T (S + tau I)^-1 f: features that the Gram matrix has least of."""
        xp = namespace(self.values)
        F = xp.take(self.values, xp.asarray(left, device=device_of(self.values)), axis=0)
        if not self.chosen:
            return left[int(xp.argmax(xp.sum(F * F, axis=1)))]
        tau = max(1e-8, self.p * eps_of(F)) * float(xp.linalg.trace(self.gram)) / self.p
        unit = xp.eye(self.p, dtype=F.dtype, device=device_of(F))
        weak = CholeskyFactor(self.gram + tau * unit).solve(F.T)
        return left[int(xp.argmax(xp.sum(F * weak.T, axis=1)))]

    def complete(self) -> bool:
        """Whether M has rank p at a condition that its Gram matrix can bear."""
        xp = namespace(self.gram)
        few = len(self.chosen) * (int(self.map.d) + 1) < self.p
        if few or bool(xp.any(self._dead() & ~self._unused())):
            return False
        factor, self.condition = self._factored()
        if not self.condition <= _ROUGH and self.again_in_full():
            factor, self.condition = self._factored()
        self.factor = factor if self.condition <= _CONDITION else None
        self._was_complete |= self.factor is not None
        return self.factor is not None

    def _factored(self) -> tuple[CholeskyFactor | None, float]:
        """Return the factor of the Gram matrix of M, if it has one, and the condition of M."""
        try:
            factor = CholeskyFactor(self._without_unused())
        except ValueError:
            return None, float("inf")
        largest, smallest = factor.extremes()
        return factor, (largest / smallest) ** 0.5 if smallest > 0.0 else float("inf")

    def _dead(self) -> Array:
        """Return which features have no value and no derivative at any base."""
        return namespace(self.gram).linalg.diagonal(self.gram) <= 0.0

    def _lacked(self) -> Array:
        """Return which features the target does not have, up to rounding: among them those dead in all the data."""
        xp, sizes = namespace(self.target), namespace(self.target).max(abs(self.target), axis=0)
        return sizes <= self.p * eps_of(self.target) * xp.max(sizes)

    def _unused(self) -> Array:
        """Return which features are dead at all bases and are not needed."""
        return self._dead() & self._lacked()

    def _without_unused(self) -> Array:
        """Return the Gram matrix with 1 on the diagonal of features that the target lacks, so that they stay 0."""
        xp, unused = namespace(self.gram), self._unused()
        if not bool(xp.any(unused)):
            return self.gram
        one, dtype = float(xp.linalg.trace(self.gram)) / self.p, self.gram.dtype
        unit = xp.eye(self.p, dtype=dtype, device=device_of(self.gram))
        return self.gram + one * unit * xp.astype(unused, dtype)[None, :]

    def complete_in_span(self, rtol: float) -> bool:
        """Whether the target lies in the span of M to ``rtol`` where M has not rank p; keep as few bases as have it so.

        Features of a map may lie in a subspace, those of a linear last layer with few inputs say, and W of ridge
        regression lies in it too.
        """
        self.again_in_full()
        gram, span = self.gram, _Span(self.gram)
        if span.misses(self.target) > rtol:
            return False
        few, most = max(self.least, 1), len(self.chosen)
        while few < most:  # the span grows with the bases
            s = (few + most) // 2
            fewer = self._gram_of_first(s)
            of_fewer = _Span(fewer)
            if of_fewer.misses(self.target) <= rtol:
                gram, span, most = fewer, of_fewer, s
            else:
                few = s + 1
        self.factor, self.gram, self.condition, self._was_complete = span, gram, span.condition, True
        self.chosen, self.jacobians, self.scales = self.chosen[:most], self.jacobians[:most], self.scales[:most]
        return True

    def _gram_of_first(self, s: int) -> Array:
        """Return the Gram matrix of M for the first s bases."""
        gram: Array = 0.0
        for i, J, scale in zip(self.chosen[:s], self.jacobians, self.scales, strict=False):
            gram = gram + self._gram_of(i, J, scale)
        return gram

    def first(self) -> tuple[list[Array], list[Array]]:
        """Return the solution for what is to be carried, from which Newton's method starts."""
        return self.solve(self.target)

    def correction(self, R: Array, copies: list[list[Array]]) -> tuple[list[Array], list[Array]]:
        """Return the change of alpha_i and v_i for what copies (q, d) of each base, on one side or two, miss.

        It is that of the Jacobians of the bases, since these are factored; a step leaves some of what curvature does.
        """
        return self.solve(R)

    def solve(self, R: Array) -> tuple[list[Array], list[Array]]:
        """Return the least alpha_i (q,), v_i (q, d) with sum_i alpha_i phi(xi_i) + J(xi_i) v_i = r  for rows r of R."""
        if self.factor is None:
            raise ValueError("the bases are not complete")
        dual = self.factor.solve(R.T).T
        alpha = [c**2 * (dual @ self.values[i, :]) for i, c in zip(self.chosen, self.scales, strict=True)]
        return alpha, [dual @ J for J in self.jacobians]

    def rank(self) -> int:
        """Rank of M as its Gram matrix resolves it."""
        xp = namespace(self.gram)
        values = eigenvalues(self._without_unused())
        return int(xp.sum(xp.astype(values > values[-1] / _CONDITION**2, xp.int32)))

    def incomplete(self) -> InfeasibleError:
        """Return what is missing where these bases do not reach rank p."""
        xp = namespace(self.gram)
        dead = int(xp.sum(xp.astype(self._dead() & ~self._unused(), xp.int32)))
        rank = self.rank()
        return self._unreached(f"{rank} from {len(self.chosen)} of them", dead, rank)

    def _unreached(self, got: str, dead: int, rank: int) -> InfeasibleError:
        """Return which rank was had, and how many features are dead."""
        why = f"; {dead} feature{'s are' if dead > 1 else ' is'} 0 at all of them" if dead else ""
        return InfeasibleError(
            f"T22b: features and Jacobians of the references{self.whose} must have rank p = {self.p}, got {got}{why}; "
            "pass more references (about p / (d + 1) at least), or drop features that nothing activates",
            theorem="T22b",
            value=rank,
            limit=self.p,
        )


class _Span:
    """The span of a Gram matrix G = U diag(s) U^T without rank p, and its pseudo-inverse on it."""

    def __init__(self, gram: Array) -> None:
        values, vectors = eigh(gram)
        xp, p = namespace(values), values.shape[0]
        rank = int(xp.sum(xp.astype(values > max(p * eps_of(values), _CONDITION**-2) * values[-1], xp.int32)))
        self.values, self.vectors = values[p - rank :], vectors[:, p - rank :]

    @property
    def condition(self) -> float:
        """Condition of M on its span."""
        return math.sqrt(float(self.values[-1] / self.values[0]))

    def misses(self, rows: Array) -> float:
        """Return the part of rows (q, p) that lies outside, relative."""
        return norm(outside(self.vectors, rows.T)) / norm(rows)

    def solve(self, B: Array) -> Array:
        """Return G^+ B."""
        return self.vectors @ ((self.vectors.T @ B) / self.values[:, None])


def stored_bytes(phi: FeatureMap, like: Array) -> int:
    """Return the memory of the Jacobians of p / (d + 1) bases, of M's Gram matrix and its factor."""
    s = -(-phi.p // (phi.d + 1))
    return int(like.dtype.itemsize) * (s * phi.p * phi.d + 3 * phi.p**2)
