"""The command line, the planted errors, and the generated README."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from proofs_check import readme, registry
from proofs_check import run as command
from proofs_check.check import Check, Outcome
from proofs_check.mutations import main as mutations_main
from proofs_check.mutations import plant, run_mutations
from proofs_check.planted import MUTATIONS, Mutation


def test_ids_choose_theorems_families_and_strengths() -> None:
    assert {check.theorem for check in registry.chosen(["T8"])} == {"T8a", "T8b", "T8c", "T8d", "T8e"}
    assert {check.strength for check in registry.chosen(["T3/ball"])} == {"ball"}
    assert [check.id for check in registry.chosen(["T3/exact/limit"])] == ["T3/exact/limit"]
    assert {check.theorem for check in registry.chosen(["T1"])} == {"T1"}
    assert len(registry.chosen()) == len(registry.CHECKS)


def test_table_and_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["T4'"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["theorem", "strength", "check"]
    assert lines[-1].endswith(" s")
    assert "0 failed" in lines[-1]


def test_json_rows(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["T5/exact", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["worst"] for row in rows} == {"exact"}
    assert all(row["passed"] and row["seconds"] >= 0.0 for row in rows)


def test_unknown_id_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["T14"]) == 2
    assert "unknown id 'T14'" in capsys.readouterr().err


def test_a_failing_check_makes_the_exit_status_1(monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    broken = Check("T1", "exact", "broken", "1 = 2", lambda deep, negate: Outcome(False, 1, "differs", "everywhere"))
    monkeypatch.setattr(command, "chosen", lambda ids: [broken])
    assert command.main([]) == 1
    assert "FAILED everywhere" in capsys.readouterr().out


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: f"{m.file}: {m.error}")
def test_planted_error_still_applies(mutation: Mutation) -> None:
    source = (Path(command.__file__).parents[1] / "analytic_dd" / mutation.file).read_text()
    assert source.count(mutation.old) == 1, "the package has changed: change proofs_check/planted.py too"
    assert mutation.new not in (mutation.old, "")


def test_planted_errors_are_many_and_different() -> None:
    assert len(MUTATIONS) >= 25
    assert len({(m.file, m.old, m.new) for m in MUTATIONS}) == len(MUTATIONS)


def test_an_error_that_does_not_apply_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must occur once, occurs 0 times"):
        plant(Mutation("none", "distill/exact.py", "no such text", ""), tmp_path)


def test_some_planted_errors_are_caught_and_a_harmless_change_is_not() -> None:
    wanted = {"swapped roots", "wrong constant in T3's limit", "features are scaled without labels"}
    some = [m for m in MUTATIONS if m.error in wanted]
    harmless = Mutation("harmless", "distill/few.py", "from __future__", "# a comment\nfrom __future__")
    catches = run_mutations([*some, harmless])
    assert len(some) == 3
    assert all(catch.caught_by for catch in catches[:-1])
    assert not catches[-1].caught_by


@pytest.mark.slow
def test_all_planted_errors_are_caught(capsys: pytest.CaptureFixture[str]) -> None:
    assert mutations_main([]) == 0, capsys.readouterr().out


def test_readme_is_the_recorded_run() -> None:
    recorded = json.loads(readme.RECORD.read_text())
    assert (readme.HERE / "README.md").read_text() == readme.render(recorded)


def test_recorded_run_has_every_check_and_planted_error_and_none_failed() -> None:
    recorded = json.loads(readme.RECORD.read_text())
    for rows in recorded["runs"].values():
        ids = ["/".join((row["theorem"], row["strength"], row["name"])) for row in rows]
        assert ids == [check.id for check in registry.CHECKS], "record again: python -m proofs_check.readme --record"
        assert all(row["passed"] for row in rows)
    assert [(c["file"], c["error"]) for c in recorded["mutations"]] == [(m.file, m.error) for m in MUTATIONS]
    assert all(c["caught_by"] for c in recorded["mutations"])
    assert sum(row["seconds"] for row in recorded["runs"]["quick"]) < 60.0
    assert sum(row["seconds"] for row in recorded["runs"]["deep"]) < 900.0
