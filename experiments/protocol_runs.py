"""Runs of the one protocol that several tables share: settings, restart, published anchors, rows to record."""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import records
import torch
from published import anchor, beside

from analytic_dd import data
from analytic_dd.baselines.bench.estimate import estimates
from analytic_dd.baselines.bench.journal import cell_key
from analytic_dd.baselines.bench.plan import parse_variant, plan
from analytic_dd.baselines.bench.protocol import Protocol
from analytic_dd.baselines.bench.run import Benchmark
from analytic_dd.baselines.bench.settings import small_options
from analytic_dd.baselines.bench.table import summaries
from analytic_dd.baselines.methods.method import configured

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
        "predictors": {"nargs": "+", "help": "some of those of the table"},
        "repeats": {"type": int, "default": 1, "help": "distillation seeds"},
        "settings": {"choices": tuple(SETTINGS), "default": settings, "help": f"default {settings}; --quick: quick"},
        "device": {"default": "cpu"},
        "budget": {"type": float, "help": "seconds of each distillation"},
        "estimate": {"action": "store_true", "help": "record what each set takes in place of the sets"},
        "runs": {"type": Path, "default": RUNS, "help": "folder of the journals, from which a run goes on"},
    }
    found = records.options(description, **shared | flags)
    found.settings = "quick" if found.quick else found.settings
    return found


def run(
    options: Any, stem: str, *, methods: Sequence[str], predictors: Sequence[str], ipcs: Sequence[int]
) -> list[dict[str, Any]]:
    """Do what is not done of every data set, and return the rows to record; with --estimate, what it would take.

    A journal for each data set, device and settings: an interrupted run goes on where it was, cell by cell.
    """
    rows: list[dict[str, Any]] = []
    for name in options.names:
        dataset = data.load(name, offline=True)
        chosen = {"methods": options.methods or methods, "ipcs": options.ipc or ipcs}
        chosen |= {"predictors": options.predictors or predictors}
        settings = SETTINGS[options.settings]
        chosen["config"] = settings.get(dataset.name, settings[""])
        if options.estimate:
            rows += estimated(dataset, options, **chosen)
        else:
            rows += run_on(dataset, options, stem, name=name, **chosen)
    return rows


def estimated(
    dataset: data.Dataset,
    options: Any,
    *,
    methods: Sequence[str],
    predictors: Sequence[str],
    ipcs: Sequence[int],
    config: Mapping[str, Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Return a row for each set that says what it takes; sets that nothing is published for are left out."""
    protocol, name = (
        configured(Protocol, config.get("evaluate", {})),
        options.settings if options.settings == "published" else "",
    )
    rows = []
    for text, ipc in product(methods, ipcs):
        if text == "full" and ipc != ipcs[0]:
            continue
        chosen = {"ipcs": [ipc], "seeds": [options.seed], "predictors": predictors, "config": config}
        try:
            cells = plan([dataset], parse_variant(text), settings=name, **chosen)
        except ValueError as error:  # nothing is published for this cell
            print(error, file=sys.stderr)
            continue
        found = estimates(cells, {dataset.name: dataset}, protocol=protocol, device=options.device)
        for cell, one in zip(cells.sets, found, strict=True):
            print(one, flush=True)
            row = {"data": dataset.name, "settings": options.settings, "ipc": cell.ipc, "method": cell.variant.label}
            row |= {"predictor": records.ESTIMATE, "estimate": one.seconds + one.scoring, "gpu_hours": one.gpu_hours}
            rows.append(row | {"scored_by": list(cell.predictors), "seeds": 1, "device": options.device})
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
    return recorded([row for row in benchmark.rows() if cell_key(row) in keys], options)


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
            cpu = [row["ledger"]["cpu_seconds"] for row in rows if _is_of(row, name, ipc, label, predictor)]
            row |= {"seconds": one.seconds, "cpu_seconds": statistics.mean(cpu)}
            row |= {"finished": one.finished, "seeds": len(cpu)}
            if one.step_size is not None:
                row["step_size"] = one.step_size
            row |= {"device": options.device, "torch": str(torch.__version__), "threads": mine["threads"]}
            published = anchor(name, ipc, label, predictor)
            cell = {"name": name, "settings": options.settings, "predictor": predictor}
            found.append(row | beside(published, one.accuracy, **cell))
    return found


def _is_of(row: Mapping[str, Any], *wanted: Any) -> bool:
    """Whether a row of a journal was scored, and is of some data set, size, method with variant and predictor."""
    label = f"{row['method']}:{row['variant']}" if row["variant"] else row["method"]
    return row.get("accuracy") is not None and (row["data"], row["ipc"], label, row["predictor"]) == wanted


def record_drawn(
    options: argparse.Namespace,
    stem: str,
    rows: Sequence[Mapping[str, Any]],
    draw: Callable[[list[Any], argparse.Namespace], Mapping[str, Any]],
) -> None:
    """Record rows beside those of other cells, and draw all that are known of each data set and its settings."""
    path = records.path_of(options, stem)
    every = records.with_others(path, rows, KEYS, seed=options.seed)
    found: list[Mapping[str, Any]] = []
    for key in dict.fromkeys((row["data"], row["settings"]) for row in every):
        part = [row for row in every if (row["data"], row["settings"]) == key]
        shown = [row for row in part if row["predictor"] != records.ESTIMATE]
        changed = shown and any((row["data"], row["settings"]) == key for row in rows)
        drawn = draw(shown, options) if changed else {}
        found += [{**row, **drawn} if row in shown else row for row in part]
    order = list(dict.fromkeys(("MNIST", *(row["data"] for row in found))))
    found.sort(key=lambda row: (order.index(row["data"]), row["ipc"] or math.inf))
    records.record(path, found, seed=options.seed)
