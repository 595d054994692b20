r"""A few real inputs and near copies of them that carry every W through a map that is not onto (T22b).

Let xi_1, ..., xi_s be base inputs whose features and Jacobians together have rank p: M = [phi(xi_i), J(xi_i)], a matrix
(p, s (d + 1)). Then each direction r_l of row(W), l = 1, ..., q, is

    r_l = sum_i alpha_il phi(xi_i) + J(xi_i) v_il,        the solution of least norm of one linear system,

and up to curvature the points xi_i + eps v_il have  (phi(xi_i + eps v_il) - phi(xi_i)) / eps = J(xi_i) v_il. Newton's
method with the same M (its Gram matrix is factored once, for all l) removes the curvature: it changes alpha and v until

    r_l = sum_i alpha_il phi(xi_i) + (phi(xi_i + eps v_il) - phi(xi_i)) / eps

holds to rounding. Then row(W) lies in the row space of the features of s (q + 1) points, s real ones and q near copies
of each, and T4 has their labels. eps is the largest for which the iteration converges.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from analytic_dd.arrays import Array, as_matrices, as_ridge, eps_of, namespace, norm
from analytic_dd.distill.distilled import DistilledFeatures
from analytic_dd.distill.intercept import labels_with_intercept
from analytic_dd.distill.spanning import spanning_features
from analytic_dd.errors import InfeasibleError, ShapeError
from analytic_dd.features import FeatureMap
from analytic_dd.features.function import as_feature_map
from analytic_dd.linalg import CholeskyFactor, row_basis

__all__ = ["LocalSpan", "near_copies"]

_CANDIDATES = 256  # inputs that are looked at: choosing costs n p^2 for each base
_CONDITION = 1e7  # of M: its Gram matrix has the square, and Newton mends what that loses
_STEPS, _TRIALS = 60, 10
_EXACT = 1e-11  # residual at which a smaller eps is not tried
_SPARE = 10  # bases beyond twice the count of T22b that are tried


@dataclass(frozen=True)
class LocalSpan(DistilledFeatures):
    """Base inputs and near copies of them.

    Attributes
    ----------
    inputs : (s (q + 1), d) array
        The s base inputs, then q near copies of each; ``features`` are phi of these, as they are.
    chosen : tuple of int
        Rows of the references that are the bases.
    copies : int
        q.
    largest_change : float
        Largest |near copy - base| of an entry, as a share of the range of the references.
    span_condition : float
        Condition of [phi(xi_i), J(xi_i)].
    """

    inputs: Array = None
    chosen: tuple[int, ...] = ()
    copies: int = 0
    largest_change: float = 0.0
    span_condition: float = 1.0

    def diagnostics(self) -> dict[str, Any]:
        """Return everything but the arrays, as JSON values."""
        names = ("copies", "largest_change", "span_condition")
        return super().diagnostics() | {"bases": len(self.chosen)} | {name: getattr(self, name) for name in names}


def near_copies(
    W: Array,
    feature_map: FeatureMap | Callable[[Array], Array],
    X_ref: Array,
    *,
    ridge: float = 0.0,
    largest_change: float = 0.01,
    intercept: Array | None = None,
    rtol: float | None = None,
) -> LocalSpan:
    r"""Distil ``W`` into s real inputs and q = rank W near copies of each, for any map with a Jacobian.

    Theorem: T22b (labels: T4; T12 with an intercept). The map need not be onto, p may exceed d; T9 is the case s = 1.

    Parameters
    ----------
    W : (k, p) array
        Weights to reproduce, not zero.
    feature_map : FeatureMap or callable
        Smooth or piecewise linear. A function on arrays has a Jacobian by central differences.
    X_ref : (n, d) array
        Real inputs to choose the bases from (the first 256 count): each next one is where the features and Jacobians so
        far are weakest, until they have rank p and the iteration converges.
    ridge : float
        lambda_s >= 0, absolute; the inputs do not depend on it.
    largest_change : float
        Bound on the change of an entry of a near copy, as a share of the range max(X_ref) - min(X_ref).
    intercept : (k,) array, optional
        Unpenalised intercept to reproduce.
    rtol : float, optional
        Error of W up to which the set counts as exact; default sqrt(eps).

    Returns
    -------
    LocalSpan
        s (q + 1) points; ``relative_error`` is |W (I - Phis^+ Phis)| / |W| of the features of the inputs as they are.

    Raises
    ------
    InfeasibleError
        T22b: the features and Jacobians of the references do not reach rank p (features that no reference activates, or
        too few references); or no near copies within ``largest_change`` determine W.
    ShapeError, TypeError, ValueError
        Sizes that do not fit; integers; NaN; W = 0; constant references.

    Notes
    -----
    *Cost.* s Jacobians, s p^2 d flops for the Gram matrix of M, p^3 / 3 for its factor; then s q features a step.
    Memory: the Jacobians, s p d. *Numerics.* The error of W is about eps_machine |phi| / eps: half the change is
    twice the error.

    Examples
    --------
    >>> import numpy as np
    >>> from analytic_dd.ridge import ridge_weights
    >>> rng = np.random.default_rng(0)
    >>> A, W = rng.standard_normal((30, 6)), rng.standard_normal((3, 30))
    >>> phi = lambda X: np.tanh(X @ A.T)  # p = 30 features of d = 6 inputs: not onto
    >>> built = near_copies(W, phi, rng.standard_normal((5, 6)), ridge=0.1)
    >>> Ws = ridge_weights(phi(built.inputs), built.labels, ridge=0.1)
    >>> len(built), bool(np.allclose(Ws, W, rtol=0, atol=1e-6))  # 5 (3 + 1) points; spanning needs 30
    (20, True)
    >>> near_copies(W, phi, rng.standard_normal((4, 6)))
    Traceback (most recent call last):
        ...
    analytic_dd.errors.InfeasibleError: T22b: features and Jacobians of the references must have rank p = 30, got 28 ...
    """
    W, X_ref = as_matrices(W=W, X_ref=X_ref)
    ridge, directions = as_ridge(ridge), row_basis(W)
    if directions.shape[0] == 0:
        raise ValueError("W is zero: any input with zero labels is exact, and no direction is distinguished")
    if intercept is not None and tuple(intercept.shape) != (W.shape[0],):
        raise ShapeError(f"intercept must have shape {(W.shape[0],)}, got {tuple(intercept.shape)}")
    phi = as_feature_map(feature_map, X_ref[:1, :])
    if (phi.d, phi.p) != (X_ref.shape[1], W.shape[1]):
        raise ShapeError(
            f"the map takes d = {phi.d} inputs to p = {phi.p} features; X_ref has {X_ref.shape[1]} columns, W has "
            f"{W.shape[1]}"
        )
    limit, spread = _limit(X_ref, largest_change)
    bases = _Bases(phi, X_ref, constant=intercept is not None)
    target = bases.lifted(directions, 0.0)
    rtol = eps_of(W) ** 0.5 if rtol is None else float(rtol)
    best = None
    while best is None or not best.relative_error <= rtol:
        if not bases.add():
            raise _missed(bases, best, rtol, largest_change)
        if bases.complete():
            copies, change = _copies(bases, target, limit)
            best = _described(bases, W, copies, change / spread, ridge, intercept)
    return best


def _limit(X_ref: Array, share: float) -> tuple[float, float]:
    """The largest change in units of inputs, and the range of the references."""
    xp = namespace(X_ref)
    spread = float(xp.max(X_ref) - xp.min(X_ref))
    if not 0.0 < share < float("inf"):
        raise ValueError(f"largest_change must be finite and > 0, got {share}; it is a share of the range of X_ref")
    if spread == 0.0:
        raise ValueError("X_ref is constant: there is no range to take a share of; pass real inputs")
    return share * spread, spread


class _Bases:
    """Base inputs, the Gram matrix of M = [c_i phi(xi_i), J(xi_i)], and its factor once M has rank p.

    c_i makes the features as long as an average column of the Jacobian: alpha costs nothing, v moves an input.
    """

    def __init__(self, phi: FeatureMap, X_ref: Array, *, constant: bool) -> None:
        self.map, self.constant = phi, constant
        self.candidates = X_ref[: min(_CANDIDATES, X_ref.shape[0]), :]
        self.values = self.phi(self.candidates)
        self.chosen: list[int] = []
        self.jacobians: list[Array] = []
        self.scales: list[float] = []
        self.gram: Array = 0.0
        self.factor: CholeskyFactor | None = None
        self.condition = float("inf")

    @property
    def p(self) -> int:
        """Number of features, the constant one included."""
        return int(self.values.shape[1])

    def lifted(self, A: Array, value: float) -> Array:
        """Rows with the constant feature of a model with an intercept."""
        return namespace(A).concat([A, 0.0 * A[:, :1] + value], axis=1) if self.constant else A

    def phi(self, X: Array) -> Array:
        """Features, with a constant one where there is an intercept."""
        return self.lifted(self.map(X), 1.0)

    def add(self) -> bool:
        """Take the candidate whose features are weakest so far; False when none is left, or more do not help."""
        count = len(self.chosen)
        most = 2 * (-(-self.p // (int(self.map.d) + 1))) + _SPARE
        left = [i for i in range(self.values.shape[0]) if i not in self.chosen]
        if not left or count >= most:
            return False
        i = left[0] if len(left) == 1 else self._weakest(left)
        x, xp = self.candidates[i : i + 1, :], namespace(self.values)
        J, f = self.lifted(self.map.jacobian(x).T, 0.0).T, self.values[i, :]
        scale = norm(J) / J.shape[1] ** 0.5 / (norm(f[None, :]) or 1.0)
        self.chosen.append(i)
        self.jacobians.append(J)
        self.scales.append(scale or 1.0)
        self.gram = self.gram + J @ J.T + (self.scales[-1] ** 2) * (f[:, None] * f[None, :])
        self.gram = 0.5 * (self.gram + xp.matrix_transpose(self.gram))
        return True

    def _weakest(self, left: list[int]) -> int:
        """The candidate with the largest f^T (S + tau I)^-1 f."""
        xp = namespace(self.values)
        F = xp.take(self.values, xp.asarray(left, device=getattr(self.values, "device", None)), axis=0)
        if not self.chosen:
            return left[int(xp.argmax(xp.sum(F * F, axis=1)))]
        tau = 1e-8 * float(xp.linalg.trace(self.gram)) / self.p
        unit = xp.eye(self.p, dtype=F.dtype, device=getattr(F, "device", None))
        weak = CholeskyFactor(self.gram + tau * unit).solve(F.T)
        return left[int(xp.argmax(xp.sum(F * weak.T, axis=1)))]

    def complete(self) -> bool:
        """Whether M has rank p at a condition that its Gram matrix can bear."""
        if len(self.chosen) * (int(self.map.d) + 1) < self.p:
            return False
        try:
            self.factor = CholeskyFactor(self.gram)
        except ValueError:
            return False
        largest, smallest = self.factor.extremes()
        self.condition = (largest / smallest) ** 0.5 if smallest > 0.0 else float("inf")
        return self.condition <= _CONDITION

    def rank(self) -> int:
        """Rank of M as its Gram matrix resolves it."""
        xp = namespace(self.gram)
        values = xp.linalg.eigvalsh(self.gram)
        return int(xp.sum(xp.astype(values > values[-1] / _CONDITION**2, xp.int32)))

    def solve(self, R: Array) -> tuple[list[Array], list[Array]]:
        """The least alpha_i (q,) and v_i (q, d) with  sum_i alpha_i phi(xi_i) + J(xi_i) v_i = r  for rows r of R."""
        if self.factor is None:
            raise ValueError("the bases are not complete")
        dual = self.factor.solve(R.T).T
        alpha = [c**2 * (dual @ self.values[i, :]) for i, c in zip(self.chosen, self.scales, strict=True)]
        return alpha, [dual @ J for J in self.jacobians]


def _copies(bases: _Bases, target: Array, limit: float) -> tuple[list[Array], float]:
    """Near copies (q, d) of each base, with the least residual over eps; and their largest change."""
    xp = namespace(target)
    first = bases.solve(target)
    reach = xp.stack([xp.max(xp.abs(v), axis=1) for v in first[1]])
    eps = 0.5 * limit / xp.max(reach, axis=0)[:, None]
    best: tuple[float, list[Array], float] = (float("inf"), [], 0.0)
    for _ in range(_TRIALS):
        found = _iterated(bases, target, first, eps, limit)
        if found[0] >= best[0] and best[0] < 1e-3:
            break  # a smaller eps has more rounding
        best = min(best, found, key=lambda tried: tried[0])
        if best[0] <= _EXACT:
            break
        eps = 0.25 * eps
    return best[1], best[2]


def _iterated(
    bases: _Bases, target: Array, first: tuple[list[Array], list[Array]], eps: Array, limit: float
) -> tuple[float, list[Array], float]:
    """Newton's method with the same M from the linear solution: the residual, the near copies, their largest change."""
    xp = namespace(target)
    alpha, v = first
    roots = [bases.candidates[i : i + 1, :] for i in bases.chosen]
    best: tuple[float, list[Array], float] = (float("inf"), [], 0.0)
    for _ in range(_STEPS):
        moves = [eps * v_i for v_i in v]
        change = max(float(xp.max(xp.abs(move))) for move in moves)
        if change > limit:
            break
        copies = [x + move for x, move in zip(roots, moves, strict=True)]
        reached = 0.0 * target
        for i, a, X in zip(bases.chosen, alpha, copies, strict=True):
            f = bases.values[i : i + 1, :]
            reached = reached + a[:, None] * f + (bases.phi(X) - f) / eps
        missing = target - reached
        residual = norm(missing) / norm(target)
        if not residual < 0.9 * best[0]:
            break
        best = (residual, copies, change)
        more = bases.solve(missing)
        alpha = [one + other for one, other in zip(alpha, more[0], strict=True)]
        v = [one + other for one, other in zip(v, more[1], strict=True)]
    return best


def _described(
    bases: _Bases, W: Array, copies: list[Array], change: float, ridge: float, intercept: Array | None
) -> LocalSpan | None:
    """The set with its labels, and the error of W on the features of its inputs as they are; None without copies."""
    if not copies:
        return None
    xp = namespace(W)
    inputs = xp.concat([*(bases.candidates[i : i + 1, :] for i in bases.chosen), *copies], axis=0)
    Phis = bases.map(inputs)
    # an explicit cut-off is silent: near copies are nearly dependent by design, and the error is the judge
    cutoff = max(Phis.shape) * eps_of(Phis)
    built = spanning_features(W, Phis, ridge=ridge, rcond=cutoff)
    values = {field.name: getattr(built, field.name) for field in fields(built)} | {"theorem": "T22b"}
    if intercept is not None:
        seen = spanning_features(W, Phis - xp.mean(Phis, axis=0)[None, :], ridge=ridge, rcond=cutoff)
        values["labels"] = labels_with_intercept(Phis, W, intercept, ridge=ridge)
        values["relative_error"] = seen.relative_error
    return LocalSpan(
        **values,
        inputs=inputs,
        chosen=tuple(bases.chosen),
        copies=int(copies[0].shape[0]),
        largest_change=change,
        span_condition=bases.condition,
    )


def _missed(bases: _Bases, best: LocalSpan | None, rtol: float, share: float) -> InfeasibleError:
    """What is missing: rank, or nearness."""
    if best is None and bases.factor is None:
        rank, dead = bases.rank(), int(bases.p - _active(bases))
        why = f"; {dead} features are 0 at all of them" if dead else ""
        return InfeasibleError(
            f"T22b: features and Jacobians of the references must have rank p = {bases.p}, got {rank} from "
            f"{len(bases.chosen)} of them{why}; pass more references (about p / (d + 1) at least), or drop features "
            "that nothing activates",
            theorem="T22b",
            value=rank,
            limit=bases.p,
        )
    error = float("inf") if best is None else best.relative_error
    return InfeasibleError(
        f"T22b: near copies must determine W, got a relative error of {error:.2g} (limit {rtol:.2g}) within "
        f"{100 * share:.3g} % of the range from {len(bases.chosen)} references; allow a larger change, or pass more "
        "references",
        theorem="T22b",
        value=error,
        limit=rtol,
    )


def _active(bases: _Bases) -> int:
    """Number of features with a derivative or a value at some base."""
    xp = namespace(bases.gram)
    return int(xp.sum(xp.astype(xp.linalg.diagonal(bases.gram) > 0.0, xp.int32)))
