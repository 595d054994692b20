"""Each set on networks that it was not made with: ConvNet, MLP, ResNet-18, VGG-11, AlexNet, kernel ridge regression.

The cross-architecture table of the trajectory-matching paper, under one protocol: no augmentation, instance norm, one
step size for every network. The closed form is exact for ridge regression on its feature map and for nothing else.

Run: python experiments/transfer.py [--quick] [--data mnist cifar10] [--ipc 10] [--settings small] [--repeats 3]
"""

from __future__ import annotations

from typing import Any

import pictures
import protocol_runs

METHODS = ["random", "class_mean", "dc", "dsa", "dm", "mtt", "kip"]
METHODS += ["closed-form:features=identity", "closed-form:features=identity,mode=nearest"]
NETWORKS = ["convnet", "mlp", "resnet18", "vgg11", "alexnet"]
PREDICTORS = [*NETWORKS, "krr-common"]
QUICK = ["random", "class_mean", "dm", "kip", "closed-form:features=identity"]


def draw(rows: list[dict[str, Any]], options: Any) -> dict[str, Any]:
    """Draw a column of points for each predictor, one colour and shape a method; bars are the spread over networks."""
    sizes = sorted({row["ipc"] for row in rows})
    figure, panels = pictures.chart(len(sizes), width=6.0, height=4.2)
    methods = list(dict.fromkeys(row["method"] for row in rows))
    for panel, ipc in zip(panels, sizes, strict=True):
        for index, method in enumerate(methods):
            found = {row["predictor"]: row for row in rows if (row["ipc"], row["method"]) == (ipc, method)}
            places = [place for place, name in enumerate(PREDICTORS) if name in found]
            values = [found[PREDICTORS[place]] for place in places]
            aside = 0.6 * ((index + 0.5) / len(methods) - 0.5)  # columns are not compared with each other: no lines
            panel.errorbar(
                [place + aside for place in places],
                [100.0 * row["accuracy"] for row in values],
                yerr=[100.0 * (row["over_networks"] or 0.0) for row in values],
                fmt=pictures.MARKERS[index % 10],
                ms=4,
                elinewidth=1.0,
                color=f"C{index % 10}",
                label=method if panel is panels[0] else None,
            )
        panel.set_xticks(range(len(PREDICTORS)), PREDICTORS, fontsize=7, rotation=20)
        panel.set_title(f"{rows[0]['data']}, IPC {ipc}, {rows[0]['settings']} settings", fontsize=8)
        panel.set_ylabel("test accuracy, %")
    figure.legend(loc="outside lower center", ncols=2, fontsize=7)
    name = pictures.file_name("transfer", rows[0]["data"], rows[0]["settings"])
    return pictures.save(figure, options.pictures / name)


def main() -> None:
    """Run, record and draw."""
    options = protocol_runs.arguments(__doc__ or "")
    ipcs, methods = ([1], QUICK) if options.quick else ([10], METHODS)
    rows = protocol_runs.run(options, "transfer", methods=methods, predictors=PREDICTORS, ipcs=ipcs)
    protocol_runs.record_drawn(options, "transfer", rows, draw)


if __name__ == "__main__":
    main()
