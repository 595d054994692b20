"""Near copies of one real sample that carry a model, in input space (T9; T12)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from analytic_dd.distill.construction import REFERENCES, Construction, one_of, option, register, ridge
from analytic_dd.distill.distilled import DistilledFeatures, DistilledInputs
from analytic_dd.distill.intercept import labels_with_intercept
from analytic_dd.distill.near_references import needed
from analytic_dd.distill.one_image import one_image_features
from analytic_dd.distill.problem import Problem
from analytic_dd.errors import ShapeError

__all__ = ["OneImage"]


def _share(name: str, value: Any) -> None:
    if value is not None and not 0.0 < value < float("inf"):
        raise ValueError(f"{name} must be a fraction > 0 of the image's range, got {value}; leave it out for 0.01")


@register
@dataclass(frozen=True)
class OneImage(Construction):
    """One real sample and rank W near copies of it, which it publishes.

    Theorem: T9; T12 with an intercept, without a point more.

    Attributes
    ----------
    labels : {"learned", "centred"}
        ``centred``: learned labels of a model that is trained on centred ones.
    distilled_ridge : float
        lambda_s, absolute.
    references : {"random", "k-means", "herding", "given"}
        Which real sample, of any class.
    largest_change : float, optional
        Of an entry of the copies, as a fraction of the sample's range; default 0.01. Halving it doubles the error of W.

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
    realistic = True

    labels: str = option(  # type: ignore[misc]
        "learned", "learned, or centred: those of a model trained on centred labels", check=one_of("learned", "centred")
    )
    distilled_ridge: float = option(0.0, "of the distilled set, absolute (default 0)", check=ridge, metavar="FLOAT")
    references: str = option(
        "random", "random, k-means, herding, or a file", check=one_of(*REFERENCES), metavar="CHOICE|FILE"
    )
    largest_change: float | None = option(
        None, "of a pixel, relative to the image's range (default 0.01)", check=_share, metavar="FRACTION"
    )

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

    def optimum(self, content: Mapping[str, Any]) -> str:
        """Return the distance of the copies beside the step of T9."""
        ratio = content["realistic"]["predicted_distance_ratio"]
        return "as T9 predicts" if ratio is None or f"{ratio:.3g}" == "1" else f"{ratio:.3g} times what T9 predicts"
