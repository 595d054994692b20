"""Which hypothesis of T8b a fully connected network fails, with the number and the remedy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from analytic_dd.errors import InfeasibleError
from analytic_dd.features.activations import Activation

__all__ = ["Obstacle", "find_obstacle"]


@dataclass(frozen=True)
class Obstacle:
    """What exact pre-images need, what came instead, and the number that came with the one allowed.

    Examples
    --------
    >>> Obstacle("p <= d", 3.0, 2.0).error(2, 3).theorem
    'T10'
    """

    wanted: str
    value: float
    limit: float

    def error(self, d: int, p: int) -> InfeasibleError:
        """Return the error to raise for a map from d inputs to p features."""
        remedy = (
            "use leaky_relu, or one image and its neighbours (T9)"
            if p <= d
            else "use p <= d, or points whose features span the features (T10)"
        )
        return InfeasibleError(
            f"exact pre-images need {self.wanted}; {remedy}",
            theorem="T8b" if p <= d else "T10",
            value=self.value,
            limit=self.limit,
        )


def find_obstacle(widths: Sequence[int], act: Activation, *, bias: bool) -> Obstacle | None:
    """Return why T8b does not apply to the widths, activation and biases; None where it does.

    Examples
    --------
    >>> from analytic_dd.features.activations import ACTIVATIONS
    >>> find_obstacle([3, 2], ACTIVATIONS["tanh"], bias=False) is None
    True
    >>> find_obstacle([3, 2], ACTIVATIONS["tanh"], bias=True).wanted
    'no biases with a bounded activation (T8b), got tanh with biases'
    """
    if act.inverse is None:
        return Obstacle(f"a strictly monotone activation (T8b), got {act.name}", 0.0, 1.0)
    for wider, width in pairwise(widths):
        if width > wider:
            return Obstacle(f"non-increasing widths (T8b, T10), got {width} after {wider}", float(width), float(wider))
    if not act.centred:
        here = f"]{act.lower:g}, {act.upper:g}["
        return Obstacle(f"0 inside the range of the activation (T8b), got {act.name} onto {here}", 0.0, act.lower)
    if not act.onto and bias:
        return Obstacle(f"no biases with a bounded activation (T8b), got {act.name} with biases", 1.0, 0.0)
    return None
