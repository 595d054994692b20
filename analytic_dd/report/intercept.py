"""What an intercept that was not asked for would bring, from the sums of the model that was fitted."""

from __future__ import annotations

from analytic_dd.judge.accuracy import Model
from analytic_dd.linalg import Sums
from analytic_dd.model import OriginalModel

__all__ = ["WITH_INTERCEPT", "with_intercept"]

WITH_INTERCEPT = "with an intercept"
_MOST_FEATURES = 2048  # a Cholesky factor of this size takes a tenth of a second


def with_intercept(model: OriginalModel) -> dict[str, Model]:
    """Return ridge regression with an intercept, by its name, at the ridge of a model that has none.

    Nothing is returned where that would take long (more than 2,048 features, a ridge so small that the Gram matrix has
    no Cholesky factor, inner products in the place of sums) or means nothing (another loss).
    """
    sums = model.statistics
    if model.intercept is not None or model.loss != "squared" or model.ridge == 0.0:
        return {}
    if not isinstance(sums, Sums) or sums.p > _MOST_FEATURES:
        return {}
    centred = sums.centred()
    try:
        W = centred.factor(model.ridge).solve(centred.C.T).T
    except ValueError:
        return {}
    return {WITH_INTERCEPT: (W, sums.mean_y - W @ sums.mean_phi)}
