"""Real numbers enclosed in balls (Arb, by python-flint): roundings widen the ball, so the true value stays inside."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from flint import acb_mat, arb, arb_mat, ctx, fmpq

from proofs_check.matrix import Field, Matrix

__all__ = ["PRECISION", "RADIUS", "Balls", "enclosure", "symmetric_eigenvectors"]

PRECISION = 320  # bits: 96 digits
RADIUS = 1e-40  # an enclosure of W_s - W must be at most this wide


class Balls(Field):
    """Balls of :data:`PRECISION` bits around small random fractions; matrices must have full rank to be inverted."""

    def __init__(self, seed: int) -> None:
        ctx.prec = PRECISION
        self.random = random.Random(seed)

    def scalar(self) -> arb:
        return arb(fmpq(self.random.randint(1, 9), self.random.randint(1, 5)))

    def number(self, value: int) -> arb:
        return arb(value)

    def constant(self, rows: Sequence[Sequence[Any]]) -> Matrix:
        return Matrix(self, arb_mat(len(rows), len(rows[0]), [arb(x) for row in rows for x in row]))

    def full(self, rows: int, columns: int) -> Matrix:
        return self.constant([[fmpq(self.random.randint(-99, 99), 50) for _ in range(columns)] for _ in range(rows)])

    def decide_rank(self, A: Matrix) -> int:
        return min(A.shape)

    def each(self, function: Callable[[Any], Any], A: Matrix) -> Matrix:
        """Apply a function to every entry."""
        return self.constant([[function(x) for x in row] for row in A.a.tolist()])


def enclosure(differences: Iterable[Matrix | arb]) -> tuple[bool, float]:
    """Whether every ball contains 0 and is at most :data:`RADIUS` wide; the largest radius."""
    inside, radius = True, 0.0
    for difference in differences:
        for x in difference.a.entries() if isinstance(difference, Matrix) else [difference]:
            inside = inside and bool(x.is_finite()) and bool(x.contains(0))
            radius = max(radius, float(x.rad().upper()) if x.is_finite() else float("inf"))
    return inside and radius <= RADIUS, radius


def symmetric_eigenvectors(A: Matrix) -> tuple[list[arb], Matrix]:
    """Enclose the distinct eigenvalues (ascending) and orthonormal eigenvectors (columns) of a symmetric matrix."""
    F, n = A.F, A.shape[0]
    values, vectors = acb_mat(A.a).eig(right=True)
    order = sorted(range(n), key=lambda i: float(values[i].real.mid()))
    columns = []
    for j in order:
        column = [vectors[i, j] for i in range(n)]
        pivot = max(column, key=lambda z: float(abs(z).mid()))
        real = [(z / pivot).real for z in column]  # an eigenvector of a real matrix is real up to one factor
        length = sum((x * x for x in real), arb(0)).sqrt()
        columns.append([x / length for x in real])
    return [values[j].real for j in order], F.constant(columns).T
