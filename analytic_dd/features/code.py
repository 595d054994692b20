"""Objects that a user names as PACKAGE.MODULE:NAME. Nothing that a stored file names is ever imported."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

__all__ = ["imported"]


def imported(path: str, what: str) -> Any:
    """Return the object at PACKAGE.MODULE:NAME; the module may lie in the working directory.

    Raises
    ------
    ValueError
        The module has no such object, or the text has another form; ``what`` says in the message what it should be.

    Examples
    --------
    >>> imported("math:pi", "the number")
    3.141592653589793
    >>> imported("math.pi", "the number")
    Traceback (most recent call last):
        ...
    ValueError: cannot import the number math.pi (no name after a colon); write PACKAGE.MODULE:NAME
    """
    module, colon, name = path.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        if not (module and colon and name):
            raise ValueError("no name after a colon")
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"cannot import {what} {path} ({error}); write PACKAGE.MODULE:NAME") from error
