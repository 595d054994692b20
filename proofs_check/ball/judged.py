"""Turn enclosures of what should be zero into a check."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from proofs_check.ball.balls import RADIUS, Balls, enclosure
from proofs_check.check import Check, Outcome, claim_of

__all__ = ["ball_check"]


def ball_check(
    theorem: str, *, instances: int = 4, deep: int = 60
) -> Callable[[Callable[[Balls, bool], Iterator[Any]]], Check]:
    """Make a check of a generator ``body(F, wrong)`` that yields differences which should enclose 0."""

    def register(body: Callable[[Balls, bool], Iterator[Any]]) -> Check:
        def decide(is_deep: bool, negate: bool) -> Outcome:
            widest, count = 0.0, deep if is_deep else instances
            for seed in range(count):
                inside, radius = enclosure(body(Balls(seed), negate))
                widest = max(widest, radius)
                if not inside:
                    why = f"radius above {RADIUS:.0e}" if radius > RADIUS else "0 is not enclosed"
                    return Outcome(False, seed + 1, f"{radius:.0e}", f"seed {seed}: {why}")
            return Outcome(True, count, f"0 +- {widest:.0e}")

        return Check(theorem, "ball", body.__name__, claim_of(body), decide)

    return register
