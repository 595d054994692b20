r"""A set with the gradients of the data at given weights (T20a): gradient matching in closed form.

Let E_l = Phi W_l^T - Y be the residuals of the data at W_l, projected on the columns of Phi, and V (n, m) an
orthonormal basis of all their columns. The set (V^T Phi, V^T Y) has the gradients

    (V^T E_l)^T V^T Phi = E_l^T V V^T Phi = E_l^T Phi = W_l G - C,     exactly those of the data.

Fewer points than rank [g_1; ...; g_L] cannot have them: each gradient of a set lies in the row space of its features.
With one W and fewer points the best is the truncated SVD of its gradient (Eckart and Young).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analytic_dd.arrays import Array, namespace, norm
from analytic_dd.distill.column_space import ColumnSpace, Data, column_space, orthonormal_columns
from analytic_dd.distill.distilled import FeatureSet
from analytic_dd.errors import ShapeError
from analytic_dd.linalg import svd

__all__ = ["GradientSet", "gradient_set"]


@dataclass(frozen=True)
class GradientSet(FeatureSet):
    """A set whose squared-loss gradients W G_s - C_s are those of the data at some weights.

    Attributes
    ----------
    fewest : int
        Rank of all gradients: with so many points they are exact, and with no fewer.
    relative_errors : tuple of float
        |gradient of the set - gradient of the data| / |gradient of the data| for each W, measured; of rounding size
        with ``fewest`` points.
    theorem : str
    """

    fewest: int
    relative_errors: tuple[float, ...]
    theorem: str = "T20a"


def gradient_set(stats: Data, weights: Array | Sequence[Array], *, points: int | None = None) -> GradientSet:
    r"""Build the smallest set with the gradients of the data at given weights.

        Phis = V^T Phi,   Ys = V^T Y,   V an orthonormal basis of the residuals Phi W_l^T - Y within the columns of Phi

    Theorem: T20a.

    Parameters
    ----------
    stats : GramStatistics, Sums or a pair (Phi, Y)
        Sums are enough: with h_l = (W_l G - C) G^(-1/2) it is Phis = V^T G^(1/2), Ys = Phis W_1^T - V^T h_1^T.
    weights : (L, k, p) array, or a sequence of (k, p) arrays
        Where the gradients are to agree: the iterates of an optimiser, for instance.
    points : int, optional
        Fewer points than the rank of all gradients; with one W the gradient then has the least possible error.

    Returns
    -------
    GradientSet

    Raises
    ------
    ShapeError, TypeError, ValueError
        Sizes that do not fit; no weights; gradients that are all zero; ``points`` < 1.

    Notes
    -----
    *Cost.* An SVD of Phi (or an eigendecomposition of G) and one of (r, L k). *Numerics.* The gradients agree to
    eps |Phi|^2 |W|; each W counts relative to the size of its own residual. Any rotation of the points is as exact.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> Phi, Y, W = rng.standard_normal((20, 5)), rng.standard_normal((20, 1)), rng.standard_normal((2, 1, 5))
    >>> built = gradient_set((Phi, Y), W)
    >>> len(built), max(built.relative_errors) < 1e-12
    (2, True)
    >>> gradient_set((Phi, Y), [])
    Traceback (most recent call last):
        ...
    ValueError: weights must name at least one matrix (k, p), got none; give the iterates of an optimiser, say
    """
    space = column_space(stats)
    models = [space.as_weights(W, "weights") for W in _several(weights)]
    residuals = [space.residual(W) for W in models]
    sizes = [norm(space.gradient(W)) for W in models]
    if not max(sizes) > 0.0:
        raise ValueError("all gradients are zero: the weights are minimisers, and a set of zeros has them too")
    xp = namespace(space.s)
    V = orthonormal_columns(xp.concat([E / (norm(E) or 1.0) for E in residuals], axis=1))
    fewest = int(V.shape[1])
    m = fewest if points is None else min(int(points), fewest)
    if m < 1:
        raise ValueError(f"points must be at least 1, got {points}")
    if len(models) == 1 and m < fewest:
        Phis, Ys = _truncated(space, models[0], m)
    else:
        Phis, Ys = space.kept(V[:, :m])
    errors = tuple(
        norm(_gradient(Phis, Ys, W) - space.gradient(W)) / (size or 1.0) for W, size in zip(models, sizes, strict=True)
    )
    return GradientSet(Phis, Ys, 0.0, fewest, errors)


def _several(weights: Array | Sequence[Array]) -> list[Array]:
    if isinstance(weights, (list, tuple)):
        models = list(weights)
    else:
        A: Array = weights
        if A.ndim not in (2, 3):
            raise ShapeError(f"weights must have shape (L, k, p), got {tuple(A.shape)}")
        models = [A] if A.ndim == 2 else [A[i, :, :] for i in range(A.shape[0])]
    if not models:
        raise ValueError(
            "weights must name at least one matrix (k, p), got none; give the iterates of an optimiser, say"
        )
    return models


def _truncated(space: ColumnSpace, W: Array, m: int) -> tuple[Array, Array]:
    """Return the m leading terms A_i sigma_i B_i^T of the gradient, each by a point along B_i, as long as the data."""
    xp = namespace(W)
    A, sigma, Bt = svd(space.gradient(W))
    length = xp.sqrt(xp.sum(space.predictions(Bt[:m, :]) ** 2, axis=0))[:, None]
    Phis = length * Bt[:m, :]
    residual = (sigma[:m] * A[:, :m]).T / length
    return xp.astype(Phis, space.dtype), xp.astype(Phis @ W.T - residual, space.dtype)


def _gradient(Phis: Array, Ys: Array, W: Array) -> Array:
    xp = namespace(W)
    F, T = xp.astype(Phis, W.dtype), xp.astype(Ys, W.dtype)
    return (F @ W.T - T).T @ F
