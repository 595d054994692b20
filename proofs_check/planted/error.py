"""What a planted error is: a function by name, how it goes wrong, and the test that is meant for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from proofs_check.planted.wrong import Wrong

__all__ = ["Planted", "errors_in"]


@dataclass(frozen=True)
class Planted:
    """One error."""

    error: str  # what is wrong, in words
    at: str  # ``package.module:function`` or ``package.module:Class.method``
    wrong: Wrong  # from the function as it is to the one that takes its place, see :mod:`proofs_check.planted.wrong`
    caught_by: str  # the check or the test that is meant for it
    # Arguments of that test, where it has any that are no fixtures
    given: Mapping[str, Any] = field(default_factory=dict)


def errors_in(module: str, *errors: tuple[Any, ...]) -> list[Planted]:
    """Name the functions of one module: each row is (error, name in the module, wrong, caught_by, given)."""
    return [Planted(error, f"{module}:{name}", *rest) for error, name, *rest in errors]
