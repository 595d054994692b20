"""docs/theory has a page for every theorem; its examples run, and it names the checks that exist."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from proofs_check.registry import CHECKS

PAGES = sorted((Path(__file__).resolve().parents[2] / "docs" / "theory").glob("T*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_example_runs(page: Path) -> None:
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    failed, tried = doctest.testfile(str(page), module_relative=False, optionflags=flags)
    assert tried > 0
    assert failed == 0


def test_pages_name_the_checks_of_their_theorems() -> None:
    for page in PAGES:
        text = " ".join(page.read_text().split())
        number = int(page.stem[1:])
        here = [check for check in CHECKS if int(re.sub(r"\D", "", check.theorem)) == number]
        assert here
        for check in here:
            assert re.search(rf"\b{check.name}\b", text), f"{page.name} does not name {check.id}"


def test_every_theorem_has_a_page() -> None:
    numbers = {int(re.sub(r"\D", "", check.theorem)) for check in CHECKS}
    assert {int(page.stem[1:]) for page in PAGES} == numbers
