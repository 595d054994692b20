"""Where 0.1 had Task; :mod:`analytic_dd.baselines.methods.task` has it now."""

from analytic_dd.errors import moved

__getattr__ = moved(__name__, "analytic_dd.baselines.methods.task", {"Task": "Task"})
