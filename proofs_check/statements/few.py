"""T7: fewer points than rank W, in any metric."""

from __future__ import annotations

from proofs_check.matrix import Field, weights
from proofs_check.statements.statement import Case, Pairs, statement

__all__: list[str] = []


@statement("T7", error="the transpose of U^T W is taken instead of its pseudo-inverse", when=lambda c: c.m <= c.k)
def retained_part(F: Field, c: Case, wrong: bool) -> Pairs:
    """labels U^T and features ((U^T W)^+)^T give W_s = U U^T W for any U with orthonormal columns"""
    W, U = F.draw(c.k, c.p, c.q), F.orthogonal(c.k, c.m)
    Phi = U.T @ W if wrong else (U.T @ W).plus.T
    yield weights(Phi, U.T, None), U @ (U.T @ W)


@statement("T7", error="the eigenvectors are those of W W^T", when=lambda c: c.m < c.k and c.m < c.p)
def error_in_metric(F: Field, c: Case, wrong: bool) -> Pairs:
    """with U the top eigenvectors of W S W^T the squared error |(W_s - W) S^(1/2)|^2 is the sum of the other
    eigenvalues"""
    rank, root = min(c.k, c.p), F.draw(c.p, c.p)
    left, right, sigma = F.orthogonal(c.k, rank), F.orthogonal(c.p, rank), [F.scalar() for _ in range(rank)]
    W = left @ F.diag(sigma) @ right.T @ (F.eye(c.p) if wrong else root.inv)
    S = root @ root.T
    U = left.columns(range(c.m))
    yield W @ S @ W.T @ U, U @ F.diag([s * s for s in sigma[: c.m]])
    difference = weights((U.T @ W).plus.T, U.T, None) - W
    yield F.trace(difference @ S @ difference.T), sum((s * s for s in sigma[c.m :]), F.number(0))


@statement("T7", error="S = G")
def reduced_rank_ridge(F: Field, c: Case, wrong: bool) -> Pairs:
    """S = G + lam I: the ridge objective of any B is that of W plus |(B - W) S^(1/2)|^2, so the best B of rank m is
    reduced-rank ridge"""
    Phi, Y, B, lam = F.draw(c.n, c.p), F.draw(c.n, c.k), F.draw(c.k, c.p), F.scalar()
    W = weights(Phi, Y, lam)
    G = Phi.T @ Phi
    S = G if wrong else G + lam * F.eye(c.p)
    objective = [(Phi @ A.T - Y).norm2 + lam * A.norm2 for A in (B, W)]
    yield objective[0] - objective[1], F.trace((B - W) @ S @ (B - W).T)
