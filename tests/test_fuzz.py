"""Every reader takes mutated files of its format: a few here, minutes of them by ``python -m fuzz``."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analytic_dd import distill
from analytic_dd.errors import DataError
from fuzz.targets import TARGETS, Fault, TimeoutHang, judged, within

ROOT = Path(__file__).parents[1]


def test_mutated_files_are_read_or_refused_in_one_line_of_ours(tmp_path):
    command = [sys.executable, "-m", "fuzz", "--runs", "8", "--keep", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    found = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, found["faults"]) == (0, 0), done.stdout
    assert found["runs"] == 8 * len(TARGETS)
    assert min(found["read"], found["refused"]) > len(TARGETS)


def raising(error):
    def read(path):
        raise error

    return read


@pytest.mark.parametrize("error", [KeyError("x"), RecursionError(), MemoryError(), TimeoutHang(), SystemExit(1)])
def test_what_escapes_a_reader_is_a_fault(error, tmp_path):
    with pytest.raises(Fault, match=type(error).__name__):
        within(5.0, raising(error), tmp_path)


def test_a_message_of_another_library_is_a_fault(tmp_path):
    with pytest.raises(Fault, match=r"ValueError of .*could not convert"):
        within(5.0, lambda path: np.array(["a", "b"]).astype(float).reshape(3), tmp_path)


def test_a_reader_that_hangs_is_a_fault(tmp_path):
    def endless(path):
        while True:
            pass

    with pytest.raises(Fault, match="TimeoutHang"):
        within(0.05, endless, tmp_path)


def test_a_refusal_of_ours_and_an_answer_are_none(tmp_path):
    def refuse(path):
        distill(np.ones((2, 2)), None)

    assert within(5.0, refuse, tmp_path) == "refused"
    assert within(5.0, lambda path: None, tmp_path) == "read"
    with pytest.raises(DataError):
        refuse(tmp_path)


def test_a_set_that_passes_and_does_not_hold_its_weights_is_a_fault(monkeypatch):
    rng = np.random.default_rng(0)
    made = distill(rng.standard_normal((30, 5)), np.arange(30) % 3)
    judged(made)
    found = made.certify()
    forged = replace(made, y=made.y + 0.01 * rng.standard_normal(made.y.shape))
    monkeypatch.setattr(type(made), "certify", lambda self: found)
    monkeypatch.setattr(type(made), "false_claims", lambda self, certificate: [])
    with pytest.raises(Fault, match="accepted with an error"):
        judged(forged)
