"""Distillation as scikit-learn estimators: a classifier and a regressor with the same options."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.preprocessing import LabelEncoder
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

from analytic_dd.certify import certify_recovery, map_amplification
from analytic_dd.distill.inputs import distill_inputs
from analytic_dd.distill.intercept import add_intercept
from analytic_dd.distill.pipeline import LOO_SAMPLES
from analytic_dd.distill.recipe import Recipe
from analytic_dd.features import FeatureMap, from_text
from analytic_dd.features.affine import AffineMap
from analytic_dd.labels import centred_one_hot, one_hot
from analytic_dd.linalg import GramStatistics, StreamingQR
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
        labels: str = "one-hot",
        mode: str = "exact",
        ridge: float | str = "loo",
        distilled_ridge: float = 0.0,
        points: int | None = None,
        root: str = "large",
        init: str = "random",
        fit_intercept: bool = False,
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
        self.fit_intercept = fit_intercept
        self.random_state = random_state

    def _distil(self, X: np.ndarray, Y: np.ndarray, scoring: str, classes: np.ndarray | None) -> None:
        """Fit W on (X, Y), distil it, certify the result; sets the fitted attributes."""
        recipe = Recipe(
            points_per_class=self.points_per_class,
            points=self.points,
            labels=self.labels,
            mode=self.mode,
            ridge=self.distilled_ridge,
            root=self.root,
            init=self.init,
        )
        if self.fit_intercept and len(X) < 2:
            raise ValueError("an intercept needs at least 2 samples, got n_samples = 1; set fit_intercept=False")
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        map_rng, loo_rng, free_rng = (np.random.default_rng([seed, stream]) for stream in range(3))
        self.feature_map_ = self._build_map(X, map_rng)
        statistics = self._accumulate(X, Y)
        fitted = statistics.centred() if self.fit_intercept else statistics
        self.ridge_choice_ = self._choose_ridge(X, Y, statistics, fitted, scoring, loo_rng)
        self.ridge_ = float(self.ridge if self.ridge_choice_ is None else self.ridge_choice_.ridge)
        W = self._weights(X, Y, statistics, fitted)
        if isinstance(self.feature_map_, AffineMap):
            W = self.feature_map_.project(W)  # see pipeline.fit_original
        if classes is not None and (self.labels == "centred" or self.fit_intercept):
            W = W - W.mean(axis=0)  # rank k - 1, exactly; see pipeline.fit_original
        self.intercept_ = (statistics.sum_y - W @ statistics.sum_phi) / statistics.n if self.fit_intercept else 0.0
        references = None
        if self.init == "real":
            references = X[self._real_rows(Y, recipe.size(Y.shape[1]), classes is not None, free_rng)]
        refine = None
        if self.fit_intercept:
            centre, b = statistics.sum_phi / statistics.n, self.intercept_

            def refine(built: Any) -> Any:
                return add_intercept(built, W, b, centre=centre)

        result = distill_inputs(
            W,
            self.feature_map_,
            recipe,
            rng=free_rng,
            statistics=statistics,
            references=references,
            refine=refine,
        )
        self._store(result, W)

    def _store(self, result: Any, W: np.ndarray) -> None:
        built = result.distilled
        target = W if self.mode == "exact" else built.labels.T @ (built.labels @ W)
        self.coef_ = target
        self.distilled_X_ = result.inputs
        self._labels_of_points = built.labels
        self.distilled_ridge_ = built.ridge
        Phis = self.feature_map_(result.inputs)
        self.certificate_ = certify_recovery(
            target,
            Phis,
            built.labels,
            ridge=built.ridge,
            map_condition=map_amplification(self.feature_map_, result.inputs, Phis),
            intercept=self.intercept_ if self.fit_intercept else None,
        )

    def _build_map(self, X: np.ndarray, rng: np.random.Generator) -> FeatureMap:
        d = X.shape[1]
        if isinstance(self.features, FeatureMap):
            if self.features.d != d:
                raise ValueError(f"features map inputs of size {self.features.d}, got samples of size {d}")
            return self.features
        sample = X[np.sort(rng.permutation(len(X))[:1000])]
        return from_text(self.features, d, image_shape=(d,), rng=rng, sample=sample)

    def _blocks(self, X: np.ndarray, Y: np.ndarray) -> Any:
        for start in range(0, len(X), _ROWS):
            yield self.feature_map_(X[start : start + _ROWS]), Y[start : start + _ROWS]

    def _accumulate(self, X: np.ndarray, Y: np.ndarray) -> GramStatistics:
        statistics = GramStatistics(self.feature_map_.p, Y.shape[1])
        for Phi, block in self._blocks(X, Y):
            statistics.update(Phi, block)
        return statistics

    def _choose_ridge(
        self,
        X: np.ndarray,
        Y: np.ndarray,
        statistics: GramStatistics,
        fitted: GramStatistics,
        scoring: str,
        rng: np.random.Generator,
    ) -> RidgeChoice | None:
        if not isinstance(self.ridge, str):
            return None
        if self.ridge != "loo":
            raise ValueError(f"ridge must be 'loo' or a number >= 0, got {self.ridge!r}")
        rows = np.sort(rng.permutation(len(X))[:LOO_SAMPLES])
        grid = ridge_grid(fitted)
        blocks = self._blocks(X[rows], Y[rows]) if len(rows) < len(X) else self._blocks(X, Y)
        scores, samples = leave_one_out_scores(statistics, blocks, grid, scoring=scoring, intercept=self.fit_intercept)
        return choose(grid, scores, criterion="loo", scoring=scoring, samples=samples)

    def _weights(self, X: np.ndarray, Y: np.ndarray, statistics: GramStatistics, fitted: GramStatistics) -> np.ndarray:
        """By the Gram matrix, or by TSQR where the ridge is too small for it (T13)."""
        if self.ridge_ >= 1e-10 * float(np.trace(statistics.G)) / statistics.p and self.ridge_ > 0.0:
            return np.asarray(fitted.weights(self.ridge_))
        shift = statistics.sum_phi / statistics.n if self.fit_intercept else 0.0
        shift_y = statistics.sum_y / statistics.n if self.fit_intercept else 0.0
        factor = StreamingQR(statistics.p, statistics.k)
        for Phi, block in self._blocks(X, Y):
            factor.update(Phi - shift, block - shift_y)
        return np.asarray(factor.weights(self.ridge_))

    @staticmethod
    def _real_rows(Y: np.ndarray, m: int, classified: bool, rng: np.random.Generator) -> np.ndarray:
        """Indices of real samples: as evenly over the classes as possible, or any for a regression."""
        if not classified:
            return rng.choice(len(Y), size=m, replace=m > len(Y))
        y, k = Y.argmax(axis=1), Y.shape[1]
        wanted = np.sort(np.arange(m) % k)
        return np.asarray([rng.choice(np.flatnonzero(y == label)) for label in wanted])

    def _scores(self, X: Any) -> np.ndarray:
        check_is_fitted(self, "coef_")
        X = validate_data(self, X, reset=False, dtype=np.float64)
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


class RidgeDistiller(ClassifierMixin, _Distiller):
    r"""Classify by ridge regression on one-hot labels, and distil the model into a few points in closed form.

    ``fit`` finds  W = Y^T (Phi Phi^T + ridge I)^-1 Phi  on all samples, and a set (X_s, Y_s) of one point a class with
    W_s = W to rounding.

    Theorem: T2, T3 (fixed labels), T4 (learned labels), T7 (``mode="few"``), T12 (intercept), T16 (certificate).

    Parameters
    ----------
    features : str or FeatureMap
        ``"identity"``, another map by name with options (``"fcnn:depth=2"``), or a map.
    points_per_class : int
        Points a class; with centred labels k - 1 classes have points (T5).
    labels : {"one-hot", "centred", "learned"}
        Labels of the points.
    mode : {"exact", "few"}
        ``few``: the best set of ``points`` < rank W points.
    ridge : "loo" or float
        lambda of the original model, absolute. ``loo``: leave-one-out accuracy, ties to the larger ridge, on at most
        10,000 samples.
    distilled_ridge : float
        lambda_s, absolute.
    points : int, optional
        Total number of points instead of ``points_per_class``.
    root : {"large", "small"}
        See :func:`analytic_dd.distill_features`.
    init : {"random", "real"}
        Where the freedom that the theorem leaves is spent.
    fit_intercept : bool
        Unpenalised intercept; one point more.
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

    def fit(self, X: Any, y: Any) -> RidgeDistiller:
        """Fit and distil; X (n, d), y (n,) classes of any kind."""
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        encoder = LabelEncoder().fit(y)
        self.classes_ = encoder.classes_
        k = len(self.classes_)
        if k < 2:
            raise ValueError(f"at least two classes are needed, got 1 class: {self.classes_[0]!r}; add another class")
        encode = centred_one_hot if self.labels == "centred" else one_hot
        self._distil(X, encode(encoder.transform(y), k), "accuracy", self.classes_)
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

    def fit(self, X: Any, y: Any) -> RidgeDistillerRegressor:
        """Fit and distil; X (n, d), y (n,) or (n, k)."""
        X, y = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        if self.labels == "centred":
            raise ValueError("labels 'centred' belong to classes; choose one-hot or learned for a regression")
        y = np.asarray(y, dtype=np.float64)
        self._distil(X, y.reshape(len(y), -1), "squared_error", None)
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
