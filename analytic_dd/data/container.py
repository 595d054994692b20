"""A path, given to the reader that fits what lies there."""

from __future__ import annotations

import os
from pathlib import Path

from analytic_dd.data.archive import is_archive, members
from analytic_dd.data.cifar_binary import is_cifar_binary, is_cifar_pickle, read_cifar_binary, refuse_cifar_pickle
from analytic_dd.data.dataset import Dataset
from analytic_dd.data.idx import find_idx, is_idx, read_idx_folder
from analytic_dd.data.image_folder import is_image, read_image_folder
from analytic_dd.data.npz import read_arrays
from analytic_dd.errors import DataError

__all__ = ["read_path"]


def read_path(path: str | Path, *, name: str | None = None) -> Dataset:
    """Read a data set from a file or a folder.

    Parameters
    ----------
    path : str or Path
        An npz file; a folder of IDX files, or one of these; a CIFAR archive or folder (binary version); a folder, a
        tar or a zip of class folders of images.
    name : str, optional
        Name of the data set. Default: the reader's.

    Raises
    ------
    DataError
        Nothing is there, nothing fits, or the reader that fits refuses; one line.
    OSError
        A file cannot be opened.
    """
    path = Path(path).expanduser()
    if not os.path.exists(path):
        raise DataError(f"there is no file or folder {path}; check the path")
    if path.suffix.lower() == ".npz":
        return read_arrays(path, name=name)
    if find_idx(path, "train-images") or (path.is_file() and is_idx(path.name)):
        return read_idx_folder(path, name=name)
    if path.is_dir() or is_archive(path):
        return _read_members(path, name)
    raise DataError(
        f"{path} is of no known format; wanted: an npz file, IDX files, a CIFAR archive (binary version), "
        "or a folder, tar or zip of class folders of images"
    )


def _read_members(path: Path, name: str | None) -> Dataset:
    """Read an archive or a folder with the reader that its first telling member asks for."""
    for member, _ in members(path):
        if is_cifar_pickle(member):
            raise refuse_cifar_pickle(path, member)
        if is_cifar_binary(member):
            return read_cifar_binary(path, name=name)
        if is_image(member):
            return read_image_folder(path, name=name)
    raise DataError(f"{path} holds no data set: neither IDX or CIFAR files nor images in class folders")
