"""The iterative methods that a distilled set is compared with; their modules need torch."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analytic_dd.baselines.methods.driver import BaselineResult, distill

__all__ = ["BaselineResult", "distill"]


def __getattr__(name: str) -> Any:
    """Import torch only where an iterative method is asked for."""
    if name in ("BaselineResult", "distill"):
        return getattr(importlib.import_module("analytic_dd.baselines.methods.driver"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
