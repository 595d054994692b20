"""The model that a fit gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["LinearModel"]


@dataclass(frozen=True)
class LinearModel:
    """A linear model of features: its scores are  W phi + b."""

    weights: Any  # W (k, p), an array of any library
    intercept: Any  # b (k,), or None
