r"""The certificate of a set for softmax, logistic or Poisson loss: gradient and strong convexity (T18).

The distance of the minimiser from W is bounded by :mod:`analytic_dd.judge.loss_distance`. Outputs of the logistic,
Poisson and squared loss have minimisers of their own, and each is judged by itself, in units of its own; the classes of
softmax are one problem. This module is the judge: it evaluates the gradient on the *stored* set, in float64, with the
means of scipy, and shares no code with the constructions or with the fit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from analytic_dd.arrays import Array, as_ridge, as_weights, eps_of
from analytic_dd.judge.certificate import MEANINGFUL, RATIO_LIMIT, SEVERITY, Judged
from analytic_dd.judge.loss_distance import MEANS, Distance, distance
from analytic_dd.judge.loss_units import Posed, posed, scaled
from analytic_dd.judge.refit import decompose
from analytic_dd.judge.units import about_mean, exponents, require_sizes, stored

__all__ = ["LossCertificate", "certify_loss", "why_inconclusive"]

_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class LossCertificate(Judged):
    """The measured gradient of a set at W, and what it means.

    Attributes
    ----------
    verdict : {"pass", "fail", "inconclusive"}
        ``pass``: rounding of the stored set explains the error (at most ``bound``). ``fail``: it does not.
        ``inconclusive``: rounding alone could hide an error above 1e-6, or at ridge 0 a singular value lies so near the
        cut-off of solvers that they may disagree about the rank.
    relative_error : float
        An upper bound on |W_s - W|, with an intercept also on |b_s - b| to first order: the largest of an output, in
        units of its |W_j|, and of |W_j| times the largest feature (up to a power of two). Classes of softmax are judged
        together, in units of the least |W_j|: a class, or all of W, that is small beside the others or beside the
        intercept does not hide. An output whose weights change no bit of its predictions on the set is its intercept.
    bound : float
        ``30 * eps * size * amplification``: what rounding of features and labels explains.
    ratio : float
        The largest, over the outputs, of ``relative_error / (eps * size * amplification)``.
    amplification : float
        Relative change of the bound for a relative rounding of the set, the largest of an output.
    condition : float
        sqrt((s_1^2 + ridge) / (s_r^2 + ridge)) of the features, about their mean where there is an intercept; the
        ridge is that of a largest sample weight of 1.
    gradient : float
        |grad f(W)|, relative to ridge |W|; at ridge 0 |g| / (c |W|) in units of the features. The largest of an output.
    intercept_error : float
        |b_s - b|, the largest of an output; 0 without an intercept.
    loss : str
    points : int
    ridge : float
    """

    gradient: float
    intercept_error: float
    loss: str
    points: int
    ridge: float

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
        Sample weights; a point of weight 0 is left out.
    map_condition : float
        From :func:`analytic_dd.judge.map_amplification`; 1 for the identity.

    Returns
    -------
    LossCertificate

    Raises
    ------
    ShapeError, TypeError, ValueError
        Sizes that do not fit; integers; NaN; an unknown loss; weights that are all 0.

    Notes
    -----
    *Cost.* O(m p k), an SVD of an (m, p) matrix, and k^3 with an intercept. *Numerics.* Scaling the features by a power
    of two, W inversely and the ridge by its square changes no verdict, no ratio and no bound.

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
    require_sizes(W, Phis, Ys, intercept)
    if loss not in MEANS:
        raise ValueError(f"unknown loss {loss!r}; choose from {', '.join(MEANS)}")
    ridge, eps = as_ridge(ridge), max(eps_of(A) for A in (W, Phis, Ys))
    target, F, Y = stored(W), stored(Phis), stored(Ys)
    w = np.ones(len(F)) if weights is None else stored(as_weights(weights, len(F)))
    if not w.any():
        raise ValueError("sample weights must not all be 0: nothing is left to judge")
    F, Y, w = F[w > 0.0], Y[w > 0.0], w[w > 0.0]
    b = None if intercept is None else stored(intercept)
    unit = eps * (len(F) + math.sqrt(F.shape[1])) * float(np.maximum(1.0, map_condition))  # NaN stays
    with np.errstate(all="ignore"):  # what is no number passes nothing
        outputs = _outputs(loss, target, b, F, Y, w, ridge)
        features, mean = outputs[0].F, np.zeros(F.shape[1])
        if b is not None:  # at ridge 0 the columns of the set beside one of ones
            features, mean = about_mean(features) if ridge == 0.0 else _about(features, w)
        found = decompose(features)
        rank = found.rank(eps_of(Phis))
        doubtful = ridge == 0.0 and found.is_doubtful(eps_of(Phis))
        judged = [_judged(x, distance(x, found, rank, mean), unit) for x in outputs]
        measured = {name: float(np.max([each[name] for each in judged])) for name in judged[0]}
        limits = [(each["ratio"], RATIO_LIMIT * unit * each["amplification"]) for each in judged]
        relative = float(np.float64(ridge) / w.max())
        condition = _condition(found.s, rank, float(scaled(relative, -2 * int(exponents(F, absent=0)))))
    verdicts = [_verdict(ratio, bound, max(MEANINGFUL, 1e4 * eps), doubtful=doubtful) for ratio, bound in limits]
    return LossCertificate(
        verdict=max(verdicts, key=SEVERITY.index),
        bound=max(bound for _, bound in limits),
        condition=condition,
        loss=loss,
        points=len(F),
        ridge=ridge,
        **measured,
    )


def _about(F: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the deviations from the weighted mean, and the mean."""
    mean = (w @ F) / w.sum()
    return F - mean, mean


def _outputs(
    loss: str, W: np.ndarray, b: np.ndarray | None, F: np.ndarray, Y: np.ndarray, w: np.ndarray, ridge: float
) -> list[Posed]:
    """Return the problems with minimisers of their own: an output each, or all classes of softmax."""
    groups = [slice(None)] if loss == "softmax" else [slice(j, j + 1) for j in range(len(W))]
    return [posed(loss, W[of], None if b is None else b[of], F, Y[:, of], w, ridge) for of in groups]


def _judged(x: Posed, found: Distance, unit: float) -> dict[str, float]:
    """What is measured of an output, relative to its own size; a ratio that is no number is one of infinity."""
    beside = 0.0 if x.b is None else x.of_logits(float(np.linalg.norm(x.b)))
    scale = _scale(x) or beside or 1.0
    amplification = float(np.maximum(1.0, (found.rounding + beside) / scale))
    error = math.hypot(found.error, found.intercept_error) / scale
    return {
        "relative_error": math.inf if math.isnan(error) else error,
        "ratio": found.first_order / scale / (unit * amplification),
        "amplification": amplification,
        "gradient": found.gradient / (float(np.linalg.norm(x.W)) or 1.0),
        "intercept_error": float(scaled(found.intercept_error, x.unit)),
    }


def _verdict(ratio: float, bound: float, meaningful: float, *, doubtful: bool) -> str:
    """A ratio that is no number says nothing: the set has no minimiser, or none that can be told from others."""
    if not ratio <= RATIO_LIMIT and not math.isinf(bound):
        return "fail"
    return "pass" if bound <= meaningful and not doubtful else "inconclusive"


def _scale(x: Posed) -> float:
    """Return the size that errors are relative to: the least |W_j| of an output, so that none hides behind the others.

    Classes of softmax that are rounding beside the others are 0, and so is an output whose weights change no bit of
    what it predicts on the set, its intercept. Labels may still hold those that change the last bits.
    """
    sizes = np.linalg.norm(x.W, axis=1)
    if x.loss != "softmax" and x.b is not None:
        return float(sizes[0]) if np.any(x.b != x.Z) else 0.0
    large = sizes[sizes > 4.0 * x.W.shape[1] * _EPS * sizes.max()]
    return float(large.min()) if large.size else 0.0


def _condition(s: np.ndarray, rank: int, ridge: float) -> float:
    """cond_eff of the features; 1 where the ridge dwarfs them."""
    if not rank or not math.isfinite(ridge):
        return 1.0
    return math.sqrt((s[0] ** 2 + ridge) / (s[rank - 1] ** 2 + ridge))
