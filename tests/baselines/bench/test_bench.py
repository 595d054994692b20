"""The benchmark from the command line: rows, restarts, interrupts, failures, budgets, bad input."""

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from analytic_dd import cli
from analytic_dd.baselines.bench import plan as plan_module
from analytic_dd.baselines.bench import protocol as protocol_module
from analytic_dd.baselines.bench import run as benchmark_module
from analytic_dd.baselines.bench.journal import KEY, read_rows
from analytic_dd.baselines.bench.plan import names, parse_variant, plan
from analytic_dd.baselines.bench.run import Benchmark
from analytic_dd.baselines.bench.set_file import load_set
from analytic_dd.baselines.bench.table import Summary, summaries, table
from analytic_dd.baselines.methods import kip as kip_module
from analytic_dd.baselines.methods import registry
from analytic_dd.baselines.methods.registry import METHODS as KNOWN
from analytic_dd.data import Dataset
from analytic_dd.errors import DataError
from analytic_dd.files import read_npz, write_npz

METHODS = ["closed-form:features=identity", "kip:steps=4,target_batch=20", "random"]
PREDICTORS = ["mlp", "krr-own", "ridge"]
CELLS = [("closed-form", 3), ("kip", 3), ("random", 2)]  # a random set has no kernel of its own
SMALL = ["evaluate.nets=2", "evaluate.epochs=3", "evaluate.mlp_width=5"]
TIMES = ("seconds", "evaluation_seconds", "ledger", "written", "peak")


@pytest.fixture
def small(tmp_path):
    """Write 4 x 5 images of three classes and return the path."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(3), 20)
    x = np.clip(60 * y[:, None, None] + 40 + 30 * rng.standard_normal((60, 4, 5)), 0, 255).astype(np.uint8)
    np.savez(tmp_path / "small.npz", x_train=x, y_train=y, x_test=x[::2], y_test=y[::2])
    return tmp_path / "small.npz"


@pytest.fixture
def run(small, tmp_path, capsys, monkeypatch):
    """Run the command and return (status, standard output, standard error); drawing takes longer than all else."""
    draw = benchmark_module.draw
    monkeypatch.setattr(benchmark_module, "draw", lambda rows, path: None)

    def call(*arguments, methods=METHODS, predictors=PREDICTORS, out="out", config=(), seeds=(0,), drawn=False):
        if drawn:
            monkeypatch.setattr(benchmark_module, "draw", draw)
        words = ["bench", "--data", small, "--methods", *methods, "--predictors", *predictors, "--seeds", *seeds]
        words += ["--config", *SMALL, *config, "--offline", "--in-process", "--out", tmp_path / out, *arguments]
        status = cli.main([str(word) for word in words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def rows_of(tmp_path, out="out"):
    return read_rows(tmp_path / out / "bench.jsonl")


def without_times(rows):
    return [{name: value for name, value in row.items() if name not in TIMES} for row in rows]


def test_every_cell_has_a_row_with_what_the_issue_asks_for(run, tmp_path):
    status, printed, error = run(seeds=(0, 1), drawn=True)
    assert (status, error) == (0, "")
    rows = rows_of(tmp_path)
    assert len(rows) == 2 * sum(count for _, count in CELLS)
    asked = {"method", "data", "ipc", "seed", "accuracy", "predictor", "seconds", "device", "ledger", "versions"}
    asked |= {"config", "finished", "accuracy_std", "accuracies", "points", "settings"}
    for row in rows:
        assert asked <= set(row)
        assert 0.0 <= row["accuracy"] <= 1.0
        assert row["accuracy"] == pytest.approx(np.mean(row["accuracies"]))
        assert (row["accuracy_std"] is None) == (row["predictor"] != "mlp")
        assert row["seconds"] == row["ledger"]["wall_seconds"] > 0.0
        assert (row["finished"], row["ipc"], row["points"], row["device"]) == (True, 1, 3, "cpu")
    assert {row["method"] for row in rows if row["predictor"] == "krr-own"} == {"closed-form", "kip"}
    kip = next(row for row in rows if row["method"] == "kip")
    assert (kip["ledger"]["steps"], kip["config"]["target_batch"]) == (4, 20)
    assert "not for training networks" in printed
    assert "*" not in printed
    assert (tmp_path / "out" / "bench.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "out" / "bench.txt").read_text() in printed
    assert os.listdir(tmp_path / "out" / "states") == []


def test_json_is_for_machines(run, tmp_path):
    status, printed, _ = run("--json", methods=["random"], predictors=["ridge"])
    found = json.loads(printed)
    assert (status, found["failed"], len(found["rows"])) == (0, 0, 1)
    assert found["rows"] == rows_of(tmp_path)
    assert str(tmp_path / "out" / "bench.jsonl") in found["files"]


def test_a_closed_form_set_gives_the_model_of_all_the_data(run, tmp_path):
    run(methods=["closed-form", "full"], predictors=["krr-own", "ridge", "ridge:fcnn"])
    scores = {(row["method"], row["variant"], row["predictor"]): row["accuracy"] for row in rows_of(tmp_path)}
    linear, dense = "features=identity", "features=fcnn"
    assert scores["closed-form", linear, "krr-own"] == scores["closed-form", linear, "ridge"]
    assert scores["closed-form", dense, "krr-own"] == scores["closed-form", dense, "ridge:fcnn"]
    assert scores["closed-form", linear, "ridge"] > 0.9
    full = [row for row in rows_of(tmp_path) if row["method"] == "full"]
    assert [(row["ipc"], row["points"]) for row in full] == [(None, 60)] * 2


def test_linear_and_finite_feature_runs_stand_beside_their_optimum(run, tmp_path):
    """T20: three more columns where an optimum is known, none in other rows, none where none is known."""
    kip = "kip:features=identity,labels=fixed,steps=4,target_batch=20"
    dm = "dm:network=linear,augment=false,steps=4"
    status, printed, _ = run(methods=[kip, dm, "random"], predictors=["ridge"])
    assert status == 0
    head, *lines = (line for line in printed.splitlines() if line)
    assert head.split()[-3:] == ["objective", "optimum", "gap"]
    for row in rows_of(tmp_path):
        assert ("objective" in row) == (row["method"] != "random")
        if "objective" in row:
            found = row["objective"]
            assert found["gap"] == found["reached"] - found["optimum"] >= 0.0
            line = next(line for line in lines if line.startswith(row["method"]))
            wanted = [f"{found[name]:.4g}" for name in ("reached", "optimum", "gap")]
            assert line.split()[-3:] == wanted
    assert "no set of so many points has less (T20)" in printed
    printed = run(methods=[dm], predictors=["ridge"], seeds=[0, 1], out="seeds")[1]
    gaps = [row["objective"]["gap"] for row in rows_of(tmp_path, "seeds")]
    assert f"{np.mean(gaps):.4g} ({np.std(gaps, ddof=1):.2g})" in printed
    assert "optimum" not in run(methods=["random"], predictors=["ridge"], out="other")[1]


def test_columns_are_one_predictor_each(run, tmp_path):
    run(methods=["closed-form:features=fcnn"], predictors=["ridge", "ridge:fcnn"])
    rules = {row["predictor"]: row["details"]["ridge_rule"] for row in rows_of(tmp_path)}
    assert rules == {"ridge": "best on training samples", "ridge:fcnn": "its own"}


def test_without_resume_rows_are_not_touched(run, tmp_path):
    run(methods=["random"], predictors=["ridge"])
    before = (tmp_path / "out" / "bench.jsonl").read_bytes()
    status, printed, error = run(methods=["random"], predictors=["ridge"])
    assert (status, printed) == (2, "")
    assert "go on with --resume" in error
    assert len(error.splitlines()) == 1
    assert (tmp_path / "out" / "bench.jsonl").read_bytes() == before


def interrupt_after(monkeypatch, cells):
    """Interrupt the scoring of the next cell after so many."""
    score, done = benchmark_module.score, []

    def interrupted(*arguments, **options):
        if len(done) == cells:
            raise KeyboardInterrupt
        done.append(None)
        return score(*arguments, **options)

    monkeypatch.setattr(benchmark_module, "score", interrupted)


@pytest.mark.parametrize("cells", [0, 1, 4, 7])
def test_an_interrupt_after_any_cell_and_a_resume_give_the_same_rows(run, tmp_path, monkeypatch, cells):
    run(out="whole")
    with monkeypatch.context() as patch:
        interrupt_after(patch, cells)
        status, _, error = run()
        assert status == 130
        assert "what is done stays, go on with --resume" in error
        assert "Traceback" not in error
    assert len(rows_of(tmp_path)) == cells
    before = [row["written"] for row in rows_of(tmp_path)]
    status, _, _ = run("--resume")
    assert status == 0
    assert [row["written"] for row in rows_of(tmp_path)][:cells] == before
    assert without_times(rows_of(tmp_path)) == without_times(rows_of(tmp_path, "whole"))


def test_an_interrupt_inside_a_distillation_and_a_resume_give_the_same_set(run, tmp_path, monkeypatch):
    options = {"methods": ["kip:steps=6,target_batch=20"], "predictors": ["krr-own"]}
    run(out="whole", **options)
    step, asked = kip_module.KernelInducingPoints.step, []

    def interrupted(self, index):
        asked.append(index)
        if len(asked) == 4:
            raise KeyboardInterrupt
        return step(self, index)

    with monkeypatch.context() as patch:
        patch.setattr(kip_module.KernelInducingPoints, "step", interrupted)
        assert run(**options)[0] == 130
    assert len(os.listdir(tmp_path / "out" / "states")) == 1
    with monkeypatch.context() as patch:
        patch.setattr(kip_module.KernelInducingPoints, "step", interrupted)  # counts on
        assert run("--resume", **options)[0] == 0
    assert asked == [0, 1, 2, 3, 3, 4, 5]
    (name,) = os.listdir(tmp_path / "out" / "sets")
    (one, _), (other, _) = (load_set(tmp_path / out / "sets" / name) for out in ("out", "whole"))
    assert np.array_equal(one.inputs, other.inputs)
    assert os.listdir(tmp_path / "out" / "states") == []


def test_a_killed_process_loses_one_cell_at_most(small, tmp_path, run):
    words = [sys.executable, "-m", "analytic_dd", "bench", "--data", str(small), "--methods", *METHODS, "--predictors"]
    words += [*PREDICTORS, "--seeds", "0", "--config", *SMALL, "--offline", "--out", str(tmp_path / "out")]
    journal = tmp_path / "out" / "bench.jsonl"
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not (journal.exists() and journal.stat().st_size > 0):
        time.sleep(0.01)
    process.kill()
    process.wait()
    left = len(rows_of(tmp_path))
    assert left >= 1
    with journal.open("ab") as file:
        file.write(b'{"method": "kip", "da')  # as if the kill had met a write
    status, _, error = run("--resume")
    assert status == 0
    assert "a torn last line of 21 bytes was cut off" in error
    assert len(rows_of(tmp_path)) == sum(count for _, count in CELLS)


def test_a_resume_of_a_finished_run_makes_nothing(run, tmp_path, monkeypatch):
    run()
    before = (tmp_path / "out" / "bench.jsonl").read_bytes()
    for name in ("score", "closed_form", "distill", "control_set"):
        monkeypatch.setattr(benchmark_module, name, None)
    status, printed, _ = run("--resume")
    assert status == 0
    assert "kip:steps=4,target_batch=20" in printed
    assert (tmp_path / "out" / "bench.jsonl").read_bytes() == before


def test_a_new_predictor_scores_the_sets_that_are_there(run, tmp_path, monkeypatch):
    run(predictors=["ridge"])
    for name in ("closed_form", "distill", "control_set"):
        monkeypatch.setattr(benchmark_module, name, None)
    assert run("--resume", predictors=["ridge", "krr-common"])[0] == 0
    assert sum(row["predictor"] == "krr-common" for row in rows_of(tmp_path)) == 3


@pytest.mark.parametrize(
    ("change", "word"),
    [({"config": ["evaluate.epochs=4"]}, "network"), ({"config": ["kip.lr=0.5"]}, "options")],
)
def test_rows_of_other_settings_are_not_mixed(run, tmp_path, change, word):
    run()
    before = (tmp_path / "out" / "bench.jsonl").read_bytes()
    status, _, error = run("--resume", **change)
    assert status == 2
    assert f"made with other {word}" in error
    assert (tmp_path / "out" / "bench.jsonl").read_bytes() == before


def test_a_method_that_fails_is_a_row_and_the_others_go_on(run, tmp_path, monkeypatch):
    def failing(*arguments, **options):
        raise ArithmeticError("the loss\nis nan")

    with monkeypatch.context() as patch:
        patch.setattr(benchmark_module, "closed_form", failing)
        status, printed, error = run()
    assert status == 1
    assert "closed-form:features=identity, small, IPC 1, seed 0, mlp: ArithmeticError: the loss is nan" in error
    failed = [row for row in rows_of(tmp_path) if row.get("error")]
    assert {row["method"] for row in failed} == {"closed-form"}
    assert [row["accuracy"] for row in failed] == [None] * 3
    assert "failed" in printed
    assert "3 of the cells failed" in printed
    status, printed, _ = run("--resume")  # an error is tried again
    assert status == 0
    assert "failed" not in printed
    assert not any(row.get("error") for row in rows_of(tmp_path))


def test_a_predictor_that_fails_fails_alone(run, tmp_path):
    status, _, error = run(methods=["random"], predictors=["convnet", "ridge"], config=["evaluate.depth=5"])
    assert status == 1
    assert "halvings" in error
    assert [("error" in row) for row in rows_of(tmp_path)] == [True, False]


def test_a_budget_ends_a_distillation_and_a_larger_one_goes_on(run, tmp_path):
    options = {"methods": ["kip:steps=200,target_batch=20"], "predictors": ["krr-own"]}
    status, printed, _ = run("--budget", "0.0025", **options)
    (first,) = rows_of(tmp_path)
    assert status == 0
    assert first["finished"] is False
    assert first["steps"] < 200
    assert "*" in next(line for line in printed.splitlines() if line.startswith("kip"))
    assert "* stopped by its budget" in printed
    run("--budget", "0.0025", "--resume", **options)
    assert rows_of(tmp_path) == [first]
    run("--resume", **options)
    (last,) = rows_of(tmp_path)
    assert (last["finished"], last["steps"], last["budget"]) == (True, 200, None)
    run(out="whole", **options)
    (one, _), (other, _) = (load_set(next((tmp_path / out / "sets").iterdir())) for out in ("out", "whole"))
    assert np.array_equal(one.inputs, other.inputs)


def test_a_dry_run_lists_the_cells_and_writes_nothing(run, tmp_path):
    status, printed, _ = run("--dry-run")
    assert status == 0
    assert len(printed.splitlines()) == 8
    assert all(line.endswith(": to do") for line in printed.splitlines())
    assert not (tmp_path / "out").exists()
    run(methods=["random"])
    lines = run("--dry-run")[1].splitlines()
    assert sum(line.endswith(": done") for line in lines) == 2


def test_a_file_of_options_is_read_and_words_go_over_it(run, tmp_path):
    file = tmp_path / "options.json"
    file.write_text(json.dumps({"kip": {"steps": 3, "target_batch": 20}, "evaluate": {"nets": 3}}))
    run(methods=["kip"], config=[file, "kip.steps=2"])
    rows = rows_of(tmp_path)
    assert {row["ledger"]["steps"] for row in rows} == {2}
    assert [len(row["accuracies"]) for row in rows if row["predictor"] == "mlp"] == [3]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"methods": ["kipp"]}, "unknown method 'kipp'"),
        ({"methods": ["kip:stepss=3"]}, "did you mean steps"),
        ({"methods": ["kip:lr=-1"]}, "lr > 0"),
        ({"methods": ["kip:steps=abc"]}, "kip: steps must be an integer, got 'abc'"),
        ({"methods": ["kip:lr=true"]}, "kip: lr must be a number, got True"),
        ({"methods": ["kip:centred=maybe"]}, "kip: centred must be true or false, got 'maybe'"),
        ({"methods": ["closed-form:features=nosuch"]}, "closed-form: unknown features 'nosuch'"),
        ({"methods": ["kip:features=fcnn:depth=x"]}, "kip: depth must be an integer, got 'x'"),
        ({"predictors": ["ridge:nosuch"]}, "unknown features 'nosuch'"),
        ({"methods": ["random"], "predictors": ["krr-own"]}, "none of the predictors applies"),
        ({"methods": ["label-solve", "kip"], "predictors": ["mlp+soft"]}, "mlp+soft: its labels are no probabilities"),
        ({"methods": ["random:steps=3"]}, "random has no options"),
        ({"methods": ["random", "random"]}, "the same cells twice"),
        ({"methods": ["closed-form:mode=few"]}, "give points=M"),
        ({"predictors": ["cnn"]}, "unknown predictor 'cnn'"),
        ({"predictors": ["convnet+das"]}, "unknown predictor 'convnet+das'"),
        ({"seeds": (-1,)}, "seeds must be integers >= 0"),
        ({"config": ["steps=3"]}, "METHOD.KEY=VALUE"),
        ({"config": ["kipp.steps=3"]}, "configuration 'kipp'"),
        ({"config": ["evaluate.net=3"]}, "did you mean nets"),
        ({"config": ["evaluate.nets=0"]}, "nets must be at least 1"),
        ({"config": ["missing.json"]}, "missing.json"),
        ({"flags": ("--device", "nowhere")}, "no device"),
        ({"flags": ("--budget", "0")}, "budget must be > 0"),
        ({"flags": ("--ipc", "0")}, "ipc must be"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(run, tmp_path, change, words):
    status, printed, error = run(*change.get("flags", ()), **{name: change[name] for name in change if name != "flags"})
    assert (status, printed) == (2, "")
    assert words in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_table_is_scored_in_columns_of_its_own_units(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(benchmark_module, "draw", lambda rows, path: None)
    rng, kind = np.random.default_rng(0), np.arange(60) % 2
    noise = rng.standard_normal((60, 3))
    columns = noise * [0.1, 1e6, 5.0] + kind[:, None] * [1.0, 0.0, 0.0]
    rows = [",".join(map(repr, [*row, ("no", "yes")[y]])) for row, y in zip(columns.tolist(), kind, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,c,bought", *rows]).replace("'", ""))
    words = f"bench --data {tmp_path}/t.csv --target bought --methods closed-form:features=identity kip:steps=3 "
    words += f"label-solve random --predictors ridge krr-own --ipc 1 --seeds 0 --quiet --out {tmp_path}/out"
    assert cli.main([*words.split(), "--config", *SMALL]) == 0
    found = {(row["method"], row["predictor"]): row["accuracy"] for row in rows_of(tmp_path)}
    assert found["closed-form", "ridge"] == 1.0  # the second column, a million times larger, says nothing
    assert {method for method, _ in found} == {"closed-form", "kip", "label-solve", "random"}
    assert cli.main(["bench", "--data", f"{tmp_path}/t.csv", "--target", "b", "--task", "regress"]) == 2
    assert "t has quantities, and classes are wanted here; --task regress is for distill" in capsys.readouterr().err


def test_verify_certifies_the_sets_of_bench_that_name_weights(run, tmp_path, capsys):
    assert run(methods=METHODS[::2], predictors=["ridge"])[0] == 0
    closed, random = sorted((tmp_path / "out" / "sets").glob("*.npz"))
    assert cli.main(["verify", str(closed)]) == 0
    assert ": pass: |W_s - W|" in capsys.readouterr().out
    assert cli.main(["verify", str(tmp_path / "out")]) == 1  # the folder: one set passes, one names no weights
    assert "(random, 3 points, seed 0, 1 steps), which names no weights" in capsys.readouterr().out
    planted = read_npz(closed)
    planted["y"][0, 0] += 1e-6
    write_npz(tmp_path / "planted.npz", planted)
    assert cli.main(["verify", str(tmp_path / "planted.npz"), str(random)]) == 1
    assert "planted.npz: fail:" in capsys.readouterr().out
    write_npz(tmp_path / "damaged.npz", planted | {"w": planted["w"][:, :-1]})
    assert cli.main(["verify", str(tmp_path / "damaged.npz")]) == 2


def test_data_without_a_test_part_are_refused_before_anything(small, tmp_path):
    content = np.load(small)
    dataset = Dataset.from_arrays(content["x_train"], content["y_train"], name="small")
    cells = plan([dataset], parse_variant("random"), ipcs=[1], seeds=[0], predictors=["ridge"], config={})
    with pytest.raises(DataError, match="small has no test part"):
        Benchmark(cells, [dataset], out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_rows_instead_of_images_leave_convolutions_out(run, small, tmp_path):
    content = {
        name: array.reshape(len(array), -1) if array.ndim > 1 else array for name, array in np.load(small).items()
    }
    np.savez(small, **content)
    status, _, error = run(methods=["random"], predictors=["convnet", "mlp"])
    assert status == 0
    assert "left out: random, small, convnet: samples are rows, not images" in error
    assert [row["predictor"] for row in rows_of(tmp_path)] == ["mlp"]


def test_soft_labels_are_a_column_of_their_own(run, tmp_path):
    options = {"methods": ["random", "label-solve"], "predictors": ["mlp", "mlp+soft"]}
    status, _, error = run(**options)
    assert status == 0
    assert "left out: label-solve, small, mlp+soft: its labels are no probabilities" in error
    labels = {(row["method"], row["predictor"]): row.get("details", {}).get("labels") for row in rows_of(tmp_path)}
    assert labels["random", "mlp"] == "hard"
    assert labels["random", "mlp+soft"] == "soft"
    assert labels["label-solve", "mlp"] == "argmax"
    assert ("label-solve", "mlp+soft") not in labels


@pytest.mark.parametrize(
    ("method", "applies"),
    [
        ("closed-form:labels=one-hot", True),
        ("closed-form:labels=learned", False),
        ("closed-form:labels=centred", False),
        ("closed-form:loss=softmax", True),
        ("closed-form:loss=softmax,distilled_ridge=1.0", False),
        ("kip", False),
        ("kip:centred=false", True),
        ("kip:centred=false,labels=learned", False),
        ("kip:features=fcnn,labels=fixed", True),
        ("ld", True),
    ],
)
def test_soft_labels_are_asked_of_methods_that_may_have_them(small, method, applies):
    content = np.load(small)
    dataset = Dataset.from_arrays(*(content[name] for name in ("x_train", "y_train", "x_test", "y_test")), name="small")
    made = plan([dataset], parse_variant(method), ipcs=[1], seeds=[0], predictors=["mlp", "mlp+soft"], config={})
    assert made.sets[0].predictors == (("mlp", "mlp+soft") if applies else ("mlp",))


def test_a_kernel_matrix_of_too_many_points_is_left_out(run, tmp_path, monkeypatch):
    monkeypatch.setattr(plan_module, "LARGEST_KERNEL", 59)
    _, _, error = run(methods=["full"], predictors=["krr-common", "ridge"])
    assert "left out: full, small, krr-common: a kernel matrix of 60 points; at most 59 are solved" in error
    assert [row["predictor"] for row in rows_of(tmp_path)] == ["ridge"]


def test_bars_are_shown_on_a_terminal_only(run, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for stream, shown in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        out = "terminal" if shown else "file"
        run(methods=["kip:steps=3,target_batch=20"], predictors=["krr-own"], out=out)
        assert ("cells" in stream.getvalue()) == shown
        assert ("1/1" in stream.getvalue()) == shown


def test_without_torch_the_command_says_what_to_install():
    code = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name=name)

sys.meta_path.insert(0, Absent())
from analytic_dd.cli import main
sys.exit(main(["bench"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "analytic-dd: the iterative methods need torch; pip install 'analytic-dd[torch]'\n"


def test_spreads_over_seeds_and_over_networks_are_kept_apart():
    base = dict(zip(KEY, ("dc", "", "digits", 1, 0, "convnet"), strict=True)) | {"seconds": 2.0, "device": "cpu"}
    rows = [
        base | {"seed": seed, "accuracy": accuracy, "accuracy_std": std}
        for seed, accuracy, std in ((0, 0.5, 0.03), (1, 0.6, 0.04))
    ]
    (found,) = next(iter(summaries(rows).values())).values()
    assert found.accuracy == pytest.approx(0.55)
    assert found.over_seeds == pytest.approx(np.std([0.5, 0.6], ddof=1))
    assert found.over_networks == pytest.approx(np.sqrt((0.03**2 + 0.04**2) / 2))
    assert "55.0 (7.1; 3.5)" in table(rows)
    assert str(Summary(rows[:1])) == "50.0 (-; 3.0)"
    assert str(Summary([base | {"accuracy": None, "error": "x"}])) == "failed"


def test_every_name_is_a_method():
    assert [variant.method for name in names() for variant in parse_variant(name)] == ["closed-form", *names()]


def test_the_method_of_contributing_is_a_method_by_module_and_class(run, tmp_path, monkeypatch):
    text = (Path(__file__).parents[3] / "CONTRIBUTING.md").read_text()
    (code,) = (part.partition("```")[0] for part in text.split("```python\n# my_methods.py\n")[1:])
    (tmp_path / "my_methods.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for module in (registry, plan_module, protocol_module):
        monkeypatch.setattr(module, "METHODS", dict(KNOWN) if module is registry else registry.METHODS)
    predictors = ["ridge", "mlp+soft", "krr-own"]  # the last is left out: the method has no kernel
    status, _, error = run(methods=["my_methods:TowardsMeans:steps=5", "random"], predictors=predictors)
    assert (status, error) == (0, "")
    rows = [row for row in rows_of(tmp_path) if row["method"] == "towards-means"]
    assert [(row["predictor"], row["variant"], row["steps"]) for row in rows] == [
        ("ridge", "steps=5", 5),
        ("mlp+soft", "steps=5", 5),
    ]
    status, _, error = run(methods=["my_methods:Other"], out="other")
    assert (status, len(error.splitlines())) == (2, 1)
    assert "cannot import the method my_methods:Other" in error


def test_sets_of_unrolled_methods_are_scored_by_networks_that_take_their_own_steps(run, tmp_path):
    config = ["dd.width=5", "dd.network=mlp", "dd.batch=20", "dd.steps=2"]
    status, _, error = run(
        methods=["dd:inits=1", "dd:weights=fixed", "random"], predictors=["own-steps"], config=config
    )
    assert (status, error) == (0, "")
    rows = rows_of(tmp_path)
    assert [(row["method"], row["variant"]) for row in rows] == [("dd", "inits=1"), ("dd", "weights=fixed")]
    assert [len(row["accuracies"]) for row in rows] == [2, 1]  # fixed weights make one network
    assert [row["accuracy_std"] is None for row in rows] == [False, True]


def test_data_are_whitened_before_they_are_distilled(run, tmp_path):
    for words in ("zca", "zca:absolute=0.5"):
        assert run("--preprocess", words, methods=["random"], predictors=["ridge"], out=words)[0] == 0
    found = [rows_of(tmp_path, out)[0] for out in ("zca", "zca:absolute=0.5")]
    assert [row["data"] for row in found] == ["small, ZCA relative", "small, ZCA absolute=0.5"]
    assert len({row["settings"]["data_sha256"] for row in found}) == 2
    for words, message in (("pca", "unknown preprocessing 'pca'"), ("zca:relative=x", "must be a number, got 'x'")):
        status, _, error = run("--preprocess", words, out="never")
        assert (status, len(error.splitlines())) == (2, 1)
        assert message in error
