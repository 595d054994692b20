r"""Features that make one-hot labels exact for cross-entropy (T18d).

Let Z = Phis W^T (m, k) be the logits and Phis = Z (W^+)^T. The gradient (softmax(Z) - Y)^T Phis + ridge W vanishes iff

    Y^T Z = ridge W W^T + softmax(Z)^T Z,    that is    (H Y^T) Z = ridge W W^T + (softmax(Z) - 1/k)^T Z

with H = I - 1 1^T / k. Where rank(Y H) = k - 1 this is the fixed point equation of

    Z <- (H Y^T)^+ (ridge W W^T + (softmax(Z) - 1/k)^T Z)

With c = 1 / s_min(Y H) and a = ridge |(H Y^T)^+ W W^T| it contracts from Z = 0 where 2 a c < 1. Copies of the set count
as a smaller ridge: t copies at ``ridge`` are one at ridge / t.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from analytic_dd.arrays import Array, as_matrices, as_ridge, eps_of, namespace, norm
from analytic_dd.distill.distilled import FeatureSet
from analytic_dd.errors import DivergenceError, InfeasibleError, ShapeError
from analytic_dd.linalg import Spectrum, thin_svd
from analytic_dd.losses import Softmax
from analytic_dd.memory import require_memory

__all__ = ["HardLabelled", "hard_label_features"]

_SWEEPS = 10_000


@dataclass(frozen=True)
class HardLabelled(FeatureSet):
    """A set with one-hot labels whose softmax regression is W.

    Attributes
    ----------
    features : (t m, p) array
        Phis, the m points of one copy, t times.
    labels : (t m, k) array
        The labels that were given, t times.
    ridge : float
        lambda_s: the penalty ridge / 2 |W|^2 beside the sum of the losses of all t m points.
    copies : int
        t, 1 where 2 a c < 1.
    contraction : float
        2 a c / t, below 1.
    residual : float
        |grad| / (ridge |W|) at W, of rounding size: a bound on |W_s - W| / |W|.
    theorem : str
    """

    copies: int
    contraction: float
    residual: float
    theorem: str = "T18d"


def hard_label_features(W: Array, Y: Array, *, ridge: float) -> HardLabelled:
    r"""Build points for the *given* hard labels whose softmax regression is exactly ``W``.

        Phis = Z (W^+)^T,   Z the fixed point of   Z <- (H Y^T)^+ (ridge / t W W^T + (softmax(Z) - 1/k)^T Z)

    with t the smallest number of copies for which the iteration is known to contract.

    Theorem: T18d.

    Parameters
    ----------
    W : (k, p) array
        Weights to reproduce, not zero, with columns that sum to 0 (every softmax minimiser has them).
    Y : (m, k) array
        One-hot labels, or any probabilities, with rank(Y - 1/k) = k - 1: k - 1 classes at least.
    ridge : float
        lambda_s > 0.

    Returns
    -------
    HardLabelled

    Raises
    ------
    InfeasibleError
        T18d: labels of too low a rank. T18e: ridge = 0. T18b: columns of W that do not sum to 0.
    DivergenceError
        The iteration does not settle (never seen where it contracts).

    Notes
    -----
    *Cost.* SVDs of W and Y, then O(m k^2) an iteration. *Numerics.* ``residual`` is measured on the features that are
    returned.

    Examples
    --------
    >>> import numpy as np
    >>> from analytic_dd.losses import glm_weights
    >>> W = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
    >>> built = hard_label_features(W, np.eye(3), ridge=0.2)
    >>> fit = glm_weights(built.features, built.labels, loss="softmax", ridge=0.2)
    >>> len(built), built.copies, bool(np.allclose(fit.weights, W, rtol=0, atol=1e-13))
    (6, 2, True)
    >>> hard_label_features(W, np.eye(3)[:1], ridge=0.2)
    Traceback (most recent call last):
        ...
    analytic_dd.errors.InfeasibleError: T18d: hard labels must have rank k - 1 = 2 about 1/k, got 1; take k - 1 or ...
    """
    W, Y = as_matrices(W=W, Y=Y)
    ridge = as_ridge(ridge)
    Softmax().require_targets(Y)
    _require(W, Y, ridge)
    spectrum, weights = _centred_labels(Y), thin_svd(W)
    target = W @ W.T
    first = _solve(spectrum, ridge * target)
    rate = 2.0 * norm(first) / spectrum.smallest
    m, size = Y.shape[0], 8.0 * (W.shape[0] + W.shape[1])
    require_memory((rate + 1.0) * m * size, f"{rate + 1.0:.3g} copies of {m} points", "take a smaller ridge or |W|")
    copies = math.floor(rate) + 1
    Z = _fixed_point(spectrum, (ridge / copies) * target)
    Phis = ((Z @ weights.U) / weights.s) @ weights.Vt
    gap = (Softmax().mean(Phis @ W.T) - Y).T @ Phis + (ridge / copies) * W
    xp = namespace(W)
    return HardLabelled(
        features=xp.concat([Phis] * copies, axis=0),
        labels=xp.concat([Y] * copies, axis=0),
        ridge=ridge,
        copies=copies,
        contraction=rate / copies,
        residual=norm(gap) * copies / (ridge * norm(W)),
    )


def _require(W: Array, Y: Array, ridge: float) -> None:
    xp, k = namespace(W), int(W.shape[0])
    if Y.shape[1] != k:
        raise ShapeError(f"Y must have as many columns as W has rows, got {Y.shape[1]} and {k}")
    if k < 2:
        raise ShapeError(f"softmax needs at least two classes, got k = {k}; take loss='logistic'")
    if norm(W) == 0.0:
        raise ValueError("W is zero: points at the origin have it, and no direction is distinguished")
    if ridge == 0.0:
        raise InfeasibleError(
            "T18e: hard labels at ridge = 0 have no minimiser; take ridge > 0, or soft labels (glm_labels)",
            theorem="T18e",
            value=0.0,
            limit=0.0,
        )
    rest, limit = norm(xp.sum(W, axis=0)[None, :]) / norm(W), 1e3 * k * eps_of(W)
    if rest > limit:
        raise InfeasibleError(
            f"T18b: the columns of W must sum to 0, as those of every softmax minimiser do; their sums are {rest:.2g} "
            "of |W|; subtract the mean of the rows (W - W.mean(axis=0)), which changes no probability",
            theorem="T18b",
            value=rest,
            limit=limit,
        )


def _centred_labels(Y: Array) -> Spectrum:
    """Return the SVD of Y - 1/k at rank k - 1, which it must have."""
    k = int(Y.shape[1])
    spectrum = thin_svd(Y - 1.0 / k)
    if spectrum.rank < k - 1:
        raise InfeasibleError(
            f"T18d: hard labels must have rank k - 1 = {k - 1} about 1/k, got {spectrum.rank}; take k - 1 or more "
            "classes (glm_labels makes soft labels for any points)",
            theorem="T18d",
            value=spectrum.rank,
            limit=k - 1,
        )
    return spectrum


def _solve(centred: Spectrum, right: Array) -> Array:
    """``(H Y^T)^+ right`` (m, k)."""
    return centred.U @ ((centred.Vt @ right) / centred.s[:, None])


def _fixed_point(centred: Spectrum, target: Array) -> Array:
    """Iterate from 0 until the step is rounding."""
    k, loss = int(target.shape[0]), Softmax()
    Z, smallest = _solve(centred, target), math.inf
    for _ in range(_SWEEPS):
        new = _solve(centred, target + (loss.mean(Z) - 1.0 / k).T @ Z)
        step = norm(new - Z) / norm(new)
        Z = new
        if step <= 2.0 * eps_of(Z) or (step < 1e2 * eps_of(Z) and step >= smallest):
            return Z
        smallest = min(smallest, step)
    raise DivergenceError(
        f"T18d: the iteration did not settle in {_SWEEPS} sweeps (last step {step:.1e}); take a smaller ridge or |W|"
    )
