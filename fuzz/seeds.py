"""Small files of every format that is read, made by the library itself where it writes them."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from analytic_dd import cli
from analytic_dd.baselines import distill
from analytic_dd.data import Dataset
from analytic_dd.features.registry import from_text
from analytic_dd.io import to_json

__all__ = ["EXPERTS", "make", "module"]

EXPERTS = {"width": 3, "depth": 1, "steps": 1, "experts": 1, "expert_epochs": 2, "expert_batch": 8, "student_steps": 1}
EXPERTS |= {"expert_span": 1, "max_start": 1, "augment": False, "lr_img": 1.0, "lr_lr": 1e-3, "lr_0": 0.1}

SETS = {
    "exact": [],
    "nearest": ["--mode", "nearest", "--intercept", "--references", "herding", "--ipc", "2"],
    "path": ["--ridge", "1", "30"],
    "rff": ["--features", "rff:p=5", "--labels", "learned"],
    "conv": ["--features", "cnn:depth=1,channels=3", "--init", "real"],
    "inn": ["--features", "inn:blocks=2"],
    "sufficient": ["--mode", "sufficient"],
    "softmax": ["--loss", "softmax", "--ridge", "1"],
    "bytes": ["--pixels", "bytes"],
    "copies": ["--mode", "near-copies", "--bases", "2"],
    "steps": ["--mode", "trajectory", "--steps", "4", "--ridge", "1"],
    "fewer": ["--mode", "few", "--points", "2", "--intercept"],
}

MAPS = ("identity", "rff:p=5", "fcnn:width=7", "deep-linear", "cnn:depth=1,channels=3", "inn:blocks=2")


def make(root: Path) -> dict[str, list[Path]]:
    """Write the files, and return them by the target that reads them."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (30, 4, 4), dtype=np.uint8), np.arange(30) % 3
    arrays = {"x_train": x, "y_train": y, "x_test": x[:6], "y_test": y[:6]}
    np.savez(root / "data.npz", **arrays)
    np.savez(root / "images.npz", x=x, y=np.array(["cat", "dog", "cow"])[y])
    found = {"sets": [], "sums": [], "arrays": [root / "data.npz", root / "images.npz"]}
    for name, flags in SETS.items():
        if run("distill", "--data", root / "data.npz", "--out", root / name, "--no-picture", *flags) == 0:
            found["sets"].append(root / name / "distilled.npz")
    for name, flags in {"sums": [], "sums of a map": ["--features", "fcnn:width=5"]}.items():
        assert run("stats", "--data", root / "data.npz", "--out", root / f"{name}.npz", *flags) == 0
        found["sums"].append(root / f"{name}.npz")
    found |= {"npy": _npy(root, rng), "references": _references(root, x, y), "moments": [_moments(root, rng)]}
    found |= {"images": _images(root, x), "idx": _idx(root, x, y), "folders": _folders(root, x), "cifar": _cifar(root)}
    found |= {"archives": _archives(root, x), "journals": [_journal(root)], "tables": _tables(root, rng)}
    found |= {"reports": [root / "exact" / "report.json"], "maps": _maps(root), "modules": [_module(root)]}
    return found | _of_methods(root, Dataset.from_arrays(**arrays))


def run(*arguments: object) -> int:
    """Run the command line without its words."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        return cli.main([str(one) for one in arguments])


def _images(root: Path, x: np.ndarray) -> list[Path]:
    found = []
    for kind in ("png", "jpeg", "gif", "bmp", "tiff", "webp", "ppm", "tga"):
        path = root / f"image.{kind}"
        Image.fromarray(np.repeat(x[:1].reshape(4, 4, 1), 3, axis=2)).save(path)
        found.append(path)
    return found


def _idx(root: Path, x: np.ndarray, y: np.ndarray) -> list[Path]:
    folder = root / "idx"
    folder.mkdir()
    for part, count in (("train", 30), ("t10k", 6)):
        images = struct.pack(">IIII", 2051, count, 4, 4) + x[:count].tobytes()
        labels = struct.pack(">II", 2049, count) + y[:count].astype(np.uint8).tobytes()
        (folder / f"{part}-images-idx3-ubyte").write_bytes(images)
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    return sorted(folder.iterdir())


def _archives(root: Path, x: np.ndarray) -> list[Path]:
    members = []
    for i in range(8):
        stream = io.BytesIO()
        Image.fromarray(x[i]).save(stream, "PNG")
        members.append((f"{'train' if i < 4 else 'test'}/{'ab'[i % 2]}/{i}.png", stream.getvalue()))
    with zipfile.ZipFile(root / "images.zip", "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    for kind in ("tar", "tar.gz", "tar.xz"):
        with tarfile.open(root / f"images.{kind}", "w:" + kind.partition(".")[2]) as archive:
            for name, content in members:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return [root / f"images.{kind}" for kind in ("zip", "tar", "tar.gz", "tar.xz")]


def _npy(root: Path, rng: np.random.Generator) -> list[Path]:
    """Weights of samples, and a table of numbers whose last column is the class."""
    np.save(root / "weights.npy", rng.random(30))
    np.save(root / "table.npy", np.column_stack([rng.standard_normal((30, 4)), np.arange(30) % 3]))
    return [root / "weights.npy", root / "table.npy"]


def _references(root: Path, x: np.ndarray, y: np.ndarray) -> list[Path]:
    np.savez(root / "references.npz", x=x[:4], y=y[:4])
    np.save(root / "references.npy", x[:4])
    return [root / "references.npz", root / "references.npy"]


def _moments(root: Path, rng: np.random.Generator) -> Path:
    np.savez(root / "moments.npz", mean=rng.random(1), std=1.0 + rng.random(1))
    return root / "moments.npz"


def _folders(root: Path, x: np.ndarray) -> list[Path]:
    """Class folders of images of which one is mutated."""
    found = []
    for i in range(8):
        path = root / "tree" / ("train" if i < 4 else "test") / "ab"[i % 2] / f"{i}.{('png', 'jpg')[i // 2 % 2]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(x[i]).save(path)
        found.append(path)
    return found


def _cifar(root: Path) -> list[Path]:
    """Two images a file, one of each class in all, in an archive and in a folder."""
    folder, rng = root / "binary", np.random.default_rng(1)
    folder.mkdir()
    for i, name in enumerate((*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")):
        rows = rng.integers(0, 256, (2, 3073), dtype=np.uint8)
        rows[:, 0] = 2 * i % 10, 2 * i % 10 + 1
        (folder / name).write_bytes(rows.tobytes())
    with tarfile.open(root / "cifar.tar.gz", "w:gz") as archive:
        archive.add(folder, "cifar-10-batches-bin")
    return [root / "cifar.tar.gz", folder / "data_batch_2.bin"]


def _maps(root: Path) -> list[Path]:
    """Specifications, as sets and sums carry them."""
    found = []
    for number, text in enumerate(MAPS):
        rng = np.random.default_rng(0)
        phi = from_text(text, 16, image_shape=(4, 4), rng=rng, sample=rng.standard_normal((9, 16)))
        (root / f"map{number}.json").write_text(to_json(phi.spec()))
        found.append(root / f"map{number}.json")
    return found


def _module(root: Path) -> Path:
    from safetensors.torch import save_file

    save_file(module().state_dict(), str(root / "module.safetensors"))
    return root / "module.safetensors"


def module() -> Any:
    """The module whose weights the file holds."""
    import torch

    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))


def _tables(root: Path, rng: np.random.Generator) -> list[Path]:
    import pandas

    csv = _table(root, rng)
    pandas.read_csv(csv).to_parquet(root / "table.parquet")
    return [csv, root / "table.parquet"]


def _table(root: Path, rng: np.random.Generator) -> Path:
    rows = ["size,colour,class"] + [
        f"{v:.3f},{c},{k}" for v, c, k in zip(rng.random(20), "rgbr" * 5, "xy" * 10, strict=True)
    ]
    (root / "table.csv").write_text("\n".join(rows) + "\n")
    return root / "table.csv"


def _journal(root: Path) -> Path:
    out = root / "bench"
    flags = ["--methods", "random", "class_mean", "--predictors", "ridge", "--seeds", "0", "1"]
    assert run("bench", "--data", root / "data.npz", "--out", out, *flags) == 0
    return out / "bench.jsonl"


def _of_methods(root: Path, dataset: Dataset) -> dict[str, list[Path]]:
    """States, experts and sets of iterative methods, and a file of options."""
    from analytic_dd.baselines.bench.set_file import save_set

    small = {"width": 3, "depth": 1, "steps": 1}
    made = distill("dm", dataset, config=small | {"batch": 4}, state_file=root / "state.npz")
    save_set(root / "set.npz", made, budget=None, data_sha256=dataset.sha256)
    (root / "config.json").write_text(json.dumps({"dm": small, "evaluate": {"epochs": 1, "nets": 1}}))
    distill("mtt", dataset, config=EXPERTS | {"expert_folder": root / "experts"})
    return {
        "experts": sorted((root / "experts").iterdir()),
        "states": [root / "state.npz"],
        "method sets": [root / "set.npz"],
        "configs": [root / "config.json"],
    }
