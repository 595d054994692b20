"""T18a, T18b: with these labels the penalised loss has its minimum at W, for any features that span its rows."""

import itertools
from functools import partial

import numpy as np
import pytest
import torch
from scipy import special
from sklearn.linear_model import LogisticRegression, PoissonRegressor

from analytic_dd import glm_labels
from analytic_dd.arrays import to_numpy
from analytic_dd.errors import InfeasibleError, RangeError, ShapeError
from analytic_dd.labels import labels_for
from analytic_dd.losses import glm_weights

K, M, P = 4, 6, 9
MEANS = {"squared": np.positive, "softmax": partial(special.softmax, axis=1)}
MEANS |= {"logistic": special.expit, "poisson": np.exp}
each_loss = pytest.mark.parametrize("name", MEANS)


def model(rng, m=M, scale=0.3):
    """W with columns that sum to 0, and m points whose rows span its rows."""
    W = scale * rng.standard_normal((K, P))
    W = W - W.mean(axis=0)
    mixed = rng.standard_normal((m, K - 1)) @ np.linalg.svd(W)[2][: K - 1]
    beside = rng.standard_normal((m, P)) if m >= K else np.zeros((m, P))
    Q = np.linalg.svd(W)[2][K - 1 :]
    beside = beside[:, : max(m - K + 1, 0)] @ Q[: max(m - K + 1, 0)]
    return W, mixed + beside


def gradient(name, Phi, Y, W, ridge, w=1.0, b=0.0):
    R = (MEANS[name](Phi @ W.T + b) - Y) * np.reshape(w, (-1, 1))
    return R.T @ Phi + ridge * W, R.sum(axis=0)


def size(name, Phi, Y, W, ridge):
    return np.linalg.norm(Phi) * (np.linalg.norm(Y) + np.linalg.norm(MEANS[name](Phi @ W.T))) + ridge * np.linalg.norm(
        W
    )


def rounding(name, Phi, Y, W, ridge):
    """What rounding leaves of the gradient at the weights."""
    return 30 * 2**-52 * len(Phi) * np.linalg.cond(Phi) * size(name, Phi, Y, W, ridge)


@each_loss
def test_gradient_at_the_weights_vanishes(library, rng, name):
    for m, ridge in itertools.product([K - 1, M], [0.0, 1e-3, 1.0, 1e3]):
        W, Phi = (library.array(A) for A in model(rng, m))
        if name == "softmax":  # as near to columns that sum to 0 as this precision has them
            W = W - W.sum(0)[None, :] / K if library.name != "strict" else W
        cond = np.linalg.cond(to_numpy(Phi).astype(np.float64))
        made = glm_labels(Phi, W, loss=name, ridge=ridge, tolerance=30 * library.eps * M * cond)  # rounding of Phi
        assert library.owns(made.labels)
        F, V, Y = (to_numpy(A).astype(np.float64) for A in (Phi, W, made.labels))
        got = np.linalg.norm(gradient(name, F, Y, V, ridge)[0])
        assert got < 30 * library.eps * M * cond * size(name, F, Y, V, ridge)


@each_loss
def test_weights_and_intercept(rng, name):
    for intercept, weighted in itertools.product([False, True], [False, True]):
        W, Phi = model(rng)
        Phi = Phi + rng.standard_normal(P) if intercept else Phi
        b = rng.standard_normal(K) if intercept else None
        w = rng.uniform(0.5, 3.0, M) if weighted else None
        Phi = Phi if not intercept else np.vstack([Phi, Phi.mean(axis=0) + rng.standard_normal((K, K)) @ W])
        w = w if not (weighted and intercept) else rng.uniform(0.5, 3.0, len(Phi))
        made = glm_labels(Phi, W, loss=name, ridge=0.3, weights=w, intercept=b)
        args = {"w": 1.0 if w is None else w, "b": 0.0 if b is None else b}
        of_weights, of_intercept = gradient(name, Phi, made.labels, W, 0.3, **args)
        total = 3 * rounding(name, Phi, made.labels, W, 0.3)  # sample weights up to 3
        assert np.linalg.norm(of_weights) < total
        if intercept:
            assert np.linalg.norm(of_intercept) < total
        if made.admissible:
            fit = glm_weights(Phi, made.labels, loss=name, ridge=0.3, intercept=intercept, sample_weight=w)
            assert np.linalg.norm(fit.weights - W) < 2 * total / 0.3  # the loss is 0.3-strongly convex


def test_squared_loss_has_the_labels_of_t4(ratio, rng):
    W, Phi = model(rng)
    made = glm_labels(Phi, W, loss="squared", ridge=0.7)
    assert ratio(made.labels, labels_for(Phi, W, ridge=0.7), size=P, amplification=np.linalg.cond(Phi)) < 30
    assert (made.largest_ridge, made.admissible, made.copies) == (np.inf, True, 1)


@pytest.mark.parametrize("name", ["softmax", "logistic", "poisson"])
def test_labels_are_data_of_the_loss_up_to_the_largest_ridge(rng, name):
    for share in [0.5, 1.0, 1.01]:
        W, Phi = model(rng)
        largest = glm_labels(Phi, W, loss=name, ridge=0.0).largest_ridge
        made = glm_labels(Phi, W, loss=name, ridge=share * largest)
        assert made.largest_ridge == largest
        assert made.admissible == (share <= 1.0)
        lost = 30 * K * 2**-52 * np.linalg.cond(Phi)
        assert (made.labels.min() > -lost) == (share <= 1.0) or name == "logistic"
        if name == "logistic":
            assert (made.labels.min() > -lost and made.labels.max() < 1 + lost) == (share <= 1.0)
        if name == "softmax":
            assert np.abs(made.labels.sum(axis=1) - 1.0).max() < lost


@pytest.mark.parametrize("name", ["softmax", "logistic", "poisson"])
def test_copies_make_any_ridge_admissible_and_one_copy_fewer_does_not(rng, name):
    W, Phi = model(rng)
    ridge = 3.7 * glm_labels(Phi, W, loss=name, ridge=0.0).largest_ridge
    made = glm_labels(Phi, W, loss=name, ridge=ridge)
    assert made.copies == 4
    many = glm_labels(Phi, W, loss=name, ridge=ridge, weights=np.full(M, 4.0))
    assert many.admissible
    copied = np.vstack([Phi] * 4), np.vstack([many.labels] * 4)
    fit = glm_weights(*copied, loss=name, ridge=ridge)
    assert np.linalg.norm(fit.weights - W) < rounding(name, *copied, W, ridge) / ridge
    assert not glm_labels(Phi, W, loss=name, ridge=ridge, weights=np.full(M, 3.0)).admissible


def test_scikit_learn_fits_the_weights_from_soft_labels(rng):
    """It takes classes, so each point comes k times, with its probabilities as weights: k - 1 points, k classes."""
    W, Phi = model(rng, K - 1)
    ridge = 0.5 * glm_labels(Phi, W, loss="softmax", ridge=0.0).largest_ridge
    made = glm_labels(Phi, W, loss="softmax", ridge=ridge)
    theirs = LogisticRegression(C=1 / ridge, fit_intercept=False, tol=1e-12, max_iter=10_000, solver="newton-cholesky")
    theirs.fit(np.repeat(Phi, K, axis=0), np.tile(np.arange(K), K - 1), sample_weight=made.labels.ravel())
    allowed = np.linalg.norm(gradient("softmax", Phi, made.labels, theirs.coef_, ridge)[0]) / ridge
    assert allowed < 0.01 * np.linalg.norm(W)  # wherever their search stops, it came near
    assert np.linalg.norm(theirs.coef_ - W) <= allowed + rounding("softmax", Phi, made.labels, W, ridge) / ridge


def test_torch_cross_entropy_with_soft_labels_has_its_minimum_there(rng):
    W, Phi = model(rng, K - 1)
    ridge = 0.5 * glm_labels(Phi, W, loss="softmax", ridge=0.0).largest_ridge
    labels = torch.tensor(glm_labels(Phi, W, loss="softmax", ridge=ridge).labels)
    inputs, layer = torch.tensor(Phi), torch.nn.Linear(P, K, bias=False, dtype=torch.float64)
    optimiser = torch.optim.LBFGS(
        layer.parameters(), max_iter=2000, tolerance_grad=1e-12, tolerance_change=0.0, line_search_fn="strong_wolfe"
    )

    def closure():
        optimiser.zero_grad()
        cross_entropy = torch.nn.functional.cross_entropy(layer(inputs), labels, reduction="sum")
        value = cross_entropy + ridge / 2 * (layer.weight**2).sum()
        value.backward()
        return value

    optimiser.step(closure)
    found = layer.weight.detach().numpy()
    allowed = np.linalg.norm(gradient("softmax", Phi, labels.numpy(), found, ridge)[0]) / ridge
    assert allowed < 0.01 * np.linalg.norm(W)  # wherever their search stops, it came near
    assert np.linalg.norm(found - W) <= allowed + rounding("softmax", Phi, labels.numpy(), W, ridge) / ridge


def test_poisson_regressor_of_scikit_learn_fits_the_weights(rng):
    W, Phi = model(rng)
    ridge = 0.5 * glm_labels(Phi, W, loss="poisson", ridge=0.0).largest_ridge
    made = glm_labels(Phi, W, loss="poisson", ridge=ridge)
    for j in range(K):
        theirs = PoissonRegressor(
            alpha=ridge / M, fit_intercept=False, tol=1e-13, max_iter=1000, solver="newton-cholesky"
        ).fit(Phi, made.labels[:, j])
        one = made.labels[:, [j]]
        allowed = np.linalg.norm(gradient("poisson", Phi, one, theirs.coef_[None, :], ridge)[0]) / ridge
        assert allowed < 0.01 * np.linalg.norm(W[j])  # wherever their search stops, it came near
        assert np.linalg.norm(theirs.coef_ - W[j]) <= allowed + rounding("poisson", Phi, one, W[[j]], ridge) / ridge


def test_fewer_points_than_the_rank_are_refused_and_miss(rng, ratio):
    """k - 1 points are necessary for a generic softmax model: with k - 2 some gradient stays, whatever the labels."""
    W, Phi = model(rng, K - 1)
    with pytest.raises(
        InfeasibleError, match=r"T18a: 0\.\d+ of \|W\| lies outside the row space of the 2 points"
    ) as error:
        glm_labels(Phi[:-1], W, loss="softmax", ridge=0.1)
    assert error.value.theorem == "T18a"
    missed = W - W @ np.linalg.pinv(Phi[:-1]) @ Phi[:-1]
    assert ratio(error.value.value, np.linalg.norm(missed) / np.linalg.norm(W), size=P, amplification=10.0) < 30
    nearest = glm_labels(Phi[:-1], W, loss="softmax", ridge=0.1, tolerance=np.inf)
    assert nearest.missing == error.value.value
    left = np.linalg.norm(gradient("softmax", Phi[:-1], nearest.labels, W - missed, 0.1)[0])
    assert left < rounding("softmax", Phi[:-1], nearest.labels, W - missed, 0.1)


def test_an_intercept_takes_one_point_more(rng):
    W, Phi = model(rng, K - 1)
    with pytest.raises(InfeasibleError, match=r"take at least 3 \+ 1 points"):
        glm_labels(Phi, W, loss="softmax", ridge=0.1, intercept=np.zeros(K))
    more = np.vstack([Phi, np.zeros(P)])
    b = rng.standard_normal(K)
    made = glm_labels(more, W, loss="softmax", ridge=0.1, intercept=b)
    of_weights, of_intercept = gradient("softmax", more, made.labels, W, 0.1, b=b)
    lost = 30 * 2**-52 * len(more) * np.linalg.cond(Phi) * size("softmax", more, made.labels, W, 0.1)
    assert np.linalg.norm(of_weights) < lost
    assert np.linalg.norm(of_intercept) < lost


def test_softmax_weights_that_no_minimiser_has_are_refused(rng):
    W, Phi = model(rng)
    with pytest.raises(InfeasibleError, match="T18b: the columns of W must sum to 0") as error:
        glm_labels(Phi, W + 0.1, loss="softmax", ridge=0.1, tolerance=np.inf)
    assert error.value.theorem == "T18b"
    glm_labels(np.vstack([Phi, np.ones(P)]), W + 0.1, loss="softmax", ridge=0.0)
    glm_labels(np.vstack([Phi, np.ones(P)]), W + 0.1, loss="logistic", ridge=0.1)


def test_bad_input_is_refused(rng):
    W, Phi = model(rng)
    with pytest.raises(ShapeError, match="the same number of columns, got 9 and 8"):
        glm_labels(Phi, W[:, :-1], loss="squared", ridge=0.1)
    with pytest.raises(ShapeError, match=r"intercept must have shape \(4,\)"):
        glm_labels(Phi, W, loss="squared", ridge=0.1, intercept=np.zeros(3))
    with pytest.raises(ValueError, match="must be > 0, got 0; drop that point"):
        glm_labels(Phi, W, loss="squared", ridge=0.1, weights=np.zeros(M))
    with pytest.raises(ValueError, match="unknown loss 'hinge'"):
        glm_labels(Phi, W, loss="hinge", ridge=0.1)


def test_labels_of_ill_conditioned_points_still_balance_the_intercept(rng):
    """A singular value of 1e-9 magnifies what rounding leaves of 1 in its vector; the labels' sums stay exact."""
    U, V = (np.linalg.qr(rng.standard_normal((side, 3)))[0] for side in (5, 4))
    Phi = (U * np.array([1.0, 1e-4, 1e-9])) @ V.T + 1.0
    W = rng.standard_normal((2, 3)) @ V.T
    b = rng.standard_normal(2)
    w = rng.uniform(0.5, 2.0, 5)
    found = glm_labels(Phi, W, loss="squared", ridge=1.0, intercept=b, weights=w, tolerance=1.0)
    E = found.labels - Phi @ W.T - b
    assert np.all(np.abs(w @ E) <= 30 * 2.0**-52 * (w @ np.abs(E)))


@pytest.mark.parametrize(("dtype", "logit"), [("float64", 710.0), ("float32", 89.0)])
def test_labels_that_are_no_numbers_are_refused(dtype, logit):
    """exp overflows: labels were infinite, with a warning of numpy."""
    Phi, W = np.array([[1.0], [0.5]], dtype=dtype), np.array([[logit]], dtype=dtype)
    with pytest.raises(
        RangeError, match=rf"labels of the poisson loss must be numbers of {dtype}, got logits of .* to {logit:g}"
    ):
        glm_labels(Phi, W, loss="poisson", ridge=0.1)
    assert np.all(np.isfinite(glm_labels(Phi, W - 2.0, loss="poisson", ridge=0.1).labels))
