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
