"""The errors and warnings of the package.

Every message says what was wanted, what came (with the number) and what to do. A hypothesis of a theorem that fails is
an :class:`InfeasibleError` that carries the number and the limit, so that a program can act on it.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import warnings
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from types import ModuleType
from typing import Any

__all__ = [
    "DataError",
    "DivergenceError",
    "InfeasibleError",
    "LapackWarning",
    "RangeError",
    "RankWarning",
    "ShapeError",
    "as_whole",
    "did_you_mean",
    "moved",
    "not_whole",
    "optional",
    "shown",
    "unknown_word",
]


def shown(name: object, *, most: int = 60) -> str:
    r"""Return a name that came from a file as it may be printed: no control codes, at most ``most`` characters.

    Examples
    --------
    >>> shown("cat\x1b[2J"), shown("a" * 100, most=5)
    ('cat\\x1b[2J', 'aaaaa...')
    """
    text = str(name)
    plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:most])
    return plain + "..." * (len(text) > most)


class ShapeError(ValueError):
    """An array has the wrong number of axes, or sizes that do not fit together."""


class DataError(ValueError):
    """A data set, an archive or a stored file is missing, damaged, hostile or of another format."""


class DivergenceError(ArithmeticError):
    """An iteration gave a loss that is not finite; the last good state is kept."""


class RangeError(ValueError):
    """A value lies outside the range of a feature map or of an option."""


class InfeasibleError(ValueError):
    """A hypothesis of a theorem does not hold, so that what was asked for does not exist.

    Parameters
    ----------
    message : str
        What was wanted, what came, what to do.
    theorem : str
        The T-number of the theorem whose hypothesis fails.
    value, limit : float
        The number that came and the number that the theorem allows.

    Examples
    --------
    >>> error = InfeasibleError("ridge 2 exceeds 1", theorem="T3", value=2.0, limit=1.0)
    >>> error.theorem, error.value, error.limit
    ('T3', 2.0, 1.0)
    """

    def __init__(self, message: str, *, theorem: str, value: float, limit: float) -> None:
        super().__init__(message)
        self.theorem = theorem
        self.value = float(value)
        self.limit = float(limit)

    def __reduce__(self) -> tuple[Any, ...]:
        state: dict[str, Any] = {"theorem": self.theorem, "value": self.value, "limit": self.limit}
        return functools.partial(InfeasibleError, **state), (str(self),)  # the default passes no keywords


class LapackWarning(UserWarning):
    """A factorisation did not converge, and a slower one took its place."""


class RankWarning(UserWarning):
    """A singular value lies so near the rank cut-off that the rank is a matter of rounding."""


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return ``"; did you mean WORD?"`` with the known word nearest to this one, or nothing where none is near."""
    near = difflib.get_close_matches(str(word), list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def unknown_word(what: str, word: object, known: Iterable[str]) -> str:
    """Return the message for a word that is not one of the known ones.

    Examples
    --------
    >>> unknown_word("mode", "nerest", ["exact", "nearest"])
    "unknown mode 'nerest'; choose from exact, nearest; did you mean nearest?"
    """
    words = list(known)
    return f"unknown {what} {word!r}; choose from {', '.join(words)}{did_you_mean(word, words)}"


def not_whole(text: str) -> str:
    """Return the end of the message for text in the place of an integer; 1e9 is written out.

    Examples
    --------
    >>> not_whole("1e9"), not_whole("2.5")
    ("must be an integer, got '1e9'; write 1000000000", "must be an integer, got '2.5'")
    """
    with suppress(ValueError):
        if abs(float(text)) <= 1e15 and float(text).is_integer():
            return f"must be an integer, got {text!r}; write {int(float(text))}"
    return f"must be an integer, got {text!r}"


def as_whole(text: str) -> int:
    """Return the integer that an argument of a command is.

    Raises
    ------
    argparse.ArgumentTypeError
        In the words of :func:`not_whole`.
    """
    try:
        return int(text)
    except ValueError:
        raise ArgumentTypeError(not_whole(text)) from None


def optional(module: str, package: str, *, extra: str, what: str) -> ModuleType:
    """Import a module of an optional package, or say which extra brings it and what for."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"{package} is needed to {what}; pip install 'analytic-dd[{extra}]'") from error


def moved(old: str, new: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of the module ``old`` of version 0.1: its names as module ``new`` calls them now."""

    def find(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {old!r} has no attribute {name!r}")
        warnings.warn(f"{old}.{name} is {new}.{names[name]} now; import that", DeprecationWarning, stacklevel=3)
        return getattr(importlib.import_module(new), names[name])

    return find
