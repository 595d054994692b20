"""Cross-entropy of softmax probabilities: log sum exp z - y.z (T18)."""

from __future__ import annotations

from typing import ClassVar

from analytic_dd.arrays import Array, namespace
from analytic_dd.losses.loss import Loss

__all__ = ["Softmax"]

_ROUNDING = 64.0  # sums of probabilities may miss 1 by so many eps times the number of classes


class Softmax(Loss):
    """``A(z) = log sum_j exp z_j``, ``mu = softmax z``; labels are probabilities, one-hot ones among them.

    Theorem: T18.

    Examples
    --------
    >>> import numpy as np
    >>> Softmax().mean(np.array([[0.0, 0.0], [1000.0, 0.0]]))
    array([[0.5, 0.5],
           [1. , 0. ]])
    >>> Softmax().require_targets(np.array([[0.5, 0.6]]))
    Traceback (most recent call last):
        ...
    ValueError: labels of the softmax loss must sum to 1 in every row, got 1.1 in row 0; divide each row by its sum
    """

    name: ClassVar[str] = "softmax"
    lowest: ClassVar[float] = 0.0  # and so at most 1: they sum to 1
    shift_free: ClassVar[bool] = True
    _remedy: ClassVar[str] = "make them probabilities, or take loss='squared'"

    def value(self, Z: Array, Y: Array) -> Array:
        xp = namespace(Z)
        top = xp.max(Z, axis=1)
        return xp.log(xp.sum(xp.exp(Z - top[:, None]), axis=1)) + top - xp.sum(Y * Z, axis=1)

    def mean(self, Z: Array) -> Array:
        xp = namespace(Z)
        weight = xp.exp(Z - xp.max(Z, axis=1)[:, None])
        return weight / xp.sum(weight, axis=1)[:, None]

    def curvature(self, mu: Array, V: Array) -> Array:
        return mu * (V - namespace(mu).sum(mu * V, axis=1)[:, None])

    def link(self, mu: Array) -> Array:
        xp = namespace(mu)
        logits = xp.log(mu)
        return logits - xp.mean(logits)

    def require_targets(self, Y: Array, *, first: int = 0) -> None:
        super().require_targets(Y, first=first)
        xp = namespace(Y)
        missing = xp.abs(xp.sum(Y, axis=1) - 1.0)
        if float(xp.max(missing)) > _ROUNDING * Y.shape[1] * float(xp.finfo(Y.dtype).eps):
            row = int(xp.argmax(missing))
            raise ValueError(
                f"labels of the softmax loss must sum to 1 in every row, got {float(xp.sum(Y[row, :])):.6g} in row "
                f"{first + row}; divide each row by its sum"
            )

    def separated(self, Z: Array, Y: Array) -> bool:
        xp = namespace(Z)
        hard = bool(xp.all((Y == 0.0) | (Y == 1.0)))
        own = xp.sum(Y * Z, axis=1)
        others = xp.max(xp.where(Y == 1.0, -xp.inf, Z), axis=1)
        return hard and bool(xp.all(own > others))
