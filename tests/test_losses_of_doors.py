"""T18 through the front doors: models of softmax, logistic and Poisson loss are distilled, stored and found again."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import optimize, special
from sklearn.linear_model import LogisticRegression

from analytic_dd import FitOptions, RidgeDistiller, RidgeDistillerRegressor, cli, data, distill, load_distilled
from analytic_dd.distill import Exact, Minimal, Nearest
from analytic_dd.errors import DataError, InfeasibleError
from analytic_dd.losses import glm_weights
from analytic_dd.model import loss_fit

N, D, K = 90, 6, 4
MEANS = {"softmax": lambda Z: special.softmax(Z, axis=1), "logistic": special.expit, "poisson": np.exp}
each_loss = pytest.mark.parametrize("loss", MEANS)


@pytest.fixture
def samples(rng):
    """Inputs, and classes whose probabilities follow a softmax model."""
    X, V = rng.standard_normal((N, D)), rng.standard_normal((K, D))
    return X, np.array([rng.choice(K, p=row) for row in MEANS["softmax"](X @ V.T)])


def near(theirs, W, X, Y, ridge):
    """Whether weights that others found by softmax on a set are as near to W as their own gradient and rounding allow.

    The loss is strongly convex: whatever has the gradient g is |g| / ridge from the minimiser at most.
    """
    mu = MEANS["softmax"](X @ theirs.T)
    allowed = np.linalg.norm((mu - Y).T @ X + ridge * theirs) / ridge
    size = np.linalg.norm(X) * (np.linalg.norm(Y) + np.linalg.norm(mu)) + ridge * np.linalg.norm(W)
    rounding = 30 * 2.0**-52 * len(X) * np.linalg.cond(X) * size / ridge
    return allowed < 0.01 * np.linalg.norm(W) and np.linalg.norm(theirs - W) <= allowed + rounding


def outputs_of(rng, X, loss):
    mu = MEANS[loss](0.5 * X @ rng.standard_normal((K, D)).T + 0.2)
    return {"softmax": lambda: mu, "logistic": lambda: mu, "poisson": lambda: rng.poisson(mu).astype(float)}[loss]()


@each_loss
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("construction", [Minimal(), Minimal(distilled_ridge=0.01), Nearest(points=9)], ids=str)
def test_the_set_has_the_model_of_all_samples(rng, ratio, loss, intercept, construction):
    X = rng.standard_normal((N, D))
    Y = outputs_of(rng, X, loss)
    made = distill(X, Y, construction=construction, fit=FitOptions(loss=loss, ridge=2.0, intercept=intercept))
    wanted = glm_weights(X, Y, loss=loss, ridge=2.0, intercept=intercept)
    of_set = glm_weights(made.inputs, made.y, loss=loss, ridge=made.ridge, intercept=intercept, any_labels=True)
    assert (made.loss, made.verify().verdict) == (loss, "pass")
    assert ratio(made.w, wanted.weights, size=N, amplification=(np.linalg.norm(X, 2) ** 2 + 2.0) / 2.0) < 30
    found = made.verify()
    assert np.linalg.norm(of_set.weights - made.w) <= 2 * (found.bound + found.relative_error) * np.linalg.norm(made.w)


def test_classes_of_softmax_take_one_point_less_than_classes(samples):
    X, y = samples
    fit = FitOptions(loss="softmax", ridge=1.0)
    assert len(distill(X, y, construction=Minimal(points=K - 1), fit=fit).inputs) == K - 1
    with pytest.raises(InfeasibleError, match="2 points are fewer than rank W = 3"):
        distill(X, y, construction=Minimal(points=K - 2), fit=fit)
    assert len(distill(X, y, construction=Minimal(points=K - 1), fit=replace(fit, intercept=True)).inputs) == K


def test_one_hot_labels_of_softmax(samples):
    X, y = samples
    made = distill(X, y, construction=Exact(distilled_ridge=0.05), fit=FitOptions(loss="softmax", ridge=1.0))
    assert made.meta["theorem"] == "T18d"
    assert len(made.inputs) % K == 0
    assert set(np.unique(made.y)) == {0.0, 1.0}
    theirs = LogisticRegression(C=1 / 0.05, fit_intercept=False, tol=1e-12, solver="newton-cholesky", max_iter=1000)
    theirs.fit(made.inputs, made.y.argmax(axis=1))
    assert near(theirs.coef_, made.w, made.inputs, made.y, 0.05)


@pytest.fixture
def stored(samples, tmp_path):
    """A stored softmax set, at the half of the largest ridge at which its labels are probabilities."""
    X, y = samples
    fit = FitOptions(loss="softmax", ridge=1.0)
    largest = distill(X, y, fit=fit).meta["diagnostics"]["ridge_limit"]
    distill(X, y, construction=Minimal(distilled_ridge=largest / 2), fit=fit).save(tmp_path / "set.npz")
    return load_distilled(tmp_path / "set.npz")


def test_scipy_finds_the_weights_by_cross_entropy_on_the_stored_set(stored):
    X, Y = stored.to_numpy()

    def value_and_gradient(w):
        Z = X @ w.reshape(K, D).T
        pulled = (MEANS["softmax"](Z) - Y).T @ X + stored.ridge * w.reshape(K, D)
        value = np.sum(special.logsumexp(Z, axis=1)) - np.sum(Y * Z) + stored.ridge / 2 * w @ w
        return value, pulled.ravel()

    start = np.zeros(K * D)
    rough = optimize.minimize(value_and_gradient, start, jac=True, method="BFGS", options={"gtol": 1e-12}).x
    exact = optimize.root(lambda w: value_and_gradient(w)[1], rough, tol=1e-14).x
    assert near(exact.reshape(K, D), stored.w, X, Y, stored.ridge)


def test_torch_finds_the_weights_by_cross_entropy_on_the_stored_set(stored):
    X, Y = stored.to_torch()
    layer = torch.nn.Linear(D, K, bias=False, dtype=torch.float64)
    torch.nn.init.zeros_(layer.weight)
    steps = {"max_iter": 1000, "tolerance_grad": 1e-14, "tolerance_change": 0.0}

    def closure():
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(layer(X), Y, reduction="sum")
        loss = loss + stored.ridge / 2 * layer.weight.square().sum()
        loss.backward()
        return loss

    for search in ("strong_wolfe", None):  # values tell points apart to sqrt(eps) only, then gradients alone go on
        optimiser = torch.optim.LBFGS(layer.parameters(), **steps, line_search_fn=search)
        optimiser.step(closure)
    assert near(layer.weight.detach().numpy(), stored.w, X.numpy(), Y.numpy(), stored.ridge)


def test_scikit_learn_takes_soft_labels_as_weights_of_classes(stored):
    X, Y = stored.to_numpy()
    theirs = LogisticRegression(C=1 / stored.ridge, fit_intercept=False, tol=1e-13, solver="newton-cg", max_iter=10_000)
    theirs.fit(np.repeat(X, K, axis=0), np.tile(np.arange(K), len(X)), sample_weight=Y.ravel())
    assert near(theirs.coef_, stored.w, X, Y, stored.ridge)


@each_loss
@pytest.mark.parametrize("ridge", [0.0, 0.02])
@pytest.mark.parametrize("intercept", [False, True])
def test_no_planted_change_passes(rng, loss, ridge, intercept):
    """Whatever is changed, by 1e-9 to 1: the verdict is no pass, or what changed is rounding by the bound."""
    X = rng.standard_normal((N, D))
    fit = FitOptions(loss=loss, ridge=2.0, intercept=intercept)
    made = distill(X, outputs_of(rng, X, loss), construction=Minimal(distilled_ridge=ridge), fit=fit)
    assert made.verify().verdict == "pass"
    for size in np.geomspace(1e-9, 1.0, 10):
        change = {name: size * np.abs(getattr(made, name)).max() for name in ("inputs", "y", "w")}
        for name, step in change.items():
            moved = getattr(made, name) + step * rng.uniform(-1.0, 1.0, getattr(made, name).shape)
            assert replace(made, **{name: moved}).verify().verdict == "fail", (name, size)
        if ridge > 0.0:
            other = replace(made, meta=made.meta | {"distilled_ridge": ridge * (1.0 + size)})
            assert other.verify().verdict == "fail", size
    another = "poisson" if loss != "poisson" else "logistic"
    assert replace(made, meta=made.meta | {"loss": another}).verify().verdict == "fail"
    with pytest.raises(DataError, match="a valid loss"):
        replace(made, meta=made.meta | {"loss": "hinge"})


def test_the_ridge_is_the_best_of_a_grid_on_samples_held_out(samples, monkeypatch):
    X, y = samples
    made = distill(X, y, fit=FitOptions(loss="softmax"))
    choice = made.meta["ridge_choice"]
    assert (choice["criterion"], choice["scoring"]) == ("validation", "accuracy")
    assert choice["samples"] == sum(round(0.2 * count) for count in np.bincount(y))
    best = np.flatnonzero(choice["scores"] == np.max(choice["scores"]))[-1]  # ties go to the larger ridge
    assert made.meta["ridge"] == choice["ridges"][best]
    assert len(choice["ridges"]) == 15 or max(choice["scores"][:4]) < max(choice["scores"])
    monkeypatch.setattr(loss_fit, "_WORSE", 15)
    every = distill(X, y, fit=FitOptions(loss="softmax")).meta["ridge_choice"]
    assert np.array_equal(every["ridges"][-len(choice["ridges"]) :], choice["ridges"])
    assert len(choice["ridges"]) < len(every["ridges"]) == 15  # noise is fitted below, which is not tried
    scored = distill(X, np.eye(K)[y], fit=FitOptions(loss="softmax")).meta["ridge_choice"]
    assert scored["scoring"] == "softmax loss"
    monkeypatch.setattr(loss_fit, "_KEPT_BYTES", 0)  # features are mapped again in every pass
    assert np.array_equal(distill(X, y, fit=FitOptions(loss="softmax")).w, made.w)


def test_scores_of_ridges_are_those_of_models_without_the_samples_held_out(rng):
    """The rough models of the path are near enough to the exact ones."""
    X = rng.standard_normal((N, D))
    Y = outputs_of(rng, X, "poisson")
    choice = distill(X, Y, fit=FitOptions(loss="poisson")).meta["ridge_choice"]
    rows = np.random.default_rng([0, 1]).permutation(N)
    test, train = rows[: N // 5], rows[N // 5 :]
    for ridge, score in zip(choice["ridges"], choice["scores"], strict=True):
        Z = X[test] @ glm_weights(X[train], Y[train], loss="poisson", ridge=ridge).weights.T
        assert score == pytest.approx(np.mean(np.sum(np.exp(Z) - Y[test] * Z, axis=1)), rel=1e-3)


def test_estimators_have_losses(samples, rng):
    X, y = samples
    model = RidgeDistiller(loss="softmax", ridge=1.0, fit_intercept=True, random_state=0).fit(X, y)
    theirs = LogisticRegression(C=1.0, tol=1e-10, solver="newton-cg", max_iter=1000).fit(X, y)
    assert np.abs(model.predict_proba(X) - theirs.predict_proba(X)).max() < 1e-4  # where their search stops
    assert np.array_equal(model.predict(X), model.predict_proba(X).argmax(axis=1))
    assert model.certificate_.verdict == "pass"
    assert not hasattr(RidgeDistiller(), "predict_proba")
    counts = rng.poisson(np.exp(0.3 * X[:, 0]))
    rates = RidgeDistillerRegressor(loss="poisson", ridge=1.0, labels="learned", random_state=0).fit(X, counts)
    assert rates.certificate_.loss == "poisson"
    assert np.array_equal(rates.predict(X), np.exp(X @ rates.coef_ + rates.intercept_))


def test_what_does_not_go_with_a_loss_is_refused(samples, rng):
    X, y = samples
    counts = -np.ones((N, 1))
    refused = [
        (X, y, None, "poisson", "loss='poisson' is for counts, got classes"),
        (X, counts, None, "poisson", "must be >= 0, got -1 at row 0"),
        (X, y, Exact(labels="centred"), "softmax", "labels='centred' are for loss='squared'"),
        (X, y, Exact(), "softmax", "no minimiser at distilled_ridge=0"),
        (X, y, Exact(), "logistic", r"Exact\(...\) \(fixed labels\) is for loss='squared' or loss='softmax'"),
    ]
    for inputs, labels, construction, loss, words in refused:
        with pytest.raises(ValueError, match=words):
            distill(inputs, labels, construction=construction, fit=FitOptions(loss=loss, ridge=1.0))
    for options, words in (
        ({"ridge": "loo"}, "use ridge='validation'"),
        ({"loss": "squared", "ridge": "validation"}, "use ridge='loo' or ridge='gcv'"),
        ({"solver": "gram"}, "solver='gram' is for loss='squared'"),
        ({"loss": "hinge"}, "unknown loss 'hinge'"),
    ):
        with pytest.raises(ValueError, match=words):
            FitOptions(**({"loss": "softmax"} | options))
    with pytest.raises(ValueError, match=r"mode='exact' \(one set for several ridges\)|is for loss='squared'"):
        RidgeDistiller(loss="softmax", ridge=[1.0, 2.0]).fit(X, y)


def test_the_command_line_says_whether_labels_are_probabilities(tmp_path, capsys):
    small = ["distill", "--loss", "softmax", "--ridge", "30", "--no-picture", "--out", str(tmp_path), "--points", "9"]
    assert cli.main(small) == 0
    shown = capsys.readouterr().out
    assert "labels of the softmax loss are probabilities; they are up to ridge" in shown
    assert "newton on the softmax loss" in shown
    made = load_distilled(tmp_path)
    assert (made.loss, len(made.inputs), made.verify().verdict) == ("softmax", 9, "pass")
    assert cli.main(["verify", str(tmp_path)]) == 0
    largest = made.meta["diagnostics"]["ridge_limit"]
    assert cli.main([*small, "--distilled-ridge", str(2.5 * largest)]) == 0
    assert f"no probabilities: take 3 copies of every point, or take a distilled ridge of at most {largest:.3g}" in (
        capsys.readouterr().out
    )
    assert load_distilled(tmp_path).y.min() < 0.0
    cli.main([*small, "--distilled-ridge", "1e-13"])
    assert "inconclusive: a ridge of 1e-13 holds W less firmly than rounding" in capsys.readouterr().out


def test_the_doors_agree_on_a_loss(tmp_path, capsys, ratio):
    digits = data.load("digits")
    flags = ["--loss", "softmax", "--ridge", "300", "--intercept", "--mode", "nearest", "--ipc", "2", "--no-picture"]
    assert cli.main(["distill", *flags, "--json", "--out", str(tmp_path)]) == 0
    capsys.readouterr()
    stored = load_distilled(tmp_path)
    called = distill(
        digits, construction=Nearest(points_per_class=2), fit=FitOptions(loss="softmax", ridge=300.0, intercept=True)
    )
    X = np.concatenate([block for block, _ in digits.blocks("train", mean=stored.mean, std=stored.std)])
    model = RidgeDistiller(
        loss="softmax", ridge=300.0, fit_intercept=True, mode="nearest", points_per_class=2, random_state=0
    ).fit(X, digits.y_train)
    amplification = (np.linalg.norm(X, 2) ** 2 + 300.0) / 300.0
    for W, b, points in (
        (called.w, called.intercept, called.inputs),
        (model.coef_, model.intercept_, model.distilled_X_),
    ):
        assert ratio(W, stored.w, size=64, amplification=amplification) < 30
        assert ratio(b, stored.intercept, size=64, amplification=amplification) < 30
        assert ratio(points, stored.inputs, size=64, amplification=amplification * called.verify().condition ** 2) < 30


@each_loss
@pytest.mark.parametrize(("size", "said"), [(1e-160, "too small"), (1e160, "beyond 1e.250")])
def test_features_whose_squares_are_no_numbers_are_refused(rng, loss, size, said):
    X = rng.standard_normal((N, D))
    with pytest.raises(ValueError, match=said):
        distill(size * X, outputs_of(rng, X, loss), fit=FitOptions(loss=loss, ridge=1.0))
