"""Activations of a fully connected layer, their inverses and their ranges (T8b)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from analytic_dd.arrays import Array, cached_rows

__all__ = ["ACTIVATIONS", "Activation"]

Scalar = Callable[[Any, Array, Any], Array]  # (array namespace, values, slope) -> values, entry by entry

_SQRT_MAX = {"float32": 1.8e19, "float64": 1.3e154}


@dataclass(frozen=True)
class Activation:
    """A function of single entries, with the properties that T8b asks for.

    Examples
    --------
    >>> import numpy as np
    >>> tanh = ACTIVATIONS["tanh"]
    >>> round(float(tanh.inverse(np, tanh.forward(np, np.array(0.5), None), None)), 12)
    0.5
    >>> ACTIVATIONS["relu"].inverse is None
    True
    """

    name: str
    forward: Scalar  # ``forward(xp, T, slope)`` of pre-activations ``T``
    # ``derivative(xp, T, slope)`` is the slope of ``forward`` at ``T``, and at a kink that of the side ``T >= 0``
    derivative: Scalar
    inverse: Scalar | None = None  # ``inverse(xp, H, slope)``, or None where the function is not strictly monotone
    lower: float = -math.inf  # the open range ]lower, upper[ ; infinite for an activation onto R
    upper: float = math.inf
    # Size of outputs up to which the inverse is well-conditioned; :meth:`FullyConnected.scale_into_range` aims at it
    reach: float = math.inf
    stretch: float | None = None  # the largest ratio of slopes up to that size, or None for 1 / slope

    @property
    def onto(self) -> bool:
        """Whether the range is the whole line."""
        return self.lower == -math.inf and self.upper == math.inf

    @property
    def centred(self) -> bool:
        """Whether 0 is interior to the range, so that scaling brings features of any size into it."""
        return self.lower < 0.0 < self.upper

    @property
    def interior(self) -> float:
        """A value well inside the range, 0 if it can be."""
        return 0.0 if self.centred else self.lower + min(1.0, (self.upper - self.lower) / 2)

    def limits(self, dtype: str) -> tuple[float, float]:
        """Return the range that ``dtype`` can invert; for asinh the square of sinh must not overflow."""
        if self.name == "asinh":
            largest = math.asinh(_SQRT_MAX[dtype])
            return -largest, largest
        return self.lower, self.upper


def _leaky(xp: Any, T: Array, slope: Any) -> Array:
    if isinstance(T, np.ndarray) and np.ndim(slope) < T.ndim and np.all(slope <= 1.0):
        H = np.empty_like(T)
        for rows in cached_rows(T):
            np.multiply(T[rows], slope, out=H[rows])
            np.maximum(T[rows], H[rows], out=H[rows])  # the same numbers, in a fifth of the time
        return H
    return xp.where(T >= 0, T, T * slope)


def _leaky_inverse(xp: Any, H: Array, slope: Any) -> Array:
    return xp.where(H >= 0, H, H / slope)


def _below(xp: Any, T: Array) -> Array:
    """Return min(T, 0), so that a branch that is not taken neither overflows nor spoils a gradient."""
    return xp.where(T < 0, T, 0 * T)


def _bent_inverse(xp: Any, H: Array, slope: Any) -> Array:
    """Root of  3 x^2 - 4 z x + z^2 - 1 = 0, z = 2 h + 1, written without cancellation for z > 0."""
    z = 2 * H + 1
    root = xp.sqrt(z * z + 3)
    positive = xp.where(z > 0, z, 0 * z)
    return xp.where(z > 0, 4 * H * (H + 1) / (2 * positive + root), (2 * z - root) / 3)


def _gelu(xp: Any, T: Array, slope: Any) -> Array:
    """Return the tanh form (Hendrycks and Gimpel, 2016), since not every array library has erf."""
    return T * (1 + xp.tanh(math.sqrt(2 / math.pi) * (T + 0.044715 * T**3))) / 2


def _gelu_slope(xp: Any, T: Array, slope: Any) -> Array:
    c = math.sqrt(2 / math.pi)
    t = xp.tanh(c * (T + 0.044715 * T**3))
    return (1 + t + T * (1 - t) * (1 + t) * c * (1 + 3 * 0.044715 * T**2)) / 2


def _tanh_slope(xp: Any, T: Array, slope: Any) -> Array:
    t = xp.tanh(T)
    return (1 - t) * (1 + t)


def _step(xp: Any, T: Array, below: Any) -> Array:
    """1 where T >= 0, else ``below``."""
    return xp.where(T >= 0, xp.ones_like(T), below + 0 * T)


ACTIVATIONS: dict[str, Activation] = {
    activation.name: activation
    for activation in (
        Activation("leaky_relu", _leaky, _step, _leaky_inverse),
        Activation("prelu", _leaky, _step, _leaky_inverse),
        Activation(
            "asinh",
            lambda xp, T, s: xp.asinh(T),
            lambda xp, T, s: 1 / xp.hypot(xp.ones_like(T), T),
            lambda xp, H, s: xp.sinh(H),
            reach=2.0,
            stretch=4.0,
        ),
        Activation(
            "bent_identity",
            lambda xp, T, s: T + T * T / (2 * (xp.sqrt(T * T + 1) + 1)),
            lambda xp, T, s: 1 + T / (2 * xp.sqrt(T * T + 1)),
            _bent_inverse,
            stretch=3.0,
        ),
        Activation("tanh", lambda xp, T, s: xp.tanh(T), _tanh_slope, lambda xp, H, s: xp.atanh(H), -1.0, 1.0, 0.9, 1.7),
        Activation(
            "softsign",
            lambda xp, T, s: T / (1 + xp.abs(T)),
            lambda xp, T, s: 1 / (1 + xp.abs(T)) ** 2,
            lambda xp, H, s: H / (1 - xp.abs(H)),
            -1.0,
            1.0,
            0.75,
            4.0,
        ),
        Activation(
            "elu",
            lambda xp, T, s: xp.where(T < 0, xp.expm1(_below(xp, T)), T),
            lambda xp, T, s: xp.exp(_below(xp, T)),
            lambda xp, H, s: xp.where(H < 0, xp.log1p(_below(xp, H)), H),
            lower=-1.0,
            reach=0.9,
            stretch=2.6,
        ),
        Activation(
            "softplus",
            lambda xp, T, s: T - _below(xp, T) + xp.log1p(xp.exp(-xp.abs(T))),
            lambda xp, T, s: (1 + xp.tanh(T / 2)) / 2,
            lambda xp, H, s: H + xp.log(-xp.expm1(-H)),
            lower=0.0,
        ),
        Activation(
            "sigmoid",
            lambda xp, T, s: (1 + xp.tanh(T / 2)) / 2,
            lambda xp, T, s: _tanh_slope(xp, T / 2, s) / 4,
            lambda xp, H, s: xp.log(H) - xp.log1p(-H),
            0.0,
            1.0,
        ),
        Activation("relu", lambda xp, T, s: T - _below(xp, T), lambda xp, T, s: _step(xp, T, 0.0)),
        Activation("gelu", _gelu, _gelu_slope),
        Activation("sin", lambda xp, T, s: xp.sin(T), lambda xp, T, s: xp.cos(T)),
    )
}
