r"""How far the minimiser of a penalised loss on a set may be from given weights (T18).

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
and c is of rounding size, and a label of 1e-13 says its logit to eps as any other does. Softmax sees no shift of all
its logits, and its minimiser has none: a common shift of the rows of W is an error.

Sizes are those of :mod:`analytic_dd.judge.loss_units`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy  # its special functions are loaded where they are used

from analytic_dd.judge.loss_units import Posed
from analytic_dd.judge.refit import Spectrum, decompose

__all__ = ["MEANS", "Distance", "distance"]

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
MEANS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
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
class Distance:
    """Bounds on |W_s - W| and |b_s - b|, both together to first order, the gradient, and what rounding does to them."""

    error: float
    intercept_error: float
    first_order: float
    gradient: float
    rounding: float


_FAR = Distance(math.inf, math.inf, math.inf, math.inf, 1.0)  # whatever rounding does
_UNKNOWN = Distance(math.inf, math.inf, math.inf, math.inf, math.inf)  # rounding may be all of it


def distance(x: Posed, found: Spectrum, rank: int, mean: np.ndarray) -> Distance:
    """Bound the distance of the minimiser from W, in units of W, and of the intercept, in units of F W^T.

    Theorem: T18a.

    Parameters
    ----------
    x : Posed
    found : Spectrum
        Of the features about ``mean`` (p,), which is 0 without an intercept.
    rank : int
        Their rank.
    mean : (p,) array
    """
    return _penalised(x) if x.reach[0] > 0.0 else _without_penalty(x, found, rank, mean)


def _penalised(x: Posed) -> Distance:
    """Strong convexity by the penalty."""
    loss, W, F, Y, w = x.loss, x.W, x.F, x.Y, x.w
    Z, moved, slack = x.Z, 0.0, 0.0
    if x.b is not None:
        best, sensitivity = _settled(loss, Z - x.b, Y, w, x.b)
        if math.isnan(sensitivity):
            return _UNKNOWN
        if sensitivity == math.inf:  # none balances the labels, or none that is reached from here
            return _FAR
        moved = x.of_logits(_apart(loss, best, x.b))
        slack = sensitivity * float(np.max(np.linalg.norm(F, axis=1)))
        Z = (Z - x.b) + best
    mu = MEANS[loss](Z)
    pull = (w[:, None] * (mu - Y)).T @ F
    size = float(np.linalg.norm(pull))
    if not math.isfinite(size):
        return _FAR
    gradient = float(np.linalg.norm(pull * (x.reached(size) / size) + W)) if size > 0.0 else float(np.linalg.norm(W))
    beside = moved + slack * gradient
    rounding = float(np.linalg.norm(F)) * float(np.linalg.norm(w[:, None] * (mu - Y)))
    rounding += decompose(F).largest * _changes_of_logits(x, mu)
    rounding = (x.reached(rounding) + float(np.linalg.norm(W))) * (1.0 + slack)
    return Distance(gradient, beside, math.hypot(gradient, beside), gradient, rounding)


def _without_penalty(x: Posed, found: Spectrum, rank: int, mean: np.ndarray) -> Distance:
    """Strict convexity of the loss in the logits that the set can make."""
    loss, W, F, Y = x.loss, x.W, x.F, x.Y
    U, V, smallest = found.U[:, :rank], found.V[:, :rank], float(found.s[rank - 1]) if rank else 1.0
    if x.b is not None:
        U = np.column_stack([U, np.full(len(F), len(F) ** -0.5)])
    size, Z = float(np.linalg.norm(W)), x.Z
    linked = U.shape[1] == len(F) and _inside(loss, Y)
    reached, gradient, moved = map(x.of_logits, _by_link(loss, Y, Z) if linked else _by_curvature(x, Z, U))
    if not math.isfinite(moved):
        return _UNKNOWN
    seen = W - W.mean(axis=0) if loss == "softmax" else W
    outside = float(np.linalg.norm(W - (seen @ V) @ V.T))
    inside, shift = reached / smallest, float(np.linalg.norm(mean))
    error = math.hypot(outside, inside)
    beside = 0.0 if x.b is None else reached / math.sqrt(len(F)) + shift * error
    rounding, with_b = moved + float(np.linalg.norm(F)) * size, 1.0 + (0.0 if x.b is None else shift + smallest)
    return Distance(
        error,
        beside,
        math.hypot(outside, gradient / smallest) * with_b,
        gradient,
        (rounding / smallest) * with_b + size,
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


def _by_curvature(x: Posed, Z: np.ndarray, U: np.ndarray) -> tuple[float, float, float]:
    """A bound on |Z_s - Z| by the least curvature at Z, its first order, and what rounding of labels does to it."""
    loss, Y, w, mu = x.loss, x.Y, x.w, MEANS[x.loss](Z)
    pulled = U.T @ (w[:, None] * (mu - Y))
    pulled = pulled - pulled.mean(axis=1, keepdims=True) if loss == "softmax" else pulled
    size, least = float(np.linalg.norm(pulled)), float(np.min(w * _least_curvature(loss, mu)))
    if not math.isfinite(size):
        return math.inf, math.inf, 0.0
    if not least > 0.0:
        return math.inf, math.inf, math.inf
    gradient = size / least
    reached = -math.log1p(-_SQRT2 * gradient) / _SQRT2 if _SQRT2 * gradient < 1.0 else math.inf
    return reached, gradient, _changes_of_logits(x, mu) / least


def _changes_of_logits(x: Posed, mu: np.ndarray) -> float:
    """Change of diag(w) (mu - Y) for a relative change of 1 of features, labels and means, to first order."""
    curvature = float(np.max(x.w * _largest_curvature(x.loss, mu)))
    moved = float(np.ldexp(curvature * float(np.linalg.norm(x.F)) * decompose(x.W).largest, x.logits))
    return moved + float(np.linalg.norm(x.w[:, None] * x.Y)) + float(np.linalg.norm(x.w[:, None] * mu))


def _largest_curvature(loss: str, mu: np.ndarray) -> np.ndarray:
    """Return the Frobenius norm (m,) of Hess A."""
    if loss == "softmax":  # diag(mu) - mu mu^T
        squares = np.sum(mu**2, axis=1)
        return np.asarray(np.sqrt(np.maximum(squares - 2.0 * np.sum(mu**3, axis=1) + squares**2, 0.0)))
    return np.asarray(np.linalg.norm(_CURVATURES[loss](mu), axis=1))


def _least_curvature(loss: str, mu: np.ndarray) -> np.ndarray:
    """A lower bound (m,) on the eigenvalues of Hess A, common shifts of softmax aside (they interlace with mu)."""
    return np.asarray(np.min(mu if loss == "softmax" else _CURVATURES[loss](mu), axis=1))


def _settled(loss: str, Z: np.ndarray, Y: np.ndarray, w: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the best intercept for these logits, by Newton from b, and sqrt of the condition of its Hessian.

    The latter is infinite where none balances the labels, and NaN where a class or output has no curvature beside the
    others: then nothing says where its intercept is.
    """
    for _ in range(_NEWTON):
        mu = MEANS[loss](Z + b)
        H = np.diag(w @ mu) - (w[:, None] * mu).T @ mu if loss == "softmax" else np.diag(w @ _CURVATURES[loss](mu))
        if not np.all(np.isfinite(H)):
            return b, math.inf
        values, vectors = np.linalg.eigh(H)
        kept = values > len(b) * 1e-14 * values[-1]
        if not kept.any():
            return b, math.inf
        step = vectors[:, kept] @ ((vectors[:, kept].T @ (w @ (Y - mu))) / values[kept])
        b = b + step
        if np.linalg.norm(step) <= 4e-16 * (1.0 + np.linalg.norm(b)):
            break
    mu = MEANS[loss](Z + b)
    if not np.all(np.abs(w @ (Y - mu)) <= _SETTLED * (w @ (np.abs(Y) + np.abs(mu)))):
        return b, math.inf  # an intercept so far away that its classes have no curvature, or its logits no digits
    if kept.sum() < len(b) - (loss == "softmax"):
        return b, math.nan  # the sums above have labels of both signs, and a class of no mass in them
    return b, math.sqrt(float(values[-1] / values[kept][0]))


def _apart(loss: str, one: np.ndarray, other: np.ndarray) -> float:
    gap = one - other
    return float(np.linalg.norm(gap - gap.mean() if loss == "softmax" else gap))
