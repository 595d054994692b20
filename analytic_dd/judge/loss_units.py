r"""A penalised loss in units as powers of two, so that no weights are too small or too large to be judged (T18).

The logits Z = F W^T + b are what a loss sees, and they have no unit. For any integers f, g and h, with F = F' 2^f,
W = W' 2^g, w = w' 2^h,

    F^T diag(w) (mu(Z) - Y) / ridge + W^T  =  2^g (F'^T diag(w') (mu(Z) - Y) reach + W'^T),   reach = 2^(f+h-g) / ridge
    Z  =  2^(f+g) F' W'^T + b

The exponents are taken from the largest entries. Errors of weights are then measured in units of 2^g and errors of
logits in units of 2^(f+g). The squared loss has labels and intercept in units of 2^(f+g) too, and reach has one such
factor more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from analytic_dd.judge.units import exponents

__all__ = ["Posed", "posed", "scaled"]


@dataclass(frozen=True)
class Posed:
    """A loss on a stored set at weights W (k, p), every size near 1; sample weights are all above 0."""

    loss: str
    W: np.ndarray  # (k, p)
    b: np.ndarray | None  # (k,), in units of the logits that the loss sees
    F: np.ndarray  # (m, p)
    Y: np.ndarray  # (m, k)
    w: np.ndarray  # (m,)
    logits: int  # the loss sees F W^T 2^logits + b
    unit: int  # an error of logits is divided by 2^unit
    reach: tuple[float, int]  # mantissa and exponent of 2^(f+h-g) / ridge; (0, 0) where the ridge is 0

    @property
    def Z(self) -> np.ndarray:
        """The logits (m, k)."""
        Z = scaled(self.F @ self.W.T, self.logits)
        return Z if self.b is None else Z + self.b

    def reached(self, size: float) -> float:
        """Return ``size / ridge`` of a gradient of features F and sample weights w, in units of W."""
        return float(scaled(size * self.reach[0], self.reach[1]))

    def of_logits(self, size: float) -> float:
        """Return an error of what the loss sees in units of F W^T."""
        return float(scaled(size, -self.logits))


def scaled(A: np.ndarray | float, power: int) -> np.ndarray:
    """Return A 2^power: infinite beyond the range of float64, 0 below it."""
    return np.asarray(np.ldexp(A, int(np.clip(power, -5000, 5000))))


def posed(
    loss: str, W: np.ndarray, b: np.ndarray | None, F: np.ndarray, Y: np.ndarray, w: np.ndarray, ridge: float
) -> Posed:
    """Return the problem with every size near 1; see the module. Without weights the unit of logits is 1."""
    f, g, h = (int(exponents(A, absent=0)) for A in (F, W, w))
    g = g if W.any() else -f
    mantissa, power = math.frexp(ridge)
    reach = (1.0 / mantissa, f + h - g - power) if ridge > 0.0 else (0.0, 0)
    logits = unit = f + g
    if loss == "squared":
        Y, b = scaled(Y, -unit), None if b is None else scaled(b, -unit)
        reach, logits = (reach[0], reach[1] + unit), 0
    return Posed(loss, scaled(W, -g), b, scaled(F, -f), Y, scaled(w, -h), logits, unit, reach)
