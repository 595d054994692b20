"""What kind of distilled set is wanted: how many points, which labels, which construction."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

from analytic_dd.arrays import as_ridge

__all__ = ["Recipe"]

_CHOICES = {
    "labels": ("one-hot", "centred", "learned"),
    "mode": ("exact", "few"),
    "root": ("large", "small"),
    "init": ("random", "real"),
}


@dataclass(frozen=True)
class Recipe:
    """Options of a distillation; see the command line for the same names.

    Parameters
    ----------
    points_per_class : int
        Points a class. Centred labels name k - 1 classes, so they make (k - 1) * points_per_class points (T5).
    points : int, optional
        Total number of points instead, at least rank W for ``mode="exact"``; classes repeat as evenly as possible.
    labels : {"one-hot", "centred", "learned"}
        Learned labels follow from the features (T4); the others are fixed (T2, T3).
    mode : {"exact", "few"}
        ``few``: the best set of fewer points than rank W (T7).
    ridge : float
        lambda_s of the distilled set, absolute.
    root : {"large", "small"}
        Which solution for ridge > 0 (T3).
    init : {"random", "real"}
        Where the freedom that a theorem leaves is spent: at random, or near real samples (free matrix, pre-images).
    """

    points_per_class: int = 1
    points: int | None = None
    labels: str = "one-hot"
    mode: str = "exact"
    ridge: float = 0.0
    root: str = "large"
    init: str = "random"

    def __post_init__(self) -> None:
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
        if self.mode == "few" and self.points is None:
            raise ValueError("mode 'few' needs the number of points, fewer than rank W; give points (--points M)")
        if self.mode == "few" and self.ridge > 0.0:
            raise ValueError(f"mode 'few' is built for distilled ridge 0, got {self.ridge}; see T7")

    def size(self, k: int) -> int:
        """Number of points for k classes."""
        if self.points is not None:
            return self.points
        return self.points_per_class * (k - 1 if self.labels == "centred" else k)


def _is_integer(value: Any) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool)
