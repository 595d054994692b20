"""What the classifier and the regressor share: their parameters, the fit and distillation, the fitted attributes."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, check_is_fitted, check_random_state, validate_data

from analytic_dd.clock import Clock
from analytic_dd.distill.construction import Construction, chosen, options
from analytic_dd.distill.words import in_words_of_options
from analytic_dd.io import DistilledSet
from analytic_dd.judge import worst
from analytic_dd.judge.stored import certificates_of
from analytic_dd.later_samples import LaterSamples, plain
from analytic_dd.model import ArraySource, Distillation, FitOptions, Memory, Origin, distil
from analytic_dd.report.assembly import distilled_set

__all__ = ["Distiller"]

_ROWS = 4096  # samples mapped at a time


class Distiller(LaterSamples, BaseEstimator):
    """Fit ridge regression in feature space, then distil it; shared by classifier and regressor."""

    _intercept_by_default: ClassVar[bool] = False

    def __init__(
        self,
        features: Any = "identity",
        *,
        points_per_class: int = 1,
        labels: str | None = None,
        mode: str = "exact",
        loss: str = "squared",
        ridge: float | str | Sequence[float] | None = None,
        distilled_ridge: float = 0.0,
        points: int | None = None,
        root: str = "large",
        init: str = "random",
        references: Any = "random",
        tau: float = 0.0,
        box: bool = False,
        pixels: str = "float",
        pixel_error: float = 1e-4,
        largest_change: float | None = None,
        candidates: int = 256,
        bases: int = 1,
        jacobians: str = "auto",
        pairs: bool = False,
        steps: int = 10,
        tolerance: float | None = None,
        dimensions: int = 10,
        fit_intercept: bool | None = None,
        tikhonov: Any = None,
        solver: str = "auto",
        random_state: Any = None,
    ) -> None:
        self.features = features
        self.points_per_class = points_per_class
        self.labels = labels
        self.mode = mode
        self.loss = loss
        self.ridge = ridge
        self.distilled_ridge = distilled_ridge
        self.points = points
        self.root = root
        self.init = init
        self.references = references
        self.tau = tau
        self.box = box
        self.pixels = pixels
        self.pixel_error = pixel_error
        self.largest_change = largest_change
        self.candidates = candidates
        self.bases = bases
        self.jacobians = jacobians
        self.pairs = pairs
        self.steps = steps
        self.tolerance = tolerance
        self.dimensions = dimensions
        self.fit_intercept = fit_intercept
        self.tikhonov = tikhonov
        self.solver = solver
        self.random_state = random_state

    @property
    def _intercept(self) -> bool:
        if self.fit_intercept is None:
            return self._intercept_by_default
        if not isinstance(self.fit_intercept, (bool, np.bool_)):
            raise TypeError(f"fit_intercept must be True, False or None, got {self.fit_intercept!r}")
        return bool(self.fit_intercept)

    def _construction(self, ridges: Sequence[float]) -> Construction:
        """Return the construction that the parameters mean; a parameter at its default counts as not given."""
        defaults = {name: each.default for name, each in inspect.signature(type(self)).parameters.items()}
        given = {name: getattr(self, name) for name in options() if name in defaults}
        given = {name: value for name, value in given.items() if not _same(value, defaults[name])}
        if not isinstance(given.get("references", ""), str):
            given["references"] = "given"
        with in_words_of_options():
            return chosen(self.mode, loss=self.loss, ridges=ridges or None, **given)

    def _distil(self, X: np.ndarray, y: np.ndarray, w: np.ndarray | None, classes: tuple[Any, ...] | None) -> None:
        """Fit W on (X, y) with weights w, distil it, certify the result; sets the fitted attributes."""
        ridges = self._ridges()
        construction = self._construction(ridges)
        near = None if isinstance(self.references, str) else self._given_references(X)
        source = ArraySource(X, y, classes=classes, centred=construction.labels == "centred", weights=w)
        if self._intercept and source.n < 2:
            raise ValueError("an intercept needs at least 2 samples, got n_samples = 1; set fit_intercept=False")
        seed = self._seed()
        found = distil(source, self.features, construction, self._fit_options(ridges), seed=seed, references=near)
        self._memory = Memory.of(found, seed=seed)
        self._take(found)

    def _ridges(self) -> tuple[float, ...]:
        """Return the ridges where a list was given, else an empty tuple."""
        given: Any = self.ridge
        if np.ndim(given) and not len(given):
            raise ValueError("ridge must be a number >= 0 or several, got an empty list")
        return tuple(given) if np.ndim(given) else ()

    def _fit_options(self, ridges: Sequence[float]) -> FitOptions:
        given: Any = self.ridge
        return FitOptions(
            ridge=ridges[0] if ridges else given,
            loss=self.loss,
            intercept=self._intercept,
            tikhonov=self.tikhonov,
            solver=self.solver,
        )

    def _seed(self) -> int:
        """An integer is the seed itself, as on the command line; else it is drawn."""
        if isinstance(self.random_state, (int, np.integer)):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _take(self, found: Distillation) -> None:
        """Set the fitted attributes."""
        self.feature_map_: Any = found.plain_map
        self._map = found.model.feature_map
        self.ridge_choice_, self.ridge_ = found.model.choice, found.model.ridge
        self._store(found)
        self._name_points()
        self.distilled_set_ = self._as_set(found)

    def _as_set(self, found: Distillation) -> DistilledSet:
        """The set as it is stored; samples that came in parts are named, but have no hash."""
        model, seed = found.model, 0 if self._memory is None else self._memory.seed
        n, shape = int(model.statistics.n), (model.feature_map.d,)
        parts = Origin("arrays", "", "arrays in parts", shape, self._names(), n)
        origin = parts if found.source is None else found.source.origin
        return distilled_set(found, self._fit_options(self._ridges()), seed=seed, clock=Clock(), origin=origin)

    def _names(self) -> tuple[Any, ...]:
        """Return the names of the outputs."""
        return tuple(range(len(self._labels_of_points[0])))

    def _store(self, found: Distillation) -> None:
        result, scaling = found.result, found.scaling
        built = result.distilled
        path = result.weights[None] if result.path is None else result.path
        intercepts = [result.intercept] if result.path_intercepts is None else list(result.path_intercepts)
        ridges = (built.ridge,) if result.path is None else built.ridges  # type: ignore[attr-defined]
        intercepts = intercepts * len(path) if result.intercept is None else intercepts
        self.certificates_: list[Any] = certificates_of(
            self._map,
            result.inputs,
            built.labels,
            weights=path,
            intercepts=intercepts,
            ridges=ridges,
            feature_sizes=found.model.feature_sizes,
            loss=found.model.loss,
        )
        self.certificate_ = worst(self.certificates_)
        coefficients = [W if scaling is None else scaling.weights_of_inputs(W) for W in path]
        self.coef_ = coefficients[0]
        self.intercept_ = 0.0 if intercepts[0] is None else intercepts[0]
        self.coef_path_ = np.stack(coefficients)
        self.distilled_X_ = result.inputs
        self._labels_of_points = built.labels
        self.distilled_ridge_, self.distilled_ridges_ = built.ridge, ridges

    def _given_references(self, X: np.ndarray) -> np.ndarray:
        references = check_array(self.references, dtype=np.float64, input_name="references")
        if references.shape[1] != X.shape[1]:
            raise ValueError(f"references must have {X.shape[1]} columns as X has, got {references.shape[1]}")
        return np.asarray(references)

    def _scores(self, X: Any) -> np.ndarray:
        check_is_fitted(self, "coef_")
        X = validate_data(self, plain(X, "X"), reset=False, dtype=np.float64)
        blocks = [self.feature_map_(X[i : i + _ROWS]) @ self.coef_.T for i in range(0, len(X), _ROWS)]
        return np.asarray(np.concatenate(blocks) + self.intercept_)

    def fit_resample(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Fit, and return ``(distilled_X_, distilled_y_)``, as resamplers of imbalanced-learn do.

        Notes
        -----
        A model fitted on the pair is the original one where its labels are used as they are: ridge regression with
        ``distilled_ridge_`` on ``distilled_labels_``. ``distilled_y_`` of a classifier names the class of each point.
        """
        self.fit(X, y)
        return self.distilled_X_, self.distilled_y_


def _same(value: Any, default: Any) -> bool:
    """Whether a parameter has its default value, which counts as not given."""
    return value is default or (type(value) is type(default) and bool(value == default))
