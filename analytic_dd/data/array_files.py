"""Arrays in npy and npz files: data sets, reference images, weights of samples, agreed means; nothing is unpickled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from analytic_dd.data.dataset import Dataset
from analytic_dd.data.tables import Table, as_table
from analytic_dd.errors import DataError, shown
from analytic_dd.files import MAX_BYTES, array_names, expanded, read_npy, read_npz

__all__ = [
    "holds_arrays",
    "moments_for",
    "read_arrays",
    "read_floats",
    "read_npy",
    "read_npy_files",
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
_FEWER = "take fewer samples, or store x and y as npy or zarr files, which cluster.shard_tasks sums slice by slice"


def read_arrays(
    path: str | Path, *, name: str | None = None, task: str = "classify", max_bytes: int = MAX_BYTES
) -> Dataset | Table:
    """Read a data set from an npz file; arrays and members that it does not need may be anything.

    Parameters
    ----------
    path : str or Path
        With ``x_train`` (n, d), (n, h, w) or (n, h, w, c), ``y_train`` (n,) integers or text, and optionally
        ``x_test``, ``y_test``; without these a test part is set aside. Also ``x, y``, and ``train_images,
        train_labels, test_images, test_labels``. ``channels``, a word, says "first" or "last" where both could be.
    name : str, optional
        Name of the data set. Default: that of the file.
    task : {"classify", "regress"}
        Whether the labels are classes or quantities. Rows (n, d) of other numbers than bytes are a table: each column
        has its own normalisation.
    max_bytes : int
        A file that declares more is refused.

    Raises
    ------
    DataError
        The file is damaged, or an array is missing, is a pickle or fits no data set (see :meth:`Dataset.from_arrays`).
    OSError
        The file cannot be opened.
    """
    path = expanded(path)
    there = array_names(path)
    layout = _layout(path, there)
    arrays = read_npz(path, names=(*layout, "channels"), max_bytes=max_bytes, remedy=_FEWER)
    channels = str(arrays["channels"]) if "channels" in arrays else None
    spare = next((key for key in there if key in _SPARE), None)
    source = str(path) if spare is None else f"{path} ({spare} is not used)"
    return _made([arrays.get(key) for key in layout], name or path.stem, source, task, channels)


def _layout(path: Path, there: list[str]) -> tuple[str, ...]:
    """Return the names of training samples and labels, and of the test part, among those that are there."""
    fitting = [layout for layout in _LAYOUTS if {*layout[:2]} <= {*there}]
    if not fitting:
        found = ", ".join(map(shown, there[:10])) or "nothing"
        raise DataError(
            f"{path} has no x_train and y_train, but {found}; store the samples as x_train and the labels as y_train "
            "(or x and y), and a test part, if there is one, as x_test and y_test"
        )
    return fitting[0]


def _made(parts: list[Any], name: str, source: str, task: str, channels: str | None = None) -> Dataset | Table:
    """Make a data set of arrays from files: images, rows of bytes, or a table."""
    x, y, *test = (*parts, None, None)[:4]
    rows = x.ndim == 2 and x.dtype.kind in "fiub" and x.dtype != np.uint8
    if task == "classify" and not rows:
        return Dataset.from_arrays(x, y, *test, name=name, source=source, split=True, channels=channels)
    if x.ndim != 2 or x.dtype.kind not in "biuf":
        got = f"an array of shape {x.shape} and dtype {x.dtype}"
        raise DataError(f"{source}: task={task!r} needs rows (n, d) of numbers, got {got}; flatten the samples")
    columns = tuple(map(str, range(x.shape[1])))
    return as_table((x, y, *test), columns, task=task, name=name, source=source)


def holds_arrays(path: Path) -> bool:
    """Say whether a folder holds npy files of samples and labels."""
    return path.is_dir() and any({*layout[:2]} <= {file.stem for file in path.glob("*.npy")} for layout in _LAYOUTS)


def read_npy_files(
    path: str | Path, *, name: str | None = None, target: str | None = None, task: str = "classify"
) -> Dataset | Table:
    """Read a data set from npy files.

    Parameters
    ----------
    path : str or Path
        A folder with ``x_train.npy``, ``y_train.npy``, or other names as in :func:`read_arrays`; one of these files; or
        a table (n, d + 1) of numbers, of which ``target`` is the column of the labels.
    target : str, optional
        The index of that column, -1 for the last.
    name, task
        See :func:`read_arrays`.
    """
    path = expanded(path)
    folder = path if path.is_dir() else path.parent
    if target is None:
        if path != folder and path.stem not in {name for layout in _LAYOUTS for name in layout}:
            raise DataError(f"{path} is one array; name the column of the labels, e.g. target='-1' for the last")
        there = sorted(file.stem for file in folder.glob("*.npy"))
        if path != folder and not any({path.stem} <= {*layout} <= {*there} for layout in (one[:2] for one in _LAYOUTS)):
            raise DataError(
                f"{path} has no labels beside it; store them as {'y_train' if 'train' in path.stem else 'y'}.npy, or "
                "name the column of the labels, e.g. target='-1' for the last"
            )
        layout = _layout(folder, there)
        arrays = [read_npy(folder / f"{key}.npy") if key in there else None for key in layout]
        return _made(arrays, name or folder.resolve().name, str(folder), task)
    array = read_npy(path)
    if array.ndim != 2 or array.dtype.kind not in "buif":
        raise DataError(f"{path} must be a table (n, d + 1) of numbers, got dtype {array.dtype} of shape {array.shape}")
    if not target.removeprefix("-").isdecimal() or not -array.shape[1] <= int(target) < array.shape[1]:
        raise DataError(f"{path}: target must be an index of its {array.shape[1]} columns, got target={target!r}")
    labels = array[:, int(target)]
    if task == "classify" and labels.dtype.kind == "f" and np.array_equal(labels, np.rint(labels)):
        labels = labels.astype(np.int64)  # one dtype for all columns made floats of them
    rows = np.delete(array, int(target), axis=1)
    return as_table((rows, labels, None, None), tuple(map(str, range(rows.shape[1]))), task=task,
                    name=name or path.stem, source=str(path))  # fmt: skip


def read_floats(path: str | Path, what: str) -> np.ndarray:
    """Read an array of numbers as float64; ``what`` names it in the message.

    Raises
    ------
    DataError
        See :func:`read_npy`; the array must hold numbers.
    """
    array = read_npy(path)
    if array.dtype.kind not in "buif":
        raise DataError(f"{path} must hold {what} as numbers, got dtype {array.dtype}; save an array of floats")
    return np.asarray(array, dtype=np.float64)


def read_references(path: str | Path, dataset: Dataset | Table) -> tuple[np.ndarray, np.ndarray | None]:
    """Read images in the units of ``dataset`` from an npy file, or ``x`` and optionally ``y`` from an npz file.

    Parameters
    ----------
    path : str or Path
        An array (m, *image_shape) or (m, d) of numbers; ``y`` (m,) are classes of the data set, by name.
    dataset : Dataset

    Returns
    -------
    images : array
        The images as they are stored.
    classes : (m,) int array or None
        Indices into ``dataset.classes``.

    Raises
    ------
    DataError
        The file has no array of numbers or no ``x``, or names an unknown class; nothing is unpickled.
    OSError
        The file cannot be opened.
    """
    path = expanded(path)
    if path.suffix == ".npz":
        stored = read_npz(path, names=("x", "y"), remedy=_FEWER)
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
    return images, None if y is None or isinstance(dataset, Table) else _indices(y, dataset, path)


def _indices(y: np.ndarray, dataset: Dataset, path: Path) -> np.ndarray:
    index = {str(name): position for position, name in enumerate(dataset.classes)}
    names = [str(name) for name in y.ravel().tolist()]
    unknown = sorted(set(names) - set(index))
    if unknown:
        raise DataError(
            f"{path}: y must name classes of {dataset.name} ({', '.join(list(index)[:10])}), got {unknown[0]!r}"
        )
    return np.array([index[name] for name in names], dtype=np.int64)


def weights_of_samples(given: np.ndarray | str | None, dataset: Dataset | Table) -> np.ndarray | None:
    """Return weights of the training samples: an array as it is, that of an npy file, or n / (k n_c) if "balanced"."""
    if given is None or not isinstance(given, str):
        return given
    if given != "balanced":
        return read_floats(Path(given), "sample weights")
    if isinstance(dataset, Table):
        raise DataError("balanced weights are for classes; of quantities give a file with a weight a sample")
    counts = np.bincount(dataset.y_train, minlength=len(dataset.classes))
    return np.asarray((len(dataset.y_train) / len(counts) / counts)[dataset.y_train])


def weighting(given: np.ndarray | str | None) -> str | None:
    """Name the weights for a file: ``"balanced"``, ``"given"`` or None."""
    return None if given is None else "balanced" if isinstance(given, str) and given == "balanced" else "given"


def moments_for(dataset: Dataset | Table, how: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and deviation per channel that inputs are normalised with.

    ``data`` means those of the training part, and ``unit`` 0 and 1, or 0 and 255 for bytes. A path names an npz file
    with ``mean`` and ``std``, for parties that must agree on them without seeing each other's data.

    Raises
    ------
    DataError
        The file has none, or another number of channels, or a deviation that is not positive.
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
