"""T8e: deep linear networks, whose features are B x or B x + c."""

from __future__ import annotations

from proofs_check.matrix import Field, Matrix, weights
from proofs_check.statements.given_features import labels_for
from proofs_check.statements.statement import Case, Pairs, statement

__all__ = ["affine_map", "height"]


def affine_map(F: Field, c: Case) -> tuple[Matrix, Matrix, Matrix]:
    """B (p, d) with d < p, c (1, p), and e (p, 1)."""
    B, offset = F.draw(c.p, max(1, c.p - 2)), F.draw(1, c.p)
    return B, offset, height(B, offset)


def height(B: Matrix, offset: Matrix) -> Matrix:
    """e = c_perp / |c_perp|^2: B^T e = 0, e.c = 1 (c_perp orthogonal to range(B))."""
    perp = offset - offset @ B @ B.plus
    return (1 / perp.norm2) * perp.T


def _fitted(F: Field, B: Matrix, offset: Matrix, c: Case) -> Matrix:
    """W of a ridge regression on n samples through the affine map, of rank k."""
    X = F.draw(c.k + c.n, B.shape[1])
    Phi = X @ B.T + F.ones(c.k + c.n) @ offset
    return weights(Phi, F.draw(c.k + c.n, c.k), F.scalar())


_affine = lambda c: c.k + 1 < c.p  # noqa: E731


@statement("T8e", error="the rows of W are not projected on the range", when=lambda c: c.q <= c.r and c.p >= 3)
def linear(F: Field, c: Case, wrong: bool) -> Pairs:
    """linear features: rows of W lie in range(B), so do those of (D^+)^T, x = B^+ phi maps to them and W is recovered,
    p > d"""
    B = F.draw(c.p, c.p - 1, max(1, c.p - 2))
    Y = F.draw(c.m, c.k, c.r)
    W = Y.T @ F.draw(c.m, c.p, c.q)
    W = W if wrong else W @ B @ B.plus
    X = (Y.T.plus @ W).plus.T @ B.plus.T
    yield weights(X @ B.T, Y, None), W


@statement("T8e", error="e.c = 1 is dropped: e = c_perp", when=_affine)
def height_of_features(F: Field, c: Case, wrong: bool) -> Pairs:
    """e.phi = 1 for every feature vector, and the rows of W lie in span(B, c)"""
    B, offset, e = affine_map(F, c)
    Phi = F.draw(c.n, B.shape[1]) @ B.T + F.ones(c.n) @ offset
    yield Phi @ ((1 / e.norm2) * e if wrong else e), F.ones(c.n)
    span = F.below(B.T, offset)
    W = weights(Phi, F.draw(c.n, c.k), F.scalar())
    yield W @ span.plus @ span, W


@statement("T8e", error="M alone (no v): the points then miss the range", when=_affine)
def one_point_more(F: Field, c: Case, wrong: bool) -> Pairs:
    """fixed labels [I; 0], k + 1 points: D = M + v (e - M^T 1)^T / (v.v) has Y^T D = W and e in its row space, and x_s
    exists"""
    B, offset, e = affine_map(F, c)
    W, m = _fitted(F, B, offset, c), c.k + 1
    Y = F.below(F.eye(c.k), F.zeros(1, c.k))
    one = F.ones(m)
    v = one - Y @ (Y.plus @ one)
    M = Y.T.plus @ W
    D = M if wrong else M + (1 / v.norm2) * (v @ (e - M.T @ one).T)
    Phi = D.plus.T
    X = (Phi - one @ offset) @ B.plus.T
    yield Y.T @ D, W
    yield Phi @ e, one
    yield X @ B.T + one @ offset, Phi
    yield weights(X @ B.T + one @ offset, Y, None), W


@statement("T8e", error="plain one-hot labels", when=_affine)
def scaled_one_hot(F: Field, c: Case, wrong: bool) -> Pairs:
    """k points: one-hot labels scaled per class by 1 / a, a = (W^+)^T e, are exact"""
    B, offset, e = affine_map(F, c)
    W = _fitted(F, B, offset, c)
    a = W.plus.T @ e
    Y = F.eye(c.k) if wrong else F.diag([1 / a.entry(i, 0) for i in range(c.k)])
    Phi = (Y.T.inv @ W).plus.T
    X = (Phi - F.ones(c.k) @ offset) @ B.plus.T
    yield Phi @ e, F.ones(c.k)
    yield weights(X @ B.T + F.ones(c.k) @ offset, Y, None), W


@statement("T8e", error="A is not chosen so that A W e = 1", when=_affine)
def learned_labels(F: Field, c: Case, wrong: bool) -> Pairs:
    """learned labels: k points A W with A W e = 1 are exact for any lam (possible iff W e != 0)"""
    B, offset, e = affine_map(F, c)
    W, lam, A = _fitted(F, B, offset, c), F.scalar(), F.draw(c.k, c.k)
    heights = A @ W @ e
    scaled = A if wrong else F.diag([1 / heights.entry(i, 0) for i in range(c.k)]) @ A
    X = (scaled @ W - F.ones(c.k) @ offset) @ B.plus.T
    Phi = X @ B.T + F.ones(c.k) @ offset
    yield Phi, scaled @ W
    yield weights(Phi, labels_for(Phi, W, lam), lam), W


@statement("T8e", error="the two gaps are claimed to be equal", when=_affine)
def plain_one_hot(F: Field, c: Case, wrong: bool) -> Pairs:
    """one-hot labels (Y 1 = 1): w = W_s^T 1 has w.e = |w|^2 at lam_s = 0, while an original ridge lam > 0 leaves w.e -
    |w|^2 = lam e^T G (G + lam)^-2 e > 0; so plain one-hot labels cannot be exact at lam_s = 0, for any m"""
    B, offset, e = affine_map(F, c)
    lam, samples = F.scalar(), c.k + c.n
    Y = F.below(*[F.eye(c.k)] * (samples // c.k + 1)).rows(range(samples))
    Phi = F.draw(samples, B.shape[1]) @ B.T + F.ones(samples) @ offset
    gaps = []
    for ridge in (None, lam):
        w = weights(Phi, Y, ridge).T @ F.ones(c.k)
        gaps.append(w.T @ e - w.T @ w)
    G = Phi.T @ Phi
    shifted = (G + lam * F.eye(c.p)).inv
    yield gaps[0], gaps[1] if wrong else F.zeros(1, 1)
    yield gaps[1], lam * (e.T @ G @ shifted @ shifted @ e)
