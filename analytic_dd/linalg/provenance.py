"""What sums were made of: what must agree for two of them to add, and which samples are in them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from analytic_dd.errors import DataError

__all__ = ["Provenance", "SampleRange"]

_MAX_TEXT = 2**24  # characters of JSON that are read from a file


@dataclass(frozen=True, order=True)
class SampleRange:
    """Samples ``start`` to ``stop`` (not included) of a data set.

    Attributes
    ----------
    data, sha256 : str
        Name and content of the data set; together they say which one it is.
    start, stop : int
    shard : str
        Such as ``"3/8"``, for eyes: it is not compared, and is dropped where ranges are joined.
    """

    data: str
    sha256: str
    start: int
    stop: int
    shard: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop:
            raise DataError(f"a range of samples needs 0 <= start < stop, got {self.start} to {self.stop}")

    @property
    def source(self) -> tuple[str, str]:
        """The data set."""
        return self.data, self.sha256


@dataclass(frozen=True)
class Provenance:
    """The facts that must agree between sums that are added, and the samples that they hold.

    Theorem: T13 (sums add under one *fixed* feature map, normalisation and label code).

    Attributes
    ----------
    agree : mapping of str to JSON values
        By name, in words: ``{"feature map": spec, "mean": [...], "std": [...], "labels": "one-hot"}``. Numbers are
        kept exactly (float64 written with 17 digits).
    samples : tuple of SampleRange
        Sorted, disjoint, neighbours joined; empty where parties do not say.

    Examples
    --------
    >>> first = Provenance.of({"mean": [0.5]}, data="digits", sha256="ab", start=0, stop=10)
    >>> first.joined(Provenance.of({"mean": [0.5]}, data="digits", sha256="ab", start=10, stop=15)).count
    15
    >>> first.joined(Provenance.of({"mean": [0.25]}, data="digits", sha256="ab", start=10, stop=15))
    Traceback (most recent call last):
        ...
    analytic_dd.errors.DataError: sums of different mean do not add: [0.5] and [0.25]; make both with the same
    >>> first.joined(first)
    Traceback (most recent call last):
        ...
    analytic_dd.errors.DataError: samples 0 to 10 of 'digits' are in both sums; add each sample once
    """

    agree: Mapping[str, Any]
    samples: tuple[SampleRange, ...] = field(default=())

    def __post_init__(self) -> None:
        try:
            plain = json.loads(json.dumps(dict(self.agree), allow_nan=False, default=_plain))
        except (TypeError, ValueError) as error:
            raise DataError(f"a provenance must hold finite JSON values, got {error}") from error
        object.__setattr__(self, "agree", plain)
        object.__setattr__(self, "samples", _joined_ranges(self.samples))

    @classmethod
    def of(
        cls, agree: Mapping[str, Any], *, data: str, sha256: str, start: int, stop: int, shard: str = ""
    ) -> Provenance:
        """Return the provenance of one range of samples."""
        return cls(agree, (SampleRange(data, sha256, int(start), int(stop), shard),))

    @property
    def count(self) -> int:
        """Number of samples that are named."""
        return sum(part.stop - part.start for part in self.samples)

    def joined(self, other: Provenance) -> Provenance:
        """Return the provenance of the sum.

        Raises
        ------
        DataError
            Feature map, normalisation or label code differ (the first difference is named), or both have a sample.
        """
        self._require_agreement(other)
        return Provenance(self.agree, (*self.samples, *other.samples))

    def without(self, other: Provenance) -> Provenance:
        """Return the provenance after the samples of ``other`` are taken away.

        Raises
        ------
        DataError
            They differ in what must agree; a sample of ``other`` is not among these.
        """
        self._require_agreement(other)
        left = list(self.samples)
        for gone in other.samples:
            holder = next(
                (r for r in left if r.source == gone.source and r.start <= gone.start and gone.stop <= r.stop), None
            )
            if holder is None:
                raise DataError(f"samples {gone.start} to {gone.stop} of {gone.data!r} are not all in the sums")
            left.remove(holder)
            ends = ((holder.start, gone.start), (gone.stop, holder.stop))
            left += [SampleRange(*gone.source, start, stop) for start, stop in ends if start < stop]
        return Provenance(self.agree, tuple(left))

    def _require_agreement(self, other: Provenance) -> None:
        for name in sorted({*self.agree, *other.agree}):
            one, two = self.agree.get(name), other.agree.get(name)
            if one != two:
                place, one, two = _first_difference(name, one, two)
                raise DataError(
                    f"sums of different {place} do not add: {_short(one)} and {_short(two)}; make both with the same"
                )

    def to_json(self) -> str:
        """Return one line of JSON; equal provenances give equal text."""
        value = {"agree": self.agree, "samples": [asdict(part) for part in self.samples]}
        return json.dumps(value, sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Provenance:
        """Read what :meth:`to_json` wrote.

        Raises
        ------
        DataError
            The text is another.
        """
        try:
            if len(text) > _MAX_TEXT:
                raise ValueError(f"{len(text):,} characters")
            value = json.loads(text)
            parts = [SampleRange(**part) for part in value["samples"]]
            known = all(isinstance(p.data, str) and isinstance(p.sha256, str) for p in parts) and all(
                type(bound) is int for p in parts for bound in (p.start, p.stop)
            )
            if not known or not isinstance(value["agree"], dict):
                raise ValueError("a part has the wrong type")
            return cls(value["agree"], tuple(parts))
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise DataError(f"the provenance is not readable ({error}); make the statistics again") from error


def _plain(value: Any) -> Any:
    """numpy numbers and arrays as JSON values."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__}")


def _joined_ranges(samples: Sequence[SampleRange]) -> tuple[SampleRange, ...]:
    found: list[SampleRange] = []
    for part in sorted(samples):
        last = found[-1] if found and found[-1].source == part.source else None
        if last is not None and part.start < last.stop:
            raise DataError(
                f"samples {part.start} to {min(last.stop, part.stop)} of {part.data!r} are in both sums; "
                "add each sample once"
            )
        if last is not None and part.start == last.stop:
            found[-1] = SampleRange(*part.source, last.start, part.stop)
        else:
            found.append(part)
    return tuple(found)


def _first_difference(name: str, one: Any, two: Any) -> tuple[str, Any, Any]:
    """Go down to the option of a specification that differs."""
    if isinstance(one, dict) and isinstance(two, dict):
        for key in sorted({*one, *two}):
            if one.get(key) != two.get(key):
                return _first_difference(f"{name}: {key}", one.get(key), two.get(key))
    return name, one, two


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
