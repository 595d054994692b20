"""The command line: ``analytic-dd distill | stats | merge | verify | show | export | data | bench``.

Results go to standard output, progress and errors to standard error. Exit status: 0 done, 1 a check failed, 2 bad usage
or bad input (one line, no traceback), 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from analytic_dd.baselines.bench import command as bench
from analytic_dd.cluster import over_dask
from analytic_dd.distill.construction import chosen, options
from analytic_dd.distill.words import in_words_of_options
from analytic_dd.errors import DivergenceError
from analytic_dd.flags import Command, flag, parser_of
from analytic_dd.progress import Progress
from analytic_dd.set_commands import code_of, export, show, verify
from analytic_dd.terminal import complain, print_result, reason

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    with _stopped_as_by_a_key():
        return _run(arguments)


@contextlib.contextmanager
def _stopped_as_by_a_key() -> Iterator[None]:
    """Take a batch system's stop (SIGTERM) for an interrupt while a command runs, unless a caller handles it."""
    taken = False
    with contextlib.suppress(ValueError):  # in a thread that is not the main one
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            taken = True
    try:
        yield
    finally:
        if taken:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _run(arguments: Sequence[str] | None) -> int:
    os.environ["MPLBACKEND"] = "Agg"  # pictures go to files: no display, and no backend that is not there
    streams: tuple[Any, ...] = (sys.stdout, sys.stderr)
    for stream in streams:
        with contextlib.suppress(AttributeError, ValueError):  # what a caller put there need not be a file
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show is no error
    try:
        options = parser_of(_COMMANDS).parse_args(arguments)
        with _silenced(options.quiet):
            return int(options.run(options))
    except SystemExit as stop:
        return int(stop.code or 0)
    except KeyboardInterrupt:
        return complain("interrupted; what was there before is intact", 130)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of standard output has gone; say nothing more
        return 1
    except MemoryError as error:
        words = reason(error)  # of this package they have a remedy
        return complain(words if ";" in words else f"out of memory ({words}); use fewer features or points", 2)
    except ModuleNotFoundError as error:
        return complain(f"{error.name} is needed for this and not installed; pip install 'analytic-dd[all]'", 2)
    except ImportError as error:
        return complain(str(error), 2)
    except (ValueError, TypeError, OSError, DivergenceError) as error:
        return complain(reason(error), 2)


@contextlib.contextmanager
def _silenced(wanted: bool) -> Iterator[None]:
    """Drop what is printed, where that is wanted."""
    if not wanted:
        yield
        return
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def _distill(options: argparse.Namespace) -> int:
    """Fit a model on all the data, distil it, store the set with its certificate and report on the file."""
    from analytic_dd.clock import Clock
    from analytic_dd.report import describe, write_page

    construction, fit, file = _wanted(options)
    clock = Clock()
    if options.from_stats is None:
        found = _distill_data(options, construction, fit, file, clock)
    else:
        found = _distill_sums(options, construction, fit, clock)
    if options.report == "page":
        is_code = (options.features or "").startswith("network:")
        write_page(options.out, feature_map=code_of(options, options.out) if is_code else None)
    files = [str(options.out / name) for name in ("distilled.npz", "distilled.png", "report.json", "page.html")]
    files = [file for file in files if Path(file).exists()]
    print_result(options, found.content | {"files": files}, [*describe(found), "  files: " + ", ".join(files)])
    return 0 if found.certificate.verdict != "fail" else 1


def _wanted(given: argparse.Namespace) -> tuple[Any, Any, Path | None]:
    """Return the construction, how to fit, and the file of references where one is named."""
    import numpy as np

    from analytic_dd.data import read_floats
    from analytic_dd.model import FitOptions

    ridges = given.ridge or [None if given.from_stats is None else "gcv"]
    words = {name: getattr(given, name, None) for name in options()}
    file = None
    if words["references"] is not None and words["references"].endswith((".npy", ".npz")):
        file, words["references"] = Path(words["references"]), "given"
    words["ridges"] = tuple(ridges) if len(ridges) > 1 else None
    fit = FitOptions(
        ridge=ridges[0],
        loss=given.loss,
        intercept=given.task == "regress" if given.intercept is None else given.intercept,
        tikhonov=None if given.tikhonov is None else read_floats(given.tikhonov, "the Tikhonov penalty"),
        solver=given.solver,
        dtype=np.dtype(given.dtype).type,
        device=given.device,
    )
    with in_words_of_options():
        return chosen(given.mode, loss=given.loss, **words), fit, file


def _distill_data(given: argparse.Namespace, construction: Any, fit: Any, file: Path | None, clock: Any) -> Any:
    from analytic_dd import data, report
    from analytic_dd.model.shard import NamedData

    with clock("reading"):
        name = "digits" if given.data is None else given.data
        dataset, reading = _read(name, given)
        references, classes = (None, None) if file is None else data.read_references(file, dataset)
    named = NamedData(name, dataset.sha256, reading, given.sample_weights, given.offline)
    with over_dask(given.dask) as client, Progress(quiet=given.quiet) as listener:
        return report.run(
            dataset,
            "identity" if given.features is None else given.features,
            construction,
            given.out,
            fit,
            sample_weight=given.sample_weights,
            seed=given.seed,
            references=references,
            reference_classes=classes,
            picture=given.picture,
            save_module=given.save_module,
            sums=None if client is None else functools.partial(named.sums, client),
            clock=clock,
            listener=listener,
        )


def _read(name: str, given: argparse.Namespace) -> tuple[Any, Any]:
    """Return the data that a command names, and how they are read."""
    from analytic_dd import data

    reading = data.Reading(given.target, given.task, given.resize, given.crop)
    shown = sys.stderr.isatty() and not given.quiet
    return data.load(name, offline=given.offline, progress=shown, reading=reading), reading


def _distill_sums(given: argparse.Namespace, construction: Any, fit: Any, clock: Any) -> Any:
    from analytic_dd import report

    usual: dict[str, Any] = dict.fromkeys(
        ("data", "features", "sample_weights", "tikhonov", "target", "resize", "dask")
    )
    usual |= {"dtype": "float64", "device": "cpu", "task": "classify", "crop": False, "save_module": False}
    for name, default in usual.items():
        if getattr(given, name) != default:
            raise ValueError(
                f"the sums name their own data, map and penalty; leave out {flag(name)} beside --from-stats"
            )
    return report.run_from_sums(
        given.from_stats,
        construction,
        given.out,
        fit,
        seed=given.seed,
        picture=given.picture,
        intercept=given.intercept,
        clock=clock,
    )


def _stats(options: argparse.Namespace) -> int:
    """Sum features and labels of one shard into a file; files of all shards, or of several parties, are merged.

    Under torchrun every process sums a shard, and the first writes the sum of all.
    """
    from analytic_dd.cluster import torchrun_shard, torchrun_total
    from analytic_dd.model.shard import sum_shard

    share, shard, state = torchrun_shard(), options.shard, options.state
    if share is not None:
        if shard != "1/1":
            raise ValueError(f"torchrun deals out the shards; leave out --shard {shard}")
        shard = "{}/{}".format(*share)
        state = None if state is None else state.with_name(f"{state.name}.{share[0]}")
    dataset, _ = _read(options.data, options)
    with Progress(quiet=options.quiet) as listener:
        statistics = sum_shard(
            dataset,
            options.features,
            shard,
            moments=options.moments,
            labels=options.labels,
            sample_weight=options.sample_weights,
            seed=options.seed,
            state=state,
            listener=listener,
        )
    if share is not None:
        statistics = torchrun_total(statistics)
        if share[0] > 1:
            return 0
    statistics.save(options.out)
    return _print_sums(options, statistics)


def _merge(options: argparse.Namespace) -> int:
    """Add files of sums; those of other feature maps, normalisations or labels, or with a sample twice, are refused."""
    from analytic_dd.linalg import merge_files

    total = merge_files(options.files)
    total.save(options.out)
    return _print_sums(options, total)


def _print_sums(options: argparse.Namespace, statistics: Any) -> int:
    facts = {"samples": statistics.n, "p": statistics.p, "k": statistics.k, "file": str(options.out)}
    print_result(
        options, facts, [f"{options.out}: sums of {statistics.n:,} samples, p = {statistics.p}, k = {statistics.k}"]
    )
    return 0


def _data(options: argparse.Namespace) -> int:
    """List the known data sets, fetch one, or say where they are looked for."""
    from analytic_dd import data

    if options.action == "fetch":
        if options.name is None:
            raise ValueError(f"name the data set to fetch: {', '.join(data.names())}")
        path = data.fetch(options.name, progress=sys.stderr.isatty() and not options.quiet)
        print_result(options, {"name": options.name, "path": str(path)}, [f"{options.name}: {path or 'embedded'}"])
    elif options.action == "path" and options.name is None:
        found = {key: None if value is None else str(value) for key, value in data.locations().items()}
        print_result(options, found, [f"{key}: {value or 'not set'}" for key, value in found.items()])
    else:
        rows = data.describe(options.name)
        lines = [f"{row.name}: {row.path or row.state}" if options.action == "path" else str(row) for row in rows]
        print_result(options, {row.name: vars(row) | {"path": row.path and str(row.path)} for row in rows}, lines)
    return 0


_COMMANDS: dict[str, Command] = {
    "distill": _distill,
    "stats": _stats,
    "merge": _merge,
    "verify": verify,
    "show": show,
    "export": export,
    "data": _data,
    "bench": bench.run,
}
