"""T18 on real data: softmax regression on all samples, distilled into 9 or 10 points, found again by code of scipy.

The original model is the penalised cross-entropy of all training samples (linear map, no intercept), its ridge the best
on samples held out. Each set is stored, reloaded and certified; then scipy minimises the cross-entropy of its labels on
it, without anything of this package.

Run: python experiments/losses.py [--quick] [--data mnist cifar10]
"""

from __future__ import annotations

from typing import Any

import numpy as np
import records
import recovery
from scipy import optimize, special

from analytic_dd import data
from analytic_dd.clock import Clock
from analytic_dd.distill import Minimal, Nearest
from analytic_dd.features import Identity
from analytic_dd.io import DistilledSet
from analytic_dd.model import DatasetSource, FitOptions, OriginalModel, distil_model, fit_source
from analytic_dd.model.distillation import streams


def wanted(model: OriginalModel) -> list[recovery.Wanted]:
    """k - 1 points at ridge 0, k points at half of the largest ridge of probabilities, and sets near real images."""
    k = len(model.weights)
    free = distil_model(model, Minimal(points=k), rng=np.random.default_rng(0))
    sets = {
        "soft labels": Minimal(points=k - 1),
        "soft labels, a ridge": Minimal(points=k, distilled_ridge=free.distilled.ridge_limit / 2),
        "near real images": Nearest(),
    }
    return [recovery.Wanted(made, {"kind": kind, "loss": model.loss}) for kind, made in sets.items()]


def by_scipy(stored: DistilledSet) -> np.ndarray:
    """Return the weights (k, p) that scipy finds by cross-entropy on the labels of a set, from 0."""
    (X, Y), ridge, shape = stored.to_numpy(), stored.ridge, stored.w.shape

    def value_and_gradient(w: np.ndarray) -> tuple[float, np.ndarray]:
        W = w.reshape(shape)
        Z = X @ W.T
        value = float(np.sum(special.logsumexp(Z, axis=1)) - np.sum(Y * Z)) + ridge / 2 * float(w @ w)
        return value, ((special.softmax(Z, axis=1) - Y).T @ X + ridge * W).ravel()

    options = {"maxiter": 20_000, "maxfun": 40_000, "ftol": 0.0, "gtol": 0.0}
    near = optimize.minimize(
        value_and_gradient, np.zeros(stored.w.size), jac=True, method="L-BFGS-B", options=options
    ).x
    with np.errstate(all="ignore"):
        found = optimize.newton_krylov(lambda w: value_and_gradient(w)[1], near, f_tol=1e-15, maxiter=20, inner_M=None)
    return np.asarray(found).reshape(shape)


def measure(dataset: data.Dataset, *, seed: int) -> list[dict[str, Any]]:
    """Fit once, distil in every way, and let scipy find the weights again."""
    clock = Clock()
    options = FitOptions(loss="softmax")
    model = fit_source(DatasetSource(dataset), Identity(dataset.d), options, rng=streams(seed)[1], clock=clock)
    rows = recovery.measure(dataset, model, wanted(model), seed=seed, clock=clock)
    for row, want in zip(rows, wanted(model), strict=True):
        stored = recovery.through_a_file(dataset, model, want.construction, seed=seed)
        row |= {"labels": [float(stored.y.min()), float(stored.y.max())], "solver": model.solver_reason}
        row["largest_ridge"] = stored.meta["diagnostics"]["ridge_limit"]
        if want.facts["kind"] != "near real images":
            row["error_by_scipy"] = float(np.linalg.norm(by_scipy(stored) - stored.w) / np.linalg.norm(stored.w))
    return rows


def main() -> None:
    """Measure every data set and record the rows."""
    options = records.options(__doc__ or "")
    rows: list[dict[str, Any]] = []
    for name in options.names:
        rows += measure(data.load(name, offline=True), seed=options.seed)
    for row in rows:
        print(recovery.line(row, "kind"), row.get("error_by_scipy"))
    records.record_part(options, "losses", rows, ("data", "kind"))


if __name__ == "__main__":
    main()
