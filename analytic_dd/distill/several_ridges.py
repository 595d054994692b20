"""One distilled set that is exact for a whole list of ridges (T11)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from analytic_dd.arrays import Array, as_ridge, eps_of, namespace, norm
from analytic_dd.distill.construction import Construction, register
from analytic_dd.distill.distilled import DistilledFeatures, DistilledInputs
from analytic_dd.distill.lift import OfAllRanks, scaled_about
from analytic_dd.distill.problem import Problem
from analytic_dd.distill.spanning import describe
from analytic_dd.linalg import GramStatistics, Sums, svd, thin_svd
from analytic_dd.ridge import require_scale

__all__ = ["SeveralRidges", "SeveralRidgesFeatures", "several_ridges_features"]


@dataclass(frozen=True)
class SeveralRidgesFeatures(DistilledFeatures):
    """A set that is exact for every ridge of a list.

    Attributes
    ----------
    ridges : tuple of float
        The ridges, each once; ``ridge`` is the first of them, ``amplification`` and ``relative_error`` (measured, of
        rounding size with the default ``rcond``) are the largest over all.
    weights : (L, k, p) array
        W(ridge) for each of the ridges, on the eigenvectors that G resolves: what the set reproduces.
    unresolved : float
        The largest relative distance of these from ``stats.path(ridges)``. It is rounding: an error of eps |C| in C
        along a direction that the data do not have is eps |C| / ridge in the weights (T13).
    """

    ridges: tuple[float, ...] = ()
    weights: Array = None
    unresolved: float = 0.0

    def scaled(self, c: float) -> SeveralRidgesFeatures:
        """Return features and labels times c and every ridge times c^2 (T4'); each ridge keeps its weights."""
        ridges = tuple(c * c * ridge for ridge in self.ridges)
        return replace(self, features=c * self.features, labels=c * self.labels, ridge=ridges[0], ridges=ridges)

    def diagnostics(self) -> dict[str, Any]:
        """Return everything but the arrays, as JSON values."""
        return super().diagnostics() | {"ridges": list(self.ridges), "unresolved": self.unresolved}


def several_ridges_features(
    stats: Sums | GramStatistics, ridges: Iterable[float], *, rcond: float | None = None
) -> SeveralRidgesFeatures:
    r"""Build the smallest set whose ridge regression with *each* ridge is that of all the data with that ridge.

        V (p, r) orthonormal basis of all rows of W(ridge_1), ..., W(ridge_L),   H = V^T G V = E s^2 E^T,
        Phis = s E^T V^T,     Ys = s^-1 E^T V^T C^T,
        then  Ys^T (Phis Phis^T + ridge I)^-1 Phis = C V (H + ridge I)^-1 V^T = W(ridge)   for each of them.

    Theorem: T11 (up to the rotation E^T of the points). r <= L k points, and no fewer can do.

    Parameters
    ----------
    stats : Sums or GramStatistics
        Of the original data; ``stats.centred()`` for models with an intercept.
    ridges : iterable of float
        lambda_1, ..., lambda_L >= 0, absolute; the same for the data and for the set. Repeated ones count once.
    rcond : float, optional
        Directions of size up to ``rcond`` in the weights, each W(ridge) scaled to norm 1, are left out; default
        max(L k, p) eps. Larger gives fewer points, and ``relative_error`` says what that costs.

    Returns
    -------
    SeveralRidgesFeatures
        Orthogonal points, the longest first.

    Raises
    ------
    ValueError
        No ridges, a negative one, empty statistics, or all weights zero.

    Notes
    -----
    *Cost.* One eigendecomposition of G (kept by ``stats``), one SVD of (L k, p), one of (p, r).
    *Numerics.* Coordinates are those of the eigenvectors of G; H is not formed, its root is the SVD of G^(1/2) V. The
    set reproduces ``weights`` to about eps cond_eff; these carry the error eps cond_eff^2 of a Gram matrix,
    cond_eff^2 = (s_1^2 + ridge) / (s_r^2 + ridge). Between the ridges of the list the set interpolates.

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
    given = stats.path(values)
    Q, eigenvalues = _resolved(stats)
    dual = stats.C @ Q  # the same product for weights and labels: its rounding is then no error of the set
    path = [dual / (eigenvalues + ridge) for ridge in values]
    V, s = _principal(eigenvalues, _unit_rows(path), rcond)
    Phis, Ys = s[:, None] * (V @ Q.T), (V @ dual.T) / s[:, None]
    xp, spectrum = namespace(Phis), thin_svd(Phis)
    described = [describe(Phis, Ys, ridge, theorem="T11", spectrum=spectrum) for ridge in values]
    refitted = [(Ys.T * (s / (s * s + ridge))) @ V for ridge in values]
    weights = xp.stack([W @ Q.T for W in path])
    return SeveralRidgesFeatures(
        Phis,
        Ys,
        values[0],
        "T11",
        amplification=max(each.amplification for each in described),
        condition=described[0].condition,
        relative_error=_largest_distance(refitted, path),
        ridges=values,
        weights=weights,
        unresolved=_largest_distance(*([A[i, :, :] for i in range(len(values))] for A in (weights, given))),
    )


def _resolved(stats: Sums | GramStatistics) -> tuple[Array, Array]:
    """Return eigenvectors (p, r) and eigenvalues (r,) of G above p eps of the largest; the others are rounding."""
    spectrum = stats.spectrum()
    xp, cutoff = namespace(spectrum.values), stats.p * eps_of(spectrum.values) * float(spectrum.values[0])
    rank = int(xp.sum(xp.astype(spectrum.values > cutoff, xp.int32)))
    if rank == 0:
        raise ValueError("all features are zero: nothing can be learned from them; no direction to keep")
    return spectrum.vectors[:, :rank], spectrum.values[:rank]


def _largest_distance(got: list[Array], wanted: list[Array]) -> float:
    return max(norm(A - B) / (norm(B) or 1.0) for A, B in zip(got, wanted, strict=True))


def _unit_rows(path: list[Array]) -> Array:
    """Stack the weights to (L k, r), each ridge with norm 1, so that no ridge drowns another."""
    sizes = [norm(W) for W in path]
    if not max(sizes) > 0.0:
        raise ValueError("all weights are zero: labels and features of the data are uncorrelated; no direction to keep")
    return namespace(path[0]).concat([W / (size or 1.0) for W, size in zip(path, sizes, strict=True)], axis=0)


def _principal(eigenvalues: Array, rows: Array, rcond: float | None) -> tuple[Array, Array]:
    """Orthonormal E^T V^T that span ``rows``, and s:  V^T diag(eigenvalues) V = E s^2 E^T."""
    xp, Vt = namespace(rows), _basis(rows, rcond)
    _, s, Et = svd(xp.sqrt(eigenvalues)[:, None] * Vt.T)
    return Et @ Vt, s


def _basis(rows: Array, rcond: float | None) -> Array:
    """Return orthonormal rows that span ``rows`` down to ``rcond``.

    Weights of near ridges have singular values that decay smoothly through the cut-off. The rank is then a matter of
    rounding, and harmless: what is dropped is below ``rcond`` of every W(ridge). So there is no RankWarning here.
    """
    xp = namespace(rows)
    _, s, Vt = svd(rows)
    relative = max(rows.shape) * eps_of(rows) if rcond is None else float(rcond)
    if not 0.0 <= relative < 1.0:
        raise ValueError(f"rcond must be in [0, 1), got {relative}; it is relative to the norm of the weights")
    return Vt[: max(1, int(xp.sum(xp.astype(s > relative, xp.int32)))), :]


@register
@dataclass(frozen=True)
class SeveralRidges(OfAllRanks):
    """One set that is exact for each of several ridges, of the data and of the set alike.

    Theorem: T11. It has learned labels, and as many points as it takes.

    Attributes
    ----------
    ridges : tuple of float
        Absolute, each the lambda of an original model and the lambda_s of the set.
    """

    mode = "exact"
    summary = "a set for several ridges"

    ridges: tuple[float, ...] = field(default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "ridges", tuple(as_ridge(ridge, "each of several ridges") for ridge in self.ridges))
        super().__post_init__()
        if not self.ridges:
            raise ValueError("a set for several ridges needs them, got none; give ridges=(0.1, 1, 10)")

    @property
    def model_ridge(self) -> float:
        """The first ridge: the weights of its model are those of the set."""
        return self.ridges[0]

    def features(self, problem: Problem, near: np.ndarray | None) -> SeveralRidgesFeatures:
        """Return the set of T11."""
        if problem.sums is None:
            raise ValueError("a set for several ridges needs the sums of the data, got none; pass Problem(sums=)")
        require_scale(problem.sums, problem.sums, max(self.ridges))
        return several_ridges_features(problem.sums, self.ridges)

    def reproduced(self, problem: Problem, built: DistilledFeatures) -> np.ndarray:
        """Return the weights of the first ridge."""
        assert isinstance(built, SeveralRidgesFeatures)
        return np.asarray(built.weights[0])

    def into_range(
        self, problem: Problem, built: DistilledFeatures, b: np.ndarray | None
    ) -> tuple[float, DistilledFeatures]:
        """Scale about the mean where there is an intercept: it then stays that of every ridge."""
        if problem.centre is None:
            return super().into_range(problem, built, b)
        return scaled_about(problem.centre, problem, built)

    def for_references(self, m: int, k: int) -> Construction:
        """Return the construction with references; it makes as many points as it takes."""
        return replace(self, references="given")

    def build(self, problem: Problem) -> DistilledInputs:
        """Build the set, and name what it gives for every ridge."""
        made = super().build(problem)
        built = made.distilled
        assert isinstance(built, SeveralRidgesFeatures)
        b = made.intercept
        paths = None if b is None else b + (made.weights - built.weights) @ problem.centre
        return replace(made, path=built.weights, path_intercepts=paths)

    @classmethod
    def meant_by(cls, words: Any) -> bool:
        """Whether mode exact is wanted for several ridges."""
        return bool(words["mode"] == cls.mode and words.get("ridges"))
