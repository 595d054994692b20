"""Plant the errors of :mod:`proofs_check.planted` one at a time;  python -m proofs_check.mutations [--all]

A function is replaced by name in every module that holds it, and put back afterwards: no file changes.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from threadpoolctl import threadpool_limits

from proofs_check.check import Check
from proofs_check.planted import PLANTED, Planted
from proofs_check.registry import CHECKS

__all__ = ["catches", "fails", "main", "planted"]

_FLOAT64 = {check.id: check for check in CHECKS if check.strength == "float64"}
_ABSENT = object()


@contextmanager
def planted(error: Planted) -> Iterator[None]:
    """Put the wrong function in the place of the right one, wherever that is held, and put the right one back.

    Raises
    ------
    AttributeError, ModuleNotFoundError
        No function has this name: it has been renamed, so name it anew in :mod:`proofs_check.planted`.
    """
    module, _, path = error.at.partition(":")
    *outer, name = path.split(".")
    holder: Any = importlib.import_module(module)
    for part in outer:
        holder = getattr(holder, part)
    right = getattr(holder, name)
    wrong = error.wrong(right)
    places = [(holder, name)] if inspect.isclass(holder) else _holders(right)
    before = [(place, key, vars(place).get(key, _ABSENT)) for place, key in places]
    for place, key in places:
        setattr(place, key, wrong)
    try:
        yield
    finally:
        for place, key, value in before:
            delattr(place, key) if value is _ABSENT else setattr(place, key, value)


def _holders(function: Any) -> list[tuple[Any, str]]:
    """Every module and name that holds the function: where it is made, re-exported and imported."""
    modules = [module for module in list(sys.modules.values()) if inspect.ismodule(module)]
    return [(module, key) for module in modules for key, value in list(vars(module).items()) if value is function]


def fails(check: Check) -> bool:
    """Whether a check fails, be it by an exception that the package raises for bad values.

    Any other exception comes through: a wrong function that cannot be called shows nothing.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return not check().passed
    except (ValueError, ArithmeticError):  # InfeasibleError, LinAlgError and RangeError are ValueErrors
        return True


def catches(error: Planted, checks: Iterable[Check]) -> list[str]:
    """Return the ids of the checks that fail while the error is planted."""
    with planted(error):
        return [check.id for check in checks if fails(check)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; exit status 1 if an error survives the check that is meant for it."""
    parser = argparse.ArgumentParser(
        prog="python -m proofs_check.mutations",
        description="Plant errors; see what catches them. Those that a test is meant for are planted by that test.",
    )
    parser.add_argument("--all", action="store_true", help="every check of strength float64, not only the one meant")
    options = parser.parse_args(arguments)
    survived = 0
    with threadpool_limits(1):
        for error in (error for error in PLANTED if error.caught_by in _FLOAT64):
            caught = catches(error, _FLOAT64.values() if options.all else [_FLOAT64[error.caught_by]])
            survived += error.caught_by not in caught
            print(f"{error.at:<52}{error.error:<52}{', '.join(caught) or 'SURVIVED'}", flush=True)
    print(f"{survived} errors survived")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
