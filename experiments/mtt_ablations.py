"""Trajectory matching taken apart: experts, start epochs, student steps N and epochs M, other networks, seconds a step.

Each part changes one thing of the small settings; experts are trained first and kept in --runs for all of them. A
distillation ends after --budget seconds, and its row says so, so that a cell takes at most ten minutes on two cores.
``seconds`` times steps with one expert on 2,000 samples, since neither number changes what a step takes. --dry-run
prints the cells, --estimate records what they take here, each with experts of its own, which a run trains once for all;
both run nothing. A run that was interrupted goes on.

Run: python experiments/mtt_ablations.py [--quick] [--data digits mnist cifar10] [--parts start ...] [--estimate]
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, product
from typing import Any

import numpy as np
import protocol_runs
import records

from analytic_dd import data
from analytic_dd.baselines import distill
from analytic_dd.baselines.bench.estimate import made
from analytic_dd.baselines.bench.plan import SetCell, Variant, parse_variant, plan
from analytic_dd.data import Dataset
from analytic_dd.data.samples import balanced_rows

STEM = "mtt_ablations"
KEYS = ("data", "part", "ipc", "method", "predictor")
BUDGET = 240.0  # seconds of a distillation; the rest of ten minutes is for experts and scores
SAMPLES, STEPS = 2_000, 7  # of the part ``seconds``, with one step that is thrown away

NETWORKS = ("convnet", "mlp", "resnet18", "vgg11", "alexnet")
EXPERTS, STARTS, STUDENTS, SPANS = (1, 2, 5, 10, 20), (1, 2, 4, 8), (5, 10, 20, 40), (1, 2, 4)
FEW: dict[str, tuple[Any, ...]] = {"experts": (1, 5), "start": (1, 4), "steps": ((5, 1), (10, 2))}  # of --quick
LAST = max(STARTS) - 1 + max(SPANS)  # the epochs that all experts have, so that the parts share them

PARTS: dict[str, tuple[str, ...]] = {
    "experts": tuple(f"mtt:experts={count}" for count in EXPERTS),
    "start": tuple(f"mtt:max_start={epoch}" for epoch in STARTS),
    "steps": tuple(f"mtt:student_steps={N},expert_span={M}" for N, M in product(STUDENTS, SPANS)),
    "transfer": ("mtt", "random"),
    "seconds": (),
}


def methods_of(part: str, *, quick: bool) -> tuple[str, ...]:
    """Return the methods of a part."""
    if not quick or part not in FEW:
        return PARTS[part]
    values = {"experts": "mtt:experts={}", "start": "mtt:max_start={}", "steps": "mtt:student_steps={},expert_span={}"}
    return tuple(values[part].format(*(one if isinstance(one, tuple) else (one,))) for one in FEW[part])


def sizes_of(part: str, options: Any) -> Sequence[int]:
    """Return the images a class: other networks are compared at 10, as published, and time at three sizes."""
    if options.ipc:
        return list(options.ipc)
    if options.quick:
        return (1, 10) if part == "seconds" else (1,)
    return {"transfer": (10,), "seconds": (1, 10, 50)}.get(part, (1,))


def predictors_of(part: str, *, quick: bool) -> tuple[str, ...]:
    """Return what scores the sets of a part."""
    if part == "transfer":
        return NETWORKS[:2] if quick else NETWORKS
    return ("convnet", "convnet+lr")


def settings_of(dataset: Dataset, options: Any) -> dict[str, dict[str, Any]]:
    """Return the options of the methods and of the protocol, with experts that all parts share."""
    settings = protocol_runs.SETTINGS[options.settings]
    found = {name: dict(values) for name, values in settings.get(dataset.name, settings[""]).items()}
    folder = options.runs / STEM / "experts" / dataset.name.replace("/", "-").replace(" ", "-")
    found["mtt"] |= {"expert_epochs": LAST, "expert_seed": options.seed, "expert_folder": str(folder)}
    if options.quick:
        found["mtt"] |= {"steps": 30, "experts": 2}
    return found


def trained(dataset: Dataset, options: Any) -> None:
    """Train the experts that the parts share and that are not kept yet, one after the other."""
    config = settings_of(dataset, options)["mtt"]
    count = max(EXPERTS) if not options.quick else max(FEW["experts"])
    cell = SetCell(Variant("mtt", "", config | {"experts": count}), dataset.name, 1, options.seed, ())
    method = made(cell, dataset)
    method.start()
    for index in range(count if "experts" in options.parts else config["experts"]):
        started = time.perf_counter()
        method.experts[index]  # type: ignore[attr-defined]
        print(f"{dataset.name}: expert {index}, {time.perf_counter() - started:.3g} s", flush=True)


def scored(part: str, dataset: Dataset, options: Any) -> list[dict[str, Any]]:
    """Return the rows of a part that is scored, or with --estimate what its sets take."""
    chosen: dict[str, Any] = {
        "methods": methods_of(part, quick=options.quick),
        "predictors": predictors_of(part, quick=options.quick),
        "ipcs": sizes_of(part, options),
        "config": settings_of(dataset, options),
    }
    if options.estimate:
        rows = protocol_runs.estimated(dataset, options, **chosen)
    else:
        rows = protocol_runs.run_on(dataset, options, STEM, **chosen)
    return [row | {"part": part} for row in rows]


def few_of(dataset: Dataset, seed: int) -> Dataset:
    """Return a data set with as many training samples as ``seconds`` needs, of every class."""
    k, count = len(dataset.classes), min(SAMPLES, len(dataset.y_train))
    rows = balanced_rows(dataset.y_train, count, k=k, rng=np.random.default_rng(seed))
    return replace(dataset, x_train=dataset.x_train[rows], y_train=dataset.y_train[rows])


def timed(dataset: Dataset, options: Any) -> list[dict[str, Any]]:
    """Return the median seconds of a step for each number of images a class."""
    few, rows = few_of(dataset, options.seed), []
    for ipc in sizes_of("seconds", options):
        config = {**settings_of(dataset, options)["mtt"], "steps": STEPS, "experts": 1, "expert_folder": None}
        config |= {"expert_epochs": config["max_start"] - 1 + config["expert_span"]}
        found = distill("mtt", few, points_per_class=ipc, seed=options.seed, config=config)
        at = [seconds for _, seconds, _ in found.losses]
        row = {"data": dataset.name, "settings": options.settings, "part": "seconds", "ipc": ipc, "method": "mtt"}
        row |= {"predictor": None, "seconds_a_step": statistics.median(b - a for a, b in pairwise(at))}
        row |= {"student_steps": config["student_steps"], "synthetic_batch": config.get("synthetic_batch")}
        rows.append(row)
    return rows


def planned(part: str, dataset: Dataset, options: Any) -> list[str]:
    """Return the cells of a part in words."""
    if part == "seconds":
        return [f"seconds a step, {dataset.name}, IPC {ipc}: {STEPS} steps" for ipc in sizes_of(part, options)]
    config = settings_of(dataset, options)
    cells = plan(
        [dataset],
        [variant for text in methods_of(part, quick=options.quick) for variant in parse_variant(text)],
        ipcs=sizes_of(part, options),
        seeds=range(options.seed, options.seed + options.repeats),
        predictors=predictors_of(part, quick=options.quick),
        config=config,
    )
    return [f"{part}: {cell.label}: {', '.join(cell.predictors)}" for cell in cells.sets]


def main() -> None:
    """Run what is not done, and record each part as it ends."""
    flags: dict[str, Any] = {
        "parts": {"nargs": "+", "choices": list(PARTS), "default": list(PARTS)},
        "dry-run": {"action": "store_true", "help": "print the cells, and stop"},
    }
    options = protocol_runs.arguments(__doc__ or "", settings="small", **flags)
    if options.methods:
        raise SystemExit("the parts name their methods; leave out --methods, and choose --parts")
    options.budget = options.budget or BUDGET
    path = records.path_of(options, STEM)
    for name in options.names:
        dataset = data.load(name, offline=True)
        if options.dry_run:
            print("\n".join(line for part in options.parts for line in planned(part, dataset, options)))
            continue
        if options.parts != ["seconds"] and not options.estimate:
            trained(dataset, options)
        for part in (one for one in options.parts if one != "seconds" or not options.estimate):
            rows = timed(dataset, options) if part == "seconds" else scored(part, dataset, options)
            records.record(path, records.with_others(path, rows, KEYS, seed=options.seed), seed=options.seed)


if __name__ == "__main__":
    main()
