"""T24: sets of 8-bit pixels that carry W, at several errors and sizes, beside plain rounding and the law.

Each row has the integers nearest to one exact set (T6): the error of the refitted W, the changes of the levels, the
decisions on the test part that a model refitted on the integers makes as the original one does. ``rows`` says whether
the lattice weighs its rows by what they carry of W or has orthonormal ones. The law: an error e costs e^(-q / (m - q))
levels, m being the images of a lattice.

Run: python experiments/integer_pixels.py [--quick]
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pictures
import records
import recovery

from analytic_dd import data
from analytic_dd.clock import Clock
from analytic_dd.distill import chosen
from analytic_dd.distill.integers import BLOCK, Integers, Pixels, integers_near, rounded
from analytic_dd.errors import InfeasibleError
from analytic_dd.features import Identity
from analytic_dd.judge.accuracy import agreement_with_original
from analytic_dd.labels import labels_for
from analytic_dd.model import OriginalModel
from analytic_dd.ridge import ridge_weights

ERRORS = (1e-2, 1e-3, 1e-4, 1e-6, 1e-8)
SIZES = (10, 20, 50)
TOP = 255


def sets_of(W: np.ndarray, pixels: Pixels) -> Iterator[tuple[str, float, Integers | InfeasibleError, float]]:
    """Yield the rows of the lattice, the wanted error, the integers or why there are none, and the seconds."""
    first = None
    for rows, errors in (("weighted", ERRORS), ("orthonormal", ERRORS[:4:2])):
        for error in errors:
            started = time.perf_counter()
            try:
                found = integers_near(W, pixels, top=TOP, wanted=error, weighted=rows == "weighted")
            except InfeasibleError as refusal:
                yield rows, error, refusal, time.perf_counter() - started
                continue
            if first is None:
                first = found
                yield "rounding", 0.0, rounded(W, pixels, found.low, found.step), 0.0
            yield rows, error, found, time.perf_counter() - started


def measure(dataset: data.Dataset, model: OriginalModel, *, ipc: int, seed: int) -> list[dict[str, Any]]:
    """Make the sets of one size and measure them."""
    exact = recovery.through_a_file(dataset, model, chosen("nearest", points_per_class=ipc), seed=seed)
    assert exact.references is not None
    W, zero = model.weights, np.zeros(len(model.weights))
    mean, std = (np.tile(each, dataset.d // len(each)) for each in (model.mean, model.std))
    pixels = Pixels(exact.inputs, mean, std)
    size = float(np.linalg.norm(exact.references))
    facts = {"data": dataset.name, "ipc": ipc, "points": len(exact.x), "rank": int(np.linalg.matrix_rank(W))}
    facts["distance_exact"] = float(np.linalg.norm(exact.x - exact.references)) / size
    rows: list[dict[str, Any]] = []
    models = {}
    for kind, wanted, found, seconds in sets_of(W, pixels):
        row = facts | {"rows": kind, "wanted": wanted, "seconds": seconds}
        if isinstance(found, InfeasibleError):
            rows.append(row | {"refused": str(found)})
            continue
        inputs = pixels.inputs(found.values)
        refitted = ridge_weights(inputs, labels_for(inputs, W, ridge=0.0), ridge=0.0)
        models[f"{len(rows)}"] = (np.asarray(refitted), zero)
        changes = found.levels - (pixels.values - found.low) / found.step
        row |= {name: getattr(found, name) for name in ("low", "step", "error", "largest", "scale")}
        row |= {"root_mean_square": float(np.sqrt(np.mean(changes**2)))}
        row |= {"levels": [float(found.levels.min()), float(found.levels.max())]}
        row |= {"error_refitted": float(np.linalg.norm(refitted - W) / np.linalg.norm(W))}
        distance = np.linalg.norm(found.values.reshape(exact.x.shape) - exact.references)
        rows.append(row | {"distance": float(distance) / size})
    agreement, _, count = agreement_with_original(dataset, model, models, seed=seed)
    for index, kept in agreement.items():
        row = rows[int(index)] = rows[int(index)] | {"decisions_kept": kept, "decisions": count}
        print(
            f"{dataset.name} IPC {ipc} {row['rows']:<11} error {row['error']:.1e}  changes to {row['largest']:.1f} "
            f"levels  kept {100 * kept:.2f} %  {row['seconds']:.1f} s",
            flush=True,
        )
    return rows


def draw(rows: list[dict[str, Any]], options: Any) -> dict[str, Any]:
    """Draw the change against the error for each size, with the law through the point of the largest error."""
    figure, (axis,) = pictures.chart(1, width=6.4, height=4.0)
    for index, ipc in enumerate(sorted({row["ipc"] for row in rows})):
        own = [row for row in rows if row["ipc"] == ipc and "refused" not in row]
        for kind, style in (("weighted", "o-"), ("orthonormal", "x")):
            found = [row for row in own if row["rows"] == kind]
            label = f"{own[0]['points']} images" + (", orthonormal rows" if kind == "orthonormal" else "")
            at = [[row[name] for row in found] for name in ("error", "root_mean_square")]
            axis.loglog(*at, style, color=f"C{index}", ms=5, lw=1.0, label=label)
        start = next((row for row in own if row["rows"] == "weighted"), None)
        if start is not None:
            errors = np.geomspace(start["error"], 1e-9, 30)
            images = start["points"] / -(-start["points"] // BLOCK)  # in a lattice
            law = start["rank"] / (images - start["rank"])
            axis.loglog(errors, start["root_mean_square"] * (errors / start["error"]) ** -law, ":", color=f"C{index}")
        plain = next(row for row in own if row["rows"] == "rounding")
        axis.loglog(plain["error"], plain["root_mean_square"], "s", color=f"C{index}", ms=5)
    axis.invert_xaxis()
    axis.set(
        xlabel="relative error of W",
        ylabel="change of a pixel, root mean square, levels",
        title=f"{rows[0]['data']}: 8-bit pixels; dotted $e^{{-q/(m-q)}}$ of a lattice; squares: rounding",
    )
    axis.title.set_fontsize(9)
    figure.legend(loc="outside lower center", ncols=3, fontsize=7)
    return pictures.save(figure, options.pictures / pictures.file_name("integer pixels", rows[0]["data"]))


def main() -> None:
    """Measure and draw every data set."""
    options = records.options(__doc__ or "")

    def measured(name: str) -> list[dict[str, Any]]:
        dataset = data.load(name, offline=True)
        model = recovery.fit(dataset, Identity(dataset.d), seed=options.seed, clock=Clock())
        sizes = (2, 4) if options.quick else SIZES
        rows = [row for ipc in sizes for row in measure(dataset, model, ipc=ipc, seed=options.seed)]
        return [row | {"ridge": model.ridge} for row in rows]

    rows = records.with_pictures(options, measured, draw)
    records.record_part(options, "integer_pixels", rows, ("data", "ipc", "rows", "wanted"))


if __name__ == "__main__":
    main()
