"""What the tests of the experiments share: a quick run of a script."""

import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def quick_rows(
    scripts_as_modules: Callable[..., dict[str, ModuleType]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], list[dict]]:
    """Return a function that runs a script with --quick in the test's folder and returns the rows that it records."""

    def run(script: str) -> list[dict]:
        monkeypatch.setattr(sys, "argv", [script, "--quick", "--out", str(tmp_path)])
        with warnings.catch_warnings():
            warnings.simplefilter("default")  # as in a process of its own
            scripts_as_modules(script)[script].main()
        return list(json.loads((tmp_path / f"{script}_quick.json").read_text())["rows"])

    return run
