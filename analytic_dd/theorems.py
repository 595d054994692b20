"""Checks of the theorems, which stand beside the package in the repository and are no part of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["check"]


def check(names: Sequence[str], *, deep: bool = False, json: bool = False, quiet: bool = False) -> int:
    """Run ``proofs_check`` for some theorems, all without a name, and return its exit status: 1 if a check fails.

    The checks are those beside this package; where it is installed without them, those of the clone that is the working
    folder, which check the package of that clone.

    Raises
    ------
    ValueError
        The package is installed without its repository and the working folder is no clone of it, or the checks cannot
        be imported.
    """
    root, here = Path(__file__).parents[1], Path.cwd()
    checks = "proofs_check/run.py"
    if not (root / checks).is_file() and all((here / file).is_file() for file in ("analytic_dd/theorems.py", checks)):
        root = here
    if not (root / checks).is_file():
        raise ValueError(
            "the theorem checks are in the repository, not in the installed package; run this in the folder of a clone"
        )
    _require_imports(root)
    flags = [flag for flag, given in (("--deep", deep), ("--json", json)) if given]
    command = [sys.executable, "-m", "proofs_check.run", *names, *flags, "--prefix", "analytic-dd: "]
    return subprocess.run(command, cwd=root, check=False, stdout=subprocess.DEVNULL if quiet else None).returncode


def _require_imports(root: Path) -> None:
    """Say why the checks cannot be imported, where they cannot: an exit status of 1 would be a theorem that fails."""
    command = [sys.executable, "-c", "import proofs_check.run"]
    found = subprocess.run(command, cwd=root, check=False, capture_output=True, text=True)
    if found.returncode:
        cause = (found.stderr.strip().split("\n") or ["no reason was given"])[-1]
        raise ValueError(f"the theorem checks cannot be imported ({cause}); pip install 'analytic-dd[test]'")
