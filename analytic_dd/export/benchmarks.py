"""Formats of the published code that sets are compared with: DC, MTT, KIP, DD-Ranking."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from analytic_dd.errors import DataError
from analytic_dd.export.format import Exportable, Exported, hard_labels, images, recovery_note, register
from analytic_dd.files import atomic_write, write_npz

__all__ = ["to_dc", "to_dd_ranking", "to_kip", "to_mtt"]


def _by_class(distilled: Exportable, name: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Images (m, c, h, w) float32 and classes (m,) int64, class after class with as many of each; and the notes."""
    classes, size = hard_labels(distilled, name)
    counts = np.bincount(classes, minlength=len(distilled.classes))
    if counts.min() != counts.max():
        raise DataError(f"format {name} has as many points of each class, got {counts.min()} to {counts.max()}")
    order = np.argsort(classes, kind="stable")
    pixels = np.ascontiguousarray(np.moveaxis(images(distilled, name), -1, 1)[order]).astype(np.float32)
    rounded = recovery_note(distilled, distilled.inputs.astype(np.float32), "inputs were rounded to float32")
    notes = [_normalisation(distilled), rounded]
    if not np.array_equal(order, np.arange(len(order))):
        notes.append("points were sorted by class, which this format asks for")
    if size != 1.0:
        notes.append(f"labels of the set are {size:.4g} and classes are 1: what is fitted on them is W / {size:.4g}")
    return pixels, classes[order].astype(np.int64), notes


def _normalisation(distilled: Exportable) -> str:
    mean, std = (", ".join(f"{value:.6g}" for value in values) for values in (distilled.mean, distilled.std))
    return f"images are (x - mean) / std with mean {mean} and std {std} in the data's units; test images need the same"


def _save(tensors: Mapping[Path, Any]) -> tuple[Path, ...]:
    import torch

    for path, tensor in tensors.items():
        with atomic_write(path) as stream:
            torch.save(tensor, stream)
    return tuple(tensors)


@register("dc", "res_*.pt of DC, DSA and DM: {'data': [[images, classes]], 'accs_all_exps': {}}", suffix=".pt")
def to_dc(distilled: Exportable, path: Path) -> Exported:
    """Write the file that Zhao and Bilen's code saves and evaluates."""
    import torch

    pixels, classes, notes = _by_class(distilled, "dc")
    data = [[torch.from_numpy(pixels), torch.from_numpy(classes)]]
    return Exported(_save({path: {"data": data, "accs_all_exps": {}}}), tuple(notes))


@register("mtt", "a folder with images_best.pt and labels_best.pt, as MTT saves them")
def to_mtt(distilled: Exportable, path: Path) -> Exported:
    """Write the two files that Cazenavette's code saves: images (m, c, h, w) and classes (m,)."""
    import torch

    pixels, classes, notes = _by_class(distilled, "mtt")
    files = {path / "images_best.pt": torch.from_numpy(pixels), path / "labels_best.pt": torch.from_numpy(classes)}
    return Exported(_save(files), tuple(notes))


@register("kip", "an npz file with images (m, h, w, c) and labels (m, k), as the published KIP sets", suffix=".npz")
def to_kip(distilled: Exportable, path: Path) -> Exported:
    """Write images with channels last and labels as they are: this format has soft labels."""
    write_npz(path, {"images": images(distilled, "kip"), "labels": distilled.y})
    kinds = f"labels are {distilled.meta['labels']}; those of KIP are centred (1 - 1/k and -1/k)"
    return Exported((path,), (_normalisation(distilled), kinds, f"ridge {distilled.ridge:.17g} is absolute"))


@register("dd-ranking", "a folder with images.pt and labels.pt for DD-Ranking's evaluators")
def to_dd_ranking(distilled: Exportable, path: Path) -> Exported:
    """Write images (m, c, h, w) and classes (m,) for its HardLabelEvaluator."""
    import torch

    pixels, classes, notes = _by_class(distilled, "dd-ranking")
    files = {path / "images.pt": torch.from_numpy(pixels), path / "labels.pt": torch.from_numpy(classes)}
    use = "HardLabelEvaluator(...).compute_metrics(image_tensor=images, hard_labels=labels)"
    note = "networks trained on an exact set do worse than on class means: this set is exact for ridge regression"
    return Exported(_save(files), (use, note, *notes))
