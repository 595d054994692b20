"""Where 0.1 had BaselineResult, distill; :mod:`analytic_dd.baselines.methods.driver` has it now."""

from analytic_dd.errors import moved

__getattr__ = moved(
    __name__, "analytic_dd.baselines.methods.driver", {"BaselineResult": "BaselineResult", "distill": "distill"}
)
