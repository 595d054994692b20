"""What must hold of every data set; each failure is one line that says what, where, and what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np

from analytic_dd.data.classes import indices_into
from analytic_dd.data.samples import first_non_finite
from analytic_dd.errors import DataError

__all__ = ["check_classes", "check_same_dtype", "check_samples", "naming"]


@contextlib.contextmanager
def naming(name: str, source: str) -> Iterator[None]:
    """Put in front of a :class:`DataError` what it is about: the file, or else the name of the data set."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{name if source == 'arrays' else source}: {error}") from error


def check_classes(classes: Sequence[int | str], y_train: np.ndarray, y_test: np.ndarray) -> None:
    """Check the classes, and that the labels are indices into them that leave none empty."""
    k = len(classes)
    if k < 2:
        got = f"one class: {classes[0]!r}" if k else "none"
        raise DataError(f"at least two classes are needed, got {got}; add samples of another class")
    if len(set(classes)) != k:
        raise DataError(f"classes must be all different, got {', '.join(map(repr, classes[:5]))}; name each once")
    for y, name in ((y_train, "y_train"), (y_test, "y_test")):
        if y.dtype != np.int64 or y.ndim != 1:
            raise DataError(f"{name} must be one int64 index a sample, got {y.dtype} {y.shape}; use from_arrays")
        indices_into(y, classes, name)
    empty = np.flatnonzero(np.bincount(y_train, minlength=k) == 0)
    if len(empty):
        raise DataError(f"class {classes[empty[0]]!r} has no training sample; add some or drop the class")


def check_same_dtype(x_train: np.ndarray, x_test: np.ndarray) -> None:
    """Refuse bytes in one part and numbers from 0 to 1 in the other: one mean cannot serve both."""
    if x_train.dtype != x_test.dtype:
        raise DataError(f"x_train is {x_train.dtype} and x_test {x_test.dtype}; bring both to one dtype and one scale")


def check_samples(x: np.ndarray, y: np.ndarray, image_shape: tuple[int, ...], split: str) -> None:
    """Check dtype, sizes and finiteness of the samples of one part."""
    if x.dtype.kind not in "buif":
        raise DataError(f"x_{split} must hold numbers, got dtype {x.dtype}; convert it, e.g. to uint8")
    if x.shape[1:] != image_shape or 0 in image_shape or not 1 <= len(image_shape) <= 3:
        raise DataError(f"x_{split} must be samples of shape {image_shape}, got an array {x.shape}; resize them")
    if len(x) != len(y):
        raise DataError(f"x_{split} has {len(x)} samples and y_{split} {len(y)} labels; give one label a sample")
    found = first_non_finite(x)
    if found is not None:
        value, sample, position = found
        raise DataError(
            f"x_{split} must be finite, got {value} at sample {sample}, position {position}; drop or repair it"
        )
