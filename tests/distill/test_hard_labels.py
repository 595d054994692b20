"""T18d: points for given one-hot labels whose softmax regression is W."""

import numpy as np
import pytest
from scipy import special
from sklearn.linear_model import LogisticRegression

from analytic_dd import hard_label_features
from analytic_dd.arrays import to_numpy
from analytic_dd.errors import InfeasibleError, ShapeError

K, P = 4, 7


def centred(rng, scale=0.3):
    W = scale * rng.standard_normal((K, P))
    return W - W.mean(axis=0)


def gradient(Phi, Y, W, ridge):
    return (special.softmax(Phi @ W.T, axis=1) - Y).T @ Phi + ridge * W


LABELS = {"one of each": np.eye(K), "k - 1 classes": np.eye(K)[:-1], "unequal": np.eye(K)[[0, 1, 1, 2, 3, 3]]}


@pytest.mark.parametrize("labels", LABELS)
def test_gradient_at_the_weights_vanishes(rng, labels):
    for ridge in [1e-3, 0.1, 3.0]:
        W, Y = centred(rng), LABELS[labels]
        built = hard_label_features(W, Y, ridge=ridge)
        assert built.features.shape == (built.copies * len(Y), P)
        assert np.array_equal(built.labels, np.vstack([Y] * built.copies))
        size = ridge * np.linalg.norm(W) + np.linalg.norm(built.features) * np.linalg.norm(built.labels)
        got = np.linalg.norm(gradient(built.features, built.labels, W, ridge))
        lost = 30 * 2**-52 * len(built) * size / (1 - built.contraction) * np.linalg.cond(W[:-1])
        assert got < lost
        assert built.residual < lost / (ridge * np.linalg.norm(W))
        assert built.contraction < 1.0


def test_every_library(library, rng):
    W = centred(rng)
    built = hard_label_features(library.array(W), library.array(np.eye(K)), ridge=0.3)
    assert library.owns(built.features, built.labels)
    F, Y = to_numpy(built.features).astype(float), to_numpy(built.labels).astype(float)
    allowed = 1e3 * library.eps * (np.linalg.norm(F) * np.linalg.norm(Y) + 0.3 * np.linalg.norm(W))
    assert np.linalg.norm(gradient(F, Y, W, 0.3)) < allowed


def test_one_copy_is_enough_where_the_bound_says_so(rng):
    """T18d for k one-hot points: ridge |W W^T| < 1/2."""
    W = centred(rng)
    limit = 0.5 / np.linalg.norm(W @ W.T)
    assert hard_label_features(W, np.eye(K), ridge=0.999 * limit).copies == 1
    assert hard_label_features(W, np.eye(K), ridge=1.001 * limit).copies == 2
    assert hard_label_features(W, np.eye(K), ridge=7.5 * limit).copies == 8


def test_scikit_learn_fits_the_weights_from_the_classes(rng):
    W, ridge = centred(rng), 0.2
    built = hard_label_features(W, LABELS["unequal"], ridge=ridge)
    theirs = LogisticRegression(C=1 / ridge, fit_intercept=False, tol=1e-12, max_iter=10_000, solver="newton-cholesky")
    theirs.fit(built.features, built.labels.argmax(axis=1))
    allowed = np.linalg.norm(gradient(built.features, built.labels, theirs.coef_, ridge)) / ridge
    assert allowed < 0.01 * np.linalg.norm(W)  # wherever their search stops, it came near
    rounding = 30 * 2.0**-52 * len(built) * np.linalg.norm(built.features) * np.linalg.norm(built.labels) / ridge
    assert np.linalg.norm(theirs.coef_ - W) <= allowed + rounding


def test_weights_of_lower_rank(rng):
    u = rng.standard_normal(K)
    W = np.outer(u - u.mean(), rng.standard_normal(P))
    built = hard_label_features(W, np.eye(K), ridge=0.05)
    size = 0.05 * np.linalg.norm(W) + np.linalg.norm(built.features) * np.linalg.norm(built.labels)
    assert np.linalg.norm(gradient(built.features, built.labels, W, 0.05)) < 30 * 2**-52 * len(built) * size
    assert np.linalg.matrix_rank(built.features) == 1


def test_what_does_not_exist_is_refused(rng):
    W = centred(rng)
    with pytest.raises(InfeasibleError, match="T18d: hard labels must have rank k - 1 = 3 about 1/k, got 2") as error:
        hard_label_features(W, np.eye(K)[[0, 1, 1, 0]], ridge=0.1)
    with pytest.raises(MemoryError, match=r"copies of .* points take .*; take a smaller ridge"):
        hard_label_features(W, np.eye(K), ridge=1e15)
    assert (error.value.theorem, error.value.value, error.value.limit) == ("T18d", 2.0, 3.0)
    with pytest.raises(InfeasibleError, match="T18e: hard labels at ridge = 0 have no minimiser"):
        hard_label_features(W, np.eye(K), ridge=0.0)
    with pytest.raises(InfeasibleError, match="T18b: the columns of W must sum to 0"):
        hard_label_features(W + 1.0, np.eye(K), ridge=0.1)
    with pytest.raises(ValueError, match="must sum to 1 in every row"):
        hard_label_features(W, 2 * np.eye(K), ridge=0.1)
    with pytest.raises(ValueError, match="W is zero"):
        hard_label_features(0 * W, np.eye(K), ridge=0.1)
    with pytest.raises(ShapeError, match="as many columns as W has rows, got 3 and 4"):
        hard_label_features(W, np.eye(3), ridge=0.1)
    with pytest.raises(ShapeError, match="at least two classes, got k = 1"):
        hard_label_features(W[:1], np.ones((2, 1)), ridge=0.1)
