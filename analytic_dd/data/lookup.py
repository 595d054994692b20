"""Find a data set by name or path: the data folder, then the cache, then the network."""

from __future__ import annotations

import importlib.util
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from analytic_dd.data.archive import is_archive, members
from analytic_dd.data.array_files import holds_arrays, read_arrays, read_npy_files
from analytic_dd.data.cifar_binary import is_cifar_binary, is_cifar_pickle, read_cifar_binary, refuse_cifar_pickle
from analytic_dd.data.dataset import Dataset
from analytic_dd.data.download import download, is_intact
from analytic_dd.data.idx import has_all_idx, is_idx, read_idx_folder
from analytic_dd.data.image import is_image
from analytic_dd.data.image_folder import read_image_folder
from analytic_dd.data.reading import Reading
from analytic_dd.data.registry import REGISTRY, Entry, Form
from analytic_dd.data.tables import Table, is_table, read_table
from analytic_dd.errors import DataError, did_you_mean
from analytic_dd.files import expanded, file_error

__all__ = ["Listing", "describe", "fetch", "load", "load_several", "locations", "names", "read_digits", "read_path"]

VARIABLE = "ANALYTIC_DD_DATA"


@dataclass(frozen=True)
class Listing:
    """A line of ``analytic-dd data list``.

    Parameters
    ----------
    name : str
        What :func:`load` takes.
    title : str
        Name of the data set as it would be loaded now.
    about : str
        Sizes, in words.
    path : Path or None
        Where it was found; None when it is embedded or must be downloaded.
    state : {"embedded", "found", "not found"}
        Whether it is on this machine.
    size : int
        Bytes: of what was found, otherwise of the download; 0 for embedded data.
    """

    name: str
    title: str
    about: str
    path: Path | None
    state: str
    size: int

    def __str__(self) -> str:
        size = f", {self.size / 1e6:.1f} MB" + (" to download" if self.path is None else "") if self.size else ""
        where = f", {self.path}" if self.path else ""
        return f"{self.name:<14} {self.state:<10} {self.title}: {self.about}{size}{where}"


def names() -> tuple[str, ...]:
    """Return the names that :func:`load` knows.

    Examples
    --------
    >>> names()
    ('digits', 'mnist', 'fashion-mnist', 'cifar10', 'cifar100')
    """
    return tuple(REGISTRY)


def locations() -> dict[str, Path | None]:
    """Return the folders that are looked in: ``$ANALYTIC_DD_DATA``, None when unset; the cache, None without a home."""
    import platformdirs

    variable = os.environ.get(VARIABLE)
    try:
        cache = Path(platformdirs.user_cache_dir("analytic_dd"))
    except RuntimeError:  # a user without a home folder needs none where the variable is set
        cache = None
    return {f"${VARIABLE}": expanded(variable) if variable else None, "cache": cache}


def load(
    name: str | os.PathLike[str] | Entry,
    *,
    offline: bool = False,
    progress: bool = False,
    reading: Reading | None = None,
) -> Dataset | Table:
    """Load a data set by name or path.

    Parameters
    ----------
    name : str, path or Entry
        A name of :func:`names`; or a path (anything with a separator, or that exists) to a table (CSV, parquet), npz
        or npy files, a folder of IDX files, a CIFAR archive or folder, or a folder, tar or zip of images; or an entry
        like those of the registry.
    offline : bool
        Whether to open no socket; data that are not on this machine are then an error that says where they were sought.
    progress : bool
        Whether to show the progress of a download on standard error, if that is a terminal.
    reading : Reading, optional
        The target of a table, whether labels are quantities, and how images are resized.

    Returns
    -------
    Dataset or Table
        Read into memory in its own dtype; a Table where the task is to regress.

    Raises
    ------
    DataError
        The name is unknown (the nearest is suggested), nothing is at the path, or data cannot be read or downloaded.
    OSError
        A file cannot be opened or written.

    Notes
    -----
    *Cost.* MNIST takes about 0.2 s, CIFAR-10 as JPEG files about 5 s.

    Examples
    --------
    >>> load("digits").x_train.shape
    (1437, 8, 8)
    >>> load("minst")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    analytic_dd.errors.DataError: unknown data 'minst'; known: digits, mnist, ..., or a path, and nothing is there; did
    you mean mnist?
    """
    if isinstance(name, os.PathLike) or (isinstance(name, str) and name not in REGISTRY and _is_path(name)):
        return read_path(Path(name), reading=reading)
    entry = _entry(name)
    (reading or Reading()).refuse_others(what=entry.key)
    if not entry.forms:
        return read_digits()
    found = _find(entry)
    if found is None or not _is_published(entry, found[1]):
        _download(entry, offline=offline, progress=progress)
        found = _find(entry)
    if found is None:
        raise DataError(f"{entry.key} was downloaded, but none of its files is {entry.forms[0].paths}; mend its entry")
    return _read(entry, *found)


def load_several(
    names: Sequence[str | os.PathLike[str]],
    *,
    offline: bool = False,
    progress: bool = False,
    reading: Reading | None = None,
) -> list[Dataset]:
    """Load data sets as :func:`load` does, and tell those apart by their folders that would have the same name.

    Examples
    --------
    ``one/data.npz`` and ``two/data.npz`` are both called ``data`` when they are loaded alone.
    """
    how = {"offline": offline, "progress": progress}
    loaded = [_classified(load(name, reading=reading, **how)) for name in names]
    for depth in range(2, 10):
        count = Counter(dataset.name for dataset in loaded)
        for i, (dataset, name) in enumerate(zip(loaded, names, strict=True)):
            if count[dataset.name] > 1 and str(name) not in REGISTRY:
                parts = expanded(Path(name)).resolve().parts[-depth:]
                loaded[i] = replace(dataset, name="/".join((*parts[:-1], dataset.name.rpartition("/")[2])))
    return loaded


def _classified(data: Dataset | Table) -> Dataset:
    if not isinstance(data, Dataset):
        raise DataError(
            f"{data.name} has quantities, and classes are wanted here; task='regress' is for distill and stats"
        )
    return data


def fetch(name: str | Entry, *, progress: bool = False) -> Path | None:
    """Make sure that a named data set is on this machine, and return where; None when it is embedded.

    Raises
    ------
    DataError
        The name is unknown, or the download failed.
    OSError
        The cache cannot be written.
    """
    entry = _entry(name)
    if not entry.forms:
        return None
    found = _find(entry)
    if found is not None and _is_published(entry, found[1]):
        return found[1]
    return _download(entry, offline=False, progress=progress)


def describe(name: str | None = None) -> tuple[Listing, ...]:
    """Return a :class:`Listing` for every name, or for one: what it is, where it was found, how large it is.

    Raises
    ------
    DataError
        The name is unknown.
    """
    return tuple(_listing(entry) for entry in (REGISTRY.values() if name is None else [_entry(name)]))


def _listing(entry: Entry) -> Listing:
    if not entry.forms:
        return Listing(entry.key, entry.key, entry.about, None, "embedded", 0)
    found = _find(entry)
    if found is None:
        size = sum(file.size for file in entry.files)
        return Listing(entry.key, entry.forms[0].title, entry.about, None, "not found", size)
    form, path = found
    return Listing(entry.key, form.title, entry.about, path, "found", _size(path))


def _size(path: Path) -> int:
    try:
        files = [path] if path.is_file() else [file for file in path.iterdir() if file.is_file()]
        return sum(file.stat().st_size for file in files)
    except OSError as error:
        raise file_error(error.filename or path, error, "read") from error


def _is_path(name: str) -> bool:
    return any(mark in name for mark in (os.sep, "/", ".")) or name.startswith("~") or os.path.exists(name)


def _entry(name: object) -> Entry:
    if isinstance(name, Entry):
        return name
    if name in REGISTRY:
        return REGISTRY[str(name)]
    hint = did_you_mean(str(name).lower(), REGISTRY)
    raise DataError(f"unknown data {name!r}; known: {', '.join(REGISTRY)}, or a path, and nothing is there{hint}")


def _find(entry: Entry) -> tuple[Form, Path] | None:
    """Return the first form that lies complete in the data folder or the cache, and its path."""
    for folder in locations().values():
        for form in entry.forms if folder else ():
            for relative in form.paths:
                path = Path(str(folder), relative)
                if _exists(path) and (not form.idx or has_all_idx(path)):
                    return form, path
    return None


def _is_published(entry: Entry, path: Path) -> bool:
    """Say whether a download that lies in the cache is what was published; a user's own folder is the user's affair."""
    cache = locations()["cache"]
    if cache is None or not path.is_relative_to(cache):
        return True
    folder = path if path.is_dir() else path.parent
    return all(is_intact(folder / file.name, file) for file in entry.files if (folder / file.name).exists())


def _read(entry: Entry, form: Form, path: Path) -> Dataset:
    if form.idx:
        data = read_idx_folder(path, name=form.title, classes=entry.classes or None)
    else:
        data = _classified(read_path(path, name=form.title))
    if entry.content and data.sha256 != entry.content:
        raise DataError(
            f"{path} is not the published {form.title}: its content has SHA-256 {data.sha256[:12]}..., expected "
            f"{entry.content[:12]}...; load it by its path, or remove it so that {entry.key} is fetched again"
        )
    return data


def _download(entry: Entry, *, offline: bool, progress: bool) -> Path:
    """Download the files of an entry into the cache and return their folder."""
    variable, cache = locations().values()
    if cache is None:
        raise DataError(
            f"{entry.key} has no place: this user has no home folder for a cache; set ${VARIABLE} to a folder"
        )
    if offline:
        wanted = ", ".join(path for form in entry.forms for path in form.paths)
        where = f"${VARIABLE} ({variable or 'not set'}) and {cache}"
        raise DataError(
            f"{entry.key} is not on this machine, or damaged: looked for {wanted} in {where}; run `analytic-dd data "
            f"fetch {entry.key}` with a network, or set ${VARIABLE}"
        )
    folder = Path(str(cache), entry.key)
    for file in entry.files:
        download(file, folder, progress=progress)
    return folder


def read_path(path: str | Path, *, name: str | None = None, reading: Reading | None = None) -> Dataset | Table:
    """Read a data set from a file or a folder.

    Parameters
    ----------
    path : str or Path
        A CSV or parquet file; an npz file; npy files; IDX files in a folder, a tar or a zip, or one of them; a CIFAR
        archive or folder (binary version); a folder, a tar or a zip of class folders of images.
    name : str, optional
        Name of the data set. Default: the reader's.
    reading : Reading, optional
        See :func:`load`.

    Raises
    ------
    DataError
        Nothing is there, no reader fits, or the reader that fits refuses.
    OSError
        A file cannot be opened.
    """
    path, how = expanded(path), reading or Reading()
    if not _exists(path):
        raise DataError(f"there is no file or folder {path}; check the path")
    if path.is_file() and is_table(path):
        how.refuse_others("target", "task", what="a table")
        return read_table(path, target=how.target, task=how.task, name=name)
    if path.suffix.lower() == ".npz":
        how.refuse_others("task", what="an npz file")
        return read_arrays(path, name=name, task=how.task)
    if path.suffix.lower() == ".npy" or holds_arrays(path):
        how.refuse_others("target", "task", what="npy files")
        return read_npy_files(path, name=name, target=how.target, task=how.task)
    if is_idx(path.name) and path.is_file():
        how.refuse_others(what="IDX files")
        return read_idx_folder(path, name=name)
    if path.is_dir() or is_archive(path):
        return _read_members(path, name, how)
    raise DataError(
        f"{path} is of no known format; wanted: a CSV, parquet, npz or npy file, IDX files, a CIFAR archive (binary "
        "version), or a folder, tar or zip of class folders of images"
    )


def _read_members(path: Path, name: str | None, how: Reading) -> Dataset:
    """Read an archive or a folder with the reader that its first telling member asks for."""
    if (how.target, how.task) != (None, "classify"):
        how.refuse_others("resize", "crop", what="a folder or an archive")
    with closing(members(path)) as found:
        for member, _ in found:
            if is_cifar_pickle(member):
                raise refuse_cifar_pickle(path, member)
            if is_idx(member):
                return read_idx_folder(path, name=name)
            if is_cifar_binary(member):
                return read_cifar_binary(path, name=name)
            if is_image(member):
                return read_image_folder(path, name=name, resize=how.resize, crop=how.crop)
    raise DataError(f"{path} holds no data set: neither IDX or CIFAR files nor images in class folders")


def _exists(path: Path) -> bool:
    """Say whether there is a file or a folder; where that may not be asked, the error names the path."""
    try:
        return path.exists()
    except OSError as error:
        raise file_error(path, error, "read") from error


def read_digits() -> Dataset:
    """Return the digits: 1,437 training and 360 test images (8, 8) of bytes 0..16, classes 0 to 9.

    The split is fixed and stratified.

    Examples
    --------
    >>> digits = read_digits()
    >>> digits.x_train.shape, digits.x_test.shape, digits.x_train.dtype.name, int(digits.x_train.max())
    ((1437, 8, 8), (360, 8, 8), 'uint8', 16)
    """
    found = importlib.util.find_spec("sklearn")  # its file alone: importing sklearn.datasets takes over a second
    folder = Path(next(iter(found.submodule_search_locations or ()))) if found else Path()
    rows = np.loadtxt(folder / "datasets" / "data" / "digits.csv.gz", delimiter=",", dtype=np.uint8)
    return Dataset.from_arrays(
        rows[:, :-1].reshape(-1, 8, 8),
        rows[:, -1].astype(np.int64),
        name="digits",
        source="scikit-learn's load_digits",
        split=True,
    )
