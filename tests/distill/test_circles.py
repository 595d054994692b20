"""T8a, sin/cos form: two points a direction of row(W) lie on the circles and are exact."""

import itertools

import numpy as np
import pytest

from analytic_dd import certify_recovery
from analytic_dd.distill import circle_features
from analytic_dd.features import RandomFourier
from analytic_dd.labels import labels_for


def test_twice_rank_points_are_exact_through_the_map():
    for k, ridge in itertools.product([1, 2, 3, 5], [0.0, 0.3]):
        rng = np.random.default_rng(k)
        phi = RandomFourier(17, 14, lengthscale=4.0, rng=rng, form="sincos")
        W = rng.standard_normal((k, 14))
        distilled = circle_features(W, phi.radius, ridge=ridge)
        assert distilled.features.shape == (2 * k, 14)
        Phis = phi(phi.preimage(distilled.features))
        found = certify_recovery(W, Phis, labels_for(Phis, W, ridge=ridge), ridge=ridge)
        assert found.verdict == "pass"


def test_every_pair_is_on_its_circle():
    Phis = circle_features(np.random.default_rng(0).standard_normal((3, 10)), 0.4).features
    assert np.abs(np.hypot(Phis[:, :5], Phis[:, 5:]) - 0.4).max() < 4 * np.finfo(float).eps


def test_a_pair_that_the_weights_do_not_use_is_split_too():
    W = np.zeros((1, 6))
    W[0, 0] = 1.0
    Phis = circle_features(W, 1.0).features
    assert np.abs(Phis.sum(axis=0)[[1, 2, 4, 5]]).max() < 4 * np.finfo(float).eps
    assert certify_recovery(W, Phis, labels_for(Phis, W, ridge=0.0), ridge=0.0).verdict == "pass"


@pytest.mark.parametrize(("p", "radius"), [(5, 1.0), (6, 0.0)])
def test_odd_sizes_and_empty_circles_are_refused(p, radius):
    with pytest.raises(ValueError, match="even p and a radius > 0"):
        circle_features(np.ones((2, p)), radius)
