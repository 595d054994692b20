"""What the meta of a stored set must hold: everything that is read later is checked here, once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from analytic_dd.errors import DataError
from analytic_dd.losses import LOSSES

__all__ = ["require_meta", "steps_at"]

_MOST_STEPS = 10**9


def require_meta(meta: Mapping[str, Any], k: int) -> None:
    """Refuse the meta of a set for k outputs that lacks something, or has it of another kind.

    Raises
    ------
    DataError
        With the names of what is wrong.
    """
    ridge, ridges = meta.get("distilled_ridge"), meta.get("distilled_ridges")
    data, diagnostics, certificate = (meta.get(name) for name in ("data", "diagnostics", "certificate"))
    classes = meta.get("reference_classes")
    problems = {
        "distilled_ridge": _is_ridge(ridge),
        "distilled_ridges": not ridges
        or (isinstance(ridges, (list, tuple)) and all(map(_is_ridge, ridges)) and ridges[0] == ridge),
        "loss": isinstance(meta.get("loss", "squared"), str) and meta.get("loss", "squared") in LOSSES,
        "features": isinstance(meta.get("features"), Mapping),
        "labels": isinstance(meta.get("labels"), str),
        "theorem": isinstance(meta.get("theorem"), str),
        "data": isinstance(data, Mapping) and isinstance(data.get("name"), str),
        "diagnostics": isinstance(diagnostics, Mapping) and _is_number(diagnostics.get("condition", "")),
        "certificate": certificate is None
        or (
            isinstance(certificate, Mapping)
            and _is_number(certificate.get("relative_error", ""))
            and _is_number(certificate.get("bound"))
        ),
        "reference_classes": classes is None
        or (isinstance(classes, list) and all(isinstance(c, int) and 0 <= c < k for c in classes)),
    }
    wrong = [name for name, right in problems.items() if not right]
    if wrong:
        raise DataError(f"the meta of a distilled set must hold a valid {', '.join(wrong)}")


def steps_at(meta: Mapping[str, Any]) -> list[int]:
    """Return the steps whose weights a trajectory set stores, after a check of what goes with them.

    Raises
    ------
    DataError
        The steps or their size are none, or do not end at the last step.
    """
    diagnostics = meta["diagnostics"]
    at, size = diagnostics.get("steps_at"), diagnostics.get("step")
    whole = isinstance(at, (list, tuple)) and all(isinstance(t, int) and 1 <= t <= _MOST_STEPS for t in at)
    if not whole or not at or not _is_number(size) or not size or not 0.0 < size <= float(np.finfo(float).max):
        raise DataError("the diagnostics of a set with weights of steps must hold a valid step and steps_at")
    if at[-1] != meta.get("steps") or any(a >= b for a, b in pairwise(at)):
        raise DataError(f"weights of steps must end at the last of {meta.get('steps')}, in order, got steps {at}")
    return list(at)


def _is_number(value: object) -> bool:
    """Whether a value is a number, or None in the place of an infinity, which JSON lacks."""
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _is_ridge(value: Any) -> bool:
    return value is not None and _is_number(value) and math.isfinite(value) and value >= 0.0
