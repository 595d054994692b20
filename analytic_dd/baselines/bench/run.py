"""A run of a benchmark, which makes each set once, scores it by each predictor and survives interrupts."""

from __future__ import annotations

import contextlib
import copy
import datetime
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from analytic_dd.baselines.bench import child
from analytic_dd.baselines.bench.closed_form import closed_form
from analytic_dd.baselines.bench.controls import CONTROLS, control_set
from analytic_dd.baselines.bench.foreign import FOREIGN, foreign_result
from analytic_dd.baselines.bench.journal import KEY, Journal, cell_key, read_rows
from analytic_dd.baselines.bench.plan import Plan, SetCell, settings_of
from analytic_dd.baselines.bench.protocol import Protocol, score
from analytic_dd.baselines.bench.set_file import load_set, save_set
from analytic_dd.baselines.bench.table import draw, table
from analytic_dd.baselines.ledger import Ledger
from analytic_dd.baselines.methods.driver import BaselineResult, distill
from analytic_dd.baselines.methods.method import configured
from analytic_dd.baselines.methods.objective import Objective
from analytic_dd.baselines.methods.registry import METHODS, method_type
from analytic_dd.baselines.methods.task import Task
from analytic_dd.baselines.torch_state import plain_torch
from analytic_dd.data import Dataset, pixels, require_device
from analytic_dd.errors import DataError, shown
from analytic_dd.files import atomic_write

__all__ = ["JOURNAL", "Benchmark", "control_result", "objective_of"]

JOURNAL = "bench.jsonl"

_ERRORS = 300  # letters of an error that a row keeps


class Benchmark:
    """Cells, where their rows go, and how they are scored.

    The folder ``out`` has the rows (``bench.jsonl``), a table and a plot of them (``bench.txt``, ``bench.png``), the
    ``sets``, and the ``states`` from which unfinished distillations go on.

    Parameters
    ----------
    plan : Plan
    datasets : sequence of Dataset
    out : Path
    protocol : Protocol or mapping
    device : str
    budget : float, optional
        Seconds of each distillation.
    resume : bool
    progress : bool
        Whether to show bars on standard error.
    apart : bool
        Whether each cell runs in a process of its own, so that one that is killed costs its cell only. A device other
        than the CPU, methods of the main module and platforms that cannot fork take this process.

    Raises
    ------
    ValueError, DataError
        There is no such device, the budget is not positive, or a data set has no test part.
    """

    def __init__(
        self,
        plan: Plan,
        datasets: Sequence[Dataset],
        *,
        out: Path,
        protocol: Protocol | Mapping[str, Any] | None = None,
        device: str = "cpu",
        budget: float | None = None,
        resume: bool = False,
        progress: bool = False,
        apart: bool = False,
    ) -> None:
        self.apart = apart and device == "cpu" and child.available()
        self.plan, self.out, self.device, self.budget, self.resume = plan, out, device, budget, resume
        self.datasets = {dataset.name: dataset for dataset in datasets}
        self.protocol = configured(Protocol, protocol)
        require_device(device)
        if budget is not None and not budget > 0.0:
            raise ValueError(f"budget must be > 0 seconds, got {budget}")
        for dataset in datasets:
            if not len(dataset.y_test):
                raise DataError(f"{dataset.name} has no test part to be scored on; give x_test and y_test")
        self._bars = _Bars(len(plan), shown=progress)
        self._versions = _versions()

    def run(self) -> int:
        """Do every cell that is not done; return how many failed."""
        self.journal = Journal(self.out / JOURNAL, resume=self.resume)
        if self.journal.repaired:
            _say(f"{self.journal.path}: a torn last line of {self.journal.repaired} bytes was cut off")
        for cell in self.plan.sets:
            self._require_same_settings(cell)
        with self._bars:
            return sum(self._do(cell) for cell in self.plan.sets)

    def dry_run(self) -> list[dict[str, Any]]:
        """Return each cell with its state, and change nothing."""
        rows = {cell_key(row): row for row in read_rows(self.out / JOURNAL)}
        found = []
        for cell in self.plan.sets:
            for predictor in cell.predictors:
                done = self._is_done(rows.get(cell.key(predictor)))
                facts = dict(zip(KEY, cell.key(predictor), strict=True))
                found.append({"cell": f"{cell.label}, {predictor}", "state": "done" if done else "to do"} | facts)
        return found

    def rows(self) -> list[dict[str, Any]]:
        """Return the row of each cell of the journal, with those of earlier runs."""
        return read_rows(self.out / JOURNAL)

    def report(self) -> tuple[list[str], str]:
        """Write the table and the plot from the journal; return the names of all files and the table."""
        rows = self.rows()
        text = table(rows)
        with atomic_write(self.out / "bench.txt") as stream:
            stream.write((text + "\n").encode())
        files = [self.out / JOURNAL, self.out / "bench.txt"]
        if any(row.get("accuracy") is not None for row in rows):
            draw(rows, self.out / "bench.png")
            files.append(self.out / "bench.png")
        return [str(file) for file in files], text

    def _is_done(self, row: Mapping[str, Any] | None) -> bool:
        """Whether there is a row that this run could not better, because it is finished or had at least this budget."""
        if row is None or row.get("error") is not None:
            return False
        if row.get("finished", True) or row.get("budget") is None:
            return True
        return self.budget is not None and float(row["budget"]) >= self.budget

    def _require_same_settings(self, cell: SetCell) -> None:
        """Refuse to mix rows of other settings with new ones."""
        for predictor in cell.predictors:
            row = self.journal.find(cell.key(predictor))
            if row is None or row.get("error") is not None:
                continue
            mine = self._settings(cell, predictor) | {"device": self.device}
            found = dict(row.get("settings", {})) | {"device": row["device"]}
            other = sorted(name for name in mine | found if mine.get(name) != found.get(name))
            if other:
                raise DataError(
                    f"{self.journal.path} has a row of {cell.label}, {predictor}, that was made with other "
                    f"{', '.join(other)}; use the same options, or another --out"
                )

    def _settings(self, cell: SetCell, predictor: str) -> dict[str, Any]:
        return settings_of(cell, predictor, self.datasets[cell.data], self.protocol)

    def _do(self, cell: SetCell) -> int:
        """Make a set if a predictor still wants it, write the row of each, and return how many failed."""
        wanted = [name for name in cell.predictors if not self._is_done(self.journal.find(cell.key(name)))]
        self._bars.advance(len(cell.predictors) - len(wanted))
        if not wanted:
            return 0
        left, failed = list(wanted), 0
        try:
            for predictor, facts in self._found(cell, wanted):
                left.remove(predictor)
                failed += self._append(cell, predictor, facts)
        except ChildProcessError as error:
            failed += sum(self._append(cell, predictor, _failure(error)) for predictor in left)
        return failed

    def _found(self, cell: SetCell, wanted: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield each predictor with what its row says, from a process of its own where that was asked for."""
        if not self.apart:
            return self.scores(cell, wanted)
        alone = copy.copy(self)
        alone.datasets, alone.plan = {cell.data: self.datasets[cell.data]}, Plan((), ())
        alone.journal, alone._bars = None, _Bars(0, shown=self._bars.shown)  # type: ignore[assignment]
        return child.found_in_child(Benchmark.scores, alone, cell, wanted)

    def scores(self, cell: SetCell, wanted: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Make a set and yield each predictor with what its row says."""
        try:
            result = self._made(cell)
            objective = objective_of(result, self.datasets[cell.data])
        except Exception as error:  # one method that fails does not stop the others: its rows say why
            yield from ((predictor, _failure(error)) for predictor in wanted)
            return
        for predictor in wanted:
            try:
                yield predictor, self._scored(cell, predictor, result, objective)
            except Exception as error:
                yield predictor, _failure(error)

    def _made(self, cell: SetCell) -> BaselineResult:
        """Return the stored set of a cell where it is as good, or a new one, which is then stored."""
        dataset, name = self.datasets[cell.data], cell.file_name(self.device) + ".npz"
        path, state = self.out / "sets" / name, self.out / "states" / name
        if self.resume and path.exists():
            result, facts = load_set(path)
            as_good = result.finished or self._is_done({"finished": False, "budget": facts["budget"]})
            if facts["data_sha256"] == dataset.sha256 and as_good:
                return result
        result = self._new(cell, dataset, state)
        if cell.ipc is not None:
            save_set(path, result, budget=self.budget, data_sha256=dataset.sha256)
        if result.finished:
            with contextlib.suppress(FileNotFoundError):
                state.unlink()
        return result

    def _new(self, cell: SetCell, dataset: Dataset, state: Path) -> BaselineResult:
        method, options = cell.variant.method, dict(cell.variant.options)
        if method == FOREIGN:
            return foreign_result(Path(options["file"]), dataset, units=options["units"], index=cell.seed)
        if method in CONTROLS:
            return control_result(method, dataset, cell.ipc or 1, seed=cell.seed)
        assert cell.ipc is not None
        if method == "closed-form":
            return closed_form(dataset, points_per_class=cell.ipc, seed=cell.seed, config=options)
        steps = configured(method_type(method).config_type, options).steps
        with self._bars.steps(cell.label, steps) as callback:
            return distill(
                method,
                dataset,
                points_per_class=cell.ipc,
                seed=cell.seed,
                device=self.device,
                config=options,
                callback=callback,
                budget=self.budget,
                state_file=state,
                resume=self.resume,
            )

    def _scored(
        self, cell: SetCell, predictor: str, result: BaselineResult, objective: Objective | None
    ) -> dict[str, Any]:
        found = score(predictor, result, self.datasets[cell.data], protocol=self.protocol, device=self.device)
        row: dict[str, Any] = {
            "accuracy": found.accuracy,
            "accuracy_std": found.std,
            "seconds": result.ledger.wall_seconds,
        }
        row |= {"finished": result.finished, "steps": result.steps, "points": len(result.inputs)}
        row |= {"accuracies": found.accuracies, "evaluation_seconds": found.seconds, "details": found.details}
        if objective is not None:
            row["objective"] = asdict(objective) | {"gap": objective.gap}
        return row | {"learned": result.learned, "config": result.config, "ledger": result.ledger.to_dict()}

    def _append(self, cell: SetCell, predictor: str, facts: Mapping[str, Any]) -> bool:
        """Write a row, and return whether it failed."""
        if "error" in facts:
            _say(f"{cell.label}, {predictor}: {facts['error']}")
        row = dict(zip(KEY, cell.key(predictor), strict=True)) | dict(facts)
        row |= {"device": self.device, "budget": self.budget, "settings": self._settings(cell, predictor)}
        row |= {"versions": self._versions, "threads": torch.get_num_threads()}
        row["written"] = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self.journal.append(row)
        self._bars.advance(1)
        return "error" in facts


def _failure(error: Exception) -> dict[str, Any]:
    """Return what the row of a cell that failed says."""
    words = " ".join(f"{type(error).__name__}: {error}".split())[:_ERRORS]
    return {"accuracy": None, "accuracy_std": None, "seconds": None, "error": words}


def control_result(name: str, dataset: Dataset, points_per_class: int, *, seed: int) -> BaselineResult:
    """Return a control as a result, whose ledger has the seconds that it took."""
    ledger = Ledger(steps=1)
    with ledger.timed():
        inputs, y = control_set(name, dataset, points_per_class, seed=seed)
    whole = name == "full"  # which is not copied once more
    return BaselineResult(
        inputs=inputs,
        x=dataset.x_train if whole else pixels(inputs, *dataset.statistics(), dataset.image_shape),
        y=y,
        classes_of_points=y.argmax(axis=1),
        method=name,
        config={},
        seed=seed,
        device="cpu",
        steps=1,
        finished=True,
        ledger=ledger,
    )


@plain_torch()
def objective_of(result: BaselineResult, dataset: Dataset) -> Objective | None:
    """Return what the method of a set minimises there, and the optimum; None where no closed form is known (T20)."""
    if result.method not in METHODS:
        return None
    kind = method_type(result.method)
    task, config = Task.of(dataset, dtype=kind.dtype), configured(kind.config_type, result.config)
    per_class = len(result.inputs) // task.k
    method = kind(task, config, points_per_class=per_class, seed=result.seed, ledger=Ledger())
    return method.objective(result.inputs, result.y, result.learned)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "machine": platform.machine()}
    with contextlib.suppress(PackageNotFoundError):
        found["analytic-dd"] = version("analytic-dd")
    found |= {"numpy": np.__version__, "torch": str(torch.__version__)}
    if torch.cuda.is_available():
        found |= {"cuda": str(torch.version.cuda), "gpu": torch.cuda.get_device_name()}
    return found


def _say(line: str) -> None:
    print(f"analytic-dd: {shown(line, most=10 * _ERRORS)}", file=sys.stderr)


class _Bars:
    """Two tqdm bars with the time left, of cells and of steps; they are shown on a terminal only."""

    def __init__(self, cells: int, *, shown: bool) -> None:
        self.cells, self.shown = cells, shown
        self._outer: Any = None

    def __enter__(self) -> _Bars:
        if self.shown:
            from tqdm import tqdm

            self._outer = tqdm(total=self.cells, desc="cells", unit=" cells")
        return self

    def __exit__(self, *error: object) -> None:
        if self._outer is not None:
            self._outer.close()
            self._outer = None

    def advance(self, cells: int) -> None:
        """Count cells as done."""
        if self._outer is not None:
            self._outer.update(cells)

    @contextlib.contextmanager
    def steps(self, label: str, total: int) -> Any:
        """Show the steps of a distillation, and yield its callback."""
        if not self.shown:
            yield None
            return
        from tqdm import tqdm

        with tqdm(total=total, desc=label, unit=" steps", leave=False, position=1) as bar:
            yield _callback(bar)


def _callback(bar: Any) -> Callable[[int, float, Any], None]:
    shown = time.monotonic()

    def callback(steps: int, loss: float, method: Any) -> None:
        nonlocal shown
        bar.update(steps - bar.n)
        if time.monotonic() - shown > 1.0:
            bar.set_postfix_str(f"loss {loss:.3g}")
            shown = time.monotonic()

    return callback
