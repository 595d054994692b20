"""Stages of a network of images (convolution, activation, pooling), and the chain that they form."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np

from analytic_dd.arrays import Array, dtype_name, namespace
from analytic_dd.errors import InfeasibleError
from analytic_dd.features.activations import ACTIVATIONS
from analytic_dd.features.base import Kind, RangeCheck
from analytic_dd.features.scaling import box_check
from analytic_dd.features.sizes import Shape

__all__ = ["ActivationStage", "Chain", "Place", "Stage"]

Place = Callable[[Array, np.ndarray], Array]  # brings a parameter to the library, dtype and device of an array


class Stage(ABC):
    """A map of images (N, rows, columns, channels) with a pre-image.

    Attributes
    ----------
    shape_in, shape_out : (rows, columns, channels)
    onto, one_to_one : bool
        What is known of the stage as a map of images.
    condition : float
        The factor by which its pre-image and then itself may amplify a relative error.
    reason : str
        Why it is not onto, for a message; empty when it is.
    rank : int
        Dimension of what it reaches: the size of ``shape_out`` when it is onto.
    """

    shape_in: Shape
    shape_out: Shape
    onto: bool = True
    one_to_one: bool = False
    condition: float = 1.0
    reason: str = ""

    @abstractmethod
    def forward(self, X: Array, place: Place) -> Array:
        """Map images (N, *shape_in) to (N, *shape_out)."""

    @abstractmethod
    def preimage(self, Z: Array, near: Array | None, place: Place) -> Array:
        """Return the images that map to ``Z``, the nearest to ``near`` when it is given."""

    @abstractmethod
    def jvp(self, X: Array, V: Array, place: Place) -> Array:
        """Return the derivative at the images ``X`` in the directions ``V``, for one X or one each."""

    @abstractmethod
    def vjp(self, X: Array, U: Array, place: Place) -> Array:
        """Return the transposed derivative at ``X`` applied to ``U``."""

    @property
    def rank(self) -> int:
        """Dimension of the linear span that is known to be reached from anywhere."""
        return math.prod(self.shape_out) if self.onto else 0

    @property
    def widest(self) -> int:
        """Number of floats that a sample takes in this stage."""
        return max(math.prod(self.shape_in), math.prod(self.shape_out))


class ActivationStage(Stage):
    """An activation applied entry by entry.

    Parameters
    ----------
    shape : (rows, columns, channels)
    name : str
        A name in :data:`analytic_dd.features.activations.ACTIVATIONS`.
    slope : float
        What a sloped activation has below 0.
    """

    def __init__(self, shape: Shape, name: str, *, slope: float) -> None:
        self.shape_in = self.shape_out = shape
        self.name, self.slope = name, slope
        activation = ACTIVATIONS[name]
        self.one_to_one = activation.inverse is not None
        self.onto = self.one_to_one and activation.onto
        self.condition = activation.stretch or max(slope, 1.0 / slope)
        self.reason = (
            "" if self.onto else f"its activation {name} is not invertible on all of R (take leaky_relu or asinh)"
        )

    def forward(self, X: Array, place: Place) -> Array:
        """Apply the activation."""
        return ACTIVATIONS[self.name].forward(namespace(X), X, self.slope)

    def preimage(self, Z: Array, near: Array | None, place: Place) -> Array:
        """Apply the inverse."""
        inverse = ACTIVATIONS[self.name].inverse
        assert inverse is not None, "Chain.require_onto comes first"
        return inverse(namespace(Z), Z, self.slope)

    def jvp(self, X: Array, V: Array, place: Place) -> Array:
        """Multiply by the slope at ``X``."""
        return V * ACTIVATIONS[self.name].derivative(namespace(X), X, self.slope)

    def vjp(self, X: Array, U: Array, place: Place) -> Array:
        """Multiply by the slope at ``X``."""
        return self.jvp(X, U, place)

    def check(self, Z: Array) -> RangeCheck:
        """Say whether ``Z`` has an inverse in its dtype; only asinh has a limit, where sinh overflows."""
        limit = ACTIVATIONS[self.name].limits(dtype_name(Z))[1]
        if limit == math.inf:
            return RangeCheck(True)
        xp = namespace(Z)
        return box_check(xp.reshape(xp.abs(Z) - limit, (Z.shape[0], -1)), f"{self.name} must stay below {limit:.3g}")


class Chain:
    """Stages one after the other.

    Parameters
    ----------
    stages : sequence of Stage
        Each takes what the one before gives.
    per_layer : int
        How many stages a message counts as one layer.
    """

    def __init__(self, stages: Sequence[Stage], *, per_layer: int) -> None:
        self.stages, self.per_layer = tuple(stages), per_layer
        self.shape_in, self.shape_out = self.stages[0].shape_in, self.stages[-1].shape_out

    @property
    def kind(self) -> Kind:
        """What follows from the stages: "general" for a mixture of onto and one-to-one stages, or neither."""
        onto = all(stage.onto for stage in self.stages)
        if all(stage.one_to_one for stage in self.stages):
            return "bijective" if onto else "injective"
        return "surjective" if onto else "general"

    @property
    def condition(self) -> float:
        """Product of the conditions; infinite when a stage is not onto."""
        if not all(stage.onto for stage in self.stages):
            return math.inf
        return math.prod(stage.condition for stage in self.stages)

    @property
    def widest(self) -> int:
        """Number of floats that a sample takes in the widest stage."""
        return max(stage.widest for stage in self.stages)

    def require_onto(self) -> None:
        """Refuse a chain with a stage that is not onto, with the reason."""
        for number, stage in enumerate(self.stages):
            if not stage.onto:
                raise InfeasibleError(
                    f"layer {number // self.per_layer + 1} must be onto, but {stage.reason}; "
                    f"or take points whose features span (T10), or points near one image (T9)",
                    theorem="T8c",
                    value=math.prod(stage.shape_out),
                    limit=stage.rank,
                )

    def check(self, Z: Array, place: Place) -> RangeCheck:
        """Say whether the stages can be undone in the dtype of ``Z``: the first overflow, or the worst entry."""
        worst = RangeCheck(True)
        for stage in reversed(self.stages):
            if isinstance(stage, ActivationStage):
                check = stage.check(Z)
                if not check:
                    return check
                worst = max(worst, check, key=lambda c: c.excess)
            Z = stage.preimage(Z, None, place)
        return worst

    def states(self, X: Array, place: Place) -> list[Array]:
        """Return the images before each stage and, last, after all of them."""
        states = [X]
        for stage in self.stages:
            states.append(stage.forward(states[-1], place))
        return states

    def jvp(self, X: Array, V: Array, place: Place) -> Array:
        """Return the derivative at ``X`` in the directions ``V``: stage by stage."""
        for stage in self.stages:
            V = stage.jvp(X, V, place)
            X = stage.forward(X, place)
        return V

    def vjp(self, X: Array, U: Array, place: Place) -> Array:
        """Return the transposed derivative at ``X`` applied to ``U``: the last stage first."""
        for stage, state in zip(reversed(self.stages), reversed(self.states(X, place)[:-1]), strict=True):
            U = stage.vjp(state, U, place)
        return U

    def preimage(self, Z: Array, near: Array | None, place: Place) -> Array:
        """Undo the stages, each by the pre-image nearest to what ``near`` is at that stage."""
        references = [None] * len(self.stages) if near is None else self.states(near, place)[:-1]
        for stage, reference in zip(reversed(self.stages), reversed(references), strict=True):
            Z = stage.preimage(Z, reference, place)
        return Z
