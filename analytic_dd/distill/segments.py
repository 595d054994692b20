r"""Segments of an expert's training in fewer steps of a student (T19c): trajectory matching of MTT in closed form.

M steps of size e of gradient descent on 1/2 |Phi W^T - Y|^2 lead from W to

    W - (W F - C_F),    F = I - (I - e G)^M,    C_F = W* F    for a minimiser W*:

one step of size 1 with the gradient of data whose sums are F and C_F. N steps of a student on a set do the same with
F_s = I - (I - s G_s)^N. So the set of T20a for F, C_F and the starts of the segments gives F_s, and of it follow

    G_s = (I - (I - F_s)^(1/N)) / s,    Phi_s = G_s^(1/2) on its range,    Y_s = Phi_s W_s*^T,    W_s* F_s = C_s.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from analytic_dd.arrays import Array, as_count, eps_of, namespace, norm
from analytic_dd.distill.column_space import ColumnSpace, Data, column_space, orthonormal_columns
from analytic_dd.distill.distilled import FeatureSet
from analytic_dd.errors import RangeError
from analytic_dd.linalg import svd

__all__ = ["SegmentSet", "segment_set"]


@dataclass(frozen=True)
class SegmentSet(FeatureSet):
    """A set on which a student ends where an expert on the data does, from each of several starts.

    Attributes
    ----------
    step, steps : float, int
        Of the student.
    relative_errors : tuple of float
        |W_s - W| / |W - start| at the end of each segment, as measured.
    theorem : str
    """

    step: float
    steps: int
    relative_errors: tuple[float, ...]
    theorem: str = "T19c"


def segment_set(
    stats: Data,
    starts: Sequence[Array] | Array,
    *,
    expert_step: float,
    expert_steps: int,
    step: float,
    steps: int,
) -> SegmentSet:
    r"""Build the smallest set on which a student's ``steps`` steps do what ``expert_steps`` steps on the data do.

    Theorem: T19c, by T20a.

    Parameters
    ----------
    stats : GramStatistics, or a pair (Phi, Y)
    starts : sequence of (k, p) arrays
        Where the segments begin: weights along the expert's training, say.
    expert_step, expert_steps : float, int
        Size and number M of the steps on the data, of the loss 1/2 |Phi W^T - Y|^2 (a sum over samples).
    step, steps : float, int
        Size and number N of the student's steps on the set; the features take what size these steps need.

    Returns
    -------
    SegmentSet
        At most one point an output and start.

    Raises
    ------
    RangeError
        A step that diverges, 2 / |G|_2 or more; for an odd M one above 1 / |G|_2, whose overshoot no number of
        student's steps repeats.
    ShapeError, TypeError, ValueError
        Sizes that do not fit; numbers of steps below 1; starts that are minimisers.

    Notes
    -----
    *Cost.* An SVD of Phi (or an eigendecomposition of G) and one of (m, p). *Numerics.* The N-th root is accurate to
    eps; directions in which the expert has converged to rounding have lost their digits on the data too.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> Phi, Y = rng.standard_normal((40, 7)), rng.standard_normal((40, 2))
    >>> built = segment_set((Phi, Y), [np.zeros((2, 7))], expert_step=0.01, expert_steps=30, step=0.5, steps=3)
    >>> W = Ws = np.zeros((2, 7))
    >>> for _ in range(30):
    ...     W = W - 0.01 * (Phi @ W.T - Y).T @ Phi
    >>> for _ in range(3):
    ...     Ws = Ws - 0.5 * (built.features @ Ws.T - built.labels).T @ built.features
    >>> len(built), bool(np.allclose(Ws, W, rtol=1e-12))
    (2, True)
    >>> segment_set((Phi, Y), [W], expert_step=1.0, expert_steps=30, step=0.5, steps=3)
    Traceback (most recent call last):
        ...
    analytic_dd.errors.RangeError: the expert's step must be below 2 / |G|_2 = 0.029 (descent diverges beyond), got 1
    """
    for name, count in (("expert_steps", expert_steps), ("steps", steps)):
        as_count(count, name)
    if not 0.0 < step < math.inf:
        raise RangeError(f"the student's step must be finite and > 0, got {step:g}")
    space = column_space(stats)
    models = [space.as_weights(W, "starts") for W in starts]
    segment = _one_step(space, float(expert_step), int(expert_steps))
    moves = [segment.gradient(W) for W in models]
    if not models or not max(map(norm, moves)) > 0.0:
        raise ValueError("starts must name weights that the expert moves, got none; begin before the minimiser")
    xp = namespace(space.s)
    residuals = [segment.residual(W) for W in models]
    V = orthonormal_columns(xp.concat([E / (norm(E) or 1.0) for E in residuals], axis=1))
    Phis, Ys = _student(*replace(segment, dtype=space.s.dtype).kept(V), float(step), int(steps))
    errors = tuple(
        norm(_descent(Phis, Ys, W, float(step), int(steps)) - (W - move)) / (norm(move) or 1.0)
        for W, move in zip(models, moves, strict=True)
    )
    return SegmentSet(xp.astype(Phis, space.dtype), xp.astype(Ys, space.dtype), 0.0, float(step), int(steps), errors)


def _one_step(space: ColumnSpace, step: float, steps: int) -> ColumnSpace:
    """Return the data whose gradient is what the expert's steps change: sums F and W* F."""
    xp = namespace(space.s)
    x = step * space.s**2
    largest = float(xp.max(x))
    if not 0.0 < largest < 2.0:
        raise RangeError(
            f"the expert's step must be below 2 / |G|_2 = {2.0 * step / largest:.2g} (descent diverges beyond), got "
            f"{step:g}"
            if largest > 0.0
            else f"the expert's step must be > 0, got {step:g}"
        )
    if largest > 1.0 + 8.0 * eps_of(x) and steps % 2:
        raise RangeError(
            f"an odd number of the expert's steps must be of at most 1 / |G|_2 = {step / largest:.2g}, got {step:g}: "
            "no student repeats their overshoot; take an even number, or smaller steps"
        )
    below = xp.where(x < 0.5, x, 0.5 * xp.ones_like(x))
    f = xp.where(x < 0.5, -xp.expm1(steps * xp.log1p(-below)), 1.0 - xp.abs(1.0 - x) ** steps)
    root = xp.sqrt(f)
    return replace(space, s=root, labels=space.labels * (root / space.s)[:, None])


def _student(A: Array, B: Array, step: float, steps: int) -> tuple[Array, Array]:
    """Return features and labels with  I - (I - step G_s)^steps = A^T A  and the minimisers of (A, B)."""
    xp = namespace(A)
    U, a, Qt = svd(A)
    squares = xp.where(a < 1.0, a * a, xp.ones_like(a))  # above 1 by rounding only
    below = xp.where(squares < 1.0, squares, 0.5 * xp.ones_like(a))
    g = xp.where(squares < 1.0, -xp.expm1(xp.log1p(-below) / steps), xp.ones_like(a)) / step
    root = xp.sqrt(g)
    return (U * root) @ Qt, (U * (root / a)) @ (U.T @ B)


def _descent(Phis: Array, Ys: Array, W: Array, step: float, steps: int) -> Array:
    for _ in range(steps):
        W = W - step * ((Phis @ W.T - Ys).T @ Phis)
    return W
