r"""The certificate of a set for softmax, logistic or Poisson loss: gradient and strong convexity (T18).

The penalised loss f of a set is ridge-strongly convex in W, so its minimiser W_s obeys, whatever W is,

    |W_s - W| <= |grad f(W)| / ridge

An unpenalised intercept is first moved to its best place b* for this W (a problem of k unknowns): min over b of f is
ridge-strongly convex too, with the gradient of f at (W, b*).

At ridge = 0 the minimiser of least norm is meant, and the logits Z = F W^T + b are what the loss sees. Let P project on
the logits that the set can make, g = P diag(w) (mu(Z) - Y), and c be the least curvature of the loss at Z among them.
Third derivatives of all these losses are at most sqrt(2) |U| times the second ones in the direction U, so that the
curvature at a distance s is at least c exp(-sqrt(2) s), and

    |Z_s - Z| <= -log(1 - sqrt(2) |g| / c) / sqrt(2) = t,    |W_s - W P_F| <= t / s_min(F)

with F about its mean where there is an intercept, and P_F the projector on its rows. A set that can make all logits
(as many independent points as samples) has Z_s = link(Y) exactly: t is then measured, also where means are saturated
and c is of rounding size, and a label of 1e-13 says its logit to eps as any other does. This module is the judge: it
evaluates the gradient on the *stored* set, in float64, with the means of scipy, and shares no code with the
constructions or with the fit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy  # its special functions are loaded where they are used

from analytic_dd.arrays import Array, as_matrix, as_ridge, as_weights, eps_of, to_numpy
from analytic_dd.errors import ShapeError
from analytic_dd.judge.certificate import RATIO_LIMIT
from analytic_dd.judge.refit import decompose

__all__ = ["LossCertificate", "certify_loss", "why_inconclusive"]

_MEANINGFUL = 1e-6  # a bound above this would let a visibly wrong model pass
_NEWTON = 60
_SETTLED = 1e-8  # of the sums that an intercept balances; the rounding of logits leaves far less
_SQRT2 = math.sqrt(2.0)

_LINKS: dict[str, Callable[[np.ndarray], np.ndarray]] = {  # of labels strictly inside of their range
    "squared": lambda Y: Y,
    "softmax": lambda Y: np.log(Y / Y.sum(axis=1, keepdims=True)),
    "logistic": lambda Y: np.log(Y) - np.log1p(-Y),
    "poisson": np.log,
}
_LINK_ROUNDING: dict[str, Callable[[np.ndarray], np.ndarray]] = {  # change of a logit for a relative one of its label
    "squared": np.abs,
    "softmax": np.ones_like,
    "logistic": lambda Y: 1.0 / (1.0 - Y),
    "poisson": np.ones_like,
}
_LEAST = 1e-37  # labels below it may have lost digits, in float32 at least
_RANGES: dict[str, tuple[float, float]] = {
    "squared": (-math.inf, math.inf),
    "softmax": (_LEAST, math.inf),
    "logistic": (_LEAST, 1.0),
    "poisson": (_LEAST, math.inf),
}
_MEANS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "squared": lambda Z: Z,
    "softmax": lambda Z: scipy.special.softmax(Z, axis=1),
    "logistic": lambda Z: scipy.special.expit(Z),
    "poisson": np.exp,
}
_CURVATURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {  # Hess A is diagonal, from the means
    "squared": np.ones_like,
    "logistic": lambda mu: mu * (1.0 - mu),
    "poisson": lambda mu: mu,
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
        An upper bound on |W_s - W|, with an intercept also on |b_s - b| to first order, in units of the least |W_j| of
        an output: an output, or all of W, that is small beside the others or beside the intercept does not hide.
    bound : float
        ``30 * eps * size * amplification``: what rounding of features and labels explains.
    ratio : float
        ``relative_error / (eps * size * amplification)``.
    amplification : float
        Relative change of the bound for a relative rounding of the set.
    condition : float
        sqrt((s_1^2 + ridge) / (s_r^2 + ridge)) of the features, about their mean where there is an intercept.
    gradient : float
        |grad f(W)|, relative to ridge |W|; at ridge 0 |g| / c.
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
    condition: float
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
            f"{self.verdict}: |W_s - W| / min |W_j| <= {self.relative_error:.1e} ({self.loss} loss, rounding allows "
            f"{self.bound:.1e}, {self.points} points, ridge {self.ridge:.3g})"
            + (f"; {why_inconclusive(self.ridge)}" if self.verdict == "inconclusive" else "")
        )


def why_inconclusive(ridge: float) -> str:
    """Return why rounding could hide an error of a set of this ridge, and what to do, in one line."""
    if ridge > 0.0:
        return (
            f"a ridge of {ridge:.2g} holds W less firmly than rounding of the labels moves it: take ridge 0 with "
            "independent points, or a larger ridge"
        )
    return (
        "labels are so near to an end of their range that their rounding moves W: take no more points than features, "
        "shorter points or fewer, or a ridge > 0"
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

    and at ridge = 0 the bound at the head of this module, for the minimiser of least norm.

    Theorem: T18a (strong convexity, a bound whatever W is).

    Parameters
    ----------
    W : (k, p) array
    Phis : (m, p) array
        Features of the *stored* set.
    Ys : (m, k) array
    loss : {"squared", "softmax", "logistic", "poisson"}
    ridge : float
        lambda_s >= 0.
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
    ShapeError, TypeError, ValueError
        Sizes that do not fit; integers; NaN; an unknown loss.

    Notes
    -----
    *Cost.* O(m p k), an SVD of an (m, p) matrix, and k^3 with an intercept.

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
    target, F, Y = (np.array(to_numpy(A), dtype=np.float64) for A in (W, Phis, Ys))
    w = np.ones(len(F)) if weights is None else np.array(to_numpy(as_weights(weights, len(F))), dtype=np.float64)
    b = None if intercept is None else np.array(to_numpy(intercept), dtype=np.float64)
    if b is not None and b.shape != (len(target),):
        raise ShapeError(f"intercept must have shape {(len(target),)}, got {b.shape}")
    about = F if b is None else F - (w @ F) / w.sum()
    s = decompose(about).s
    rank = int(np.sum(s > max(F.shape) * eps * s[0]))
    found = (_penalised if ridge > 0.0 else _without_penalty)(_At(loss, target, b, F, Y, w, ridge, rank))
    size, beside = float(np.linalg.norm(target)), 0.0 if b is None else float(np.linalg.norm(b))
    scale = _least_output(target) or beside or 1.0
    amplification = max(1.0, (found.rounding + beside) / scale) * max(1.0, float(map_condition))
    unit_bound = eps * (F.shape[0] + math.sqrt(F.shape[1])) * amplification
    bound, first_order = RATIO_LIMIT * unit_bound, found.first_order / scale
    passed = "pass" if bound <= max(_MEANINGFUL, 1e4 * eps) else "inconclusive"
    return LossCertificate(
        verdict=passed if first_order <= bound else "fail",
        relative_error=math.hypot(found.error, found.intercept_error) / scale,
        bound=bound,
        ratio=first_order / unit_bound,
        amplification=amplification,
        condition=math.sqrt((s[0] ** 2 + ridge) / (s[max(rank, 1) - 1] ** 2 + ridge)) if rank else 1.0,
        gradient=found.gradient / (size or 1.0),
        intercept_error=found.intercept_error,
        loss=loss,
        points=len(F),
        ridge=ridge,
    )


def _least_output(W: np.ndarray) -> float:
    """The least |W_j| of an output, so that none hides behind the others; outputs that are rounding of them are 0."""
    sizes = np.linalg.norm(W, axis=1)
    large = sizes[sizes > 4.0 * W.shape[1] * np.finfo(np.float64).eps * sizes.max()]
    return float(large.min()) if large.size else 0.0


@dataclass(frozen=True)
class _At:
    """The weights, the stored set with its sample weights, the penalty, and the rank of the features."""

    loss: str
    W: np.ndarray
    b: np.ndarray | None
    F: np.ndarray
    Y: np.ndarray
    w: np.ndarray
    ridge: float
    rank: int


@dataclass(frozen=True)
class _Distance:
    """Bounds on |W_s - W| and |b_s - b|, both together to first order, the gradient, and what rounding does to them."""

    error: float
    intercept_error: float
    first_order: float
    gradient: float
    rounding: float


def _penalised(at: _At) -> _Distance:
    """Strong convexity by the penalty."""
    loss, W, b, F, Y, w, ridge = at.loss, at.W, at.b, at.F, at.Y, at.w, at.ridge
    Z, moved, slack = F @ W.T, 0.0, 0.0
    if b is not None:
        best, sensitivity = _settled(loss, Z, Y, w, b)
        if sensitivity == math.inf:  # none balances the labels, or none that is reached from here
            return _Distance(math.inf, math.inf, math.inf, math.inf, 1.0)
        moved, slack = _distance(loss, best, b), sensitivity * float(np.max(np.linalg.norm(F, axis=1)))
        Z = Z + best
    mu = _MEANS[loss](Z)
    gradient = float(np.linalg.norm((w[:, None] * (mu - Y)).T @ F + ridge * W)) / ridge
    beside = moved + slack * gradient
    top = float(np.linalg.norm(F, 2))
    rounding = float(np.linalg.norm(F)) * float(np.linalg.norm(w[:, None] * (mu - Y)))
    rounding += top * _changes_of_logits(loss, W, F, Y, mu, w)
    rounding = (rounding / ridge + float(np.linalg.norm(W))) * (1.0 + slack)
    return _Distance(gradient, beside, math.hypot(gradient, beside), gradient, rounding)


def _without_penalty(at: _At) -> _Distance:
    """Strict convexity of the loss in the logits that the set can make."""
    loss, W, b, F, Y, rank = at.loss, at.W, at.b, at.F, at.Y, at.rank
    mean = np.zeros(F.shape[1]) if b is None else F.mean(axis=0)
    spectrum = decompose(F - mean)
    U, s, V = spectrum.U[:, :rank], spectrum.s[:rank], spectrum.V[:, :rank]
    if b is not None:
        U = np.column_stack([U, np.full(len(F), len(F) ** -0.5)])
    size, Z = float(np.linalg.norm(W)), F @ W.T + (0.0 if b is None else b)
    linked = U.shape[1] == len(F) and _inside(loss, Y)
    reached, gradient, moved = _by_link(loss, Y, Z) if linked else _by_curvature(at, Z, U)
    if not (rank and math.isfinite(moved)):
        return _Distance(math.inf, math.inf, math.inf, math.inf, math.inf)
    outside = float(np.linalg.norm(W - (W @ V) @ V.T))
    inside, shift, smallest = reached / s[-1], float(np.linalg.norm(mean)), float(s[-1])
    error = math.hypot(outside, inside)
    beside = 0.0 if b is None else reached / math.sqrt(len(F)) + shift * error
    rounding = moved + float(np.linalg.norm(F)) * size
    return _Distance(
        error,
        beside,
        math.hypot(outside, gradient / smallest) * (1.0 + (0.0 if b is None else shift + smallest)),
        gradient,
        (rounding / smallest) * (1.0 + (0.0 if b is None else shift + smallest)) + size,
    )


def _inside(loss: str, Y: np.ndarray) -> bool:
    """Whether every label is a mean of the loss, none at an end of its range."""
    low, high = _RANGES[loss]
    return bool(np.all((low < Y) & (high > Y)))


def _by_link(loss: str, Y: np.ndarray, Z: np.ndarray) -> tuple[float, float, float]:
    """|Z_s - Z| where the set can make all logits, the same to first order, and what rounding of labels does to it."""
    apart = _LINKS[loss](Y) - Z
    if loss == "softmax":
        apart = apart - apart.mean(axis=1, keepdims=True)
        apart = np.column_stack([apart, Y.sum(axis=1) - 1.0])  # no minimiser without it
    reached = float(np.linalg.norm(apart))
    return reached, reached, float(np.linalg.norm(_LINK_ROUNDING[loss](Y)) + np.linalg.norm(Z))


def _by_curvature(at: _At, Z: np.ndarray, U: np.ndarray) -> tuple[float, float, float]:
    """A bound on |Z_s - Z| by the least curvature at Z, its first order, and what rounding of labels does to it."""
    loss, Y, w, mu = at.loss, at.Y, at.w, _MEANS[at.loss](Z)
    pulled = U.T @ (w[:, None] * (mu - Y))
    pulled = pulled - pulled.mean(axis=1, keepdims=True) if loss == "softmax" else pulled
    least = float(np.min(w * _least_curvature(loss, mu)))
    if not least > 0.0:
        return math.inf, math.inf, math.inf
    gradient = float(np.linalg.norm(pulled)) / least
    reached = -math.log1p(-_SQRT2 * gradient) / _SQRT2 if _SQRT2 * gradient < 1.0 else math.inf
    return reached, gradient, _changes_of_logits(loss, at.W, at.F, Y, mu, w) / least


def _changes_of_logits(loss: str, W: np.ndarray, F: np.ndarray, Y: np.ndarray, mu: np.ndarray, w: np.ndarray) -> float:
    """Change of diag(w) (mu - Y) for a relative change of 1 of features, labels and means, to first order."""
    curvature = float(np.max(w * _largest_curvature(loss, mu)))
    moved = curvature * float(np.linalg.norm(F)) * float(np.linalg.norm(W, 2))
    return moved + float(np.linalg.norm(w[:, None] * Y)) + float(np.linalg.norm(w[:, None] * mu))


def _largest_curvature(loss: str, mu: np.ndarray) -> np.ndarray:
    """The Frobenius norm (m,) of Hess A."""
    if loss == "softmax":  # diag(mu) - mu mu^T
        squares = np.sum(mu**2, axis=1)
        return np.asarray(np.sqrt(np.maximum(squares - 2.0 * np.sum(mu**3, axis=1) + squares**2, 0.0)))
    return np.asarray(np.linalg.norm(_CURVATURES[loss](mu), axis=1))


def _least_curvature(loss: str, mu: np.ndarray) -> np.ndarray:
    """A lower bound (m,) on the eigenvalues of Hess A, common shifts of softmax aside (they interlace with mu)."""
    return np.asarray(np.min(mu if loss == "softmax" else _CURVATURES[loss](mu), axis=1))


def _settled(loss: str, Z: np.ndarray, Y: np.ndarray, w: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, float]:
    """The best intercept for these logits, by Newton from b; and sqrt of the condition of its Hessian, or infinity."""
    for _ in range(_NEWTON):
        mu = _MEANS[loss](Z + b)
        H = np.diag(w @ mu) - (w[:, None] * mu).T @ mu if loss == "softmax" else np.diag(w @ _CURVATURES[loss](mu))
        values, vectors = np.linalg.eigh(H)
        kept = values > len(b) * 1e-14 * values[-1]
        if not kept.any():
            return b, math.inf
        step = vectors[:, kept] @ ((vectors[:, kept].T @ (w @ (Y - mu))) / values[kept])
        b = b + step
        if np.linalg.norm(step) <= 4e-16 * (1.0 + np.linalg.norm(b)):
            break
    mu = _MEANS[loss](Z + b)
    if not np.all(np.abs(w @ (Y - mu)) <= _SETTLED * (w @ (np.abs(Y) + np.abs(mu)))):
        return b, math.inf  # an intercept so far away that its classes have no curvature, or its logits no digits
    return b, math.sqrt(float(values[-1] / values[kept][0]))


def _distance(loss: str, one: np.ndarray, other: np.ndarray) -> float:
    gap = one - other
    return float(np.linalg.norm(gap - gap.mean() if loss == "softmax" else gap))
