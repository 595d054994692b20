"""What reads a mutated file, and what it must hold: an answer, or one clear line of our own."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import signal
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analytic_dd import cli, data, load_distilled
from analytic_dd.baselines import distill
from analytic_dd.baselines.bench.command import _read_config
from analytic_dd.baselines.bench.journal import Journal, read_rows
from analytic_dd.baselines.bench.set_file import load_set
from analytic_dd.baselines.bench.table import table
from analytic_dd.data import Dataset, Reading, read_references
from analytic_dd.data.array_files import moments_for
from analytic_dd.errors import DivergenceError
from analytic_dd.features import from_spec
from analytic_dd.features.modules import load_weights
from analytic_dd.io import DistilledSet
from analytic_dd.linalg import Sums
from analytic_dd.report import write_page
from fuzz.seeds import EXPERTS, module

__all__ = ["PLACE", "TARGETS", "Fault", "Target", "judged", "within"]

PLACE = "mutated"  # the folder that a mutated file lies in, or in a folder of
_REFUSALS = (ValueError, TypeError, OSError, DivergenceError)  # what the command line turns into one line
_WAITING = 15.0  # times the seconds of work that a reader may take
_FORGED = 1e-6  # of W: far more than rounding leaves where the verdict is pass
_MOST_STEPS = 1_000  # of a descent that is walked


class Fault(AssertionError):
    """A traceback, a hang, a message of another library, or a set that is accepted and wrong."""


@dataclass(frozen=True)
class Target:
    """A reader of files, and how these are mutated."""

    read: Callable[[Path], Any]
    kind: str  # of mutation, unless the name of the file says another

    def kind_of(self, seed: Path) -> str:
        """How a seed is mutated."""
        known = {".tar": "tar", ".gz": "tar", ".xz": "tar", ".zip": "zip", ".npz": "npz", ".npy": "npy"}
        known |= {".parquet": "parquet", ".safetensors": "safetensors"}
        return "bytes" if seed.name.endswith("ubyte.gz") else known.get(seed.suffix, self.kind)


def judged(stored: DistilledSet) -> None:
    """A set that passes with no false claim must hold W: an independent solver refits it."""
    found = stored.certify()
    if found.verdict != "pass" or stored.false_claims(found) or stored.meta.get("loss", "squared") != "squared":
        return
    Phis, W, b = stored.feature_map(stored.inputs), stored.w, stored.intercept
    Y = stored.y
    if b is not None:
        Phis, Y = Phis - Phis.mean(axis=0), Y - Y.mean(axis=0)
    unit = float(np.abs(Phis).max()) or 1.0
    rows = np.vstack([Phis / unit, np.sqrt(stored.ridge) / unit * np.eye(Phis.shape[1])])
    Ws = np.linalg.lstsq(rows, np.vstack([Y, np.zeros((Phis.shape[1], Y.shape[1]))]), rcond=None)[0].T / unit
    scale = np.abs(W).max() or 1.0
    error = np.linalg.norm((Ws - W) / scale) / max(np.linalg.norm(W / scale), 1e-300)
    if not error < _FORGED:
        raise Fault(f"accepted with an error of {error:.2g} in W: {found}")
    if stored.descent is not None:
        _walked(stored, Phis, Y)


def _walked(stored: DistilledSet, Phis: np.ndarray, Y: np.ndarray) -> None:
    """Accepted weights of steps must be those of plain gradient descent, to what the file says."""
    facts, W, missed = stored.meta["diagnostics"], np.zeros_like(stored.w), []
    if max(facts["steps_at"]) > _MOST_STEPS:
        return
    for t in range(1, max(facts["steps_at"]) + 1):
        W = W - facts["step"] * (Phis @ W.T - Y).T @ Phis
        if t in facts["steps_at"]:
            missed.append(np.linalg.norm(W - stored.descent[len(missed)], axis=1))
    way = np.linalg.norm(stored.descent, axis=2).max(axis=0)
    error = float(np.max(np.max(missed, axis=0) / np.where(way > 0.0, way, 1.0)))
    if not error <= facts["output_error"] + _FORGED:
        raise Fault(f"accepted with steps that are {error:.2g} from those that are stored")


def _set(path: Path) -> None:
    stored = load_distilled(path)
    repr(stored), stored._repr_html_(), stored.to_numpy()
    judged(stored)


def _sums(path: Path) -> None:
    total = Sums.load(path)
    if not (np.isfinite(total.G).all() and np.isfinite(total.C).all()):
        raise Fault("sums that are no numbers")
    arguments = ["distill", "--from-stats", str(path), "--out", str(path.with_suffix(".out")), "--no-picture"]
    _commanded(arguments)


def _commanded(arguments: list[str]) -> None:
    """Run a command: it may refuse in one line, and has no other end."""
    said, complained = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
        status = cli.main(arguments)
    lines = [line for line in complained.getvalue().splitlines() if "Warning" not in line and not line.startswith("  ")]
    if status not in (0, 1, 2) or (status == 2 and len(lines) != 1):
        raise Fault(f"status {status}: {complained.getvalue()[:500]}")


def _dataset(path: Path) -> None:
    dataset = data.load(path, offline=True)
    dataset.statistics(), dataset.class_means() if isinstance(dataset, Dataset) else None


def _references(path: Path) -> None:
    x = np.zeros((4, 4, 4), np.uint8)
    read_references(path, Dataset.from_arrays(x, [0, 1, 0, 1]))


def _npy(path: Path) -> None:
    """Weights of samples, or a table of numbers."""
    if path.stem == "table":
        data.load(path, offline=True, reading=Reading(target="-1"))
        return
    x = np.arange(30 * 16, dtype=np.uint8).reshape(30, 4, 4)
    data.weights_of_samples(str(path), Dataset.from_arrays(x, np.arange(30) % 3, x[:3], np.arange(3)))


def _moments(path: Path) -> None:
    mean, std = moments_for(_small(), str(path))
    if not (np.isfinite(mean).all() and (std > 0.0).all()):
        raise Fault("moments that are no numbers")


def _map(path: Path) -> None:
    """A specification is rebuilt, within bounds, and maps an input."""
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):  # files that hold a specification are read by targets of their own
        found = None
    phi = from_spec(found, d=16)
    if phi(np.zeros((2, 16))).shape != (2, phi.p):
        raise Fault("a map of another size than it says")


def _module(path: Path) -> None:
    load_weights(module(), path)


def _report(path: Path) -> None:
    """A report beside its set, of which a page is written."""
    write_page(path.parent)


def _image(path: Path) -> None:
    from analytic_dd.data.image import decode

    decode(path.read_bytes())


def _folder(path: Path) -> None:
    """A mutated file in its place in a folder."""
    _dataset(next(parent for parent in path.parents if parent.name == PLACE))


def _journal(path: Path) -> None:
    rows = read_rows(path)
    table(rows)
    Journal(path, resume=True)


def _state(path: Path) -> None:
    config = {"width": 3, "depth": 1, "steps": 1, "batch": 4}
    distill("dm", _small(), config=config, state_file=path, resume=True)


def _small() -> Dataset:
    """The data set of the seeds."""
    x, y = np.random.default_rng(0).integers(0, 256, (30, 4, 4), dtype=np.uint8), np.arange(30) % 3
    return Dataset.from_arrays(x, y, x[:6], y[:6])


def _expert(path: Path) -> None:
    distill("mtt", _small(), config=EXPERTS | {"expert_folder": path.parent})


def _config(path: Path) -> None:
    from analytic_dd.baselines.bench.plan import parse_variant, plan

    x, y = np.zeros((6, 4, 4), np.uint8), np.arange(6) % 2
    dataset = Dataset.from_arrays(x, y, x, y)
    plan([dataset], parse_variant("dm"), ipcs=[1], seeds=[0], predictors=["ridge"], config=_read_config(path))


TARGETS = {
    "sets": Target(_set, "npz"),
    "sums": Target(_sums, "npz"),
    "arrays": Target(_dataset, "npz"),
    "references": Target(_references, "npz"),
    "moments": Target(_moments, "npz"),
    "npy": Target(_npy, "npy"),
    "images": Target(_image, "bytes"),
    "folders": Target(_folder, "bytes"),
    "idx": Target(_folder, "bytes"),
    "archives": Target(_dataset, "zip"),
    "cifar": Target(lambda path: _dataset(path) if path.suffix == ".gz" else _folder(path), "bytes"),
    "tables": Target(_dataset, "bytes"),
    "reports": Target(_report, "json"),
    "maps": Target(_map, "json"),
    "modules": Target(_module, "safetensors"),
    "journals": Target(_journal, "lines"),
    "states": Target(_state, "npz"),
    "method sets": Target(lambda path: table_of(load_set(path)), "npz"),
    "experts": Target(_expert, "npz"),
    "configs": Target(_config, "json"),
}


def table_of(loaded: Any) -> None:
    """Ask of a loaded set of a method what a benchmark asks."""
    result, _ = loaded
    if not len(result.inputs) == len(result.y) == len(result.x):
        raise Fault("a set of parts that do not fit")


def within(seconds: float, read: Callable[[Path], Any], path: Path) -> str:
    """Read a file; return ``read`` or ``refused``, or raise a :class:`Fault`."""
    with _alarm(seconds), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            read(path)
        except Fault:
            raise
        except _REFUSALS as error:
            innermost = traceback.extract_tb(error.__traceback__)[-1].filename
            if "analytic_dd" not in innermost:
                raise Fault(f"{type(error).__name__} of {innermost}: {error}") from error
            return "refused"
        except BaseException as error:
            raise Fault(f"{type(error).__name__}: {str(error)[:300]}") from error
        finally:
            shutil.rmtree(path.with_suffix(".out"), ignore_errors=True)
    return "read"


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise TimeoutHang

    # seconds of work, so that a busy machine is no hang; and of waiting, for what never comes
    timers = ((signal.SIGPROF, signal.ITIMER_PROF, seconds), (signal.SIGALRM, signal.ITIMER_REAL, _WAITING * seconds))
    before = [signal.signal(number, stop) for number, _, _ in timers]
    for _, timer, limit in timers:
        signal.setitimer(timer, limit)
    try:
        yield
    finally:
        for (number, timer, _), handler in zip(timers, before, strict=True):
            signal.setitimer(timer, 0.0)
            signal.signal(number, handler)


class TimeoutHang(BaseException):
    """The alarm: no reader may take so long for a file of some kilobytes."""
