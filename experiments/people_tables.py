"""Tables of what people bring and take away: layouts, formats, codes of pixels, seconds from a clone."""

from __future__ import annotations

import json

import records
from records import by_name, markdown, source

_SETS = ("images, one-hot labels", "images, learned labels", "rows of a table")


def layouts() -> str:
    """What comes of every layout of data."""
    run = records.read(records.RESULTS / "layouts.json")
    rows = []
    for row in run["rows"]:
        options = ", ".join(f"{key}={value}" for key, value in row["options"].items())
        if row["refused"]:
            rows.append([row["layout"], options, "refused", "", "", row["refused"].replace("|", "\\|")])
        else:
            rows.append([row["layout"], options, "read", row["outputs"], f"{row['train']} + {row['test']}", ""])
    header = [
        "layout",
        "options",
        "outcome",
        "classes or outputs",
        "training + test samples",
        "the words of the refusal",
    ]
    return markdown(header, rows) + source(run, "experiments/results/layouts.json")


def formats() -> str:
    """The error of W from every format, or why it cannot hold a set."""
    run = records.read(records.RESULTS / "formats.json")
    rows = []
    for row in run["rows"]:
        cells = [row[kind] if isinstance(row[kind], str) else f"{row[kind]:.1e}" for kind in _SETS]
        rows.append([row["format"], row["reader"], *cells])
    return markdown(["format", "read by", *_SETS], rows) + source(run, "experiments/results/formats.json")


def coded_pixels() -> str:
    """What is left of W in 8 and 16 bits, for every map."""
    run = records.read(records.RESULTS / "coded_pixels.json")
    groups: dict[tuple[str, str, str, int], dict[tuple[int, str], dict[str, float]]] = {}
    for row in run["rows"]:
        key = row["data"], row["features"], row["mode"], row["points"]
        groups.setdefault(key, {})[row["bits"], row["labels"]] = row
    columns = [(bits, labels) for bits in (8, 16) for labels in ("kept", "solved again")]
    rows = []
    for (data, features, mode, points), found in groups.items():
        cells = [f"{found[at]['error']:.1e}, {100 * found[at]['decisions_kept']:.2f} %" for at in columns]
        rows.append([f"{data}, {features}", mode, points, *cells])
    header = ["data, map", "mode", "points", *(f"{bits} bits, labels {labels}" for bits, labels in columns)]
    return markdown(header, rows) + source(run, "experiments/results/coded_pixels.json")


def people() -> str:
    """Seconds from a clone to a certified table, and of each person's pages."""
    path = "tests/people/results/run.json"
    run = json.loads((records.RESULTS.parents[1] / path).read_text())
    steps = {person: f"pages of the {person}" for person in ("practitioner", "theorist", "benchmarker")}
    rows = [
        [steps.get(what, what), f"{seconds:.1f}", "a page failed" if what in run["failed"] else "done"]
        for what, seconds in run["seconds"].items()
    ]
    return (
        markdown(["step", "seconds", "outcome"], rows)
        + f"\nRecorded in `{path}` on {run['cores']} cores, {run['load']}.\n"
    )


TABLES = by_name(layouts, formats, coded_pixels, people)
