"""Feature maps by name: from a stored specification, or from the command line's short text."""

from __future__ import annotations

import contextlib
import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args, get_type_hints

import numpy as np

from analytic_dd.errors import DataError
from analytic_dd.features.base import FeatureMap
from analytic_dd.features.compose import Compose
from analytic_dd.features.conv import Convolutional
from analytic_dd.features.deep_linear import DeepLinear, NeuralTangent
from analytic_dd.features.dense import FullyConnected
from analytic_dd.features.fourier import RandomFourier
from analytic_dd.features.identity import Identity
from analytic_dd.features.invertible import InvertibleNetwork
from analytic_dd.features.short_names import SHORT_NAMES
from analytic_dd.features.tikhonov import TikhonovScaling

__all__ = ["check_text", "describe_spec", "from_spec", "from_text"]

_MAPS: dict[str, type[FeatureMap]] = {
    phi.name: phi
    for phi in (
        Identity,
        RandomFourier,
        FullyConnected,
        Convolutional,
        InvertibleNetwork,
        DeepLinear,
        NeuralTangent,
        TikhonovScaling,
        Compose,
    )
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
    >>> from_spec({"map": "identity", "p": 3})
    Traceback (most recent call last):
        ...
    analytic_dd.errors.DataError: the specification of feature map 'identity' does not fit it: Identity.__init__() got \
an unexpected keyword argument 'p'
    """
    if not isinstance(spec, Mapping):
        raise DataError(f"the specification of a feature map must be a mapping with the key map, got {spec!r}")
    options = dict(spec)
    name = options.pop("map", None)
    if not isinstance(name, str) or name not in _MAPS:
        raise DataError(f"unknown feature map {name!r} in a specification; known: {', '.join(_MAPS)}")
    try:
        if name == Compose.name:
            options["maps"] = [from_spec(inner) for inner in options.get("maps", ())]
        return _MAPS[name](**options)
    except (TypeError, ValueError) as error:
        raise DataError(f"the specification of feature map {name!r} does not fit it: {error}") from error


def describe_spec(spec: Mapping[str, Any], p: int) -> str:
    """Return a specification in words: the short name, the depth, the options that are no defaults, the features.

    Examples
    --------
    >>> from analytic_dd.features import DeepLinear, FullyConnected, Identity
    >>> describe_spec(FullyConnected([4, 3, 2], activation="tanh", bias=True, rng=0).spec(), 2)
    'fcnn (depth 2, width 3-2, activation tanh, bias, p = 2)'
    >>> describe_spec(DeepLinear([4, 4], rng=0).spec(), 4), describe_spec(Identity(4).spec(), 4)
    ('deep-linear (depth 1, p = 4)', 'identity (p = 4)')
    """
    if spec["map"] == Compose.name:
        names = [_in_words(inner) for inner in spec["maps"]]
        return f"{' then '.join(names)} (p = {p})"
    return _in_words(spec, f"p = {p}")


def _in_words(spec: Mapping[str, Any], *more: str) -> str:
    name, options = spec["map"], dict(spec)
    widths = options.pop("widths", None)
    if widths is not None:
        hidden = {} if set(widths) == {widths[0]} else {"width": widths[1:]}
        options = {"depth": len(widths) - 1} | hidden | options
    known = inspect.signature(SHORT_NAMES[name]).parameters if name in SHORT_NAMES else {}
    named = [
        _option_in_words(key, value)
        for key, value in options.items()
        if key in known
        and key not in ("d", "p", "rng", "image_shape")
        and (key == "depth" or value != known[key].default)
    ]
    parts = [*named, *more]
    return f"{name} ({', '.join(parts)})" if parts else name


def _option_in_words(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return key if value else f"no {key}"
    if isinstance(value, (list, tuple)):
        return f"{key} {'-'.join(map(str, value))}"
    return f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"


def from_text(
    text: str,
    d: int,
    *,
    image_shape: tuple[int, ...],
    rng: np.random.Generator,
    sample: np.ndarray | None = None,
) -> FeatureMap:
    """Build a feature map from text such as ``identity`` or ``fcnn:depth=2,slope=0.1``.

    Parameters
    ----------
    text : str
        A short name, then optionally a colon and ``option=value`` pairs separated by commas:

        ``rff``: p (d), lengthscale (a number, or ``median``: the median distance of ``sample``, the default), kernel,
        nu, form, orthogonal. ``fcnn``: depth (1), width (d), activation, slope, bias, weights.
        ``cnn``: depth (3), channels, stride (such as 3-11-10), size, padding, pool, activation, slope, bias, spread.
        ``inn``: blocks, coupling, hidden, squeeze. ``deep-linear``: depth (2), width (d), bias, weights.
    d : int
        Size of an input vector.
    image_shape : tuple of int
        Shape of an image; convolutions need it.
    rng : numpy.random.Generator
        Draws the map's parameters.
    sample : (s, d) float64 numpy.ndarray, optional
        Training inputs, normalised as the map will see them, for defaults that depend on the data.

    Raises
    ------
    TypeError
        Not text.
    ValueError
        Unknown name or option (the nearest is suggested), an option given twice or of another type.

    Examples
    --------
    >>> from_text("fcnn:depth=2,width=3", 4, image_shape=(2, 2), rng=np.random.default_rng(0)).widths
    [4, 3, 3]
    >>> from_text("fcn", 4, image_shape=(2, 2), rng=np.random.default_rng(0))
    Traceback (most recent call last):
        ...
    ValueError: unknown features 'fcn'; choose from identity, rff, fcnn, cnn, inn, deep-linear; did you mean fcnn?
    """
    build, options = _parsed(text)
    return build(d, image_shape=image_shape, rng=rng, sample=sample, **options)


def check_text(text: str) -> None:
    """Refuse text that :func:`from_text` would refuse for every input: an unknown name or option, a wrong type."""
    _parsed(text)


def _parsed(text: str) -> tuple[Callable[..., FeatureMap], dict[str, Any]]:
    """Split text into what builds the map and its options, each of the type that the builder declares."""
    if not isinstance(text, str):
        raise TypeError(f"features must be a feature map, or text such as identity or fcnn:depth=2, got {text!r}")
    name, _, rest = text.partition(":")
    if name not in SHORT_NAMES:
        hint = _hint(name, SHORT_NAMES)
        raise ValueError(f"unknown features {name!r}; choose from {', '.join(SHORT_NAMES)}{hint}")
    build = SHORT_NAMES[name]
    types = get_type_hints(build)
    known = [key for key in inspect.signature(build).parameters if key not in ("d", "image_shape", "rng", "sample")]
    options: dict[str, Any] = {}
    for pair in rest.split(",") if rest else ():
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier():
            raise ValueError(f"expected option=value, got {pair!r}; for example depth=2")
        if not known:
            raise ValueError(f"features {name!r} have no options, got {key!r}; leave it out")
        if key not in known:
            raise ValueError(f"features {name!r} have no option {key!r}, only {', '.join(known)}{_hint(key, known)}")
        if key in options:
            raise ValueError(f"features {text!r} name the option {key!r} twice; give it once")
        options[key] = _value(key, value, types[key])
    return build, options


def _hint(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _value(key: str, text: str, kind: Any) -> Any:
    """Read an option as its declared type: ``bool``, or the first of int, float and str that fits."""
    kinds = get_args(kind) or (kind,)
    if bool in kinds:
        if text not in ("true", "false"):
            raise ValueError(f"{key} must be true or false, got {text!r}")
        return text == "true"
    for one in (int, float, str):
        if one in kinds:
            with contextlib.suppress(ValueError):
                return one(text)
    raise ValueError(f"{key} must be {'an integer' if int in kinds else 'a number'}, got {text!r}")
