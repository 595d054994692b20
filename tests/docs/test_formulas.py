"""Formulas in plain text become TeX on the pages, and nothing else does."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted((DOCS / "theory").glob("T*.md"))


@pytest.fixture(scope="module")
def formulas(scripts_as_modules):
    return scripts_as_modules("formulas")["formulas"]


def test_examples_of_the_module_run(formulas):
    failed, tried = doctest.testmod(formulas)
    assert tried > 0
    assert failed == 0


@pytest.mark.parametrize(
    ("text", "tex"),
    [
        ("(D^+)^T", "( D^{+} )^{T}"),
        ("A^T^+", "{A^{T}}^{+}"),
        ("lam_max <= 1 / (4 |D|_2^2)", r"\lambda_{\max} \le 1 / ( 4 | D |_{2}^{2} )"),
        ("sqrt(1 - 4 lam t^2)", r"\sqrt{1 - 4 \lambda t^{2}}"),
        ("W_(t+1) = W_t - eta g", r"W_{t + 1} = W_{t} - \eta g"),
        (
            "below, the weights are a saddle",
            r"\text{ below } ,\; \text{ the } \text{ weights } \text{ are } \text{ a } \text{ saddle }",
        ),
        ("Q1 /= Phis", r"Q_{1} \ne \Phi_{s}"),
        ("W_s* F = W*^T", r"W_{s}^{*} F = {W^{*}}^{T}"),
        ("N a basis by T4", r"N \text{ a } \text{ basis } \text{ by } \text{ T4 }"),
        ("merge_sets of error_l", r"\texttt{merge_sets} \text{ of } \text{ error }_{l}"),
        ("eps >= 2.2e-16", r"\varepsilon \ge 2.2 \cdot 10^{-16}"),
    ],
)
def test_formulas_keep_their_scripts_and_brackets(formulas, text, tex):
    assert formulas.tex(text) == tex


def test_a_displayed_line_goes_on_where_the_page_ends(formulas):
    assert formulas.display(["A = B,  C = D"]) == r"A = B ,\; \qquad C = D"
    assert formulas.display([f"A = B,  {'+ x ' * 12},  sum: y"]).count(r"\\") == 1


@pytest.mark.parametrize("text", ["points_per_class", "analytic_dd/io.py", 'run "T1"', "(W", "W)", "_s", "--ridge 0"])
def test_code_is_no_formula(formulas, text):
    with pytest.raises(formulas.NoFormula):
        formulas.tex(text, prose=False)


@pytest.mark.parametrize(
    "text",
    ["A set of a few points, I say, is a set.", "See T4', T8e and (T5).", "W's rows", "one-hot labels of 10 classes"],
)
def test_sentences_without_formulas_stay(formulas, text):
    assert formulas.sentence(text, "<{}>") == text


def test_formulas_end_where_sentences_do(formulas):
    assert formulas.sentence("At lam = 0 W is it; (k - 1) points.", "<{}>") == (
        r"At <\lambda = 0> <W> is it; <( k - 1 )> points."
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_displayed_formula_of_the_theory_is_read(formulas, page):
    text = formulas.page(page.read_text())
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert not re.findall(r"^    \S.*$", prose, re.MULTILINE)
    for mark in re.finditer(r"^[-+*] ", prose, re.MULTILINE):  # at the start of a line a minus makes an item of a list
        assert prose[prose.rfind("\n\n", 0, mark.start()) : mark.start()].count("`") % 2 == 0, prose[mark.start() :][
            :60
        ]
    for formula in [*re.findall(r"```\{math\}\n(.*?)\n```", text, re.DOTALL), *re.findall(r"\$([^$]+)\$", prose)]:
        assert formula.count("{") == formula.count("}"), formula
    assert re.findall(r"```python.*?```", text, re.DOTALL) == re.findall(
        r"```python.*?```", page.read_text(), re.DOTALL
    )


def test_a_docstring_escapes_what_would_be_markup(formulas):
    lines = ["Norm |x| of coef_, (m, *shape).", "", "    |W_s - W|^2 = 0", "", "Examples", "--------", ">>> 1 | 2", "3"]
    assert formulas.docstring(lines) == [
        r"Norm :math:`| x |` of coef\_, (m, \*shape).",
        "",
        ".. math::",
        "",
        "   | W_{s} - W |^{2} = 0",
        "",
        "",
        *lines[4:],
    ]
