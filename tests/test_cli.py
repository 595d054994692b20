"""The command line: what it writes, what it prints, its exit status, and one clear line for every bad input."""

import json
import os
import re
import signal
import sys
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

from analytic_dd import __version__, cli, load_distilled, ridge_weights, theorems


@pytest.fixture
def run(capsys):
    """Run the command line and return (status, standard output, standard error).

    Drawing takes longer than all else, so the pictures are those of the tests that ask for them.
    """

    def call(*arguments, drawn=False):
        without = ["--no-picture"] if arguments[0] == "distill" and not drawn else []
        status = cli.main([*map(str, arguments), *without])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture
def refused(run, tmp_path):
    """Run a distillation that must fail: status 2, one line with every mention, nothing written."""

    def check(*arguments, mentions=(), out=None):
        folder = tmp_path / "refused" if out is None else out
        status, printed, error = run("distill", *arguments, "--out", folder, "--offline")
        assert status == 2, error
        assert printed == ""
        assert len(error.splitlines()) == 1
        assert "Traceback" not in error
        missing = [word for word in mentions if word not in error]
        assert not missing, f"{error!r} does not mention {missing}"
        assert not folder.is_dir() or os.listdir(folder) == []
        return error

    return check


@pytest.fixture
def small_set(tmp_path):
    """Write an npz of 3 classes of 4x5 images; return (path, arrays)."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(3), 20)
    arrays = {"x_train": rng.integers(0, 256, (60, 4, 5), dtype=np.uint8), "y_train": y}
    arrays |= {"x_test": arrays["x_train"][::2], "y_test": y[::2]}

    def write(**changes):
        path = tmp_path / "small.npz"
        np.savez(path, **{name: value for name, value in (arrays | changes).items() if value is not None})
        return path

    return write


def test_distill_writes_a_set_that_recovers_the_weights(run, ratio, tmp_path):
    status, printed, error = run("distill", "--out", tmp_path, drawn=True)
    assert (status, error) == (0, "")
    assert sorted(os.listdir(tmp_path)) == ["distilled.npz", "distilled.png", "report.json"]
    stored = load_distilled(tmp_path)
    assert stored.inputs.shape == (10, 64)
    W = ridge_weights(stored.inputs, stored.y, ridge=0.0)
    assert ratio(W, stored.w, size=10 + 64, amplification=stored.certify().amplification) < 30
    assert "pass" in printed


def test_report_has_what_the_design_promises(run, tmp_path):
    status, printed, _ = run("distill", "--out", tmp_path, "--json")
    report = json.loads((tmp_path / "report.json").read_text())
    assert status == 0
    assert set(report["accuracies"]) >= {"original", "distilled", "random", "class_mean"}
    assert report["accuracies"]["distilled"] == report["accuracies"]["original"]
    assert report["accuracies"]["random"] < report["accuracies"]["class_mean"] < report["accuracies"]["original"]
    for name in ("recovery", "recovery_from_pixels"):
        assert set(report[name]) >= {"relative_error", "verdict", "ratio", "condition"}
    assert report["recovery"]["verdict"] == "pass"
    assert {"reading", "features", "gram", "eigendecomposition", "construction"} <= set(report["seconds"])
    facts = {"format", "method", "theorem", "ridge", "distilled_ridge", "labels", "features", "dtype", "data"}
    assert set(report) >= facts
    assert {"name", "sha256"} <= set(report["data"])
    assert json.loads(printed)["recovery"] == report["recovery"]


@pytest.mark.parametrize(
    ("arguments", "points"),
    [
        (["--ipc", 3], 30),
        (["--points", 13], 13),
        (["--points", 100], 100),
        (["--labels", "centred"], 9),
        (["--labels", "learned", "--distilled-ridge", 5.0], 10),
        (["--distilled-ridge", 0.01, "--root", "small", "--ipc", 2], 20),
        (["--intercept"], 11),
        (["--ridge", 0], 10),
        (["--ridge", 3.5, "--dtype", "float32"], 10),
        (["--mode", "nearest", "--ipc", 2, "--references", "herding", "--distilled-ridge", 0.5], 20),
        (["--mode", "nearest", "--points", 23, "--tau", 0.1, "--references", "k-means", "--box"], 24),
        (["--mode", "one-image", "--features", "fcnn", "--largest-change", 0.02], 11),
        (["--mode", "one-image", "--intercept"], 10),
        (["--init", "real", "--references", "k-means"], 10),
    ],
)
def test_every_kind_of_set_is_certified_from_its_file(run, tmp_path, arguments, points):
    status, printed, _ = run("distill", *arguments, "--out", tmp_path, drawn=len(arguments) <= 2)
    assert status == 0, printed
    assert len(load_distilled(tmp_path).inputs) == points
    status, printed, _ = run("verify", tmp_path / "distilled.npz")
    assert status == 0
    assert ": pass:" in printed


@pytest.mark.parametrize(
    ("arguments", "points", "error"),
    [
        (["--features", "rff"], 10, 1e-9),
        (["--features", "rff:kernel=matern,nu=2.5,p=50", "--labels", "learned", "--distilled-ridge", 1.0], 10, 1e-10),
        (["--features", "rff:form=sincos,p=60", "--labels", "learned"], 20, 1e-10),
        (["--features", "rff", "--init", "real", "--ipc", 2], 20, 1e-9),
        (["--features", "fcnn"], 10, 1e-8),
        (["--features", "fcnn:depth=3", "--ipc", 2], 20, 1e-8),
        (["--features", "fcnn:activation=tanh", "--distilled-ridge", 1e-4, "--root", "small"], 10, 1e-8),
        (["--features", "cnn"], 10, 1e-8),
        (["--features", "cnn:depth=1,padding=zero", "--labels", "centred"], 9, 1e-8),
        (["--features", "inn"], 10, 1e-9),
        (["--features", "inn:coupling=residual,squeeze=haar", "--intercept"], 11, 1e-9),
        (["--features", "deep-linear"], 10, 1e-11),
        (["--features", "deep-linear:width=90"], 10, 1e-11),
        (["--features", "deep-linear:width=90,bias=true"], 11, 1e-11),
        (["--features", "deep-linear:width=90,bias=true", "--labels", "learned", "--distilled-ridge", 2.0], 10, 1e-11),
    ],
)
def test_every_map_is_certified_in_pixel_space(run, tmp_path, arguments, points, error):
    status, printed, _ = run("distill", *arguments, "--out", tmp_path)
    assert status == 0, printed
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["points"] == points
    assert report["recovery"]["verdict"] == "pass"
    assert report["recovery"]["relative_error"] <= error
    assert report["accuracies"]["distilled"] == report["accuracies"]["original"]
    assert report["labels_polished"] == ("learned" in arguments)


def test_references_come_from_a_file(run, refused, tmp_path, ratio):
    rng = np.random.default_rng(0)
    images, classes = rng.uniform(0, 16, (12, 8, 8)), np.arange(12) % 10
    np.save(tmp_path / "images.npy", images)
    np.savez(tmp_path / "images.npz", x=images.reshape(12, 64), y=classes)
    for file in ("images.npy", "images.npz"):
        status, printed, _ = run(
            "distill", "--mode", "nearest", "--references", tmp_path / file, "--out", tmp_path / "o"
        )
        assert status == 0, printed
        stored = load_distilled(tmp_path / "o")
        assert ratio(stored.references, images, size=1) < 30
        assert stored.meta["reference_classes"] == (classes.tolist() if file == "images.npz" else None)
    with_labels = ("--mode", "nearest", "--labels", "one-hot", "--references")
    assert run("distill", *with_labels, tmp_path / "images.npz", "--out", tmp_path / "o")[0] == 0
    refused(*with_labels, tmp_path / "images.npy", mentions=["one-hot", "classes of the references", "npz"])
    (tmp_path / "text.npy").write_text("nothing")
    refused("--mode", "nearest", "--references", tmp_path / "text.npy", mentions=["text.npy"])


def test_same_seed_same_file(run, tmp_path):
    for name in ("a", "b"):
        run("distill", "--out", tmp_path / name, "--ipc", 2, "--seed", 7)
    first, second = (load_distilled(tmp_path / name) for name in ("a", "b"))
    assert np.array_equal(first.inputs, second.inputs)
    run("distill", "--out", tmp_path / "c", "--ipc", 2, "--seed", 8)
    assert not np.array_equal(first.inputs, load_distilled(tmp_path / "c").inputs)


def test_verify_fails_on_a_planted_error(run, tmp_path):
    run("distill", "--out", tmp_path)
    with np.load(tmp_path / "distilled.npz") as stored:
        arrays = dict(stored)
    arrays["w"] = arrays["w"] * (1 + 1e-9 * np.random.default_rng(0).standard_normal(arrays["w"].shape))
    np.savez(tmp_path / "planted.npz", **arrays)
    status, printed, _ = run("verify", tmp_path / "planted.npz", tmp_path)
    assert status == 1
    assert "planted.npz: fail" in printed


def test_verify_checks_theorems(capfd):
    """In a process of its own, which writes to the same place."""
    assert cli.main(["verify"]) == 2
    assert "--theorems" in capfd.readouterr().err
    assert cli.main(["verify", "--theorems", "T2/exact"]) == 0
    assert "T2" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("code", "cause"), [("import missing_module", "No module named 'missing_module'"), ("def (", "SyntaxError")]
)
def test_theorems_that_cannot_be_imported_say_why(code, cause, run, tmp_path, monkeypatch):
    (tmp_path / "proofs_check").mkdir()
    (tmp_path / "proofs_check" / "__init__.py").write_text("")
    (tmp_path / "proofs_check" / "run.py").write_text(code + "\n")
    monkeypatch.setattr(theorems, "__file__", str(tmp_path / "analytic_dd" / "theorems.py"))
    status, _, error = run("verify", "--theorems")
    assert status == 2
    assert f"cannot be imported ({cause}" in error.replace("ModuleNotFoundError: ", "")
    assert len(error.splitlines()) == 1


def test_verify_says_what_it_can_of_some_files_and_fails_for_the_others(run, tmp_path):
    run("distill", "--out", tmp_path / "a")
    status, printed, error = run("verify", tmp_path / "a", tmp_path / "nosuch", tmp_path / "a" / "distilled.npz")
    assert status == 2
    lines = printed.splitlines()
    assert [line.split(": pass")[0] for line in lines[:-1]] == [
        str(tmp_path / "a"),
        str(tmp_path / "a" / "distilled.npz"),
    ]
    assert lines[-1].startswith("not known: a file does not show whether w is the best model")
    assert error.startswith("analytic-dd: cannot read")
    assert len(error.splitlines()) == 1
    assert "nosuch" in error
    assert list(json.loads(run("verify", "--json", tmp_path / "nosuch", tmp_path / "a")[1])) == [str(tmp_path / "a")]


def test_show_draws_the_grid_and_the_spectra(run, tmp_path):
    run("distill", "--out", tmp_path, drawn=True)
    (tmp_path / "distilled.png").unlink()
    for place in (tmp_path / "distilled.npz", tmp_path):
        status, printed, _ = run("show", place)
        assert status == 0
    for name in ("distilled.png", "spectrum.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.size[0] > 500
        assert name in printed
    assert run("distill", "--seed", 1, "--out", tmp_path, drawn=True)[0] == 0  # spectra of another set would be a lie
    assert sorted(file.name for file in tmp_path.iterdir()) == ["distilled.npz", "distilled.png", "report.json"]


def test_data_commands(run, monkeypatch, tmp_path):
    status, printed, _ = run("data", "list")
    assert status == 0
    assert "cifar100" in printed
    assert printed.split()[:2] == ["digits", "embedded"]
    assert "Listing(" not in printed
    status, printed, _ = run("data", "path", "--json")
    assert status == 0
    assert json.loads(printed)
    status, _, error = run("data", "fetch")
    assert status == 2
    assert "mnist" in error
    for action in ("list", "path"):
        status, printed, _ = run("data", action, "digits")
        assert (status, len(printed.splitlines())) == (0, 1)
        assert printed.split()[:2] in (["digits", "embedded"], ["digits:", "embedded"])
        status, printed, error = run("data", action, "nosuch")
        assert (status, printed) == (2, "")
        assert error.startswith("analytic-dd: unknown data 'nosuch'; known: digits,")
    (tmp_path / "cifar10-jpeg.tar.xz").touch()
    monkeypatch.setenv("ANALYTIC_DD_DATA", str(tmp_path))
    found = json.loads(run("data", "list", "cifar10", "--json")[1])["cifar10"]
    assert (found["state"], found["path"]) == ("found", str(tmp_path / "cifar10-jpeg.tar.xz"))


def test_help_and_usage(run):
    assert run("--version")[0] == 0
    assert run("distill", "--help")[0] == 0
    status, _, error = run("distil")
    assert status == 2
    assert len(error.splitlines()) == 1
    status, _, error = run("distill", "--ridge", "much")
    assert status == 2
    assert "expected loo, gcv, validation or a number >= 0, got 'much'" in error


@pytest.mark.parametrize(
    ("arguments", "mentions"),
    [
        (["--data", "minst"], ["minst", "did you mean mnist"]),
        (["--data", "no/such/path"], ["no/such/path"]),
        (["--data", ""], ["unknown data ''"]),
        (["--features", ""], ["unknown features ''"]),
        (["--features", "identitty"], ["identitty", "did you mean identity"]),
        (["--root", "lage"], ["did you mean large"]),
        (["--points", 0], ["points", ">= 1", "got 0"]),
        (["--points", 5, "--labels", "learned"], ["T1", "5 points", "rank W = 10", "few"]),
        (["--ridge", -1], ["ridge", ">= 0", "-1"]),
        (["--ridge", "nan"], ["ridge", "finite", "nan"]),
        (["--distilled-ridge", -0.5], ["--distilled-ridge must be", ">= 0", "-0.5"]),
        (["--distilled-ridge", 1e6], ["T3", "1e+06", "largest", "use --labels learned, or lower --distilled-ridge"]),
        (["--ridge", 1e300], ["1e+300", "too large", "smaller"]),
        (["--ridge", 0, "--solver", "refined"], ["positive definite", "--solver tsqr"]),
        (["--ridge", 1, 10, "--ipc", 5], ["several ridges", "--ipc 5"]),
        (["--device", "cuda:63"], ["cuda:63", "use --device cpu"]),
        (["--seed", -1], ["seed", ">= 0", "-1"]),
        (["--seed", 1.5], ["seed", ">= 0", "1.5"]),
        (["--features", "fcnn:depht=2"], ["depht", "depth"]),
        (["--features", "fcnn:activation=softplus"], ["softplus", "--mode near-copies"]),
        (["--features", "rff:p=100"], ["T8a", "100", "64"]),
        (["--features", "rff:form=sincos,p=60"], ["T8a", "learned"]),
        (
            ["--features", "deep-linear:width=90,bias=true", "--intercept"],
            ["T8e", "intercept", "leave the intercept out"],
        ),
        (["--features", "deep-linear:width=90,bias=true", "--mode", "few", "--points", 3], ["T8e", "use --mode exact"]),
        (["--mode", "nearest", "--points", 5], ["T1", "5 references", "rank W = 10"]),
        (["--mode", "nearest", "--references", "k-mean"], ["k-mean", "did you mean k-means"]),
        (["--mode", "nearest", "--references", "none.npz"], ["none.npz"]),
        (["--mode", "nearest", "--tau", -1], ["tau", ">= 0", "-1"]),
        (["--mode", "nearest", "--box", "--features", "fcnn"], ["Box", "fcnn", "identity"]),
        (["--mode", "nearest", "--features", "rff:form=sincos,p=60"], ["T8a", "circles"]),
        (["--mode", "one-image", "--points", 10], ["--points 10", "--mode one-image"]),
        (["--mode", "one-image", "--ipc", 1], ["--ipc 1", "--mode one-image"]),
        (["--mode", "one-image", "--labels", "one-hot"], ["unknown labels", "one-hot", "centred"]),
        (["--mode", "one-image", "--features", "fcnn:activation=relu"], ["T9", "Jacobian", "strictly monotone"]),
        (["--mode", "one-image", "--features", "rff:p=100"], ["T9", "rank p = 100"]),
        (["--mode", "one-image", "--tau", 1], ["tau", "nearest"]),
        (["--largest-change", 0.1], ["--largest-change 0.1", "--mode one-image"]),
    ],
)
def test_bad_options_are_one_line(refused, arguments, mentions):
    refused(*arguments, mentions=mentions)


def test_bad_arrays_are_one_line(refused, small_set):
    x = np.zeros((60, 4, 5))
    x[17, 2, 3] = np.nan
    refused(
        "--data", small_set(x_train=x, x_test=np.zeros((30, 4, 5))), mentions=["nan", "sample 17", "position (2, 3)"]
    )
    refused("--data", small_set(x_train=None), mentions=["x_train"])
    for options in ((), ("--intercept",), ("--ridge", 0), ("--ridge", 1, "--mode", "nearest")):
        zeros = small_set(x_train=np.zeros((60, 4, 5)), x_test=np.zeros((30, 4, 5)))
        refused("--data", zeros, *options, mentions=["features of all samples are zero"])
    noise = np.random.default_rng(0).standard_normal((60, 4, 5))
    huge = small_set(x_train=1e200 * noise, x_test=noise[:30])
    refused("--data", huge, mentions=["overflow when they are squared", "divide"])
    refused("--data", small_set(x_train=1e-200 * noise, x_test=noise[:30]), mentions=["too small"])


@pytest.mark.parametrize(
    ("options", "used"),
    [
        ((), False),
        (("--ipc", 2), True),
        (("--intercept",), True),
        (("--mode", "few", "--points", 4), False),
        (("--features", "rff:p=32"), True),
    ],
)
def test_the_report_knows_whether_real_samples_took_part(run, tmp_path, options, used):
    inputs = []
    for init in ("random", "real"):
        status, printed, _ = run("distill", *options, "--init", init, "--out", tmp_path)
        assert status == 0
        inputs.append(load_distilled(tmp_path).inputs)
    assert ("privacy (T17)" if used else "init real had no effect") in printed
    assert json.loads((tmp_path / "report.json").read_text())["init_used"] is used
    assert used is not np.array_equal(*inputs)


def test_hostile_distilled_sets_are_one_line(run, tmp_path):
    run("distill", "--out", tmp_path)
    with np.load(tmp_path / "distilled.npz") as stored:
        arrays = dict(stored)
    real = {"references": np.zeros((10, 8, 8))}
    cases = {
        "references that are no numbers": arrays | {"references": np.full((10, 8, 8), np.nan)},
        "references in bytes": arrays | {"references": np.zeros((10, 8, 8), np.uint8)},
        "means of another size": arrays | real | {"class_means": np.zeros((10, 8, 7))},
        "missing": {name: value for name, value in arrays.items() if name != "y"},
        "nan": arrays | {"inputs": np.full_like(arrays["inputs"], np.nan)},
        "extra": arrays | {"more": np.zeros(3)},
        "meta": arrays | {"meta": np.frombuffer(b"{}", np.uint8)},
    }
    for name, content in cases.items():
        np.savez(tmp_path / f"{name}.npz", **content)
        status, printed, error = run("verify", tmp_path / f"{name}.npz")
        assert (status, printed) == (2, ""), name
        assert len(error.splitlines()) == 1
    status, _, error = run("verify", tmp_path / "none.npz")
    assert status == 2
    assert "none.npz" in error


def test_an_interrupt_leaves_the_previous_result(run, tmp_path, monkeypatch):
    """Signals themselves, at any line, are sent by faults/test_kills."""
    run("distill", "--out", tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)}
    monkeypatch.setattr(sys.modules["analytic_dd.report.run"], "distil", Mock(side_effect=KeyboardInterrupt))
    told = "analytic-dd: interrupted; what was there before is intact\n"
    assert run("distill", "--out", tmp_path) == (130, "", told)
    assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == before


def test_an_interrupt_while_the_command_line_is_loaded_is_one_line(monkeypatch, capsys):
    from analytic_dd.__main__ import main

    class Interrupted:
        def __getattr__(self, name):
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "analytic_dd.cli", Interrupted())
    assert main() == 130
    assert capsys.readouterr().err == "analytic-dd: interrupted; what was there before is intact\n"


def test_the_version_is_the_same_everywhere():
    root = Path(__file__).parents[1]
    assert f'\nversion = "{__version__}"\n' in (root / "pyproject.toml").read_text(encoding="utf-8")
    assert f"\nversion: {__version__}\n" in (root / "CITATION.cff").read_text(encoding="utf-8")
    head = re.search(r"^## (\S+)( \(unreleased\))?$", (root / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert __version__ == head[1] + (".dev0" if head[2] else "")


@pytest.mark.parametrize("handler", [signal.SIG_DFL, lambda *_: None])
def test_a_program_that_calls_the_command_line_has_its_own_handler_of_stops(run, handler):
    """A process that could not be stopped any more would need a kill."""
    before = signal.signal(signal.SIGTERM, handler)
    try:
        assert run("data", "list")[0] == 0
        assert run("distill", "--no-such-flag")[0] == 2
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_few_points_say_what_of_the_weights_is_lost(run, ratio, tmp_path):
    status, printed, _ = run("distill", "--mode", "few", "--points", 5, "--out", tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    run("distill", "--out", tmp_path / "whole")
    W, kept = (load_distilled(folder).w for folder in (tmp_path / "whole", tmp_path))
    lost = np.linalg.norm(W - kept) / np.linalg.norm(W)
    assert ratio(report["error_to_original"], lost, size=10 + 64, amplification=1 / lost) < 30
    assert status == 0
    assert f"W itself is missed by {lost:.2g}" in printed
    assert "refitted weights differ from the part of W that so few points keep (T7) by" in printed


def test_a_set_that_misses_the_weights_says_so(run, tmp_path):
    status, printed, _ = run("distill", "--features", "cnn:depth=20", "--out", tmp_path)
    assert (status, "inconclusive" in printed, "warning: the set misses W by" in printed) == (0, True, True)
    assert "warning" not in run("distill", "--out", tmp_path)[1]


@pytest.mark.parametrize("arguments", [("out/one", "--theorems", "T2"), ("out/one", "--deep"), ()])
def test_verify_does_not_leave_out_half_of_what_is_asked(run, arguments):
    status, printed, error = run("verify", *arguments)
    assert (status, printed) == (2, "")
    assert "--theorems" in error
