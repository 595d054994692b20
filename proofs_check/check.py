"""What a check is: a theorem, a strength, a claim in words, and a callable that can also negate the claim."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["STRENGTHS", "Check", "Outcome", "Row", "checked", "claim_of"]

STRENGTHS = ("exact", "identity", "ball", "converse", "float64")


@dataclass(frozen=True)
class Outcome:
    """What a check found."""

    passed: bool
    instances: int  # number of instances that were tried (all of them, or up to the first that failed)
    # "exact" where equality was shown without tolerance; a failure probability, a radius or a ratio otherwise
    worst: str
    detail: str = ""  # the instance that failed, or what the number means


@dataclass(frozen=True)
class Check:
    """A claim that a machine decides."""

    theorem: str  # ``name`` is unique within a theorem and a strength; ``claim`` is a sentence
    strength: str
    name: str
    claim: str
    # ``decide(deep, negate) -> Outcome``; with ``negate`` the claim is replaced by a false one, and must fail
    decide: Callable[[bool, bool], Outcome]

    @property
    def id(self) -> str:
        """``theorem/strength/name``."""
        return f"{self.theorem}/{self.strength}/{self.name}"

    def __call__(self, deep: bool = False, *, negate: bool = False) -> Row:
        started = time.perf_counter()
        outcome = self.decide(deep, negate)
        seconds = time.perf_counter() - started
        return Row(self.theorem, self.strength, self.name, self.claim, seconds=seconds, **asdict(outcome))


def claim_of(body: Callable[..., Any]) -> str:
    """The claim of a check is the docstring of the function that decides it, on one line.

    Raises
    ------
    ValueError
        It has none.
    """
    if not body.__doc__:
        raise ValueError(f"{body.__name__} has no docstring; write what it claims there")
    return " ".join(body.__doc__.split())


def checked(theorem: str, strength: str) -> Callable[[Callable[[bool, bool], Outcome]], Check]:
    """Make a check of ``decide(deep, negate)``, under its name and with its docstring as the claim."""
    return lambda decide: Check(theorem, strength, decide.__name__, claim_of(decide), decide)


@dataclass(frozen=True)
class Row:
    """One line of the table of ``python -m proofs_check.run``."""

    theorem: str
    strength: str
    name: str
    claim: str
    passed: bool
    instances: int
    worst: str
    detail: str
    seconds: float
