"""Sets that others made as results of the benchmark: in its units, with its labels, at its sizes."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from analytic_dd.baselines.bench.plan import Plan, SetCell, Variant, reason_against
from analytic_dd.baselines.bench.set_forms import ForeignSet, foreign_sets
from analytic_dd.baselines.bench.settings import data_key
from analytic_dd.baselines.ledger import Ledger
from analytic_dd.baselines.methods.driver import BaselineResult
from analytic_dd.baselines.methods.task import height_width_channels
from analytic_dd.data import Dataset, pixels
from analytic_dd.errors import DataError, unknown_word
from analytic_dd.files import expanded, open_file
from analytic_dd.labels import one_hot

__all__ = ["FOREIGN", "UNITS", "foreign_plan", "foreign_result", "parse_set"]

FOREIGN = "set"  # the method of a row
UNITS = ("normalised", "data", "unit", "dc")

_DC = {  # what the code of DC, DSA, DM normalises pixels between 0 and 1 by: mean and deviation of each channel
    "mnist": ((0.1307,), (0.3081,)),
    "fashion-mnist": ((0.2861,), (0.3530,)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "cifar100": ((0.5071, 0.4866, 0.4409), (0.2673, 0.2564, 0.2762)),
    "tiny-imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "imagenette": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


def parse_set(text: str) -> tuple[Path, str]:
    """Read PATH or PATH:units=WORD; the units are empty where they are left to the file.

    Examples
    --------
    >>> parse_set("res.pt:units=dc")[1], parse_set("res.pt")[1]
    ('dc', '')
    >>> parse_set("res.pt:units=bytes")
    Traceback (most recent call last):
        ...
    ValueError: unknown units 'bytes'; choose from normalised, data, unit, dc
    """
    path, mark, units = text.rpartition(":units=")
    if not mark:
        return expanded(text), ""
    if units not in UNITS:
        raise ValueError(unknown_word("units", units, UNITS))
    return expanded(path), units


def foreign_result(path: Path, dataset: Dataset, *, units: str = "", index: int = 0) -> BaselineResult:
    """Return a set of a file as a result on a data set: inputs normalised as the methods have them, labels as rows.

    Parameters
    ----------
    path : Path
    dataset : Dataset
    units : {"", "normalised", "data", "unit", "dc"}
        What the images are in: normalised by the channel moments of the training part, as most files are read; the
        data's units; pixels from 0 to 1; or normalised by the constants of the code of DC, which MTT shares. Empty
        leaves it to the form.
    index : int
        Which of the sets of the file.

    Raises
    ------
    DataError
        The images have other sizes than the data, the labels other classes, or numbers are not finite.
    """
    found = foreign_sets(path)[index]
    rows = _rows(found, dataset, path)
    units = units or found.units
    mean, std = (np.tile(value, dataset.d // len(value)) for value in dataset.statistics())
    if units != "normalised":
        low, high = dataset.value_range()
        first, scale = _constants(dataset, path) if units == "dc" else (0.0, 1.0)
        values = rows if units == "data" else low + (high - low) * (rows * scale + first)
        rows = (values - mean) / std
    labels = _labels(found, dataset, path)
    if not (np.isfinite(rows).all() and np.isfinite(labels).all()):
        raise DataError(f"{path} has numbers that are not finite")
    return BaselineResult(
        inputs=rows,
        x=pixels(rows, *dataset.statistics(), dataset.image_shape),
        y=labels,
        classes_of_points=labels.argmax(axis=1),
        method=FOREIGN,
        config={"file": path.name, "units": units, "index": index},
        seed=index,
        device="cpu",
        steps=0,
        finished=True,
        ledger=Ledger(),
    )


def _constants(dataset: Dataset, path: Path) -> tuple[np.ndarray, np.ndarray]:
    key = data_key(dataset)
    if key not in _DC:
        raise DataError(f"{path}: the code of DC has no constants for {dataset.name}, but for {', '.join(_DC)}")
    mean, std = (np.tile(np.array(value), dataset.d // len(value)) for value in _DC[key])
    return mean, std


def _rows(found: ForeignSet, dataset: Dataset, path: Path) -> np.ndarray:
    """Return the images as rows (m, d), channels last."""
    images = np.asarray(found.images, dtype=np.float64)
    height, width, channels = height_width_channels(dataset.image_shape)
    last, first = (height, width, channels), (channels, height, width)
    shape = images.shape[1:]
    if images.ndim >= 2 and len(images):
        if shape == (dataset.d,) or (shape == (height, width) and channels == 1):
            return images.reshape(len(images), -1)
        if shape == (first if found.channels == "first" else last):
            return _flat(images, first=found.channels == "first")
        if shape in (first, last):
            return _flat(images, first=shape == first)
    raise DataError(f"{path} has images {images.shape}, {dataset.name} wants (m, {height}, {width}, {channels})")


def _flat(images: np.ndarray, *, first: bool) -> np.ndarray:
    return np.asarray(np.moveaxis(images, 1, -1) if first else images).reshape(len(images), -1)


def _labels(found: ForeignSet, dataset: Dataset, path: Path) -> np.ndarray:
    """Return labels (m, k) in the order of the classes of the data."""
    k, m = len(dataset.classes), len(found.images)
    labels = found.labels
    if labels is None:
        if m % k:
            raise DataError(f"{path} has no labels, and {m} images are not as many of each of {k} classes")
        labels = np.repeat(np.arange(k), m // k)
    count = len(found.names) or k
    if labels.shape in ((m,), (m, 1)):
        classes = labels.reshape(m)
        if not np.all(classes == np.round(classes)) or not 0 <= classes.min() <= classes.max() < count:
            raise DataError(f"{path} has classes from {classes.min()} to {classes.max()}, {dataset.name} has {k}")
        labels = np.asarray(one_hot(classes.astype(np.int64), count))
    order = _order(found.names, dataset, path) if found.names else list(range(k))
    if labels.shape != (m, count):
        raise DataError(f"{path} has labels {labels.shape}, wanted ({m},) or ({m}, {k})")
    whole = np.zeros((m, k))
    whole[:, order] = labels
    return whole


def _order(names: Sequence[str], dataset: Dataset, path: Path) -> list[int]:
    known = [str(name) for name in dataset.classes]
    strange = [name for name in names if name not in known]
    if strange:
        raise DataError(f"{path} has classes {', '.join(strange[:3])}, which {dataset.name} has not")
    return [known.index(name) for name in names]


def foreign_plan(texts: Sequence[str], datasets: Sequence[Dataset], predictors: Sequence[str]) -> Plan:
    """Return the cells of sets in files, as PATH or PATH:units=WORD, each on every data set.

    A file that holds several sets has a seed for each, in their order. Every set is read here once, so that what cannot
    be scored is refused before anything runs.

    Raises
    ------
    DataError, ValueError, OSError
        A file cannot be read, or a set does not fit a data set.
    """
    cells, left_out = [], []
    for text in texts:
        path, units = parse_set(text)
        digest = _sha256(path)
        for dataset in datasets:
            for index in range(len(foreign_sets(path))):
                found = foreign_result(path, dataset, units=units, index=index)
                options = {"file": str(path), "sha256": digest, "units": found.config["units"]}
                variant = Variant(FOREIGN, path.name + (f":units={units}" if units else ""), options)
                probable = bool(found.y.min() >= 0.0 and np.allclose(found.y.sum(axis=1), 1.0, atol=1e-4))
                reasons = {
                    name: "its labels are no probabilities"
                    if "soft" in name.split("+") and not probable
                    else reason_against(name, variant, dataset)
                    for name in dict.fromkeys(predictors)
                }
                left_out += [f"{variant.label}, {dataset.name}, {name}: {one}" for name, one in reasons.items() if one]
                chosen = tuple(name for name, reason in reasons.items() if reason is None)
                per_class = math.ceil(len(found.inputs) / len(dataset.classes))
                if chosen:
                    cells.append(SetCell(variant, dataset.name, per_class, index, chosen))
    return Plan(tuple(cells), tuple(dict.fromkeys(left_out)))


def _sha256(path: Path) -> str:
    """Return the SHA-256 of a file, or of the names and contents of the files of a folder."""
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    found = hashlib.sha256()
    for one in files:
        found.update(f"{one.relative_to(path) if path.is_dir() else ''}".encode())
        with open_file(one) as stream:
            found.update(stream.read())
    return found.hexdigest()
