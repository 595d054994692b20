r"""A memory for data that come later, or must be forgotten (T23).

Let W be the model of the data at ridge lam and M = (G + lam I)^-1. New samples with features B V^T in the span of the
columns of V (p, r) and labels Y_n change the model to

    W' = W + (Y_n^T B - W V S) V^T M',    V^T M' = (I + (V^T M V) S)^-1 V^T M,    S = B^T B

(Woodbury), so W and X = M V are all that any future in span V can ask for. A set answers every such future as the data
do iff its own W and its own M V are those of the data:

    Phis^T Phis X = V - lam X =: Z,     and ridge regression on it gives W.

Such a set of rank [Z^T; W] = rank [V^T M G; W] <= r + q points, and no fewer, is

    Phis = [(X^T Z)^(+1/2) Z^T ; c N],   N an orthonormal basis of the rows of W - W X (X^T Z)^+ Z^T,   N X = 0,

with the labels of T4 for W: the first rows give Phis^T Phis X = Z, the others are blind to X and complete row(W).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from analytic_dd.arrays import Array, as_matrices, as_matrix, as_ridge, device_of, eps_of, in_double, namespace, norm
from analytic_dd.distill.column_space import Data, column_space
from analytic_dd.distill.distilled import FeatureSet
from analytic_dd.errors import InfeasibleError, ShapeError
from analytic_dd.labels import labels_for
from analytic_dd.linalg import eigenvalues, eigh, row_basis, thin_svd
from analytic_dd.ridge import ridge_weights

__all__ = ["FutureSet", "future_points", "future_set", "merge_sets", "update"]

_WITHIN = 1e-8  # relative part of new features outside the subspace that is taken for rounding, and 100 eps


@dataclass(frozen=True)
class FutureSet(FeatureSet):
    """A set that gives the model of all data, now and after any samples with features in a subspace come or go.

    Attributes
    ----------
    ridge : float
        lambda, of the data and of every later model.
    subspace : (p, r) array
        V, orthonormal columns.
    weights : (k, p) array
        W, the model of the data so far.
    theorem : str
    """

    subspace: Array
    weights: Array
    theorem: str = "T23b"


def future_set(stats: Data, subspace: Array, *, ridge: float) -> FutureSet:
    r"""Build a set that stands for the data in every future whose features lie in a subspace.

    Ridge regression on this set *together with* new samples is that on all data with the new samples, exactly; new
    classes (columns of labels that are 0 so far) included. The k-point set of T4 fixes the present model only.

    Theorem: T23b. With the features of f named samples as ``subspace`` any of them can be forgotten (T23c).

    Parameters
    ----------
    stats : GramStatistics, Sums or a pair (Phi, Y)
    subspace : (p, r) array
        Its columns span the features of what is to come: principal directions of such data, say.
    ridge : float
        lambda > 0.

    Returns
    -------
    FutureSet
        rank [V^T M G; W] points, at most r + k.

    Raises
    ------
    InfeasibleError
        T23b: ridge = 0, where the set would have to hold G itself on the subspace.
    ShapeError, TypeError, ValueError
        Sizes that do not fit; a subspace of rank 0.

    Notes
    -----
    *Cost.* An SVD of Phi (or an eigendecomposition of G) and SVDs of (p, r) and (k, p). *Numerics.* Errors of the later
    models: eps (s_1^2 + ridge) / ridge.

    Examples
    --------
    >>> import numpy as np
    >>> from analytic_dd.ridge import ridge_weights
    >>> rng = np.random.default_rng(0)
    >>> Phi, Y, V = rng.standard_normal((40, 9)), rng.standard_normal((40, 2)), rng.standard_normal((9, 3))
    >>> memory = future_set((Phi, Y), V, ridge=1.0)
    >>> new, answers = rng.standard_normal((50, 3)) @ V.T, rng.standard_normal((50, 2))
    >>> both = [np.vstack(pair) for pair in ((memory.features, new), (memory.labels, answers))]
    >>> W = ridge_weights(np.vstack([Phi, new]), np.vstack([Y, answers]), ridge=1.0)
    >>> len(memory), bool(np.allclose(ridge_weights(*both, ridge=1.0), W, rtol=0, atol=1e-13))
    (5, True)
    >>> future_set((Phi, Y), 0.0 * V, ridge=1.0)
    Traceback (most recent call last):
        ...
    ValueError: the subspace has rank 0: no sample but 0 lies in it; give directions of what is to come
    """
    ridge = as_ridge(ridge)
    if ridge == 0.0:
        raise InfeasibleError(
            "T23b: ridge = 0 has no inverse of G + ridge I to keep; take ridge > 0, or sufficient_set (T25)",
            theorem="T23b",
            value=0.0,
            limit=0.0,
        )
    space = column_space(stats)
    V = _basis(subspace, space.p)
    gain = 1.0 / (space.s**2 + ridge)
    W = ((space.labels.T * space.s) * gain) @ space.Vt
    inside = space.Vt @ V
    X = (V - space.Vt.T @ inside) / ridge + space.Vt.T @ (gain[:, None] * inside)
    Z = space.Vt.T @ ((space.s**2 * gain)[:, None] * inside)  # V - ridge X without the cancellation
    Phis, Ys = future_points(W, X, Z, ridge)
    return _stored(Phis, Ys, ridge, V, W, dtype=space.dtype, theorem="T23b")


def update(distilled: Any, Phi: Array, Y: Array, *, sign: int = 1) -> FutureSet:
    r"""Return the set after new samples came (``sign=+1``) or samples of the data were forgotten (``sign=-1``).

    The new set stands for the data with (without) these samples, in every future in the same subspace; its ``weights``
    are their model:

        W' = W + sign (Y^T B - W V S) (I + sign (V^T M V) S)^-1 V^T M,     Phi = B V^T,   S = B^T B

    Theorem: T23a, T23b (new samples), T23c (forgotten ones).

    Parameters
    ----------
    distilled : FutureSet
        Or any set with ``features``, ``labels``, ``ridge`` and ``subspace``; only these are used.
    Phi : (n, p) array
        Features in the span of the subspace.
    Y : (n, k') array
        Labels; k' > k adds classes, whose earlier labels were 0.
    sign : {+1, -1}

    Returns
    -------
    FutureSet

    Raises
    ------
    InfeasibleError
        T23b: features outside of the subspace. T23c: samples to be forgotten that the data cannot hold.
    ShapeError, TypeError, ValueError
        Sizes that do not fit; another sign.

    Notes
    -----
    *Cost.* Solutions with the (m, m) matrix of the set and (r, r) ones; nothing (p, p) is formed.

    Examples
    --------
    >>> import numpy as np
    >>> from analytic_dd.ridge import ridge_weights
    >>> rng = np.random.default_rng(0)
    >>> Phi, Y = rng.standard_normal((40, 9)), rng.standard_normal((40, 2))
    >>> memory = future_set((Phi, Y), Phi[:4].T, ridge=1.0)  # the first four samples may have to go
    >>> forgotten = update(memory, Phi[1:3], Y[1:3], sign=-1)
    >>> W = ridge_weights(np.delete(Phi, [1, 2], axis=0), np.delete(Y, [1, 2], axis=0), ridge=1.0)
    >>> bool(np.allclose(forgotten.weights, W, rtol=0, atol=1e-13))
    True
    >>> update(memory, Phi[10:11], Y[10:11], sign=-1)
    Traceback (most recent call last):
        ...
    analytic_dd.errors.InfeasibleError: T23b: 83.9 % of the norm of the new features lies outside the subspace of ...
    """
    if sign not in (1, -1):
        raise ValueError(f"sign must be +1 (new samples) or -1 (forgotten ones), got {sign!r}")
    if getattr(distilled, "subspace", None) is None:
        raise TypeError(
            "the set has no subspace: it fixes the present model only, or an older version stored it; build it with "
            "future_set or Future() (T23b)"
        )
    if not hasattr(distilled, "features"):
        raise TypeError(f"a {type(distilled).__name__} has inputs of a map; analytic_dd.update takes it")
    Phi, Y = as_matrices(Phi=Phi, Y=Y)
    ridge, dtype = float(distilled.ridge), distilled.features.dtype
    V, Phis, Ys = (in_double(A) for A in (distilled.subspace, distilled.features, distilled.labels))
    B = _coordinates(in_double(Phi), V, limit=max(_WITHIN, 100.0 * eps_of(Phi), 100.0 * eps_of(distilled.subspace)))
    Ys, answers = _same_classes(Ys, in_double(Y))
    if answers.shape[0] != B.shape[0]:
        raise ShapeError(f"Phi and Y must have the same number of rows, got {B.shape[0]} and {answers.shape[0]}")
    X, Z = _inverse_times(Phis, V, ridge)
    W = ridge_weights(Phis, Ys, ridge=ridge)
    S = B.T @ B
    if sign < 0:
        _require_held(S, V.T @ X)
    xp = namespace(V)
    unit = xp.eye(S.shape[0], dtype=S.dtype, device=device_of(S))
    inverse = xp.linalg.inv(unit + sign * (S @ (V.T @ X)))
    gap = answers.T @ B - (W @ V) @ S
    X = X @ inverse
    W = W + sign * (gap @ X.T)
    Z = Z @ inverse + sign * (V @ (S @ (V.T @ X)))  # V - ridge X'
    Phis, Ys = future_points(W, X, Z, ridge)
    return _stored(Phis, Ys, ridge, V, W, dtype=dtype, theorem="T23b" if sign > 0 else "T23c")


def merge_sets(sets: Sequence[FutureSet]) -> FutureSet:
    r"""Merge the sets of several holders into one that stands for all their data, without the data.

    The set of a holder whose features lie in span V has the sums of his data: with G = V S V^T it is G_s = G and
    C_s = C. So his points are to the first holder's set what his samples are, :func:`update` by them is exact, and the
    merged set answers every later future in the same subspace. The k-point sets of T4 do not merge.

    Theorem: T23d.

    Parameters
    ----------
    sets : sequence of FutureSet
        On a common subspace, at one ridge. The data of the first may be any, those of the others lie in the subspace;
        projected on the leading directions of all data they do.

    Raises
    ------
    InfeasibleError
        T23d: subspaces or points that lie outside of the first subspace, with the part that does.
    ValueError, TypeError
        No sets; different ridges; sets without a subspace.

    Examples
    --------
    >>> import numpy as np
    >>> from analytic_dd.ridge import ridge_weights
    >>> rng = np.random.default_rng(0)
    >>> V = np.linalg.qr(rng.standard_normal((9, 3))).Q
    >>> holders = [(rng.standard_normal((n, 3)) @ V.T, rng.standard_normal((n, 2))) for n in (40, 25, 60)]
    >>> merged = merge_sets([future_set(data, V, ridge=1.0) for data in holders])
    >>> Phi, Y = (np.vstack(parts) for parts in zip(*holders))
    >>> len(merged), bool(np.allclose(merged.weights, ridge_weights(Phi, Y, ridge=1.0), rtol=0, atol=1e-13))
    (3, True)
    """
    if not len(sets):
        raise ValueError("merging needs at least one set, got none")
    first, *others = sets
    for place, one in enumerate(others, start=1):
        if not hasattr(one, "subspace"):
            raise TypeError(f"set {place} has no subspace: it fixes a model only; build it with future_set (T23d)")
        if one.ridge != first.ridge:
            raise ValueError(f"all sets must have one ridge, got {first.ridge:g} and {one.ridge:g} (set {place})")
        for what, rows in (("subspace", one.subspace.T), ("points", one.features)):
            _require_inside(first.subspace, rows, f"the {what} of set {place}")
        first = update(first, one.features, one.labels)
    return replace(first, theorem="T23d")


def _require_inside(subspace: Array, rows: Array, what: str) -> None:
    V, A = in_double(subspace), in_double(rows)
    limit = max(_WITHIN, 100.0 * eps_of(subspace), 100.0 * eps_of(rows))
    outside = norm(A - (A @ V) @ V.T) / (norm(A) or 1.0) if A.shape[1] == V.shape[0] else 1.0
    if outside > limit:
        raise InfeasibleError(
            f"T23d: {100.0 * outside:.3g} % of the norm of {what} lies outside the subspace of set 0; all sets must be "
            "made on a common subspace, which holds the data of all but the first",
            theorem="T23d",
            value=outside,
            limit=limit,
        )


def _stored(Phis: Array, Ys: Array, ridge: float, V: Array, W: Array, *, dtype: Any, theorem: str) -> FutureSet:
    """Return the set in the dtype of the data."""
    Phis, Ys, V, W = (namespace(A).astype(A, dtype) for A in (Phis, Ys, V, W))
    return FutureSet(Phis, Ys, ridge, V, W, theorem)


def _basis(subspace: Array, p: int) -> Array:
    """Orthonormal columns (p, r) that span those of ``subspace``."""
    as_matrix(subspace, "subspace", rows=p)
    V = in_double(subspace)
    if norm(V) == 0.0:
        raise ValueError("the subspace has rank 0: no sample but 0 lies in it; give directions of what is to come")
    return row_basis(V.T).T


def _coordinates(Phi: Array, V: Array, *, limit: float) -> Array:
    """B with Phi = B V^T."""
    if Phi.shape[1] != V.shape[0]:
        raise ShapeError(f"Phi must have {V.shape[0]} columns, got {Phi.shape[1]}")
    B = Phi @ V
    outside = norm(Phi - B @ V.T) / (norm(Phi) or 1.0)
    if outside > limit:
        raise InfeasibleError(
            f"T23b: {100.0 * outside:.3g} % of the norm of the new features lies outside the subspace of the set; "
            "build the set again with a subspace that holds them",
            theorem="T23b",
            value=outside,
            limit=limit,
        )
    return B


def _same_classes(old: Array, new: Array) -> tuple[Array, Array]:
    """Return both labels with as many columns as the wider of them: what was not there is 0."""
    xp, k = namespace(old, new), max(old.shape[1], new.shape[1])

    def padded(A: Array) -> Array:
        missing = k - int(A.shape[1])
        return xp.concat([A, *([0.0 * A[:, :1]] * missing)], axis=1)

    return padded(old), padded(new)


def _inverse_times(Phis: Array, V: Array, ridge: float) -> tuple[Array, Array]:
    """X = (Phis^T Phis + ridge I)^-1 V and Z = V - ridge X."""
    spectrum = thin_svd(Phis, rcond=0.0)
    inside, s = spectrum.Vt @ V, spectrum.s
    X = (V - spectrum.Vt.T @ inside) / ridge + spectrum.Vt.T @ (inside / (s * s + ridge)[:, None])
    return X, spectrum.Vt.T @ (inside * (s * s / (s * s + ridge))[:, None])


def _require_held(S: Array, T: Array) -> None:
    """Whether G - V S V^T can be a sum of squares: the eigenvalues of S^(1/2) T S^(1/2) stay below 1."""
    xp = namespace(S)
    values, vectors = eigh(S)
    root = (vectors * xp.sqrt(xp.where(values > 0.0, values, 0.0 * values))) @ vectors.T
    largest = float(xp.max(eigenvalues(root @ T @ root)))
    if largest >= 1.0:
        raise InfeasibleError(
            f"T23c: the samples to be forgotten have leverage {largest:.6g}, samples of the data have less than 1; "
            "forget only samples that are in the data, each once",
            theorem="T23c",
            value=largest,
            limit=1.0,
        )


def future_points(W: Array, X: Array, Z: Array, ridge: float) -> tuple[Array, Array]:
    """Return the points of the module's head, and their labels, for W, X = M V and Z = V - ridge X."""
    xp = namespace(W)
    values, vectors = eigh(X.T @ Z)  # X^T G X
    kept = values > max(Z.shape) * eps_of(Z) * values[-1]
    count = int(xp.sum(xp.astype(kept, xp.int32)))
    start = values.shape[0] - count
    half = vectors[:, start:] / xp.sqrt(values[start:])
    first = half.T @ Z.T
    rest = W - (W @ (X @ half)) @ first  # times X it is 0: rounding that is not would count as much as a point
    across = row_basis(X.T)
    rest = rest - (rest @ across.T) @ across
    amplification = 1.0 + (norm(X) * norm(Z) / float(values[start]) if count else 0.0)
    rounding = 8.0 * max(W.shape) * eps_of(W) * amplification * norm(W)
    if norm(rest) > rounding:
        N = row_basis(rest, rcond=min(0.5, rounding / norm(rest)))
        first = xp.concat([first, ridge**0.5 * N], axis=0)
    return first, labels_for(first, W, ridge=ridge, rcond=0.0)
