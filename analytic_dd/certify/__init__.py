"""The judge: certificates of recovery (T16). It imports nothing of ``distill`` and none of its solvers."""

from analytic_dd.certify.maps import map_amplification
from analytic_dd.certify.recovery import RATIO_LIMIT, Certificate, certify_recovery, worst

__all__ = ["RATIO_LIMIT", "Certificate", "certify_recovery", "map_amplification", "worst"]
