"""Pages of the public names, written from ``__all__`` of the package and of its sub-packages when the site is built.

A name that several packages export has one page, at the first place of :func:`places`; the others point to it.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import pkgutil
import re
from pathlib import Path
from types import ModuleType

import analytic_dd

__all__ = ["names", "packages", "pages", "write"]

MODULES = ("analytic_dd.io", "analytic_dd.plot", "analytic_dd.errors")  # single files that people import from
COMMANDS = ("distill", "verify", "show", "stats", "merge", "data", "bench", "export")


def packages() -> list[str]:
    """Return the package and all that is public below it, the package first."""
    below = [f"analytic_dd.{each.name}" for each in pkgutil.iter_modules(analytic_dd.__path__) if each.ispkg]
    named = [
        value.__name__ for package in below for value in _exported(package).values() if isinstance(value, ModuleType)
    ]
    return ["analytic_dd", *sorted({*below, *named, *MODULES})]


def _exported(package: str) -> dict[str, object]:
    module = importlib.import_module(package)
    return {name: getattr(module, name) for name in module.__all__}


def names() -> dict[str, object]:
    """Return every public name, as ``package.name``, with what it is."""
    found: dict[str, object] = {}
    for package in packages():
        found |= {f"{package}.{name}": value for name, value in _exported(package).items()}
    return found


def places() -> dict[str, str]:
    """Return for every public name the one whose page it has: itself, or the first that is the same object."""
    first: dict[int, str] = {}
    found = {}
    for name, value in names().items():
        if isinstance(value, ModuleType):
            continue
        own = not (inspect.isclass(value) or inspect.isfunction(value))  # equal numbers are not one name
        found[name] = name if own else first.setdefault(id(value), name)
    return found


def pages() -> dict[str, str]:
    """Return the text of every page, by its name without ending."""
    where, text = places(), {}
    for name, place in where.items():
        if name == place:
            text[name] = _page(name, names()[name])
    for package in packages():
        text[package] = _package(package, where)
    text["command-line"] = _command_line()
    text["index"] = _index()
    return text


def write(folder: Path) -> None:
    """Write the pages that changed, and remove those of names that are gone."""
    folder.mkdir(exist_ok=True)
    wanted = {folder / f"{name}.rst": text for name, text in pages().items()}
    for old in set(folder.glob("*.rst")) - set(wanted):
        old.unlink()
    for path, text in wanted.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def _titled(title: str, *paragraphs: str) -> str:
    return "\n\n".join([f"{title}\n{'=' * len(title)}", *paragraphs]) + "\n"


def _page(name: str, value: object) -> str:
    if inspect.isclass(value):
        options = "" if issubclass(value, BaseException) else "\n   :members:\n   :inherited-members: object, Exception"
        return _titled(name.rpartition(".")[2], f".. autoclass:: {name}{options}")
    kind = "autofunction" if inspect.isroutine(value) else "autodata"
    return _titled(name.rpartition(".")[2], f".. {kind}:: {name}")


def _package(package: str, where: dict[str, str]) -> str:
    """A package: what it says of itself, and a list of its names with their first lines."""
    module = importlib.import_module(package)
    everything, rows, own = names(), [], []
    for name in sorted(module.__all__, key=str.lower):
        value, full = everything[f"{package}.{name}"], f"{package}.{name}"
        if isinstance(value, ModuleType):
            rows.append(f"* :doc:`{name} <{value.__name__}>`: {_first_line(value)}")
            continue
        own += [full] if where[full] == full else []
        rows.append(f"* :doc:`{name} <{where[full]}>`: {_first_line(value)}")
    call = ""
    if package == "analytic_dd.distill":
        call = "The package is the function of that name as well:\n\n.. autofunction:: analytic_dd.one_call.distill"
    about = inspect.getdoc(module) or ""
    toctree = "" if not own else ".. toctree::\n   :hidden:\n\n" + "\n".join(f"   {name}" for name in own)
    return _titled(package, about.replace("|", "\\|"), call, "\n".join(rows), toctree)


def _first_line(value: object) -> str:
    if not (inspect.isclass(value) or inspect.isroutine(value) or isinstance(value, ModuleType)):
        return f"``{value!r}``" if isinstance(value, (int, float, str)) else "a constant"
    line = re.sub(r":\w+:`~?([^`]*)`", r"\1", (inspect.getdoc(value) or "").split("\n")[0])
    return line.replace("|", "\\|").replace("*", "\\*").replace("`", "").replace("_ ", "\\_ ")


def _index() -> str:
    rows = [f"* :doc:`{name}`: {_first_line(importlib.import_module(name))}" for name in packages()]
    toctree = ".. toctree::\n   :hidden:\n\n   command-line\n" + "\n".join(f"   {name}" for name in packages())
    return _titled("Public names", "* :doc:`command-line`: every flag.\n" + "\n".join(rows), toctree)


def _command_line() -> str:
    """The help of every command."""
    from analytic_dd.cli import main

    parts = []
    for command in COMMANDS:
        help_text = io.StringIO()
        with contextlib.redirect_stdout(help_text), contextlib.redirect_stderr(io.StringIO()):
            status = main([command, "--help"])
        if status == 0:
            shown = "\n".join(f"   {line}".rstrip() for line in help_text.getvalue().split("\n"))
            parts.append(f"{command}\n{'-' * len(command)}\n\n.. code-block:: text\n\n{shown}")
    return _titled("The command line", *parts)
