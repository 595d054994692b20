"""A method outside of the package, installed or named by its module, scored from the command line."""

import shutil
from pathlib import Path

import pytest

from analytic_dd import cli
from analytic_dd.baselines.bench.journal import read_rows
from analytic_dd.baselines.methods import registry


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A distribution with one module and one entry point on the path, as an installer leaves it."""
    shutil.copy(Path(__file__).parents[1] / "shrinking_methods.py", tmp_path)
    about = tmp_path / "shrinking-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: shrinking\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[analytic_dd.methods]\nsmaller = shrinking_methods:Shrinking\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = dict(registry.METHODS)
    yield tmp_path
    registry.METHODS.clear()
    registry.METHODS.update(before)


@pytest.mark.parametrize("name", ["smaller", "shrinking_methods:Shrinking"])
def test_a_method_outside_of_the_package_is_scored(name, installed, capsys):
    words = ["bench", "--methods", f"{name}:steps=3", "random", "--predictors", "ridge", "--seeds", "0"]
    words += ["--out", str(installed / "out")]
    assert cli.main([*words, "--dry-run"]) == 0
    assert cli.main([*words, "--estimate"]) == 0
    assert "3 steps; " in capsys.readouterr().out
    assert cli.main(words) == 0
    rows = {row["method"]: row for row in read_rows(installed / "out" / "bench.jsonl")}
    assert rows["shrinking"]["config"] == {"steps": 3}
    assert rows["shrinking"]["ledger"]["steps"] == 3


def test_a_name_that_nobody_gave_is_refused_with_the_known_ones(installed, capsys):
    assert registry.method_type("smaller").name == "shrinking"
    assert cli.main(["bench", "--methods", "smallest", "--out", str(installed / "out")]) == 2
    assert "unknown method 'smallest'" in capsys.readouterr().err
