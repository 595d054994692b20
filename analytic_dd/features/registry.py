"""Feature maps by name: one decorator registers a map, for the text of the command line and for stored sets.

A map is added in one file, which may lie outside of this package:

    @dataclass(frozen=True)
    class RampOptions(MapOptions):
        steepness: float = option(1.0, "slope of the ramps")

        def build(self, d, *, image_shape, rng, sample):
            return Ramp(d, steepness=self.steepness)

    @register("ramp", RampOptions)
    class Ramp(FeatureMap): ...

Text such as ``ramp:steepness=2`` then builds it wherever a map can be named, and a distilled set that was made with it
is stored and loaded by its :meth:`FeatureMap.spec`.
"""

from __future__ import annotations

import contextlib
import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar, get_args, get_type_hints

import numpy as np

from analytic_dd.arrays import as_weights
from analytic_dd.errors import DataError, did_you_mean, not_whole, unknown_word
from analytic_dd.features.base import FeatureMap
from analytic_dd.features.sizes import Sizes

__all__ = [
    "MapOptions",
    "as_earlier",
    "check_text",
    "describe_spec",
    "from_spec",
    "from_text",
    "option",
    "register",
    "sizes_of_text",
]

_MOST_MAPS = 64  # in a composition that comes from a file
_MOST_NUMBERS = 2**29  # 4 GiB of parameters: more is built by hand and passed
_LONGEST = 200  # characters of a message that come from a file
_LATER = ("architecture",)  # options that files of earlier versions lack


class MapOptions(ABC):
    """What the text of a map may say; a subclass is a frozen dataclass whose fields are the options.

    With ``whole`` all that stands behind the colon is the one option, as it is.
    """

    whole: ClassVar[bool] = False

    def sizes(self, d: int, *, image_shape: tuple[int, ...]) -> Sizes | None:
        """Return the sizes of the map for inputs of size ``d``, where they are known before anything is drawn."""
        return None

    @abstractmethod
    def build(
        self, d: int, *, image_shape: tuple[int, ...], rng: np.random.Generator, sample: np.ndarray | None
    ) -> FeatureMap:
        """Return the map for inputs of size ``d``; see :func:`from_text` for the rest."""


M = TypeVar("M", bound=type[FeatureMap])


@dataclass(frozen=True)
class _Entry:
    """A registered map, with options unless text cannot name it."""

    map: type[FeatureMap]
    options: type[MapOptions] | None


_MAPS: dict[str, _Entry] = {}


def option(default: Any, doc: str) -> Any:
    """Return a field of a :class:`MapOptions` with its default and its line of help."""
    return dataclasses.field(default=default, metadata={"doc": doc})


def register(name: str, options: type[MapOptions] | None = None) -> Callable[[M], M]:
    """Register a subclass of :class:`FeatureMap` under ``name``, with the options that text may give.

    Raises
    ------
    ValueError
        Another class has that name.
    """

    def add(kind: M) -> M:
        taken = _MAPS.get(name)
        if taken is not None and _title(taken.map) != _title(kind):  # the same class again: a cell that is run twice
            raise ValueError(f"the name {name!r} of a feature map is that of {_title(taken.map)}; choose another")
        kind.name = name
        _MAPS[name] = _Entry(kind, options)
        return kind

    return add


def _title(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def from_text(
    text: str,
    d: int,
    *,
    image_shape: tuple[int, ...],
    rng: np.random.Generator,
    sample: np.ndarray | None = None,
    sample_weight: np.ndarray | None = None,
) -> FeatureMap:
    """Build a feature map from ``name`` or ``name:option=value,option=value``.

    Parameters
    ----------
    text : str
        For example ``identity``, ``rff:lengthscale=10``, ``fcnn:depth=3``, ``cnn:channels=3-11-10``; 600-500-400 is one
        number for each layer.
    d : int
        Size of an input vector.
    image_shape : tuple of int
        Shape of an image; convolutions need it.
    rng : numpy.random.Generator
        It draws the map's parameters.
    sample : (s, d) float64 numpy.ndarray, optional
        Training inputs, normalised as the map will see them, for defaults that depend on the data.
    sample_weight : (s,) array, optional
        A weight of 0 leaves a row of ``sample`` out; other weights do not matter here.

    Raises
    ------
    TypeError
        ``text`` is not text.
    ValueError
        The name or an option is unknown (the nearest is suggested), or an option is given twice or has another type.

    Examples
    --------
    >>> from_text("fcnn:depth=2,width=3", 4, image_shape=(2, 2), rng=np.random.default_rng(0)).widths
    [4, 3, 3]
    >>> from_text("fcn", 4, image_shape=(2, 2), rng=np.random.default_rng(0))
    Traceback (most recent call last):
        ...
    ValueError: unknown features 'fcn'; choose from cnn, ...; did you mean fcnn?
    """
    options = _parsed(text)
    if sample is not None and sample_weight is not None:
        kept = as_weights(np.asarray(sample_weight, dtype=np.float64), len(sample)) > 0.0
        if not kept.any():
            raise ValueError(f"a sample of inputs must have a weight > 0, got {len(kept)} weights of 0; leave some out")
        sample = sample[kept]
    return options.build(d, image_shape=image_shape, rng=rng, sample=sample)


def sizes_of_text(text: str, d: int, *, image_shape: tuple[int, ...]) -> Sizes | None:
    """Return the sizes of the map that :func:`from_text` would draw, where they are known before.

    Examples
    --------
    >>> sizes_of_text("fcnn:width=3", 4, image_shape=(2, 2))
    Sizes(d=4, p=3, numbers=15)
    """
    return _parsed(text).sizes(d, image_shape=image_shape)


def check_text(text: str) -> None:
    """Refuse text that :func:`from_text` would refuse for every input: an unknown name or option, a wrong type."""
    _parsed(text)


def _named() -> dict[str, type[MapOptions]]:
    """Return the options of the maps that text can name."""
    return {name: entry.options for name, entry in sorted(_MAPS.items()) if entry.options is not None}


def _parsed(text: str) -> MapOptions:
    """Read text as the options of a map, each of the type that the dataclass declares."""
    if not isinstance(text, str):
        raise TypeError(f"features must be a feature map, or text such as identity or fcnn:depth=2, got {text!r}")
    name, _, rest = text.partition(":")
    named = _named()
    if name not in named:
        raise ValueError(unknown_word("features", name, named))
    if named[name].whole and "=" not in rest:
        return named[name](*([rest] if rest else []))
    types = get_type_hints(named[name])
    known = [field.name for field in dataclasses.fields(named[name])]  # type: ignore[arg-type]
    given: dict[str, Any] = {}
    for pair in rest.split(",") if rest else ():
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier():
            raise ValueError(f"expected option=value, got {pair!r}; for example depth=2")
        if not known:
            raise ValueError(f"features {name!r} have no options, got {key!r}; leave it out")
        if key not in known:
            only = f"only {', '.join(known)}{did_you_mean(key, known)}"
            raise ValueError(f"features {name!r} have no option {key!r}, {only}")
        if key in given:
            raise ValueError(f"features {text!r} name the option {key!r} twice; give it once")
        given[key] = _value(key, value, types[key])
    return named[name](**given)


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
    raise ValueError(f"{key} {not_whole(text)}" if int in kinds else f"{key} must be a number, got {text!r}")


def from_spec(
    spec: Mapping[str, Any], *, d: int | None = None, p: int | None = None, feature_map: FeatureMap | None = None
) -> FeatureMap:
    """Rebuild a feature map from what its :meth:`FeatureMap.spec` returned.

    Nothing is drawn before the sizes that the specification asks for are compared with ``d``, ``p`` and fixed bounds.

    Parameters
    ----------
    spec : mapping
        From a file, which may be damaged or hostile.
    d, p : int, optional
        What the stored arrays have: the sizes of an input and of a feature vector.
    feature_map : FeatureMap, optional
        The map itself, for one that is code and not rebuilt from a file; it must have this specification.

    Raises
    ------
    DataError
        The specification names no known map, its options do not fit it, it has other sizes than the stored arrays or
        exceeds the bounds, or ``feature_map`` is another map.

    Examples
    --------
    >>> from_spec({"map": "identity", "d": 3})
    Identity(d=3)
    >>> from_spec({"map": "identity", "d": 3}, d=4)
    Traceback (most recent call last):
        ...
    analytic_dd.errors.DataError: the stored arrays have d = 4, the feature map 'identity' of the specification has 3; \
the file is damaged
    >>> from_spec({"map": "inn", "image_shape": [6], "blocks": 10**9, "rng": 0})
    Traceback (most recent call last):
        ...
    analytic_dd.errors.DataError: the specification of feature map 'inn' does not fit it: blocks must be at most 1000, \
got 1000000000
    """
    leaves = _flattened(spec)
    if feature_map is not None:
        return _same(feature_map, spec)
    sizes = [_guarded(leaf, lambda kind, options: kind.sizes(**options)) for leaf in leaves]
    _require_sizes(spec, sizes, d, p)
    maps = [_guarded(leaf, lambda kind, options: kind(**options)) for leaf in leaves]
    phi: FeatureMap = maps[0] if spec is leaves[0] else _guarded(spec, lambda kind, options: kind(maps))
    _require_sizes(spec, [Sizes(phi.d, phi.p, 0)], d, p)
    return phi


def _flattened(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the specifications of a plain map, or of all maps of nested compositions in order, without recursion."""
    leaves: list[Mapping[str, Any]] = []
    waiting: list[Any] = [spec]
    for _ in range(_MOST_MAPS + 1):
        if not waiting:
            return leaves
        one = waiting.pop()
        if not isinstance(one, Mapping):
            kind = type(one).__name__
            raise DataError(f"the specification of a feature map must be a mapping with the key map, got {kind}")
        if one.get("map") != "compose":
            leaves.append(one)
            continue
        inner = one.get("maps")
        if not isinstance(inner, (list, tuple)) or not inner:
            raise DataError("the specification of feature map 'compose' must list its maps; the file is damaged")
        waiting.extend(reversed(inner[: _MOST_MAPS + 1]))
    raise DataError(f"a composition from a file must have at most {_MOST_MAPS} feature maps, nested ones too; got more")


def _entry(spec: Mapping[str, Any]) -> _Entry:
    name = spec.get("map")
    if not isinstance(name, str) or name not in _MAPS:
        raise DataError(_cut(f"unknown feature map {name!r} in a specification; known: {', '.join(sorted(_MAPS))}"))
    return _MAPS[name]


def _guarded(spec: Mapping[str, Any], make: Callable[[Any, dict[str, Any]], Any]) -> Any:
    """Call ``make`` with the class and the options of a specification; whatever they do not fit is a DataError."""
    kind, options = _entry(spec).map, {key: value for key, value in spec.items() if key != "map"}
    if kind.is_code:
        raise DataError(f"feature map {kind.name!r} is code, which no file holds; pass the map itself (feature_map=)")
    try:
        return make(kind, options)
    except (TypeError, ValueError, ArithmeticError, AttributeError, LookupError, RecursionError) as error:
        message = _cut(f"the specification of feature map {kind.name!r} does not fit it: {error}")
        raise DataError(message) from error


def _cut(message: str) -> str:
    return message if len(message) <= 2 * _LONGEST else f"{message[:_LONGEST]} ... {message[-_LONGEST:]}"


def _require_sizes(spec: Mapping[str, Any], sizes: list[Sizes | None], d: int | None, p: int | None) -> None:
    """Compare the sizes of the maps of a specification, where they are known, with the arrays and the bounds."""
    first, last = sizes[0], sizes[-1]
    found = {"d": None if first is None else first.d, "p": None if last is None else last.p}
    for letter, wanted in (("d", d), ("p", p)):
        if wanted is not None and found[letter] not in (None, wanted):
            raise DataError(
                f"the stored arrays have {letter} = {wanted}, the feature map {spec['map']!r} of the specification has "
                f"{_cut(str(found[letter]))}; the file is damaged"
            )
    numbers = sum(0 if one is None else one.numbers for one in sizes)
    if numbers > _MOST_NUMBERS:
        raise DataError(
            f"a feature map from a file may have {_MOST_NUMBERS:,} parameters, {spec['map']!r} asks for "
            f"{min(numbers, 10**99):.3g}; build the map and pass it (feature_map=)"
        )


def as_earlier(own: Any, spec: Any) -> Any:
    """Leave out of a map's own specification the options that files of earlier versions lack, where ``spec`` does."""
    if isinstance(own, Mapping) and isinstance(spec, Mapping):
        kept = {key: value for key, value in own.items() if key in spec or key not in _LATER}
        return {key: as_earlier(value, spec.get(key)) for key, value in kept.items()}
    if isinstance(own, list) and isinstance(spec, list) and len(own) == len(spec):
        return [as_earlier(*both) for both in zip(own, spec, strict=True)]
    return own


def _same(feature_map: FeatureMap, spec: Mapping[str, Any]) -> FeatureMap:
    own = as_earlier(feature_map.spec(), spec)
    if own != spec:
        differ = [key for key in sorted({*own, *spec}, key=str) if own.get(key) != spec.get(key)]
        raise DataError(
            _cut(f"the feature map that is passed must be that of the set; it differs in {', '.join(map(str, differ))}")
        )
    return feature_map


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
    leaves = _flattened(spec)
    if len(leaves) == 1:
        return _in_words(leaves[0], f"p = {p}")
    return f"{' then '.join(map(_in_words, leaves))} (p = {p})"


def _in_words(spec: Mapping[str, Any], *more: str) -> str:
    entry, options = _entry(spec), dict(spec)
    widths = options.pop("widths", None)
    if isinstance(widths, (list, tuple)) and widths:
        hidden = {} if set(widths) == {widths[0]} else {"width": widths[1:]}
        options = {"depth": len(widths) - 1} | hidden | options
    known = () if entry.options is None else dataclasses.fields(entry.options)  # type: ignore[arg-type]
    defaults = {field.name: field.default for field in known if field.name not in ("d", "p", "rng", "image_shape")}
    named = [
        _option_in_words(key, value)
        for key, value in options.items()
        if key in defaults and (key == "depth" or value != defaults[key])
    ]
    parts = [*named, *more]
    return f"{entry.map.name} ({', '.join(parts)})" if parts else entry.map.name


def _option_in_words(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return key if value else f"no {key}"
    if isinstance(value, (list, tuple)):
        return f"{key} {'-'.join(map(str, value))}"
    return f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
