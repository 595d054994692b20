"""What a construction returns: the features, the labels, the ridge, and how well conditioned they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from analytic_dd.arrays import Array

__all__ = ["DistilledFeatures"]


@dataclass(frozen=True)
class DistilledFeatures:
    """A distilled set in feature space: ridge regression on it with ``ridge`` gives the original weights.

    Attributes
    ----------
    features : (m, p) array
        Phis.
    labels : (m, k) array
        Ys.
    ridge : float
        lambda_s, absolute.
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

    features: Array
    labels: Array
    ridge: float
    theorem: str
    amplification: float
    condition: float
    ridge_limit: float = float("inf")
    relative_error: float = 0.0

    def __len__(self) -> int:
        return int(self.features.shape[0])

    def diagnostics(self) -> dict[str, Any]:
        """Return everything but the arrays, as JSON values."""
        names = ("ridge", "theorem", "amplification", "condition", "ridge_limit", "relative_error")
        return {"points": len(self)} | {name: getattr(self, name) for name in names}
