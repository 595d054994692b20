"""Every export format, written and read back by the library that others read it with, and W fitted on what was read.

Three sets of digits and of wine: images with one-hot labels, images with learned labels, rows of a table. A format that
cannot hold a set says why.

Run: python experiments/formats.py [--quick]
"""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import records
from PIL import Image
from sklearn.datasets import load_wine
from sklearn.linear_model import LinearRegression

from analytic_dd import data, distill
from analytic_dd.distill import Exact, Minimal
from analytic_dd.errors import DataError
from analytic_dd.export import FORMATS
from analytic_dd.io import DistilledSet

Read = tuple[np.ndarray, np.ndarray]


def _torch(path: Path) -> Read:
    import torch

    read = torch.load(path, weights_only=True)
    return read["inputs"].numpy(), read["labels"].numpy()


def _classes(images: Any, classes: Any) -> Read:
    """Images (m, c, h, w) as rows, classes as one-hot rows: what a reader of hard labels makes of them."""
    return images.permute(0, 2, 3, 1).double().numpy(), np.eye(int(classes.max()) + 1)[classes.numpy()]


def _dc(path: Path) -> Read:
    import torch

    return _classes(*torch.load(path, weights_only=True)["data"][0])


def _two_files(*names: str) -> Callable[[Path], Read]:
    import torch

    return lambda path: _classes(*(torch.load(path / name, weights_only=True) for name in names))


def _npz(inputs: str, labels: str) -> Callable[[Path], Read]:
    def read(path: Path) -> Read:
        with np.load(path, allow_pickle=False) as file:
            return file[inputs], file[labels]

    return read


def _safetensors(path: Path) -> Read:
    from safetensors.numpy import load_file

    read = load_file(path)
    return read["inputs"], read["labels"]


def _parquet(path: Path) -> Read:
    import pandas

    frame = pandas.read_parquet(path)
    labels = [name for name in frame.columns if name.startswith("label=")]
    return frame.drop(columns=labels).to_numpy(), frame[labels].to_numpy()


def _folder(path: Path) -> Read:
    how = json.loads((path / "set.json").read_text())
    with open(path / "labels.csv", newline="") as stream:
        _, *rows = csv.reader(stream)
    levels = np.stack([np.asarray(Image.open(path / row[0])) for row in rows]).astype(np.float64)
    x = how["low"] + how["step"] * levels
    return (x - how["mean"]) / how["std"], np.array([row[1:] for row in rows], dtype=float)


READERS: dict[str, tuple[str, Callable[[Path], Read]]] = {
    "torch": ("torch.load, weights only", _torch),
    "sklearn": ("numpy.load", _npz("X", "y")),
    "safetensors": ("safetensors", _safetensors),
    "parquet": ("pandas", _parquet),
    "kip": ("numpy.load", _npz("images", "labels")),
    "dc": ("torch.load, as DC's main.py", _dc),
    "mtt": ("torch.load, as MTT's evaluation", _two_files("images_best.pt", "labels_best.pt")),
    "dd-ranking": ("torch.load, for HardLabelEvaluator", _two_files("images.pt", "labels.pt")),
    "folder": ("Pillow and csv", _folder),
}


def sets() -> dict[str, DistilledSet]:
    """Return the sets: all at ridge 0, so that scikit-learn's LinearRegression refits them."""
    digits, wine = data.load("digits"), load_wine(as_frame=True).frame
    return {
        "images, one-hot labels": distill(digits, construction=Exact(points_per_class=2)),
        "images, learned labels": distill(digits, construction=Minimal()),
        "rows of a table": distill(data.from_frame(wine)),
    }


def main() -> None:
    """Write and read every format, and record the error of the W that a refit has."""
    options = records.options(__doc__ or "")
    rows, made = [], sets()
    assert set(READERS) == set(FORMATS)
    for name, (library, read) in READERS.items():
        row: dict[str, Any] = {"format": name, "reader": library}
        for kind, stored in made.items():
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / f"set{FORMATS[name].suffix}"
                try:
                    stored.export(name, path)
                except DataError as error:
                    row[kind] = str(error).partition(";")[0]
                    continue
                inputs, labels = (array.reshape(len(array), -1) for array in read(path))
            W = LinearRegression(fit_intercept=False).fit(inputs, labels).coef_
            row[kind] = float(np.linalg.norm(W - stored.w) / np.linalg.norm(stored.w))
        print(row, flush=True)
        rows.append(row)
    records.record_run(options, "formats", rows)


if __name__ == "__main__":
    main()
