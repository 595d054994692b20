"""The iterative methods under one protocol, beside what their papers print: DC, DSA, DM, MTT, KIP, and the controls.

The published settings take a GPU: --settings published --device cuda. --settings small has networks of width 16 (32 on
the digits) and some hundred steps, so its rows have no deviation from what is published. A cell
that is done is not run again; --budget ends each distillation after so many seconds, and its row says so.
--estimate records in place of the cells what they take, here and on a GPU.

Run: python experiments/iterative_table.py [--quick] [--data mnist cifar10] [--ipc 1 10] [--settings small] [--estimate]
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pictures
import protocol_runs
import protocol_tables
import published

METHODS = ["random", "class_mean", "k_means", "full", "dc", "dsa", "dm", "mtt", "cafe", "dd", "kip"]
METHODS += ["closed-form:features=identity"]
# +lr is for MTT and DD, own-steps for DD
PREDICTORS = ["convnet", "convnet+dsa", "convnet+dsa+lr", "krr-own", "krr-common", "own-steps"]


def draw(rows: Sequence[Mapping[str, Any]], options: Any) -> dict[str, Any]:
    """Draw the accuracies of one data set by each predictor: ours filled, with the spread over networks.

    As in the table, a method that is nowhere above random images is left out.
    """
    rows = protocol_tables.distilling(rows)
    shown = [name for name in PREDICTORS if any(row["predictor"] == name for row in rows)]
    methods = list(dict.fromkeys(row["method"] for row in rows))
    sizes = sorted({row["ipc"] for row in rows}, key=lambda ipc: ipc or math.inf)
    figure, panels = pictures.chart(len(shown), height=1.2 + 0.3 * len(methods))
    for panel, predictor in zip(panels, shown, strict=True):
        for row in (row for row in rows if row["predictor"] == predictor):
            height = methods.index(row["method"]) + 0.12 * sizes.index(row["ipc"])
            colour = f"C{sizes.index(row['ipc'])}"
            spread = 100.0 * (row["over_networks"] or 0.0)
            panel.errorbar([100.0 * row["accuracy"]], [height], xerr=[spread], color=colour, marker="o", ms=4, lw=0.8)
            if _comparable(row):
                panel.plot([row["anchor"]], [height], marker="D", mfc="none", color=colour, ms=5, ls="")
        panel.set_yticks(range(len(methods)), methods if panel is panels[0] else [""] * len(methods), fontsize=7)
        panel.set(xlabel="test accuracy, %", ylim=(len(methods) - 0.4, -0.6))
        panel.set_title(predictor, fontsize=8)
    for index, ipc in enumerate(sizes):
        panels[0].plot([], [], "o", color=f"C{index}", ms=4, label=f"IPC {ipc}" if ipc else "all the data")
    if any(map(_comparable, rows)):
        panels[0].plot([], [], "D", color="0.4", mfc="none", ms=5, label="published")
    figure.legend(loc="outside lower center", ncols=len(sizes) + 1, fontsize=7)
    figure.suptitle(f"{rows[0]['data']}, {rows[0]['settings']} settings", fontsize=9)
    name = pictures.file_name("iterative table", rows[0]["data"], rows[0]["settings"])
    return pictures.save(figure, options.pictures / name)


def _comparable(row: Mapping[str, Any]) -> bool:
    """Whether a published number is of the same kind of network, so that it may stand in the panel of ours."""
    names = ("data", "ipc", "method", "predictor")
    found = published.anchor(*(row[name] for name in names))
    return found is not None and "predictor" not in published.differing(
        found, row["data"], row["settings"], row["predictor"]
    )


def main() -> None:
    """Run, record and draw."""
    options = protocol_runs.arguments(__doc__ or "")
    ipcs = [1] if options.quick else [1, 10]
    rows = protocol_runs.run(options, "iterative_table", methods=METHODS, predictors=PREDICTORS, ipcs=ipcs)
    protocol_runs.record_drawn(options, "iterative_table", rows, draw)


if __name__ == "__main__":
    main()
