"""The field of integers modulo a prime near 2^61; random entries are uniform."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from flint import fmpz, nmod, nmod_mat

from proofs_check.matrix import Field, Matrix

__all__ = ["LARGEST", "PrimeField", "random_prime"]

LARGEST = 2**61  # primes are drawn from ]2^60, 2^61[


def random_prime(rng: random.Random) -> int:
    """A prime of ]2^60, 2^61[, all with the same probability (primality is proved, not probable, at this size)."""
    while True:
        candidate = rng.randrange(LARGEST // 2 + 1, LARGEST, 2)
        if fmpz(candidate).is_prime():
            return candidate


class PrimeField(Field):
    """Integers modulo ``p``. ``ranks`` logs the ranks that pseudo-inverses met, for the degree bound to replay."""

    def __init__(self, p: int, rng: random.Random) -> None:
        self.p, self.random, self.ranks = p, rng, []
        self.ranks: list[int]

    def scalar(self) -> nmod:
        return nmod(self.random.randrange(1, self.p), self.p)

    def number(self, value: int) -> nmod:
        return nmod(value, self.p)

    def constant(self, rows: Sequence[Sequence[Any]]) -> Matrix:
        return Matrix(self, nmod_mat(len(rows), len(rows[0]), [int(x) for row in rows for x in row], self.p))

    def full(self, rows: int, columns: int) -> Matrix:
        entries = [self.random.randrange(self.p) for _ in range(rows * columns)]
        return Matrix(self, nmod_mat(rows, columns, entries, self.p))

    def decide_rank(self, A: Matrix) -> int:
        self.ranks.append(A.rank)
        return A.rank
