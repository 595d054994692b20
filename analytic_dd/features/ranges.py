r"""The shape of a feature map's range: what a construction must know before it chooses features.

    Subspace    every vector of R^p, or of a linear subspace of it       phi(x) = B x, leaky ReLU, invertible networks
    Box         features of any direction, if they are small enough      tanh, random Fourier features
    Affine      the plane  e . phi = 1  in span(B, c)                    phi(x) = B x + c, c outside of range(B)
    Circles     pairs (phi_i, phi_(i + p/2)) on circles about 0          sin/cos Fourier features
    Open        a neighbourhood of phi(x) at best, or nothing known      sigmoid, ReLU, more features than inputs

Theorem: T8 (which construction the range allows), T9 (what is left for ``Open``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from analytic_dd.arrays import Array, as_matrix, device_of, eps_of, namespace, norm
from analytic_dd.errors import RangeError
from analytic_dd.linalg import outside, thin_svd

__all__ = [
    "Affine",
    "Box",
    "Circles",
    "Open",
    "Range",
    "RangeCheck",
    "Subspace",
    "affine_direction",
    "affine_range",
    "box_check",
    "largest_scale",
]

_HALVINGS = 200  # 2^-200: below any feature that float64 computations make
_BISECTIONS = 6  # in a star-shaped range the scale is then at least 2^(-1/64) of the largest


@dataclass(frozen=True, eq=False)
class Range:
    """What all ranges have in common."""

    p: int  # size of a feature vector

    def project(self, W: Array) -> Array:
        """Return the rows of ``W`` (k, p) projected on the span of all features, where fitted weights lie.

        That is ``W`` itself where the features fill all p dimensions or no smaller span is known.
        """
        return as_matrix(W, "W", columns=self.p)


@dataclass(frozen=True, eq=False)
class Subspace(Range):
    """A linear subspace, in which constructions are free.

    Examples
    --------
    >>> Subspace(2).project(np.array([[1.0, 2.0]]))
    array([[1., 2.]])
    >>> Subspace(2, np.array([[1.0], [0.0]])).project(np.array([[1.0, 2.0]]))
    array([[1., 0.]])
    """

    # (p, r), orthonormal columns that span the subspace, or None for all of R^p
    basis: np.ndarray | None = None

    def project(self, W: Array) -> Array:
        """Return the rows of ``W`` (k, p) projected on the subspace."""
        as_matrix(W, "W", columns=self.p)
        return W if self.basis is None else _projected(W, self.basis)


@dataclass(frozen=True, eq=False)
class Box(Range):
    """An open set around 0, into which scaling brings any features (T4')."""

    # Necessary bounds of an entry, infinite where there is none; ``scale_into_range`` knows the other conditions
    lower: float
    upper: float
    reason: str  # the bounds in words


@dataclass(frozen=True, eq=False)
class Affine(Range):
    """Features B x + c that leave out 0, which are the rows in span(B, c) with  e . phi = 1  (T8e)."""

    B: np.ndarray  # (p, d)
    c: np.ndarray  # (p,)
    direction: np.ndarray  # (p,): e, with B^T e = 0 and e . c = 1
    basis: np.ndarray  # (p, r + 1): orthonormal columns that span range(B) and c

    def project(self, W: Array) -> Array:
        """Return the rows of ``W`` (k, p) projected on span(B, c), where fitted weights lie."""
        as_matrix(W, "W", columns=self.p)
        return _projected(W, self.basis)


@dataclass(frozen=True, eq=False)
class Circles(Range):
    """Pairs (phi_i, phi_(i + p/2)) on circles about 0 (T8a)."""

    radius: float  # radius of the circles


@dataclass(frozen=True, eq=False)
class Open(Range):
    """A range without a closed form, at best a neighbourhood of phi(x) where the Jacobian has rank p (T9, T22)."""

    reason: str  # why no more is known


def affine_direction(B: Array, c: Array) -> Array | None:
    """Return e (p,) with B^T e = 0 and e . c = 1, or None where c lies in range(B).

    Theorem: T8e.

    Examples
    --------
    >>> affine_direction(np.array([[1.0], [0.0]]), np.array([3.0, 2.0]))
    array([0. , 0.5])
    >>> affine_direction(np.eye(2), np.array([3.0, 2.0])) is None
    True
    """
    if not bool(namespace(B).any(c != 0.0)):
        return None  # no biases: the range is a subspace, whatever B
    return _direction(thin_svd(B).U, c, 10.0 * max(B.shape) * eps_of(B))


def affine_range(B: np.ndarray, c: np.ndarray | None, Q: np.ndarray | None = None) -> Subspace | Affine:
    """Return the range of  x -> B x + c ;  where ``Q`` is known, its orthonormal columns span range(B).

    Examples
    --------
    >>> affine_range(np.array([[1.0], [0.0]]), np.array([3.0, 2.0])).direction
    array([0. , 0.5])
    >>> affine_range(np.eye(2), np.array([3.0, 2.0]))
    Subspace(p=2, basis=None)
    """
    p = len(B)
    Q = thin_svd(B).U if Q is None else Q
    if Q.shape[1] == p:
        return Subspace(p)
    e = None if c is None or not np.any(c) else _direction(Q, c, 10.0 * max(B.shape) * eps_of(B))
    if c is None or e is None:
        return Subspace(p, Q)
    return Affine(p, B, c, e, np.concatenate([Q, (e / np.linalg.norm(e))[:, None]], axis=1))


def _direction(Q: Array, c: Array, rtol: float) -> Array | None:
    """Return c_perp / |c_perp|^2, or None where c_perp is rounding."""
    xp = namespace(Q)
    perpendicular = outside(Q, c)  # it may be much smaller than c
    size = float(xp.sum(perpendicular * perpendicular))
    return None if math.sqrt(size) <= rtol * norm(c[None, :]) else perpendicular / size


def _projected(W: Array, basis: np.ndarray) -> Array:
    Q = namespace(W).asarray(basis, dtype=W.dtype, device=device_of(W))
    return (W @ Q) @ Q.T


@dataclass(frozen=True)
class RangeCheck:
    """Whether features lie in the range of a map; the truth value is ``inside``.

    Attributes
    ----------
    inside : bool
    row, column : int
        The worst entry; ``column`` is -1 where the range constrains whole rows.
    excess : float
        How far that entry is outside, in units of features; a negative value is the room that is left.
    reason : str
        The range in words.
    """

    inside: bool
    row: int = 0
    column: int = 0
    excess: float = -np.inf
    reason: str = "every feature vector is in the range"

    def __bool__(self) -> bool:
        return self.inside


def largest_scale(fits: Callable[[float], bool], start: float = 1.0) -> float:
    """Return the largest c <= ``start`` with ``fits(c)``, to one per cent, by halving and then bisection of log c.

    Theorem: T4'.

    Raises
    ------
    RangeError
        No power of two down to 2^-200 fits.

    Examples
    --------
    >>> largest_scale(lambda c: c < 2.0)
    1.0
    >>> 0.99 < largest_scale(lambda c: c <= 0.3) / 0.3 <= 1.0
    True
    >>> largest_scale(lambda c: False)
    Traceback (most recent call last):
        ...
    analytic_dd.errors.RangeError: no scaling of the features lies in the range, tried 1 to 6.22e-61; use another map
    """
    low = start
    for _ in range(_HALVINGS):
        if fits(low):
            break
        low /= 2.0
    else:
        raise RangeError(
            f"no scaling of the features lies in the range, tried {start:.3g} to {low:.3g}; use another map"
        )
    if low == start:
        return start
    ratio = 2.0
    for _ in range(_BISECTIONS):
        ratio = ratio**0.5
        if fits(low * ratio):
            low *= ratio
    return low


def box_check(excess: Array, reason: str, *, closed: bool = False, first_row: int = 0) -> RangeCheck:
    """Return the verdict on ``excess`` (m, p), which says how far each entry is outside of a box (negative: inside).

    Examples
    --------
    >>> box_check(np.array([[-1.0, -2.0], [0.25, -3.0]]), "an example").column
    0
    >>> bool(box_check(np.zeros((1, 1)), "an open box")), bool(box_check(np.zeros((1, 1)), "a closed one", closed=True))
    (False, True)
    """
    xp = namespace(excess)
    worst = int(xp.argmax(xp.reshape(excess, (-1,))))
    row, column = divmod(worst, excess.shape[1])
    value = float(excess[row, column])
    inside = value <= 0.0 if closed else value < 0.0
    return RangeCheck(inside, first_row + row, column, value, reason)
