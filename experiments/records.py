"""Recorded runs: JSON files that name data, seed, versions and hardware; every table is written from them."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from analytic_dd.files import atomic_write
from analytic_dd.io import to_json, versions

RESULTS = Path(__file__).parent / "results"
GALLERY = Path(__file__).parents[1] / "docs" / "gallery"
ESTIMATE = "estimate"  # the predictor of a row that says what a set takes
_PACKAGE = "analytic-dd"


def hardware() -> str:
    """Return the processor by name, the cores and the memory."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        name = models[0] if models else name
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{name}, {os.cpu_count()} cores, {gigabytes:.0f} GiB"


def record(path: Path, rows: Sequence[Mapping[str, Any]], **facts: Any) -> None:
    """Write the rows of a run with the facts that it depends on."""
    content = {"rows": list(rows), "versions": versions(), "hardware": hardware()} | facts
    with atomic_write(path) as stream:
        stream.write((to_json(content, indent=1) + "\n").encode())
    print(f"wrote {os.path.relpath(path)}")


def with_others(
    path: Path, rows: Sequence[Mapping[str, Any]], keys: Sequence[str], **facts: Any
) -> list[Mapping[str, Any]]:
    """Return the recorded rows of ``path`` that no new row replaces, then the new rows: a part may be run again.

    The facts of a file hold for all its rows, so rows of other versions, hardware or seed are not mixed with new ones.
    Rows that stay from another version of this package name it.
    """
    new = {tuple(row[key] for key in keys) for row in rows}
    if not path.exists():
        return list(rows)
    recorded = read(path)
    kept = [row for row in recorded["rows"] if tuple(row[key] for key in keys) not in new]
    present = json.loads(to_json({"versions": versions(), "hardware": hardware()} | facts))
    before, now = (found.get("versions", {}).pop(_PACKAGE, "") for found in (recorded, present))
    if before != now:
        kept = [{_PACKAGE: before} | row for row in kept]
    changed = [name for name, value in present.items() if recorded.get(name) != value]
    if kept and changed:
        raise SystemExit(
            f"{path.name} has rows of other {', '.join(changed)}; run all of it again, or use another --out"
        )
    return kept + list(rows)


def read(path: Path) -> dict[str, Any]:
    """Return a recorded run."""
    return dict(json.loads(path.read_text()))


def path_of(options: argparse.Namespace, stem: str) -> Path:
    """Return where a run is recorded; a quick one has a file of its own."""
    return Path(options.out / (f"{stem}_quick.json" if options.quick else f"{stem}.json"))


def record_run(options: argparse.Namespace, stem: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the rows of a whole run with its seed."""
    record(path_of(options, stem), rows, seed=options.seed)


def record_part(options: argparse.Namespace, stem: str, rows: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> Path:
    """Write the rows of a run that may be of some data sets only: MNIST first, rows of other data sets stay."""
    path = path_of(options, stem)
    every = with_others(path, rows, keys, seed=options.seed)
    record(path, sorted(every, key=lambda row: row["data"] != "MNIST"), seed=options.seed)
    return path


def with_pictures(
    options: argparse.Namespace,
    measured: Callable[[str], list[dict[str, Any]]],
    draw: Callable[[list[dict[str, Any]], Any], dict[str, Any]],
) -> list[dict[str, Any]]:
    """Return the rows that are measured on each data set, each with what was drawn of them."""
    rows: list[dict[str, Any]] = []
    for name in options.names:
        found = measured(name)
        drawn = draw(found, options)
        rows += [row | drawn for row in found]
    return rows


def markdown(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table; the first column is text, the others are right-aligned."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines)


def source(run: Mapping[str, Any], path: str) -> str:
    """Return where a table is from: file, hardware, versions, seed."""
    facts = run["versions"]
    return (
        f"\nRecorded in `{path}`: {run['hardware']}; Python {facts['python']}, numpy {facts['numpy']}, "
        f"scipy {facts['scipy']}" + (f"; seed {run['seed']}" if "seed" in run else "") + ".\n"
    )


def again(*commands: str) -> str:
    """Return what makes lines of a table anew, a command for each kind of them."""
    found = [f"`python {command}`" for command in dict.fromkeys(commands)]
    who = "This command measures" if len(found) == 1 else "These commands measure"
    return f"\n{who} its lines again: {'; '.join(found)}.\n"


def by_name(*tables: Callable[[], str]) -> dict[str, Callable[[], str]]:
    """Return functions that write tables by their names, which the pages call them by."""
    return {table.__name__: table for table in tables}


def recorded(stem: str) -> tuple[dict[str, Any], str]:
    """Return a recorded run, and its file as the source of a table."""
    return read(RESULTS / f"{stem}.json"), f"experiments/results/{stem}.json"


def parser(description: str) -> argparse.ArgumentParser:
    """Return the options that every experiment has."""
    result = argparse.ArgumentParser(description=description)
    result.add_argument("--quick", action="store_true", help="digits instead of the large data sets")
    result.add_argument("--seed", type=int, default=0)
    result.add_argument("--out", type=Path, default=RESULTS, help="folder of the recorded run")
    return result


def options(description: str, **flags: Any) -> argparse.Namespace:
    """Read the command line of an experiment on several data sets; ``names`` are those to run on.

    Parameters
    ----------
    description : str
    **flags
        Options of this experiment alone: name and what ``add_argument`` takes.
    """
    result = parser(description)
    result.add_argument("--data", nargs="+", default=["mnist", "cifar10"])
    result.add_argument("--pictures", type=Path, help="folder of the pictures (default docs/gallery; --quick: --out)")
    for name, how in flags.items():
        result.add_argument(f"--{name}", **how)
    found = result.parse_args()
    found.names = ["digits"] if found.quick else found.data
    found.pictures = found.pictures or (found.out if found.quick else GALLERY)
    return found
