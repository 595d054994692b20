"""All checks, and the choice of some of them by id."""

from __future__ import annotations

from collections.abc import Iterable

from proofs_check.ball import features, invertible, losses, maps
from proofs_check.check import STRENGTHS, Check
from proofs_check.converse import counts, fewest, instances, misses, optima, optimisation, sensitivity
from proofs_check.exact import equality
from proofs_check.identity import schwartz_zippel
from proofs_check.implementation import certificate, construction, fitting, futures, networks, realistic
from proofs_check.implementation import losses as losses_of_the_package
from proofs_check.implementation import optima as optima_of_the_package

__all__ = ["CHECKS", "chosen"]


def _place(check: Check) -> tuple[int, str, int]:
    """T2 before T10, then by strength."""
    digits = "".join(c for c in check.theorem if c.isdigit())
    return int(digits), check.theorem, STRENGTHS.index(check.strength)


CHECKS: list[Check] = sorted(
    [
        check
        for module in (
            equality,
            schwartz_zippel,
            features,
            maps,
            invertible,
            losses,
            instances,
            optimisation,
            counts,
            fewest,
            misses,
            optima,
            sensitivity,
            fitting,
            construction,
            realistic,
            certificate,
            losses_of_the_package,
            optima_of_the_package,
            futures,
            networks,
        )
        for check in module.CHECKS
    ],
    key=_place,
)


def chosen(ids: Iterable[str] = ()) -> list[Check]:
    """Return the checks that ``ids`` name: a theorem (T8: T8a to T8e), a strength, T3/exact or T3/exact/both_roots.

    Raises
    ------
    ValueError
        An id that names no check.
    """
    wanted = list(ids)
    for name in wanted:
        if not any(_named(check, name) for check in CHECKS):
            theorems = ", ".join(dict.fromkeys(check.theorem for check in CHECKS))
            raise ValueError(f"unknown id {name!r}; choose from {theorems}, or {', '.join(STRENGTHS)}")
    return [check for check in CHECKS if not wanted or any(_named(check, name) for name in wanted)]


def _named(check: Check, name: str) -> bool:
    family = check.theorem.rstrip("abcde")
    return name in (check.theorem, family, check.strength, check.id) or check.id.startswith(f"{name}/")
