"""The journal: rows survive an interrupt at any byte, and a line that is no row is named."""

import json

import pytest

from analytic_dd.baselines.bench.journal import KEY, Journal, cell_key, read_rows
from analytic_dd.errors import DataError


def row(seed=0, accuracy=0.5, **others):
    """A row with everything that a row must have."""
    facts = {"method": "kip", "variant": "", "data": "digits", "ipc": 1, "seed": seed, "predictor": "convnet"}
    return facts | {"accuracy": accuracy, "seconds": 1.0, "device": "cpu"} | others


@pytest.fixture
def path(tmp_path):
    return tmp_path / "bench.jsonl"


def test_what_is_appended_is_read(path):
    journal = Journal(path, resume=False)
    journal.append(row(0))
    journal.append(row(1, note="é", spread=float("nan"), list=(1, 2)))
    found = read_rows(path)
    assert [one["seed"] for one in found] == [0, 1]
    assert (found[1]["spread"], found[1]["list"], found[1]["note"]) == (None, [1, 2], "é")
    assert path.read_bytes().count(b"\n") == 2


def test_the_last_row_of_a_cell_counts(path):
    journal = Journal(path, resume=False)
    for accuracy in (0.1, 0.2):
        journal.append(row(0, accuracy))
    assert [one["accuracy"] for one in read_rows(path)] == [0.2]
    assert journal.find(cell_key(row(0)))["accuracy"] == 0.2
    assert journal.find(cell_key(row(1))) is None


def test_a_torn_line_at_any_byte_costs_that_row_only(path):
    journal = Journal(path, resume=False)
    for seed in (0, 1):
        journal.append(row(seed))
    content = path.read_bytes()
    first = content.index(b"\n") + 1
    for length in range(first, len(content) + 1):
        path.write_bytes(content[:length])
        complete = length >= len(content) - 1  # a whole row without its end is a row
        assert [one["seed"] for one in read_rows(path)] == ([0, 1] if complete else [0])
        again = Journal(path, resume=True)
        assert again.repaired == (0 if complete else length - first)
        again.append(row(2))
        assert [one["seed"] for one in read_rows(path)] == ([0, 1, 2] if complete else [0, 2])
        assert all(json.loads(line) for line in path.read_text().splitlines())


def test_rows_are_not_overwritten_unasked(path):
    Journal(path, resume=False).append(row())
    with pytest.raises(DataError, match=r"has 1 rows; go on with --resume, or choose another --out"):
        Journal(path, resume=False)
    assert len(read_rows(path)) == 1


@pytest.mark.parametrize(
    "line",
    [
        *("not json", "[1, 2]", "{}", json.dumps(dict.fromkeys(KEY, 0)), ""),
        *(json.dumps(row(**{name: value})) for name, value in (("data", ["a"]), ("learned", "a"), ("accuracy", "a"))),
    ],
)
def test_a_line_that_is_no_row_is_named(path, line):
    path.write_text(json.dumps(row()) + "\n" + line + "\n" + json.dumps(row(1)) + "\n")
    for read in (read_rows, lambda file: Journal(file, resume=True)):
        with pytest.raises(DataError, match="line 2 is not a row"):
            read(path)


def test_an_empty_file_is_no_journal_of_another_run(path):
    path.write_bytes(b"")
    Journal(path, resume=False).append(row())
    assert len(read_rows(path)) == 1


def test_a_place_that_cannot_be_written_is_named(path):
    path.write_text("")
    with pytest.raises(OSError, match="cannot read"):
        Journal(path / "bench.jsonl", resume=False).append(row())


def test_a_folder_in_the_place_of_the_file_is_named(path):
    path.mkdir()
    with pytest.raises(OSError, match="cannot read"):
        read_rows(path)
