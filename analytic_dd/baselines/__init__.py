"""The iterative methods that a distilled set is compared with, which need torch.

``distill(name, dataset)`` runs one. ``optimum`` has the least values of what they minimise (T20), without torch. A
user's own method derives from ``Method``, with options that derive from ``Config``, and ``register`` makes it known;
``analytic-dd bench --methods MODULE:CLASS`` takes it too.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analytic_dd.baselines.methods.driver import BaselineResult, distill
    from analytic_dd.baselines.methods.method import Config, Method
    from analytic_dd.baselines.methods.registry import register

__all__ = ["BaselineResult", "Config", "Method", "distill", "register"]

_PLACES = {
    "BaselineResult": "driver",
    "Config": "method",
    "Method": "method",
    "distill": "driver",
    "register": "registry",
}


def __getattr__(name: str) -> Any:
    """Import torch only where an iterative method is asked for."""
    if name == "optimum":
        return importlib.import_module("analytic_dd.baselines.optimum")
    if name in _PLACES:
        return getattr(importlib.import_module(f"analytic_dd.baselines.methods.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
