"""Every public name has its page; links of the pages and of the texts in the repository lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

import analytic_dd

ROOT = Path(__file__).parents[2]
TEXTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "proofs_check" / "README.md"]


@pytest.fixture(scope="module")
def api(scripts_as_modules):
    return scripts_as_modules("api")["api"]


@pytest.fixture(scope="module")
def pages(api):
    return api.pages()


@pytest.fixture(scope="module")
def links(scripts_as_modules):
    return scripts_as_modules("links")["links"]


def test_every_public_name_has_a_page(api, pages):
    where = api.places()
    assert len(where) > 200
    for name, value in api.names().items():
        package, _, short = name.rpartition(".")
        if isinstance(value, ModuleType):
            assert value.__name__ in pages
            continue
        assert f":: {where[name]}" in pages[where[name]], name
        assert re.search(rf"^\* :doc:`{short} <{re.escape(where[name])}>`: \S", pages[package], re.MULTILINE), name


def test_every_folder_of_the_package_is_public(api, pages):
    folders = {f"analytic_dd.{path.parent.name}" for path in Path(analytic_dd.__path__[0]).glob("*/__init__.py")}
    assert folders <= set(api.packages())
    assert all(f":doc:`{package}`" in pages["index"] for package in api.packages())


def test_a_new_name_gets_a_page(api, monkeypatch):
    def brand_new() -> None:
        """Do something new."""

    monkeypatch.setattr(analytic_dd, "brand_new", brand_new, raising=False)
    monkeypatch.setattr(analytic_dd, "__all__", [*analytic_dd.__all__, "brand_new"])
    pages = api.pages()
    assert ".. autofunction:: analytic_dd.brand_new" in pages["analytic_dd.brand_new"]
    assert "* :doc:`brand_new <analytic_dd.brand_new>`: Do something new." in pages["analytic_dd"]


def test_pages_of_names_that_are_gone_are_removed(api, tmp_path):
    (tmp_path / "analytic_dd.gone.rst").write_text("gone\n====\n")
    api.write(tmp_path)
    assert not (tmp_path / "analytic_dd.gone.rst").exists()
    assert (tmp_path / "analytic_dd.ridge_weights.rst").exists()


def test_broken_links_and_what_is_loaded_from_elsewhere_are_found(links, tmp_path):
    (tmp_path / "a.html").write_text('<h1 id="top"></h1><a href="b.html#here">b</a><a href="#top">top</a>')
    (tmp_path / "b.html").write_text('<h1 id="here"></h1><a href="https://example.org/no">elsewhere</a>')
    assert links.broken(tmp_path) == []
    (tmp_path / "a.html").write_text('<a href="gone.html"></a><a href="b.html#gone"></a><img src="gone.png">')
    (tmp_path / "b.html").write_text('<script src="https://example.org/x.js"></script>')
    assert sorted(links.broken(tmp_path)) == [
        "a.html: b.html#gone",
        "a.html: gone.html",
        "a.html: gone.png",
        "b.html loads https://example.org/x.js",
    ]


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_of_texts_name_files(text):
    prose = re.sub(r"```.*?```", "", text.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose):
        assert link.startswith("https://") or (text.parent / link).exists(), link
