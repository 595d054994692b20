"""Errors to plant in the package, one at a time, at functions that are named; each must be caught.

An error is what a named function does wrong as its callers see it: another argument goes in, another answer comes out,
a refusal is missing. So the function may be rewritten, or moved within its package, without a change here. Each error
names the test that is meant for it: a check of this folder (``T3/float64/ridge_positive``), or a test of the suite
(``ridge/test_weights.py::test_ridge_is_absolute``) with its arguments.
"""

from proofs_check.planted import beyond, certificate, construction, fitting, later, optima, realistic
from proofs_check.planted.error import Planted

__all__ = ["PLANTED", "Planted"]

PLANTED = (
    *fitting.ERRORS,
    *construction.ERRORS,
    *realistic.ERRORS,
    *certificate.ERRORS,
    *beyond.ERRORS,
    *later.ERRORS,
    *optima.ERRORS,
)
