r"""Bounds on degrees and coefficients, found by running the statement itself on bounds instead of numbers.

Every matrix that a statement forms has entries N_ij / d with integer polynomials in the random entries. ``Degree``
keeps upper bounds: degrees of N and d, and log2 of the sums of absolute coefficients. The rules are those of the
field operations,

    sum        N1 d2 + N2 d1  over  d1 d2              product (inner size n)    n products  over  d1 d2
    inverse    (N / d)^-1 = d adj(N) / det(N):         deg d + (n - 1) deg N  over  n deg N,    det(N) has n! terms
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from proofs_check.matrix import Field, Matrix

__all__ = ["Degree", "Degrees"]


@dataclass(frozen=True)
class Degree:
    """A rational function: degrees and heights (log2 of the sum of absolute coefficients), bounded above."""

    num: int = 0
    den: int = 0
    num_bits: float = 0.0
    den_bits: float = 0.0

    def __add__(self, other: Degree | int) -> Degree:
        o = other if isinstance(other, Degree) else Degree(num_bits=math.log2(max(1, abs(other))))
        return Degree(
            max(self.num + o.den, o.num + self.den),
            self.den + o.den,
            max(self.num_bits + o.den_bits, o.num_bits + self.den_bits) + 1.0,
            self.den_bits + o.den_bits,
        )

    __radd__ = __sub__ = __rsub__ = __add__

    def __mul__(self, other: Degree | int) -> Any:
        if isinstance(other, Matrix):
            return NotImplemented
        o = other if isinstance(other, Degree) else Degree(num_bits=math.log2(max(1, abs(other))))
        return Degree(self.num + o.num, self.den + o.den, self.num_bits + o.num_bits, self.den_bits + o.den_bits)

    __rmul__ = __mul__

    def __neg__(self) -> Degree:
        return self

    def __truediv__(self, other: Degree | int) -> Degree:
        if not isinstance(other, Degree):
            return Degree(self.num, self.den, self.num_bits, self.den_bits + math.log2(max(1, abs(other))))
        return self * Degree(other.den, other.num, other.den_bits, other.num_bits)

    def __rtruediv__(self, other: int) -> Degree:
        return Degree(num_bits=math.log2(max(1, abs(other)))) / self

    def times(self, terms: int) -> Degree:
        """A sum of so many such functions over the same denominator."""
        return Degree(self.num, self.den, self.num_bits + math.log2(max(1, terms)), self.den_bits)


class DegreeMatrix(Matrix):
    """A matrix with one bound on all entries, over a common denominator. ``a`` is (rows, columns, Degree)."""

    @property
    def shape(self) -> tuple[int, int]:
        return self.a[0], self.a[1]

    @property
    def bound(self) -> Degree:
        """The bound."""
        return self.a[2]

    def __matmul__(self, other: Matrix) -> Matrix:
        return self._of(self.a[0], other.a[1], (self.bound * other.a[2]).times(self.a[1]))

    def __add__(self, other: Matrix) -> Matrix:
        return self._of(self.a[0], self.a[1], self.bound + other.a[2])

    __sub__ = __add__

    def __rmul__(self, c: Any) -> Matrix:
        return self._of(self.a[0], self.a[1], self.bound * c)

    @property
    def T(self) -> Matrix:  # type: ignore[override]
        if not hasattr(self, "_transposed"):
            self._transposed = self._of(self.a[1], self.a[0], self.bound)
        return self._transposed

    @property
    def inv(self) -> Matrix:  # type: ignore[override]
        n, N = self.a[0], self.bound
        det_bits = math.log2(math.factorial(n)) + n * N.num_bits
        adjugate = Degree(N.den + (n - 1) * N.num, n * N.num, N.den_bits + det_bits - N.num_bits, det_bits)
        self.F.divided += n * N.num + N.den
        return self._of(n, n, adjugate)

    def rows(self, which: Sequence[int] | range) -> Matrix:
        return self._of(len(which), self.a[1], self.bound)

    def columns(self, which: Sequence[int] | range) -> Matrix:
        return self._of(self.a[0], len(which), self.bound)

    def entry(self, i: int, j: int) -> Degree:
        return self.bound

    @property
    def plus(self) -> Matrix:  # type: ignore[override]
        if not hasattr(self, "_plus"):
            self._plus = self._pseudo_inverse(self.F.decide_rank(self))
        return self._plus

    def _pseudo_inverse(self, r: int) -> Matrix:
        if r == 0:
            return self._of(self.a[1], self.a[0], Degree())
        if r == self.a[0]:
            return self.T @ (self @ self.T).inv
        if r == self.a[1]:
            return (self.T @ self).inv @ self.T
        B, R = self.columns(range(r)), self.rows(range(r))
        return R.T @ (B.T @ self @ R.T).inv @ B.T

    def _of(self, rows: int, columns: int, bound: Degree) -> DegreeMatrix:
        return DegreeMatrix(self.F, (rows, columns, bound))


class Degrees(Field):
    """The bounds. ``ranks`` are those that the prime field met, in order; ``divided`` sums degrees of denominators."""

    def __init__(self, ranks: Sequence[int]) -> None:
        self._ranks, self.divided = iter(ranks), 0

    def scalar(self) -> Degree:
        return Degree(1, 0)

    def number(self, value: int) -> Degree:
        return Degree(num_bits=math.log2(max(1, abs(value))))

    def constant(self, rows: Sequence[Sequence[Any]]) -> Matrix:
        bound = Degree()
        for value in (x if isinstance(x, Degree) else self.number(x) for row in rows for x in row):
            bound = _common(bound, value)
        return DegreeMatrix(self, (len(rows), len(rows[0]), bound))

    def full(self, rows: int, columns: int) -> Matrix:
        return DegreeMatrix(self, (rows, columns, Degree(1, 0)))

    def decide_rank(self, A: Matrix) -> int:
        return next(self._ranks)

    def diag(self, values: Sequence[Any]) -> Matrix:
        bound = Degree()
        for value in values:  # every entry has its own denominator: the common one is the product
            bound = bound + value
        return DegreeMatrix(self, (len(values), len(values), bound))

    def below(self, *blocks: Matrix) -> Matrix:
        bound = Degree()
        for block in blocks:
            bound = _common(bound, block.a[2])
        return DegreeMatrix(self, (sum(block.a[0] for block in blocks), blocks[0].a[1], bound))

    def trace(self, A: Matrix) -> Degree:
        return A.a[2].times(A.a[0])

    def det(self, A: Matrix) -> Degree:
        n, N = A.a[0], A.a[2]
        return Degree(n * N.num, n * N.den, math.log2(math.factorial(n)) + n * N.num_bits, n * N.den_bits)

    def is_zero(self, value: Any) -> bool:
        raise TypeError("a bound is not a value; take it from the difference")


def _common(one: Degree, other: Degree) -> Degree:
    """A bound on two functions over their common denominator; a shared trivial denominator costs nothing."""
    if one.den == other.den == 0 and one.den_bits == other.den_bits == 0.0:
        return Degree(max(one.num, other.num), 0, max(one.num_bits, other.num_bits), 0.0)
    return one + other
