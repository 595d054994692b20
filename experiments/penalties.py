"""T25: lasso, elastic net, ridge, forward selection and non-negative least squares on a sufficient set and on the data.

Samples of 200 correlated features with noise (a million, or as many as asked for), in five folds. The set is made of
one fold after another, so that cross-validation on it is that on the data. scikit-learn and scipy fit both; the table
has the distance of their coefficients, the seconds of each, and those of the set beside one Gram product.

Run: python experiments/penalties.py [--quick] [--samples N]
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import records
from scipy import optimize
from sklearn.linear_model import ElasticNetCV, LassoCV, OrthogonalMatchingPursuit, RidgeCV
from sklearn.model_selection import PredefinedSplit

from analytic_dd import sufficient_set

FOLDS = 5


def draw(n: int, p: int, *, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return features with correlated columns, an output that a tenth of them determines, and folds of equal size."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    X[:, 1:] += 0.7 * X[:, :-1]
    weights = np.where(rng.uniform(size=p) < 0.1, rng.standard_normal(p), 0.0)
    return X, X @ weights + 3.0 + 5.0 * rng.standard_normal(n), np.arange(n) % FOLDS


Fit = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, float]]


def models(folds: np.ndarray) -> dict[str, Fit]:
    """Return what fits coefficients and a penalty to (X, y, weights), by name; cross-validation goes by the folds.

    Lasso and its kin divide by the number of samples, so that points of equal weight need no weights. Ridge regression
    and least squares sum over samples: a point stands for ``weight`` of them.
    """
    split, alphas = PredefinedSplit(folds), np.geomspace(1e-3, 1.0, 10)

    def fitted(model: Any, *, weighted: bool = False) -> Fit:
        def fit(X: np.ndarray, y: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, float]:
            found = model.fit(X, y, sample_weight=w) if weighted else model.fit(X, y)
            return np.append(found.coef_, found.intercept_), float(getattr(found, "alpha_", np.nan))

        return fit

    def least_squares(X: np.ndarray, y: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, float]:
        root = np.sqrt(w)
        return optimize.nnls(root[:, None] * X, root * y)[0], np.nan

    tight = {"cv": split, "tol": 1e-10, "max_iter": 100_000, "precompute": True}
    return {
        "LassoCV": fitted(LassoCV(alphas=alphas, **tight)),
        "ElasticNetCV": fitted(ElasticNetCV(alphas=alphas, l1_ratio=0.5, **tight)),
        "RidgeCV": fitted(RidgeCV(alphas=alphas[::3] * 1e5, cv=split), weighted=True),
        "forward selection (OMP), 10 features": fitted(OrthogonalMatchingPursuit(n_nonzero_coefs=10)),
        "NNLS": least_squares,
    }


def timed(action: Callable[[], Any]) -> tuple[Any, float]:
    """Return what an action returns and its seconds of the processor."""
    started = time.process_time()
    return action(), time.process_time() - started


def main() -> None:
    """Fit every model on the data and on the set and record the rows."""
    parser = records.parser(__doc__ or "")
    parser.add_argument("--samples", type=int, default=1_000_000)
    options = parser.parse_args()
    n, p = (20_000, 20) if options.quick else (options.samples, 200)
    X, y, folds = draw(n, p, seed=options.seed)
    gram = min(timed(lambda: X.T @ X)[1] for _ in range(3))
    one = [timed(lambda: sufficient_set(X, y[:, None], intercept=True)) for _ in range(3)]
    small, folded = timed(lambda: sufficient_set(X, y[:, None], intercept=True, folds=folds))
    scale = {"n": n, "p": p, "gram": gram, "set": min(seconds for _, seconds in one), "set_of_folds": folded}
    scale |= {"points": len(one[0][0]), "points_of_folds": len(small), "condition": small.condition}
    of_data, of_set, ones = models(folds), models(small.folds), np.ones(n)
    rows: list[dict[str, Any]] = []
    for (name, on_data), on_set in zip(of_data.items(), of_set.values(), strict=True):
        wanted, seconds = timed(partial(on_data, X, y, ones))
        got, fast = timed(partial(on_set, small.features, small.labels[:, 0], small.weights))
        error = float(np.linalg.norm(got[0] - wanted[0]) / np.linalg.norm(wanted[0]))
        rows.append({"model": name, "error": error, "penalty": wanted[1], "penalty_of_set": got[1]})
        rows[-1] |= {"seconds": seconds, "seconds_of_set": fast, "nonzero": int(np.sum(wanted[0] != 0.0))}
        print(f"{name}: error {error:.1e}, {seconds:.2f} s on the data, {fast:.3f} s on the set", flush=True)
    records.record(records.path_of(options, "penalties"), rows, seed=options.seed, sizes=scale)


if __name__ == "__main__":
    main()
