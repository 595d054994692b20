"""T25: every squared-loss model on the set is that on the data: ridge, lasso, elastic net, NNLS, subsets of columns."""

import itertools

import numpy as np
import pytest
from scipy.optimize import nnls
from sklearn.linear_model import ElasticNet, Lasso, LassoCV, Ridge
from sklearn.model_selection import PredefinedSplit

from analytic_dd import GramStatistics, future_set, gradient_set, ridge_weights, sufficient_set, trajectory_set
from analytic_dd.arrays import to_numpy
from analytic_dd.errors import ShapeError

N, P, K = 200, 7, 3


def data(rng, n=N, k=K):
    X = rng.standard_normal((n, P)) + rng.standard_normal(P)
    return X, X @ rng.standard_normal((P, k)) + rng.standard_normal((n, k)) + 2.0


def objective(Phi, Y, W, w=1.0):
    return np.sum(np.reshape(w, (-1, 1)) * (Phi @ W.T - Y) ** 2)


def terms(Phi, Y, W, w=1.0):
    """The square of what is subtracted in an objective."""
    side = np.sqrt(np.reshape(w, (-1, 1)))
    return (np.linalg.norm(side * Phi) * np.linalg.norm(W) + np.linalg.norm(side * Y)) ** 2


def about_mean(X):
    return X - X.mean(axis=0)


def lasso_error(X, y, tol):
    """What a duality gap of tol |y|^2 allows of the weights: strong convexity by the least eigenvalue."""
    least = np.linalg.eigvalsh(about_mean(X).T @ about_mean(X) / len(X))[0]
    return np.sqrt(2 * tol * np.mean(about_mean(y) ** 2) / least)


def test_sums_of_products_are_kept(library, ratio, rng):
    Phi, Y = (library.array(A) for A in data(rng))
    if library.name == "jax" and library.dtype == "float32":
        with pytest.raises(TypeError, match="jax_enable_x64"):
            sufficient_set(Phi, Y)
        return
    built = sufficient_set(Phi, Y)
    assert library.owns(built.features, built.labels, built.weights)
    assert len(built) == P + K
    F, T, A, B = (to_numpy(x).astype(float) for x in (built.features, built.labels, Phi, Y))
    for got, wanted in ((F.T @ F, A.T @ A), (T.T @ F, B.T @ A), (T.T @ T, B.T @ B)):
        assert ratio(got, wanted, size=P, eps=library.eps, amplification=3) < 30


def test_objective_is_that_of_the_data_at_every_weight(ratio, rng):
    for n, intercept in itertools.product([5, 10, 11, N], [False, True]):
        Phi, Y = data(rng, n)
        w = rng.uniform(0.5, 2.0, n)
        built = sufficient_set(Phi, Y, sample_weight=w, intercept=intercept)
        joint = np.hstack([np.ones((n, int(intercept))), Phi, Y])
        assert len(built) == np.linalg.matrix_rank(joint)
        for _ in range(5):
            W, b = rng.standard_normal((K, P)), intercept * rng.standard_normal(K)
            wanted = objective(Phi, Y - b, W, w)
            got, unit = objective(built.features, built.labels - b, W, built.weights), terms(Phi, Y - b, W, w)
            assert ratio(got, wanted, size=n, unit=unit) < 30
        assert np.ptp(built.weights) == 0.0


def test_no_smaller_set_can_do(rng):
    """The joint Gram matrix of a set has at most as large a rank as the set has points."""
    Phi, Y = data(rng)
    for intercept in (False, True):
        built = sufficient_set(Phi, Y, intercept=intercept)
        joint = np.hstack([np.ones((len(built), int(intercept))), built.features, built.labels])
        assert np.linalg.svd(joint, compute_uv=False)[-1] > 1e-3
        assert joint.shape[0] == joint.shape[1]


@pytest.mark.parametrize(
    "model", [Lasso(alpha=0.3), ElasticNet(alpha=0.2, l1_ratio=0.4), Lasso(alpha=0.05, positive=True)]
)
def test_penalties_of_scikit_learn_with_an_intercept(rng, model):
    """A mean over these points is a mean over the data: the same alpha, and no weights."""
    X, Y = data(rng, k=1)
    y, built = Y[:, 0], sufficient_set(X, Y, intercept=True)
    model.set_params(tol=1e-14, max_iter=100_000)
    wanted = model.fit(X, y).coef_.copy(), model.intercept_
    got = model.fit(built.features, built.labels[:, 0]).coef_, model.intercept_
    allowed = 2 * lasso_error(X, y, 1e-14)  # of both
    assert np.linalg.norm(got[0] - wanted[0]) <= allowed
    assert 100 * allowed < np.linalg.norm(wanted[0])  # wherever their search stops, it came near
    assert abs(got[1] - wanted[1]) <= np.linalg.norm(X.mean(axis=0)) * allowed
    assert np.array_equal(got[0] == 0, wanted[0] == 0)


def test_ridge_with_an_intercept_takes_the_weights(ratio, rng):
    X, Y = data(rng)
    built = sufficient_set(X, Y, intercept=True)
    wanted, got = Ridge(alpha=3.0).fit(X, Y), Ridge(alpha=3.0).fit(built.features, built.labels, built.weights)
    lost = np.linalg.cond(about_mean(X)) ** 2
    assert ratio(got.coef_, wanted.coef_, size=N, amplification=lost) < 30
    unit = np.linalg.norm(wanted.coef_) * np.linalg.norm(X.mean(axis=0)) + np.linalg.norm(wanted.intercept_)
    assert ratio(got.intercept_, wanted.intercept_, size=N, amplification=lost, unit=unit) < 30


def test_non_negative_least_squares_and_subsets_of_columns(ratio, rng):
    X, Y = data(rng)
    built = sufficient_set(X, Y)
    for j in range(K):
        got, wanted = nnls(built.features, built.labels[:, j])[0], nnls(X, Y[:, j])[0]
        assert ratio(got, wanted, size=N, amplification=np.linalg.cond(X) ** 2) < 30
        assert np.array_equal(got == 0, wanted == 0)
    for columns in ([0, 3], [1, 2, 6], list(range(P))):
        got = ridge_weights(built.features[:, columns], built.labels, ridge=0.7)
        wanted = ridge_weights(X[:, columns], Y, ridge=0.7)
        assert ratio(got, wanted, size=N, amplification=np.linalg.cond(X) ** 2) < 30


def test_cross_validation_over_given_folds_is_exact(rng):
    X, Y = data(rng, k=1)
    y, folds = Y[:, 0], rng.integers(0, 4, N)
    built = sufficient_set(X, Y, intercept=True, folds=folds)
    assert len(built) == 4 * (P + 2)
    assert sorted(set(built.folds)) == [0, 1, 2, 3]
    options = {"alphas": [1.0, 0.3, 0.1, 0.03], "tol": 1e-13, "max_iter": 100_000}
    wanted = LassoCV(cv=PredefinedSplit(folds), **options).fit(X, y, sample_weight=np.ones(N))
    got = LassoCV(cv=PredefinedSplit(built.folds), **options)
    got.fit(built.features, built.labels[:, 0], sample_weight=built.weights)
    allowed = 2 * max(lasso_error(X[folds != f], y[folds != f], 1e-13) for f in range(4))  # of both
    largest = np.linalg.norm(X, axis=1).max() + np.linalg.norm(X.mean(axis=0))
    assert np.abs(np.sqrt(got.mse_path_) - np.sqrt(wanted.mse_path_)).max() <= largest * allowed
    assert got.alpha_ == wanted.alpha_
    assert np.linalg.norm(got.coef_ - wanted.coef_) <= allowed
    assert 100 * allowed < np.linalg.norm(wanted.coef_)  # wherever their search stops, it came near


def test_sums_give_a_set_with_the_same_objective(summing_library, ratio, rng):
    """They know Y^T Y on its diagonal: the sum over outputs is exact, with one row for what the labels have beside."""
    for intercept, k in itertools.product([False, True], [1, K]):
        Phi, Y = (to_numpy(summing_library.array(A)) for A in data(rng, k=k))
        sums = GramStatistics(P, k).update(summing_library.array(Phi), summing_library.array(Y))
        built = sufficient_set(sums, intercept=intercept)
        F, T, w = (to_numpy(A) for A in (built.features, built.labels, built.weights))
        assert len(built) == P + 1 + intercept
        for _ in range(5):
            W, b = rng.standard_normal((k, P)), intercept * rng.standard_normal(k)
            wanted = objective(Phi.astype(float), Y.astype(float) - b, W)
            assert ratio(objective(F, T - b, W, w), wanted, size=N, unit=terms(Phi, Y - b, W)) < 30


def test_ill_conditioned_columns_go_through_qr(ratio, matrix, rng):
    Phi = matrix(N, P, rng=rng, cond=1e9)
    Y = rng.standard_normal((N, K))
    built = sufficient_set(Phi, Y)
    assert built.condition > 1e8
    s = np.linalg.svd(built.features, compute_uv=False)
    assert ratio(s, np.linalg.svd(Phi, compute_uv=False), size=N) < 30
    assert ratio(s[-1], 1e-9, size=N, amplification=1e9) < 30  # a Gram matrix holds nothing below 1e-8
    well = sufficient_set(*data(rng))
    assert 1.0 <= well.condition < 1e3


def test_a_mean_that_drowns_the_deviations_goes_through_qr(ratio, rng):
    X, Y = data(rng, k=1)
    built = sufficient_set(X + 1e6, Y, intercept=True)
    wanted, got = (np.cov(A, rowvar=False, ddof=0) for A in (X + 1e6, built.features))
    assert ratio(got, wanted, size=P, amplification=1e6) < 30
    assert ratio(built.features.mean(axis=0), (X + 1e6).mean(axis=0), size=N) < 30


def test_dependent_and_empty_columns(ratio, rng):
    X, Y = data(rng)
    X = np.hstack([X, X[:, :1] + X[:, 1:2], np.zeros((N, 1))])
    for intercept in (False, True):
        built = sufficient_set(X, Y, intercept=intercept)
        assert len(built) == P + K + intercept
        assert not np.isfinite(built.condition)
        W = rng.standard_normal((K, P + 2))
        got = objective(built.features, built.labels, W, built.weights)
        assert ratio(got, objective(X, Y, W), size=N, unit=terms(X, Y, W)) < 30


def test_labels_that_the_features_explain_add_no_row(rng):
    X = rng.standard_normal((N, P))
    Y = X @ rng.standard_normal((P, K))
    assert len(sufficient_set(X, Y)) == P
    assert len(sufficient_set(GramStatistics(P, K).update(X, Y))) == P


def test_arguments_have_the_names_of_the_theory(rng):
    """Also those of T19, T20 and T23, whose data are sums first."""
    X, Y = data(rng)
    stats = GramStatistics(P, K).update(X, Y)
    assert np.array_equal(sufficient_set(Phi=X, Y=Y).features, sufficient_set(X, Y).features)
    for build, words in (
        (trajectory_set, {"steps": 2}),
        (future_set, {"subspace": X[:2].T, "ridge": 1.0}),
        (gradient_set, {"weights": stats.weights(1.0)}),
    ):
        assert np.array_equal(build(stats=stats, **words).features, build(stats.sums(), **words).features)


def test_bad_input_is_refused(rng):
    X, Y = data(rng)
    with pytest.raises(TypeError, match="labels are missing"):
        sufficient_set(X)
    with pytest.raises(TypeError, match="sums have their labels"):
        sufficient_set(GramStatistics(P, K).update(X, Y), Y)
    with pytest.raises(ShapeError, match="the same number of rows, got 200 and 199"):
        sufficient_set(X, Y[1:])
    with pytest.raises(ShapeError, match=r"folds must have shape \(200,\)"):
        sufficient_set(X, Y, folds=np.zeros(3, dtype=int))
    with pytest.raises(ValueError, match="no sample weight above 0"):
        sufficient_set(X, Y, sample_weight=np.zeros(N))
