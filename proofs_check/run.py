"""Run the checks and print the table:  python -m proofs_check.run [IDS] [--deep] [--json]

Exit status 0: every check passed; 1: one failed; 2: an unknown id.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict

from threadpoolctl import threadpool_limits

from proofs_check.check import Row
from proofs_check.registry import chosen

__all__ = ["main", "run", "table"]


def run(ids: Iterable[str] = (), deep: bool = False, *, each: Callable[[Row], None] | None = None) -> list[Row]:
    """Run the checks named by ``ids`` (all by default) and return their rows; ``each`` is called as they finish.

    Raises
    ------
    ValueError
        An id that names no check.
    """
    rows = []
    with threadpool_limits(1):  # the matrices are tiny: threads would only wait for each other
        for check in chosen(ids):
            row = check(deep)
            rows.append(row)
            if each is not None:
                each(row)
    return rows


_FORM = "{:<9}{:<10}{:<31}{:>9}  {:<14}{:>8}  {}"


def _line(row: Row) -> str:
    verdict = "ok" if row.passed else f"FAILED {row.detail}"
    return _FORM.format(row.theorem, row.strength, row.name, row.instances, row.worst, f"{row.seconds:.2f}", verdict)


def table(rows: Sequence[Row]) -> str:
    """Return the rows as text."""
    head = _FORM.format("theorem", "strength", "check", "instances", "worst", "seconds", "")
    failed = sum(not row.passed for row in rows)
    total = f"{len(rows)} checks, {failed} failed, {sum(row.seconds for row in rows):.1f} s"
    return "\n".join([head.rstrip(), *(_line(row) for row in rows), total])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m proofs_check.run", description="Check the theorems by machine.")
    parser.add_argument(
        "ids", nargs="*", metavar="ID", help="T3, T8, T3/exact, T3/exact/both_roots, or a strength; default: all"
    )
    parser.add_argument("--deep", action="store_true", help="more and larger instances (minutes)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--prefix", default="", help=argparse.SUPPRESS)  # of an error, by the program that calls this
    options = parser.parse_args(arguments)
    progress = sys.stderr.isatty() and not options.json
    try:
        rows = run(
            options.ids, options.deep, each=(lambda row: print(_line(row), file=sys.stderr)) if progress else None
        )
    except ValueError as error:
        print(f"{options.prefix}{error}", file=sys.stderr)
        return 2
    print(json.dumps([asdict(row) for row in rows], indent=1) if options.json else table(rows))
    return 0 if all(row.passed for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
