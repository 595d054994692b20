"""T1 (which targets exist, and the best error where none does) and T2 (lam_s = 0)."""

from __future__ import annotations

from proofs_check.matrix import Field, weights
from proofs_check.statements.statement import Case, Pairs, statement

__all__: list[str] = []


@statement("T1", error="the projector before Z is dropped", when=lambda c: c.q <= c.r)
def target(F: Field, c: Case, wrong: bool) -> Pairs:
    """D = (Y^T)^+ W + (I - Y Y^+) Z solves Y^T D = W whenever range(W) lies in range(Y^T)"""
    Y, Z = F.draw(c.m, c.k, c.r), F.draw(c.m, c.p)
    W = Y.T @ F.draw(c.m, c.p, c.q)
    D = Y.T.plus @ W + (Z if wrong else Z - Y @ (Y.plus @ Z))
    yield Y.T @ D, W


@statement("T1", error="the free part is left out", when=lambda c: c.q <= c.r)
def every_target(F: Field, c: Case, wrong: bool) -> Pairs:
    """every D with Y^T D = W has that form (with Z = D)"""
    Y, D = F.draw(c.m, c.k, c.r), F.draw(c.m, c.p)
    rest = D - Y @ (Y.plus @ D)
    W = Y.T @ D
    yield D, (Y.T.plus @ W if wrong else Y.T.plus @ W + rest)


@statement(
    "T1", error="the part outside of the labels' row space is taken to vanish", when=lambda c: min(c.r, c.m) < c.k
)
def least_error(F: Field, c: Case, wrong: bool) -> Pairs:
    """for labels of rank r < k no features reach below |(I - Y^+ Y) W|, whatever lam_s, and some reach it"""
    W, Y, Phi = F.draw(c.k, c.p, c.q), F.draw(c.m, c.k, c.r), F.draw(c.m, c.p, c.r)
    missing = W - Y.plus @ (Y @ W)
    for lam in (None, F.scalar()):
        difference = weights(Phi, Y, lam) - W
        yield difference - Y.plus @ (Y @ difference), F.number(0) * missing if wrong else F.number(-1) * missing
    D = Y.T.plus @ W
    yield weights(D.plus.T, Y, None) - W, F.number(-1) * missing


@statement("T1", error="minors of size m are claimed to vanish too", when=lambda c: c.m < min(c.k, c.p))
def rank_of_fewer_points(F: Field, c: Case, wrong: bool) -> Pairs:
    """W_s has rank at most m: every minor of size m + 1 is zero, whatever features, labels and ridge"""
    size = range(c.m if wrong else c.m + 1)
    for lam in (None, F.scalar()):
        Ws = weights(F.draw(c.m, c.p), F.draw(c.m, c.k), lam)
        yield F.det(Ws.rows(size).columns(size)), F.number(0)


@statement("T2", error="(Y^+ W)^+ is replaced by W^+ Y", when=lambda c: c.q <= c.r)
def features(F: Field, c: Case, wrong: bool) -> Pairs:
    """Phi_s = (D^+)^T has exactly the weights W, for W, Y and D of any rank"""
    Y, Z = F.draw(c.m, c.k, c.r), F.draw(c.m, c.p)
    W = Y.T @ F.draw(c.m, c.p, c.q)
    for free in (F.zeros(c.m, c.p), Z):
        D = Y.T.plus @ W + free - Y @ (Y.plus @ free)
        yield weights((W.plus @ Y.T).T if wrong else D.plus.T, Y, None), W


@statement("T2", error="D^+ is taken of the transpose of D twice")
def one_solution_per_target(F: Field, c: Case, wrong: bool) -> Pairs:
    """the solutions are no others: any Phi is (D^+)^T for its D = (Phi^+)^T, and W_s = Y^T D"""
    Phi, Y = F.draw(c.m, c.p, c.r), F.draw(c.m, c.k)
    D = Phi.plus.T
    yield Phi, (D if wrong else D.plus.T)
    yield weights(Phi, Y, None), Y.T @ D


@statement(
    "T2", error="Q1 is not taken orthogonal to the range of Y", when=lambda c: c.r < c.m and c.q < c.p and c.q <= c.r
)
def free_matrix(F: Field, c: Case, wrong: bool) -> Pairs:
    """with Z = tau Q1 Q2 the target's singular values are those of (Y^T)^+ W and tau: D D^T = M M^T + tau^2 Q1 Q1^T,
    M^T Q1 = 0"""
    tau, left, right = F.scalar(), F.orthogonal(c.m), F.orthogonal(c.p)
    free = min(c.m - c.r, c.p - c.q)
    Y = left.columns(range(c.r)) @ F.draw(c.r, c.k)
    W = Y.T @ F.draw(c.m, c.q) @ right.columns(range(c.q)).T
    first = 0 if wrong else c.r
    Q1, Q2 = left.columns(range(first, first + free)), right.columns(range(c.p - free, c.p)).T
    M = Y.T.plus @ W
    D = M + tau * (Q1 @ Q2)
    yield Y.T @ D, W
    yield D @ D.T, M @ M.T + (tau * tau) * (Q1 @ Q1.T)
    yield M.T @ Q1, F.zeros(c.p, free)
