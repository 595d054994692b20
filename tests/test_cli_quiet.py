"""What the command line says where it is asked to be quiet, and where the checks of theorems are not to be had."""

from __future__ import annotations

import logging
import os

import pytest

from analytic_dd import cli, theorems
from analytic_dd.clock import Clock


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("quiet")
    assert cli.main(["distill", "--quiet", "--no-picture", "--out", str(made)]) == 0
    return str(made)


def test_quiet_prints_errors_only(folder, capfd):
    for command in (["verify", folder], ["show", folder, "--format", "svg"], ["data", "list"]):
        assert cli.main([*command, "--quiet"]) == 0
    assert capfd.readouterr() == ("", "")
    assert sorted(name for name in os.listdir(folder) if name.endswith("svg")) == ["distilled.svg", "spectrum.svg"]
    assert cli.main(["verify", "--quiet", f"{folder}/gone"]) == 2
    out, err = capfd.readouterr()
    assert (out, "gone" in err) == ("", True)


def test_pictures_need_no_display(folder, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "module://a_backend_that_is_not_there")
    assert cli.main(["show", folder, "--quiet"]) == 0
    assert os.environ["MPLBACKEND"] == "Agg"


def test_an_installed_package_checks_the_theorems_of_the_clone_that_it_runs_in(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(theorems, "__file__", str(tmp_path / "installed" / "analytic_dd" / "theorems.py"))
    monkeypatch.chdir(tmp_path)
    assert cli.main(["verify", "--theorems", "T1"]) == 2
    assert "run this in the folder of a clone" in capfd.readouterr().err
    for file, code in (("analytic_dd/theorems.py", ""), ("proofs_check/__init__.py", "print('checked')\n")):
        (tmp_path / file).parent.mkdir()
        (tmp_path / file).write_text(code)
    (tmp_path / "proofs_check" / "run.py").touch()
    assert cli.main(["verify", "--theorems", "T1"]) == 0
    assert "checked" in capfd.readouterr().out


def test_stages_are_logged(caplog):
    with caplog.at_level(logging.INFO, logger="analytic_dd"), Clock()("reading"):
        pass
    assert [(record.name, record.getMessage().split(":")[0]) for record in caplog.records] == [
        ("analytic_dd", "reading")
    ]


def test_sets_of_bench_without_weights_are_drawn_and_not_certified(tmp_path, capsys):
    given = ["--data", "digits", "--methods", "class_mean", "--ipc", "1", "--predictors", "krr-common"]
    assert cli.main(["bench", *given, "--out", str(tmp_path), "--quiet"]) == 0
    made = sorted((tmp_path / "sets").glob("*.npz"))[0]
    assert cli.main(["show", str(made)]) == 0
    assert "no weights to certify" in capsys.readouterr().out
    assert made.with_suffix(".png").exists()
    for command in (["show", str(tmp_path)], ["export", str(tmp_path), "--to", "torch"]):
        assert cli.main(command) == 2
        assert f"folder of bench; name one of its sets, such as {made}" in capsys.readouterr().err
    assert cli.main(["verify", str(made)]) == 1
    assert "names no weights: there is nothing to certify" in capsys.readouterr().out
