"""T4: rank W points with learned labels, for any ridge, at no condition number."""

import itertools

import numpy as np
import pytest

from analytic_dd import minimal_features
from analytic_dd.arrays import to_numpy

K, P = 3, 7


def test_set_is_exact_in_every_library(library, ratio, refit, rng):
    for points in [None, 5]:
        for ridge in [0.0, 0.5, 1e6]:
            W = library.array(rng.standard_normal((K, P)))
            distilled = minimal_features(W, ridge=ridge, points=points, rng=rng)
            assert library.owns(distilled.features, distilled.labels)
            assert len(distilled) == (points or K)
            if ridge == 0.0 and points:  # rank 3 of 5: no full rank for the exact oracle
                F, Y = to_numpy(distilled.features).astype(float), to_numpy(distilled.labels).astype(float)
                got = np.linalg.lstsq(F, Y, rcond=1e-4)[0].T
            else:
                got = refit(distilled.features, distilled.labels, ridge)
            # labels of rounded float32 features with 2 more points than rank: the null direction costs 1 / ridge
            amplification = max(1.0, 1.0 / ridge) if ridge and points else 1.0
            assert ratio(got, W, eps=library.eps, size=5 + P**0.5, amplification=amplification) < 30
            assert (distilled.amplification, distilled.condition, distilled.ridge_limit) == (1.0, 1.0, np.inf)


def test_error_is_a_few_eps_whatever_the_condition_of_the_weights(ratio, refit, matrix, rng):
    for cond, scale in itertools.product([1.0, 1e6, 1e12], [1e-8, 1.0, 1e8]):
        W = matrix(K, P, rng=rng, cond=cond, scale=scale)
        for ridge in (0.0, 3.0):
            distilled = minimal_features(W, ridge=ridge)
            assert ratio(refit(distilled.features, distilled.labels, ridge), W, size=K + P**0.5) < 30


@pytest.mark.parametrize("rank", [1, 2])
def test_number_of_points_is_the_rank_of_the_weights(ratio, refit, matrix, rng, rank):
    W = matrix(K, P, rng=rng, rank=rank)
    distilled = minimal_features(W, ridge=0.1)
    assert len(distilled) == rank
    assert ratio(refit(distilled.features, distilled.labels, 0.1), W, size=K + P**0.5) < 30


def test_features_are_orthonormal_up_to_their_scale(ratio, rng):
    Phis = minimal_features(rng.standard_normal((K, P)), scale=4.0, ridge=0.3).features
    assert ratio(Phis @ Phis.T, 16 * np.eye(K), size=P) < 30


def test_bad_options_are_refused(rng):
    W = rng.standard_normal((K, P))
    with pytest.raises(ValueError, match="W is zero: every set with zero labels is exact"):
        minimal_features(0 * W)
    with pytest.raises(ValueError, match=r"5 points for rank 3: the extra ones are random; pass rng="):
        minimal_features(W, points=5)
    for scale in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="scale must be finite and > 0"):
            minimal_features(W, scale=scale)
