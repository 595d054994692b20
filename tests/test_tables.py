"""Tables in README and docs are what the scripts write from the recorded runs."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "experiments"))
    spec = importlib.util.spec_from_file_location("tables", ROOT / "experiments" / "tables.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "tables", module)
    spec.loader.exec_module(module)
    return module


def test_every_table_is_up_to_date(tables):
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        assert tables.update(path.read_text()) == path.read_text(), f"{path}: run make tables"


def test_a_changed_figure_is_noticed(tables):
    text = (ROOT / "README.md").read_text()
    assert tables.update(text.replace("| pass |", "| fail |", 1)) == text
    assert "| pass |" in text
