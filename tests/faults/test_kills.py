"""Whatever ends a command and wherever, what stands is whole, the next run has the same bits, and nothing is left."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from analytic_dd import cli
from analytic_dd.staging import locked

SCRIPT = Path(__file__).parent / "kills.py"
ALL = 3 * 5  # signals and doors


def kills(*options, before=""):
    """Run the script, with some code before it; return its status and its summary."""
    script = f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    code = f"{before}\nimport runpy, sys\nsys.argv[1:] = {list(options)!r}\n{script}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


def test_every_door_survives_every_signal():
    """A run that takes a fifth of a second reports the rate of the machine too, which is none of the results."""
    slow = "from analytic_dd.report import flops; flops._SHORTEST = 0.0"
    status, found = kills("--kills", str(ALL), "--seed", str(os.getpid()), before=slow)
    assert (status, found["faults"]) == (0, [])
    assert found["kills"] == ALL
    assert found["ended"] >= ALL / 2


def test_no_finaliser_is_written_in_python():
    """What the handler of a signal raises inside of one is lost, and the command goes on."""
    package = Path(cli.__file__).parent
    assert [path for path in package.rglob("*.py") if "def __del__" in path.read_text()] == []


@pytest.mark.slow
def test_every_door_survives_hundreds_of_signals_at_every_line():
    status, found = kills("--kills", "450", "--seed", str(os.getpid()))
    assert (status, found["faults"]) == (0, [])


def test_a_write_that_is_not_atomic_is_found():
    planted = textwrap.dedent(
        """
        import contextlib
        from analytic_dd import files
        @contextlib.contextmanager
        def at_once(path):
            with open(path, "wb", buffering=0) as stream:
                yield stream
        files.atomic_write = at_once
        """
    )
    status, found = kills("--kills", "9", "--doors", "merge", "--guards", "files.py", before=planted)
    assert status == 1
    assert any("cannot be read" in fault for one in found["faults"] for fault in one["faults"])


def test_of_two_runs_of_one_benchmark_the_second_touches_nothing(tmp_path, capsys):
    """A line that the first is about to end looks torn to the second."""
    torn = '{"method": "random", "variant"'
    (tmp_path / "bench.jsonl").write_text(torn)
    options = ["--methods", "random", "--predictors", "ridge", "--seeds", "0", "--offline", "--resume"]
    with locked(tmp_path):
        assert cli.main(["bench", "--out", str(tmp_path), *options]) == 2
        assert (tmp_path / "bench.jsonl").read_text() == torn
        assert f"process {os.getpid()} on" in capsys.readouterr().err
    assert sorted(file.name for file in tmp_path.iterdir()) == ["bench.jsonl"]
