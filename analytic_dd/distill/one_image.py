"""One real image and near copies of it that carry a whole model (T9)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from analytic_dd.arrays import Array, as_matrices, as_matrix, as_ridge, eps_of, namespace, norm
from analytic_dd.distill.distilled import DistilledFeatures
from analytic_dd.distill.local_inverse import local_inverse
from analytic_dd.distill.spanning import spanning_features
from analytic_dd.errors import InfeasibleError, RangeError, ShapeError
from analytic_dd.features import FeatureMap
from analytic_dd.features.function import as_feature_map
from analytic_dd.linalg import row_basis

__all__ = ["OneImageFeatures", "one_image_features"]

_TRIALS = 60
_SHARE = 0.01  # of the range of the image: the default for the largest change of a pixel


@dataclass(frozen=True)
class OneImageFeatures(DistilledFeatures):
    """One input and its near copies.

    Attributes
    ----------
    inputs : (q + 1, d) array
        x0, then one copy for each dimension of row(W); ``features`` are phi of these, as they are.
    step : float
        eps, the distance of the copies from x0 in feature space.
    largest_change : float
        Largest |inputs - x0| of an entry.
    inverse : {"exact", "newton"}
        How the copies were found.
    """

    inputs: Array = None
    step: float = 0.0
    largest_change: float = 0.0
    inverse: str = "exact"

    def diagnostics(self) -> dict[str, Any]:
        """Return everything but the arrays, as JSON values."""
        names = ("step", "largest_change", "inverse")
        own = {name: getattr(self, name) for name in names}
        distance = self.step * math.sqrt(len(self) - 1)  # orthogonal steps of one size
        return super().diagnostics() | own | {"predicted_distance": distance}


def one_image_features(
    W: Array,
    feature_map: FeatureMap | Callable[[Array], Array],
    x0: Array,
    *,
    ridge: float = 0.0,
    largest_change: float | None = None,
    rtol: float | None = None,
    rcond: float | None = None,
) -> OneImageFeatures:
    r"""Distil ``W`` into one input and q = rank W near copies of it.

        Phis = [phi(x0);  phi(x0) + eps q_j],   q_j an orthonormal basis of row(W),   Xs pre-images near x0,   Ys by T4

    Theorem: T9. Exact for any ridge and any activation, if the Jacobian of phi at x0 has rank p (so p <= d): the range
    then contains a ball around phi(x0). eps is found by back-tracking, as large as ``largest_change`` lets it be.

    Parameters
    ----------
    W : (k, p) array
        Weights to reproduce, not zero.
    feature_map : FeatureMap or callable
        Any map with p <= d; an exact local inverse is used where it has one, else Newton's method. A function on arrays
        has a Jacobian by central differences.
    x0 : (d,) or (1, d) array
        The one input.
    ridge : float
        lambda_s >= 0, absolute; no upper limit, and the inputs do not depend on it.
    largest_change : float, optional
        Bound on every |x_ij - x0_j|, in units of inputs; default 1 per cent of max(x0) - min(x0).
    rtol : float, optional
        Error of W up to which the set counts as exact; default sqrt(eps).
    rcond : float, optional
        Relative rank cut-off for W.

    Returns
    -------
    OneImageFeatures
        ``inputs`` (q + 1, d) beside the usual fields; ``relative_error`` is |W (I - Phis^+ Phis)| / |W| of the
        features of the inputs as they are.

    Raises
    ------
    InfeasibleError
        T9: the Jacobian at x0 has rank < p (ReLU units that are off, p > d); or rounding leaves an error above
        ``rtol`` with copies this near.
    ShapeError, TypeError, ValueError
        Sizes that do not fit; integers; NaN; W = 0; a constant x0 without ``largest_change``.

    Notes
    -----
    *Cost.* A few pre-images of q points; without an exact inverse a Jacobian and an SVD of (p, d).
    *Numerics.* The error of W is about eps_machine |phi(x0)| cond(phi) / eps: halving the change doubles the error.

    Examples
    --------
    >>> import numpy as np
    >>> from analytic_dd.features import FullyConnected
    >>> from analytic_dd.ridge import ridge_weights
    >>> phi, W = FullyConnected([5, 4], activation="sigmoid", bias=True, rng=0), np.eye(2, 4)
    >>> built = one_image_features(W, phi, np.linspace(0.0, 1.0, 5))
    >>> Ws = ridge_weights(phi(built.inputs), built.labels, ridge=0.0)
    >>> built.inputs.shape, bool(np.ptp(built.inputs, axis=0).max() < 0.02), bool(np.allclose(Ws, W, atol=1e-10))
    ((3, 5), True, True)
    >>> one_image_features(W, FullyConnected([5, 4], activation="relu", rng=0), np.linspace(0.0, 1.0, 5))
    Traceback (most recent call last):
        ...
    analytic_dd.errors.InfeasibleError: T9: the Jacobian of the feature map at x0 must have rank p = 4, got 1; take
    another x0, a strictly monotone activation or a map with p <= d
    """
    x0 = x0[None, :] if getattr(x0, "ndim", 2) == 1 else x0
    W, x0 = as_matrices(W=W, x0=x0)
    if x0.shape[0] != 1:
        raise ShapeError(f"x0 must be one input, got {x0.shape[0]} rows; pass x0[0]")
    ridge, limit = as_ridge(ridge), _limit(x0, largest_change)
    directions = _directions(W, rcond)
    phi = as_feature_map(feature_map, x0)
    inverse, name = local_inverse(phi, x0)
    start = as_matrix(phi(x0), "phi(x0)", columns=W.shape[1])
    copies, step = _back_track(inverse, x0, start, directions, limit)
    inputs = namespace(x0).concat([x0, copies], axis=0)
    # an explicit cut-off is silent: near copies are nearly dependent by design, and the error below is the judge
    Phis = phi(inputs)
    built = spanning_features(W, Phis, ridge=ridge, rcond=max(Phis.shape) * eps_of(Phis))
    _require_exact(built.relative_error, eps_of(W) ** 0.5 if rtol is None else float(rtol), limit)
    values = {field.name: getattr(built, field.name) for field in fields(built)} | {"theorem": "T9"}
    return OneImageFeatures(**values, inputs=inputs, step=step, largest_change=_largest(copies - x0), inverse=name)


def _limit(x0: Array, largest_change: float | None) -> float:
    xp = namespace(x0)
    limit = _SHARE * float(xp.max(x0) - xp.min(x0)) if largest_change is None else float(largest_change)
    if not 0.0 < limit < float("inf"):
        raise ValueError(
            f"largest_change must be finite and > 0, got {limit:.3g}; it bounds the change of an entry of x0 "
            "(by default 1 per cent of its range, which is 0 for a constant x0)"
        )
    return limit


def _directions(W: Array, rcond: float | None) -> Array:
    directions = row_basis(W, rcond=rcond)
    if directions.shape[0] == 0:
        raise ValueError("W is zero: any input with zero labels is exact, and no direction is distinguished")
    return directions


def _largest(A: Array) -> float:
    xp = namespace(A)
    return float(xp.max(xp.abs(A)))


def _back_track(
    inverse: Callable[[Array], Array], x0: Array, start: Array, directions: Array, limit: float
) -> tuple[Array, float]:
    """Shrink eps from |phi(x0)| until the pre-images exist and are within ``limit`` of x0."""
    step = norm(start) or 1.0
    for _ in range(_TRIALS):
        try:
            copies = inverse(start + step * directions)
        except RangeError:
            step *= 0.25
            continue
        change = _largest(copies - x0)
        if change <= limit:
            return copies, step
        step *= min(0.5, 0.9 * limit / change)
    raise InfeasibleError(
        f"T9: copies within {limit:.3g} of x0 must exist, got none down to a step of {step:.1e} in feature space; "
        "allow a larger change or take another x0",
        theorem="T9",
        value=step,
        limit=limit,
    )


def _require_exact(error: float, rtol: float, limit: float) -> None:
    if not error <= rtol:
        raise InfeasibleError(
            f"T9: copies this near must determine W, got a relative error of {error:.2g} (limit {rtol:.2g}) within a "
            f"change of {limit:.3g}; allow a larger change, or a map with a smaller condition",
            theorem="T9",
            value=error,
            limit=rtol,
        )
