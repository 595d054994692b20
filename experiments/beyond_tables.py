"""Tables of other losses (T18), trajectories (T19) and every penalty (T25), from their recorded runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from records import again, by_name, markdown, recorded, source


def losses() -> str:
    """Softmax regression on all samples and on the points, by this package and by scipy."""
    run, path = recorded("losses")
    rows = []
    for row in run["rows"]:
        certificate, by_scipy = row["certificate"], row.get("error_by_scipy")
        rows.append([f"{row['data']}, {row['kind']}", row["points"], f"{row['ridge']:.3g}"])
        rows[-1] += [f"{row['distilled_ridge']:.2g}", f"{row['largest_ridge']:.2g}"]
        rows[-1] += [f"{100 * row[name]:.2f}" for name in ("accuracy_original", "accuracy_distilled")]
        rows[-1] += [f"{certificate['relative_error']:.1e}", certificate["verdict"]]
        rows[-1] += ["" if by_scipy is None else f"{by_scipy:.1e}", *_of_model_and_set(row["seconds"])]
    header = ["data, labels", "points", "ridge", "ridge of the set", "largest with probabilities", "all data, %"]
    header += ["distilled, %", "error of W", "verdict", "error of W by scipy", "s of the model", "s of the set"]
    return markdown(header, rows) + source(run, path)


def _of_model_and_set(seconds: Mapping[str, float]) -> list[str]:
    """Return the seconds of the original model and those of the set, of a clock that had both."""
    own = sum(seconds[stage] for stage in ("construction", "preimage", "certificate"))
    return [f"{sum(seconds.values()) - own:.0f}", f"{own:.3f}"]


def trajectories() -> str:
    """Points, error of the steps and its bound."""
    run, path = recorded("trajectories")
    rows = []
    for row in run["rows"]:
        bound = f"{row['bound']:.1e}" if row["bound"] else ""
        rows.append([f"{row['data']}, {row['kind']}", row["theorem"], row["steps"], row["at_most"], row["points"]])
        rows[-1] += [f"{row['error']:.1e}", bound, f"{row['seconds']:.1f}"]
    header = ["data, set", "theorem", "steps", "T k", "points", "largest error of W_t", "bound of T19d", "seconds"]
    return markdown(header, rows) + source(run, path)


def kept() -> str:
    """What each set keeps of the data beside the model."""
    run, path = recorded("kept")
    rows = []
    for row in run["rows"]:
        found = row["certificate"]
        rows.append([f"{row['data']}, {row['kind']}", row["theorem"], f"{row['points']:,}"])
        rows[-1] += [f"{row['error_kept']:.1e}", f"{found['relative_error']:.1e}", found["verdict"]]
        rows[-1] += [f"{100 * row[name]:.2f}" for name in ("accuracy_original", "accuracy_distilled")]
        rows[-1] += [f"{sum(row[name].values()):.1f}" for name in ("model_seconds", "seconds")]
    header = ["data, set", "theorem", "points", "error of what it keeps", "error of W", "verdict", "all data, %"]
    return markdown([*header, "distilled, %", "s of the model", "s of the set"], rows) + source(run, path)


def penalties() -> str:
    """Coefficients and seconds of other people's estimators, on the data and on the set."""
    run, path = recorded("penalties")
    rows = []
    for row in run["rows"]:
        penalty = "" if row["penalty"] is None else f"{row['penalty']:.3g}"
        rows.append([row["model"], row["nonzero"], penalty, f"{row['error']:.1e}"])
        rows[-1] += [f"{row['seconds']:.2f}", f"{row['seconds_of_set']:.3f}"]
    sizes = run["sizes"]
    points, of_folds = sizes["points"], sizes["points_of_folds"]
    gram, one, folded = (f"{sizes[name]:.2f} s" for name in ("gram", "set", "set_of_folds"))
    facts = (
        f"\nn = {sizes['n']:,}, p = {sizes['p']}: {points} points, or {of_folds} in five folds. One Gram product takes "
        f"{gram} of the processor, the set {one}, the set of five folds {folded}.\n"
    )
    header = ["model", "coefficients not 0", "penalty chosen", "difference of the coefficients"]
    return markdown([*header, "s on the data", "s on the set"], rows) + facts + source(run, path)


def backbone_peers() -> str:
    """Peers on a frozen network beside the exact sets of near copies on it."""
    run, path = recorded("backbone_peers")
    runs = {found["run"] for found in run["rows"]}
    copies = [row for row in recorded("near_copies")[0]["rows"] if row["run"] in runs]
    rows = []
    for row in run["rows"]:
        each = "" if row["ipc"] is None else f", {row['ipc']} a class"
        each += f", {row['steps']} steps" if "steps" in row else ""
        rows.append([row["data"], f"{row['method']}{each}", f"{row['points']:,}", f"{100 * row['accuracy']:.2f}"])
        rows[-1] += [f"{row['cpu']:.1f}"]
    for row in copies:
        kind = "near copies, pairs" if row["pairs"] else f"near copies of {row['bases']} images"
        rows.append([row["data"], kind, f"{row['points']:,}", f"{100 * row['accuracy_distilled']:.2f}"])
        rows[-1] += [f"{row['cpu']:.1f} (with the probe)"]
    header = ["data", "set", "points", "test part, %", "CPU, s"]
    commands = again(*(f'experiments/backbone_peers.py "{row["run"]}"' for row in run["rows"]))
    return (
        markdown(header, sorted(rows, key=lambda cells: cells[0]))
        + _no_better(run["rows"])
        + commands
        + source(run, path)
    )


def _no_better(rows: Sequence[Mapping[str, Any]]) -> str:
    """Name the sizes at which gradient matching is not above random images."""
    found = {(row["method"], row["data"], row["ipc"]): row["accuracy"] for row in rows}
    named = [
        f"{data}, {ipc} a class"
        for (method, data, ipc), accuracy in found.items()
        if method == "lgm" and accuracy <= found["random", data, ipc]
    ]
    words = "; ".join(named)
    return f"\nNot above random images, so that it does not distil in so few steps: lgm ({words}).\n" if named else ""


TABLES = by_name(losses, trajectories, kept, penalties, backbone_peers)
