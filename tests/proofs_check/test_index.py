"""index.toml, the code, the tests and the checks are in step."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from proofs_check.registry import CHECKS

ROOT = Path(__file__).resolve().parents[2]
THEOREMS = tomllib.loads((ROOT / "proofs_check" / "index.toml").read_text())["theorem"]
IDS = [theorem["id"] for theorem in THEOREMS]
_ID = re.compile(r"\bT\d+(?:'|[a-e]\b)?")
_WORDS = {"id", "title", "statement", "formula", "hypotheses", "implementation", "source", "status"}
_FIELDS = _WORDS | {"modules", "tests", "checks"}


def _cited() -> dict[str, set[str]]:
    """Ids that docstrings of the package cite after 'Theorem:', with the modules that do."""
    cited: dict[str, set[str]] = {}
    for path in sorted((ROOT / "analytic_dd").rglob("*.py")):
        for line in re.findall(r"Theorem: (.*)", path.read_text()):
            for name in _ID.findall(line):
                cited.setdefault(name, set()).add(str(path.relative_to(ROOT / "analytic_dd")))
    return cited


def test_index_has_every_theorem_once() -> None:
    assert len(set(IDS)) == len(IDS)
    numbers = {int(re.sub(r"\D", "", name)) for name in IDS}
    assert numbers == set(range(1, 26)) - {14}  # T14 was never given


def test_every_id_in_the_code_is_in_the_index() -> None:
    families = {re.sub(r"[a-e]$", "", name) for name in IDS}
    assert {name for name in _cited() if name not in IDS and name not in families} == set()


def test_entries_are_complete_and_true() -> None:
    cited = _cited()
    for theorem in THEOREMS:
        _entry_is_complete_and_true(theorem, cited.get(theorem["id"], set()))


def _entry_is_complete_and_true(theorem: dict, cited: set[str]) -> None:
    name = theorem["id"]
    assert _FIELDS <= set(theorem) <= _FIELDS | {"note"}
    assert theorem["status"] in {"proved", "conjectured"}
    if theorem["implementation"] == "package":
        assert theorem["modules"], f"{name}: say which module implements it"
        for module in theorem["modules"]:
            assert module in cited, f"{name}: analytic_dd/{module} does not say 'Theorem: {name}'"
    else:
        assert theorem["implementation"] == "not yet implemented"
        assert not theorem["modules"]
        assert not cited, f"{name} has code now ({', '.join(sorted(cited))}): name it in proofs_check/index.toml"
    assert theorem["tests"], f"{name} has no test"
    for test in theorem["tests"]:
        assert (ROOT / test).is_file(), test
    assert any(name in (ROOT / test).read_text() for test in theorem["tests"])


def test_entries_list_their_checks() -> None:
    for theorem in THEOREMS:
        named = [f"{theorem['id']}/{check}" for check in theorem["checks"]]
        assert named == [check.id for check in CHECKS if check.theorem == theorem["id"]]
        strengths = {check.split("/")[0] for check in theorem["checks"]}
        assert strengths & {"exact", "ball"}, f"{theorem['id']} has no rigorous check"


def test_every_check_belongs_to_a_theorem_of_the_index() -> None:
    assert {check.theorem for check in CHECKS} == set(IDS)
