"""Arrays in npy and npz files: data sets, reference images, weights of samples, agreed means; nothing is unpickled."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from analytic_dd.data.dataset import Dataset
from analytic_dd.errors import DataError, shown
from analytic_dd.files import MAX_BYTES, array_names, expanded, read_npy, read_npz

__all__ = [
    "moments_for",
    "read_arrays",
    "read_floats",
    "read_npy",
    "read_references",
    "weighting",
    "weights_of_samples",
]

# Names of training samples and labels, then of the test part's: ours, those of bare arrays, those of MedMNIST.
_LAYOUTS = (
    ("x_train", "y_train", "x_test", "y_test"),
    ("X_train", "Y_train", "X_test", "Y_test"),
    ("X_train", "y_train", "X_test", "y_test"),
    ("x", "y"),
    ("X", "y"),
    ("train_images", "train_labels", "test_images", "test_labels"),
)
_SPARE = ("x_val", "X_val", "val_images")


def read_arrays(path: str | Path, *, name: str | None = None, max_bytes: int = MAX_BYTES) -> Dataset:
    """Read a data set from an npz file; arrays and members that it does not need may be anything.

    Parameters
    ----------
    path : str or Path
        With ``x_train`` (n, d), (n, h, w) or (n, h, w, c), ``y_train`` (n,) integers or text, and optionally
        ``x_test``, ``y_test``; without these a test part is set aside. Also ``x, y``, and ``train_images,
        train_labels, test_images, test_labels``. ``channels``, a word, says "first" or "last" where both could be.
    name : str, optional
        Name of the data set. Default: that of the file.
    max_bytes : int
        A file that declares more is refused.

    Raises
    ------
    DataError
        An array is missing, is a pickle, or is no data set's (see :meth:`Dataset.from_arrays`); a damaged file.
    OSError
        The file cannot be opened.
    """
    path = expanded(path)
    there = array_names(path)
    fitting = [layout for layout in _LAYOUTS if {*layout[:2]} <= {*there}]
    if not fitting:
        found = ", ".join(map(shown, there[:10])) or "nothing"
        raise DataError(f"{path} has no x_train and y_train, but {found}; store {', '.join(_LAYOUTS[0])}")
    arrays = read_npz(path, names=(*fitting[0], "channels"), max_bytes=max_bytes)
    parts = [arrays.get(key) for key in fitting[0]]
    channels = str(arrays["channels"]) if "channels" in arrays else None
    spare = next((key for key in there if key in _SPARE), None)
    source = str(path) if spare is None else f"{path} ({spare} is not used)"
    return Dataset.from_arrays(*parts, name=name or path.stem, source=source, split=True, channels=channels)


def read_floats(path: str | Path, what: str) -> np.ndarray:
    """Read an array of numbers as float64; ``what`` names it in the message.

    Raises
    ------
    DataError
        As :func:`read_npy`, or an array of something else than numbers.
    """
    array = read_npy(path)
    if array.dtype.kind not in "buif":
        raise DataError(f"{path} must hold {what} as numbers, got dtype {array.dtype}; save an array of floats")
    return np.asarray(array, dtype=np.float64)


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
    path = expanded(path)
    if path.suffix == ".npz":
        stored = read_npz(path, names=("x", "y"))
        if "x" not in stored:
            found = ", ".join(map(shown, array_names(path)[:10])) or "none"
            raise DataError(f"{path} must have an array x of images, got {found}; store x (and y)")
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
    stored = read_npz(how, names=("mean", "std"))
    if len(stored) < 2:
        found = ", ".join(map(shown, array_names(how)[:10])) or "none"
        raise DataError(f"{how} must have arrays mean and std, got {found}; store both")
    mean, std = (np.atleast_1d(np.asarray(stored[name], dtype=np.float64)) for name in ("mean", "std"))
    if mean.shape != (dataset.channels,) or std.shape != mean.shape:
        raise DataError(f"{how}: mean and std must have shape {(dataset.channels,)}, got {mean.shape} and {std.shape}")
    if not (np.all(np.isfinite(mean)) and np.all(np.isfinite(std)) and np.all(std > 0.0)):
        raise DataError(f"{how}: mean must be finite and std positive; make the file again")
    return mean, std
