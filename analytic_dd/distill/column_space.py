r"""The data up to a rotation of the samples: all that a squared-loss gradient sees.

With the thin SVD  Phi = U s Q^T  at the rank r of Phi, the r samples

    F = s Q^T  (r, p),     T = U^T Y  (r, k)

have F^T F = G and T^T F = C, so their gradient W G - C is that of the data at every W. The residuals of the data at W,
projected on the columns of Phi, are F W^T - T in these coordinates. Sums give s and Q by an eigendecomposition of G,
and T = s^-1 Q^T C^T.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from analytic_dd.arrays import Array, as_matrices, eps_of, in_double, namespace, norm
from analytic_dd.errors import ShapeError
from analytic_dd.labels import labels_for
from analytic_dd.linalg import eigendecomposition, outside, svd

__all__ = ["ColumnSpace", "Data", "column_space", "model_space", "orthonormal_columns", "residual_of_model"]

Data = Any  # GramStatistics, or a pair (Phi, Y)


@dataclass(frozen=True)
class ColumnSpace:
    """Data in coordinates of the columns of their features."""

    s: Array  # (r,): singular values of Phi above the rank cut-off, descending
    Vt: Array  # (r, p): Q^T, orthonormal rows
    labels: Array  # (r, k): T
    dtype: Any  # that of the data; everything here is float64

    @property
    def features(self) -> Array:
        """F (r, p)."""
        return self.s[:, None] * self.Vt

    @property
    def k(self) -> int:
        """Number of outputs."""
        return int(self.labels.shape[1])

    @property
    def p(self) -> int:
        """Number of features."""
        return int(self.Vt.shape[1])

    def predictions(self, W: Array) -> Array:
        """``F W^T`` (r, k)."""
        return self.s[:, None] * (self.Vt @ W.T)

    def residual(self, W: Array) -> Array:
        """``F W^T - T`` (r, k); its product with F is the gradient."""
        return self.predictions(W) - self.labels

    def gradient(self, W: Array) -> Array:
        """``W G - C`` (k, p)."""
        return self.residual(W).T @ self.features

    def kept(self, V: Array) -> tuple[Array, Array]:
        """Return features and labels (V^T F, V^T T) of the samples along the orthonormal columns V (r, m)."""
        xp = namespace(V)
        return xp.astype(V.T @ self.features, self.dtype), xp.astype(V.T @ self.labels, self.dtype)

    def as_weights(self, W: Array, name: str) -> Array:
        """Check weights (k, p) that go with these data, and return them in float64."""
        if W.ndim != 2 or tuple(W.shape) != (self.k, self.p):
            raise ShapeError(f"{name} must have shape {(self.k, self.p)}, got {tuple(W.shape)}")
        return in_double(W)


def column_space(data: Data) -> ColumnSpace:
    """Return the coordinates of a :class:`GramStatistics`, or of a pair (Phi, Y) of arrays (n, p), (n, k).

    Raises
    ------
    ValueError
        All features are zero; NaN.
    ShapeError, TypeError
        Sizes that do not fit; integers; neither sums nor a pair.

    Notes
    -----
    *Cost.* An SVD, O(n p min(n, p)), or an eigendecomposition, O(p^3). *Numerics.* Sums resolve singular values above
    sqrt(p eps) of the largest only; the pair resolves max(n, p) eps.

    Examples
    --------
    >>> import numpy as np
    >>> from analytic_dd.linalg import GramStatistics
    >>> Phi, Y = np.array([[3.0, 0.0], [4.0, 0.0]]), np.array([[1.0], [2.0]])
    >>> for data in ((Phi, Y), GramStatistics(2, 1).update(Phi, Y)):
    ...     found = column_space(data)
    ...     print(found.s, np.abs(found.labels).round(12))
    [5.] [[2.2]]
    [5.] [[2.2]]
    """
    if isinstance(data, (tuple, list)):
        return _of_arrays(*data)
    if not hasattr(data, "G"):
        raise TypeError(f"expected sums (GramStatistics) or a pair (Phi, Y), got {type(data).__name__}")
    return _of_sums(data.G, data.C)


def _of_arrays(Phi: Array, Y: Array) -> ColumnSpace:
    Phi, Y = as_matrices(Phi=Phi, Y=Y)
    if Phi.shape[0] != Y.shape[0]:
        raise ShapeError(f"Phi and Y must have the same number of rows, got {Phi.shape[0]} and {Y.shape[0]}")
    A = in_double(Phi)
    U, s, Vt = svd(A)
    rank = _above(s, max(A.shape) * eps_of(A))
    return ColumnSpace(s[:rank], Vt[:rank, :], U[:, :rank].T @ in_double(Y), Phi.dtype)


def _of_sums(G: Array, C: Array) -> ColumnSpace:
    spectrum = eigendecomposition(G)
    rank = _above(spectrum.values, G.shape[0] * eps_of(G))
    s, Vt = namespace(G).sqrt(spectrum.values[:rank]), spectrum.vectors[:, :rank].T
    return ColumnSpace(s, Vt, (Vt @ C.T) / s[:, None], G.dtype)


def _above(values: Array, relative: float) -> int:
    xp = namespace(values)
    rank = int(xp.sum(xp.astype(values > relative * values[0], xp.int32)))
    if rank == 0:
        raise ValueError("all features are zero: nothing can be learned from them; no direction to keep")
    return rank


def orthonormal_columns(A: Array) -> Array:
    """Return orthonormal columns that span those of ``A`` down to ``max(shape) eps`` of the largest singular value.

    The columns come in the order of their singular values; none where A is zero. Residuals have singular values that
    decay smoothly through the cut-off. The rank is then a matter of rounding, and harmless: what is dropped is below
    the rounding of A. So there is no RankWarning here.
    """
    xp = namespace(A)
    if norm(A) == 0.0:
        return A[:, :0]
    U, s, _ = svd(A)
    return U[:, : int(xp.sum(xp.astype(s > max(A.shape) * eps_of(A) * s[0], xp.int32)))]


def model_space(sums: Any, W: Array, ridge: float, *, unresolved: bool = False) -> ColumnSpace:
    """Return the coordinates of the data with labels for which ``W`` is the model at ``ridge`` to rounding.

    They are the labels of the data up to the rounding of their sums, eps cond_eff^2 (T13); those of T4 do not have it.

    Parameters
    ----------
    sums : GramStatistics
    W : (k, p) array
    ridge : float
    unresolved : bool
        With the directions of W that the sums do not resolve. Where eigenvalues of G are below the rounding of the
        largest, W has components of that size, the rounding of its solver. Few points of small features give W more
        exactly than that. Each such direction has a sample at the limit of what the sums resolve, so that G stays what
        it is to rounding.

    Raises
    ------
    ValueError
        No sums with a Gram matrix; ridge = 0, where the gradient at W is 0 and names no direction.
    """
    if not hasattr(sums, "G"):
        raise ValueError("this mode needs the sums G and C of the data, got none; use solver='gram'")
    if not ridge > 0.0:
        raise ValueError("this mode needs a ridge > 0 of the original model, got ridge=0.0; give one")
    space = column_space(sums)
    if unresolved:
        rest = outside(space.Vt.T, W.T).T  # orthogonal to them to rounding of its own size
        space = _with_rows(space, rest, 8.0 * eps_of(W) * norm(W))
    return replace(space, labels=labels_for(space.features, W, ridge=ridge, rcond=0.0))


def residual_of_model(space: ColumnSpace, W: Array, ridge: float) -> Array:
    """Return  F W^T - T = -ridge (F^+)^T W^T  (r, k) at the model ``W`` of the data, without the difference.

    That has the rounding of the predictions, which the ridge may be small beside: W would leave its span by as much.
    """
    exact = (space.s**3 > ridge * space.s[0])[:, None]  # rounding: eps s_1 / s_i, or eps s_i^2 / ridge of a difference
    return namespace(W).where(exact, -ridge * (space.Vt @ W.T) / space.s[:, None], space.residual(W))


def _with_rows(space: ColumnSpace, rows: Array, above: float) -> ColumnSpace:
    """Return the coordinates with the directions of ``rows`` that are longer than ``above``."""
    xp = namespace(rows)
    _, s, Vt = svd(rows)
    more = Vt[: int(xp.sum(xp.astype(s > above, xp.int32))), :]
    size = space.s[0] * (space.p * eps_of(rows)) ** 0.5 + 0.0 * more[:, 0]
    return replace(space, s=xp.concat([space.s, size]), Vt=xp.concat([space.Vt, more], axis=0))
