"""Write every table of the README and the docs from recorded runs.

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``; ``--check`` only says whether all are up to date.

Run: python experiments/tables.py [--check]
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import baseline_tables
import benchmark_tables
import beyond_tables
import construction_tables
import conv_tables
import optimum_tables
import people_tables
import protocol_tables
import records
from records import by_name, markdown, recorded, source

ROOT = Path(__file__).parents[1]
_MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def linear_recovery() -> str:
    """Accuracy before and after, and the worst error of W over the roots, for each data set and size."""
    run, path = recorded("linear_recovery")
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in run["rows"]:
        groups.setdefault((row["data"], row["intercept"], row["ipc"]), []).append(row)
    rows = []
    for (name, intercept, ipc), found in groups.items():
        error = {row["root"]: f"{row['certificate']['relative_error']:.1e}" for row in found}
        after = {f"{100 * row['accuracy_distilled']:.2f}" for row in found}
        verdicts = {row["certificate"]["verdict"] for row in found}
        model = f"{name}, {'with' if intercept else 'no'} intercept"
        before = f"{100 * found[0]['accuracy_original']:.2f}"
        errors = [error[root] for root in ("0", "large", "small")]
        rows.append([model, ipc, found[0]["points"], before, ", ".join(sorted(after)), *errors])
        rows[-1].append(", ".join(sorted(verdicts)))
    header = ["data, linear map", "IPC", "points", "all data, %", "distilled, %"]
    header += ["error of W, ridge 0", "large root", "small root", "verdict"]
    return markdown(header, rows) + source(run, path)


def map_recovery() -> str:
    """Accuracy before and after, and the error of W for both kinds of labels, for each data set, map and size."""
    run, path = recorded("map_recovery")
    groups: dict[tuple[Any, ...], dict[str, dict[str, Any]]] = {}
    for row in run["rows"]:
        groups.setdefault((row["data"], row["features"], row["ipc"]), {})[row["labels"]] = row
    rows = []
    for (name, text, ipc), found in groups.items():
        first = found["one-hot"]
        after = {f"{100 * row['accuracy_distilled']:.2f}" for row in found.values()}
        verdicts = {row["certificate"]["verdict"] for row in found.values()}
        errors = [f"{found[labels]['certificate']['relative_error']:.1e}" for labels in ("one-hot", "learned")]
        rows.append([f"{name}, {text}", first["p"], f"{first['map_condition']:.0e}", ipc])
        rows[-1] += [f"{100 * first['accuracy_original']:.2f}", ", ".join(sorted(after)), *errors]
        rows[-1].append(", ".join(sorted(verdicts)))
    header = ["data, map", "p", "condition of the map", "IPC", "all data, %", "distilled, %"]
    return markdown([*header, "error of W, one-hot", "learned labels", "verdict"], rows) + source(run, path)


_FITTING = ("reading", "map", "normalisation", "features", "gram", "eigendecomposition", "choice", "solve")
_DISTILLING = ("construction", "preimage", "certificate")


def map_seconds() -> str:
    """CPU seconds by stage, for one image a class with one-hot labels: the median run of the benchmark."""
    path = "benchmarks/results/one_pass.json"
    run = records.read(ROOT / path)
    rows = []
    for row in run["rows"]:
        whole = sorted(row["runs"]["whole"], key=lambda found: float(found["seconds"]))
        found = whole[len(whole) // 2]
        seconds = [found["stages"][stage] for stage in (*_FITTING, *_DISTILLING)]
        cells = [f"{value:.2f}" for value in (*seconds, found["seconds"], row["ratio"])]
        rows.append([_of_map(row), *cells])
    return markdown(["seconds", *_FITTING, *_DISTILLING, "whole", "ratio"], rows) + source(run, path)


def _of_map(row: Mapping[str, Any]) -> str:
    return f"{row['data']}, {row['features']}" + (
        "" if row.get("dtype", "float64") == "float64" else f" in {row['dtype']}"
    )


def counts() -> str:
    """How many points each theory needs, and the error at that number and at one fewer."""
    path = "experiments/results/table1_counts.json"
    run = records.read(ROOT / path)
    rows = []
    for row in run["rows"]:
        fewer, of_data = f"{row['error_one_fewer']:.1e}", row["error_one_fewer_labels_of_data"]
        if of_data is not None:
            fewer += f" (labels of the data: {of_data:.1e})"
        formula = row["formula"] + ("" if row["at_least"] is None else f"; at least {row['at_least']}")
        rows.append([f"{row['problem']}: {row['theory']}", formula, row["points"], f"{row['error']:.1e}"])
        rows[-1] += [row["certificate"]["verdict"], fewer]
    sizes = {row["problem"]: row["sizes"] for row in run["rows"]}
    facts = "; ".join(
        f"{name}: n = {found['n']} ({found['kernel']} for the kernel), d = {found['d']}, k = {found['k']}, "
        f"p = {found['onto']} for the surjective map, {found['over']} for the others"
        for name, found in sizes.items()
    )
    header = ["theory", "count", "points", "error of W", "verdict", "error at one fewer"]
    return markdown(header, rows) + f"\nSizes. {facts}.\n" + source(run, path)


def one_pass() -> str:
    """Time and memory of the whole distillation beside its necessary parts and scikit-learn's Ridge."""
    path = "benchmarks/results/one_pass.json"
    run = records.read(ROOT / path)
    rows = []
    for row in run["rows"]:
        seconds, memory = row["seconds"], row["peak_megabytes"]
        rows.append(
            [
                _of_map(row),
                f"{seconds['whole']:.2f}",
                f"{seconds['parts']:.2f}",
                f"{row['ratio']:.2f}",
            ]
            + [f"{memory['whole']:.0f}", f"{seconds['sklearn_ridge']:.2f}", f"{memory['sklearn_ridge']:.0f}"]
        )
    header = ["data, features", "whole distillation, CPU s", "read + features + product + eigh, CPU s", "ratio"]
    header += ["peak MB", "scikit-learn Ridge (one ridge), CPU s", "its peak MB"]
    loads = [row["load_before"] for row in run["rows"]]
    load = f"; load average {min(loads):.0f} to {max(loads):.0f} before the runs."
    return markdown(header, rows) + source(run, path).removesuffix(".\n") + load + "\n"


TABLES: dict[str, Callable[[], str]] = {
    **by_name(linear_recovery, map_recovery, map_seconds, counts, one_pass),
    **construction_tables.TABLES,
    **conv_tables.TABLES,
    **optimum_tables.TABLES,
    **beyond_tables.TABLES,
    **baseline_tables.TABLES,
    **benchmark_tables.TABLES,
    **protocol_tables.TABLES,
    **people_tables.TABLES,
}


def update(text: str) -> str:
    """Return ``text`` with every marked table written anew."""
    return _MARKED.sub(lambda found: found[1] + "\n" + TABLES[found[2]]() + "\n" + found[3], text)


def main() -> int:
    """Update the files, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    stale = 0
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        old = path.read_text()
        new = update(old)
        if new != old:
            stale += 1
            print(f"{path.relative_to(ROOT)} {'is out of date: run make tables' if options.check else 'updated'}")
            if not options.check:
                path.write_text(new)
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
