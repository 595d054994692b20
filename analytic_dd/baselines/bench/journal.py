"""The journal of a benchmark: one line of JSON for each cell, which survives an interrupt at any byte."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from analytic_dd.errors import DataError
from analytic_dd.files import file_error

__all__ = ["KEY", "Journal", "cell_key", "read_rows"]

KEY = ("method", "variant", "data", "ipc", "seed", "predictor")

_FIELDS = (*KEY, "accuracy", "seconds", "device")
_NUMBERS = ("accuracy", "accuracy_std", "seconds")  # or null, where a row has them
_MAPPINGS = ("learned", "objective", "settings")


def cell_key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the values that name the cell of a row."""
    return tuple(row[name] for name in KEY)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the last row of each cell of a journal, without a torn last line.

    Raises
    ------
    DataError
        A line is not a row; the message has its number.

    Examples
    --------
    >>> read_rows(Path("no such file"))
    []
    """
    return list({cell_key(row): row for row in _parsed(path)[0]}.values())


def _parsed(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Return all rows, and how many bytes of the file they take; the last may lack its line end."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        raise file_error(path, error, "read") from error
    rows, whole = [], 0
    for number, line in enumerate(content.splitlines(keepends=True), start=1):
        torn = not line.endswith(b"\n")
        row = _row(line)
        if row is None and not torn:
            raise DataError(f"{path} line {number} is not a row of a benchmark; mend or remove that line")
        if row is not None:
            rows.append(row)
            whole += len(line)
    return rows, whole


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or any(name not in found for name in _FIELDS):
        return None
    right = all(not isinstance(found[name], (list, dict)) for name in KEY)
    for names, kinds in ((_NUMBERS, (int, float)), (_MAPPINGS, dict)):
        right = right and all(isinstance(found[name], kinds) for name in names if found.get(name) is not None)
    return found if right else None


class Journal:
    """A file of rows to which rows are only appended.

    Parameters
    ----------
    path : Path
    resume : bool
        Whether to go on after the rows of the file, without a torn last line; otherwise a file with rows is refused.

    Attributes
    ----------
    repaired : int
        Number of bytes of a torn last line that were cut off.

    Raises
    ------
    DataError
        There are rows that ``resume`` does not allow for, or a line is not a row.
    """

    def __init__(self, path: Path, *, resume: bool) -> None:
        self.path, self.repaired = path, 0
        rows, whole = _parsed(path)
        if rows and not resume:
            raise DataError(f"{path} has {len(rows)} rows; go on with --resume, or choose another --out")
        if path.exists() and path.stat().st_size > whole:
            self.repaired = path.stat().st_size - whole
            os.truncate(path, whole)
        self._by_key = {cell_key(row): row for row in rows}
        self._unended = bool(rows) and not path.read_bytes().endswith(b"\n")

    def find(self, key: tuple[Any, ...]) -> dict[str, Any] | None:
        """Return the row of a cell, or None."""
        return self._by_key.get(key)

    def append(self, row: Mapping[str, Any]) -> None:
        """Write a row in one piece, and wait until it is on the disk."""
        plain = json.loads(json.dumps(_plain(row), allow_nan=False))
        line = json.dumps(plain, ensure_ascii=False) + "\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                _write_all(handle, (b"\n" if self._unended else b"") + line.encode())
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise file_error(self.path, error) from error
        self._unended = False
        self._by_key[cell_key(plain)] = plain


def _write_all(handle: int, content: bytes) -> None:
    while content:
        content = content[os.write(handle, content) :]


def _plain(value: Any) -> Any:
    """Return JSON values, with null for numbers that are not finite."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
