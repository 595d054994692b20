r"""Every statement as an identity of rational functions, tested at random points of random prime fields.

*What is proved.* Left minus right is N / d with polynomials N, d with integer coefficients in the random entries. If
N were not zero, one trial would accept with a probability of at most

    (deg N + deg of all divisors) / 2^60    for a zero of N mod p, or a draw that had to be repeated (Schwartz, Zippel)
  + height(N) / (60 * primes)               for a p that divides every coefficient of N

with the degree and height (log2 of the sum of absolute coefficients) bounds of :mod:`proofs_check.identity.degrees`:
at most height / 60 primes above 2^60 divide a coefficient, and there are more than 3 * 2^60 / (5 ln 2^60) of them
below 2^61 (Rosser and Schoenfeld 1962, Corollary 3). Trials are independent and are repeated until the product is
below 1e-15. So, up to that probability, N = 0: the identity holds for *all* real (and complex) matrices of the shape
and ranks for which no divisor vanishes, that is outside of a proper algebraic variety.

*What is not.* Nothing is said on that variety (ranks below the stated ones are shapes of their own in the grid), on
other shapes, on inequalities, or beyond what the parametrisations reach: Cayley's orthogonal matrices have no
eigenvalue -1 (they are dense in the rotations), and t = s / (s^2 + lam) is every t that T3 allows. The random numbers
are those of a Mersenne twister.
"""

from __future__ import annotations

import math
import random

from proofs_check.check import Outcome
from proofs_check.exact.cases import FIXED, random_cases
from proofs_check.identity.degrees import Degree, DegreeMatrix, Degrees
from proofs_check.identity.prime_field import PrimeField, random_prime
from proofs_check.statements import Case, Statement, checks_by

__all__ = ["CHECKS", "TARGET", "failure_probability", "trial"]

TARGET = 1e-15
_PRIMES = 3 * 2**60 / (5 * math.log(2**60))
_QUICK, _DEEP = 12, 250
_REPEATS = 20  # a divisor vanishes with probability 1e-13: more than one repetition means a wrong rank


def trial(statement: Statement, case: Case, rng: random.Random, *, wrong: bool = False) -> tuple[bool, list[int]]:
    """Draw a prime and a point; return whether both sides agree there, and the ranks that were met."""
    for _ in range(_REPEATS):
        F = PrimeField(random_prime(rng), rng)
        try:
            equal = [F.is_zero(left - right) for left, right in statement.body(F, case, wrong)]
            return all(equal), F.ranks
        except ZeroDivisionError:
            continue
    raise ZeroDivisionError(f"{statement.theorem} {statement.name}: a divisor vanishes at every point ({case})")


def failure_probability(
    statement: Statement, case: Case, ranks: list[int], *, wrong: bool = False
) -> tuple[float, Degree]:
    """Bound the probability that one trial accepts a false statement, and the bound on left minus right."""
    F = Degrees(ranks)
    worst = Degree()
    for left, right in statement.body(F, case, wrong):
        gap = left - right
        bound = gap.bound if isinstance(gap, DegreeMatrix) else gap
        worst = max(worst, bound, key=lambda b: b.num + b.num_bits)
    chance = (worst.num + worst.den + F.divided) / 2**60 + worst.num_bits / (60 * _PRIMES)
    return chance, worst


def _decide(statement: Statement, deep: bool, negate: bool) -> Outcome:
    cases = [case for case in (*FIXED, *random_cases(_DEEP if deep else _QUICK, 6)) if statement.when(case)]
    rng = random.Random(f"{statement.theorem} {statement.name}")
    worst, degree, trials = 0.0, 0, 0
    for case in cases:
        agree, ranks = trial(statement, case, rng, wrong=negate)
        if not agree:
            return Outcome(False, trials + 1, "differs", str(case))
        chance, bound = failure_probability(statement, case, ranks, wrong=negate)
        repeats = max(1, math.ceil(math.log(TARGET) / math.log(chance)))
        for _ in range(repeats - 1):
            if not trial(statement, case, rng, wrong=negate)[0]:
                return Outcome(False, trials + 1, "differs", str(case))
        trials += repeats
        worst, degree = max(worst, chance**repeats), max(degree, bound.num)
    return Outcome(bool(cases), trials, f"< {worst:.0e}", f"{len(cases)} shapes, degree <= {degree}")


CHECKS = checks_by("identity", _decide)
