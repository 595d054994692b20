"""A run as one page of HTML that needs no network: images, labels, spectra, certificate, accuracies, provenance."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from analytic_dd.errors import DataError
from analytic_dd.features import FeatureMap
from analytic_dd.files import atomic_write, open_file
from analytic_dd.io import DistilledSet, load_distilled
from analytic_dd.plot import thumbnails
from analytic_dd.spectra import draw_spectrum

__all__ = ["page", "write_page"]

_MOST = 200  # points that are shown
_COLUMNS = 12  # of a table of rows
_STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; margin: 0 0 .5rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
.verdict { border-left: .4rem solid; padding: .5rem .8rem; background: var(--soft); }
.pass { border-color: #1a7f37; } .inconclusive { border-color: #9a6700; } .fail { border-color: #cf222e; }
.points { display: grid; grid-template-columns: repeat(auto-fill, minmax(5rem, 1fr)); gap: .6rem; }
figure { margin: 0; font-size: .75rem; } figure img { width: 100%; image-rendering: pixelated; display: block; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .9rem; }
th, td { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { overflow-wrap: normal; min-width: 5.5rem; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
pre { background: var(--soft); padding: .8rem; overflow-x: auto; font-size: .8rem; overflow-wrap: normal; }
.spectrum svg { max-width: 100%; height: auto; background: white; }
"""
_HEAD = '<!doctype html><html lang="en"><head><meta charset="utf-8">'
_VIEW = '<meta name="viewport" content="width=device-width, initial-scale=1">'


def write_page(folder: str | Path, *, feature_map: FeatureMap | None = None) -> Path:
    """Write ``page.html`` from the set and the report of a folder, and return its path.

    Parameters
    ----------
    folder : str or Path
        With ``distilled.npz`` and ``report.json``.
    feature_map : FeatureMap, optional
        The map of a set whose map is code.

    Raises
    ------
    DataError
        No report, or a damaged one.
    OSError
        The files cannot be read or the page cannot be written.
    """
    folder = Path(folder)
    path, report = folder / "page.html", folder / "report.json"
    stored = load_distilled(folder, feature_map=feature_map)
    with open_file(report) as stream:
        text = stream.read()
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{report} is no JSON ({error}); distil again") from error
    try:
        made = page(stored, content)
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError) as error:
        raise DataError(f"{report} is no report of a set ({type(error).__name__}: {error}); distil again") from error
    with atomic_write(path) as stream:
        stream.write(made.encode())
    return path


def page(stored: DistilledSet, content: Mapping[str, Any]) -> str:
    """Return the page of a stored set and its report."""
    name = escape(str(content["data"]["name"]))
    count, shape = len(stored.inputs), "points" if stored.x.ndim == 2 else "images"
    title = f"{name}: {count} distilled {shape}"
    parts = [
        f"{_HEAD}{_VIEW}<title>{title}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{title}</h1>",
        _verdict(stored, content),
        _section("Accuracy", _accuracies(content)),
        _section("Points and labels", _points(stored)),
        _section("Spectra", f'<div class="spectrum">{_spectra(stored)}</div>'),
        _section("Certificate (T16)", _table(content["certificate"].items())),
        _section("How to load it", _loading(stored)),
        _section("Where it comes from", _table(_provenance(content))),
        _section("Seconds", _table((stage, f"{value:.2f}") for stage, value in content["seconds"].items())),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>\n{body}</section>"


def _table(rows: Iterable[tuple[Any, Any]]) -> str:
    lines = (
        f"<tr><th>{escape(str(key).replace('_', ' '))}</th><td>{escape(_words(value))}</td></tr>" for key, value in rows
    )
    return f'<div class="wide"><table>{"".join(lines)}</table></div>'


def _words(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "none" if value is None else str(value)


def _verdict(stored: DistilledSet, content: Mapping[str, Any]) -> str:
    recovery = content["recovery"]
    missed = content.get("error_to_original") or 0.0
    of_all = "" if missed < 1e-12 else f" The weights of all the data are missed by {missed:.1e}."
    serves = content.get("serves")
    use = (
        "The set is made for this model, not for training networks." if serves is None else f"What it is for: {serves}."
    )
    return (
        f'<p class="verdict {escape(recovery["verdict"])}">Ridge regression on these {len(stored.inputs)} points gives '
        f"the stored weights up to a relative error of {_words(recovery['relative_error'])}: "
        f"<strong>{escape(recovery['verdict'])}</strong> (rounding allows {_words(recovery['bound'])}).{of_all} "
        f"{escape(use)}</p>"
    )


def _accuracies(content: Mapping[str, Any]) -> str:
    words = {
        "original": "model fitted on all the data",
        "distilled": "refitted on the distilled set",
        "random": "on as many random real samples",
        "class_mean": "on the class means",
    }
    measured, r2 = content["accuracies"], content.get("r2") or {}
    rows = [(words[key], f"{100.0 * measured[key]:.2f} %") for key in words if measured.get(key) is not None]
    rows += [(words[key], f"R2 {r2[key]:.4f}") for key in words if key in r2]
    if not rows:
        return "<p>There is no test part, so nothing was measured.</p>"
    return _table(rows) + f"<p>On {content['test_samples']:,} test samples.</p>"


def _points(stored: DistilledSet) -> str:
    if stored.x.ndim == 2:
        return _rows(stored)
    files, low, high = thumbnails(stored, most=_MOST)
    tiles = (
        f'<figure><img alt="point {i}" src="data:image/png;base64,{base64.b64encode(file).decode()}">'
        f"{_label(stored, i)}</figure>"
        for i, file in enumerate(files)
    )
    shown = f"The first {_MOST} of {len(stored.x)}. " if len(stored.x) > _MOST else ""
    words = f"<p>{shown}One scale for all: black is {low:.4g}, white {high:.4g}, in the units of the data.</p>"
    return f'{words}<div class="points">{"".join(tiles)}</div>'


def _label(stored: DistilledSet, index: int) -> str:
    """Return the class of a one-hot row, or the two strongest outputs."""
    row, names = stored.y[index], [str(name) for name in stored.classes]
    order = np.argsort(-row, kind="stable")
    rest = np.delete(row, order[0])
    if len(row) > 1 and np.all(rest == rest[0]):
        return escape(names[order[0]])
    return "<br>".join(escape(f"{names[i]}: {row[i]:.2g}") for i in order[:2])


def _rows(stored: DistilledSet) -> str:
    """Return rows in the units of the data, with their labels."""
    d = stored.x.shape[1]
    names = stored.meta.get("columns") or [f"input {i}" for i in range(d)]
    head = "".join(f"<th>{escape(str(name))}</th>" for name in ["label", *names[:_COLUMNS]])
    body = "".join(
        f"<tr><td>{_label(stored, i)}</td>" + "".join(f'<td class="number">{v:.4g}</td>' for v in row) + "</tr>"
        for i, row in enumerate(stored.x[:_MOST, :_COLUMNS])
    )
    more = f"<p>The first {_COLUMNS} of {d} columns.</p>" if d > _COLUMNS else ""
    return f'{more}<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _spectra(stored: DistilledSet) -> str:
    """Return the picture of the spectra as SVG, without the declarations of a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spectrum.svg"
        draw_spectrum(stored, path)
        text = path.read_text()
    return text[text.index("<svg") :]


def _provenance(content: Mapping[str, Any]) -> list[tuple[str, Any]]:
    data, versions = content["data"], content["versions"]
    names = (
        "theorem",
        "mode",
        "labels",
        "ridge",
        "distilled_ridge",
        "intercept",
        "loss",
        "seed",
        "samples",
        "hardware",
    )
    rows = [("data", data["name"]), ("read from", data.get("source")), ("SHA-256 of the data", data.get("sha256"))]
    rows += [("feature map", json.dumps(content["features"]))]
    rows += [(name, content[name]) for name in names if name in content]
    return [*rows, ("versions", ", ".join(f"{name} {version}" for name, version in versions.items()))]


def _loading(stored: DistilledSet) -> str:
    fit = f"fit_intercept={stored.intercept is not None}"
    model = f"Ridge(alpha={stored.ridge!r}, {fit})" if stored.ridge > 0.0 else f"LinearRegression({fit})"
    plain = stored.meta["features"]["map"] == "identity"
    features = "inputs" if plain else "stored.feature_map(inputs)"
    text = f"""
# pip install analytic-dd; fit on inputs (float64), not on the pictures x
from analytic_dd import load_distilled
stored = load_distilled("distilled.npz")
print(stored.verify())
inputs, labels = stored.to_numpy()          # or stored.to_torch()

from sklearn.linear_model import LinearRegression, Ridge
W = {model}.fit({features}, labels).coef_    # stored.w up to rounding

# other programs: analytic-dd export . --to torch|sklearn|safetensors|kip|folder|parquet|...
"""
    return f"<pre>{escape(text.strip())}</pre>"
