"""Tables of ``benchmarks/``, from their recorded runs; used by ``tables``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import records
from records import by_name, markdown, source

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"


def _table(stem: str, script: str, write: Callable[[Mapping[str, Any]], str]) -> str:
    """The table of a recorded run and where it is from, or which script would record it."""
    path = RESULTS / f"{stem}.json"
    if not path.exists():
        return f"Not recorded yet: `python benchmarks/{script}` does it.\n"
    run = records.read(path)
    return write(run) + source(run, f"benchmarks/results/{stem}.json")


def _seconds(value: float) -> str:
    return f"{value:.2f}" if value >= 1.0 else f"{value:.2g}"


def _power(value: Sequence[float]) -> str:
    return f"{value[0]:.2f} ± {value[1]:.2f}"


def stream_memory() -> str:
    """Seconds and peak memory over n."""

    def write(run: Mapping[str, Any]) -> str:
        rows = [
            [f"{row['n']:,}", _seconds(row["seconds"]), _seconds(row["of_which_making_data"]), _seconds(row["solve"])]
            + [f"{row['megabytes']:.0f}", f"{row['error']:.1e}"]
            for row in run["rows"]
        ]
        header = ["n, p = " + str(run["rows"][0]["p"]), "pass, s", "of which making the data", "solve, s", "peak MB"]
        said = (
            f"\nThe seconds of the pass grow as n to the power {run['exponent']:.3f} ± {run['exponent_error']:.3f}; "
            f"the peak of {run['rows'][-1]['n']:,} samples is {run['peak_growth']:.3f} times that of a tenth of them.\n"
        )
        return markdown([*header, "error of W"], rows) + said

    return _table("stream_memory", "stream_memory.py", write)


def conditioning() -> str:
    """Worst errors of W beside their predicted bounds."""

    def pair(found: Mapping[str, Any]) -> str:
        if found["error"] is None:
            return "refused"
        return f"{found['error']:.1e} ({'none' if found['bound'] is None else format(found['bound'], '.1e')})"

    def write(run: Mapping[str, Any]) -> str:
        rows = []
        for row in run["rows"]:
            kind = f"{row['noise']:g}, {'ridge' if row['with_ridge'] else 'spectrum'}"
            cells = [pair(row[solver]) for solver in ("gram", "refined", "tsqr", "auto")]
            rows.append([f"{row['cond']:.0e}", kind, *cells, ", ".join(row["auto"]["ran"])])
            rows[-1].append(f"{row['auto_over_better']:.2g}")
        header = ["cond_eff", "noise, made by", "Gram", "refined", "TSQR", "auto", "auto ran", "auto / better"]
        sizes = ", ".join(f"{name} = {value}" for name, value in run["sizes"].items())
        said = (
            f"\nError of W (its predicted bound), the worst of {run['seeds']} seeds; {sizes}. The largest error over "
            f"its bound is {run['largest_error_over_bound']:.2f}; auto is at most {run['largest_auto']:.3g} times the "
            "better of Gram and TSQR.\n"
        )
        return markdown(header, rows) + said

    return _table("conditioning", "conditioning.py", write)


def peers() -> str:
    """Seconds and peak memory of every method at every size; a row a size."""

    def write(run: Mapping[str, Any]) -> str:
        methods = list(dict.fromkeys(row["method"] for row in run["rows"]))
        sizes: dict[tuple[int, int], dict[str, Mapping[str, Any]]] = {}
        for row in run["rows"]:
            sizes.setdefault((row["n"], row["p"]), {})[row["method"]] = row
        rows = []
        for (n, p), found in sizes.items():
            cells = [
                f"{_seconds(found[name]['seconds'])} / {found[name]['megabytes']:.0f}" if name in found else ""
                for name in methods
            ]
            chosen = [found[name]["ridge"] for name in ("ours, choice", "sklearn RidgeCV") if name in found]
            same = "" if len(chosen) < 2 else "yes" if abs(chosen[0] / chosen[1] - 1.0) < 1e-9 else "no"
            worst = max(row["error"] for row in found.values())
            rows.append([f"n = {n:,}, p = {p}", *cells, same, f"{worst:.0e}"])
        header = ["seconds / peak MB", *methods, "same ridge chosen", "worst error"]
        limits = run["limits"]
        said = (
            f"\nk = {run['k']}, {run['ridges']} ridges. Left out: n p^2 > {limits['flops']:.0e}, features of more than "
            f"{limits['bytes'] / 2**30:.0f} GiB in memory, what would take more than {limits['seconds']:.0f} s.\n"
        )
        return markdown(header, rows) + said

    return _table("peers", "peers.py", write)


def scaling() -> str:
    """Seconds by stage, and exponents."""

    def write(run: Mapping[str, Any]) -> str:
        stages = list(run["costs"])
        rows = [
            [f"n = {row['n']:,}, p = {row['p']}, k = {row['k']}"]
            + [_seconds(row["stages"][stage]) for stage in stages]
            + [f"{row['megabytes']:.0f}", f"{row['error']:.0e}"]
            for row in run["rows"]
        ]
        powers = [
            [f"power of {name}", *(_power(found[stage]) for stage in stages), "", ""]
            for name, found in run["exponents"].items()
        ]
        header = ["seconds", *(f"{stage} ({cost})" for stage, cost in run["costs"].items()), "peak MB", "error"]
        return markdown(header, rows + powers)

    return _table("scaling", "scaling.py", write)


def sufficient_cost() -> str:
    """The set for every penalty beside one Gram product."""

    def write(run: Mapping[str, Any]) -> str:
        rows = [
            [f"n = {row['n']:,}, p = {row['p']}", row["points"], _seconds(row["product"]), _seconds(row["set"])]
            + [f"{row['ratio']:.2f}", f"{row['error']:.0e}"]
            for row in run["rows"]
        ]
        header = ["data", "points", "Gram product, s of CPU", "the set, s of CPU", "ratio, median", "error of its sums"]
        return markdown(header, rows)

    return _table("sufficient_set", "sufficient_set.py", write)


def workers() -> str:
    """Seconds, peak memory a worker and the difference of W."""

    def write(run: Mapping[str, Any]) -> str:
        rows = [
            [f"n = {row['n']:,}, d = {row['d']}, p = {row['p']}", f"{row['run']} {row['workers'] or ''}".strip()]
            + [_seconds(row["seconds"]), f"{row['worker_megabytes']:.0f}", f"{row['error']:.1e}"]
            + [f"{row['error_over_conditioning']:.1e}"]
            for row in run["rows"]
        ]
        header = ["data", "workers", "seconds", "peak MB a worker", "W from the single run", "over the conditioning"]
        return markdown(header, rows)

    return _table("workers", "workers.py", write)


def _distill(stem: str, flags: str) -> str:
    def write(run: Mapping[str, Any]) -> str:
        stages = list(run["rows"][0]["stages"])
        rows = []
        for row in run["rows"]:
            cells = [_seconds(row["stages"][stage]) for stage in stages]
            peak = row["product_fraction_of_peak"]
            rows.append([f"{row['data']}, {row['features']}, {row['device']}", *cells, _seconds(row["seconds"])])
            rows[-1] += [f"{row['product_fraction_of_gemm']:.2f}", "" if peak is None else f"{peak:.2f}"]
            rows[-1].append(f"{row['error']:.1e}")
        header = ["seconds", *stages, "whole", "product / measured rate", "/ nominal peak", "error of W"]
        return markdown(header, rows)

    return _table(stem, f"distill_gpu.py {flags}", write)


def distill_gpu() -> str:
    """Seconds by stage on a CUDA device."""
    return _distill("distill_gpu", "--device cuda")


def distill_cpu() -> str:
    """Seconds by stage, torch on the CPU."""
    return _distill("distill_cpu", "--device cpu")


def iterative_steps() -> str:
    """Seconds a step and peak memory of each iterative method beside the textbook's, a row a method and data set."""
    return _steps("iterative_steps", "")


def iterative_steps_kept() -> str:
    """The same where both sides keep the memory of large tensors."""
    return _steps("iterative_steps_kept", " --keep-memory")


def _steps(stem: str, flags: str) -> str:
    def write(run: Mapping[str, Any]) -> str:
        ipcs = sorted({row["ipc"] for row in run["rows"]})
        found = {(row["method"], row["data"], row["ipc"]): row for row in run["rows"]}
        rows = []
        for method, data in dict.fromkeys((row["method"], row["data"]) for row in run["rows"]):
            cells = [_beside(found.get((method, data, ipc))) for ipc in ipcs]
            rows.append([f"{method}, {data}", *(cell for each in cells for cell in each)])
        header = ["ours / textbook", *(f"{what}, IPC {ipc}" for ipc in ipcs for what in ("s", "ratio", "MB"))]
        first = run["rows"][0]
        said = (
            f"\nSeconds of one processor a step, {run['repeats']} runs of each in turn, torch {run['torch']}; ratio: "
            f"the textbook's over ours. Real batches, inner epochs and student steps are 1/{first['part']} of the "
            f"published ones, the width is {first['width']}. Load of the machine: "
            f"{min(row['load'] for row in run['rows']):.1f} to {max(row['load'] for row in run['rows']):.1f}.\n"
        )
        return markdown(header, rows) + said + _short_of(run)

    return _table(stem, "iterative_steps.py" + flags, write)


def _short_of(run: Mapping[str, Any]) -> str:
    """Say which rows miss the goal of a ratio, and which take more memory than the textbook."""
    named = [(f"{row['method']} ({row['data']}, IPC {row['ipc']})", row) for row in run["rows"]]
    slow = [name for name, row in named if row["ratio"] < run["goal"]]
    large = [name for name, row in named if row["ours"]["megabytes"] > row["textbook"]["megabytes"]]
    return (
        f"\nA ratio of {run['goal']} or more: {len(named) - len(slow)} of {len(named)}; below it: {_list(slow)}. More "
        f"memory than the textbook: {_list(large)}.\n"
    )


def _list(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _beside(row: Mapping[str, Any] | None) -> list[str]:
    """Seconds, ratio and megabytes of ours and the textbook."""
    if row is None:
        return ["", "", ""]
    mine, theirs = row["ours"], row["textbook"]
    seconds = f"{_seconds(mine['seconds'])} / {_seconds(theirs['seconds'])}"
    return [seconds, f"{row['ratio']:.2f}", f"{mine['megabytes']:.0f} / {theirs['megabytes']:.0f}"]


TABLES = by_name(
    stream_memory,
    conditioning,
    peers,
    scaling,
    sufficient_cost,
    workers,
    distill_gpu,
    distill_cpu,
    iterative_steps,
    iterative_steps_kept,
)
