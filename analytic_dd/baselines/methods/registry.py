"""The methods by their names. Importing this file imports none of them.

A method of the package is one line here. A user's own method is a class with :func:`register` above it, any subclass
of :class:`Method` that is asked for as ``MODULE:CLASS``, or one that an installed distribution names under the entry
points ``analytic_dd.methods``:

    [project.entry-points."analytic_dd.methods"]
    towards-means = "my_methods:TowardsMeans"
"""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, TypeVar

from analytic_dd.errors import unknown_word
from analytic_dd.features.modules import imported

if TYPE_CHECKING:
    from analytic_dd.baselines.methods.method import Method

__all__ = ["ENTRY_POINTS", "METHODS", "entry_point", "method_type", "methods_of_others", "register"]

ENTRY_POINTS = "analytic_dd.methods"

_HERE = "analytic_dd.baselines.methods"

_M = TypeVar("_M", bound="type[Method]")

METHODS: dict[str, str | type[Method]] = {
    "kip": f"{_HERE}.kip:KernelInducingPoints",
    "label-solve": f"{_HERE}.label_solve:LabelSolve",
    "dc": f"{_HERE}.dc:GradientMatching",
    "dsa": f"{_HERE}.dsa:SiameseAugmentation",
    "dm": f"{_HERE}.dm:DistributionMatching",
    "mtt": f"{_HERE}.mtt:TrajectoryMatching",
    "dd": f"{_HERE}.dd:UnrolledDistillation",
    "ld": f"{_HERE}.ld:LabelDistillation",
    "lgm": f"{_HERE}.lgm:LinearGradientMatching",
    "cafe": f"{_HERE}.cafe:FeatureAlignment",
}


def register(kind: _M) -> _M:
    """Make a method known by its ``name``, as a decorator of its class.

    Raises
    ------
    ValueError
        Another method has that name.
    """
    known = METHODS.get(kind.name, kind)
    if _path(known) != _path(kind):  # a class that a notebook defines again replaces itself
        raise ValueError(f"there is another method with the name {kind.name!r}; give yours a name of its own")
    METHODS[kind.name] = kind
    return kind


def entry_point(name: str) -> type[Method] | None:
    """Return the method that an installed distribution names so, registered, or None."""
    for one in entry_points(group=ENTRY_POINTS, name=name):
        return register(_imported(one.value))
    return None


def method_type(name: str) -> type[Method]:
    """Return the class of a method by its name, or by MODULE:CLASS, which registers it under its own name.

    A name that is not known here is looked for among the entry points of installed distributions.

    Raises
    ------
    ValueError
        There is no such method, or MODULE:CLASS is not one.

    Examples
    --------
    >>> method_type("dm").__name__
    'DistributionMatching'
    >>> method_type("kipp")
    Traceback (most recent call last):
        ...
    ValueError: unknown method 'kipp'; choose from kip, label-solve, dc, ...; did you mean kip?
    """
    found = METHODS.get(name)
    if found is None and ":" in name:
        return register(_imported(name))
    found = entry_point(name) if found is None else found
    if found is None:
        raise ValueError(unknown_word("method", name, METHODS))
    return _imported(found) if isinstance(found, str) else found


def methods_of_others() -> list[str]:
    """Return MODULE:CLASS of each method that is not of this package, by which another process registers it."""
    return [_path(kind) for kind in METHODS.values() if not isinstance(kind, str)]


def _path(kind: str | type[Method]) -> str:
    return kind if isinstance(kind, str) else f"{kind.__module__}:{kind.__qualname__}"


def _imported(path: str) -> type[Method]:
    """Return the class at MODULE:CLASS; a module may lie in the working directory."""
    from analytic_dd.baselines.methods.method import Method

    if path.startswith(_HERE):
        module, _, kind = path.partition(":")
        found = getattr(importlib.import_module(module), kind)
    else:
        found = imported(path, "the method")
    if not (isinstance(found, type) and issubclass(found, Method) and isinstance(getattr(found, "name", None), str)):
        raise ValueError(f"{path} is not a method; derive a class with a name from analytic_dd.baselines.Method")
    return found
