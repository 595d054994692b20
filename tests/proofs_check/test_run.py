"""The command line and the generated README."""

from __future__ import annotations

import json

import pytest

from proofs_check import readme, registry
from proofs_check import run as command
from proofs_check.check import Check, Outcome


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


def test_readme_is_the_recorded_run() -> None:
    recorded = json.loads(readme.RECORD.read_text())
    assert (readme.HERE / "README.md").read_text() == readme.render(recorded)


def test_recorded_run_has_every_check_and_none_failed() -> None:
    recorded = json.loads(readme.RECORD.read_text())
    for rows in recorded["runs"].values():
        ids = ["/".join((row["theorem"], row["strength"], row["name"])) for row in rows]
        assert ids == [check.id for check in registry.CHECKS], "record again: python -m proofs_check.readme --record"
        assert all(row["passed"] for row in rows)
