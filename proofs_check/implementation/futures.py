"""Gradients, trajectories, near copies, later data, integers and every penalty (T19 to T25) against rationals."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from flint import arb, ctx, fmpq

from analytic_dd.distill import (
    byte_set,
    end_point_set,
    future_set,
    gradient_set,
    merge_sets,
    nearest_features,
    segment_set,
    sufficient_set,
    trajectory_set,
    update,
)
from analytic_dd.distill.local_span import near_copies
from analytic_dd.errors import InfeasibleError
from analytic_dd.judge import point_bounds
from analytic_dd.linalg import GramStatistics
from proofs_check.check import Outcome, checked
from proofs_check.exact.rationals import Rationals
from proofs_check.implementation.judge import Dyadics, Judge, cond, exact_refit, probe, to_exact, to_float
from proofs_check.matrix import Matrix, weights

__all__ = ["CHECKS"]


def _descent(G: Matrix, C: Matrix, W: Matrix, steps: list[fmpq]) -> list[Matrix]:
    path = []
    for step in steps:
        W = W - step * (W @ G - C)
        path.append(W)
    return path


def _sums(Phi: Matrix, Y: Matrix) -> tuple[Matrix, Matrix]:
    return Phi.T @ Phi, Y.T @ Phi


def _both(Phi: Matrix, Y: Matrix) -> Iterator[object]:
    """The data as arrays and as sums."""
    A, B = to_float(Phi), to_float(Y)
    yield (A, B)
    yield GramStatistics(A.shape[1], B.shape[1]).update(A, B)


@probe("T20a")
def gradients(F: Dyadics, judge: Judge) -> Iterator[float]:
    """gradient_set: the gradients of the data at two weights, from arrays and from sums, by as few points as can be"""
    n, p, k = 12, 7, 2
    Phi, Y, models = F.draw(n, p), F.draw(n, k), [F.draw(k, p) for _ in range(2)]
    G, C = _sums(Phi, Y)
    for data in _both(Phi, Y):
        built = gradient_set(data, np.stack([to_float(W) for W in models]))
        yield judge.true(len(built) == built.fewest == 2 * k)
        G_s, C_s = _sums(to_exact(F, built.features), to_exact(F, built.labels))
        for W in models:
            yield judge.ratio(to_float(W @ G_s - C_s), to_float(W @ G - C), 10.0 * cond(to_float(Phi)) ** 2)
    one = gradient_set((to_float(Phi), to_float(Y)), to_float(models[0]), points=1)
    s = np.linalg.svd(to_float(models[0] @ G - C), compute_uv=False)
    yield judge.ratio(one.relative_errors[0], float(np.linalg.norm(s[1:]) / np.linalg.norm(s)), 10.0)


@probe("T19a")
def trajectories(F: Dyadics, judge: Judge) -> Iterator[float]:
    """trajectory_set: W_1 .. W_3 for three step sizes are those of the data, from 0 and from a start"""
    n, p, k = 14, 9, 2
    Phi, Y, start = F.draw(n, p), F.draw(n, k), F.draw(k, p)
    G, C = _sums(Phi, Y)
    largest = float(np.linalg.norm(to_float(G), 2))
    steps = [fmpq(*float(t / largest).as_integer_ratio()) for t in (0.5, 1.5, 1.0)]
    for data in _both(Phi, Y):
        for W_0 in (None, start):
            built = trajectory_set(data, 3, start=None if W_0 is None else to_float(W_0))
            yield judge.true(len(built) == 3 * k)
            first = F.zeros(k, p) if W_0 is None else W_0
            small = _descent(*_sums(to_exact(F, built.features), to_exact(F, built.labels)), first, steps)
            for one, other in zip(small, _descent(G, C, first, steps), strict=True):
                yield judge.ratio(to_float(one), to_float(other), 10.0 * cond(to_float(Phi)) ** 2)


@probe("T19b")
def end_points(F: Dyadics, judge: Judge) -> Iterator[float]:
    """end_point_set: equal steps end at the given weights"""
    start, end = F.draw(3, 7), F.draw(3, 7)
    for step in (0.25, 1.5):
        built = end_point_set(to_float(start), to_float(end), step=step, steps=4)
        sums = _sums(to_exact(F, built.features), to_exact(F, built.labels))
        reached = _descent(*sums, start, [fmpq(*step.as_integer_ratio())] * 4)[-1]
        yield judge.ratio(to_float(reached), to_float(end), 100.0)


@probe("T19c")
def segments_of_experts(F: Dyadics, judge: Judge) -> Iterator[float]:
    """segment_set: a student's three steps end where five steps on the data do, from two starts"""
    n, p, k = 12, 5, 2
    Phi, Y = to_float(F.draw(n, p)), to_float(F.draw(n, k))
    e = 0.5 / float(np.linalg.norm(Phi, 2)) ** 2

    def descent(A: np.ndarray, B: np.ndarray, W: np.ndarray, step: float, steps: int) -> np.ndarray:
        for _ in range(steps):
            W = W - step * (A @ W.T - B).T @ A
        return W

    starts = [np.zeros((k, p)), to_float(F.draw(k, p))]
    built = segment_set((Phi, Y), starts, expert_step=e, expert_steps=5, step=0.25, steps=3)
    for W in starts:
        got = descent(built.features * judge.shift, built.labels, W, 0.25, 3)
        yield judge.ratio(got, descent(Phi, Y, W, e, 5), 10.0 * cond(Phi) ** 2)
    yield judge.true(len(built) <= 2 * k)


@checked("T19d", "exact")
def truncation(deep: bool, negate: bool) -> Outcome:
    """with tau blocks max_t |W_t - W_t^s| <= 4 |C| eta T exp(-(tau - 1)^2 / T) for steps eta <= 1 / |G|"""
    # T19d on rational data, by exact descent: the squared error against the squared bound.
    ctx.prec = 128
    count = 6 if deep else 2
    for seed in range(count):
        F = Rationals(seed)
        n, p, k, steps = 10, 8, 1, 12
        Phi, Y = F.draw(n, p), F.draw(n, k)
        G, C = _sums(Phi, Y)
        # a rational number above |G|_2, so that 1 / it is a step at most 1 / |G|_2
        top = fmpq(math.ceil(float(np.linalg.norm(to_float(G), 2)) * (1.0 + 1e-9) * 1000), 1000)
        for tau in (2, 4):
            rows = [C]
            for _ in range(tau - 1):
                rows.append(rows[-1] @ G)
            V = F.below(*rows)
            P = V.plus @ V
            data = _descent(G, C, F.zeros(k, p), [1 / top] * steps)
            small = _descent(P @ G @ P, C, F.zeros(k, p), [1 / top] * steps)
            error2 = max(((a - b).norm2 for a, b in zip(small, data, strict=True)), key=float)
            factor = 4 * steps * (-arb((tau - 1) ** 2) / steps).exp() / arb(top)
            bound2 = factor * factor * arb((C @ C.T).entry(0, 0)) * (arb(10) ** (-12) if negate else 1)
            if not bool(arb(error2) <= bound2):
                return Outcome(False, seed + 1, "exceeded", f"seed {seed}, {tau} blocks")
    return Outcome(True, count, "exact", "|error|^2 <= bound^2, descent in rationals")


@probe("T19d")
def fewer_points(F: Dyadics, judge: Judge) -> Iterator[float]:
    """trajectory_set of fewer points: the measured error is that of a plain loop and below the printed bound"""
    n, p, k, steps = 14, 9, 1, 20
    Phi, Y = to_float(F.draw(n, p)), to_float(F.draw(n, k))
    eta = 1.0 / float(np.linalg.norm(Phi, 2)) ** 2
    for points in (2, 4):
        built = trajectory_set((Phi, Y), steps, points=points)
        W = Ws = np.zeros((k, p))
        error = travelled = 0.0
        for _ in range(steps):
            W = W - eta * (Phi @ W.T - Y).T @ Phi
            Ws = Ws - eta * (built.features @ Ws.T - built.labels).T @ built.features
            error, travelled = max(error, float(np.linalg.norm(W - Ws))), max(travelled, float(np.linalg.norm(W)))
        yield judge.ratio(built.relative_error, error / travelled, 1e3 / min(1.0, error / travelled))
        yield judge.true(built.relative_error <= built.bound)


@probe("T22b")
def copies(F: Dyadics, judge: Judge) -> Iterator[float]:
    """near_copies: the features of the inputs as they are span W through a map that is not onto"""
    p, d, q = 12, 3, 2
    A, W, X = to_float(F.draw(p, d)) / 4.0, to_float(F.draw(q, p)), to_float(F.draw(6, d)) / 4.0
    built = near_copies(W, lambda X: np.tanh(X @ A.T), X, ridge=0.25)
    refit = exact_refit(F, np.tanh(built.inputs @ A.T), built.labels, 0.25)
    yield judge.ratio(refit, W, 10.0 * cond(built.features))
    yield judge.true(built.largest_change <= 0.01 and len(built) == len(built.chosen) * (q + 1))
    few = lambda: near_copies(W, lambda X: np.tanh(X @ A.T), X[:2])  # noqa: E731
    yield judge.refuses(InfeasibleError, few)


@probe("T22a")
def counts(F: Dyadics, judge: Judge) -> Iterator[float]:
    """point_bounds: the least numbers that satisfy their inequalities"""
    for _ in range(10):
        p, d = F.random.randint(1, 60), F.random.randint(1, 20)
        q = F.random.randint(1, p)
        found, off = point_bounds(p, d, q), int(judge.shift > 1.0)
        yield judge.true(found.necessary + off == next(m for m in range(q, p + q + 1) if m * (d + q) >= q * p))
        yield judge.true(found.open_set == next(m for m in range(q, p + q + 1) if m + (m // q) * d >= p))
        yield judge.true(found.every_W == min(-(-p // (d + 1)) * (q + 1), 2 * found.open_set, p))


@probe("T23b")
def later_data(F: Dyadics, judge: Judge) -> Iterator[float]:
    """future_set: ridge regression on the set with later samples is that on all data, from arrays and from sums"""
    n, p, k, lam = 11, 6, 2, F.scalar()
    Phi, Y, V = F.draw(n, p), F.draw(n, k), F.draw(p, 2)
    new, answers = F.draw(4, 2) @ V.T, F.draw(4, k)
    wanted = to_float(weights(F.below(Phi, new), F.below(Y, answers), lam))
    slack = 10.0 * (1.0 + float(np.linalg.norm(to_float(F.below(Phi, new)), 2)) ** 2 / to_float(lam))
    for data in _both(Phi, Y):
        built = future_set(data, to_float(V), ridge=to_float(lam))
        yield judge.true(len(built) == 2 + k)
        both = F.below(to_exact(F, built.features), new), F.below(to_exact(F, built.labels), answers)
        yield judge.ratio(to_float(weights(*both, lam)), wanted, slack)
        after = update(built, to_float(new), to_float(answers))
        yield judge.ratio(after.weights, wanted, slack)
        yield judge.ratio(exact_refit(F, after.features, after.labels, to_float(lam)), wanted, slack)


@probe("T23a")
def updated(F: Dyadics, judge: Judge) -> Iterator[float]:
    """update: new samples change the weights as the formula says; outside of the subspace they are refused"""
    n, p, k, lam = 10, 5, 2, F.scalar()
    Phi, Y, V = F.draw(n, p), F.draw(n, k), F.draw(p, 1)
    new, answers = F.draw(3, 1) @ V.T, F.draw(3, k)
    G = Phi.T @ Phi
    G_n, C_n = _sums(new, answers)
    W = weights(Phi, Y, lam)
    wanted = W + (C_n - W @ G_n) @ (G + G_n + lam * F.eye(p)).inv
    slack = 10.0 * (1.0 + float(np.linalg.norm(to_float(F.below(Phi, new)), 2)) ** 2 / to_float(lam))
    built = future_set((to_float(Phi), to_float(Y)), to_float(V), ridge=to_float(lam))
    yield judge.ratio(update(built, to_float(new), to_float(answers)).weights, to_float(wanted), slack)
    yield judge.refuses(InfeasibleError, lambda: update(built, to_float(F.draw(3, p)), to_float(answers)))


@probe("T23c")
def forgotten(F: Dyadics, judge: Judge) -> Iterator[float]:
    """update with sign -1: the weights without the samples, whatever subset of the named ones goes"""
    n, p, k, lam = 12, 6, 2, F.scalar()
    Phi, Y = F.draw(n, p), F.draw(n, k)
    A, B = to_float(Phi), to_float(Y)
    memory = future_set((A, B), A[:3].T, ridge=to_float(lam))
    slack = 10.0 * (1.0 + float(np.linalg.norm(A, 2)) ** 2 / to_float(lam)) ** 2
    for gone in ([0], [1, 2], [0, 1, 2]):
        kept = [i for i in range(n) if i not in gone]
        wanted = to_float(weights(Phi.rows(kept), Y.rows(kept), lam))
        yield judge.ratio(update(memory, A[gone], B[gone], sign=-1).weights, wanted, slack)
    yield judge.refuses(InfeasibleError, lambda: update(memory, 64.0 * A[:1], B[:1], sign=-1))


@probe("T24")
def integers(F: Dyadics, judge: Judge) -> Iterator[float]:
    """byte_set: integers in range whose exact loss of W is what it says, below what is wanted; rounding loses more"""
    k, p, m = 2, 16, 10
    W, images = to_float(F.draw(k, p)) / 64.0, to_float(F.draw(m, p)) / 8.0
    made = byte_set(nearest_features(W, images, ridge=0.5), error=1e-4, weights=W)
    levels = F.constant([[fmpq(int(x)) for x in row] for row in made.levels])
    low, step = to_exact(F, made.low), to_exact(F, made.step)
    X, target = low * F.ones(m, p) + step * levels, to_exact(F, W)
    lost = target - target @ X.plus @ X
    exact = math.sqrt(to_float(lost.norm2) / to_float(target.norm2))
    yield judge.ratio(1e4 * made.relative_error + 1.0, 1e4 * exact + 1.0, 1e4 * cond(made.features))
    yield judge.true(exact <= 1e-4 < made.rounding_error and made.levels.min() >= 0 and made.levels.max() <= 255)


@probe("T25")
def every_penalty(F: Dyadics, judge: Judge) -> Iterator[float]:
    """sufficient_set: G, C and Y^T Y of the data, with weights and means; from sums the objective"""
    n, p, k = 14, 4, 2
    Phi, Y, w = F.draw(n, p), F.draw(n, k), [fmpq(F.random.randint(1, 8), 4) for _ in range(n)]
    A, B = to_float(Phi), to_float(Y)
    slack = 10.0 * cond(np.hstack([A, B])) ** 2
    for weight in (None, w):
        root = F.eye(n) if weight is None else F.diag(weight)
        given = None if weight is None else np.array([to_float(x) for x in weight])
        for intercept in (False, True):
            built = sufficient_set(A, B, intercept=intercept, sample_weight=given)
            yield judge.true(len(built) == p + k + intercept)
            joint = F.below(Phi.T, Y.T, F.ones(1, n)) if intercept else F.below(Phi.T, Y.T)
            small = np.hstack([built.features, built.labels, np.ones((len(built), int(intercept)))])
            got = small.T @ (built.weights[:, None] * small)
            yield judge.ratio(got, to_float(joint @ root @ joint.T), slack)
    built = sufficient_set(GramStatistics(p, k).update(A, B))
    W = F.draw(k, p)
    got = float(np.linalg.norm(built.features @ to_float(W).T - built.labels) ** 2)
    yield judge.ratio(got, to_float((Phi @ W.T - Y).norm2), slack)


@probe("T23d")
def merged(F: Dyadics, judge: Judge) -> Iterator[float]:
    """merge_sets: the sets of three holders give the model of all their data; in the wrong order they are refused"""
    p, k, lam = 6, 2, F.scalar()
    V = F.draw(p, 2)
    parts = [(F.draw(9, p), F.draw(9, k))] + [(F.draw(n, 2) @ V.T, F.draw(n, k)) for n in (5, 7)]
    Phi, Y = F.below(*[A for A, _ in parts]), F.below(*[B for _, B in parts])
    wanted = to_float(weights(Phi, Y, lam))
    slack = 30.0 * (1.0 + float(np.linalg.norm(to_float(Phi), 2)) ** 2 / to_float(lam))
    sets = [future_set((to_float(A), to_float(B)), to_float(V), ridge=to_float(lam)) for A, B in parts]
    found = merge_sets(sets)
    yield judge.ratio(found.weights, wanted, slack)
    yield judge.ratio(exact_refit(F, found.features, found.labels, to_float(lam)), wanted, slack)
    yield judge.refuses(InfeasibleError, lambda: merge_sets(sets[::-1]))


CHECKS = [
    gradients,
    trajectories,
    end_points,
    segments_of_experts,
    truncation,
    fewer_points,
    copies,
    counts,
    later_data,
    updated,
    forgotten,
    integers,
    every_penalty,
    merged,
]
