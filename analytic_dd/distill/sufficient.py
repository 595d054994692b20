r"""A set that stands for the data in every squared-loss problem: any penalty, any constraint, any columns (T25).

    |Phi W^T - Y|^2 = tr(W G W^T) - 2 tr(W C^T) + tr(Y^T Y)

depends on the data through G = Phi^T Phi, C = Y^T Phi and Y^T Y alone. The triangular factor R of [Phi, Y] = Q R has
the same three, so its rows are a set with the same objective at every W: lasso, elastic net, non-negative least
squares, selection of columns, ridge. It has rank [Phi, Y] rows, and no fewer do: R^T R has that rank.

With an intercept the sums of the data count too. About their means the factor has rank [1, Phi, Y] - 1 = m - 1 rows
R_c, and with Helmert's contrasts H (m - 1, m; orthonormal rows, H 1 = 0)

    1 [mean(Phi) mean(Y)] + sqrt(m / n) H^T R_c,     each of the m points with weight n / m,

has the means and the weighted sums of squares of the data, so a mean over these points is a mean over the data: code
that divides by the number of samples (scikit-learn's Lasso) needs no other penalty and no weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from analytic_dd.arrays import Array, as_matrices, as_matrix, as_weights, device_of, in_double, namespace, norm
from analytic_dd.distill.distilled import FeatureSet
from analytic_dd.distill.intercept import contrasts
from analytic_dd.errors import RangeError, ShapeError
from analytic_dd.linalg import CholeskyFactor, StreamingQR, eigh, singular_values, thin_svd

__all__ = ["SufficientSet", "sufficient_set"]

_SAFE = 1e3  # condition of scaled columns up to which a Gram product is taken: its error is eps times the square
_EPS = 2.0**-52
_ROWS = 8192  # of a block: many make the sums of blocks cheap, few stay in the cache between their two products


@dataclass(frozen=True)
class SufficientSet(FeatureSet):
    """A set with the squared-loss objective of the data at every W.

    Attributes
    ----------
    weights : (m,) array
        Sample weights: the objective of the data is ``sum_i weights_i |W phi_i + b - y_i|^2``. All 1 without an
        intercept, all n / m with one.
    folds : (m,) array of int, or None
        The fold of each point, where folds were given.
    intercept : bool
        Whether the means of the data are kept, so that a model with an intercept is unchanged too.
    condition : float
        Condition number of the features with columns of norm 1, as far as it was measured (a Gram product is taken up
        to 1e3, QR beyond); infinite where their rank is not full.
    theorem : str
    """

    weights: Array = field(repr=False)
    folds: Array | None
    intercept: bool
    condition: float
    theorem: str = "T25"


def sufficient_set(
    Phi: Any,
    Y: Array | None = None,
    *,
    sample_weight: Array | None = None,
    intercept: bool = False,
    folds: Array | Sequence[int] | None = None,
) -> SufficientSet:
    r"""Build the smallest set on which every squared-loss linear model is that of the data, whatever its penalty.

        Phis^T Phis = Phi^T Phi,   Phis^T Ys = Phi^T Y,   Ys^T Ys = Y^T Y        (weighted sums with an intercept)

    Theorem: T25.

    Parameters
    ----------
    Phi : (n, p) array, or GramStatistics or Sums
        Features; or sums, which know each output's Y^T Y on its diagonal only: what the labels have outside of the
        columns of Phi is then one more row, which is exact for every sum of the outputs' squared errors.
    Y : (n, k) array
        Labels, with an array of features.
    sample_weight : (n,) array, optional
    intercept : bool
        Keep the means too: rank [1, Phi, Y] points of equal weight n / m.
    folds : (n,) integers, optional
        The fold of each sample: one set a fold, stacked, so that cross-validation over these folds is exact too
        (scikit-learn's PredefinedSplit takes ``folds``).

    Returns
    -------
    SufficientSet

    Raises
    ------
    ShapeError, TypeError, ValueError
        Sizes that do not fit; integers; NaN; a fold without a sample weight.

    Notes
    -----
    *Cost.* One Gram product, n (p + k)^2 flops, where the columns are well-conditioned (at most 1e3 when scaled to norm
    1), else QR of blocks, 4 n (p + k)^2. *Numerics.* The objective agrees to eps (|Phi| |W| + |Y|)^2; coefficients to
    eps cond^2 <= 1e-9 by the Gram matrix, eps cond by QR.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Lasso
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((500, 4))
    >>> y = X @ np.array([1.0, 0.0, -2.0, 0.0]) + 3.0 + rng.standard_normal(500)
    >>> small = sufficient_set(X, y[:, None], intercept=True)
    >>> one, other = (Lasso(alpha=0.1).fit(A, b) for A, b in ((X, y), (small.features, small.labels[:, 0])))
    >>> len(small), bool(np.allclose(one.coef_, other.coef_)), bool(np.isclose(one.intercept_, other.intercept_))
    (6, True, True)
    >>> sufficient_set(X)
    Traceback (most recent call last):
        ...
    TypeError: labels are missing: give sufficient_set(Phi, Y), or sums
    """
    if hasattr(Phi, "G"):
        if Y is not None or sample_weight is not None or folds is not None:
            raise TypeError("sums have their labels, weights and folds in them; give sufficient_set(sums) alone")
        return _of_sums(Phi, intercept)
    if Y is None:
        raise TypeError("labels are missing: give sufficient_set(Phi, Y), or sums")
    Phi, Y = as_matrix(Phi, "Phi", finite=False), as_matrix(Y, "Y", finite=False)  # the product sees what is not
    if Phi.shape[0] != Y.shape[0]:
        raise ShapeError(f"Phi and Y must have the same number of rows, got {Phi.shape[0]} and {Y.shape[0]}")
    xp = namespace(Phi)
    weight = None if sample_weight is None else as_weights(sample_weight, Phi.shape[0])
    if folds is None:
        return _one(Phi, Y, weight, intercept)
    return _each_fold(Phi, Y, weight, intercept, xp.asarray(folds, device=device_of(Phi)))


def _each_fold(Phi: Array, Y: Array, weight: Array | None, intercept: bool, fold: Array) -> SufficientSet:
    """One set a fold, stacked."""
    xp = namespace(Phi)
    if tuple(fold.shape) != (Phi.shape[0],):
        raise ShapeError(f"folds must have shape {(Phi.shape[0],)}, one for each sample, got {tuple(fold.shape)}")
    names, parts = xp.unique_values(fold), []
    for i in range(names.shape[0]):
        rows = xp.nonzero(fold == names[i])[0]
        some = None if weight is None else xp.take(weight, rows, axis=0)
        parts.append(_one(xp.take(Phi, rows, axis=0), xp.take(Y, rows, axis=0), some, intercept))
    return SufficientSet(
        features=xp.concat([part.features for part in parts], axis=0),
        labels=xp.concat([part.labels for part in parts], axis=0),
        weights=xp.concat([part.weights for part in parts], axis=0),
        ridge=0.0,
        folds=xp.concat([0 * fold[: len(part)] + names[i] for i, part in enumerate(parts)], axis=0),
        intercept=intercept,
        condition=max(part.condition for part in parts),
    )


def _one(Phi: Array, Y: Array, weight: Array | None, intercept: bool) -> SufficientSet:
    """Return the set of one fold."""
    xp, (n, p), k = namespace(Phi), Phi.shape, int(Y.shape[1])
    joint = _joint_gram(Phi, Y, weight)
    if not bool(xp.all(xp.isfinite(joint))):
        as_matrices(Phi=Phi, Y=Y)  # says where
        raise RangeError("the squares of the data must be finite; divide features and labels by their largest entry")
    total = float(joint[0, 0])
    if not total > 0.0:
        raise ValueError("a fold (or all data) has no sample weight above 0; give it samples")
    means = (joint[:1, 1:] / total) * (1.0 if intercept else 0.0)
    R, condition = (None, math.inf) if n <= p + k else _cholesky(joint[1:, 1:], means, total)
    if R is None:
        R, condition = _by_qr(Phi, Y, weight, means)
    return _assembled(R, means, total, intercept, k, condition, Phi.dtype)


def _joint_gram(Phi: Array, Y: Array, weight: Array | None) -> Array:
    """[1 Phi Y]^T diag(w) [1 Phi Y], by a symmetric product and a thin one for each block of samples."""
    xp, n, labels = namespace(Phi), int(Phi.shape[0]), in_double(Y)
    beside, root = xp.concat([0.0 * labels[:, :1] + 1.0, labels], axis=1), None
    if weight is not None:
        root = xp.sqrt(in_double(weight))[:, None]
        beside = root * beside
    G: Any = 0.0
    C: Any = 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, n, _ROWS):
            part = slice(start, min(start + _ROWS, n))
            F = in_double(Phi[part, :])
            F = F if root is None else root[part, :] * F
            G += F.T @ F
            C += beside[part, :].T @ F
        B = beside.T @ beside
    outer = xp.concat([B[:, :1], C, B[:, 1:]], axis=1)
    inner = xp.concat([C[:1, :].T, G, C[1:, :].T], axis=1)
    return xp.concat([outer[:1, :], inner, outer[1:, :]], axis=0)


def _by_qr(Phi: Array, Y: Array, weight: Array | None, means: Array) -> tuple[Array, float]:
    """Return the triangular factor of the weighted data about their means, a block at a time, at its rank."""
    (n, p), k, xp = Phi.shape, int(Y.shape[1]), namespace(Phi)
    qr, rows = StreamingQR(p, k), max(4096, 4 * (p + k))
    for start in range(0, n, rows):
        part = slice(start, min(start + rows, n))
        A = xp.concat([in_double(Phi[part, :]), in_double(Y[part, :])], axis=1) - means
        if weight is not None:
            A = xp.sqrt(in_double(weight)[part])[:, None] * A
        qr.update(A[:, :p], A[:, p:])
    return _rows_of_rank(qr.R)


def _cholesky(G: Array, means: Array, total: float) -> tuple[Array | None, float]:
    """Return the upper factor of the joint Gram matrix about the means, and the condition of its scaled columns.

    None where QR is better: the Gram matrix has lost what the means exceed the deviations by, squared, and then what
    the condition is, squared.
    """
    xp = namespace(G)
    before = xp.linalg.diagonal(G)
    G = G - (total * means.T) @ means
    size2 = xp.linalg.diagonal(G)
    if not bool(xp.all(size2 * _SAFE**2 > before)):
        return None, math.inf
    size, lost = xp.sqrt(size2), math.sqrt(float(xp.max(before / size2)))
    try:
        upper = CholeskyFactor(G / (size[:, None] * size[None, :])).L.T
    except ValueError:
        return None, math.inf
    values = singular_values(upper)
    condition = float(values[0]) / float(values[-1]) if float(values[-1]) > 0.0 else math.inf
    return (upper * size[None, :], condition) if lost * condition <= _SAFE else (None, condition)


def _rows_of_rank(R: Array) -> tuple[Array, float]:
    """As many rows as R has rank, with the same R^T R; columns are scaled to norm 1 for the decision on the rank."""
    xp = namespace(R)
    size = xp.sqrt(xp.sum(R * R, axis=0))
    size = xp.where(size > 0.0, size, 1.0 + 0.0 * size)
    spectrum = thin_svd(R / size[None, :], rcond=max(R.shape) * _EPS)
    full = spectrum.rank == min(R.shape) and R.shape[0] >= R.shape[1]
    condition = spectrum.condition if full else math.inf
    if spectrum.rank == R.shape[0]:
        return R, condition
    return (spectrum.s[:, None] * spectrum.Vt) * size[None, :], condition


def _assembled(
    R: Array, means: Array, total: float, intercept: bool, k: int, condition: float, dtype: Any
) -> SufficientSet:
    """Return the factor as points: as it is, or about the means with equal weights."""
    xp = namespace(R)
    if intercept:
        m = int(R.shape[0]) + 1 if norm(R) > 0.0 else 1
        H = xp.asarray(contrasts(m), dtype=R.dtype, device=device_of(R))
        R = means + math.sqrt(m / total) * (H.T @ R[: m - 1, :])
    weight = total / R.shape[0] if intercept else 1.0
    p = int(R.shape[1]) - k
    return SufficientSet(
        xp.astype(R[:, :p], dtype),
        xp.astype(R[:, p:], dtype),
        0.0,
        xp.astype(0.0 * R[:, 0] + weight, dtype),
        None,
        intercept,
        condition,
    )


def _of_sums(sums: Any, intercept: bool) -> SufficientSet:
    """From G, C and the sums of squared labels: the rows of the features, and one for what labels have beside them."""
    centred = sums.centred() if intercept else sums
    xp, G = namespace(sums.C), centred.G
    size = xp.sqrt(xp.linalg.diagonal(G))
    size = xp.where(size > 0.0, size, 1.0 + 0.0 * size)
    values, vectors = eigh(G / (size[:, None] * size[None, :]))
    kept = values > G.shape[0] * _EPS * values[-1]
    start = int(values.shape[0]) - int(xp.sum(xp.astype(kept, xp.int32)))
    s, V = xp.sqrt(values[start:]), vectors[:, start:]
    condition = float(s[-1]) / float(s[0]) if start == 0 else math.inf
    features = (s[:, None] * V.T) * size[None, :]
    labels = (V.T @ (centred.C / size[None, :]).T) / s[:, None]
    left = centred.yy - xp.sum(labels * labels, axis=0)
    beside = xp.sqrt(xp.where(left > 64.0 * _EPS * centred.yy, left, 0.0 * left))
    R = xp.concat([features, labels], axis=1)
    if bool(xp.any(beside > 0.0)):
        R = xp.concat([R, xp.concat([0.0 * features[0, :], beside])[None, :]], axis=0)
    means = xp.concat([sums.mean_phi, sums.mean_y])[None, :]
    return _assembled(R, means, float(sums.weight), intercept, int(sums.k), condition, G.dtype)
