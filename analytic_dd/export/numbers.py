"""Formats that keep the set as it is, in float64: torch, safetensors, parquet."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from analytic_dd.errors import optional
from analytic_dd.export.format import Exportable, Exported, facts, recovery_note, register
from analytic_dd.files import atomic_write

__all__ = ["to_parquet", "to_safetensors", "to_torch"]

_WHICH = "fit on inputs, not on images: images are for eyes, and float32 images lose W where float32 inputs do not"


def _arrays(distilled: Exportable) -> dict[str, np.ndarray]:
    """Return the arrays of a set with images channels first, as torch has them."""
    x = distilled.x
    channels_first = np.moveaxis(x, -1, 1) if x.ndim == 4 else x[:, None] if x.ndim == 3 else x
    arrays = {
        "inputs": distilled.inputs,
        "images": np.ascontiguousarray(channels_first),
        "labels": distilled.y,
        "weights": distilled.w,
        "mean": distilled.mean,
        "std": distilled.std,
        "ridge": np.array([distilled.ridge]),
    }
    return arrays if distilled.intercept is None else arrays | {"intercept": distilled.intercept}


@register("torch", "a dict of float64 tensors, loaded with torch.load(path, weights_only=True)", suffix=".pt")
def to_torch(distilled: Exportable, path: Path) -> Exported:
    """Write a dict of tensors: inputs, images (channels first), labels, weights, mean, std, ridge; facts as text."""
    import torch

    tensors = {name: torch.tensor(array) for name, array in _arrays(distilled).items()}
    with atomic_write(path) as stream:
        torch.save({**tensors, "facts": facts(distilled)}, stream)
    return Exported((path,), (recovery_note(distilled, distilled.inputs, "inputs and labels are float64"), _WHICH))


@register("safetensors", "float64 tensors with the certificate in the metadata", suffix=".safetensors")
def to_safetensors(distilled: Exportable, path: Path) -> Exported:
    """Write the tensors of the torch format; the facts are the metadata of the file."""
    safetensors = optional("safetensors.numpy", "safetensors", extra="export", what="write this format")
    arrays = {name: np.ascontiguousarray(array) for name, array in _arrays(distilled).items()}
    with atomic_write(path) as stream:
        stream.write(safetensors.save(arrays, metadata=facts(distilled)))
    return Exported((path,), (recovery_note(distilled, distilled.inputs, "inputs and labels are float64"), _WHICH))


@register("parquet", "one row a point: its inputs, then its labels, in float64", suffix=".parquet")
def to_parquet(distilled: Exportable, path: Path) -> Exported:
    """Write columns of inputs, named as the table's or by number, and a column label=NAME for each output."""
    pyarrow, parquet = (
        optional(name, "pyarrow", extra="tables", what="write this format") for name in ("pyarrow", "pyarrow.parquet")
    )
    names = distilled.meta.get("columns") or [f"input {i}" for i in range(distilled.inputs.shape[1])]
    labels = [f"label={name}" for name in distilled.classes]
    columns = dict(zip([*names, *labels], np.hstack([distilled.inputs, distilled.y]).T, strict=True))
    more = {name: repr(getattr(distilled, name).tolist()) for name in ("mean", "std")}
    table = pyarrow.table(columns).replace_schema_metadata(facts(distilled) | more)
    with atomic_write(path) as stream:
        parquet.write_table(table, stream)
    normalised = "inputs are normalised: value = input * std + mean, both in the metadata of the file"
    return Exported((path,), (recovery_note(distilled, distilled.inputs, "columns are float64"), normalised))
