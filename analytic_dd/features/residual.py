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

    def jvp(self, V: Array, dV: Array, place: Place) -> Array:
        """dV + f'(v) dV."""
        return dV + self.branch.jvp(V, dV, place)

    def vjp(self, V: Array, U: Array, place: Place) -> Array:
        """U + f'(v)^T U."""
        return U + self.branch.vjp(V, U, place)

    def inverse(self, V: Array, place: Place) -> Array:
        """Iterate to rounding level.

        Raises
        ------
        InfeasibleError
            T8d: the steps do not shrink as a contraction's must.
        """
        xp, limit = namespace(V), _SETTLED * eps_of(V)
        X, moved, length = V, V[:, 0], V[:, 0]
        for _ in range(10 + math.ceil(math.log(limit) / math.log(_CONTRACTION))):
            new = V - self.branch(X, place)
            moved, length = (xp.sqrt(xp.sum(A**2, axis=1)) for A in (new - X, new))
            X = new
            if bool(xp.all(moved <= limit * length)):
                return X
        step = float(xp.max(moved)) / float(xp.max(length))
        raise InfeasibleError(
            f"the fixed point iteration must settle to steps of {limit:.2g}, got {step:.2g}: the block is not a "
            f"contraction; rebuild the map from its specification",
            theorem="T8d",
            value=step,
            limit=limit,
        )
