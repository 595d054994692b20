"""What the command line prints: results on standard output, errors in one line on standard error."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from analytic_dd.errors import DataError, shown
from analytic_dd.flags import in_flags

__all__ = ["complain", "print_result", "reason"]

_LONGEST = 10_000  # characters of a line that is printed


def reason(error: Exception) -> str:
    """Say what went wrong, in one line; an error of the file system names the file."""
    words: object = error.strerror if isinstance(error, OSError) and error.strerror else error
    if isinstance(error, OSError) and error.filename:
        words = f"{error.filename}: {words}"
    return in_flags(" ".join(str(words).split()), of_data=isinstance(error, (DataError, OSError)))


def complain(line: str, status: int) -> int:
    """Print one line on standard error and return the exit status."""
    print(f"analytic-dd: {shown(line, most=_LONGEST)}", file=sys.stderr)
    return status


def print_result(options: argparse.Namespace, content: dict[str, Any], lines: Sequence[str]) -> None:
    """Print the lines, or with --json the content."""
    if options.json:
        from analytic_dd.io import to_json

        print(to_json(content))
    else:
        print("\n".join(shown(part, most=_LONGEST) for line in lines for part in line.split("\n")))
