r"""The certificate of a set for softmax, logistic or Poisson loss: gradient and strong convexity (T18).

The penalised loss f of a set is ridge-strongly convex in W, so its minimiser W_s obeys, whatever W is,

    |W_s - W| <= |grad f(W)| / ridge

An unpenalised intercept is first moved to its best place b* for this W (a problem of k unknowns): min over b of f is
ridge-strongly convex too, with the gradient of f at (W, b*). This module is the judge: it evaluates the gradient on the
*stored* set, in float64, with the means of scipy, and shares no code with the constructions or with the fit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import special

from analytic_dd.arrays import Array, as_matrix, as_ridge, as_weights, eps_of, to_numpy
from analytic_dd.errors import InfeasibleError, ShapeError
from analytic_dd.judge.certificate import RATIO_LIMIT

__all__ = ["LossCertificate", "certify_loss"]

_MEANINGFUL = 1e-6  # a bound above this would let a visibly wrong model pass
_NEWTON = 60

_MEANS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "squared": lambda Z: Z,
    "softmax": lambda Z: special.softmax(Z, axis=1),
    "logistic": special.expit,
    "poisson": np.exp,
}


@dataclass(frozen=True)
class LossCertificate:
    """The measured gradient of a set at W, and what it means.

    Attributes
    ----------
    verdict : {"pass", "fail", "inconclusive"}
        ``pass``: rounding of the stored set explains the error (at most ``bound``). ``fail``: it does not.
        ``inconclusive``: rounding alone could hide an error above 1e-6.
    relative_error : float
        An upper bound on |W_s - W| / |W| (with an intercept: of both together, the intercept's part to first order).
    bound : float
        ``30 * eps * size * amplification``: what rounding of features and labels explains.
    ratio : float
        ``relative_error / (eps * size * amplification)``.
    amplification : float
        Relative change of the bound for a relative rounding of the set.
    gradient : float
        |grad f(W)|, relative to ridge |W|.
    intercept_error : float
        |b_s - b|; 0 without an intercept.
    loss : str
    points : int
    ridge : float
    """

    verdict: str
    relative_error: float
    bound: float
    ratio: float
    amplification: float
    gradient: float
    intercept_error: float
    loss: str
    points: int
    ridge: float

    def to_dict(self) -> dict[str, Any]:
        """Return the certificate as JSON values."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"{self.verdict}: |W_s - W| / |W| <= {self.relative_error:.1e} ({self.loss} loss, rounding allows "
            f"{self.bound:.1e}, {self.points} points, ridge {self.ridge:.3g})"
        )


def certify_loss(
    W: Array,
    Phis: Array,
    Ys: Array,
    *,
    loss: str,
    ridge: float,
    intercept: Array | None = None,
    weights: Array | None = None,
    map_condition: float = 1.0,
) -> LossCertificate:
    r"""Certify that the penalised loss on (Phis, Ys) has its minimum at ``W``.

        |W_s - W| <= |Phis^T diag(w) (mu(Phis W^T + b) - Ys) + ridge W^T| / ridge

    Theorem: T18a (strong convexity, a bound whatever W is).

    Parameters
    ----------
    W : (k, p) array
    Phis : (m, p) array
        Features of the *stored* set.
    Ys : (m, k) array
    loss : {"squared", "softmax", "logistic", "poisson"}
    ridge : float
        lambda_s > 0.
    intercept : (k,) array, optional
        b, unpenalised.
    weights : (m,) array, optional
        Sample weights.
    map_condition : float
        From :func:`analytic_dd.judge.map_amplification`; 1 for the identity.

    Returns
    -------
    LossCertificate

    Raises
    ------
    InfeasibleError
        T18: ridge = 0, where the loss is not strongly convex.
    ShapeError, TypeError, ValueError
        Sizes that do not fit; integers; NaN; an unknown loss.

    Notes
    -----
    *Cost.* O(m p k), and k^3 with an intercept.

    Examples
    --------
    >>> W, Phis = np.array([[1.0], [-1.0]]), np.array([[2.0]])
    >>> mu = 1.0 / (1.0 + np.exp(-4.0))
    >>> Ys = np.array([[mu + 0.05, 1.0 - mu - 0.05]])
    >>> certify_loss(W, Phis, Ys, loss="softmax", ridge=0.1).verdict
    'pass'
    >>> certify_loss(W, Phis, Ys, loss="softmax", ridge=0.2).verdict
    'fail'
    """
    for name, A in (("W", W), ("Phis", Phis), ("Ys", Ys)):
        as_matrix(A, name)
    if Phis.shape[1] != W.shape[1] or Ys.shape != (Phis.shape[0], W.shape[0]):
        raise ShapeError(
            f"W (k, p), Phis (m, p), Ys (m, k) do not fit: {tuple(W.shape)}, {tuple(Phis.shape)}, {tuple(Ys.shape)}"
        )
    if loss not in _MEANS:
        raise ValueError(f"unknown loss {loss!r}; choose from {', '.join(_MEANS)}")
    ridge, eps = as_ridge(ridge), max(eps_of(A) for A in (W, Phis, Ys))
    if ridge == 0.0:
        raise InfeasibleError(
            "T18: the bound |gradient| / ridge needs ridge > 0; store the set with a ridge",
            theorem="T18",
            value=0.0,
            limit=0.0,
        )
    target, F, Y = (np.array(to_numpy(A), dtype=np.float64) for A in (W, Phis, Ys))
    w = np.ones(len(F)) if weights is None else np.array(to_numpy(as_weights(weights, len(F))), dtype=np.float64)
    b, moved, slack = np.zeros(len(target)), 0.0, 0.0
    if intercept is not None:
        given = np.array(to_numpy(intercept), dtype=np.float64)
        if given.shape != b.shape:
            raise ShapeError(f"intercept must have shape {b.shape}, got {given.shape}")
        b, sensitivity = _settled(loss, F @ target.T, Y, w, given)
        moved = _distance(loss, b, given)
        slack = sensitivity * float(np.max(np.linalg.norm(F, axis=1)))
    mu = _MEANS[loss](F @ target.T + b)
    gradient = float(np.linalg.norm((w[:, None] * (mu - Y)).T @ F + ridge * target)) / ridge
    scale = math.hypot(float(np.linalg.norm(target)), float(np.linalg.norm(b))) or 1.0
    intercept_error = moved + slack * gradient
    error = math.hypot(gradient, intercept_error) / scale
    change = _rounding(loss, target, F, Y, mu, w, ridge) * (1.0 + slack)
    amplification = max(1.0, change / scale) * max(1.0, float(map_condition))
    unit_bound = eps * (F.shape[0] + math.sqrt(F.shape[1])) * amplification
    bound = RATIO_LIMIT * unit_bound
    passed = "pass" if bound <= max(_MEANINGFUL, 1e4 * eps) else "inconclusive"
    return LossCertificate(
        verdict=passed if error <= bound else "fail",
        relative_error=error,
        bound=bound,
        ratio=error / unit_bound,
        amplification=amplification,
        gradient=gradient / (float(np.linalg.norm(target)) or 1.0),
        intercept_error=intercept_error,
        loss=loss,
        points=len(F),
        ridge=ridge,
    )


def _curvatures(loss: str, mu: np.ndarray) -> np.ndarray:
    """Hess A (m, k, k) from the means."""
    units = np.eye(mu.shape[1])
    if loss == "softmax":
        return np.asarray(mu[:, :, None] * (units - mu[:, None, :]))
    diagonal = {"squared": np.ones_like(mu), "logistic": mu * (1.0 - mu), "poisson": mu}[loss]
    return np.asarray(diagonal[:, :, None] * units)


def _settled(loss: str, Z: np.ndarray, Y: np.ndarray, w: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, float]:
    """The best intercept for these logits, by Newton from b; and sqrt of the condition of its Hessian."""
    for _ in range(_NEWTON):
        mu = _MEANS[loss](Z + b)
        H = np.einsum("i,ijk->jk", w, _curvatures(loss, mu))
        values, vectors = np.linalg.eigh(H)
        kept = values > len(b) * 1e-14 * values[-1]
        step = vectors[:, kept] @ ((vectors[:, kept].T @ (w @ (Y - mu))) / values[kept])
        b = b + step
        if np.linalg.norm(step) <= 4e-16 * (1.0 + np.linalg.norm(b)):
            break
    return b, math.sqrt(float(values[-1] / values[kept][0]))


def _distance(loss: str, one: np.ndarray, other: np.ndarray) -> float:
    gap = one - other
    return float(np.linalg.norm(gap - gap.mean() if loss == "softmax" else gap))


def _rounding(
    loss: str, W: np.ndarray, F: np.ndarray, Y: np.ndarray, mu: np.ndarray, w: np.ndarray, ridge: float
) -> float:
    """Change of |grad f| / ridge for a relative change of 1 of features and labels, to first order, and of W itself."""
    curvature = float(np.max(np.linalg.norm(w[:, None, None] * _curvatures(loss, mu), axis=(1, 2))))
    size, top = float(np.linalg.norm(F)), float(np.linalg.norm(F, 2))
    moved = size * float(np.linalg.norm(w[:, None] * (mu - Y)))
    moved += top * curvature * size * float(np.linalg.norm(W, 2))
    moved += top * float(np.linalg.norm(w[:, None] * Y)) + top * float(np.linalg.norm(w[:, None] * mu))
    return moved / ridge + float(np.linalg.norm(W))
