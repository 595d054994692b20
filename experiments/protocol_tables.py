"""Tables of the runs under one protocol, from their recorded rows; used by ``tables``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import records
from records import markdown, source

Row = Mapping[str, Any]
Found = Mapping[str, Row]  # a set by predictor


def _cell(row: Row | None) -> str:
    """Percent, then the spreads over seeds and over networks; a star where a budget ended a distillation."""
    if row is None:
        return ""
    spreads = ["-" if row[name] is None else f"{100.0 * row[name]:.1f}" for name in ("over_seeds", "over_networks")]
    inside = "" if spreads == ["-", "-"] else f" ({'; '.join(spreads)})"
    return f"{100.0 * row['accuracy']:.1f}{inside}{'' if row['finished'] else ' *'}"


def _size(row: Row) -> str:
    return "all" if row["ipc"] is None else str(row["ipc"])


def _groups(rows: Sequence[Row]) -> dict[tuple[Any, ...], dict[str, Row]]:
    found: dict[tuple[Any, ...], dict[str, Row]] = {}
    for row in rows:
        key = row["data"], row["settings"], row["ipc"], row["method"]
        found.setdefault(key, {})[row["predictor"]] = row
    return found


def _published(row: Row) -> str:
    return "" if row["anchor"] is None else f"{row['anchor']:.1f} ({row['deviation']:+.1f})"


def _facts(rows: Sequence[Row]) -> str:
    devices = ", ".join(sorted({f"{row['device']}, torch {row['torch']}, {row['threads']} threads" for row in rows}))
    seeds = "; ".join(sorted({f"{row['data']}: {row['seeds']}" for row in rows}))
    return f"\nDistillation seeds: {seeds}. Device: {devices}.\n"


def _by_predictor(stem: str, more: Sequence[str] = (), cells: Callable[[Found], list[str]] = lambda found: []) -> str:
    """The table of a recorded run, a column for each predictor, then ``more`` columns with ``cells``."""
    run = records.read(records.RESULTS / f"{stem}.json")
    predictors = list(dict.fromkeys(row["predictor"] for row in run["rows"]))
    rows = []
    for found in _groups(run["rows"]).values():
        first = next(iter(found.values()))
        rows.append([f"{first['data']}, {first['settings']}: {first['method']}", _size(first)])
        rows[-1] += [_cell(found.get(name)) for name in predictors] + cells(found)
    header = ["data, settings: method", "IPC", *(f"{name}, %" for name in predictors), *more]
    return markdown(header, rows) + _facts(run["rows"]) + source(run, f"experiments/results/{stem}.json")


def iterative_table() -> str:
    """Methods and controls by predictor, and the published numbers with the deviation of ours in points."""

    def cells(found: Found) -> list[str]:
        anchors = [f"{name} {_published(row)}" for name, row in found.items() if row["anchor"] is not None]
        return [", ".join(anchors), f"{next(iter(found.values()))['seconds']:.3g}"]

    return _by_predictor("iterative_table", ("published (deviation)", "s"), cells)


def transfer() -> str:
    """Each set on each network."""
    return _by_predictor("transfer")


def networks() -> str:
    """What networks and what ridge regression make of one image a class: exact sets beside real images and means."""
    path = "experiments/results/iterative_table.json"
    run = records.read(records.RESULTS / "iterative_table.json")
    sets = {"random": "real images", "class_mean": "class means", "closed-form:features=identity": "exact set"}
    predictors = {"convnet": "network", "krr-common": "ridge regression"}
    found = {
        (row["data"], row["predictor"], row["method"]): f"{100.0 * row['accuracy']:.1f}"
        for row in run["rows"]
        if row["method"] in sets and row["predictor"] in predictors and row["ipc"] == 1
    }
    columns = [(predictor, method) for predictor in predictors for method in sets]
    rows = [[data, *(found[data, *column] for column in columns)] for data in dict.fromkeys(key[0] for key in found)]
    names = [f"{predictors[predictor]}: {sets[method]}" for predictor, method in columns]
    return markdown(["one image a class, test accuracy in %", *names], rows) + source(run, path)


TABLES: dict[str, Callable[[], str]] = {each.__name__: each for each in (iterative_table, transfer, networks)}
