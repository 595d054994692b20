"""Dimensionless judgement: error / (eps * size * amplification) must stay below 30.

Instances are dyadic fractions, so float64 holds the inputs exactly; answers are rational. What cannot be written down
as a rational answer is refitted: the float64 numbers that came out *are* rational, so their ridge regression is
computed exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from flint import fmpq

from proofs_check.check import Check, Outcome, claim_of
from proofs_check.exact.rationals import Rationals
from proofs_check.matrix import Matrix, weights

__all__ = ["LIMIT", "Dyadics", "Judge", "exact_refit", "probe", "to_exact", "to_float"]

LIMIT = 30.0  # as in LAPACK's test suite


class Dyadics(Rationals):
    """Rationals that float64 holds exactly: eighths of small integers."""

    def scalar(self) -> fmpq:
        return fmpq(self.random.randint(1, 40), 8)

    def full(self, rows: int, columns: int) -> Matrix:
        return self.constant([[fmpq(self.random.randint(-40, 40), 8) for _ in range(columns)] for _ in range(rows)])


def to_float(A: Matrix | fmpq) -> Any:
    """Nearest float64 numbers."""
    if isinstance(A, Matrix):
        return np.array([[int(x.p) / int(x.q) for x in row] for row in A.a.tolist()])
    return int(A.p) / int(A.q)


def to_exact(F: Rationals, A: np.ndarray | float) -> Any:
    """The rational numbers that these float64 numbers are."""
    if isinstance(A, np.ndarray):
        return F.constant([[fmpq(*float(x).as_integer_ratio()) for x in row] for row in np.atleast_2d(A)])
    return fmpq(*float(A).as_integer_ratio())


def exact_refit(F: Rationals, Phi: np.ndarray, Y: np.ndarray, ridge: float) -> np.ndarray:
    """Weights of a float64 set in rational arithmetic, rounded once; at ridge 0 the features must have full rank."""
    lam = None if ridge == 0.0 else to_exact(F, float(ridge))
    return np.asarray(to_float(weights(to_exact(F, Phi), to_exact(F, Y), lam)))


class Judge:
    """Turns answers into ratios; ``wrong`` shifts every expected answer by one part in a million."""

    def __init__(self, wrong: bool) -> None:
        self.shift = 1.0 + 1e-6 if wrong else 1.0

    def ratio(self, answer: Any, exact: Any, amplification: float = 1.0) -> float:
        """|answer - exact| / (eps * size * amplification * |exact|)."""
        expected = np.asarray(exact, dtype=np.float64) * self.shift
        got = np.asarray(answer, dtype=np.float64)
        if got.shape != expected.shape or not np.all(np.isfinite(got)):
            return math.inf
        size = float(np.linalg.norm(expected)) or 1.0
        error = float(np.linalg.norm(got - expected)) / size
        return error / (np.finfo(np.float64).eps * max(got.shape, default=1) * max(1.0, amplification))

    @staticmethod
    def true(claim: bool) -> float:
        """0 for a true claim, infinite for a false one."""
        return 0.0 if claim else math.inf

    @staticmethod
    def refuses(error: type[Exception], call: Callable[[], Any]) -> float:
        """0 where ``call`` raises exactly that error."""
        try:
            call()
        except error:
            return 0.0
        return math.inf


Body = Callable[[Dyadics, Judge], Iterator[float]]


def probe(theorem: str, *, instances: int = 3, deep: int = 200) -> Callable[[Body], Check]:
    """Make a check of ``body(F, judge)`` that yields ratios; its docstring is the claim."""

    def register(body: Body) -> Check:
        def decide(is_deep: bool, negate: bool) -> Outcome:
            worst, count = 0.0, deep if is_deep else instances
            for seed in range(count):
                for index, ratio in enumerate(body(Dyadics(seed), Judge(negate))):
                    worst = max(worst, ratio)
                    if not ratio < LIMIT:
                        return Outcome(False, seed + 1, f"{ratio:.3g}", f"seed {seed}, ratio {index}")
            return Outcome(True, count, f"{worst:.2g}", "ratio error / (eps * size * amplification)")

        return Check(theorem, "float64", body.__name__, claim_of(body), decide)

    return register


def cond(A: np.ndarray) -> float:
    """Condition of the nonzero part."""
    s = np.linalg.svd(A, compute_uv=False)
    s = s[s > 1e-10 * s[0]]
    return float(s[0] / s[-1])
