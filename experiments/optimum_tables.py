"""Tables of optima, of later data, of trained networks and of fewest points, from their recorded runs."""

from __future__ import annotations

from typing import Any

import numpy as np
from records import again, by_name, markdown, recorded, source


def optimum_gap() -> str:
    """The objective of linear and finite-feature runs beside its optimum: means and deviations over seeds."""
    run, path = recorded("optimum_gap")
    groups: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
    for row in sorted(run["rows"], key=lambda row: row["data"] == "MNIST"):
        groups.setdefault((row["data"], row["method"], row["ipc"]), []).append(row)
    rows = []
    for (data, method, ipc), every in groups.items():
        found = [row for row in every if "diverged" not in row]
        count = f"{len(found)}" + (f" ({len(every) - len(found)} diverged)" if len(every) > len(found) else "")
        values = [_over_seeds([row[name] for row in found]) for name in ("reached", "optimum", "gap")]
        rows.append([f"{data}, {method}", ipc, found[0]["steps"], count, *values, found[0]["theorem"]])
    header = ["data, method", "IPC", "steps", "seeds", "objective", "optimum", "gap", "theorem"]
    command = "experiments/optimum_gap.py --data digits|mnist --ipc IPC --seeds 0 1 2 --only METHOD"
    return markdown(header, rows) + again(command) + source(run, path)


def _over_seeds(values: list[float]) -> str:
    """The mean, and the standard deviation where there are several seeds."""
    spread = f" ({np.std(values, ddof=1):.2g})" if len(values) > 1 else ""
    return f"{np.mean(values):.4g}{spread}"


def class_incremental() -> str:
    """A memory of some points against replay of as many real images."""
    run, path = recorded("class_incremental")
    rows = []
    for row in run["rows"]:
        scores = [f"{100 * row[name]:.2f}" for name in ("accuracy", "accuracy_at_once")]
        replay = f"{100 * row['replay']:.2f} ({100 * row['replay_std']:.2f})"
        rows.append([row["directions"], row["points"], *scores, f"{row['error']:.1e}", replay])
    first = run["rows"][0]
    header = ["directions", "points", "memory, %", "the same at once, %", "W differs by", "replay of as many, %"]
    facts = (
        f"\n{first['data']}, p = {first['p']} random Fourier features: trained on everything "
        f"{100 * first['everything']:.2f} %; `partial_fit` task by task {100 * first['partial_fit']:.2f} %, and W "
        f"differs by {first['partial_fit_error']:.1e}.\n"
    )
    return markdown(header, rows) + facts + source(run, path)


def trained_networks() -> str:
    """Training that goes on from a set that holds its weights."""
    run, path = recorded("trained_networks")
    rows = []
    for row in run["rows"]:
        away = f"{row['least_distance']:.1e} to {row['largest_distance']:.1e}"
        rows.append([f"{row['points']} images, {row['start']}", row["starts"], away])
        rows[-1].append(f"{100 * row['accuracy_after']:.2f}")
    facts = "".join(
        f"\n{first['data']}, {first['points']} images for {first['units']} units, weight decay {first['decay']}: "
        f"{first['verdict']}, relative gradient {first['relative_gradient']:.1e}, Hessian "
        f"{first['least_eigenvalue']:.2g} to {first['largest_eigenvalue']:.2g}; accuracy "
        f"{100 * first['accuracy']:.2f} %. A {first['note']}.\n"
        for first in {row["points"]: row for row in run["rows"]}.values()
    )
    header = ["training starts", "starts", "distance of the weights at the end", "accuracy, %"]
    return markdown(header, rows) + facts + source(run, path)


def fewest_points() -> str:
    """Counts of each (d, p, q), and what was found and proved for each activation."""
    run, path = recorded("fewest_points")
    groups: dict[tuple[int, int, int], dict[str, dict[str, Any]]] = {}
    for row in run["rows"]:
        groups.setdefault((row["d"], row["p"], row["q"]), {})[row["activation"]] = row
    activations = list(dict.fromkeys(row["activation"] for row in run["rows"]))
    rows = []
    for (d, p, q), found in groups.items():
        first = next(iter(found.values()))
        cells = [_found(found.get(name)) for name in activations]
        rows.append([f"{d}, {p}, {q}", first["necessary"], first["open_set"], first["every_W"], *cells])
    proved = sum(row["proved"] for row in run["rows"])
    header = ["d, p, q", "necessary (T22a)", "open set (T22a)", "every W (T22b, c)", *activations]
    facts = f"\n{proved} of {len(run['rows'])} cells are proved (*): an exact solution lies beside the computed one.\n"
    return markdown(header, rows) + facts + source(run, path)


def _found(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    return "none" if row["found"] is None else f"{row['found']}{' *' if row['proved'] else ''}"


TABLES = by_name(optimum_gap, class_incremental, trained_networks, fewest_points)
