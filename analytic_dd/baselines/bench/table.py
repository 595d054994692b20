"""The table and the plot of a benchmark, from its rows alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analytic_dd.baselines.bench.ranking import ranking
from analytic_dd.baselines.methods.registry import METHODS
from analytic_dd.errors import shown
from analytic_dd.sheet import MARKERS, drawable, own_style, save

__all__ = ["CAPTION", "Summary", "draw", "summaries", "table"]

CAPTION = (
    "Accuracy on the test part in %: mean over distillation seeds (standard deviation over seeds; over networks).",
    "Each column is one predictor, trained on the set alone; compare within a column only. Seconds are of the",
    "distillation. A set that is exact for ridge regression on a feature map (closed-form) is made for that predictor,",
    "not for training networks.",
)

_OBJECTIVE = ("objective", "optimum", "gap")
_KNOWN = (
    "objective: what the method minimises, on all the training part; optimum: no set of so many points has less (T20);",
    "means over seeds (standard deviation over seeds).",
)


_LEARNED = "learned lr"
_SIZES = (
    "learned lr: the step size that a set was made for, a mean over its steps and seeds; NETWORK+lr trains with it."
)
_RANKED = ("LRS", "ARS")
_RANKING = "LRS, ARS: label- and augmentation-robust scores of DD-Ranking, in %, by the first network with hard labels."
_LOW = "~ not above random images of the same size: with these settings the method does not distil."


class Summary:
    """The rows of one method, data set, size and predictor, one for each seed.

    Attributes
    ----------
    accuracy : float or None
        Mean over seeds, or None where all failed.
    over_seeds, over_networks : float or None
        Standard deviations over seeds (None for one seed), and over the networks of one set, the latter as root mean
        square over seeds (None where nothing is random).
    seconds : float or None
        Mean over seeds.
    step_size : float or None
        Mean over seeds of what the method learned as the step size of networks, or None.
    objective : (S, 3) array
        Objective reached, optimum and gap of each seed, of a linear or finite-feature run (T20); else empty.
    finished : bool
    failed : int
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        good = [row for row in rows if row.get("error") is None and row["accuracy"] is not None]
        scores = [float(row["accuracy"]) for row in good]
        spreads = [float(row["accuracy_std"]) for row in good if row.get("accuracy_std") is not None]
        seconds = [float(row["seconds"]) for row in good if row["seconds"] is not None]
        self.accuracy = float(np.mean(scores)) if scores else None
        self.over_seeds = float(np.std(scores, ddof=1)) if len(scores) > 1 else None
        self.over_networks = math.sqrt(float(np.mean(np.square(spreads)))) if spreads else None
        self.seconds = float(np.mean(seconds)) if seconds else None
        sizes = [(row.get("learned") or {}).get("step_size") for row in good]
        self.step_size = float(np.mean([size for size in sizes if size is not None])) if any(sizes) else None
        known = [row["objective"] for row in good if row.get("objective") is not None]
        self.objective = np.array([[one[name] for name in ("reached", "optimum", "gap")] for one in known], float)
        self.finished = all(row.get("finished", True) for row in good)
        self.failed = len(rows) - len(good)

    def __str__(self) -> str:
        if self.accuracy is None:
            return "failed"
        spreads = [_percent(value) for value in (self.over_seeds, self.over_networks)]
        inside = "" if spreads == ["-", "-"] else f" ({'; '.join(spreads)})"
        return _percent(self.accuracy) + inside + ("" if self.finished else " *") + (" !" if self.failed else "")


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100.0 * value:.1f}"


Group = tuple[str, int | None, str]  # data, points a class, method with its variant


def summaries(rows: Sequence[Mapping[str, Any]]) -> dict[Group, dict[str, Summary]]:
    """Return a summary for each method, data set and size, and each predictor, in the order of the rows."""
    groups: dict[Group, dict[str, list[Mapping[str, Any]]]] = {}
    for row in rows:
        label = f"{row['method']}:{row['variant']}" if row["variant"] else str(row["method"])
        group = groups.setdefault((row["data"], row["ipc"], label), {})
        group.setdefault(row["predictor"], []).append(row)
    return {key: {name: Summary(found) for name, found in group.items()} for key, group in groups.items()}


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a text table for each data set: one line for each method and size, one column for each predictor.

    The objective, its optimum and the gap stand beside runs of which the optimum is known in closed form.
    """
    found, lines = summaries(rows), []
    for data in dict.fromkeys(key[0] for key in found):
        part = {key: value for key, value in found.items() if key[0] == data}
        predictors = list(dict.fromkeys(name for value in part.values() for name in value))
        known = any(len(one.objective) for value in part.values() for one in value.values())
        scores = {key: _ranking(part, key) for key in part}
        ranked = [name for name in _RANKED if any(name in one for one in scores.values())]
        sized = [_LEARNED] if any(_step_size(value) for value in part.values()) else []
        content = [[data, "IPC", *predictors, *ranked, *sized, "seconds", *(_OBJECTIVE if known else ())]]
        for key, values in sorted(part.items(), key=lambda item: item[0][1] or math.inf):
            _, ipc, label = key
            cells = [f"{values[name]}{_mark(part, key, name)}" if name in values else "" for name in predictors]
            cells += [_percent(scores[key].get(name)) if name in scores[key] else "" for name in ranked]
            cells += [_step_size(values)] if sized else []
            seconds = [one.seconds for one in values.values() if one.seconds is not None]
            took = f"{np.mean(seconds):.3g}" if seconds else "-"
            content.append([label, "all" if ipc is None else str(ipc), *cells, took])
            content[-1] += _objective(values.values()) if known else []
        lines += [*_aligned(content), ""]
    every = [one for values in found.values() for one in values.values()]
    failed = sum(one.failed for one in every)
    notes = [_SIZES] if any(_step_size(values) for values in found.values()) else []
    notes += [*_KNOWN] if any(len(one.objective) for one in every) else []
    notes += [_LOW] if any(_mark(found, key, name) for key, values in found.items() for name in values) else []
    notes += [_RANKING] if any(_ranking(found, key) for key in found) else []
    notes += [] if all(one.finished for one in every) else ["* stopped by its budget before it was finished."]
    notes += [f"! {failed} of the cells failed; their rows say why."] if failed else []
    return "\n".join([*lines, *CAPTION, *notes])


def _beside(found: Mapping[Group, Mapping[str, Summary]], key: Group) -> Mapping[str, Summary]:
    """Return what random images of the same data and size score."""
    return found.get((key[0], key[1], "random"), {})


def _step_size(values: Mapping[str, Summary]) -> str:
    return next((f"{one.step_size:.3g}" for one in values.values() if one.step_size is not None), "")


def _ranking(found: Mapping[Group, Mapping[str, Summary]], key: Group) -> dict[str, float]:
    if key[2] in ("random", "full"):
        return {}
    return ranking(found[key], _beside(found, key), found.get((key[0], None, "full"), {}))


def _mark(found: Mapping[Group, Mapping[str, Summary]], key: Group, predictor: str) -> str:
    """Return a mark where an iterative method scores no more than random images do."""
    mine, theirs = found[key].get(predictor), _beside(found, key).get(predictor)
    if key[2].partition(":")[0] not in METHODS or mine is None or theirs is None:
        return ""
    if mine.accuracy is None or theirs.accuracy is None:
        return ""
    return " ~" if mine.accuracy <= theirs.accuracy else ""


def _objective(values: Iterable[Summary]) -> list[str]:
    """Objective, optimum and gap: means over seeds, with standard deviations where there are several seeds."""
    found = next((one.objective for one in values if len(one.objective)), None)
    if found is None:
        return [""] * 3
    spread = [f" ({value:.2g})" for value in np.std(found, axis=0, ddof=1)] if len(found) > 1 else [""] * 3
    return [f"{value:.4g}{by}" for value, by in zip(found.mean(axis=0), spread, strict=True)]


def _aligned(content: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(line[column]) for line in content) for column in range(len(content[0]))]
    lines = []
    for line in content:
        cells = [
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]


@own_style()
def draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write a plot of accuracy against seconds of distillation (log scale), a panel for each data set and predictor.

    Colours stand for methods and markers for numbers of points a class; the whole training set is a line.
    """
    from matplotlib.figure import Figure

    found = summaries(rows)
    datasets = list(dict.fromkeys(key[0] for key in found))
    predictors = list(dict.fromkeys(name for values in found.values() for name in values))
    labels = list(dict.fromkeys(key[2] for key in found if key[1] is not None))
    sizes = sorted({key[1] for key in found if key[1] is not None})
    size = (1.0 + 3.2 * len(predictors), 1.2 + 2.8 * len(datasets) + 0.18 * len(labels) / max(1, len(predictors)))
    figure = Figure(figsize=size, dpi=100, layout="constrained")
    axes = figure.subplots(len(datasets), len(predictors), squeeze=False)
    for line, data in enumerate(datasets):
        for column, predictor in enumerate(predictors):
            panel = axes[line][column]
            for (name, ipc, label), values in found.items():
                one = values.get(predictor)
                if name == data and one is not None and one.accuracy is not None:
                    _point(panel, one, None if ipc is None else (labels.index(label), sizes.index(ipc)))
            panel.set(xscale="log")
            panel.set_title(drawable(shown(f"{data}, {predictor}")), fontsize=8, parse_math=False)
            panel.tick_params(labelsize=7)
    for panel in axes[-1]:
        panel.set_xlabel("seconds of distillation", fontsize=8)
    figure.supylabel("test accuracy, %", fontsize=8)
    from matplotlib.lines import Line2D

    marks = [
        Line2D([], [], color=f"C{index % 10}", marker="o", ls="", label=drawable(shown(one)))
        for index, one in enumerate(labels)
    ]
    marks += [
        Line2D([], [], color="0.3", marker=MARKERS[index % len(MARKERS)], ls="", label=f"IPC {ipc}")
        for index, ipc in enumerate(sizes)
    ]
    if any(key[1] is None for key in found):
        marks.append(Line2D([], [], color="0.5", ls="--", label="all the data"))
    figure.legend(handles=marks, loc="outside lower center", ncols=max(1, min(6, 2 * len(predictors))), fontsize=7)
    save(figure, path)


def _point(panel: Any, one: Summary, style: tuple[int, int] | None) -> None:
    assert one.accuracy is not None
    height = 100.0 * one.accuracy
    if style is None:
        panel.axhline(height, color="0.5", ls="--", lw=0.9)
        return
    colour, marker = style
    spread = 100.0 * max(one.over_seeds or 0.0, one.over_networks or 0.0)
    seconds = max(one.seconds or 0.0, 1e-4)  # a log axis has no zero
    panel.errorbar(
        [seconds],
        [height],
        yerr=[spread] if spread else None,
        color=f"C{colour % 10}",
        marker=MARKERS[marker % len(MARKERS)],
        ms=5,
        lw=0.8,
        mfc=None if one.finished else "none",
    )
