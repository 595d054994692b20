"""T8e: exact sets of features B x + c, for fixed and for learned labels; and what cannot be."""

import numpy as np
import pytest

from analytic_dd import InfeasibleError, ShapeError, certify_recovery
from analytic_dd.distill import affine_direction, affine_features, affine_minimal_features
from analytic_dd.features import DeepLinear, NeuralTangent
from analytic_dd.labels import labels_for, one_hot, repeated_classes
from analytic_dd.ridge import ridge_weights

MAPS = {
    "narrow": lambda: DeepLinear([11, 9, 17], bias=True, rng=1),
    "wide input": lambda: DeepLinear([13, 7, 12], bias=True, rng=2),
    "injective": lambda: DeepLinear([6, 8, 19], bias=True, rng=3),
    "scalar NTK": lambda: NeuralTangent([5, 3, 1], bias=True, rng=0),
    "NTK of 2 outputs": lambda: NeuralTangent([5, 3, 2], bias=True, rng=0),
}
K = 3


def with_zero_row(k, points):
    """Labels [I; 0]: ``points`` one-hot rows and one row of zeros."""
    return np.vstack([one_hot(repeated_classes(k, points), k), np.zeros(k)])


def model(phi, *, ridge, seed=0):
    """Weights of ridge regression of 40 samples with one-hot labels on the features."""
    rng = np.random.default_rng(seed)
    X, Y = rng.standard_normal((40, phi.d)), one_hot(rng.permutation(repeated_classes(K, 40)), K)
    return phi.project(ridge_weights(phi(X), Y, ridge=ridge))


def certify_through(phi, W, distilled, *, labels=None):
    """The certificate of the inputs, mapped again."""
    Phis = phi(phi.preimage(distilled.features))
    Ys = distilled.labels if labels is None else labels(Phis)
    return certify_recovery(W, Phis, Ys, ridge=distilled.ridge)


@pytest.mark.parametrize("name", MAPS)
def test_k_plus_one_points_and_more_are_exact_for_fixed_labels(name):
    for points in [K, 2 * K, 11]:
        phi = MAPS[name]()
        W = model(phi, ridge=0.5)
        distilled = affine_features(W, with_zero_row(K, points), *phi.affine(), rng=np.random.default_rng(1))
        assert len(distilled) == points + 1
        found = certify_through(phi, W, distilled)
        assert found.verdict == "pass"


@pytest.mark.parametrize("name", MAPS)
def test_points_lie_on_the_plane_that_the_map_reaches(ratio, name):
    phi = MAPS[name]()
    B, c = phi.affine()
    e = affine_direction(B, c)
    lost = np.linalg.norm(e) * np.linalg.norm(c)  # 1 = e c is a sum of terms of this size
    assert ratio(B.T @ e, 0.0, size=sum(B.shape), amplification=lost, unit=np.linalg.norm(B) * np.linalg.norm(e)) < 30
    assert ratio(e @ c, 1.0, size=sum(B.shape), amplification=lost) < 30
    distilled = affine_features(model(phi, ridge=0.5), with_zero_row(K, K), B, c)
    unit = np.linalg.norm(distilled.features) * np.linalg.norm(e)
    assert (
        ratio(distilled.features @ e, np.ones(K + 1), size=sum(B.shape), amplification=distilled.condition, unit=unit)
        < 30
    )


@pytest.mark.parametrize("name", MAPS)
def test_plain_one_hot_labels_are_impossible_for_an_original_ridge(name):
    for points in [K, 2 * K, 11]:
        phi = MAPS[name]()
        with pytest.raises(InfeasibleError, match="1 must not be a combination of the columns of Ys") as caught:
            affine_features(model(phi, ridge=0.5), one_hot(repeated_classes(K, points), K), *phi.affine())
        assert caught.value.theorem == "T8e"


@pytest.mark.parametrize("name", MAPS)
def test_plain_one_hot_labels_are_exact_for_original_ridge_0(ratio, name):
    """The model then fits the constant 1, so W^T 1 = e, and k points are enough."""
    phi = MAPS[name]()
    W = model(phi, ridge=0.0)
    X = np.random.default_rng(0).standard_normal((40, phi.d))
    s = np.linalg.svd(phi(X), compute_uv=False)
    lost = s[0] / s[s > 1e-10 * s[0]][-1]  # of the samples that the model was fitted on
    assert (
        ratio(W.sum(axis=0), affine_direction(*phi.affine()), size=40, amplification=lost, unit=np.linalg.norm(W)) < 30
    )
    distilled = affine_features(W, np.eye(K), *phi.affine())
    assert certify_through(phi, W, distilled).ratio < 30
    with pytest.raises(InfeasibleError, match="e must not lie in row"):
        affine_features(W, with_zero_row(K, K), *phi.affine())


@pytest.mark.parametrize("name", MAPS)
def test_learned_labels_need_k_points_at_any_ridge(ratio, name):
    for ridge in [0.0, 2.0]:
        phi = MAPS[name]()
        W = model(phi, ridge=0.5)
        lost = np.linalg.norm(affine_direction(*phi.affine())) * np.linalg.norm(phi.affine()[1])
        distilled = affine_minimal_features(W, *phi.affine(), ridge=ridge)
        assert len(distilled) == K
        assert ratio(np.linalg.cond(distilled.features), 1.0, size=K + phi.p, amplification=lost) < 30
        found = certify_through(phi, W, distilled, labels=lambda Phis: labels_for(Phis, W, ridge=ridge))
        assert found.verdict == "pass"


@pytest.mark.parametrize("name", MAPS)
def test_learned_labels_need_one_point_more_where_the_weights_do_not_see_e(name):
    phi = MAPS[name]()
    e = affine_direction(*phi.affine())
    W = model(phi, ridge=0.5)
    W = W - np.outer(W @ e, e) / (e @ e)
    distilled = affine_minimal_features(W, *phi.affine())
    assert len(distilled) == K + 1
    found = certify_through(phi, W, distilled, labels=lambda Phis: labels_for(Phis, W, ridge=0.0))
    assert found.verdict == "pass"


def test_k_points_with_other_fixed_labels_leave_the_range():
    """The target of k points is unique (T2), and it is not on the plane."""
    phi = MAPS["narrow"]()
    W = model(phi, ridge=0.5)
    Phis = np.linalg.pinv(W).T  # the only features with labels I and ridge 0
    assert not phi.in_range(Phis)
    assert np.abs(Phis @ affine_direction(*phi.affine()) - 1.0).max() > 1e-2


def test_an_onto_map_has_no_constraint():
    phi = DeepLinear([9, 5], bias=True, rng=0)
    assert affine_direction(*phi.affine()) is None
    W = np.random.default_rng(0).standard_normal((K, 5))
    assert certify_through(phi, W, affine_features(W, np.eye(K), *phi.affine())).verdict == "pass"
    with pytest.raises(ValueError, match="c lies in range"):
        affine_minimal_features(W, *phi.affine())


def test_weights_outside_of_what_the_features_span_are_refused():
    with pytest.raises(InfeasibleError, match=r"the points leave the range by \S+: W is not in span\(B, c\)"):
        affine_minimal_features(np.random.default_rng(0).standard_normal((K, 17)), *MAPS["narrow"]().affine())


def test_sizes_that_do_not_fit_are_refused():
    B, c = MAPS["narrow"]().affine()
    with pytest.raises(ShapeError, match="do not fit"):
        affine_features(np.ones((K, 5)), np.eye(K), B, c)
