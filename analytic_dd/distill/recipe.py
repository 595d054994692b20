"""Where 0.1 had Recipe; :mod:`analytic_dd.distill.construction` has it now."""

from analytic_dd.errors import moved

__getattr__ = moved(__name__, "analytic_dd.distill.construction", {"Recipe": "chosen"})
