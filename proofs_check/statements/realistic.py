"""T6 and T6b (sets nearest to given points), and the box."""

from __future__ import annotations

from proofs_check.matrix import Field, weights
from proofs_check.statements.given_features import labels_for
from proofs_check.statements.statement import Case, Pairs, statement

__all__: list[str] = []


@statement("T6", error="N keeps the part in row(W)", when=lambda c: c.q <= c.m and c.q < c.p)
def nearest_is_exact(F: Field, c: Case, wrong: bool) -> Pairs:
    """Phi_s = Phi_ref - V V^T N is exact for any V (m, q) with orthonormal columns, at the distance |V^T N|, for any
    lam"""
    ref, W, V = F.draw(c.m, c.p), F.draw(c.k, c.p, c.q), F.orthogonal(c.m, c.q)
    P = W.plus @ W
    N = ref if wrong else ref - ref @ P
    Phi = ref - V @ (V.T @ N)
    yield V.T @ Phi, V.T @ ref @ P
    yield (Phi - ref).norm2, (V.T @ N).norm2
    for lam in (None, F.scalar()):
        yield weights(Phi, labels_for(Phi, W, lam), lam), W


@statement("T6", error="the part in row(W) is not projected out", when=lambda c: c.q <= c.m and c.q < c.p)
def lower_bound(F: Field, c: Case, wrong: bool) -> Pairs:
    """no exact set is nearer: if C Phi = B spans row(W), then C^+ C (Phi - Phi_ref)(I - P_W) = -C^+ C N, the rest is
    orthogonal"""
    C, B, X, ref = F.draw(c.q, c.m), F.draw(c.q, c.p), F.draw(c.m, c.p), F.draw(c.m, c.p)
    W = F.draw(c.k, c.q, c.q) @ B
    P = B.plus @ B
    Phi = C.plus @ B + X - C.plus @ (C @ X)
    N = ref - ref @ P
    bound = C.plus @ (C @ N)
    change = Phi - ref
    outside = change if wrong else change - change @ P
    yield C @ Phi, B
    yield C.plus @ (C @ outside), F.number(-1) * bound
    yield change.norm2, bound.norm2 + (change + bound).norm2
    if c.k >= c.q:
        yield W @ Phi.plus @ Phi, W


def _instance(F: Field, c: Case) -> tuple:
    """W of rank k, labels, references whose N has rational singular triplets, and these."""
    right = F.orthogonal(c.p)
    rank = min(c.m, c.p - c.k)
    U = right.columns(range(c.k, c.k + rank))
    W = F.draw(c.k, c.k) @ right.columns(range(c.k)).T
    V, sigma = F.orthogonal(c.m, rank), [F.scalar() for _ in range(rank)]
    ref = F.draw(c.m, c.k) @ W + V @ F.diag(sigma) @ U.T
    return W, F.draw(c.m, c.k), ref, V, sigma, U


@statement("T6b", error="[N]_(m-q) keeps one singular value less", when=lambda c: c.k < c.m <= c.p and c.k < c.p)
def nearest_for_fixed_labels(F: Field, c: Case, wrong: bool) -> Pairs:
    """Y (W^+)^T + [N]_(m-q) is exact at lam_s = 0 and its distance is the stated one"""
    W, Y, ref, V, sigma, U = _instance(F, c)
    kept = c.m - c.k - (1 if wrong else 0)
    truncated = [s if i < kept else s * F.number(0) for i, s in enumerate(sigma)]
    Phi = Y @ W.plus.T + V @ F.diag(truncated) @ U.T
    distance = ((Y - ref @ W.T) @ W.plus.T).norm2
    for s in sigma[c.m - c.k :]:
        distance = distance + s * s
    yield (Phi - ref).norm2, distance
    yield weights(Phi, Y, None), W


@statement("T6b", error="Y is replaced by the predictions of the references", when=lambda c: c.k < c.m <= c.p)
def full_row_rank(F: Field, c: Case, wrong: bool) -> Pairs:
    """an exact set of full row rank has Phi W^T = Y, so its part in row(W) is Y (W^+)^T and the rest is orthogonal to
    that"""
    Phi = F.draw(c.m, c.p)
    Y = F.draw(c.m, c.k)
    W, ref = weights(Phi, Y, None), F.draw(c.m, c.p)
    Y = ref @ W.T if wrong else Y
    P = W.plus @ W
    inside = Y @ W.plus.T
    yield Phi @ W.T, Y
    yield Phi @ P, inside
    yield (Phi - ref).norm2, (inside - ref @ P).norm2 + ((Phi - ref) - (Phi - ref) @ P).norm2


@statement("T6", error="the appended image is left out", when=lambda c: c.q <= c.m < c.p)
def box(F: Field, c: Case, wrong: bool) -> Pairs:
    """in the box: moving rows towards one appended image keeps the span, so the m + 1 points are exact with labels of
    T4"""
    rows, image = F.draw(c.m, c.p), F.draw(1, c.p)
    W = F.draw(c.k, c.m, c.q) @ rows
    g = F.ones(c.m) @ image
    moved = g + F.diag([F.scalar() for _ in range(c.m)]) @ (rows - g)
    Phi = moved if wrong else F.below(image, moved)
    for lam in (None, F.scalar()):
        yield weights(Phi, labels_for(Phi, W, lam), lam), W
