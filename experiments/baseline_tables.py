"""Tables of the iterative methods, from their recorded runs; used by ``tables``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import records
from records import again, by_name, markdown, source

_VARIANTS = ["fixed", "learned", "solved", "solved, whole set", "solved-in-graph", "ntk"]


def _seconds(value: float | None) -> str:
    return "not reached" if value is None else f"{value:.3g}"


def _percent(value: float) -> str:
    return f"{100.0 * value:.2f}"


def _kip_row(row: Mapping[str, Any]) -> list[str]:
    finite = row["predictor"] == "finite-feature KRR"
    ended = "" if row["finished"] else ", budget"
    cells = [f"{row['data']}, {row['features'] if finite else 'NTK KRR'}", str(row["ipc"]), row["variant"]]
    cells += [_percent(row["accuracy"]), f"{row['steps']}{ended}", f"{row['seconds']:.4g}"]
    if not finite:
        return cells + [""] * 6
    cells += [_percent(row["closed_form_accuracy"]), f"{row['closed_form_seconds']:.3g}"]
    cells += [_seconds(row["seconds_to_within_0.3_points"]), _seconds(row["seconds_to_closed_form"])]
    bound = "" if row["finished"] else "> "
    return [*cells, f"{bound}{row['speed_up']:.3g}", f"{row['gpu_minutes_estimate']:.3g}"]


def table4_vs_kip() -> str:
    """The closed form against every variant of KIP with the same features."""
    path = "experiments/results/table4_vs_kip.json"
    run = records.read(records.RESULTS / "table4_vs_kip.json")

    def place(row: Mapping[str, Any]) -> tuple[Any, ...]:
        finite = row["predictor"] == "finite-feature KRR"
        return not finite, row["data"] != "MNIST", row["features"], row["ipc"], _VARIANTS.index(row["variant"])

    header = ["data, features", "IPC", "KIP, labels", "KIP, %", "steps", "KIP, s", "closed form, %", "closed form, s"]
    header += ["KIP within 0.3 points, s", "KIP as good, s", "speed-up", "30,000 steps on a GPU, min (estimate)"]
    threads = sorted({row["threads"] for row in run["rows"]})
    facts = f"\nThreads: {', '.join(map(str, threads))}; seeds {sorted({row['seed'] for row in run['rows']})}.\n"
    budgets = sorted({row["budget"] for row in run["rows"] if row["budget"] is not None})
    command = "experiments/table4_vs_kip.py --data mnist|cifar10 --ipc IPC --variants LABELS --threads 1 --again"
    facts += again(*(f"{command} --budget {budget:.0f}" for budget in budgets))
    return markdown(header, [_kip_row(row) for row in sorted(run["rows"], key=place)]) + facts + source(run, path)


TABLES = by_name(table4_vs_kip)
