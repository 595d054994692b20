"""RidgeDistiller as scikit-learn and its users expect it."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from analytic_dd import (
    InfeasibleError,
    RidgeDistiller,
    RidgeDistillerRegressor,
    features,
    load_distilled,
    ridge_weights,
)

VARIANTS = [
    RidgeDistiller(),
    RidgeDistiller(fit_intercept=True),
    RidgeDistiller(mode="nearest", points_per_class=2),
    RidgeDistillerRegressor(),
    RidgeDistillerRegressor(fit_intercept=True, labels="learned"),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")  # pandas is not a dependency
@pytest.mark.filterwarnings("ignore:the mean of X or the sizes of the classes matter")  # of the data of these checks
@parametrize_with_checks(VARIANTS)
def test_scikit_learn_accepts_the_estimator(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X / 16.0, y


def cond(F, penalty=0.0):
    """cond_eff^2 of a problem: that of F^T F + penalty, of its nonzero eigenvalues."""
    values = np.linalg.eigvalsh(F.T @ F + penalty * np.eye(F.shape[1]))
    return values[-1] / values[values > 1e-12 * values[-1]][0]


def centred(F):
    return F - F.mean(axis=0)


@pytest.mark.parametrize(
    ("labels", "root"),
    [("one-hot", "large"), ("one-hot", "small"), ("centred", "large"), ("centred", "small"), ("learned", "large")],
)
@pytest.mark.parametrize("distilled_ridge", [0.0, 1e-3])
def test_model_of_the_distilled_set_is_the_model(digits, ratio, labels, root, distilled_ridge):
    X, y = digits
    model = RidgeDistiller(labels=labels, root=root, distilled_ridge=distilled_ridge, random_state=0).fit(X, y)
    W = ridge_weights(model.distilled_X_, model.distilled_labels_, ridge=model.distilled_ridge_)
    assert ratio(W, model.coef_, size=10 + 64, amplification=model.certificate_.amplification) < 30
    assert model.certificate_.verdict == "pass"


def test_coefficients_are_those_of_scikit_learn(digits, ratio):
    X, y = digits
    model = RidgeDistiller(ridge=2.5).fit(X, y)
    peer = Ridge(alpha=2.5, fit_intercept=False).fit(X, np.eye(10)[y])
    assert ratio(model.coef_, peer.coef_, size=64, amplification=cond(X, 2.5)) < 30


def test_intercept_is_that_of_scikit_learn_and_survives_the_distillation(digits, ratio):
    X, y = digits
    model = RidgeDistiller(ridge=2.5, fit_intercept=True).fit(X, y)
    peer = Ridge(alpha=2.5).fit(X, np.eye(10)[y])
    unit = np.linalg.norm(peer.coef_) * np.linalg.norm(X.mean(axis=0)) + np.linalg.norm(peer.intercept_)
    assert ratio(model.coef_, peer.coef_, size=64, amplification=cond(centred(X), 2.5)) < 30
    assert ratio(model.intercept_, peer.intercept_, size=64, amplification=cond(centred(X), 2.5), unit=unit) < 30
    refit = LinearRegression().fit(model.distilled_X_, model.distilled_labels_)  # minimum norm, as ridge 0
    lost = cond(centred(model.distilled_X_))
    assert ratio(refit.coef_, model.coef_, size=64, amplification=lost) < 30
    assert ratio(refit.intercept_, model.intercept_, size=64, amplification=lost, unit=unit) < 30
    assert model.distilled_X_.shape == (11, 64)
    assert model.certificate_.verdict == "pass"


@pytest.mark.parametrize(("per_class", "points"), [(1, 10), (3, 30)])
def test_points_per_class_are_class_major(digits, per_class, points):
    X, y = digits
    model = RidgeDistiller(points_per_class=per_class, random_state=1).fit(X, y)
    assert model.distilled_X_.shape == (points, 64)
    assert model.distilled_y_.tolist() == np.repeat(np.arange(10), per_class).tolist()


def test_fewer_points_than_classes_are_refused_unless_asked_for(digits):
    X, y = digits
    with pytest.raises(InfeasibleError, match="T1: m = 4 points are fewer than rank W = 10"):
        RidgeDistiller(points=4).fit(X, y)
    few = RidgeDistiller(points=4, mode="few").fit(X, y)
    assert 0.3 < few.score(X, y) < RidgeDistiller().fit(X, y).score(X, y)


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


def test_features_of_mean_zero_have_weights_that_sum_to_zero(digits, ratio):
    """One-hot labels without an intercept: the last singular value of W is rounding, and no rank is a matter of it."""
    X, y = digits
    for rows in (slice(0, 900), slice(300, 1200), slice(0, None)):
        Z = StandardScaler().fit_transform(X[rows])
        model = RidgeDistiller(ridge=1.0).fit(Z, y[rows])
        assert model.certificate_.verdict == "pass"
        s = np.linalg.svd(model.coef_, compute_uv=False)
        assert s[8] > 1e-6 * s[0]
        assert ratio(s[9], 0.0, size=64, amplification=cond(Z[:, Z.any(axis=0)], 1.0), unit=s[0]) < 30


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


REALISTIC = {
    "nearest, k-means": ({"mode": "nearest", "points_per_class": 2, "references": "k-means", "tau": 0.5}, 20),
    "box": ({"mode": "nearest", "points_per_class": 2, "box": True}, 21),
    "one image, fcnn": ({"mode": "one-image", "features": "fcnn:activation=tanh,bias=true"}, 11),
}


@pytest.mark.parametrize("name", REALISTIC)
def test_realistic_modes_are_exact_on_near_copies_of_samples(digits, name):
    X, y = digits
    options, points = REALISTIC[name]
    model = RidgeDistiller(**options, random_state=0).fit(X, y)
    assert model.distilled_X_.shape == (points, 64)
    assert model.certificate_.verdict == "pass"
    again = clone(model).fit(X, y)
    assert np.array_equal(again.distilled_X_, model.distilled_X_)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
    if "box" in options:
        assert model.distilled_X_.min() >= 0.0
        assert model.distilled_X_.max() <= 1.0


def test_a_nearest_set_is_near_samples_of_its_classes(digits):
    X, y = digits
    model = RidgeDistiller(mode="nearest", points_per_class=6, random_state=0).fit(X, y)
    distances = np.linalg.norm(model.distilled_X_[:, None] - X[None], axis=2)
    assert distances.min(axis=1).max() < 0.05 * np.linalg.norm(X, axis=1).mean()
    assert np.mean(y[distances.argmin(axis=1)] == np.repeat(np.arange(10), 6)) == 1.0
    assert model.get_params()["labels"] is None


def test_given_references_decide_the_number_of_points(digits):
    X, y = digits
    given = X[100:117]
    model = RidgeDistiller(mode="nearest", references=given).fit(X, y)
    assert model.distilled_X_.shape == (17, 64)
    assert model.certificate_.verdict == "pass"
    assert clone(model).set_params(ridge=3.0).fit(X, y).certificate_.verdict == "pass"
    with pytest.raises(ValueError, match="17 references and 20 points wanted"):
        RidgeDistiller(mode="nearest", references=given, points_per_class=2).fit(X, y)
    with pytest.raises(ValueError, match="references must have 64 columns as X has, got 9"):
        RidgeDistiller(mode="nearest", references=given[:, :9]).fit(X, y)
    with pytest.raises(ValueError, match="'one-hot' need the classes of the references"):
        RidgeDistiller(mode="nearest", references=given, labels="one-hot").fit(X, y)


@pytest.mark.parametrize(
    "options", [{"points": 6}, {"points": 6, "labels": "one-hot", "fit_intercept": False}, {"points": 6, "tau": 0.1}]
)
def test_a_regression_has_realistic_sets_too(options):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 11))
    Y = X @ rng.standard_normal((11, 3)) + 0.1 * rng.standard_normal((200, 3))
    model = RidgeDistillerRegressor(mode="nearest", **options).fit(X, Y)
    assert model.distilled_X_.shape == (6, 11)
    assert model.certificate_.verdict == "pass"
    one = RidgeDistillerRegressor(mode="one-image").fit(X, Y)
    assert one.distilled_X_.shape == (4, 11)
    assert one.certificate_.verdict == "pass"
    assert np.abs(one.distilled_X_ - one.distilled_X_[0]).max() < 0.02 * np.ptp(one.distilled_X_[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"mode": "one-image", "points_per_class": 3},
            "points_per_class=3 is an option of mode='exact' and",
        ),
        ({"mode": "nearest", "references": "given"}, "references='given' need images, got none"),
        ({"references": "herding"}, "references='herding' are for sets near real samples"),
        ({"box": True}, "box=True is an option of mode='nearest', got mode='exact'"),
        ({"ridge": "lo"}, "ridge must be loo, gcv or a number >= 0, got 'lo'"),
        ({"ridge": []}, "ridge must be a number >= 0 or several, got an empty list"),
        ({"ridge": 1e300}, "ridge 1e\\+300 is too large"),
        ({"ridge": [1.0, 1e300]}, "ridge 1e\\+300 is too large"),
        ({"ridge": -1.0}, "ridge must be finite and >= 0, got -1.0"),
        ({"labels": "onehot"}, "did you mean one-hot"),
        ({"mode": "exat"}, "did you mean exact"),
        ({"distilled_ridge": 1e9}, "use labels='learned', or lower distilled_ridge"),
        ({"points_per_class": 0}, "points_per_class must be an integer >= 1, got 0"),
        ({"features": "identiti"}, "did you mean identity"),
    ],
)
def test_bad_options_are_refused_with_the_remedy(digits, options, message):
    with pytest.raises(ValueError, match=message):
        RidgeDistiller(**options).fit(*digits)


@pytest.mark.parametrize("ridge", [np.int64(10), np.float32(10.0), np.array(10.0), 10])
def test_a_ridge_is_any_number(digits, ridge):
    assert np.array_equal(RidgeDistiller(ridge=ridge).fit(*digits).coef_, RidgeDistiller(ridge=10.0).fit(*digits).coef_)


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_constant_samples_are_refused(fit_intercept):
    X = np.full((20, 4), 0.1 * fit_intercept)
    with pytest.raises(ValueError, match="features of all samples are"):
        RidgeDistiller(fit_intercept=fit_intercept).fit(X, np.arange(20) % 2)


def test_a_regression_of_several_outputs_is_one_point_an_output(ratio):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 11))
    Y = X @ rng.standard_normal((11, 3)) + 0.1 * rng.standard_normal((200, 3))
    model = RidgeDistillerRegressor(fit_intercept=False).fit(X, Y)
    assert model.distilled_X_.shape == (3, 11)
    assert model.coef_.shape == (3, 11)
    W = ridge_weights(model.distilled_X_, model.distilled_y_, ridge=0.0)
    assert ratio(W, model.coef_, size=3 + 11, amplification=model.certificate_.amplification) < 30
    assert model.score(X, Y) > 0.98


RIDGES = (0.1, 1.0, 10.0)


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("features", ["identity", "fcnn"])
def test_one_set_is_exact_for_several_ridges(digits, ratio, features, fit_intercept):
    """T11: refit the same points with each ridge; scikit-learn's Ridge gives the wanted weights."""
    X, y = digits
    model = RidgeDistiller(features, ridge=RIDGES, fit_intercept=fit_intercept, random_state=0).fit(X, y)
    Phi, Phis = model.feature_map_(X), model.feature_map_(model.distilled_X_)
    assert [each.verdict for each in model.certificates_] == ["pass"] * 3
    for i, ridge in enumerate(RIDGES):
        peer = Ridge(alpha=ridge, fit_intercept=fit_intercept).fit(Phi, np.eye(10)[y])
        refit = Ridge(alpha=model.distilled_ridges_[i], fit_intercept=fit_intercept, solver="svd").fit(
            Phis, model.distilled_labels_
        )
        lost = cond(centred(Phi) if fit_intercept else Phi, ridge)
        assert ratio(model.coef_path_[i], peer.coef_, size=len(peer.coef_[0]), amplification=lost) < 30
        assert ratio(refit.coef_, peer.coef_, size=len(peer.coef_[0]), amplification=lost) < 30
    assert len(Phis) <= 3 * 10 + fit_intercept


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_sample_weights_are_those_of_scikit_learn_and_survive_the_distillation(digits, ratio, fit_intercept):
    X, y = digits
    w = np.random.default_rng(0).uniform(0.0, 3.0, len(y))
    model = RidgeDistiller(ridge=2.5, fit_intercept=fit_intercept).fit(X, y, sample_weight=w)
    peer = Ridge(alpha=2.5, fit_intercept=fit_intercept).fit(X, np.eye(10)[y], sample_weight=w)
    lost = cond(np.sqrt(w)[:, None] * X, 2.5)  # about its mean it is no worse
    assert ratio(model.coef_, peer.coef_, size=64, amplification=lost) < 30
    plain = RidgeDistiller(ridge=2.5, fit_intercept=fit_intercept).fit(X, y)
    assert np.linalg.norm(plain.coef_ - peer.coef_) > 0.01 * np.linalg.norm(peer.coef_)  # weights matter
    refit = LinearRegression(fit_intercept=fit_intercept).fit(model.distilled_X_, model.distilled_labels_)
    lost = cond(centred(model.distilled_X_) if fit_intercept else model.distilled_X_)
    assert ratio(refit.coef_, model.coef_, size=64, amplification=lost) < 30


def test_tiny_ridge_takes_the_weights_through_the_triangular_factor_too(digits, ratio):
    X, y = digits
    w = np.random.default_rng(0).uniform(0.5, 3.0, len(y))
    model = RidgeDistiller(ridge=1e-9, fit_intercept=False).fit(X[:, 20:40], y, sample_weight=w)
    root = np.sqrt(w)[:, None]
    rows = np.vstack([root * X[:, 20:40], np.sqrt(1e-9) * np.eye(20)])
    labels = np.vstack([root * np.eye(10)[y], np.zeros((20, 10))])
    peer = np.linalg.lstsq(rows, labels, rcond=None)[0].T
    s, left = np.linalg.svd(rows[:, X[:, 20:40].any(axis=0)], compute_uv=False), labels - rows @ peer.T
    K = s[0] / s[-1]  # of the pixels that are not always 0
    lost = K + K**2 * np.linalg.norm(left) / (s[0] * np.linalg.norm(peer))  # Wedin: of TSQR and of the oracle
    assert ratio(model.coef_, peer, size=64, amplification=lost) < 30


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("shape", ["diagonal", "matrix"])
def test_tikhonov_penalty_is_that_of_the_normal_equations(digits, ratio, shape, fit_intercept):
    X, y = digits
    rng = np.random.default_rng(0)
    gamma = rng.uniform(0.5, 5.0, 64)
    A = rng.standard_normal((80, 64))
    gamma = gamma if shape == "diagonal" else A.T @ A / 80 + np.eye(64)
    square = np.diag(gamma) if gamma.ndim == 1 else gamma
    model = RidgeDistiller(ridge=2.5, tikhonov=gamma, fit_intercept=fit_intercept).fit(X, y)

    def solve(F, Y):
        F, Y = (F - F.mean(axis=0), Y - Y.mean(axis=0)) if fit_intercept else (F, Y)
        return np.linalg.solve(F.T @ F + 2.5 * square, F.T @ Y).T

    lost = np.linalg.cond(X.T @ X + 2.5 * square) * np.linalg.cond(square)  # about its mean it is no worse
    assert ratio(model.coef_, solve(X, np.eye(10)[y]), size=64, amplification=lost) < 30
    assert model.certificate_.verdict == "pass"
    assert model.score(X, y) > 0.9
    both = RidgeDistiller(ridge=2.5, tikhonov=gamma, labels="learned", distilled_ridge=2.5, fit_intercept=fit_intercept)
    both = both.fit(X, y)
    F = both.distilled_X_
    lost = np.linalg.cond(F.T @ F + 2.5 * square) * np.linalg.cond(square)
    assert ratio(solve(F, both.distilled_labels_), both.coef_, size=64, amplification=lost) < 30


@pytest.mark.parametrize("features", ["fcnn:depth=3", "rff", "fcnn:activation=tanh,bias=false"])
@pytest.mark.parametrize("labels", ["one-hot", "centred", "learned"])
def test_intercept_survives_nonlinear_and_bounded_maps(digits, ratio, features, labels):
    """Rows of W sum to 0: one-hot labels would leave a singular direction to the rounding of the map."""
    X, y = digits
    model = RidgeDistiller(features, labels=labels, fit_intercept=True, random_state=0).fit(X, y)
    Phis = model.feature_map_(model.distilled_X_)
    refit = LinearRegression().fit(Phis, model.distilled_labels_)
    lost = model.certificate_.amplification + cond(centred(Phis))
    unit = np.linalg.norm(model.coef_) * np.linalg.norm(Phis.mean(axis=0)) + np.linalg.norm(model.intercept_)
    assert ratio(refit.coef_, model.coef_, size=64, amplification=lost) < 30
    assert ratio(refit.intercept_, model.intercept_, size=64, amplification=lost, unit=unit) < 30
    assert model.certificate_.verdict == "pass"


def test_few_points_keep_the_intercept_that_goes_with_their_weights(digits, ratio):
    X, y = digits
    model = RidgeDistiller(points=4, mode="few", fit_intercept=True).fit(X, y)
    assert model.certificate_.verdict == "pass"
    refit = LinearRegression().fit(model.distilled_X_, model.distilled_labels_)
    assert ratio(refit.coef_, model.coef_, size=64, amplification=cond(centred(model.distilled_X_))) < 30
    mean_prediction = model.decision_function(X).mean(axis=0)
    wanted = np.bincount(y) / len(y)  # an unpenalised intercept
    size = np.linalg.norm(model.coef_) * np.linalg.norm(X.mean(axis=0)) / np.linalg.norm(wanted)
    assert ratio(mean_prediction, wanted, size=64 * np.sqrt(len(X)), amplification=1.0 + size) < 30


def test_what_cannot_be_fitted_is_named_in_one_line(digits):
    X, y = digits
    for only in (3, "cat"):
        with pytest.raises(ValueError, match=f"got one class: {only!r}; add another class"):
            RidgeDistiller().fit(X[:20], np.full(20, only))
    with pytest.raises(TypeError, match="fit_intercept must be True, False or None, got 'no'"):
        RidgeDistiller(fit_intercept="no").fit(X, y)
    with pytest.raises(TypeError, match="got 'balanced'; scikit-learn's compute_sample_weight"):
        RidgeDistiller().fit(X, y, sample_weight="balanced")
    with pytest.raises(TypeError, match="got b'balanced'; scikit-learn's compute_sample_weight"):
        RidgeDistiller().fit(X, y, sample_weight=b"balanced")
    for text in (y.astype(str), [*y[:-1].tolist(), "9"], np.array([*y[:-1], "9"], dtype=object)):
        with pytest.raises(ValueError, match=r"outputs of a regression, got text such as '[0-9]'; RidgeDistiller take"):
            RidgeDistillerRegressor().fit(X, text)
    for model in (RidgeDistiller(), RidgeDistillerRegressor()):
        with pytest.raises(ValueError, match="y must have rows of equal length, got a list of 2 that has not"):
            model.fit(X[:2], [[1.0], [1.0, 2.0]])
    for wrong in (None, features.Identity):
        with pytest.raises(TypeError, match="features must be a feature map, or text such as identity"):
            RidgeDistiller(wrong).fit(X, y)
    with pytest.raises(ValueError, match=r"got rows of 64 numbers; .* features\.Convolutional\(image_shape, channels"):
        RidgeDistiller("cnn").fit(X, y)


@pytest.mark.parametrize("intercept", [False, True])
def test_references_that_are_all_zero_are_refused_in_the_words_of_the_door(intercept):
    X, y = np.random.default_rng(0).standard_normal((60, 5)), np.arange(60) % 3
    model = RidgeDistiller(mode="nearest", ridge=1.0, fit_intercept=intercept, references=np.zeros((4, 5)))
    with pytest.raises(InfeasibleError, match=r"references must have features.* all 0.*; take others"):
        model.fit(X, y)


def test_a_regression_fits_an_intercept_unless_told_not_to(ratio):
    X, y = load_diabetes(return_X_y=True)
    model, without = (RidgeDistillerRegressor(fit_intercept=b, random_state=0).fit(X, y) for b in (None, False))
    peer = Ridge(alpha=model.ridge_).fit(X, y)
    assert ratio(model.predict(X), peer.predict(X), size=len(X), amplification=np.linalg.cond(X) ** 2) < 30
    assert model.score(X, y) > 0.45
    assert without.score(X, y) < -1.0


@pytest.mark.parametrize("where", ["the mean", "the sizes of the classes"])
def test_a_classifier_warns_where_an_intercept_decides_more_samples_rightly(where):
    rng = np.random.default_rng(0)
    age, X = rng.uniform(18.0, 80.0, (300, 1)), rng.standard_normal((300, 3))
    samples, y = (age, age[:, 0] > 45.0) if where == "the mean" else (X, rng.random(300) < 0.1)
    with pytest.warns(UserWarning, match=r"of 300 training samples .* set fit_intercept=True, or standardise X"):
        RidgeDistiller(random_state=0).fit(samples, y)
    for told in (False, True):
        RidgeDistiller(random_state=0, fit_intercept=told).fit(samples, y)


@pytest.mark.parametrize("kind", [str, bool, float])
def test_the_set_of_an_estimator_is_stored_and_verified(digits, tmp_path, kind):
    X, y = digits
    model = RidgeDistiller("rff:p=30", random_state=0).fit(X, (y > 4).astype(kind))
    model.distilled_set_.save(tmp_path / "set.npz")
    stored = load_distilled(tmp_path / "set.npz")
    assert np.array_equal(stored.inputs, model.distilled_X_)
    assert np.array_equal(stored.w, model.coef_)
    assert stored.verify().verdict == model.certificate_.verdict == "pass"
    assert stored.false_claims(stored.verify()) == []
    regression = RidgeDistillerRegressor(random_state=0).fit(X, y.astype(float)).distilled_set_
    assert regression.verify().verdict == "pass"
