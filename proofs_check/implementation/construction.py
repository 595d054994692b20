"""analytic_dd.labels and analytic_dd.distill (T1 to T5, T7, T12) against rational answers and exact refits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from analytic_dd.distill import (
    add_intercept,
    distill_features,
    few_features,
    free_matrix,
    largest_ridge,
    minimal_features,
    target,
)
from analytic_dd.errors import InfeasibleError
from analytic_dd.labels import centred_one_hot, feasible_scale, labels_for, scale_to_feasible
from analytic_dd.ridge import ridge_weights
from proofs_check.exact.rationals import Rationals
from proofs_check.implementation.judge import Dyadics, Judge, cond, exact_refit, probe, to_exact, to_float
from proofs_check.matrix import weights
from proofs_check.statements.given_features import labels_for as exact_labels

__all__ = ["CHECKS"]

_SHAPES = ((3, 5, 7, 2, 3), (5, 5, 7, 5, 5), (6, 4, 7, 4, 4), (6, 4, 8, 2, 3), (8, 3, 5, 2, 2), (4, 6, 3, 3, 4))


@probe("T1")
def targets(F: Dyadics, judge: Judge) -> Iterator[float]:
    """target: (Y^T)^+ W and the free part at any rank; it refuses an infeasible W with the exact best error"""
    for m, k, p, q, r in _SHAPES:
        Y, Z = F.draw(m, k, r), F.draw(m, p)
        W = Y.T @ F.draw(m, p, q)
        c = cond(to_float(Y)) ** 2
        D = Y.T.plus @ W
        yield judge.ratio(target(to_float(W), to_float(Y)), to_float(D), c)
        full = D + Z - Y @ (Y.plus @ Z)
        yield judge.ratio(target(to_float(W), to_float(Y), free=to_float(Z)), to_float(full), c)
    W, Y = F.draw(4, 6), F.draw(2, 4)
    best = (to_float((W - Y.plus @ (Y @ W)).norm2) / to_float(W.norm2)) ** 0.5
    try:
        target(to_float(W), to_float(Y))
        yield judge.true(False)
    except InfeasibleError as error:
        yield judge.ratio(error.value, best, 10.0)
        yield judge.true(error.theorem == "T1")


@probe("T2")
def ridge_zero(F: Dyadics, judge: Judge) -> Iterator[float]:
    """distill_features at ridge 0: the features are (D^+)^T, at any rank and any scale of W"""
    for m, k, p, q, r in _SHAPES:
        Y, Z = F.draw(m, k, r), F.draw(m, p)
        W = Y.T @ F.draw(m, p, q)
        D = Y.T.plus @ W
        for scale in (1.0, 2.0**-60):
            got = distill_features(scale * to_float(W), to_float(Y))
            amplification = cond(to_float(D)) * cond(to_float(Y)) ** 2
            yield judge.ratio(got.features, to_float(D.plus.T) / scale, amplification)
        full = D + Z - Y @ (Y.plus @ Z)
        got = distill_features(to_float(W), to_float(Y), free=to_float(Z))
        yield judge.ratio(got.features, to_float(full.plus.T), cond(to_float(full)) * cond(to_float(Y)) ** 2)
        yield judge.ratio(got.condition, cond(to_float(full)), cond(to_float(full)) * cond(to_float(Y)) ** 2)


@probe("T17")
def privacy(F: Dyadics, judge: Judge) -> Iterator[float]:
    """ridge_weights and distill_features: rotated data give the same set, and n <= k samples come back from it"""
    for n, k, p in ((9, 3, 6), (12, 2, 5)):
        Phi, Y, O, labels = F.draw(n, p), F.draw(n, k), F.orthogonal(n), to_float(F.draw(4, k))  # noqa: E741
        sets = [
            distill_features(ridge_weights(to_float(A), to_float(B), ridge=0.5), labels)
            for A, B in ((Phi, Y), (O @ Phi, O @ Y))
        ]
        amplification = cond(to_float(Phi)) ** 2 * sets[0].condition * cond(labels) ** 2
        yield judge.ratio(sets[1].features, sets[0].features, amplification)
    for n, k, p in ((3, 3, 7), (2, 4, 5)):
        Phi, Y = to_float(F.draw(n, p)), to_float(F.draw(n, k))
        labels = to_float(F.draw(4, k))
        published = distill_features(ridge_weights(Phi, Y, ridge=0.0), labels)
        W = ridge_weights(published.features, published.labels, ridge=0.0)
        amplification = (cond(Phi) * cond(Y)) ** 2 * published.condition * cond(labels) ** 2
        yield judge.ratio(np.linalg.pinv(np.linalg.pinv(Y.T) @ W).T, Phi, amplification)


@probe("T2")
def free_part(F: Dyadics, judge: Judge) -> Iterator[float]:
    """free_matrix leaves cond(D) at its minimum, and the set exact"""
    W, Y = to_float(F.draw(3, 8)), to_float(F.draw(5, 3))
    Z = free_matrix(W, Y, rng=np.random.default_rng(0))
    plain, got = distill_features(W, Y), distill_features(W, Y, free=Z)
    yield judge.ratio(got.condition, plain.condition, cond(W) * cond(Y))
    yield judge.true(np.linalg.matrix_rank(got.features) == 5)
    yield judge.ratio(exact_refit(F, got.features, got.labels, 0.0), W, cond(Y) ** 2 * got.condition)


def _amplification(Phi: np.ndarray, Y: np.ndarray, lam: float) -> float:
    """T15 measured: the norm of the derivative of W by Phi or by Y, times |Phi|_2 or |Y|_2, over |W|_2."""
    (m, p), columns = Phi.shape, []
    K = np.linalg.inv(Phi @ Phi.T + lam * np.eye(m))
    R = K @ Phi
    for unit in np.eye(m * p):
        E = unit.reshape(m, p)
        columns.append((Y.T @ K @ (E - E @ Phi.T @ R - Phi @ E.T @ R)).ravel())
    by_features = np.linalg.norm(np.array(columns), 2) * np.linalg.norm(Phi, 2)
    return float(max(by_features, np.linalg.norm(R, 2) * np.linalg.norm(Y, 2)) / np.linalg.norm(Y.T @ R, 2))


@probe("T3")
def ridge_positive(F: Dyadics, judge: Judge) -> Iterator[float]:
    """distill_features at ridge > 0: each root where it is asked for, refitted exactly; limit, refusal,
    amplification"""
    for m, k, p in ((3, 3, 5), (5, 2, 6), (4, 4, 4)):
        exact = Rationals(m)
        V, U = exact.orthogonal(m, min(k, m)), exact.orthogonal(p, min(k, m))
        values = [exact.number(j + 2) / 3 for j in range(min(k, m))]
        Y = to_float(V @ exact.draw(min(k, m), k))
        D = V @ exact.diag([1 / s for s in values]) @ U.T
        W = Y.T @ to_float(D)
        top = 1.0 / to_float(values[0])
        slack = 10.0 * cond(Y) ** 2
        limit = 1.0 / (4.0 * top * top)
        yield judge.ratio(largest_ridge(W, Y), limit, slack)
        t = np.array([1.0 / to_float(s) for s in values])
        for lam in (0.9 * limit, 1e-3 * limit):
            half = 1.0 + np.sqrt(1.0 - 4.0 * lam * t * t)
            roots = {"large": half / (2.0 * t), "small": 2.0 * lam * t / half}
            mixed = ["small" if j % 2 else "large" for j in range(len(t))]
            roots["mixed"] = np.array([roots[name][j] for j, name in enumerate(mixed)])
            for name, s in roots.items():
                got = distill_features(W, Y, ridge=lam, root=mixed if name == "mixed" else name)
                yield judge.ratio(got.features, to_float(V) * s @ to_float(U).T, slack)
                claimed = got.amplification / judge.shift**100_000
                yield judge.true(_amplification(got.features, Y, lam) <= claimed * (1.0 + 1e-9))
                yield judge.true(claimed <= 3.0 * _amplification(got.features, Y, lam))
                refit = exact_refit(F, got.features, Y, lam)
                yield judge.ratio(refit, W, slack * max(1.0, got.amplification))
        at_limit = distill_features(W, Y, ridge=largest_ridge(W, Y))
        yield judge.ratio(exact_refit(F, at_limit.features, Y, at_limit.ridge), W, 1e3 * slack)
        above = largest_ridge(W, Y) * (1.0 + 1e-6)
        yield judge.refuses(InfeasibleError, lambda W=W, Y=Y, above=above: distill_features(W, Y, ridge=above))


@probe("T4")
def learned_labels(F: Dyadics, judge: Judge) -> Iterator[float]:
    """labels_for at any rank and ridge; minimal_features refitted exactly"""
    for m, k, p, q, r in _SHAPES:
        Phi, W, lam = F.draw(m, p, r), F.draw(k, p, q), F.scalar()
        for ridge in (None, lam):
            got = labels_for(to_float(Phi), to_float(W), ridge=0.0 if ridge is None else to_float(ridge))
            yield judge.ratio(got, to_float(exact_labels(Phi, W, ridge)), cond(to_float(Phi)))
    W = F.draw(4, 7, 3)
    for points, scale, ridge in ((3, 1.0, 0.0), (3, 2.0, 3.0), (5, 0.5, 0.25)):
        got = minimal_features(to_float(W), ridge=ridge, points=points, scale=scale, rng=np.random.default_rng(1))
        yield judge.true(len(got) == points)
        yield judge.ratio(np.linalg.svd(got.features, compute_uv=False)[:3], np.full(3, scale))
        if ridge > 0.0 or points == 3:
            yield judge.ratio(exact_refit(F, got.features, got.labels, ridge), to_float(W), 10.0)
    yield judge.refuses(InfeasibleError, lambda: minimal_features(to_float(W), points=2))


@probe("T4'")
def scaling(F: Dyadics, judge: Judge) -> Iterator[float]:
    """feasible_scale is 2 sqrt(margin lam) |D|_2 and makes the ridge admissible; c = 1 where it already is"""
    W, Y = to_float(F.draw(3, 6)), to_float(F.draw(4, 3))
    top = float(np.linalg.norm(np.linalg.pinv(Y).T @ W, 2))
    lam, slack = 5.0 / top**2, 100.0 * cond(Y) ** 2
    for margin in (1.0, 2.0, 7.0):
        yield judge.ratio(feasible_scale(Y, W, ridge=lam, margin=margin), 2.0 * np.sqrt(margin * lam) * top, slack)
    scaled = scale_to_feasible(Y, W, ridge=lam, margin=3.0)
    yield judge.ratio(largest_ridge(W, scaled), 3.0 * lam, slack)
    yield judge.true(feasible_scale(Y, W, ridge=0.1 / top**2) == 1.0)
    got = distill_features(W, scaled, ridge=lam, root="small")
    yield judge.ratio(exact_refit(F, got.features, scaled, lam), W, 10.0 * slack)


@probe("T5")
def centred(F: Dyadics, judge: Judge) -> Iterator[float]:
    """centred labels: e_y - 1/k, of rank k - 1; k - 1 points recover a W whose columns sum to 0"""
    k, p = 4, 6
    H = F.eye(k) - (1 / F.number(k)) * F.ones(k, k)
    W = H @ F.draw(k, p)
    Y = centred_one_hot(np.arange(k - 1), k)
    yield judge.ratio(Y, to_float(H.rows(range(k - 1))))
    got = distill_features(to_float(W), Y)
    D = W.rows(range(k - 1)) - F.ones(k - 1) @ W.rows([k - 1])
    yield judge.ratio(got.features, to_float(D.plus.T), 10.0 * cond(to_float(D)))
    whole = distill_features(to_float(W), centred_one_hot(np.arange(k), k))  # m = k: a zero singular value to drop
    yield judge.ratio(whole.features, to_float((H.plus @ W).plus.T), 10.0 * cond(to_float(D)))


@probe("T7")
def few(F: Dyadics, judge: Judge) -> Iterator[float]:
    """few_features: W_s = U U^T W with the Eckart-Young error, in the identity and in any metric"""
    k, p = 4, 6
    W = to_float(F.draw(k, p))
    root = to_float(F.draw(p, p))
    for metric in (None, root @ root.T):
        S = np.eye(p) if metric is None else metric
        values, vectors = np.linalg.eigh(W @ S @ W.T)
        for m in (1, 2, 3):
            got = few_features(W, m, metric=metric)
            lost = values[: k - m].sum() / values.sum()
            slack = 10.0 * values[-1] / values[0]
            yield judge.ratio(got.relative_error**2, lost, slack)
            U = vectors[:, k - m :]
            gap = values[k - m] / (values[k - m] - values[k - m - 1])
            refit = exact_refit(F, got.features, got.labels, 0.0)
            yield judge.ratio(refit, U @ (U.T @ W), slack * gap * cond(U.T @ W) ** 2)


@probe("T12")
def intercept(F: Dyadics, judge: Judge) -> Iterator[float]:
    """add_intercept: one point more, refitted exactly with an unpenalised intercept"""
    for m, k, p, ridge in ((3, 3, 5, 0.0), (4, 2, 6, 0.125)):
        W, b, mu = to_float(F.draw(k, p)), to_float(F.draw(1, k))[0], to_float(F.draw(1, p))[0]
        base = minimal_features(W, ridge=ridge, points=m, scale=2.0, rng=np.random.default_rng(2))
        got = add_intercept(base, W, b, centre=mu)
        yield judge.true(len(got) == m + 1)
        Phi, Y, one = to_exact(F, got.features), to_exact(F, got.labels), F.ones(m + 1)
        average = (1 / F.number(m + 1)) * F.ones(1, m + 1)
        mean, mean_y = average @ Phi, average @ Y
        Phi, Y = Phi - one @ mean, Y - one @ mean_y
        # centred features have m dimensions: drop the exact dependence by contrasts before a pseudo-inverse
        H = F.eye(m + 1).rows(range(m)) - F.ones(m) @ F.eye(m + 1).rows([m])
        lam = F.number(0) if ridge == 0.0 else to_exact(F, ridge)
        W_s = (Y.T @ Phi @ (Phi.T @ Phi + lam * F.eye(p)).inv) if ridge else weights(H @ Phi, H @ Y, None)
        size = 10.0 * (1.0 + float(np.linalg.norm(mu)) + float(np.linalg.norm(W @ mu + b)) / np.linalg.norm(W))
        yield judge.ratio(to_float(W_s), W, size)
        yield judge.ratio(to_float(mean_y - mean @ W_s.T)[0], b, size * size)
        yield judge.ratio(to_float(mean)[0], mu, size)


CHECKS = [targets, ridge_zero, free_part, privacy, ridge_positive, learned_labels, scaling, centred, few, intercept]
