"""What kind of distilled set is wanted: how many points, which labels, which construction."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from analytic_dd.arrays import as_ridge

__all__ = ["Recipe"]

_CHOICES = {
    "labels": ("one-hot", "centred", "learned"),
    "mode": ("exact", "few", "nearest", "one-image"),
    "root": ("large", "small"),
    "init": ("random", "real"),
    "references": ("random", "k-means", "herding", "given"),
}


@dataclass(frozen=True)
class Recipe:
    """Options of a distillation; see the command line for the same names.

    Parameters
    ----------
    points_per_class : int
        Points a class. Centred labels of ``mode="exact"`` name k - 1 classes, so they make (k - 1) * points_per_class
        points (T5). ``mode="one-image"`` makes rank W + 1 points, whatever the number of classes (T9).
    points : int, optional
        Total number of points instead, at least rank W but for ``mode="few"``; classes repeat as evenly as possible.
    labels : {"one-hot", "centred", "learned"}, optional
        Learned labels follow from the features (T4); the others are fixed (T2, T3; T6b for ``mode="nearest"``).
        Default: one-hot for ``mode="exact"``, learned for the others. ``centred`` with few points or one image means
        learned labels of a model that is trained on centred ones.
    mode : {"exact", "few", "nearest", "one-image"}
        ``few``: the best set of fewer points than rank W (T7). ``nearest``: of all exact sets the one nearest to
        references (T6). ``one-image``: one image and rank W near copies of it (T9).
    ridge : float
        lambda_s of the distilled set, absolute.
    root : {"large", "small"}
        Which solution for ridge > 0 (T3).
    init : {"random", "real"}
        Where the freedom that a theorem leaves is spent: at random, or near references (free matrix, pre-images).
    references : {"random", "k-means", "herding", "given"}
        Which real samples are references, see :mod:`analytic_dd.distill.reference_choice`; ``given``: the caller's.
    tau : float
        Knob of ``mode="nearest"`` with learned labels: 0 is the nearest set, 0.1 to 1 a better conditioned one (T6).
    box : bool
        Move a nearest set into the range of the data's pixels, with one point more (Box).
    largest_change : float, optional
        Of an entry of the copies in ``mode="one-image"``, as a fraction of the image's range; default 0.01. Halving it
        doubles the error of W.
    ridges : tuple of float
        One set that is exact for each of these ridges, of the data and of the set alike (T11): learned labels, and as
        many points as it takes.

    Examples
    --------
    >>> Recipe(mode="nearest").labels
    'learned'
    >>> Recipe(mode="nerest")
    Traceback (most recent call last):
        ...
    ValueError: unknown mode 'nerest'; choose from exact, few, nearest, one-image; did you mean nearest?
    """

    points_per_class: int = 1
    points: int | None = None
    labels: str = None  # type: ignore[assignment]  # never None once made
    mode: str = "exact"
    ridge: float = 0.0
    root: str = "large"
    init: str = "random"
    references: str = "random"
    tau: float = 0.0
    box: bool = False
    largest_change: float | None = None
    ridges: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "ridges", tuple(as_ridge(ridge) for ridge in self.ridges))
        fixed = self.mode == "exact" and not self.ridges
        object.__setattr__(self, "labels", _given_or(self.labels, "one-hot" if fixed else "learned"))
        for name, known in _CHOICES.items():
            value = getattr(self, name)
            if value not in known:
                near = difflib.get_close_matches(str(value), known, n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise ValueError(f"unknown {name} {value!r}; choose from {', '.join(known)}{hint}")
        for name in ("points_per_class", "points"):
            value = getattr(self, name)
            if value is not None and (not _is_integer(value) or value < 1):
                raise ValueError(f"{name} must be an integer >= 1, got {value!r}")
        as_ridge(self.ridge, "distilled ridge")
        self._require_options_of_the_mode()

    def _require_options_of_the_mode(self) -> None:
        """What no mode would use is refused, not ignored."""
        if not 0.0 <= self.tau < math.inf:
            raise ValueError(f"tau must be finite and >= 0, got {self.tau}; 0 is the nearest set")
        several = (self.mode, self.labels, self.ridge, self.points, self.points_per_class)
        if self.ridges and several != ("exact", "learned", 0.0, None, 1):
            raise ValueError(
                f"a set for several ridges has mode 'exact', learned labels, these ridges and as many points as it "
                f"takes (T11), got mode {self.mode!r}, labels {self.labels!r}, distilled ridge {self.ridge}, points "
                f"{self.points}, {self.points_per_class} a class; leave these out"
            )
        if self.mode == "few" and self.points is None:
            raise ValueError("mode 'few' needs the number of points, fewer than rank W; give points (--points M)")
        if self.mode == "few" and self.ridge > 0.0:
            raise ValueError(f"mode 'few' is built for distilled ridge 0, got {self.ridge}; see T7")
        if self.mode in ("few", "one-image") and self.labels == "one-hot":
            raise ValueError(f"mode {self.mode!r} makes its own labels, got labels 'one-hot'; leave labels out")
        if self.mode == "nearest" and self.labels != "learned" and self.ridge > 0.0:
            raise ValueError(
                f"a nearest set with fixed labels has distilled ridge 0 (T6b), got {self.ridge:.3g}; use labels "
                "'learned' (--labels learned)"
            )
        for name, given in (("tau", self.tau > 0.0), ("box", bool(self.box))):
            if given and (self.mode != "nearest" or self.labels != "learned"):
                raise ValueError(
                    f"{name} is for mode 'nearest' with learned labels (T6), got mode {self.mode!r} with labels "
                    f"{self.labels!r}; leave one of them out"
                )
        change = self.largest_change
        if change is not None and not (self.mode == "one-image" and 0.0 < change < math.inf):
            raise ValueError(
                f"largest_change must be a fraction > 0 for mode 'one-image', got {change} with mode {self.mode!r}; "
                "leave it out for 0.01"
            )
        if self.references != "random" and not self.wants_references:
            raise ValueError(
                f"references {self.references!r} are for modes 'nearest' and 'one-image' and init 'real', got mode "
                f"{self.mode!r} with init {self.init!r}; add --mode nearest or --init real"
            )

    @classmethod
    def of(cls, options: Any) -> Recipe:
        """Read the fields from attributes of these names, ``ridge`` from ``distilled_ridge``; an array is "given".

        Several numbers as the ``ridge`` of the options, that of the original model, are ``ridges``.
        """
        names = [field.name for field in fields(cls) if field.name != "ridge" and hasattr(options, field.name)]
        values = {name: getattr(options, name) for name in names}
        if np.ndim(options.ridge):
            values["ridges"] = tuple(options.ridge)
            if not values["ridges"]:
                raise ValueError("ridge must be a number >= 0 or several, got an empty list")
        if not isinstance(values["references"], str):
            values["references"] = "given"
        return cls(**values, ridge=options.distilled_ridge)

    @property
    def realistic(self) -> bool:
        """Whether the set is made of near copies of real samples."""
        return self.mode in ("nearest", "one-image")

    @property
    def wants_references(self) -> bool:
        """Whether real samples take part."""
        return self.realistic or self.init == "real"

    def for_references(self, m: int, k: int) -> Recipe:
        """Return the recipe for ``m`` given references of k classes: as many points; another number is refused."""
        if self.mode == "one-image":
            return replace(self, references="given")
        asked = self.size(k)
        if asked != m and (self.points is not None or self.points_per_class != 1):
            raise ValueError(f"as many points as references are made, got {m} references and {asked} points wanted")
        return replace(self, references="given", points=m)

    def checked_for(self, references: np.ndarray | None, k: int) -> Recipe:
        """Return the recipe for what references there are; images that were announced must be there."""
        if references is not None:
            return self.for_references(len(references), k)
        if self.references == "given":
            raise ValueError(
                "references 'given' need images, got none; name their .npy or .npz file, or choose random ones"
            )
        return self

    def size(self, k: int) -> int:
        """Number of points for k classes (of references for realistic modes: one image, or those of a nearest set)."""
        if self.mode == "one-image":
            return 1
        if self.points is not None:
            return self.points
        return self.points_per_class * (k - 1 if self.labels == "centred" and self.mode == "exact" else k)


def _given_or(value: str | None, default: str) -> str:
    return default if value is None else value


def _is_integer(value: Any) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool)
