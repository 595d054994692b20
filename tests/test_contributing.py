"""The examples of CONTRIBUTING.md run as they stand, in a process of their own: what they register stays there."""

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"


def run(folder, *arguments):
    done = subprocess.run([sys.executable, *map(str, arguments)], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_users_own_map_runs_as_the_page_says(tmp_path):
    assert ">>> @register(" in PAGE.read_text()
    run(tmp_path, "-m", "doctest", PAGE)


def test_a_users_own_construction_runs_as_the_page_says(tmp_path):
    section = PAGE.read_text().split("## Adding a construction")[1]
    script = tmp_path / "example.py"
    script.write_text(re.search(r"```python\n(.*?)```", section, flags=re.DOTALL)[1])
    run(tmp_path, script)
    assert (tmp_path / "doubled" / "report.json").exists()
