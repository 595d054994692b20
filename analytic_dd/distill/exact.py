r"""Exact sets for given labels: existence (T1), ridge 0 (T2), ridge > 0 (T3).

Ridge regression on (Phis, Ys) gives W iff  Ys^T R(Phis) = W,  where for the SVD Phis = V s U^T

    R(Phis) = V g(s) U^T,   g(s) = s / (s^2 + ridge),   g(s) = 1 / s at ridge = 0.

So first solve Ys^T D = W for the target D (T1), then g(s) = t for each singular value t of D (T2: s = 1 / t; T3: a
quadratic with two roots), and keep the singular vectors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from analytic_dd.arrays import Array, as_matrices, as_matrix, as_ridge, device_of, eps_of, namespace, norm, normal_like
from analytic_dd.distill.distilled import DistilledFeatures
from analytic_dd.errors import InfeasibleError, ShapeError
from analytic_dd.linalg import Spectrum, outside, row_basis, singular_values, thin_svd

__all__ = ["distill_features", "free_matrix", "largest_ridge", "target"]


def target(W: Array, Ys: Array, *, free: Array | None = None, rcond: float | None = None) -> Array:
    r"""Solve ``Ys^T D = W``:  D = (Ys^T)^+ W + (I - Ys Ys^+) Z.

    Theorem: T1. A solution exists iff the columns of W lie in the row space of Ys, for any m, k and ranks.

    Parameters
    ----------
    W : (k, p) array
    Ys : (m, k) array
    free : (m, p) array, optional
        Z; 0 by default, which gives the smallest |D|_2.
    rcond : float, optional
        Relative rank cut-off for Ys, and the relative residual up to which ``Ys^T D = W`` counts as solvable
        (default 10 max(m, k, p) eps).

    Returns
    -------
    (m, p) array

    Raises
    ------
    InfeasibleError
        No D exists; ``value`` is the best reachable |W_s - W| / |W| over all sets with these labels.

    Examples
    --------
    >>> target(np.array([[2.0, 4.0]]), np.array([[1.0], [1.0]]))
    array([[1., 2.],
           [1., 2.]])
    >>> target(np.array([[2.0, 4.0], [1.0, 0.0]]), np.array([[1.0, 0.0]]))
    Traceback (most recent call last):
        ...
    analytic_dd.errors.InfeasibleError: T1: m = 1 point is fewer than rank W = 2, so no set of this size is exact,
    whatever its labels; the best relative error with these labels is 0.218; take 2 points or more, or
    few_features (T7)
    """
    W, Ys = as_matrices(W=W, Ys=Ys)
    if Ys.shape[1] != W.shape[0]:
        raise ShapeError(f"Ys must have as many columns as W has rows, got {Ys.shape[1]} and {W.shape[0]}")
    labels = thin_svd(Ys, rcond=rcond)
    coordinates = labels.Vt @ W
    if labels.rank < W.shape[0]:
        _require_feasible(W, W - labels.Vt.T @ coordinates, Ys, rcond)
    D = (labels.U / labels.s) @ coordinates
    if free is None:
        return D
    Z = namespace(W).astype(as_matrix(free, "free", rows=D.shape[0], columns=D.shape[1]), D.dtype, copy=False)
    return D + Z - labels.U @ (labels.U.T @ Z)


def _require_feasible(W: Array, residual: Array, Ys: Array, rcond: float | None) -> None:
    scale = norm(W)
    error = norm(residual) / scale if scale > 0.0 else 0.0
    limit = 10.0 * max(*W.shape, *Ys.shape) * eps_of(W) if rcond is None else float(rcond)
    if error <= limit:
        return
    m, rank = int(Ys.shape[0]), thin_svd(W).rank
    best = f"the best relative error with these labels is {error:.3g}"
    if m < rank:
        points = "1 point is" if m == 1 else f"{m} points are"
        reason = (
            f"m = {points} fewer than rank W = {rank}, so no set of this size is exact, whatever its labels; {best}; "
            f"take {rank} points or more, or few_features (T7)"
        )
    else:
        reason = (
            f"the columns of W are not in the row space of Ys (relative residual {error:.3g} > {limit:.1e}); {best}; "
            "choose labels whose row space contains them, or learned labels: minimal_features (T4)"
        )
    raise InfeasibleError(f"T1: {reason}", theorem="T1", value=error, limit=limit)


def largest_ridge(W: Array, Ys: Array, *, free: Array | None = None) -> float:
    """Return the largest lambda_s for which T3 has a solution with these labels: ``1 / (4 |D|_2^2)``.

    Theorem: T3. With ``free = None`` this is the largest over all free matrices; infinite for W = 0.

    Examples
    --------
    >>> largest_ridge(np.array([[1.0, 0.0]]), np.array([[2.0]]))  # D = (1/2, 0)
    1.0
    """
    D = target(W, Ys, free=free)
    return _limit(thin_svd(D).largest if norm(D) > 0.0 else 0.0)


def _limit(t_max: float) -> float:
    half = 0.5 / t_max if t_max > 0.0 else math.inf
    return half * half  # a product rounds to 0 or infinity where a power raises


def distill_features(
    W: Array,
    Ys: Array,
    *,
    ridge: float = 0.0,
    free: Array | None = None,
    root: str | Sequence[str] = "large",
    rcond: float | None = None,
) -> DistilledFeatures:
    r"""Build features whose ridge regression solution is exactly ``W``.

    Returns Phis with  Ys^T (Phis Phis^T + ridge I)^-1 Phis = W ;  for ridge = 0 the inverse is the pseudo-inverse and
    Phis^T = D^+.  For ridge > 0, with D = V t U^T,  Phis = V s U^T  and each s one root of  t s^2 - s + ridge t = 0:

        large  s = (1 + sqrt(1 - 4 ridge t^2)) / (2 t),      small  s = 2 ridge t / (1 + sqrt(1 - 4 ridge t^2)).

    Theorem: T2 (ridge = 0), T3 (ridge > 0), T17 (privacy: a function of the arguments alone, so where only W depends
    on the data, of W); the target D is that of T1, see :func:`target`.

    Parameters
    ----------
    W : (k, p) array
        Weights to reproduce, from :func:`analytic_dd.ridge_weights`.
    Ys : (m, k) array
        Labels of the m distilled points, one row per point; any m >= rank W, also m > p.
    ridge : float
        lambda_s >= 0, absolute, in the units of squared features.
    free : (m, p) array, optional
        Z, the free matrix of T1; see :func:`free_matrix` for one that costs no conditioning.
    root : {"large", "small"} or a sequence of these
        Which root, for the whole set or for each singular value of D in descending order. At ridge = 0 the large
        root is 1 / t and the small one vanishes: T2 has one solution for each D, whatever ``root`` says.
    rcond : float, optional
        Relative rank cut-off for Ys and D.

    Returns
    -------
    DistilledFeatures
        Features (m, p), the labels, the ridge; amplification and condition; ``ridge_limit`` = 1 / (4 |D|_2^2).

    Raises
    ------
    InfeasibleError
        T1: a column of ``W`` is not in the row space of ``Ys`` (always so when m < rank W).
        T3: ``ridge`` exceeds ``1 / (4 |D|_2^2)``; the message says by which factor to scale the labels.
    TypeError, ShapeError, ValueError
        Integers; sizes that do not fit; NaN, a negative ridge, an unknown root.

    Notes
    -----
    *Cost.* One SVD of an (m, p) matrix: O(p m min(p, m)) time, O(p m) memory; nothing (p, p) or (n, n) is formed.
    *Numerics.* Neither root is computed by a cancelling subtraction. Amplification (T15), for orthonormal labels:
    cond(D) for ridge = 0, at most 2 cond(D) for the large root, at most 2 for the small root, whatever cond(D);
    |Ys|_2 |D|_2 / |W|_2 times that at most for others. Where rank W < rank Ys and m > rank W, labels outside
    range(Phis) add |Phis|_2 |Ys|_2 / ridge: take fewer points (T5) or the small root. At the largest
    admissible ridge the two roots meet: Phis is then accurate to sqrt(eps) only, while W is not affected.

    References
    ----------
    "Provable and Efficient Dataset Distillation for Kernel Ridge Regression", NeurIPS 2024 (whose columns are samples).

    Examples
    --------
    >>> from analytic_dd.ridge import ridge_weights
    >>> W = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 1.0]])
    >>> distilled = distill_features(W, np.eye(2), ridge=0.04, root="small")
    >>> bool(np.allclose(ridge_weights(distilled.features, distilled.labels, ridge=0.04), W, rtol=1e-13))
    True
    >>> distill_features(W, np.eye(2), ridge=1.0)
    Traceback (most recent call last):
        ...
    analytic_dd.errors.InfeasibleError: T3: ridge 1 exceeds 1 / (4 |D|^2) = 0.0417, the largest that these labels
    admit; multiply the labels by at least 4.9 (labels.scale_to_feasible), use learned labels, or lower the ridge
    """
    ridge = as_ridge(ridge)
    D = target(W, Ys, free=free, rcond=rcond)
    xp = namespace(D)
    spectrum = _spectrum_of_target(D, rcond)
    s = _solve_for_singular_values(spectrum, ridge, root)
    labels = xp.astype(Ys, D.dtype, copy=False)
    return DistilledFeatures(
        features=(spectrum.U * s) @ spectrum.Vt,
        labels=labels,
        ridge=ridge,
        theorem="T3" if ridge > 0.0 else "T2",
        amplification=_amplification(labels, spectrum, s, ridge),
        condition=spectrum.condition,
        ridge_limit=_limit(spectrum.largest),
    )


def _spectrum_of_target(D: Array, rcond: float | None) -> Spectrum:
    if norm(D) == 0.0:  # W = 0: the zero set is exact
        return Spectrum(D[:, :0], D[0, :0], D[:0, :], 0.0, 0.0)
    return thin_svd(D, rcond=rcond)


def _solve_for_singular_values(spectrum: Spectrum, ridge: float, root: str | Sequence[str]) -> Array:
    """Solve g(s) = t for every singular value t of the target."""
    t, roots = spectrum.s, [root] * spectrum.rank if isinstance(root, str) else list(root)
    if unknown := set(roots) - {"large", "small"}:
        raise ValueError(f"root must be 'large' or 'small', got {sorted(map(repr, unknown))[0]}")
    if len(roots) != spectrum.rank:
        raise ShapeError(f"root must name one root for each of the {spectrum.rank} singular values, got {len(roots)}")
    if ridge == 0.0 or not spectrum.rank:
        return 1.0 / t
    xp = namespace(t)
    limit = _limit(spectrum.largest)
    # One rounding of ridge and one of t^2 may put a ridge *at* the limit a few eps above it; that is still the limit.
    if ridge > limit * (1.0 + 16.0 * eps_of(t)):
        factor = _round_up(2.0 * math.sqrt(ridge) * spectrum.largest)
        raise InfeasibleError(
            f"T3: ridge {ridge:.3g} exceeds 1 / (4 |D|^2) = {limit:.3g}, the largest that these labels admit; "
            f"multiply the labels by at least {factor} (labels.scale_to_feasible), use learned labels, or lower "
            "the ridge",
            theorem="T3",
            value=ridge,
            limit=limit,
        )
    x = 2.0 * math.sqrt(ridge) * t  # <= 1; 1 - x^2 as a product loses nothing near the limit
    discriminant = (1.0 - x) * (1.0 + x)
    half = 1.0 + xp.sqrt(xp.where(discriminant > 0.0, discriminant, 0.0 * x))
    large = xp.asarray([name == "large" for name in roots], device=device_of(t))
    return xp.where(large, half / (2.0 * t), 2.0 * ridge * t / half)


def _round_up(value: float) -> str:
    """Round up to three significant digits, so that the factor printed is enough."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 2)
    return f"{math.ceil(value / unit) * unit:.3g}"


def _amplification(Ys: Array, spectrum: Spectrum, s: Array, ridge: float) -> float:
    """T15, to first order, with R = R(Phis) and the dual coefficients alpha = (Phis Phis^T + ridge I)^-1 Ys:

        dW = dYs^T R + alpha^T dPhis (I - Phis^T R) - W dPhis^T R

    The part of dPhis within row(Phis) and the part outside have orthogonal effects. Labels outside range(Phis) (a rank
    deficient W, or m > p) have alpha = Ys / ridge there.
    """
    xp = namespace(s)
    if not spectrum.rank:
        return 1.0
    unit = _power_of_two(max(float(xp.max(s)), math.sqrt(ridge)))  # the amplification has no unit, squares have
    t, s, ridge = spectrum.s * unit, s / unit, ridge / unit / unit
    t_max = float(t[0])

    def size(A: Array) -> float:
        return float(xp.max(singular_values(A)))

    damped = s * s + ridge
    least, projected = float(xp.min(damped)), spectrum.U.T @ Ys
    alpha, w = size(projected / damped[:, None]), size(projected * t[:, None])
    within = min(alpha * ridge / least + w * t_max, size(projected) / least)
    m, p = spectrum.U.shape[0], spectrum.Vt.shape[1]
    unseen = size(Ys - spectrum.U @ projected) if spectrum.rank < m else 0.0
    outside = math.hypot(alpha, unseen / ridge if ridge > 0.0 else 0.0) if spectrum.rank < p else 0.0
    return max(float(xp.max(s)) * max(within + unseen / least, outside), size(Ys) * t_max) / w


def _power_of_two(size: float) -> float:
    """Return the power of two next to a size; division by it is exact."""
    return math.ldexp(1.0, min(max(math.frexp(size)[1], -1000), 1000))


def free_matrix(W: Array, Ys: Array, *, rng: np.random.Generator, scale: float | None = None) -> Array:
    r"""Draw a free matrix Z for :func:`distill_features` that leaves the condition of the target at its minimum.

        Z = scale * Q1 Q2,   Q1 an orthonormal basis of null(Ys^T),   Q2 random orthonormal rows orthogonal to row(W)

    Theorem: T2. cond(D) is then cond((Ys^T)^+ W) for m <= p; a Gaussian Z costs a factor of 10 to 100.

    Parameters
    ----------
    W : (k, p) array
    Ys : (m, k) array
    rng : numpy.random.Generator
    scale : float, optional
        Between the smallest and the largest singular value of (Ys^T)^+ W; default their geometric mean.

    Returns
    -------
    (m, p) array
        Zero where Ys has full row rank or W leaves no orthogonal direction.

    Examples
    --------
    >>> W, Ys = np.array([[1.0, 2.0, 0.0]]), np.array([[1.0], [1.0]])
    >>> Z = free_matrix(W, Ys, rng=np.random.default_rng(0))
    >>> round(distill_features(W, Ys, free=Z).condition, 12), distill_features(W, Ys, free=Z).features.shape
    (1.0, (2, 3))
    """
    W, Ys = as_matrices(W=W, Ys=Ys)
    xp = namespace(W)
    p, m = W.shape[1], Ys.shape[0]
    labels = thin_svd(Ys)
    basis, spectrum = row_basis(W), thin_svd(target(W, Ys))
    free = min(m - labels.rank, p - basis.shape[0])
    if free <= 0:
        return xp.zeros((m, p), dtype=W.dtype, device=device_of(W))
    left, right = normal_like(W, m, free, rng), normal_like(W, free, p, rng)
    Q1 = xp.linalg.qr(outside(labels.U, left), mode="reduced")[0]
    Q2 = xp.linalg.qr(outside(basis.T, right.T), mode="reduced")[0].T
    tau = math.sqrt(spectrum.largest * spectrum.smallest) if scale is None else float(scale)
    return tau * (Q1 @ Q2)
