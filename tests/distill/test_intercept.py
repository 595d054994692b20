"""T12: one point more makes a set exact for a model with an unpenalised intercept."""

import itertools

import numpy as np
import pytest

from analytic_dd import distill_features, minimal_features
from analytic_dd.arrays import to_numpy
from analytic_dd.distill import add_intercept, largest_ridge
from analytic_dd.errors import ShapeError

K, P = 3, 7


def refit_affine(refit, Phis, Ys, ridge):
    """Contrasts of differences, which no mean enters, then the exact oracle."""
    m = len(Phis)
    H = np.linalg.qr(np.hstack([np.ones((m, 1)), np.eye(m)[:, : m - 1]]))[0][:, 1:].T
    F, Y = H @ (Phis - Phis[0]), H @ (Ys - Ys[0])
    W = refit(F, Y, ridge)
    return W, Ys.mean(0) - W @ Phis.mean(0)


def test_weights_and_intercept_are_recovered_about_any_centre(library, ratio, refit, rng):
    for ridge, kind in itertools.product([0.0, 0.2], ["one-hot", "five points", "learned"]):
        W, b = library.array(rng.standard_normal((K, P))), library.array(rng.standard_normal(K))
        mu = library.array(rng.standard_normal(P))
        if kind == "learned":
            plain = minimal_features(W, ridge=ridge)
        else:
            Ys = library.array(np.eye(K) if kind == "one-hot" else rng.standard_normal((5, K)))
            plain = distill_features(W, Ys, ridge=ridge * largest_ridge(W, Ys))
        distilled = add_intercept(plain, W, b, centre=mu)
        assert library.owns(distilled.features, distilled.labels)
        assert len(distilled) == len(plain) + 1
        assert distilled.theorem == f"T12 on {plain.theorem}"
        Phis, labels = (to_numpy(A).astype(float) for A in (distilled.features, distilled.labels))
        assert ratio(Phis.mean(0), mu, eps=library.eps, size=P, amplification=1 + np.linalg.norm(Phis)) < 30
        if kind == "five points":  # rank 3 of 5 about the mean
            F, Y = Phis - Phis.mean(0), labels - labels.mean(0)
            got = np.linalg.lstsq(
                np.vstack([F, plain.ridge**0.5 * np.eye(P)]), np.vstack([Y, np.zeros((P, K))]), rcond=1e-4
            )
            W_s = got[0].T
            b_s = labels.mean(0) - W_s @ Phis.mean(0)
        else:
            W_s, b_s = refit_affine(refit, Phis, labels, plain.ridge)
        # what is rounded is Phis with its mean, relative to the deviations from it
        stretch = 1 + np.linalg.norm(Phis) / np.linalg.norm(Phis - Phis.mean(0)) + np.linalg.norm(to_numpy(mu))
        size, amplification = len(distilled) + P**0.5, stretch * distilled.amplification
        assert ratio(W_s, W, eps=library.eps, size=size, amplification=amplification) < 30
        through_mean = 1 + np.linalg.norm(to_numpy(W)) * np.linalg.norm(to_numpy(mu)) / np.linalg.norm(to_numpy(b))
        assert ratio(b_s, b, eps=library.eps, size=size, amplification=amplification * through_mean) < 30


def test_distances_between_points_keep_their_size(ratio, rng):
    """H has orthonormal rows: the features about their mean have the singular values of those without intercept."""
    W = rng.standard_normal((K, P))
    plain = distill_features(W, np.eye(K))
    Phis = add_intercept(plain, W, np.ones(K), centre=np.arange(7.0)).features
    got, wanted = (np.linalg.svd(A, compute_uv=False)[:K] for A in (Phis - Phis.mean(0), plain.features))
    assert ratio(got, wanted, size=P, amplification=30) < 30


def test_vectors_of_other_sizes_are_refused(rng):
    W = rng.standard_normal((K, P))
    with pytest.raises(ShapeError, match=r"shapes \(3,\) and \(7,\), got \(3, 1\) and \(7,\)"):
        add_intercept(minimal_features(W), W, np.ones((K, 1)), centre=np.ones(P))
