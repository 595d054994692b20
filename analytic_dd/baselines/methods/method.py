"""What every iterative method has: a synthetic set, a step that improves it, and a state that a run resumes from."""

from __future__ import annotations

import math
import numbers
import os
import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
import torch

from analytic_dd.baselines.ledger import Ledger
from analytic_dd.baselines.methods.task import Task, class_major_labels
from analytic_dd.errors import unknown_word

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from analytic_dd.baselines.methods.objective import Objective

__all__ = [
    "Config",
    "Method",
    "configured",
    "named",
    "part",
]

_WORDS = {bool: "true or false", int: "an integer", float: "a number", str: "text"}
_TYPES: dict[Any, Any] = {int: numbers.Integral, float: numbers.Real, str: (str, os.PathLike)}

_C = TypeVar("_C", bound="DataclassInstance")


@dataclass(frozen=True)
class Config:
    """Options that every method has, the number of outer steps; a method adds its own, with published defaults."""

    steps: int = 1000

    quick: ClassVar[Mapping[str, Any]] = {}  # options with which ten digits take seconds on one core
    own_predictor: ClassVar[str | None] = None  # krr-own or own-steps: scores a set as the method does
    learns_step_size: ClassVar[bool] = False  # whether ``learned()`` has a ``step_size`` for networks to train with

    def require_choice(self, name: str, known: Sequence[str]) -> None:
        """Refuse a word that is not one of ``known``, with the nearest one."""
        if getattr(self, name) not in known:
            raise ValueError(unknown_word(name, getattr(self, name), known))

    def require_at_least(self, least: int, *names: str) -> None:
        """Refuse options below ``least``; an option that is None passes."""
        for name in names:
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise ValueError(f"{name} must be >= {least}, got {value}")

    def require_positive(self, *names: str) -> None:
        """Refuse options that are not positive and finite; an option that is None passes."""
        for name in names:
            value = getattr(self, name)
            if value is not None and not 0.0 < value < math.inf:
                raise ValueError(f"{name} must be > 0 and finite, got {value}")

    def require_fraction(self, *names: str) -> None:
        """Refuse options outside of [0, 1)."""
        for name in names:
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")

    @property
    def soft_labels(self) -> bool:
        """Whether the labels are probabilities, which networks may be trained on."""
        return True


class Method(ABC):
    """An iterative distillation, one outer step at a time.

    Everything random in step i comes from ``self.rng(i)`` or ``self.generator(i)``, which depend on the seed, the
    method and i alone. So the state holds no generator, and a run that is resumed after k steps ends with the bits of
    one that was never stopped. The method counts its passes in the ``ledger``.
    """

    name: ClassVar[str]
    config_type: ClassVar[type[Config]] = Config
    dtype: ClassVar[torch.dtype] = torch.float32  # in which the method computes

    def __init__(self, task: Task, config: Any, *, points_per_class: int, seed: int, ledger: Ledger) -> None:
        self.task = task
        self.config = config
        self.points_per_class = points_per_class
        self.seed = seed
        self.ledger = ledger

    @property
    def classes_of_points(self) -> torch.Tensor:
        """Class index (m,) of each synthetic point, class-major."""
        return class_major_labels(self.task.k, self.points_per_class).to(self.task.device)

    def rng(self, step: int, stream: int = 0) -> np.random.Generator:
        """Return the generator of a step; the start is step -1."""
        return np.random.default_rng([self.seed, zlib.crc32(self.name.encode()), step + 1, stream])

    def generator(self, step: int, stream: int = 0) -> torch.Generator:
        """Return the torch generator of a step, on the CPU, so that draws do not depend on the device."""
        return torch.Generator().manual_seed(int(self.rng(step, stream + 1000).integers(2**63)))

    @abstractmethod
    def start(self) -> None:
        """Make the set that step 0 begins with."""

    @abstractmethod
    def step(self, index: int) -> float:
        """Do outer step ``index`` and return its loss, which stops the run where it is not finite."""

    @abstractmethod
    def state(self) -> dict[str, torch.Tensor]:
        """Return copies of every tensor that the next step depends on."""

    @abstractmethod
    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Continue from what :meth:`state` returned, in place of :meth:`start`."""

    @abstractmethod
    def result(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the images (m, c, h, w), normalised, and labels (m, k) as they are now."""

    def learned(self) -> dict[str, float]:
        """Return the other numbers that the method has learned, such as a step size."""
        return {}

    def passes_per_step(self) -> dict[str, int] | None:
        """Return what one step adds to each counter of the ledger; None where a method cannot tell before it runs.

        It needs no :meth:`start`, so that a cost is known before a run.
        """
        return None

    def calls_per_step(self) -> int:
        """Return how often one step calls a network, forward or backward; a GPU waits for each call."""
        return 5 * (self.passes_per_step() or {}).get("network_steps", 0)

    def passes_once(self) -> dict[str, int]:
        """Return what a run adds to the ledger once, as for networks that it trains first."""
        return {}

    def objective(self, inputs: np.ndarray, labels: np.ndarray, learned: Mapping[str, float]) -> Objective | None:
        """Return what the method minimises at a set, and its optimum; None where that is not known in closed form.

        ``inputs`` (m, d), ``labels`` (m, k) and ``learned`` are those of a result. It needs no :meth:`start`.
        """
        return None

    @property
    def knob(self) -> str:
        """What a user should change when the loss is not finite."""
        return "lower the step size"


def configured(config_type: type[_C], config: _C | Mapping[str, Any] | None) -> _C:
    """Return a config from an instance, a mapping of some options, or None.

    Raises
    ------
    ValueError, TypeError
        The method has no such option, its type is another, or the config is that of another method.
    """
    if config is None:
        return config_type()
    if isinstance(config, config_type):
        return config
    if not isinstance(config, Mapping):
        raise TypeError(f"config must be a {config_type.__name__} or a mapping, got {type(config).__name__}")
    known, types = {field.name: field.default for field in fields(config_type)}, get_type_hints(config_type)
    for name, value in config.items():
        if name not in known:
            raise ValueError(unknown_word("option", name, known))
        kinds = get_args(types[name]) or (types[name],)
        if not (value is None and known[name] is None) and not any(_is_a(value, kind) for kind in kinds):
            wanted = " or ".join(_WORDS[kind] for kind in kinds if kind in _WORDS)
            raise ValueError(f"{name} must be {wanted}, got {value!r}")
    return config_type(**config)  # replace() would keep what __post_init__ derived from other options


def _is_a(value: Any, kind: Any) -> bool:
    """Whether a value is of a declared type; an integer is a number too, a path is text, and true is no number."""
    if isinstance(value, (bool, np.bool_)):
        return kind is bool
    return isinstance(value, _TYPES.get(kind, get_origin(kind) or kind))


def named(prefix: str, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a state under names that begin with ``prefix/``, so that several fit into one."""
    return {f"{prefix}/{name}": value for name, value in state.items()}


def part(prefix: str, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return copies of what :func:`named` put into a state, under their first names."""
    start = f"{prefix}/"
    return {name.removeprefix(start): value.clone() for name, value in state.items() if name.startswith(start)}
