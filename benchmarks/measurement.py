"""A measurement as a process of its own: its peak memory is its own; processes alternate, and medians count.

A benchmark has functions that return ``{"seconds": ..., ...}`` and calls :func:`answer` first thing: the process that
is asked for one measurement does it, prints it as JSON and ends.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "experiments"))

RESULTS = Path(__file__).parent / "results"

Measure = Callable[..., dict[str, Any]]


def peak_megabytes() -> float:
    """Return the largest resident memory of this process so far.

    ``ru_maxrss`` would begin with that of the parent, which a process started by vfork takes over.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return float(lines[0].split()[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 if sys.platform == "darwin" else 1024) / 1024


def answer(measures: Mapping[str, Measure]) -> None:
    """Do the measurement that the command line names, if it names one, and end."""
    if len(sys.argv) > 2 and sys.argv[1] == "--measure":
        found = measures[sys.argv[2]](**json.loads(sys.argv[3]))
        print(json.dumps(found | {"megabytes": peak_megabytes()}))
        sys.exit()


def measured(script: str, name: str, *, threads: int | None = None, **arguments: Any) -> dict[str, Any]:
    """Return one measurement of ``script``, made in a process of its own.

    Parameters
    ----------
    script : str
        ``__file__`` of the benchmark.
    name : str
        Key of its measures.
    threads : int, optional
        Of BLAS; by default as many as it takes by itself.
    **arguments
        JSON values.

    Raises
    ------
    RuntimeError
        It failed; the message has its last line.
    """
    count = {} if threads is None else dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    command = [sys.executable, script, "--measure", name, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | count)
    if done.returncode:
        last = (done.stderr.strip() or f"ended with {done.returncode}").splitlines()[-1]
        raise RuntimeError(f"{name} with {arguments} failed: {last}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def alternating(script: str, cases: Sequence[tuple[str, dict[str, Any]]], repeats: int) -> list[list[dict[str, Any]]]:
    """Return the runs of every case (name, arguments): one of each, then again, so that all see the same noise."""
    runs: list[list[dict[str, Any]]] = [[] for _ in cases]
    for _ in range(repeats):
        for found, (name, arguments) in zip(runs, cases, strict=True):
            found.append(measured(script, name, **arguments))
    return runs


def summary(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the median seconds, the largest peak and the largest error of some runs of one case, and all seconds."""
    seconds = [float(run["seconds"]) for run in runs]
    found = {"seconds": statistics.median(seconds), "all_seconds": seconds}
    found |= {"megabytes": max(float(run["megabytes"]) for run in runs)}
    return found | ({"error": max(float(run["error"]) for run in runs)} if "error" in runs[0] else {})


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> tuple[float, float]:
    """Return the slope of log(seconds) over log(size) by least squares, and its standard error.

    Examples
    --------
    >>> [round(value, 12) for value in exponent([1, 2, 4, 8], [3, 12, 48, 192])]
    [2.0, 0.0]
    """
    x, y = ([math.log(value) for value in values] for values in (sizes, seconds))
    centre, middle = statistics.fmean(x), statistics.fmean(y)
    spread = sum((a - centre) ** 2 for a in x)
    slope = sum((a - centre) * (b - middle) for a, b in zip(x, y, strict=True)) / spread
    left = sum((b - middle - slope * (a - centre)) ** 2 for a, b in zip(x, y, strict=True))
    return slope, math.sqrt(left / max(1, len(x) - 2) / spread)


def options(description: str | None, **flags: Any) -> argparse.Namespace:
    """Read ``--quick``, ``--repeats`` and ``--out`` and the flags of one benchmark."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes: seconds, and figures that say nothing")
    parser.add_argument("--repeats", type=int, help="runs of every case (3; 1 with --quick)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the recorded run")
    for name, how in flags.items():
        parser.add_argument(f"--{name.replace('_', '-')}", **how)
    found = parser.parse_args()
    found.repeats = found.repeats or (1 if found.quick else 3)
    return found


def recorded(chosen: argparse.Namespace, stem: str, rows: Sequence[Mapping[str, Any]], **facts: Any) -> Path:
    """Write the rows, and the facts that hold for all of them; ``_quick`` is a file of its own."""
    import records

    path = _file(chosen, stem)
    records.record(path, rows, quick=chosen.quick, repeats=chosen.repeats, **facts)
    return path


def recorded_part(
    chosen: argparse.Namespace, stem: str, rows: Sequence[Mapping[str, Any]], keys: Sequence[str], **facts: Any
) -> Path:
    """Write the rows of a run of some cases; recorded ones of other cases, made in the same way, stay."""
    import records

    every = records.with_others(
        _file(chosen, stem), rows, keys, **json.loads(json.dumps(facts | {"repeats": chosen.repeats}))
    )
    return recorded(chosen, stem, sorted(every, key=lambda row: [row[key] for key in keys]), **facts)


def row_by_row(
    chosen: argparse.Namespace, stem: str, planned: Sequence[Mapping[str, Any]], keys: Sequence[str], **facts: Any
) -> tuple[list[tuple[Any, ...]], Callable[[Mapping[str, Any]], Path]]:
    """Return the keys of rows that are recorded, and what records one more row at once: an interrupt loses one row.

    Recorded rows that were made in the same way stay until a row of their keys comes; where versions or hardware are
    others, all of them must be planned, and none stays.
    """
    import records

    path, same = _file(chosen, stem), json.loads(json.dumps(facts | {"repeats": chosen.repeats}))
    records.with_others(path, planned, keys, **same)  # ends the program where rows would be mixed
    try:
        rows = list(records.with_others(path, [], keys, **same))
    except SystemExit:
        rows = []

    def key(row: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(row[name] for name in keys)

    def write(row: Mapping[str, Any]) -> Path:
        rows[:] = sorted([*(one for one in rows if key(one) != key(row)), row], key=key)
        return recorded(chosen, stem, rows, **facts)

    return [key(row) for row in rows], write


def _file(chosen: argparse.Namespace, stem: str) -> Path:
    path: Path = chosen.out / (f"{stem}_quick.json" if chosen.quick else f"{stem}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def show(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table with columns as wide as they need."""
    lines = [[str(cell) for cell in line] for line in (header, *rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    for line in lines:
        print(
            "  ".join(
                cell.rjust(width) if i else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
        )
