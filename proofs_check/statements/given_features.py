"""T4 (labels for given features), T4' (scaling), T5 (centred labels), T9 (one image) in feature space."""

from __future__ import annotations

from proofs_check.matrix import Field, Matrix, Scalar, weights
from proofs_check.statements.statement import Case, Pairs, statement

__all__ = ["labels_for"]


def labels_for(Phi: Matrix, W: Matrix, lam: Scalar | None) -> Matrix:
    """T4: (Phi + lam (Phi^+)^T) W^T."""
    return (Phi if lam is None else Phi + lam * Phi.plus.T) @ W.T


@statement("T4", error="(Phi^+)^T is replaced by Phi")
def projection(F: Field, c: Case, wrong: bool) -> Pairs:
    """the labels (Phi + lam (Phi^+)^T) W^T give W_s = W Phi^+ Phi, for Phi of any rank and any lam"""
    Phi, W = F.draw(c.m, c.p, c.r), F.draw(c.k, c.p, c.q)
    for lam in (None, F.scalar()):
        Y = labels_for(Phi, W, lam)
        if wrong and lam is not None:
            Y = (Phi + lam * Phi) @ W.T
        yield weights(Phi, Y, lam), W @ Phi.plus @ Phi


@statement("T4", error="the ridge is left out of the labels", when=lambda c: c.q <= c.r)
def exact_in_row_space(F: Field, c: Case, wrong: bool) -> Pairs:
    """they are exact when row(W) lies in the row space of Phi"""
    Phi = F.draw(c.m, c.p, c.r)
    W = F.draw(c.k, c.m, c.q) @ Phi
    for lam in (None, F.scalar()):
        yield weights(Phi, labels_for(Phi, W, None if wrong else lam), lam), W


@statement("T4", error="an arbitrary W is claimed to lie there", when=lambda c: min(c.r, c.m) < c.p)
def row_space(F: Field, c: Case, wrong: bool) -> Pairs:
    """no labels leave the row space of Phi: W_s (I - Phi^+ Phi) = 0, so |W (I - Phi^+ Phi)| is the least error"""
    Phi, Y = F.draw(c.m, c.p, c.r), F.draw(c.m, c.k)
    for lam in (None, F.scalar()):
        Ws = F.draw(c.k, c.p) if wrong else weights(Phi, Y, lam)
        yield Ws @ Phi.plus @ Phi, Ws


@statement("T4", error="lam / c is replaced by lam", when=lambda c: c.q <= min(c.m, c.p))
def orthonormal_features(F: Field, c: Case, wrong: bool) -> Pairs:
    """orthonormal features c Q U^T with labels (c + lam / c) Q U^T W^T are exact, for any number of points"""
    U, Q, scale, lam = F.orthogonal(c.p, c.q), F.orthogonal(c.m, c.q), F.scalar(), F.scalar()
    W = F.draw(c.k, c.q) @ U.T
    gain = scale + (lam if wrong else lam / scale)
    yield weights(scale * (Q @ U.T), gain * (Q @ U.T @ W.T), lam), W


@statement("T4'", error="the ridge is multiplied by c")
def scaling(F: Field, c: Case, wrong: bool) -> Pairs:
    """(c Phi, c Y, c^2 lam) has the weights of (Phi, Y, lam)"""
    Phi, Y, factor, lam = F.draw(c.m, c.p, c.r), F.draw(c.m, c.k), F.scalar(), F.scalar()
    scaled = factor * lam if wrong else factor * factor * lam
    yield weights(factor * Phi, factor * Y, scaled), weights(Phi, Y, lam)
    yield weights(factor * Phi, factor * Y, None), weights(Phi, Y, None)


@statement("T4'", error="the target is claimed not to change", when=lambda c: c.q <= c.r)
def scaled_target(F: Field, c: Case, wrong: bool) -> Pairs:
    """labels scaled by c divide the target by c and so multiply the limit of T3 by c^2: it reaches any ridge"""
    Y, factor = F.draw(c.m, c.k, c.r), F.scalar()
    W = Y.T @ F.draw(c.m, c.p, c.q)
    D = Y.T.plus @ W
    scaled = (factor * Y).T.plus @ W
    yield (scaled if wrong else factor * scaled), D


@statement("T5", error="D_j = W_j", when=lambda c: c.k >= 2)
def centred_labels(F: Field, c: Case, wrong: bool) -> Pairs:
    """labels e_j - 1/k of k - 1 classes and D_j = W_j - W_k are exact for a W whose columns sum to 0"""
    k = c.k
    H = F.eye(k) - (1 / F.number(k)) * F.ones(k, k)
    W = H @ F.draw(k, c.p)
    Y, last = H.rows(range(k - 1)), F.ones(k - 1) @ W.rows([k - 1])
    D = W.rows(range(k - 1)) - (F.number(0) * last if wrong else last)
    yield Y.T @ D, W
    yield Y.T.plus @ W, D
    yield weights(D.plus.T, Y, None), W


@statement("T5", error="the difference is claimed to vanish", when=lambda c: c.k >= 2)
def decisions(F: Field, c: Case, wrong: bool) -> Pairs:
    """decisions depend on H W only: W phi and H W phi differ by the same number in every class"""
    W, Phi = F.draw(c.k, c.p), F.draw(c.n, c.p)
    H = F.eye(c.k) - (1 / F.number(c.k)) * F.ones(c.k, c.k)
    gap = (W - H @ W) @ Phi.T
    first = F.ones(c.k) @ gap.rows([0])
    yield gap, F.number(0) * first if wrong else first


@statement("T9", error="the labels are those of the single image", when=lambda c: c.q < c.p)
def one_image(F: Field, c: Case, wrong: bool) -> Pairs:
    """one image and q near-copies, [f; f + eps q_j] with q_j a basis of row(W), are exact with labels of T4 for any
    lam"""
    basis, image, eps = F.draw(c.q, c.p), F.draw(1, c.p), F.scalar()
    W = F.draw(c.k, c.q) @ basis
    Phi = F.below(image, F.ones(c.q) @ image + eps * basis)
    for lam in (None, F.scalar()):
        Y = labels_for(F.ones(c.q + 1) @ image if wrong else Phi, W, lam)
        yield weights(Phi, Y, lam), W
