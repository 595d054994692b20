"""Plant the errors of :mod:`proofs_check.planted` one at a time; ``python -m proofs_check.mutations``.

The package is copied to a temporary folder and changed there, never in the working tree. A worker process loads the
libraries once and forks for each copy.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from proofs_check.planted import MUTATIONS, Mutation

__all__ = ["Catch", "main", "plant", "run_mutations"]

ROOT = Path(__file__).resolve().parent.parent
_SECONDS = 60  # a planted error may make an iteration endless


@dataclass(frozen=True)
class Catch:
    """Which checks caught a planted error (none: it survived), in how many seconds."""

    error: str
    file: str
    caught_by: list[str]
    seconds: float


def plant(mutation: Mutation, folder: Path) -> Path:
    """Copy the package into ``folder`` with one error, and return ``folder``.

    Raises
    ------
    ValueError
        The text to replace does not occur exactly once: the package has changed, so change the planted error too.
    """
    shutil.copytree(ROOT / "analytic_dd", folder / "analytic_dd", ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "analytic_dd" / mutation.file
    source = path.read_text()
    if source.count(mutation.old) != 1:
        raise ValueError(
            f"{mutation.file}: {mutation.old!r} must occur once, occurs {source.count(mutation.old)} times"
        )
    path.write_text(source.replace(mutation.old, mutation.new))
    return folder


def run_mutations(mutations: Sequence[Mutation] = MUTATIONS, *, control: bool = True) -> list[Catch]:
    """Return what caught each error; ``control`` first runs an unchanged copy, which nothing may catch."""
    with tempfile.TemporaryDirectory() as place:
        folders = []
        if control:
            folders.append(Path(place) / "control")
            shutil.copytree(ROOT / "analytic_dd", folders[0] / "analytic_dd")
        for index, mutation in enumerate(mutations):
            folders.append(plant(mutation, Path(place) / str(index)))
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        worker = subprocess.run(
            [sys.executable, "-m", "proofs_check.mutations", "--worker", *map(str, folders)],
            cwd=place,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
    answers = [json.loads(line) for line in worker.stdout.splitlines()]
    if control:
        caught = answers.pop(0)["caught"]
        if caught:
            raise RuntimeError(f"the package as it is fails {', '.join(caught)}: no planted error can be judged")
    return [Catch(m.error, m.file, a["caught"], a["seconds"]) for m, a in zip(mutations, answers, strict=True)]


def _worker(folders: Sequence[str]) -> None:
    """Fork for each folder; the child loads the package from there and prints what fails."""
    import matplotlib.figure  # noqa: F401  (loaded once, shared by the children)
    import sklearn.base
    import sklearn.datasets
    import sklearn.utils.estimator_checks  # noqa: F401

    import proofs_check.statements  # noqa: F401

    if "analytic_dd" in sys.modules:
        raise RuntimeError("the worker must not have loaded the package before it forks")
    for folder in folders:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                signal.alarm(_SECONDS)
                _judge(folder)
                status = 0
            finally:
                sys.stdout.flush()
                os._exit(status)
        if os.waitpid(child, 0)[1]:
            print(json.dumps({"caught": ["the package does not load, or does not end"], "seconds": float(_SECONDS)}))


def _judge(folder: str) -> None:
    import warnings

    started = time.perf_counter()
    sys.path.insert(0, folder)
    import analytic_dd

    if not Path(analytic_dd.__file__).is_relative_to(folder):
        raise RuntimeError(f"loaded {analytic_dd.__file__} instead of the copy in {folder}")
    from proofs_check.implementation import certificate, construction, fitting, futures, losses, realistic

    caught = []
    parts = (fitting, construction, realistic, certificate, losses, futures)
    for check in (check for part in parts for check in part.CHECKS):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                passed = check().passed
        except Exception:
            passed = False
        if not passed:
            caught.append(check.id)
    print(json.dumps({"caught": caught, "seconds": time.perf_counter() - started}))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; exit status 1 if an error survives."""
    parser = argparse.ArgumentParser(
        prog="python -m proofs_check.mutations", description="Plant errors; see what catches them."
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker:
        _worker(options.worker)
        return 0
    catches = run_mutations()
    if options.json:
        print(json.dumps([asdict(catch) for catch in catches], indent=1))
    else:
        for catch in catches:
            names = ", ".join(catch.caught_by) or "SURVIVED"
            print(f"{catch.file:<26}{catch.error:<48}{names}")
        print(f"{len(catches)} errors planted, {sum(bool(c.caught_by) for c in catches)} caught")
    return 0 if all(catch.caught_by for catch in catches) else 1


if __name__ == "__main__":
    sys.exit(main())
