"""Random layers, the same on every platform to within rounding, and which hypothesis of T8b a network of them fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from analytic_dd.errors import InfeasibleError
from analytic_dd.features.activations import Activation

__all__ = ["Obstacle", "draw_layer", "draw_orthonormal", "find_obstacle", "orthonormalise"]


def draw_layer(
    fan_in: int, fan_out: int, *, bias: bool, weights: str, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return ``W`` (fan_out, fan_in) and ``b`` (fan_out,) or None; both have entries of variance 1 / fan_in.

    Raises
    ------
    ValueError
        ``weights`` is neither "gaussian" nor "orthogonal".

    Examples
    --------
    >>> W, b = draw_layer(3, 2, bias=False, weights="gaussian", rng=np.random.default_rng(0))
    >>> W.shape, b
    ((2, 3), None)
    >>> draw_layer(3, 2, bias=False, weights="sparse", rng=np.random.default_rng(0))
    Traceback (most recent call last):
        ...
    ValueError: weights must be gaussian or orthogonal, got 'sparse'
    """
    if weights not in ("gaussian", "orthogonal"):
        raise ValueError(f"weights must be gaussian or orthogonal, got {weights!r}")
    W = (
        rng.standard_normal((fan_out, fan_in)) / np.sqrt(fan_in)
        if weights == "gaussian"
        else draw_orthonormal(rng, fan_out, fan_in) * np.sqrt(max(1.0, fan_out / fan_in))
    )
    return W, rng.standard_normal(fan_out) / np.sqrt(fan_in) if bias else None


def orthonormalise(A: np.ndarray) -> np.ndarray:
    """Return the Gram-Schmidt basis (n, k) of the columns of ``A`` (n, k), k <= n, linearly independent.

    Notes
    -----
    *Numerics.* QR with a positive diagonal of R is unique, so LAPACK implementations differ by rounding only; without
    fixing the signs they would differ by whole reflections, and a stored map could not be rebuilt elsewhere.

    Examples
    --------
    >>> orthonormalise(np.array([[-3.0], [4.0]]))
    array([[-0.6],
           [ 0.8]])
    """
    Q, R = np.linalg.qr(A)
    return np.asarray(Q * np.where(np.diagonal(R) < 0.0, -1.0, 1.0))


def draw_orthonormal(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Draw a (rows, columns) matrix uniformly among those with orthonormal columns (rows, when there are fewer rows).

    Examples
    --------
    >>> Q = draw_orthonormal(np.random.default_rng(0), 2, 5)
    >>> bool(np.allclose(Q @ Q.T, np.eye(2)))
    True
    """
    if rows < columns:
        return np.ascontiguousarray(draw_orthonormal(rng, columns, rows).T)
    return orthonormalise(rng.standard_normal((rows, columns)))


@dataclass(frozen=True)
class Obstacle:
    """Why a network has no exact pre-images: what is needed, the number that came, and the number allowed.

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
            "use leaky_relu, or near copies of real inputs (near_copies)"
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
