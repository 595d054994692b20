"""Input that has no model, or no set, of T18 to T25: the same line at every door, and nothing is written."""

import re

import numpy as np
import pytest

from analytic_dd import FitOptions, RidgeDistiller, RidgeDistillerRegressor, cli, distill, sufficient_set
from analytic_dd.distill import chosen, end_point_set, segment_set
from analytic_dd.errors import RangeError

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


def test_more_references_than_memory_holds_are_refused_before_they_are_drawn():
    construction = chosen(mode="nearest", points_per_class=10**12)
    with pytest.raises(
        MemoryError, match=r"references of 8 numbers, inputs and features, take .* GiB, this machine has"
    ):
        distill(X, CLASSES, construction=construction, fit=FitOptions(ridge=1.0))


def test_an_empty_path_is_no_folder(capsys):
    assert cli.main(["distill", "--out", ""]) == 2
    assert "argument --out: a path is missing, got ''; name a file or a folder" in capsys.readouterr().err
