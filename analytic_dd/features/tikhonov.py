"""Coordinates in which a Tikhonov penalty is the plain one (T12)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.linalg

from analytic_dd.arrays import Array
from analytic_dd.errors import ShapeError
from analytic_dd.features.base import FeatureMap
from analytic_dd.features.compose import Compose
from analytic_dd.features.registry import register
from analytic_dd.features.sizes import Sizes
from analytic_dd.linalg import eigenvalues, singular_values

__all__ = ["TikhonovScaling", "penalised"]


@register("tikhonov")
class TikhonovScaling(FeatureMap):
    r"""The linear bijection that turns  ridge * tr(W Gamma W^T)  into  ridge * |W'|^2 .

        Gamma = L L^T:   phi(x) = L^-1 x,   W' = W L,   W' phi(x) = W x,   |W'|^2 = tr(W Gamma W^T)

    Ridge regression on these features is regression with the penalty Gamma on x; put it behind another map with
    :class:`Compose` to penalise the weights of that map's features.

    Theorem: T12.

    Parameters
    ----------
    gamma : (p,) or (p, p) array
        Gamma: positive numbers, the diagonal, or a symmetric positive definite matrix.

    Raises
    ------
    ShapeError, ValueError
        Gamma has another shape, or is not finite, symmetric and positive definite.

    Notes
    -----
    *Cost.* A Cholesky factorisation for a matrix; n p^2 flops a call. *Numerics.* The inverse of the triangular factor
    is formed once, by substitution; ``condition`` is the root of that of Gamma.

    Examples
    --------
    >>> phi = TikhonovScaling(np.array([4.0, 1.0]))
    >>> phi(np.array([[2.0, 3.0]])), phi.preimage(np.array([[1.0, 3.0]]))
    (array([[1., 3.]]), array([[2., 3.]]))
    >>> TikhonovScaling(np.array([1.0, 0.0]))
    Traceback (most recent call last):
        ...
    ValueError: the Tikhonov penalty must be positive, got a least diagonal entry 0.0; drop features that have none
    """

    kind = "bijective"

    def __init__(self, gamma: Any) -> None:
        self.gamma = np.array(gamma, dtype=np.float64)
        if self.gamma.ndim not in (1, 2) or self.gamma.shape != self.gamma.shape[:1] * self.gamma.ndim:
            raise ShapeError(f"the Tikhonov penalty must have shape (p,) or (p, p), got {self.gamma.shape}")
        if self.gamma.size == 0 or not np.all(np.isfinite(self.gamma)):
            raise ValueError("the Tikhonov penalty must be finite and not empty; check the file it comes from")
        self.d = self.p = len(self.gamma)
        self._L = _lower_root(self.gamma)
        self._inverse = (
            1.0 / self._L if self._L.ndim == 1 else scipy.linalg.solve_triangular(self._L, np.eye(self.p), lower=True)
        )

    @classmethod
    def sizes(cls, *, gamma: Sequence[Any]) -> Sizes:
        """Return the length of ``gamma`` twice; its numbers are in the specification."""
        return Sizes(len(gamma), len(gamma), len(gamma) ** 2 if np.ndim(gamma[0]) else len(gamma))

    def weights_of_inputs(self, W: Array) -> Array:
        """Return the weights (k, p) on x of weights (k, p) on these features: ``W' L^-1``."""
        inverse = self._like(W, self._inverse)
        return W * inverse if inverse.ndim == 1 else W @ inverse

    def _map(self, X: Array) -> Array:
        inverse = self._like(X, self._inverse)
        return X * inverse if inverse.ndim == 1 else X @ inverse.T

    def _jvp(self, X: Array, V: Array) -> Array:
        return self._map(V)

    def _vjp(self, X: Array, U: Array) -> Array:
        return self.weights_of_inputs(U)

    def _affine(self) -> tuple[np.ndarray, None]:
        return np.diag(self._inverse) if self._inverse.ndim == 1 else self._inverse, None

    def _preimage(self, Phi: Array, near: Array | None) -> Array:
        L = self._like(Phi, self._L)
        return Phi * L if L.ndim == 1 else Phi @ L.T

    def condition(self) -> float:
        """Return the ratio of the extreme singular values of L."""
        s = np.abs(self._L) if self._L.ndim == 1 else singular_values(self._L)
        return float(s.max() / s.min())


def penalised(feature_map: FeatureMap, gamma: Any) -> tuple[FeatureMap, TikhonovScaling]:
    """Return ``feature_map`` with the scaling by ``gamma`` behind it, and the scaling.

    Examples
    --------
    >>> from analytic_dd.features import Identity
    >>> penalised(Identity(3), np.ones(2))
    Traceback (most recent call last):
        ...
    analytic_dd.errors.ShapeError: the Tikhonov penalty must be of the size of the features, got 2 for 3 features
    """
    scaling = TikhonovScaling(gamma)
    if scaling.d != feature_map.p:
        raise ShapeError(
            f"the Tikhonov penalty must be of the size of the features, got {scaling.d} for {feature_map.p} features"
        )
    return scaling if feature_map.is_identity else Compose([feature_map, scaling]), scaling


def _lower_root(gamma: np.ndarray) -> np.ndarray:
    """Return L with Gamma = L L^T, a vector for a diagonal."""
    diagonal = gamma if gamma.ndim == 1 else np.diagonal(gamma)
    if not diagonal.min() > 0.0:
        raise ValueError(
            f"the Tikhonov penalty must be positive, got a least diagonal entry {diagonal.min()}; drop features that "
            "have none"
        )
    if gamma.ndim == 1:
        return np.asarray(np.sqrt(gamma))
    skew = float(np.abs(gamma - gamma.T).max() / np.abs(gamma).max())
    if skew > len(gamma) * np.finfo(np.float64).eps:
        raise ValueError(f"the Tikhonov penalty must be symmetric, got a relative difference {skew:.2g}; average it")
    try:
        return np.asarray(np.linalg.cholesky((gamma + gamma.T) / 2.0))
    except np.linalg.LinAlgError as error:
        least = float(eigenvalues(gamma)[0])
        raise ValueError(
            f"the Tikhonov penalty must be positive definite, got a least eigenvalue {least:.3g}; add to its diagonal"
        ) from error
