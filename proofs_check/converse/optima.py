"""T20b to T20d: no points are below the optimum, decided on rational instances."""

from __future__ import annotations

from collections.abc import Iterator

from flint import fmpq

from proofs_check.converse.instances import decided
from proofs_check.exact.rationals import Rationals
from proofs_check.matrix import weights

__all__ = ["CHECKS"]


def _sum_of_squares(values: list[fmpq]) -> fmpq:
    total = fmpq(0)
    for value in values:
        total += value * value
    return total


@decided("T20b")
def tail_of_gram(F: Rationals, wrong: bool) -> Iterator[bool]:
    """m points have |G_s - G|^2 of at least the tail of the squared eigenvalues of G, which some reach"""
    p, m = 5, 2
    values = sorted((F.scalar() for _ in range(p)), reverse=True)
    Q = F.orthogonal(p)
    G, tail = Q @ F.diag(values) @ Q.T, _sum_of_squares(values[m:])
    tail = tail * fmpq(10**6) if wrong else tail
    V = Q.columns(range(m))
    best = V @ F.diag(values[:m]) @ V.T
    yield (best - G).norm2 == tail
    for _ in range(5):
        near = V.T + fmpq(1, 50) * F.draw(m, p)
        points = F.diag(values[:m]) @ near
        yield (near.T @ points - G).norm2 >= tail


@decided("T20c")
def rank_of_covariance(F: Rationals, wrong: bool) -> Iterator[bool]:
    """m points have a covariance of rank m - 1 at most: rank + 1 are necessary"""
    m, p = 4, 6
    points = F.draw(m, p)
    mean = fmpq(1, m) * (F.ones(1, m) @ points)
    away = points - F.ones(m) @ mean
    yield (away.T @ away).rank <= (m - 2 if wrong else m - 1)


@decided("T20d")
def tail_of_fit(F: Rationals, wrong: bool) -> Iterator[bool]:
    """m points with any labels and ridge are above the least-squares residual plus the tail of the fit"""
    k, m, n = 4, 2, 6
    values = sorted((F.scalar() for _ in range(k)), reverse=True)
    Q, R = F.orthogonal(n, k), F.orthogonal(k)
    Phi = Q @ F.draw(k, k)  # its columns hold those of Y, so the least-squares residual is 0
    Y = Q @ F.diag(values) @ R.T
    tail = _sum_of_squares(values[m:]) * fmpq(10**6 if wrong else 1)
    for _ in range(5):
        W = weights(F.draw(m, k), F.draw(m, k), F.scalar())
        yield (Phi @ W.T - Y).norm2 >= tail


CHECKS = [tail_of_gram, rank_of_covariance, tail_of_fit]
