"""A figure on which things are placed by whole pixels, drawn in one style whatever the user's own is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from analytic_dd.files import atomic_write

__all__ = ["COLOURS", "DPI", "MARKERS", "Scale", "Sheet", "as_picture", "drawable", "own_style", "save"]

DPI = 100
VECTOR = (".svg", ".pdf")
# Petroff's ten colours tell apart for every kind of colour vision; shapes beside them do without colour
COLOURS = ("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd")
MARKERS = "osD^vPX<>h"

Scale = tuple[tuple[float, float], ...]  # the values that are drawn black and white, for all channels or for each

# Fonts with the letters of East Asia, which matplotlib's own lacks; a system may have one of them.
_EAST_ASIAN = (
    *("Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans CJK KR", "Source Han Sans", "WenQuanYi Zen Hei"),
    *("Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Hiragino Sans", "PingFang SC", "Arial Unicode MS"),
)


@contextlib.contextmanager
def own_style() -> Iterator[None]:
    """Draw by matplotlib's defaults; also a decorator. A matplotlibrc may turn images over or ask for LaTeX."""
    import matplotlib
    from matplotlib.rcsetup import cycler

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams["font.family"] = _families()
        matplotlib.rcParams["axes.prop_cycle"] = cycler(color=COLOURS)
        matplotlib.rcParams["svg.hashsalt"] = "analytic_dd"  # the same picture is the same file
        yield


def _families() -> list[str]:
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in _EAST_ASIAN if name in installed)]


def drawable(words: str) -> str:
    """Return a text with U+732B in the place of a letter that no font has; matplotlib would draw a box, and warn."""
    from matplotlib import font_manager

    files = (font_manager.findfont(name) for name in _families())
    fonts = [font_manager.get_font(file) for file in files]
    return "".join(
        c if c == "\n" or any(font.get_char_index(ord(c)) for font in fonts) else f"U+{ord(c):04X}" for c in words
    )


def as_picture(image: np.ndarray) -> np.ndarray:
    """Return rows of a square length as squares, other rows as a strip, images as they are."""
    if image.ndim > 1:
        return image
    side = round(image.size**0.5)
    return image.reshape(side, side) if side * side == image.size else image.reshape(1, -1)


class Sheet:
    """A figure on which things are placed by whole pixels from the upper left corner."""

    def __init__(self, *, width: int, height: int) -> None:
        from matplotlib.figure import Figure  # the object interface: no global state, no display

        self.width, self.height = width, height
        self.figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")

    def text(self, x: int, y: int, words: str, **options: Any) -> None:
        """Write words as they are, dollars included."""
        at = x / self.width, 1.0 - y / self.height
        self.figure.text(*at, words if words.isascii() else drawable(words), fontsize=7, parse_math=False, **options)

    def image(self, left: int, top: int, height: int, width: int, image: np.ndarray, scale: Scale) -> None:
        """Draw an image with its range of values brought to 0 .. 1; axes for each would take ten times as long."""
        from matplotlib.colors import Normalize
        from matplotlib.image import BboxImage
        from matplotlib.patches import Rectangle
        from matplotlib.transforms import Bbox, TransformedBbox

        low, high = np.array(scale).T if len(scale) > 1 else scale[0]
        scaled = np.clip((as_picture(image) - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)
        if scaled.ndim == 3 and scaled.shape[2] == 1:
            scaled = scaled[:, :, 0]
        corner = left / self.width, 1.0 - (top + height) / self.height
        place = Bbox.from_bounds(*corner, width / self.width, height / self.height)
        how = "nearest" if width >= scaled.shape[1] else "antialiased"
        where = TransformedBbox(place, self.figure.transFigure)
        shown = BboxImage(where, cmap="gray", norm=Normalize(0.0, 1.0), interpolation=how)
        shown.set_data(scaled)
        self.figure.add_artist(shown)
        edge = Rectangle(corner, place.width, place.height, fill=False, color="0.6", linewidth=0.5)
        self.figure.add_artist(edge)  # a white edge would not be seen on white


def save(figure: Any, path: Path) -> None:
    """Write SVG, PDF or PNG by the ending of a file; a PNG has no transparency, and grey levels if it has no colour.

    Raises
    ------
    ValueError
        The file name has another ending; none is PNG.
    """
    ending = path.suffix.lower()
    if ending not in (*VECTOR, ".png", ""):
        raise ValueError(f"{path.name} must end in .png, .svg or .pdf, got {path.suffix}; take one of these endings")
    if ending in VECTOR:
        with atomic_write(path) as stream:
            figure.savefig(stream, format=ending[1:], metadata={"CreationDate" if ending == ".pdf" else "Date": None})
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[:, :, :3]
    grey = np.all(pixels == pixels[:, :, :1])
    picture = Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if grey else pixels))
    with atomic_write(path) as stream:
        picture.save(stream, format="PNG", optimize=True)
