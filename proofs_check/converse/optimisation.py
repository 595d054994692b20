"""Direct optimisers against the bounds of T1, T5, T6, T7 and T8e: from many starts, none may get below."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
from scipy.optimize import minimize

from proofs_check.check import Check, Outcome, claim_of

__all__ = ["CHECKS"]

_BELOW = 1e-9  # relative slack for rounding
_NEAR = 1e-3  # the best start must come this near, or the optimiser proves nothing

Decision = Callable[[np.random.Generator, bool, int], tuple[bool, int, str, str]]


def searched(theorem: str, *, starts: int = 12, deep: int = 120) -> Callable[[Decision], Check]:
    """Make a check of ``body(rng, wrong, starts) -> (passed, instances, worst, detail)``."""

    def register(body: Decision) -> Check:
        def decide(is_deep: bool, negate: bool) -> Outcome:
            passed, *rest = body(np.random.default_rng(17), negate, deep if is_deep else starts)
            return Outcome(bool(passed), *rest)

        return Check(theorem, "converse", body.__name__, claim_of(body), decide)

    return register


def _error_and_gradient(
    Phi: np.ndarray, Y: np.ndarray, W: np.ndarray, lam: float
) -> tuple[float, np.ndarray, np.ndarray]:
    """|W_s - W|^2 and its gradients by Phi and Y."""
    inverse = np.linalg.inv(Phi @ Phi.T + lam * np.eye(len(Phi)))
    R = inverse @ Phi
    E = Y.T @ R - W
    M = Y @ E
    by_phi = 2.0 * (inverse @ (M - M @ R.T @ Phi) - R @ M.T @ R)
    return float((E * E).sum()), by_phi, 2.0 * R @ E.T


def _best(W: np.ndarray, m: int, lam: float, rng: np.random.Generator, starts: int, Y: np.ndarray | None) -> float:
    """The least |W_s - W| found over Phi, and over labels too where they are not given."""
    (k, p), best = W.shape, np.inf

    def objective(z: np.ndarray) -> tuple[float, np.ndarray]:
        Phi, labels = z[: m * p].reshape(m, p), (z[m * p :].reshape(m, k) if Y is None else Y)
        value, by_phi, by_label = _error_and_gradient(Phi, labels, W, lam)
        parts = [by_phi.ravel()] + ([by_label.ravel()] if Y is None else [])
        return value, np.concatenate(parts)

    for _ in range(starts):
        z = 10.0 ** rng.uniform(-1.0, 1.0) * rng.standard_normal(m * p + (m * k if Y is None else 0))
        found = minimize(
            objective, z, jac=True, method="L-BFGS-B", options={"maxiter": 3000, "ftol": 1e-14, "gtol": 1e-10}
        )
        best = min(best, float(np.sqrt(found.fun)))
    return best


def _verdict(best: list[float], bounds: list[float], wrong: bool) -> tuple[bool, int, str, str]:
    claimed = 1.01 if wrong else 1.0
    ratios = [found / (claimed * bound) for found, bound in zip(best, bounds, strict=True)]
    passed = min(ratios) >= 1.0 - _BELOW and (wrong or max(ratios) <= 1.0 + _NEAR)
    spread = f"best found over bound, minus 1: {min(ratios) - 1:+.0e} to {max(ratios) - 1:+.0e}"
    return passed, len(best), f"{min(ratios) - 1:+.0e}", spread


@searched("T1")
def fixed_labels(rng: np.random.Generator, wrong: bool, starts: int) -> tuple[bool, int, str, str]:
    """fixed labels with m < rank W: no features get below |(I - Y^+ Y) W|, whatever lam_s; the best start reaches it"""
    best, bounds = [], []
    for m, k, p in ((2, 4, 6), (3, 4, 5), (1, 3, 4)):
        W, Y = rng.standard_normal((k, p)), rng.standard_normal((m, k))
        lam = 0.5 / (4 * np.linalg.norm(np.linalg.pinv(Y).T @ W, 2) ** 2)  # T3: the best target is reachable
        best.append(_best(W, m, lam, rng, starts, Y))
        bounds.append(float(np.linalg.norm(W - np.linalg.pinv(Y) @ Y @ W)))
    return _verdict(best, bounds, wrong)


@searched("T7")
def any_labels(rng: np.random.Generator, wrong: bool, starts: int) -> tuple[bool, int, str, str]:
    """m < rank W points with any features and labels: never below sqrt(sum of sigma_i(W)^2, i > m), and the best start
    reaches it"""
    best, bounds = [], []
    for m, k, p, lam in ((2, 4, 6, 0.5), (1, 3, 5, 0.1), (3, 4, 4, 1.0)):
        W = rng.standard_normal((k, p))
        best.append(_best(W, m, lam, rng, starts, None))
        bounds.append(float(np.linalg.norm(np.linalg.svd(W, compute_uv=False)[m:])))
    return _verdict(best, bounds, wrong)


@searched("T5")
def any_centred_labels(rng: np.random.Generator, wrong: bool, starts: int) -> tuple[bool, int, str, str]:
    """k - 2 points with any features and labels: never below the least singular value of H W, which is reached"""
    best, bounds = [], []
    for k, p in ((3, 5), (4, 6)):
        W = (np.eye(k) - 1.0 / k) @ rng.standard_normal((k, p))
        best.append(_best(W, k - 2, 0.3, rng, starts, None))
        bounds.append(float(np.linalg.norm(np.linalg.svd(W, compute_uv=False)[k - 2 :])))
    return _verdict(best, bounds, wrong)


def _nearest(ref: np.ndarray, W: np.ndarray, rank: int) -> float:
    """T6: the distance of the nearest exact set."""
    basis = np.linalg.svd(W)[2][:rank]
    N = ref - ref @ basis.T @ basis
    values = np.zeros(len(ref))
    sigma = np.linalg.svd(N, compute_uv=False)
    values[: len(sigma)] = sigma
    return float(np.linalg.norm(np.sort(values)[:rank]))


def _moved(z: np.ndarray, ref: np.ndarray, B: np.ndarray) -> tuple[float, np.ndarray]:
    """|C^+ (B - C ref)|^2 , by which the nearest set with C Phi = B moves, and its gradient by C."""
    C = z.reshape(len(B), len(ref))
    inverse = np.linalg.pinv(C)
    move = inverse @ (B - C @ ref)
    return float((move**2).sum()), (-2.0 * inverse.T @ move @ (ref + move).T).ravel()


@searched("T6")
def over_subspaces(rng: np.random.Generator, wrong: bool, starts: int) -> tuple[bool, int, str, str]:
    """over all subspaces (the rows C of the combinations that make row(W)) no exact set is nearer, and the best start
    reaches it"""
    best, bounds = [], []
    for m, q, p in ((4, 2, 7), (3, 1, 5)):
        ref, B = rng.standard_normal((m, p)), np.linalg.qr(rng.standard_normal((p, q)))[0].T

        starting = (rng.standard_normal(q * m) for _ in range(starts))
        found = min(minimize(_moved, z, (ref, B), jac=True, method="BFGS").fun for z in starting)
        best.append(float(np.sqrt(found)))
        bounds.append(_nearest(ref, B, q))
    return _verdict(best, bounds, wrong)


@searched("T6", starts=6, deep=40)
def over_features_and_labels(rng: np.random.Generator, wrong: bool, starts: int) -> tuple[bool, int, str, str]:
    """over all features and labels: any set is exact for its own W_s, and is never nearer to the references than T6
    says"""
    m, k, p, lam = 4, 2, 6, 0.5
    ref, lowest = rng.standard_normal((m, p)), np.inf

    def ratio(z: np.ndarray) -> float:
        Phi, Y = z[: m * p].reshape(m, p), z[m * p :].reshape(m, k)
        Ws = Y.T @ np.linalg.solve(Phi @ Phi.T + lam * np.eye(m), Phi)
        return float(np.linalg.norm(Phi - ref)) / _nearest(ref, Ws, k)

    for _ in range(starts):
        z = np.concatenate([(ref + 0.5 * rng.standard_normal((m, p))).ravel(), rng.standard_normal(m * k)])
        lowest = min(lowest, float(minimize(ratio, z, method="L-BFGS-B", options={"maxiter": 200}).fun))
    passed, _, worst, detail = _verdict([lowest], [1.0], wrong)
    return passed, starts, worst, detail


@searched("T8e", starts=4, deep=20)
def fixed_labels_over_ridges(rng: np.random.Generator, wrong: bool, starts: int) -> tuple[bool, int, str, str]:
    """biased deep linear, k = 3 fixed one-hot labels: over all lam_s and all choices of roots k points miss e.phi = 1;
    k + 1 meet it"""
    k, p, d, least = 3, 8, 5, np.inf
    for _ in range(starts):
        B, c, X = rng.standard_normal((p, d)), rng.standard_normal(p), rng.standard_normal((30, d))
        Phi, Y = X @ B.T + c, rng.standard_normal((30, k))
        W = np.linalg.solve(Phi.T @ Phi + 0.7 * np.eye(p), Phi.T @ Y).T
        Q = np.linalg.qr(B)[0]
        perp = c - Q @ (Q.T @ c)
        e = perp / (perp @ perp)
        V, t, Ut = np.linalg.svd(W, full_matrices=False)  # labels I: D = W
        grid = np.concatenate([[0.0], np.geomspace(1e-8, 1.0, 400)]) / (4 * t[0] ** 2)
        for lam, roots in product(grid, product((0, 1), repeat=k)):
            half = 1 + np.sqrt(np.maximum(0.0, 1 - 4 * lam * t * t))
            s = np.where(np.asarray(roots) == 1, half / (2 * t), 2 * lam * t / half)
            least = min(least, float(np.linalg.norm((V * s) @ (Ut @ e) - 1.0)))
        labels, one = np.vstack([np.eye(k), np.zeros(k)]), np.ones(k + 1)
        M, v = np.vstack([W, np.zeros(p)]), np.eye(k + 1)[k]
        D = M + np.outer(v, e - M.T @ one)
        more = float(np.linalg.norm(np.linalg.pinv(D).T @ e - one)) + float(np.linalg.norm(labels.T @ D - W))
        if more > 1e-9:
            return False, starts, f"{more:.0e}", "k + 1 points"
        least = min(least, more) if wrong else least
    return least > 1e-3, starts, f"{least:.0e}", "least |Phi_s e - 1| of k points"


CHECKS = [
    fixed_labels,
    any_labels,
    any_centred_labels,
    over_subspaces,
    over_features_and_labels,
    fixed_labels_over_ridges,
]
