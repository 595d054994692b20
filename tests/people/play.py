"""Three users from a fresh clone, who type the pages of docs/how-to from top to bottom:  python tests/people/play.py

``--install`` makes an environment of the clone's own first, and every command is a process, as it is for a person; the
seconds from ``git clone`` to a certified set of one's own table are printed, and written to ``--out``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
PEOPLE = {
    "practitioner": (
        *("own-table", "own-images", "own-embeddings", "own-network", "load-elsewhere", "publish", "continue"),
    ),
    "theorist": ("verify",),
    "benchmarker": ("benchmark",),
}


def clone(folder: Path) -> Path:
    """Clone the repository into a folder, with what is changed in its working tree and not committed yet."""
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    listed = ["git", "-C", ROOT, "ls-files", "-z", "--modified", "--others", "--exclude-standard", "--deduplicate"]
    for name in filter(None, subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        else:
            (folder / name).unlink(missing_ok=True)
    return folder


def environment(cloned: Path, python: str, *, module: bool) -> dict[str, str]:
    """The environment of a shell in which ``python`` is that Python, and ``analytic-dd`` the command of the clone."""
    commands = cloned / ".commands"
    commands.mkdir(exist_ok=True)
    words = {"python": f'exec "{python}" "$@"'} | (
        {"analytic-dd": f'exec "{python}" -m analytic_dd "$@"'} if module else {}
    )
    for name, line in words.items():
        (commands / name).write_text(f"#!/bin/sh\n{line}\n")
        (commands / name).chmod(0o755)
    path = os.pathsep.join([str(commands), str(Path(python).parent), os.environ.get("PATH", "")])
    return os.environ | {"PATH": path} | ({"PYTHONPATH": str(cloned)} if module else {})


def play(person: str, cloned: Path, shell: dict[str, str], *, here: bool) -> subprocess.CompletedProcess[str]:
    """Type the pages of a person in the clone."""
    pages = [f"docs/how-to/{page}.md" for page in PEOPLE[person]]
    command = ["python", "docs/blocks.py", *(["--here"] if here else []), *pages]
    return subprocess.run(
        command, cwd=cloned, env=shell, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )


def installed(cloned: Path) -> str:
    """Install the clone with what reads tables, as README says, and return its Python."""
    subprocess.run([sys.executable, "-m", "venv", cloned / ".venv"], check=True)
    python = str(cloned / ".venv" / "bin" / "python")
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "-c", "constraints.txt", ".[tables]"], cwd=cloned, check=True
    )
    return python


def from_clone_to_certified_set(folder: Path) -> tuple[Path, str, dict[str, float]]:
    """Return the clone, its Python, and the seconds to clone, to install and to certify a table of one's own."""
    times = [time.perf_counter()]
    cloned = clone(folder)
    times.append(time.perf_counter())
    python = installed(cloned)
    times.append(time.perf_counter())
    table = "import sklearn.datasets as d; d.load_wine(as_frame=True).frame.to_csv('wine.csv', index=False)"
    subprocess.run([python, "-c", table], cwd=cloned, check=True)
    for line in (["distill", "--data", "wine.csv", "--out", "wine"], ["verify", "wine"]):
        subprocess.run([cloned / ".venv" / "bin" / "analytic-dd", *line], cwd=cloned, check=True)
    times.append(time.perf_counter())
    seconds = [after - before for before, after in itertools.pairwise(times)]
    return cloned, python, dict(zip(("clone", "install", "own table, certified"), seconds, strict=True))


def main() -> int:
    """Play everybody, say how long it took, and return 1 if a page fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("people", nargs="*", choices=[*PEOPLE, []], help="default: all")
    parser.add_argument("--install", action="store_true", help="in an environment of the clone's own")
    parser.add_argument("--table", action="store_true", help="with --install: only the certified table, no pages")
    parser.add_argument("--out", type=Path, help="write the seconds there, beside those of people who are not played")
    options = parser.parse_args()
    failed: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, float] = {}
        if options.install:
            cloned, python, found = from_clone_to_certified_set(Path(folder) / "analytic_dd")
            if not options.table:
                extras = [python, "-m", "pip", "install", "--quiet", "-c", "constraints.txt", ".[all]"]
                subprocess.run(extras, cwd=cloned, check=True)
        else:
            cloned, python = clone(Path(folder) / "analytic_dd"), sys.executable
        shell = environment(cloned, python, module=not options.install)
        for person in [] if options.table else options.people or PEOPLE:
            started = time.perf_counter()
            done = play(person, cloned, shell, here=False)
            found[person] = time.perf_counter() - started
            failed += [person] if done.returncode else []
            print(done.stdout, flush=True)
    for name, value in found.items():
        print(f"{name}: {value:.1f} s")
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        old = json.loads(options.out.read_text()) if options.people and options.out.exists() else {}
        failed += [person for person in old.get("failed", ()) if person not in found]
        load = f"load average {os.getloadavg()[0]:.1f}"
        record = {"seconds": old.get("seconds", {}) | found, "failed": failed, "cores": os.cpu_count(), "load": load}
        options.out.write_text(json.dumps(record, indent=1) + "\n")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
