"""CIFAR-10 and CIFAR-100 in their binary version: records of one or two label bytes and 3,072 pixels, by channel."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path, PurePosixPath

import numpy as np

from analytic_dd.data.archive import members
from analytic_dd.data.dataset import Dataset
from analytic_dd.errors import DataError

__all__ = ["is_cifar_binary", "is_cifar_pickle", "read_cifar_binary", "refuse_cifar_pickle"]

_PIXELS = 3 * 32 * 32
_BATCHES = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
_FILES = {10: (*_BATCHES, "test_batch.bin"), 100: ("train.bin", "test.bin")}
_NAMES = {10: "batches.meta.txt", 100: "{labels}_label_names.txt"}
_PICKLES = re.compile(r"(^|/)(cifar-10-batches-py|cifar-100-python)/|(^|/)(data_batch_\d|test_batch|batches\.meta)$")


def is_cifar_binary(member: str) -> bool:
    """Say whether a member's name is that of a file of the binary version."""
    return PurePosixPath(member).name in (*_FILES[10], *_FILES[100])


def is_cifar_pickle(member: str) -> bool:
    """Say whether a member's name is that of a file of the Python version, which is a pickle."""
    return _PICKLES.search(member) is not None


def refuse_cifar_pickle(path: Path, member: str) -> DataError:
    """Return the error for the Python version of CIFAR."""
    return DataError(
        f"{path}: member {member!r} is of CIFAR's Python version, a pickle, which is never loaded; get the binary "
        "version, cifar-10-binary.tar.gz or cifar-100-binary.tar.gz, e.g. with `analytic-dd data fetch cifar10`"
    )


def read_cifar_binary(path: str | Path, *, labels: str = "fine", name: str | None = None) -> Dataset:
    """Read CIFAR-10 or CIFAR-100, binary version.

    Parameters
    ----------
    path : str or Path
        ``cifar-10-binary.tar.gz``, ``cifar-100-binary.tar.gz`` or the folder that one of them unpacks to.
    labels : {"fine", "coarse"}
        Which labels of CIFAR-100: 100 classes or 20.
    name : str, optional
        Name of the data set. Default: ``CIFAR-10``, ``CIFAR-100`` or ``CIFAR-100 (coarse)``.

    Returns
    -------
    Dataset
        uint8 images (32, 32, 3); class names as the set carries them, otherwise the numbers.

    Raises
    ------
    DataError
        The Python version, a file that is missing or of a wrong length, a label out of range, a hostile archive.
    """
    if labels not in ("fine", "coarse"):
        raise ValueError(f"labels must be 'fine' or 'coarse', got {labels!r}")
    path = Path(path)
    files = _read_files(path)
    kind = 10 if any(file in files for file in _FILES[10]) else 100
    missing = [file for file in _FILES[kind] if file not in files]
    if missing:
        raise DataError(f"{path} has no {missing[0]}; CIFAR's binary version needs {', '.join(_FILES[kind])}")
    classes = _class_names(files, kind, labels)
    column, width = (0, 1) if kind == 10 else (("coarse", "fine").index(labels), 2)
    parts: list[np.ndarray] = []
    for group in (_FILES[kind][:-1], _FILES[kind][-1:]):
        records = [(file, files.pop(file)) for file in group]
        parts += _images_and_labels(records, width, column, classes, path)
    title = name or (f"CIFAR-{kind}" if labels == "fine" or kind == 10 else f"CIFAR-{kind} (coarse)")
    return Dataset.from_arrays(*parts, name=title, source=str(path), classes=classes, channels="last")


def _read_files(path: Path) -> dict[str, bytes]:
    """Return the files of the set by their last name; other members are not read."""
    wanted = {*_FILES[10], *_FILES[100], _NAMES[10], "fine_label_names.txt", "coarse_label_names.txt"}
    files: dict[str, bytes] = {}
    with closing(members(path)) as found:
        for member, read in found:
            if is_cifar_pickle(member):
                raise refuse_cifar_pickle(path, member)
            file = PurePosixPath(member).name
            if file in wanted:
                if file in files:
                    raise DataError(f"{path}: {file} comes twice, again as {member!r}; keep one")
                files[file] = read()
    return files


def _class_names(files: dict[str, bytes], kind: int, labels: str) -> tuple[str | int, ...]:
    """Return the names of the classes, one a line in their file; without it, numbers."""
    text = files.get(_NAMES[kind].format(labels=labels), b"").decode("utf-8", "replace")
    names = tuple(line.strip() for line in text.splitlines() if line.strip())
    count = 20 if kind == 100 and labels == "coarse" else kind
    return names if len(names) == count else tuple(range(count))


def _images_and_labels(
    records: list[tuple[str, bytes]], width: int, column: int, classes: tuple[str | int, ...], path: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Return images (n, 32, 32, 3) and labels (n,) of several files, in their order."""
    size = width + _PIXELS
    for file, data in records:
        if not data or len(data) % size:
            raise DataError(
                f"{path}: {file} has {len(data):,} bytes, not a multiple of the {size:,} of a record; it is truncated"
            )
    count = sum(len(data) for _, data in records) // size
    images, labels = np.empty((count, 32, 32, 3), np.uint8), np.empty(count, np.int64)
    start = 0
    while records:
        file, data = records.pop(0)  # so that each file is let go as soon as it is copied
        rows = np.frombuffer(data, np.uint8).reshape(-1, size)
        part = slice(start, start + len(rows))
        images[part] = rows[:, width:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        labels[part] = rows[:, column]
        _check_range(rows[:, column], classes, f"{path}: {file}")
        start += len(rows)
    return images, labels


def _check_range(labels: np.ndarray, classes: tuple[str | int, ...], where: str) -> None:
    outside = np.flatnonzero(labels >= len(classes))
    if len(outside):
        raise DataError(
            f"{where}: record {outside[0]} has label {labels[outside[0]]}, but there are {len(classes)} classes; "
            "the file is damaged or of another format"
        )
