"""The architecture page and its picture are those of the package as it is."""

import graphlib
import shutil
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
REMEDY = "the package has other parts or imports: run python docs/architecture.py"


@pytest.fixture(scope="module")
def architecture(scripts_as_modules):
    return scripts_as_modules("architecture")["architecture"]


@pytest.fixture(scope="module")
def graph(architecture):
    return architecture.imports()


def reachable(graph):
    """For every part all that can be reached from it; each part is looked at once."""
    found = {}
    for name in graphlib.TopologicalSorter(graph).static_order():
        found[name] = graph[name].union(*(found[other] for other in graph[name]))
    return found


def test_the_page_is_that_of_the_package(architecture, graph):
    same = (DOCS / "architecture.md").read_text() == architecture.page(architecture.parts(), graph)
    assert same, REMEDY


def test_the_picture_is_that_of_the_package(architecture, graph):
    same = (DOCS / "architecture.svg").read_text() == architecture.picture(graph)
    assert same, REMEDY


def test_doors_nouns_and_verbs_exist(architecture):
    named = [where for _, where in architecture.DOORS]
    named += [where for stop in architecture.WAY for where in (stop.where, stop.by) if where]
    assert len(named) >= 16
    assert all(callable(architecture.resolve(where)) for where in named)


def test_a_name_that_is_gone_is_noticed(architecture):
    with pytest.raises(AttributeError, match="Gone"):
        architecture.resolve("analytic_dd.model:Source.Gone")


def test_every_folder_and_file_of_the_package_is_a_part(architecture):
    package = architecture.PACKAGE
    names = {path.name.removesuffix(".py") for path in package.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert set(architecture.parts()) == {name for name in names if not name.startswith("__")}
    assert all(architecture.parts().values())


def test_arrows_that_are_left_out_follow_from_the_others(architecture, graph):
    drawn = architecture.needed(graph)
    assert all(drawn[name] <= graph[name] for name in graph)
    assert reachable(drawn) == reachable(graph)
    assert sum(map(len, drawn.values())) < sum(map(len, graph.values()))


def test_parts_stand_above_what_they_import(architecture, graph):
    order = architecture.order(graph)
    assert all(order.index(other) < order.index(name) for name in graph for other in graph[name])


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("another.py", "import numpy"),
        ("labels/one_hot.py", "from analytic_dd.ridge import weights"),
        ("labels/one_hot.py", "def late():\n    import analytic_dd.ridge.weights"),
        ("labels/one_hot.py", "if TYPE_CHECKING:\n    from analytic_dd import ridge"),
    ],
)
def test_a_new_part_and_a_new_arrow_are_noticed(architecture, graph, monkeypatch, tmp_path, file, line):
    told, copy = architecture.parts(), tmp_path / "analytic_dd"
    shutil.copytree(architecture.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    with (copy / file).open("a") as stream:
        stream.write(f"\n{line}\n")
    monkeypatch.setattr(architecture, "PACKAGE", copy)
    found = architecture.imports()
    assert architecture.page(architecture.parts(), found) != architecture.page(told, graph)
    assert architecture.picture(found) != architecture.picture(graph)
