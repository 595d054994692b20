"""Inputs near one point with given features near its features: what T9 asks of a map."""

from __future__ import annotations

from collections.abc import Callable

from analytic_dd.arrays import Array, eps_of, namespace, norm
from analytic_dd.errors import InfeasibleError, RangeError
from analytic_dd.features import FeatureMap
from analytic_dd.linalg import thin_svd

__all__ = ["local_inverse"]

_ITERATIONS = 60
_RCOND = 1e-6  # a Jacobian by central differences has an error of eps^(2/3), 4e-11: with some room


def local_inverse(feature_map: FeatureMap, x0: Array) -> tuple[Callable[[Array], Array], str]:
    """Return a function from features (m, p) near phi(x0) to inputs (m, d) near x0, and its name.

        "exact"    the map's ``local_preimage``
        "newton"   x <- x + J^+ (target - phi(x)), J the Jacobian at x0, where the map has no inverse in closed form

    Theorem: T9. The function raises :class:`RangeError` for features that it does not reach.

    Parameters
    ----------
    feature_map : FeatureMap
    x0 : (1, d) array

    Raises
    ------
    InfeasibleError
        No exact inverse, and the Jacobian at x0 has rank < p.

    Notes
    -----
    *Cost.* For "newton" the Jacobian and the SVD of a (p, d) matrix. *Numerics.* The Jacobian is that of
    x0 throughout (a chord method): each step shrinks the error by about |X - x0| times the curvature, and the last
    error is that of evaluating phi.

    Examples
    --------
    >>> import numpy as np
    >>> from analytic_dd.features import Function
    >>> x0 = np.array([[0.3, -0.2]])
    >>> inverse, name = local_inverse(Function(lambda X: np.sin(X[:, :1] + 2 * X[:, 1:]), 2, 1), x0)
    >>> X = inverse(np.array([[0.0]]))
    >>> name, bool(abs(np.sin(X[0, 0] + 2 * X[0, 1])) < 1e-15)
    ('newton', True)
    >>> local_inverse(Function(lambda X: np.maximum(X, 0.0), 2, 2), x0)
    Traceback (most recent call last):
        ...
    analytic_dd.errors.InfeasibleError: T9: the Jacobian of the feature map at x0 must have rank p = 2, got 1; take
    another x0, a strictly monotone activation or a map with p <= d
    """
    exact = _exact(feature_map, x0)
    if exact is not None:
        return exact, "exact"
    return _chord(feature_map, x0), "newton"


def _exact(feature_map: FeatureMap, x0: Array) -> Callable[[Array], Array] | None:
    def near(Phis: Array) -> Array:
        return namespace(x0).broadcast_to(x0, (Phis.shape[0], x0.shape[1])) + 0.0  # a copy: some views are read-only

    try:
        feature_map.local_preimage(feature_map(x0), near=x0)
    except InfeasibleError:  # an activation without an inverse, or widths that increase: Newton may still do
        return None
    return lambda Phis: feature_map.local_preimage(Phis, near=near(Phis))


def _chord(feature_map: FeatureMap, x0: Array) -> Callable[[Array], Array]:
    J = feature_map.jacobian(x0).T
    rcond = max(_RCOND, eps_of(x0) ** 0.5)
    spectrum, p = thin_svd(J, rcond=rcond), J.shape[1]
    rank = spectrum.rank
    if rank < p:
        raise InfeasibleError(
            f"T9: the Jacobian of the feature map at x0 must have rank p = {p}, got {rank}; take another x0, a "
            "strictly monotone activation or a map with p <= d",
            theorem="T9",
            value=rank,
            limit=p,
        )

    def solve(Phis: Array) -> Array:
        X = kept = x0
        best = float("inf")
        for _ in range(_ITERATIONS):
            missing = Phis - feature_map(X)
            error = norm(missing)
            if not error < 0.5 * best:  # rounding is reached, or the features are too far
                break
            kept, best = X, error
            X = X + ((missing @ spectrum.Vt.T) / spectrum.s) @ spectrum.U.T
        if not best <= eps_of(x0) ** 0.5 * norm(Phis - feature_map(x0)):
            raise RangeError(f"Newton's method must reach the features, got a residual of {best:.3g}; take nearer ones")
        return kept

    return solve
