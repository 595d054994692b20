"""The field of rational numbers, by python-flint; random entries are small fractions."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from flint import fmpq, fmpq_mat

from proofs_check.matrix import Field, Matrix

__all__ = ["Rationals"]


class Rationals(Field):
    """Rational numbers; ``seed`` determines what is drawn."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def scalar(self) -> fmpq:
        """A positive fraction."""
        return fmpq(self.random.randint(1, 30), self.random.randint(1, 7))

    def number(self, value: int) -> fmpq:
        return fmpq(value)

    def constant(self, rows: Sequence[Sequence[Any]]) -> Matrix:
        return Matrix(self, fmpq_mat(len(rows), len(rows[0]), [fmpq(x) for row in rows for x in row]))

    def full(self, rows: int, columns: int) -> Matrix:
        """Entries u / v with 1 <= |u| <= 50 and v <= 5; no zeros, which would often be degenerate."""
        draw = self.random.randint
        entries = [fmpq(draw(1, 50) * (-1) ** draw(0, 1), draw(1, 5)) for _ in range(rows * columns)]
        return Matrix(self, fmpq_mat(rows, columns, entries))
