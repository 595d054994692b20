"""Experts: networks that are trained on the training part and keep their weights after every epoch."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from analytic_dd.baselines.ledger import Ledger
from analytic_dd.baselines.methods.task import Task
from analytic_dd.baselines.nets.augment import Augmentation
from analytic_dd.baselines.nets.network import Network, Parameters
from analytic_dd.baselines.nets.training import Course, weights_by_epoch
from analytic_dd.errors import DataError, DivergenceError
from analytic_dd.files import read_npz, write_npz

__all__ = ["Experts", "Training", "Trajectory", "train_expert"]

FORMAT = "analytic_dd.Expert/1"

_STREAM = zlib.crc32(b"experts")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Training:
    """How an expert is trained; the step size is constant, so that fewer epochs are the beginning of more."""

    epochs: int
    lr: float = 0.01
    batch: int = 256  # size of a batch; a batch that holds all samples keeps their order
    scheme: str = "uniform"  # how the first weights are drawn, see :meth:`Network.draw`
    augmentation: Augmentation | None = None  # each batch goes through one operation, with parameters for each image
    every: bool = True  # whether to keep the weights of every epoch, or of the last alone


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Weights after epochs, where epoch 0 is before training."""

    snapshots: Parameters  # dict of str to (epochs + 1 - first, ...) tensor: copies on the CPU
    seconds: np.ndarray  # (epochs, 2): wall and CPU time of each epoch
    first: int = 0  # the first epoch whose weights were kept

    @property
    def epochs(self) -> int:
        """Number of epochs."""
        return len(self.seconds)

    @property
    def nbytes(self) -> int:
        """Bytes of all weights."""
        return sum(value.numel() * value.element_size() for value in self.snapshots.values())

    def at(self, epoch: int, device: torch.device | str = "cpu") -> Parameters:
        """Return copies of the weights after ``epoch`` epochs."""
        if not self.first <= epoch <= self.epochs:
            raise IndexError(f"epoch must be {self.first} .. {self.epochs}, got {epoch}")
        return {name: value[epoch - self.first].clone().to(device) for name, value in self.snapshots.items()}

    def beginning(self, epochs: int) -> Trajectory | None:
        """Return the first epochs, or None where their weights were not kept."""
        if epochs == self.epochs:
            return self
        if self.first or epochs > self.epochs:
            return None
        return Trajectory({name: value[: epochs + 1] for name, value in self.snapshots.items()}, self.seconds[:epochs])


def train_expert(network: Network, task: Task, training: Training, *, generator: torch.Generator) -> Trajectory:
    """Train a network and keep copies of its weights.

    The ``generator``, on the CPU, draws the first weights, the order of the samples and the augmentation.

    Raises
    ------
    DivergenceError
        Weights are not finite.

    Notes
    -----
    *Cost.* epochs * n passes forward and backward, (epochs + 1) times the size of the network in memory.
    """
    first = network.draw(generator, scheme=training.scheme, device=task.device, dtype=task.dtype)
    kept, seconds = [_copy(first)], []
    course = Course(training.epochs, training.batch, training.lr, augmentation=training.augmentation)
    started = time.perf_counter(), time.process_time()
    for weights in weights_by_epoch(network, first, task.samples, task.n, course, generators=[generator]):
        kept = [*kept, _copy(weights)] if training.every else [_copy(weights)]
        now = time.perf_counter(), time.process_time()
        seconds.append((now[0] - started[0], now[1] - started[1]))
        started, done = now, len(seconds)
        if not all(bool(value.isfinite().all()) for value in kept[-1].values()):
            raise DivergenceError(
                f"the weights of an expert are not finite after epoch {done}; lower expert_lr, {training.lr:g} now"
            )
        left = seconds[-1][0] * (training.epochs - done)
        _log.info("epoch %d of %d: %.1f s, %.0f s left", done, training.epochs, seconds[-1][0], left)
    snapshots = {name: torch.stack([copy[name] for copy in kept]) for name in first}
    seconds_by_epoch = np.array(seconds, dtype=np.float64).reshape(-1, 2)
    return Trajectory(snapshots, seconds_by_epoch, 0 if training.every else training.epochs)


def _copy(weights: Parameters) -> Parameters:
    return {name: value.detach().cpu().clone() for name, value in weights.items()}


class Experts:
    """Experts by their number. Each is trained, or read from a folder, when it is first asked for.

    So a run pays for no more experts than it meets. Expert i depends on the seed and i alone, hence a resumed run meets
    the same experts.

    Parameters
    ----------
    network : Network
    task : Task
    training : Training
    seed : int
    ledger : Ledger
        It counts the passes and the bytes of each expert once, and the seconds that an expert from a file once took.
    folder : path, optional
        Every expert that is trained is written to a file there; a file of more epochs serves as well.
    memory : float
        Bytes of experts to hold in memory where the folder has them too; without a folder all stay in memory.

    Attributes
    ----------
    counted : set of int
        The experts that the ledger has counted, which are part of the state of a run.
    """

    def __init__(
        self,
        network: Network,
        task: Task,
        training: Training,
        *,
        seed: int,
        ledger: Ledger,
        folder: str | Path | None = None,
        memory: float = 2e9,
    ) -> None:
        self.network, self.task, self.training = network, task, training
        self.seed, self.ledger, self.memory = seed, ledger, memory
        self.folder = None if folder is None else Path(folder)
        self.counted: set[int] = set()
        self._kept: OrderedDict[int, Trajectory] = OrderedDict()
        self._identity: dict[str, Any] = {}

    def __getitem__(self, index: int) -> Trajectory:
        """Return an expert."""
        if index not in self._kept:
            stored = self._read(index)
            found = self._train(index) if stored is None else stored
            self._count(index, found, seconds=stored is not None)
            self._kept[index] = found
        self._kept.move_to_end(index)
        while self.folder is not None and len(self._kept) > 1 and self._bytes() > self.memory:
            self._kept.popitem(last=False)
        return self._kept[index]

    def passes(self, count: int) -> dict[str, int]:
        """Return what ``count`` experts add to the ledger."""
        n, epochs, size = self.task.n, self.training.epochs, self.network.size()
        item = torch.empty(0, dtype=self.task.dtype).element_size()
        return {
            "real_forward": count * epochs * n,
            "real_backward": count * epochs * n,
            "network_steps": count * epochs * math.ceil(n / self.training.batch),
            "expert_bytes": count * (epochs + 1 if self.training.every else 1) * size * item,
        }

    def _bytes(self) -> int:
        return sum(found.nbytes for found in self._kept.values())

    def _count(self, index: int, found: Trajectory, *, seconds: bool) -> None:
        if index in self.counted:
            return
        self.counted.add(index)
        self.ledger.add(**self.passes(1))
        if seconds:
            self.ledger.wall_seconds += float(found.seconds[:, 0].sum())
            self.ledger.cpu_seconds += float(found.seconds[:, 1].sum())

    def _train(self, index: int) -> Trajectory:
        _log.info("expert %d is trained for %d epochs", index, self.training.epochs)
        generator = torch.Generator().manual_seed(
            int(np.random.default_rng([self.seed, _STREAM, index]).integers(2**63))
        )
        found = train_expert(self.network, self.task, self.training, generator=generator)
        if self.folder is not None:
            identity = json.dumps(self.identity(index)).encode()
            arrays = {f"weights/{name}": value.numpy() for name, value in found.snapshots.items()}
            arrays |= {"seconds": found.seconds, "meta": np.frombuffer(identity, dtype=np.uint8)}
            write_npz(self.path(index), arrays)
        return found

    def _read(self, index: int) -> Trajectory | None:
        """Return the stored expert, or None where no file has enough epochs."""
        if self.folder is None or not self.path(index).exists():
            return None
        path = self.path(index)
        stored = read_npz(path)
        try:
            found, seconds = json.loads(bytes(stored["meta"]).decode()), stored["seconds"]
            snapshots = {
                name.removeprefix("weights/"): torch.from_numpy(value)
                for name, value in stored.items()
                if name.startswith("weights/")
            }
            shapes = {name: tuple(value.shape[1:]) for name, value in snapshots.items()}
            whole = Trajectory(snapshots, seconds, 0 if self.training.every else len(seconds))
            lengths = {len(value) for value in snapshots.values()} | {whole.epochs + 1 - whole.first}
            if found != self.identity(index) or shapes != self.network.shapes() or len(lengths) != 1:
                raise ValueError("it is another expert")
            if not all(value.dtype == self.task.dtype and value.isfinite().all() for value in snapshots.values()):
                raise ValueError(f"its weights must be finite {self.task.dtype}")
            if seconds.ndim != 2 or seconds.shape[1] != 2 or seconds.dtype != np.float64:
                raise ValueError(f"its seconds must be (epochs, 2) of float64, got {seconds.shape} of {seconds.dtype}")
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise DataError(f"{path} is not the expert it should be ({error}); remove it") from error
        return whole.beginning(self.training.epochs)

    def path(self, index: int) -> Path:
        """Return the file of an expert, whose name has a hash of how the expert was trained and on what."""
        digest = hashlib.sha256(json.dumps(self.identity(0), sort_keys=True).encode()).hexdigest()[:16]
        assert self.folder is not None
        return self.folder / f"expert-{digest}-{index:04d}.npz"

    def identity(self, index: int) -> dict[str, Any]:
        """Return all that an expert depends on, except for the number of epochs."""
        if not self._identity:
            training, task = self.training, self.task
            self._identity = {
                "format": FORMAT,
                "data": _digest(task),
                "network": f"{type(self.network).__name__} {self.network.shape} {self.network.shapes()}",
                "lr": training.lr,
                "batch": training.batch,
                "scheme": training.scheme,
                "augmentation": repr(training.augmentation),
                "every": training.every,
                "dtype": str(task.dtype),
                "device": task.device.type,
                "seed": self.seed,
            }
        return self._identity | {"index": index}


def _digest(task: Task) -> str:
    """Return a hash of the samples, their normalisation and their classes."""
    found = hashlib.sha256()
    for value in (task.stored, task.classes_of, task.mean, task.std):
        array = value.cpu().numpy()
        found.update(f"{array.shape} {array.dtype}".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()
