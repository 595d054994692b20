"""The closed form as one more method of the benchmark, with the same maps, seeds, data and results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from analytic_dd.baselines.ledger import Ledger
from analytic_dd.baselines.methods.driver import BaselineResult
from analytic_dd.baselines.methods.kernels import FeatureKernel
from analytic_dd.baselines.methods.method import configured
from analytic_dd.data import Dataset, pixels
from analytic_dd.distill import Construction, chosen
from analytic_dd.distill.words import in_words_of_options
from analytic_dd.features import FeatureMap, check_text
from analytic_dd.losses import glm_weights
from analytic_dd.model import DatasetSource, FitOptions, build_map, distil
from analytic_dd.model.distillation import streams
from analytic_dd.ridge import ridge_weights

__all__ = ["ClosedFormConfig", "closed_form", "closed_form_kernel", "map_named", "weights_of_set"]


@dataclass(frozen=True)
class ClosedFormConfig:
    """Options of the closed form. All but the first three belong to the constructions, which have defaults for None."""

    features: str = "identity"  # a map as the command line names it, such as ``identity`` or ``fcnn``
    # Absolute ridge of the model on all the data, or "loo", "gcv" or "validation"; by default as ``FitOptions`` chooses
    original_ridge: float | str | None = None
    loss: str = "squared"  # "squared", "softmax", "logistic" or "poisson": what that model minimises (T18)
    mode: str = "exact"
    labels: str | None = None
    distilled_ridge: float | None = None
    root: str | None = None
    init: str | None = None
    references: str | None = None
    tau: float | None = None
    box: bool | None = None
    pixels: str | None = None
    pixel_error: float | None = None
    largest_change: float | None = None
    candidates: int | None = None
    bases: int | None = None
    jacobians: str | None = None
    pairs: bool | None = None
    steps: int | None = None
    tolerance: float | None = None
    dimensions: int | None = None

    def __post_init__(self) -> None:
        check_text(self.features)
        self.construction(1).require_loss(self.fit().loss)

    def fit(self) -> FitOptions:
        """Return how the model on all the data is fitted."""
        return FitOptions(ridge=self.original_ridge, loss=self.loss)

    def construction(self, points_per_class: int) -> Construction:
        """Return the construction for a number of points a class."""
        own = asdict(self)
        del own["features"], own["original_ridge"]  # the loss decides which labels are meant
        if points_per_class != 1:
            own["points_per_class"] = points_per_class
        with in_words_of_options():
            return chosen(**own)


def closed_form(
    dataset: Dataset,
    *,
    points_per_class: int = 1,
    seed: int = 0,
    config: ClosedFormConfig | Mapping[str, Any] | None = None,
) -> BaselineResult:
    """Fit ridge regression, or another loss, on the training part and distil it, as ``analytic-dd distill`` does.

    Returns
    -------
    BaselineResult
        ``learned["ridge"]`` is the ridge that the set is exact for. The ledger has the seconds of all that follows the
        reading of the data.

    Examples
    --------
    >>> from analytic_dd import data
    >>> found = closed_form(data.load("digits"))
    >>> found.inputs.shape, found.finished, found.learned["ridge"]
    ((10, 64), True, 0.0)
    """
    options = configured(ClosedFormConfig, config)
    construction, ledger = options.construction(points_per_class), Ledger(steps=1)
    with ledger.timed():
        source = DatasetSource(dataset, centred=construction.labels == "centred")
        found = distil(source, options.features, construction, options.fit(), seed=seed)
    ledger.real_forward = len(dataset.y_train)
    inputs, y = (np.asarray(A, dtype=np.float64) for A in (found.result.inputs, found.result.distilled.labels))
    return BaselineResult(
        inputs=inputs,
        x=pixels(inputs, source.mean, source.std, dataset.image_shape),
        y=y,
        classes_of_points=y.argmax(axis=1),
        method="closed-form",
        config=asdict(options),
        seed=seed,
        device="cpu",
        steps=1,
        finished=True,
        learned={"ridge": float(found.result.distilled.ridge), "original_ridge": float(found.model.ridge)},
        ledger=ledger,
        weights=np.asarray(found.result.weights, dtype=np.float64) if options.loss == "squared" else None,
        features=found.model.feature_map.spec(),
    )


def weights_of_set(result: BaselineResult, phi: FeatureMap) -> np.ndarray:
    """Return the model (k, p) that the set was made for, fitted to it: its loss and its ridge, on its map."""
    Phi, ridge, loss = phi(result.inputs), float(result.learned["ridge"]), result.config.get("loss", "squared")
    if loss == "squared":
        return np.asarray(ridge_weights(Phi, result.y, ridge=ridge))
    return np.asarray(glm_weights(Phi, result.y, loss=loss, ridge=ridge, any_labels=True).weights)


def map_named(text: str, dataset: Dataset, *, seed: int) -> FeatureMap:
    """Return a feature map for a data set, with the parameters that KIP draws for the same text and seed."""
    return build_map(text, DatasetSource(dataset), rng=streams(seed)[0], keeps="blocks")


def closed_form_kernel(result: BaselineResult, dataset: Dataset) -> FeatureKernel:
    """Return the kernel of the map that a set was made with."""
    return FeatureKernel(map_named(result.config["features"], dataset, seed=result.seed))
