"""One distilled set that is exact for a whole list of ridges (T11)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from analytic_dd.arrays import Array, as_ridge, eps_of, namespace, norm
from analytic_dd.distill.distilled import DistilledFeatures
from analytic_dd.distill.spanning import describe
from analytic_dd.linalg import GramStatistics

__all__ = ["SeveralRidges", "several_ridges_features"]


@dataclass(frozen=True)
class SeveralRidges(DistilledFeatures):
    """A set that is exact for every ridge of a list.

    Attributes
    ----------
    ridges : tuple of float
        The ridges, each once; ``ridge`` is the first of them, ``amplification`` and ``relative_error`` (measured, of
        rounding size with the default ``rcond``) are the largest over all.
    """

    ridges: tuple[float, ...] = ()

    def diagnostics(self) -> dict[str, Any]:
        """Return everything but the arrays, as JSON values."""
        return super().diagnostics() | {"ridges": list(self.ridges)}


def several_ridges_features(
    stats: GramStatistics, ridges: Iterable[float], *, rcond: float | None = None
) -> SeveralRidges:
    r"""Build the smallest set whose ridge regression with *each* ridge is that of all the data with that ridge.

        V (p, r) orthonormal basis of all rows of W(ridge_1), ..., W(ridge_L),   H = V^T G V = E s^2 E^T,
        Phis = s E^T V^T,     Ys = s^-1 E^T V^T C^T,
        then  Ys^T (Phis Phis^T + ridge I)^-1 Phis = C V (H + ridge I)^-1 V^T = W(ridge)   for each of them.

    Theorem: T11 (up to the rotation E^T of the points). r <= L k points, and no fewer can do.

    Parameters
    ----------
    stats : GramStatistics
        Of the original data; ``stats.centred()`` for models with an intercept.
    ridges : iterable of float
        lambda_1, ..., lambda_L >= 0, absolute; the same for the data and for the set. Repeated ones count once.
    rcond : float, optional
        Directions of size up to ``rcond`` in the weights, each W(ridge) scaled to norm 1, are left out; default
        max(L k, p) eps. Larger gives fewer points, and ``relative_error`` says what that costs.

    Returns
    -------
    SeveralRidges
        Orthogonal points, the longest first.

    Raises
    ------
    ValueError
        No ridges, a negative one, empty statistics, or all weights zero.

    Notes
    -----
    *Cost.* One eigendecomposition of G (kept by ``stats``), one SVD of (L k, p), one of (p, r).
    *Numerics.* The error of W(ridge) is eps (s_1^2 + ridge) / (s_r^2 + ridge). H is not formed: its root is the SVD of
    G^(1/2) V, on the eigenvectors that G resolves (above p eps of its largest eigenvalue). Between the ridges of the
    list the set interpolates.

    Examples
    --------
    >>> import numpy as np
    >>> from analytic_dd.ridge import ridge_weights
    >>> Phi, Y = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]), np.array([[1.0], [0.0], [1.0]])
    >>> built = several_ridges_features(GramStatistics(2, 1).update(Phi, Y), [0.1, 10.0])
    >>> same = [
    ...     np.allclose(
    ...         ridge_weights(built.features, built.labels, ridge=ridge), ridge_weights(Phi, Y, ridge=ridge), rtol=1e-13
    ...     )
    ...     for ridge in built.ridges
    ... ]
    >>> same, len(built)
    ([True, True], 2)
    >>> several_ridges_features(GramStatistics(2, 1).update(Phi, Y), [])
    Traceback (most recent call last):
        ...
    ValueError: ridges must name at least one ridge, got none; give one number or more, each >= 0
    """
    values = tuple(dict.fromkeys(as_ridge(ridge) for ridge in ridges))
    if not values:
        raise ValueError("ridges must name at least one ridge, got none; give one number or more, each >= 0")
    path = stats.path(values)
    directions, s = _principal(stats, _unit_rows(path), rcond)
    Phis, Ys = s[:, None] * directions, (directions @ stats.C.T) / s[:, None]
    described = [describe(Phis, Ys, ridge, theorem="T11") for ridge in values]
    refitted = [(Ys.T * (s / (s * s + ridge))) @ directions for ridge in values]
    errors = [norm(W - path[i, :, :]) / (norm(path[i, :, :]) or 1.0) for i, W in enumerate(refitted)]
    return SeveralRidges(
        Phis,
        Ys,
        values[0],
        "T11",
        amplification=max(each.amplification for each in described),
        condition=described[0].condition,
        relative_error=max(errors),
        ridges=values,
    )


def _unit_rows(path: Array) -> Array:
    """Stack the weights (L, k, p) to (L k, p), each ridge with norm 1, so that no ridge drowns another."""
    xp = namespace(path)
    sizes = [norm(path[i, :, :]) for i in range(path.shape[0])]
    if not max(sizes) > 0.0:
        raise ValueError("all weights are zero: labels and features of the data are uncorrelated; no direction to keep")
    return xp.concat([path[i, :, :] / (size or 1.0) for i, size in enumerate(sizes)], axis=0)


def _principal(stats: GramStatistics, rows: Array, rcond: float | None) -> tuple[Array, Array]:
    """Orthonormal E^T V^T (r, p) that span ``rows``, and s (r,):  V^T G V = E s^2 E^T."""
    spectrum, xp = stats.spectrum(), namespace(rows)
    # Only eigenvectors that G resolves: rounding gives W a part along the others, where H is rounding too.
    cutoff = stats.p * eps_of(rows) * float(spectrum.values[0])
    rank = int(xp.sum(xp.astype(spectrum.values > cutoff, xp.int32)))
    Q = spectrum.vectors[:, :rank]
    Vt = _basis(rows @ Q, rcond)
    _, s, Et = xp.linalg.svd(xp.sqrt(spectrum.values[:rank])[:, None] * Vt.T, full_matrices=False)
    return (Et @ Vt) @ Q.T, s


def _basis(rows: Array, rcond: float | None) -> Array:
    """Return orthonormal rows that span ``rows`` down to ``rcond``.

    Weights of near ridges have singular values that decay smoothly through the cut-off. The rank is then a matter of
    rounding, and harmless: what is dropped is below ``rcond`` of every W(ridge). So there is no RankWarning here.
    """
    xp = namespace(rows)
    _, s, Vt = xp.linalg.svd(rows, full_matrices=False)
    relative = max(rows.shape) * eps_of(rows) if rcond is None else float(rcond)
    if not 0.0 <= relative < 1.0:
        raise ValueError(f"rcond must be in [0, 1), got {relative}; it is relative to the norm of the weights")
    return Vt[: max(1, int(xp.sum(xp.astype(s > relative, xp.int32)))), :]
