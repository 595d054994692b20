"""What a stored set claims about itself, held against what is found: its certificate, its classes, its ridges.

A certificate says that the stored points have the stored weights. It cannot say whose weights they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from analytic_dd.judge.descent import StepsFound
from analytic_dd.judge.stored import Found

__all__ = ["UNKNOWABLE", "false_claims", "steps_in_words"]

UNKNOWABLE = (
    "a file does not show whether w is the best model of the data it names, whether gradients, steps and sums that it "
    "keeps are theirs, whether its classes have the right names in the right order, nor whether its accuracies are "
    "true: that takes the data (distil them again)"
)


def false_claims(
    meta: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray | None],
    found: Found,
    steps: StepsFound | None = None,
) -> list[str]:
    """Return one sentence for each claim of a stored set that does not hold, none for an honest one.

    Parameters
    ----------
    meta : Mapping
        ``certificate``, ``ridges``, ``distilled_ridges`` as stored; what is absent claims nothing.
    arrays : Mapping
        ``classes``, ``w``, ``intercept``, ``path``, ``path_intercepts``; None for what is absent.
    found : Certificate or LossCertificate
        Computed on the stored arrays now.
    steps : StepsFound, optional
        The same for the steps of a trajectory set.
    """
    return [
        *_of_certificate(meta.get("certificate"), found),
        *_of_steps(meta.get("diagnostics") or {}, steps),
        *_of_classes(arrays["classes"]),
        *_of_ridges(meta.get("ridges"), meta.get("distilled_ridges")),
        *_of_path(arrays["w"], arrays["path"], "w", "path"),
        *_of_path(arrays["intercept"], arrays["path_intercepts"], "intercept", "path_intercepts"),
    ]


def _of_certificate(stored: Mapping[str, Any] | None, found: Found) -> list[str]:
    """Another processor rounds differently, by no more than the two bounds."""
    if stored is None:
        return []
    false = []
    for name in ("verdict", "points", "ridge"):
        now = getattr(found, name)
        if name in stored and stored[name] != now:
            false.append(f"the stored certificate has {name} {stored[name]!r}, the set has {now!r}")
    claimed, allowed = _number(stored.get("relative_error")), _number(stored.get("bound")) + found.bound
    if not (claimed == found.relative_error or abs(claimed - found.relative_error) <= allowed < math.inf):
        error = f"{found.relative_error:.2g}, beyond rounding ({allowed:.2g})"
        false.append(f"the stored certificate has a relative error of {claimed:.2g}, the set has {error}")
    return false


def _of_steps(stored: Mapping[str, Any], found: StepsFound | None) -> list[str]:
    """The steps of the set differ from the stored weights of steps by what the file says, or less, but for rounding."""
    if found is None:
        return []
    said, of_all = (_number(stored.get(name)) for name in ("output_error", "steps_error"))
    if not found.rate <= 2.0:  # it diverges there, and rounding explains anything
        return [f"the file has a step of {found.rate:.2g} / |F|^2 of its points, and that of the data is at most 1"]
    false = [] if found.error <= said + found.bound < math.inf else [f"output_error {said:.2g}"]
    false += [] if found.least <= of_all + found.largest_bound < math.inf else [f"steps_error {of_all:.2g}"]
    return [f"the file has {' and '.join(false)}, but {_steps_found(found)}"] if false else []


def steps_in_words(meta: Mapping[str, Any], found: StepsFound | None) -> list[str]:
    """Return in words how far the steps of a set are from stored weights, or that it has none."""
    if found is None:
        nothing = "no weights of its steps are stored, so nothing shows its steps_error; distil again to have them"
        return [nothing] if "steps_error" in (meta.get("diagnostics") or {}) else []
    return [_steps_found(found)]


def _steps_found(found: StepsFound) -> str:
    return (
        f"gradient descent on the set misses the stored weights of steps {', '.join(map(str, found.at))} by "
        f"{found.error:.1e} of the way of an output (rounding explains {found.bound:.1e})"
    )


def _number(value: Any) -> float:
    """JSON has no infinity: null stands for it."""
    return math.inf if value is None else float(value)


def _of_classes(classes: np.ndarray | None) -> list[str]:
    if classes is None:
        return []
    if classes.dtype.kind not in "iuU":
        return [f"classes must be integers or text, got {classes.dtype}"]
    values, counts = np.unique(classes, return_counts=True)
    repeated = values[counts > 1]
    return [f"classes must differ, but {repeated[0]!s} stands for {counts.max()} of them"] if len(repeated) else []


def _of_ridges(ridges: Any, distilled: Any) -> list[str]:
    """The ridges of a set for several (T11) are those of the data, all times one c^2 (T4')."""
    of_data, of_set = list(dict.fromkeys(ridges or ())), list(distilled or ())
    if len(of_data) != len(of_set):
        return [f"there are {len(of_data)} ridges of the data and {len(of_set)} of the set"]
    scales = [b / a for a, b in zip(of_data, of_set, strict=True) if a > 0.0]
    same = all(math.isclose(scale, scales[0], rel_tol=8.0 * np.finfo(float).eps) for scale in scales)
    if not same or any((a > 0.0) != (b > 0.0) for a, b in zip(of_data, of_set, strict=True)):
        return [f"ridges of the set {of_set} must be those of the data {of_data}, times one number"]
    return []


def _of_path(first: np.ndarray | None, path: np.ndarray | None, name: str, of_path: str) -> list[str]:
    if path is None:
        return []
    if first is None:
        return [f"{of_path} is there, but {name} is not"]
    return [] if np.array_equal(first, path[0]) else [f"{name} must be {of_path}[0], but they differ"]
