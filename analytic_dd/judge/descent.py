r"""Whether gradient descent on a stored set passes through stored weights (T19).

Steps of one size eta from 0 on the loss 1/2 |F W^T - Y|^2 have, with F = U diag(s) V^T, the closed form

    W_t^T = V diag( eta s_j q_t(eta s_j^2) ) U^T Y,     q_t(x) = 1 + (1 - x) + ... + (1 - x)^(t-1) = (1 - (1 - x)^t) / x

so that no step need be taken. Rounding of features and labels, a relative eps, explains to first order

    |dW_t| <= eps t eta |F| (|Y| + 2 |F| max_j |W_j|),     times |1 - eta |F|^2|^t where descent diverges.

About their means, |Y| and the inner |F| are those before: stored numbers round by their own size.

Every output is judged by itself, in units of its own. The construction decomposes the data, this the stored features.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analytic_dd.judge.certificate import RATIO_LIMIT
from analytic_dd.judge.refit import decompose
from analytic_dd.judge.units import about_mean, exponents, stored

__all__ = ["StepsFound", "steps_of_set"]

_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class StepsFound:
    """How far the steps on a set are from stored weights.

    Attributes
    ----------
    at : tuple of int
        The steps t whose weights W_t are stored.
    error : float
        The largest |W_t^s - W_t| of an output, relative to the largest |W_t| of that output: of the output that is
        farthest beyond its own bound.
    least : float
        The same of the output that is nearest, at the step where it is farthest: no norm over outputs is smaller.
    bound : float
        What rounding of the stored set explains of ``error``.
    largest_bound : float
        The largest that it explains of an output.
    rate : float
        eta |F|^2: at most 1 for steps of the data, above 2 descent diverges and rounding explains anything.
    """

    at: tuple[int, ...]
    error: float
    least: float
    bound: float
    largest_bound: float
    rate: float


def steps_of_set(
    weights: Any,
    Phis: Any,
    Ys: Any,
    *,
    step: float,
    at: Sequence[int],
    centred: bool = False,
    map_condition: float = 1.0,
) -> StepsFound:
    """Compare gradient descent from 0 on a set with stored weights.

    Theorem: T19.

    Parameters
    ----------
    weights : (S, k, p) array
        W_t for each t of ``at``.
    Phis, Ys : (m, p), (m, k) arrays
        Features of the stored set, and its labels.
    step : float
        eta.
    at : sequence of int
        Steps t >= 1.
    centred : bool
        Take features and labels about their means: those of a model with an intercept (T12).
    map_condition : float
        See :func:`analytic_dd.judge.certify_recovery`.

    Notes
    -----
    *Cost.* One decomposition of the features, whatever the steps. *Numerics.* Outputs and features in other units,
    powers of two, have the same errors. Numbers beyond float64 are an infinite error.

    Examples
    --------
    >>> Phis, Ys = np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[1.0], [1.0]])
    >>> one, two = np.array([[0.1, 0.2]]), np.array([[0.19, 0.32]])
    >>> steps_of_set([one, two], Phis, Ys, step=0.1, at=(1, 2)).error < 1e-15
    True
    >>> round(steps_of_set([one, one], Phis, Ys, step=0.1, at=(1, 2)).error, 2)
    0.67
    """
    F, Y, W = stored(Phis), stored(Ys), stored(np.asarray(weights))
    f = int(exponents(F, absent=0))
    y = exponents(Y, axis=0, absent=0)
    F, Y, W = np.ldexp(F, -f), np.ldexp(Y, -y), np.ldexp(W, (f - y)[None, :, None])
    stretch, labels = 1.0, np.linalg.norm(Y, axis=0)  # as stored: these are what rounds
    if centred:
        whole = float(np.linalg.norm(F))
        F, Y = about_mean(F)[0], about_mean(Y)[0]
        stretch = whole / (float(np.linalg.norm(F)) or 1.0)
    found = decompose(F)
    with np.errstate(all="ignore"):
        eta = float(np.ldexp(step, 2 * f))
        x = eta * found.s**2
        along = found.s[:, None] * (found.U.T @ Y)
        reached = [eta * _passed(x, t)[:, None] * along for t in at]
        away = np.array([np.linalg.norm((found.V @ R).T - one, axis=1) for R, one in zip(reached, W, strict=True)])
        way = np.linalg.norm(W, axis=2).max(axis=0)
        relative = np.where(away == 0.0, 0.0, away / way)
        relative = np.where(np.isnan(relative), math.inf, relative)
        last, largest = max(at), found.largest
        moved = last * eta * largest * ((labels + stretch * np.linalg.norm(Y, axis=0)) / way + 2.0 * stretch * largest)
        growth = max(1.0, abs(1.0 - float(x[0]))) ** last if abs(1.0 - x[0]) < 1e3 else math.inf
        size = len(F) + math.sqrt(F.shape[1])
        change = growth * np.maximum(1.0, np.where(way > 0.0, moved, 0.0))
        bounds = RATIO_LIMIT * _EPS * size * max(1.0, map_condition) * change
        far = relative.max(axis=0)
        worst = int(np.argmax(np.where(np.isfinite(bounds), far - bounds, math.inf)))
    return StepsFound(
        tuple(at),
        float(relative[:, worst].max()),
        float(relative.min(axis=1).max()),
        float(bounds[worst]),
        float(bounds.max()),
        float(x[0]),
    )


def _passed(x: np.ndarray, t: int) -> np.ndarray:
    """Return q_t(x) for x >= 0; t at 0."""
    q = np.full(x.shape, float(t))
    small, large = (x > 0.0) & (x < 1.0), x >= 1.0
    q[small] = -np.expm1(t * np.log1p(-x[small])) / x[small]
    q[large] = (1.0 - (1.0 - x[large]) ** t) / x[large]
    return q
