r"""The certificate: how far the model of a distilled set is from the model it should reproduce (T16).

Every output is judged by itself, in units of its own (:mod:`analytic_dd.judge.units`): its weights against its weights,
and its predictions on the stored features against its predictions. The errors are those of
:mod:`analytic_dd.judge.refit`; rounding explains of them what T15 says, to first order: for a relative rounding eps of
features and labels,

    |dW_i| <= eps (|F|_2 (|alpha_i| + a |W_i| gain) + |Y_i| gain),    alpha = (a F F^T + ridge I)^-1 Y,
    |d(a F W_i)| <= eps (a |F|_2 (h |W_i| + gain |Y_i - a F W_i|) + h |Y_i|),    h = a s_1^2 / (a s_1^2 + ridge).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np

from analytic_dd.arrays import Array, as_matrix, as_ridge, eps_of, namespace
from analytic_dd.errors import ShapeError
from analytic_dd.judge.refit import Refit, refit
from analytic_dd.judge.units import Deviations, Regression, about_means, in_units, require_sizes, stored

__all__ = ["MEANINGFUL", "RATIO_LIMIT", "SEVERITY", "Certificate", "Judged", "certify_recovery", "worst"]

RATIO_LIMIT = 30.0  # LAPACK's own test suite accepts a backward error of 30 eps times the size
SEVERITY = ("pass", "inconclusive", "fail")
MEANINGFUL = 1e-6  # a bound above this would let a visibly wrong model pass


@dataclass(frozen=True)
class Judged:
    """What every certificate of a set says, whatever the loss."""

    verdict: str
    relative_error: float
    bound: float
    ratio: float
    amplification: float
    condition: float

    def to_dict(self) -> dict[str, Any]:
        """Return the certificate as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Certificate(Judged):
    """The measured error of a distilled set, and what it means.

    Attributes
    ----------
    verdict : {"pass", "fail", "inconclusive"}
        ``pass``: of every output, the errors of weights and of predictions are what rounding of the stored set explains
        (at most ``bound``). ``fail``: one of them is larger. ``inconclusive``: rounding alone could hide an error above
        1e-6, or a singular value lies so near the cut-off of solvers that they may disagree about the rank.
    relative_error : float
        |W_s - W| / |W| (Frobenius), the weights refitted on the stored set against the original ones.
    bound : float
        ``30 * eps * size * amplification``.
    ratio : float
        The largest, over the outputs, of error / (eps * size * amplification of that output); an exact set has a ratio
        below 30.
    amplification : float
        The largest sensitivity of an output to a relative rounding of features and labels (T15), times that of the
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
    output : int
        The output with the largest ratio.
    output_error : float
        The largest relative error of the weights of one output.
    prediction_error : float
        The largest relative error of one output's predictions on the stored features, intercept included.
    """

    out_of_span: float
    in_span: float
    rank: int
    points: int
    ridge: float
    output: int
    output_error: float
    prediction_error: float

    def __str__(self) -> str:
        return (
            f"{self.verdict}: |W_s - W| / |W| = {self.relative_error:.1e} (bound {self.bound:.1e}, "
            f"ratio {self.ratio:.2g}, cond {self.condition:.2g}, {self.points} points, ridge {self.ridge:.3g})"
        )


Found = TypeVar("Found", bound=Judged)


def worst(certificates: Iterable[Found]) -> Found:
    """Return the certificate with the worst verdict, and among those the largest error."""
    return max(certificates, key=lambda found: (SEVERITY.index(found.verdict), found.relative_error))


def certify_recovery(
    W: Array,
    Phis: Array,
    Ys: Array,
    *,
    ridge: float,
    map_condition: float = 1.0,
    intercept: Array | None = None,
    feature_sizes: Array | None = None,
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
        the intercept is judged by the predictions.
    feature_sizes : (p,) array, optional
        Root mean square of each feature of the data, where it is known: the weights of every output are then judged
        times these sizes too, so that no column of small weights and large features is rounding beside another.

    Returns
    -------
    Certificate

    Raises
    ------
    TypeError, ShapeError, ValueError
        Integers; sizes that do not fit; NaN; a negative ridge.
    numpy.linalg.LinAlgError
        LAPACK gave no decomposition of the features that multiplies out.

    Notes
    -----
    *Cost.* A pivoted QR of an (m, p) matrix and an SVD of its factor, O(p m min(m, p)). *Numerics.* float64 always;
    ``eps`` is that of the dtype that came in. Scaling the features, or an output with its labels, by a power of two
    changes no verdict, no ratio and no bound. At ridge 0 ranks are cut at max(m, p) eps, as solvers do.

    Examples
    --------
    >>> W, Phis = np.array([[1.0, 2.0]]), np.array([[3.0, 6.0]])
    >>> certify_recovery(W, Phis, np.array([[15.0]]), ridge=0.0).verdict
    'pass'
    >>> certify_recovery(W, Phis, np.array([[15.0 + 1e-8]]), ridge=0.0).verdict
    'fail'
    """
    require_sizes(W, Phis, Ys, intercept)
    ridge, eps = as_ridge(ridge), max(eps_of(A) for A in (W, Phis, Ys))
    x = in_units(W, Phis, Ys, ridge=ridge, intercept=intercept)
    deviations = about_means(x)
    found = refit(x, deviations, eps=eps_of(Phis))
    measures = [_of_weights(x, deviations, found), _of_predictions(x, deviations, found)]
    if feature_sizes is not None:
        measures.append(_at_sizes(x, found, _as_sizes(feature_sizes, x.weights.shape[1]), measures[0][1]))
    errors, changes = np.array(measures).swapaxes(0, 1)
    m, p = x.features.shape
    # Rounding errors of the m points add up; those of an inner product of length p grow like its square root.
    magnified = float(np.maximum(1.0, map_condition))  # NaN stays
    amplification = magnified * np.maximum(changes, 1.0)
    unit = eps * (m + math.sqrt(p))
    ratios = np.max(errors / (unit * amplification), axis=0)
    bound = RATIO_LIMIT * unit * float(amplification.max())
    doubtful = ridge == 0.0 and found.spectrum.is_doubtful(eps_of(Phis))
    out, inside = _parts(x, found)
    return Certificate(
        verdict=_verdict(float(ratios.max()), bound, eps, doubtful=doubtful),
        relative_error=math.hypot(out, inside),
        bound=bound,
        ratio=float(ratios.max()),
        amplification=float(amplification.max()),
        condition=_condition(x, found),
        out_of_span=out,
        in_span=inside,
        rank=found.rank,
        points=m,
        ridge=ridge,
        output=int(np.argmax(ratios)),
        output_error=float(errors[0].max()),
        prediction_error=float(errors[1].max()),
    )


def _verdict(ratio: float, bound: float, eps: float, *, doubtful: bool) -> str:
    """A ratio or a bound that is not a finite number proves nothing."""
    if not ratio <= RATIO_LIMIT:
        return "fail"
    return "pass" if bound <= max(MEANINGFUL, 1e4 * eps) and not doubtful else "inconclusive"


Measured = tuple[np.ndarray, np.ndarray]  # of each output (k,): a relative error, and its change by rounding over eps


def _of_weights(x: Regression, deviations: Deviations, found: Refit) -> Measured:
    W, Y = np.linalg.norm(x.weights, axis=1), np.linalg.norm(x.labels, axis=0)
    size = found.spectrum.largest * deviations.stretch  # what is rounded is what is stored, not the deviations
    change = size * (found.dual + x.share * W * found.gain) + Y * found.gain
    error = np.hypot(np.linalg.norm(found.missing, axis=1), np.linalg.norm(found.delta, axis=1))
    unit = _first_positive(W, Y * found.gain)
    return error / unit, change / unit


def _of_predictions(x: Regression, deviations: Deviations, found: Refit) -> Measured:
    s, a, root = found.spectrum.s, x.share, math.sqrt(len(x.features))
    W, Y = np.linalg.norm(x.weights, axis=1), np.linalg.norm(x.labels, axis=0)
    shrinkage = a * s[0] ** 2 / (a * s[0] ** 2 + x.ridge) if s[0] > 0.0 else 0.0
    of_features = a * s[0] * deviations.stretch * (shrinkage * W + found.gain * found.residual)
    change = of_features + shrinkage * Y + root * deviations.constant
    error = np.hypot(a * np.linalg.norm(found.delta * s, axis=1), root * np.abs(deviations.offset))
    unit = _first_positive(np.hypot(found.predictions, root * np.abs(deviations.level)), Y)
    return error / unit, change / unit


def _as_sizes(sizes: Array, p: int) -> np.ndarray:
    namespace(sizes)  # an array
    if tuple(sizes.shape) != (p,):
        raise ShapeError(f"feature_sizes must have shape {(p,)}, one a feature, got {tuple(sizes.shape)}")
    row: np.ndarray = stored(as_matrix(sizes[None, :], "feature_sizes"))[0]
    if row.min() < 0.0:
        raise ValueError(f"feature_sizes must be >= 0, got {row.min():.3g}; they are root mean squares")
    return row / (row.max() or 1.0)


def _at_sizes(x: Regression, found: Refit, sizes: np.ndarray, change: np.ndarray) -> Measured:
    """Measure weights times sizes (p,), the largest 1; a ``change`` of the weights may have any direction."""
    wrong = np.linalg.norm((found.missing + found.delta @ found.spectrum.V.T) * sizes, axis=1)
    W, weighted = np.linalg.norm(x.weights, axis=1), np.linalg.norm(x.weights * sizes, axis=1)
    known = weighted > 0.0  # of a feature that the data do not have nothing is asked
    unit = np.where(known, weighted, 1.0)
    return np.where(known, wrong / unit, 0.0), np.where(known, change * W / unit, 1.0)


def _first_positive(*sizes: np.ndarray) -> np.ndarray:
    """For each output the first size that is not 0: an output without weights is measured by its labels."""
    found = np.ones(len(sizes[0]))
    for size in reversed(sizes):
        found = np.where(size > 0.0, size, found)
    return found


def _parts(x: Regression, found: Refit) -> tuple[float, float]:
    """Return the two parts of T16 over all outputs, relative to |W|, with outputs in the units that they came in."""
    common = np.ldexp(1.0, x.exponents - x.exponents.max())
    total = np.linalg.norm(x.weights * common[:, None])
    out = np.hypot(np.linalg.norm(found.missing, axis=1), np.linalg.norm(found.delta[:, found.rank :], axis=1))
    inside = np.linalg.norm(found.delta[:, : found.rank], axis=1)
    unit = float(total) if total > 0.0 else float(np.linalg.norm(common * np.linalg.norm(x.labels, axis=0))) or 1.0
    return float(np.linalg.norm(common * out)) / unit, float(np.linalg.norm(common * inside)) / unit


def _condition(x: Regression, found: Refit) -> float:
    if found.rank == 0:
        return 1.0
    largest, least = x.share * found.spectrum.s[[0, found.rank - 1]] ** 2 + x.ridge
    return math.sqrt(largest / least)
