"""The cells of a benchmark, method x data x points a class x seed x predictor, and the options of each."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from analytic_dd.baselines.bench.closed_form import ClosedFormConfig
from analytic_dd.baselines.bench.controls import CONTROLS
from analytic_dd.baselines.bench.protocol import (
    LARGEST_KERNEL,
    OWN,
    Protocol,
    learns_step_size,
    own_predictor,
    predictor_kind,
)
from analytic_dd.baselines.bench.settings import published, settings_options
from analytic_dd.baselines.methods.method import configured
from analytic_dd.baselines.methods.registry import METHODS, entry_point, method_type
from analytic_dd.data import Dataset
from analytic_dd.errors import unknown_word
from analytic_dd.memory import require_memory

__all__ = [
    "Plan",
    "SetCell",
    "Variant",
    "names",
    "parse_options",
    "parse_variant",
    "plan",
    "reason_against",
    "settings_of",
    "unlike_published",
]

_DIGITS = ("digits", "mnist")  # augmentation makes no mirror images of these


def names() -> tuple[str, ...]:
    """Return the names of all methods and controls."""
    return ("closed-form", *METHODS, *CONTROLS)


@dataclass(frozen=True)
class Variant:
    """A method with options."""

    method: str
    name: str = ""  # the options as they were written, which tell variants of a method apart
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The name in a table."""
        return f"{self.method}:{self.name}" if self.name else self.method


def parse_options(texts: Iterable[str]) -> dict[str, Any]:
    """Read KEY=VALUE, where a value is JSON or else text.

    Examples
    --------
    >>> parse_options(["steps=300", "features=fcnn", "augment=false"])
    {'steps': 300, 'features': 'fcnn', 'augment': False}
    >>> parse_options(["steps"])
    Traceback (most recent call last):
        ...
    ValueError: options are KEY=VALUE, got 'steps'
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise ValueError(f"options are KEY=VALUE, got {text!r}")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def parse_variant(text: str) -> list[Variant]:
    """Read METHOD or METHOD:KEY=VALUE,...; METHOD may be MODULE:CLASS, or the name of an entry point.

    The closed form alone stands for its linear and its fully connected map.

    Examples
    --------
    >>> [variant.label for variant in parse_variant("closed-form")]
    ['closed-form:features=identity', 'closed-form:features=fcnn']
    >>> parse_variant("kip:labels=solved,steps=10")[0].options
    {'labels': 'solved', 'steps': 10}
    """
    method, _, name = text.partition(":")
    kind_named = None if method in names() else entry_point(method)
    method = method if kind_named is None else kind_named.name
    if method not in names() and "=" not in name.partition(":")[0] and name:
        kind, _, name = name.partition(":")
        method = method_type(f"{method}:{kind}").name
    if method not in names():
        raise ValueError(unknown_word("method", method, names()))
    if text == "closed-form":
        return [Variant(method, f"features={one}", {"features": one}) for one in ("identity", "fcnn")]
    return [Variant(method, name, parse_options(name.split(",")) if name else {})]


@dataclass(frozen=True)
class SetCell:
    """A set that is made once and scored by several predictors."""

    variant: Variant  # it has all its options, those of the configuration and its own
    data: str  # name of the data set
    ipc: int | None  # number of points a class, or None for the whole training part
    seed: int
    predictors: tuple[str, ...]

    @property
    def label(self) -> str:
        """The name of the cell in one line."""
        size = "all points" if self.ipc is None else f"IPC {self.ipc}"
        return f"{self.variant.label}, {self.data}, {size}, seed {self.seed}"

    def key(self, predictor: str) -> tuple[Any, ...]:
        """Return the values that name a cell, in the order of ``journal.KEY``."""
        return self.variant.method, self.variant.name, self.data, self.ipc, self.seed, predictor

    def file_name(self, device: str) -> str:
        """Return a readable name for its files, which differs for different options."""
        facts = [*self.key("")[:5], dict(self.variant.options), device]
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:10]
        words = [self.variant.label, self.data, "all" if self.ipc is None else f"ipc{self.ipc}", f"seed{self.seed}"]
        return "-".join(re.sub(r"[^a-z0-9]+", "-", str(word).lower()).strip("-")[:40] for word in words) + f"-{digest}"


@dataclass(frozen=True)
class Plan:
    """Sets to make and score, and the reasons for what is left out."""

    sets: tuple[SetCell, ...]
    left_out: tuple[str, ...]

    def __len__(self) -> int:
        return sum(len(one.predictors) for one in self.sets)


def plan(
    datasets: Sequence[Dataset],
    variants: Sequence[Variant],
    *,
    ipcs: Sequence[int],
    seeds: Sequence[int],
    predictors: Sequence[str],
    config: Mapping[str, Mapping[str, Any]],
    settings: str = "",
) -> Plan:
    """Return all cells in the order of the methods, without predictors that do not apply.

    Those need a kernel of its own that a method does not have, convolutions on rows, a kernel matrix of too many
    points, or labels that are probabilities. ``settings`` are those of :func:`settings_options`; the configuration and
    the options of a variant go over them.

    Raises
    ------
    ValueError, TypeError
        A method has no such option, a number of points or a seed is out of range, or no cell is left.
    MemoryError
        The machine cannot hold so many points.
    """
    for name, numbers, least in (("ipc", ipcs, 1), ("seeds", seeds, 0)):
        if any(number < least for number in numbers) or not numbers:
            raise ValueError(f"{name} must be integers >= {least}, got {list(numbers)}")
    _require_sections(config)
    for predictor in predictors:
        predictor_kind(predictor)
    sets: list[SetCell] = []
    left_out: dict[str, None] = {}
    for dataset in datasets:
        for given in variants:
            full = given.method == "full"
            for ipc in [None] if full else dict.fromkeys(ipcs):
                _require_points(dataset, ipc)
                first = settings_options(settings, given.method, dataset, ipc)
                variant = Variant(given.method, given.name, _options(given, dataset, config, first))
                _require_options(variant)
                reasons = {name: reason_against(name, variant, dataset) for name in dict.fromkeys(predictors)}
                chosen = tuple(name for name, reason in reasons.items() if reason is None)
                words = {name: f"{variant.label}, {dataset.name}, {name}: {reason}" for name, reason in reasons.items()}
                left_out |= {words[name]: None for name, reason in reasons.items() if reason}
                for seed in list(dict.fromkeys(seeds))[: 1 if full else None]:
                    if chosen:
                        sets.append(SetCell(variant, dataset.name, ipc, seed, chosen))
    if not sets:
        reason = f" ({next(iter(left_out))})" if left_out else ""
        raise ValueError(f"none of the predictors applies to the methods{reason}; choose others")
    keys = [one.key("") for one in sets]
    repeated = sorted({f"{key[0]} on {key[2]}" for key in keys if keys.count(key) > 1})
    if repeated:
        raise ValueError(f"the same cells twice: {', '.join(repeated)}; name each method and data set once")
    return Plan(tuple(sets), tuple(left_out))


def _require_points(dataset: Dataset, ipc: int | None) -> None:
    """Refuse points that the machine cannot hold."""
    m = len(dataset.classes) * (ipc or 0)
    require_memory(8.0 * m * dataset.d, f"{m:,} points of d = {dataset.d:,} numbers", "ask for fewer points a class")


def unlike_published(cells: Plan, datasets: Sequence[Dataset], preprocess: str | None) -> dict[str, str]:
    """Return the sets whose published whitening is another than ``preprocess``, with that of the publication."""
    by_name, found = {dataset.name: dataset for dataset in datasets}, {}
    for cell in cells.sets:
        row = published(cell.variant.method, by_name[cell.data], cell.ipc) if cell.ipc is not None else None
        if row is not None and row.preprocess != (preprocess or ""):
            found[f"{cell.variant.method} on {cell.data} at {cell.ipc} a class"] = row.preprocess
    return found


def _require_sections(config: Mapping[str, Mapping[str, Any]]) -> None:
    for section, options in config.items():
        if section not in (known := ("evaluate", *names())):
            raise ValueError(unknown_word("part of the configuration", section, known))
        if not isinstance(options, Mapping):
            raise ValueError(f"the part {section!r} of the configuration must have options, got {options!r}")
    configured(Protocol, config.get("evaluate"))


def _options(
    variant: Variant, dataset: Dataset, config: Mapping[str, Mapping[str, Any]], first: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the options of a method that the data, the settings, the configuration and the variant give, in order.

    The sizes that settings give belong to their network, and leave with it.
    """
    found: dict[str, Any] = {}
    if variant.method in METHODS and dataset.name.lower().partition(",")[0] in _DIGITS:
        kind = _config_type(variant.method)
        found = {"digits": True} if kind is not None and "digits" in [one.name for one in fields(kind)] else {}
    for given in (first, config.get(variant.method, {}), variant.options):
        if "network" in found and given.get("network", found["network"]) != found["network"]:
            found = {name: value for name, value in found.items() if name not in ("width", "depth")}
        found |= given
    return found


def _config_type(method: str) -> type[Any] | None:
    """Return the type of the options, or None where the method cannot be imported, as its cells will report."""
    try:
        return ClosedFormConfig if method == "closed-form" else method_type(method).config_type
    except ImportError:
        return None


def _require_options(variant: Variant) -> None:
    if variant.method in CONTROLS:
        if variant.options:
            raise ValueError(f"{variant.method} has no options, got {', '.join(variant.options)}")
        return
    kind = _config_type(variant.method)
    if kind is not None:
        try:
            configured(kind, variant.options)
        except ValueError as error:
            raise ValueError(f"{variant.method}: {error}") from error


def reason_against(predictor: str, variant: Variant, dataset: Dataset) -> str | None:
    """Return None where a predictor applies, or the reason against it, which is empty where it need not be said."""
    kind, method = predictor_kind(predictor), variant.method
    marks = predictor.split("+")[1:]
    if (kind in OWN and kind != own_predictor(method)) or ("lr" in marks and not learns_step_size(method)):
        return ""
    if kind == "krr-common" and method == "full" and len(dataset.y_train) > LARGEST_KERNEL:
        return f"a kernel matrix of {len(dataset.y_train):,} points; at most {LARGEST_KERNEL:,} are solved"
    plain = predictor.split("+")[0] == "mlp" and not {"dsa", "dc"} & set(marks)
    if kind in ("network", "wide") and not plain and len(dataset.image_shape) == 1:
        return "samples are rows, not images"
    if kind == "wide" and method == "full":
        return "it fits the labels of all points at once"
    if "soft" in marks and not _may_be_probabilities(variant):
        return "its labels are no probabilities"
    return None


def _may_be_probabilities(variant: Variant) -> bool:
    """Whether the labels of a method can be soft targets, as solved, learned or centred ones cannot."""
    if variant.method in CONTROLS or variant.method not in names():  # of a set in a file its labels tell
        return True
    if variant.method == "closed-form":
        closed = configured(ClosedFormConfig, variant.options)
        means = closed.loss == "softmax" and not closed.distilled_ridge  # labels are means of the loss at ridge 0
        return means or closed.construction(1).labels == "one-hot"
    kind = _config_type(variant.method)
    return kind is None or bool(configured(kind, variant.options).soft_labels)


def settings_of(cell: SetCell, predictor: str, dataset: Dataset, protocol: Protocol) -> dict[str, Any]:
    """Return everything that the row of a cell depends on, except for the budget."""
    found = {"options": dict(cell.variant.options), "data_sha256": dataset.sha256}
    if predictor_kind(predictor) == "network":
        found["network"] = asdict(protocol.networks(predictor, full=cell.ipc is None))
    if predictor_kind(predictor) == "wide":
        found["network"] = asdict(protocol.wide())
    return dict(json.loads(json.dumps(found)))
