"""The tables under one protocol: they run, go on where they were, and stand beside what is published."""

import json
import sys
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
MODULES = ("records", "pictures", "published", "protocol_runs", "iterative_table", "transfer", "protocol_tables")
TINY = {
    "evaluate": {"nets": 2, "epochs": 1, "epochs_augmented": 1, "width": 4, "depth": 2, "transfer_width": 4},
    "kip": {"steps": 3, "target_batch": 50},
}


@pytest.fixture(scope="module")
def scripts(scripts_as_modules):
    return scripts_as_modules(*MODULES)


@pytest.fixture
def run(scripts, tmp_path, monkeypatch):
    """Run a script with tiny networks and return its recorded rows."""

    def call(stem, *words):
        monkeypatch.setattr(scripts["protocol_runs"], "SETTINGS", {"quick": {"": TINY}})
        folders = ["--out", str(tmp_path), "--runs", str(tmp_path / "runs")]
        monkeypatch.setattr(sys, "argv", [stem, "--quick", *folders, *words])
        scripts[stem].main()
        return json.loads((tmp_path / f"{stem}_quick.json").read_text())["rows"]

    return call


@pytest.mark.parametrize(
    ("stem", "methods", "columns"),
    [
        (
            "iterative_table",
            ["random", "kip", "closed-form:features=identity"],
            {"convnet", "convnet+dsa", "krr-own", "krr-common"},
        ),
        ("transfer", ["random"], {"convnet", "mlp", "resnet18", "vgg11", "alexnet", "krr-common"}),
    ],
)
def test_a_table_runs_and_goes_on_where_it_was(run, tmp_path, stem, methods, columns):
    rows = run(stem, "--methods", *methods, "--repeats", "2")
    assert {row["predictor"] for row in rows} == columns
    assert {row["method"] for row in rows} == set(methods)
    for row in rows:
        assert 0.0 <= row["accuracy"] <= 1.0
        assert (row["over_networks"] is None) == row["predictor"].startswith("krr")
        assert row["over_seeds"] is not None
        assert row["anchor"] is None  # nothing is published for the digits
        assert (tmp_path / row["picture"]).stat().st_size == row["bytes"]
    (journal,) = tmp_path.glob("runs/*/*/bench.jsonl")
    before = journal.read_bytes()
    assert run(stem, "--methods", *methods, "--repeats", "2") == rows
    assert journal.read_bytes() == before


def test_an_estimate_stands_until_its_set_is_scored(run, scripts):
    words = ("iterative_table", "--methods", "random", "full", "--predictors", "krr-common", "convnet")
    tables, rows = scripts["protocol_tables"], run(*words, "--estimate")
    assert [(row["predictor"], row["method"], row["ipc"]) for row in rows] == [
        ("estimate", "random", 1),
        ("estimate", "full", None),
    ]
    assert tables._estimates(rows) == rows
    assert "| digits, quick | 1 | 0.0 |  |" in tables._not_run(rows)
    scored = run(*words[:3], "--predictors", "krr-common")
    assert [row["method"] for row in tables._estimates(scored)] == ["full"]
    again = tables._again("x", [row for row in scored if row["predictor"] != "estimate"])
    assert "--data digits --ipc 1 --repeats 1 --predictors krr-common --methods METHOD" in again


def test_methods_with_fewer_seeds_are_named_with_their_command(scripts):
    tables, facts = scripts["protocol_tables"], {"device": "cpu", "torch": "2", "threads": 1}
    cell = facts | {"data": "digits", "settings": "small", "ipc": 10, "predictor": "convnet"}
    rows = [cell | {"method": name, "seeds": count} for name, count in (("mtt", 1), ("dm", 3), ("dc", 3))]
    assert (
        tables._facts(rows)
        == "\nDistillation seeds: digits, small, IPC 10: 3 (mtt: 1). Device: cpu, torch 2, 1 threads.\n"
    )
    again = tables._again("x", rows)
    assert "--repeats 1 --predictors convnet --methods mtt`" in again
    assert "--repeats 3 --predictors convnet --methods dm dc`" in again


def test_quick_runs_train_fewer_networks_for_a_shorter_time(scripts):
    settings = scripts["protocol_runs"].SETTINGS
    quick, small = settings["quick"][""], settings["small"]["digits"]
    assert quick["evaluate"]["nets"] == 2
    assert quick["evaluate"]["epochs"] == 100
    assert quick | {"evaluate": small["evaluate"]} == small  # the methods are the same


def test_anchors_are_complete_and_have_a_source(scripts):
    content = json.loads(scripts["published"].ANCHORS.read_text())
    protocols = scripts["published"].protocols()
    keys = [(row["table"], row["data"], row["ipc"], row["method"], row["predictor"]) for row in content["rows"]]
    assert len(set(keys)) == len(keys)
    for row in content["rows"]:
        assert 0.0 < row["accuracy"] < 100.0
        assert row["source"]
        assert set(protocols[row["protocol"]]) == set(scripts["published"].FACTS)
    found = {key: row["accuracy"] for key, row in zip(keys, content["rows"], strict=True)}
    assert found["network", "CIFAR-10", 10, "mtt", "convnet+dsa"] == 65.3
    assert found["transfer", "CIFAR-10", 10, "kip", "alexnet+dsa"] == 24.4
    assert found["krr", "MNIST", 1, "kip", "krr-own"] == 85.5


def test_a_deviation_stands_between_equals_alone(scripts):
    """Published DSA and ours agree in all but the settings or the pixels; KIP and MTT differ in more."""
    there = scripts["published"]
    dsa = there.anchor("CIFAR-10", 10, "dsa:steps=3", "convnet+dsa")
    assert dsa["accuracy"] == 52.1
    like = {"name": "CIFAR-10", "settings": "published", "predictor": "convnet+dsa"}
    wanted = {"anchor": 52.1, "deviation": -2.1, "differing": [], "source": dsa["source"]}
    assert there.beside(dsa, 0.5, **like) == wanted
    for change, unlike in (({"settings": "small"}, "settings"), ({"name": "CIFAR-10 (JPEG)"}, "pixels")):
        found = there.beside(dsa, 0.5, **like | change)
        assert (found["deviation"], found["differing"]) == (None, [unlike])
    mtt = there.anchor("CIFAR-10", 10, "mtt", "convnet+dsa")
    assert there.differing(mtt, **like) == ["predictor", "step size", "selection"]
    learned = "convnet+dsa+lr"
    assert there.anchor("CIFAR-10", 10, "mtt", learned) == mtt
    assert there.differing(mtt, **like | {"predictor": learned}) == ["predictor", "selection"]
    kip = there.anchor("CIFAR-10", 10, "kip", "convnet")
    assert there.differing(kip, "CIFAR-10", "published", "convnet")[:2] == ["predictor", "kernel"]
    assert there.anchor("CIFAR-10", 10, "kip", "wide") == kip
    assert "predictor" not in there.differing(kip, "CIFAR-10", "published", "wide")
    assert there.anchor("CIFAR-10", 10, "dc", "wide") is None
    assert there.anchor("CIFAR-10", 10, "cafe", "convnet+dsa")["accuracy"] == 50.9
    assert there.anchor("CIFAR-10 (JPEG)", 10, "dsa", "convnet") is None
    assert there.anchor("CIFAR-100", 10, "dsa", "convnet+dsa")["accuracy"] == 32.3
    random = there.anchor("MNIST", 1, "random", "convnet")
    assert there.beside(random, 0.649, name="MNIST", settings="small", predictor="convnet")["source"].endswith(
        "(recalled)"
    )
    assert there.beside(None, 0.5) == dict.fromkeys(wanted)


def test_a_method_that_does_not_distil_is_not_shown_as_the_method(scripts):
    tables = scripts["protocol_tables"]

    def scored(method, *accuracies):
        names = ("convnet", "krr-common")
        return {one: {"method": method, "accuracy": value} for one, value in zip(names, accuracies, strict=True)}

    random = scored("random", 0.16, 0.18)
    assert not tables._distils(scored("mtt:steps=3", 0.159, 0.145), random)
    assert tables._distils(scored("mtt", 0.159, 0.19), random)
    assert tables._distils(scored("class_mean", 0.1, 0.1), random)
    assert tables._distils(scored("mtt", 0.1, 0.1), {})
    text = tables.iterative_table()
    assert "CIFAR-10 (JPEG), small: mtt | 1 |" not in text
    assert "CIFAR-10 (JPEG), small: mtt | 10 |" in text
    assert "CIFAR-10 (JPEG), small, IPC 1: mtt" in text
    assert "convnet+dsa 88.7 (other settings)" in text


def test_settings_are_options_of_the_methods(scripts):
    from analytic_dd.baselines.bench.protocol import Protocol
    from analytic_dd.baselines.methods.method import configured
    from analytic_dd.baselines.methods.registry import method_type

    for settings in scripts["protocol_runs"].SETTINGS.values():
        for config in settings.values():
            for name, options in config.items():
                configured(Protocol if name == "evaluate" else method_type(name).config_type, options)


def test_cells_of_a_table_keep_the_two_spreads_apart(scripts):
    cell = scripts["protocol_tables"]._cell
    row = {"accuracy": 0.5, "over_seeds": 0.01, "over_networks": 0.02, "finished": True}
    assert cell(row) == "50.0 (1.0; 2.0)"
    assert cell(row | {"over_seeds": None, "finished": False}) == "50.0 (-; 2.0) *"
    assert cell(row | {"over_seeds": None, "over_networks": None}) == "50.0"
    assert cell(None) == ""
