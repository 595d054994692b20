"""Certificates of a set for each of its models: one, or one a ridge (T16)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from analytic_dd.judge.amplification import map_amplification
from analytic_dd.judge.certificate import Certificate, certify_recovery

__all__ = ["certificates_of"]


def certificates_of(
    feature_map: Callable[[np.ndarray], np.ndarray],
    inputs: np.ndarray,
    labels: np.ndarray,
    *,
    weights: np.ndarray,
    intercepts: Sequence[np.ndarray | None],
    ridges: Sequence[float],
    feature_sizes: np.ndarray | None = None,
) -> list[Certificate]:
    """Certify inputs (m, d) with labels (m, k) through a feature map, for weights (L, k, p) at L ridges.

    ``feature_sizes`` (p,) are those of the data, see :func:`certify_recovery`.
    """
    Phis = feature_map(inputs)
    amplification = map_amplification(feature_map, inputs, Phis)
    return [
        certify_recovery(
            W, Phis, labels, ridge=ridge, map_condition=amplification, intercept=b, feature_sizes=feature_sizes
        )
        for W, b, ridge in zip(weights, intercepts, ridges, strict=True)
    ]
