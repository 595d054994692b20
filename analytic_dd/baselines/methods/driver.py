"""Run an iterative method, within a budget, with a state file from which a run that was stopped goes on."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from analytic_dd.baselines.ledger import Ledger
from analytic_dd.baselines.methods.method import Config, Method, configured
from analytic_dd.baselines.methods.registry import method_type
from analytic_dd.baselines.methods.task import Task
from analytic_dd.baselines.torch_state import plain_torch
from analytic_dd.cluster import over_dask
from analytic_dd.data import Dataset, pixels, require_device
from analytic_dd.errors import DataError, DivergenceError
from analytic_dd.files import read_npz, write_npz

__all__ = ["BaselineResult", "Callback", "distill"]

FORMAT = "analytic_dd.BaselineState/2"

Callback = Callable[[int, float, Method], None]  # steps done, loss, the method as it is now


@dataclass(frozen=True)
class BaselineResult:
    """A synthetic set and what it took.

    Attributes
    ----------
    inputs : (m, d) float64 array
        Normalised by the channel moments of the training part, channels last as everywhere in the library.
    x : (m, *image_shape) float64 array
        The same points in the data's units.
    y : (m, k) float64 array
        One-hot labels, or those that the method learned.
    classes_of_points : (m,) int array
        The class that each point started from.
    method : str
    config : dict
    seed : int
    device : str
    steps : int
        Number of steps that were done.
    finished : bool
        Whether these are all of ``config.steps``; False where a budget ended the run.
    losses : list of (step, seconds, loss)
    learned : dict
        Other numbers that were learned, such as a step size.
    ledger : Ledger
    weights : (k, p) array or None
        What ridge regression on the set reproduces at ``learned["ridge"]``, where the method promises some.
    features : mapping or None
        The specification of the map that goes with them.
    """

    inputs: np.ndarray
    x: np.ndarray
    y: np.ndarray
    classes_of_points: np.ndarray
    method: str
    config: dict[str, Any]
    seed: int
    device: str
    steps: int
    finished: bool
    losses: list[tuple[int, float, float]] = field(default_factory=list)
    learned: dict[str, float] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)
    weights: np.ndarray | None = None
    features: Mapping[str, Any] | None = None


def distill(
    method: str,
    dataset: Dataset,
    *,
    points_per_class: int = 1,
    seed: int = 0,
    device: str = "cpu",
    config: Config | Mapping[str, Any] | None = None,
    callback: Callback | None = None,
    budget: float | None = None,
    state_file: str | Path | None = None,
    resume: bool = False,
    save_every: float = 60.0,
    dask: Any = None,
) -> BaselineResult:
    """Distil the training part of a data set by an iterative method.

    Parameters
    ----------
    method : str
        kip, label-solve, dc, dsa, dm, mtt, dd, ld, lgm, cafe, a name that was registered, or MODULE:CLASS.
    dataset : Dataset
        The method sees only its training part.
    points_per_class : int
    seed : int
        It determines everything random. The global state of torch (random numbers, default dtype and device, autocast,
        gradients) and the random state of numpy are neither read nor changed.
    device : str
        Any torch device.
    config : Config or mapping, optional
        Options of the method; they have the published values by default.
    callback : callable, optional
        ``callback(steps_done, loss, method)`` is called after every step, where ``method.result()`` is the set so far.
    budget : float, optional
        Seconds inside the steps after which the run stops unfinished.
    state_file : path, optional
        The state is written there about every ``save_every`` seconds, at the end and on an interrupt. When the loss is
        not finite, it is the last good state.
    resume : bool
        Whether to continue from ``state_file`` where it exists.
    dask : distributed.Client, str or int, optional
        A client, the address of a scheduler or a number of workers to start, which compute convolutional kernels and
        their gradients in pieces; the result has the same bits for any number of workers.

    Raises
    ------
    DivergenceError
        The loss is not finite; the message names the step and what to change.
    ValueError, DataError
        The method, an option or the device is unknown, points_per_class < 1, or the state is that of another run.
    MemoryError
        The device has too little memory; the message says what to lower.

    Notes
    -----
    *Numerics.* On a CPU two runs with one seed and one number of threads are equal bit for bit. On CUDA the order of
    sums may change, so that runs agree to rounding at first and drift apart as training amplifies it.
    """
    kind = method_type(method)
    if points_per_class < 1 or seed < 0:
        raise ValueError(f"points_per_class must be >= 1 and seed >= 0, got {points_per_class} and {seed}")
    if budget is not None and not budget > 0.0:
        raise ValueError(f"budget must be > 0 seconds, got {budget}")
    settings = configured(kind.config_type, config)
    require_device(device)
    try:
        with plain_torch(), over_dask(dask):
            run = _Run(kind, dataset, settings, points_per_class, seed, device)
            if resume and state_file is not None and Path(state_file).exists():
                run.load(Path(state_file))
            else:
                run.begin()
            run.go(callback, budget, None if state_file is None else Path(state_file), save_every)
            return run.result()
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise MemoryError(
            f"{method} on {device} ran out of memory; lower the batch, the unrolled steps or the points a class"
        ) from error


@dataclass(frozen=True)
class _Moment:
    """A state, the ledger and the number of losses that belong to it."""

    state: Mapping[str, torch.Tensor]
    ledger: Mapping[str, Any]
    losses: int


class _Run:
    """One run: the method, its counters, and the last good state."""

    def __init__(
        self, kind: type[Method], dataset: Dataset, config: Config, points_per_class: int, seed: int, device: str
    ) -> None:
        self.dataset, self.device = dataset, device
        self.ledger = Ledger()
        task = Task.of(dataset, device=device, dtype=kind.dtype)
        self.method = kind(task, config, points_per_class=points_per_class, seed=seed, ledger=self.ledger)
        self.config = config
        self.losses: list[tuple[int, float, float]] = []
        self.saved_at = 0.0

    def identity(self) -> dict[str, Any]:
        """Return the facts of a run that a state belongs to."""
        found: dict[str, Any] = {"format": FORMAT, "method": self.method.name, "data": self.dataset.sha256}
        found |= {"points_per_class": self.method.points_per_class, "seed": self.method.seed}
        found["config"] = {name: value for name, value in asdict(self.config).items() if name != "steps"}
        return dict(json.loads(json.dumps(found)))

    def begin(self) -> None:
        with self.ledger.timed(self.device):
            self.method.start()

    def go(self, callback: Callback | None, budget: float | None, state_file: Path | None, save_every: float) -> None:
        good = None if state_file is None else self.moment()
        try:
            while self.ledger.steps < self.config.steps:
                if budget is not None and self.ledger.wall_seconds >= budget:
                    break
                loss = self.step(self.ledger.steps)
                self.ledger.steps += 1
                self.losses.append((self.ledger.steps, self.ledger.wall_seconds, loss))
                if state_file is not None:
                    good = self.moment()
                    if self.ledger.wall_seconds - self.saved_at > save_every:
                        self.save(state_file, good)
                if callback is not None:
                    callback(self.ledger.steps, loss, self.method)
        except DivergenceError as error:
            where = "" if state_file is None else f"; the state before it is in {state_file}"
            raise DivergenceError(f"{self.method.name}: {error}{where}") from error
        finally:
            if state_file is not None and good is not None:
                self.save(state_file, good)

    def moment(self) -> _Moment:
        """Return the state with what was counted up to it: an interrupt comes before all of it, or after."""
        return _Moment(self.method.state(), self.ledger.to_dict(), len(self.losses))

    def step(self, index: int) -> float:
        """Do a step and return its loss, a finite number."""
        with self.ledger.timed(self.device):
            loss = self.method.step(index)
        if not math.isfinite(loss):
            raise DivergenceError(f"the loss of step {index} is {loss}; {self.method.knob}")
        return loss

    def save(self, path: Path, good: _Moment) -> None:
        meta: dict[str, Any] = {"identity": self.identity(), "ledger": good.ledger}
        arrays = {f"state/{name}": value.detach().cpu().numpy() for name, value in good.state.items()}
        arrays["losses"] = np.array(self.losses[: good.losses], dtype=np.float64).reshape(-1, 3)
        meta["sha256"] = _digest(meta, arrays)
        write_npz(path, arrays | {"meta": np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)})
        self.saved_at = self.ledger.wall_seconds

    def load(self, path: Path) -> None:
        stored = read_npz(path)
        try:
            meta = json.loads(bytes(stored.pop("meta")).decode())
            found = meta["identity"]
            whole = meta["sha256"] == _digest({"identity": found, "ledger": meta["ledger"]}, stored)
            if not whole:
                raise ValueError("its checksum is another")
            ledger, losses = Ledger.from_dict(meta["ledger"]), stored.pop("losses")
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise DataError(f"{path} is not the state of a run, or is damaged; remove it or name another") from error
        mine = self.identity()
        other = [name for name, value in mine.items() if found.get(name) != value]
        if other:
            raise DataError(f"{path} is the state of another run ({', '.join(other)} differ); name another state file")
        state = {name.removeprefix("state/"): torch.from_numpy(value) for name, value in stored.items()}
        self.method.restore({name: value.to(self.device) for name, value in state.items()})
        for name, value in ledger.to_dict().items():
            setattr(self.ledger, name, value)
        self.losses = [(int(step), float(seconds), float(loss)) for step, seconds, loss in losses]
        self.saved_at = self.ledger.wall_seconds

    def result(self) -> BaselineResult:
        task, method = self.method.task, self.method
        images, labels = method.result()
        rows = task.as_rows(images.detach().double()).cpu().numpy()
        mean, std = task.mean.double().cpu().numpy(), task.std.double().cpu().numpy()
        return BaselineResult(
            inputs=rows,
            x=pixels(rows, mean, std, task.image_shape),
            y=labels.detach().double().cpu().numpy(),
            classes_of_points=method.classes_of_points.cpu().numpy(),
            method=method.name,
            config=asdict(self.config),
            seed=method.seed,
            device=self.device,
            steps=self.ledger.steps,
            finished=self.ledger.steps >= self.config.steps,
            losses=self.losses,
            learned=method.learned(),
            ledger=self.ledger,
        )


def _digest(meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of a state: a step from damaged numbers would go on without a word."""
    found = hashlib.sha256(json.dumps(meta, sort_keys=True).encode())
    for name, value in sorted(arrays.items()):
        found.update(f"{name} {value.dtype.str} {value.shape}".encode())
        found.update(np.ascontiguousarray(value).tobytes())
    return found.hexdigest()
