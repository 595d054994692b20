"""The unit of an output changes nothing but the numbers that have it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytic_dd import RangeError, RidgeDistillerRegressor
from analytic_dd.model.units import units_of

N, D, K = 40, 5, 3


def problem(seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((N, D))
    return X, X @ rng.standard_normal((D, K)) + 0.3 * rng.standard_normal((N, K)) + rng.standard_normal(K)


CONSTRUCTIONS = {
    "fixed labels": {},
    "fixed labels, two a target": {"points_per_class": 2},
    "fixed labels at a ridge": {"distilled_ridge": 1e-3},
    "learned labels": {"labels": "learned"},
    "few": {"mode": "few", "points": 2},
    "nearest": {"mode": "nearest", "points": 4},
    "one image": {"mode": "one-image"},
    "several ridges": {"ridge": (0.1, 1.0), "labels": "learned"},
}


@pytest.mark.parametrize("name", CONSTRUCTIONS)
def test_a_power_of_two_in_any_output_changes_no_bit(name):
    """Outputs of units 2^(-400) to 2^400 side by side: the same points, labels and weights in these units."""
    for intercept in [False, True]:
        X, Y = problem(1)
        powers = np.ldexp(1.0, np.array([-400, 3, 400]))
        options = {"ridge": "loo", "fit_intercept": intercept, "random_state": 0} | CONSTRUCTIONS[name]
        one, other = (RidgeDistillerRegressor(**options).fit(X, Y * units) for units in (np.ones(K), powers))
        assert one.certificate_.verdict == other.certificate_.verdict
        assert np.array_equal(one.distilled_X_, other.distilled_X_)
        assert np.array_equal(one.distilled_y_ * powers, other.distilled_y_)
        assert np.array_equal(one.coef_ * powers[:, None], other.coef_)
        assert np.array_equal(one.intercept_ * powers, other.intercept_ * np.ones(K))
        assert (one.ridge_, one.distilled_ridge_) == (other.ridge_, other.distilled_ridge_)


@pytest.mark.parametrize("intercept", [False, True])
def test_sets_are_exact_in_any_unit(intercept):
    for power in [-280, -160, -12, 10, 16, 160, 280]:
        X, Y = problem(2)
        model = RidgeDistillerRegressor(ridge=1.0, fit_intercept=intercept, random_state=0).fit(X, Y * 10.0**power)
        assert model.certificate_.verdict == "pass"
        assert model.certificate_.ratio < 30
        assert model.certificate_.output_error <= model.certificate_.bound


def test_no_output_is_lost_beside_another(ratio):
    X, Y = problem(3)
    units = np.array([1e16, 1.0, 1e-12])
    model = RidgeDistillerRegressor(ridge=1.0, fit_intercept=True, random_state=0).fit(X, Y * units)
    assert model.certificate_.verdict == "pass"
    assert model.certificate_.output_error <= model.certificate_.bound
    plain = RidgeDistillerRegressor(ridge=1.0, fit_intercept=True, random_state=0).fit(X, Y)
    condition = np.linalg.cond(X - X.mean(axis=0)) ** 2  # of the normal equations
    for got, unit, wanted in zip(model.coef_, units, plain.coef_, strict=True):
        assert ratio(got / unit, wanted, size=len(X), amplification=condition) < 30


@given(st.lists(st.floats(-1e300, 1e300), min_size=2, max_size=6), st.integers(-100, 100))
def test_units_are_powers_of_two_that_scale_with_the_output(values, power):
    Y = np.array(values)[:, None]
    if np.ptp(Y / 2) < 1e-200 or np.ptp(Y / 2) > 1e250:
        return
    (unit,) = units_of(Y)
    assert np.frexp(unit)[0] == 0.5
    assert units_of(np.ldexp(Y, power)) == np.ldexp(unit, power)
    assert 0.5 <= np.ptp(Y / 2) / unit <= 1.0


@pytest.mark.parametrize("size", [1e-300, 5e-324, 1.5e308])
def test_outputs_that_are_no_numbers_of_full_precision_are_refused(size):
    X, Y = problem(4)
    with pytest.raises(RangeError, match="give them in another unit"):
        RidgeDistillerRegressor(ridge=1.0).fit(X, (Y > 0.0) * size)
