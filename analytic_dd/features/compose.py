"""Feature maps one after another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from analytic_dd.arrays import Array, as_matrix
from analytic_dd.errors import ShapeError
from analytic_dd.features.base import FeatureMap, Kind
from analytic_dd.features.ranges import Box, Open, Range, RangeCheck, Subspace, affine_range, largest_scale
from analytic_dd.features.registry import register

__all__ = ["Compose"]


@register("compose")
class Compose(FeatureMap):
    """The composition of feature maps, of which the first is applied first.

        phi(x) = phi_L(... phi_1(x)) ,    phi^-1 = phi_1^-1 ... phi_L^-1

    Theorem: T8.

    Parameters
    ----------
    maps : sequence of FeatureMap
        ``maps[i].p`` equals ``maps[i + 1].d``.

    Raises
    ------
    ShapeError
        There is no map, or sizes do not fit.

    Notes
    -----
    The composition is surjective when all maps are, injective when all are, and otherwise general. A bounded inner map
    (tanh, random Fourier) restricts the range further, so that ``in_range`` follows the default pre-images down to it
    and ``scale_into_range`` takes c small enough. Where one map refuses pre-images, the composition does.

    Examples
    --------
    >>> import numpy as np
    >>> from analytic_dd.features import FullyConnected, Identity
    >>> phi = Compose([FullyConnected([4, 3], rng=0), FullyConnected([3, 2], rng=1)])
    >>> phi.kind, phi.d, phi.p
    ('surjective', 4, 2)
    >>> Phi = np.array([[1.0, -1.0]])
    >>> np.allclose(phi(phi.preimage(Phi)), Phi)
    True
    >>> Compose([Identity(3), Identity(4)])
    Traceback (most recent call last):
        ...
    analytic_dd.errors.ShapeError: a map must take what the one before gives: map 1 takes 4, got 3; change widths
    """

    def __init__(self, maps: Sequence[FeatureMap]) -> None:
        # Flat, so that undoing maps one by one stays linear in their number however they are nested
        self.maps: tuple[FeatureMap, ...] = tuple(
            part for phi in maps for part in (phi.maps if isinstance(phi, Compose) else (phi,))
        )
        if not self.maps:
            raise ShapeError("a composition needs at least one map, got none; use Identity(d)")
        for index, (first, second) in enumerate(zip(self.maps, self.maps[1:], strict=False), start=1):
            if first.p != second.d:
                raise ShapeError(
                    f"a map must take what the one before gives: map {index} takes {second.d}, got {first.p}; "
                    "change widths"
                )
        self.d, self.p = self.maps[0].d, self.maps[-1].p
        onto = all(phi.kind in ("bijective", "surjective") for phi in self.maps)
        one_to_one = all(phi.kind in ("bijective", "injective") for phi in self.maps)
        self.kind: Kind = (
            "bijective" if onto and one_to_one else "surjective" if onto else "injective" if one_to_one else "general"
        )

    def _map(self, X: Array) -> Array:
        for phi in self.maps:
            X = phi(X)
        return X

    def in_range(self, Phi: Array) -> RangeCheck:
        """Say whether ``Phi`` and its default pre-images, map after map, are in the ranges."""
        as_matrix(Phi, "Phi", columns=self.p)
        return _undone(self.maps, Phi)

    def scale_into_range(self, Phi: Array) -> float:
        """Return the largest c <= 1, to one per cent, at which no map wants its features scaled further."""
        as_matrix(Phi, "Phi", columns=self.p)
        return largest_scale(lambda c: _recommended(self.maps, c * Phi), self.maps[-1].scale_into_range(Phi))

    def _preimage(self, Phi: Array, near: Array | None) -> Array:
        references = [None] * len(self.maps) if near is None else self._states(near)
        for index in range(len(self.maps) - 1, -1, -1):
            phi, below = self.maps[index], self.maps[:index]
            Z = phi.preimage(Phi, near=references[index])
            # The pre-image near a reference may leave a range further down; the default one is known not to.
            Phi = Z if near is None or not below or _undone(below, Z) else phi.preimage(Phi)
        return Phi

    def local_preimage(self, Phi: Array, *, near: Array) -> Array:
        """Return the inputs near ``near`` of features in the neighbourhood of phi(near), map after map (T9)."""
        as_matrix(Phi, "Phi", columns=self.p)
        as_matrix(near, "near", rows=Phi.shape[0], columns=self.d)
        for phi, reference in zip(reversed(self.maps), reversed(self._states(near)), strict=True):
            Phi = phi.local_preimage(Phi, near=reference)
        return Phi

    def _jvp(self, X: Array, V: Array) -> Array:
        for phi in self.maps:
            V = phi._jvp(X, V)
            X = phi(X)
        return V

    def _vjp(self, X: Array, U: Array) -> Array:
        for phi, state in zip(reversed(self.maps), reversed(self._states(X)), strict=True):
            U = phi._vjp(state, U)
        return U

    def _states(self, X: Array) -> list[Array]:
        """Return the inputs of the maps, one after another."""
        states = [X]
        for phi in self.maps[:-1]:
            states.append(phi(states[-1]))
        return states

    @cached_property
    def range(self) -> Range:
        """The range of the last map where those before it are onto, or of an affine map where all are affine.

        Affine maps after the first must be one-to-one, since otherwise their pre-images may leave the range of the
        first.
        """
        affine = self._affine()
        if affine is not None and all(phi.kind in ("bijective", "injective") for phi in self.maps[1:]):
            return affine_range(*affine)
        if not all(phi.kind in ("bijective", "surjective") for phi in self.maps[:-1]):
            return Open(self.p, "a map before the last is not onto")
        last, bounded = self.maps[-1].range, [phi.range for phi in self.maps if isinstance(phi.range, Box)]
        if isinstance(last, Box) or not bounded:
            return last
        if isinstance(last, Subspace) and last.basis is None:
            return Box(self.p, -math.inf, math.inf, f"in an inner map, {bounded[0].reason}")
        return Open(self.p, f"in an inner map, {bounded[0].reason}")

    @property
    def is_identity(self) -> bool:
        """Whether all maps are the identity."""
        return all(phi.is_identity for phi in self.maps)

    def _affine(self) -> tuple[np.ndarray, np.ndarray | None] | None:
        if self.is_identity:
            return None
        parts = [phi._affine() for phi in self.maps if not phi.is_identity]
        B, c = np.eye(0), None
        for index, part in enumerate(parts):
            if part is None:
                return None
            moved = None if c is None else part[0] @ c
            c = part[1] if moved is None else moved if part[1] is None else moved + part[1]
            B = part[0] @ B if index else part[0]
        return B, c

    def condition(self) -> float:
        """Return the product of the conditions, which usual cases stay well below."""
        return math.prod(phi.condition() for phi in self.maps)

    def options(self) -> dict[str, Any]:
        """Return ``{"maps": [spec, ...]}``; :func:`from_spec` rebuilds them."""
        return {"maps": [phi.spec() for phi in self.maps]}

    def _widest(self) -> int:
        return max(phi._widest() for phi in self.maps)


def _undone(maps: Sequence[FeatureMap], Phi: Array) -> RangeCheck:
    """Return whether the default pre-images of ``maps`` exist, the last map first, with the worst entry."""
    worst = RangeCheck(True)
    for index in range(len(maps) - 1, -1, -1):
        check = maps[index].in_range(Phi)
        worst = check if check.excess > worst.excess else worst
        if not check:
            return check
        if index:
            Phi = maps[index].preimage(Phi)
    return worst


def _recommended(maps: Sequence[FeatureMap], Phi: Array) -> bool:
    """Return whether no map wants its features scaled further."""
    for index in range(len(maps) - 1, -1, -1):
        if maps[index].scale_into_range(Phi) < 1.0 or not maps[index].in_range(Phi):
            return False
        if index:
            Phi = maps[index].preimage(Phi)
    return True
