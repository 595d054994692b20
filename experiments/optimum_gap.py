"""How far above the optimum linear and finite-feature runs of KIP, DC, DM and MTT end (T20).

The methods run for a fixed number of steps, with step sizes that were chosen by hand so that no run diverges (DC: 0.001
times the points of a class); the objective is measured on all training samples in float64.

Run: python experiments/optimum_gap.py [--quick] [--data digits mnist] [--seeds 0 1 2] [--only TEXT]
"""

from __future__ import annotations

from itertools import product
from typing import Any

import records

from analytic_dd import data
from analytic_dd.baselines import distill
from analytic_dd.baselines.bench.run import objective_of
from analytic_dd.errors import DivergenceError

KIP = {"target_batch": 0, "steps": 200, "lr": 0.01}
MTT = {"network": "linear", "augment": False, "experts": 3, "expert_lr": 0.05, "expert_span": 1, "max_start": 3}
MTT |= {"student_steps": 10, "lr_img": 10.0, "lr_lr": 1e-3, "lr_0": 0.2, "steps": 200}
DC = {"network": "linear", "loss": "squared", "distance": "squared", "outer": 1, "inner": 0, "init": "real"}
RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    "KIP, linear, labels learned": ("kip", KIP | {"features": "identity", "labels": "learned"}),
    "KIP, linear, labels solved": ("kip", KIP | {"features": "identity", "labels": "solved"}),
    "KIP, linear, one-hot, relative ridge": ("kip", KIP | {"features": "identity", "labels": "fixed"}),
    "KIP, linear, one-hot, ridge 100": ("kip", KIP | {"features": "identity", "labels": "fixed", "ridge": 100.0}),
    "KIP, random Fourier, labels solved": ("kip", KIP | {"features": "rff:p=200", "labels": "solved"}),
    "DC, linear, squared loss": ("dc", DC | {"lr": 0.001, "steps": 200}),
    "DM, pixels": ("dm", {"network": "linear", "augment": False, "steps": 60}),
    "MTT, linear": ("mtt", MTT),
}
SIZES = (1, 10)


def measured(name: str, label: str, ipc: int, seed: int) -> dict[str, Any]:
    """Return the row of one run."""
    method, config = RUNS[label]
    dataset = data.load(name, offline=True)
    config = config | ({"digits": True} if method == "mtt" else {})
    if method == "dc":
        config = config | {"lr": ipc * config["lr"]}  # the gradient is that of a mean over the points of a class
    row = {"data": dataset.name, "method": label, "ipc": ipc, "seed": seed}
    try:
        found = distill(method, dataset, points_per_class=ipc, seed=seed, config=config)
    except DivergenceError as error:
        return row | {"diverged": str(error), "reached": None, "optimum": None}
    objective = objective_of(found, dataset)
    assert objective is not None
    row |= {"steps": found.steps, "seconds": found.ledger.wall_seconds, "reached": objective.reached}
    return row | {"optimum": objective.optimum, "gap": objective.gap, "theorem": objective.theorem}


def main() -> None:
    """Run every method on every data set and record the objectives, row by row."""
    parser = records.parser(__doc__ or "")
    parser.add_argument("--data", nargs="+", default=["digits", "mnist"])
    parser.add_argument("--only", default="", help="methods whose name has this text")
    parser.add_argument("--ipc", nargs="+", type=int, default=list(SIZES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    options = parser.parse_args()
    path = records.path_of(options, "optimum_gap")
    names, sizes = (["digits"], SIZES[:1]) if options.quick else (options.data, options.ipc)
    for name, label, ipc, seed in product(names, RUNS, sizes, options.seeds):
        if options.only in label:
            row = measured(name, label, ipc, seed)
            print(f"{name}, {label}, IPC {ipc}, seed {seed}: {row['reached']} against {row['optimum']}", flush=True)
            records.record(path, records.with_others(path, [row], ("data", "method", "ipc", "seed")))


if __name__ == "__main__":
    main()
