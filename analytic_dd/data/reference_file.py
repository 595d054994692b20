"""Reference images from a file, for sets that are to be near them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from analytic_dd.data.dataset import Dataset
from analytic_dd.data.npy import read_npy
from analytic_dd.errors import DataError
from analytic_dd.files import read_npz

__all__ = ["read_references"]


def read_references(path: str | Path, dataset: Dataset) -> tuple[np.ndarray, np.ndarray | None]:
    """Read images in the units of ``dataset`` from an npy file, or ``x`` and optionally ``y`` from an npz file.

    Parameters
    ----------
    path : str or Path
        An array (m, *image_shape) or (m, d) of numbers; ``y`` (m,) are classes of the data set, by name.
    dataset : Dataset

    Returns
    -------
    images : array
        As stored.
    classes : (m,) int array or None
        Indices into ``dataset.classes``.

    Raises
    ------
    DataError
        No array of numbers, an npz file without ``x``, an unknown class; nothing is unpickled.
    OSError
        The file cannot be opened.
    """
    path = Path(path)
    if path.suffix == ".npz":
        stored = read_npz(path)
        if "x" not in stored:
            raise DataError(
                f"{path} must have an array x of images, got {', '.join(stored) or 'none'}; store x (and y)"
            )
        images, y = stored["x"], stored.get("y")
    else:
        images, y = read_npy(path), None
    if images.dtype.kind not in "buif" or images.ndim < 2:
        raise DataError(
            f"{path} must hold images as numbers, (m, ...), got dtype {images.dtype} of shape {images.shape}"
        )
    return images, None if y is None else _indices(y, dataset, path)


def _indices(y: np.ndarray, dataset: Dataset, path: Path) -> np.ndarray:
    index = {str(name): position for position, name in enumerate(dataset.classes)}
    names = [str(name) for name in y.ravel().tolist()]
    unknown = sorted(set(names) - set(index))
    if unknown:
        raise DataError(
            f"{path}: y must name classes of {dataset.name} ({', '.join(list(index)[:10])}), got {unknown[0]!r}"
        )
    return np.array([index[name] for name in names], dtype=np.int64)
