"""T21: weights of trained networks are stationary on the sets that are made for them."""

from __future__ import annotations

from proofs_check.matrix import Field
from proofs_check.statements.statement import Case, Pairs, statement

__all__: list[str] = []


@statement("T21b", error="the weights are not those of the residuals", when=lambda c: c.m < c.p)
def rows_of_stationary_weights(F: Field, c: Case, wrong: bool) -> Pairs:
    """weights W with D^T H + lam W = 0 have their rows among those of the m states H: rank W is m at most"""
    D, H, lam = F.draw(c.m, c.k), F.draw(c.m, c.p), F.scalar()
    W = F.draw(c.k, c.p) if wrong else F.number(-1) * (1 / lam) * (D.T @ H)
    yield W @ H.plus @ H, W


@statement("T21c", error="the penalty's part of the labels is left out", when=lambda c: c.q <= min(c.k, c.p, 3))
def deep_linear(F: Field, c: Case, wrong: bool) -> Pairs:
    """balanced layers of U S V^T, S = T^3, have gradient 0 on points c V^T with labels (c S + (lam / c) T^-1) U^T"""
    q, inner = c.q, c.q + 1
    lam, scale, roots = F.scalar(), F.scalar(), [F.scalar() for _ in range(q)]
    T, inverse = F.diag(roots), F.diag([1 / root for root in roots])
    V, one, two, U = (F.orthogonal(size, q) for size in (max(c.p, q), inner, inner, max(c.k, q)))
    layers = [one @ T @ V.T, two @ T @ one.T, U @ T @ two.T]
    X = scale * V.T
    part = F.number(0) * inverse if wrong else (lam / scale) * inverse
    Y = (scale * (T @ T @ T) + part) @ U.T
    states = [X]
    for W in layers:
        states.append(states[-1] @ W.T)
    D = states[-1] - Y
    for place in (2, 1, 0):
        yield D.T @ states[place] + lam * layers[place], F.zeros(*layers[place].shape)
        D = D @ layers[place]


@statement("T21d", error="the signs are +, +, -, -", when=lambda c: c.p >= 3)
def four_points_a_unit(F: Field, c: Case, wrong: bool) -> Pairs:
    """the points u + t b, t = 2e, e, -e, -2e, with residuals -d, d, d, -d, give lam a and lam b back to their unit and
    nothing to a unit that is active at all four"""
    d, lam, e = c.p, F.scalar(), F.scalar()
    b, u, other = F.draw(d, 1), F.draw(d, 1), F.draw(d, 1)
    square = F.trace(b.T @ b)
    u = u - (F.trace(u.T @ b) / square) * b
    a = F.orthogonal(d) @ b  # as long as b
    delta = (lam / (e * square)) * a
    steps = [F.number(t) * e for t in (2, 1, -1, -2)]
    signs = (1, 1, -1, -1) if wrong else (1, -1, -1, 1)
    points = F.below(*[(u + t * b).T for t in steps])
    residuals = F.below(*[F.number(-sign) * delta.T for sign in signs])
    active = points.rows([0, 1]), residuals.rows([0, 1])
    yield active[1].T @ (active[0] @ b), F.number(-1) * lam * a
    yield active[0].T @ (active[1] @ a), F.number(-1) * lam * b
    yield residuals.T @ (points @ other), F.zeros(d, 1)
    yield points.T @ (residuals @ F.draw(d, 1)), F.zeros(d, 1)


@statement("T21d", error="the steps are counted twice", when=lambda c: c.p >= 2)
def two_points_a_unit(F: Field, c: Case, wrong: bool) -> Pairs:
    """the points u + e b, u - e b where the unit alone is active, with residuals -d / 2, d / 2, give it lam a and lam b
    back"""
    d, lam, e = c.p, F.scalar(), F.scalar()
    b, u = F.draw(d, 1), F.draw(d, 1)
    square = F.trace(b.T @ b)
    a = F.orthogonal(d) @ b  # as long as b
    half = (lam / ((1 if wrong else 2) * e * square)) * a
    points, residuals = F.below((u + e * b).T, (u - e * b).T), F.below(F.number(-1) * half.T, half.T)
    yield residuals.T @ (points @ b), F.number(-1) * lam * a
    yield points.T @ (residuals @ a), F.number(-1) * lam * b
