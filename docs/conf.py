"""Sphinx reads this to build the site:  make docs"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
from pathlib import Path

from docutils import nodes

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
os.environ.setdefault("COLUMNS", "100")  # of the help of the command line

import api  # noqa: E402
import formulas  # noqa: E402

from analytic_dd import __version__  # noqa: E402

project = "analytic_dd"
author = copyright = "The analytic_dd authors"
release = version = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
exclude_patterns = ["_build", "examples", "**/sg_execution_times.rst", "sg_execution_times.rst"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nitpicky = False

numpydoc_show_class_members = False
numpydoc_validation_checks: set[str] = set()
autodoc_typehints = "none"  # numpydoc says the shapes, which types do not
autodoc_member_order = "bysource"
add_module_names = False

html_theme = "alabaster"  # system fonts: a page loads nothing from elsewhere
html_theme_options = {
    "page_width": "1100px",
    "sidebar_width": "270px",
    "fixed_sidebar": True,
    "font_family": "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif",
    "head_font_family": "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif",
    "description": "Dataset distillation in closed form",
}
html_title = "analytic_dd"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False

# MathJax comes with the package sphinx-mathjax-offline: one file that draws formulas as SVG and loads no fonts
_found = importlib.util.find_spec("sphinx-mathjax-offline")
assert _found is not None, "pip install 'analytic-dd[docs]'"
MATHJAX = Path(_found.origin).parent / "static" / "mathjax" / "tex-svg.js"
mathjax_path = "tex-svg.js"

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"plot_",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "min_reported_time": 10,
    "abort_on_example_error": True,
    "show_memory": False,
    "capture_repr": ("_repr_html_",),  # what a block prints is shown, not what its last line returns
    "remove_config_comments": True,
    "show_signature": False,
}


def setup(app) -> None:
    """Write the pages of public names first; turn formulas in plain text into TeX."""
    app.connect("builder-inited", lambda app: api.write(HERE / "api"))
    app.connect("source-read", _read)
    app.connect("doctree-read", _with_unit)
    app.connect("autodoc-process-docstring", _document, priority=1)
    app.connect("autodoc-skip-member", _skip)
    app.connect("build-finished", _copy_mathjax)


def _read(app, name: str, source: list[str]) -> None:
    if name.startswith("theory/T"):  # the page of notation has its formulas in TeX
        source[0] = formulas.page(source[0])


def _with_unit(app, doctree: nodes.document) -> None:
    """Keep a number and its unit on one line, however narrow the page."""
    for text in list(doctree.findall(nodes.Text)):
        if not isinstance(text.parent, nodes.literal | nodes.FixedTextElement | nodes.raw | nodes.math):
            text.parent.replace(text, nodes.Text(re.sub(r"(?<=\d) (?=%|[GM]i?B\b)", "\u00a0", text)))


def _document(app, what, name, value, options, lines: list[str]) -> None:
    lines[:] = formulas.docstring(lines)


def _skip(app, what, name, member, skip, options) -> bool | None:
    """Leave out what scikit-learn's base classes document."""
    return True if (getattr(member, "__module__", None) or "").startswith("sklearn") else None


def _copy_mathjax(app, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        shutil.copy(MATHJAX, Path(app.outdir) / "_static")
