"""The command ``analytic-dd bench``: its options, what it prints and its exit status."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytic_dd.baselines.methods.registry import METHODS
from analytic_dd.cluster import over_dask
from analytic_dd.errors import DataError, as_whole, shown
from analytic_dd.files import expanded, open_file
from analytic_dd.staging import locked

if TYPE_CHECKING:
    from analytic_dd.baselines.bench.estimate import Estimate

__all__ = ["add_arguments", "run"]

_DEFAULTS: dict[str, Any] = {
    "methods": ["closed-form", "label-solve", "kip", "random", "class_mean", "k_means", "full"],
    "data": ["digits"],
    "ipc": [1],
    "seeds": [0, 1, 2],
    "predictors": ["convnet", "mlp", "krr-own", "own-steps", "krr-common", "ridge"],
}

_BESIDE_SETS = ("random", "class_mean")  # methods, where sets in files came and no methods
_QUICK_SEEDS = [0]
_LONGEST = 10_000  # characters of a line that is printed


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add = command.add_argument
    add(
        "--methods",
        nargs="+",
        metavar="METHOD",
        help=f"closed-form {' '.join(METHODS)} random class_mean k_means herding k-center el2n forgetting optimised "
        "full, or MODULE:CLASS of your own, or the name of an entry point; options as METHOD:KEY=VALUE,... (default "
        f"{' '.join(_DEFAULTS['methods'])})",
    )
    add(
        "--sets",
        nargs="+",
        default=[],
        metavar="FILE",
        help="sets that others made, scored beside the methods: .pt, .npz, .safetensors or a folder, in the forms of "
        "DC, MTT, KIP, DD-Ranking and export; FILE:units=normalised|data|unit|dc says what their pixels are in",
    )
    add("--data", nargs="+", metavar="NAME|PATH", help="data sets (default digits)")
    add("--ipc", nargs="+", type=as_whole, metavar="N", help="points a class (default 1)")
    add("--seeds", nargs="+", type=as_whole, metavar="N", help="seeds of the distillation (default 0 1 2)")
    add(
        "--predictors",
        nargs="+",
        metavar="PREDICTOR",
        help="what scores a set: convnet mlp resnet18 vgg11 alexnet (each with +dsa or +dc, +soft, and +lr "
        "for the learned step size of mtt, dd and ld), wide, krr-own, own-steps, "
        f"krr-common, ridge, ridge:MAP (default {' '.join(_DEFAULTS['predictors'])})",
    )
    add(
        "--config",
        nargs="+",
        default=[],
        metavar="FILE|KEY=VALUE",
        help="options as METHOD.KEY=VALUE or evaluate.KEY=VALUE, or a JSON file of METHOD: {KEY: VALUE}",
    )
    add(
        "--settings",
        choices=("small", "published"),
        help="options of each method by name: small ones, or those published for the data and points a class; --config "
        "and options of a method go over them",
    )
    add(
        "--preprocess",
        metavar="zca[:CONVENTION[=AMOUNT]]",
        help="whiten the data first, by the training part: zca:kip and zca:mtt as kip and mtt do, zca:pixels as the "
        "code of mtt does, zca:relative and zca:absolute on pixels that are normalised by channel; the amount is 0.1 "
        "by default, and 0.094 of zca:mtt",
    )
    add("--device", default="cpu", help="cpu, cuda, cuda:1, ... (default cpu)")
    add(
        "--dask",
        metavar="local|N|ADDRESS",
        help="compute convolutional kernels by worker processes, one a core or N, or by the workers of the Dask "
        "scheduler at ADDRESS",
    )
    add(
        "--budget",
        type=float,
        metavar="SECONDS",
        help="seconds of each distillation, after which the set is scored unfinished",
    )
    add("--resume", action="store_true", help="go on where --out ends, and skip cells that are done")
    add(
        "--in-process",
        action="store_true",
        help="run all cells in this process; on a CPU each has its own by default, so that one that is killed costs "
        "its cell only",
    )
    add("--quick", action="store_true", help="sizes for digits that take about a minute on one core")
    add("--dry-run", action="store_true", help="print the cells and run nothing; what must fail is refused in one line")
    add("--estimate", action="store_true", help="print passes, seconds here and GPU hours of each set, and run nothing")
    add("--offline", action="store_true", help="never open a socket")
    add("--out", type=expanded, default=Path("bench"), metavar="DIR", help="folder of the results (default bench)")


def run(options: argparse.Namespace) -> int:
    """Score methods and controls under one protocol; write a line of JSON for each cell, then a table and a plot.

    Rows go to ``bench.jsonl`` in the folder as they are made. An interrupt costs the cell that it meets, and at most a
    minute of a distillation. The exit status is 1 if a cell fails.
    """
    from analytic_dd import data

    try:
        from analytic_dd.baselines.bench.foreign import foreign_plan
        from analytic_dd.baselines.bench.plan import Plan, parse_variant, plan, unlike_published
        from analytic_dd.baselines.bench.run import Benchmark
        from analytic_dd.baselines.bench.settings import protocol_options
        from analytic_dd.baselines.bench.zca import preprocessed
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ValueError("the iterative methods need torch; pip install 'analytic-dd[torch]'") from error

    sized = bool(options.sets) and options.ipc is None  # the methods make as many points as the sets have
    if options.sets and options.methods is None:
        options.methods = list(_BESIDE_SETS)
    for name, value in _DEFAULTS.items():
        if getattr(options, name) is None:
            setattr(options, name, _QUICK_SEEDS if name == "seeds" and options.quick else value)
    if options.quick and options.settings:
        raise ValueError("quick and settings both choose options; give one of them")
    config = _config(options)
    variants = [variant for text in options.methods for variant in parse_variant(text)]
    progress = sys.stderr.isatty()
    reading = data.Reading(options.target, options.task, options.resize, options.crop)
    datasets = data.load_several(options.data, offline=options.offline, progress=progress, reading=reading)
    if options.preprocess is not None:
        datasets = [preprocessed(options.preprocess, dataset) for dataset in datasets]
    settings = "quick" if options.quick else options.settings or ""
    config["evaluate"] = protocol_options(settings, datasets) | config.get("evaluate", {})
    sets = foreign_plan(options.sets, datasets, options.predictors)
    if sized:
        options.ipc = sorted({cell.ipc for cell in sets.sets if cell.ipc is not None}) or options.ipc
    cells = plan(
        datasets,
        variants,
        ipcs=options.ipc,
        seeds=options.seeds,
        predictors=options.predictors,
        config=config,
        settings=settings,
    )
    cells = Plan(cells.sets + sets.sets, cells.left_out + sets.left_out)
    for line in cells.left_out:
        print(f"analytic-dd: left out: {shown(line, most=_LONGEST)}", file=sys.stderr)
    if settings == "published":
        for line, wanted in unlike_published(cells, datasets, options.preprocess).items():
            words = f"with --preprocess {wanted}" if wanted else "without --preprocess"
            print(f"analytic-dd: {shown(line, most=_LONGEST)} is published {words}", file=sys.stderr)
    benchmark = Benchmark(
        cells,
        datasets,
        out=options.out,
        protocol=config.get("evaluate", {}),
        device=options.device,
        budget=options.budget,
        resume=options.resume,
        progress=progress,
        apart=not options.in_process,
    )
    if options.estimate or options.dry_run:
        from analytic_dd.baselines.bench.estimate import estimates
        from analytic_dd.baselines.bench.requirements import require_possible

        require_possible(cells, benchmark.datasets, protocol=benchmark.protocol, device=options.device)
    if options.estimate:
        each = estimates(cells, benchmark.datasets, protocol=benchmark.protocol, device=options.device)
        return _print_estimates(options, list(each))
    if options.dry_run:
        found = benchmark.dry_run()
        _print(options, {"cells": found}, [f"{one['cell']}: {one['state']}" for one in found])
        return 0
    try:
        with locked(options.out), over_dask(options.dask):
            failed = benchmark.run()
    except KeyboardInterrupt:
        print("analytic-dd: interrupted; what is done stays, go on with --resume", file=sys.stderr)
        return 130
    files, table = benchmark.report()
    summary = {"rows": benchmark.rows(), "failed": failed, "files": files}
    _print(options, summary, [table, "  files: " + ", ".join(files)])
    return 1 if failed else 0


def _print(options: argparse.Namespace, content: Mapping[str, Any], lines: list[str]) -> None:
    plain = "\n".join(shown(part, most=_LONGEST) for line in lines for part in line.split("\n"))
    print(json.dumps(content) if options.json else plain)


def _print_estimates(options: argparse.Namespace, found: Sequence[Estimate]) -> int:
    seconds = sum(one.seconds + one.scoring for one in found)
    hours = sum(one.gpu_hours or 0.0 for one in found)
    total = f"in all {seconds / 3600.0:.3g} hours here, {hours:.3g} GPU hours of what is counted"
    _print(options, {"estimates": [asdict(one) for one in found]}, [*map(str, found), total])
    return 0


def _config(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Return the options of each part, those of --config in its order."""
    from analytic_dd.baselines.bench.plan import parse_options

    found: dict[str, dict[str, Any]] = {}
    for text in options.config:
        if "=" in text:
            (name, value), *_ = parse_options([text]).items()
            part, dot, key = name.partition(".")
            if not dot or not key:
                raise ValueError(f"--config takes METHOD.KEY=VALUE or evaluate.KEY=VALUE, got {text!r}")
            found.setdefault(part, {})[key] = value
        else:
            for part, values in _read_config(expanded(text)).items():
                found.setdefault(part, {}).update(values)
    return found


def _read_config(path: Path) -> dict[str, dict[str, Any]]:
    try:
        with open_file(path) as stream:
            content = json.loads(stream.read())
    except DataError:
        raise
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON ({error}); write METHOD: {{KEY: VALUE}}") from error
    if not isinstance(content, dict) or not all(isinstance(values, dict) for values in content.values()):
        raise ValueError(f"{path} must be an object of METHOD: {{KEY: VALUE}}")
    return content
