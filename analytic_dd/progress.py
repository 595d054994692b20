"""Progress of a run on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

__all__ = ["Progress"]


class Progress:
    """A tqdm bar for each stage, on a terminal only.

    Parameters
    ----------
    quiet : bool
        No bar there either.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet

    def __enter__(self) -> Callable[[str, int, int], None]:
        self._bar: Any = None
        return self._show

    def _show(self, stage: str, done: int, total: int) -> None:
        if self.quiet or not sys.stderr.isatty():
            return
        from tqdm import tqdm

        if self._bar is None or self._bar.desc != stage:
            self.__exit__()
            self._bar = tqdm(total=total, desc=stage, unit=" samples", leave=False)
            self._bar.desc = stage
        self._bar.update(done - self._bar.n)

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
