"""T2's choice of Z and T15: the bounds are bounds, and are attained."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from proofs_check.converse.optimisation import searched

__all__ = ["CHECKS"]


@searched("T2", starts=4, deep=40)
def least_condition(rng: np.random.Generator, wrong: bool, starts: int) -> tuple[bool, int, str, str]:
    """for m <= p no Z makes cond(D) smaller than cond((Y^T)^+ W); Z = tau Q1 Q2 attains it"""
    m, k, p = 4, 2, 6
    W, Y = rng.standard_normal((k, p)), rng.standard_normal((m, k))
    M, project = np.linalg.pinv(Y).T @ W, np.eye(m) - Y @ np.linalg.pinv(Y)
    s = np.linalg.svd(M, compute_uv=False)[:k]
    least = s[0] / s[-1] * (1.01 if wrong else 1.0)
    condition = lambda z: float(np.linalg.cond(M + project @ z.reshape(m, p)))  # noqa: E731
    found = [minimize(condition, rng.standard_normal(m * p), method="L-BFGS-B").fun for _ in range(starts)]
    Q1, Q2 = np.linalg.svd(Y)[0][:, k:], np.linalg.svd(W)[2][k : k + m - k]
    found.append(condition((s[0] * s[-1]) ** 0.5 * (Q1 @ Q2)))
    ratio = min(found) / least
    return (
        bool(ratio >= 1 - 1e-9 and found[-1] <= least * (1 + 1e-9)),
        len(found),
        f"{ratio - 1:+.0e}",
        "least over bound, minus 1",
    )


def _derivative(Phi: np.ndarray, lam: float) -> float:
    """Norm of the derivative of R(Phi) as a linear map of dPhi (m p, m p)."""
    (m, p), columns = Phi.shape, []
    K = np.linalg.inv(Phi @ Phi.T + lam * np.eye(m))
    R = K @ Phi
    for unit in np.eye(m * p):
        E = unit.reshape(m, p)
        columns.append((K @ (E - E @ Phi.T @ R - Phi @ E.T @ R)).ravel())
    return float(np.linalg.norm(np.array(columns), 2))


@searched("T15", starts=12, deep=200)
def sensitivity(rng: np.random.Generator, wrong: bool, starts: int) -> tuple[bool, int, str, str]:
    """|dW| <= |Y|_2 |dPhi| / (s_min^2 + lam) to first order, with equality for p > m"""
    ratios, tight = [], []
    for _ in range(starts):
        m, p = int(rng.integers(1, 5)), int(rng.integers(1, 6))
        Phi, lam = rng.standard_normal((m, p)) * 10.0 ** rng.uniform(-1, 1), 10.0 ** rng.uniform(-2, 1)
        low = np.linalg.svd(Phi, compute_uv=False)[-1] if m <= p else 0.0
        ratio = _derivative(Phi, lam) * (low**2 + lam) * (1.5 if wrong else 1.0)
        ratios.append(ratio)
        if m < p:
            tight.append(ratio)
    passed = max(ratios) <= 1 + 1e-9 and (not tight or min(tight) >= 1 - 1e-9)
    return passed, starts, f"{max(ratios) - 1:+.0e}", "norm of the derivative over the bound, minus 1"


@searched("T15", starts=300, deep=5000)
def amplification(rng: np.random.Generator, wrong: bool, starts: int) -> tuple[bool, int, str, str]:
    """amplification: all small roots at most 2 whatever cond(D), all large roots at most 2 cond(D), both reached; ridge
    0: cond(D)"""
    worst = {"small": 0.0, "large": 0.0}
    for _ in range(starts):
        t = np.sort(10.0 ** rng.uniform(-6, 0, 3))[::-1]
        lam = (1.0 - 10.0 ** rng.uniform(-12, -0.01)) / (4 * t[0] ** 2)
        half = 1 + np.sqrt(1 - 4 * lam * t * t)
        for name, s in (("small", 2 * lam * t / half), ("large", half / (2 * t))):
            gain = s.max() / ((s.min() ** 2 + lam) * t[0])
            worst[name] = max(worst[name], gain / (1.0 if name == "small" else t[0] / t[-1]))
    limit = 1.5 if wrong else 2.0
    passed = max(worst.values()) <= limit * (1 + 1e-9) and min(worst.values()) > 1.8
    return (
        passed,
        starts,
        f"{max(worst.values()):.3f}",
        "largest amplification (small roots), over cond(D) (large roots)",
    )


CHECKS = [least_condition, sensitivity, amplification]
