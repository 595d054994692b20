r"""A set on which gradient descent takes the same steps as on the data (T19): trajectory matching in closed form.

Squared loss, any step sizes, weight decay, heavy ball or Nesterov momentum, from W_0. The gradient of the t-th step is
E_t^T Phi with residuals E_t = Phi W_t^T - Y, and by induction E_t lies in the block Krylov space

    span { K^j E_0 : j <= t },     K = Phi Phi^T

So with V an orthonormal basis of {E_0, K E_0, ..., K^(T-1) E_0}, all projected on the columns of Phi, the set
(V^T Phi, V^T Y) has the gradients of the data at W_0, ..., W_(T-1) (T20a), and so the same W_1, ..., W_T: at most T k
points. Weight decay from W_0 /= 0 adds the blocks K^j Phi W_0^T.

The first tau blocks alone are a little wrong (T19d): for steps of 1 / |G|_2

    max_t |W_t - W_t^s| <= 4 |C| T exp(-(tau - 1)^2 / T) / |G|_2
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from analytic_dd.arrays import Array, as_count, as_matrices, eps_of, namespace, norm
from analytic_dd.distill.column_space import ColumnSpace, Data, column_space, orthonormal_columns
from analytic_dd.distill.distilled import FeatureSet
from analytic_dd.errors import RangeError, ShapeError
from analytic_dd.linalg import outside, row_basis, svd

__all__ = ["EndPointSet", "TrajectorySet", "end_point_set", "krylov", "trajectory_set"]


@dataclass(frozen=True)
class TrajectorySet(FeatureSet):
    """A set on which gradient descent from ``start`` passes through the weights it passes through on the data.

    Attributes
    ----------
    start : (k, p) array
        W_0.
    steps : int
        T.
    exact_points : int
        Rank of the Krylov space: with so many points the first T steps are exact.
    blocks : int
        tau: whole blocks of k that the points hold; ``steps`` where they are all there.
    bound : float
        T19d, a bound on the largest distance of W_t from that of the data for steps of 1 / |G|_2, relative to the
        largest |W_t - W_0|; 0 for a complete set.
    relative_error : float
        That distance as measured (without weight decay and momentum); of rounding size for a complete set.
    theorem : str
    """

    start: Array
    steps: int
    exact_points: int
    blocks: int
    bound: float
    relative_error: float
    theorem: str = "T19a"


def trajectory_set(
    stats: Data,
    steps: int,
    *,
    start: Array | None = None,
    points: int | None = None,
    tolerance: float | None = None,
    weight_decay: bool = False,
) -> TrajectorySet:
    r"""Build a set on which ``steps`` steps of gradient descent are those on the data, for any step sizes.

        Phis = V^T Phi,   Ys = V^T Y,   V an orthonormal basis of {E_0, K E_0, ..., K^(T-1) E_0}

    The loss is 1/2 |Phi W^T - Y|^2, a sum over samples. Step sizes may change at every step; weight decay (from W_0 =
    0, or with ``weight_decay=True``), heavy ball and Nesterov momentum are covered. For methods that scale the gradient
    entry by entry, as Adam does, take :func:`gradient_set` at their own iterates.

    Theorem: T19a, T19d.

    Parameters
    ----------
    stats : GramStatistics, Sums or a pair (Phi, Y)
    steps : int
        T >= 1.
    start : (k, p) array, optional
        W_0; 0 by default.
    points : int, optional
        Fewer points: the first directions of the Krylov space.
    tolerance : float, optional
        As few points as keep ``relative_error`` below this, in the place of ``points``.
    weight_decay : bool
        Keep W_0 exact under weight decay too, at up to T k points more. Not needed for W_0 = 0.

    Returns
    -------
    TrajectorySet
        At most T k points, and at most rank Phi.

    Raises
    ------
    ShapeError, TypeError, ValueError
        Sizes that do not fit; steps or points below 1; a start that is a minimiser.

    Notes
    -----
    *Cost.* An SVD of Phi (or an eigendecomposition of G), then O(r m^2) for the block Lanczos basis with full
    orthogonalisation. *Numerics.* W_t agree to rounding times the growth of the method: a step above 2 / |G|_2 diverges
    on both sides, and rounding with it.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> Phi, Y = rng.standard_normal((40, 7)), rng.standard_normal((40, 2))
    >>> built = trajectory_set((Phi, Y), 3)
    >>> W = Ws = np.zeros((2, 7))
    >>> for step in (0.01, 0.003, 0.02):
    ...     W = W - step * (Phi @ W.T - Y).T @ Phi
    ...     Ws = Ws - step * (built.features @ Ws.T - built.labels).T @ built.features
    >>> len(built), bool(np.allclose(Ws, W, rtol=1e-12))
    (6, True)
    >>> trajectory_set((Phi, Y), 0)
    Traceback (most recent call last):
        ...
    ValueError: steps must be an integer >= 1, got 0
    """
    steps = as_count(steps, "steps")
    if points is not None and int(points) < 1:
        raise ValueError(f"points must be at least 1, got {points}")
    if tolerance is not None and (points is not None or not 0.0 < tolerance < math.inf):
        raise ValueError(f"tolerance must be finite and > 0, in the place of points, got {tolerance} and {points}")
    space = column_space(stats)
    xp = namespace(space.s)
    W_0 = xp.zeros_like(space.labels.T @ space.Vt) if start is None else space.as_weights(start, "start")
    residual = space.residual(W_0)
    if norm(space.gradient(W_0)) == 0.0:
        raise ValueError("the start has gradient 0: descent does not move, and any set with its predictions does that")
    first = xp.concat([residual, space.predictions(W_0)], axis=1) if weight_decay and start is not None else residual
    V = krylov(space.s**2, first, steps)
    m = int(V.shape[1]) if points is None else min(int(points), int(V.shape[1]))
    m = m if tolerance is None else fewest_points(space, V, W_0, steps, float(tolerance))
    complete = m == V.shape[1]
    tau = steps if complete else m // int(first.shape[1])
    Phis, Ys = space.kept(V[:, :m])
    travelled, error, _ = distances(space, V[:, :m], W_0, steps)
    bound = bound_of_blocks(space, W_0, steps, tau)
    return TrajectorySet(
        Phis,
        Ys,
        0.0,
        xp.astype(W_0, space.dtype),
        steps,
        int(V.shape[1]),
        tau,
        0.0 if complete else bound / travelled,
        error / travelled,
        theorem="T19a" if complete else "T19d",
    )


def krylov(eigenvalues: Array, first: Array, blocks: int) -> Array:
    """Orthonormal columns that span ``K^j first`` for j < blocks, K = diag(eigenvalues), in the order of the blocks."""
    xp = namespace(first)
    scaled = (eigenvalues / eigenvalues[0])[:, None]
    V = block = orthonormal_columns(first)
    for _ in range(blocks - 1):
        size = norm(scaled * block)
        image = outside(V, scaled * block)
        if norm(image) <= max(V.shape) * eps_of(V) * size or V.shape[1] == V.shape[0]:
            break
        U, s, _ = svd(image)
        rank = int(xp.sum(xp.astype(s > max(V.shape) * eps_of(V) * size, xp.int32)))
        block = U[:, : min(rank, V.shape[0] - V.shape[1])]
        block = xp.linalg.qr(block - V @ (V.T @ block), mode="reduced")[0]
        V = xp.concat([V, block], axis=1)
    return V


def bound_of_blocks(space: ColumnSpace, W_0: Array, steps: int, blocks: int) -> float:
    """Return the bound of T19d on |W_t - W_t^s| for steps of 1 / |G|_2."""
    reach = 4.0 * norm(space.gradient(W_0)) / float(space.s[0]) ** 2 * steps
    return reach * math.exp(-((max(blocks, 1) - 1) ** 2) / steps)


def fewest_points(space: ColumnSpace, V: Array, W_0: Array, steps: int, tolerance: float) -> int:
    """Return how many of the columns of V keep the relative error of the steps below a tolerance, by bisection."""
    low, high = 0, int(V.shape[1])
    while high - low > 1:
        middle = (low + high) // 2
        travelled, error, _ = distances(space, V[:, :middle], W_0, steps)
        low, high = (low, middle) if error <= tolerance * travelled else (middle, high)
    return high


def distances(
    space: ColumnSpace, V: Array, W_0: Array, steps: int, *, at: Collection[int] = ()
) -> tuple[float, float, list[tuple[Array, Array]]]:
    """Return the largest |W_t - W_0| on the data and the largest |W_t - W_t^s|, for steps of 1 / |G|_2.

    Also W_t and W_t^s - W_t, as rows in the coordinates of ``space.Vt``, for each t of ``at``.
    """
    eta, F = 1.0 / float(space.s[0]) ** 2, V.T * space.s
    target, labels = space.labels.T * space.s, V.T @ space.labels
    w_0 = W_0 @ space.Vt.T
    w, w_s, travelled, error, kept = w_0, w_0, 0.0, 0.0, []
    for t in range(1, steps + 1):
        w = w - eta * (w * space.s**2 - target)
        w_s = w_s - eta * ((F @ w_s.T - labels).T @ F)
        travelled, error = max(travelled, norm(w - w_0)), max(error, norm(w - w_s))
        if t in at:
            kept.append((w, w_s - w))
    return travelled, error, kept


@dataclass(frozen=True)
class EndPointSet(FeatureSet):
    """A set on which descent from ``start`` ends at given weights after ``steps`` steps of size ``step`` (T19b).

    Attributes
    ----------
    features : (m, p) array
        Orthonormal rows that span row(W_T - W_0).
    step : float
    steps : int
    theorem : str
    """

    step: float
    steps: int
    theorem: str = "T19b"


def end_point_set(start: Array, end: Array, *, step: float, steps: int) -> EndPointSet:
    r"""Build the smallest set on which ``steps`` equal steps of gradient descent lead from ``start`` to ``end``.

        Phis orthonormal rows that span row(W_T - W_0),
        Ys = Phis W_0^T + Phis (W_T - W_0)^T / (1 - (1 - step)^steps)

    On orthonormal rows each step divides the distance to the minimiser by 1 - step; the minimiser lies beyond W_T by
    just so much. rank(W_T - W_0) points, and no fewer: every W_t - W_0 lies in the row space of the features.

    Theorem: T19b.

    Parameters
    ----------
    start, end : (k, p) arrays
        W_0 and W_T, the end of a long training for instance.
    step : float
        0 < step < 2, of the loss 1/2 |Phis W^T - Ys|^2.
    steps : int
        N >= 1.

    Raises
    ------
    RangeError
        ``step`` outside 0 .. 2, where descent on orthonormal rows diverges.
    ShapeError, ValueError
        Sizes that differ; ``start`` equal to ``end``; steps below 1.

    Examples
    --------
    >>> import numpy as np
    >>> built = end_point_set(np.zeros((1, 2)), np.array([[3.0, 4.0]]), step=0.5, steps=2)
    >>> W = np.zeros((1, 2))
    >>> for _ in range(2):
    ...     W = W - 0.5 * (built.features @ W.T - built.labels).T @ built.features
    >>> len(built), W.round(12)
    (1, array([[3., 4.]]))
    """
    start, end = as_matrices(start=start, end=end)
    if start.shape != end.shape:
        raise ShapeError(f"start and end must have one shape, got {tuple(start.shape)} and {tuple(end.shape)}")
    if not 0.0 < step < 2.0:
        raise RangeError(f"step must lie between 0 and 2 (descent on orthonormal rows diverges beyond), got {step:g}")
    steps = as_count(steps, "steps")
    if norm(end - start) == 0.0:
        raise ValueError("start and end are equal: nothing is to be learned, and no direction is distinguished")
    Phis = row_basis(end - start)
    reached = -math.expm1(steps * math.log1p(-step)) if step < 1.0 else 1.0 - (1.0 - step) ** steps
    return EndPointSet(Phis, Phis @ start.T + (Phis @ (end - start).T) / reached, 0.0, float(step), steps)
