r"""Invertible residual blocks: v + f(v) with a contraction f is inverted by a fixed point iteration (T8d)."""

from __future__ import annotations

import math

import numpy as np

from analytic_dd.arrays import Array, eps_of, namespace
from analytic_dd.errors import InfeasibleError
from analytic_dd.features.conditioner import Conditioner
from analytic_dd.features.coupling import Block
from analytic_dd.features.stage import Place

__all__ = ["ResidualBlock"]

_CONTRACTION = 0.6  # Lipschitz constant of f: 70 iterations to rounding level, condition (1 + 0.6) / (1 - 0.6) = 4
_GAIN = 2.0  # a bounded f is a small part of v; larger pre-activations bend it more for the same constant
_SETTLED = 8.0  # steps below this multiple of eps |v| are rounding


class ResidualBlock(Block):
    """v -> v + f(v), |f(v) - f(v')| <= 0.6 |v - v'|; the inverse repeats v <- y - f(v) until the steps are rounding."""

    def __init__(self, rng: np.random.Generator, d: int, hidden: int) -> None:
        self.branch = Conditioner(rng, d, hidden, d, gain=_GAIN, scale=_CONTRACTION / _GAIN)
        self.lipschitz = 1.0 + self.branch.lipschitz
        self.lipschitz_inverse = 1.0 / (1.0 - self.branch.lipschitz)

    def forward(self, V: Array, place: Place) -> Array:
        """Add f(v)."""
        return V + self.branch(V, place)

    def inverse(self, V: Array, place: Place) -> Array:
        """Iterate to rounding level.

        Raises
        ------
        InfeasibleError
            T8d: the steps do not shrink as a contraction's must.
        """
        xp, eps = namespace(V), eps_of(V)
        X, step = V, math.inf
        for _ in range(10 + math.ceil(math.log(eps) / math.log(_CONTRACTION))):
            new = V - self.branch(X, place)
            length = xp.sqrt(xp.sum(new**2, axis=1))
            moved = xp.sqrt(xp.sum((new - X) ** 2, axis=1))
            X, step = new, float(xp.max(xp.where(length > 0, moved / xp.where(length > 0, length, 1 + 0 * length), moved)))
            if step <= _SETTLED * eps:
                return V - self.branch(X, place)
        raise InfeasibleError(
            f"the fixed point iteration must settle to steps of {_SETTLED * eps:.2g}, got {step:.2g}: the block is not a "
            f"contraction; rebuild the map from its specification",
            theorem="T8d",
            value=step,
            limit=_SETTLED * eps,
        )
