"""The judge: certificates of recovery (T16). It imports nothing of ``distill`` and none of its solvers.

Accuracies and controls are imported from their own files, because they fit ridge regression.
"""

from analytic_dd.judge.certificate import RATIO_LIMIT, Certificate, certify_recovery, worst
from analytic_dd.judge.counts import PointBounds, lambert_count, point_bounds
from analytic_dd.judge.loss_certificate import LossCertificate, certify_loss
from analytic_dd.judge.stationarity import StationarityCertificate, stationarity_certificate
from analytic_dd.judge.stored import map_amplification

__all__ = [
    "RATIO_LIMIT",
    "Certificate",
    "LossCertificate",
    "PointBounds",
    "StationarityCertificate",
    "certify_loss",
    "certify_recovery",
    "lambert_count",
    "map_amplification",
    "point_bounds",
    "stationarity_certificate",
    "worst",
]
