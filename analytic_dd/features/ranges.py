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
from dataclasses import dataclass

import array_api_compat as compat
import numpy as np

from analytic_dd.arrays import Array, as_matrix, eps_of, namespace, norm
from analytic_dd.linalg import thin_svd

__all__ = ["Affine", "Box", "Circles", "Open", "Range", "Subspace", "affine_direction", "affine_range"]


@dataclass(frozen=True, eq=False)
class Range:
    """What is common to all ranges.

    Attributes
    ----------
    p : int
        Size of a feature vector.
    """

    p: int

    def project(self, W: Array) -> Array:
        """Return the rows of ``W`` (k, p) projected on the span of all features, where fitted weights lie.

        That is ``W`` itself where the features have all p dimensions, or no smaller span is known.
        """
        return as_matrix(W, "W", columns=self.p)


@dataclass(frozen=True, eq=False)
class Subspace(Range):
    """Every feature vector of a linear subspace: constructions are free in it.

    Attributes
    ----------
    basis : (p, r) numpy.ndarray or None
        Orthonormal columns that span the subspace; None for all of R^p.

    Examples
    --------
    >>> Subspace(2).project(np.array([[1.0, 2.0]]))
    array([[1., 2.]])
    >>> Subspace(2, np.array([[1.0], [0.0]])).project(np.array([[1.0, 2.0]]))
    array([[1., 0.]])
    """

    basis: np.ndarray | None = None

    def project(self, W: Array) -> Array:
        """Return the rows of ``W`` (k, p) projected on the subspace."""
        as_matrix(W, "W", columns=self.p)
        return W if self.basis is None else _projected(W, self.basis)


@dataclass(frozen=True, eq=False)
class Box(Range):
    """An open set around 0, which scaling brings any features into (T4').

    Attributes
    ----------
    lower, upper : float
        Bounds of an entry, infinite where there is none. They are necessary; ``scale_into_range`` knows the rest.
    reason : str
        What is bounded, in words.
    """

    lower: float
    upper: float
    reason: str


@dataclass(frozen=True, eq=False)
class Affine(Range):
    """Features B x + c that leave out 0: rows in span(B, c) with  e . phi = 1  (T8e).

    Attributes
    ----------
    B : (p, d) numpy.ndarray
    c : (p,) numpy.ndarray
    direction : (p,) numpy.ndarray
        e, with B^T e = 0 and e . c = 1.
    basis : (p, r + 1) numpy.ndarray
        Orthonormal columns that span range(B) and c.
    """

    B: np.ndarray
    c: np.ndarray
    direction: np.ndarray
    basis: np.ndarray

    def project(self, W: Array) -> Array:
        """Return the rows of ``W`` (k, p) projected on span(B, c), where those of a fitted model lie."""
        as_matrix(W, "W", columns=self.p)
        return _projected(W, self.basis)


@dataclass(frozen=True, eq=False)
class Circles(Range):
    """Pairs (phi_i, phi_(i + p/2)) on circles about 0 (T8a).

    Attributes
    ----------
    radius : float
        Radius of the circles.
    """

    radius: float


@dataclass(frozen=True, eq=False)
class Open(Range):
    """No closed form: at best a neighbourhood of phi(x), where the Jacobian at x has rank p (T9, T22).

    Attributes
    ----------
    reason : str
        Why no more is known.
    """

    reason: str


def affine_direction(B: Array, c: Array) -> Array | None:
    """Return e (p,) with B^T e = 0 and e . c = 1, or None where c lies in range(B) (no constraint but the range).

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
    """Return the range of  x -> B x + c ;  ``Q`` has orthonormal columns that span range(B), where they are known.

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
    """c_perp / |c_perp|^2, or None where c_perp is rounding."""
    xp = namespace(Q)
    perpendicular = c - Q @ (Q.T @ c)
    perpendicular = perpendicular - Q @ (Q.T @ perpendicular)  # once more: what is left may be much smaller than c
    size = float(xp.sum(perpendicular * perpendicular))
    return None if math.sqrt(size) <= rtol * norm(c[None, :]) else perpendicular / size


def _projected(W: Array, basis: np.ndarray) -> Array:
    Q = namespace(W).asarray(basis, dtype=W.dtype, device=compat.device(W))
    return (W @ Q) @ Q.T
