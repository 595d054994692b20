"""analytic_dd.distill beyond the first theorems: T6, T6b and the box, T8a on circles, T8e affine, T9, T10, T11."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from analytic_dd.distill import (
    affine_direction,
    affine_features,
    affine_minimal_features,
    circle_features,
    greedy_rows,
    move_into_box,
    nearest_features,
    one_image_features,
    several_ridges_features,
    spanning_features,
)
from analytic_dd.errors import InfeasibleError
from analytic_dd.features import DeepLinear, FullyConnected, RandomFourier
from analytic_dd.linalg import GramStatistics
from analytic_dd.ridge import ridge_weights
from proofs_check.implementation.judge import Dyadics, Judge, cond, exact_refit, probe, to_float
from proofs_check.matrix import weights
from proofs_check.statements.affine import height

__all__ = ["CHECKS"]


def _outside(F: Dyadics, m: int, k: int, p: int, q: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """W of rank q, references, and the singular values of N = Phi_ref (I - P_W), m of them."""
    W, ref = F.draw(k, p, q), F.draw(m, p)
    N = to_float(ref - ref @ W.plus @ W)
    sigma = np.zeros(m)
    values = np.linalg.svd(N, compute_uv=False)
    sigma[: len(values)] = values
    return to_float(W), to_float(ref), np.sort(sigma)[::-1]


@probe("T6")
def nearest(F: Dyadics, judge: Judge) -> Iterator[float]:
    """nearest_features: the optimal distance, exact for any ridge; with weights; with tau; m >= p moves nothing"""
    for m, k, p, q in ((5, 3, 9, 3), (4, 3, 7, 2), (9, 2, 6, 2)):
        W, ref, sigma = _outside(F, m, k, p, q)
        optimum = float(np.linalg.norm(sigma[m - q :]))
        for ridge, tau in ((0.0, 0.0), (0.25, 0.0), (0.25, 0.5)):
            got = nearest_features(W, ref, ridge=ridge, tau=tau)
            yield judge.ratio(got.predicted_distance + 1.0, optimum + 1.0, 10.0 * float(np.linalg.norm(ref)))
            moved = float(np.linalg.norm(got.features - ref))
            yield judge.true(moved >= optimum * (1.0 - 1e-9) - 1e-12)
            yield judge.true(tau > 0.0 or moved <= optimum * (1.0 + 1e-9) + 1e-12)
            if ridge > 0.0 or m <= p:
                refit = exact_refit(F, got.features, got.labels, ridge)
                yield judge.ratio(refit, W, got.amplification * cond(W))
    W, ref, _ = _outside(F, 4, 2, 7, 2)
    points, pixels = np.array([1.0, 4.0, 0.25, 9.0]), np.array([1.0, 4.0, 4.0, 1.0, 0.25, 1.0, 16.0])
    got = nearest_features(W, ref, ridge=0.5, point_weights=points, feature_weights=pixels)
    scale = np.sqrt(points)[:, None] * np.sqrt(pixels)
    basis = np.linalg.svd(W * np.sqrt(pixels), full_matrices=False)[2]
    N = scale * ref - scale * ref @ basis.T @ basis
    optimum = float(np.linalg.norm(np.linalg.svd(N, compute_uv=False)[2:]))
    yield judge.ratio(got.distance, optimum, 100.0)
    yield judge.ratio(np.linalg.norm(scale * (got.features - ref)), optimum, 100.0)


@probe("T6b")
def nearest_for_fixed_labels(F: Dyadics, judge: Judge) -> Iterator[float]:
    """nearest_features with fixed labels: the optimal distance over full row rank, exact at ridge 0"""
    m, k, p = 5, 3, 9
    W, ref, sigma = _outside(F, m, k, p, k)
    Y = to_float(F.draw(m, k))
    got = nearest_features(W, ref, labels=Y)
    within = float(np.linalg.norm((Y - ref @ W.T) @ np.linalg.pinv(W).T))
    optimum = float(np.hypot(within, np.linalg.norm(sigma[m - k :])))
    yield judge.ratio(got.distance, optimum, 10.0 * cond(W) ** 2)
    yield judge.ratio(got.predicted_distance, optimum, 10.0 * cond(W) ** 2)
    yield judge.ratio(exact_refit(F, got.features, Y, 0.0), W, got.amplification * cond(W))
    yield judge.refuses(InfeasibleError, lambda: nearest_features(W, ref, labels=Y, ridge=1.0))


@probe("T6")
def box(F: Dyadics, judge: Judge) -> Iterator[float]:
    """in the box: every pixel within it, one point more, the span kept, W recovered"""
    rows, interior = to_float(F.draw(4, 7)), to_float(F.draw(1, 7))[0] / 20.0
    moved = move_into_box(rows, -1.0, 1.0, interior=interior)
    yield judge.true(moved.shape == (5, 7) and float(np.abs(moved).max()) <= 1.0)
    yield judge.ratio(moved[-1], interior)
    steps = np.linalg.norm(moved[:-1] - interior, axis=1) / np.linalg.norm(rows - interior, axis=1)
    yield judge.ratio(moved[:-1], interior + steps[:, None] * (rows - interior), 10.0)
    away = np.where(rows == interior, 1e-300, rows - interior)
    largest = np.min((1.0 - np.sign(away) * interior) / np.abs(away), axis=1)
    yield judge.ratio(steps, np.minimum(1.0, largest), 100.0)
    W, ref, _ = _outside(F, 4, 2, 7, 2)
    got = nearest_features(W, ref, ridge=0.5, box=(-1.0, 1.0))
    yield judge.true(float(np.abs(got.features).max()) <= 1.0)
    yield judge.ratio(exact_refit(F, got.features, got.labels, 0.5), W, got.amplification * cond(W))


@probe("T8a")
def circles(F: Dyadics, judge: Judge) -> Iterator[float]:
    """circle_features: 2 q points on the circles of sin/cos features, recovered through the map"""
    phi = RandomFourier(6, 8, lengthscale=2.0, form="sincos", rng=0)
    W = to_float(F.draw(3, 8, 2))
    for ridge in (0.0, 0.5):
        got = circle_features(W, phi.radius, ridge=ridge)
        yield judge.true(len(got) == 4 and bool(phi.in_range(got.features)))
        yield judge.ratio(phi(phi.preimage(got.features)), got.features, phi.condition())
        yield judge.ratio(exact_refit(F, got.features, got.labels, ridge), W, got.condition * cond(W))


@probe("T8e")
def affine(F: Dyadics, judge: Judge) -> Iterator[float]:
    """affine_features: k + 1 points with labels [I; 0]; learned labels; plain one-hot labels refused"""
    k = 3
    phi = DeepLinear([5, 6, 9], bias=True, rng=4)
    B, c = phi.affine()
    X = to_float(F.draw(20, 5)) / 4.0
    W = ridge_weights(phi(X), to_float(F.draw(20, k)), ridge=0.5)
    e = affine_direction(B, c)
    yield judge.ratio(e @ c, 1.0, 100.0)
    yield judge.true(float(np.abs(B.T @ e).max()) < 1e-12 * float(np.linalg.norm(B) * np.linalg.norm(e)))
    got = affine_features(W, np.vstack([np.eye(k), np.zeros(k)]), B, c)
    learned = affine_minimal_features(W, B, c, ridge=0.5)
    yield judge.true(len(got) == k + 1 and len(learned) == k)
    for built in (got, learned):
        slack = built.amplification * cond(W) * (1.0 + float(np.linalg.norm(c) * np.linalg.norm(e)))
        yield judge.ratio(built.features @ e, np.ones(len(built)), slack)
        stored = phi(phi.preimage(built.features))
        yield judge.ratio(exact_refit(F, stored, built.labels, built.ridge), W, slack * phi.condition())
    yield judge.refuses(InfeasibleError, lambda: affine_features(W, np.eye(k), B, c))
    exact = F.draw(4, 2), F.draw(1, 4)
    direction = affine_direction(to_float(exact[0]), to_float(exact[1])[0])
    yield judge.ratio(direction, to_float(height(*exact))[:, 0], 100.0 * cond(to_float(exact[0])) ** 2)


@probe("T9")
def one_image(F: Dyadics, judge: Judge) -> Iterator[float]:
    """one_image_features: near-copies of one input, inside the change that is allowed, recovered through the map"""
    phi = FullyConnected([6, 5, 4], activation="tanh", bias=True, rng=1)
    W, x0 = to_float(F.draw(2, 4)), np.linspace(0.0, 1.0, 6)
    for ridge in (0.0, 0.25):
        got = one_image_features(W, phi, x0, ridge=ridge)
        yield judge.true(len(got) == 3 and float(np.abs(got.inputs - x0).max()) <= 0.01)
        yield judge.ratio(got.inputs[0], x0)
        refit = ridge_weights(phi(got.inputs), got.labels, ridge=ridge)  # nearly dependent points: the exact rank is 3
        yield judge.ratio(refit, W, got.amplification * cond(W))


@probe("T10")
def spanning(F: Dyadics, judge: Judge) -> Iterator[float]:
    """spanning_features: best labels of given points in any metric, and the exact error; greedy_rows takes the best
    row"""
    for m, k, p in ((3, 2, 6), (4, 3, 5)):
        W, Phi, root, lam = F.draw(k, p), F.draw(m, p), F.draw(p, p), F.scalar()
        for metric in (None, root @ root.T):
            S = F.eye(p) if metric is None else metric
            C = W @ S @ Phi.T @ (Phi @ S @ Phi.T).inv
            missing = C @ Phi - W
            error = to_float(F.trace(missing @ S @ missing.T)) / to_float(F.trace(W @ S @ W.T))
            given = None if metric is None else to_float(metric)
            slack = 10.0 * cond(to_float(Phi)) * (1.0 if metric is None else cond(to_float(metric)))
            for ridge in (0.0, to_float(lam)):
                got = spanning_features(to_float(W), to_float(Phi), ridge=ridge, metric=given)
                yield judge.ratio(got.relative_error, error**0.5, slack)
                yield judge.ratio(exact_refit(F, got.features, got.labels, ridge), to_float(C @ Phi), 10.0 * slack)
        gains = [(W @ Phi.rows([i]).T).norm2 / Phi.rows([i]).norm2 for i in range(m)]
        first = int(greedy_rows(to_float(W), to_float(Phi), 1)[0])
        yield judge.true(gains[first] == max(gains))


@probe("T11")
def several_ridges(F: Dyadics, judge: Judge) -> Iterator[float]:
    """several_ridges_features: rank-many points, refitted exactly at every ridge of the list"""
    n, k, p = 12, 2, 8
    Phi, Y, ridges = F.draw(n, p), F.draw(n, k), [F.number(2), F.number(40), F.number(600)]
    stats = GramStatistics(p, k).update(to_float(Phi), to_float(Y))
    got = several_ridges_features(stats, [to_float(lam) for lam in ridges])
    yield judge.true(len(got) == 3 * k)
    for lam in ridges:
        exact = to_float(weights(Phi, Y, lam))
        refit = exact_refit(F, got.features, got.labels, to_float(lam))
        yield judge.ratio(refit, exact, got.amplification * cond(to_float(Phi)) ** 2)


CHECKS = [nearest, nearest_for_fixed_labels, box, circles, affine, one_image, spanning, several_ridges]
