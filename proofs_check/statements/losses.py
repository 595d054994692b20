"""T18: labels that make a penalised loss stationary at W, whatever its means are; one-hot labels; limits."""

from __future__ import annotations

from proofs_check.matrix import Field, Matrix
from proofs_check.statements.statement import Case, Pairs, statement

__all__ = ["centred", "with_row_sums_one"]


def centred(F: Field, W: Matrix) -> Matrix:
    """W less the mean of its rows: columns that sum to 0."""
    k = W.shape[0]
    return W - (1 / F.number(k)) * (F.ones(k, k) @ W)


def with_row_sums_one(F: Field, rows: int, columns: int) -> Matrix:
    """A random matrix with row sums 1, in the place of probabilities (whose signs no identity sees)."""
    A = F.draw(rows, columns)
    return A + (1 / F.number(columns)) * ((F.ones(rows) - A @ F.ones(columns)) @ F.ones(1, columns))


@statement("T18a", error="(Phi^+)^T is replaced by Phi", when=lambda c: c.q <= c.r)
def stationary(F: Field, c: Case, wrong: bool) -> Pairs:
    """with Y = mu + lam (Phi^+)^T W^T the gradient Phi^T (mu - Y) + lam W^T vanishes for row(W) in the row space of
    Phi, whatever the means mu are"""
    Phi, mu, lam = F.draw(c.m, c.p, c.r), F.draw(c.m, c.k), F.scalar()
    W = F.draw(c.k, c.m, c.q) @ Phi
    E = (Phi if wrong else Phi.plus.T) @ W.T
    Y = mu + lam * E
    yield (mu - Y).T @ Phi + lam * W, F.zeros(c.k, c.p)


@statement("T18a", error="W itself is claimed to be stationary", when=lambda c: min(c.r, c.m) < c.p)
def projected(F: Field, c: Case, wrong: bool) -> Pairs:
    """of other W these labels make W Phi^+ Phi stationary, at the same means (the logits see no more of W)"""
    Phi, mu, lam, W = F.draw(c.m, c.p, c.r), F.draw(c.m, c.k), F.scalar(), F.draw(c.k, c.p)
    seen = W @ Phi.plus @ Phi
    yield Phi @ seen.T, Phi @ W.T
    Y = mu + lam * (Phi.plus.T @ W.T)
    yield (mu - Y).T @ Phi + lam * (W if wrong else seen), F.zeros(c.k, c.p)


@statement("T18a", error="the factor diag(w)^-1 is left out", when=lambda c: c.q <= min(c.m, c.p))
def weighted(F: Field, c: Case, wrong: bool) -> Pairs:
    """sample weights w_i^2: E = diag(w)^-1 ((diag(w) Phi)^+)^T W^T makes the weighted gradient vanish"""
    Phi, mu, lam, w = F.draw(c.m, c.p), F.draw(c.m, c.k), F.scalar(), [F.scalar() for _ in range(c.m)]
    W, root = F.draw(c.k, c.m, c.q) @ Phi, F.diag(w)
    E = (root @ Phi).plus.T @ W.T
    Y = mu + lam * (E if wrong else F.diag([1 / x for x in w]) @ E)
    square = F.diag([x * x for x in w])
    yield (mu - Y).T @ square @ Phi + lam * W, F.zeros(c.k, c.p)


@statement("T18a", error="the features themselves are taken (wrong for m > p)", when=lambda c: c.m >= 2)
def intercept(F: Field, c: Case, wrong: bool) -> Pairs:
    """an unpenalised intercept: with the features about their mean in E, both gradients vanish"""
    Phi, mu, lam = F.draw(c.m, c.p), F.draw(c.m, c.k), F.scalar()
    about = Phi - (1 / F.number(c.m)) * (F.ones(c.m, c.m) @ Phi)
    W = F.draw(c.k, c.m) @ about
    Y = mu + lam * ((Phi if wrong else about).plus.T @ W.T)
    yield (mu - Y).T @ Phi + lam * W, F.zeros(c.k, c.p)
    yield F.ones(1, c.m) @ (mu - Y), F.zeros(1, c.k)


@statement("T18b", error="columns of W do not sum to 0", when=lambda c: c.k >= 2)
def row_sums(F: Field, c: Case, wrong: bool) -> Pairs:
    """softmax: rows of mu sum to 1 and columns of W to 0, so rows of Y sum to 1 of themselves"""
    Phi, mu, lam = F.draw(c.m, c.p, c.r), with_row_sums_one(F, c.m, c.k), F.scalar()
    W = F.draw(c.k, c.m) @ Phi
    Y = mu + lam * (Phi.plus.T @ (W if wrong else centred(F, W)).T)
    yield Y @ F.ones(c.k), F.ones(c.m)


@statement("T18b", error="rows of the labels do not sum to 1", when=lambda c: c.k >= 2)
def minimisers_are_centred(F: Field, c: Case, wrong: bool) -> Pairs:
    """columns of every minimiser sum to 0: lam 1^T W = 1^T (Y - mu)^T Phi = 0"""
    Phi, mu, lam = F.draw(c.m, c.p, c.r), with_row_sums_one(F, c.m, c.k), F.scalar()
    Y = F.draw(c.m, c.k) if wrong else with_row_sums_one(F, c.m, c.k)
    W = (1 / lam) * ((Y - mu).T @ Phi)
    yield F.ones(1, c.k) @ W, F.zeros(1, c.p)


@statement("T18d", error="W W^T is taken without lam", when=lambda c: 2 <= c.k <= c.m + 1)
def fixed_point(F: Field, c: Case, wrong: bool) -> Pairs:
    """Z with (Y - S)^T Z = lam W W^T, S for softmax(Z), gives Phi = Z (W^+)^T with logits Z and gradient 0 at W"""
    W, lam = centred(F, F.draw(c.k, c.p)), F.scalar()
    Y, S = with_row_sums_one(F, c.m, c.k), with_row_sums_one(F, c.m, c.k)
    right = W @ W.T
    Z = (Y - S).T.plus @ (right if wrong else lam * right)
    Phi = Z @ W.plus.T
    yield Phi @ W.T, Z
    yield (S - Y).T @ Phi + lam * W, F.zeros(c.k, c.p)
    H = F.eye(c.k) - (1 / F.number(c.k)) * F.ones(c.k, c.k)
    level = (1 / F.number(c.k)) * F.ones(c.m, c.k)
    yield H @ Y.T @ Z, lam * right + (S - level).T @ Z
