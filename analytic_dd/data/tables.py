"""Tables as data sets. One column is the target; each of the others is normalised by its own mean and deviation.

Columns of text become one-hot columns, and the source says so. Without a test part a fifth of the rows is set aside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from analytic_dd.data.classes import describe_split, many_integers, random_split
from analytic_dd.data.dataset import Dataset, content_sha256
from analytic_dd.data.frames import columns_of, numbers, one_hot_columns
from analytic_dd.data.normalisation import channel_moments
from analytic_dd.errors import DataError, did_you_mean, shown
from analytic_dd.files import MAX_BYTES, expanded, open_file

__all__ = ["TASKS", "Table", "as_table", "from_frame", "is_table", "read_table"]

TASKS = ("classify", "regress")
_ENDINGS = (".csv", ".tsv", ".txt", ".parquet", ".pq")
_USUAL_TARGETS = ("target", "label", "labels", "class", "y")
_INDEX = ("", "Unnamed: 0")  # what pandas calls an index that it wrote without a name


@dataclass(frozen=True, eq=False, repr=False)
class Table:
    """Samples with numbers as outputs, for a regression.

    Parameters
    ----------
    name : str
    x_train, x_test : (n, d) float64 array
        Rows in the units of the table; :meth:`statistics` normalises each column.
    y_train, y_test : (n, k) float64 array
    columns : tuple of str
        Names of the d columns.
    outputs : tuple of str
        Names of the k outputs.
    source : str
        Where the table came from, in words.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    columns: tuple[str, ...]
    outputs: tuple[str, ...]
    source: str = "arrays"

    def __repr__(self) -> str:
        shape, parts = tuple(self.x_train.shape[1:]), f"{len(self.x_train):,} + {len(self.x_test):,} samples"
        return f"Table({self.name}: {parts} of shape {shape}, {len(self.outputs)} outputs)"

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape of a sample, (d,)."""
        return tuple(self.x_train.shape[1:])

    @property
    def d(self) -> int:
        """Numbers in a sample."""
        return len(self.columns)

    @property
    def channels(self) -> int:
        """How many numbers normalise a sample: one a column."""
        return len(self.columns)

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean and deviation (d,) of each column over the training part; a deviation of 0 becomes 1."""
        return channel_moments(self.x_train, self.x_train.shape[1])

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the content, as for a :class:`Dataset`."""
        return content_sha256(self.x_train, self.y_train, self.x_test, self.y_test)


def is_table(path: Path) -> bool:
    """Say whether a file's name is that of a table."""
    return path.suffix.lower() in _ENDINGS


def read_table(
    path: str | Path, *, target: str | None = None, task: str = "classify", name: str | None = None
) -> Dataset | Table:
    """Read a CSV or parquet file.

    Parameters
    ----------
    path : str or Path
        A file with one row a sample: CSV (separated by commas, semicolons or tabs, with names in its first line unless
        that holds numbers alone) or parquet.
    target : str, optional
        Name of the column of the labels; a column called target, label, class or y is found without.
    task : {"classify", "regress"}
        Whether the labels are classes or quantities.
    name : str, optional
        Default: that of the file.

    Returns
    -------
    Dataset or Table
        A fifth of the rows is the test part.

    Raises
    ------
    DataError
        The file cannot be read as a table, or pandas is missing; see also :func:`from_frame`.
    OSError
        The file cannot be opened.
    """
    path = expanded(path)
    return _made(_frame(path), target=target, task=task, name=name or path.stem, source=str(path))


def from_frame(
    frame: Any, *, target: str | None = None, task: str = "classify", name: str = "table"
) -> Dataset | Table:
    """Make a data set of a frame of pandas or polars.

    Parameters
    ----------
    frame : DataFrame
        One row a sample. Numbers and booleans are taken as they are; text with up to 50 categories becomes one column
        of 0 and 1 a category.
    target, task, name
        See :func:`read_table`.

    Raises
    ------
    DataError
        Values are missing or infinite (their columns are named), a column holds dates or text without categories, the
        target is unknown, or classes are fractions.

    Examples
    --------
    >>> import pandas
    >>> frame = pandas.DataFrame({"age": [31, 45, 28, 60], "city": ["Rom", "Bern", "Rom", "Rom"], "buy": list("ynyn")})
    >>> data = from_frame(frame, target="buy")
    >>> data.columns, data.classes, [mean.round(2).tolist() for mean in data.statistics()]
    (('age', 'city=Bern', 'city=Rom'), ('n', 'y'), [[34.67, 0.33, 0.67], [7.41, 0.47, 0.47]])
    >>> from_frame(frame)
    Traceback (most recent call last):
        ...
    analytic_dd.errors.DataError: table: name the column of the labels, e.g. target='buy'; the columns are age, city,
    buy
    """
    return _made(frame, target=target, task=task, name=name, source="arrays")


def _made(frame: Any, *, target: str | None, task: str, name: str, source: str) -> Dataset | Table:
    try:
        columns, notes = columns_of(frame), []
        first = next(iter(columns))
        if first in _INDEX and np.array_equal(columns[first], np.arange(len(columns[first]))):
            del columns[first]
            notes.append("the unnamed column of row numbers is left out")
        wanted = _target(columns, target)
        labels = columns.pop(wanted)
        columns, categories = one_hot_columns(columns)
        if categories:
            notes.append("one-hot: " + ", ".join(f"{key} ({len(texts)})" for key, texts in categories.items()))
        if not columns:
            raise DataError("there is no column beside the target; a sample needs at least one number")
        samples, labels = numbers(columns), _classes(labels) if task == "classify" else labels
    except DataError as error:
        raise DataError(f"{source if source != 'arrays' else name}: {error}") from error
    told = "; ".join((source, *notes))
    arrays = (samples, labels, None, None)
    return as_table(arrays, tuple(columns), outputs=(wanted,), task=task, name=name, source=told)


def as_table(
    arrays: tuple[Any, Any, Any, Any],
    columns: tuple[str, ...],
    *,
    task: str,
    name: str,
    source: str,
    outputs: tuple[str, ...] = (),
) -> Dataset | Table:
    """Return rows with labels as a data set of classes or of outputs; without a test part a fifth is set aside.

    Parameters
    ----------
    arrays : (x_train, y_train, x_test, y_test)
        The last two may be None.
    columns, outputs : tuple of str
        Names; outputs have numbers by default.
    task, name, source
        See :class:`Table`.
    """
    x, y, x_test, y_test = arrays
    if task not in TASKS:
        raise ValueError(f"task must be one of {', '.join(TASKS)}, got {task!r}")
    if task == "classify":
        if found := many_integers(y):
            raise DataError(f"{name}: the labels are {found}; task='regress' is for quantities, text is always a class")
        return Dataset.from_arrays(*arrays, name=name, source=source, split=True, columns=columns)
    Y, Y_test = (None if each is None else _outputs(np.asarray(each), source) for each in (y, y_test))
    assert Y is not None
    X: np.ndarray = np.asarray(x, dtype=np.float64)
    if len(X) != len(Y):
        raise DataError(f"{source}: {len(X)} samples and {len(Y)} outputs; give one output a sample")
    names = outputs or tuple(f"output {i}" for i in range(Y.shape[1]))
    if x_test is not None and Y_test is not None:
        return Table(name, X, Y, np.asarray(x_test, dtype=np.float64), Y_test, columns, names, source)
    train, test = random_split(len(X))
    told = f"{source}; {describe_split(stratified=False)}"
    return Table(name, X[train], Y[train], X[test], Y[test], columns, names, told)


def _target(columns: Mapping[str, np.ndarray], target: str | None) -> str:
    """Return the name of the column of the labels."""
    if target in columns:
        return str(target)
    names = ", ".join(shown(name) for name in list(columns)[:20])
    if target is not None:
        hint = did_you_mean(target, columns)
        raise DataError(f"target={target!r} is no column; the columns are {names}{hint}")
    usual = [name for name in columns if name.lower() in _USUAL_TARGETS]
    if len(usual) == 1:
        return usual[0]
    raise DataError(f"name the column of the labels, e.g. target={list(columns)[-1]!r}; the columns are {names}")


def _classes(y: np.ndarray) -> np.ndarray:
    """Return labels that are classes: text, integers, booleans, or floats without fractions."""
    if y.dtype.kind == "f" and np.all(np.isfinite(y)):
        if np.any(y != np.rint(y)):
            raise DataError(
                f"the labels hold fractions such as {y[y != np.rint(y)][0]:.4g}; task='regress' is for quantities, "
                "classes are text or integers"
            )
        y = y.astype(np.int64)
    return y


def _outputs(y: np.ndarray, source: str) -> np.ndarray:
    """Return labels that are quantities, (n, k) float64."""
    if y.dtype.kind not in "biuf":
        raise DataError(f"{source}: the labels are text; task='regress' needs numbers, task='classify' takes text")
    outputs = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
    if not np.all(np.isfinite(outputs)):
        raise DataError(f"{source}: the labels must be finite; drop or repair those rows")
    return outputs


def _frame(path: Path) -> Any:
    """Read a file into a frame of pandas."""
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise DataError(f"{path}: tables are read with pandas; pip install 'analytic-dd[tables]'") from error
    with open_file(path) as stream:
        size = stream.seek(0, 2)
        if size > MAX_BYTES:
            raise DataError(f"{path} has {size:,} bytes, more than the {MAX_BYTES:,} that are read; split it")
        stream.seek(0)
        try:
            if path.suffix.lower() in (".parquet", ".pq"):
                return pandas.read_parquet(stream)
            first = stream.readline().decode("utf-8-sig")
            stream.seek(0)
            separator = max(",;\t|", key=first.count)
            names = [cell.strip().strip('"') for cell in first.split(separator)]
            header = None if all(map(_is_number, names)) else 0
            return pandas.read_csv(stream, sep=separator, header=header, encoding="utf-8-sig", low_memory=False)
        except ImportError as error:
            raise DataError(f"{path}: parquet is read with pyarrow; pip install 'analytic-dd[tables]'") from error
        except Exception as error:  # parsers raise almost anything
            reason = " ".join(str(error).split())[:200]
            raise DataError(f"{path} cannot be read as a table ({reason}); write it as CSV in UTF-8") from error


def _is_number(text: str) -> bool:
    try:
        return float(text) is not None
    except ValueError:
        return False
