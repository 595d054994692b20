"""A folder of PNG files with a table of labels: what any program can read.

A set with integer pixels (T24) is written as it is. Of other sets the pixels are rounded to 16 bits, which loses some
of W; the notes say how much.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from analytic_dd.export.format import Exportable, Exported, facts, images, recovery_note, register
from analytic_dd.files import atomic_write

__all__ = ["to_folder"]

_TOP = 65535  # of 16 bits


@register("folder", "PNG files (8 or 16 bits) with labels.csv and set.json")
def to_folder(distilled: Exportable, path: Path) -> Exported:
    """Write NNNN.png, labels.csv (file, then a label a class) and set.json (low, step, mean, std, ridge, facts)."""
    images(distilled, "folder")
    levels, low, step = _code(distilled)
    channels = (low + step * levels.astype(np.float64)).reshape(-1, len(distilled.mean))
    inputs = ((channels - distilled.mean) / distilled.std).reshape(len(levels), -1)
    digits = max(4, len(str(len(levels) - 1)))
    names = [f"{i:0{digits}}.png" for i in range(len(levels))]
    for name, image in zip(names, levels, strict=True):
        with atomic_write(path / name) as stream:
            stream.write(_png(image))
    classes = [f"label={name}" for name in distilled.classes]
    rows = [",".join(["file", *map(_quoted, classes)])]
    rows += [",".join([name, *map(repr, row)]) for name, row in zip(names, distilled.y.tolist(), strict=True)]
    with atomic_write(path / "labels.csv") as stream:
        stream.write(("\n".join(rows) + "\n").encode())
    how: dict[str, Any] = facts(distilled) | {
        "about": "x = low + step * level, channels last; inputs = (x - mean) / std; fit on their features",
        "low": low,
        "step": step,
        "bits": 8 * levels.itemsize,
        "stacked": levels.itemsize > 1 and levels.ndim == 4,
        "image_shape": list(distilled.x.shape[1:]),
        "mean": distilled.mean.tolist(),
        "std": distilled.std.tolist(),
        "ridge": distilled.ridge,
    }
    with atomic_write(path / "set.json") as stream:
        stream.write((json.dumps(how, indent=1) + "\n").encode())
    notes = [
        recovery_note(distilled, inputs, f"pixels have {8 * levels.itemsize} bits"),
        f"x = {low:.17g} + {step:.17g} * level, inputs = (x - mean) / std (set.json); labels are in labels.csv",
    ]
    if how["stacked"]:
        notes.append("channels of an image are stacked in one grey file, since 16-bit colours are lost in most readers")
    return Exported((*(path / name for name in names), path / "labels.csv", path / "set.json"), tuple(notes))


def _code(distilled: Exportable) -> tuple[np.ndarray, float, float]:
    """Return the levels (m, *image_shape) with low and step: those of the set, or 16 bits over the range of x."""
    if distilled.levels is not None and distilled.low is not None and distilled.step is not None:
        return distilled.levels, float(distilled.low), float(distilled.step)
    low, high = float(distilled.x.min()), float(distilled.x.max())
    step = (high - low) / _TOP or 1.0
    return np.rint((distilled.x - low) / step).astype(np.uint16), low, step


def _png(image: np.ndarray) -> bytes:
    """One image as a PNG file; channels of 16 bits are stacked below each other."""
    from PIL import Image

    if image.itemsize > 1 and image.ndim == 3:
        image = np.concatenate(list(np.moveaxis(image, -1, 0)))
    stream = io.BytesIO()
    Image.fromarray(image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image).save(stream, "PNG")
    return stream.getvalue()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if any(c in name for c in ',"\n\r') else name
