"""Classes: labels as they came, integers or text, turned into indices 0..k-1 of a tuple of classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analytic_dd.errors import DataError

__all__ = ["as_labels", "encode", "indices_into"]


def as_labels(y: object, name: str) -> np.ndarray:
    """Return labels as a one-axis array of int64 or text.

    Raises
    ------
    DataError
        One-hot rows, another number of axes, fractions, bytes that are not text, objects.
    """
    array = np.asarray(y)
    if not array.size:
        raise DataError(f"{name} must hold labels, got none")
    if array.ndim == 2 and array.shape[1] > 1:
        raise DataError(
            f"{name} must be one class a sample, got shape {array.shape}; for one-hot rows use {name}.argmax(axis=1)"
        )
    if array.ndim != 1:
        raise DataError(f"{name} must be one class a sample, got shape {array.shape}; use {name}.ravel()")
    if array.dtype.kind in "biu":
        return array.astype(np.int64)
    if array.dtype.kind == "S":
        try:
            return np.char.decode(array, "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"{name} holds bytes that are not UTF-8 text ({error.reason}); use text labels") from error
    if array.dtype.kind != "U":
        raise DataError(f"{name} must be integers or text, got dtype {array.dtype}; use {name}.astype(int) or text")
    return array


def encode(
    y_train: np.ndarray, y_test: np.ndarray, classes: tuple[int | str, ...] | None = None
) -> tuple[np.ndarray, np.ndarray, tuple[int | str, ...]]:
    """Return both splits as int64 indices into the classes, and the classes: those given, or the training labels.

    Raises
    ------
    DataError
        A test label does not occur in training, or (with classes given) a label is no index into them; the message
        says which and where.
    """
    if classes is not None:
        return indices_into(y_train, classes, "y_train"), indices_into(y_test, classes, "y_test"), tuple(classes)
    if y_test.dtype.kind != y_train.dtype.kind:
        raise DataError(f"y_train is {_kind(y_train)} and y_test is {_kind(y_test)}; use one kind of labels for both")
    values, train = np.unique(y_train, return_inverse=True)
    test = np.minimum(np.searchsorted(values, y_test), len(values) - 1)
    unknown = np.flatnonzero(values[test] != y_test)
    if len(unknown):
        raise DataError(
            f"y_test has the label {y_test[unknown[0]].item()!r} at sample {unknown[0]}, which y_train does not have; "
            "drop those samples or train on that class"
        )
    return train.astype(np.int64), test.astype(np.int64), tuple(values.tolist())


def indices_into(y: np.ndarray, classes: Sequence[int | str], name: str) -> np.ndarray:
    """Check that ``y`` are indices into ``classes``, and return them as int64."""
    if y.dtype.kind != "i":
        raise DataError(f"{name} must be indices into the {len(classes)} classes, got {_kind(y)}")
    outside = np.flatnonzero((y < 0) | (y >= len(classes)))
    if len(outside):
        raise DataError(
            f"{name} must be indices 0..{len(classes) - 1} into the classes, got {y[outside[0]]} at sample {outside[0]}"
        )
    return y.astype(np.int64, copy=False)


def _kind(y: np.ndarray) -> str:
    return "text" if y.dtype.kind == "U" else "integers"
