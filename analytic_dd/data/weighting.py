"""Weights of training samples: given, in a file, or such that all classes count the same (T12)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from analytic_dd.data.dataset import Dataset
from analytic_dd.data.npy import read_floats

__all__ = ["weighting", "weights_of_samples"]


def weights_of_samples(given: np.ndarray | str | None, dataset: Dataset) -> np.ndarray | None:
    """Return weights of the training samples: an array as it is, that of an npy file, or n / (k n_c) if "balanced"."""
    if given is None or not isinstance(given, str):
        return given
    if given != "balanced":
        return read_floats(Path(given), "sample weights")
    counts = np.bincount(dataset.y_train, minlength=len(dataset.classes))
    return np.asarray((len(dataset.y_train) / len(counts) / counts)[dataset.y_train])


def weighting(given: np.ndarray | str | None) -> str | None:
    """Name the weights for a file: ``"balanced"``, ``"given"`` or None."""
    return None if given is None else "balanced" if isinstance(given, str) and given == "balanced" else "given"
