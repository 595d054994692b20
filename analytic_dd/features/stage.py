r"""Stages of a network of images (activation, pooling, convolution), and the chain that they form.

Theorem: T8c. Pooling over 2 x 2 blocks, average or maximum, is onto. Upsampling is a pre-image; for the average it is
the one of least norm, avg^+ = upsample. The nearest pre-image to a reference adds the difference of the means to every
pixel of a block (average), or lowers what exceeds the maximum and raises the largest pixel when none reaches it
(maximum). A last odd row or column is not pooled.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from analytic_dd.arrays import Array, device_of, dtype_name, namespace
from analytic_dd.errors import InfeasibleError
from analytic_dd.features.activations import ACTIVATIONS
from analytic_dd.features.base import Kind
from analytic_dd.features.ranges import RangeCheck, box_check
from analytic_dd.features.sizes import Shape

__all__ = ["ActivationStage", "AveragePooling", "Chain", "MaxPooling", "Place", "Stage", "Steps"]

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
        """Dimension of the span that the stage is known to reach."""
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
        Slope below 0 of an activation that has one.
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
        """Say whether ``Z`` has an inverse in its dtype, which only asinh may lack, where sinh overflows."""
        limit = ACTIVATIONS[self.name].limits(dtype_name(Z))[1]
        if limit == math.inf:
            return RangeCheck(True)
        xp = namespace(Z)
        return box_check(xp.reshape(xp.abs(Z) - limit, (Z.shape[0], -1)), f"{self.name} must stay below {limit:.3g}")


class Steps:
    """Differentiable steps one after the other.

    Parameters
    ----------
    stages : sequence
        Each has ``forward``, ``jvp`` and ``vjp``, and takes what the one before gives.
    """

    def __init__(self, stages: Sequence[Any]) -> None:
        self.stages = tuple(stages)

    def states(self, X: Array, place: Place) -> list[Array]:
        """Return what stands before each stage and, last, after all of them."""
        states = [X]
        for stage in self.stages:
            states.append(stage.forward(states[-1], place))
        return states

    def jvp(self, X: Array, V: Array, place: Place) -> Array:
        """Return the derivative at ``X`` in the directions ``V``, stage by stage."""
        for stage in self.stages:
            V = stage.jvp(X, V, place)
            X = stage.forward(X, place)
        return V

    def vjp(self, X: Array, U: Array, place: Place) -> Array:
        """Return the transposed derivative at ``X`` applied to ``U``, the last stage first."""
        for stage, state in zip(reversed(self.stages), reversed(self.states(X, place)[:-1]), strict=True):
            U = stage.vjp(state, U, place)
        return U


class Chain(Steps):
    """Stages of images one after the other, with a pre-image.

    Parameters
    ----------
    stages : sequence of Stage
        Each takes what the one before gives.
    per_layer : int
        How many stages a message counts as one layer.
    """

    stages: tuple[Stage, ...]

    def __init__(self, stages: Sequence[Stage], *, per_layer: int) -> None:
        super().__init__(stages)
        self.per_layer = per_layer
        self.shape_in, self.shape_out = self.stages[0].shape_in, self.stages[-1].shape_out

    @property
    def kind(self) -> Kind:
        """The kind that follows from the stages; a mixture of onto and one-to-one stages is "general"."""
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
        """Say whether the stages can be undone in the dtype of ``Z``, with the first overflow or the worst entry."""
        worst = RangeCheck(True)
        for stage in reversed(self.stages):
            if isinstance(stage, ActivationStage):
                check = stage.check(Z)
                if not check:
                    return check
                worst = max(worst, check, key=lambda c: c.excess)
            Z = stage.preimage(Z, None, place)
        return worst

    def preimage(self, Z: Array, near: Array | None, place: Place) -> Array:
        """Undo the stages, each by the pre-image nearest to what ``near`` is at that stage."""
        references = [None] * len(self.stages) if near is None else self.states(near, place)[:-1]
        for stage, reference in zip(reversed(self.stages), reversed(references), strict=True):
            Z = stage.preimage(Z, reference, place)
        return Z


class Pooling(Stage):
    """Pooling of images with at least 2 rows and columns.

    Raises
    ------
    ValueError
        The image is too small.
    """

    def __init__(self, shape_in: Shape) -> None:
        h, w, c = shape_in
        if min(h, w) < 2:
            raise ValueError(f"pooling needs an image of at least 2 x 2, got {h} x {w}; use fewer layers or pool=None")
        self.shape_in, self.shape_out = shape_in, (h // 2, w // 2, c)

    @abstractmethod
    def _pool(self, B: Array) -> Array:
        """Reduce the pixels (N, h', w', 4, c) of each block to (N, h', w', 1, c)."""

    @abstractmethod
    def _shares(self, B: Array) -> Array:
        """Return the derivative of the pooled value by each pixel, of the shape of ``B``."""

    @abstractmethod
    def _nearest(self, B: Array, Z: Array) -> Array:
        """Return the blocks nearest to ``B`` that pool to ``Z`` (N, h', w', 1, c)."""

    def forward(self, X: Array, place: Place) -> Array:
        """Pool every block."""
        return self._pool(self._blocks(X))[:, :, :, 0, :]

    def preimage(self, Z: Array, near: Array | None, place: Place) -> Array:
        """Upsample, or change ``near`` as little as possible."""
        xp = namespace(Z)
        Z = Z[:, :, :, None, :]
        B = xp.concat([Z] * 4, axis=3) if near is None else self._nearest(self._blocks(near), Z)
        return self._unblock(B, near)

    def jvp(self, X: Array, V: Array, place: Place) -> Array:
        """Pool the directions with the shares of :meth:`_shares`."""
        return namespace(V).sum(self._blocks(V) * self._shares(self._blocks(X)), axis=3)

    def vjp(self, X: Array, U: Array, place: Place) -> Array:
        """Give every pixel of a block its share; a last odd row or column has none."""
        return self._unblock(U[:, :, :, None, :] * self._shares(self._blocks(X)), None)

    def _blocks(self, X: Array) -> Array:
        xp = namespace(X)
        h, w, c = self.shape_out
        B = xp.reshape(X[:, : 2 * h, : 2 * w, :], (-1, h, 2, w, 2, c))
        return xp.reshape(xp.permute_dims(B, (0, 1, 3, 2, 4, 5)), (-1, h, w, 4, c))

    def _unblock(self, B: Array, near: Array | None) -> Array:
        """Put blocks back; a last odd row or column comes from ``near``, or is 0."""
        xp = namespace(B)
        (h, w, c), (rows, columns, _) = self.shape_out, self.shape_in
        X = xp.permute_dims(xp.reshape(B, (-1, h, w, 2, 2, c)), (0, 1, 3, 2, 4, 5))
        X = xp.reshape(X, (-1, 2 * h, 2 * w, c))
        if columns > 2 * w:
            X = xp.concat([X, xp.zeros_like(X[:, :, :1, :]) if near is None else near[:, : 2 * h, 2 * w :, :]], axis=2)
        if rows > 2 * h:
            X = xp.concat([X, xp.zeros_like(X[:, :1, :, :]) if near is None else near[:, 2 * h :, :, :]], axis=1)
        return X


class AveragePooling(Pooling):
    """The mean of each block, whose singular values are all 1/2."""

    def _pool(self, B: Array) -> Array:
        return namespace(B).mean(B, axis=3, keepdims=True)

    def _shares(self, B: Array) -> Array:
        return 0.25 * namespace(B).ones_like(B)

    def _nearest(self, B: Array, Z: Array) -> Array:
        return B + (Z - self._pool(B))


class MaxPooling(Pooling):
    """The maximum of each block; its pre-image by upsampling is twice as long as its image."""

    condition = 2.0

    def _pool(self, B: Array) -> Array:
        return namespace(B).max(B, axis=3, keepdims=True)

    def _largest(self, B: Array) -> Array:
        """Return whether a pixel is the largest of its block, or the first of several."""
        xp = namespace(B)
        largest = xp.argmax(B, axis=3, keepdims=True)
        positions = xp.reshape(xp.arange(4, dtype=largest.dtype, device=device_of(B)), (1, 1, 1, 4, 1))
        return positions == largest

    def _shares(self, B: Array) -> Array:
        return namespace(B).astype(self._largest(B), B.dtype)

    def _nearest(self, B: Array, Z: Array) -> Array:
        xp = namespace(B)
        raised = self._largest(B) & (self._pool(B) < Z)
        return xp.where(raised | (B > Z), Z, B)
