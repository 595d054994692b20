"""Input that has no model, or no set, of T18 to T25: the same line at every door, and nothing is written."""

import re

import numpy as np
import pytest

from analytic_dd import FitOptions, RidgeDistiller, RidgeDistillerRegressor, cli, distill, sufficient_set
from analytic_dd.distill import chosen, end_point_set, segment_set
from analytic_dd.errors import InfeasibleError, RangeError

N, D, K = 36, 4, 3
RNG = np.random.default_rng(0)
X = RNG.standard_normal((N, D))
CLASSES, SIDES = np.arange(N) % K, (X[:, 0] > 0.0).astype(int)
FAMILIES = {  # targets, options of the model, options of the construction, and what is said
    "targets that are no probabilities": (
        2.0 * np.abs(X[:, :2]),
        {"loss": "softmax", "ridge": 1.0},
        {},
        "labels of the softmax loss must sum to 1 in every row, got .* in row [0-9]+; divide each row by its sum",
    ),
    "targets outside of 0 .. 1": (
        2.0 + X[:, :1] ** 2,
        {"loss": "logistic", "ridge": 1.0},
        {},
        r"labels of the logistic loss must be in 0 \.\. 1, got .*; make them probabilities, or take (--loss |loss=')",
    ),
    "separable data at ridge 0": (
        SIDES,
        {"loss": "softmax", "ridge": 0.0},
        {},
        "T18e: the samples are separated by a hyperplane and ridge = 0, so the loss has no minimiser .*take ridge > 0",
    ),
    "fewer points than the limit": (
        CLASSES,
        {"loss": "softmax", "ridge": 1.0},
        {"points": 1},
        "T1: 1 points are fewer than rank W = 2; take (--points |points=)2 or more",
    ),
    "a subspace of rank 0": (
        CLASSES,
        {"ridge": 1.0},
        {"mode": "future", "dimensions": 0},
        "dimensions must be an integer >= 1, got 0",
    ),
    "no steps": (CLASSES, {"ridge": 1.0}, {"mode": "trajectory", "steps": 0}, "steps must be an integer >= 1, got 0"),
    "steps that take days": (
        CLASSES,
        {"ridge": 1.0},
        {"mode": "trajectory", "steps": 10**9},
        "steps must be at most 100,000, since each is taken and measured, got 1,000,000,000",
    ),
    "a class that no fold can hold out": (
        np.arange(N) // 2,
        {"loss": "softmax"},
        {},
        "(--ridge |ridge=')validation'? holds a fifth of the samples of each class out, and no class has enough; give",
    ),
}


def by_call(targets, model, own):
    construction = chosen(loss=model.get("loss", "squared"), **own)
    distill(X, targets, construction=construction, fit=FitOptions(**model))


def by_estimator(targets, model, own):
    kind = RidgeDistiller if np.issubdtype(targets.dtype, np.integer) else RidgeDistillerRegressor
    own = own if kind is RidgeDistiller else own | {"labels": "learned"}
    kind(**model, **own, random_state=0).fit(X, targets)


@pytest.mark.parametrize("door", [by_call, by_estimator], ids=["distill", "estimator"])
@pytest.mark.parametrize("family", FAMILIES)
def test_what_does_not_exist_is_refused_in_one_line(door, family):
    targets, model, own, words = FAMILIES[family]
    with pytest.raises(ValueError, match=words) as error:
        door(targets, model, own)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_command_line_says_so_with_its_own_flags(family, tmp_path, capsys):
    targets, model, own, words = FAMILIES[family]
    test = X[:K], targets[:K]
    np.savez(tmp_path / "data.npz", x_train=X, y_train=targets, x_test=test[0], y_test=test[1])
    task = [] if np.issubdtype(targets.dtype, np.integer) else ["--task", "regress"]
    flags = [word for name, value in (model | own).items() for word in (f"--{name}", str(value))]
    where = ["--data", str(tmp_path / "data.npz"), "--no-picture", "--out", str(tmp_path / "out")]
    assert cli.main(["distill", *where, *task, *flags]) == 2
    shown = capsys.readouterr().err
    assert len(shown.strip().splitlines()) == 1
    assert re.search(words, shown), shown
    assert not (tmp_path / "out" / "distilled.npz").exists()


def test_steps_that_diverge_are_refused_with_the_limit(rng):
    Y = np.eye(K)[CLASSES]
    largest = np.linalg.norm(X.T @ X, 2)
    with pytest.raises(RangeError, match=r"step must lie between 0 and 2 .*diverges beyond\), got 2\.5"):
        end_point_set(np.zeros((K, D)), rng.standard_normal((K, D)), step=2.5, steps=3)
    with pytest.raises(RangeError, match=r"the expert's step must be below 2 / \|G\|_2 = .*diverges beyond\), got"):
        segment_set((X, Y), [np.zeros((K, D))], expert_step=3.0 / largest, expert_steps=4, step=1.0, steps=2)


def test_a_fold_without_a_class_is_as_exact_as_any_and_one_without_weight_is_refused():
    """The set of a fold has its sums, whatever classes are in it; without weight there are none."""
    Y, folds = np.eye(K)[CLASSES], (CLASSES > 0).astype(int)  # fold 0 has class 0 alone
    built = sufficient_set(X, Y, folds=folds)
    F, T = built.features[built.folds == 0], built.labels[built.folds == 0]
    wanted = Y[folds == 0].T @ X[folds == 0]
    assert np.linalg.norm(T.T @ F - wanted) < 30 * N * np.finfo(float).eps * np.linalg.norm(X) ** 2
    with pytest.raises(ValueError, match=r"a fold .*has no sample weight above 0; give it samples"):
        sufficient_set(X, Y, folds=folds, sample_weight=folds.astype(float))


HUGE = {  # features, options of the construction, what does not fit
    "features of samples": ("fcnn:width=10000000", {}, "p = 10,000,000 features of n = 36 samples"),
    "Fourier features": ("rff:p=1000000000", {}, "p = 1,000,000,000 features of n = 36 samples"),
    "layers": ("fcnn:width=100000-100000-3", {}, "the 10,000,900,003 parameters of features 'fcnn'"),
    "a product of layers": ("deep-linear:width=100000-100000-3", {}, "parameters of features 'deep-linear'"),
    "channels": ("cnn:depth=1,channels=10000000", {}, "p = 10,000,000 features of n = 36 samples"),
    "kernels": ("cnn:channels=1000000-1000000-10", {}, "parameters of features 'cnn'"),
    "filters": ("patches:size=1,grid=1,filters=10000000", {}, "p = 20,000,000 features of n = 36 samples"),
    "points": ("identity", {"points_per_class": 10**9}, "3,000,000,000 points of p = 4 features"),
    "points near samples": ("identity", {"mode": "nearest", "points": 10**9}, "1,000,000,000 points of p = 4 features"),
    "candidates": ("identity", {"mode": "near-copies", "candidates": 10**9}, "1,000,000,000 references of 8 numbers"),
}


@pytest.mark.parametrize("name", HUGE)
def test_what_memory_does_not_hold_is_refused_before_anything_is_drawn(name, monkeypatch):
    """Of a machine with 256 MiB; the features of the samples are not computed either."""
    features, own, words = HUGE[name]
    monkeypatch.setattr("analytic_dd.memory.memory", lambda: 2.0**28)
    monkeypatch.setattr("analytic_dd.features.dense.draw_layer", lambda *a, **b: pytest.fail("parameters are drawn"))
    with pytest.raises(MemoryError, match=f"{words}.* take .* GiB, this machine has 0.2; (use|ask for) fewer"):
        distill(X.reshape(N, 2, 2), CLASSES, features=features, construction=chosen(**own), fit=FitOptions(ridge=1.0))


@pytest.mark.parametrize("features", ["fcnn:width=9", "fcnn:depth=2,activation=softplus", "rff:p=9,lengthscale=1"])
def test_a_map_without_pre_images_is_refused_before_anything_is_fitted(features, monkeypatch):
    monkeypatch.setattr("analytic_dd.model.distillation.fit_source", lambda *a, **b: pytest.fail("a model is fitted"))
    with pytest.raises(InfeasibleError, match="exact pre-images need"):
        distill(X, CLASSES, features=features, fit=FitOptions(ridge=1.0))


def test_the_command_line_says_in_one_line_what_does_not_fit(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("analytic_dd.memory.memory", lambda: 2.0**34)
    out = ["--data", "digits", "--no-picture", "--out", str(tmp_path)]
    assert cli.main(["distill", "--features", "rff:p=1000000000000", *out]) == 2
    assert re.fullmatch(
        r"analytic-dd: p = 1,000,000,000,000 features of n = 1,437 samples take \S+ GiB, this machine has \S+; "
        r"use fewer features\n",
        capsys.readouterr().err,
    )
    assert cli.main(["distill", "--mode", "near-copies", "--bases", "1e9", *out]) == 2
    assert "argument --bases: must be an integer, got '1e9'; write 1000000000 (see" in capsys.readouterr().err
    assert cli.main(["distill", "--mode", "near-copies", "--bases", "1000000000", *out]) == 2
    assert "--bases 1000000000 are chosen from --candidates 256; ask for fewer bases" in capsys.readouterr().err
    bench = ["--methods", "random", "--ipc", "100000000000", "--seeds", "0", "--predictors", "ridge"]
    assert cli.main(["bench", *bench, "--data", "digits", "--out", str(tmp_path / "bench")]) == 2
    assert "analytic-dd: 1,000,000,000,000 points of d = 64 numbers take" in capsys.readouterr().err


def test_an_empty_path_is_no_folder(capsys):
    assert cli.main(["distill", "--out", ""]) == 2
    assert "argument --out: a path is missing, got ''; name a file or a folder" in capsys.readouterr().err
