"""Near copies of one real sample, or of a few, that carry a model, in input space (T9, T22b; T12)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from analytic_dd.distill.construction import (
    Construction,
    one_of,
    option,
    reference_choice,
    register,
    ridge,
    whole_number,
)
from analytic_dd.distill.distilled import DistilledFeatures, DistilledInputs
from analytic_dd.distill.intercept import labels_with_intercept
from analytic_dd.distill.local_span import JACOBIANS, near_copies
from analytic_dd.distill.near_references import needed
from analytic_dd.distill.one_image import one_image_features
from analytic_dd.distill.problem import Problem, References
from analytic_dd.errors import ShapeError

__all__ = ["SERVES", "NearCopies", "OneImage"]

SERVES = (
    "it carries this model on this map, to rounding, and nothing more: another network that is trained on it learns "
    "little beyond what its real samples show; the model stands in low-order bits, which 8 bits a number do not keep"
)
_SERVES_LINE = f"  what it is for: {SERVES}"
_CANDIDATES = 256


def _share(name: str, value: Any) -> None:
    if value is not None and not 0.0 < value < float("inf"):
        raise ValueError(f"{name} must be a fraction > 0 of the range of a pixel, got {value}; leave it out for 0.01")


@dataclass(frozen=True)
class Copies(Construction):
    """Real samples and near copies of them, which it publishes: the options of both constructions here."""

    realistic = True

    labels: str = option(  # type: ignore[misc]
        "learned", "learned, or centred: those of a model trained on centred labels", check=one_of("learned", "centred")
    )
    distilled_ridge: float = option(0.0, "of the distilled set, absolute (default 0)", check=ridge, metavar="FLOAT")
    references: str = option(
        "random", "random, k-means, herding, or a file", check=reference_choice, metavar="CHOICE|FILE"
    )
    # Halving the change doubles the error of W
    largest_change: float | None = option(
        None, "of a pixel, as a fraction of its range (default 0.01)", check=_share, metavar="FRACTION"
    )


@register
@dataclass(frozen=True)
class OneImage(Copies):
    """One real sample and rank W near copies of it, which it publishes.

    Theorem: T9; T12 with an intercept, without a point more. The sample is any one, of any class; pre-images of exact
    steps in feature space are its copies, so that the map must be onto near it, unlike that of :class:`NearCopies`.

    Examples
    --------
    >>> from analytic_dd.distill import References
    >>> from analytic_dd.features import Identity
    >>> one = References(np.arange(4.0)[None, :])
    >>> OneImage().build(Problem(np.eye(2, 4), Identity(4), np.random.default_rng(0), references=one)).inputs.shape
    (3, 4)
    """

    mode = "one-image"
    summary = "one image and near copies of it"

    def count(self, problem: Problem) -> int:
        """Return rank W + 1."""
        return problem.rank + 1

    def references_for(self, k: int) -> int:
        """Return 1."""
        return 1

    @property
    def references_by_class(self) -> bool:
        """Whether the class of the sample matters: it does not."""
        return False

    def for_references(self, m: int, k: int) -> Construction:
        """Return the construction near the one image that the caller gives."""
        return replace(self, references="given")

    def build(self, problem: Problem) -> DistilledInputs:
        """Build the copies, as far from the sample as ``largest_change`` lets them be."""
        references, W, b = needed(problem, self.mode), problem.W, problem.intercept
        if len(references) != 1:
            raise ShapeError(f"mode={self.mode!r} takes one reference, got {len(references)}; pass one row")
        started, x0 = time.perf_counter(), references.inputs
        change = None if self.largest_change is None else self.largest_change * float(np.ptp(x0))
        built = one_image_features(W, problem.feature_map, x0, ridge=self.distilled_ridge, largest_change=change)
        distilled: DistilledFeatures = built
        if b is not None:
            labels = labels_with_intercept(built.features, W, b, ridge=self.distilled_ridge)
            distilled = replace(built, labels=labels, theorem="T12 on T9")
        seconds = {"construction": time.perf_counter() - started, "preimage": 0.0}
        return DistilledInputs(built.inputs, distilled, 1.0, True, seconds, W, b, references=references)

    def facts(self) -> dict[str, Any]:
        """Return its mode and options, and what such a set is for."""
        return super().facts() | {"serves": SERVES}

    def lines(self, content: Mapping[str, Any]) -> list[str]:
        """Return what such a set is for."""
        return [_SERVES_LINE]

    def optimum(self, content: Mapping[str, Any]) -> str:
        """Return the distance of the copies beside the step of T9."""
        ratio = content["realistic"]["predicted_distance_ratio"]
        return "as T9 predicts" if ratio is None or f"{ratio:.3g}" == "1" else f"{ratio:.3g} times what T9 predicts"


@register
@dataclass(frozen=True)
class NearCopies(Copies):
    """A few real samples and near copies of them, for any map with a Jacobian: it need not be onto, p may exceed d.

    Theorem: T22b; T12 with an intercept, without a point more.

    Attributes
    ----------
    references : {"random", "k-means", "herding", "given"}
        The candidates, class by class; the bases are those of them where the features and Jacobians so far are weakest.
    candidates : int
        Number of these samples.
    bases : int
        Least number s of bases; more are taken where the map needs them.
    jacobians : {"auto", "stored", "products"}
        Whether Jacobians and a p x p matrix are stored, or LSMR takes products with them; ``auto`` stores what fits
        into half of the memory.
    pairs : bool
        Pairs  xi +- eps v  of samples of one class for each row of W: 2 s points a class, instead of s (q + 1) in all.

    Examples
    --------
    >>> from analytic_dd.features.function import Function
    >>> rng = np.random.default_rng(0)
    >>> A, W = rng.standard_normal((12, 5)), rng.standard_normal((2, 12))
    >>> phi, real = Function(lambda X: np.tanh(X @ A.T), 5, 12), References(rng.standard_normal((6, 5)))
    >>> NearCopies().build(Problem(W, phi, rng, references=real)).inputs.shape  # 2 bases, 2 near copies of each
    (6, 5)
    """

    mode = "near-copies"
    summary = "a few real images and near copies of them, for any map"

    candidates: int = option(_CANDIDATES, "real images to choose from (default 256)", check=whole_number, metavar="N")
    bases: int = option(1, "least number of real images that are copied (default 1)", check=whole_number, metavar="S")
    jacobians: str = option(
        "auto",
        "stored, or products with them (LSMR: less memory, more time); auto: stored in up to half of the memory",
        check=one_of(*JACOBIANS),
    )
    pairs: bool = option(False, "pairs of images of its own class for each row of W")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bases > self.candidates:
            raise ValueError(
                f"bases={self.bases} are chosen from candidates={self.candidates}; ask for fewer bases, or for more "
                "candidates"
            )

    def size(self, k: int) -> int:
        """Return the least number of points: those of one near copy of each base."""
        return 2 * self.bases

    def count(self, problem: Problem) -> int:
        """Return the number of points, which the map decides: it is built for that."""
        return len(self.build(problem).inputs)

    def references_for(self, k: int) -> int:
        """Return the number of candidates, at least one a class."""
        return max(self.candidates, k)

    def for_references(self, m: int, k: int) -> Construction:
        """Return the construction that chooses among the ``m`` images that the caller gives."""
        return replace(self, references="given", candidates=m)

    def build(self, problem: Problem) -> DistilledInputs:
        """Build the copies; of the candidates, those that became bases are kept as references."""
        references, W, b = needed(problem, self.mode), problem.W, problem.intercept
        started = time.perf_counter()
        if self.pairs and references.classes is None:
            raise ValueError("pairs=True needs the classes of the references; give them (y in an npz file)")
        built = near_copies(
            W,
            problem.feature_map,
            references.inputs,
            ridge=self.distilled_ridge,
            largest_change=0.01 if self.largest_change is None else self.largest_change,
            intercept=b,
            bases=self.bases,
            ranges=None if problem.box is None else problem.box[1] - problem.box[0],
            classes=references.classes if self.pairs else None,
            candidates=len(references),
            jacobians=self.jacobians,
        )
        distilled = built if b is None else replace(built, theorem="T12 on T22b")
        seconds = {"construction": time.perf_counter() - started, "preimage": 0.0}
        roots = _of(references, np.asarray(built.roots))
        return DistilledInputs(built.inputs, distilled, 1.0, True, seconds, W, b, references=roots)

    def facts(self) -> dict[str, Any]:
        """Return its mode and options, and what such a set is for."""
        return super().facts() | {"serves": SERVES}

    def optimum(self, content: Mapping[str, Any]) -> str:
        """Return what decides how far the copies are."""
        return "as far as Newton's method and the bound on a pixel let them be"

    def lines(self, content: Mapping[str, Any]) -> list[str]:
        """Return the number of real images and copies, the condition, and what such a set is for."""
        found = content["diagnostics"]
        real = "rows" if content.get("columns") else "images"
        kind = "2 near copies" if self.pairs else f"{found['copies']} near copies"
        how = "; LSMR with products, as the Jacobians are not stored" if found["jacobians"] == "products" else ""
        return [
            f"  {found['bases']} real {real} and {kind} of each; condition of features and Jacobians "
            f"{found['span_condition']:.2g}{how}",
            _SERVES_LINE,
        ]


def _of(references: References, rows: np.ndarray) -> References:
    """Return the references of these rows, one for each point."""
    classes, samples = references.classes, references.rows
    return References(
        references.inputs[rows],
        None if classes is None else classes[rows],
        None if samples is None else samples[rows],
    )
