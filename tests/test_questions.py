"""docs/questions.md: the table names what there is."""

import re
from pathlib import Path

import pytest

import analytic_dd
from analytic_dd.distill import modes
from analytic_dd.losses import LOSSES

PAGE = Path(__file__).parents[1] / "docs" / "questions.md"


@pytest.mark.parametrize(("flag", "known"), [("mode", modes()), ("loss", LOSSES)])
def test_the_table_names_every_mode_and_loss_that_it_says_and_no_other(flag, known):
    named = set(re.findall(rf"--{flag} ([\w-]+)", PAGE.read_text()))
    assert named <= set(known)
    assert len(named) > 1
    for name in re.findall(r"`(\w+_set)\(", PAGE.read_text()):
        assert hasattr(analytic_dd, name) or hasattr(analytic_dd.distill, name), name
