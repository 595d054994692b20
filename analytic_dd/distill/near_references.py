"""The exact set nearest to real samples, in input space (T6, T6b, Box; T12)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from analytic_dd.distill.construction import Sized, not_negative, one_of, option, reference_choice, register, ridge
from analytic_dd.distill.distilled import DistilledInputs
from analytic_dd.distill.integers import Pixels, integers_near
from analytic_dd.distill.into_range import into_range
from analytic_dd.distill.learned_labels import with_learned_labels
from analytic_dd.distill.nearest_to_references import nearest_to_references
from analytic_dd.distill.problem import Problem, References
from analytic_dd.errors import InfeasibleError
from analytic_dd.labels import centred_one_hot, one_hot
from analytic_dd.linalg import row_basis
from analytic_dd.losses import LOSSES

__all__ = ["Nearest", "needed"]

_TOP = {"bytes": 255, "uint16": 65535}  # the largest level


def _fraction(name: str, value: float) -> None:
    """Accept numbers between 0 and 1."""
    if not 0.0 < value < 1.0:
        raise ValueError(f"{name} must lie between 0 and 1, got {value}; it is relative to |W|")


@register
@dataclass(frozen=True)
class Nearest(Sized):
    """Of all exact sets the one whose features are nearest to those of real samples, which it publishes.

    Learned labels are those of T4 on the features of the inputs as they are; of another loss than the squared one those
    of T18a, for the same points.

    Theorem: T6, T6b (fixed labels), Box, T24 (integers), T18a (other losses); T12 with an intercept, without a point
    more.

    Attributes
    ----------
    points_per_class, points : int
        As many as references, at least rank W (one more with an intercept).
    labels : {"learned", "one-hot", "centred"}
    distilled_ridge : float
        lambda_s, absolute; 0 for fixed labels.
    references : {"random", "k-means", "herding", "given"}
        Which real samples, see :mod:`analytic_dd.distill.reference_choice`; ``given``: the caller's.
    tau : float
        0 is the nearest set, 0.1 to 1 a better conditioned one; learned labels only.
    box : bool
        Move the set into the range of the pixels, with one point more; learned labels only.
    pixels : {"float", "bytes", "uint16"}
        Integers of 8 or 16 bits in the place of numbers, x = low + step * level: near the set and with W up to
        ``pixel_error`` (T24); the identity map and learned labels only, more points than rank W.
    pixel_error : float
        The part of W, relative, that integers may miss.

    Examples
    --------
    >>> from analytic_dd.features import FullyConnected
    >>> from analytic_dd.ridge import ridge_weights
    >>> rng = np.random.default_rng(0)
    >>> W, phi, real = np.eye(2, 4), FullyConnected([5, 4], rng=0), References(rng.standard_normal((3, 5)))
    >>> built = Nearest(distilled_ridge=0.1).build(Problem(W, phi, rng, references=real))
    >>> Ws = ridge_weights(phi(built.inputs), built.distilled.labels, ridge=0.1)
    >>> bool(np.allclose(Ws, W, atol=1e-12)), built.inputs.shape
    (True, (3, 5))
    >>> Nearest().build(Problem(W, phi, rng))
    Traceback (most recent call last):
        ...
    ValueError: mode='nearest' needs references, got none; give real inputs (m, d)
    """

    mode = "nearest"
    summary = "near real samples"
    realistic = True
    losses = tuple(LOSSES)

    labels: str = option(  # type: ignore[misc]
        "learned", "learned, one-hot or centred", check=one_of("learned", "one-hot", "centred"), metavar="KIND"
    )
    distilled_ridge: float = option(0.0, "of the distilled set, absolute (default 0)", check=ridge, metavar="FLOAT")
    references: str = option(
        "random", "random, k-means, herding, or a file", check=reference_choice, metavar="CHOICE|FILE"
    )
    tau: float = option(0.0, "0.1 to 1 for a better condition (default 0)", check=not_negative, metavar="T")
    box: bool = option(False, "move pixels into their range, with one point more")
    pixels: str = option(
        "float", "float, bytes or uint16: integers that carry W (T24)", check=one_of("float", *_TOP), metavar="KIND"
    )
    pixel_error: float = option(
        1e-4, "of W, which integers may miss: less takes larger changes (default 1e-4)", check=_fraction, metavar="E"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pixels != "float" and self.box:
            raise ValueError(f"pixels={self.pixels!r} have a range of their own (T24), got box=True; leave out the box")
        if self.labels == "learned":
            return
        if self.distilled_ridge > 0.0:
            raise ValueError(
                f"a nearest set with fixed labels has distilled ridge 0 (T6b), got {self.distilled_ridge:.3g}; use "
                "labels='learned', or distilled_ridge=0"
            )
        for name, given in (("tau", self.tau > 0.0), ("box", bool(self.box)), ("pixels", self.pixels != "float")):
            if given:
                raise ValueError(
                    f"{name} is for learned labels (T6), got labels={self.labels!r}; leave one of them out"
                )

    def count(self, problem: Problem) -> int:
        """Return the number of references, and one more for a box."""
        return (self.size(problem.k) if problem.references is None else len(problem.references)) + bool(self.box)

    def references_for(self, k: int) -> int:
        """Return one for each point."""
        return self.size(k)

    def build(self, problem: Problem) -> DistilledInputs:
        """Build the nearest features, then take the pre-images nearest to the references."""
        references, W, b = needed(problem, self.mode), problem.W, problem.intercept
        box, phi = self._box(problem), problem.feature_map
        started = time.perf_counter()
        Phi_ref, Ys = phi(references.inputs), self._fixed_labels(references, problem.k)
        built = nearest_to_references(W, Phi_ref, b=b, ridge=self.distilled_ridge, labels=Ys, tau=self.tau, box=box)
        constructed = time.perf_counter()
        near = references.inputs if len(built) == len(references) else None  # a box has one point more
        learned = Ys is None
        inputs, c = into_range(phi, built.features, near, by_rows=learned and b is None)
        actual = phi(inputs)
        if learned:
            distilled = with_learned_labels(built, actual, W, b, loss=problem.loss)
        elif b is not None and c.min() != 1.0:
            raise _no_scaling(float(c.min()))
        else:
            distilled = replace(built, features=actual, labels=c[:, None] * built.labels)
        result = DistilledInputs(
            inputs=inputs,
            distilled=distilled,
            scale=1.0 if learned else float(c[0]),
            polished=learned,
            seconds={"construction": constructed - started, "preimage": time.perf_counter() - constructed},
            weights=W,
            intercept=b,
            references=references,
            row_scale=(float(c.min()), float(c.max())) if learned else (1.0, 1.0),
        )
        return result if self.pixels == "float" else self._in_integers(problem, result)

    def _in_integers(self, problem: Problem, near: DistilledInputs) -> DistilledInputs:
        """Put integers in the place of the pixels; the set then reproduces the part of W that they carry."""
        if not problem.feature_map.is_identity:
            raise InfeasibleError(
                f"T24: integers carry W for features that are pixels, got {problem.feature_map.name}; use "
                "features='identity', or pixels='float'",
                theorem="T24",
                value=0.0,
                limit=1.0,
            )
        W, b, started = problem.W, problem.intercept, time.perf_counter()
        pixels = Pixels(near.inputs, problem.mean, problem.std, about_mean=b is not None)
        found = integers_near(W, pixels, top=_TOP[self.pixels], wanted=self.pixel_error)
        inputs = pixels.inputs(found.values)
        rows = row_basis(pixels.centred(inputs))
        kept = (W @ rows.T) @ rows
        distilled = with_learned_labels(near.distilled, inputs, kept, b, loss=problem.loss)
        distilled = replace(distilled, theorem="T24", relative_error=found.error)
        seconds = near.seconds | {"integers": time.perf_counter() - started}
        return replace(
            near,
            inputs=inputs,
            distilled=distilled,
            weights=kept,
            seconds=seconds,
            integers=found,
            row_scale=(1.0, 1.0),
        )

    def lines(self, content: Mapping[str, Any]) -> list[str]:
        """Say what integers miss of W, and how far their levels are from the exact pixels."""
        if self.pixels == "float":
            return []
        facts = content["integers"]
        return [
            f"  pixels are {self.pixels}, x = {facts['low']:.8g} + {facts['step']:.8g} level: they miss W by "
            f"{facts['error']:.1e}, plain rounding to the same levels by {facts['rounding_error']:.1e} (T24)",
            f"  no level is further than {facts['largest_change']:.3g} from that of the exact set",
        ]

    def _fixed_labels(self, references: References, k: int) -> np.ndarray | None:
        if self.labels == "learned":
            return None
        if references.classes is None:
            raise ValueError(
                f"labels={self.labels!r} need the classes of the references, got references alone; give their classes "
                "(y in an npz file), or use labels='learned'"
            )
        return np.asarray((centred_one_hot if self.labels == "centred" else one_hot)(references.classes, k))

    def _box(self, problem: Problem) -> tuple[np.ndarray, np.ndarray] | None:
        if not self.box:
            return None
        if not problem.feature_map.is_identity:
            raise InfeasibleError(
                "Box: features must be pixels for the points to be moved into the pixels' range, got "
                f"{problem.feature_map.name}; use features='identity', or leave out the box",
                theorem="Box",
                value=0.0,
                limit=1.0,
            )
        if problem.box is None:
            raise ValueError("box needs the range of the pixels; pass box=(lower, upper), see pixel_box")
        return problem.box

    def optimum(self, content: Mapping[str, Any]) -> str:
        """Return the distance of the features beside the least possible, and what kept it from that."""
        ratio, theorem = content["realistic"]["predicted_distance_ratio"], "T6" if self.labels == "learned" else "T6b"
        if ratio is not None and f"{ratio:.4g}" == "1":
            return f"the least possible ({theorem})"
        scaled = tuple(content["row_scale"]) != (1.0, 1.0) or content["label_scale"] != 1.0
        given = {"tau": self.tau > 0.0, "the box": self.box, "the limits of the map's range": scaled}
        given["integers"] = self.pixels != "float"
        reasons = " and ".join(name for name, there in given.items() if there)
        without = f" without {reasons}" if reasons else ""
        if ratio is None:
            return f"0 is possible{without} ({theorem})"
        return f"{ratio:.3g} times the least possible{without} ({theorem})"


def needed(problem: Problem, mode: str) -> References:
    """Return the references of a problem, which this mode cannot do without."""
    if problem.references is None:
        raise ValueError(f"mode={mode!r} needs references, got none; give real inputs (m, d)")
    return problem.references


def _no_scaling(c: float) -> InfeasibleError:
    return InfeasibleError(
        f"T12: features scaled by {c:.3g} into the range of the map change the intercept of fixed labels; use "
        "labels='learned'",
        theorem="T12",
        value=c,
        limit=1.0,
    )
