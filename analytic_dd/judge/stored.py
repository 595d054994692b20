"""Certificates of a set for each of its models, one or one a ridge (T16, T18), and what its map makes of rounding."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from analytic_dd.judge.certificate import Certificate, certify_recovery
from analytic_dd.judge.loss_certificate import LossCertificate, certify_loss

__all__ = ["Found", "certificates_of", "map_amplification"]

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


_STEP = 2.0**-26  # sqrt(eps): large beside rounding, small beside curvature
_PROBES = 3


def map_amplification(feature_map: Callable[[np.ndarray], np.ndarray], inputs: np.ndarray, Phis: np.ndarray) -> float:
    r"""Return the relative change of features for a relative change of inputs, at the inputs of a set; at least 1.

        max over probes of  |phi(X + h X o R) - phi(X)| / (h |phi(X)|),    R uniform in [-1, 1] entry by entry

    Theorem: T15, for the map.

    Parameters
    ----------
    feature_map : callable
        (m, d) -> (m, p).
    inputs : (m, d) float64 array
    Phis : (m, p) float64 array
        ``feature_map(inputs)``.

    Notes
    -----
    It is measured where the set lies: a worst-case condition number of a deep map is pessimistic by orders of
    magnitude, and a bound that is too wide would let a planted error pass. The judge uses the map only forwards; no
    inverse of the construction is called.

    *Cost.* Three evaluations of the map on m points. *Numerics.* Deterministic: the probes are drawn with a fixed seed.

    Examples
    --------
    >>> X = np.ones((2, 3))
    >>> map_amplification(lambda X: X - 0.999, X, X - 0.999) > 100.0  # a difference of near numbers magnifies
    True
    """
    rng = np.random.Generator(np.random.PCG64(0))
    scale = float(np.linalg.norm(Phis))
    if scale == 0.0:
        return 1.0
    changes = []
    for _ in range(_PROBES):
        probe = feature_map(inputs * (1.0 + _STEP * rng.uniform(-1.0, 1.0, inputs.shape)))
        changes.append(float(np.linalg.norm(probe - Phis)) / (_STEP * scale))
    return max(1.0, *changes)
