"""Pictures of distilled sets. Matplotlib is imported when a picture is drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from analytic_dd.files import atomic_write

__all__ = ["draw_set", "draw_spectrum"]

_COLUMNS = 10
_CLASS_ROW = 5  # images of a class that deserve a row of their own

# Sizes in pixels of the file. A sample is magnified by a whole number, so that its own pixels are equal squares.
_DPI = 100
_TILE, _SMALL_TILE, _LARGEST_TILE = 96, 64, 160
_STRIP = 14  # height of a row of features that is no image
_GAP, _MARGIN, _SIDE = 6, 8, 92
_DISTILLED, _APPENDED, _MEANS, _CHANGE = "distilled", "appended (box)", "class means", "change"
_SHORT_NAME = 3  # letters of a class that fit beside "mean of" above a small tile
_LOST = 1e-6  # of W: more than rounding; so few points do not keep all of it
_LINE, _LETTER = 13, 5.2  # a line of text, a letter of it


class Drawable(Protocol):
    """What is asked of a distilled set; :class:`analytic_dd.io.DistilledSet` says what it all is."""

    @property
    def inputs(self) -> np.ndarray:
        """An array of the set, or its facts."""

    @property
    def x(self) -> np.ndarray:
        """An array of the set, or its facts."""

    @property
    def y(self) -> np.ndarray:
        """An array of the set, or its facts."""

    @property
    def w(self) -> np.ndarray:
        """An array of the set, or its facts."""

    @property
    def classes(self) -> np.ndarray:
        """An array of the set, or its facts."""

    @property
    def meta(self) -> dict[str, Any]:
        """An array of the set, or its facts."""

    @property
    def intercept(self) -> np.ndarray | None:
        """An array of the set, or its facts."""

    @property
    def class_means(self) -> np.ndarray | None:
        """An array of the set, or its facts."""

    @property
    def references(self) -> np.ndarray | None:
        """An array of the set, or its facts."""

    @property
    def ridge(self) -> float:
        """lambda_s."""

    @property
    def ridges(self) -> tuple[float, ...]:
        """Every lambda_s."""

    @property
    def feature_map(self) -> Any:
        """The feature map."""

    def certify(self) -> Any:
        """The certificate."""


def draw_set(distilled: Drawable, path: Path, *, most: int = 100) -> None:
    """Write a labelled grid of the distilled images, below the class means of the data or the references of the set.

    All distilled images share one grey (or colour) scale, which the title states: the 1st to the 99th percentile of
    their pixels; what lies beyond is clipped. The class means are shown on their own range, which it states too. Where
    a class fills whole rows, its name stands beside them, else the class or the strongest labels above each image. A
    realistic set is drawn below its references, row by row, on one scale for both; near copies of one image are
    followed by their changes on a scale of their own.

    Parameters
    ----------
    distilled : DistilledSet
    path : Path
        A PNG file, replaced atomically.
    most : int
        Of more points than this (half of it for a realistic set), as many of each class are drawn as of the others.
    """
    blocks = _plain(distilled, most) if distilled.references is None else _realistic(distilled, most // 2)
    shown = sum(len(block.images) for block in blocks if block.name in (_DISTILLED, _APPENDED))
    _save(_draw(blocks, _title(distilled, blocks, shown)), path)


def _plain(distilled: Drawable, most: int) -> list[_Block]:
    """The class means, then the points."""
    means, names = distilled.class_means, [str(name) for name in distilled.classes]
    rows = _shown(distilled.y, most)
    images, labels = distilled.x[rows], distilled.y[rows]
    blocks = []
    if means is not None:
        between = "\n" if max(map(len, names)) > _SHORT_NAME else " "
        headings = [f"mean of{between}{name}" for name in names]
        blocks.append(_Block(_MEANS, means, headings, [], (float(means.min()), float(means.max()))))
    columns, of_rows = _class_rows(labels, names)
    captions = [] if of_rows else [_caption(row, names) for row in labels]
    return [*blocks, _Block(_DISTILLED, images, captions, of_rows, _scale(images), columns)]


def _realistic(distilled: Drawable, most: int) -> list[_Block]:
    """Rows of references, each above its row of points; then what has no reference, or the changes of one image."""
    references, x, names = distilled.references, distilled.x, [str(name) for name in distilled.classes]
    assert references is not None
    classes = distilled.meta.get("reference_classes")
    captions = [_caption(row, names) for row in distilled.y]
    above = [""] * len(references) if classes is None else [names[c] for c in classes]
    if len(references) == 1 < len(x):
        scale, change = _scale(np.concatenate([references, x])), x - references
        largest, columns = float(np.abs(change).max()), max(_COLUMNS, math.ceil(len(x) / math.ceil(len(x) / 12)))
        return [
            _Block("reference", references, above, [], scale),
            _Block(_DISTILLED, x, captions, [], scale, columns),
            _Block(_CHANGE, change, [], [], (-largest, largest), columns),
        ]
    rows = np.arange(len(references)) if classes is None else _shown(np.eye(len(names))[classes], most)
    rows = rows[:most]
    scale = _scale(np.concatenate([references[rows], x[rows]]))
    blocks = []
    for start in range(0, len(rows), _COLUMNS):
        chunk = rows[start : start + _COLUMNS]
        blocks.append(_Block("references", references[chunk], [above[i] for i in chunk], [], scale))
        blocks.append(_Block(_DISTILLED, x[chunk], [captions[i] for i in chunk], [], scale))
    if len(x) > len(references):
        blocks.append(_Block(_APPENDED, x[len(references) :], captions[len(references) :], [], scale))
    return blocks


def _scale(images: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(images, [1.0, 99.0])
    return float(low), float(high)


@dataclass(frozen=True)
class _Block:
    """Rows of images on one scale.

    Attributes
    ----------
    name : str
        Written beside the first row, or beside every row above its class.
    images : (m, *image_shape) array
    captions : list of str
        Above each image; none where the rows have names.
    rows : list of str
        The class of each row, where a row has one class.
    scale : (low, high)
        What is drawn black and white.
    columns : int
    """

    name: str
    images: np.ndarray
    captions: Sequence[str]
    rows: Sequence[str]
    scale: tuple[float, float]
    columns: int = _COLUMNS

    @property
    def height(self) -> int:
        """Number of rows."""
        return math.ceil(len(self.images) / self.columns)

    @property
    def caption_lines(self) -> int:
        return max((caption.count("\n") + 1 for caption in self.captions), default=0)


def _shown(labels: np.ndarray, most: int) -> np.ndarray:
    """Indices of the points that are drawn: all, or the first of every class, or simply the first."""
    count = len(labels)
    if count <= most:
        return np.arange(count)
    if not _one_class(labels):
        return np.arange(most)
    strongest = labels.argmax(axis=1)
    each = max(1, most // len(np.unique(strongest)))
    return np.concatenate([np.flatnonzero(strongest == c)[:each] for c in np.unique(strongest)])[:most]


def _one_class(labels: np.ndarray) -> bool:
    """Whether every row of labels singles out one class and has one value for all the others."""
    ordered = np.sort(labels, axis=1)
    return bool(np.allclose(ordered[:, 0], ordered[:, -2]) and np.all(ordered[:, -1] > ordered[:, -2]))


def _class_rows(labels: np.ndarray, names: Sequence[str]) -> tuple[int, list[str]]:
    """Number of columns, and the class of each row where every class fills whole rows; none otherwise."""
    if not _one_class(labels):
        return _COLUMNS, []
    classes, counts = np.unique(labels.argmax(axis=1), return_counts=True)
    each = int(counts[0])
    columns = next((c for c in range(_COLUMNS, _CLASS_ROW - 1, -1) if each % c == 0), 0)
    whole = np.array_equal(labels.argmax(axis=1), np.repeat(classes, each))  # class-major, as many of each
    if not columns or not whole:
        return _COLUMNS, []
    return columns, [f"class {names[c]}" for c in np.repeat(classes, each // columns)]


def _caption(labels: np.ndarray, names: Sequence[str]) -> str:
    """The class of a one-hot row, else the two strongest classes with their values, one a line."""
    if _one_class(labels[None]):
        return names[int(labels.argmax())]
    return "\n".join(f"{names[i]}: {labels[i]:.2g}" for i in np.argsort(-labels, stable=True)[:2])


def _certified(meta: Mapping[str, Any]) -> str:
    """W, or the part of it that few points keep."""
    if not meta.get("error_to_original", 0.0) > _LOST:
        return "W"
    return f"the part of W that is kept ({meta['error_to_original']:.2g} of W is lost)"


def _title(distilled: Drawable, blocks: Sequence[_Block], shown: int) -> list[str]:
    meta, phi = distilled.meta, distilled.meta["features"]
    total, certificate = len(distilled.x), meta.get("certificate") or {}
    error = _or_infinite(certificate.get("relative_error", math.nan))
    depth = len(phi.get("widths", ())) - 1
    layers = f" of {depth} layer{'s' * (depth > 1)}" if depth > 0 else ""
    count = f"{total} distilled points" if shown == total else f"{shown} of {total} distilled points"
    lines = [
        f"{meta['data']['name']}, {phi['map']} features{layers} ({distilled.w.shape[1]}): {count}, {meta['labels']} "
        f"labels, {meta['theorem']}, ridge {distilled.ridge:.3g}; error of {_certified(meta)} "
        f"{error:.1e}, {certificate.get('verdict', 'not certified')}",
    ]
    named: dict[tuple[float, float], dict[str, None]] = {}  # blocks on one scale share its ends
    for block in blocks:
        named.setdefault(block.scale, {})[block.name] = None
    scales = [
        f"{', '.join(names)} {_ends(*scale)}" + ("" if {_MEANS, _CHANGE} & names.keys() else " (98 % of the pixels)")
        for scale, names in named.items()
    ]
    return [*lines, f"from black to white, in the data's units: {'; '.join(scales)}"]


def _ends(low: float, high: float) -> str:
    """Both ends, with as many digits as their difference takes; without an exponent up to a million."""
    if not high > low:
        return f"{low:.3g} throughout"
    places, largest = 2 - math.floor(math.log10(high - low)), max(abs(low), abs(high))
    if 1e-3 <= largest < 1e6:
        form = f"z,.{max(places, 0)}f"
    else:
        form = f"z.{max(places + math.floor(math.log10(largest)), 0)}e"
    return f"{low:{form}} to {high:{form}}"


def _or_infinite(value: float | None) -> float:
    """JSON has no infinity: it is stored as null."""
    return math.inf if value is None else value


def _tile(shape: tuple[int, ...], rows: int) -> tuple[int, int]:
    """Height and width in pixels at which a sample is drawn."""
    height, width = shape[:2]
    target = _TILE if rows <= 3 else _SMALL_TILE
    if height == 1:
        return _STRIP, target
    side = max(height, width)
    if side > _LARGEST_TILE:  # too large for whole pixels: the aspect is kept
        return max(1, round(height * _LARGEST_TILE / side)), max(1, round(width * _LARGEST_TILE / side))
    zoom = max(1, target // side)
    return height * zoom, width * zoom


def _draw(blocks: Sequence[_Block], title: Sequence[str]) -> Any:
    """Return the figure: the title, then the blocks one below the other."""
    height, width = _tile(_as_picture(blocks[0].images[0]).shape, sum(block.height for block in blocks))
    columns = max(min(block.columns, len(block.images)) for block in blocks)
    steps = [height + _GAP + _LINE * block.caption_lines for block in blocks]
    header = _LINE * len(title) + 2 * _MARGIN
    sheet = _Sheet(
        width=max(2 * _MARGIN + _SIDE + columns * (width + _GAP), round(_LETTER * max(map(len, title)))),
        height=header + sum(block.height * step + _GAP for block, step in zip(blocks, steps, strict=True)),
    )
    sheet.text(_MARGIN, _MARGIN, "\n".join(title), va="top", linespacing=1.3)
    y = header
    for block, step in zip(blocks, steps, strict=True):
        for index, image in enumerate(block.images):
            row, column = divmod(index, block.columns)
            left, top = _MARGIN + _SIDE + column * (width + _GAP), y + (row + 1) * step - height - _GAP
            sheet.image(left, top, height, width, image, block.scale)
            if block.captions:
                sheet.text(left + width // 2, top - 2, block.captions[index], ha="center", va="bottom")
            if column == 0 and (block.rows or row == 0):
                sheet.text(_MARGIN, top + height // 2, _beside(block, row, height), va="center")
        y += block.height * step + _GAP
    return sheet.figure


def _beside(block: _Block, row: int, height: int) -> str:
    """What a row of images is: the name of its block, and its class; the class alone beside a low strip."""
    if not block.rows:
        return block.name
    return f"{block.name},\n{block.rows[row]}" if height > 2 * _LINE else block.rows[row]


class _Sheet:
    """A figure on which things are placed by whole pixels from the upper left corner."""

    def __init__(self, *, width: int, height: int) -> None:
        from matplotlib.figure import Figure  # the object interface: no global state, no display

        self.width, self.height = width, height
        self.figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor="white")

    def text(self, x: int, y: int, words: str, **options: Any) -> None:
        self.figure.text(x / self.width, 1.0 - y / self.height, words, fontsize=7, **options)

    def image(
        self, left: int, top: int, height: int, width: int, image: np.ndarray, scale: tuple[float, float]
    ) -> None:
        """Draw an image with its range of values brought to 0 .. 1."""
        low, high = scale
        scaled = np.clip((_as_picture(image) - low) / (high - low if high > low else 1.0), 0.0, 1.0)
        if scaled.ndim == 3 and scaled.shape[2] == 1:
            scaled = scaled[:, :, 0]
        bottom = 1.0 - (top + height) / self.height
        axis = self.figure.add_axes((left / self.width, bottom, width / self.width, height / self.height))
        how = "nearest" if width >= scaled.shape[1] else "antialiased"
        axis.imshow(scaled, cmap="gray", vmin=0.0, vmax=1.0, interpolation=how, aspect="auto")
        axis.set_xticks([])
        axis.set_yticks([])
        for spine in axis.spines.values():  # a white edge would not be seen on white
            spine.set(color="0.6", linewidth=0.5)


def _as_picture(image: np.ndarray) -> np.ndarray:
    """Rows of a square length become squares, other rows a strip."""
    if image.ndim > 1:
        return image
    side = math.isqrt(image.size)
    return image.reshape(side, side) if side * side == image.size else image.reshape(1, -1)


def draw_spectrum(distilled: Drawable, path: Path) -> None:
    """Write the singular values of the weights and of the distilled features up to their ranks, on a log scale.

    The features of a model with an intercept are taken about their mean, as the model sees them. The title has the
    condition of the certificate, whose ridge damps the smallest of them. Of several ridges the weights are those of
    the first.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(6.0, 3.5), layout="constrained", dpi=_DPI)
    axis = figure.subplots()
    for (label, matrix), marker in zip(_spectra(distilled).items(), "ox", strict=True):
        values = np.linalg.svd(matrix, compute_uv=False)
        kept = values[values > max(matrix.shape) * np.finfo(float).eps * values[0]]
        label = f"{label}, rank {len(kept)}" + (f" of {len(values)}" if len(kept) < len(values) else "")
        axis.semilogy(np.arange(1, len(kept) + 1), kept, marker, label=label, ms=4)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axis.set_xlabel("index")
    axis.set_ylabel("singular value")
    found = distilled.certify()
    name = distilled.meta["data"]["name"]
    axis.set_title(f"{name}: condition of the features {found.condition:.2g} at ridge {found.ridge:.3g}", fontsize=9)
    axis.legend(fontsize=8)
    _save(figure, path)


def _spectra(distilled: Drawable) -> dict[str, np.ndarray]:
    """The matrices whose singular values are drawn, by what the picture calls them."""
    count = len(distilled.ridges)
    weights = "weights W" if count == 1 else f"weights W of ridge {distilled.meta['ridge']:.3g}, the first of {count}"
    Phis = distilled.feature_map(distilled.inputs)
    if distilled.intercept is None:
        return {weights: distilled.w, "distilled features": Phis}
    return {weights: distilled.w, "distilled features about their mean": Phis - Phis.mean(axis=0)}


def _save(figure: Any, path: Path) -> None:
    """Write a PNG file: grey levels where there are no colours, no transparency."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[:, :, :3]
    grey = np.all(pixels == pixels[:, :, :1])
    picture = Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if grey else pixels))
    with atomic_write(path) as stream:
        picture.save(stream, format="PNG", optimize=True)
