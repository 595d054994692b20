"""A synthetic set on disk, with the record of how it was made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from analytic_dd.baselines.ledger import Ledger
from analytic_dd.baselines.methods.driver import BaselineResult
from analytic_dd.errors import DataError
from analytic_dd.files import read_npz, write_npz

__all__ = ["load_set", "save_set"]

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
    meta = {"format": FORMAT, "ledger": result.ledger.to_dict(), "facts": facts}
    meta |= {name: getattr(result, name) for name in _FACTS}
    arrays = {name: np.asarray(getattr(result, name)) for name in _ARRAYS}
    arrays["losses"] = np.array(result.losses, dtype=np.float64).reshape(-1, 3)
    write_npz(path, arrays | {"meta": np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)})


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
        values["losses"] = [(int(step), float(seconds), float(loss)) for step, seconds, loss in stored["losses"]]
        return BaselineResult(ledger=Ledger.from_dict(meta["ledger"]), **values), dict(meta["facts"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is not a set of a baseline ({error}); remove it and make it again") from error
