"""The flags of every command, and the messages of the package in their words.

A flag for an option of a construction follows from the construction (:func:`analytic_dd.distill.construction.options`).
"""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from analytic_dd import __version__
from analytic_dd.baselines.bench import command as bench
from analytic_dd.baselines.methods.registry import METHODS
from analytic_dd.distill.construction import modes, options
from analytic_dd.errors import DataError, as_whole
from analytic_dd.export import FORMATS
from analytic_dd.files import expanded
from analytic_dd.losses import LOSSES
from analytic_dd.ridge import SOLVERS

__all__ = ["Command", "flag", "in_flags", "parser_of"]

Command = Callable[[argparse.Namespace], int]  # returns the exit status


class _Parser(argparse.ArgumentParser):
    """Errors in one line, with exit status 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def parser_of(runs: Mapping[str, Command]) -> argparse.ArgumentParser:
    """Return the parser, given what runs each command; the description of a command is the docstring of that."""
    parser = _Parser(prog="analytic-dd", description="Dataset distillation in closed form, with a certificate.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)
    _add_distill(commands, runs["distill"])
    _add_stats(commands, runs["stats"])
    _add_merge(commands, runs["merge"])
    _add_verify(commands, runs["verify"])
    _add_show(commands, runs["show"])
    _add_export(commands, runs["export"])
    _add_data(commands, runs["data"])
    _add_bench(commands, runs["bench"])
    return parser


def _add_distill(commands: Any, run: Command) -> None:
    command = commands.add_parser("distill", help="distil a data set into a folder", description=run.__doc__)
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
    words = "; ".join(f"{mode}: {kinds[0].summary}" for mode, kinds in modes().items())
    add("--mode", default="exact", metavar="MODE", help=f"{words} (default exact)")
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
    add(
        "--dask",
        metavar="local|N|ADDRESS",
        help="let Dask workers sum the training samples, a share each: a process a core, N of them, or the workers of "
        "the scheduler at ADDRESS, which must see the data under the same name",
    )
    add("--device", default="cpu", help="where to map, sum up and solve: cpu (default), cuda, cuda:1, ...")
    add("--seed", type=_seed, default=0, help="determines everything that is random (default 0)")
    add("--out", type=_path, default=Path("out"), metavar="DIR", help="folder of the results (default out)")
    add("--save-module", action="store_true", help="store the weights of a torch module beside the set (safetensors)")
    add("--no-picture", dest="picture", action="store_false", help="store and report only")
    add("--report", choices=("page",), help="page: also one HTML page with images, certificate, accuracies, provenance")
    _add_common(command, run)
    command.add_argument("--offline", action="store_true", help="never open a socket")


def _add_reading(add: Any, *, task: bool = True) -> None:
    """Add the flags that say how data of one's own are read."""
    add("--target", metavar="COLUMN", help="of a table (csv, parquet, npy): the column of the labels")
    words = "labels are classes, or quantities" if task else argparse.SUPPRESS  # bench refuses quantities, in words
    add("--task", default="classify", choices=("classify", "regress"), help=words)
    add("--resize", type=as_whole, metavar="N", help="bring images of other sizes to N x N pixels")
    add("--crop", action="store_true", help="with --resize: of the largest centred square of each")


def _add_options_of_constructions(command: argparse.ArgumentParser) -> None:
    """Add a flag for every option that a construction has, of the type of its default."""
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
            group.add_argument(flag(name), action="store_const", const=True, **settings)
        else:
            kind = next(kind for word, kind in _TYPES.items() if word in str(each.type))
            group.add_argument(flag(name), type=kind, metavar=each.metadata["metavar"], **settings)


_TYPES: dict[str, Callable[[str], Any]] = {"float": float, "int": as_whole, "str": str}
_OF_MANY = ("labels", "distilled_ridge", "references", "points", "points_per_class")
_FLAGS = {"points_per_class": "--ipc", "sample_weight": "--sample-weights"}


def flag(name: str) -> str:
    """Return the flag of an option."""
    return _FLAGS.get(name, "--" + name.replace("_", "-"))


def in_flags(message: str, *, of_data: bool = False) -> str:
    """Write a message in flags:  name='value',  name=value,  the option that "must", and what only Python has.

    Other names are options where they have several words, but in a message of data, whose columns may have such names.
    What bench says of a method stays, since its options are written there as they are: ``closed-form:mode=nearest``.
    """
    if re.split("[:,]", message, maxsplit=1)[0] in ("closed-form", *METHODS):
        return message

    def in_words(match: re.Match[str]) -> str:
        name, value = match["name"], match["value"].strip("'")
        if name not in options() and name not in _OWN_WORDS:
            return match[0]
        return flag(name) if value == "True" else f"{flag(name)} {shlex.quote(value)}"

    for words, own in _PHRASES.items():
        message = message.replace(words, own)
    message = re.sub(r"(?<![\w/\\-])(?P<name>[a-z_]+)=(?P<value>'[^']*'|[\w.+-]*\w(?![\w/\\]))", in_words, message)
    names = "|".join(sorted(options(), key=len, reverse=True))
    message = re.sub(rf"^({names})(?= must )", lambda match: flag(match[0]), message)
    if of_data:
        return message
    return re.sub(rf"(?<![\w./-])({names})(?![\w=./(-])", _one_name, message)


def _one_name(match: re.Match[str]) -> str:
    """A name of several words is an option wherever it stands; one word may be any noun."""
    return flag(match[0]) if "_" in match[0] else match[0]


_PHRASES = {  # remedies of Python, and those of the command line
    "pass the map itself (feature_map=)": "name it with --features network:PACKAGE.MODULE:FACTORY",
    "pass an array, or choose random ones": "name their .npy or .npz file, or choose random ones",
    "herding, or pass an array": "herding, or name a .npy or .npz file",
}
_OWN_WORDS = (
    *("mode", "loss", "solver", "ridge", "features", "device", "dtype", "seed", "target", "task", "resize", "crop"),
    *("save_module", "settings", "preprocess"),
)


def _add_stats(commands: Any, run: Command) -> None:
    command = commands.add_parser("stats", help="sum a shard of a data set into a file", description=run.__doc__)
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
    _add_common(command, run)
    command.add_argument("--offline", action="store_true", help="never open a socket")


def _add_merge(commands: Any, run: Command) -> None:
    command = commands.add_parser("merge", help="add files of sums", description=run.__doc__)
    command.add_argument("files", nargs="+", type=_path, metavar="FILE")
    command.add_argument("--out", type=_path, default=Path("merged.npz"), metavar="FILE", help="default merged.npz")
    _add_common(command, run)


def _add_verify(commands: Any, run: Command) -> None:
    command = commands.add_parser("verify", help="certify stored sets, or check theorems", description=run.__doc__)
    command.add_argument("files", nargs="*", type=_path, metavar="FILE|DIR", help="distilled.npz or its folder")
    command.add_argument(
        "--allow-inconclusive", action="store_true", help="exit status 0 too where rounding could hide an error"
    )
    _add_code(command)
    command.add_argument("--theorems", nargs="*", metavar="ID", help="check these theorems (all without an ID)")
    command.add_argument("--deep", action="store_true", help="check theorems on many more instances")
    _add_common(command, run)


def _add_code(command: argparse.ArgumentParser) -> None:
    """Add the flag that names the map of a set whose map is code."""
    words = "network:PACKAGE.MODULE:FACTORY of a set on a torch module; weights stored beside the set are read"
    command.add_argument("--features", metavar="MAP", help=words)


def _add_show(commands: Any, run: Command) -> None:
    command = commands.add_parser("show", help="draw a stored set", description=run.__doc__)
    command.add_argument("folder", type=_path, metavar="FILE|DIR", help="distilled.npz or its folder")
    command.add_argument("--format", default="png", choices=("png", "svg", "pdf"), help="of the pictures; default png")
    command.add_argument(
        "--report", choices=("page",), help="page: also the HTML page of the run, from its report.json"
    )
    _add_code(command)
    _add_common(command, run)


def _add_export(commands: Any, run: Command) -> None:
    command = commands.add_parser("export", help="write a stored set in another format", description=run.__doc__)
    command.add_argument("folder", type=_path, metavar="FILE|DIR", help="distilled.npz or its folder")
    words = "; ".join(f"{name}: {kind.about}" for name, kind in FORMATS.items())
    command.add_argument("--to", required=True, choices=tuple(FORMATS), metavar="FORMAT", help=words)
    command.add_argument("--out", type=_path, metavar="PATH", help="file or folder; default beside the set")
    _add_code(command)
    _add_common(command, run)


def _add_data(commands: Any, run: Command) -> None:
    command = commands.add_parser("data", help="list, fetch or find data sets", description=run.__doc__)
    command.add_argument("action", choices=("list", "fetch", "path"))
    command.add_argument("name", nargs="?", help="what to fetch; of list and path: that one alone")
    _add_common(command, run)


def _add_bench(commands: Any, run: Command) -> None:
    text = (
        "Score methods and controls under one protocol: a line of JSON a cell in bench.jsonl, as it is made, then a "
        "table and a plot. Exit status 1 if a cell fails; an interrupt keeps what is done."
    )
    command = commands.add_parser("bench", help="compare methods under one protocol", description=text)
    bench.add_arguments(command)
    _add_reading(command.add_argument, task=False)
    _add_common(command, run)


def _add_common(command: argparse.ArgumentParser, run: Command) -> None:
    command.add_argument("--json", action="store_true", help="print JSON for machines")
    command.add_argument("--quiet", action="store_true", help="print errors only")
    command.set_defaults(run=run)


def _ridge(text: str) -> float | str:
    try:
        return text if text in ("loo", "gcv", "validation") else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected loo, gcv, validation or a number >= 0, got {text!r}") from None


def _path(text: str) -> Path:
    """Return a path in which ~ is the home folder; an empty one, as an unset variable leaves, is no folder."""
    if not text:
        raise argparse.ArgumentTypeError("a path is missing, got ''; name a file or a folder")
    try:
        return expanded(text)
    except DataError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"seed must be an integer >= 0, got {text}")
    return int(text)
