"""What a construction returns, in feature space and in input space."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from analytic_dd.arrays import Array
from analytic_dd.distill.integers import Integers
from analytic_dd.distill.problem import References

__all__ = ["DistilledFeatures", "DistilledInputs", "FeatureSet"]


@dataclass(frozen=True)
class FeatureSet:
    """Points in feature space with labels: what every construction makes, beside what is its own."""

    features: Array = field(repr=False)  # (m, p): Phis
    labels: Array = field(repr=False)  # (m, k): Ys
    ridge: float  # lambda_s, absolute: the penalty that the set is meant for; 0 where any enters both sides alike

    def __len__(self) -> int:
        return int(self.features.shape[0])


@dataclass(frozen=True)
class DistilledFeatures(FeatureSet):
    """A distilled set in feature space: ridge regression on it with ``ridge`` gives the original weights.

    Attributes
    ----------
    theorem : str
        The theorem that makes it exact.
    amplification : float
        T15, to first order: |dW| / |W| <= amplification * e for a change of the features by |dPhis| = e |Phis| that
        keeps their rank, or of the labels by |dYs| = e |Ys| (changes in the Frobenius norm, the rest in the spectral
        norm); 1 is ideal.
    condition : float
        Ratio of the extreme singular values of the target D (of Phis where the labels are learned).
    ridge_limit : float
        The largest lambda_s that the construction admits for these labels; infinite where labels are learned.
    relative_error : float
        What the *theorem* leaves: 0 for an exact set, the optimum for a set of too few points (T7).
    """

    theorem: str
    amplification: float
    condition: float
    ridge_limit: float = float("inf")
    relative_error: float = 0.0

    def scaled(self, c: float) -> DistilledFeatures:
        """Return features and labels times c and the ridge times c^2: the same model (T4')."""
        return replace(self, features=c * self.features, labels=c * self.labels, ridge=c * c * self.ridge)

    def in_outputs(self, units: Array) -> DistilledFeatures:
        """Return the set of outputs times ``units`` (k,), powers of two."""
        return replace(self, labels=self.labels * units)

    def diagnostics(self) -> dict[str, Any]:
        """Return everything but the arrays, as JSON values."""
        names = ("ridge", "theorem", "amplification", "condition", "ridge_limit", "relative_error")
        return {"points": len(self), "p": int(self.features.shape[1])} | {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class DistilledInputs:
    """A distilled set in input space.

    Attributes
    ----------
    inputs : (m, d) array
        The feature map's inputs: the exact set.
    distilled : DistilledFeatures
        Its features, labels, ridge and diagnostics, after scaling into the range of the map.
    scale : float
        c: features and labels were multiplied by it and the ridge by c^2 to fit the range (T4'); 1 for a linear range.
    polished : bool
        Whether learned labels were recomputed on the features of the inputs as they are (T4).
    seconds : dict
        Time of ``construction`` and ``preimage``.
    weights : (k, p) array
        What ridge regression on the set gives: W itself, of a set of too few points the nearest that is left (T7).
    intercept : (k,) array or None
        The intercept that goes with them.
    path : (L, k, p) array or None
        What the set gives for each of several ridges (T11); ``weights`` is the first.
    path_intercepts : (L, k) array or None
    references : References or None
        The real samples that the points are near copies of: one for each point, in their order, or one for all.
    init_used : bool
        Whether real samples took part in a set that is not made of near copies: nothing may be left free.
    row_scale : (float, float)
        Smallest and largest factor of a row of features alone, whose labels were learned afterwards.
    integers : Integers or None
        The pixels as integers with their code, where the set is of such (T24).
    """

    inputs: Array = field(repr=False)
    distilled: DistilledFeatures
    scale: float
    polished: bool
    seconds: dict[str, float]
    weights: Array = field(repr=False)
    intercept: Array | None = field(default=None, repr=False)
    path: Array | None = field(default=None, repr=False)
    path_intercepts: Array | None = field(default=None, repr=False)
    references: References | None = None
    init_used: bool = False
    row_scale: tuple[float, float] = (1.0, 1.0)
    integers: Integers | None = None
