r"""The certificate: how far the model of a distilled set is from the model it should reproduce (T16).

This module is the judge. It shares no solver with the constructions: they use singular value decompositions of the
target; this uses a column-pivoted QR of the *stored* features, on the host, in float64, whatever the set was made with.

With Phis^T P = Q R^T (Q orthonormal columns, so Phis = L Q^T for L = P R) and Wq = W Q:

    R2 = W - Wq Q^T                                            what no labels could recover from these features
    delta = argmin |L delta^T + (Ys - L Wq^T)|^2 + ridge |delta + Wq|^2   what these labels miss within their span
    |W_s - W|^2 = |R2|^2 + |delta|^2                           (exact identity; the two parts are orthogonal)

delta is solved for directly, with the small residual as the right-hand side, so that an exact set shows an error of
rounding size instead of the difference of two large numbers.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import linalg as lapack

from analytic_dd.arrays import Array, as_matrix, as_ridge, eps_of, to_numpy
from analytic_dd.errors import ShapeError

__all__ = ["RATIO_LIMIT", "Certificate", "certify_recovery"]

RATIO_LIMIT = 30.0  # LAPACK's own test suite accepts a backward error of 30 eps times the size
_MEANINGFUL = 1e-6  # a bound above this would let a visibly wrong model pass


@dataclass(frozen=True)
class Certificate:
    """The measured error of a distilled set, and what it means.

    Attributes
    ----------
    verdict : {"pass", "fail", "inconclusive"}
        ``pass``: the error is what rounding of the stored set explains (at most ``bound``). ``fail``: it is larger.
        ``inconclusive``: the set is so ill-conditioned that rounding alone could hide an error above 1e-6.
    relative_error : float
        |W_s - W| / |W| (Frobenius), the weights refitted on the stored set against the original ones.
    bound : float
        ``30 * eps * size * amplification``.
    ratio : float
        ``relative_error / (eps * size * amplification)``; an exact set has a ratio below 30.
    amplification : float
        First-order sensitivity of the weights to a relative rounding of features and labels (T15), times that of the
        feature map.
    condition : float
        cond_eff of the features: sqrt((s_1^2 + ridge) / (s_r^2 + ridge)).
    out_of_span, in_span : float
        The two parts of T16, relative to |W|: what no labels could recover, what these labels miss.
    rank : int
        Numerical rank of the features.
    points : int
        m.
    ridge : float
        lambda_s of the set.
    """

    verdict: str
    relative_error: float
    bound: float
    ratio: float
    amplification: float
    condition: float
    out_of_span: float
    in_span: float
    rank: int
    points: int
    ridge: float

    def to_dict(self) -> dict[str, Any]:
        """Return the certificate as JSON values."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"{self.verdict}: |W_s - W| / |W| = {self.relative_error:.1e} (bound {self.bound:.1e}, "
            f"ratio {self.ratio:.2g}, cond {self.condition:.2g}, {self.points} points, ridge {self.ridge:.3g})"
        )


def certify_recovery(
    W: Array, Phis: Array, Ys: Array, *, ridge: float, map_condition: float = 1.0, intercept: Array | None = None
) -> Certificate:
    r"""Certify that ridge regression on (Phis, Ys) with ``ridge`` has the weights ``W``.

        |W_s - W|^2 = |R2|^2 + |R1^T R(Phis)|^2,
        R2 = W (I - Phis^+ Phis),   R1 = the part of (Phis + ridge (Phis^+)^T) W^T - Ys  in the column space of Phis

    Theorem: T16 (an identity, not a bound); T15 for the bound that the error is held against.

    Parameters
    ----------
    W : (k, p) array
        The weights to be reproduced.
    Phis : (m, p) array
        Features of the *stored* set (through the feature map).
    Ys : (m, k) array
        Stored labels.
    ridge : float
        lambda_s >= 0, absolute.
    map_condition : float
        By how much the map that ``Phis`` came through magnifies the rounding of its inputs, from
        :func:`analytic_dd.certify.map_amplification`; 1 for the identity.
    intercept : (k,) array, optional
        The unpenalised intercept of the model (T12); features and labels are then taken about their means, and
        the error of the intercept counts as one more column of W.

    Returns
    -------
    Certificate

    Raises
    ------
    TypeError, ShapeError, ValueError
        Integers; sizes that do not fit; NaN; a negative ridge.

    Notes
    -----
    *Cost.* A pivoted QR of an (m, p) matrix, O(p m min(m, p)). *Numerics.* float64 always; ``eps`` is that of the dtype
    that came in. The rank cut-off is 4 max(m, p) eps relative to the largest pivot.

    Examples
    --------
    >>> W, Phis = np.array([[1.0, 2.0]]), np.array([[3.0, 6.0]])
    >>> certify_recovery(W, Phis, np.array([[15.0]]), ridge=0.0).verdict
    'pass'
    >>> certify_recovery(W, Phis, np.array([[15.0 + 1e-8]]), ridge=0.0).verdict
    'fail'
    """
    for name, A in (("W", W), ("Phis", Phis), ("Ys", Ys)):
        as_matrix(A, name)
    if Phis.shape[1] != W.shape[1] or Ys.shape != (Phis.shape[0], W.shape[0]):
        raise ShapeError(
            f"W (k, p), Phis (m, p), Ys (m, k) do not fit: {tuple(W.shape)}, {tuple(Phis.shape)}, {tuple(Ys.shape)}"
        )
    ridge, eps = as_ridge(ridge), max(eps_of(A) for A in (W, Phis, Ys))
    target, F, Y = (to_numpy(A).astype(np.float64) for A in (W, Phis, Ys))
    offset, magnified = np.zeros((len(target), 1)), 1.0
    if intercept is not None:
        mean, mean_y = F.mean(axis=0), Y.mean(axis=0)
        offset = (mean_y - target @ mean - to_numpy(intercept))[:, None]
        F, Y = F - mean, Y - mean_y
    L, Q = _factor(F)
    missing, delta = _two_parts(target, L, Q, Y, ridge)
    if intercept is not None:  # b_s = mean(Y) - W_s mean(Phis): the error of W enters it too
        offset = offset - ((delta @ Q.T - missing) @ mean)[:, None]
        magnified += float(np.linalg.norm(mean)) + float(np.linalg.norm(mean_y)) / float(np.linalg.norm(target) or 1.0)
        target = np.hstack([target, to_numpy(intercept).astype(np.float64)[:, None]])
    magnified *= max(1.0, float(map_condition))
    return _verdict(target, L, Y, ridge, missing, delta, offset, eps, magnified, F.shape)


def _factor(F: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rank-revealing F = L Q^T by QR with column pivoting (Businger and Golub) of F^T: L (m, r), Q (p, r)."""
    Q, R, pivots = lapack.qr(F.T, mode="economic", pivoting=True)
    size = np.abs(np.diag(R))
    rank = int(np.sum(size > 4.0 * max(F.shape) * np.finfo(np.float64).eps * size[0])) if size[0] > 0.0 else 0
    L = np.zeros((F.shape[0], rank))
    L[pivots] = R[:rank].T
    return L, Q[:, :rank]


def _two_parts(
    W: np.ndarray, L: np.ndarray, Q: np.ndarray, Y: np.ndarray, ridge: float
) -> tuple[np.ndarray, np.ndarray]:
    """R2 (k, p), and W_s - W within the span in the coordinates of Q (k, r)."""
    Wq = W @ Q
    missing = W - Wq @ Q.T
    if L.shape[1] == 0:
        return missing, np.zeros((len(W), 0))
    residual = Y - L @ Wq.T
    if ridge == 0.0:
        delta = lapack.lstsq(L, residual, lapack_driver="gelsy")[0]
    else:  # the same least-squares problem with sqrt(ridge) I below: no product is squared
        root = math.sqrt(ridge)
        rows = np.vstack([L, root * np.eye(L.shape[1])])
        delta = lapack.lstsq(rows, np.vstack([residual, -root * Wq.T]), lapack_driver="gelsy")[0]
    return missing, delta.T


def _sensitivity(W_norm: float, L: np.ndarray, Y: np.ndarray, ridge: float) -> tuple[float, float]:
    """T15 to first order: relative change of W for a relative rounding of Phis and Ys; and cond_eff.

    dW^T = (Phi^T Phi + ridge)^-1 (dPhi^T residual - Phi^T dPhi W^T), whose part outside the span is dPhi^T alpha with
    the dual coefficients alpha = (Phi Phi^T + ridge I)^-1 Y.
    """
    if L.shape[1] == 0:
        return 1.0, 1.0
    U, s, _ = lapack.svd(L, full_matrices=False, lapack_driver="gesvd")
    gain = s / (s * s + ridge)
    alpha = np.linalg.norm((U.T @ Y) / (s * s + ridge)[:, None])
    change = s[0] * (alpha + W_norm * gain.max()) + np.linalg.norm(Y) * gain.max()
    condition = math.sqrt((s[0] ** 2 + ridge) / (s[-1] ** 2 + ridge))
    return (float(change / W_norm) if W_norm > 0.0 else 1.0), condition


def _verdict(
    W: np.ndarray,
    L: np.ndarray,
    Y: np.ndarray,
    ridge: float,
    missing: np.ndarray,
    delta: np.ndarray,
    offset: np.ndarray,
    eps: float,
    magnified: float,
    shape: tuple[int, int],
) -> Certificate:
    scale = float(np.linalg.norm(W))
    unit = scale if scale > 0.0 else 1.0
    out, inside = float(np.linalg.norm(missing)), float(np.hypot(np.linalg.norm(delta), np.linalg.norm(offset)))
    error = math.hypot(out, inside) / unit
    sensitivity, condition = _sensitivity(scale, L, Y, ridge)
    amplification = max(1.0, sensitivity) * magnified
    # Rounding errors of the m points add up; those of an inner product of length p grow like its square root.
    unit_bound = eps * (shape[0] + math.sqrt(shape[1])) * amplification
    bound = RATIO_LIMIT * unit_bound
    within = "pass" if bound <= max(_MEANINGFUL, 1e4 * eps) else "inconclusive"
    verdict = within if error <= bound else "fail"
    return Certificate(
        verdict=verdict,
        relative_error=error,
        bound=bound,
        ratio=error / unit_bound,
        amplification=amplification,
        condition=condition,
        out_of_span=out / unit,
        in_span=inside / unit,
        rank=int(L.shape[1]),
        points=int(shape[0]),
        ridge=ridge,
    )
