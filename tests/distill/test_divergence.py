"""No construction stops where LAPACK's divide and conquer does not converge; each says that a slower way was taken."""

import warnings

import numpy as np
import pytest

from analytic_dd import FitOptions, distill
from analytic_dd.distill import chosen, modes
from analytic_dd.errors import LapackWarning

WORDS = {
    "few": {"points": 2},
    "nearest": {"points_per_class": 2},
    "near-copies": {"bases": 3},
    "trajectory": {"steps": 2},
}


def made(mode, **more):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((80, 12)), np.arange(80) % 4
    X[:, :4] += 2.0 * np.eye(4)[y]
    return distill(X, y, construction=chosen(mode, **WORDS.get(mode, {}) | more), fit=FitOptions(ridge=3.0))


@pytest.mark.parametrize(("mode", "more"), [(mode, {}) for mode in modes()] + [("nearest", {"labels": "one-hot"})])
def test_every_construction_ends_by_the_slower_decomposition(monkeypatch, mode, more):
    wanted = made(mode, **more).verify()

    def fails(*_, **__):
        raise np.linalg.LinAlgError("SVD did not converge")

    monkeypatch.setattr(np.linalg, "svd", fails)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = made(mode, **more).verify()
    assert found.verdict == wanted.verdict == "pass"
    assert {warning.category for warning in caught} == {LapackWarning}
