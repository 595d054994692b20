"""Run the code blocks of pages as a reader types them, in the working folder:  python docs/blocks.py PAGE.md ...

Blocks of ``sh`` run in bash; with ``--here`` their lines that are plain calls of analytic-dd run in this process, which
saves its imports. Blocks of ``python`` with ``>>>`` run as doctests, whose names live to the end of the page; one that
begins with ``# NAME.py`` is written to that file. What stands below ``<!-- not run: REASON -->`` is left out.
"""

from __future__ import annotations

import doctest
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Block", "bash", "blocks", "here", "run"]

_BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<why>[^\n]+) -->\n+)?^```(?P<kind>sh|python)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
_FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


@dataclass(frozen=True)
class Block:
    """Code of a page: its kind (sh or python), the line where it begins, and why it is not run, if it is not."""

    kind: str
    code: str
    line: int
    why: str | None


def blocks(text: str) -> Iterator[Block]:
    """Yield the blocks of sh and python of a page, in order."""
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("code")) + 1
        yield Block(found["kind"], found["code"], line, found["why"])


def bash(code: str) -> int:
    """Run lines as a reader types them, to the first that fails."""
    return subprocess.run(["bash", "-euo", "pipefail", "-c", code], check=False).returncode


def here(code: str) -> int:
    """Run lines as :func:`bash` does, but plain calls of analytic-dd in this process."""
    from analytic_dd import cli

    for line in code.replace("\\\n", " ").splitlines():
        plain = line.startswith("analytic-dd ") and not set(line.partition(" #")[0]) & set("|&;<>$`*")
        status = cli.main(shlex.split(line, comments=True)[1:]) if plain else bash(line)
        if status:
            return status
    return 0


def run(page: Path, shell: Callable[[str], int] = bash) -> int:
    """Run the blocks of a page in the working folder, say which fail, and return how many were run.

    Raises
    ------
    SystemExit
        A block failed.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    runner, count = doctest.DocTestRunner(optionflags=_FLAGS), 0
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.why is not None:
            continue
        count += 1
        file = re.match(r"# (\w+\.py)\n", block.code)
        if block.kind == "sh":
            failed = shell(block.code)
        elif file:
            failed = Path(file[1]).write_text(block.code, encoding="utf-8") == 0
        else:
            test = doctest.DocTestParser().get_doctest(block.code, {}, page.name, str(page), block.line - 1)
            if not test.examples:
                raise SystemExit(f"{page.name}, line {block.line}: python without >>> that names no file")
            test.globs = names
            failed = runner.run(test, clear_globs=False).failed
        if failed:
            raise SystemExit(f"{page.name}, line {block.line}: this fails\n{block.code}")
    return count


if __name__ == "__main__":
    sys.path.insert(0, "")
    here_too = "--here" in sys.argv
    for name in sys.argv[1 + here_too :]:
        print(f"{name}: {run(Path(name), here if here_too else bash)} blocks run")
