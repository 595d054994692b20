"""partial_fit and forget: the model of all samples that came and are not forgotten (T13, T23)."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits

from analytic_dd import RidgeDistiller, RidgeDistillerRegressor
from analytic_dd.judge import certify_recovery

RIDGE = 10.0


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:600] / 16.0, y[:600]


def amplification(X):
    """Errors of W from sums grow by the squared condition (T13)."""
    return 1.0 + np.linalg.norm(X, 2) ** 2 / RIDGE


MODELS = {
    "linear": {},
    "intercept": {"fit_intercept": True},
    "fcnn": {"features": "fcnn"},
    "learned": {"labels": "learned"},
    "few": {"mode": "few", "points": 5},
    "tikhonov": {"tikhonov": np.linspace(1.0, 2.0, 64)},
    "several": {"ridge": (RIDGE, 1.0)},
    "future": {"mode": "future", "dimensions": 3},
}


@pytest.mark.parametrize("options", MODELS.values(), ids=MODELS)
def test_parts_give_the_model_of_the_whole_and_forgetting_that_of_the_rest(digits, options, ratio):
    X, y = digits
    model = RidgeDistiller(**{"ridge": RIDGE, "random_state": 3} | options)
    whole = clone(model).fit(X, y)
    model.set_params(features=whole.feature_map_)  # one that is named is drawn anew at a first call
    rest, parts = clone(model).fit(X[150:], y[150:]), clone(model)
    for label in (1, 0, 7, 2, 3, 4, 5, 6, 8, 9):  # a class at a time, the classes told at the first call only
        first = {} if hasattr(parts, "classes_") else {"classes": range(10)}
        assert parts.partial_fit(X[y == label], y[y == label], **first) is parts
    assert (parts.n_features_in_, parts.classes_.tolist()) == (64, list(range(10)))
    size = {"size": len(X), "amplification": amplification(whole.feature_map_(X))}
    assert ratio(parts.coef_, whole.coef_, **size) < 30
    assert np.array_equal(parts.predict(X), whole.predict(X))
    for one in (parts.forget(X[:150], y[:150]), whole.forget(X[:150], y[:150])):  # after fit as well
        assert ratio(one.coef_, rest.coef_, **size) < 30
        assert one.certificate_.verdict == "pass"
        assert len(one.distilled_X_) == len(rest.distilled_X_)


def test_the_ridge_of_parts_is_chosen_by_gcv(digits, ratio):
    X, y = digits
    parts = RidgeDistiller().partial_fit(X[:300], y[:300], classes=range(10)).partial_fit(X[300:], y[300:])
    whole = RidgeDistiller(ridge="gcv").fit(X, y)
    assert parts.ridge_ == whole.ridge_
    assert parts.ridge_choice_.ridge == whole.ridge_choice_.ridge
    scale = {"size": len(X), "amplification": 1.0 + np.linalg.norm(X, 2) ** 2 / max(parts.ridge_, 1e-3)}
    assert ratio(parts.coef_, whole.coef_, **scale) < 30


def test_weights_count_samples_and_are_forgotten_with_them(digits, ratio):
    X, y = digits
    w = np.where(np.arange(len(X)) % 3 == 0, 2.0, 1.0)
    size = {"size": len(X), "amplification": amplification(X)}
    whole = RidgeDistiller(ridge=RIDGE, random_state=0).fit(X, y, w)
    parts = RidgeDistiller(ridge=RIDGE, random_state=0).partial_fit(X[:200], y[:200], range(10), w[:200])
    assert ratio(parts.partial_fit(X[200:], y[200:], sample_weight=w[200:]).coef_, whole.coef_, **size) < 30
    twice = X[::3], y[::3]  # weight 2 less weight 1
    ones = RidgeDistiller(ridge=RIDGE, random_state=0).fit(X, y)
    assert ratio(parts.forget(*twice).coef_, ones.coef_, **size) < 30


@pytest.mark.parametrize("columns", [1, 3])
def test_a_regression_takes_and_forgets_samples_in_the_unit_of_its_outputs(columns, ratio):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((90, 7))
    Y = 1e6 * (X @ rng.standard_normal((7, columns)) + rng.standard_normal((90, columns)))
    Y = Y[:, 0] if columns == 1 else Y
    model = RidgeDistillerRegressor(ridge=2.0, fit_intercept=True, random_state=0)
    parts = clone(model).partial_fit(X[:20], Y[:20]).partial_fit(X[20:], Y[20:])
    size = {"size": 90, "amplification": 1.0 + np.linalg.norm(X, 2) ** 2 / 2.0}
    for rows in (slice(0, None), slice(50, None)):
        if rows.start:
            parts.forget(X[:50], Y[:50])
        other = clone(model).fit(X[rows], Y[rows])
        assert ratio(parts.predict(X), other.predict(X), **size) < 30
        assert parts.distilled_y_.shape == other.distilled_y_.shape
    with pytest.raises(ValueError, match=r"y must have \d outputs as before, got an array of shape \(3, 2\)"):
        parts.partial_fit(X[:3], rng.standard_normal((3, 2)))


def test_a_set_after_forgetting_is_made_without_the_forgotten(digits, ratio):
    """The certificate is that of the stored set, against weights that a fresh fit of the rest has."""
    X, y = digits
    model = RidgeDistiller(ridge=RIDGE, random_state=0).fit(X, y).forget(X[:100], y[:100])
    rest = RidgeDistiller(ridge=RIDGE, random_state=0).fit(X[100:], y[100:])
    found = certify_recovery(rest.coef_, model.distilled_X_, model.distilled_labels_, ridge=model.distilled_ridge_)
    lost = {"size": len(X), "amplification": 1.0 + np.linalg.norm(X, 2) ** 2 / RIDGE}
    assert ratio(found.relative_error, 0.0, unit=1.0, **lost) < 30
    wrong = RidgeDistiller(ridge=RIDGE, random_state=0).fit(X, y)
    found = certify_recovery(rest.coef_, wrong.distilled_X_, wrong.distilled_labels_, ridge=wrong.distilled_ridge_)
    assert found.relative_error > 1e-3


def test_what_cannot_be_added_or_forgotten_is_refused_and_changes_nothing(digits):
    X, y = digits
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        RidgeDistiller(ridge=RIDGE).partial_fit(X, y)
    with pytest.raises(ValueError, match="sums are all that loss='squared' needs, got loss='softmax'"):
        RidgeDistiller(loss="softmax", ridge=RIDGE).partial_fit(X, y, classes=range(10))
    with pytest.raises(ValueError, match="at least two classes are needed"):
        RidgeDistiller(ridge=RIDGE).partial_fit(X[y == 3], y[y == 3], classes=[3])
    fresh = RidgeDistiller(ridge=RIDGE)
    with pytest.raises(ValueError, match=r"y has classes \[5, 6, 7, 8, 9\] that are not among classes_ = \[0, 1"):
        fresh.partial_fit(X, y, classes=range(5))
    fresh.partial_fit(X, y, classes=range(10))  # the first call is still to come
    model = RidgeDistiller(ridge=RIDGE, random_state=0).fit(X, y)
    before = model.coef_.copy()
    for refused, words in (
        (lambda: model.forget(X[:1] + 30.0, y[:1]), r"no sum of squares: its smallest eigenvalue is -\d.*, rounding"),
        (lambda: model.forget(X, y), "all 600 samples are taken away"),
        (lambda: model.forget(np.vstack([X, X]), np.tile(y, 2)), "cannot take 1200 samples .* from 600"),
        (lambda: model.forget(X[:2], np.array([3, 77])), r"y has classes \[77\]"),
        (lambda: model.partial_fit(X[:2, :5], y[:2]), "X has 5 features"),
        (lambda: model.partial_fit(X, y, classes=range(11)), "classes=.* is not the same as on last call"),
    ):
        with pytest.raises(ValueError, match=words):
            refused()
        assert np.array_equal(model.coef_, before)
    with pytest.raises(ValueError, match="references would be chosen among the samples to be forgotten"):
        RidgeDistiller(mode="nearest", ridge=RIDGE).fit(X, y).forget(X[:2], y[:2])
    with pytest.raises(ValueError, match="fit kept no sums of the samples"):
        RidgeDistiller(ridge=RIDGE).fit(X[:40], y[:40]).forget(X[:2], y[:2])


def test_given_references_serve_after_forgetting(digits):
    X, y = digits
    model = RidgeDistiller(mode="nearest", ridge=RIDGE, references=X[100:130], random_state=0).fit(X, y)
    model.forget(X[:50], y[:50])
    assert len(model.distilled_X_) == 30
    assert model.certificate_.verdict == "pass"
