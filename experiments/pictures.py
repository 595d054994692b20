"""Sheets of labelled images and curves: whole pixels, the aspect kept, one stated scale a row, small PNG files."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from analytic_dd.files import atomic_write
from analytic_dd.sheet import COLOURS, MARKERS

__all__ = ["MARKERS", "Row", "chart", "file_name", "number", "save", "scale_of", "sheet"]

matplotlib.rcParams["axes.prop_cycle"] = matplotlib.cycler(color=COLOURS)

LARGEST = 300_000  # bytes of a picture in the repository

_DPI = 100
_TILE = 64  # pixels of an image's longer side, or a little less: images are magnified by whole numbers
_GAP, _MARGIN, _SIDE, _LINE, _LETTER = 4, 8, 150, 13, 5.2


@dataclass(frozen=True)
class Row:
    """Images side by side on one scale."""

    name: str  # beside the row, with its scale below
    images: np.ndarray  # (m, *image_shape)
    scale: tuple[float, float]  # (low, high): what is drawn black and white; beyond is clipped
    captions: Sequence[str] = ()  # above each image
    heading: str = ""  # above the row

    @property
    def above(self) -> int:
        """Lines of text above the images."""
        return bool(self.heading) + max((caption.count("\n") + 1 for caption in self.captions), default=0)


def scale_of(images: np.ndarray) -> tuple[float, float]:
    """Return the range of 98 % of the pixels."""
    low, high = np.percentile(images, [1.0, 99.0])
    return float(low), float(high)


def number(value: float) -> str:
    """Return three digits, without an exponent up to a million."""
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.3g}"


def file_name(*words: Any) -> str:
    """Return the words as the name of a PNG file."""
    return re.sub(r"[^a-z0-9]+", "-", " ".join(str(word) for word in words).lower()).strip("-") + ".png"


def sheet(path: Path, title: Sequence[str], rows: Sequence[Row]) -> dict[str, Any]:
    """Write rows of images one below the other; return the name of the file and its size."""
    zoom = max(1, _TILE // max(rows[0].images.shape[1:3]))
    height, width = (zoom * side for side in rows[0].images.shape[1:3])
    columns = max(len(row.images) for row in rows)
    heights = [row.above * _LINE + (6 if row.heading else 0) + height + _GAP for row in rows]
    top = 2 * _MARGIN + _LINE * len(title)
    across = max(_SIDE + columns * (width + _GAP) + _MARGIN, 2 * _MARGIN + round(_LETTER * max(map(len, title))))
    canvas = np.full((top + sum(heights) + _MARGIN, across, 3), 255, dtype=np.uint8)
    words: list[tuple[float, float, str, dict[str, Any]]] = [(_MARGIN, _MARGIN, "\n".join(title), {"va": "top"})]
    for row, tall in zip(rows, heights, strict=True):
        start = top + tall - height - _GAP
        if row.heading:
            words.append((_MARGIN, top + 6, row.heading, {"va": "top", "weight": "bold"}))
        beside = f"{row.name}\n{number(row.scale[0])} to {number(row.scale[1])}"
        words.append((_MARGIN, start + height / 2, beside, {"va": "center"}))
        for index, image in enumerate(row.images):
            left = _SIDE + index * (width + _GAP)
            canvas[start : start + height, left : left + width] = _bytes(image, row.scale, zoom)
            if row.captions:
                words.append((left + width / 2, start - 2, row.captions[index], {"va": "bottom", "ha": "center"}))
        top += tall
    figure = Figure(figsize=(canvas.shape[1] / _DPI, canvas.shape[0] / _DPI), dpi=_DPI, facecolor="white")
    figure.figimage(canvas, origin="upper")
    for x, y, text, how in words:
        figure.text(x / canvas.shape[1], 1.0 - y / canvas.shape[0], text, fontsize=7, linespacing=1.3, **how)
    return save(figure, path)


def _bytes(image: np.ndarray, scale: tuple[float, float], zoom: int) -> np.ndarray:
    low, high = scale
    values = np.clip((image - low) / (high - low if high > low else 1.0), 0.0, 1.0)
    values = values[:, :, None] if values.ndim == 2 else values
    levels = np.round(255.0 * np.broadcast_to(values, (*values.shape[:2], 3))).astype(np.uint8)
    return levels.repeat(zoom, axis=0).repeat(zoom, axis=1)


def chart(columns: int, *, width: float = 4.4, height: float = 3.4) -> tuple[Figure, Sequence[Any]]:
    """Return a figure with axes side by side."""
    figure = Figure(figsize=(columns * width, height), dpi=_DPI, layout="constrained")
    return figure, figure.subplots(1, columns, squeeze=False)[0]


def save(figure: Figure, path: Path) -> dict[str, Any]:
    """Write a PNG without transparency, in 256 colours where it would be too large for the repository."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[:, :, :3]
    grey = bool(np.all(pixels == pixels[:, :, :1]))
    picture = Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if grey else pixels))
    content = _png(picture)
    if len(content) > LARGEST:
        content = _png(picture.quantize(256))
    with atomic_write(path) as stream:
        stream.write(content)
    print(f"{path.name:<44} {len(content) / 1000:>4.0f} kB", flush=True)
    return {"picture": path.name, "bytes": len(content)}


def _png(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format="PNG", optimize=True)
    return stream.getvalue()
