"""An npz file from which an estimator of scikit-learn has the weights: which estimator follows from the loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from analytic_dd.errors import DataError
from analytic_dd.export.format import Exportable, Exported, register
from analytic_dd.files import write_npz

__all__ = ["to_sklearn"]


@register("sklearn", "an npz file with X, y (and sample_weight) for the linear models of scikit-learn", suffix=".npz")
def to_sklearn(distilled: Exportable, path: Path) -> Exported:
    """Write X (the features, of the identity the inputs) and y, on which the estimator that the notes name has W.

    Ridge and PoissonRegressor take labels as they are. LogisticRegression takes classes: a point with soft labels is
    written once for each class, with the label as its sample weight (T18a).
    """
    if distilled.loss != "squared" and distilled.intercept is not None and distilled.ridge == 0.0:
        raise DataError(
            f"at ridge 0 many models with an intercept minimise the {distilled.loss} loss of a few points, and "
            "scikit-learn finds another one than W; distil with a distilled ridge > 0"
        )
    X = np.asarray(distilled.feature_map(distilled.inputs), dtype=np.float64)
    arrays, model, labels = _MODELS[distilled.loss](distilled, X)
    intercept = np.zeros(len(distilled.w)) if distilled.intercept is None else distilled.intercept
    more = {
        "coef": distilled.w,
        "intercept": intercept,
        "mean": distilled.mean,
        "std": distilled.std,
        "classes": np.asarray([str(name) for name in distilled.classes]),
    }
    write_npz(path, arrays | more)
    of = distilled.meta["features"]["map"]
    what = "X are the inputs" if of == "identity" else f"X are features of the map {of}, not the inputs"
    return Exported((path,), (f"{what}; {model}.coef_ is W", labels))


_Made = tuple[dict[str, np.ndarray], str, str]  # arrays, the fit in words, the labels in words


def _fit_intercept(distilled: Exportable) -> str:
    return f"fit_intercept={distilled.intercept is not None}"


def _ridge(distilled: Exportable, X: np.ndarray) -> _Made:
    fit = _fit_intercept(distilled)
    model = f"Ridge(alpha={distilled.ridge:.17g}, {fit})" if distilled.ridge > 0.0 else f"LinearRegression({fit})"
    arrays = {"X": X, "y": distilled.y, "alpha": np.array(distilled.ridge)}
    return arrays, f"{model}.fit(X, y)", "labels y are numbers, not classes"


def _poisson(distilled: Exportable, X: np.ndarray) -> _Made:
    """Its objective is the mean over the points, so that its penalty is ridge / m."""
    y = distilled.y
    if y.shape[1] != 1 or y.min() < 0.0:
        raise DataError(
            f"PoissonRegressor takes one output >= 0, got {y.shape[1]} with labels from {y.min():.3g}; export to torch "
            "or safetensors, or distil with a smaller distilled ridge"
        )
    alpha = distilled.ridge / len(y)
    model = f"PoissonRegressor(alpha={alpha:.17g}, {_fit_intercept(distilled)}, tol=1e-12, max_iter=10000)"
    arrays = {"X": X, "y": y[:, 0], "alpha": np.array(alpha)}
    return arrays, f"{model}.fit(X, y)", "labels y are expected counts"


def _classes(distilled: Exportable, X: np.ndarray) -> _Made:
    """Return a row for each point and class, with the probability of the class as its weight."""
    y = distilled.y
    shares = np.concatenate([1.0 - y, y], axis=1) if distilled.loss == "logistic" else y
    if distilled.loss == "logistic" and y.shape[1] != 1:
        raise DataError(f"LogisticRegression takes one output of the logistic loss, got {y.shape[1]}; export to torch")
    if shares.min() < 0.0:
        raise DataError(
            f"LogisticRegression takes probabilities as sample weights, got {y.min():.3g} to {y.max():.3g}; "
            "distil with a smaller distilled ridge (the report has the largest), or export to torch or safetensors"
        )
    penalty = f"C={1.0 / distilled.ridge:.17g}" if distilled.ridge > 0.0 else "C=np.inf"
    model = f"LogisticRegression({penalty}, {_fit_intercept(distilled)}, tol=1e-12, max_iter=10000)"
    arrays = {
        "X": np.repeat(X, shares.shape[1], axis=0),
        "y": np.tile(np.arange(shares.shape[1]), len(X)),
        "sample_weight": shares.ravel(),
        "alpha": np.array(distilled.ridge),
    }
    note = "each point stands once for each class, with its soft label as sample weight: pass sample_weight to fit"
    return arrays, f"{model}.fit(X, y, sample_weight)", note


_MODELS = {"squared": _ridge, "softmax": _classes, "logistic": _classes, "poisson": _poisson}
