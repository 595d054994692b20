"""Tables of the runs under one protocol, from their recorded rows; used by ``tables``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import published
import records
from records import ESTIMATE, again, by_name, markdown, source

METHODS = ("dc", "dsa", "dm", "mtt", "kip", "dd", "ld", "lgm", "cafe")  # those that iterate
_WORDS = {"MNIST": "mnist", "CIFAR-10 (JPEG)": "cifar10"}  # data on the command line
_FILES = ("imagenette-128", "tiny-imagenet-64")

Row = Mapping[str, Any]
Found = Mapping[str, Row]  # a set by predictor


def _cell(row: Row | None) -> str:
    """Percent, then the spreads over seeds and over networks; a star where a budget ended a distillation."""
    if row is None:
        return ""
    spreads = ["-" if row[name] is None else f"{100.0 * row[name]:.1f}" for name in ("over_seeds", "over_networks")]
    inside = "" if spreads == ["-", "-"] else f" ({'; '.join(spreads)})"
    return f"{100.0 * row['accuracy']:.1f}{inside}{'' if row['finished'] else ' *'}"


def _seconds(row: Row) -> str:
    """Seconds of the distillation, of the processor where they were recorded."""
    return f"{row['cpu_seconds']:.3g} CPU" if "cpu_seconds" in row else f"{row['seconds']:.3g}"


def _size(row: Row) -> str:
    return "all" if row["ipc"] is None else str(row["ipc"])


def _groups(rows: Sequence[Row]) -> dict[tuple[Any, ...], dict[str, Row]]:
    found: dict[tuple[Any, ...], dict[str, Row]] = {}
    for row in rows:
        key = row["data"], row["settings"], row["ipc"], row["method"]
        found.setdefault(key, {})[row["predictor"]] = row
    return found


def _published(row: Row) -> str:
    """The published number with the deviation of ours between equals, or else with what is unlike."""
    found = published.anchor(row["data"], row["ipc"], row["method"], row["predictor"])
    if found is None:
        return ""
    cell = {"name": row["data"], "settings": row["settings"], "predictor": row["predictor"]}
    beside = published.beside(found, row["accuracy"], **cell)
    unlike = beside["differing"]
    inside = f"other {', '.join(unlike)}" if unlike else f"{beside['deviation']:+.1f}"
    return f"{row['predictor']} {found['accuracy']:.1f} ({inside})"


def _distils(found: Found, random: Found) -> bool:
    """Whether a method is above random images of the same size by at least one predictor; controls always are."""
    method = next(iter(found.values()))["method"].partition(":")[0]
    pairs = [(row["accuracy"], random[name]["accuracy"]) for name, row in found.items() if name in random]
    return method not in METHODS or not pairs or any(mine > theirs for mine, theirs in pairs)


def distilling(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of sets that a table shows: not those of a method that no predictor puts above random images."""
    groups = _groups(rows)
    return [
        row
        for key, found in groups.items()
        if _distils(found, groups.get((*key[:3], "random"), {}))
        for row in found.values()
    ]


def _by_seeds(rows: Sequence[Row]) -> dict[tuple[str, str, str], dict[int, list[str]]]:
    """Return, for data, settings and size, the methods with so many distillation seeds; most methods come first."""
    found: dict[tuple[str, str, str], dict[int, list[str]]] = {}
    for row in rows:
        methods = found.setdefault((row["data"], row["settings"], _size(row)), {}).setdefault(row["seeds"], [])
        methods += [] if row["method"] in methods else [row["method"]]
    return {key: dict(sorted(by.items(), key=lambda one: -len(one[1]))) for key, by in found.items()}


def _facts(rows: Sequence[Row]) -> str:
    devices = ", ".join(sorted({f"{row['device']}, torch {row['torch']}, {row['threads']} threads" for row in rows}))
    seeds = []
    for (name, settings, size), by in sorted(_by_seeds(rows).items()):
        most, *fewer = by
        but = "".join(f" ({', '.join(by[count])}: {count})" for count in fewer)
        seeds.append(f"{name}, {settings}, IPC {size}: {most}{but}")
    return f"\nDistillation seeds: {'; '.join(seeds)}. Device: {devices}.\n"


def _word(name: str) -> str:
    """Return data as the command line names them."""
    return f"$ANALYTIC_DD_DATA/{name}.tar.xz" if name in _FILES else _WORDS.get(name, name)


def _again(stem: str, rows: Sequence[Row]) -> str:
    """Return the command that makes a line of a table anew, for each data set, size and number of seeds."""
    found: dict[tuple[str, str], list[str]] = {}
    every = _by_seeds(rows)
    for row in rows:
        by = every[row["data"], row["settings"], _size(row)]
        size = f"--ipc {row['ipc'] or 1} --repeats {row['seeds']}"
        command = f"python experiments/{stem}.py --settings {row['settings']} --data {_word(row['data'])} {size}"
        methods = " ".join(by[row["seeds"]]) if len(by) > 1 else "METHOD"
        chosen = found.setdefault((f"- {row['data']}, IPC {_size(row)}: `{command}", methods), [])
        chosen += [] if row["predictor"] in chosen else [row["predictor"]]
    lines = [f"{one} --predictors {' '.join(chosen)} --methods {which}`\n" for (one, which), chosen in found.items()]
    return "\nThese commands measure its lines again:\n\n" + "".join(lines)


def _estimates(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of sets that were estimated and have not been scored since."""
    names = ("data", "settings", "ipc", "method")
    scored = {tuple(row[name] for name in names) for row in rows if row["predictor"] not in (ESTIMATE, None)}
    return [row for row in rows if row["predictor"] == ESTIMATE and tuple(row[name] for name in names) not in scored]


def _not_run(rows: Sequence[Row]) -> str:
    """The table of what sets take that were not made, a column for each method."""
    left = _estimates(rows)
    methods = list(dict.fromkeys(row["method"] for row in left))
    found: dict[tuple[str, str], dict[str, str]] = {}
    for row in left:
        minutes, card = row["estimate"] / 60.0, ""
        if row["settings"] == "published" and row["gpu_hours"] is not None:
            card = f" ({row['gpu_hours']:.2g} h)"
        text = f"{minutes:,.0f}" if minutes >= 10.0 else f"{minutes:.1f}"
        found.setdefault((f"{row['data']}, {row['settings']}", _size(row)), {})[row["method"]] = text + card
    lines = [[*key, *(by.get(method, "") for method in methods)] for key, by in found.items()]
    predictors = ", ".join(dict.fromkeys(name for row in left for name in row["scored_by"]))
    facts = (
        "\nNot run. Minutes of one processor for one seed, which the same command says with `--estimate`: the set, and "
        f"its scores by {predictors}, where they apply. GPU hours, by a model, stand behind published settings.\n\n"
    )
    return facts + markdown(["not run", "IPC", *methods], lines) if lines else ""


def _by_predictor(stem: str, more: Sequence[str] = (), cells: Callable[[Found], list[str]] = lambda found: []) -> str:
    """The table of a recorded run, a column for each predictor, then ``more`` columns with ``cells``."""
    run = records.read(records.RESULTS / f"{stem}.json")
    scored = [row for row in run["rows"] if row["predictor"] != ESTIMATE]
    predictors = list(dict.fromkeys(row["predictor"] for row in scored))
    rows, left_out, groups = [], [], _groups(scored)
    for key, found in groups.items():
        first = next(iter(found.values()))
        if not _distils(found, groups.get((*key[:3], "random"), {})):
            left_out.append(f"{first['data']}, {first['settings']}, IPC {_size(first)}: {first['method']}")
            continue
        rows.append([f"{first['data']}, {first['settings']}: {first['method']}", _size(first)])
        rows[-1] += [_cell(found.get(name)) for name in predictors] + cells(found)
    header = ["data, settings: method", "IPC", *(f"{name}, %" for name in predictors), *more]
    notes = _facts(scored)
    if left_out:
        notes += (
            f"\nNot shown, since no predictor puts it above random images of the same size: {'; '.join(left_out)}.\n"
        )
    notes += _again(stem, scored) + _not_run(run["rows"])
    return markdown(header, rows) + notes + source(run, f"experiments/results/{stem}.json")


def iterative_table() -> str:
    """Methods and controls by predictor, and the published numbers: the deviation between equals, or what is unlike."""

    def cells(found: Found) -> list[str]:
        anchors = [text for text in map(_published, found.values()) if text]
        first = next(iter(found.values()))
        sizes = [f"{row['step_size']:.3g}" for row in found.values() if "step_size" in row]
        size = [sizes[0] if sizes else ""] if learned else []
        return ["; ".join(anchors), *size, _seconds(first)]

    rows = records.read(records.RESULTS / "iterative_table.json")["rows"]
    learned = ["learned lr"] if any("step_size" in row for row in rows) else []
    return _by_predictor("iterative_table", ("published", *learned, "s"), cells)


def published_protocols() -> str:
    """How each published number was measured, beside ours."""
    facts = list(published.FACTS)
    rows = [[name, *(how[fact] for fact in facts)] for name, how in published.protocols().items()]
    rows += [
        [f"ours: {name}", *published.ours(name).values()] for name in ("convnet", "convnet+dsa", "wide", "krr-own")
    ]
    return markdown(["number", *facts], rows) + "\nRows of `experiments/published_anchors.json` name their protocol.\n"


def transfer() -> str:
    """Each set on each network."""
    return _by_predictor("transfer")


def networks() -> str:
    """What networks and what ridge regression make of one image a class: exact sets beside real images and means."""
    path = "experiments/results/iterative_table.json"
    run = records.read(records.RESULTS / "iterative_table.json")
    sets = {"random": "real images", "class_mean": "class means", "closed-form:features=identity": "exact set"}
    predictors = {"convnet": "network", "krr-common": "ridge regression"}
    found = {
        (row["data"], row["predictor"], row["method"]): f"{100.0 * row['accuracy']:.1f}"
        for row in run["rows"]
        if row["method"] in sets and row["predictor"] in predictors and row["ipc"] == 1
    }
    columns = [(predictor, method) for predictor in predictors for method in sets]
    names = [data for data in dict.fromkeys(key[0] for key in found) if all((data, *one) in found for one in columns)]
    rows = [[data, *(found[data, *column] for column in columns)] for data in names]
    header = [f"{predictors[predictor]}: {sets[method]}" for predictor, method in columns]
    return markdown(["one image a class, test accuracy in %", *header], rows) + source(run, path)


def mtt_ablations() -> str:
    """Trajectory matching with one thing changed: accuracies, the learned step size, seconds; and seconds a step."""
    run, path = records.recorded("mtt_ablations")
    every = [row for row in run["rows"] if row["part"] != "seconds" and row["predictor"] != ESTIMATE]
    predictors = list(dict.fromkeys(row["predictor"] for row in every))
    found: dict[tuple[Any, ...], dict[str, Row]] = {}
    for row in every:
        found.setdefault((row["data"], row["part"], row["method"], row["ipc"]), {})[row["predictor"]] = row
    rows = []
    for (name, part, method, ipc), by in found.items():
        first = next(iter(by.values()))
        size = f"{first['step_size']:.3g}" if "step_size" in first else ""
        scores = [_cell(by.get(predictor)) for predictor in predictors]
        rows.append([f"{name}, {part}: {method}", str(ipc), *scores, size, _seconds(first)])
    for row in _estimates(run["rows"]):
        rows.append([f"{row['data']}, {row['part']}: {row['method']}", str(row["ipc"]), *[""] * len(predictors)])
        rows[-1] += ["", f"not run, about {row['estimate']:.0f}"]
    header = ["data, part: method", "IPC", *(f"{name}, %" for name in predictors), "learned lr", "s"]
    timed = [row for row in run["rows"] if row["part"] == "seconds"]
    steps = [[row["data"], row["ipc"], row["student_steps"], f"{row['seconds_a_step']:.3g}"] for row in timed]
    text = markdown(header, rows) + (_facts(every) if every else "")
    text += again(
        "experiments/mtt_ablations.py --data digits|mnist|cifar10 --parts experts|start|steps|transfer|seconds"
    )
    text += "\n" + markdown(["data", "IPC", "N", "seconds a step"], steps) if steps else ""
    return text + source(run, path)


TABLES = by_name(iterative_table, published_protocols, transfer, networks, mtt_ablations)
