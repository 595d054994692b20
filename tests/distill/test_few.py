"""T7: the best set of fewer points than rank W, in any metric."""

import numpy as np
import pytest

from analytic_dd import few_features
from analytic_dd.arrays import to_numpy
from analytic_dd.errors import ShapeError

K, P, N = 5, 7, 40


@pytest.fixture
def W(rng):
    return rng.standard_normal((K, P))


def metrics(rng):
    """S and a root of it: identity, Gram matrix, Gram matrix + ridge, one of rank 4."""
    X = rng.standard_normal((N, P)) * np.geomspace(1, 0.1, P)
    low = rng.standard_normal((4, P))
    gram = X.T @ X
    return {"I": None, "G": gram, "G + ridge": gram + 0.5 * np.eye(P), "rank 4": low.T @ low}


def root_of(S):
    values, vectors = np.linalg.eigh(np.eye(P) if S is None else S)
    return vectors * np.sqrt(np.maximum(values, 0.0))


@pytest.mark.parametrize("name", ["I", "G", "G + ridge", "rank 4"])
def test_error_is_that_of_eckart_and_young_in_the_metric(ratio, refit, rng, W, name):
    for m in [1, 2, 4, 5]:
        S = metrics(rng)[name]
        L = root_of(S)
        distilled = few_features(W, m, metric=S)
        W_s = refit(distilled.features, distilled.labels, 0.0)
        s = np.linalg.svd(W @ L, compute_uv=False)
        best, scale = np.sqrt((s[m:] ** 2).sum()), np.linalg.norm(W @ L)
        # with a metric the eigenvalues of W S W^T are squared singular values: sqrt(eps) relative to the largest
        exact = 30 * 2**-52 * (K + P) * (distilled.amplification if S is None else 2**26 if name == "rank 4" else 1e2)
        assert abs(np.linalg.norm((W_s - W) @ L) - best) < exact * scale
        assert abs(distilled.relative_error - best / scale) < exact
        U = to_numpy(distilled.labels).T
        assert ratio(W_s, U @ U.T @ W, size=K + P, amplification=distilled.amplification) < 30
        cond = np.linalg.cond(distilled.features)
        assert ratio(distilled.condition, cond, size=K + P, amplification=cond) < 30


@pytest.mark.parametrize("m", [1, 3])
def test_no_set_of_that_size_does_better(rng, W, m):
    """Every set of m points has W_s = A B with A (k, m), B (m, p); alternating least squares from random starts."""
    for name, S in metrics(rng).items():
        L = root_of(S)
        T = W @ L
        best = few_features(W, m, metric=S).relative_error * np.linalg.norm(T)
        # of eigenvalues that are squared singular values, beside the largest of them
        reached, rounding = [], 30 * 2**-52 * (K + P) * (np.linalg.norm(T) / best) ** 2
        for _ in range(8):
            A = rng.standard_normal((K, m))
            assert np.linalg.norm(A @ np.linalg.lstsq(A, T, rcond=None)[0] - T) >= best * (1 - rounding)
            for _ in range(300):
                B = np.linalg.lstsq(A, T, rcond=None)[0]
                A = np.linalg.lstsq(B.T, T.T, rcond=None)[0].T
            reached.append(np.linalg.norm(A @ B - T))
        assert min(reached) < best * (1 + 1e-6), name  # where the search stops: the bound is tight


def test_labels_are_orthonormal_and_every_library_agrees(library, ratio, rng, W):
    for S in (None, metrics(rng)["G"]):
        distilled = few_features(library.array(W), 2, metric=None if S is None else library.array(S))
        assert library.owns(distilled.features, distilled.labels)
        U = to_numpy(distilled.labels).astype(float)
        assert ratio(U @ U.T, np.eye(2), eps=library.eps, size=K) < 30
        wanted = few_features(W, 2, metric=S)
        signs = np.sign((U * wanted.labels).sum(1))[:, None]
        # eigenvectors move by eps |W S W^T| / gap
        assert (
            ratio(signs * to_numpy(distilled.features), wanted.features, eps=library.eps, size=P, amplification=1e3)
            < 30
        )


def test_as_many_points_as_the_rank_are_exact(ratio, matrix, rng):
    deficient = matrix(K, P, rng=rng, rank=3)
    for m in (3, 4, 5):
        distilled = few_features(deficient, m)
        W_s = np.linalg.lstsq(distilled.features, distilled.labels, rcond=1e-10)[0].T
        assert ratio(W_s, deficient, size=K + P, amplification=10) < 30
        assert ratio(distilled.relative_error, 0.0, size=K + P, unit=1.0) < 30
        assert ratio(distilled.condition, 10.0, size=K + P, amplification=10.0) < 30  # of the kept singular values


def test_more_classes_than_features_lose_no_digits(ratio, rng):
    """k > p: the singular values of W itself, not the roots of those of W W^T."""
    W = rng.standard_normal((11, 3))
    assert ratio(few_features(W, 5).relative_error, 0.0, size=11, unit=1.0) < 30
    distilled = few_features(W, 2)
    s = np.linalg.svd(W, compute_uv=False)
    lost = np.linalg.norm(s) / s[2]
    assert ratio(distilled.relative_error, 1 / lost, size=11, amplification=lost) < 30


def test_mixed_dtypes_come_to_the_common_one(W, rng):
    S = metrics(rng)["G"]
    assert few_features(W.astype("float32"), 2, metric=S).features.dtype == np.float64


def test_zero_weights_have_the_zero_set():
    distilled = few_features(np.zeros((K, P)), 2)
    assert not np.any(distilled.features)
    assert distilled.relative_error == 0.0


def test_bad_sizes_are_refused(W):
    for m in (0, 6):
        with pytest.raises(ShapeError, match=rf"m must lie in 1 \.\. 5, the number of rows of W, got {m}"):
            few_features(W, m)
    with pytest.raises(ShapeError, match="metric must have 7 rows, got 5"):
        few_features(W, 2, metric=np.eye(K))
