"""The report measures what it says, on the file that was stored, with controls that are not handicapped."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from analytic_dd import data
from analytic_dd.clock import Clock
from analytic_dd.data.samples import balanced_rows
from analytic_dd.distill import chosen
from analytic_dd.features import Identity
from analytic_dd.judge.accuracy import accuracies_on_test
from analytic_dd.judge.controls import control_models
from analytic_dd.model import LOO_SAMPLES, DatasetSource, FitOptions, fit_source
from analytic_dd.report import describe, run


@pytest.fixture(scope="module")
def model(digits):
    return fit_source(DatasetSource(digits), Identity(64), rng=np.random.default_rng(0))


def normalised(dataset, x):
    mean, std = dataset.statistics()
    return ((x - mean[0]) / std[0]).reshape(len(x), -1)


def test_original_accuracy_is_that_of_scikit_learn(digits, model):
    peer = Ridge(alpha=model.ridge, fit_intercept=False)
    peer.fit(normalised(digits, digits.x_train), np.eye(10)[digits.y_train])
    decisions = peer.predict(normalised(digits, digits.x_test)).argmax(axis=1)
    found = accuracies_on_test(digits, model, {"original": (model.weights, np.zeros(10))})
    assert found["original"] == np.mean(decisions == digits.y_test)


def test_chosen_ridge_has_the_best_brute_force_leave_one_out_accuracy(digits):
    """On 120 samples, by 120 refits for each of the ridges of the grid."""
    few = data.Dataset.from_arrays(digits.x_train[:120], digits.y_train[:120])
    model = fit_source(DatasetSource(few), Identity(64), rng=np.random.default_rng(0))
    X, Y = normalised(few, few.x_train), np.eye(10)[few.y_train]
    right = []
    for ridge in model.choice.ridges[8:]:  # smaller ones are the same to brute force: ill-conditioned normal equations
        kept = [np.arange(120) != i for i in range(120)]
        gram = (np.linalg.solve(X[k].T @ X[k] + ridge * np.eye(64), X[k].T @ Y[k]) for k in kept)
        right.append(np.mean([(X[i] @ W).argmax() == few.y_train[i] for i, W in enumerate(gram)]))
    assert model.choice.scores[8:].tolist() == right
    best = max(model.choice.scores)
    assert model.ridge == max(r for r, s in zip(model.choice.ridges, model.choice.scores, strict=True) if s == best)


def test_sampled_leave_one_out_is_said_in_the_report(digits, tmp_path, monkeypatch):
    monkeypatch.setattr("analytic_dd.model.fit.LOO_SAMPLES", 100)
    made = run(digits, "identity", chosen(), tmp_path)
    content = made.content
    assert LOO_SAMPLES == 10_000
    assert content["ridge_choice"]["samples"] == 100
    assert content["ridge_choice"]["sampled"]
    assert any("100 samples drawn from 1,437" in line for line in describe(made))


def test_controls_are_the_best_over_their_ridges_on_training_data(digits, model):
    models = control_models(digits, model, 10, seed=0)
    assert sorted(models) == ["class_mean", *(f"random {i}" for i in range(5))]
    found = accuracies_on_test(digits, model, models)
    assert found["class_mean"] > np.mean([found[f"random {i}"] for i in range(5)]) + 0.1
    means = normalised(digits, digits.class_means())
    fixed = Ridge(alpha=1e-3, fit_intercept=False).fit(means, np.eye(10)).coef_
    assert found["class_mean"] >= accuracies_on_test(digits, model, {"x": (fixed, np.zeros(10))})["x"] - 0.03


def test_class_means_are_exact(digits):
    assert np.array_equal(digits.class_means()[3], digits.x_train[digits.y_train == 3].mean(axis=0))


def test_sampled_rows_are_class_major_and_balanced(digits):
    rows = balanced_rows(digits.y_train, 13, k=10, rng=np.random.default_rng(0))
    assert digits.y_train[rows].tolist() == sorted([*range(10), 0, 1, 2])
    assert len(set(rows)) == 13


def test_stages_add_up_and_no_moment_is_counted_twice(digits, monkeypatch, tmp_path):
    """By a clock that goes one second a look: the stages are disjoint parts of the run."""
    looks = itertools.count()
    monkeypatch.setattr("analytic_dd.clock.time.perf_counter", lambda: float(next(looks)))
    clock = Clock()
    run(digits, "identity", chosen(), tmp_path, clock=clock)
    assert all(seconds > 0.0 for seconds in clock.seconds.values())
    assert len(clock.seconds) <= sum(clock.seconds.values()) < next(looks)


def test_report_is_strict_json_and_names_versions_and_hardware(digits, tmp_path):
    run(digits, "identity", chosen(), tmp_path)
    report = json.loads((tmp_path / "report.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert report["versions"]["numpy"] == np.__version__
    assert "cores" in report["hardware"]
    assert report["data"]["sha256"] == digits.sha256


def test_a_ridge_below_the_resolution_of_the_gram_matrix_goes_through_tsqr(digits):
    model = fit_source(DatasetSource(digits), Identity(64), FitOptions(ridge=0.0), rng=np.random.default_rng(0))
    X, Y = normalised(digits, digits.x_train), np.eye(10)[digits.y_train]
    W = np.linalg.lstsq(X, Y, rcond=None)[0].T
    condition = np.linalg.cond(X[:, X.std(axis=0) > 0])
    assert model.solver == "tsqr"
    assert np.linalg.norm(model.weights - W) / np.linalg.norm(W) < 30 * np.finfo(float).eps * 64 * condition


def test_data_without_a_test_part_are_reported_without_accuracies(digits, tmp_path):
    train = data.Dataset.from_arrays(digits.x_train, digits.y_train, name="train only")
    made = run(train, "identity", chosen(), tmp_path)
    content = made.content
    assert content["accuracies"] == {"original": None, "distilled": None, "random": None, "class_mean": None}
    lines = describe(made)
    assert "  data: all pixels are normalised by one mean and deviation" in lines
    of_colours = describe(replace(made, content=content | {"image_shape": [4, 4, 4]}))
    assert "  data: each of the 4 channels is normalised by its own mean and deviation" in of_colours
    assert [line for line in lines if "test" in line] == ["  no test part: accuracies are not measured"]
    assert not any("draws" in line for line in lines)


@pytest.mark.parametrize(
    ("features", "options", "line"),
    [
        ("identity", {}, "features identity (p = 64)"),
        ("fcnn:depth=2,width=40", {}, "features fcnn (depth 2, width 40-40, p = 40)"),
        ("fcnn:slope=0.3", {}, "features fcnn (depth 1, slope 0.3, p = 64)"),
        ("cnn", {}, "features cnn (channels 3-11-43, stride 2-2-2, p = 43)"),
        ("fcnn", {"tikhonov": np.ones(64)}, "features fcnn (depth 1) then tikhonov (p = 64)"),
    ],
)
def test_the_text_names_the_map_with_its_options_and_features(digits, tmp_path, features, options, line):
    made = run(digits, features, chosen(), tmp_path, FitOptions(ridge=1.0, **options))
    assert describe(made)[0].endswith(line)


def test_lines_after_the_first_two_are_indented(digits, tmp_path):
    made = run(digits, "rff", chosen(), tmp_path, sample_weight="balanced")
    lines = describe(made)
    assert any("labels were scaled by" in line for line in lines)
    assert any("sample weights (balanced)" in line for line in lines)
    assert all(line.startswith("  ") for line in lines[2:])
