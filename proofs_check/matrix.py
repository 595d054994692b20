"""Matrices over a field, so that a statement is written once and runs over the rationals, prime fields and balls.

``A @ B``, ``A + B``, ``c * A``, ``A.T``, ``A.inv``, ``A.plus`` (the pseudo-inverse) read as in the theory. The
pseudo-inverse is algebraic: with r = rank A, B any r independent columns of A and R any r independent rows,

    A^+ = R^T (B^T A R^T)^-1 B^T         (A^T (A A^T)^-1 for r = rows,  (A^T A)^-1 A^T for r = columns),

because A = B M R with an invertible M, so that (B M R)^+ = R^+ M^-1 B^+. No singular value is computed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any

__all__ = ["Field", "Matrix", "weights"]

Scalar = Any  # fmpq, nmod, arb, or Degree: python-flint has no static types


class Matrix:
    """A flint matrix ``a`` over the field ``F``."""

    def __init__(self, F: Field, a: Any) -> None:
        self.F, self.a = F, a

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.a.nrows(), self.a.ncols()

    def __matmul__(self, other: Matrix) -> Matrix:
        return type(self)(self.F, self.a * other.a)

    def __add__(self, other: Matrix) -> Matrix:
        return type(self)(self.F, self.a + other.a)

    def __sub__(self, other: Matrix) -> Matrix:
        return type(self)(self.F, self.a - other.a)

    def __rmul__(self, c: Scalar) -> Matrix:
        return type(self)(self.F, self.a * c)

    @cached_property
    def T(self) -> Matrix:
        """The transpose."""
        return type(self)(self.F, self.a.transpose())

    @cached_property
    def inv(self) -> Matrix:
        """The inverse of a square matrix; ZeroDivisionError where there is none."""
        return type(self)(self.F, self.a.inv())

    @cached_property
    def rank(self) -> int:
        """The exact rank."""
        return int(self.a.rank())

    @cached_property
    def plus(self) -> Matrix:
        """The pseudo-inverse; over a finite field it exists only generically (else ZeroDivisionError)."""
        rows, columns = self.shape
        r = self.F.decide_rank(self)
        if r == 0:
            return self.F.zeros(columns, rows)
        if r == rows:
            return self.T @ (self @ self.T).inv
        if r == columns:
            return (self.T @ self).inv @ self.T
        B, R = self.columns(_pivots(self.a, r)), self.rows(_pivots(self.a.transpose(), r))
        return R.T @ (B.T @ self @ R.T).inv @ B.T

    @property
    def norm2(self) -> Scalar:
        """The squared Frobenius norm (over a finite field: the sum of squares)."""
        return self.F.trace(self @ self.T)

    def rows(self, which: Sequence[int] | range) -> Matrix:
        """Some rows."""
        table = self.a.tolist()
        return self.F.constant([table[i] for i in which])

    def columns(self, which: Sequence[int] | range) -> Matrix:
        """Some columns."""
        return self.T.rows(which).T

    def entry(self, i: int, j: int) -> Scalar:
        """One entry."""
        return self.a[i, j]


def _pivots(a: Any, rank: int) -> list[int]:
    """Columns of the pivots of the reduced row echelon form."""
    table = a.rref()[0].tolist()
    return [next(j for j, value in enumerate(table[i]) if value != 0) for i in range(rank)]


class Field(ABC):
    """Where the entries live, and how random ones are drawn."""

    @abstractmethod
    def scalar(self) -> Scalar:
        """A random scalar; over the rationals it is positive."""

    @abstractmethod
    def number(self, value: int) -> Scalar:
        """An integer as a scalar."""

    @abstractmethod
    def constant(self, rows: Sequence[Sequence[Any]]) -> Matrix:
        """A matrix with the given entries."""

    @abstractmethod
    def full(self, rows: int, columns: int) -> Matrix:
        """A matrix of independent random entries."""

    def decide_rank(self, A: Matrix) -> int:
        """The rank that the pseudo-inverse uses."""
        return A.rank

    def draw(self, rows: int, columns: int, rank: int | None = None) -> Matrix:
        """A random matrix, of the given rank at most (generically equal)."""
        if rank is None or rank >= min(rows, columns):
            return self.full(rows, columns)
        return self.full(rows, rank) @ self.full(rank, columns)

    def zeros(self, rows: int, columns: int) -> Matrix:
        """The zero matrix."""
        return self.constant([[self.number(0)] * columns for _ in range(rows)])

    def ones(self, rows: int, columns: int = 1) -> Matrix:
        """All ones."""
        return self.constant([[self.number(1)] * columns for _ in range(rows)])

    def eye(self, n: int) -> Matrix:
        """The identity, made once for each size."""
        made = self._identities
        if n not in made:
            made[n] = self.constant([[self.number(int(i == j)) for j in range(n)] for i in range(n)])
        return made[n]

    @cached_property
    def _identities(self) -> dict[int, Matrix]:
        return {}

    def diag(self, values: Sequence[Scalar]) -> Matrix:
        """A diagonal matrix."""
        zero = self.number(0)
        return self.constant([[v if i == j else zero for j in range(len(values))] for i, v in enumerate(values)])

    def below(self, *blocks: Matrix) -> Matrix:
        """Blocks stacked one below the other."""
        return self.constant([row for block in blocks for row in block.a.tolist()])

    def skew(self, n: int) -> Matrix:
        """A random skew-symmetric matrix."""
        half = self.full(n, n)
        return half - half.T

    def orthogonal(self, n: int, columns: int | None = None) -> Matrix:
        """Cayley's orthogonal matrix (I - S)(I + S)^-1 for a random skew S, or its first columns."""
        identity, S = self.eye(n), self.skew(n)
        Q = (identity - S) @ (identity + S).inv
        return Q if columns is None else Q.columns(range(columns))

    def trace(self, A: Matrix) -> Scalar:
        """The trace of a square matrix."""
        return sum((A.entry(i, i) for i in range(A.shape[0])), self.number(0))

    def det(self, A: Matrix) -> Scalar:
        """The determinant."""
        return A.a.det()

    def is_zero(self, value: Matrix | Scalar) -> bool:
        """Whether a matrix or scalar is zero."""
        if isinstance(value, Matrix):
            return all(bool(x == 0) for x in value.a.entries())
        return bool(value == 0)


def weights(Phi: Matrix, Y: Matrix, lam: Scalar | None) -> Matrix:
    """Ridge regression  Y^T (Phi Phi^T + lam I)^-1 Phi ;  with ``lam = None``  Y^T (Phi^+)^T ."""
    if lam is None:
        return Y.T @ Phi.plus.T
    return Y.T @ (Phi @ Phi.T + lam * Phi.F.eye(Phi.shape[0])).inv @ Phi
