"""Distillation as scikit-learn estimators: a classifier and a regressor with the same options."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.preprocessing import LabelEncoder
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_array,
    check_is_fitted,
    check_random_state,
    validate_data,
)

from analytic_dd.clock import Clock
from analytic_dd.distill.construction import Construction, chosen, options
from analytic_dd.io import DistilledSet
from analytic_dd.judge import worst
from analytic_dd.judge.controls import right_with_intercept
from analytic_dd.judge.stored import certificates_of
from analytic_dd.later_samples import LaterClasses, LaterOutputs, LaterSamples, plain
from analytic_dd.losses import as_loss
from analytic_dd.model import ArraySource, Distillation, FitOptions, Memory, Origin, distil
from analytic_dd.report.assembly import distilled_set

__all__ = ["RidgeDistiller", "RidgeDistillerRegressor"]

_ROWS = 4096  # samples mapped at a time
_COMPARED = 500  # samples on which models with and without an intercept are compared
_GAIN = 0.02  # of decisions, that an intercept must bring for its absence to be worth a warning


class _Distiller(LaterSamples, BaseEstimator):
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
        return self._intercept_by_default if self.fit_intercept is None else bool(self.fit_intercept)

    def _construction(self, ridges: Sequence[float]) -> Construction:
        """Return the construction that the parameters mean; a parameter at its default counts as not given."""
        defaults = {name: each.default for name, each in inspect.signature(type(self)).parameters.items()}
        given = {name: getattr(self, name) for name in options() if name in defaults}
        given = {name: value for name, value in given.items() if not _same(value, defaults[name])}
        if not isinstance(given.get("references", ""), str):
            given["references"] = "given"
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
        """The ridges of a list, or none."""
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
        """Names of the outputs."""
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


class RidgeDistiller(LaterClasses, ClassifierMixin, _Distiller):
    r"""Classify by ridge regression on one-hot labels, and distil the model into a few points in closed form.

    ``fit`` finds  W = Y^T (Phi Phi^T + ridge I)^-1 Phi  on all samples, and a set (X_s, Y_s) of one point a class with
    W_s = W to rounding.

    Theorem: T2, T3 (fixed labels), T4 (learned labels), T6, T6b (``mode="nearest"``), T7 (``mode="few"``), T9
    (``mode="one-image"``), T22b (``mode="near-copies"``), T12 (intercept), T16 (certificate), T18 (other losses).

    Parameters
    ----------
    features : str, FeatureMap, torch module or callable
        ``"identity"``, another map by name with options (``"fcnn:depth=2"``), or a map.
    points_per_class : int
        Points a class; with centred labels k - 1 classes have points (T5).
    labels : {"one-hot", "centred", "learned"}, optional
        Labels of the points. Default: one-hot for ``mode="exact"``, learned for the others.
    mode : {"exact", "few", "nearest", "one-image", "near-copies", "gradients", "trajectory", "future", "sufficient"}
        ``few``: the best set of ``points`` < rank W points. ``nearest``: the exact set nearest to real samples.
        ``one-image``: one real sample and rank W near copies of it. ``near-copies``: a few of them, for any map (T22b).
        These three publish those samples almost verbatim.
        ``gradients``, ``trajectory``, ``future``, ``sufficient``: sets that keep more of the data than W (T20a, T19,
        T23, T25).
    loss : {"squared", "softmax", "logistic"}
        ``squared`` is ridge regression. ``softmax``: multinomial logistic regression, that of scikit-learn with
        C = 1 / ridge (T18); ``logistic``: each class against the rest. Points have learned labels by default then.
    ridge : "loo", "gcv", "validation", float or sequence of float, optional
        lambda of the original model, absolute. ``loo`` (default): leave-one-out accuracy, ties to the larger ridge, on
        at most 10,000 samples; ``partial_fit`` and ``forget`` have no samples, and take ``gcv`` in its place.
        ``validation`` (default of other losses): accuracy on a fifth of them, held out.
        Several: one set that is exact for each of them, at the same ridge (T11); ``coef_`` belongs to the first.
    distilled_ridge : float
        lambda_s, absolute.
    points : int, optional
        Total number of points instead of ``points_per_class``.
    root : {"large", "small"}
        See :func:`analytic_dd.distill_features`.
    init : {"random", "real"}
        Where the freedom that the theorem leaves is spent.
    references : {"random", "k-means", "herding"} or (m, d) array
        The real samples to be near, chosen class by class or given (their number is then that of the points).
    tau : float
        ``nearest``: 0.1 to 1 gives a better conditioned, farther set.
    box : bool
        ``nearest`` on the identity: every entry in the range of X ([0, 1] where X lies in it), with one point more.
    pixels : {"float", "bytes", "uint16"}
        ``nearest`` on the identity: entries that are integers times a step and still carry W (T24).
    pixel_error : float
        What those may miss of W, relative.
    largest_change : float, optional
        ``one-image``, ``near-copies``: of an entry of the copies, as a fraction of its range; default 0.01.
    candidates, bases : int
        ``near-copies``: how many samples are looked at, and the least number of them that are copied.
    pairs : bool
        ``near-copies``: pairs of samples of its own class for each row of W.
    steps : int
        ``trajectory``: of gradient descent from 0.
    tolerance : float, optional
        ``trajectory``: as few points as keep these steps to this relative error (T19d).
    dimensions : int
        ``future``: leading directions of the data in which later samples lie.
    fit_intercept : bool
        Unpenalised intercept; one point more, but for ``nearest``, ``one-image`` and ``near-copies``.
    tikhonov : (p,) or (p, p) array, optional
        Gamma of the penalty  ridge * tr(W Gamma W^T)  in the place of  ridge * |W|^2 . Ridge regression with the same
        penalty on the distilled set gives ``coef_`` (T12).
    solver : str
        See :func:`analytic_dd.ridge.fit_weights`.
    random_state : int, RandomState or None
        As in scikit-learn; an integer is the seed of the command line.

    Attributes
    ----------
    coef_ : (k, p) array
        W, in feature space, one row a class (two rows for two classes).
    intercept_ : (k,) array or 0.0
    classes_ : (k,) array
    distilled_X_ : (m, d) array
    distilled_y_ : (m,) array
        Class of each point (the strongest label).
    distilled_labels_ : (m, k) array
        Labels with which the set is exact.
    distilled_ridge_ : float
    ridge_ : float
    certificate_ : Certificate or LossCertificate
    feature_map_ : FeatureMap
    n_features_in_ : int

    Raises
    ------
    ValueError
        NaN, one class, unknown options; :class:`InfeasibleError` where no such set exists.

    Notes
    -----
    *Cost.* One Gram product, n p^2 flops, and one eigendecomposition, 9 p^3; memory p^2 and one block.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> model = RidgeDistiller(random_state=0).fit(X, y)
    >>> model.distilled_X_.shape, model.certificate_.verdict
    ((10, 64), 'pass')
    >>> from analytic_dd import ridge_weights
    >>> W = ridge_weights(model.distilled_X_, model.distilled_labels_, ridge=model.distilled_ridge_)
    >>> bool(np.allclose(W, model.coef_, rtol=1e-12, atol=1e-15))
    True
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> RidgeDistiller:
        """Fit and distil; X (n, d), y (n,) classes of any kind, weights (n,) >= 0: 2 counts as two copies (T12)."""
        X, y, w = self._checked(X, y, sample_weight)
        check_classification_targets(y)
        encoder = LabelEncoder().fit(y)
        self.classes_ = encoder.classes_
        k = len(self.classes_)
        if k < 2:
            only = self.classes_.tolist()[0]
            raise ValueError(f"at least two classes are needed, got one class: {only!r}; add another class")
        self._distil(X, encoder.transform(y), w, self._names())
        if self.fit_intercept is None and self.loss == "squared":
            self._warn_where_the_mean_matters(X, encoder.transform(y))
        return self

    def _names(self) -> tuple[Any, ...]:
        named = self.classes_ if self.classes_.dtype.kind in "iuU" else self.classes_.astype(str)
        return tuple(named.tolist())

    def _name_points(self) -> None:
        self.distilled_labels_ = self._labels_of_points
        self.distilled_y_ = self.classes_[self.distilled_labels_.argmax(axis=1)]

    def _warn_where_the_mean_matters(self, X: np.ndarray, y: np.ndarray) -> None:
        """Warn where a model with an intercept decides clearly more samples rightly, compared on a part of them."""
        rows = np.random.default_rng(0).permutation(len(X))[:_COMPARED]
        labels = np.eye(len(self.classes_))[y[rows]]
        plain, better = right_with_intercept(self.feature_map_(X[rows]), labels)
        if better - plain > max(_GAIN * len(rows), 3):
            warnings.warn(
                f"the mean of X or the sizes of the classes matter: of {len(rows)} training samples a model with an "
                f"intercept decides {better} rightly, this one {plain}; set fit_intercept=True, or standardise X "
                "(fit_intercept=False leaves this warning out)",
                stacklevel=3,
            )

    def decision_function(self, X: Any) -> np.ndarray:
        """Return W phi(x) + b (n, k); for two classes the difference of the two, (n,), as scikit-learn expects."""
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def predict(self, X: Any) -> np.ndarray:
        """Return the class (n,) of the largest score."""
        scores = self._scores(X)
        return np.asarray(self.classes_[scores.argmax(axis=1)])

    @available_if(  # type: ignore[untyped-decorator]
        lambda self: self.loss in ("softmax", "logistic")
    )
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability (n, k) of each class, for ``loss`` softmax and logistic."""
        means = np.asarray(as_loss(self.loss).mean(self._scores(X)))
        return np.asarray(means / means.sum(axis=1, keepdims=True))


class RidgeDistillerRegressor(LaterOutputs, RegressorMixin, _Distiller):
    """Ridge regression with an intercept, distilled into one point an output and one for the intercept.

    As :class:`RidgeDistiller` with outputs in the place of classes and an intercept by default (targets have a mean;
    ``fit_intercept=False`` leaves it out): the points have unit vectors as labels, each in the unit of its output
    (``labels="one-hot"``), or learned labels. ``distilled_y_`` (m, k) are the labels, (m,) for
    one output; the ridge is chosen by leave-one-out squared error, each output in its unit. The unit is a power of two
    near the spread of the output, so that no result depends on the unit of y. With ``loss="poisson"`` y are counts and
    the model is that of scikit-learn's PoissonRegressor with alpha = ridge / n; ``"logistic"`` and ``"softmax"`` take
    probabilities (T18). ``predict`` returns the means then.

    Theorem: T2, T3, T4, T12, T16, T18.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((50, 3))
    >>> model = RidgeDistillerRegressor(random_state=0).fit(X, X @ [1.0, 2.0, 3.0])
    >>> model.distilled_X_.shape, model.certificate_.verdict  # the whole model is two points
    ((2, 3), 'pass')
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> scores = [RidgeDistillerRegressor(fit_intercept=b, random_state=0).fit(X, y).score(X, y) for b in (None, False)]
    >>> [round(score, 1) for score in scores]
    [0.5, -3.4]
    """

    _intercept_by_default = True

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> RidgeDistillerRegressor:
        """Fit and distil; X (n, d), y (n,) or (n, k), weights (n,) >= 0."""
        X, y, w = self._checked(X, y, sample_weight, multi_output=True, y_numeric=True)
        if self.labels == "centred":
            raise ValueError("labels 'centred' belong to classes; choose one-hot or learned for a regression")
        y = np.asarray(y, dtype=np.float64)
        self._single = y.ndim == 1
        self._distil(X, y.reshape(len(y), -1), w, None)
        return self

    def _name_points(self) -> None:
        single = self._single
        self.distilled_y_ = self._labels_of_points[:, 0] if single else self._labels_of_points
        self.coef_ = self.coef_[0] if single else self.coef_
        self.intercept_ = float(np.ravel(self.intercept_)[0]) if single else self.intercept_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def predict(self, X: Any) -> np.ndarray:
        """Return the outputs (n,) or (n, k): of a loss the means, probabilities or rates."""
        scores = self._scores(X)
        return np.asarray(as_loss(self.loss).mean(scores.reshape(len(scores), -1)).reshape(scores.shape))
