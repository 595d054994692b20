"""The optimum of DC, DM and KIP (T20b to T20d) against rational answers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from analytic_dd.baselines.optimum import dc_bound, kip_optimum, moment_set
from proofs_check.implementation.judge import Dyadics, Judge, exact_refit, probe, to_exact, to_float

__all__ = ["CHECKS"]


@probe("T20b")
def least_gradient_distance(F: Dyadics, judge: Judge) -> Iterator[float]:
    """dc_bound: the tails of known spectra, and points that have the objective that is named"""
    n, p, k, m = 9, 5, 3, 2
    s = np.sort([float(to_float(F.scalar())) for _ in range(p)])[::-1]
    Q, V = to_float(F.orthogonal(n, p)), to_float(F.orthogonal(p))
    Phi = (Q * s) @ V.T
    Y = Q[:, :k] * 2.0  # C = 2 diag(s_1 .. s_k) V_k^T
    found = dc_bound((Phi, Y), points=m, weight_std=0.5)
    wanted = 0.25 * k * np.sum(s[m:] ** 4) + 4.0 * np.sum(s[m:k] ** 2)
    yield judge.ratio(found.bound, wanted, 100.0 * float(np.sum(s**4) / wanted))
    Phis, Ys, A, B = (to_exact(F, one) for one in (found.features, found.labels, Phi, Y))
    gram, cross = (Phis.T @ Phis - A.T @ A).norm2, (Ys.T @ Phis - B.T @ A).norm2
    reached = 0.25 * k * to_float(gram) + to_float(cross)
    yield judge.ratio(found.reached, reached, 100.0 * float(np.sum(s**4) / wanted))
    yield judge.true(found.reached >= found.bound * (1.0 - 1e-9))


@probe("T20c")
def mean_and_covariance(F: Dyadics, judge: Judge) -> Iterator[float]:
    """moment_set: the mean and the covariance of the data, by rank + 1 points"""
    n, p = 9, 4
    Phi = to_float(F.draw(n, p))
    found = moment_set(Phi)
    yield judge.true(len(found.features) == found.fewest == p + 1)
    yield judge.ratio(found.features.mean(axis=0), Phi.mean(axis=0), 30.0)
    covariances = [np.cov(A.T, bias=True) for A in (found.features, Phi)]
    yield judge.ratio(covariances[0], covariances[1], 100.0)


@probe("T20d")
def least_loss(F: Dyadics, judge: Judge) -> Iterator[float]:
    """kip_optimum: the exact loss of its points, and the clipped answer of a diagonal program"""
    n, p, k, lam = 10, 5, 3, float(to_float(F.scalar()))
    Phi, Y = F.draw(n, p), F.draw(n, k)
    for best in (
        kip_optimum((to_float(Phi), to_float(Y)), points=2, ridge=lam),
        kip_optimum((to_float(Phi), to_float(Y)), labels=np.eye(k), ridge=lam),
    ):
        W = to_exact(F, exact_refit(F, best.features, best.labels, best.ridge))
        yield judge.ratio(best.loss, to_float((Phi @ W.T - Y).norm2), 1e4)
    s, t = np.sort(np.abs(to_float(F.draw(1, k))[0]) + 1.0)[::-1], np.abs(to_float(F.draw(1, k))[0])
    limit = 0.5 / np.sqrt(lam)
    fixed = kip_optimum((np.diag(s), np.diag(t)), labels=np.eye(k), ridge=lam)
    loss = float(np.sum((s * np.minimum(t / s, limit) - t) ** 2))
    yield judge.ratio(1.0 + fixed.loss, 1.0 + loss, 1e4 * (1.0 + float(np.sum(t**2))))


CHECKS = [least_gradient_distance, mean_and_covariance, least_loss]
