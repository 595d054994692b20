"""RidgeDistiller as scikit-learn and its users expect it."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from analytic_dd import InfeasibleError, RidgeDistiller, RidgeDistillerRegressor, features, ridge_weights

VARIANTS = [
    RidgeDistiller(),
    RidgeDistiller(fit_intercept=True),
    RidgeDistiller(labels="centred"),
    RidgeDistiller(labels="learned", points_per_class=2),
    RidgeDistillerRegressor(),
    RidgeDistillerRegressor(fit_intercept=True, labels="learned"),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")  # pandas is not a dependency
@parametrize_with_checks(VARIANTS)
def test_scikit_learn_accepts_the_estimator(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X / 16.0, y


def relative(A, B):
    return np.linalg.norm(A - B) / np.linalg.norm(B)


@pytest.mark.parametrize("labels", ["one-hot", "centred", "learned"])
@pytest.mark.parametrize("root", ["large", "small"])
@pytest.mark.parametrize("distilled_ridge", [0.0, 1e-3])
def test_model_of_the_distilled_set_is_the_model(digits, labels, root, distilled_ridge):
    X, y = digits
    model = RidgeDistiller(labels=labels, root=root, distilled_ridge=distilled_ridge, random_state=0).fit(X, y)
    W = ridge_weights(model.distilled_X_, model.distilled_labels_, ridge=model.distilled_ridge_)
    assert relative(W, model.coef_) < 1e-12
    assert model.certificate_.verdict == "pass"


def test_coefficients_are_those_of_scikit_learn(digits):
    X, y = digits
    model = RidgeDistiller(ridge=2.5).fit(X, y)
    peer = Ridge(alpha=2.5, fit_intercept=False).fit(X, np.eye(10)[y])
    assert relative(model.coef_, peer.coef_) < 30 * np.finfo(float).eps * 64 * np.linalg.cond(
        X.T @ X + 2.5 * np.eye(64)
    )


def test_intercept_is_that_of_scikit_learn_and_survives_the_distillation(digits):
    X, y = digits
    model = RidgeDistiller(ridge=2.5, fit_intercept=True).fit(X, y)
    peer = Ridge(alpha=2.5).fit(X, np.eye(10)[y])
    assert relative(model.coef_, peer.coef_) < 1e-11
    assert relative(model.intercept_, peer.intercept_) < 1e-11
    refit = LinearRegression().fit(model.distilled_X_, model.distilled_labels_)  # minimum norm, as ridge 0
    assert relative(refit.coef_, model.coef_) < 1e-12
    assert relative(refit.intercept_, model.intercept_) < 1e-12
    assert model.distilled_X_.shape == (11, 64)
    assert model.certificate_.verdict == "pass"


@pytest.mark.parametrize(("per_class", "points"), [(1, 10), (3, 30)])
def test_points_per_class_are_class_major(digits, per_class, points):
    X, y = digits
    model = RidgeDistiller(points_per_class=per_class, random_state=1).fit(X, y)
    assert model.distilled_X_.shape == (points, 64)
    assert model.distilled_y_.tolist() == np.repeat(np.arange(10), per_class).tolist()


def test_more_points_than_features_are_exact(digits):
    X, y = digits
    model = RidgeDistiller(points=100, random_state=1).fit(X, y)
    assert model.distilled_X_.shape == (100, 64)
    assert model.certificate_.verdict == "pass"


def test_real_initialisation_keeps_the_recovery(digits):
    X, y = digits
    model = RidgeDistiller(points_per_class=3, init="real", random_state=1).fit(X, y)
    assert model.certificate_.relative_error < 1e-11


def test_fewer_points_than_classes_are_refused_unless_asked_for(digits):
    X, y = digits
    with pytest.raises(InfeasibleError, match="T1: m = 4 points are fewer than rank W = 10"):
        RidgeDistiller(points=4).fit(X, y)
    few = RidgeDistiller(points=4, mode="few").fit(X, y)
    assert few.distilled_X_.shape == (4, 64)
    assert few.certificate_.verdict == "pass"
    assert 0.3 < few.score(X, y) < RidgeDistiller().fit(X, y).score(X, y)


def test_centred_labels_need_one_point_less(digits):
    X, y = digits
    model = RidgeDistiller(labels="centred").fit(X, y)
    assert model.distilled_X_.shape == (9, 64)
    assert np.mean(model.predict(X) == RidgeDistiller(ridge=model.ridge_).fit(X, y).predict(X)) > 0.97


def test_same_seed_same_set_and_the_callers_random_state_is_untouched(digits):
    X, y = digits
    np.random.seed(5)  # noqa: NPY002 - the global state is what must not change
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    sets = [RidgeDistiller(points_per_class=2, random_state=3).fit(X, y).distilled_X_ for _ in range(2)]
    assert np.array_equal(*sets)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_fit_resample_returns_the_points_and_their_classes(digits):
    X, y = digits
    Xs, ys = RidgeDistiller().fit_resample(X, np.array(["digit " + str(c) for c in y]))
    assert Xs.shape == (10, 64)
    assert ys.tolist() == [f"digit {c}" for c in range(10)]


def test_works_in_a_pipeline_and_a_grid_search(digits):
    X, y = digits
    pipeline = make_pipeline(StandardScaler(), RidgeDistiller())
    search = GridSearchCV(pipeline, {"ridgedistiller__ridge": [1.0, 1e9]}, cv=3).fit(X, y)
    assert search.best_params_ == {"ridgedistiller__ridge": 1.0}
    assert search.best_estimator_[-1].certificate_.verdict == "pass"


def test_a_fitted_estimator_survives_pickle_and_clone(digits):
    X, y = digits
    model = RidgeDistiller(features="fcnn", random_state=0).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict(X), model.predict(X))
    assert clone(model).get_params() == model.get_params()


def test_a_map_may_be_given_and_must_fit(digits):
    X, y = digits
    model = RidgeDistiller(features=features.Identity(64)).fit(X, y)
    assert model.feature_map_ == features.Identity(64)
    with pytest.raises(ValueError, match="features map inputs of size 3, got samples of size 64"):
        RidgeDistiller(features=features.Identity(3)).fit(X, y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ridge": "lo"}, "ridge must be 'loo' or a number"),
        ({"ridge": -1.0}, "ridge must be finite and >= 0, got -1.0"),
        ({"labels": "onehot"}, "did you mean one-hot"),
        ({"mode": "exat"}, "did you mean exact"),
        ({"distilled_ridge": 1e9}, "multiply the labels by at least"),
        ({"points_per_class": 0}, "points_per_class must be an integer >= 1, got 0"),
        ({"features": "identiti"}, "did you mean identity"),
    ],
)
def test_bad_options_are_refused_with_the_remedy(digits, options, message):
    with pytest.raises(ValueError, match=message):
        RidgeDistiller(**options).fit(*digits)


def test_a_regression_of_several_outputs_is_one_point_an_output():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 11))
    Y = X @ rng.standard_normal((11, 3)) + 0.1 * rng.standard_normal((200, 3))
    model = RidgeDistillerRegressor().fit(X, Y)
    assert model.distilled_X_.shape == (3, 11)
    assert model.coef_.shape == (3, 11)
    assert relative(ridge_weights(model.distilled_X_, model.distilled_y_, ridge=0.0), model.coef_) < 1e-12
    assert model.score(X, Y) > 0.98
