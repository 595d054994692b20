"""Certificates of a set for each of its models: one, or one a ridge (T16, T18)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from analytic_dd.judge.amplification import map_amplification
from analytic_dd.judge.certificate import Certificate, certify_recovery
from analytic_dd.judge.loss_certificate import LossCertificate, certify_loss

__all__ = ["Found", "certificates_of"]

Found = Certificate | LossCertificate  # of ridge regression, or of another loss


def certificates_of(
    feature_map: Callable[[np.ndarray], np.ndarray],
    inputs: np.ndarray,
    labels: np.ndarray,
    *,
    weights: np.ndarray,
    intercepts: Sequence[np.ndarray | None],
    ridges: Sequence[float],
    feature_sizes: np.ndarray | None = None,
    loss: str = "squared",
) -> list[Found]:
    """Certify inputs (m, d) with labels (m, k) through a feature map, for weights (L, k, p) at L ridges.

    ``feature_sizes`` (p,) are those of the data, see :func:`certify_recovery`; of another loss than the squared one see
    :func:`certify_loss`.
    """
    Phis = feature_map(inputs)
    amplification = map_amplification(feature_map, inputs, Phis)
    if loss != "squared":
        return [
            certify_loss(W, Phis, labels, loss=loss, ridge=ridge, intercept=b, map_condition=amplification)
            for W, b, ridge in zip(weights, intercepts, ridges, strict=True)
        ]
    return [
        certify_recovery(
            W, Phis, labels, ridge=ridge, map_condition=amplification, intercept=b, feature_sizes=feature_sizes
        )
        for W, b, ridge in zip(weights, intercepts, ridges, strict=True)
    ]
