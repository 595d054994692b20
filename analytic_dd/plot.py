"""Pictures of distilled sets. Matplotlib is imported when a picture is drawn."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from analytic_dd.errors import shown
from analytic_dd.sheet import Scale, Sheet, as_picture, own_style, save

__all__ = ["draw_on", "draw_points", "draw_set", "thumbnails"]

_COLUMNS = 10
_CLASS_ROW = 5  # a class with so many images has a row of its own

# Sizes in pixels of the file. A sample is magnified by a whole number, so that its own pixels are equal squares.
_TILE, _SMALL_TILE, _LARGEST_TILE = 96, 64, 160
_STRIP = 14  # height of a row of features that is no image
_GAP, _MARGIN, _SIDE = 6, 8, 92
_DISTILLED, _APPENDED, _MEANS, _CHANGE = "distilled", "appended (box)", "class means", "change"
_SHORT_NAME = 3  # letters of a class that fit beside "mean of" above a small tile
_LOST = 1e-6  # the share of W beyond which a loss is more than rounding
_LINE, _LETTER = 13, 5.2  # height of a line of text, width of a letter
_MOST = 100  # class means, and other tiles, of a picture
_LONGEST, _LONGEST_LINE = 24, 300  # letters of a name, and of a line of the title, that are drawn


Drawable = Any  # an analytic_dd.io.DistilledSet; that file imports this one


@own_style()
def draw_set(distilled: Drawable, path: Path, *, most: int = _MOST) -> None:
    """Write a labelled grid of the distilled images, below the class means of the data or the references of the set.

    All distilled images share one scale from the 1st to the 99th percentile of their pixels, one for each channel where
    they have colours, and values beyond are clipped. The class means have their own scale, and the title states both.
    Where a class fills whole rows, its name stands beside them; elsewhere the class or the strongest labels stand above
    each image. Each row of a realistic set is drawn below the row of its references, on one scale for both, and near
    copies of one image are followed by their changes on another scale. Rows of a table are strips of their columns, in
    deviations of each.

    Parameters
    ----------
    distilled : DistilledSet
    path : Path
        A PNG, SVG or PDF file by its ending, replaced atomically.
    most : int
        Largest number of points that are drawn, equally many of each class; half of it for a realistic set. Of more
        than 100 class means the first are drawn. The title counts what is drawn.
    """
    distilled = _drawable(distilled)
    blocks = _plain(distilled, most) if distilled.references is None else _realistic(distilled, most // 2)
    drawn = sum(len(block.images) for block in blocks if block.name in (_DISTILLED, _APPENDED))
    save(_draw(blocks, _title(distilled, blocks, drawn)), path)


@own_style()
def draw_points(x: np.ndarray, y: np.ndarray, title: str, path: Path) -> None:
    """Write a labelled grid of the points of a set that is nothing else: images (m, *shape), labels (m, k)."""
    block = _points(x, y, [str(label) for label in range(y.shape[1])], _MOST)
    save(_draw([block], [shown(title, most=_LONGEST_LINE), _scales([block])]), path)


def _points(x: np.ndarray, y: np.ndarray, names: Sequence[str], most: int) -> _Block:
    """Return points in rows of one class, or each below its class or its strongest labels."""
    rows = _shown(y, most)
    images, labels = x[rows], y[rows]
    columns, of_rows = _class_rows(labels, names)
    captions = [] if of_rows else [_caption(row, names) for row in labels]
    return _Block(_DISTILLED, images, captions, of_rows, _scale(images, channels=images.ndim > 3), columns)


def draw_on(distilled: Drawable, axes: Any) -> None:
    """Draw at most 100 distilled images side by side into axes of matplotlib, on one scale, equally many of a class.

    Parameters
    ----------
    distilled : DistilledSet
    axes : matplotlib.axes.Axes
    """
    pictures, low, high = _on_one_scale(distilled, _shown(distilled.y, _MOST))
    columns = min(_COLUMNS, len(pictures))
    height, width = pictures[0].shape[:2]
    grid = np.ones((-(-len(pictures) // columns) * (height + 1), columns * (width + 1), *pictures[0].shape[2:]))
    for index, picture in enumerate(pictures):
        top, left = index // columns * (height + 1), index % columns * (width + 1)
        grid[top : top + height, left : left + width] = picture
    axes.imshow(grid, cmap="gray", vmin=0.0, vmax=1.0, interpolation="nearest")
    axes.set_axis_off()
    unit = " deviations" if distilled.meta.get("columns") else ""
    axes.set_title(f"{len(pictures)} of {len(distilled.x)} points, {low:.3g} to {high:.3g}{unit}", fontsize="small")


def _drawable(distilled: Drawable) -> Drawable:
    """Return the set, or of a table one whose samples are strips (1, d) of the normalised columns."""
    if not distilled.meta.get("columns"):
        return distilled

    def strips(x: np.ndarray | None) -> np.ndarray | None:
        return None if x is None else ((x.reshape(len(x), -1) - distilled.mean) / distilled.std)[:, None, :]

    names = ("y", "w", "ridge", "classes", "meta")
    samples = {name: strips(getattr(distilled, name)) for name in ("class_means", "references")}
    kept = {name: getattr(distilled, name) for name in names}
    return SimpleNamespace(x=distilled.inputs[:, None, :], **samples, **kept)


def thumbnails(distilled: Drawable, *, most: int) -> tuple[list[bytes], float, float]:
    """Return the first points as PNG files of their own pixels, and the values that are black and white in all."""
    from PIL import Image

    pictures, low, high = _on_one_scale(distilled, np.arange(min(most, len(distilled.x))))
    files = []
    for picture in pictures:
        stream = io.BytesIO()
        Image.fromarray(np.round(255.0 * picture).astype(np.uint8)).save(stream, "PNG")
        files.append(stream.getvalue())
    return files, low, high


def _on_one_scale(distilled: Drawable, rows: np.ndarray) -> tuple[list[np.ndarray], float, float]:
    """Return points as pictures from 0 to 1, which are the 1st and the 99th percentile of all pixels."""
    distilled = _drawable(distilled)
    low, high = (float(end) for end in np.percentile(distilled.x, [1.0, 99.0]))
    scaled = np.clip((distilled.x[rows] - low) / (high - low if high > low else 1.0), 0.0, 1.0)
    pictures = [as_picture(image) for image in scaled]
    return [picture[:, :, 0] if picture.shape[2:] == (1,) else picture for picture in pictures], low, high


def _names(distilled: Drawable) -> list[str]:
    """Return the classes, as they may be drawn whatever file they come from."""
    return [shown(name, most=_LONGEST) for name in distilled.classes]


def _plain(distilled: Drawable, most: int) -> list[_Block]:
    """Return the class means, then the points."""
    means, names = distilled.class_means, _names(distilled)
    blocks = []
    if means is not None:
        between = "\n" if max(map(len, names)) > _SHORT_NAME else " "
        headings = [f"mean of{between}{name}" for name in names[:_MOST]]
        scale = ((float(means.min()), float(means.max())),)
        blocks.append(_Block(_MEANS, means[:_MOST], headings, [], scale, of=len(means)))
    return [*blocks, _points(distilled.x, distilled.y, names, most)]


def _realistic(distilled: Drawable, most: int) -> list[_Block]:
    """Return rows of references above their points, then points without references; or images, copies, changes."""
    references, x, names = distilled.references, distilled.x, _names(distilled)
    assert references is not None
    classes = distilled.meta.get("reference_classes")
    captions = [_caption(row, names) for row in distilled.y]
    above = [""] * len(references) if classes is None else [names[c] for c in classes]
    first, of = _roots(references)
    if len(references) == 1 < len(x) or 2 * len(first) <= len(references):  # several near copies of each image
        shown = np.argsort(of, kind="stable")[:most] if len(references) > 1 else np.arange(min(most, len(x)))
        change = (x - references)[shown]
        scale = _scale(np.concatenate([references[first], x[shown]]))
        largest = float(np.abs(change).max())
        columns = max(_COLUMNS, math.ceil(len(shown) / math.ceil(len(shown) / 12)))
        return [
            _Block(
                "reference" if len(first) == 1 else "references",
                references[first][:most],
                [above[i] for i in first[:most]],
                [],
                scale,
            ),
            _Block(_DISTILLED, x[shown], [captions[i] for i in shown], [], scale, columns),
            _Block(_CHANGE, change, [], [], ((-largest, largest),), columns),
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
        rest = slice(len(references), len(references) + _COLUMNS)
        blocks.append(_Block(_APPENDED, x[rest], captions[rest], [], scale))
    return blocks


def _roots(references: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first row of each different reference, in order, and which of them each row is."""
    flat = references.reshape(len(references), -1)
    _, rows, of = np.unique(flat, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(rows)
    return rows[order], np.argsort(order)[of.reshape(-1)]


def _scale(images: np.ndarray, *, channels: bool = False) -> Scale:
    """Return the 1st and 99th percentiles of all pixels, or of each channel, which may differ a hundredfold."""
    parts = np.moveaxis(images, -1, 0) if channels else images[None]
    return tuple((float(low), float(high)) for low, high in (np.percentile(part, [1.0, 99.0]) for part in parts))


@dataclass(frozen=True)
class _Block:
    """Rows of images on one scale."""

    name: str  # it stands beside the first row, or beside every row above its class
    images: np.ndarray  # (m, *image_shape)
    captions: Sequence[str]  # words above each image; there are none where the rows have names
    rows: Sequence[str]  # the class of each row, where each row has one class
    scale: Scale  # ((low, high), ...): the values that are drawn black and white, of all channels or of each
    columns: int = _COLUMNS
    of: int = 0  # how many images there are, where not all are drawn

    @property
    def label(self) -> str:
        """The name, and how many of how many are drawn where some are not."""
        return f"{self.name} ({len(self.images)} of {self.of})" if self.of > len(self.images) else self.name

    @property
    def height(self) -> int:
        """Number of rows."""
        return math.ceil(len(self.images) / self.columns)

    @property
    def caption_lines(self) -> int:
        return max((caption.count("\n") + 1 for caption in self.captions), default=0)


def _shown(labels: np.ndarray, most: int) -> np.ndarray:
    """Return the indices of the points to draw: all, or the first of each class, or the first where labels mix."""
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
    if labels.shape[1] < 2:  # one output is no class
        return False
    return bool(np.allclose(ordered[:, 0], ordered[:, -2]) and np.all(ordered[:, -1] > ordered[:, -2]))


def _class_rows(labels: np.ndarray, names: Sequence[str]) -> tuple[int, list[str]]:
    """Return the number of columns, and the class of each row where every class fills whole rows."""
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
    """Return the class of a one-hot row, or two lines with the strongest classes and their values."""
    if _one_class(labels[None]):
        return names[int(labels.argmax())]
    return "\n".join(f"{names[i]}: {labels[i]:.2g}" for i in np.argsort(-labels, stable=True)[:2])


def _title(distilled: Drawable, blocks: Sequence[_Block], drawn: int) -> list[str]:
    meta, phi = distilled.meta, distilled.meta["features"]
    total, certificate = len(distilled.x), meta.get("certificate") or {}
    error = certificate.get("relative_error", math.nan)
    error = math.inf if error is None else error  # JSON has no infinity, and stores null
    depth = len(phi.get("widths", ())) - 1
    layers = f" of {depth} layer{'s' * (depth > 1)}" if depth > 0 else ""
    count = f"{total} distilled points" if drawn == total else f"{drawn} of {total} distilled points"
    lost = meta.get("error_to_original", 0.0)
    kept = f"the part of W that is kept ({lost:.2g} of W is lost)" if lost > _LOST else "W"
    lines = [
        f"{meta['data']['name']}, {phi['map']} features{layers} ({distilled.w.shape[1]}): {count}, {meta['labels']} "
        f"labels, {meta['theorem']}, ridge {distilled.ridge:.3g}; error of {kept} "
        f"{error:.1e}, {certificate.get('verdict', 'not certified')}",
    ]
    return [shown(line, most=_LONGEST_LINE) for line in (*lines, _scales(blocks, table=bool(meta.get("columns"))))]


def _scales(blocks: Sequence[_Block], *, table: bool = False) -> str:
    """Return what is black and white in each block."""
    named: dict[Scale, dict[str, str]] = {}  # blocks on one scale share its ends
    for block in blocks:
        named.setdefault(block.scale, {})[block.name] = block.label
    scales = [
        f"{', '.join(names.values())} {_all_ends(scale)}"
        + ("" if {_MEANS, _CHANGE} & names.keys() else f" (98 % of the {'numbers' if table else 'pixels'})")
        for scale, names in named.items()
    ]
    kind = "Scale of each channel" if any(len(scale) > 1 for scale in named) else "Grey scale"
    return f"{kind} ({'deviations of each column' if table else 'data units'}): {'; '.join(scales)}"


def _all_ends(scale: Scale) -> str:
    if len(scale) == 1:
        return _ends(*scale[0])
    return ", ".join(f"{name} {_ends(*ends)}" for name, ends in zip(("red", "green", "blue"), scale, strict=True))


def _ends(low: float, high: float) -> str:
    """Return both ends with the digits that their difference needs, and an exponent only beyond a million."""
    if not high > low:
        return f"{low:.3g} throughout"
    places, largest = 2 - math.floor(math.log10(high - low)), max(abs(low), abs(high))
    if 1e-3 <= largest < 1e6:
        form = f"z,.{max(places, 0)}f"
    else:
        form = f"z.{max(places + math.floor(math.log10(largest)), 0)}e"
    return f"{low:{form}} to {high:{form}}"


def _tile(shape: tuple[int, ...], rows: int) -> tuple[int, int]:
    """Return the height and width in pixels at which a sample is drawn."""
    height, width = shape[:2]
    target = _TILE if rows <= 3 else _SMALL_TILE
    if height == 1:
        return _STRIP, target
    side = max(height, width)
    if side > _LARGEST_TILE:  # whole pixels would be too large, so only the aspect is kept
        return max(1, round(height * _LARGEST_TILE / side)), max(1, round(width * _LARGEST_TILE / side))
    zoom = max(1, target // side)
    return height * zoom, width * zoom


def _draw(blocks: Sequence[_Block], title: Sequence[str]) -> Any:
    """Return the figure: the title, then the blocks one below the other."""
    height, width = _tile(as_picture(blocks[0].images[0]).shape, sum(block.height for block in blocks))
    columns = max(min(block.columns, len(block.images)) for block in blocks)
    steps = [height + _GAP + _LINE * block.caption_lines for block in blocks]
    header = _LINE * len(title) + 2 * _MARGIN
    sheet = Sheet(
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
    """Return the name of a row's block and its class, or the class alone beside a low strip."""
    if not block.rows:
        return block.name
    return f"{block.name},\n{block.rows[row]}" if height > 2 * _LINE else block.rows[row]
