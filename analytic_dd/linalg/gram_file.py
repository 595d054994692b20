"""Sums in files: an npz archive without pickles, written atomically, read without trust."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analytic_dd.arrays import to_numpy
from analytic_dd.errors import DataError
from analytic_dd.files import read_npz, write_npz
from analytic_dd.linalg.provenance import Provenance

if TYPE_CHECKING:
    from analytic_dd.linalg.gram import GramStatistics

__all__ = ["read_sums", "restore", "write_sums"]

_FORMAT = "analytic_dd.GramStatistics/1"
_SUMS = ("G", "C", "yy", "sum_phi", "sum_y")
_NUMBERS = ("n", "weight", "gram_error", "float32_samples")


def write_sums(path: str | Path, statistics: GramStatistics, **counts: int) -> None:
    """Write statistics (arrays of any library) and further ``counts``, replacing what stood at ``path`` at the end."""
    members: dict[str, np.ndarray] = {"format": np.frombuffer(_FORMAT.encode(), dtype=np.uint8)}
    members |= {name: np.asarray(getattr(statistics, name)) for name in _NUMBERS}
    members |= {name: np.asarray(value) for name, value in counts.items()}
    if statistics.provenance is not None:
        members["provenance"] = np.frombuffer(statistics.provenance.to_json().encode(), dtype=np.uint8)
    write_npz(path, members | {name: to_numpy(getattr(statistics, name)) for name in _SUMS})


def restore(empty: GramStatistics, stored: Mapping[str, Any]) -> GramStatistics:
    """Put what :func:`read_sums` returned into empty statistics of its p and k, and return them."""
    empty._G, empty.n, empty.weight = stored["G"], int(stored["n"]), float(stored["weight"])
    empty.gram_error, empty.float32_samples = float(stored["gram_error"]), int(stored["float32_samples"])
    empty.C, empty.yy, empty.sum_phi, empty.sum_y = (stored[name] for name in _SUMS[1:])
    empty.provenance = stored["provenance"]
    return empty


def read_sums(path: str | Path, *, counts: Sequence[str] = ()) -> dict[str, Any]:
    """Read and check what :func:`write_sums` wrote: arrays, ``n``, ``weight``, ``provenance`` and further ``counts``.

    Raises
    ------
    DataError
        Not such a file, or sizes in it that contradict each other.
    """
    stored: dict[str, Any] = dict(read_npz(path))
    if bytes(stored.get("format", np.zeros(0, np.uint8))) != _FORMAT.encode():
        raise DataError(f"{path} holds no statistics of this version ({_FORMAT}); make it with GramStatistics.save")
    k, p = stored["C"].shape if "C" in stored and stored["C"].ndim == 2 else (0, 0)
    shapes: dict[str, tuple[int, ...]] = {"C": (k, p), "G": (p, p), "yy": (k,), "sum_phi": (p,), "sum_y": (k,)}
    stored.setdefault("gram_error", np.asarray(0.0))
    stored.setdefault("float32_samples", np.asarray(0))
    integers = ("n", "float32_samples", *counts)
    for name, shape in (shapes | dict.fromkeys((*integers, "weight", "gram_error"), ())).items():
        array = stored.get(name)
        numeric = array is not None and array.dtype.kind == ("i" if name in integers else "f") and k and p
        if array is None or not numeric or array.shape != shape or not np.all(np.isfinite(array)):
            raise DataError(f"{path}: {name} must be finite of shape {shape}; the file is damaged, make it again")
    if any(stored[name].dtype != np.float64 for name in _SUMS):
        raise DataError(f"{path}: sums must be float64; the file is damaged, make it again")
    if np.abs(stored["G"] - stored["G"].T).max() > 1e-12 * np.abs(stored["G"]).max():
        raise DataError(f"{path}: G must be symmetric; the file is damaged, make it again")
    if any(values.min() < -1e-9 * np.abs(values).max() for values in (np.diagonal(stored["G"]), stored["yy"])):
        raise DataError(f"{path}: sums of squares must be >= 0; the file is damaged, make it again")
    if stored["n"] < 1 or not stored["weight"] > 0.0:
        raise DataError(f"{path}: n must be at least 1, got {stored['n']}; the file is damaged, make it again")
    if stored["gram_error"] < 0.0 or stored["float32_samples"] < 0 or any(stored[name] < 0 for name in counts):
        raise DataError(f"{path}: errors and counts must be >= 0; the file is damaged, make it again")
    stored["provenance"] = _provenance(path, stored.get("provenance"), int(stored["n"]))
    return stored


def _provenance(path: str | Path, stored: Any, n: int) -> Provenance | None:
    if stored is None:
        return None
    if stored.dtype != np.uint8 or stored.ndim != 1:
        raise DataError(f"{path}: the provenance must be bytes; the file is damaged, make it again")
    try:
        provenance = Provenance.from_json(stored.tobytes().decode())
    except (DataError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {error}") from error
    if provenance.samples and provenance.count != n:
        raise DataError(f"{path}: the provenance names {provenance.count} samples, the sums hold {n}; make it again")
    return provenance
