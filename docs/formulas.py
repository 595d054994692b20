"""Formulas in plain text, as docstrings and theory pages write them, turned into TeX when the pages are built.

``W_s = Y_s^T R_lam(Phi_s)`` is read by people as it stands; :func:`tex` reads it by a small grammar: letters and Greek
names with scripts, functions, brackets, operators and words. What it cannot read raises :class:`NoFormula`, and then
stays code on the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["NoFormula", "display", "docstring", "page", "tex"]

GREEK = "alpha beta gamma delta eps eta theta lam lambda mu nu pi xi rho sigma tau phi psi omega"
GREEK += " Gamma Delta Phi Pi Psi Sigma"
GREEK_TEX = {name: f"\\{name}" for name in GREEK.split()} | {
    "eps": "\\varepsilon",
    "lam": "\\lambda",
    "phi": "\\varphi",
}
OF_SETS = {f"{name}s": f"{GREEK_TEX.get(name, name)}_{{s}}" for name in ("Phi", "X", "Y", "W", "G", "C")}
OF_SETS |= {"ridge": "\\mathrm{ridge}"}
FUNCTIONS = (
    "rank range row col null cond tr diag det span act softmax mean cov sign cos sin tanh exp log min max arccos "
    "argmax relu R2 asinh dim vec rowspace colspace lim inf sup ceil floor Id tail var prox conv"
)
KNOWN = {"cos", "sin", "tanh", "exp", "log", "min", "max", "arccos", "det", "dim", "lim", "inf", "sup"}
WORDS = {"in": "\\in", "iff": "\\iff", "sum": "\\sum", "grad": "\\nabla", "infinity": "\\infty", "inf": "\\infty"}
PROSE = "a all an and at beside by does each else every features for from given has if is its labels means no not"
PROSE += " of on open or other others over reach reaches rows set sum that the then to under weight weights with"
OPERATORS = {
    "<=>": "\\iff", "<=": "\\le", ">=": "\\ge", "<<": "\\ll", ">>": "\\gg", "/=": "\\ne", "!=": "\\ne", "+-": "\\pm",
    "->": "\\to", "<-": "\\leftarrow", "=>": "\\Rightarrow", "...": "\\dots", "..": "\\dots", "~": "\\sim",
    "*": "\\cdot",
    "**": "{*}{*}", "{": "\\{", "}": "\\}", "<": "<", ">": ">", "||": "\\|",
}  # fmt: skip
TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?)|(?P<word>[A-Za-z]+)(?P<index>\d*)(?P<prime>'?)"
    r"|(?P<mark><=>|<=|>=|<<|>>|/=|!=|\+-|->|<-|=>|\.\.\.|\.\.|\*\*|\|\||[-+*/=<>~|(){}\[\]_^,;:.!%]))"
)


STAR = re.compile(r"(?<=[A-Za-z0-9)])\*(?=[\s_^=,;:.)\]]|$)")  # W* is a name; a product has blanks
WIDE = 60  # letters of a displayed line that fit a page


class NoFormula(ValueError):
    """A text that the grammar does not read."""


def tex(text: str, *, prose: bool = True) -> str:
    r"""Return the TeX of a formula in one line.

    Parameters
    ----------
    text : str
    prose : bool
        Whether any words may stand between formulas, as they do in a displayed formula; in a line of text only a few.

    Raises
    ------
    NoFormula
        A character or a word that the grammar does not have, or a bracket without its partner.

    Examples
    --------
    >>> tex("W_s = Y_s^T R_lam(Phi_s)")
    'W_{s} = Y_{s}^{T} R_{\\lambda} ( \\Phi_{s} )'
    >>> tex("analytic_dd/plot.py", prose=False)
    Traceback (most recent call last):
        ...
    formulas.NoFormula: no word of the grammar: analytic
    """
    if "--" in text:
        raise NoFormula(f"a flag is no formula: {text}")
    return _Reader(STAR.sub("^*", text), prose).whole()


class _Reader:
    """A formula, read from the left."""

    def __init__(self, text: str, prose: bool) -> None:
        self.tokens, self.prose, self.at = list(_tokens(text)), prose, 0

    def whole(self) -> str:
        parts = self.until("")
        return " ".join(parts)

    @property
    def token(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1]

    def until(self, end: str) -> list[str]:
        """Read up to a closing bracket, which is taken too."""
        parts: list[str] = []
        while self.token != end:
            if not self.token or self.token in ")]}":
                raise NoFormula(f"a bracket has no other: {' '.join(self.tokens)}")
            parts.append(self.scripted())
        if end:
            self.take()
        return parts

    def scripted(self) -> str:
        """Read an atom with what stands below and above it."""
        base = self.atom()
        scripts = {"_": "", "^": ""}
        while self.token in ("_", "^"):
            kind = self.take()
            if scripts[kind]:  # (A^T)^+ without brackets
                base, scripts = f"{{{base}{_written(scripts)}}}", {"_": "", "^": ""}
            scripts[kind] = self.script()
        written = base + _written(scripts)
        sign = base.startswith("\\operator") and self.token in tuple("+-")  # of two terms, not of the second
        return written + " {}" if sign else written

    def script(self) -> str:
        token = self.token
        if token == "(":
            self.take()
            return " ".join(self.until(")"))
        if token == "-":
            self.take()
            return "-" + self.script()
        if token in ("+", "*"):
            return self.take()
        if token and (token[0].isalnum()):
            self.take()
            return _word(token, script=True, prose=False)
        raise NoFormula(f"no script: {token or 'the end'}")

    def atom(self) -> str:
        token = self.take()
        if token == "sqrt" and self.token == "(":
            self.take()
            return f"\\sqrt{{{' '.join(self.until(')'))}}}"
        if token == "sum" and self.token not in ("_", "(") and self.prose:
            return "\\text{ sum }" if self.token in ("of", "over") else "\\sum"
        if token == "a" and self.prose and self.at > 1 and self.tokens[self.at - 2].isalpha() and _is_text(self.token):
            return "\\text{ a }"  # the article
        if self.prose and re.fullmatch(r"T[1-9]\d*", token):
            return f"\\text{{ {token} }}"  # a theorem
        if self.prose and _is_text(token) and (name := self.name(token)) != token:
            return f"\\texttt{{{name}}}"
        if token in ("_", "^"):
            raise NoFormula(f"a script without a letter: {' '.join(self.tokens)}")
        if token in "([":
            return " ".join([token, *self.until(")" if token == "(" else "]"), ")" if token == "(" else "]"])
        if token == "{":
            return " ".join(["\\{", *self.until("}"), "\\}"])
        if token in ("/", "=", "+", "-", "|", ",", ";", ":", ".", "!"):
            return token + ("\\;" if token in ",;:" else "")
        if token == "%":
            return "\\%"
        if token in OPERATORS:
            return OPERATORS[token]
        return _word(token, script=False, prose=self.prose)

    def name(self, word: str) -> str:
        """Read on to the end of a name of code, merge_sets say; a single letter after a word is its index."""
        while re.match("_ ([A-Za-z]{2,} |[A-Z] |[A-Za-z] _)", " ".join([*self.tokens[self.at : self.at + 3], ""])):
            self.take()
            word += "_" + self.take()
        return word


def _is_text(token: str) -> bool:
    return len(token) > 1 and token.isalpha() and _word(token, script=False, prose=True).startswith("\\text")


def _tokens(text: str) -> Iterator[str]:
    at, text = 0, text.rstrip()
    while at < len(text):
        found = TOKEN.match(text, at)
        if found is None:
            raise NoFormula(f"no sign of the grammar: {text[at:].strip()[:1]}")
        yield found[0].strip()
        at = found.end()


def _written(scripts: dict[str, str]) -> str:
    return "".join(f"{kind}{{{script}}}" for kind, script in scripts.items() if script)


def _word(token: str, *, script: bool, prose: bool) -> str:
    """Return a number, a letter with its index, a Greek letter, a function or a word."""
    if token[0].isdigit():
        digits, _, power = token.replace(",", "{,}").partition("e")
        size = f"10^{{{int(power)}}}" if power else ""
        return size if digits == "1" and power else digits + (" \\cdot " + size if power else "")
    name, index, prime = re.fullmatch(r"([A-Za-z]+)(\d*)('?)", token).groups()  # type: ignore[union-attr]
    after = (f"_{{{index}}}" if index else "") + prime
    if name in GREEK_TEX:
        return GREEK_TEX[name] + after
    if name in OF_SETS:
        return OF_SETS[name]
    if len(name) == 1:
        return name + after
    if name[0] == "d" and name[1:] in GREEK_TEX:
        return f"d{GREEK_TEX[name[1:]]}{after}"
    if name in WORDS and not (prose and name == "in") and not script:
        return WORDS[name]
    if name in FUNCTIONS.split():
        return (f"\\{name}" if name in KNOWN else f"\\operatorname{{{name}}}") + after
    if script or (len(name) == 2 and (name[0] == "d" or name.isupper())):
        return (name if len(name) == 2 else f"\\mathrm{{{name}}}") + after
    if prose or name in PROSE.split():
        return f"\\text{{ {name}{index}{prime} }}"
    raise NoFormula(f"no word of the grammar: {name}")


def display(lines: list[str]) -> str:
    """Return the TeX of a displayed formula: a row for every line, and for parts that two blanks separate a gap.

    A line that is too wide for a page goes on in another row after such a part.
    """
    rows = []
    for line in lines:
        room = 0
        for part in filter(None, re.split(r"(?<=[,;])\s{2,}|\s{3,}", line.strip())):
            written, room = _words(tex(part)), room - len(part)
            if room < 0:
                rows, room = [*rows, written], WIDE - len(part)
            else:
                rows[-1] += " \\qquad " + written
    return rows[0] if len(rows) == 1 else "\\begin{gathered}" + " \\\\ ".join(rows) + "\\end{gathered}"


def _words(formula: str) -> str:
    """Write neighbouring words as one text, and no blank at brackets and at what ends a clause."""
    joined = re.sub(r" \}(\s*)\\text\{ ", " ", formula)
    return re.sub(r"([(\[]) \\text\{ ", r"\1 \\text{", re.sub(r" \} ([]),;:.])", r"} \1", joined))


SPAN = re.compile(r"(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`(?!`)")


def page(text: str) -> str:
    """Return a theory page with its formulas as MyST writes them: indented ones displayed, code that is one in line."""
    out: list[str] = []
    block: list[str] = []
    fenced = False
    for line in [*text.split("\n"), ""]:
        if line.startswith("    ") and not fenced and (block or not out or not out[-1].strip()):
            block.append(line)
            continue
        if block:
            out += _displayed(block)
            block = []
        fenced ^= line.lstrip().startswith("```")
        out.append(line)
    pieces = re.split(r"(^```.*?^```$)", "\n".join(out[:-1]), flags=re.MULTILINE | re.DOTALL)
    return "".join(piece if piece.startswith("```") else _paragraphs(piece) for piece in pieces)


LEFT = re.compile(r"(^(?:#|\||\*Checked|\*Code).*(?:\n(?!\n|\*|#).+)*$)", re.MULTILINE)


def _paragraphs(text: str) -> str:
    """Write the formulas of sentences; headings, tables, links and what stays code are left as they are."""
    lines = re.split(
        r"(^(?:#|\||\*Checked|\*Code).*(?:\n(?!\n|\*|#).+)*$)", SPAN.sub(_in_line, text), flags=re.MULTILINE
    )
    for i in range(0, len(lines), 2):
        parts = re.split(r"(`[^`]*`|\$[^$]*\$|\]\([^)]*\))", lines[i])
        parts[::2] = [sentence(part, "${}$") for part in parts[::2]]
        lines[i] = "".join(parts)
    return "".join(lines)


def sentence(text: str, form: str) -> str:
    r"""Return a text in which formulas that stand in it without any mark are written in a form.

    Examples
    --------
    >>> sentence("Labels exist for lam_s > 0, and a set of k - 1 points does (T5).", "${}$")
    'Labels exist for $\\lambda_{s} > 0$, and a set of $k - 1$ points does (T5).'
    """
    parts = re.split(r"(\s+)", text)
    out, run = [""][:0], [""][:0]
    for word, space in zip(parts[::2], [*parts[1::2], ""], strict=True):
        if not _of_formula(word):
            out, run = [*out, *_closed(run, form), word, space], []
            continue
        if re.search(r"[=<>]\s+\d+\s+$", "".join(run)) and word[0].isalpha():  # at lam = 0 W is
            out, run = [*out, *_closed(run, form)], []
        run += [word, space]
        opened = "".join(run).count("(") > "".join(run).count(")")
        if word[-1] in ".,;:" and not opened:
            out, run = [*out, *_closed(run, form)], []
    return "".join([*out, *_closed(run, form)])


def _of_formula(word: str) -> bool:
    """Whether a word can be part of a formula in a sentence."""
    if not word or re.fullmatch(r"\W?T\d+\w?\W*|[.,;:!]+|.*\w'\w.*|.+\*.*|.*\*.+", word):
        return False
    bare = word.strip(".,;:()[]{}|")
    if bare in PROSE.split() and bare != "a":
        return False
    if bare.isalpha() and bare in (*FUNCTIONS.split(), *WORDS) and bare != "rank":
        return False
    try:
        for each in _tokens(word):
            if each[0].isalpha() and each != "sqrt":
                _word(each, script="_" in word, prose=False)
    except NoFormula:
        return False
    return True


STRONG = re.compile(
    r"[_^=<>]|[A-Za-z]\(|\|.*\||\w [-+/*] \w|\brank \w\b|\b(?:" + "|".join([*GREEK_TEX, *OF_SETS]) + r")\b"
)
PLAIN = ("ridge",)  # words that are no formula alone


def _closed(run: list[str], form: str) -> list[str]:
    """Write a run of words as a formula, if it is one; what cannot begin or end a formula stays outside."""
    if not run:
        return []
    text, before, after = "".join(run), "", ""
    while True:
        found = re.match(r"(\s+|[-+/=<>.,;:]+\s+|a\s)", text)
        if not found and text[:1] in "([" and text.count(text[:1]) > text.count(")]"["([".index(text[:1])]):
            found = re.match(r".", text)
        if not found:
            break
        before, text = before + found[0], text[found.end() :]
    while True:
        found = re.search(r"(\s+|[.,;:]+|\s[-+/=<>]+|\sa)$", text)
        if not found and text[-1:] in tuple(")]") and text.count(text[-1:]) > text.count("(["[")]".index(text[-1:])]):
            found = re.search(r".$", text)
        if not found:
            break
        after, text = found[0] + after, text[: found.start()]
    alone = re.fullmatch(r"[B-HJ-Zb-z]", text) and not before.endswith("(")
    if not text or text in PLAIN or not (alone or STRONG.search(text)):
        return run
    try:
        return [before, form.format(_words(tex(" ".join(text.split()), prose=False))), after]
    except NoFormula:
        return run


def _displayed(block: list[str]) -> list[str]:
    try:
        return ["```{math}", display(block), "```"]
    except NoFormula:
        return block


def _in_line(found: re.Match[str]) -> str:
    try:
        return f"${_words(tex(' '.join(found[1].split()), prose=False))}$"
    except NoFormula:
        return found[0]


TAKEN = {"Parameters", "Returns", "Raises", "Warns", "Attributes", "Yields", "Examples", "Other Parameters"}


def docstring(lines: list[str]) -> list[str]:
    """Return a docstring whose indented formulas are ``math`` and whose bars, stars and underscores are no markup."""
    out: list[str] = []
    section, block = "", [""][:0]
    for number, line in enumerate([*lines, ""]):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if following.strip() and not following.strip("-"):
            section = line.strip()
        formula = line.startswith("    ") and section not in TAKEN and (block or not out or not out[-1].strip())
        if formula and not line.lstrip().startswith((">>>", "...")):
            block.append(line)
            continue
        if block:
            out += _directive(block)
            block = []
        out.append(line if section == "Examples" else _plain(line))
    return out[:-1]


def _directive(block: list[str]) -> list[str]:
    try:
        return [".. math::", "", f"   {display(block)}", ""]
    except NoFormula:
        return ["::", "", *block, ""]


def _plain(line: str) -> str:
    """Escape what reStructuredText would take as markup outside of code."""
    parts = re.split(r"(``.*?``|:\w+:`[^`]*`)", line)
    if not re.match(r"\w[\w, *]* : |\.\.", line):
        parts[::2] = [sentence(part, ":math:`{}`") for part in parts[::2]]
        parts = re.split(r"(``.*?``|:\w+:`[^`]*`)", "".join(parts))
    for i in range(0, len(parts), 2):
        parts[i] = re.sub(r"(?<!\\)\|", r"\\|", parts[i])
        parts[i] = re.sub(r"(?<=\w)_(?=[\s.,;:)]|$)", r"\\_", parts[i])
        parts[i] = re.sub(r"(?<![\\*\w])\*(?=\w+[,)])(?![\w ]+\*)", r"\\*", parts[i])
    return "".join(parts)
