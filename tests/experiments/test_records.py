"""A recorded file states its facts once, for all its rows: rows of another run are not mixed in."""

import pytest


@pytest.fixture
def records(scripts_as_modules):
    return scripts_as_modules("records")["records"]


def test_a_part_may_be_run_again_with_the_same_facts(records, tmp_path):
    path = tmp_path / "run.json"
    records.record(path, [{"map": "a", "error": 1.0}, {"map": "b", "error": 2.0}], seed=0)
    rows = records.with_others(path, [{"map": "b", "error": 3.0}], ("map",), seed=0)
    assert rows == [{"map": "a", "error": 1.0}, {"map": "b", "error": 3.0}]


def test_rows_of_another_seed_are_not_mixed(records, tmp_path):
    path = tmp_path / "run.json"
    records.record(path, [{"map": "a"}, {"map": "b"}], seed=0)
    with pytest.raises(SystemExit, match=r"run\.json has rows of other seed; run all of it again"):
        records.with_others(path, [{"map": "b"}], ("map",), seed=1)
    assert len(records.with_others(path, [{"map": "a"}, {"map": "b"}], ("map",), seed=1)) == 2


def test_rows_of_another_version_of_the_package_stay_and_name_it(records, tmp_path, monkeypatch):
    path = tmp_path / "run.json"
    for version, new in (("1", "a"), ("2", "b"), ("3", "c")):
        monkeypatch.setattr(records, "versions", lambda version=version: {"python": "3", "analytic-dd": version})
        rows = records.with_others(path, [{"map": new}], ("map",))
        records.record(path, rows)
    assert rows == [{"analytic-dd": "1", "map": "a"}, {"analytic-dd": "2", "map": "b"}, {"map": "c"}]
    monkeypatch.setattr(records, "versions", lambda: {"python": "4", "analytic-dd": "3"})
    with pytest.raises(SystemExit, match="rows of other versions"):
        records.with_others(path, [{"map": "c"}], ("map",))
