"""analytic_dd.linalg and analytic_dd.ridge (T13, T12) against rational answers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from analytic_dd.errors import ShapeError
from analytic_dd.linalg import GramStatistics, StreamingQR, pseudo_inverse, row_basis, thin_svd
from analytic_dd.ridge import (
    leave_one_out_scores,
    ridge_grid,
    ridge_weights,
    ridge_weights_with_intercept,
    select_ridge,
    validation_scores,
)
from proofs_check.implementation.judge import Dyadics, Judge, cond, probe, to_float
from proofs_check.matrix import Matrix, weights

__all__ = ["CHECKS"]

_SHAPES = ((9, 4, 2, 4), (4, 7, 3, 4), (8, 5, 2, 3), (6, 6, 1, 2))  # n, p, k, rank


@probe("T13")
def spectra(F: Dyadics, judge: Judge) -> Iterator[float]:
    """thin_svd, pseudo_inverse and row_basis at any rank and any scale (the rank decision is relative)"""
    for n, p, _, rank in _SHAPES:
        exact = F.draw(n, p, rank)
        A = to_float(exact)
        for scale in (1.0, 2.0**-70, 2.0**70):
            spectrum = thin_svd(scale * A)
            yield judge.true(spectrum.rank == rank == exact.rank)
            yield judge.ratio((spectrum.U * spectrum.s) @ spectrum.Vt, scale * A)
            yield judge.ratio(spectrum.U.T @ spectrum.U, np.eye(rank))
            yield judge.ratio(pseudo_inverse(scale * A), to_float(exact.plus) / scale, cond(A))
        yield judge.ratio(row_basis(A).T @ row_basis(A), to_float(exact.plus @ exact), cond(A))


@probe("T13")
def solvers(F: Dyadics, judge: Judge) -> Iterator[float]:
    """ridge_weights by SVD, Gram matrix and TSQR: ridge 0 at any rank, and ridge > 0, absolute"""
    for n, p, k, rank in _SHAPES:
        Phi, Y, lam = F.draw(n, p, rank), F.draw(n, k), F.scalar()
        A, B, c = to_float(Phi), to_float(Y), cond(to_float(Phi))
        for ridge in (None, lam):
            exact, number = to_float(weights(Phi, Y, ridge)), 0.0 if ridge is None else to_float(ridge)
            size = np.linalg.norm(A) * np.linalg.norm(exact)
            if ridge is None:  # Wedin: cond |Y| / (|Phi| |W|), and cond^2 where the residual is large
                amplification = c * float(np.linalg.norm(B) + c * np.linalg.norm(B - A @ exact.T)) / size + c
            else:  # T15, and the labels' own rounding
                low = np.linalg.svd(A, compute_uv=False)[-1] if rank == min(n, p) else 0.0
                gain = np.linalg.norm(A, 2) / (low**2 + number)
                amplification = float(gain * np.linalg.norm(B) / np.linalg.norm(exact)) + c
            for solver in ("auto", "svd", "tsqr"):
                yield judge.ratio(ridge_weights(A, B, ridge=number, solver=solver), exact, amplification)
            yield judge.ratio(ridge_weights(A, B, ridge=number, solver="gram"), exact, amplification * c)


@probe("T13")
def sums(F: Dyadics, judge: Judge) -> Iterator[float]:
    """GramStatistics: sums are exact and add; weights, path, centred; StreamingQR merges"""
    n, p, k = 11, 5, 3
    Phi, Y, lam = F.draw(n, p), F.draw(n, k), F.scalar()
    A, B, ridge = to_float(Phi), to_float(Y), to_float(lam)
    amplification = cond(A) ** 2
    whole = GramStatistics(p, k).update(A[:4], B[:4]).merge(GramStatistics(p, k).update(A[4:], B[4:]))
    yield judge.true(whole.n == n)
    yield judge.ratio(whole.G, to_float(Phi.T @ Phi))
    yield judge.ratio(whole.C, to_float(Y.T @ Phi))
    yield judge.ratio(whole.yy, np.diag(to_float(Y.T @ Y)))
    yield judge.ratio(whole.weights(ridge), to_float(weights(Phi, Y, lam)), amplification)
    path = whole.path([ridge, 2.0 * ridge, 0.0])
    for index, factor in enumerate((1, 2, None)):
        exact = weights(Phi, Y, None if factor is None else factor * lam)
        yield judge.ratio(path[index], to_float(exact), amplification)
    H = F.eye(n) - (1 / F.number(n)) * F.ones(n, n)
    centred = whole.centred()
    yield judge.ratio(centred.G, to_float((H @ Phi).T @ (H @ Phi)), 10.0)
    yield judge.ratio(centred.C, to_float((H @ Y).T @ (H @ Phi)), 10.0)
    stream = StreamingQR(p, k).update(A[:3], B[:3]).merge(StreamingQR(p, k).update(A[3:], B[3:]))
    for number, exact in ((0.0, weights(Phi, Y, None)), (ridge, weights(Phi, Y, lam))):
        yield judge.ratio(stream.weights(number), to_float(exact), 10.0 * cond(A))
    yield judge.refuses(ShapeError, lambda: whole.merge(GramStatistics(p + 1, k)))


@probe("T12")
def fitted_intercept(F: Dyadics, judge: Judge) -> Iterator[float]:
    """ridge_weights_with_intercept: weights of the centred data, b = mean(Y) - W mean(Phi)"""
    for n, p, k, rank in ((9, 4, 2, 4), (4, 7, 3, 4)):
        Phi, Y, lam = F.draw(n, p, rank), F.draw(n, k), F.scalar()
        H, average = F.eye(n) - (1 / F.number(n)) * F.ones(n, n), (1 / F.number(n)) * F.ones(1, n)
        W = weights(H @ Phi, H @ Y, lam)
        b = average @ Y - average @ Phi @ W.T
        model = ridge_weights_with_intercept(to_float(Phi), to_float(Y), ridge=to_float(lam))
        amplification = 10.0 * cond(to_float(H @ Phi))
        yield judge.ratio(model.weights, to_float(W), amplification)
        yield judge.ratio(model.intercept, to_float(b)[0], 10.0 * amplification)


def _without(Phi: Matrix, Y: Matrix, i: int, lam: object, *, centre: bool) -> np.ndarray:
    """The residual of sample i by a model fitted without it, exactly."""
    F, rest = Phi.F, [j for j in range(Phi.shape[0]) if j != i]
    A, B = Phi.rows(rest), Y.rows(rest)
    average = (1 / F.number(len(rest))) * F.ones(1, len(rest))
    mean, mean_y = (average @ A, average @ B) if centre else (F.zeros(1, A.shape[1]), F.zeros(1, B.shape[1]))
    one = F.ones(len(rest))
    W = weights(A - one @ mean, B - one @ mean_y, lam)
    return np.asarray(to_float(Y.rows([i]) - mean_y - (Phi.rows([i]) - mean) @ W.T))[0]


@probe("T13", instances=1)
def choice(F: Dyadics, judge: Judge) -> Iterator[float]:
    """leave-one-out, GCV and validation scores of a path of ridges are those of explicit refits"""
    n, p, k = 8, 4, 2
    Phi, Y, ridges = F.draw(n, p), F.draw(n, k), [F.scalar(), F.scalar() + 5]
    A, B, grid = to_float(Phi), to_float(Y), [to_float(lam) for lam in ridges]
    statistics = GramStatistics(p, k).update(A, B)
    amplification = 10.0 * cond(A) ** 2
    for centre in (False, True):
        exact = [np.mean([_without(Phi, Y, i, lam, centre=centre) ** 2 for i in range(n)]) for lam in ridges]
        scores, count = leave_one_out_scores(statistics, [(A, B)], grid, scoring="squared_error", intercept=centre)
        yield judge.ratio(scores, exact, amplification)
        yield judge.true(count == n)
    for centre in (False, True):
        constant = (1 / F.number(n)) * F.ones(n, n)
        H = F.eye(n) - constant if centre else F.eye(n)
        gcv = []
        for lam in ridges:
            G = (H @ Phi).T @ (H @ Phi)
            hat = H @ Phi @ (G + lam * F.eye(p)).inv @ (H @ Phi).T + (constant if centre else F.zeros(n, n))
            slack = n - F.trace(hat)
            gcv.append(to_float((Y - hat @ Y).norm2 * n / (slack * slack * k)))
        chosen = select_ridge(A, B, criterion="gcv", ridges=grid, intercept=centre)
        yield judge.ratio(chosen.scores, np.asarray(gcv)[np.argsort(grid)], amplification)
        yield judge.true(chosen.ridge == grid[int(np.argmin(gcv))])
    other = F.draw(5, p), F.draw(5, k)
    exact = [to_float((other[0] @ weights(Phi, Y, lam).T - other[1]).norm2) / (5 * k) for lam in ridges]
    blocks = [(to_float(other[0]), to_float(other[1]))]
    scores, _ = validation_scores(statistics, blocks, grid, scoring="squared_error")
    yield judge.ratio(scores, exact, amplification)
    grid = ridge_grid(statistics)
    yield judge.ratio(grid[-1], np.linalg.norm(A, 2) ** 2, 10.0)


CHECKS = [spectra, solvers, sums, fitted_intercept, choice]
