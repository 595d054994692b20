"""Frames of pandas or polars as columns of numbers; text becomes one-hot, and missing values are refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from analytic_dd.errors import DataError, shown

__all__ = ["columns_of", "is_frame", "numbers", "one_hot_columns", "samples_of_frame"]

_MOST_CATEGORIES = 50  # different texts of a column that are one-hot; more are names or sentences, no categories
_NAMED = 10  # columns that a refusal names


def is_frame(values: object) -> bool:
    """Say whether ``values`` is a table of pandas or polars."""
    return hasattr(values, "columns") and hasattr(values, "to_numpy") and hasattr(values, "__getitem__")


def columns_of(frame: Any) -> dict[str, np.ndarray]:
    """Return the columns of a frame by name, each numbers or text, none with a missing value.

    Raises
    ------
    DataError
        There is no column, or two have one name, or columns have missing values (they are named), dates or other
        objects.
    """
    names = [str(name) for name in frame.columns]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if not names or repeated:
        got = f"two columns named {repeated[0]!r}" if repeated else "no column"
        raise DataError(f"a table must have columns of different names, got {got}; rename them")
    arrays = {name: np.asarray(frame[column].to_numpy()) for name, column in zip(names, frame.columns, strict=True)}
    _refuse_missing({name: _missing(array) for name, array in arrays.items()})
    return {name: _plain(array, name) for name, array in arrays.items()}


def _missing(array: np.ndarray) -> int:
    """Return how many values of a column are missing, as NaN, None or what pandas has for them."""
    if array.dtype.kind == "f":
        return int(np.isnan(array).sum())
    if array.dtype.kind == "M":
        return int(np.isnat(array).sum())
    if array.dtype.kind != "O":
        return 0
    return sum(
        value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value)
        for value in array
    )


def _refuse_missing(missing: Mapping[str, int]) -> None:
    found = [f"{shown(name)} ({count:,})" for name, count in missing.items() if count]
    if found:
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        raise DataError(
            f"values are missing in {', '.join(found[:_NAMED])}{more}; fill them (frame.fillna, scikit-learn's "
            "SimpleImputer) or drop those rows"
        )


def _plain(array: np.ndarray, name: str) -> np.ndarray:
    """Return a column as numbers or as text; objects must be all of one kind."""
    if array.dtype.kind == "O":
        kinds = {type(value) for value in array}
        if all(issubclass(kind, (bool, int, float, np.number, np.bool_)) for kind in kinds):
            array = np.array(array.tolist())
        elif kinds == {str}:
            array = np.array(array.tolist(), dtype=np.str_)
    if array.dtype.kind in "biufU":
        return array
    if array.dtype.kind == "T":
        return np.array(array.tolist(), dtype=np.str_)
    kind = "dates" if array.dtype.kind in "mM" else f"objects, such as {array[0]!r:.40}" if len(array) else "objects"
    raise DataError(f"column {shown(name)} holds {kind}; make numbers or text of it, or leave it out")


def numbers(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return columns of numbers side by side, (n, d) float64.

    Raises
    ------
    DataError
        There are infinite values; their columns are named.
    """
    found = np.column_stack([np.asarray(column, dtype=np.float64) for column in columns.values()])
    bad = [shown(name) for name, column in zip(columns, found.T, strict=True) if not np.all(np.isfinite(column))]
    if bad:
        raise DataError(f"values are infinite in {', '.join(bad[:_NAMED])}; drop or repair those rows")
    return found


def one_hot_columns(columns: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, list[str]]]:
    """Replace each column of text by one of 0 and 1 a category, called name=category, and return the categories.

    Parameters
    ----------
    columns : mapping of str to (n,) array

    Raises
    ------
    DataError
        There are too many different texts.

    Examples
    --------
    >>> one_hot_columns({"age": np.array([3, 5]), "city": np.array(["Rom", "Bern"])})[0]
    {'age': array([3, 5]), 'city=Bern': array([0., 1.]), 'city=Rom': array([1., 0.])}
    """
    found: dict[str, np.ndarray] = {}
    known: dict[str, list[str]] = {}
    for name, column in columns.items():
        if column.dtype.kind != "U":
            found[name] = column
            continue
        known[name] = sorted(set(column.tolist()))
        if len(known[name]) > _MOST_CATEGORIES:
            raise DataError(
                f"column {shown(name)} has {len(known[name])} different texts in {len(column):,} rows, more than the "
                f"{_MOST_CATEGORIES} that are one-hot; leave it out or make numbers of it"
            )
        found |= {f"{name}={text}": (column == text).astype(np.float64) for text in known[name]}
    return found, known


def samples_of_frame(frame: Any, name: str) -> np.ndarray:
    """Return a frame of numbers as (n, d) float64, as scikit-learn does; text is refused.

    Raises
    ------
    DataError
        There are missing values, text or infinite values; their columns are named.
    """
    columns = columns_of(frame)
    text = [shown(key) for key, column in columns.items() if column.dtype.kind == "U"]
    if text:
        raise DataError(
            f"{name} must hold numbers, got text in {', '.join(text[:_NAMED])}; encode it (scikit-learn's "
            "OneHotEncoder), or use analytic_dd.data.from_frame(frame, target=...), which makes it one-hot"
        )
    return numbers(columns)
