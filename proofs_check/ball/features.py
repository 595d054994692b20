"""T3 with irrational roots, T6's distance, T7 in a metric, T11 with its square root, enclosed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flint import arb

from proofs_check.ball.balls import Balls, symmetric_eigenvectors
from proofs_check.ball.judged import ball_check
from proofs_check.matrix import Matrix, weights
from proofs_check.statements.given_features import labels_for

__all__ = ["CHECKS"]


def _function_of(A: Matrix, function: Any) -> Matrix:
    """f(A) for a symmetric matrix with distinct eigenvalues."""
    values, vectors = symmetric_eigenvectors(A)
    return vectors @ A.F.diag([function(i, x) for i, x in enumerate(values)]) @ vectors.T


@ball_check("T3")
def irrational_roots(F: Balls, wrong: bool) -> Iterator[Any]:
    """for any labels, W and Z both roots and a mixture recover W; the singular values of D are irrational"""
    for m, k, p in ((3, 3, 5), (4, 2, 5), (3, 2, 3)):
        Y, W, Z = F.draw(m, k), F.draw(k, p), F.draw(m, p)
        D = Y.T.plus @ W + Z - Y @ (Y.plus @ Z)
        square = D @ D.T
        largest = symmetric_eigenvectors(square)[0][-1]
        lam = arb((arb(1) / (5 * largest)).mid())  # below the limit 1 / (4 |D|^2)
        constant = 3 if wrong else 4

        def root(i: int, t2: arb, which: str, lam: arb = lam, constant: int = constant) -> arb:
            half = 1 + (1 - constant * lam * t2).sqrt()
            large = which == "large" or (which == "mixed" and i % 2 == 0)
            return half / (2 * t2) if large else 2 * lam / half  # s / t

        for which in ("large", "small", "mixed"):
            Phi = _function_of(square, lambda i, t2, which=which, root=root: root(i, t2, which)) @ D
            yield weights(Phi, Y, lam) - W


@ball_check("T3")
def at_the_limit(F: Balls, wrong: bool) -> Iterator[Any]:
    """at the limit lam = 1 / (4 |D|^2) the largest singular value is a double root, s = sqrt(lam), and W is
    recovered"""
    Y, W = F.draw(3, 3), F.draw(3, 5)
    D = Y.T.plus @ W
    values, V = symmetric_eigenvectors(D @ D.T)
    lam = 1 / (4 * values[-1])
    ratios = [2 * lam / (1 + (1 - 4 * lam * t2).sqrt()) for t2 in values[:-1]]
    ratios.append((lam / values[-1]).sqrt() * (2 if wrong else 1))
    yield weights(V @ F.diag(ratios) @ V.T @ D, Y, lam) - W


@ball_check("T6")
def distance(F: Balls, wrong: bool) -> Iterator[Any]:
    """the distance squared is the sum of the q smallest eigenvalues of N N^T, and the set is exact"""
    for m, k, p in ((4, 2, 7), (5, 3, 9)):
        ref, W = F.draw(m, p), F.draw(k, p)
        N = ref - ref @ W.plus @ W
        values, vectors = symmetric_eigenvectors(N @ N.T)
        V = vectors.columns(range(m - k, m) if wrong else range(k))
        Phi = ref - V @ (V.T @ N)
        yield (Phi - ref).norm2 - sum(values[:k], arb(0))
        for lam in (None, F.scalar()):
            yield weights(Phi, labels_for(Phi, W, lam), lam) - W


@ball_check("T6b")
def distance_for_fixed_labels(F: Balls, wrong: bool) -> Iterator[Any]:
    """the truncated part of N gives an exact set at the stated distance"""
    m, k, p = 5, 2, 8
    ref, W, Y = F.draw(m, p), F.draw(k, p), F.draw(m, k)
    N = ref - ref @ W.plus @ W
    values, vectors = symmetric_eigenvectors(N @ N.T)
    top = vectors.columns(range(m - k) if wrong else range(k, m))
    Phi = Y @ W.plus.T + top @ (top.T @ N)
    yield weights(Phi, Y, None) - W
    fixed = ((Y - ref @ W.T) @ W.plus.T).norm2
    yield (Phi - ref).norm2 - fixed - sum(values[:k], arb(0))


@ball_check("T7")
def few_points(F: Balls, wrong: bool) -> Iterator[Any]:
    """with the top eigenvectors of W S W^T the error is the sum of the other eigenvalues"""
    k, p, m = 4, 6, 2
    W, root = F.draw(k, p), F.draw(p, p)
    S = root @ root.T
    values, vectors = symmetric_eigenvectors(W @ S @ W.T)
    U = vectors.columns(range(m) if wrong else range(k - m, k))
    difference = weights((U.T @ W).plus.T, U.T, None) - W
    yield F.trace(difference @ S @ difference.T) - sum(values[: k - m], arb(0))


@ball_check("T11")
def several_ridges(F: Balls, wrong: bool) -> Iterator[Any]:
    """(V^T G V)^(1/2) V^T with an orthonormal basis V recovers W(lam) at all three ridges, from rank-many points"""
    n, k, p = 9, 1, 6
    Phi, Y, ridges = F.draw(n, p), F.draw(n, k), [arb(1) / 4, arb(1), arb(5)]
    G, C = Phi.T @ Phi, Y.T @ Phi
    models = [weights(Phi, Y, lam) for lam in ridges]
    rows = F.below(*models)
    basis = _function_of(rows @ rows.T, lambda i, x: 1 / x.sqrt()) @ rows  # orthonormal rows
    small = basis @ G @ basis.T
    half = _function_of(small, lambda i, x: x.sqrt())
    labels = (basis @ C.T) if wrong else half.inv @ (basis @ C.T)
    for lam, W in zip(ridges, models, strict=True):
        yield weights(half @ basis, labels, lam) - W


CHECKS = [irrational_roots, at_the_limit, distance, distance_for_fixed_labels, few_points, several_ridges]
