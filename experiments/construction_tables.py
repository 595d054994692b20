"""Tables and the list of pictures of the constructions of T6 to T11, from their recorded runs; used by ``tables``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from records import again, by_name, markdown, recorded, source

_ZERO_AND_RIDGE = {"nearest": "nearest, ridge", "box": "box, ridge"}


def _percent(value: float | None, digits: int = 3) -> str:
    """Three digits, without an exponent."""
    if value is None:
        return ""
    text = f"{100.0 * value:.{digits}g}"
    return f"{100.0 * value:.0f}" if "e" in text else text


def _accuracy(value: float) -> str:
    return f"{100.0 * value:.2f}"


def _error(row: dict[str, Any] | None) -> str:
    return "" if row is None else f"{row['certificate']['relative_error']:.1e}"


def _verdicts(rows: Iterable[dict[str, Any] | None]) -> str:
    return ", ".join(sorted({row["certificate"]["verdict"] for row in rows if row is not None}))


def _by_set(rows: list[dict[str, Any]]) -> dict[tuple[str, str, int], dict[str, dict[str, Any]]]:
    groups: dict[tuple[str, str, int], dict[str, dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["data"], row["model"], row["ipc"]), {})[row["kind"]] = row
    return groups


def figure1() -> str:
    """One image a class through three maps."""
    run, path = recorded("figure1_one_per_class")
    rows = []
    for row in run["rows"]:
        found = row["accuracies"]
        rows.append([f"{row['data']}, {row['features']}", row["p"], row["points"], _accuracy(found["original"])])
        rows[-1] += [_accuracy(found["distilled"]), _error(row), row["certificate"]["verdict"]]
    header = ["data, map", "p", "points", "all data, %", "distilled, %", "error of W", "verdict"]
    return markdown(header, rows) + source(run, path)


def nearest_vs_published() -> str:
    """Distances of the linear map to the same references."""
    run, path = recorded("nearest_vs_published")
    rows = []
    for (name, model, ipc), found in _by_set(run["rows"]).items():
        if model != "identity":
            continue
        nearest = found["nearest"]
        deviation = abs(nearest["distance_features"] / nearest["predicted_distance"] - 1.0)
        rows.append([name, ipc, nearest["points"], _percent(nearest["relative_distance_features"], 4)])
        rows[-1] += [f"{deviation:.0e}", _percent(found["published"]["relative_distance_features"], 4)]
        rows[-1] += [_percent(found["published, predicted labels"]["relative_distance_features"], 4)]
        rows[-1] += [_percent(found[kind]["relative_distance_pixels"], 4) for kind in ("nearest", "published")]
        rows[-1] += [_error(nearest), _error(found["nearest, ridge"])]
        rows[-1] += [f"{found['nearest, ridge']['change_by_ridge']:.0e}", _error(found["published"])]
        rows[-1] += [_verdicts(found[kind] for kind in ("nearest", "nearest, ridge", "published"))]
    header = ["data", "IPC", "points", "nearest, %", "measured / predicted - 1", "published, %"]
    header += ["its labels the model's, %", "nearest, pixels, %", "published, pixels, %", "error of W, ridge 0"]
    header += ["the model's ridge", "change of the images by it", "published", "verdict"]
    return markdown(header, rows) + source(run, path)


def published_ridge() -> str:
    """Whether the published formula exists at the ridge of the model."""
    run, path = recorded("nearest_vs_published")
    rows = []
    for (name, model, ipc), found in _by_set(run["rows"]).items():
        row = found.get("published, ridge")
        if model == "identity" and row is not None:
            limit = f"{row['limit']:.3g}" if "refused" in row else ""
            rows.append([name, ipc, f"{row['ridge']:.3g}", limit, "refused" if "refused" in row else _error(row)])
    header = ["data", "IPC", "distilled ridge wanted", "largest admissible (T3)", "published formula"]
    return markdown(header, rows) + source(run, path)


def nearest_optimum() -> str:
    """The 200 random problems in one line."""
    run, path = recorded("nearest_optimum")
    rows = run["rows"]
    deviation = max(abs(row["relative_distance"] / row["predicted"] - 1.0) for row in rows)
    header = ["random problems", "largest measured / predicted - 1"]
    cells: list[Any] = [len(rows), f"{deviation:.1e}"]
    for name, words in (("one_hot", "one-hot labels"), ("predicted", "the model's labels")):
        ratios = sorted(row["relative_distance"] / row["published"][name] for row in rows)
        header += [f"nearest / published ({words}): median", "largest"]
        cells += [f"{ratios[len(ratios) // 2]:.3f}", f"{ratios[-1]:.3f}"]
    return markdown(header, [cells]) + source(run, path)


_KINDS = ("nearest", "tau 0.1", "tau 1", "one-hot labels", "box")


def nearest_kinds() -> str:
    """Distance against conditioning for each kind of realistic set."""
    run, path = recorded("nearest_vs_published")
    rows = []
    for (name, model, ipc), found in _by_set(run["rows"]).items():
        for kind in _KINDS if model == "identity" else ():
            row, other = found[kind], found.get(_ZERO_AND_RIDGE.get(kind, ""))
            low, high = row["pixel_range"]
            rows.append([f"{name}, {kind}", ipc, row["points"], _percent(row["relative_distance_features"])])
            rows[-1] += [_percent(row["relative_distance_pixels"]), _percent(row["largest_pixel_change_fraction"])]
            rows[-1] += [f"{low:.3f} to {high:.3f}", f"{row['condition']:.1e}", f"{row['single_precision_error']:.1e}"]
            rows[-1] += [_error(row), _error(other), _verdicts((row, other))]
    header = ["data, set", "IPC", "points", "distance, %", "in pixels, %", "largest change of a pixel, %"]
    header += ["pixels", "condition", "refit in float32", "error of W, ridge 0", "the model's ridge", "verdict"]
    return markdown(header, rows) + source(run, path)


def nearest_cost() -> str:
    """Labels, and what rounding to 8 bits costs."""
    run, path = recorded("nearest_vs_published")
    rows = []
    for (name, model, ipc), found in _by_set(run["rows"]).items():
        for kind in _KINDS if model == "identity" else ():
            row = found[kind]
            eight, (low, high) = row["eight_bit"], row["label_range"]
            rows.append([f"{name}, {kind}", ipc, f"{low:.2g} to {high:.2g}", _percent(row["label_agreement"])])
            rows[-1] += [f"{eight['recovery'][when]:.1e}" for when in ("before", "after")]
            rows[-1] += [_accuracy(eight["decision_agreement"][when]) for when in ("before", "after")]
            rows[-1] += [_accuracy(row["accuracy_distilled"])]
    header = ["data, set", "IPC", "labels", "strongest at the class, %", "8 bits: error of W", "labels solved again"]
    header += ["decisions kept, %", "labels solved again, %", "accuracy of the set as stored, %"]
    return markdown(header, rows) + source(run, path)


def nearest_maps() -> str:
    """Other maps and the intercept at one size."""
    run, path = recorded("nearest_vs_published")
    rows = []
    for (name, model, ipc), found in _by_set(run["rows"]).items():
        if model == "identity":
            continue
        nearest, ridge, published = found["nearest"], found["nearest, ridge"], found.get("published")
        low, high = nearest["row_scale"]
        rows.append([f"{name}, {model}", ipc, _percent(nearest["relative_distance_features"])])
        rows[-1] += [f"{abs(nearest['distance_features'] / nearest['predicted_distance'] - 1.0):.0e}"]
        rows[-1] += [f"{low:.3g} to {high:.3g}", _percent(nearest["relative_distance_pixels"])]
        rows[-1] += [_percent(published["relative_distance_features"]) if published else ""]
        rows[-1] += [_error(nearest), _error(ridge), f"{nearest['certificate']['bound']:.0e}"]
        rows[-1] += [_accuracy(nearest["accuracy_original"]), _accuracy(nearest["accuracy_distilled"])]
        rows[-1] += [_verdicts((nearest, ridge))]
    header = ["data, map", "IPC", "nearest, %", "measured / predicted - 1", "scale of rows", "in pixels, %"]
    header += ["published, %", "error of W, ridge 0", "the model's ridge", "bound", "all data, %", "distilled, %"]
    return markdown([*header, "verdict"], rows) + source(run, path)


def nearest_tau() -> str:
    """Which settings meet the claim at IPC 50."""
    run, path = recorded("nearest_tau")
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in run["rows"]:
        ridge = f"{row['ridge']:.3g}" + (" (leave-one-out)" if row["chosen"] == "loo" else "")
        groups.setdefault((row["inputs"], ridge, row["tau"], row["references"]), []).append(row)
    rows = []
    for (inputs, ridge, tau, references), found in groups.items():
        rows.append([f"{inputs}, ridge {ridge}", tau, references, len(found)])
        for name, show in (
            ("relative_distance_features", _percent),
            ("relative_distance_pixels", _percent),
            ("condition", lambda value: f"{value:.1e}"),
            ("single_precision_error", lambda value: f"{value:.1e}"),
        ):
            values = sorted(row[name] for row in found)
            ends = [show(values[0]), show(values[-1])]  # type: ignore[no-untyped-call]
            rows[-1].append(ends[0] if len(values) == 1 else f"{ends[0]} to {ends[1]}")
        rows[-1] += [f"{max(row['certificate']['relative_error'] for row in found):.1e}"]
        rows[-1] += [f"{sum(row['meets'] for row in found)} of {len(found)}"]
    header = ["inputs, ridge of the model", "tau", "references", "draws", "distance, %", "in pixels, %", "condition"]
    header += ["refit in float32", "error of W (float64), worst", "meets all three limits"]
    return markdown(header, rows) + source(run, path)


def few_points() -> str:
    """Accuracy and error of predictions against m."""
    run, path = recorded("few_points")
    names = ("predictions", "ridge", "weights", "random, best labels", "random, own labels")
    names += ("means, best labels", "means, own labels")
    errors = ("predictions", "random, best labels", "means, best labels")
    rows = []
    for row in run["rows"]:
        methods = row["methods"]
        rows.append([row["data"], row["m"], *(_accuracy(methods[name]["accuracy"]) for name in names)])
        rows[-1] += [_accuracy(row["accuracy_original"])]
        rows[-1] += [f"{methods[name]['prediction_error']:.3g}" for name in errors]
        rows[-1] += [f"{row['direct']['ratio'] - 1.0:.0e}" if row.get("direct") else "", _error(row)]
        rows[-1] += [row["certificate"]["verdict"]]
    header = ["data", "m", "T7, predictions, %", "T7, with the ridge, %", "T7, weights, %", "random, best labels, %"]
    header += ["random, own labels, %", "means, best labels, %", "means, own labels, %", "all data, %"]
    header += ["error of predictions: T7", "random, best labels", "means, best labels"]
    header += ["L-BFGS / T7 - 1, weights", "recovery of the reloaded set", "verdict"]
    return markdown(header, rows) + source(run, path)


def few_optimum() -> str:
    """The restarts of the direct optimiser."""
    run, path = recorded("few_optimum")
    rows = []
    for row in run["rows"]:
        rows.append([f"nearest {row['metric']}, k = {row['k']}, p = {row['p']}", row["m"], row["restarts"]])
        rows[-1] += [f"{row['least_ratio'] - 1.0:.0e}", f"{row['largest_ratio'] - 1.0:.0e}", row["at_optimum"]]
        rows[-1] += [f"{row['evaluations']:.0f}"]
    header = ["problem", "m", "restarts", "least L-BFGS / T7 - 1", "largest", "within 1e-6 of T7", "evaluations"]
    return markdown(header, rows) + source(run, path)


def one_image() -> str:
    """One image and its copies, for each map."""
    run, path = recorded("one_image")
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in run["rows"]:
        groups.setdefault((row["data"], row["features"]), []).append(row)
    rows = []
    for (name, text), (zero, ridge) in groups.items():
        rows.append([f"{name}, {text}", zero["p"]])
        if "refused" in zero:
            rows[-1] += ["refused: " + zero["refused"].partition(";")[0], *[""] * 8]
            continue
        rows[-1] += [zero["points"], _percent(zero["largest_pixel_change_fraction"]), _error(zero), _error(ridge)]
        rows[-1] += [_accuracy(zero["accuracy_original"]), _accuracy(zero["accuracy_distilled"])]
        rows[-1] += [_accuracy(ridge["accuracy_distilled"])]
        rows[-1] += [_accuracy(zero["eight_bit"]["decision_agreement"]["after"]), _verdicts((zero, ridge))]
    header = ["data, map", "p", "points", "largest change of a pixel, % of the range", "error of W, ridge 0"]
    header += ["the model's ridge", "all data, %", "distilled, ridge 0, %", "the model's ridge, %"]
    header += ["decisions kept in 8 bits, labels solved again, %", "verdict"]
    return markdown(header, rows) + source(run, path)


def near_copies() -> str:
    """A few real images and their near copies, on maps that are not onto."""
    run, path = recorded("near_copies")
    rows = []
    for row in run["rows"]:
        kind = f"{row['copies']} near copies of each" + (", pairs" if row["pairs"] else "")
        kind += ", by products" if row.get("jacobians") == "products" else ""
        rows.append([f"{row['data']}, {row['features']}", f"{row['p']:,}", _accuracy(row["accuracy_original"])])
        rows[-1] += [f"{row['points']}: {row['bases']} real, {kind}", _accuracy(row["accuracy_distilled"])]
        rows[-1] += [_error(row), _verdicts((row,)), _percent(row["largest_change"])]
        for found in row["rounded"].values():
            rows[-1].append(f"{found['error']:.1e}, {_accuracy(found['agreement'])}")
        seconds = (row["seconds"]["construction"], row["wall"], row["cpu"], row["load"])
        rows[-1] += [f"{value:.0f}" for value in seconds]
        rows[-1].append(f"{row['rate']:.2f}" if "rate" in row else "")
    header = ["data, map", "p", "all data, %", "points", "distilled, %", "error of W", "verdict"]
    header += ["largest change, % of the range"]
    header += [f"{name}: error of W, decisions kept, %" for name in ("float32", "16 bits", "8 bits")]
    header += ["near copies, s", "whole, s", "CPU, s", "load at the start", "features, share of the float32 rate"]
    commands = (f'experiments/near_copies.py "{row["run"]}"' for row in run["rows"])
    return markdown(header, rows) + again(*commands) + source(run, path)


def ridge_list() -> str:
    """One set for several ridges."""
    run, path = recorded("ridge_list")
    rows = []
    for row in run["rows"]:
        certificates, ridges = row["certificates"], row["ridges"]
        rows.append([row["data"], row["length"], f"{ridges[0]:.3g} to {ridges[-1]:.3g}"])
        rows[-1] += [row["points"], row["at_most"], f"{max(found['relative_error'] for found in certificates):.1e}"]
        rows[-1] += [", ".join(sorted({found["verdict"] for found in certificates})), f"{row['unresolved']:.0e}"]
        rows[-1] += [f"{row['largest_between']:.1e}", f"{row['largest_beyond']:.1e}"]
        for kind in ("original", "distilled"):
            rows[-1].append(" ".join(_accuracy(value) for value in row[f"accuracies_{kind}"]))
    header = ["data", "ridges", "from, to", "points", "L k", "error of W at the ridges, worst", "verdict"]
    header += ["weights against the sums of the data", "error between", "half a decade beyond"]
    header += ["all data at each ridge, %", "distilled, %"]
    return markdown(header, rows) + source(run, path)


def integer_pixels() -> str:
    """8-bit pixels that carry W: the error, the change of the levels, the decisions kept."""
    run, path = recorded("integer_pixels")
    rows = []
    for row in run["rows"]:
        if "refused" in row:
            continue
        wanted = f"{row['wanted']:.0e}" if row["wanted"] else ""
        rows.append(
            [f"{row['data']}, {row['rows']}", row["ipc"], row["points"], wanted, f"{row['error_refitted']:.1e}"]
        )
        rows[-1] += [f"{row['root_mean_square']:.2f}", f"{row['largest']:.1f}", f"{row['step']:.3f}"]
        rows[-1] += [_percent(row["distance_exact"], 3), _percent(row["distance"], 3)]
        rows[-1] += [_accuracy(row["decisions_kept"]), f"{row['seconds']:.1f}"]
    header = ["data, pixels", "IPC", "images", "error wanted", "error of W", "change, rms levels", "largest", "step"]
    header += ["distance of the exact set, %", "of the integers, %", "decisions kept, %", "seconds"]
    return markdown(header, rows) + source(run, path)


def integer_rows() -> str:
    """What W loses by lattices of weighted and of orthonormal rows that were asked for the same error."""
    run, path = recorded("integer_pixels")
    found = {(row["data"], row["ipc"], row["wanted"], row["rows"]): row for row in run["rows"] if "refused" not in row}
    rows = []
    for (name, ipc, wanted, kind), other in found.items():
        if kind == "orthonormal":
            own = found[name, ipc, wanted, "weighted"]
            cells = [f"{one[each]:.2g}" for each in ("scale", "error", "root_mean_square") for one in (own, other)]
            rows.append([name, ipc, f"{wanted:.0e}", *cells])
    header = ["data", "IPC", "error wanted", "S, weighted", "orthonormal", "error of W, weighted", "orthonormal"]
    return markdown([*header, "change, rms levels, weighted", "orthonormal"], rows) + source(run, path)


_FIGURES = {
    "figure1_one_per_class": "One image a class, exact through each map.",
    "figure2_realistic": "References, the nearest exact set (T6), one from noise (T2), and the published formula.",
    "few_points": "Fewer points than classes (T7): accuracy and error against m.",
    "one_image": "One image and its near copies carry the whole model (T9).",
    "ridge_list": "One set for several ridges (T11): its error at them and between.",
    "integer_pixels": "8-bit pixels that carry W (T24): the change of a pixel against the error, and the law.",
    "iterative_table": "Iterative methods, controls and the closed form under one protocol.",
    "transfer": "Each set on networks that it was not made with.",
}


def drawn() -> list[dict[str, Any]]:
    """Return every picture of the experiments: script, data, name of the file, bytes."""
    found: dict[str, dict[str, Any]] = {}
    for stem in _FIGURES:
        for row in recorded(stem)[0]["rows"]:
            if "picture" in row:
                facts = {"script": stem, "data": row["data"], "picture": row["picture"], "bytes": row["bytes"]}
                found[row["picture"]] = facts
    return list(found.values())


def figures() -> str:
    """List the pictures for the gallery."""
    pictures, sections = drawn(), []
    for stem, words in _FIGURES.items():
        sections.append(f"**{words}** `experiments/{stem}.py`\n")
        sections += [f"![{row['data']}]({row['picture']})\n" for row in pictures if row["script"] == stem]
    return "\n".join(sections)


TABLES = by_name(
    figure1,
    nearest_vs_published,
    published_ridge,
    nearest_optimum,
    nearest_kinds,
    nearest_cost,
    nearest_maps,
    nearest_tau,
    few_points,
    few_optimum,
    one_image,
    near_copies,
    ridge_list,
    integer_pixels,
    integer_rows,
    figures,
)
