"""A stage of a network of images: what a convolution, an activation and a pooling have in common."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np

from analytic_dd.arrays import Array, dtype_name, namespace
from analytic_dd.errors import RangeError
from analytic_dd.features.activations import ACTIVATIONS
from analytic_dd.features.image_shape import Shape

__all__ = ["ActivationStage", "Place", "Stage"]

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
        """Apply the inverse; refuse what overflows there."""
        xp = namespace(Z)
        activation = ACTIVATIONS[self.name]
        limit = activation.limits(dtype_name(Z))[1]
        largest = float(xp.max(xp.abs(Z))) if limit < math.inf else 0.0
        if activation.inverse is None or not largest < limit:
            raise RangeError(
                f"the inverse of {self.name} needs values below {limit:.3g} in size, got {largest:.3g}; scale the features"
            )
        return activation.inverse(xp, Z, self.slope)
