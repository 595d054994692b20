"""Wall seconds by stage, and who is told how far a stage is; the logger ``analytic_dd`` has them at level INFO."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

__all__ = ["Clock", "Listener"]

_LOG = logging.getLogger("analytic_dd")

Listener = Callable[[str, int, int], None]  # stage, done, total


@dataclass
class Clock:
    """Wall seconds by stage; a stage that is entered again adds up.

    Examples
    --------
    >>> clock = Clock()
    >>> with clock("reading"):
    ...     pass
    >>> list(clock.seconds)
    ['reading']
    """

    seconds: dict[str, float] = field(default_factory=dict)  # by stage
    mapped: int = 0  # samples that went through the feature map

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time a block under ``stage``."""
        started = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - started
            self.add(stage, seconds)
            _LOG.info("%s: %.3f s", stage, seconds)

    @contextmanager
    def rest_of(self, stage: str) -> Iterator[None]:
        """Time a block under ``stage``, less what is timed under other names meanwhile."""
        before, started = sum(self.seconds.values()), time.perf_counter()
        try:
            yield
        finally:
            nested = sum(self.seconds.values()) - before
            self.add(stage, time.perf_counter() - started - nested)

    def add(self, stage: str, seconds: float) -> None:
        """Add seconds that were measured elsewhere."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
