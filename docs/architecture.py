"""Write docs/architecture.md and docs/architecture.svg from the package:  python docs/architecture.py

The way through the house names functions and classes that must exist; the tree and its arrows are read from the files
and their import statements. ``tests/test_architecture.py`` compares both pages with the package.
"""

from __future__ import annotations

import ast
import functools
import graphlib
import importlib
import itertools
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parent / "analytic_dd"
GROUND = (  # files that any part may need
    *("errors", "arrays", "files", "memory", "staging", "clock", "progress", "theorems"),
)

Graph = Mapping[str, set[str]]  # for every part those that it imports


@dataclass(frozen=True)
class Stop:
    """A noun on the way through the house, and the function that leads to the next one."""

    noun: str
    where: str  # module:name
    holds: str
    verb: str = ""
    by: str = ""  # module:name


DOORS = (
    ("analytic-dd distill", "analytic_dd.cli:main"),
    ("distill(X, y)", "analytic_dd.one_call:distill"),
    ("RidgeDistiller.fit", "analytic_dd.estimator:RidgeDistiller.fit"),
    ("bench, closed-form", "analytic_dd.baselines.bench.closed_form:closed_form"),
)
WAY = (
    Stop("Source", "analytic_dd.model:Source", "blocks of (X, y, weight)", "fit", "analytic_dd.model:fit_source"),
    Stop(
        "OriginalModel", "analytic_dd.model:OriginalModel", "W, b, ridge, sums", "pose", "analytic_dd.model:problem_of"
    ),
    Stop(
        "Problem",
        "analytic_dd.distill:Problem",
        "W, map, references, range",
        "build, lift",
        "analytic_dd.distill:Construction.build",
    ),
    Stop(
        "DistilledInputs",
        "analytic_dd.distill:DistilledInputs",
        "inputs, labels, ridge",
        "store",
        "analytic_dd.report:distilled_set",
    ),
    Stop(
        "DistilledSet",
        "analytic_dd.io:DistilledSet",
        "arrays, map, meta",
        "certify",
        "analytic_dd.io:DistilledSet.certify",
    ),
    Stop(
        "Certificate",
        "analytic_dd.judge:Certificate",
        "error, bound, verdict",
        "report",
        "analytic_dd.report:store_and_report",
    ),
    Stop("Report", "analytic_dd.report:Report", "what the file shows"),
)


def resolve(where: str) -> object:
    """Return what ``module:name`` names.

    Raises
    ------
    AttributeError, ModuleNotFoundError
        Nothing has this name; the page tells of something that is gone.
    """
    module, _, path = where.partition(":")
    found: object = importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    return found


def part_of(path: Path) -> str:
    """The folder of the package that a file is in, or the file's own name at the top."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def parts() -> dict[str, str]:
    """Every part of the package, with the first line that it says of itself."""
    found = {}
    for path in sorted([*PACKAGE.glob("*.py"), *PACKAGE.glob("*/__init__.py")]):
        if part_of(path) not in ("__init__", "__main__"):
            told = ast.get_docstring(ast.parse(path.read_text())) or ""
            found[part_of(path)] = told.partition("\n")[0].rstrip(":.")
    return found


@functools.cache
def _imported(source: str) -> frozenset[str]:
    """Modules that a file imports anywhere, for types alone as well."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == PACKAGE.name:
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return frozenset(found)


def imports() -> dict[str, set[str]]:
    """For every part the parts that it imports."""
    found: dict[str, set[str]] = {name: set() for name in parts()}
    for path in PACKAGE.rglob("*.py"):
        if part_of(path) in found:
            names = (name.split(".") for name in _imported(path.read_text()))
            found[part_of(path)] |= {name[1] for name in names if name[0] == PACKAGE.name and len(name) > 1}
    return {name: (others & set(found)) - {name} for name, others in found.items()}


def order(graph: Graph) -> list[str]:
    """Parts from the ground up: each after all that it imports, and as low as that allows."""
    height: dict[str, int] = {}
    for name in graphlib.TopologicalSorter(graph).static_order():
        height[name] = 1 + max((height[other] for other in graph[name]), default=0)
    return sorted(graph, key=lambda name: (height[name], name))


def needed(graph: Graph) -> dict[str, set[str]]:
    """The arrows that do not follow from others."""
    below: dict[str, set[str]] = {}
    for name in graphlib.TopologicalSorter(graph).static_order():
        below[name] = graph[name].union(*(below[other] for other in graph[name]))
    return {name: {o for o in others if not any(o in below[b] for b in others)} for name, others in graph.items()}


def _text(x: float, y: float, words: str, *, size: int = 12, style: str = "", anchor: str = "middle") -> str:
    escaped = words.replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{anchor}" {style}>{escaped}</text>'


def _box(x: float, y: float, width: float, height: float, fill: str) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" fill="{fill}" stroke="#44546a"/>'


def _arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    if abs(y1 - y2) < 1.0:
        path = f"M{x1:g},{y1:g} L{x2:g},{y2:g}"
    else:
        middle = (y1 + y2) / 2.0
        path = f"M{x1:g},{y1:g} C{x1:g},{middle:g} {x2:g},{middle:g} {x2:g},{y2:g}"
    return f'<path d="{path}" fill="none" stroke="#8497b0" stroke-width="1.3" marker-end="url(#tip)"/>'


_WIDTH, _MARGIN = 1180.0, 20.0


def _way(y: float) -> list[str]:
    """The nouns in a row, the verbs between them, the doors above."""
    gap = 50.0
    width = (_WIDTH - 2.0 * _MARGIN - gap * (len(WAY) - 1)) / len(WAY)
    drawn = []
    for i, (words, _) in enumerate(DOORS):
        x = _MARGIN + i * 190.0
        drawn += [_box(x, y, 170.0, 26.0, "#fff2cc"), _text(x + 85.0, y + 17.0, words)]
        drawn.append(_arrow(x + 85.0, y + 26.0, _MARGIN + width / 2.0, y + 76.0))
    y += 78.0
    for i, stop in enumerate(WAY):
        x = _MARGIN + i * (width + gap)
        drawn += [
            _box(x, y, width, 58.0, "#deebf7"),
            _text(x + width / 2.0, y + 20.0, stop.noun, size=13, style='font-weight="bold"'),
            *(
                _text(x + width / 2.0, y + 36.0 + 13.0 * j, line, size=10)
                for j, line in enumerate(textwrap.wrap(stop.holds, 18))
            ),
        ]
        if stop.verb:
            drawn += [
                _arrow(x + width, y + 29.0, x + width + gap - 2.0, y + 29.0),
                *(
                    _text(x + width + gap / 2.0, y + 22.0 - 12.0 * (len(words) - 1 - j), word, size=10)
                    for words in [stop.verb.split(" ")]
                    for j, word in enumerate(words)
                ),
            ]
    return drawn


def _tree(y: float, imported: Graph) -> tuple[list[str], float]:
    """Parts in rows, each above all that it imports; the ground is one box below them."""
    graph = {name: others - set(GROUND) for name, others in imported.items() if name not in GROUND}
    height: dict[str, int] = {}
    for name in order(graph):
        height[name] = 1 + max((height[other] for other in graph[name]), default=0)
    top = max(height.values())
    place: dict[str, tuple[float, float]] = {}
    for level in range(1, top + 1):
        row = [name for name in order(graph) if height[name] == level]
        row.sort(key=lambda name: (_mean([place[o][0] for o in graph[name]]), name))
        for i, name in enumerate(row):
            along = 0.7 * (i + 0.5) / len(row) + (0.0, 0.15, 0.3)[level % 3]  # no box right below another
            place[name] = (_MARGIN + along * (_WIDTH - 2.0 * _MARGIN), y + 66.0 * (top - level))
    drawn = [_box(x - 55.0, at, 110.0, 30.0, "#e2f0d9") for x, at in place.values()]
    drawn += [
        _arrow(place[name][0], place[name][1] + 30.0, place[other][0], place[other][1] - 2.0)
        for name, others in needed(graph).items()
        for other in sorted(others)
    ]
    drawn += [_text(x, at + 20.0, name, size=13) for name, (x, at) in place.items()]
    bottom = y + 66.0 * top
    ground = "ground: " + ", ".join(name for name in GROUND if name in imported)
    drawn += [
        _box(_MARGIN, bottom, _WIDTH - 2.0 * _MARGIN, 30.0, "#ededed"),
        _text(_WIDTH / 2.0, bottom + 20.0, ground),
    ]
    return drawn, bottom + 50.0


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else _WIDTH / 2.0


def picture(imported: Graph) -> str:
    """Return the picture as SVG."""
    tree, bottom = _tree(240.0, imported)
    tip = '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:g} {bottom:g}" font-family="sans-serif">',
            f'<defs>{tip}<path d="M0,0 L8,4 L0,8 z" fill="#8497b0"/></marker></defs>',
            f'<rect width="{_WIDTH:g}" height="{bottom:g}" fill="white"/>',
            _text(_MARGIN, 24.0, "The way through the house", size=15, anchor="start"),
            *_way(38.0),
            _text(_MARGIN, 226.0, "The tree: an arrow is an import", size=15, anchor="start"),
            *tree,
            "</svg>\n",
        ]
    )


def page(told: Mapping[str, str], graph: Graph) -> str:
    """Return the page as Markdown."""
    doors = [f"- {words}: `{where}`" for words, where in DOORS]
    way = ["| from | by | to |", "|---|---|---|"]
    for stop, after in itertools.pairwise(WAY):
        way.append(f"| `{stop.where}`: {stop.holds} | {stop.verb}: `{stop.by}` | `{after.where}`: {after.holds} |")
    tree = ["| part | what it is | imports |", "|---|---|---|"]
    for name in reversed(order(graph)):
        others = ", ".join(f"`{other}`" for other in order(graph) if other in graph[name])
        what = told[name].replace("|", "\\|").replace("``", "`")
        tree.append(f"| `{name}` | {what} | {others or 'nothing'} |")
    return "\n".join(
        [
            "# The way through the house, and the tree",
            "",
            "Generated by `python docs/architecture.py` from the package; do not edit.",
            "",
            "![The way through the house, and the tree of packages](architecture.svg)",
            "",
            "## The way",
            "",
            "Every front door makes a source and takes the same way, so all of them choose the same ridge and return",
            "the same set for the same normalised data and seed.",
            "",
            *doors,
            "",
            *way,
            "",
            "## The tree",
            "",
            "A part imports what stands below it and nothing that stands above it. `tests/test_imports.py` says what",
            "each may import, and that no modules import each other in a circle. The picture leaves out arrows that",
            "follow from others. `judge` imports nothing of `distill`: a judge shares no solver with what it judges.",
            "",
            *tree,
            "",
        ]
    )


if __name__ == "__main__":
    (HERE / "architecture.md").write_text(page(parts(), imports()))
    (HERE / "architecture.svg").write_text(picture(imports()))
