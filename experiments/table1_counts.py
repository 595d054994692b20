r"""How many points each theory needs, measured: the error at its count and at one point fewer.

    theory                                         points
    linear ridge regression, every label set       rank X (d)    X = Q R: keep R, labels Q^T Y
    Gaussian kernel in its RKHS                    n
    random Fourier features, every label set       p             p samples whose features span, labels by T4
    surjective features, one model                 rank W (k)    T2
    deep linear with biases, fixed labels          k + 1         T8e
    any features, p > d, one model                 p             sufficient only; q p / (d + q) is necessary (T10)

One point fewer is given its best chance: labels are learned (T4) unless the row fixes them, and the points are

- every label set: all but the weakest direction (or sample). Whatever the points, some direction of the features is
  missed; the model that is this direction belongs to a label set (T4 on the whole data). Its error is 1, so 1 is the
  optimum; the error for the labels of the data is recorded beside it.
- Gaussian kernel: the best n - 1 samples. Kernels at distinct points are linearly independent, so n - 1 points of any
  kind leave an error; how small it can be made by moving them is not claimed.
- surjective features: T7, the optimum over all sets and labels.
- deep linear: the optimum over all sets with these labels, derived in :func:`nearest_of_k_points`.
- any features: the best p - 1 of the p samples. Moved points may do with fewer (T10).

Run: python experiments/table1_counts.py [--quick]
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import records
from scipy.linalg import cholesky, qr
from scipy.spatial.distance import cdist

from analytic_dd import data
from analytic_dd.data.samples import balanced_rows
from analytic_dd.distill import Exact, Few
from analytic_dd.distill import Problem as Distilling
from analytic_dd.distill.affine import affine_features
from analytic_dd.features import DeepLinear, FeatureMap, FullyConnected, RandomFourier, median_lengthscale
from analytic_dd.features.ranges import affine_direction
from analytic_dd.judge import Certificate, certify_recovery, map_amplification
from analytic_dd.labels import labels_for, one_hot
from analytic_dd.linalg import thin_svd
from analytic_dd.ridge import ridge_weights

RIDGE = 1.0  # lambda of every original model
LABEL_SETS = 5  # random label sets beside that of the data
KERNEL_SAMPLES = 200  # the kernel matrix of all the digits would be singular in float64


@dataclass(frozen=True)
class Problem:
    """Inputs (n, d) and labels (n, k) with the sizes of the feature maps that are put on them."""

    name: str
    X: np.ndarray
    Y: np.ndarray
    few: np.ndarray  # samples for the kernel model
    onto: int  # p of the surjective maps (at most d) and of the others (more than d)
    over: int
    seed: int

    def rng(self, stream: int) -> np.random.Generator:
        """Return an independent generator for each row."""
        return np.random.default_rng([self.seed, stream])

    def label_sets(self) -> list[np.ndarray]:
        """The labels of the data, then random ones."""
        rng = self.rng(0)
        return [self.Y, *(rng.standard_normal(self.Y.shape) for _ in range(LABEL_SETS))]


def random_problem(seed: int) -> Problem:
    """Gaussian inputs and labels; every size is another."""
    rng = np.random.default_rng(seed)
    X, Y = rng.standard_normal((40, 11)), rng.standard_normal((40, 3))
    return Problem("random", X, Y, few=np.arange(40), onto=7, over=23, seed=seed)


def digits_problem(seed: int) -> Problem:
    """The training part of the digits, normalised."""
    dataset = data.load("digits", offline=True)
    mean, std = dataset.statistics()
    X = np.concatenate([block for block, _ in dataset.blocks("train", mean=mean, std=std)])
    few = balanced_rows(dataset.y_train, KERNEL_SAMPLES, k=len(dataset.classes), rng=np.random.default_rng(seed))
    return Problem(dataset.name, X, one_hot(dataset.y_train), few=few, onto=48, over=128, seed=seed)


@dataclass(frozen=True)
class Count:
    """What a theory says and what was measured."""

    points: int  # the count of the theory
    at: Certificate  # at the count; the worst over the label sets
    fewer: float  # |W_s - W| / |W| at one point fewer; the worst over the label sets
    fewer_of_data: float | None = None  # the same for the labels of the data alone, where a row is for every label set
    at_least: int | None = None  # the smallest count that is not excluded, where it is not ``points``


def linear_every_label_set(problem: Problem) -> Count:
    """X = Q R with column pivoting; R has rank X rows, and X^T X = R^T R, X^T Y = R^T (Q^T Y) for every Y."""
    X = problem.X
    Q, R, pivots = qr(X, mode="economic", pivoting=True)
    rank = thin_svd(X).rank
    Xs = np.empty((rank, X.shape[1]))
    Xs[:, pivots] = R[:rank]
    spectrum = thin_svd(X)
    strongest = spectrum.s[:-1, None] * spectrum.Vt[:-1]
    return _every_label_set(problem, X, Xs, lambda Y: Q[:, :rank].T @ Y, strongest)


def fourier_every_label_set(problem: Problem) -> Count:
    """p samples whose features span all features; labels by T4."""
    X, rng = problem.X, problem.rng(1)
    lengthscale = median_lengthscale(X, rng=rng)
    phi = RandomFourier(X.shape[1], problem.over, lengthscale=lengthscale, rng=rng)
    Phi = phi(X)
    rows = _spanning(Phi)
    return _every_label_set(problem, Phi, Phi[rows], None, Phi[rows[:-1]])


def _every_label_set(
    problem: Problem,
    Phi: np.ndarray,
    Phis: np.ndarray,
    labels: Callable[[np.ndarray], np.ndarray] | None,
    fewer: np.ndarray,
) -> Count:
    """The worst label set, among them the one whose model is the direction that ``fewer`` points miss."""
    basis, seen = thin_svd(Phi).Vt, thin_svd(fewer).Vt
    missed = np.linalg.svd(seen @ basis.T)[2][-1:] @ basis
    worst = labels_for(Phi, np.repeat(missed, problem.Y.shape[1], axis=0), ridge=RIDGE)
    at, errors = [], []
    for Y in [*problem.label_sets(), worst]:
        W = ridge_weights(Phi, Y, ridge=RIDGE)
        Ys = labels_for(Phis, W, ridge=RIDGE) if labels is None else labels(Y)
        at.append(certify_recovery(W, Phis, Ys, ridge=RIDGE))
        best = labels_for(fewer, W, ridge=RIDGE)
        errors.append(certify_recovery(W, fewer, best, ridge=RIDGE).relative_error)
    return Count(len(Phis), max(at, key=lambda found: found.ratio), max(errors), fewer_of_data=errors[0])


def gaussian_kernel(problem: Problem) -> Count:
    """Rows of a Cholesky factor are the kernel functions of the samples, in coordinates that keep the RKHS norm."""
    X, Y = problem.X[problem.few], problem.Y[problem.few]
    lengthscale = median_lengthscale(X, rng=problem.rng(2))
    K = np.exp(-cdist(X, X, "sqeuclidean") / (2.0 * lengthscale**2))
    Phi = cholesky(K, lower=True)
    W = ridge_weights(Phi, Y, ridge=RIDGE)
    at = certify_recovery(W, Phi, Y, ridge=RIDGE)
    return Count(len(Phi), at, _best_without_one(W, Phi, ridge=RIDGE))


def any_features(problem: Problem) -> Count:
    """A deep network onto more units than inputs: p samples whose features span, labels by T4."""
    d, p = problem.X.shape[1], problem.over
    phi = FullyConnected([d, p, p], activation="tanh", bias=True, rng=problem.rng(3))
    Phi = phi(problem.X)
    W = ridge_weights(Phi, problem.Y, ridge=RIDGE)
    rows = _spanning(Phi)
    Xs = problem.X[rows]
    Phis = phi(Xs)
    at = _through(phi, Xs, W, labels_for(Phis, W, ridge=0.0))
    q = thin_svd(W).rank
    return Count(len(rows), at, _best_without_one(W, Phis, ridge=0.0), at_least=math.ceil(q * p / (d + q)))


def surjective_features(problem: Problem) -> Count:
    """Rank W points with one-hot labels, and T7 for one fewer, both carried back to inputs."""
    phi = FullyConnected([problem.X.shape[1], problem.onto], rng=problem.rng(4))
    W = ridge_weights(phi(problem.X), problem.Y, ridge=RIDGE)
    q = thin_svd(W).rank
    errors = []
    for construction in (Exact(points=q), Few(points=q - 1)):
        made = construction.build(Distilling(W, phi, problem.rng(5)))
        errors.append(_through(phi, made.inputs, W, made.distilled.labels))
    return Count(q, errors[0], errors[1].relative_error)


def deep_linear_with_biases(problem: Problem) -> Count:
    """Labels [I; 0] for k + 1 points; I for k."""
    d, k = problem.X.shape[1], problem.Y.shape[1]
    phi = DeepLinear([d, problem.over, problem.over], bias=True, rng=problem.rng(6))
    B, c = phi.affine()
    W = phi.project(ridge_weights(phi(problem.X), problem.Y, ridge=RIDGE))
    found = []
    for Phis, Ys in (
        (affine_features(W, np.eye(k + 1, k), B, c).features, np.eye(k + 1, k)),
        (nearest_of_k_points(W, B, c), np.eye(k)),
    ):
        found.append(_through(phi, phi.preimage(Phis), W, Ys))
    return Count(k + 1, found[0], found[1].relative_error)


def nearest_of_k_points(W: np.ndarray, B: np.ndarray, c: np.ndarray) -> np.ndarray:
    r"""Return the k realisable points (k, p) with labels I and ridge 0 whose model is nearest to ``W``.

    The model of Phis is D = (Phis^+)^T. Phis e = 1, times D D^T, says D (e - D^T 1) = 0: every row of D is orthogonal
    to u = e - D^T 1. For a given direction of u (a unit vector w, u = (e.w) w, P = I - w w^T) the nearest D is

        D = (W + 1 r^T / k) P,      |D - W|^2 = |W w|^2 + |P r|^2 / k,      r = e - W^T 1,

    which is least for the eigenvector w of the smallest eigenvalue of  W^T W - r r^T / k  in span(B, c):
    |D - W|^2 = |r|^2 / k + that eigenvalue. It is at most 0 where span(B, c) has more than k dimensions, so that u = 0,
    with |D - W|^2 = |r|^2 / k, is no better: this is the optimum. Phis e = 1 holds when 1 is in range(D), as it is for
    D of rank k.

    Theorem: T8e (k points are impossible generically).
    """
    e = affine_direction(B, c)
    assert e is not None
    k = len(W)
    r = e - W.sum(axis=0)
    span = np.linalg.qr(np.column_stack([B, c]))[0]
    w = span @ np.linalg.eigh(span.T @ (W.T @ W - np.outer(r, r) / k) @ span)[1][:, 0]
    D = W + r / k
    D = D - np.outer(D @ w, w)
    return np.asarray(np.linalg.pinv(D).T)


def _spanning(Phi: np.ndarray) -> np.ndarray:
    """Indices of rank Phi rows that span all the rows, the strongest first (Businger and Golub)."""
    return np.asarray(qr(Phi.T, mode="r", pivoting=True)[1][: thin_svd(Phi).rank])


def _best_without_one(W: np.ndarray, Phis: np.ndarray, *, ridge: float) -> float:
    """The smallest error of W over all choices of a row to leave out, with the best labels."""
    errors = []
    for row in range(len(Phis)):
        kept = np.delete(Phis, row, axis=0)
        errors.append(certify_recovery(W, kept, labels_for(kept, W, ridge=ridge), ridge=ridge).relative_error)
    return min(errors)


def _through(phi: FeatureMap, Xs: np.ndarray, W: np.ndarray, Ys: np.ndarray) -> Certificate:
    """Certify inputs at ridge 0, through the map."""
    Phis = phi(Xs)
    return certify_recovery(W, Phis, Ys, ridge=0.0, map_condition=map_amplification(phi, Xs, Phis))


THEORIES: dict[str, tuple[str, Callable[[Problem], Count]]] = {
    "linear, every label set": ("rank X", linear_every_label_set),
    "Gaussian kernel in its RKHS, one model": ("n", gaussian_kernel),
    "random Fourier, every label set": ("p", fourier_every_label_set),
    "surjective features, one model": ("rank W", surjective_features),
    "deep linear with biases, fixed labels": ("k + 1", deep_linear_with_biases),
    "any features (p > d), one model": ("p, sufficient", any_features),
}


def measure(problem: Problem) -> list[dict[str, Any]]:
    """Return a row for each theory."""
    (n, d), k = problem.X.shape, problem.Y.shape[1]
    sizes = {"n": n, "kernel": len(problem.few), "d": d, "k": k, "onto": problem.onto, "over": problem.over}
    rows = []
    for theory, (formula, count) in THEORIES.items():
        found = count(problem)
        rows.append(
            {
                "problem": problem.name,
                "sizes": sizes,
                "theory": theory,
                "formula": formula,
                "points": found.points,
                "at_least": found.at_least,
                "error": found.at.relative_error,
                "error_one_fewer": found.fewer,
                "error_one_fewer_labels_of_data": found.fewer_of_data,
                "certificate": found.at.to_dict(),
            }
        )
    return rows


def main() -> None:
    """Measure every theory on both problems and record the rows."""
    options = records.parser(__doc__ or "").parse_args()
    rows: list[dict[str, Any]] = []
    for make in (random_problem, digits_problem):
        rows += measure(make(options.seed))
    for row in rows:
        print(
            f"{row['problem']:<7} {row['theory']:<38} {row['formula']:<14} {row['points']:>4} points: error "
            f"{row['error']:.1e} {row['certificate']['verdict']}, one fewer {row['error_one_fewer']:.1e}"
        )
    records.record_run(options, "table1_counts", rows)


if __name__ == "__main__":
    main()
