"""The closed form against Kernel Inducing Points with the same finite features: accuracy, seconds, speed-up.

Every cell (data, IPC, variant) runs in this process with the threads that the closed form has. Seconds are those of the
methods from data in memory: mapping the training set, sums, steps; evaluation is left out. Sets are scored by ridge
regression on the same features, KIP's with its own relative ridge, the closed form's with its own absolute ridge 0 and
with KIP's rule. The iterate that counts is the last one. A cell that was recorded is not run again (but for --again).

Run: python experiments/table4_vs_kip.py [--quick] [--data mnist cifar10] [--ipc 1 10] [--budget 600] [--estimate]
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kip_cost
import kip_curves
import numpy as np
import records
import recovery
import threadpoolctl
import torch

from analytic_dd import data
from analytic_dd.baselines.methods.driver import distill
from analytic_dd.baselines.methods.kernel_config import own_kernel
from analytic_dd.baselines.methods.kip import KipConfig
from analytic_dd.baselines.methods.krr import krr_accuracy
from analytic_dd.clock import Clock
from analytic_dd.distill import chosen
from analytic_dd.errors import DataError
from analytic_dd.features import FeatureMap
from analytic_dd.files import atomic_write
from analytic_dd.model import DatasetSource, distil_model, fit_source
from analytic_dd.ridge import ridge_weights

VARIANTS: dict[str, dict[str, Any]] = {
    "fixed": {"labels": "fixed"},
    "learned": {"labels": "learned"},
    "solved": {"labels": "solved"},
    "solved-in-graph": {"labels": "solved-in-graph"},  # the published one
    "solved, whole set": {"labels": "solved", "target_batch": 0},  # the strongest: no sampling, no pass over the data
    "ntk": {"kernel": "ntk", "labels": "learned", "steps": 300},  # another predictor: never compare its accuracy
}
SPACING = 1.3  # factor between the seconds of two checkpoints
KEYS = ("data", "features", "ipc", "variant", "seed")
NEAR = 0.003


@dataclass(frozen=True)
class Problem:
    """A data set, a feature map, and what the closed form makes of them."""

    dataset: data.Dataset
    text: str
    phi: FeatureMap
    tested: np.ndarray  # features of the test part
    closed: Mapping[int, Mapping[str, Any]]  # by IPC

    def accuracy(self, inputs: np.ndarray, labels: np.ndarray, ridge: float) -> float:
        """Score ridge regression on a set."""
        W = ridge_weights(self.phi(inputs), labels, ridge=ridge)
        return float(np.mean((self.tested @ W.T).argmax(axis=1) == self.dataset.y_test))

    def relative_ridge(self, inputs: np.ndarray) -> float:
        """KIP's rule: 1e-6 trace(K_ss) / m."""
        return 1e-6 * float(np.sum(self.phi(inputs) ** 2)) / len(inputs)

    def sizes(self, ipc: int) -> kip_cost.Sizes:
        """Sizes that a cost is estimated from; but for identity a map counts as a product with a (p, d) matrix."""
        d, p, k = self.dataset.d, self.phi.p, len(self.dataset.classes)
        mapping = 0.0 if self.text == "identity" else 2.0 * d * p
        return kip_cost.Sizes(len(self.dataset.y_train), d, p, k, k * ipc, mapping)


def prepare(name: str, text: str, ipcs: Sequence[int], *, seed: int) -> Problem:
    """Load, draw the map, and time the closed form: one fit, then one distillation for each IPC."""
    dataset = data.load(name, offline=True)
    phi = recovery.draw_map(dataset, text, seed=seed)
    started = time.perf_counter()
    model = fit_source(DatasetSource(dataset), phi, rng=np.random.default_rng([seed, 1]), clock=Clock())
    fitted = time.perf_counter() - started
    X = np.concatenate([X for X, _ in dataset.blocks("test", mean=model.mean, std=model.std)])
    problem = Problem(dataset, text, phi, phi(X), {})
    closed = {}
    for ipc in ipcs:
        started = time.perf_counter()
        found = distil_model(model, chosen(points_per_class=ipc), rng=np.random.default_rng([seed, 2, ipc]))
        seconds = fitted + time.perf_counter() - started
        labels, relative = found.distilled.labels, problem.relative_ridge(found.inputs)
        closed[ipc] = {
            "closed_form_accuracy": problem.accuracy(found.inputs, labels, found.distilled.ridge),
            "closed_form_accuracy_relative_ridge": problem.accuracy(found.inputs, labels, relative),
            "closed_form_seconds": seconds,
            "closed_form_ridge": found.distilled.ridge,
            "closed_form_original_ridge": model.ridge,
        }
    return Problem(dataset, text, phi, problem.tested, closed)


def config_of(variant: str, phi: FeatureMap, steps: int | None) -> KipConfig:
    """Return the options of a variant: the very map of the closed form, or a kernel."""
    options = VARIANTS[variant] | ({} if steps is None else {"steps": steps})
    return KipConfig(**options) if "kernel" in options else KipConfig(features=phi, **options)


def run_cell(problem: Problem, variant: str, ipc: int, options: argparse.Namespace) -> dict[str, Any]:
    """Run a variant until its steps are done or the budget is spent; score it at checkpoints."""
    config = config_of(variant, problem.phi, options.steps)
    checkpoints: list[list[float]] = []  # seconds, steps, accuracy
    finite, kernel = config.features is not None, None

    def score(inputs: np.ndarray, labels: np.ndarray) -> float:
        if finite:
            return problem.accuracy(inputs, labels, problem.relative_ridge(inputs))
        return krr_accuracy(inputs, labels, problem.dataset, kernel)

    def check(done: int, loss: float, method: Any) -> None:
        nonlocal kernel
        seconds = method.ledger.wall_seconds
        if checkpoints and seconds < SPACING * checkpoints[-1][0]:
            return
        kernel = method.kernel
        images, labels = method.result()
        inputs = method.task.as_rows(images).cpu().numpy()
        checkpoints.append([seconds, done, score(inputs, labels.cpu().numpy())])
        if state is not None:
            write_points(state, joined(earlier, checkpoints))

    state = None if options.states is None else options.states / f"{slug(problem, variant, ipc, options)}.npz"
    earlier = read_points(state)
    found = distill(
        "kip",
        problem.dataset,
        points_per_class=ipc,
        seed=options.seed,
        device=options.device,
        config=config,
        callback=check,
        budget=options.budget,
        state_file=state,
        resume=True,
    )
    kernel = own_kernel(found, problem.dataset)
    last = [found.ledger.wall_seconds, found.steps, score(found.inputs, found.y)]
    checkpoints = joined([*earlier, *checkpoints], [last])
    return {
        "data": problem.dataset.name,
        "features": problem.text,
        "ipc": ipc,
        "variant": variant,
        "seed": options.seed,
        "predictor": "finite-feature KRR" if finite else "NTK KRR",
        "ridge": "relative: 1e-6 trace(K_ss) / m",
        "steps": found.steps,
        "steps_wanted": config.steps,
        "finished": found.finished,
        "budget": options.budget,
        "checkpoints": checkpoints,
        "ledger": found.ledger.to_dict(),
        "threads": options.threads,
        "device": options.device,
    } | cost(problem, ipc, config)


def cost(problem: Problem, ipc: int, config: KipConfig) -> dict[str, Any]:
    """Return operations of a step and the estimate for 30,000 of them on a GPU; none for a kernel."""
    if config.features is None:
        return {"flops_a_step": None, "gpu_minutes_estimate": None}
    options = {"labels": config.labels, "target_batch": config.target_batch}
    parts = kip_cost.flops(problem.sizes(ipc), options)
    return {
        "flops_a_step": sum(parts.values()),
        "gpu_minutes_estimate": kip_cost.minutes(problem.sizes(ipc), options, steps=kip_cost.STEPS),
    }


def judged(row: dict[str, Any], closed: Mapping[str, Any]) -> dict[str, Any]:
    """Add what follows from the checkpoints: accuracy, seconds, time to reach the closed form, speed-ups."""
    seconds, _, accuracy = row["checkpoints"][-1]
    limit, comparable = closed["closed_form_accuracy"], row["predictor"] == "finite-feature KRR"

    def reached(level: float) -> float | None:
        times = [at for at, _, score in row["checkpoints"] if score >= level]
        return times[0] if times and comparable else None

    exact, near = reached(limit), reached(limit - NEAR)
    return {
        **row,
        **closed,
        "accuracy": accuracy,
        "seconds": seconds,
        "seconds_to_closed_form": exact,
        "seconds_to_within_0.3_points": near,
        "speed_up": seconds / closed["closed_form_seconds"],
        "speed_up_to_reach": None if exact is None else exact / closed["closed_form_seconds"],
        "speed_up_to_within_0.3_points": None if near is None else near / closed["closed_form_seconds"],
    }


def joined(earlier: Sequence[Sequence[float]], new: Sequence[Sequence[float]]) -> list[Sequence[float]]:
    """Return the checkpoints of a run that was resumed: those of steps that are done again give way."""
    return [point for point in earlier if not new or point[1] < new[0][1]] + list(new)


def read_points(state: Path | None) -> list[list[float]]:
    """Return the checkpoints that lie beside a state."""
    path = None if state is None else state.with_suffix(".json")
    return json.loads(path.read_text()) if path is not None and path.exists() else []


def write_points(state: Path, points: Sequence[Sequence[float]]) -> None:
    """Write checkpoints beside a state."""
    with atomic_write(state.with_suffix(".json")) as stream:
        stream.write(json.dumps(points).encode())


def slug(problem: Problem, variant: str, ipc: int, options: argparse.Namespace) -> str:
    """Return a file name for the state of a cell."""
    words = (problem.dataset.name, problem.text, str(ipc), variant, str(options.seed))
    return "-".join("".join(c if c.isalnum() else "_" for c in word) for word in words)


def is_done(row: Mapping[str, Any] | None, steps: int, options: argparse.Namespace) -> bool:
    """Whether a recorded cell has what is asked for: all the steps, or as much time."""
    if row is None or options.again:
        return False
    spent = options.budget is not None and row["seconds"] >= options.budget
    return bool(row["steps"] >= steps or spent)


def estimate(name: str, text: str, options: argparse.Namespace) -> None:
    """Print the estimates of a data set; nothing is run."""
    dataset = data.load(name, offline=True)
    phi = recovery.draw_map(dataset, text, seed=options.seed)
    problem = Problem(dataset, text, phi, np.empty(0), {})
    for ipc in options.ipc:
        for variant in options.variants:
            config = config_of(variant, phi, options.steps)
            if config.features is None:
                continue
            sizes, of = problem.sizes(ipc), {"labels": config.labels, "target_batch": config.target_batch}
            operations = sum(kip_cost.flops(sizes, of).values())
            minutes = kip_cost.minutes(sizes, of, steps=config.steps, **options.speed)
            print(
                f"{dataset.name:<18} {text:<9} IPC {ipc:>2}  {variant:<18} {operations:.1e} operations a step, "
                f"{minutes:8.1f} minutes for {config.steps} steps"
            )


def line(row: Mapping[str, Any]) -> str:
    """Return a cell in words for the terminal."""
    reached = row["seconds_to_closed_form"]
    name = f"{row['data']:<16} {row['features']:<8} IPC {row['ipc']:>2}  {row['variant']:<18}"
    return (
        f"{name} {100 * row['accuracy']:.2f} % in {row['seconds']:.1f} s ({row['steps']} of {row['steps_wanted']} "
        f"steps), closed form {100 * row['closed_form_accuracy']:.2f} % in {row['closed_form_seconds']:.1f} s: "
        + ("not reached" if reached is None else f"reached after {reached:.1f} s")
    )


def read_options() -> argparse.Namespace:
    """Read the command line."""
    parser = records.parser(__doc__ or "")
    parser.add_argument("--data", nargs="+", default=["mnist", "cifar10", "cifar100"])
    parser.add_argument("--features", nargs="+", default=["fcnn"], help="texts such as fcnn, identity, rff")
    parser.add_argument("--ipc", nargs="+", type=int, default=[1, 10, 50])
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--steps", type=int, help="default: as published, 30,000")
    parser.add_argument("--budget", type=float, help="seconds a cell")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, help="of BLAS and torch, for both; default: one a core, --quick: 1")
    parser.add_argument("--states", type=Path, help="folder of states: a cell that a budget has ended is continued")
    parser.add_argument("--again", action="store_true", help="run cells that are recorded")
    parser.add_argument("--estimate", action="store_true", help="only print operations and minutes")
    parser.add_argument("--throughput", type=float, default=kip_cost.THROUGHPUT, help="operations a second, for it")
    parser.add_argument("--factor-throughput", type=float, default=kip_cost.FACTOR_THROUGHPUT)
    parser.add_argument("--latency", type=float, default=kip_cost.LATENCY, help="seconds a step")
    parser.add_argument("--picture", type=Path, help="default docs/table4_vs_kip.png; --quick: in --out")
    options = parser.parse_args()
    if options.quick:
        options.data, options.ipc, options.steps = ["digits"], [1, 10], options.steps or 40
    # The digits are too few to share: threads would wait for each other, on a busy machine for minutes
    options.threads = options.threads or (1 if options.quick else len(os.sched_getaffinity(0)))
    options.speed = {
        "throughput": options.throughput,
        "factor_throughput": options.factor_throughput,
        "latency": options.latency,
    }
    return options


def names(options: argparse.Namespace) -> Iterator[str]:
    """Yield the data sets whose files are there."""
    present = {entry.name: entry.state != "not found" for entry in data.describe()}
    for name in options.data:
        if present.get(name, True):
            yield name
        else:
            print(f"{name}: its files are not here, left out")


def main() -> None:
    """Run the cells that are not recorded, one at a time."""
    options = read_options()
    torch.set_num_threads(options.threads)
    device = "" if options.device == "cpu" else "_" + options.device.split(":")[0]
    path = options.out / f"table4_vs_kip{device}{'_quick' if options.quick else ''}.json"
    picture = options.picture or (
        (options.out if options.quick else records.RESULTS.parents[1] / "docs") / f"{path.stem}.png"
    )
    with threadpoolctl.threadpool_limits(options.threads):
        for name in names(options):
            for text in options.features:
                if options.estimate:
                    estimate(name, text, options)
                else:
                    run_problem(name, text, path, options)
    if not options.estimate and path.exists():
        kip_curves.draw(records.read(path)["rows"], picture, list(VARIANTS))


def run_problem(name: str, text: str, path: Path, options: argparse.Namespace) -> None:
    """Run the cells of a data set and a map, and record each as it ends."""
    problem: Problem | None = None
    for ipc in options.ipc:
        for variant in options.variants:
            rows = records.read(path)["rows"] if path.exists() else []
            problem = problem or prepare(name, text, options.ipc, seed=options.seed)
            key = (problem.dataset.name, text, ipc, variant, options.seed)
            earlier = {tuple(row[name] for name in KEYS): row for row in rows}.get(key)
            if is_done(earlier, config_of(variant, problem.phi, options.steps).steps, options):
                continue
            row = judged(run_cell(problem, variant, ipc, options), problem.closed[ipc])
            print(line(row), flush=True)
            records.record(path, records.with_others(path, [row], KEYS))


if __name__ == "__main__":
    try:
        main()
    except DataError as error:
        raise SystemExit(str(error)) from None
