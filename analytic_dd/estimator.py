"""Distillation as scikit-learn estimators: a classifier and a regressor with the same options."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.preprocessing import LabelEncoder
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from analytic_dd.distiller import Distiller
from analytic_dd.judge.controls import right_with_intercept
from analytic_dd.later_samples import LaterClasses, LaterOutputs, as_classes, plain
from analytic_dd.losses import as_loss

__all__ = ["RidgeDistiller", "RidgeDistillerRegressor"]

_COMPARED = 500  # samples on which models with and without an intercept are compared
_GAIN = 0.02  # of decisions, that an intercept must bring for its absence to be worth a warning


class RidgeDistiller(LaterClasses, ClassifierMixin, Distiller):
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
    jacobians : {"auto", "stored", "products"}
        ``near-copies``: store the Jacobians, or take products with them.
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
    >>> model = RidgeDistiller(random_state=0).fit(*load_digits(return_X_y=True))
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

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the share of samples (n,) decided rightly; y (n,) classes, or (n, k) one-hot rows as for ``fit``.

        Raises
        ------
        ValueError
            One-hot rows of a class that is not among ``classes_``, as after a fit on text.
        """
        given = plain(y, "y")
        y = as_classes(given)
        if np.ndim(y) < np.ndim(given):
            check_is_fitted(self, "classes_")
            self._indices(y)
        return float(super().score(X, y, sample_weight))

    @available_if(  # type: ignore[untyped-decorator]
        lambda self: self.loss in ("softmax", "logistic")
    )
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability (n, k) of each class, for ``loss`` softmax and logistic."""
        means = np.asarray(as_loss(self.loss).mean(self._scores(X)))
        return np.asarray(means / means.sum(axis=1, keepdims=True))


class RidgeDistillerRegressor(LaterOutputs, RegressorMixin, Distiller):
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
