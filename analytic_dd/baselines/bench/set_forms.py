"""Sets that others made, read from their files and scored like any other: DC, MTT, KIP and DD-Ranking, tensors, PNG.

    res_*.pt                                {"data": [[images, classes], ..]}: as many sets as pairs   DC, DSA, DM, CAFE
    images_best.pt, labels_best.pt          in one folder                                              MTT
    images.pt, labels.pt                    in one folder                                              DD-Ranking
    *.npz                                   images (m, h, w, c), labels (m, k)                         KIP
    *.pt, *.safetensors, *.npz              inputs (m, d) or images, and labels, classes or y          this package
    labels.csv, set.json, *.png             a folder                                                   this package
    CLASS/*.png, *.jpg, ..                  a folder of class folders                                  any

Nothing is unpickled but tensors, and the numbers that published files keep beside them.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from analytic_dd.data.image import decode
from analytic_dd.errors import DataError, optional
from analytic_dd.files import open_file, read_npz

__all__ = ["ForeignSet", "foreign_sets"]

_IMAGES, _LABELS = ("inputs", "images", "x", "image"), ("labels", "y", "label", "targets", "classes")
_PAIRS = (("images_best.pt", "labels_best.pt"), ("images.pt", "labels.pt"))
_SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class ForeignSet:
    """A set as its file has it."""

    images: np.ndarray  # (m, ..)
    # (m,) or (m, k); None stands for as many points of each class, class after class
    labels: np.ndarray | None
    channels: str = "first"  # "first" or "last": where channels stand, should the shape leave that open
    # What ``images`` are in, unless the caller knows better: ``normalised`` by channel, or the ``data``'s units
    units: str = "normalised"
    names: tuple[str, ...] = ()  # names of the classes that labels number, where the file has them


def foreign_sets(path: Path) -> list[ForeignSet]:
    """Read all sets of a file or a folder.

    Raises
    ------
    DataError
        It has none of the forms above, or is damaged; the message says what was found.
    OSError
        It cannot be opened.
    """
    if path.is_dir():
        return [_of_folder(path)]
    readers = {".pt": _of_torch, ".pth": _of_torch, ".npz": _of_npz, ".safetensors": _of_safetensors}
    if path.suffix not in readers:
        raise DataError(f"{path}: sets are .pt, .npz, .safetensors or folders, got {path.suffix or 'no ending'}")
    return readers[path.suffix](path)


def _of_torch(path: Path) -> list[ForeignSet]:
    found = _loaded(path)
    if isinstance(found, torch.Tensor):
        partner = path.with_name(path.name.replace("images", "labels"))
        labels = _loaded(partner) if partner != path and partner.exists() else None
        return [ForeignSet(_array(found, path), None if labels is None else _array(labels, partner))]
    if isinstance(found, Mapping) and isinstance(found.get("data"), list):
        pairs = found["data"]
    elif isinstance(found, Mapping):
        named = {name: _array(A, path) for name, A in found.items() if isinstance(A, torch.Tensor | np.ndarray)}
        return [_of_arrays(named, path, "first")]
    else:
        pairs = [found]
    if not pairs or not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
        raise DataError(f"{path}: wanted images and labels, or 'data' with such pairs, got {type(found).__name__}")
    return [ForeignSet(_array(images, path), _array(labels, path)) for images, labels in pairs]


def _loaded(path: Path) -> Any:
    """Return what a file of torch holds: tensors, containers, numbers of numpy, and nothing that is code."""
    scalar: Any = np.float64(0.0).__reduce__()[0]
    numbers = [np.dtype, *(type(np.dtype(kind)) for kind in ("f8", "f4", "i8"))]
    named = [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]
    try:
        with open_file(path) as stream, torch.serialization.safe_globals([*numbers, *named]):
            return torch.load(stream, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # torch raises what its parts do on bytes that are no file of its own
        raise DataError(f"{path} is no file of tensors ({' '.join(str(error).split())[:80]})") from error


def _array(value: object, path: Path) -> np.ndarray:
    if not isinstance(value, torch.Tensor | np.ndarray):
        raise DataError(f"{path}: wanted tensors, got {type(value).__name__}")
    return np.asarray(value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value)


def _of_npz(path: Path) -> list[ForeignSet]:
    return [_of_arrays(read_npz(path), path, "last")]


def _of_safetensors(path: Path) -> list[ForeignSet]:
    safetensors = optional("safetensors.numpy", "safetensors", extra="export", what=f"read {path}")
    with open_file(path) as stream:
        content = stream.read()
    try:
        return [_of_arrays(safetensors.load(content), path, "first")]
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{path} is no file of safetensors ({error})") from error


def _of_arrays(arrays: Mapping[str, np.ndarray], path: Path, channels: str) -> ForeignSet:
    """Return the set of named arrays: images by the first name that is known, and labels."""
    images = [name for name in _IMAGES if name in arrays]
    labels = (
        [name for name in _LABELS if name in arrays and len(arrays[name]) == len(arrays[images[0]])] if images else []
    )
    if not images:
        raise DataError(f"{path} has {', '.join(arrays) or 'no arrays'}; wanted {' or '.join(_IMAGES)}, and labels")
    return ForeignSet(arrays[images[0]], arrays[labels[0]] if labels else None, channels)


def _of_folder(path: Path) -> ForeignSet:
    for images, labels in _PAIRS:
        if (path / images).exists():
            found = _of_torch(path / images)[0]
            return (
                found if not (path / labels).exists() else replace(found, labels=_array(_loaded(path / labels), path))
            )
    if (path / "distilled.npz").exists():
        return _of_npz(path / "distilled.npz")[0]
    if (path / "set.json").exists():
        return _of_png(path)
    folders = sorted(one for one in path.iterdir() if one.is_dir())
    files = [(one, file) for one in folders for file in sorted(one.iterdir()) if file.suffix.lower() in _SUFFIXES]
    if not files:
        raise DataError(f"{path} has no images.pt, images_best.pt, distilled.npz, set.json or class folders of images")
    pixels = np.stack([_decoded(file) for _, file in files])
    classes = np.array([folders.index(folder) for folder, _ in files])
    return ForeignSet(pixels, classes, "last", "data", tuple(one.name for one in folders))


def _of_png(path: Path) -> ForeignSet:
    """Return the set of a folder that ``export --to folder`` wrote."""
    with open_file(path / "set.json") as stream:
        how = json.loads(stream.read())
    with open_file(path / "labels.csv") as stream:
        head, *lines = list(csv.reader(io.StringIO(stream.read().decode())))
    levels = np.stack([_levels(path / line[0]) for line in lines]).astype(np.float64)
    shape = how["image_shape"]
    if how["stacked"]:
        height, width, channels = shape
        levels = np.moveaxis(levels.reshape(len(levels), channels, height, width), 1, -1)
    images = how["low"] + how["step"] * levels.reshape(len(levels), *shape)
    labels = np.array([[float(value) for value in line[1:]] for line in lines])
    return ForeignSet(images, labels, "last", "data", tuple(name.removeprefix("label=") for name in head[1:]))


def _decoded(path: Path) -> np.ndarray:
    try:
        with open_file(path) as stream:
            return decode(stream.read())
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _levels(path: Path) -> np.ndarray:
    """Return the integers of a PNG file of 8 or 16 bits."""
    from PIL import Image

    with open_file(path) as stream:
        content = stream.read()
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            return np.asarray(image)
    except Exception as error:  # a damaged image makes the decoder raise almost anything
        raise DataError(f"{path} is damaged ({' '.join(str(error).split())[:80]})") from error
