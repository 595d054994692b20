"""One image as 8-bit grey or RGB, as a viewer shows it; what would lose something on the way is refused."""

from __future__ import annotations

import contextlib
import io
import os
import re
import struct
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from analytic_dd.errors import DataError

__all__ = ["decode", "is_image", "is_read", "without_words_of_pil"]

# Bitmap decoders only: no format that runs a program (EPS) or is a container of others.
_FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png", ".apng"),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "PPM": (".pgm", ".ppm", ".pbm", ".pnm", ".pfm"),
    "TGA": (".tga", ".icb", ".vda", ".vst"),
    "AVIF": (".avif", ".avifs"),
}
_READ = frozenset(ending for endings in _FORMATS.values() for ending in endings)
# Other pictures: in a class folder they are named and refused, so that no class shrinks or vanishes.
_UNREAD = frozenset(
    [
        ".jp2",
        ".j2k",
        ".jpc",
        ".jpf",
        ".jpx",
        ".j2c",
        ".heic",
        ".heif",
        ".svg",
        ".ico",
        ".icns",
        ".cur",
        ".psd",
        ".xcf",
        ".raw",
        ".dng",
        ".cr2",
        ".nef",
        ".arw",
        ".mpo",
        ".pcx",
        ".dcx",
        ".sgi",
        ".rgb",
        ".rgba",
        ".bw",
        ".xbm",
        ".xpm",
        ".dds",
        ".eps",
        ".wmf",
        ".emf",
        ".fli",
        ".flc",
        ".im",
        ".iim",
        ".msp",
        ".qoi",
        ".blp",
        ".ftc",
        ".ftu",
        ".gbr",
        ".pcd",
        ".pxr",
        ".ras",
        ".dcm",
    ]
)
_MAX_PIXELS = 2**26
_SKIPPED = {0xC4, 0xDB, 0xDD, *range(0xE0, 0xF0), 0xFE}  # of a JPEG, before its frame: tables, applications, comments
_EXIF = b"Exif\0\0"  # may say that the image is to be turned


_SILENCE = ("ignore", None, Warning, re.compile(r"PIL\."), 0)  # a filter of warnings, one for each reader at work
_LOCK = threading.Lock()


@contextlib.contextmanager
def without_words_of_pil() -> Iterator[None]:
    """Keep PIL from warning of metadata, and of a size that is refused; warnings of others are left alone.

    ``warnings.catch_warnings`` would, in two threads that end in another order than they began, silence the process.
    """
    with _LOCK:
        warnings.filters.insert(0, _SILENCE)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        with _LOCK, contextlib.suppress(ValueError):  # a caller's own context has taken it away
            warnings.filters.remove(_SILENCE)  # type: ignore[attr-defined]


def is_read(name: str) -> bool:
    """Say whether a file's name is that of an image that is read."""
    return os.path.splitext(name)[1].lower() in _READ


def is_image(name: str) -> bool:
    """Say whether a file's name is that of an image, read or not."""
    return is_read(name) or os.path.splitext(name)[1].lower() in _UNREAD


def decode(data: bytes, *, resize: int | None = None, crop: bool = False) -> np.ndarray:
    """Return an image as bytes (h, w) or (h, w, 3), turned as its EXIF orientation says.

    Palettes become colours, bits become grey; an alpha channel that is opaque everywhere is dropped. With ``resize``
    the image is brought to so many pixels a side, with ``crop`` its largest centred square (Pillow's bilinear filter).

    Raises
    ------
    DataError
        What is the matter with it, to be said after its name: damaged, too large, transparent, more than 8 bits a
        channel, several frames, another colour mode.

    Notes
    -----
    *Cost.* An 8-bit JPEG without EXIF goes straight to its decoder: opening a small image takes as long as decoding it.
    """
    from PIL import Image

    try:
        frame = _jpeg_frame(data)
        if frame is not None:
            mode, width, height = frame
            _refuse_size(width, height)
            return _sized(Image.frombytes(mode, (width, height), data, "jpeg", mode, ""), resize, crop)
        with Image.open(io.BytesIO(data), formats=tuple(_FORMATS)) as image:
            _refuse_size(image.width, image.height)
            _refuse_loss(image, data)
            return _sized(_plain(image), resize, crop)
    except (DataError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise DataError(f"declares more than {_MAX_PIXELS:,} pixels") from error
    except Exception as error:  # a damaged image makes the decoders raise almost anything
        reason = "no image that can be read" if "BytesIO" in str(error) else " ".join(str(error).split())[:100]
        raise DataError(f"is damaged ({reason})") from error


def _sized(image: Any, resize: int | None, crop: bool) -> np.ndarray:
    """Return the pixels of an image, resized where that is wanted."""
    if resize is None:
        return np.asarray(image)
    width, height = image.size
    side = min(width, height)
    left, top = ((width - side) // 2, (height - side) // 2) if crop else (0, 0)
    box = (left, top, left + side, top + side) if crop else None
    return np.asarray(image.resize((resize, resize), 2, box=box))  # 2: bilinear, with as wide a support as it shrinks


def _refuse_size(width: int, height: int) -> None:
    if width * height > _MAX_PIXELS:
        raise DataError(f"declares {width} x {height} pixels, over {_MAX_PIXELS:,}")


def _refuse_loss(image: Any, data: bytes) -> None:
    """Refuse what PIL would cut to 8 bits or to one frame without a word."""
    if image.mode.startswith(("I", "F")) or _bits(image, data) > 8:
        raise DataError(f"has more than 8 bits a channel (mode {image.mode})")
    if getattr(image, "is_animated", False) and image.format != "MPO":  # of a camera's MPO the first is the picture
        raise DataError("has several frames")


def _bits(image: Any, data: bytes) -> int:
    """Return how many bits a channel has in the file."""
    if image.format == "PNG":
        return data[24]
    if image.format == "TIFF":
        return int(np.max(image.tag_v2.get(258, 8)))
    if image.format == "PPM":
        largest = [tile[3][1] for tile in image.tile if tile[0].startswith("ppm")]
        return 16 if largest and max(largest) > 255 else 8
    return 8


def _plain(image: Any) -> Any:
    """Return the image in grey or RGB, turned upright."""
    from PIL import ImageOps

    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        if image.convert("RGBA").getchannel("A").getextrema()[0] < 255:
            raise DataError("is transparent in places")
        image.info.pop("transparency", None)
        image = image.convert("L" if image.mode in ("L", "LA") else "RGB")
    if image.mode == "1":
        return image.convert("L")
    if image.mode == "P":
        return image.convert("RGB")
    if image.mode not in ("L", "RGB"):
        raise DataError(f"has colour mode {image.mode}")
    image.load()
    return image


def _jpeg_frame(data: bytes) -> tuple[str, int, int] | None:
    """Return (mode, width, height) of an 8-bit grey or colour JPEG without EXIF; None for any other file."""
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    place = 2
    while place + 10 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker in (0xC0, 0xC1, 0xC2):  # baseline, extended, progressive
            bits, height, width, channels = struct.unpack_from(">BHHB", data, place + 4)
            return ("L" if channels == 1 else "RGB", width, height) if bits == 8 and channels in (1, 3) else None
        if marker not in _SKIPPED or data.startswith(_EXIF, place + 4):
            return None
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return None
