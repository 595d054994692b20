"""Every public function of the core refuses integers, lists, other sizes and NaN, and names the culprit."""

import numpy as np
import pytest

from analytic_dd import certify_recovery, distill_features, few_features, labels, minimal_features, ridge_weights
from analytic_dd.distill import add_intercept, free_matrix, largest_ridge, target
from analytic_dd.errors import ShapeError
from analytic_dd.linalg import GramStatistics, StreamingQR, pseudo_inverse, row_basis, thin_svd
from analytic_dd.ridge import ridge_weights_with_intercept, select_ridge

K, M, P, N = 3, 5, 7, 11


def _add_intercept(W):
    return add_intercept(minimal_features(np.eye(K, P)), W, np.ones(K), centre=np.ones(P))


FUNCTIONS = {
    "ridge_weights": (lambda Phi, Y: ridge_weights(Phi, Y, ridge=1.0), (N, P), (N, K)),
    "ridge_weights_with_intercept": (lambda Phi, Y: ridge_weights_with_intercept(Phi, Y, ridge=1.0), (N, P), (N, K)),
    "select_ridge": (lambda Phi, Y: select_ridge(Phi, Y), (N, P), (N, K)),
    "GramStatistics": (lambda Phi, Y: GramStatistics(P, K).update(Phi, Y), (N, P), (N, K)),
    "StreamingQR": (lambda Phi, Y: StreamingQR(P, K).update(Phi, Y), (N, P), (N, K)),
    "thin_svd": (thin_svd, (M, P)),
    "pseudo_inverse": (pseudo_inverse, (M, P)),
    "row_basis": (row_basis, (M, P)),
    "labels_for": (lambda Phis, W: labels.labels_for(Phis, W, ridge=1.0), (M, P), (K, P)),
    "feasible_scale": (lambda Ys, W: labels.feasible_scale(Ys, W, ridge=1.0), (M, K), (K, P)),
    "scale_to_feasible": (lambda Ys, W: labels.scale_to_feasible(Ys, W, ridge=1.0), (M, K), (K, P)),
    "target": (target, (K, P), (M, K)),
    "largest_ridge": (largest_ridge, (K, P), (M, K)),
    "distill_features": (distill_features, (K, P), (M, K)),
    "free_matrix": (lambda W, Ys: free_matrix(W, Ys, rng=np.random.default_rng(0)), (K, P), (M, K)),
    "minimal_features": (minimal_features, (K, P)),
    "few_features": (lambda W: few_features(W, 2), (K, P)),
    "few_features metric": (lambda S: few_features(np.eye(K, P), 2, metric=S), (P, P)),
    "add_intercept": (_add_intercept, (K, P)),
    "certify_recovery": (lambda W, F, Y: certify_recovery(W, F, Y, ridge=1.0), (K, P), (M, P), (M, K)),
}
ARGUMENTS = [(name, i) for name, (_, *shapes) in FUNCTIONS.items() for i in range(len(shapes))]


def _call(name, position, change):
    """Call with good arguments but one, which ``change`` makes from a good one."""
    function, *shapes = FUNCTIONS[name]
    rng = np.random.default_rng(1)
    arguments = [rng.standard_normal(shape) for shape in shapes]
    arguments[position] = change(arguments[position])
    return function(*arguments)


def _spoiled(A):
    A[1, 2] = np.nan
    return A


def test_good_arguments_pass():
    for name, position in ARGUMENTS:
        _call(name, position, lambda A: A)


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (lambda A: np.ones(A.shape, dtype="uint8"), TypeError, "float32 or float64, got uint8"),
        (lambda A: np.ones(A.shape, dtype="int64"), TypeError, "float32 or float64, got int64"),
        (np.ndarray.tolist, TypeError, "expected an array .* got list"),
        (lambda A: 3, TypeError, "expected an array .* got int"),
        (_spoiled, ValueError, "must be finite, got nan at row 1, column 2"),
        (lambda A: A[0], ShapeError, "must have two axes"),
    ],
    ids=["uint8", "int64", "list", "number", "nan", "one axis"],
)
def test_what_is_no_matrix_of_floats_is_refused(change, kind, message):
    for name, position in ARGUMENTS:
        with pytest.raises(kind, match=message):
            _call(name, position, change)


def test_sizes_that_do_not_fit_are_refused():
    for name, position in ARGUMENTS:
        if len(FUNCTIONS[name]) == 2 and name not in ("few_features metric", "add_intercept"):
            _call(name, position, lambda A: A[:-1, :-1])  # one matrix alone fits itself
            continue
        with pytest.raises(ShapeError):
            _call(name, position, lambda A: A[:-1, :-1])
