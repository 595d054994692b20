"""T1: an exact set exists iff the columns of W lie in the row space of the labels; else the best reachable error."""

import numpy as np
import pytest

from analytic_dd import distill_features, minimal_features
from analytic_dd.arrays import to_numpy
from analytic_dd.distill import target
from analytic_dd.errors import InfeasibleError, ShapeError

K, P = 5, 7


def deficient(rows, columns, rank, rng):
    return rng.standard_normal((rows, rank)) @ rng.standard_normal((rank, columns))


def test_target_exists_iff_the_columns_of_w_are_in_the_row_space_of_the_labels(rng):
    """Any m, k and ranks. ``inside`` draws W from the row space of Ys, otherwise both are generic."""
    for m in [1, 3, 4, 5, 6, 11]:
        for rank_w in [1, 3, 5]:
            for rank_y in [1, 3, 5]:
                for inside in [False, True]:
                    Ys = deficient(m, K, min(rank_y, m), rng)
                    W = Ys.T @ deficient(m, P, min(rank_w, m), rng) if inside else deficient(K, P, rank_w, rng)
                    if inside or min(rank_y, m) == K:
                        D = target(W, Ys)
                        error = np.linalg.norm(Ys.T @ D - W)
                        # solving with Ys costs cond(Ys), of its nonzero singular values
                        s = np.linalg.svd(Ys, compute_uv=False)[: min(rank_y, m)]
                        assert error < 30 * 2**-52 * (m + K) * s[0] / s[-1] * np.linalg.norm(W)
                    else:
                        with pytest.raises(InfeasibleError, match="T1: "):
                            target(W, Ys)


@pytest.mark.parametrize(("m", "rank_y"), [(2, 2), (4, 4), (5, 3), (11, 4)])
def test_refusal_has_the_best_reachable_error_which_is_attained_and_never_beaten(ratio, rng, m, rank_y):
    W, Ys = rng.standard_normal((K, P)), deficient(m, K, rank_y, rng)
    with pytest.raises(InfeasibleError) as caught:
        distill_features(W, Ys)
    error = caught.value
    assert error.theorem == "T1"
    assert f"{error.value:.3g}" in str(error)
    s = np.linalg.svd(Ys, compute_uv=False)
    size, cond = m + K + P, s[0] / s[rank_y - 1]
    assert error.limit == 10.0 * max(m, K, P) * 2.0**-52
    # attained: least squares over D in Ys^T D = W; every D is R(Phi) of some Phi at ridge 0 (T2)
    D = np.linalg.lstsq(Ys.T, W, rcond=1e-10)[0]
    scale = np.linalg.norm(W)
    assert ratio(np.linalg.norm(Ys.T @ D - W), scale * error.value, size=size, amplification=cond) < 30
    Phis = np.linalg.pinv(D, rcond=1e-10).T
    W_s = Ys.T @ np.linalg.pinv(Phis, rcond=1e-10).T
    t = np.linalg.svd(D, compute_uv=False)
    lost = cond * t[0] / t[t > 1e-10 * t[0]][-1]
    assert ratio(np.linalg.norm(W_s - W), scale * error.value, size=size, amplification=lost) < 30
    # never beaten: by features near the best ones, by others, at any ridge
    for trial in range(300):
        Phi = Phis * (1 + 0.1 * rng.standard_normal((m, P))) if trial % 2 else rng.standard_normal((m, P))
        ridge = 10.0 ** rng.uniform(-6, 2)
        A = Phi @ Phi.T + ridge * np.eye(m)
        rounding = 30 * 2.0**-52 * size * np.linalg.cond(A)
        assert np.linalg.norm(Ys.T @ np.linalg.solve(A, Phi) - W) / scale >= error.value * (1 - rounding)


def test_fewer_points_than_the_rank_of_w_are_refused_with_reason_error_and_remedy(library, rng):
    W, Ys = library.array(rng.standard_normal((K, P))), library.array(rng.standard_normal((3, K)))
    pattern = (
        r"T1: m = 3 points are fewer than rank W = 5, so no set of this size is exact, whatever its labels; the best "
        r"relative error with these labels is 0\.\d+; take 5 points or more, or few_features \(T7\)"
    )
    with pytest.raises(InfeasibleError, match=pattern):
        distill_features(W, Ys)


def test_labels_that_miss_a_direction_of_w_are_refused_with_another_reason(ratio, rng):
    W, Ys = rng.standard_normal((K, P)), np.eye(K)[[0, 1, 2, 3, 3, 2, 1]]  # seven points, class 4 has none
    with pytest.raises(
        InfeasibleError, match=r"the columns of W are not in the row space of Ys .* minimal_features"
    ) as e:
        distill_features(W, Ys)
    assert ratio(e.value.value, np.linalg.norm(W[4]) / np.linalg.norm(W), size=7 + P) < 30


def test_as_many_points_as_the_rank_of_w_are_enough_though_fewer_than_classes(library, ratio, refit, rng):
    """rank W = 2 < k = 5: two points, with labels that span the columns of W."""
    A = rng.standard_normal((K, 2))
    W, Ys = library.array(A @ rng.standard_normal((2, P))), library.array(rng.standard_normal((2, 2)) @ A.T)
    distilled = distill_features(W, Ys, rcond=1e-4)
    cond = distilled.amplification * 10
    assert ratio(refit(distilled.features, Ys, 0.0), W, eps=library.eps, size=2 + P, amplification=cond) < 30


def test_free_matrix_moves_the_target_only_within_the_null_space_of_the_labels(library, ratio, rng):
    W, Ys = library.array(rng.standard_normal((3, P))), library.array(rng.standard_normal((5, 3)))
    Z = library.array(rng.standard_normal((5, P)))
    D, D0 = target(W, Ys, free=Z), target(W, Ys)
    assert library.owns(D, D0)
    cond = np.linalg.cond(to_numpy(Ys))
    for T in (D, D0):
        got = to_numpy(Ys).T.astype(float) @ to_numpy(T)
        assert ratio(got, W, eps=library.eps, size=5 + P, amplification=cond) < 30
    P_null = np.eye(5) - to_numpy(Ys) @ np.linalg.pinv(to_numpy(Ys))
    moved = to_numpy(D) - to_numpy(D0)
    assert ratio(moved, P_null @ to_numpy(Z), eps=library.eps, size=5 + P, amplification=cond) < 30
    assert np.linalg.norm(to_numpy(D0), 2) <= np.linalg.norm(to_numpy(D), 2)  # Z = 0 has the smallest |D|_2


def test_every_target_is_reached_by_some_free_matrix(ratio, rng):
    """D = (Ys^T)^+ W + (I - Ys Ys^+) Z for Z = D itself."""
    Ys, D = rng.standard_normal((5, 3)), rng.standard_normal((5, P))
    assert ratio(target(Ys.T @ D, Ys, free=D), D, size=5 + P, amplification=np.linalg.cond(Ys)) < 30


def test_residual_within_rcond_counts_as_solvable(rng):
    Ys = rng.standard_normal((3, K))
    W = Ys.T @ rng.standard_normal((3, P)) + 1e-9 * rng.standard_normal((K, P))
    with pytest.raises(InfeasibleError):
        target(W, Ys)
    assert target(W, Ys, rcond=1e-6).shape == (3, P)


def test_minimal_features_refuse_fewer_points_than_rank(rng):
    with pytest.raises(InfeasibleError, match="T1: 4 points are fewer than rank W = 5") as caught:
        minimal_features(rng.standard_normal((K, P)), points=4)
    assert (caught.value.value, caught.value.limit) == (4.0, 5.0)


def test_labels_of_other_columns_are_refused(rng):
    with pytest.raises(ShapeError, match="as many columns as W has rows, got 4 and 5"):
        target(rng.standard_normal((K, P)), rng.standard_normal((6, 4)))
    with pytest.raises(ShapeError, match="free must have 6 rows"):
        target(rng.standard_normal((K, P)), rng.standard_normal((6, K)), free=np.ones((5, P)))
