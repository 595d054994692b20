"""docs/questions.md: the table names what there is, and its commands run."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import analytic_dd
from analytic_dd import cli
from analytic_dd.distill import modes
from analytic_dd.losses import LOSSES

PAGE = Path(__file__).parents[1] / "docs" / "questions.md"
ROWS = [
    [cell.strip() for cell in line.strip("|\n").split("|")] for line in PAGE.read_text().splitlines() if line[:1] == "|"
]
COMMANDS = {row[0]: command for row in ROWS[2:] for command in re.findall("`([^`]*)`", row[3])}
ASKED = ("cross-entropy", "lasso", "arrive weekly", "delete a person", "200 steps of gradient descent")  # by users


@pytest.mark.parametrize(("flag", "known"), [("mode", modes()), ("loss", LOSSES)])
def test_the_table_names_every_mode_and_loss_that_it_says_and_no_other(flag, known):
    named = set(re.findall(rf"--{flag} ([\w-]+)", PAGE.read_text()))
    assert named <= set(known)
    assert len(named) > 1
    for name in re.findall(r"`(\w+_set)\(", PAGE.read_text()):
        assert hasattr(analytic_dd, name) or hasattr(analytic_dd.distill, name), name


def test_every_question_of_users_has_a_row_with_what_answers_it():
    assert len(ROWS) > 12
    assert all(len(row) == 4 and row[1] and row[2] for row in ROWS)
    for words in ASKED:
        assert any(words in row[0] for row in ROWS), words


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a table of counts and a network of one's own."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 5))
    counts = rng.poisson(np.exp(0.3 * X[:, :2])).astype(float)
    np.savez(tmp_path / "counts.npz", x_train=X[:50], y_train=counts[:50], x_test=X[50:], y_test=counts[50:])
    (tmp_path / "my_network.py").write_text(
        "import torch\n\n\ndef build():\n    torch.manual_seed(0)\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 32), torch.nn.Tanh()).double()\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("question", COMMANDS)
def test_the_command_of_a_question_runs_and_its_set_passes(question, here, capsys):
    words = shlex.split(COMMANDS[question].removeprefix("distill"))
    data = ["--data", "counts.npz"] if "regress" in words else []
    assert cli.main(["distill", *data, *words, "--no-picture", "--out", "set"]) == 0, capsys.readouterr().err
    code = ["--features", words[words.index("--features") + 1]] if "--features" in words else []  # it is in no file
    assert cli.main(["verify", "set", *code]) == 0
