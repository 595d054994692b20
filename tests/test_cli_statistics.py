"""stats, merge and distill --from-stats: shards and parties add sums, and the result is that of one run (T13)."""

import json

import numpy as np
import pytest

from analytic_dd import GramStatistics, cli, load_distilled
from analytic_dd.files import read_npz, write_npz

EPS = np.finfo(float).eps


@pytest.fixture
def command(capsys, tmp_path, monkeypatch):
    """Run the command line in an empty folder; return the exit status, and what was written."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: (cli.main([str(argument) for argument in arguments]), capsys.readouterr())


@pytest.fixture
def run(command):
    def call(*arguments):
        status, captured = command(*arguments)
        assert status == 0, captured.err
        return captured.out

    return call


@pytest.fixture
def refused(command):
    def call(*arguments):
        status, captured = command(*arguments)
        assert status == 2
        assert len(captured.err.splitlines()) == 1
        return captured.err

    return call


@pytest.mark.parametrize("labels", ["one-hot", "centred"])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("features", ["identity", "fcnn:depth=2"])
def test_merged_shards_give_the_model_of_one_run(run, ratio, features, intercept, labels):
    for i in (1, 2, 3):
        run("stats", "--features", features, "--labels", labels, "--shard", f"{i}/3", "--out", f"s{i}.npz")
    run("merge", "s2.npz", "s1.npz", "s3.npz", "--out", "all.npz")
    flags = ["--ridge", 2, "--labels", labels, *(["--intercept"] if intercept else [])]
    run("distill", "--no-picture", "--from-stats", "all.npz", *flags, "--out", "sums")
    run("distill", "--no-picture", "--features", features, *flags, "--out", "whole")
    sums, whole = load_distilled("sums"), load_distilled("whole")
    assert sums.certify().verdict == "pass"
    statistics = GramStatistics.load("all.npz")
    condition = np.linalg.cond(statistics.G + 2.0 * np.eye(statistics.p))
    assert ratio(sums.w, whole.w, size=64, amplification=condition) < 30
    assert sums.feature_map == whole.feature_map
    assert sums.x.shape == whole.x.shape
    if intercept:
        mean = np.linalg.norm(np.asarray(statistics.sum_phi)) / statistics.weight
        unit = np.linalg.norm(whole.w) * mean + np.linalg.norm(whole.intercept)
        assert ratio(sums.intercept, whole.intercept, size=64, amplification=condition, unit=unit) < 30


@pytest.mark.parametrize("far", [0, 400])
def test_merged_shards_of_quantities_give_the_regression_of_one_run(run, refused, ratio, far):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 4)) * [1.0, 50.0, 3.0, 1e-3]
    Y = X @ rng.standard_normal((4, 3)) + rng.standard_normal(3) + 0.1 * rng.standard_normal((60, 3))
    np.savez("table.npz", x=X, y=np.ldexp(Y, [-far, 0, far]))
    table = ["--data", "table.npz", "--task", "regress"]
    for i in (1, 2):
        run("stats", *table, "--shard", f"{i}/2", "--out", f"s{i}.npz")
    run("merge", "s1.npz", "s2.npz", "--out", "all.npz")
    run("distill", "--no-picture", "--from-stats", "all.npz", "--ridge", 2, "--out", "sums")
    run("distill", "--no-picture", *table, "--ridge", 2, "--out", "whole")
    sums, whole = load_distilled("sums"), load_distilled("whole")
    assert sums.certify().verdict == "pass"
    condition = np.linalg.cond(GramStatistics.load("all.npz").centred().G + 2.0 * np.eye(4))
    assert ratio(sums.meta["error_to_original"], 0.0, size=60, amplification=condition, unit=1.0) < 30
    for j in range(3):  # each output in its own unit
        unit = np.linalg.norm(whole.w[j]) + abs(whole.intercept[j])
        assert ratio(sums.w[j], whole.w[j], size=60, amplification=condition) < 30
        assert ratio(sums.intercept[j], whole.intercept[j], size=60, amplification=condition, unit=unit) < 30
    assert "--labels centred belong to classes" in refused("stats", *table, "--labels", "centred")
    assert "--labels centred belong to classes" in refused("distill", "--from-stats", "all.npz", "--labels", "centred")
    np.savez("table.npz", x=X, y=np.ldexp(Y, 600))
    assert "give them in another unit" in refused("stats", *table)


@pytest.mark.parametrize("weights", ["balanced", "w.npy"])
def test_weighted_shards_give_the_weighted_model(run, ratio, refused, weights):
    np.save("w.npy", np.random.default_rng(0).uniform(0.5, 2.0, 1437))
    for i in (1, 2):
        run("stats", "--sample-weights", weights, "--shard", f"{i}/2", "--out", f"s{i}.npz")
    run("merge", "s1.npz", "s2.npz", "--out", "all.npz")
    run("distill", "--no-picture", "--from-stats", "all.npz", "--ridge", 2, "--intercept", "--out", "sums")
    run("distill", "--no-picture", "--sample-weights", weights, "--ridge", 2, "--intercept", "--out", "whole")
    sums, whole = load_distilled("sums"), load_distilled("whole")
    statistics = GramStatistics.load("all.npz")
    condition = np.linalg.cond(statistics.centred().G + 2.0 * np.eye(64))
    assert ratio(sums.w, whole.w, size=64, amplification=condition) < 30
    assert (
        sums.meta["sample_weights"]
        == whole.meta["sample_weights"]
        == ("balanced" if weights == "balanced" else "given")
    )
    run("stats", "--shard", "2/2", "--out", "s2.npz")
    assert "different sample weights" in refused("merge", "s1.npz", "s2.npz")
    assert "none.npy" in refused("stats", "--sample-weights", "none.npy")


def test_sums_choose_the_ridge_by_generalised_cross_validation(run, ratio):
    run("stats", "--out", "all.npz")
    report = json.loads(run("distill", "--no-picture", "--from-stats", "all.npz", "--json"))
    assert report["ridge_choice"]["criterion"] == "gcv"
    assert report["accuracies"]["original"] is None
    direct = json.loads(run("distill", "--no-picture", "--ridge", "gcv", "--json"))
    assert ratio(report["ridge"], direct["ridge"], size=64) < 30


def test_several_ridges_and_learned_labels_need_no_samples(run):
    run("stats", "--out", "all.npz")
    report = json.loads(run("distill", "--no-picture", "--from-stats", "all.npz", "--ridge", 1, 10, "--json"))
    assert [row["verdict"] for row in report["recovery_by_ridge"]] == ["pass", "pass"]


def test_parties_agree_on_a_normalisation(run):
    np.savez("agreed.npz", mean=[5.0], std=[4.0])
    run("stats", "--moments", "agreed.npz", "--out", "all.npz")
    run("distill", "--no-picture", "--from-stats", "all.npz", "--ridge", 1)
    stored = load_distilled("out")
    assert (stored.mean.tolist(), stored.std.tolist()) == ([5.0], [4.0])


def test_an_interrupted_shard_resumes_to_the_same_bits(run):
    run("stats", "--out", "whole.npz", "--state", "state.npz")
    run("stats", "--out", "again.npz", "--state", "state.npz")  # finds everything done
    first, second = GramStatistics.load("whole.npz"), GramStatistics.load("again.npz")
    assert np.array_equal(first.G, second.G)


def test_sums_that_do_not_add_are_refused(run, refused):
    run("stats", "--shard", "1/2", "--out", "a.npz")
    run("stats", "--shard", "2/2", "--features", "fcnn", "--out", "b.npz")
    run("stats", "--shard", "2/2", "--moments", "unit", "--out", "c.npz")
    assert "in both sums" in refused("merge", "a.npz", "a.npz")
    assert "different feature map" in refused("merge", "a.npz", "b.npz")
    assert "different mean" in refused("merge", "a.npz", "c.npz")


def test_what_needs_samples_is_refused(run, refused):
    run("stats", "--out", "all.npz")
    for flags, words in (
        (("--mode", "nearest"), "references are samples"),
        (("--data", "digits"), "leave out --data"),
        (("--ridge", "loo"), "'gcv' or a number"),
        (("--labels", "centred"), "sums of one-hot labels, wanted --labels centred"),
    ):
        assert words in refused("distill", "--from-stats", "all.npz", *flags)
    assert "i/N" in refused("stats", "--shard", "3/2")
    GramStatistics(2, 1).update(np.eye(2), np.ones((2, 1))).save("bare.npz")
    assert "does not say what its sums are of" in refused("distill", "--from-stats", "bare.npz")
    np.savez("moments.npz", mean=[0.0])
    assert "must have arrays mean and std" in refused("stats", "--moments", "moments.npz")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("classes", 80_000_000),
        ("classes", -1),
        ("classes", list(range(9))),
        ("classes", [None] * 10),
        ("image shape", [2**20, 2**20]),
        ("image shape", [-8, -8]),
        ("image shape", "8x8"),
        ("mean", {}),
        ("mean", [1.0, 2.0]),
        ("std", [0.0]),
        ("labels", ["one-hot"]),
        ("feature map", "identity"),
        ("columns", ["age", "age"]),
    ],
)
def test_a_file_that_says_what_cannot_be_of_its_sums_is_refused(run, refused, name, value):
    run("stats", "--out", "sums.npz")
    stored = read_npz("sums.npz")
    told = json.loads(bytes(stored["provenance"]))
    told["agree"][name] = value
    write_npz("sums.npz", stored | {"provenance": np.frombuffer(json.dumps(told).encode(), np.uint8)})
    error = refused("distill", "--from-stats", "sums.npz", "--out", "out")
    assert "sums.npz says of its sums what cannot be" in error
    assert name in error
