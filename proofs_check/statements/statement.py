"""What a statement is: a theorem as an identity between matrices, and the shapes it holds for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from proofs_check.check import Check, Outcome, claim_of
from proofs_check.matrix import Field

__all__ = ["STATEMENTS", "Case", "Statement", "checks_by", "statement"]

Pairs = Iterator[tuple[Any, Any]]


@dataclass(frozen=True)
class Case:
    """Sizes and ranks: m points, k outputs, p features, q = rank W, r = rank of the labels or features, n samples."""

    m: int
    k: int
    p: int
    q: int
    r: int
    n: int

    def __str__(self) -> str:
        return f"m={self.m} k={self.k} p={self.p} q={self.q} r={self.r} n={self.n}"


@dataclass(frozen=True)
class Statement:
    """A theorem, or a part of one, as equations.

    ``body(F, case, wrong)`` draws an instance over the field F and yields pairs (left side, right side) that are
    equal. With ``wrong`` it makes the mistake named in ``error``, and some pair differs.
    """

    theorem: str
    name: str
    claim: str
    error: str
    body: Callable[[Field, Case, bool], Pairs]
    when: Callable[[Case], bool]


STATEMENTS: list[Statement] = []


def statement(
    theorem: str, *, error: str, when: Callable[[Case], bool] = lambda c: True
) -> Callable[[Callable[[Field, Case, bool], Pairs]], Callable[[Field, Case, bool], Pairs]]:
    """Register the decorated generator as a :class:`Statement` under its name, with its docstring as the claim."""

    def register(body: Callable[[Field, Case, bool], Pairs]) -> Callable[[Field, Case, bool], Pairs]:
        STATEMENTS.append(Statement(theorem, body.__name__, claim_of(body), error, body, when))
        return body

    return register


def checks_by(strength: str, decide: Callable[[Statement, bool, bool], Outcome]) -> list[Check]:
    """Make a check of every statement, by ``decide(statement, deep, negate)``."""
    return [Check(each.theorem, strength, each.name, each.claim, partial(decide, each)) for each in STATEMENTS]
