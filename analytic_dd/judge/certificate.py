r"""The certificate: how far the model of a distilled set is from the model it should reproduce (T16).

This module is the judge. It shares no code with the constructions: they decompose the *target* in the library of its
arrays; this starts from a column-pivoted QR of the *stored* features, on the host, in float64. What is left is solved
in the coordinates of that QR: by a complete orthogonal decomposition (gelsy) at ridge = 0, and at ridge > 0 by an SVD
of the small factor (LAPACK's gesvd, where the constructions call gesdd).

With Phis^T P = Q R^T (Q orthonormal columns, so Phis = L Q^T for L = P R) and Wq = W Q:

    R2 = W - Wq Q^T                                            what no labels could recover from these features
    delta = argmin |L delta^T - (Ys - L Wq^T)|^2 + ridge |delta + Wq|^2   what these labels miss within their span
    |W_s - W|^2 = |R2|^2 + |delta|^2                           (exact identity; the two parts are orthogonal)

delta is solved for directly, with the small residual as the right-hand side, so that an exact set shows an error of
rounding size instead of the difference of two large numbers. At ridge = 0 the model is that of the numerical rank of
Phis; at ridge > 0 nothing is cut off: what rounding left in a null direction counts, divided by the ridge.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import linalg as lapack

from analytic_dd.arrays import Array, as_matrix, as_ridge, eps_of, to_numpy
from analytic_dd.errors import ShapeError

__all__ = ["RATIO_LIMIT", "Certificate", "certify_recovery", "worst"]

RATIO_LIMIT = 30.0  # LAPACK's own test suite accepts a backward error of 30 eps times the size
_SEVERITY = ("pass", "inconclusive", "fail")
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


def worst(certificates: Iterable[Certificate]) -> Certificate:
    """Return the certificate with the worst verdict, and among those the largest error."""
    return max(certificates, key=lambda found: (_SEVERITY.index(found.verdict), found.relative_error))


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
        :func:`analytic_dd.judge.map_amplification`; 1 for the identity.
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
    target, F, Y = (_stored(A) for A in (W, Phis, Ys))
    offset, scale, size = (
        np.zeros(len(target)),
        float(np.linalg.norm(target)),
        [float(np.linalg.norm(A)) for A in (F, Y)],
    )
    if intercept is not None:
        b = _as_intercept(intercept, len(target))
        F, mean = _about_mean(F)
        Y, mean_y = _about_mean(Y)
        offset = mean_y - target @ mean - b
    L, Q, rank = _factor(F)
    if ridge == 0.0:
        L, Q = L[:, :rank], Q[:, :rank]
    missing, delta = _two_parts(target, L, Q, Y, ridge)
    change, condition = _sensitivity(scale, L[:, :rank], Y, ridge, F.shape[1])
    if intercept is not None:  # b_s = mean(Y) - W_s mean(Phis): the error of W enters it too
        offset = offset - (delta @ Q.T - missing) @ mean
        # What is rounded is what is stored, not the deviations from the mean.
        stretch = max(_ratio(size[0], F), _ratio(size[1], Y))
        centre = float(np.linalg.norm(mean))
        change = stretch * change * (1.0 + centre) + scale * centre + float(np.linalg.norm(mean_y))
        scale = math.hypot(scale, np.linalg.norm(b))
    unit = scale if scale > 0.0 else 1.0
    amplification = max(1.0, change / unit) * max(1.0, float(map_condition))
    # Rounding errors of the m points add up; those of an inner product of length p grow like its square root.
    unit_bound = eps * (F.shape[0] + math.sqrt(F.shape[1])) * amplification
    out = math.hypot(np.linalg.norm(missing), np.linalg.norm(delta[:, rank:])) / unit
    inside = math.hypot(np.linalg.norm(delta[:, :rank]), np.linalg.norm(offset)) / unit
    error = math.hypot(out, inside)
    return Certificate(
        verdict=_verdict(error, RATIO_LIMIT * unit_bound, eps),
        relative_error=error,
        bound=RATIO_LIMIT * unit_bound,
        ratio=error / unit_bound,
        amplification=amplification,
        condition=condition,
        out_of_span=out,
        in_span=inside,
        rank=rank,
        points=int(F.shape[0]),
        ridge=ridge,
    )


def _ratio(before: float, A: np.ndarray) -> float:
    after = float(np.linalg.norm(A))
    return before / after if after > 0.0 else 1.0


def _verdict(error: float, bound: float, eps: float) -> str:
    if not error <= bound:
        return "fail"
    return "pass" if bound <= max(_MEANINGFUL, 1e4 * eps) else "inconclusive"


def _as_intercept(b: Array, k: int) -> np.ndarray:
    if tuple(b.shape) != (k,):
        raise ShapeError(f"intercept must have shape {(k,)}, one entry a row of W, got {tuple(b.shape)}")
    row: np.ndarray = _stored(as_matrix(b[None, :], "intercept"))[0]
    return row


def _stored(A: Array) -> np.ndarray:
    """On the host, in float64, by rows: the memory order of what is judged does not change the sums."""
    return np.array(to_numpy(A), dtype=np.float64, order="C")


def _about_mean(A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the deviations from the column means, and the means.

    The second pass removes the rounding of the mean itself: where the mean exceeds the deviations it would count as a
    direction of its own.
    """
    mean = A.mean(axis=0)
    rest = (A - mean).mean(axis=0)
    return (A - mean) - rest, mean + rest


def _factor(F: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Rank-revealing F = L Q^T by QR with column pivoting (Businger and Golub) of F^T: L (m, r), Q (p, r), the rank.

    r = min(m, p); the leading columns up to the rank span all but rounding.
    """
    Q, R, pivots = lapack.qr(F.T, mode="economic", pivoting=True)
    size = np.abs(np.diag(R))
    rank = int(np.sum(size > 4.0 * max(F.shape) * np.finfo(np.float64).eps * size[0])) if size[0] > 0.0 else 0
    L = np.zeros((F.shape[0], len(R)))
    L[pivots] = R.T
    return L, Q, rank


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
    else:  # not the rows [L; sqrt(ridge) I]: where the ridge dominates, their error is eps sqrt(ridge) / |L|
        U, s, Vt = lapack.svd(L, full_matrices=False, lapack_driver="gesvd")
        normal = s[:, None] * (U.T @ residual) - ridge * (Vt @ Wq.T)
        delta = Vt.T @ (normal / (s * s + ridge)[:, None])
    return missing, delta.T


def _sensitivity(W_norm: float, L: np.ndarray, Y: np.ndarray, ridge: float, p: int) -> tuple[float, float]:
    """T15 to first order: |change of W| for a relative rounding of Phis and Ys; and cond_eff.

    dW^T = (Phi^T Phi + ridge)^-1 (dPhi^T residual - Phi^T dPhi W^T), whose part outside the span is dPhi^T alpha with
    the dual coefficients alpha = (Phi Phi^T + ridge I)^-1 Y. Labels outside range(Phis) have alpha = Y / ridge.
    """
    if L.shape[1] == 0:
        return W_norm, 1.0
    U, s, _ = lapack.svd(L, full_matrices=False, lapack_driver="gesvd")
    damped, projected = s * s + ridge, U.T @ Y
    gain = s / damped
    unseen = np.linalg.norm(Y - U @ projected) if len(s) < len(Y) else 0.0
    alpha = np.linalg.norm(projected / damped[:, None])
    alpha += unseen / (ridge if ridge > 0.0 and len(s) < p else damped.min())
    change = s[0] * (alpha + W_norm * gain.max()) + np.linalg.norm(Y) * gain.max()
    condition = math.sqrt((s[0] ** 2 + ridge) / (s[-1] ** 2 + ridge))
    return float(change), condition
