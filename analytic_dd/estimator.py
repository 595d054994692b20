"""Distillation as scikit-learn estimators: a classifier and a regressor with the same options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.preprocessing import LabelEncoder
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    check_array,
    check_is_fitted,
    check_random_state,
    validate_data,
)

from analytic_dd.arrays import as_ridge, as_weights, refuse_masked
from analytic_dd.data import value_range
from analytic_dd.distill.box import pixel_box
from analytic_dd.distill.inputs import distill_inputs
from analytic_dd.distill.original import LOO_SAMPLES, has_no_mean, require_scale
from analytic_dd.distill.recipe import Recipe
from analytic_dd.distill.reference_choice import References, choose_rows
from analytic_dd.features import FeatureMap, from_text, penalised
from analytic_dd.features.affine import AffineMap
from analytic_dd.judge import certify_recovery, map_amplification, worst
from analytic_dd.labels import centred_one_hot, one_hot, repeated_classes
from analytic_dd.linalg import GramStatistics, StreamingQR, Sums
from analytic_dd.ridge import leave_one_out_scores, ridge_grid
from analytic_dd.ridge.choice import RidgeChoice, choose

__all__ = ["RidgeDistiller", "RidgeDistillerRegressor"]

_ROWS = 4096  # samples mapped at a time


class _Distiller(BaseEstimator):
    """Fit ridge regression in feature space, then distil it; shared by classifier and regressor."""

    def __init__(
        self,
        features: str | FeatureMap = "identity",
        *,
        points_per_class: int = 1,
        labels: str | None = None,
        mode: str = "exact",
        ridge: float | str | Sequence[float] = "loo",
        distilled_ridge: float = 0.0,
        points: int | None = None,
        root: str = "large",
        init: str = "random",
        references: Any = "random",
        tau: float = 0.0,
        box: bool = False,
        largest_change: float | None = None,
        fit_intercept: bool = False,
        tikhonov: Any = None,
        random_state: Any = None,
    ) -> None:
        self.features = features
        self.points_per_class = points_per_class
        self.labels = labels
        self.mode = mode
        self.ridge = ridge
        self.distilled_ridge = distilled_ridge
        self.points = points
        self.root = root
        self.init = init
        self.references = references
        self.tau = tau
        self.box = box
        self.largest_change = largest_change
        self.fit_intercept = fit_intercept
        self.tikhonov = tikhonov
        self.random_state = random_state

    def _distil(
        self, X: np.ndarray, Y: np.ndarray, w: np.ndarray | None, scoring: str, classes: np.ndarray | None
    ) -> None:
        """Fit W on (X, Y) with weights w, distil it, certify the result; sets the fitted attributes."""
        recipe = Recipe.of(self)
        given = None if isinstance(self.references, str) else self._given_references(X)
        if given is not None:
            recipe = recipe.for_references(len(given), Y.shape[1])
        elif recipe.references == "given":
            raise ValueError("references 'given' are an array (m, d); pass it as references, or choose random ones")
        if self.fit_intercept and len(X) < 2:
            raise ValueError("an intercept needs at least 2 samples, got n_samples = 1; set fit_intercept=False")
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        map_rng, loo_rng, free_rng = (np.random.default_rng([seed, stream]) for stream in range(3))
        self.feature_map_ = self._build_map(X, map_rng)
        self._map, self._scaling = self.feature_map_, None
        if self.tikhonov is not None:
            self._map, self._scaling = penalised(self.feature_map_, self.tikhonov)
        statistics = self._accumulate(X, Y, w)
        fitted = statistics.centred() if self.fit_intercept else statistics
        given_ridge: Any = recipe.ridges[0] if recipe.ridges else self.ridge
        largest: Any = max(recipe.ridges) if recipe.ridges else self.ridge
        require_scale(statistics, fitted, largest if isinstance(largest, str) else as_ridge(largest))
        self.ridge_choice_ = self._choose_ridge(X, Y, w, statistics, fitted, scoring, loo_rng)
        self.ridge_ = as_ridge(given_ridge if self.ridge_choice_ is None else self.ridge_choice_.ridge)
        W = self._weights(X, Y, w, statistics, fitted)
        if isinstance(self._map, AffineMap):
            W = self._map.project(W)  # see pipeline.fit_original
        if classes is not None and (self.labels == "centred" or self.fit_intercept or has_no_mean(statistics)):
            W = W - W.mean(axis=0)  # rank k - 1, exactly; see pipeline.fit_original
        b = statistics.mean_y - W @ statistics.mean_phi if self.fit_intercept else None
        if given is None and recipe.wants_references:
            given = self._choose_references(X, Y, recipe, classes is not None, free_rng)
        result = distill_inputs(
            W,
            self._map,
            recipe,
            rng=free_rng,
            statistics=fitted,
            references=given,
            intercept=b,
            centre=statistics.mean_phi if self.fit_intercept else None,
            box=pixel_box(*value_range(X), mean=np.zeros(1), std=np.ones(1), d=X.shape[1]) if recipe.box else None,
        )
        self._store(result)

    def _store(self, result: Any) -> None:
        built = result.distilled
        path = result.weights[None] if result.path is None else result.path
        intercepts = [result.intercept] if result.path_intercepts is None else list(result.path_intercepts)
        intercepts = intercepts * len(path) if result.intercept is None else intercepts
        ridges = (built.ridge,) if result.path is None else built.ridges
        Phis = self._map(result.inputs)
        amplification = map_amplification(self._map, result.inputs, Phis)
        self.certificates_ = [
            certify_recovery(W, Phis, built.labels, ridge=ridge, map_condition=amplification, intercept=b)
            for W, b, ridge in zip(path, intercepts, ridges, strict=True)
        ]
        self.certificate_ = worst(self.certificates_)
        coefficients = [W if self._scaling is None else self._scaling.weights_of_inputs(W) for W in path]
        self.coef_ = coefficients[0]
        self.intercept_ = 0.0 if intercepts[0] is None else intercepts[0]
        self.coef_path_ = np.stack(coefficients)
        self.distilled_X_ = result.inputs
        self._labels_of_points = built.labels
        self.distilled_ridge_, self.distilled_ridges_ = built.ridge, ridges

    def _build_map(self, X: np.ndarray, rng: np.random.Generator) -> FeatureMap:
        d = X.shape[1]
        if isinstance(self.features, FeatureMap):
            if self.features.d != d:
                raise ValueError(f"features map inputs of size {self.features.d}, got samples of size {d}")
            return self.features
        sample = X[np.sort(rng.permutation(len(X))[:1000])]
        return from_text(self.features, d, image_shape=(d,), rng=rng, sample=sample)

    def _blocks(self, X: np.ndarray, Y: np.ndarray, w: np.ndarray | None) -> Any:
        """Yield (Phi, Y), and the weights where there are any."""
        for start in range(0, len(X), _ROWS):
            rows = slice(start, start + _ROWS)
            yield self._map(X[rows]), Y[rows], *(() if w is None else (w[rows],))

    def _accumulate(self, X: np.ndarray, Y: np.ndarray, w: np.ndarray | None) -> Sums:
        statistics = GramStatistics(self._map.p, Y.shape[1])
        for Phi, block, *some in self._blocks(X, Y, w):
            statistics.update(Phi, block, sample_weight=some[0] if some else None)
        return statistics.sums()

    def _choose_ridge(
        self,
        X: np.ndarray,
        Y: np.ndarray,
        w: np.ndarray | None,
        statistics: Sums,
        fitted: Sums,
        scoring: str,
        rng: np.random.Generator,
    ) -> RidgeChoice | None:
        if not isinstance(self.ridge, str):
            return None
        if self.ridge != "loo":
            raise ValueError(f"ridge must be 'loo' or a number >= 0, got {self.ridge!r}")
        rows = np.sort(rng.permutation(len(X))[:LOO_SAMPLES])
        grid = ridge_grid(fitted)
        some = rows if len(rows) < len(X) else slice(None)
        blocks = self._blocks(X[some], Y[some], None if w is None else w[some])
        scores, samples = leave_one_out_scores(statistics, blocks, grid, scoring=scoring, intercept=self.fit_intercept)
        return choose(grid, scores, criterion="loo", scoring=scoring, samples=samples)

    def _weights(
        self, X: np.ndarray, Y: np.ndarray, w: np.ndarray | None, statistics: Sums, fitted: Sums
    ) -> np.ndarray:
        """By the Gram matrix, or by TSQR where the ridge is too small for it (T13)."""
        if self.ridge_ >= 1e-10 * float(np.trace(statistics.G)) / statistics.p and self.ridge_ > 0.0:
            return np.asarray(fitted.weights(self.ridge_))
        shift = statistics.mean_phi if self.fit_intercept else 0.0
        shift_y = statistics.mean_y if self.fit_intercept else 0.0
        factor = StreamingQR(statistics.p, statistics.k)
        for Phi, block, *some in self._blocks(X, Y, w):
            root = np.sqrt(some[0])[:, None] if some else 1.0
            factor.update(root * (Phi - shift), root * (block - shift_y))
        return np.asarray(factor.weights(self.ridge_))

    def _given_references(self, X: np.ndarray) -> References:
        references = check_array(self.references, dtype=np.float64, input_name="references")
        if references.shape[1] != X.shape[1]:
            raise ValueError(f"references must have {X.shape[1]} columns as X has, got {references.shape[1]}")
        return References(references)

    def _choose_references(
        self, X: np.ndarray, Y: np.ndarray, recipe: Recipe, classified: bool, rng: np.random.Generator
    ) -> References:
        """Real samples, as evenly over the classes as possible; of any class for one image or a regression."""
        y, k = Y.argmax(axis=1), Y.shape[1]
        pooled = np.zeros_like(y), 1
        groups, count = (y, k) if classified and recipe.mode != "one-image" else pooled

        def samples(rows: np.ndarray) -> np.ndarray:
            return np.asarray(self._map(X[rows])) if recipe.references == "herding" else X[rows]

        rows = choose_rows(recipe.references, groups, recipe.size(k), k=count, rng=rng, samples=samples)
        # a regression has no classes; its fixed labels are unit vectors, one block of points an output
        return References(X[rows], y[rows] if classified else repeated_classes(k, len(rows)), rows)

    def _scores(self, X: Any) -> np.ndarray:
        check_is_fitted(self, "coef_")
        refuse_masked(X, "X")
        X = validate_data(self, X, reset=False, dtype=np.float64)
        blocks = [self.feature_map_(X[i : i + _ROWS]) @ self.coef_.T for i in range(0, len(X), _ROWS)]
        return np.asarray(np.concatenate(blocks) + self.intercept_)

    def _weights_of(self, sample_weight: Any, X: np.ndarray) -> np.ndarray | None:
        if sample_weight is None:
            return None
        return np.asarray(as_weights(_check_sample_weight(sample_weight, X, dtype=np.float64), len(X)))

    def fit_resample(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Fit, and return ``(distilled_X_, distilled_y_)``, as resamplers of imbalanced-learn do.

        Notes
        -----
        A model fitted on the pair is the original one where its labels are used as they are: ridge regression with
        ``distilled_ridge_`` on ``distilled_labels_``. ``distilled_y_`` of a classifier names the class of each point.
        """
        self.fit(X, y)
        return self.distilled_X_, self.distilled_y_


class RidgeDistiller(ClassifierMixin, _Distiller):
    r"""Classify by ridge regression on one-hot labels, and distil the model into a few points in closed form.

    ``fit`` finds  W = Y^T (Phi Phi^T + ridge I)^-1 Phi  on all samples, and a set (X_s, Y_s) of one point a class with
    W_s = W to rounding.

    Theorem: T2, T3 (fixed labels), T4 (learned labels), T6, T6b (``mode="nearest"``), T7 (``mode="few"``), T9
    (``mode="one-image"``), T12 (intercept), T16 (certificate).

    Parameters
    ----------
    features : str or FeatureMap
        ``"identity"``, another map by name with options (``"fcnn:depth=2"``), or a map.
    points_per_class : int
        Points a class; with centred labels k - 1 classes have points (T5).
    labels : {"one-hot", "centred", "learned"}, optional
        Labels of the points. Default: one-hot for ``mode="exact"``, learned for the others.
    mode : {"exact", "few", "nearest", "one-image"}
        ``few``: the best set of ``points`` < rank W points. ``nearest``: the exact set nearest to real samples.
        ``one-image``: one real sample and rank W near copies of it. The last two publish those samples almost verbatim.
    ridge : "loo", float or sequence of float
        lambda of the original model, absolute. ``loo``: leave-one-out accuracy, ties to the larger ridge, on at most
        10,000 samples. Several: one set that is exact for each of them, at the same ridge (T11); ``coef_`` belongs to
        the first.
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
    largest_change : float, optional
        ``one-image``: of an entry of the copies, as a fraction of the range of the sample; default 0.01.
    fit_intercept : bool
        Unpenalised intercept; one point more, but for ``nearest`` and ``one-image``.
    tikhonov : (p,) or (p, p) array, optional
        Gamma of the penalty  ridge * tr(W Gamma W^T)  in the place of  ridge * |W|^2 . Ridge regression with the same
        penalty on the distilled set gives ``coef_`` (T12).
    random_state : int, RandomState or None
        As in scikit-learn.

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
    certificate_ : Certificate
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
        for name, given in (("X", X), ("y", y), ("sample_weight", sample_weight)):
            refuse_masked(given, name)  # validate_data drops the mask
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        encoder = LabelEncoder().fit(y)
        self.classes_ = encoder.classes_
        k = len(self.classes_)
        if k < 2:
            only = self.classes_.tolist()[0]
            raise ValueError(f"at least two classes are needed, got one class: {only!r}; add another class")
        encode = centred_one_hot if self.labels == "centred" else one_hot
        w = self._weights_of(sample_weight, X)
        self._distil(X, encode(encoder.transform(y), k), w, "accuracy", self.classes_)
        self.distilled_labels_ = self._labels_of_points
        self.distilled_y_ = self.classes_[self.distilled_labels_.argmax(axis=1)]
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Return W phi(x) + b (n, k); for two classes the difference of the two, (n,), as scikit-learn expects."""
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def predict(self, X: Any) -> np.ndarray:
        """Return the class (n,) of the largest score."""
        scores = self._scores(X)
        return np.asarray(self.classes_[scores.argmax(axis=1)])


class RidgeDistillerRegressor(RegressorMixin, _Distiller):
    """Ridge regression, distilled into one point an output in closed form.

    As :class:`RidgeDistiller` with outputs in the place of classes: the k points have the unit vectors as labels
    (``labels="one-hot"``), or learned labels. ``distilled_y_`` (m, k) are the labels, (m,) for one output; the ridge is
    chosen by leave-one-out squared error.

    Theorem: T2, T3, T4, T12, T16.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((50, 3))
    >>> model = RidgeDistillerRegressor(random_state=0).fit(X, X @ [1.0, 2.0, 3.0])
    >>> model.distilled_X_.shape, model.certificate_.verdict  # the whole model is one point
    ((1, 3), 'pass')
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> RidgeDistillerRegressor:
        """Fit and distil; X (n, d), y (n,) or (n, k), weights (n,) >= 0."""
        for name, given in (("X", X), ("y", y), ("sample_weight", sample_weight)):
            refuse_masked(given, name)  # validate_data drops the mask
        X, y = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        if self.labels == "centred":
            raise ValueError("labels 'centred' belong to classes; choose one-hot or learned for a regression")
        y = np.asarray(y, dtype=np.float64)
        self._distil(X, y.reshape(len(y), -1), self._weights_of(sample_weight, X), "squared_error", None)
        single = y.ndim == 1
        self.distilled_y_ = self._labels_of_points[:, 0] if single else self._labels_of_points
        self.coef_ = self.coef_[0] if single else self.coef_
        self.intercept_ = float(np.ravel(self.intercept_)[0]) if single else self.intercept_
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def predict(self, X: Any) -> np.ndarray:
        """Return the outputs (n,) or (n, k)."""
        return self._scores(X)
