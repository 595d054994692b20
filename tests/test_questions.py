"""docs/questions.md: every snippet runs as it stands, and the table names what there is."""

import doctest
import re
from pathlib import Path

import pytest

import analytic_dd
from analytic_dd import cli
from analytic_dd.distill import modes
from analytic_dd.losses import LOSSES

PAGE = Path(__file__).parents[1] / "docs" / "questions.md"


def test_every_snippet_of_python_runs():
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    failed, tried = doctest.testfile(str(PAGE), module_relative=False, optionflags=flags)
    assert tried > 40
    assert failed == 0


def test_every_line_of_the_shell_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = [
        line for block in re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL) for line in block.split("\n")
    ]
    commands = [line.split()[1:] for line in lines if line.startswith("analytic-dd ")]
    assert len(commands) >= 2
    for command in commands:
        assert cli.main(command) == 0, capsys.readouterr()


@pytest.mark.parametrize(("flag", "known"), [("mode", modes()), ("loss", LOSSES)])
def test_the_table_names_every_mode_and_loss_that_it_says_and_no_other(flag, known):
    named = set(re.findall(rf"--{flag} ([\w-]+)", PAGE.read_text()))
    assert named <= set(known)
    assert len(named) > 1
    for name in re.findall(r"`(\w+_set)\(", PAGE.read_text()):
        assert hasattr(analytic_dd, name) or hasattr(analytic_dd.distill, name), name
