"""Feature maps by name: from a stored specification, or from the command line's short text."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from analytic_dd.errors import DataError
from analytic_dd.features.base import FeatureMap
from analytic_dd.features.identity import Identity

__all__ = ["from_spec", "from_text"]

_MAPS: dict[str, type[FeatureMap]] = {Identity.name: Identity}

# What each short name builds from the size (and shape) of an input; options in the text override these.
_SHORT: dict[str, Callable[..., FeatureMap]] = {
    "identity": lambda d, *, image_shape, rng: Identity(d),
}


def from_spec(spec: Mapping[str, Any]) -> FeatureMap:
    """Rebuild a feature map from what its :meth:`FeatureMap.spec` returned.

    Raises
    ------
    DataError
        The specification names no known map, or its options do not fit it.

    Examples
    --------
    >>> from_spec({"map": "identity", "d": 3})
    Identity(d=3)
    """
    options = dict(spec)
    name = options.pop("map", None)
    if name not in _MAPS:
        raise DataError(f"unknown feature map {name!r} in a specification; known: {', '.join(_MAPS)}")
    try:
        return _MAPS[name](**options)
    except TypeError as error:
        raise DataError(f"the specification of feature map {name!r} does not fit it: {error}") from error


def from_text(text: str, d: int, *, image_shape: tuple[int, ...], rng: np.random.Generator) -> FeatureMap:
    """Build a feature map from text such as ``identity`` or ``fcnn:depth=2,slope=0.1``.

    Parameters
    ----------
    text : str
        A short name, then optionally a colon and ``option=value`` pairs separated by commas.
    d : int
        Size of an input vector.
    image_shape : tuple of int
        Shape of an image; convolutions need it.
    rng : numpy.random.Generator
        Draws the map's parameters.

    Raises
    ------
    ValueError
        Unknown name (the nearest is suggested) or option.
    """
    name, _, rest = text.partition(":")
    if name not in _SHORT:
        near = difflib.get_close_matches(name, _SHORT, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"unknown features {name!r}; choose from {', '.join(_SHORT)}{hint}")
    options = dict(_option(pair) for pair in rest.split(",")) if rest else {}
    try:
        return _SHORT[name](d, image_shape=image_shape, rng=rng, **options)
    except TypeError as error:
        raise ValueError(f"features {text!r}: {str(error).split(') ', maxsplit=1)[-1]}") from error


def _option(pair: str) -> tuple[str, Any]:
    """Split ``key=value``; numbers and true/false become themselves."""
    key, equals, value = pair.partition("=")
    if not equals or not key.isidentifier():
        raise ValueError(f"expected option=value, got {pair!r}; for example depth=2")
    for kind in (int, float):
        try:
            return key, kind(value)
        except ValueError:
            continue
    return key, {"true": True, "false": False}.get(value, value)
