"""T22b on real data: a few real images and near copies of them carry models on maps that are not onto.

Each run reads the data, fits ridge regression with an intercept on features in float32 (sums in float64), builds the
set in float64, stores and reloads it, and scores the refitted model. The columns of float32, 16 and 8 bits a pixel are
of the stored inputs after rounding, with labels solved again for the rounded images (T4).

Rows have the wall and CPU seconds from the raw data to the set in its file with its certificate, and the load of the
machine at the start: others may use it too. The rate of the features is their products' share of the rate of a square
float32 product in the same run.

The runs on EfficientNet-Lite0 read archives of images from the data folder and normalise them by ImageNet's moments;
the ridge is chosen by generalised cross-validation. This network was trained on ImageNette's classes, too.

Run: python experiments/near_copies.py [--quick] [RUN ...]
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import records
import recovery

from analytic_dd import data
from analytic_dd.clock import Clock
from analytic_dd.data import Dataset, normalised
from analytic_dd.distill import Construction, NearCopies, labels_with_intercept
from analytic_dd.features.backbones import IMAGENET, efficientnet_lite0
from analytic_dd.io import DistilledSet
from analytic_dd.judge import certify_recovery
from analytic_dd.judge.accuracy import Model, fitted
from analytic_dd.model import FitOptions, OriginalModel, distil_model, fit_source
from analytic_dd.model.distillation import build_map, streams
from analytic_dd.report.flops import gemm_rate
from analytic_dd.report.run import refit

_BITS = {"float32": None, "16 bits": 16, "8 bits": 8}


@dataclass(frozen=True)
class Run:
    """A data set, a map (text, or what makes one from the data), the ridge, and the sets that are built."""

    data: str
    features: str | Callable[[Dataset], Any]
    ridge: float | str
    constructions: tuple[Construction, ...]
    title: str = ""

    def read(self) -> Dataset:
        """Return the data set of this name."""
        found = data.load(self.data, offline=True)
        assert isinstance(found, Dataset)
        return found


@dataclass(frozen=True)
class OnBackbone(Run):
    """Images of an archive in the data folder, normalised as a network wants them that others trained."""

    name: str = ""

    def read(self) -> Dataset:
        """Return the images of the archive."""
        folders = [folder for folder in data.locations().values() if folder is not None]
        path = next((path for path in (folder / self.data for folder in folders) if path.exists()), Path(self.data))
        dataset = data.read_image_folder(path, name=self.name)
        mean, std = (255.0 * np.array(moment) for moment in IMAGENET)
        return dataset.with_moments(mean, std)


def scaled_to_128() -> Any:
    """Return EfficientNet-Lite0 on images that are scaled to 128 x 128 pixels, as large as those of ImageNette."""
    from torch import nn

    return nn.Sequential(nn.Upsample(size=(128, 128), mode="bilinear"), efficientnet_lite0()).eval()


def on_backbone(data: str, name: str, factory: str, title: str, copies: NearCopies) -> OnBackbone:
    """Return the run on an archive of images, through the network that a function makes."""
    return OnBackbone(data, f"network:{factory}", "gcv", (copies,), title, name=name)


_LITE0 = "EfficientNet-Lite0 (ImageNet)"
IMAGENETTE = on_backbone(
    "imagenette-128.tar.xz",
    "ImageNette",
    "analytic_dd.features.backbones:efficientnet_lite0",
    _LITE0,
    NearCopies(bases=4, candidates=256, largest_change=4e-4),
)
TINY_IMAGENET = on_backbone(
    "tiny-imagenet-64.tar.xz",
    "Tiny ImageNet (100 a class)",
    "near_copies:scaled_to_128",
    f"{_LITE0} at 128 x 128",
    NearCopies(bases=4, candidates=2_000, largest_change=4e-6),
)


def convnet(dataset: Dataset, *, samples: int = 20_000, batch: int = 128) -> Any:
    """Return a small ConvNet that is trained on the data, up to its 2,048 features before the classifier."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    widths = [1, 32, 64, 128]  # 28, 14, 7, 4 pixels: 2,048 features, none of which is dead or saturated
    layers: list[nn.Module] = []
    for inner, outer in pairwise(widths):
        layers += [nn.Conv2d(inner, outer, 5, stride=2, padding=2), nn.LeakyReLU(0.2)]
    body, head = nn.Sequential(*layers, nn.Flatten()), nn.Linear(2048, len(dataset.classes))
    steps = torch.optim.Adam([*body.parameters(), *head.parameters()], lr=1e-3)
    mean, std = dataset.statistics()
    rng = np.random.default_rng(0)
    order = rng.permutation(len(dataset.y_train))[:samples]
    for X, y in dataset.blocks("train", rows=batch, mean=mean, std=std, order=order):
        images = torch.tensor(X.reshape(-1, 1, 28, 28), dtype=torch.float32)
        loss = nn.functional.cross_entropy(head(body(images)), torch.tensor(y, dtype=torch.int64))
        steps.zero_grad()
        loss.backward()
        steps.step()
    return body.eval()


RUNS = {
    "quick": Run(
        "digits", "patches:filters=40,size=3,grid=2,activation=softplus", 1.0, (NearCopies(), NearCopies(pairs=True))
    ),
    "patches": Run("cifar10", "patches", 30.0, (NearCopies(bases=8), NearCopies(bases=4, pairs=True))),
    "products": Run("cifar10", "patches", 30.0, (NearCopies(bases=8, jacobians="products"),)),
    "convnet": Run("mnist", convnet, 1.0, (NearCopies(bases=4, candidates=2_000),), "ConvNet trained on 20,000"),
    # The ridge is that of pilot fits to 10,000 images with 256 filters, scored on 4,000 other training images
    "wide patches": Run(
        "cifar10", "patches:filters=1200,grid=2,threshold=0.5,mirror=true", 1.0, (NearCopies(bases=8),)
    ),
    "imagenette": IMAGENETTE,
    "imagenette pairs": replace(
        IMAGENETTE, constructions=(NearCopies(pairs=True, candidates=4_000, largest_change=4e-4),)
    ),
    "tiny imagenet": TINY_IMAGENET,
}


def measure(name: str, run: Run, *, seed: int) -> list[dict[str, Any]]:
    """Fit the original model once and return a row for each set."""
    clock, started = Clock(), _taken()
    load = os.getloadavg()[0]
    with clock("reading"):
        dataset = run.read()
    with clock("training"):
        features: Any = run.features if isinstance(run.features, str) else run.features(dataset)
    with clock("normalisation"):
        source = recovery.DatasetSource(dataset)
    with clock("map"):
        phi = build_map(features, source, rng=streams(seed)[0])
    options = FitOptions(ridge=run.ridge, intercept=True, dtype=np.float32)
    model = fit_source(source, phi, options, rng=streams(seed)[1], clock=clock)
    facts = {"run": name, "data": dataset.name, "features": run.title or run.features, "n": source.n}
    facts |= {"d": phi.d, "p": phi.p, "k": source.k, "ridge": model.ridge, "load": load}
    if (flops := phi.flops()) is not None:
        facts["rate"] = flops * clock.mapped / clock.seconds["features"] / gemm_rate(dtype=np.float32)
    rows, models = [], {"original": (model.weights, model.intercept)}
    shared = _taken() - started
    for index, construction in enumerate(run.constructions):
        started = _taken()
        references, rng = recovery.references_of(dataset, model, construction, seed=seed)
        row_clock = Clock(dict(clock.seconds))
        result = distil_model(model, construction, rng=rng, references=references, clock=row_clock)
        stored = recovery.stored_and_reloaded(dataset, model, result, construction, seed=seed, clock=row_clock)
        wall, cpu = (shared + _taken() - started).tolist()
        row, own = _row(stored)
        rows.append(facts | row | {"seconds": row_clock.seconds, "wall": wall, "cpu": cpu})
        models |= {f"{index} {key}": value for key, value in own.items()}
    scores = _scores(dataset, model, models)
    for index, row in enumerate(rows):
        row["accuracy_original"] = scores["original"][0]
        row["accuracy_distilled"], row["agreement"] = scores[f"{index} refitted"]
        for key, found in row["rounded"].items():
            found["accuracy"], found["agreement"] = scores[f"{index} {key}"]
    return rows


def _taken() -> Any:
    """Return the wall and CPU seconds so far."""
    return np.array([time.perf_counter(), time.process_time()])


def _row(stored: DistilledSet) -> tuple[dict[str, Any], dict[str, Model]]:
    """What is measured on a set that was read back, and the models that are refitted on it."""
    found = stored.meta["diagnostics"]
    names = ("points", "bases", "copies", "largest_change", "span_condition", "jacobians")
    row = {name: found[name] for name in names}
    row |= {"pairs": stored.meta["pairs"], "certificate": stored.certify().to_dict()}
    models, row["rounded"] = {"refitted": refit(stored)}, {}
    for name, bits in _BITS.items():
        error, models[name] = _rounded(stored, bits)
        row["rounded"][name] = {"error": error}
    return row, models


def _rounded(stored: DistilledSet, bits: int | None) -> tuple[float, Model]:
    """The error of W after rounding, with labels solved again, and the refitted model."""
    low, high = stored.meta["value_range"]
    if bits is None:
        inputs = stored.inputs.astype(np.float32).astype(np.float64)
    else:
        step = (high - low) / (2.0**bits - 1.0)
        levels = np.clip(np.round((stored.x - low) / step), 0.0, 2.0**bits - 1.0)
        inputs = normalised(low + step * levels, stored.mean, stored.std)
    assert stored.intercept is not None
    Phis = np.asarray(stored.feature_map(inputs))
    labels = labels_with_intercept(Phis, stored.w, stored.intercept, ridge=stored.ridge)
    certificate = certify_recovery(stored.w, Phis, labels, ridge=stored.ridge, intercept=stored.intercept)
    return certificate.relative_error, fitted(Phis, labels, stored.ridge, intercept=True)


def _scores(dataset: Dataset, model: OriginalModel, models: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """The accuracy of each model on the test part and how often it decides as the original, in one pass in float32."""
    right, same = dict.fromkeys(models, 0), dict.fromkeys(models, 0)
    for X, y in dataset.blocks("test", mean=model.mean, std=model.std):
        Phi = np.asarray(model.feature_map(X.astype(np.float32)), dtype=np.float64)
        decisions = {name: (Phi @ W.T + b).argmax(axis=1) for name, (W, b) in models.items()}
        for name, found in decisions.items():
            right[name] += int(np.sum(found == y))
            same[name] += int(np.sum(found == decisions["original"]))
    n = len(dataset.y_test)
    return {name: (right[name] / n, same[name] / n) for name in models}


def line(row: Mapping[str, Any]) -> str:
    """Return a row in words for the terminal."""
    return (
        f"{row['data']} {row['features']}: p = {row['p']}, {row['points']} points of {row['bases']} real images, "
        f"{100 * row['accuracy_original']:.2f} % -> {100 * row['accuracy_distilled']:.2f} %, "
        f"{recovery.judged(row)}, change {row['largest_change']:.4f}, {row['rounded']}"
    )


def main() -> None:
    """Run what is named and keep the recorded rows of the others."""
    parser = records.parser(__doc__ or "")
    parser.add_argument("runs", nargs="*", metavar="RUN", help=", ".join(RUNS))
    options = parser.parse_args()
    path = records.path_of(options, "near_copies")
    for name in ["quick"] if options.quick else options.runs or list(RUNS)[1:]:
        rows = measure(name, RUNS[name], seed=options.seed)
        print(*map(line, rows), sep="\n", flush=True)
        every = records.with_others(path, rows, ("run",), seed=options.seed)
        records.record(path, every, seed=options.seed)


if __name__ == "__main__":
    main()
