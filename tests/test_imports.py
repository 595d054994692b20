"""Imports point down only, and importing the package is light."""

import ast
import graphlib
import importlib
from pathlib import Path

import pytest

import analytic_dd

ROOT = Path(analytic_dd.__file__).parent

GROUND = {"errors", "arrays", "files", "memory", "staging"}
SIBLINGS = {"ridge", "labels", "features", "data"}  # none imports another
BELOW_DISTILL = GROUND | {"linalg", "losses"} | SIBLINGS
BELOW_MODEL = BELOW_DISTILL | {"cluster", "clock", "distill"}
BELOW_REPORT = BELOW_MODEL | {"judge", "model", "io"}
MAY_IMPORT = {
    "errors": set(),
    "clock": set(),
    "arrays": {"errors"},
    "files": {"errors", "memory"},
    "memory": set(),
    "staging": {"errors", "files"},
    "linalg": GROUND,
    **dict.fromkeys(SIBLINGS, GROUND | {"linalg"}),
    "losses": GROUND | {"linalg"},
    "labels": GROUND | {"linalg", "losses"},
    "cluster": BELOW_DISTILL,
    "distill": BELOW_DISTILL,
    "model": BELOW_MODEL,
    "judge": GROUND,  # shares no solver with what it judges
    "judge/accuracy": GROUND | {"data", "losses", "ridge"},
    "judge/controls": GROUND | {"data", "labels"},
    "export": GROUND,
    "io": GROUND | {"data", "export", "features", "judge", "meta", "plot"},
    "meta": {"errors", "losses"},
    "report": BELOW_REPORT | {"plot", "spectra"},
    "baselines": BELOW_REPORT | {"sheet"},
    "estimator": BELOW_REPORT | {"distiller", "later_samples"},
    "distiller": BELOW_REPORT | {"later_samples", "report"},
    "later_samples": BELOW_REPORT,
    "plot": GROUND | {"sheet"},
    "spectra": GROUND | {"linalg", "sheet"},
    "sheet": GROUND,
    "theorems": set(),
    "progress": set(),
    "cli": BELOW_REPORT | {"flags", "report", "progress", "set_commands", "terminal", "baselines"},
    "set_commands": BELOW_REPORT | {"export", "plot", "report", "spectra", "terminal", "theorems", "baselines"},
    "terminal": GROUND | {"flags", "io"},
    "flags": BELOW_DISTILL | {"baselines", "distill", "export", "__init__"},
    "__main__": {"cli"},
    "__init__": BELOW_REPORT | {"estimator", "one_call", "report"},
    "one_call": BELOW_REPORT | {"report"},
}


def part_of(path):
    """The part of the package that a file belongs to: its folder, its own name at the top, or a file in the table."""
    inside = path.relative_to(ROOT).with_suffix("").as_posix()
    return inside if inside in MAY_IMPORT else inside.split("/")[0]


def parts_imported(source):
    """Parts of analytic_dd that ``source`` imports, at the top or later, as the table names them."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level:
            yield "a relative import"
        elif isinstance(node, ast.ImportFrom) and node.module == "analytic_dd":
            names = (alias.name for alias in node.names)
            yield from (
                name if (ROOT / name).is_dir() or (ROOT / f"{name}.py").is_file() else "__init__" for name in names
            )
        elif isinstance(node, ast.ImportFrom | ast.Import):
            modules = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            yield from (f"{name}.__init__".split(".")[1] for name in modules if name.split(".")[0] == "analytic_dd")


def upward(part, source):
    """What ``source``, a file of ``part``, imports against the direction."""
    return sorted(set(parts_imported(source)) - MAY_IMPORT[part] - {part.split("/")[0]})


def test_imports_point_down():
    found = {str(path.relative_to(ROOT)): upward(part_of(path), path.read_text()) for path in ROOT.rglob("*.py")}
    assert {path: parts for path, parts in found.items() if parts} == {}


@pytest.mark.parametrize(
    ("part", "source", "found"),
    [
        ("linalg", "from analytic_dd.ridge import ridge_weights", ["ridge"]),
        ("labels", "from analytic_dd import features, linalg", ["features"]),
        ("linalg", "if TYPE_CHECKING:\n    from analytic_dd.distill import DistilledFeatures", ["distill"]),
        ("judge", "def f():\n    import analytic_dd.distill.exact", ["distill"]),
        ("judge", "from analytic_dd.linalg.spectrum import thin_svd", ["linalg"]),
        ("distill", "from analytic_dd import certify_recovery", ["__init__"]),
        ("distill", "from ..judge import Certificate", ["a relative import"]),
        ("arrays", "import analytic_dd", ["__init__"]),
        ("estimator", "from analytic_dd.distill.exact import target\nimport numpy", []),
    ],
)
def test_upward_imports_are_noticed(part, source, found):
    assert upward(part, source) == found


def module_of(path):
    """The dotted name of a file; a package is its ``__init__.py``."""
    return ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")


def modules_imported(source, known):
    """Modules among ``known`` that ``source`` imports, at the top, later, or for types alone."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from inner & known
            yield from {node.module} & known if inner - known else ()


def circle(sources):
    """The first circle of modules, {name: source}, that import each other, or nothing."""
    graph = {name: set(modules_imported(source, set(sources))) - {name} for name, source in sources.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def test_no_modules_import_each_other_in_a_circle():
    assert circle({module_of(path): path.read_text() for path in ROOT.rglob("*.py")}) == []


@pytest.mark.parametrize(
    "back",
    [
        "from analytic_dd.linalg import gram",
        "import analytic_dd.linalg.gram",
        "def late():\n    from analytic_dd.linalg.gram import GramStatistics",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from analytic_dd.linalg.gram import GramStatistics",
    ],
)
def test_circles_are_noticed(back):
    one, other, third = (f"analytic_dd.linalg.{name}" for name in ("gram", "files", "spectrum"))
    sources = {one: f"from {other} import write", other: f"import numpy\nimport {third}", third: back}
    assert set(circle(sources)) == {one, other, third}
    assert circle(sources | {third: "import numpy"}) == []


@pytest.fixture(scope="module")
def loaded(modules_after):
    """What a process has loaded that imports the package, then its functions of arrays, then all of its names."""
    names = [name for name in analytic_dd.__all__ if not name.startswith("RidgeDistiller")]
    statements = "import analytic_dd", f"from analytic_dd import {', '.join(names)}", "from analytic_dd import *"
    return dict(zip(("package", "functions", "everything"), modules_after(*statements), strict=True))


def test_importing_the_package_loads_nothing_of_it(loaded):
    assert {name for name in loaded["package"] if name.startswith(("analytic_dd", "numpy", "scipy"))} == {"analytic_dd"}


def test_public_names_are_imported_from_where_they_are_declared():
    declared = {}
    for node in ast.walk(ast.parse(Path(analytic_dd.__file__).read_text())):
        if isinstance(node, ast.ImportFrom) and node.module != "typing":
            declared |= {alias.name: node.module for alias in node.names}
    assert sorted(declared) == sorted(analytic_dd.__all__)
    # A type checker sees the function that the package of this name is, too
    assert declared.pop("distill") == "analytic_dd.one_call"
    for name, home in declared.items():
        assert getattr(analytic_dd, name) is getattr(importlib.import_module(home), name)


def test_functions_of_arrays_load_no_optional_library(loaded):
    assert "analytic_dd.distill.exact" in loaded["functions"]
    optional = "torch jax jaxlib matplotlib PIL.Image flint array_api_strict tqdm dask zarr sklearn scipy.special "
    optional += "scipy.sparse scipy.spatial scipy.stats"
    assert not loaded["functions"] & set(optional.split())


def test_estimators_are_imported_where_they_are_asked_for(loaded):
    assert "sklearn" in loaded["everything"]
    assert "RidgeDistiller" in dir(analytic_dd)
    assert analytic_dd.RidgeDistiller.__module__ == "analytic_dd.estimator"
    with pytest.raises(AttributeError, match="module 'analytic_dd' has no attribute 'Distiller'"):
        _ = analytic_dd.Distiller


def test_the_judge_loads_no_solver_of_the_constructions(modules_after):
    bare = "import types; p = types.ModuleType('analytic_dd'); p.__path__ = [{!r}]; sys.modules['analytic_dd'] = p"
    (found,) = modules_after(bare.format(str(ROOT)) + "; import analytic_dd.judge")
    ours = {name for name in found if name.startswith("analytic_dd.")}
    assert "analytic_dd.judge.certificate" in ours
    assert {name.split(".")[1] for name in ours} <= {"judge", *GROUND}
