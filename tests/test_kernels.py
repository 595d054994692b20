"""The runner of the numerical tests over OpenBLAS kernels: what it runs, what it names as skipped, what it prints."""

import importlib.util
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest


@pytest.fixture
def kernels(monkeypatch):
    spec = importlib.util.spec_from_file_location("kernels", Path(__file__).with_name("kernels.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    return module


def answers(module, monkeypatch, replies):
    """Replace the children: a return code, the text of stdout and of stderr for each kernel."""

    def child(command, *, env, **_):
        code, out, err = replies[env["OPENBLAS_CORETYPE"]]
        return SimpleNamespace(returncode=code, stdout=out, stderr=err)

    monkeypatch.setattr(module.subprocess, "run", child)


def test_the_probe_says_what_ran_or_why_not(kernels, monkeypatch):
    replies = {
        "Haswell": (0, '["Haswell"]', ""),
        "SkylakeX": (-signal.SIGILL, "", ""),
        "Zen": (0, '["Haswell", "Zen"]', ""),
        "Nehalem": (1, "", "Traceback\nImportError: numpy"),
    }
    answers(kernels, monkeypatch, replies)
    assert kernels.probe("Haswell") == ("Haswell", "")
    assert kernels.probe("SkylakeX") == ("", "the processor does not have its instructions")
    assert kernels.probe("Zen") == ("", "numpy and scipy run ['Haswell', 'Zen']")
    assert "ImportError: numpy" in kernels.probe("Nehalem")[1]


def test_every_kernel_runs_once_with_each_number_of_threads_and_order(kernels, monkeypatch, capsys):
    ran = {"Prescott": "Katmai", "Haswell": "Haswell", "Zen": "Haswell"}
    done = []

    def run(kernel, threads, order, tests):
        done.append((kernel, threads, order))
        return {"code": 0, "passed": 7, "failed": 0, "worst": 2.5, "where": "tests/a.py::test_b", "blas": []}

    monkeypatch.setattr(kernels, "probe", lambda kernel: (ran.get(kernel, ""), "" if kernel in ran else "no"))
    monkeypatch.setattr(kernels, "run", run)
    assert kernels.main(["tests"]) == 0
    assert done == [(kernel, n, order) for kernel in ("Prescott", "Haswell") for n in (1, 2) for order in "CF"]
    out = capsys.readouterr().out
    assert "Nehalem: skipped, no" in out
    assert "Zen: skipped, OpenBLAS runs Haswell for it, as for Haswell" in out
    assert "| Prescott (Katmai) | 2 | F | 7 | 0 | 2.5 | tests/a.py::test_b |" in out


def test_a_failure_is_the_exit_code(kernels, monkeypatch):
    monkeypatch.setattr(kernels, "probe", lambda kernel: (kernel, ""))
    monkeypatch.setattr(kernels, "run", lambda *_: {"code": 1})
    assert kernels.main(["tests", "--kernels", "Haswell"]) == 1
    monkeypatch.setattr(kernels, "probe", lambda kernel: ("", "no"))
    assert kernels.main(["tests", "--kernels", "Haswell"]) == 1  # nothing ran


def test_a_kernel_that_is_set_already_is_the_only_one(kernels, monkeypatch, capsys):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Nehalem")
    assert kernels._options(["tests"]).kernels == ["Nehalem"]
    with pytest.raises(SystemExit):
        kernels._options(["tests", "--kernels", "Haswell"])
    assert "OPENBLAS_CORETYPE is Nehalem in this environment" in capsys.readouterr().err


@pytest.mark.slow
def test_a_session_of_one_file_is_counted(kernels):
    """A child of its own: this machine's kernel, one thread, Fortran order."""
    row = kernels.run(kernels.probe("")[0], 1, "F", ["tests/test_errors.py"])
    assert (row["code"], row["failed"]) == (0, 0)
    assert row["passed"] > 0
    assert all(text.endswith(", 1 threads") for text in row["blas"])
