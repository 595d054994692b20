"""Recorded runs: JSON files that name data, seed, versions and hardware; every table is written from them."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analytic_dd.files import atomic_write
from analytic_dd.io import to_json, versions

RESULTS = Path(__file__).parent / "results"


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
    """
    new = {tuple(row[key] for key in keys) for row in rows}
    if not path.exists():
        return list(rows)
    recorded = read(path)
    kept = [row for row in recorded["rows"] if tuple(row[key] for key in keys) not in new]
    present = json.loads(to_json({"versions": versions(), "hardware": hardware()} | facts))
    changed = [name for name, value in present.items() if recorded.get(name) != value]
    if kept and changed:
        raise SystemExit(
            f"{path.name} has rows of other {', '.join(changed)}; run all of it again, or use another --out"
        )
    return kept + list(rows)


def read(path: Path) -> dict[str, Any]:
    """Return a recorded run."""
    return dict(json.loads(path.read_text()))


def parser(description: str) -> argparse.ArgumentParser:
    """Return the options that every experiment has."""
    result = argparse.ArgumentParser(description=description)
    result.add_argument("--quick", action="store_true", help="digits instead of the large data sets")
    result.add_argument("--seed", type=int, default=0)
    result.add_argument("--out", type=Path, default=RESULTS, help="folder of the recorded run")
    return result
