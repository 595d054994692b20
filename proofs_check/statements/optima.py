"""T20b to T20d: what DC, DM and KIP minimise, as identities."""

from __future__ import annotations

from itertools import product

from proofs_check.matrix import Field, weights
from proofs_check.statements.given_features import labels_for
from proofs_check.statements.models import contrasts
from proofs_check.statements.statement import Case, Pairs, statement

__all__: list[str] = []


@statement("T20b", error="s in place of s^2")
def random_weights(F: Field, c: Case, wrong: bool) -> Pairs:
    """over all W with entries +-s: the mean of |W (G_s - G) - (C_s - C)|^2 is k s^2 |G_s - G|^2 + |C_s - C|^2"""
    k, p, s = min(c.k, 2), min(c.p, 3), F.scalar()
    Phi, Phis = F.draw(c.n, p), F.draw(c.m, p)
    A, B = Phis.T @ Phis - Phi.T @ Phi, F.draw(c.m, k).T @ Phis - F.draw(c.n, k).T @ Phi
    total = F.number(0)
    for signs in product((-1, 1), repeat=k * p):
        W = F.constant([list(signs[row * p : (row + 1) * p]) for row in range(k)])
        total = total + (s * (W @ A) - B).norm2
    variance = s if wrong else s * s
    yield total, F.number(2 ** (k * p)) * (F.number(k) * variance * A.norm2 + B.norm2)


@statement("T20b", error="P is doubled", when=lambda c: c.p > 1)
def on_a_subspace(F: Field, c: Case, wrong: bool) -> Pairs:
    """for a projector P: |P G P - G|^2 = |G|^2 - |P G P|^2 and |C P - C|^2 = |C|^2 - |C P|^2"""
    Phi, C = F.draw(c.n, c.p), F.draw(c.k, c.p)
    G, V = Phi.T @ Phi, F.orthogonal(c.p, c.p - 1)
    P = V @ V.T
    P = F.number(2) * P if wrong else P
    yield (P @ G @ P - G).norm2, G.norm2 - (P @ G @ P).norm2
    yield (C @ P - C).norm2, C.norm2 - (C @ P).norm2


@statement("T20c", error="sqrt(m) is left out")
def moments(F: Field, c: Case, wrong: bool) -> Pairs:
    """1 mean + sqrt(m) H^T S with S^T S the covariance has the mean and the covariance of the data"""
    n, m = 9, 4
    S, mean = F.draw(m - 1, c.p), F.draw(1, c.p)
    data = F.ones(n) @ mean + F.number(3) * (contrasts(F, n).rows(range(m - 1)).T @ S)
    points = F.ones(m) @ mean + F.number(1 if wrong else 2) * (contrasts(F, m).T @ S)
    found = []
    for A in (data, points):
        size = 1 / F.number(A.shape[0])
        average = size * (F.ones(1, A.shape[0]) @ A)
        away = A - F.ones(A.shape[0]) @ average
        found.append((average, size * (away.T @ away)))
    yield found[1][0], found[0][0]
    yield found[1][1], found[0][1]


@statement("T20d", error="G is left out", when=lambda c: c.q <= c.k and c.p > 1)
def loss_above_least_squares(F: Field, c: Case, wrong: bool) -> Pairs:
    """|Phi W^T - Y|^2 is the least-squares residual plus |(W - W_ols) G^(1/2)|^2, and learned labels reach any W in the
    rows of the points at any ridge"""
    Phi, Y, lam = F.draw(c.n, c.p), F.draw(c.n, c.k), F.scalar()
    Phis = F.draw(c.q, c.p)
    W, best = F.draw(c.k, c.q) @ Phis, weights(Phi, Y, None)
    away = W - best
    tail = away.norm2 if wrong else F.trace(away @ (Phi.T @ Phi) @ away.T)
    yield (Phi @ W.T - Y).norm2, (Phi @ best.T - Y).norm2 + tail
    yield weights(Phis, labels_for(Phis, W, lam), lam), W


@statement("T20d", error="lam in place of 4 lam", when=lambda c: c.m <= 6)
def bounded_target(F: Field, c: Case, wrong: bool) -> Pairs:
    """D = (K + lam)^-1 Phi_s has I / (4 lam) - D D^T = (K - lam)^2 (K + lam)^-2 / (4 lam) >= 0: |D|_2^2 <= 1 / (4
    lam)"""
    Phis, lam = F.draw(c.m, c.p), F.scalar()
    K, one = Phis @ Phis.T, F.eye(c.m)
    inverse = (K + lam * one).inv
    D, minus = inverse @ Phis, K - lam * one
    limit = 1 / lam if wrong else 1 / (F.number(4) * lam)
    yield limit * one - D @ D.T, (1 / (F.number(4) * lam)) * (minus @ minus @ inverse @ inverse)
