"""The command line on other systems: a home, a terminal, permissions, what is not installed."""

import os
import subprocess
import sys

import numpy as np
import pytest

from analytic_dd import cli
from analytic_dd.staging import locked


@pytest.fixture
def small(tmp_path):
    """A small set in the home folder of the test."""
    np.savez(tmp_path / "d.npz", x_train=np.random.default_rng(0).random((20, 4)), y_train=np.arange(20) % 2)
    return tmp_path / "d.npz"


def test_home_is_expanded_in_every_option(small, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for command in (
        ["distill", "--data=~/d.npz", "--out=~/results", "--no-picture"],
        ["stats", "--data=~/d.npz", "--out=~/sums.npz", "--state=~/state.npz"],
        ["merge", "~/sums.npz", "--out=~/merged.npz"],
        ["distill", "--from-stats=~/merged.npz", "--out=~/again", "--no-picture"],
        ["verify", "~/results", "~/again/distilled.npz"],
    ):
        assert cli.main(command) == 0, command
    found = {file.name for file in tmp_path.iterdir()}
    assert found == {"d.npz", "results", "sums.npz", "state.npz", "merged.npz", "again"}


def test_without_a_home_a_path_that_needs_one_is_named(monkeypatch, capsys):
    def none(_):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("analytic_dd.files.Path.expanduser", none)
    assert cli.main(["distill", "--out", "~/results"]) == 2
    assert "~/results begins with ~, and this user has no home folder" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_name_that_the_terminal_cannot_show_is_no_error(small, tmp_path, encoding):
    path = tmp_path / "d\u00e9j\u00e0-\u732b.npz"
    small.rename(path)
    words = ["-m", "analytic_dd", "distill", "--no-picture", "--data", path, "--out", tmp_path / "out"]
    done = subprocess.run(
        [sys.executable, *words], env=os.environ | {"PYTHONIOENCODING": encoding}, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "report.json").exists()


def test_an_error_of_the_file_system_names_the_file(capsys, monkeypatch):
    def denied(*_, **__):
        raise PermissionError(13, "Permission denied", "/some/folder")

    monkeypatch.setattr("analytic_dd.data.describe", denied)
    assert cli.main(["data", "list"]) == 2
    assert capsys.readouterr().err == "analytic-dd: /some/folder: Permission denied\n"


def test_control_codes_of_a_file_are_spelt_out(small, tmp_path, capsys):
    path = tmp_path / "d\x1b[2J\x07.npz"
    small.rename(path)
    assert cli.main(["distill", "--no-picture", "--data", str(path), "--out", str(tmp_path / "out")]) == 0
    assert cli.main(["verify", str(tmp_path / "none\x1b[2J")]) == 2
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out + captured.err
    assert "none\\x1b[2J" in captured.err


def test_of_two_runs_into_one_folder_the_second_is_told_of_the_first(small, tmp_path, capsys):
    with locked(tmp_path / "out"):
        assert cli.main(["distill", "--data", str(small), "--out", str(tmp_path / "out")]) == 2
    assert f"process {os.getpid()} on" in (error := capsys.readouterr().err)
    assert f"is writing to {tmp_path / 'out'}; wait until it ends" in error
    assert cli.main(["distill", "--data", str(small), "--out", str(tmp_path / "out"), "--no-picture"]) == 0


def test_what_is_not_installed_is_named(small, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)
    out = ["--out", str(tmp_path / "out")]
    assert cli.main(["distill", "--data", str(small), "--device", "cuda", *out]) == 2
    assert "device 'cuda' needs torch" in capsys.readouterr().err.replace("--device cuda", "device 'cuda'")

    def missing(*_, **__):
        raise ModuleNotFoundError("No module named 'zarr'", name="zarr")

    monkeypatch.setattr("analytic_dd.data.load", missing)
    assert cli.main(["distill", *out]) == 2
    assert "zarr is needed for this and not installed; pip install" in capsys.readouterr().err
