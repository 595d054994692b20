"""The command line: ``analytic-dd distill | stats | merge | verify | show | export | data | bench``.

Results go to standard output, progress and errors to standard error. Exit status: 0 done, 1 a check failed, 2 bad usage
or bad input (one line, no traceback), 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from analytic_dd import __version__, theorems
from analytic_dd.baselines.bench import command as bench
from analytic_dd.distill.construction import chosen, modes, options
from analytic_dd.errors import DataError, DivergenceError, shown
from analytic_dd.export import FORMATS
from analytic_dd.files import expanded
from analytic_dd.losses import LOSSES
from analytic_dd.progress import Progress
from analytic_dd.ridge import SOLVERS

__all__ = ["main"]

_LONGEST = 10_000  # characters of a line that is printed


class _Parser(argparse.ArgumentParser):
    """Errors in one line, with exit status 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    os.environ["MPLBACKEND"] = "Agg"  # pictures go to files: no display, and no backend that is not there
    with contextlib.suppress(ValueError):  # in a thread that is not the main one
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, signal.default_int_handler)  # a batch system's stop is an interrupt
    streams: tuple[Any, ...] = (sys.stdout, sys.stderr)
    for stream in streams:
        with contextlib.suppress(AttributeError, ValueError):  # what a caller put there need not be a file
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show is no error
    try:
        options = _parser().parse_args(arguments)
        with _silenced(options.quiet):
            return int(options.run(options))
    except SystemExit as stop:
        return int(stop.code or 0)
    except KeyboardInterrupt:
        return _complain("interrupted; what was there before is intact", 130)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of standard output has gone; say nothing more
        return 1
    except MemoryError as error:
        return _complain(f"out of memory ({error}); use fewer features or points", 2)
    except ModuleNotFoundError as error:
        return _complain(f"{error.name} is needed for this and not installed; pip install 'analytic-dd[all]'", 2)
    except ImportError as error:
        return _complain(str(error), 2)
    except (ValueError, TypeError, OSError, DivergenceError) as error:
        return _complain(_reason(error), 2)


@contextlib.contextmanager
def _silenced(wanted: bool) -> Iterator[None]:
    """Drop what is printed, where that is wanted."""
    if not wanted:
        yield
        return
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def _reason(error: Exception) -> str:
    """What went wrong, in one line; an error of the file system names the file."""
    reason: object = error.strerror if isinstance(error, OSError) and error.strerror else error
    if isinstance(error, OSError) and error.filename:
        reason = f"{error.filename}: {reason}"
    return _in_flags(" ".join(str(reason).split()))


def _complain(line: str, status: int) -> int:
    print(f"analytic-dd: {shown(line, most=_LONGEST)}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="analytic-dd", description="Dataset distillation in closed form, with a certificate.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)
    _add_distill(commands)
    _add_stats(commands)
    _add_merge(commands)
    _add_verify(commands)
    _add_show(commands)
    _add_export(commands)
    _add_data(commands)
    _add_bench(commands)
    return parser


def _add_distill(commands: Any) -> None:
    command = commands.add_parser("distill", help="distil a data set into a folder", description=_distill.__doc__)
    add = command.add_argument
    add("--data", metavar="NAME|PATH", help="a known data set (see 'data list') or a path; default digits")
    _add_reading(add)
    add(
        "--features",
        metavar="MAP",
        help="identity (default), another map with options, as name:key=value, or a torch module that a function of "
        "yours makes, as network:PACKAGE.MODULE:FACTORY",
    )
    add("--from-stats", type=_path, metavar="FILE", help="sums of 'stats' or 'merge' in the place of the data")
    add("--mode", default="exact", metavar="MODE", help=_modes_in_words())
    add(
        "--loss",
        default="squared",
        metavar="LOSS",
        help=f"{', '.join(LOSSES)}: what the original model minimises (default squared: ridge regression)",
    )
    _add_options_of_constructions(command)
    add(
        "--ridge",
        type=_ridge,
        nargs="+",
        metavar="loo|gcv|validation|FLOAT",
        help="of the original model, absolute (default loo; gcv from sums; validation for other losses than the "
        "squared one); several: one set exact for each of them",
    )
    solvers = "; ".join(f"{name}: {words}" for name, words in SOLVERS.items())
    add("--solver", default="auto", metavar="NAME", help=solvers)
    add(
        "--intercept",
        action=argparse.BooleanOptionalAction,
        help="fit and reproduce an unpenalised intercept (one point more); default with --task regress",
    )
    add("--sample-weights", metavar="balanced|FILE", help="weights of the training samples: balanced, or an npy file")
    add("--tikhonov", type=_path, metavar="FILE", help="npy file with the penalty Gamma, (p,) or (p, p)")
    add(
        "--dtype", default="float64", choices=("float64", "float32"), help="arithmetic of the feature map while fitting"
    )
    add("--device", default="cpu", help="where to map, sum up and solve: cpu (default), cuda, cuda:1, ...")
    add("--seed", type=_seed, default=0, help="determines everything that is random (default 0)")
    add("--out", type=_path, default=Path("out"), metavar="DIR", help="folder of the results (default out)")
    add("--save-module", action="store_true", help="store the weights of a torch module beside the set (safetensors)")
    add("--no-picture", dest="picture", action="store_false", help="store and report only")
    add("--report", choices=("page",), help="page: also one HTML page with images, certificate, accuracies, provenance")
    _add_common(command, _distill)
    command.add_argument("--offline", action="store_true", help="never open a socket")


def _add_reading(add: Any) -> None:
    """Flags that say how data of one's own are read."""
    add("--target", metavar="COLUMN", help="of a table (csv, parquet, npy): the column of the labels")
    add("--task", default="classify", choices=("classify", "regress"), help="labels are classes, or quantities")
    add("--resize", type=int, metavar="N", help="bring images of other sizes to N x N pixels")
    add("--crop", action="store_true", help="with --resize: of the largest centred square of each")


def _modes_in_words() -> str:
    """What each mode makes, for the help."""
    return "; ".join(f"{mode}: {kinds[0].summary}" for mode, kinds in modes().items()) + " (default exact)"


def _add_options_of_constructions(command: argparse.ArgumentParser) -> None:
    """A flag for every option that a construction has, of the type of its default."""
    size = command.add_mutually_exclusive_group()
    everywhere = len(modes())
    for name, (each, users) in options().items():
        if "help" not in each.metadata:
            continue
        words = each.metadata["help"]
        words = words if len(users) == everywhere or name in _OF_MANY else f"{', '.join(users)}: {words}"
        group = size if name in ("points", "points_per_class") else command
        settings: dict[str, Any] = {"dest": name, "default": None, "help": words}
        if isinstance(each.default, bool):
            group.add_argument(_flag(name), action="store_const", const=True, **settings)
        else:
            kind = next(kind for word, kind in _TYPES.items() if word in str(each.type))
            group.add_argument(_flag(name), type=kind, metavar=each.metadata["metavar"], **settings)


_TYPES: dict[str, Callable[[str], Any]] = {"float": float, "int": int, "str": str}
_OF_MANY = ("labels", "distilled_ridge", "references", "points", "points_per_class")
_FLAGS = {"points_per_class": "--ipc", "sample_weight": "--sample-weights"}


def _flag(name: str) -> str:
    """The flag of an option."""
    return _FLAGS.get(name, "--" + name.replace("_", "-"))


def _in_flags(message: str) -> str:
    """Write  name='value'  and  name=value  of a message as the flags that the command line has for them."""

    def flag(match: re.Match[str]) -> str:
        name, value = match["name"], match["value"].strip("'")
        if name not in options() and name not in _OWN_WORDS:
            return match[0]
        return _flag(name) if value == "True" else f"{_flag(name)} {shlex.quote(value)}"

    return re.sub(r"(?<![\w-])(?P<name>[a-z_]+)=(?P<value>'[^']*'|[\w.+-]*\w)", flag, message)


_OWN_WORDS = (
    *("mode", "loss", "solver", "ridge", "features", "device", "dtype", "seed", "target", "task", "resize", "crop"),
    "save_module",
)


def _add_stats(commands: Any) -> None:
    command = commands.add_parser("stats", help="sum a shard of a data set into a file", description=_stats.__doc__)
    add = command.add_argument
    add("--data", default="digits", metavar="NAME|PATH", help="a known data set or a path; default digits")
    _add_reading(add)
    add("--features", default="identity", metavar="MAP", help="as for distill; parties need the same map and seed")
    add("--labels", default="one-hot", choices=("one-hot", "centred"), help="one-hot, or those less 1/k")
    add("--sample-weights", metavar="balanced|FILE", help="weights of the training samples: balanced, or an npy file")
    add("--shard", default="1/1", metavar="i/N", help="the i-th of N equal parts of the training samples")
    add(
        "--moments",
        default="data",
        metavar="data|unit|FILE",
        help="normalisation: of this data set; none (bytes / 255); mean and std of an npz file that parties share",
    )
    add("--state", type=_path, metavar="FILE", help="write sums there meanwhile; an interrupted run goes on from it")
    add("--seed", type=_seed, default=0, help="of the map (default 0)")
    add("--out", type=_path, default=Path("stats.npz"), metavar="FILE", help="default stats.npz")
    _add_common(command, _stats)
    command.add_argument("--offline", action="store_true", help="never open a socket")


def _add_merge(commands: Any) -> None:
    command = commands.add_parser("merge", help="add files of sums", description=_merge.__doc__)
    command.add_argument("files", nargs="+", type=_path, metavar="FILE")
    command.add_argument("--out", type=_path, default=Path("merged.npz"), metavar="FILE", help="default merged.npz")
    _add_common(command, _merge)


def _add_verify(commands: Any) -> None:
    command = commands.add_parser("verify", help="certify stored sets, or check theorems", description=_verify.__doc__)
    command.add_argument("files", nargs="*", type=_path, metavar="FILE|DIR", help="distilled.npz or its folder")
    command.add_argument(
        "--allow-inconclusive", action="store_true", help="exit status 0 too where rounding could hide an error"
    )
    _add_code(command)
    command.add_argument("--theorems", nargs="*", metavar="ID", help="check these theorems (all without an ID)")
    command.add_argument("--deep", action="store_true", help="check theorems on many more instances")
    _add_common(command, _verify)


def _add_code(command: argparse.ArgumentParser) -> None:
    """The flag that names the map of a set whose map is code."""
    words = "network:PACKAGE.MODULE:FACTORY of a set on a torch module; weights stored beside the set are read"
    command.add_argument("--features", metavar="MAP", help=words)


def _add_show(commands: Any) -> None:
    command = commands.add_parser("show", help="draw a stored set", description=_show.__doc__)
    command.add_argument("folder", type=_path, metavar="FILE|DIR", help="distilled.npz or its folder")
    command.add_argument("--format", default="png", choices=("png", "svg", "pdf"), help="of the pictures; default png")
    command.add_argument(
        "--report", choices=("page",), help="page: also the HTML page of the run, from its report.json"
    )
    _add_code(command)
    _add_common(command, _show)


def _add_export(commands: Any) -> None:
    command = commands.add_parser("export", help="write a stored set in another format", description=_export.__doc__)
    command.add_argument("folder", type=_path, metavar="FILE|DIR", help="distilled.npz or its folder")
    words = "; ".join(f"{name}: {kind.about}" for name, kind in FORMATS.items())
    command.add_argument("--to", required=True, choices=tuple(FORMATS), metavar="FORMAT", help=words)
    command.add_argument("--out", type=_path, metavar="PATH", help="file or folder; default beside the set")
    _add_code(command)
    _add_common(command, _export)


def _add_data(commands: Any) -> None:
    command = commands.add_parser("data", help="list, fetch or find data sets", description=_data.__doc__)
    command.add_argument("action", choices=("list", "fetch", "path"))
    command.add_argument("name", nargs="?", help="what to fetch; of list and path: that one alone")
    _add_common(command, _data)


def _add_bench(commands: Any) -> None:
    text = (
        "Score methods and controls under one protocol: a line of JSON a cell in bench.jsonl, as it is made, then a "
        "table and a plot. Exit status 1 if a cell fails; an interrupt keeps what is done."
    )
    command = commands.add_parser("bench", help="compare methods under one protocol", description=text)
    bench.add_arguments(command)
    _add_common(command, bench.run)


def _add_common(command: argparse.ArgumentParser, run: Callable[[argparse.Namespace], int]) -> None:
    command.add_argument("--json", action="store_true", help="print JSON for machines")
    command.add_argument("--quiet", action="store_true", help="print errors only")
    command.set_defaults(run=run)


def _ridge(text: str) -> float | str:
    try:
        return text if text in ("loo", "gcv", "validation") else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected loo, gcv, validation or a number >= 0, got {text!r}") from None


def _path(text: str) -> Path:
    """A path in which ~ is the home folder."""
    try:
        return expanded(text)
    except DataError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"seed must be an integer >= 0, got {text}")
    return int(text)


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
        write_page(options.out, feature_map=_code(options, options.out))
    files = [str(options.out / name) for name in ("distilled.npz", "distilled.png", "report.json", "page.html")]
    files = [file for file in files if Path(file).exists()]
    _print(options, found.content | {"files": files}, [*describe(found), "  files: " + ", ".join(files)])
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
    return chosen(given.mode, loss=given.loss, **words), fit, file


def _distill_data(given: argparse.Namespace, construction: Any, fit: Any, file: Path | None, clock: Any) -> Any:
    from analytic_dd import data, report

    with clock("reading"):
        name = "digits" if given.data is None else given.data
        reading = data.Reading(given.target, given.task, given.resize, given.crop)
        dataset = data.load(
            name, offline=given.offline, progress=sys.stderr.isatty() and not given.quiet, reading=reading
        )
        references, classes = (None, None) if file is None else data.read_references(file, dataset)
    with Progress(quiet=given.quiet) as listener:
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
            clock=clock,
            listener=listener,
        )


def _distill_sums(given: argparse.Namespace, construction: Any, fit: Any, clock: Any) -> Any:
    from analytic_dd import report

    usual: dict[str, Any] = dict.fromkeys(("data", "features", "sample_weights", "tikhonov", "target", "resize"))
    usual |= {"dtype": "float64", "device": "cpu", "task": "classify", "crop": False, "save_module": False}
    for name, default in usual.items():
        if getattr(given, name) != default:
            raise ValueError(
                f"the sums name their own data, map and penalty; leave out {_flag(name)} beside --from-stats"
            )
    return report.run_from_sums(
        given.from_stats, construction, given.out, fit, seed=given.seed, picture=given.picture, clock=clock
    )


def _stats(options: argparse.Namespace) -> int:
    """Sum features and labels of one shard into a file; files of all shards, or of several parties, are merged.

    Under torchrun every process sums a shard, and the first writes the sum of all.
    """
    from analytic_dd.cluster import torchrun_shard, torchrun_total
    from analytic_dd.data import Dataset, Reading, load
    from analytic_dd.model.shard import sum_shard

    share, shard, state = torchrun_shard(), options.shard, options.state
    if share is not None:
        if shard != "1/1":
            raise ValueError(f"torchrun deals out the shards; leave out --shard {shard}")
        shard = "{}/{}".format(*share)
        state = None if state is None else state.with_name(f"{state.name}.{share[0]}")
    reading = Reading(options.target, options.task, options.resize, options.crop)
    dataset = load(
        options.data, offline=options.offline, progress=sys.stderr.isatty() and not options.quiet, reading=reading
    )
    if not isinstance(dataset, Dataset):
        raise ValueError("sums of shards are of classes; task='regress' is for distill")
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
    _print(options, facts, [f"{options.out}: sums of {statistics.n:,} samples, p = {statistics.p}, k = {statistics.k}"])
    return 0


def _verify(options: argparse.Namespace) -> int:
    """Certify stored sets again (T16) and check what they claim, or check theorems: exit status 1 unless all pass."""
    from analytic_dd.io import load_distilled
    from analytic_dd.judge.claims import UNKNOWABLE

    if options.theorems is not None:
        if options.files:
            raise ValueError(f"{options.files[0]} is a file, --theorems checks theorems; verify them one after another")
        return theorems.check(options.theorems, deep=options.deep, json=options.json, quiet=options.quiet)
    if not options.files or options.deep:
        wanted = "--deep is for --theorems" if options.deep else "nothing to verify"
        raise ValueError(f"{wanted}: name a distilled.npz or its folder, or give --theorems")
    found, errors = {}, []
    for file in map(str, options.files):
        try:
            stored = load_distilled(file, feature_map=_code(options, Path(file)))
            certificate = stored.certify()  # the worst of several ridges
            found[file] = certificate, stored.false_claims(certificate)
        except (ValueError, TypeError, OSError) as error:
            errors.append(_reason(error) if file in _reason(error) else f"{file}: {_reason(error)}")
    if found:
        content = {
            file: certificate.to_dict() | {"false_claims": false, "not_known": UNKNOWABLE}
            for file, (certificate, false) in found.items()
        }
        lines = [f"{file}: {line}" for file, (certificate, false) in found.items() for line in (certificate, *false)]
        _print(options, content, [*lines, f"not known: {UNKNOWABLE}"])
    for line in errors:
        _complain(line, 2)
    accepted = ("pass", "inconclusive") if options.allow_inconclusive else ("pass",)
    good = all(certificate.verdict in accepted and not false for certificate, false in found.values())
    return 2 if errors else int(not good)


def _code(given: argparse.Namespace, path: Path) -> Any:
    """The module of a set that the user names, with the weights beside the set where these are stored; or None."""
    from analytic_dd.features.network import load_weights, module_named
    from analytic_dd.report.run import MODULE

    if given.features is None:
        return None
    kind, _, factory = given.features.partition(":")
    if kind != "network":
        raise ValueError(
            f"features={given.features!r} are stored in the set; only network:PACKAGE.MODULE:FACTORY is named"
        )
    module, weights = module_named(factory), (path if path.is_dir() else path.parent) / MODULE
    return load_weights(module, weights) if weights.exists() else module


def _show(options: argparse.Namespace) -> int:
    """Certify a stored set, and draw the grid of its images and the spectra into its folder."""
    from analytic_dd.io import BenchSetError, load_distilled
    from analytic_dd.plot import draw_set, draw_spectrum
    from analytic_dd.report import write_page

    try:
        stored = load_distilled(options.folder, feature_map=_code(options, options.folder))
    except BenchSetError:
        return _show_of_bench(options)
    certificate = stored.certify()
    folder = options.folder if options.folder.is_dir() else options.folder.parent
    files = [folder / name for name in (f"distilled.{options.format}", f"spectrum.{options.format}")]
    draw_set(stored, files[0])
    draw_spectrum(stored, files[1])
    if options.report == "page":
        files.append(write_page(folder, feature_map=stored.code))
    summary = {"files": [str(file) for file in files], "certificate": certificate.to_dict(), "meta": stored.meta}
    lines = [f"{stored.meta['data']['name']}, {len(stored.x)} points: {certificate}", *map(str, files)]
    _print(options, summary, lines)
    return 0


def _show_of_bench(options: argparse.Namespace) -> int:
    """Draw a set that bench stored beside its file, which has points and labels but no weights to certify."""
    from analytic_dd.baselines.bench.set_file import load_set
    from analytic_dd.plot import draw_points

    found, facts = load_set(options.folder)
    path = options.folder.with_suffix(f".{options.format}")
    title = f"{found.method}, {len(found.x)} points, seed {found.seed}, {found.steps} steps"
    draw_points(found.x, found.y, title, path)
    _print(options, {"files": [str(path)], "facts": facts}, [f"{title}: no weights to certify", str(path)])
    return 0


def _export(options: argparse.Namespace) -> int:
    """Write a stored set in another format, and say what its reader must know."""
    from analytic_dd.io import load_distilled

    kind = FORMATS[options.to]
    folder = options.folder if options.folder.is_dir() else options.folder.parent
    path = folder / f"exported-{kind.name}{kind.suffix}" if options.out is None else options.out
    found = load_distilled(options.folder, feature_map=_code(options, options.folder)).export(kind.name, path)
    content = {"format": kind.name, "files": [str(file) for file in found.files], "notes": found.notes}
    files = [str(file) for file in (found.files if len(found.files) < 4 else (path,))]
    _print(options, content, [f"{kind.name}: {', '.join(files)}", *(f"  {note}" for note in found.notes)])
    return 0


def _data(options: argparse.Namespace) -> int:
    """List the known data sets, fetch one, or say where they are looked for."""
    from analytic_dd import data

    if options.action == "fetch":
        if options.name is None:
            raise ValueError(f"name the data set to fetch: {', '.join(data.names())}")
        path = data.fetch(options.name, progress=sys.stderr.isatty() and not options.quiet)
        _print(options, {"name": options.name, "path": str(path)}, [f"{options.name}: {path or 'embedded'}"])
    elif options.action == "path" and options.name is None:
        found = {key: None if value is None else str(value) for key, value in data.locations().items()}
        _print(options, found, [f"{key}: {value or 'not set'}" for key, value in found.items()])
    else:
        rows = data.describe(options.name)
        lines = [f"{row.name}: {row.path or row.state}" if options.action == "path" else str(row) for row in rows]
        _print(options, {row.name: vars(row) | {"path": row.path and str(row.path)} for row in rows}, lines)
    return 0


def _print(options: argparse.Namespace, content: dict[str, Any], lines: Sequence[str]) -> None:
    if options.json:
        from analytic_dd.io import to_json

        print(to_json(content))
    else:
        print("\n".join(shown(part, most=_LONGEST) for line in lines for part in line.split("\n")))
