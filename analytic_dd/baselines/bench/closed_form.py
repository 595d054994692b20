"""The closed form as one more method of the benchmark: the same maps, seeds, data and result as the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import torch

from analytic_dd.baselines.ledger import Ledger
from analytic_dd.baselines.methods.driver import BaselineResult
from analytic_dd.baselines.methods.kernel_config import KernelConfig, kernel_of
from analytic_dd.baselines.methods.kernels import FeatureKernel
from analytic_dd.baselines.methods.method import configured
from analytic_dd.baselines.methods.task import Task
from analytic_dd.data import Dataset
from analytic_dd.distill.pipeline import choose_references, distill_model, fit_original
from analytic_dd.distill.recipe import Recipe
from analytic_dd.features import FeatureMap, check_text

__all__ = ["ClosedFormConfig", "closed_form", "closed_form_kernel", "map_named"]

_STREAM = 0x636C6F73  # of random numbers


@dataclass(frozen=True)
class ClosedFormConfig:
    """Options of the closed form; all but the first two are those of :class:`analytic_dd.distill.recipe.Recipe`.

    Attributes
    ----------
    features : str
        ``identity``, ``fcnn``, ... as on the command line.
    original_ridge : float or "loo"
        Ridge of the model on all the data, absolute.
    """

    features: str = "identity"
    original_ridge: float | str = "loo"
    labels: str = None  # type: ignore[assignment]  # as the mode has it
    mode: str = "exact"
    ridge: float = 0.0
    root: str = "large"
    init: str = "random"
    references: str = "random"
    tau: float = 0.0
    largest_change: float | None = None

    def __post_init__(self) -> None:
        check_text(self.features)
        self.recipe(1)

    def recipe(self, points_per_class: int) -> Recipe:
        """Return the recipe for a number of points a class."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        del own["features"], own["original_ridge"]
        return Recipe(points_per_class=points_per_class, **own)


def closed_form(
    dataset: Dataset,
    *,
    points_per_class: int = 1,
    seed: int = 0,
    config: ClosedFormConfig | Mapping[str, Any] | None = None,
) -> BaselineResult:
    """Fit ridge regression on the training part and distil it in closed form.

    Returns
    -------
    BaselineResult
        ``learned["ridge"]`` is the ridge that the set is exact for. Its ledger has the seconds of everything after the
        data were read: fitting, choice of the ridge, construction, pre-images.

    Examples
    --------
    >>> from analytic_dd import data
    >>> found = closed_form(data.load("digits"))
    >>> found.inputs.shape, found.finished, found.learned["ridge"]
    ((10, 64), True, 0.0)
    """
    options = configured(ClosedFormConfig, config)
    recipe, rng, ledger = options.recipe(points_per_class), np.random.default_rng([seed, _STREAM]), Ledger(steps=1)
    with ledger.timed():
        phi = map_named(options.features, dataset, seed=seed)
        centred = recipe.labels == "centred"
        model = fit_original(dataset, phi, ridge=options.original_ridge, centred=centred, rng=rng)
        references = choose_references(model, dataset, recipe, rng=rng) if recipe.wants_references else None
        found = distill_model(model, recipe, rng=rng, references=references)
    ledger.real_forward = len(dataset.y_train)
    inputs, y = (np.asarray(A, dtype=np.float64) for A in (found.inputs, found.distilled.labels))
    mean, std = model.mean, model.std
    x = (inputs.reshape(-1, len(mean)) * std + mean).reshape(len(inputs), *dataset.image_shape)
    return BaselineResult(
        inputs=inputs,
        x=x,
        y=y,
        classes_of_points=y.argmax(axis=1),
        method="closed-form",
        config=asdict(options),
        seed=seed,
        device="cpu",
        steps=1,
        finished=True,
        learned={"ridge": float(found.distilled.ridge), "original_ridge": float(model.ridge)},
        ledger=ledger,
    )


def map_named(text: str, dataset: Dataset, *, seed: int) -> FeatureMap:
    """Return a feature map for a data set; its parameters are those that KIP draws for the same text and seed."""
    task = Task.of(dataset, dtype=torch.float64)
    kernel = kernel_of(KernelConfig(features=text), task, seed=seed)
    assert isinstance(kernel, FeatureKernel)
    return kernel.feature_map


def closed_form_kernel(result: BaselineResult, dataset: Dataset) -> FeatureKernel:
    """Return the kernel of the map that a set was made with."""
    return FeatureKernel(map_named(result.config["features"], dataset, seed=result.seed))
