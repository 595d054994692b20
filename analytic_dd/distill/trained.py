r"""Sets on which the weights of a trained network are stationary (T21c, T21d): a local minimum, never more.

The loss is  1/2 |f(X) - Y|^2 + ridge/2 sum |weights|^2 .

Deep linear networks, W_L ... W_1 = U S V^T with balanced factors, S^(1/L) each. On  X_s = c V^T  with labels
(c S + (ridge / c) S^(2/L - 1)) U^T  the gradient in the product is  -ridge U S^(2/L - 1) V^T ; times the other factors,
S^(1 - 1/L), it is  -ridge S^(1/L)  in each layer, which the penalty cancels. Along a singular value s = w^L, with w
moved in all layers together, the curvature is  L c^2 s^(2 - 2/L) - (L - 2) ridge : shorter points, with c^2 below
(1 - 2/L) ridge / s_min^(2 - 2/L), make a saddle.

Two-layer ReLU networks  f(x) = A relu(B x) . At a point u with b_l.u = 0 where no other unit changes its state between
u - 2 e b_l and u + 2 e b_l, the points  u + t b_l , t = 2e, e, -e, -2e, have residuals  -delta, delta, delta, -delta
with  delta = (ridge / e) a_l / |a_l|^2 . They sum to 0, also times t, so no other unit feels them. Unit l sees the
first two, and its gradients are

    in a_l:  (-2e + e) |b_l|^2 delta = -ridge a_l |b_l|^2 / |a_l|^2,     in b_l:  -e (a_l.delta) b_l = -ridge b_l,

which the penalty cancels where |a_l| = |b_l|. Where unit l alone is active around u two points are enough: u + e b_l
and u - e b_l, with residuals -delta / 2 and delta / 2, have the same gradients, and no other unit sees them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from analytic_dd.arrays import as_matrix, as_ridge
from analytic_dd.errors import InfeasibleError
from analytic_dd.linalg import svd, thin_svd

__all__ = ["NetworkSet", "balanced_layers", "balanced_units", "linear_network_set", "relu_network_set"]

NOTE = "local minimum; training from random weights does not find it"

_BALANCED = 1e-8  # relative difference of factors, or of the norms of a unit, that is taken for rounding
_DRAWS = 256  # points u that are tried for a unit
_PLACES = {  # of the points of a unit, in steps e b_l, and what the labels have beside f in units of the penalty
    4: ((2.0, 1.0, -1.0, -2.0), (1.0, -1.0, -1.0, 1.0)),
    2: ((1.0, -1.0), (0.5, -0.5)),
}


@dataclass(frozen=True)
class NetworkSet:
    """A set on which given weights of a network are a stationary point of training with weight decay."""

    inputs: np.ndarray  # (m, d)
    labels: np.ndarray  # (m, k)
    ridge: float  # weight decay, ridge/2 times the squared norm of all weights
    weights: tuple[np.ndarray, ...]  # W_1, ..., W_L
    activation: str
    theorem: str
    note: str = NOTE  # always that of a local minimum

    def __len__(self) -> int:
        return len(self.inputs)

    def __str__(self) -> str:
        sizes = "-".join(str(W.shape[1]) for W in self.weights) + f"-{self.weights[-1].shape[0]}"
        return f"{len(self)} points for a {self.activation} network {sizes} ({self.theorem}): {self.note}"


def linear_network_set(weights: Sequence[np.ndarray], *, ridge: float, scale: float | None = None) -> NetworkSet:
    r"""Build rank(W) points on which balanced weights of a deep linear network are stationary.

        X_s = c V^T,     Y_s = (c S + (ridge / c) S^(2/L - 1)) U^T,     W_L ... W_1 = U S V^T

    Theorem: T21c. With two layers it is the global minimum of the loss.

    Parameters
    ----------
    weights : sequence of arrays
        W_1 (h, d), ..., W_L (k, h), balanced: W_(l+1)^T W_(l+1) = W_l W_l^T, as all weights that training with weight
        decay has converged to are. :func:`balanced_layers` makes others so, with the same product.
    ridge : float
        Weight decay > 0.
    scale : float, optional
        c, the length of the points. Default: 1, or sqrt(2) times the limit where that is more.

    Raises
    ------
    InfeasibleError
        T21c: weights that are not balanced, with the relative difference; a scale at which they are a saddle, with the
        limit.
    ValueError
        ridge = 0; a product of 0; no weights; scale <= 0.

    Notes
    -----
    *Numerics.* Directions of W below eps max(shape) of the largest are left out. The certificate is that of
    :func:`analytic_dd.judge.stationarity_certificate`; rotations within the layers are flat directions.

    Examples
    --------
    >>> from analytic_dd.judge import stationarity_certificate
    >>> rng = np.random.default_rng(0)
    >>> layers = balanced_layers([rng.standard_normal(shape) for shape in ((4, 6), (5, 4), (3, 5))])
    >>> built = linear_network_set(layers, ridge=0.1)
    >>> print(built)
    3 points for a linear network 6-4-5-3 (T21c): local minimum; training from random weights does not find it
    >>> stationarity_certificate(built.inputs, built.labels, layers, ridge=0.1, activation="linear").verdict
    'stationary point'
    """
    layers, ridge, depth = _layers(weights), _positive(ridge, "T21c"), len(weights)
    for below, above in pairwise(layers):
        sides = above.T @ above, below @ below.T
        away = float(np.linalg.norm(sides[0] - sides[1]) / (np.linalg.norm(sides[0]) + np.linalg.norm(sides[1]) or 1.0))
        if away > _BALANCED:
            raise InfeasibleError(
                f"T21c: layers differ by {away:.2g} from balanced ones, W_(l+1)^T W_(l+1) = W_l W_l^T; take "
                "balanced_layers(weights), which have the same product",
                theorem="T21c",
                value=away,
                limit=_BALANCED,
            )
    U, s, Vt = _product(layers)
    limit = float(np.sqrt(max(0.0, 1.0 - 2.0 / depth) * ridge / s[-1] ** (2.0 - 2.0 / depth)))
    scale = max(1.0, np.sqrt(2.0) * limit) if scale is None else float(scale)
    if not scale > limit:
        raise InfeasibleError(
            f"T21c: scale must be > {limit:.6g} for the weights not to be a saddle, got {scale:g}; leave it out, or "
            "take a smaller ridge",
            theorem="T21c",
            value=scale,
            limit=limit,
        )
    labels = ((scale * s + (ridge / scale) * s ** (2.0 / depth - 1.0)) * U).T
    return NetworkSet(scale * Vt, labels, ridge, tuple(layers), "linear", "T21c")


def balanced_layers(weights: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return balanced weights of the same sizes and the same product.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> A, B = rng.standard_normal((4, 6)), rng.standard_normal((3, 4))
    >>> one, two = balanced_layers([A, B])
    >>> bool(np.allclose(two @ one, B @ A)), bool(np.allclose(two.T @ two, one @ one.T))
    (True, True)
    """
    layers = _layers(weights)
    U, s, Vt = _product(layers)
    root = s ** (1.0 / len(layers))
    sides = [Vt.T, *(np.eye(W.shape[0], len(s)) for W in layers[:-1]), U]
    return [(after * root) @ before.T for before, after in pairwise(sides)]


def relu_network_set(
    A: np.ndarray,
    B: np.ndarray,
    *,
    ridge: float,
    rng: np.random.Generator,
    references: np.ndarray | None = None,
    points_per_unit: int = 4,
) -> NetworkSet:
    r"""Build 4 h points on which the weights of a two-layer ReLU network without biases are a strict local minimum.

        u_l + t b_l,  t = 2e, e, -e, -2e,     labels  f(x) +- (ridge / e) a_l / |a_l|^2         (+, -, -, +)
        u_l + t b_l,  t = e, -e,              labels  f(x) +- (ridge / 2 e) a_l / |a_l|^2       (2 h points)

    Theorem: T21d.

    Parameters
    ----------
    A : (k, h) array
        Output weights; column l is a_l.
    B : (h, d) array
        Input weights; row l is b_l. Balanced, |a_l| = |b_l|; :func:`balanced_units` makes others so, with the same f.
    ridge : float
        Weight decay > 0.
    rng : numpy.random.Generator
        Draws the points u_l, or chooses among references.
    references : (n, d) array, optional
        Real inputs whose projections on b_l.u = 0 are tried, in the place of draws.
    points_per_unit : {4, 2}
        2: points around which unit l alone is active, b_l.u > 0 > b_m.u for every other m.

    Raises
    ------
    InfeasibleError
        T21d: a unit that is not balanced, or whose b_l is parallel to another, with the number; no point at which one
        unit alone is active.
    ValueError
        ridge = 0; a unit of zeros; another number of points a unit.

    Notes
    -----
    Of 256 draws u_l is the one that leaves the longest way e to the next kink. Where the b_l are independent, a draw is
    as far from the kinks of all other units, on random sides: training returns from farther away. *Numerics.* Labels
    are f(x) and a part of size ridge / (e |a_l|): short ways make it large, and the Hessian ill-conditioned.

    Examples
    --------
    >>> from analytic_dd.judge import stationarity_certificate
    >>> rng = np.random.default_rng(0)
    >>> A, B = balanced_units(rng.standard_normal((3, 5)), rng.standard_normal((5, 8)))
    >>> built = relu_network_set(A, B, ridge=0.1, rng=rng)
    >>> print(built)
    20 points for a relu network 8-5-3 (T21d): local minimum; training from random weights does not find it
    >>> stationarity_certificate(built.inputs, built.labels, built.weights, ridge=0.1).verdict
    'strict local minimum'
    """
    A, B, ridge = _units(A, B), np.asarray(B, dtype=np.float64), _positive(ridge, "T21d")
    sizes = np.linalg.norm(B, axis=1)
    away = np.abs(np.linalg.norm(A, axis=0) / sizes - 1.0)
    if np.max(away) > _BALANCED:
        raise InfeasibleError(
            f"T21d: |a_l| and |b_l| of unit {int(np.argmax(away))} differ by {np.max(away):.2g}; take "
            "balanced_units(A, B), which have the same outputs",
            theorem="T21d",
            value=float(np.max(away)),
            limit=_BALANCED,
        )
    _require_no_parallels(B / sizes[:, None])
    if points_per_unit not in _PLACES:
        raise ValueError(f"points_per_unit must be 4 or 2, got {points_per_unit!r}")
    places, parts = (np.array(values)[:, None] for values in _PLACES[points_per_unit])
    inputs, labels = [], []
    for unit, b in enumerate(B):
        u, step = _between_kinks(B, unit, rng, references, alone=points_per_unit == 2)
        X = u + places * step * b
        inputs.append(X)
        labels.append(
            np.maximum(X @ B.T, 0.0) @ A.T + parts * (ridge / step) * A[:, unit] / float(A[:, unit] @ A[:, unit])
        )
    return NetworkSet(np.concatenate(inputs), np.concatenate(labels), ridge, (B, A), "relu", "T21d")


def balanced_units(A: np.ndarray, B: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return output and input weights with |a_l| = |b_l| and the same A relu(B x).

    Examples
    --------
    >>> balanced_units(np.array([[4.0]]), np.array([[1.0]]))
    (array([[2.]]), array([[2.]]))
    """
    A = _units(A, B)
    factor = np.sqrt(np.linalg.norm(A, axis=0) / np.linalg.norm(B, axis=1))
    return A / factor, np.asarray(B, dtype=np.float64) * factor[:, None]


def _layers(weights: Sequence[np.ndarray]) -> list[np.ndarray]:
    if not len(weights):
        raise ValueError("weights must name at least one matrix, got none")
    for place, W in enumerate(weights):
        as_matrix(W, f"weights[{place}]", columns=weights[place - 1].shape[0] if place else None)
    return [np.asarray(W, dtype=np.float64) for W in weights]


def _product(layers: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """U, S, V^T of the product, at its rank."""
    W = layers[0]
    for layer in layers[1:]:
        W = layer @ W
    U, s, Vt = svd(W)
    widths = max(max(layer.shape) for layer in layers)
    rank = int(np.sum(s > widths * np.finfo(np.float64).eps * s[0])) if s[0] > 0.0 else 0
    if not rank:
        raise ValueError("the product of the weights is 0: it has no direction to keep")
    return U[:, :rank], s[:rank], Vt[:rank]


def _positive(ridge: float, theorem: str) -> float:
    ridge = as_ridge(ridge)
    if ridge == 0.0:
        raise ValueError(f"{theorem} needs a weight decay, got ridge = 0; give ridge > 0")
    return ridge


def _units(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Check the weights of two layers, and return A in float64."""
    as_matrix(B, "B")
    as_matrix(A, "A", columns=B.shape[0])
    empty = np.flatnonzero((np.linalg.norm(A, axis=0) == 0.0) | (np.linalg.norm(B, axis=1) == 0.0))
    if len(empty):
        raise ValueError(f"unit {int(empty[0])} has weights 0 and does nothing; leave it out of A and B")
    return np.asarray(A, dtype=np.float64)


def _require_no_parallels(directions: np.ndarray) -> None:
    cosines = np.abs(directions @ directions.T) - 2.0 * np.eye(len(directions))
    one, other = np.unravel_index(int(np.argmax(cosines)), cosines.shape)
    if len(directions) > 1 and cosines[one, other] > 1.0 - 1e-12:
        raise InfeasibleError(
            f"T21d: units {int(one)} and {int(other)} are parallel, with cosine {cosines[one, other]:.15g}, and change "
            "state together; merge them into one",
            theorem="T21d",
            value=float(cosines[one, other]),
            limit=1.0 - 1e-12,
        )


def _between_kinks(
    B: np.ndarray, unit: int, rng: np.random.Generator, references: np.ndarray | None, *, alone: bool
) -> tuple[np.ndarray, float]:
    """A point u with b.u = 0, or at which this unit alone is active, and a step e such that no other unit is at a kink
    between u - 3 e b and u + 3 e b (u - 2 e b and u + 2 e b)."""
    b, seen = B[unit], np.ones(len(B), bool)
    seen[unit] = alone
    draws = _draws(B, unit, rng, references, alone)
    if not alone:
        draws = draws - np.outer(draws @ b, b) / float(b @ b)
    else:
        draws = draws[np.all((draws @ B.T > 0.0) == (np.arange(len(B)) == unit), axis=1)]
        if not len(draws):
            raise InfeasibleError(
                f"T21d: no point was found at which unit {unit} alone is active (0 of {_DRAWS} draws, 1 is needed); "
                "take points_per_unit=4",
                theorem="T21d",
                value=0.0,
                limit=1.0,
            )
    slopes = np.abs(B[seen] @ b)
    ways = np.abs(draws @ B[seen].T) / np.where(slopes > 0.0, slopes, 1.0)
    ways[:, slopes == 0.0] = np.inf
    length = np.linalg.norm(draws, axis=1) / np.linalg.norm(b)  # no longer than the point itself
    steps = np.minimum(np.min(ways, axis=1, initial=np.inf), length) / (2.0 if alone else 3.0)
    best = int(np.argmax(steps))
    if not steps[best] > 0.0:
        raise ValueError("every reference is 0 or at a kink of another unit; give others, or none")
    return draws[best], float(steps[best])


def _draws(
    B: np.ndarray, unit: int, rng: np.random.Generator, references: np.ndarray | None, alone: bool
) -> np.ndarray:
    """Points to choose from: references, or points of the size sqrt(d) at random sides of the kinks of other units."""
    h, d = B.shape
    if references is not None:
        return np.asarray(references[rng.permutation(len(references))[:_DRAWS]], dtype=np.float64)
    if (h == 1 and not alone) or (basis := thin_svd(B, rcond=max(B.shape) * 2.0**-52)).rank < h:
        return rng.standard_normal((_DRAWS, d))
    sides = -np.ones((1, h)) if alone else rng.choice([-1.0, 1.0], (_DRAWS, h))
    sides[:, unit] = float(alone)
    draws = ((sides * np.linalg.norm(B, axis=1)) @ basis.U / basis.s) @ basis.Vt
    return np.asarray(np.sqrt(d) * draws / np.linalg.norm(draws, axis=1, keepdims=True))
