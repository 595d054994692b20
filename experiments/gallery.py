"""Pictures of distilled sets for every feature map, with what was measured on each, from its report.

Writes PNG files and a README.md that lists them, and records the rows.

Run: python experiments/gallery.py [--quick] [--data mnist cifar10] [--pictures docs/gallery]
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import records
import tables

from analytic_dd import data
from analytic_dd.distill import chosen
from analytic_dd.files import atomic_write
from analytic_dd.io import load_distilled
from analytic_dd.plot import draw_set
from analytic_dd.report import run

FOLDER = Path(__file__).parents[1] / "docs" / "gallery"
MAPS = ("identity", "rff", "fcnn", "fcnn:depth=3", "cnn", "inn", "deep-linear")
PICTURES = [*((text, 1) for text in MAPS), ("identity", 10)]  # features, points a class
LARGEST = 300_000  # bytes of a picture in the repository; half the points are drawn if it would be larger
MOST = 100  # points that draw_set draws

_INTRODUCTION = """# Gallery

Distilled sets for every feature map, drawn by `experiments/gallery.py`. Each picture shows the class means of the
data on their own range, then the distilled points with their labels on one common scale, or on one for each channel.
The title says which, in the data's units. A distilled pixel is a real number, often far outside of the range of the
data, and rounding it to a byte would lose the weights. What looks like noise is the inverse of a map with random
parameters, or the free matrix of T2 where a class has several points. Images that look alike share a large common
part (for random Fourier features the pre-image of features near 0, to which all are scaled); what tells them apart is
too small to be seen.

The error is norm(W_s - W) / norm(W), refitted on the stored and reloaded inputs through the map, then on the inputs
computed back from the stored images; the verdict is that of the certificate on the inputs. Accuracies are on the test
part, of the model on all the data and of the model on the distilled set. Labels are one-hot, the distilled ridge is 0.
"""


def draw(dataset: data.Dataset, text: str, per_class: int, folder: Path, *, seed: int) -> dict[str, Any]:
    """Distil, put the picture into ``folder`` and return what the report says."""
    name = re.sub(r"[^a-z0-9]+", "-", f"{dataset.name} {text} ipc {per_class}".lower()) + ".png"
    with tempfile.TemporaryDirectory() as out:
        run(dataset, text, chosen(points_per_class=per_class), Path(out), seed=seed)
        report = json.loads((Path(out) / "report.json").read_text())
        points, path = report["points"], Path(out) / "distilled.png"
        shown = min(points, MOST)
        while path.stat().st_size > LARGEST:
            shown //= 2
            draw_set(load_distilled(out), path, most=shown)
        picture = path.read_bytes()
    with atomic_write(folder / name) as stream:
        stream.write(picture)
    kept = ("points", "ridge", "distilled_ridge", "label_scale", "recovery", "recovery_from_pixels", "accuracies")
    facts = {"data": dataset.name, "features": text, "ipc": per_class, "picture": name}
    facts |= {"bytes": len(picture), "shown": shown}
    return facts | {key: report[key] for key in (*kept, "seconds")}


_FIGURES = """## Figures of the experiments

Tables and scripts are in [docs/experiments.md](../experiments.md). Images keep their aspect; rows have one scale each,
which stands beside them. Pictures above 300 kB are stored in 256 colours.

<!-- table: figures -->
<!-- end -->
"""


def listing(rows: Sequence[dict[str, Any]], *, figures: bool) -> str:
    """Return the README of the gallery."""
    sections = [_INTRODUCTION]
    for name in dict.fromkeys(row["data"] for row in rows):
        sections.append(f"## {name}\n")
        sections += [_section(row) for row in rows if row["data"] == name]
    return "\n".join(sections) + (tables.update("\n" + _FIGURES) if figures else "")


def _section(row: Mapping[str, Any]) -> str:
    error, accuracies = row["recovery"]["relative_error"], row["accuracies"]
    title = f"{row['features']}, {row['ipc']} a class"
    return (
        f"**{title}**: error {error:.1e} (from the images {row['recovery_from_pixels']['relative_error']:.1e}), "
        f"{row['recovery']['verdict']}; accuracy {100 * accuracies['original']:.2f} % on all the data, "
        f"{100 * accuracies['distilled']:.2f} % distilled\n"
        f"\n![{row['data']}, {title}]({row['picture']})\n"
    )


def main() -> None:
    """Draw every picture, write the list and record the rows."""
    parser = records.parser(__doc__ or "")
    parser.add_argument("--data", nargs="+", default=["mnist", "cifar10"])
    parser.add_argument("--maps", nargs="+", default=MAPS, help="draw these maps again; others stay")
    parser.add_argument("--pictures", type=Path, help="folder of the pictures (default docs/gallery; --quick: --out)")
    options = parser.parse_args()
    folder = options.pictures or (options.out if options.quick else FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for name in ["digits"] if options.quick else options.data:
        dataset = data.load(name, offline=True)
        for text, per_class in [picture for picture in PICTURES if picture[0] in options.maps]:
            row = draw(dataset, text, per_class, folder, seed=options.seed)
            recovery = row["recovery"]
            print(
                f"{row['picture']:<44} {row['bytes'] / 1000:>4.0f} kB  error {recovery['relative_error']:.1e} "
                f"{recovery['verdict']}  {100 * row['accuracies']['distilled']:.2f} %",
                flush=True,
            )
            rows.append(row)
    path = records.path_of(options, "gallery")
    every = records.with_others(path, rows, ("data", "features", "ipc"), seed=options.seed)
    order = {picture: place for place, picture in enumerate(PICTURES)}
    every = sorted(every, key=lambda row: (row["data"] != "MNIST", order[row["features"], row["ipc"]]))
    with atomic_write(folder / "README.md") as stream:
        stream.write(listing(every, figures=folder == FOLDER).encode())
    records.record(path, every, seed=options.seed)


if __name__ == "__main__":
    main()
