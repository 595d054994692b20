r"""A few real inputs and near copies of them that carry every W through a map that is not onto (T22b).

Let xi_1, ..., xi_s be base inputs whose features and Jacobians together have rank p: M = [phi(xi_i), J(xi_i)], a matrix
(p, s (d + 1)). Then each direction r_l of row(W), l = 1, ..., q, is

    r_l = sum_i alpha_il phi(xi_i) + J(xi_i) v_il,        the solution of least norm of one linear system,

and up to curvature the points xi_i + eps v_il have  (phi(xi_i + eps v_il) - phi(xi_i)) / eps = J(xi_i) v_il. Newton's
method with the same M (its Gram matrix is factored once, for all l; Anderson's method combines its last steps) removes
the curvature: it changes alpha and v until

    r_l = sum_i alpha_il phi(xi_i) + (phi(xi_i + eps v_il) - phi(xi_i)) / eps

holds to rounding. Then row(W) lies in the row space of the features of s (q + 1) points, s real ones and q near copies
of each, and T4 has their labels. eps is the largest for which the iteration converges.

Pairs xi_i +- eps v_i carry a row of W without the real points themselves: the mean of a pair is phi(xi_i), half its
difference eps J(xi_i) v_i, both up to eps^2. So each row may have bases of a class of its own, 2 s points a row.

Where all features of a map lie in a subspace, as those of a wide linear last layer do, so do the columns of M, and W of
ridge regression: rank M of the subspace is enough.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from analytic_dd.arrays import Array, as_matrices, as_ridge, device_of, eps_of, namespace, norm
from analytic_dd.distill.bases import Bases, stored_bytes
from analytic_dd.distill.chord_newton import copies_of
from analytic_dd.distill.distilled import DistilledFeatures
from analytic_dd.distill.intercept import labels_with_intercept
from analytic_dd.distill.products import ProductBases
from analytic_dd.distill.spanning import spanning_features
from analytic_dd.errors import InfeasibleError, ShapeError, unknown_word
from analytic_dd.features import FeatureMap
from analytic_dd.features.function import as_feature_map
from analytic_dd.linalg import row_basis
from analytic_dd.memory import memory

__all__ = ["JACOBIANS", "LocalSpan", "near_copies"]

JACOBIANS = ("auto", "stored", "products")


@dataclass(frozen=True)
class LocalSpan(DistilledFeatures):
    """Base inputs and near copies of them.

    Attributes
    ----------
    inputs : (m, d) array
        The s base inputs, then q near copies of each; or pairs. ``features`` are phi of these, as they are.
    roots : (m,) int array
        The row of the references that each input is, or is a near copy of.
    chosen : tuple of int
        The rows of the references that are bases, in the order of choice.
    copies : int
        q; of pairs 2.
    largest_change : float
        Largest |near copy - base| of an entry, as a share of its range.
    span_condition : float
        Condition of [phi(xi_i), J(xi_i)]; the largest of the rows, for pairs. With products it is what LSMR estimates
        of the preconditioned matrix.
    jacobians : {"stored", "products"}
        How the Jacobians were had.
    """

    inputs: Array = None
    roots: Any = None
    chosen: tuple[int, ...] = ()
    copies: int = 0
    largest_change: float = 0.0
    span_condition: float = 1.0
    jacobians: str = "stored"

    def diagnostics(self) -> dict[str, Any]:
        """Return everything but the arrays, as JSON values."""
        names = ("copies", "largest_change", "span_condition", "jacobians")
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
    bases: int = 1,
    ranges: Array | None = None,
    classes: Any = None,
    candidates: int = 256,
    jacobians: str = "auto",
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
        Real inputs to choose the bases from: each next one is where the features and Jacobians so far are weakest,
        until they have rank p and the iteration converges.
    ridge : float
        lambda_s >= 0, absolute; the inputs do not depend on it.
    largest_change : float
        Bound on the change of an entry of a near copy, as a share of its range.
    intercept : (k,) array, optional
        Unpenalised intercept to reproduce.
    rtol : float, optional
        Error of W up to which the set counts as exact; default sqrt(eps).
    bases : int
        Least number of bases: more of them have a better condition.
    ranges : (d,) array, optional
        The range of each entry of an input; by default that of all of ``X_ref``.
    classes : (n,) int array, optional
        The row of W that each reference belongs to. Row l is then carried by pairs xi +- eps v of references of class
        l alone: 2 s points for each row.
    candidates : int
        So many of ``X_ref`` are looked at, the first ones (of each class for pairs): choosing takes n p^2 a base.
    jacobians : {"auto", "stored", "products"}
        ``stored`` forms the Jacobians and a p x p matrix; ``products`` solves by LSMR with ``jvp`` and ``vjp`` of the
        map, which takes little memory and more time. ``auto`` stores what fits into half of the machine's memory.

    Returns
    -------
    LocalSpan
        s (q + 1) points, or 2 s k for pairs; ``relative_error`` is |W (I - Phis^+ Phis)| / |W| of the features of the
        inputs as they are.

    Raises
    ------
    InfeasibleError
        T22b: the features and Jacobians of the references do not reach rank p (features that no reference activates, or
        too few references), nor has their span W; or no near copies within ``largest_change`` determine W.
    MemoryError
        p^2 and s p d numbers exceed the memory of the machine.
    ShapeError, TypeError, ValueError
        Sizes that do not fit; integers; NaN; W = 0; constant references.

    Notes
    -----
    *Cost.* s Jacobians, s p^2 d flops for the Gram matrix of M, p^3 / 3 for its factor; then s q features a step.
    Memory: the Jacobians, s p d. Pairs take that for each row. With products: 2 s products of q rows a step of LSMR,
    and some 200 p numbers. *Numerics.* The error of W is about eps_machine |phi| / eps: half the change is twice the
    error. Jacobians of a torch module that was made in float32 are taken in float32 while the condition of M admits
    it: steps mend what they lack, and where they do not, the Jacobians are taken once more in the dtype of the inputs.

    Examples
    --------
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
    kind = _kind(phi, X_ref, jacobians)
    wanted = _Wanted(_limits(X_ref, largest_change, ranges), eps_of(W) ** 0.5 if rtol is None else float(rtol))
    parts = []
    for rows, members in _groups(W, directions, len(X_ref), classes, candidates):
        whose = "" if classes is None else f" of class {classes[members[0]]}"
        near = kind(phi, _rows(X_ref, members), rows, constant=intercept is not None, least=bases, whose=whose)
        carried = W if classes is None else rows
        parts.append(_carried(near, carried, members, wanted, largest_change, pairs=classes is not None))
    built = _described(W, parts, ridge, intercept, largest_change)
    if not built.relative_error <= wanted.rtol:  # what each part carries, rounding may hide in all of them
        raise _too_far(built.relative_error, len(built.chosen), wanted, largest_change)
    return replace(built, jacobians="stored" if kind is Bases else "products")


def _kind(phi: FeatureMap, X_ref: Array, jacobians: str) -> type[Bases]:
    """Return how Jacobians are computed."""
    if jacobians not in JACOBIANS:
        raise ValueError(unknown_word("jacobians", jacobians, JACOBIANS))
    fits = 2 * stored_bytes(phi, X_ref) <= memory()
    return Bases if jacobians == "stored" or (jacobians == "auto" and fits) else ProductBases


@dataclass(frozen=True)
class _Wanted:
    """How far an entry may move (d,), and the error of W that counts as exact."""

    limits: Array
    rtol: float


@dataclass(frozen=True)
class _Part:
    """Inputs that carry some rows, the references that they are copies of, their change as a share of the limit."""

    inputs: Array
    features: Array
    roots: np.ndarray
    chosen: tuple[int, ...]
    copies: int
    change: float
    condition: float
    error: float


def _groups(W: Array, directions: Array, n: int, classes: Any, most: int) -> list[tuple[Array, np.ndarray]]:
    """Return the rows that are carried together, and the references that may carry them."""
    if classes is None:
        return [(directions, np.arange(min(most, n)))]
    y = np.asarray(classes)
    if y.shape != (n,) or y.dtype.kind not in "iu":
        raise ShapeError(f"classes must be {n} integers, the row of W of each reference, got shape {y.shape}")
    members = [np.flatnonzero(y == row)[:most] for row in range(W.shape[0])]
    alone = [row for row, some in enumerate(members) if not len(some)]
    if alone:
        raise ValueError(f"each row of W needs references of its own class, got none for row {alone[0]}; add some")
    return [(W[row : row + 1, :], some) for row, some in enumerate(members) if norm(W[row : row + 1, :]) > 0.0]


def _rows(A: Array, rows: np.ndarray) -> Array:
    xp = namespace(A)
    return xp.take(A, xp.asarray(rows, device=device_of(A)), axis=0)


def _limits(X_ref: Array, share: float, ranges: Array | None) -> Array:
    """Return the largest change of each entry, in units of inputs."""
    xp = namespace(X_ref)
    if not 0.0 < share < float("inf"):
        raise ValueError(f"largest_change must be finite and > 0, got {share}; it is a share of the range of X_ref")
    spread = float(xp.max(X_ref) - xp.min(X_ref))
    if spread == 0.0:
        raise ValueError("X_ref is constant: there is no range to take a share of; pass real inputs")
    every = 0.0 * X_ref[0, :]
    if ranges is None:
        return every + share * spread
    if tuple(ranges.shape) != (X_ref.shape[1],) or not bool(xp.all(ranges > 0.0)):
        raise ShapeError(f"ranges must be {X_ref.shape[1]} numbers > 0, got shape {tuple(ranges.shape)}")
    return every + share * xp.asarray(ranges, dtype=X_ref.dtype, device=device_of(X_ref))


def _carried(bases: Bases, W: Array, members: np.ndarray, wanted: _Wanted, share: float, *, pairs: bool) -> _Part:
    """Return points that carry these rows of W to within ``rtol``, from as few bases as do."""
    best = None
    while best is None or not best.error <= wanted.rtol:
        if bases.reached and bases.again_in_full():  # what float32 lacks may be what steps could not mend
            if not bases.complete():
                continue
        elif not bases.add():
            if bases.reached:
                error = float("inf") if best is None else best.error
                raise _too_far(error, len(bases.chosen), wanted, share)
            if not bases.complete_in_span(wanted.rtol):
                raise bases.incomplete()
        elif len(bases.chosen) < bases.least or not bases.complete():
            continue
        sides, change = copies_of(bases, wanted.limits, 2 if pairs else 1, rtol=wanted.rtol)
        if sides:
            best = _part(bases, W, members, sides, change)
    return best


def _part(bases: Bases, W: Array, members: np.ndarray, sides: list[list[Array]], change: float) -> _Part:
    """Near copies with the bases themselves, or pairs without them; and what of W their features miss."""
    xp, q = namespace(W), int(sides[0][0].shape[0])
    chosen = members[np.asarray(bases.chosen)]
    roots = np.repeat(chosen, q)
    if len(sides) == 2:
        inputs, roots = xp.concat([*sides[0], *sides[1]], axis=0), np.tile(roots, 2)
    else:
        inputs = xp.concat([_rows(bases.candidates, np.asarray(bases.chosen)), *sides[0]], axis=0)
        roots = np.concatenate([chosen, roots])
    Phis = bases.phi(inputs)
    # an explicit cut-off is silent: near copies are nearly dependent by design, and the error is the judge
    error = spanning_features(bases.lifted(W, 0.0), Phis, rcond=max(Phis.shape) * eps_of(Phis)).relative_error
    return _Part(inputs, Phis, roots, tuple(int(i) for i in chosen), q * len(sides), change, bases.condition, error)


def _described(W: Array, parts: list[_Part], ridge: float, intercept: Array | None, share: float) -> LocalSpan:
    """Return the set with its labels, and the error of W on the features of its inputs as they are."""
    xp = namespace(W)
    inputs = xp.concat([part.inputs for part in parts], axis=0)
    Phis = xp.concat([part.features for part in parts], axis=0)[:, : W.shape[1]]  # without the constant feature
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
        roots=np.concatenate([part.roots for part in parts]),
        chosen=tuple(i for part in parts for i in part.chosen),
        copies=parts[0].copies,
        largest_change=share * max(part.change for part in parts),
        span_condition=max(part.condition for part in parts),
    )


def _too_far(error: float, bases: int, wanted: _Wanted, share: float) -> InfeasibleError:
    """No near copies of bases that do reach rank p."""
    return InfeasibleError(
        f"T22b: near copies must determine W, got a relative error of {error:.2g} (limit {wanted.rtol:.2g}) within "
        f"{100 * share:.3g} % of the range from {bases} references; allow a larger change, or pass more "
        "references",
        theorem="T22b",
        value=error,
        limit=wanted.rtol,
    )
