"""Which mean and deviation inputs are normalised with: those of the data, none, or agreed ones."""

from __future__ import annotations

import numpy as np

from analytic_dd.data.dataset import Dataset
from analytic_dd.errors import DataError
from analytic_dd.files import read_npz

__all__ = ["moments_for"]


def moments_for(dataset: Dataset, how: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and deviation per channel that inputs are normalised with.

    ``data``: of the training part. ``unit``: 0 and 1, 0 and 255 for bytes. A path: ``mean`` and ``std`` of an npz file,
    for parties that must agree on them without seeing each other's data.

    Raises
    ------
    DataError
        A file without them, of another number of channels, or with a deviation that is not positive.
    """
    if how == "data":
        return dataset.statistics()
    if how == "unit":
        scale = 255.0 if dataset.x_train.dtype == np.uint8 else 1.0
        return np.zeros(dataset.channels), np.full(dataset.channels, scale)
    stored = read_npz(how)
    if not {"mean", "std"} <= set(stored):
        raise DataError(f"{how} must have arrays mean and std, got {', '.join(stored) or 'none'}; store both")
    mean, std = (np.atleast_1d(np.asarray(stored[name], dtype=np.float64)) for name in ("mean", "std"))
    if mean.shape != (dataset.channels,) or std.shape != mean.shape:
        raise DataError(f"{how}: mean and std must have shape {(dataset.channels,)}, got {mean.shape} and {std.shape}")
    if not (np.all(np.isfinite(mean)) and np.all(np.isfinite(std)) and np.all(std > 0.0)):
        raise DataError(f"{how}: mean must be finite and std positive; make the file again")
    return mean, std
