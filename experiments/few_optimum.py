r"""T7 against a direct optimiser: no descent over points and labels finds a better set of m points.

    f(Phis, Ys) = |(Ys^T R - W) L|^2,   R = (Phis Phis^T)^-1 Phis,   S = L L^T,   by L-BFGS from random starts

The small problem is the linear model of the digits on their first principal components: 200 restarts for each m and
metric. One start for each m on the weights of the large data sets is in ``few_points``.

Run: python experiments/few_optimum.py [--quick]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import records
from scipy.optimize import minimize

from analytic_dd import data
from analytic_dd.distill import few_features
from analytic_dd.labels import one_hot
from analytic_dd.ridge import ridge_weights

RESTARTS, COMPONENTS, SIZES = 200, 16, (2, 5, 8)


@dataclass(frozen=True)
class Descent:
    """Where a descent ended."""

    weights: np.ndarray  # (k, p): the model of the set that was found
    ratio: float  # its error to the optimum of T7, both in the metric
    evaluations: int


def error_and_gradient(
    Phis: np.ndarray, Ys: np.ndarray, W: np.ndarray, S: np.ndarray | None
) -> tuple[float, np.ndarray, np.ndarray]:
    """Return f and its gradients with respect to points (m, p) and labels (m, k)."""
    K = np.linalg.pinv(Phis @ Phis.T)
    R = K @ Phis
    E = Ys.T @ R - W
    F = E if S is None else E @ S
    M = K @ Ys @ F  # <F, Ys^T dR>  with  dR = K dPhis - K (dPhis Phis^T + Phis dPhis^T) R
    return float(np.sum(E * F)), 2.0 * (M - (M @ R.T) @ Phis - (R @ F.T) @ (Ys.T @ R)), 2.0 * (R @ F.T)


def descend(W: np.ndarray, m: int, *, metric: np.ndarray | None = None, rng: np.random.Generator) -> Descent:
    """Minimise f from a random start of the scale of the problem."""
    (k, p), size = W.shape, float(np.linalg.norm(W))
    W = W / size  # the model, not the set, has a scale
    scale = 1.0 if metric is None else 1.0 / float(np.trace(metric) / p)
    S = None if metric is None else scale * metric

    def f(z: np.ndarray) -> tuple[float, np.ndarray]:
        Phis, Ys = z[: m * p].reshape(m, p), z[m * p :].reshape(m, k)
        value, by_points, by_labels = error_and_gradient(Phis, Ys, W, S)
        return value, np.concatenate([by_points.ravel(), by_labels.ravel()])

    start = np.concatenate([rng.standard_normal(m * p) / np.sqrt(p), rng.standard_normal(m * k) / np.sqrt(k)])
    how = {"maxiter": 5_000, "maxfun": 10_000, "ftol": 1e-15, "gtol": 1e-10, "maxcor": 30}
    found = minimize(f, start, jac=True, method="L-BFGS-B", options=how)
    Phis, Ys = found.x[: m * p].reshape(m, p), found.x[m * p :].reshape(m, k)
    whole = float(np.linalg.norm(W) if S is None else np.sqrt(np.sum(W * (W @ S))))
    optimum = few_features(W, m, metric=S).relative_error * whole
    return Descent(size * (Ys.T @ np.linalg.pinv(Phis).T), float(np.sqrt(found.fun) / optimum), int(found.nfev))


def small_problem() -> tuple[np.ndarray, np.ndarray]:
    """Return W (k, p) and Phi^T Phi of the digits on their first principal components."""
    dataset = data.load("digits", offline=True)
    X = dataset.x_train.reshape(len(dataset.x_train), -1).astype(np.float64)
    X = X - X.mean(axis=0)
    _, _, Vt = np.linalg.svd(X, full_matrices=False)
    Phi = X @ Vt[:COMPONENTS].T
    return ridge_weights(Phi, one_hot(dataset.y_train, len(dataset.classes)), ridge=1.0), Phi.T @ Phi


def main() -> None:
    """Restart many times for each m and metric, and record the ratios."""
    options = records.parser(__doc__ or "").parse_args()
    W, G = small_problem()
    rows: list[dict[str, Any]] = []
    for m in SIZES[:1] if options.quick else SIZES:
        for name, metric in (("weights", None), ("predictions", G)):
            rng = np.random.default_rng([options.seed, m])
            found = [descend(W, m, metric=metric, rng=rng) for _ in range(5 if options.quick else RESTARTS)]
            ratios = np.array([descent.ratio for descent in found])
            row = {"metric": name, "m": m, "k": len(W), "p": W.shape[1], "restarts": len(found)}
            row |= {"least_ratio": float(ratios.min()), "median_ratio": float(np.median(ratios))}
            row |= {"largest_ratio": float(ratios.max()), "at_optimum": int(np.sum(ratios < 1.0 + 1e-6))}
            row["evaluations"] = float(np.mean([descent.evaluations for descent in found]))
            rows.append(row)
            reached = f"{row['at_optimum']} of {len(found)} reach it, {row['evaluations']:.0f} evaluations"
            print(f"m = {m}, {name}: least ratio to T7 {row['least_ratio']:.12f}, {reached}", flush=True)
    records.record_run(options, "few_optimum", rows)


if __name__ == "__main__":
    main()
