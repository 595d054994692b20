"""Images in class folders: ``train|test/<class>/*.png`` or ``<class>/*.png``, as a folder, a tar or a zip."""

from __future__ import annotations

import io
import math
import os
import struct
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from analytic_dd.data.archive import members
from analytic_dd.data.dataset import Dataset
from analytic_dd.errors import DataError
from analytic_dd.files import MAX_BYTES

__all__ = ["is_image", "read_image_folder"]

# Bitmap decoders only: no format that runs a program (EPS) or is a container of others.
_FORMATS = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".bmp": "BMP", ".gif": "GIF", ".tif": "TIFF", ".tiff": "TIFF",
    ".webp": "WEBP", ".pgm": "PPM", ".ppm": "PPM",
}  # fmt: skip
_DECODERS = tuple(dict.fromkeys(_FORMATS.values()))
_MAX_PIXELS = 2**26
_SKIPPED = {0xC4, 0xDB, 0xDD, *range(0xE0, 0xF0), 0xFE}  # of a JPEG, before its frame: tables, applications, comments
_TEST_NAMES = ("test", "val", "validation")
_MODES = {"L": "L", "1": "L", "RGB": "RGB", "P": "RGB"}


def is_image(name: str) -> bool:
    """Say whether a member's name is that of an image; hidden files (and macOS's shadows of files) are not."""
    *folders, file = name.split("/")
    hidden = file.startswith(".") or "__MACOSX" in folders
    return os.path.splitext(file)[1].lower() in _FORMATS and not hidden


def read_image_folder(path: str | Path, *, name: str | None = None, max_bytes: int = MAX_BYTES) -> Dataset:
    """Read images from class folders, decoded one after the other; an archive is streamed once and never extracted.

    Parameters
    ----------
    path : str or Path
        A folder, a tar (plain, gz, bz2, xz) or a zip. The last folder of an image is its class, the folder above its
        part: ``train`` and, if there is one, ``test`` (or ``val``). Without parts a test part is set aside.
    name : str, optional
        Name of the data set. Default: that of the file or folder.
    max_bytes : int
        Refuse an archive that declares more, or images that decode to more.

    Returns
    -------
    Dataset
        uint8 images (h, w) or (h, w, 3), ordered by class, then name; the classes are the sorted folder names.

    Raises
    ------
    DataError
        No images, images of different sizes or colour modes, a damaged image or archive, a hostile member; one line
        that names the file.

    Notes
    -----
    *Cost.* 60,000 JPEGs of 32 x 32 in a tar.xz take about 5 s. Decoding in threads is slower for small images, where
    the interpreter and not the decoder is the limit. Memory: the bytes of the result, twice where the archive is not
    in the order of the result.
    """
    path = Path(path)
    parts: dict[str, _Images] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PIL warns of metadata, and of a size that is refused below
        for member, read in members(path, max_bytes=max_bytes):
            if is_image(member):
                part, label = _place(member, path)
                parts.setdefault(part.lower(), _Images(path, max_bytes)).add(label, member, read())
    train, test = _train_and_test(parts, path)
    x_train, labels = train.finish()
    x_test, test_labels = test.finish() if test else (None, None)
    title = name or path.resolve().name.split(".")[0]
    arrays = (x_train, labels, x_test, test_labels)
    return Dataset.from_arrays(*arrays, name=title, source=str(path), split=True, channels="last")


def _place(member: str, path: Path) -> tuple[str, str]:
    """Return (part, class) of an image from its folders; the part is empty where no folder is above the class."""
    folders = [part for part in member.split("/")[:-1] if part not in ("", ".")]
    if not folders or folders[-1].lower() in ("train", *_TEST_NAMES):
        raise DataError(f"{path}: {member!r} lies in no class folder; put images into <class>/ or train/<class>/")
    return (folders[-2] if len(folders) > 1 else ""), folders[-1]


def _train_and_test(parts: dict[str, _Images], path: Path) -> tuple[_Images, _Images | None]:
    """Say which part is which; an unknown part beside others is refused, not merged."""
    if not parts:
        raise DataError(f"{path} has no images ({', '.join(_FORMATS)}) in class folders")
    test = [part for part in parts if part in _TEST_NAMES]
    if "train" in parts and len(test) == len(parts) - 1 <= 1:
        return parts["train"], parts[test[0]] if test else None
    if len(parts) == 1 and not test:
        return next(iter(parts.values())), None
    found = ", ".join(repr(part) for part in sorted(parts))
    raise DataError(f"{path} has images under {found}; keep class folders in train/ and test/, or all in one folder")


class _Images:
    """The images of one part: pixels in an array that grows by doubling, put in order at the end."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path, self._max_bytes = path, max_bytes
        self._places: list[tuple[str, str]] = []
        self._pixels: np.ndarray = np.empty((0,), np.uint8)

    def add(self, label: str, member: str, data: bytes) -> None:
        """Decode one image; its size and colours must be those of the first."""
        where = f"{self._path}: {member!r}"
        image = _opened(data, where)
        shape: tuple[int, ...] = (image.height, image.width, 3) if image.mode == "RGB" else (image.height, image.width)
        count = len(self._places)
        if count and shape != self._pixels.shape[1:]:
            first = "x".join(map(str, self._pixels.shape[1:]))
            got = "x".join(map(str, shape))
            raise DataError(f"{where} is {got}, but {self._places[0][1]!r} is {first}; make sizes and colours equal")
        if (count + 1) * math.prod(shape) > self._max_bytes:
            raise DataError(f"{where}: the images decode to more than the {self._max_bytes:,} bytes that are read")
        if count == len(self._pixels):
            self._grow(max(1, 2 * count), shape)
        self._pixels[count] = np.asarray(image)
        self._places.append((label, member))

    def _grow(self, capacity: int, shape: tuple[int, ...]) -> None:
        """Make room; memory that no image reaches is never touched, so doubling costs none."""
        grown = np.empty((capacity, *shape), np.uint8)
        grown[: len(self._places)] = self._pixels[: len(self._places)].reshape(-1, *shape)
        self._pixels = grown

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the images, sorted by class and name, and their classes."""
        order = sorted(range(len(self._places)), key=self._places.__getitem__)
        for one, other in pairwise(order):
            if self._places[one] == self._places[other]:
                raise DataError(f"{self._path}: member {self._places[one][1]!r} comes twice; make the archive again")
        x = self._pixels[: len(order)]
        labels = np.array([self._places[i][0] for i in order])
        return (x if order == list(range(len(order))) else x[order]), labels


def _opened(data: bytes, where: str) -> Any:
    """Return a decoded grey or RGB image; its declared size is looked at before it is decoded."""
    from PIL import Image

    try:
        frame = _jpeg_frame(data)
        if frame is not None:
            mode, width, height = frame
            _refuse_size(width, height, where)
            return Image.frombytes(mode, (width, height), data, "jpeg", mode, "")
        image = Image.open(io.BytesIO(data), formats=_DECODERS)
        _refuse_size(image.width, image.height, where)
        if image.mode not in _MODES:
            raise DataError(f"{where} has colour mode {image.mode}; convert it to 8-bit grey or RGB")
        image.load()
        return image if image.mode == _MODES[image.mode] else image.convert(_MODES[image.mode])
    except (DataError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise DataError(f"{where} declares more than {_MAX_PIXELS:,} pixels; shrink it") from error
    except Exception as error:  # a damaged image makes the decoders raise almost anything
        reason = "no image that can be read" if "BytesIO" in str(error) else " ".join(str(error).split())
        raise DataError(f"{where} is damaged ({reason}); replace it") from error


def _refuse_size(width: int, height: int, where: str) -> None:
    if width * height > _MAX_PIXELS:
        raise DataError(f"{where} declares {width} x {height} pixels, over {_MAX_PIXELS:,}; shrink it")


def _jpeg_frame(data: bytes) -> tuple[str, int, int] | None:
    """Return (mode, width, height) of an 8-bit grey or colour JPEG, which needs no more of PIL than its decoder.

    A small image takes as long to open as to decode: PIL parses all of its headers. None for any other file.
    """
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    place = 2
    while place + 10 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker in (0xC0, 0xC1, 0xC2):  # baseline, extended, progressive
            bits, height, width, channels = struct.unpack_from(">BHHB", data, place + 4)
            return ("L" if channels == 1 else "RGB", width, height) if bits == 8 and channels in (1, 3) else None
        if marker not in _SKIPPED:
            return None
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return None
