"""Runs of the one protocol that several tables share: settings, restart, published anchors, rows to record."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import records
import torch
from published import anchor, beside

from analytic_dd import data
from analytic_dd.baselines.bench.plan import parse_variant, plan
from analytic_dd.baselines.bench.run import Benchmark
from analytic_dd.baselines.bench.settings import small_options
from analytic_dd.baselines.bench.table import summaries

RUNS = Path(__file__).parents[1] / "runs"
KEYS = ("data", "settings", "ipc", "method", "predictor")

_DIGITS = small_options(digits=True)
SETTINGS: dict[str, dict[str, dict[str, Any]]] = {  # of each data set, and of others
    "published": {"": {}},
    "small": {"digits": _DIGITS, "": small_options(digits=False)},
    "quick": {"": _DIGITS | {"evaluate": _DIGITS["evaluate"] | {"nets": 2, "epochs": 100, "epochs_augmented": 200}}},
}


def arguments(description: str, *, settings: str = "published", **flags: Any) -> Any:
    """Read the command line: that of every experiment, and what a run under the protocol needs.

    ``settings`` are those of a run that names none.
    """
    shared = {
        "ipc": {"nargs": "+", "type": int},
        "methods": {"nargs": "+"},
        "repeats": {"type": int, "default": 1, "help": "distillation seeds"},
        "settings": {"choices": tuple(SETTINGS), "default": settings, "help": f"default {settings}; --quick: quick"},
        "device": {"default": "cpu"},
        "budget": {"type": float, "help": "seconds of each distillation"},
        "runs": {"type": Path, "default": RUNS, "help": "folder of the journals, from which a run goes on"},
    }
    found = records.options(description, **shared, **flags)
    found.settings = "quick" if found.quick else found.settings
    return found


def run(
    options: Any, stem: str, *, methods: Sequence[str], predictors: Sequence[str], ipcs: Sequence[int]
) -> list[dict[str, Any]]:
    """Do what is not done of every data set, and return the rows to record.

    A journal for each data set, device and settings: an interrupted run goes on where it was, cell by cell.
    """
    rows: list[dict[str, Any]] = []
    for name in options.names:
        dataset = data.load(name, offline=True)
        settings = SETTINGS[options.settings]
        config = settings.get(dataset.name, settings[""])
        chosen = {"methods": options.methods or methods, "ipcs": options.ipc or ipcs}
        rows += run_on(dataset, options, stem, predictors=predictors, config=config, name=name, **chosen)
    return rows


def run_on(
    dataset: data.Dataset,
    options: Any,
    stem: str,
    *,
    methods: Sequence[str],
    predictors: Sequence[str],
    ipcs: Sequence[int],
    config: Mapping[str, Mapping[str, Any]],
    name: str = "",
) -> list[dict[str, Any]]:
    """Do what is not done of one data set, whose journal has a ``name``, and return the rows to record."""
    cells = plan(
        [dataset],
        [variant for text in methods for variant in parse_variant(text)],
        ipcs=ipcs,
        seeds=range(options.seed, options.seed + options.repeats),
        predictors=predictors,
        config=config,
    )
    folder = options.runs / stem / f"{options.settings}-{name or dataset.name}-{options.device}".replace("/", "-")
    benchmark = Benchmark(
        cells,
        [dataset],
        out=folder,
        protocol=config.get("evaluate", {}),
        device=options.device,
        budget=options.budget,
        resume=True,
        progress=sys.stderr.isatty(),
    )
    failed = benchmark.run()
    print(benchmark.report()[1])
    if failed:
        print(f"{failed} cells failed; the rows of {folder} say why", file=sys.stderr)
    keys = {cell.key(predictor) for cell in cells.sets for predictor in cell.predictors}
    return recorded([row for row in benchmark.rows() if tuple(row[key] for key in _CELL) in keys], options)


_CELL = ("method", "variant", "data", "ipc", "seed", "predictor")


def recorded(rows: Sequence[Mapping[str, Any]], options: Any) -> list[dict[str, Any]]:
    """Return one row for each method, size and predictor, beside what is published for it."""
    found = []
    for (name, ipc, label), values in summaries(rows).items():
        for predictor, one in values.items():
            if one.accuracy is None:
                continue
            mine = next(row for row in rows if row["predictor"] == predictor and row["data"] == name)
            row = {"data": name, "settings": options.settings, "ipc": ipc, "method": label, "predictor": predictor}
            row |= {"accuracy": one.accuracy, "over_seeds": one.over_seeds, "over_networks": one.over_networks}
            row |= {"seconds": one.seconds, "finished": one.finished, "seeds": options.repeats}
            if one.step_size is not None:
                row["step_size"] = one.step_size
            row |= {"device": options.device, "torch": str(torch.__version__), "threads": mine["threads"]}
            published = anchor(name, ipc, label, predictor)
            cell = {"name": name, "settings": options.settings, "predictor": predictor}
            found.append(row | beside(published, one.accuracy, **cell))
    return found


def record_drawn(
    options: argparse.Namespace,
    stem: str,
    rows: Sequence[Mapping[str, Any]],
    draw: Callable[[list[Any], argparse.Namespace], Mapping[str, Any]],
) -> None:
    """Draw the rows of each data set and record them with the facts of their picture."""
    found: list[dict[str, Any]] = []
    for name in dict.fromkeys(row["data"] for row in rows):
        part = [row for row in rows if row["data"] == name]
        drawn = draw(part, options)
        found += [{**row, **drawn} for row in part]
    records.record_part(options, stem, found, KEYS)
