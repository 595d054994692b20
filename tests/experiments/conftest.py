"""What the tests of the experiments share: a quick run of a script in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


@pytest.fixture
def quick_rows(tmp_path: Path) -> Callable[[str], list[dict]]:
    """Return a function that runs a script with --quick in the test's folder and returns the rows that it records."""

    def run(script: str) -> list[dict]:
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
        command = [sys.executable, str(EXPERIMENTS / f"{script}.py"), "--quick", "--out", str(tmp_path)]
        subprocess.run(command, check=True, env=environment, timeout=600, stdout=subprocess.DEVNULL)
        return list(json.loads((tmp_path / f"{script}_quick.json").read_text())["rows"])

    return run
