"""T8d: coupling blocks, orthogonal mixing and residual blocks, inverted; Banach's bound encloses the fixed point."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flint import arb, arb_mat

from proofs_check.ball.balls import Balls
from proofs_check.ball.judged import ball_check
from proofs_check.matrix import Matrix, weights

__all__ = ["CHECKS"]

_STEPS = 400


def _halves(V: Matrix) -> tuple[Matrix, Matrix]:
    h = V.shape[1] // 2
    return V.columns(range(h)), V.columns(range(h, V.shape[1]))


def _beside(a: Matrix, b: Matrix) -> Matrix:
    return a.F.below(a.T, b.T).T


@ball_check("T8d")
def coupling(F: Balls, wrong: bool) -> Iterator[Any]:
    """additive and affine coupling with an orthogonal mixing between: exact inverses, p = d"""
    d = 6
    N, M, L, Q = F.draw(3, 3), F.draw(3, 3), F.draw(3, 3), F.orthogonal(d)

    def shift(a: Matrix, A: Matrix) -> Matrix:
        return F.each(lambda x: x.tanh(), a @ A)

    def gain(a: Matrix, sign: int) -> Matrix:
        return F.each(lambda x: (sign * x.tanh() / 3).exp(), a @ L)

    def times(a: Matrix, b: Matrix) -> Matrix:
        return F.constant(
            [[x * y for x, y in zip(r, s, strict=True)] for r, s in zip(a.a.tolist(), b.a.tolist(), strict=True)]
        )

    def phi(X: Matrix) -> Matrix:
        a, b = _halves(X)
        a, b = _halves(_beside(a, b + shift(a, N)) @ Q)
        return _beside(a, times(gain(a, 1), b) + shift(a, M))

    def back(Phi: Matrix) -> Matrix:
        a, b = _halves(Phi)
        b = times(gain(a, 1 if wrong else -1), b - shift(a, M))
        a, b = _halves(_beside(a, b) @ Q.T)
        return _beside(a, b - shift(a, N))

    yield from _round_trip(F, phi, back, d)


@ball_check("T8d")
def residual(F: Balls, wrong: bool) -> Iterator[Any]:
    """a residual block v + f(v), Lipschitz constant of f at most 0.6: iterated, then enclosed by the contraction's
    error bound"""
    d = 5
    A, B = F.orthogonal(d), F.orthogonal(d)
    factor = arb(3) / 5

    def branch(V: Matrix) -> Matrix:
        return factor * (F.each(lambda x: x.tanh(), V @ A) @ B)

    def back(Phi: Matrix) -> Matrix:
        exact = Matrix(F, arb_mat(Phi.a).mid())
        V = exact
        for _ in range(1 if wrong else _STEPS):
            V = Matrix(F, (exact - branch(V)).a.mid())
        # |V - V*| <= |V + f(V) - Phi| / (1 - 0.6): the residual of the enclosed right-hand side
        gap = (V + branch(V) - Phi).norm2
        radius = (gap.abs_upper().sqrt() / (1 - factor)).abs_upper()
        widened = arb(0) if wrong else arb(0, radius)
        return F.each(lambda x: x + widened, V)

    yield from _round_trip(F, lambda X: X + branch(X), back, d)


def _round_trip(F: Balls, phi: Any, back: Any, d: int) -> Iterator[Any]:
    W = weights(phi(F.draw(8, d)), F.draw(8, 3), F.scalar())
    Y = F.draw(3, 3)
    Phi = (Y.T.plus @ W).plus.T
    yield weights(phi(back(Phi)), Y, None) - W


CHECKS = [coupling, residual]
