r"""Units of a regression as powers of two, so that no square overflows or vanishes.

Ridge regression may be written in other units: for any integers f, l and w_i (one for each output i), with
F = Phi / 2^f, W_i' = W_i / 2^w_i, Y_i' = Y_i / 2^(w_i + f + l), a = 2^-l and lam' = ridge / 2^(2f + l),

    (Phi^T Phi + ridge I) W^T = Phi^T Y    iff    (a F^T F + lam' I) W'^T = F^T Y'.

The exponents are taken from the largest entries: F has size 1, lam' is at most 1, and of W_i' and Y_i' the larger has
size 1. Division by a power of two is exact, so a certificate does not depend on the units of the features or of any
output, not by a bit. The factor ``a`` keeps a ridge that dwarfs the features from overflowing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from analytic_dd.arrays import Array, as_matrix, to_numpy
from analytic_dd.errors import ShapeError

__all__ = ["Deviations", "Regression", "about_mean", "about_means", "exponents", "in_units", "require_sizes", "stored"]

_ABSENT = -(10**6)  # the exponent of zero, below that of every float
_LEAST = -1000  # a ridge further below acts on exact zeros only, and there its size does not matter


@dataclass(frozen=True)
class Regression:
    """A regression in units of its own, float64 on the host."""

    weights: np.ndarray  # (k, p)
    features: np.ndarray  # (m, p)
    labels: np.ndarray  # (m, k)
    intercept: np.ndarray | None  # (k,) or None: in the units of the labels
    share: float  # the factor ``a`` of the features beside the ridge
    ridge: float  # lam', 0 exactly where the ridge is 0
    exponents: np.ndarray  # (k,) int: w_i: the weights of output i are ``weights[i] * 2**exponents[i]``


def in_units(W: Array, Phis: Array, Ys: Array, *, ridge: float, intercept: Array | None = None) -> Regression:
    """Return the regression with every size near 1; see the module.

    Examples
    --------
    >>> x = in_units(np.array([[3e-200]]), np.array([[2e180]]), np.array([[6e-20]]), ridge=0.0)
    >>> bool(0.5 <= x.features[0, 0] < 1.0), bool(0.25 <= x.labels[0, 0] < 1.0), x.share
    (True, True, 1.0)
    """
    w, F, Y = (stored(A) for A in (W, Phis, Ys))
    b = None if intercept is None else stored(intercept)
    f = int(exponents(F))
    f = 0 if f == _ABSENT else f
    mantissa, relative = math.frexp(ridge)
    relative -= 2 * f
    ridge_excess = max(relative, 0) if ridge > 0.0 else 0
    of_labels = exponents(Y, axis=0) if b is None else np.maximum(exponents(Y, axis=0), exponents(b[None], axis=0))
    outputs = np.maximum(exponents(w, axis=1), of_labels - f - ridge_excess)
    outputs[outputs < _ABSENT // 2] = 0
    label_units = outputs + f + ridge_excess
    return Regression(
        weights=np.ldexp(w, -outputs[:, None]),
        features=np.ldexp(F, -f),
        labels=np.ldexp(Y, -label_units),
        intercept=None if b is None else np.ldexp(b, -label_units),
        share=math.ldexp(1.0, -ridge_excess),
        ridge=math.ldexp(mantissa, max(relative - ridge_excess, _LEAST)) if ridge > 0.0 else 0.0,
        exponents=outputs,
    )


@dataclass(frozen=True)
class Deviations:
    """A regression about its means (T12), or as it is where it has no intercept."""

    # Deviations from the column means
    features: np.ndarray  # (m, p)
    labels: np.ndarray  # (m, k)
    level: np.ndarray  # (k,): a W mean(F) + b: the predictions at the mean
    offset: np.ndarray  # (k,): mean(Y) - level: their error
    # (k,): the sum of the sizes that ``offset`` is a difference of; labels that cancel in their mean round as they are
    constant: np.ndarray
    stretch: float  # the norm of the stored features over that of the deviations


def about_means(x: Regression) -> Deviations:
    """Return the deviations from the column means, where ``x`` has an intercept."""
    if x.intercept is None:
        zero = np.zeros(len(x.weights))
        return Deviations(x.features, x.labels, zero, zero, zero, 1.0)
    F, mean = about_mean(x.features)
    Y, mean_y = about_mean(x.labels)
    level, spread = x.share * (x.weights @ mean) + x.intercept, float(np.linalg.norm(F))
    of_weights = x.share * np.linalg.norm(x.weights, axis=1) * np.linalg.norm(mean)
    return Deviations(
        features=F,
        labels=Y,
        level=level,
        offset=mean_y - level,
        constant=np.abs(x.labels).mean(axis=0) + of_weights + np.abs(x.intercept),
        stretch=float(np.linalg.norm(x.features)) / spread if spread > 0.0 else 1.0,
    )


def about_mean(A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the deviations from the column means, and the means.

    The second pass removes the rounding of the mean itself: where the mean exceeds the deviations it would count as a
    direction of its own.
    """
    mean = A.mean(axis=0)
    rest = (A - mean).mean(axis=0)
    return (A - mean) - rest, mean + rest


def require_sizes(W: Array, Phis: Array, Ys: Array, intercept: Array | None) -> None:
    """Refuse what are no finite matrices, sizes that do not fit, and an intercept that is none of these weights."""
    for name, A in (("W", W), ("Phis", Phis), ("Ys", Ys)):
        as_matrix(A, name)
    if Phis.shape[1] != W.shape[1] or Ys.shape != (Phis.shape[0], W.shape[0]):
        raise ShapeError(
            f"W (k, p), Phis (m, p), Ys (m, k) do not fit: {tuple(W.shape)}, {tuple(Phis.shape)}, {tuple(Ys.shape)}"
        )
    if intercept is not None:
        if tuple(intercept.shape) != (len(W),):
            raise ShapeError(
                f"intercept must have shape {(len(W),)}, one entry a row of W, got {tuple(intercept.shape)}"
            )
        as_matrix(intercept[None, :], "intercept")


def stored(A: Array) -> np.ndarray:
    """Return an array on the host, in float64, by rows, so that the order of its memory does not change the sums."""
    return np.array(to_numpy(A), dtype=np.float64, order="C")


def exponents(A: np.ndarray, axis: int | None = None, *, absent: int = _ABSENT) -> np.ndarray:
    """Return e with 2^(e-1) <= max |A| < 2^e, and ``absent`` for a maximum of 0."""
    largest = np.max(np.abs(A), axis=axis)
    return np.where(largest > 0.0, np.frexp(largest)[1], absent)
