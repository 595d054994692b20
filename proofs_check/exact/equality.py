"""Every statement on rational instances: left side equals right side, with no tolerance."""

from __future__ import annotations

from proofs_check.check import Outcome
from proofs_check.exact.cases import FIXED, random_cases
from proofs_check.exact.rationals import Rationals
from proofs_check.statements import Case, Statement, checks_by

__all__ = ["CHECKS", "holds"]

_REPEATS = 5
_QUICK, _DEEP, _LARGE = 24, 1000, 60  # random cases beside the fixed ones


def holds(statement: Statement, case: Case, *, seed: int, wrong: bool = False) -> bool:
    """Whether the statement is true on one random rational instance of that shape.

    Raises
    ------
    ZeroDivisionError
        Five instances in a row were degenerate (a random square matrix is singular once in a few thousand draws).
    """
    for attempt in range(_REPEATS):
        F = Rationals(seed + 10**6 * attempt)
        try:
            return all(F.is_zero(left - right) for left, right in statement.body(F, case, wrong))
        except ZeroDivisionError:
            continue
    raise ZeroDivisionError(f"{statement.theorem} {statement.name}: {case} is degenerate for every seed that was tried")


def _random(deep: bool) -> list[Case]:
    return random_cases(_DEEP, 5) + random_cases(_LARGE, 7, largest=14) if deep else random_cases(_QUICK, 5)


def _decide(statement: Statement, deep: bool, negate: bool) -> Outcome:
    cases = [case for case in (*FIXED, *_random(deep)) if statement.when(case)]
    for index, case in enumerate(cases):
        if not holds(statement, case, seed=index, wrong=negate):
            return Outcome(False, index + 1, "differs", f"{case} (seed {index})")
    return Outcome(bool(cases), len(cases), "exact")


CHECKS = checks_by("exact", _decide)
