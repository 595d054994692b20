"""T11 (several ridges) and T12 (intercept, sample weights, Tikhonov)."""

from __future__ import annotations

from proofs_check.matrix import Field, Matrix, weights
from proofs_check.statements.given_features import labels_for
from proofs_check.statements.statement import Case, Pairs, statement

__all__ = ["contrasts"]


@statement("T11", error="P projects on the rows of the first W only", when=lambda c: 2 * c.k < c.p)
def several_ridges(F: Field, c: Case, wrong: bool) -> Pairs:
    """with P the projector on all rows of W(lam_1), ..., W(lam_L), the sums P G P and C P recover every W(lam_i)"""
    Phi, Y, ridges = F.draw(c.n, c.p), F.draw(c.n, c.k), [F.scalar() for _ in range(2)]
    G, C = Phi.T @ Phi, Y.T @ Phi
    models = [C @ (G + lam * F.eye(c.p)).inv for lam in ridges]
    rows = models[0] if wrong else F.below(*models)
    P = rows.plus @ rows
    for lam, W in zip(ridges, models, strict=True):
        yield C @ P @ (P @ G @ P + lam * F.eye(c.p)).inv, W


@statement("T11", error="the labels lack the inverse square root", when=lambda c: c.q <= min(c.k, c.p))
def square_root(F: Field, c: Case, wrong: bool) -> Pairs:
    """Phi_s = (V^T G V)^(1/2) V^T and Y_s = (V^T G V)^(-1/2) V^T C^T: r points for all ridges at once (G with rational
    eigenvectors)"""
    Q, roots = F.orthogonal(c.p), [F.scalar() for _ in range(c.p)]
    G = Q @ F.diag([s * s for s in roots]) @ Q.T
    V = Q.columns(range(c.q))
    C = F.draw(c.k, c.q) @ V.T
    kept = roots[: c.q]
    Phi = F.diag(kept) @ V.T
    Y = (V.T @ C.T) if wrong else F.diag([1 / s for s in kept]) @ (V.T @ C.T)
    for _ in range(3):
        lam = F.scalar()
        yield weights(Phi, Y, lam), C @ (G + lam * F.eye(c.p)).inv


def contrasts(F: Field, columns: int) -> Matrix:
    """Orthonormal rows H (columns - 1, columns) with H 1 = 0: rational for a square number of columns; rotated."""
    root = F.number({4: 2, 9: 3}[columns])
    # the Householder reflection that maps e_1 to 1 / sqrt(columns); its other columns are orthogonal to 1
    u = F.eye(columns).columns([0]) - (1 / root) * F.ones(columns)
    reflection = F.eye(columns) - (2 / u.norm2) * (u @ u.T)
    return F.orthogonal(columns - 1) @ reflection.columns(range(1, columns)).T


def _centred(A: Matrix, F: Field) -> tuple[Matrix, Matrix]:
    """The rows about their mean, and the mean (1, columns)."""
    m = A.shape[0]
    mean = (1 / F.number(m)) * (F.ones(1, m) @ A)
    return A - F.ones(m) @ mean, mean


@statement("T12", error="the labels lack W mu", when=lambda c: c.k in (2, 3, 4, 5) and c.q <= 3)
def intercept(F: Field, c: Case, wrong: bool) -> Pairs:
    """1 mu^T + H^T Phi_q with 1 (b + W mu)^T + H^T Y_q: the refit with an unpenalised intercept gives W and b, mu
    free"""
    for points in (3, 8):
        Phi_q = F.draw(points, c.p, min(points, c.p))
        W = F.draw(c.k, points, c.q) @ Phi_q
        b, mu, H = F.draw(1, c.k), F.draw(1, c.p), contrasts(F, points + 1)
        for lam in (None, F.scalar()):
            one = F.ones(points + 1)
            Phi = one @ mu + H.T @ Phi_q
            Y = one @ (b if wrong else b + mu @ W.T) + H.T @ labels_for(Phi_q, W, lam)
            (centred, mean), (labels, mean_y) = _centred(Phi, F), _centred(Y, F)
            Ws = weights(centred, labels, lam)
            yield Ws, W
            yield mean_y - mean @ Ws.T, b


@statement("T12", error="rows are scaled by w_i^2")
def sample_weights(F: Field, c: Case, wrong: bool) -> Pairs:
    """sample weights w_i^2 are rows scaled by w_i"""
    Phi, Y, lam, w = F.draw(c.m, c.p), F.draw(c.m, c.k), F.scalar(), [F.scalar() for _ in range(c.m)]
    root, square = F.diag(w), F.diag([x * x for x in w])
    W = (Y.T @ square @ Phi) @ (Phi.T @ square @ Phi + lam * F.eye(c.p)).inv
    scale = square if wrong else root
    yield weights(scale @ Phi, scale @ Y, lam), W


@statement("T12", error="Gamma^(1/2) is used on the features too", when=lambda c: c.p <= 7)
def tikhonov(F: Field, c: Case, wrong: bool) -> Pairs:
    """Tikhonov: the penalty |W Gamma^(1/2)|^2 is an ordinary ridge for W Gamma^(1/2) on Phi Gamma^(-1/2)"""
    Phi, Y = F.draw(c.m, c.p), F.draw(c.m, c.k)
    half = F.draw(c.p, c.p)
    root = half + half.T
    W = Y.T @ Phi @ (Phi.T @ Phi + root @ root).inv
    yield weights(Phi @ (root if wrong else root.inv), Y, F.number(1)), W @ root
