"""Trajectory matching taken apart: what a part changes, a run that goes on, and the table of its rows."""

import json
import sys

import numpy as np
import pytest

from analytic_dd.data import Dataset

MODULES = ("records", "published", "protocol_runs", "mtt_ablations", "protocol_tables")
TINY = {
    "evaluate": {"nets": 1, "epochs": 1, "epochs_augmented": 1, "width": 2, "depth": 1},
    "mtt": {"network": "linear", "steps": 2, "student_steps": 2, "expert_span": 2, "max_start": 2, "augment": False}
    | {"lr_img": 1.0, "lr_lr": 1e-3, "lr_0": 0.1, "experts": 2, "expert_batch": 512},
}


@pytest.fixture
def scripts(scripts_as_modules, tmp_path, monkeypatch):
    found = scripts_as_modules(*MODULES)
    monkeypatch.setattr(found["protocol_runs"], "SETTINGS", {"quick": {"": TINY}})
    words = ["mtt_ablations", "--quick", "--out", str(tmp_path), "--runs", str(tmp_path / "runs")]

    def call(*more):
        monkeypatch.setattr(sys, "argv", [*words, *more])
        found["mtt_ablations"].main()

    return found | {"call": call}


def test_a_dry_run_names_the_cells_and_an_estimate_their_seconds(scripts, tmp_path, capsys):
    scripts["call"]("--dry-run")
    lines = capsys.readouterr().out.splitlines()
    assert {line.partition(":")[0] for line in lines} == {"experts", "start", "steps", "transfer"} | {
        "seconds a step, digits, IPC 1",
        "seconds a step, digits, IPC 10",
    }
    assert "steps: mtt:student_steps=5,expert_span=1, digits, IPC 1, seed 0: convnet, convnet+lr" in lines
    assert not list(tmp_path.iterdir())
    scripts["call"]("--estimate", "--parts", "start", "seconds")
    assert "s here" in capsys.readouterr().out
    rows = json.loads((tmp_path / "mtt_ablations_quick.json").read_text())["rows"]
    assert [(row["part"], row["method"]) for row in rows] == [("start", f"mtt:max_start={epoch}") for epoch in (1, 4)]
    assert all(row["estimate"] > 0.0 for row in rows)
    assert not (tmp_path / "runs").exists()


def test_a_part_changes_one_thing_shares_the_experts_and_goes_on(scripts, tmp_path, monkeypatch, capsys):
    scripts["call"]("--parts", "start", "seconds")
    capsys.readouterr()
    path = tmp_path / "mtt_ablations_quick.json"
    rows = json.loads(path.read_text())["rows"]
    cells = [(row["part"], row["method"], row["ipc"], row["predictor"]) for row in rows]
    scored = [("start", f"mtt:max_start={epoch}", 1, name) for epoch in (1, 4) for name in ("convnet", "convnet+lr")]
    assert cells == [*scored, ("seconds", "mtt", 1, None), ("seconds", "mtt", 10, None)]
    assert all(row["seconds_a_step"] > 0.0 for row in rows[-2:])
    assert all(row["step_size"] > 0.0 for row in rows[:-2])
    (journal,) = tmp_path.glob("runs/mtt_ablations/*/bench.jsonl")
    stored = [json.loads(line) for line in journal.read_text().splitlines()]
    options = [row["settings"]["options"] for row in stored]
    assert {name for name in options[0] if len({str(one[name]) for one in options}) > 1} == {"max_start"}
    assert len(list(tmp_path.glob("runs/mtt_ablations/experts/*/expert-*.npz"))) == 2
    before = journal.read_bytes()
    scripts["call"]("--parts", "start")
    assert journal.read_bytes() == before
    assert len(json.loads(path.read_text())["rows"]) == len(rows)

    path.rename(tmp_path / "mtt_ablations.json")
    monkeypatch.setattr(scripts["records"], "RESULTS", tmp_path)
    text = scripts["protocol_tables"].mtt_ablations()
    assert "| data, part: method | IPC | convnet, % | convnet+lr, % | learned lr | s |" in text
    assert text.count("| digits, start: mtt:max_start=") == 2
    assert "| digits | 10 | 2 |" in text


def test_steps_are_timed_on_samples_of_every_class(scripts):
    """Archives of image folders hold one class after the other."""
    k, count = 3, scripts["mtt_ablations"].SAMPLES
    X, y = np.zeros((k * count, 1)), np.repeat(np.arange(k), count)
    few = scripts["mtt_ablations"].few_of(Dataset.from_arrays(X, y, X[:k], y[:k], name="classes in order"), 0)
    found = np.bincount(few.y_train)  # counts, which are exact
    assert found.sum() == count
    assert set(found) <= {count // k, count // k + 1}
