"""A synthetic set on disk, with the record of how it was made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from analytic_dd.baselines.ledger import Ledger
from analytic_dd.baselines.methods.driver import BaselineResult
from analytic_dd.errors import DataError
from analytic_dd.features import from_spec
from analytic_dd.files import read_npz, to_json, write_npz
from analytic_dd.judge.stored import Found, certificates_of

__all__ = ["certificate_of_set", "load_set", "save_set"]

FORMAT = "analytic_dd.BaselineResult/1"

_ARRAYS = ("inputs", "x", "y", "classes_of_points")
_FACTS = ("method", "config", "seed", "device", "steps", "finished", "learned")


def save_set(path: str | Path, result: BaselineResult, **facts: Any) -> None:
    """Write a result to an npz file, atomically and without pickles.

    Parameters
    ----------
    **facts
        JSON values to store beside it.
    """
    meta: dict[str, Any] = {"format": FORMAT, "ledger": result.ledger.to_dict(), "facts": facts}
    meta |= {name: getattr(result, name) for name in _FACTS}
    arrays = {name: np.asarray(getattr(result, name)) for name in _ARRAYS}
    arrays["losses"] = np.array(result.losses, dtype=np.float64).reshape(-1, 3)
    if result.weights is not None:
        arrays["w"], meta["features"] = result.weights, result.features
    write_npz(path, arrays | {"meta": np.frombuffer(to_json(meta).encode(), dtype=np.uint8)})


def load_set(path: str | Path) -> tuple[BaselineResult, dict[str, Any]]:
    """Read what :func:`save_set` wrote: the result and the facts.

    Raises
    ------
    DataError
        The file is another or damaged; nothing is unpickled.
    OSError
        The file cannot be opened.
    """
    stored = read_npz(path)
    try:
        meta = json.loads(bytes(stored["meta"]).decode())
        if meta["format"] != FORMAT:
            raise ValueError(f"format {meta['format']!r}")
        values: dict[str, Any] = {name: stored[name] for name in _ARRAYS} | {name: meta[name] for name in _FACTS}
        _require_fitting(values)
        if "w" in stored:
            values |= {"weights": stored["w"], "features": meta["features"]}
            _require_model(values)
        values["losses"] = [(int(step), float(seconds), float(loss)) for step, seconds, loss in stored["losses"]]
        return BaselineResult(ledger=Ledger.from_dict(meta["ledger"]), **values), dict(meta["facts"])
    except (KeyError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise DataError(f"{path} is not a set of a baseline ({error}); remove it and make it again") from error


def _require_fitting(values: dict[str, Any]) -> None:
    """Refuse arrays that are no set: what scores it need not look again."""
    m = len(values["inputs"])
    fitting = {
        "inputs": values["inputs"].ndim == 2 and values["inputs"].size > 0,
        "x": values["x"].ndim in (2, 3, 4) and len(values["x"]) == m and values["x"].size == values["inputs"].size,
        "y": values["y"].ndim == 2 and len(values["y"]) == m and values["y"].size > 0,
        "classes_of_points": values["classes_of_points"].shape == (m,)
        and values["classes_of_points"].dtype.kind in "iu",
    }
    fitting |= {f"finite {name}": _are_finite(values[name]) for name in ("inputs", "x", "y")}
    kinds = {"method": str, "config": dict, "seed": int, "device": str, "steps": int, "finished": bool, "learned": dict}
    fitting |= {name: isinstance(values[name], kind) for name, kind in kinds.items()}
    wrong = [name for name, right in fitting.items() if not right]
    if wrong:
        raise ValueError(f"it has no valid {', '.join(wrong)}")


def _require_model(values: dict[str, Any]) -> None:
    W, ridge = values["weights"], values["learned"].get("ridge")
    if W.ndim != 2 or not W.size or len(W) != values["y"].shape[1] or not _are_finite(W):
        raise ValueError("it has no valid w")
    if not isinstance(values["features"], dict) or not isinstance(ridge, (int, float)):
        raise ValueError("it has weights without the map and the ridge that go with them")


def certificate_of_set(path: str | Path) -> tuple[str, Found | None]:
    """Read a set; return what it is in words, and its certificate (T16), or None where its method promises no weights.

    Raises
    ------
    DataError, OSError
        As :func:`load_set`; or the map cannot be rebuilt.
    """
    found, _ = load_set(path)
    words = f"a set of bench ({found.method}, {len(found.x)} points, seed {found.seed}, {found.steps} steps)"
    if found.weights is None or found.features is None:
        return words, None
    phi = from_spec(dict(found.features), d=found.inputs.shape[1], p=found.weights.shape[1])
    W, ridges = found.weights[None], [float(found.learned["ridge"])]
    return words, certificates_of(phi, found.inputs, found.y, weights=W, intercepts=[None], ridges=ridges)[0]


def _are_finite(A: np.ndarray) -> bool:
    return A.dtype == np.float64 and bool(np.all(np.isfinite(A)))
