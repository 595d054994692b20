"""Constructions as data: a frozen dataclass of options for each theorem, found by the word of its mode.

Front doors read the options from the fields: a field has its default, its help and its check, written once.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, ClassVar, TypeVar, cast

import numpy as np

from analytic_dd.arrays import as_count, as_ridge
from analytic_dd.distill.distilled import DistilledInputs
from analytic_dd.distill.problem import Problem
from analytic_dd.errors import did_you_mean, unknown_word
from analytic_dd.features.base import FeatureMap

__all__ = [
    "REFERENCES",
    "Construction",
    "Sized",
    "chosen",
    "modes",
    "not_negative",
    "one_of",
    "option",
    "options",
    "reference_choice",
    "register",
    "ridge",
    "whole_number",
]

REFERENCES = ("random", "k-means", "herding", "given")  # how real samples are chosen

_GIVEN: dict[str, Any] = {"references": "given"}  # every construction that takes references has the field

Check = Callable[[str, Any], None]


def option(default: Any, text: str, *, check: Check | None = None, metavar: str | None = None) -> Any:
    """Return a field of a construction: its default, its help in words, and what checks a value."""
    return field(default=default, metadata={"help": text, "check": check, "metavar": metavar})


def one_of(*words: str, beside: str = "") -> Check:
    """Accept these words only; ``beside`` says who has others."""

    def check(name: str, value: Any) -> None:
        if not isinstance(value, str) or value not in words:
            raise ValueError(unknown_word(name, value, words) + beside)

    check.words = words  # type: ignore[attr-defined]  # for the labels of all constructions of a mode
    return check


def reference_choice(name: str, value: Any) -> None:
    """Accept the words of :data:`REFERENCES`; samples themselves are given beside the construction."""
    if isinstance(value, str) and value in REFERENCES:
        return
    choices = ", ".join(word for word in REFERENCES if word != "given")
    if isinstance(value, str):
        raise ValueError(
            f"unknown {name} {value!r}; choose from {choices}, or pass an array{did_you_mean(value, REFERENCES)}"
        )
    raise TypeError(
        f"{name} must be {choices} or 'given', got {type(value).__name__}; pass an array beside the construction"
    )


def whole_number(name: str, value: Any) -> None:
    """Accept None and integers >= 1."""
    if value is not None:
        as_count(value, name)


def not_negative(name: str, value: Any) -> None:
    """Accept finite numbers >= 0."""
    if isinstance(value, (bool, str)) or np.ndim(value):
        raise TypeError(f"{name} must be a number >= 0, got {value!r}")
    if not 0.0 <= value < math.inf:
        raise ValueError(f"{name} must be finite and >= 0, got {value}")


def ridge(name: str, value: Any) -> None:
    """Accept a ridge: a finite number >= 0."""
    as_ridge(value, name)


@dataclass(frozen=True)
class Construction(ABC):
    """How a distilled set is made; a subclass has its options as fields, see :func:`option`.

    Attributes
    ----------
    mode : str
        The word that the front doors know it by; several constructions may share it, see :meth:`meant_by`.
    summary : str
        What it makes, in a few words, for the help of the command line.
    recovered : str
        What the certificate of its sets measures, in words.
    realistic : bool
        Whether its points are near copies of real samples, which are published with it.
    by_preimages : bool
        Whether its points come from exact pre-images of features (T8).
    losses : tuple of str
        The losses whose models it reproduces (T18).
    loss_labels : tuple of str
        The labels with which it reproduces models of other losses than the squared one.
    """

    mode: ClassVar[str]
    summary: ClassVar[str]
    recovered: ClassVar[str] = "refitted weights differ by"
    realistic: ClassVar[bool] = False
    by_preimages: ClassVar[bool] = False
    labels: ClassVar[str] = "learned"
    losses: ClassVar[tuple[str, ...]] = ("squared",)
    loss_labels: ClassVar[tuple[str, ...]] = ("learned",)

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(each.default, bool) and not isinstance(value, (bool, np.bool_)):
                raise TypeError(f"{each.name} must be True or False, got {value!r}")
            check = each.metadata.get("check")
            if check is not None:
                check(each.name, value)

    @classmethod
    def meant_by(cls, words: Mapping[str, Any]) -> bool:
        """Whether these options, ``mode`` among them, mean this construction."""
        return bool(words["mode"] == cls.mode)

    def size(self, k: int) -> int:
        """Return the number of points for k classes, or of those that are asked for at least."""
        return 1

    @abstractmethod
    def count(self, problem: Problem) -> int:
        """Return the number of points that :meth:`build` makes for a model without an intercept."""

    @abstractmethod
    def build(self, problem: Problem) -> DistilledInputs:
        """Build the set in input space, exact on the features of its inputs as they are.

        Raises
        ------
        InfeasibleError, RangeError
            No set of this kind exists for this problem; the message has the number and the remedy.
        """

    def require_loss(self, loss: str) -> None:
        """Refuse a loss whose models it does not reproduce, or not with these labels."""
        if loss not in self.losses:
            own = " or ".join(f"loss={each!r}" for each in self.losses)
            raise ValueError(
                f"mode={self.mode!r} ({self.summary}) is for {own}, got loss={loss!r}; use mode='exact' or "
                "mode='nearest' with labels='learned'"
            )
        if loss != "squared" and self.labels not in self.loss_labels:
            known = " or ".join(f"labels={each!r}" for each in dict.fromkeys(("learned", *self.loss_labels)))
            raise ValueError(f"labels={self.labels!r} are for loss='squared', got loss={loss!r}; use {known}")

    def require_samples(self, *, tabular: bool) -> None:
        """Refuse integer pixels for a table: one step of levels does not fit columns of several units (T24)."""
        integers = getattr(self, "pixels", "float")
        if tabular and integers != "float":
            raise ValueError(
                f"pixels={integers!r} are for images, whose pixels have one unit; the columns of a table have their "
                "own, so leave it out"
            )

    def require_map(self, phi: FeatureMap) -> None:
        """Refuse a map without the exact pre-images that its points come from, before anything is fitted (T8)."""
        if self.by_preimages and phi.kind == "general":  # it may have them near some points only
            phi.in_range(np.zeros((1, phi.p)))

    @property
    def model_ridge(self) -> float | None:
        """The ridge of the original model, where the construction names it."""
        return None

    def references_for(self, k: int) -> int:
        """Return how many real samples it starts from for k classes; 0 for none."""
        return 0

    @property
    def references_by_class(self) -> bool:
        """Whether these are chosen class by class."""
        return True

    @property
    def given_references(self) -> bool:
        """Whether the caller is to give them."""
        return bool(getattr(self, "references", None) == "given")

    def for_references(self, m: int, k: int) -> Construction:
        """Return the construction for ``m`` references that the caller gives."""
        raise ValueError(f"mode={self.mode!r} takes no references, got {m}; leave them out, or use mode='nearest'")

    def facts(self) -> dict[str, Any]:
        """Return its mode and options as JSON values, as they are stored with a set."""
        own = {each.name: getattr(self, each.name) for each in fields(self)}
        if "references" in own and not self.references_for(2):
            own["references"] = None
        return {"mode": self.mode, "labels": self.labels} | own

    def lines(self, content: Mapping[str, Any]) -> list[str]:
        """Return what it has to say of a set, in lines, from the content of its report."""
        return []

    def optimum(self, content: Mapping[str, Any]) -> str:
        """Return how near to its references a realistic set is, beside the least that its theorem allows."""
        return ""


@dataclass(frozen=True)
class Sized(Construction):
    """A construction of any number of points: so many a class, or so many in all."""

    points_per_class: int = option(1, "points a class (default 1)", check=whole_number, metavar="N")
    points: int | None = option(
        None, "total number of points instead; classes repeat as evenly as possible", check=whole_number, metavar="M"
    )

    def size(self, k: int) -> int:
        """Return the number of points for k classes."""
        return self.points_per_class * k if self.points is None else self.points

    def facts(self) -> dict[str, Any]:
        """Return its mode and options; points a class count where no total was asked for."""
        own = super().facts()
        return own | {"points_per_class": self.points_per_class if self.points is None else None}

    def for_references(self, m: int, k: int) -> Construction:
        """Return the construction of as many points as references; another number that was asked for is refused."""
        if self.size(k) != m and (self.points is not None or self.points_per_class != 1):
            asked = self.size(k)
            raise ValueError(f"as many points as references are made, got {m} references and {asked} points wanted")
        given: Any = self  # every construction that takes references has the field
        return cast(Construction, replace(given, points=m, references="given"))


Registered = TypeVar("Registered", bound=type[Construction])

_REGISTERED: list[type[Construction]] = []


def register(kind: Registered) -> Registered:
    """Make a construction known to the front doors: a decorator of its class."""
    _REGISTERED.append(kind)
    return kind


def _in_order() -> list[type[Construction]]:
    return sorted(_REGISTERED, key=lambda kind: (kind.mode, kind.__name__))


def modes() -> dict[str, list[type[Construction]]]:
    """Return the constructions by the word of their mode."""
    found: dict[str, list[type[Construction]]] = {}
    for kind in _in_order():
        found.setdefault(kind.mode, []).append(kind)
    return found


def options() -> dict[str, tuple[Field[Any], list[str]]]:
    """Return every option by name: its field, and the modes that have it."""
    found: dict[str, tuple[Field[Any], list[str]]] = {}
    for kind in _in_order():
        for each in fields(kind):
            users = found.setdefault(each.name, (each, []))[1]
            if kind.mode not in users:
                users.append(kind.mode)
    return found


def chosen(mode: str = "exact", *, loss: str = "squared", **given: Any) -> Construction:
    """Return the construction that the words of a front door mean.

    Parameters
    ----------
    mode : str
        One of :func:`modes`.
    loss : str
        Labels are learned where none are asked for and the loss is not the squared one.
    given
        The options that were given; one that the construction does not have is refused, not ignored. None counts as
        not given.

    Examples
    --------
    >>> chosen("nearest", tau=0.1).tau
    0.1
    >>> chosen("nerest")
    Traceback (most recent call last):
        ...
    ValueError: unknown mode 'nerest'; choose from exact, ...; did you mean nearest?
    >>> chosen("exact", box=True)
    Traceback (most recent call last):
        ...
    ValueError: box=True is an option of mode='nearest', got mode='exact'; leave one of them out
    """
    known = modes()
    if mode not in known:
        raise ValueError(unknown_word("mode", mode, list(known)))
    words = {name: value for name, value in given.items() if value is not None}
    if loss != "squared" and "labels" not in words:
        words["labels"] = "learned"
    kind = next((kind for kind in known[mode] if kind.meant_by(words | {"mode": mode})), known[mode][0])
    own = {each.name for each in fields(kind)}
    labels = _labels_of(known[mode])
    if "labels" in own and words.get("labels", kind.labels) not in labels:
        raise ValueError(unknown_word("labels", words["labels"], labels))
    for name, value in words.items():
        if name not in own and not (name == "labels" and value == kind.labels):
            raise ValueError(_refusal(name, value, kind))
    return kind(**{name: value for name, value in words.items() if name in own})


def _labels_of(kinds: list[type[Construction]]) -> list[str]:
    """Return the labels that the constructions of a mode make."""
    found: dict[str, None] = {}
    for kind in kinds:
        each = next((each for each in fields(kind) if each.name == "labels"), None)
        found |= dict.fromkeys(getattr(each and each.metadata.get("check"), "words", (kind.labels,)))
    return list(found)


def _refusal(name: str, value: Any, kind: type[Construction]) -> str:
    """Say who has an option that this construction does not have."""
    users = options().get(name, (None, []))[1]
    if name == "labels":
        return f"{kind.summary} makes its own labels, got labels={value!r}; leave labels out"
    others = [mode for mode in users if mode != kind.mode]
    if not others or kind.mode in users:  # another construction of the same mode has it
        return f"{name}={value!r} does not go with {kind.summary}; leave it out"
    where = " and ".join(f"mode={mode!r}" for mode in others)
    given = f"{name}={value!r} is" if "help" in options()[name][0].metadata else f"several {name} are"
    return f"{given} an option of {where}, got mode={kind.mode!r}; leave one of them out"
