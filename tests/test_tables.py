"""Tables in README and docs are what the scripts write from the recorded runs."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def tables(scripts_as_modules):
    return scripts_as_modules("tables")["tables"]


def test_every_table_is_up_to_date(tables):
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        assert tables.update(path.read_text()) == path.read_text(), f"{path}: run make tables"


def test_a_changed_figure_is_noticed(tables):
    text = (ROOT / "README.md").read_text()
    assert tables.update(text.replace("| pass |", "| fail |", 1)) == text
    assert "| pass |" in text
