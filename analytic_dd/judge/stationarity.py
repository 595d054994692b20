r"""Whether weights of a network are a stationary point, and a strict local minimum, of training on a set (T21).

    L(W_1, ..., W_L) = 1/2 |f(X) - Y|^2 + ridge/2 sum_l |W_l|^2,     f(x) = W_L act(W_(L-1) ... act(W_1 x)),

with act the identity or ReLU. At points where no unit is at its kink L is a polynomial in the weights near by, and its
gradient and its Hessian are computed by products, without differences and without the construction of the set.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from analytic_dd.arrays import as_matrix, as_ridge
from analytic_dd.judge.units import exponents, stored

__all__ = ["NOTE", "StationarityCertificate", "stationarity_certificate"]

NOTE = "local minimum; training from random weights does not find it"

_LARGEST = 4_000  # weights up to which the Hessian is formed: 128 MB
_LEAST_UNIT = 1e-4
_AT_KINK = 8.0 * 2.0**-52  # times the width and the sum of the sizes of what the input of a unit is a sum of


@dataclass(frozen=True)
class StationarityCertificate:
    """Gradient and curvature of the training loss of a set at given weights.

    Attributes
    ----------
    gradient : float
        Norm of the gradient.
    relative_gradient : float
        Of the worst unit, to the sum of the norms of its two parts, fit and penalty, which cancel at a stationary
        point: a small unit does not hide behind large ones.
    least_eigenvalue, largest_eigenvalue : float
        Of the Hessian.
    kink : float
        Least distance of a unit from its kink at a point, relative to the largest; infinite without kinks.
    verdict : str
        ``"strict local minimum"``, ``"stationary point"`` (flat directions, as those of linear networks), ``"saddle"``
        or ``"not stationary"``.
    note : str
        What it does not say.
    """

    gradient: float
    relative_gradient: float
    least_eigenvalue: float
    largest_eigenvalue: float
    kink: float
    verdict: str
    note: str = NOTE

    def __str__(self) -> str:
        return (
            f"{self.verdict}: relative gradient {self.relative_gradient:.1e}, Hessian {self.least_eigenvalue:.2g} to "
            f"{self.largest_eigenvalue:.2g} ({self.note})"
        )


def stationarity_certificate(
    inputs: np.ndarray,
    labels: np.ndarray,
    weights: Sequence[np.ndarray],
    *,
    ridge: float,
    activation: str = "relu",
) -> StationarityCertificate:
    """Judge weights by the gradient and the Hessian of the loss at the head of this module.

    Theorem: T21c, T21d (what they claim); necessary are max_l rank W_l points (T21b).

    Parameters
    ----------
    inputs : (m, d) array
    labels : (m, k) array
    weights : sequence of arrays
        W_1 (h, d), ..., W_L (k, h): rows are units, as in torch's ``Linear.weight``.
    ridge : float
        Weight decay: ridge/2 times the squared norm of all weights.
    activation : {"relu", "linear"}

    Raises
    ------
    ShapeError, ValueError
        Sizes that do not fit; another activation; a unit at its kink, to rounding; more than 4,000 weights.

    Notes
    -----
    *Cost.* As many products with the Hessian as there are weights, and one eigendecomposition. *Numerics.* The
    gradient is rounding up to 1e-9 of its parts; an eigenvalue is 0 up to eps times the number of weights, and the
    relative gradient, of the largest. Inputs and weights are judged in units that are powers of two: the units of the
    data change no verdict.

    Examples
    --------
    >>> x, w = np.array([[2.0]]), [np.array([[1.0]])]
    >>> print(stationarity_certificate(x, np.array([[2.25]]), w, ridge=0.5, activation="linear"))
    strict local minimum: relative gradient 0.0e+00, Hessian 4.5 to 4.5 (local minimum; training from random weights
    does not find it)
    """
    if activation not in ("relu", "linear"):
        raise ValueError(f"activation must be 'relu' or 'linear', got {activation!r}")
    ridge, layers = as_ridge(ridge), _checked(inputs, labels, weights)
    size = sum(W.size for W in layers)
    if size > _LARGEST:
        raise ValueError(f"the Hessian of {size:,} weights is not formed; at most {_LARGEST:,} are judged")
    with np.errstate(over="ignore", invalid="ignore"):  # what is no number is no minimum
        X, Y, layers, ridge, of_loss, of_weights = _in_units(stored(inputs), stored(labels), layers, ridge)
        states, masks, kink = _forward(X, layers, activation)
        residual = states[-1] - Y
        fit, penalty = _backward(states, masks, layers, residual), [ridge * W for W in layers]
        relative, gradient = _relative(fit, penalty)
        H = np.array(list(_hessian(states, masks, layers, residual, ridge)))
        values = np.linalg.eigvalsh(0.5 * (H + H.T)) if np.all(np.isfinite(H)) else np.array([math.nan])
        least, largest = float(values[0]), float(values[-1])
        slope, (low, high) = (
            np.ldexp(gradient, of_loss - of_weights),
            np.ldexp(values[[0, -1]], of_loss - 2 * of_weights),
        )
    return StationarityCertificate(
        float(slope), relative, float(low), float(high), kink, _verdict(relative, least, largest, size)
    )


def _in_units(
    X: np.ndarray, Y: np.ndarray, layers: list[np.ndarray], ridge: float
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray], float, int, int]:
    """Return the problem with inputs and weights of size 1, and the exponents of 2 of the loss and of the weights.

    With X / 2^f and every W_l / 2^a the labels are Y / 2^(f + a L), the ridge is ridge / 2^(2 f + 2 a (L - 1)), and the
    loss is in units of 2^(2 f + 2 a L). Division by a power of two is exact.
    """
    f, a = int(exponents(X, absent=0)), max((int(exponents(W)) for W in layers if W.any()), default=0)
    of_labels = f + a * len(layers)
    shifted = [np.ldexp(W, -a) for W in layers]
    of_ridge = float(np.ldexp(ridge, 2 * (a - of_labels)))
    return np.ldexp(X, -f), np.ldexp(Y, -of_labels), shifted, of_ridge, 2 * of_labels, a


def _relative(fit: list[np.ndarray], penalty: list[np.ndarray]) -> tuple[float, float]:
    """Return the largest gradient of a unit relative to its own two parts, and the norm of the gradient of all.

    The parts of a unit that is below 1e-4 of all count as so much: there is the rounding of the others.
    """
    gradient = math.sqrt(sum(float(np.sum((a + b) ** 2)) for a, b in zip(fit, penalty, strict=True)))
    of_parts = [np.linalg.norm(a, axis=1) + np.linalg.norm(b, axis=1) for a, b in zip(fit, penalty, strict=True)]
    total = float(np.linalg.norm(np.concatenate(of_parts)))
    if total == 0.0:
        return 0.0, gradient
    wrong = [np.linalg.norm(a + b, axis=1) for a, b in zip(fit, penalty, strict=True)]
    units = zip(np.concatenate(wrong), np.concatenate(of_parts), strict=True)
    return float(np.max([found / np.maximum(parts, _LEAST_UNIT * total) for found, parts in units])), gradient


def _verdict(relative: float, least: float, largest: float, size: int) -> str:
    rounding = (8.0 * size * np.finfo(np.float64).eps + relative) * largest  # the Hessian has the residuals too
    if not (relative <= 1e-9 and math.isfinite(rounding)):
        return "not stationary"
    if least > rounding:
        return "strict local minimum"
    return "stationary point" if least >= -rounding else "saddle"


def _checked(inputs: np.ndarray, labels: np.ndarray, weights: Sequence[np.ndarray]) -> list[np.ndarray]:
    as_matrix(inputs, "inputs")
    width = inputs.shape[1]
    if not len(weights):
        raise ValueError("weights must name at least one matrix, got none")
    for place, W in enumerate(weights, start=1):
        as_matrix(W, f"weights[{place - 1}]", columns=width)
        width = W.shape[0]
    as_matrix(labels, "labels", rows=inputs.shape[0], columns=width)
    return [stored(W) for W in weights]


def _forward(
    inputs: np.ndarray, layers: list[np.ndarray], activation: str
) -> tuple[list[np.ndarray], list[np.ndarray], float]:
    """Return the inputs of every layer and the output, what is active, and the least distance from a kink."""
    states, masks, kink = [inputs], [], np.inf
    for W in layers[:-1]:
        Z = states[-1] @ W.T
        active = np.ones_like(Z) if activation == "linear" else (Z > 0.0).astype(np.float64)
        if activation == "relu":
            sizes = np.abs(states[-1]) @ np.abs(W).T
            if np.any(np.abs(Z) <= _AT_KINK * W.shape[1] * sizes):
                raise ValueError(
                    "a unit is at its kink at one of the points, to rounding: the loss has no gradient there"
                )
            kink = min(kink, float(np.min(np.abs(Z)) / np.max(np.abs(Z))))
        states.append(active * Z)
        masks.append(active)
    states.append(states[-1] @ layers[-1].T)
    return states, masks, kink


def _backward(
    states: list[np.ndarray], masks: list[np.ndarray], layers: list[np.ndarray], residual: np.ndarray
) -> list[np.ndarray]:
    """Return the gradient of 1/2 |f(X) - Y|^2 in every layer."""
    found, D = [], residual
    for place in range(len(layers) - 1, -1, -1):
        found.append(D.T @ states[place])
        if place:
            D = (D @ layers[place]) * masks[place - 1]
    return found[::-1]


def _hessian(
    states: list[np.ndarray], masks: list[np.ndarray], layers: list[np.ndarray], residual: np.ndarray, ridge: float
) -> Iterator[np.ndarray]:
    """Yield the rows of the Hessian: how the gradient changes along each weight."""
    back = [residual]
    for place in range(len(layers) - 1, 0, -1):
        back.insert(0, (back[0] @ layers[place]) * masks[place - 1])
    for place, W in enumerate(layers):
        for index in range(W.size):
            V = np.zeros(W.size)
            V[index] = 1.0
            yield _along(states, masks, layers, back, place, V.reshape(W.shape), ridge)


def _along(
    states: list[np.ndarray],
    masks: list[np.ndarray],
    layers: list[np.ndarray],
    back: list[np.ndarray],
    moved: int,
    V: np.ndarray,
    ridge: float,
) -> np.ndarray:
    """Return the derivative of the gradient along V in the layer ``moved`` (Pearlmutter's products)."""
    last, rates = len(layers) - 1, [np.zeros_like(states[0])]
    for place, W in enumerate(layers):
        rate = rates[-1] @ W.T + (states[place] @ V.T if place == moved else 0.0)
        rates.append(rate * masks[place] if place < last else rate)
    D, found = rates[-1], []
    for place in range(last, -1, -1):
        found.append(D.T @ states[place] + back[place].T @ rates[place] + (ridge * V if place == moved else 0.0))
        if place:
            D = (D @ layers[place] + (back[place] @ V if place == moved else 0.0)) * masks[place - 1]
    return np.concatenate([np.ravel(G) for G in found[::-1]])
