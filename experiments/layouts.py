"""How data lie on a disk, and what comes of it: every layout of tests/data/test_layouts.py, read once more.

Run: python experiments/layouts.py [--quick]
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import records

TESTS = Path(__file__).parents[1] / "tests" / "data" / "test_layouts.py"


def layouts() -> ModuleType:
    """Return the tests, which have the files of every layout and the function that reads them."""
    spec = importlib.util.spec_from_file_location("test_layouts", TESTS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def rows() -> list[dict[str, Any]]:
    """Return what comes of each layout: classes or outputs and sizes, or the words of the refusal."""
    tests, found = layouts(), []
    for name, (files, entry, how, _) in tests.LAYOUTS.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "data"
            for file, content in files.items():
                (path / file).parent.mkdir(parents=True, exist_ok=True)
                (path / file).write_bytes(content)
            came = tests.outcome(path / entry if entry else path, how)
        told = (
            came.replace(folder, "").replace("/data/", "").replace("/data", "the folder")
            if isinstance(came, str)
            else ""
        )
        sizes = dict(zip(("outputs", "train", "test"), came, strict=True)) if not told else {}
        options = (
            {}
            if how is None
            else {key: value for key, value in vars(how).items() if value != getattr(type(how)(), key)}
        )
        found.append({"layout": name, "options": options, "refused": told} | sizes)
    return found


def main() -> None:
    """Read every layout and record what came of it."""
    options = records.options(__doc__ or "")
    records.record_run(options, "layouts", rows())


if __name__ == "__main__":
    main()
