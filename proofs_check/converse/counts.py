"""T10: how many points a feature map that is not onto needs; the classical counts d, n, p are sharp."""

from __future__ import annotations

import math
import random

import numpy as np
from flint import arb, arb_mat, nmod_mat
from scipy.optimize import least_squares

from proofs_check.ball.balls import Balls
from proofs_check.check import Outcome, checked
from proofs_check.converse.optimisation import searched
from proofs_check.identity.prime_field import random_prime

__all__ = ["CHECKS", "jacobian_rank"]

_SHAPES = ((2, 6, 2), (3, 8, 2), (3, 10, 3), (8, 24, 2), (6, 30, 3), (4, 9, 1))  # (d, p, q)


def jacobian_rank(d: int, p: int, q: int, m: int, rng: random.Random) -> int:
    """Rank, at a random point of a random prime field, of the Jacobian of (X, C) -> C phi(X), phi(x) = (A x + b)^3."""
    P = random_prime(rng)

    def draw(rows: int, columns: int) -> list[list[int]]:
        return [[rng.randrange(P) for _ in range(columns)] for _ in range(rows)]

    A, b, X, C = draw(p, d), draw(1, p)[0], draw(m, d), draw(q, m)
    T = [[(sum(a * v for a, v in zip(A[j], x, strict=True)) + b[j]) % P for j in range(p)] for x in X]
    columns = []
    for i in range(m):
        for a in range(d):  # by X[i, a]: the outer product of C[:, i] and 3 t^2 A[:, a]
            columns.append([C[o][i] * 3 * T[i][j] ** 2 * A[j][a] % P for o in range(q) for j in range(p)])
        for o in range(q):  # by C[o, i]
            columns.append([T[i][j] ** 3 % P if row == o else 0 for row in range(q) for j in range(p)])
    flat = [x for column in columns for x in column]
    return int(nmod_mat(len(columns), q * p, flat, P).rank())


@checked("T10", "converse")
def dimension_count(deep: bool, negate: bool) -> Outcome:
    """(X, C) -> C phi(X) has a Jacobian of rank min(q p, m (d + q)): fewer than q p / (d + q) points reach a set of W
    of measure zero (Sard), and that many an open set (phi cubic)"""
    rng, shapes = random.Random(4), _SHAPES if deep else _SHAPES[:4]
    for d, p, q in shapes:
        count = math.ceil(q * p / (d + q))
        for m in (count - 1, count):
            rank = jacobian_rank(d, p, q, m, rng)
            wanted = q * p if negate else min(q * p, m * (d + q))
            if rank != wanted:
                return Outcome(False, len(shapes), "differs", f"d={d} p={p} q={q} m={m}: rank {rank}, claimed {wanted}")
    return Outcome(True, len(shapes), "exact", "a rank over one prime field bounds the generic rank from below")


@searched("T10", starts=5, deep=40)
def lower_bound(rng: np.random.Generator, wrong: bool, starts: int) -> tuple[bool, int, str, str]:
    """tanh features with p > d: Levenberg-Marquardt makes the count of points exact and never one fewer (lower
    bound)"""
    d, p, q = 3, 8, 2
    A, b = rng.standard_normal((p, d)), rng.standard_normal(p)

    def phi(X: np.ndarray) -> np.ndarray:
        return np.tanh(X @ A.T + b)

    def residual(z: np.ndarray, m: int) -> np.ndarray:
        return (z[m * d :].reshape(q, m) @ phi(z[: m * d].reshape(m, d)) - W).ravel()

    def jacobian(z: np.ndarray, m: int) -> np.ndarray:
        T, C = phi(z[: m * d].reshape(m, d)), z[m * d :].reshape(q, m)
        by_X = np.einsum("oi,ij,ja->ojia", C, 1.0 - T**2, A)
        by_C = np.einsum("or,ij->ojri", np.eye(q), T)
        return np.hstack([by_X.reshape(q * p, -1), by_C.reshape(q * p, -1)])

    Phi = phi(rng.standard_normal((60, d)))
    W = np.linalg.solve(Phi.T @ Phi + 0.1 * np.eye(p), Phi.T @ rng.standard_normal((60, q))).T
    W /= np.linalg.norm(W)
    count = math.ceil(q * p / (d + q))
    best = {}
    for m in (count - 1, count, count + 1):
        best[m] = np.inf
        for _ in range(starts):
            X = rng.standard_normal((m, d))
            C = W @ np.linalg.pinv(phi(X))
            found = least_squares(
                residual,
                np.concatenate([X.ravel(), C.ravel()]),
                jacobian,
                method="lm" if m * (d + q) <= q * p else "trf",
                args=(m,),
                xtol=1e-15,
                ftol=1e-15,
                gtol=1e-15,
                max_nfev=400,
            )
            best[m] = min(best[m], float(np.sqrt(2 * found.cost)))
    few, enough = best[count - 1], min(best[count], best[count + 1])
    passed = (few < 1e-8 if wrong else few > 1e-4) and enough < 1e-8
    return (
        passed,
        3 * starts,
        f"{few:.0e}",
        f"best residual of {count - 1} points; {enough:.0e} with {count} or {count + 1}",
    )


@checked("T10", "converse")
def gaussian_kernel(deep: bool, negate: bool) -> Outcome:
    """Gaussian kernel, every label set: n points are necessary, since k(x_i, .) of n + m distinct points are linearly
    independent"""
    # Gaussian kernel: all leading minors of the kernel matrix of n + (n - 1) points are positive balls.
    count = 4 if deep else 2
    for seed in range(count):
        F = Balls(seed)
        X = F.draw(9, 3).a.tolist()
        X[-1] = X[0] if negate else X[-1]
        K = [[(-sum(((a - b) * (a - b) for a, b in zip(x, y, strict=True)), arb(0)) / 2).exp() for y in X] for x in X]
        for size in range(1, len(K) + 1):
            if not arb_mat([row[:size] for row in K[:size]]).det() > 0:
                return Outcome(False, seed + 1, "not positive", f"leading minor {size}")
    return Outcome(True, count, "> 0", "leading minors of kernel matrices of 9 points")


@checked("T10", "converse")
def fourier_model(deep: bool, negate: bool) -> Outcome:
    """random Fourier model, every label set: p points are necessary, since features span R^p (p of them are
    independent)"""
    count = 6 if deep else 2
    for seed in range(count):
        F = Balls(seed)
        p, d = 5, 3
        A, b, X = F.draw(p, d), F.draw(1, p), F.draw(p, d)
        Phi = F.each(lambda x: x.cos(), X @ A.T + F.ones(p) @ b)
        Phi = F.below(Phi.rows(range(p - 1)), Phi.rows([0])) if negate else Phi
        if F.det(Phi).contains(0):
            return Outcome(False, seed + 1, "0", "the features of p points are dependent")
    return Outcome(True, count, "!= 0", "determinants of the features of p points")


CHECKS = [dimension_count, lower_bound, gaussian_kernel, fourier_model]
