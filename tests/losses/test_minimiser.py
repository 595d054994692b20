"""The original model of T18: the gradient vanishes, and scikit-learn finds the same minimiser at equal penalties."""

import itertools
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import special
from sklearn.linear_model import LogisticRegression, PoissonRegressor

from analytic_dd.arrays import to_numpy
from analytic_dd.errors import DivergenceError, InfeasibleError, ShapeError
from analytic_dd.losses import glm_weights, minimiser, newton, stream_glm_weights
from analytic_dd.ridge import ridge_weights, ridge_weights_with_intercept

N, P, K = 60, 5, 3
MEANS = {"squared": np.positive, "softmax": partial(special.softmax, axis=1)}
MEANS |= {"logistic": special.expit, "poisson": np.exp}
each_loss = pytest.mark.parametrize("name", MEANS)


def data(rng, name, n=N):
    X, V = rng.standard_normal((n, P)), 0.7 * rng.standard_normal((K, P))
    mu = MEANS[name](X @ V.T + 0.3)
    if name == "softmax":
        return X, np.eye(K)[[rng.choice(K, p=row) for row in mu]]
    return X, {
        "squared": lambda: mu + rng.standard_normal(mu.shape),
        "logistic": lambda: (rng.uniform(size=mu.shape) < mu).astype(float),
        "poisson": lambda: rng.poisson(mu).astype(float),
    }[name]()


def gradient(name, X, Y, fit, ridge, w=None):
    """Of the penalised loss at a fit: of W, and of the intercept."""
    b = 0.0 if fit.intercept is None else fit.intercept
    R = (MEANS[name](X @ fit.weights.T + b) - Y) * (1.0 if w is None else w[:, None])
    return R.T @ X + ridge * fit.weights, R.sum(axis=0)


def allowed(name, X, Y, W, b, ridge, w=None):
    """Distance to the minimiser by strong convexity, to first order: an intercept's gradient moves W by |x| of it."""
    fit = SimpleNamespace(weights=W, intercept=b)
    of_weights, of_intercept = gradient(name, X, Y, fit, ridge, w)
    beside = 0.0 if b is None else reach(X) * np.linalg.norm(of_intercept)
    return (np.linalg.norm(of_weights) + beside) / ridge


def reach(X):
    return 1.0 + np.linalg.norm(X, axis=1).max()


@each_loss
def test_gradient_vanishes(rng, name):
    for weighted, intercept in itertools.product([False, True], [False, True]):
        X, Y = data(rng, name)
        w = rng.uniform(0.1, 2.0, N) if weighted else None
        fit = glm_weights(X, Y, loss=name, ridge=0.5, intercept=intercept, sample_weight=w)
        of_weights, of_intercept = gradient(name, X, Y, fit, 0.5, w)
        size = np.linalg.norm(X) * (np.linalg.norm(Y) + np.linalg.norm(MEANS[name](X @ fit.weights.T)))
        assert np.linalg.norm(of_weights) < 30 * 2**-52 * size
        assert (fit.intercept is not None) == intercept
        if intercept:
            assert np.linalg.norm(of_intercept) < 30 * 2**-52 * size
        assert fit.error_bound == fit.gradient / 0.5
        assert fit.gradient < 30 * 2**-52 * size


@pytest.mark.parametrize("intercept", [False, True])
def test_squared_loss_is_ridge_regression_at_the_same_ridge(ratio, rng, intercept):
    X, Y = data(rng, "squared")
    fit = glm_weights(X, Y, loss="squared", ridge=0.7, intercept=intercept)
    if intercept:
        wanted = ridge_weights_with_intercept(X, Y, ridge=0.7)
        assert ratio(fit.intercept, wanted.intercept, size=N, amplification=10) < 30
        assert ratio(fit.weights, wanted.weights, size=N, amplification=10) < 30
    else:
        assert ratio(fit.weights, ridge_weights(X, Y, ridge=0.7), size=N, amplification=10) < 30


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
def test_logistic_regression_of_scikit_learn_at_equal_penalty(rng, intercept, weighted):
    """C = 1 / ridge. Their distance from our minimiser is what their gradient allows."""
    X, Y = data(rng, "softmax")
    w, ridge = (rng.uniform(0.1, 2.0, N) if weighted else None), 0.5
    fit = glm_weights(X, Y, loss="softmax", ridge=ridge, intercept=intercept, sample_weight=w)
    theirs = LogisticRegression(C=1 / ridge, fit_intercept=intercept, tol=1e-10, max_iter=10_000)
    theirs.fit(X, Y.argmax(axis=1), sample_weight=w)
    far = allowed("softmax", X, Y, theirs.coef_, theirs.intercept_ if intercept else None, ridge, w)
    assert np.linalg.norm(fit.weights - theirs.coef_) <= far + fit.error_bound
    assert far < 0.01 * np.linalg.norm(fit.weights)  # wherever their search stops, it came near


@pytest.mark.parametrize("intercept", [False, True])
def test_poisson_regressor_of_scikit_learn_at_equal_penalty(rng, intercept):
    """alpha = ridge / n."""
    X, Y = data(rng, "poisson")
    fit = glm_weights(X, Y, loss="poisson", ridge=0.5, intercept=intercept)
    for j in range(K):
        theirs = PoissonRegressor(
            alpha=0.5 / N, fit_intercept=intercept, tol=1e-12, max_iter=1000, solver="newton-cholesky"
        ).fit(X, Y[:, j])
        b = np.array([theirs.intercept_]) if intercept else None
        far = allowed("poisson", X, Y[:, [j]], theirs.coef_[None], b, 0.5) + fit.error_bound
        assert np.linalg.norm(fit.weights[j] - theirs.coef_) <= far
        assert 100 * far < np.linalg.norm(fit.weights)  # wherever their search stops, it came near
        if intercept:
            assert abs(fit.intercept[j] - theirs.intercept_) <= reach(X) * far


def test_binary_logistic_regression_of_scikit_learn(rng):
    X, Y = data(rng, "logistic")
    fit = glm_weights(X, Y, loss="logistic", ridge=0.5, intercept=True)
    for j in range(K):
        theirs = LogisticRegression(C=2.0, tol=1e-12, solver="newton-cholesky").fit(X, Y[:, j])
        far = allowed("logistic", X, Y[:, [j]], theirs.coef_, theirs.intercept_, 0.5) + fit.error_bound
        assert np.linalg.norm(fit.weights[j] - theirs.coef_[0]) <= far
        assert 100 * far < np.linalg.norm(fit.weights)  # wherever their search stops, it came near
        assert abs(fit.intercept[j] - theirs.intercept_[0]) <= reach(X) * far


@each_loss
def test_conjugate_gradients_and_lbfgs_find_the_same_minimiser(monkeypatch, ratio, rng, name):
    X, Y = data(rng, name)
    direct = glm_weights(X, Y, loss=name, ridge=0.5, intercept=True)
    monkeypatch.setattr(newton, "_DIRECT", 0)
    iterated = glm_weights(X, Y, loss=name, ridge=0.5, intercept=True)
    bounds = iterated.error_bound + direct.error_bound
    assert np.linalg.norm(iterated.weights - direct.weights) <= reach(X) * bounds
    monkeypatch.setattr(minimiser, "_NEWTON", 0)
    monkeypatch.setattr(minimiser, "_COLUMNS", 0)
    limited = glm_weights(X, Y, loss=name, ridge=0.5)
    without = gradient(name, X, Y, limited, 0.5)[0]
    assert np.linalg.norm(without) / 0.5 < 0.01 * np.linalg.norm(limited.weights)  # wherever its search stops
    unit = np.linalg.norm(X) * (np.linalg.norm(Y) + np.linalg.norm(MEANS[name](X @ limited.weights.T)))
    assert ratio(limited.error_bound * 0.5, np.linalg.norm(without), size=1, unit=unit) < 30


def test_a_ridge_below_rounding_ends_where_the_gradient_is_rounding(monkeypatch, rng):
    """Steps beside the samples are rounding over ridge there: long, and no reason to go on."""
    Phi, W = rng.standard_normal((3, 40)), 0.3 * rng.standard_normal((K, 40))
    Y = MEANS["softmax"](Phi @ W.T)
    for direct in (0, newton._DIRECT):
        monkeypatch.setattr(newton, "_DIRECT", direct)
        blocks = [(np.vstack([Phi, 0.0 * Phi]), np.vstack([Y, 0.0 * Y + 1.0 / K]))]
        found = stream_glm_weights(blocks, loss="softmax", ridge=1e-13)
        unit = np.linalg.norm(Phi) * np.linalg.norm(Y)
        assert found.gradient < 1e3 * np.finfo(float).eps * unit


@each_loss
def test_blocks_of_a_stream_and_weights_count_samples(rng, name):
    X, Y = data(rng, name)
    whole = glm_weights(X, Y, loss=name, ridge=0.5, intercept=True)
    blocks = [(X[:11], Y[:11]), (X[11:50], Y[11:50], np.ones(39)), (X[50:], Y[50:])]
    streamed = stream_glm_weights(blocks, loss=name, ridge=0.5, intercept=True)
    again = stream_glm_weights(lambda: iter(blocks), loss=name, ridge=0.5, intercept=True)
    twice = glm_weights(np.vstack([X, X[:7]]), np.vstack([Y, Y[:7]]), loss=name, ridge=0.5, intercept=True)
    w = np.ones(N)
    w[:7] = 2.0
    weighted = glm_weights(X, Y, loss=name, ridge=0.5, intercept=True, sample_weight=w)
    size = np.linalg.norm(whole.weights)
    for one, other in ((streamed, whole), (again, whole), (weighted, twice)):
        bounds = reach(X) * (one.error_bound + other.error_bound)
        assert np.linalg.norm(one.weights - other.weights) <= bounds
        assert np.linalg.norm(one.intercept - other.intercept) <= reach(X) * bounds
    assert np.linalg.norm(weighted.weights - whole.weights) > 1e-4 * size
    assert streamed.passes > 5


def test_every_library_gives_the_same_fit(summing_library, rng):
    for name in ["softmax", "poisson"] if summing_library.name == "jax" else MEANS:  # jax compiles for every shape
        X, Y = data(rng, name)
        wanted = glm_weights(X, Y, loss=name, ridge=0.5, intercept=True)
        got = glm_weights(summing_library.array(X), summing_library.array(Y), loss=name, ridge=0.5, intercept=True)
        assert summing_library.owns(got.weights, got.intercept)
        error = np.linalg.norm(to_numpy(got.weights) - wanted.weights) / np.linalg.norm(wanted.weights)
        assert error < 30 * N * summing_library.eps * 10


def test_minimum_norm_at_ridge_zero(ratio, rng):
    """Softmax with more features than samples span, and soft labels: W about its column means, in the row space."""
    X = rng.standard_normal((40, 2)) @ rng.standard_normal((2, P))
    V = rng.standard_normal((K, P))
    Y = special.softmax(X @ V.T, axis=1)
    wanted = (V - V.mean(axis=0)) @ np.linalg.pinv(X, rcond=1e-10) @ X
    fit = glm_weights(X, Y, loss="softmax", ridge=0.0)
    assert ratio(fit.weights, wanted, size=N, amplification=1e3) < 30
    assert fit.error_bound == np.inf


def test_separated_samples_at_ridge_zero_have_no_minimiser(rng):
    X = rng.standard_normal((N, P))
    side = X @ rng.standard_normal(P) > 0
    with pytest.raises(InfeasibleError, match="T18e: the samples are separated") as caught:
        glm_weights(X, np.eye(2)[side.astype(int)], loss="softmax", ridge=0.0)
    assert caught.value.theorem == "T18e"
    with pytest.raises(InfeasibleError, match="take ridge > 0"):
        glm_weights(X, side[:, None].astype(float), loss="logistic", ridge=0.0)
    assert np.isfinite(glm_weights(X, np.eye(2)[side.astype(int)], loss="softmax", ridge=1e-3).weights).all()


def test_samples_separated_in_a_direction_only_are_refused_too(rng):
    """Counts that are all zero on one side: the loss falls along a ray that misses no sample."""
    X = np.abs(rng.standard_normal((N, 1)))
    with pytest.raises(DivergenceError, match="may be separated in some direction"):
        glm_weights(X, np.zeros((N, 1)), loss="poisson", ridge=0.0)


def test_bad_input_is_refused(rng):
    X, Y = data(rng, "softmax")
    with pytest.raises(InfeasibleError, match="the mean label of output 2 is 0, so its intercept has no minimiser"):
        glm_weights(X[Y[:, 2] == 0], Y[Y[:, 2] == 0], loss="softmax", ridge=1.0, intercept=True)
    with pytest.raises(ShapeError, match="the same number of rows, got 60 and 59"):
        glm_weights(X, Y[1:], loss="softmax", ridge=1.0)
    with pytest.raises(TypeError, match="read more than once, got a generator"):
        stream_glm_weights(((X, Y) for _ in range(1)), loss="softmax", ridge=1.0)
    with pytest.raises(ValueError, match="there are no samples, or none has a weight above 0"):
        stream_glm_weights([(X, Y, np.zeros(N))], loss="softmax", ridge=1.0)
    with pytest.raises(ValueError, match="must sum to 1 in every row"):
        glm_weights(X, 2 * Y, loss="softmax", ridge=1.0)
