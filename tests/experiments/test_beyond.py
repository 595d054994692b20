"""The experiments on other losses, trajectories and penalties: what was recorded, and that each runs on small data."""

import json
from pathlib import Path

import pytest

SLOW = (("losses", 3), ("kept", 5))
RESULTS = Path(__file__).parents[2] / "experiments" / "results"


def recorded(stem):
    return json.loads((RESULTS / f"{stem}.json").read_text())


def test_recorded_softmax_models_are_found_again_by_scipy():
    rows = recorded("losses")["rows"]
    assert {row["kind"] for row in rows} == {"soft labels", "soft labels, a ridge", "near real images"}
    for row in rows:
        assert row["accuracy_distilled"] == row["accuracy_original"]
        assert row["certificate"]["relative_error"] < 1e-12
        assert row["certificate"]["verdict"] == "pass"
        if "error_by_scipy" in row:
            assert row["error_by_scipy"] < 1e-8
            assert row["labels"][0] >= 0.0
    assert {row["points"] for row in rows} >= {9, 10}


def test_recorded_steps_are_those_on_the_data_within_the_bound():
    rows = {row["kind"]: row for row in recorded("trajectories")["rows"]}
    assert rows["complete"]["error"] < 1e-9
    assert rows["a tenth of T k"]["points"] * 10 == rows["complete"]["at_most"]
    assert rows["to 1e-6"]["error"] <= 1.001e-6
    for row in rows.values():
        assert row["bound"] == 0.0 or row["error"] <= row["bound"]


def test_recorded_sets_keep_what_they_are_made_for():
    rows = recorded("kept")["rows"]
    kinds = {(row["data"], row["kind"].partition(",")[0].partition(" ")[0]) for row in rows}
    modes = ("gradients", "trajectory", "future", "sufficient")
    assert kinds == {(data, mode) for data in ("MNIST", "CIFAR-10 (JPEG)") for mode in modes}
    for row in rows:
        assert row["certificate"]["verdict"] == "pass"
        assert row["accuracy_distilled"] == row["accuracy_original"]
        assert row["error_kept"] <= (0.01 if row["kind"].endswith("%") else 1e-8)


def test_recorded_estimators_find_the_same_model_on_the_set():
    run = recorded("penalties")
    sizes = run["sizes"]
    assert sizes["n"] >= 1_000_000
    models = {"LassoCV", "ElasticNetCV", "RidgeCV", "forward", "NNLS"}
    assert (sizes["points"], sizes["points_of_folds"]) == (sizes["p"] + 2, 5 * (sizes["p"] + 2))
    assert {row["model"].partition(" ")[0] for row in run["rows"]} == models
    for row in run["rows"]:
        assert row["penalty"] == row["penalty_of_set"]
        assert row["error"] < 1e-10
        assert row["seconds_of_set"] < row["seconds"]


def test_no_recorded_run_is_below_the_optimum_by_more_than_rounding():
    """DC, DM and MTT compute in float32; a run that diverged has no objective, and says so."""
    rows = recorded("optimum_gap")["rows"]
    assert {(row["data"], row["seed"]) for row in rows} >= {("digits", 0), ("digits", 1), ("digits", 2), ("MNIST", 0)}
    for row in rows:
        if "diverged" in row:
            assert "lower lr or raise" in row["diverged"]
            continue
        eps = 2.0**-23 if row["method"][:2] in ("DC", "DM", "MT") else 2.0**-52
        assert row["gap"] >= -30.0 * 20 * eps * max(row["reached"], 1e-3), row


@pytest.mark.parametrize(
    ("script", "rows"),
    [("penalties", 5), ("trajectories", 5), *(pytest.param(*run, marks=pytest.mark.slow) for run in SLOW)],
)
def test_a_quick_run_records_its_rows(script, rows, quick_rows):
    assert len(quick_rows(script)) == rows


def test_gradient_matching_that_is_no_better_than_random_images_is_named(scripts_as_modules):
    tables = scripts_as_modules("beyond_tables")["beyond_tables"]
    rows = [
        {"method": method, "data": "digits", "ipc": ipc, "accuracy": accuracy}
        for ipc, of_lgm in ((1, 0.5), (10, 0.6))
        for method, accuracy in (("random", 0.5), ("lgm", of_lgm), ("centroids", 0.4))
    ]
    assert "lgm (digits, 1 a class)." in tables._no_better(rows)
    assert tables._no_better(rows[3:]) == ""
