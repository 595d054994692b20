"""The code of README and of the pages runs as it stands, in an empty folder with files that a reader has."""

import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
PAGES = {page.relative_to(ROOT).as_posix(): page for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]}
HERE = ("README.md", "docs/questions.md")  # typed by this file
ELSEWHERE = ("CONTRIBUTING.md", "docs/theory/", "docs/how-to/")  # by test_contributing, proofs_check/test_pages, people


@pytest.fixture(scope="module")
def blocks(scripts_as_modules):
    return scripts_as_modules("blocks")["blocks"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The files of a reader, and the commands of this environment."""
    rng = np.random.default_rng(0)
    samples = rng.standard_normal((60, 2)).tolist()
    patients = ["age,dose,outcome", *(f"{a},{b},{'yes' if a > 0 else 'no'}" for a, b in samples)]
    prices = ["rooms,floor,price", *(f"{a},{b},{a + 2 * b}" for a, b in samples)]
    for name, lines in (("patients", patients), ("prices", prices)):
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
    for name in ("cats/0", "cats/1", "cats/2", "dogs/0", "dogs/1", "dogs/2"):
        path = tmp_path / "photos" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (9, 7 + len(name) % 2, 3), dtype=np.uint8)).save(path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


@pytest.mark.parametrize("page", HERE)
def test_a_page_runs_as_it_stands(page, blocks, folder, capfd):
    assert blocks.run(PAGES[page], blocks.here) >= 7


def test_only_what_installs_is_left_out(blocks):
    found = [block for page in PAGES.values() for block in blocks.blocks(page.read_text()) if block.why]
    assert len(found) == 2
    assert all(line.startswith(("pip install", "make ")) for block in found for line in block.code.splitlines())


def test_every_page_with_code_is_run(blocks):
    with_code = {
        name
        for name, page in PAGES.items()
        if re.search(r"^```(sh|python|bash|console)", page.read_text(), re.MULTILINE)
    }
    assert set(HERE) < with_code
    assert {name for name in with_code if not name.startswith(ELSEWHERE)} == set(HERE)
