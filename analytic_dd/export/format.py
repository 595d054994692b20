"""Formats in which a distilled set can be written. A format is a function with a name and a line of help."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analytic_dd.errors import DataError
from analytic_dd.files import expanded

__all__ = [
    "FORMATS",
    "Exportable",
    "Exported",
    "Format",
    "export",
    "facts",
    "hard_labels",
    "images",
    "recovery_note",
    "register",
]


@dataclass(frozen=True, repr=False)
class Exportable(ABC):
    """What formats are written from; :class:`analytic_dd.io.DistilledSet` says what it all is."""

    inputs: np.ndarray
    x: np.ndarray
    y: np.ndarray
    w: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    classes: np.ndarray
    meta: dict[str, Any]
    intercept: np.ndarray | None = None
    levels: np.ndarray | None = None
    low: np.ndarray | None = None
    step: np.ndarray | None = None

    @property
    def ridge(self) -> float:
        """lambda_s, absolute."""
        return float(self.meta["distilled_ridge"])

    @property
    def loss(self) -> str:
        """The loss whose penalised minimiser on the set is W; older files are of the squared one."""
        return str(self.meta.get("loss", "squared"))

    @property
    @abstractmethod
    def feature_map(self) -> Any:
        """The feature map."""

    @abstractmethod
    def certify(self, *, inputs: np.ndarray | None = None) -> Any:
        """Certify the set, or other inputs in their place."""


@dataclass(frozen=True)
class Exported:
    """The files that an export wrote, and the notes that their reader needs.

    Attributes
    ----------
    files : tuple of Path
    notes : tuple of str
    """

    files: tuple[Path, ...]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join([*map(str, self.files), *self.notes])


@dataclass(frozen=True)
class Format:
    """A format, which :func:`register` adds.

    Attributes
    ----------
    name : str
    about : str
        What is written, for the help.
    suffix : str
        The ending of the file; empty where a folder is written.
    write : callable
        It writes a set to a path and returns the files and the notes.
    """

    name: str
    about: str
    suffix: str
    write: Callable[[Exportable, Path], Exported]


FORMATS: dict[str, Format] = {}

_Write = Callable[[Exportable, Path], Exported]


def register(name: str, about: str, *, suffix: str = "") -> Callable[[_Write], _Write]:
    """Add a function to the formats under a name."""

    def add(write: _Write) -> _Write:
        if name in FORMATS:
            raise ValueError(f"there is a format named {name} already")
        FORMATS[name] = Format(name, about, suffix, write)
        return write

    return add


def export(distilled: Exportable, name: str, path: str | Path) -> Exported:
    """Write a distilled set in another format.

    Parameters
    ----------
    distilled : DistilledSet
    name : str
        ``torch, sklearn, safetensors, dc, mtt, kip, dd-ranking, folder`` or ``parquet``.
    path : str or Path
        The file to write, or the folder for ``mtt``, ``dd-ranking`` and ``folder``.

    Returns
    -------
    Exported
        The files, and what their reader must know: which array to fit on, at which ridge, and how well W comes back.

    Raises
    ------
    DataError
        The format cannot hold the set: soft labels where it takes classes, rows where it takes images.
    ValueError
        An unknown format.
    ImportError
        The library that writes it is missing.
    OSError
        The file cannot be written.
    """
    if name not in FORMATS:
        raise ValueError(f"unknown format {name!r}; choose from {', '.join(FORMATS)}")
    return FORMATS[name].write(distilled, expanded(path))


def facts(distilled: Exportable) -> dict[str, str]:
    """Return what goes with the arrays, as text: a reader without this package needs it to know what they are."""
    meta = distilled.meta
    return {
        "format": "analytic_dd",
        "about": f"minimise the {distilled.loss} loss with this ridge on the features of inputs (identity: on inputs)",
        "loss": distilled.loss,
        "ridge": repr(distilled.ridge),
        "fit_intercept": json.dumps(distilled.intercept is not None),
        "classes": json.dumps([str(name) for name in distilled.classes]),
        "label_kind": str(meta["labels"]),
        "features": json.dumps(meta["features"]),
        "data": json.dumps(meta["data"]),
        "certificate": json.dumps(meta.get("certificate")),
    }


def images(distilled: Exportable, name: str) -> np.ndarray:
    """Return the inputs as images (m, h, w, c), or refuse rows."""
    shape = distilled.x.shape[1:]
    if len(shape) < 2:
        raise DataError(
            f"format {name} holds images, got rows of {shape[0]} numbers; export to parquet, sklearn or torch instead"
        )
    return distilled.inputs.reshape(len(distilled.x), *shape[:2], -1)


def hard_labels(distilled: Exportable, name: str) -> tuple[np.ndarray, float]:
    """Return the class (m,) of each point and the size of its label, where labels are multiples of unit vectors.

    Raises
    ------
    DataError
        Soft labels: of those a class keeps the largest entry only, and W does not come back.
    """
    y = distilled.y
    if distilled.meta.get("task") == "regress":
        raise DataError(
            f"format {name} holds classes, and this set has quantities; export to sklearn, torch or parquet"
        )
    size = float(y.max(initial=0.0))
    classes = y.argmax(axis=1)
    hard = np.zeros_like(y)
    hard[np.arange(len(y)), classes] = size
    if y.shape[1] < 2 or size <= 0.0 or not np.array_equal(hard, y):
        raise DataError(
            f"format {name} holds one class a point, got {distilled.meta['labels']} labels from {y.min():.3g} to "
            f"{y.max():.3g}; distil with labels='one-hot', or export to kip, torch or safetensors"
        )
    return classes, size


def recovery_note(distilled: Exportable, inputs: np.ndarray, what: str) -> str:
    """Say how well W comes back from inputs as they were written."""
    try:
        error = distilled.certify(inputs=np.asarray(inputs, dtype=np.float64)).relative_error
    except DataError:  # the map is code that no file holds
        return f"{what}; the feature map is code, so how well W comes back is not measured"
    return f"{what}: W comes back to {error:.1e}"
