"""Messages of functions in the words of options; ``distill`` makes constructions of these, the command line flags."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from analytic_dd.distill.construction import Construction, modes

__all__ = ["in_constructions", "in_options", "in_words_of_constructions", "in_words_of_options"]

_WORDS = (  # what a function says, and what is said where a construction calls it
    (r"\b(\d+) (?:points|references) or more", r"points=\1 or more"),
    (r"^m must", "points must"),
    (r"\bfew_features\b", "mode='few'"),
    (r"\bdistill_features\b", "mode='exact'"),
    (r"^T3: ridge ", "T3: distilled_ridge "),
    (
        r"multiply the labels by at least \S+ \(labels\.scale_to_feasible\), use learned labels, or lower the ridge",
        "use labels='learned', or lower distilled_ridge",
    ),
    (
        r"near copies of real inputs \(near_copies\)(?:, or points whose features span the features \(T10\))?|"
        r"points whose features span(?: the features)? \(T10\)",
        "near copies of real inputs, mode='near-copies'",
    ),
    (r"take another x0, a strictly", "take near copies of several images, mode='near-copies', a strictly"),
    (r"form='cos', or learned labels without references", "rff:form=cos, or mode='exact' with labels='learned'"),
    (r"learned labels: minimal_features \(T4\)", "labels='learned' (T4)"),
    (r"pass more references", "take more references, candidates=N"),
    (
        r"Nearest\(\.\.\.\), NearCopies\(\.\.\.\) or OneImage\(\.\.\.\)",
        "mode='nearest', mode='near-copies' or mode='one-image'",
    ),
    (r"bits=16, or a larger error", "pixels='uint16', or a larger pixel_error"),
)


def in_options(message: str) -> str:
    """Return a message of a function in the words of options.

    Examples
    --------
    >>> in_options("T1: 2 points are fewer than rank W = 3; take 3 points or more, or few_features (T7)")
    "T1: 2 points are fewer than rank W = 3; take points=3 or more, or mode='few' (T7)"
    """
    for pattern, words in _WORDS:
        message = re.sub(pattern, words, message)
    return message


@contextmanager
def in_words_of_options() -> Iterator[None]:
    """Let errors of the functions that a construction calls speak of its options; they stay the errors they are."""
    try:
        yield
    except ValueError as error:
        error.args = (in_options(str(error)), *error.args[1:])
        raise


def in_constructions(message: str, construction: Construction) -> str:
    """Return a message in the words of options as one who calls ``distill`` with this construction writes them.

    Examples
    --------
    >>> from analytic_dd.distill import Exact
    >>> in_constructions("take points=3 or more, or mode='few' (T7), or use labels='learned'", Exact())
    'take points=3 or more, or Few(...) (T7), or use Minimal(...)'
    """
    names = {mode: kinds[0].__name__ for mode, kinds in modes().items()} | {
        construction.mode: type(construction).__name__
    }
    message = message.replace("mode='exact' or mode='nearest' with labels='learned'", "Minimal(...) or Nearest(...)")
    message = message.replace("mode='exact' with labels='learned'", "Minimal(...)")
    if type(construction).__name__ == "Exact":
        message = re.sub(r"\b(use|or) labels='learned'", r"\1 Minimal(...)", message)
    return re.sub(r"\bmode='([\w-]+)'", lambda found: f"{names.get(found[1], found[1])}(...)", message)


@contextmanager
def in_words_of_constructions(construction: Construction) -> Iterator[None]:
    """Let errors of the way through the house speak of constructions; they stay the errors they are."""
    try:
        yield
    except ValueError as error:
        error.args = (in_constructions(str(error), construction), *error.args[1:])
        raise
