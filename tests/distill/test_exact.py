"""T2 and T3: the set is exact, for each root of each singular value; the limit of the ridge; labels T5."""

import itertools
import re

import numpy as np
import pytest

from analytic_dd import distill_features
from analytic_dd.arrays import to_numpy
from analytic_dd.distill import free_matrix, largest_ridge, target
from analytic_dd.errors import InfeasibleError, ShapeError
from analytic_dd.labels import centred_one_hot, one_hot, repeated_classes, scale_to_feasible

K, P = 3, 7
EPS = 2.0**-52


def exactness(ratio, refit, W, distilled, eps=EPS):
    size = len(distilled) + P**0.5
    got = refit(distilled.features, distilled.labels, distilled.ridge)
    return ratio(got, W, eps=eps, size=size, amplification=distilled.amplification)


def test_set_is_exact_in_every_library(library, ratio, refit, rng):
    """m from rank W to more than p; the free matrix gives full rank where m <= p or a ridge makes it superfluous."""
    sizes = [5] if library.name == "jax" else [3, 5, 7, 11]  # jax compiles for every shape
    for m, fraction, root in itertools.product(sizes, [0.0, 1e-6, 0.3, 1.0], ["large", "small"]):
        W, Ys = library.array(rng.standard_normal((K, P))), library.array(rng.standard_normal((m, K)))
        free = library.array(0.3 * rng.standard_normal((m, P)))
        ridge = fraction * largest_ridge(W, Ys, free=free)
        distilled = distill_features(W, Ys, ridge=ridge, free=free, root=root)
        assert library.owns(distilled.features, distilled.labels)
        assert distilled.features.shape == (m, P)
        assert distilled.theorem == ("T3" if ridge else "T2")
        assert exactness(ratio, refit, W, distilled, library.eps) < 30


@pytest.mark.parametrize("m", [3, 5, 11])
def test_features_at_ridge_zero_are_the_pseudo_inverse_of_the_target(ratio, rng, m):
    W, Ys, Z = rng.standard_normal((K, P)), rng.standard_normal((m, K)), rng.standard_normal((m, P))
    D = target(W, Ys, free=Z)
    wanted = np.linalg.pinv(D, rcond=1e-12).T
    assert ratio(distill_features(W, Ys, free=Z).features, wanted, size=m, amplification=np.linalg.cond(D)) < 30


def test_pseudo_inverse_is_that_of_the_product_for_a_rank_deficient_w(ratio, rng):
    """(Y^+ W)^+ = W^+ Y fails when rank W < k; the refit by least squares decides."""
    W, Ys = rng.standard_normal((K, 2)) @ rng.standard_normal((2, P)), rng.standard_normal((5, K))
    Phis = distill_features(W, Ys).features
    shortcut = (np.linalg.pinv(W, rcond=1e-10) @ Ys.T).T
    errors = []
    for F in (Phis, shortcut):
        W_s = (np.linalg.pinv(F, rcond=1e-10) @ Ys).T
        errors.append(ratio(W_s, W, size=5 + P, amplification=np.linalg.cond(Ys) * 100))
    assert errors[0] < 30
    assert errors[1] > 1e9


def test_each_choice_of_roots_is_another_exact_set(ratio, refit, rng):
    """2^r solutions; each singular value solves s / (s^2 + ridge) = t, on either side of sqrt(ridge)."""
    for roots in itertools.product(["large", "small"], repeat=K):
        W, Ys = rng.standard_normal((K, P)), rng.standard_normal((K, K))
        ridge = 0.5 * largest_ridge(W, Ys)
        distilled = distill_features(W, Ys, ridge=ridge, root=roots)
        assert exactness(ratio, refit, W, distilled) < 30
        t = np.linalg.svd(target(W, Ys), compute_uv=False)
        outer = (1 + np.sqrt(1 - 4 * ridge * t**2)) / (2 * t)
        wanted = np.where(np.array(roots) == "large", outer, ridge / outer)  # the product of the roots is the ridge
        s = np.linalg.svd(distilled.features, compute_uv=False)
        assert ratio(s, np.sort(wanted)[::-1], size=K + P, amplification=np.linalg.cond(Ys) * t[0] / t[-1]) < 30
        assert (s > np.sqrt(ridge)).sum() == roots.count("large")


def test_large_root_tends_to_ridge_zero_and_small_root_to_nothing(rng):
    """s+ = 1/t - ridge t - r and s- = ridge t + r, where 0 < r < 2 ridge^2 t^3 for ridge t^2 < 1/20."""
    W, Ys = rng.standard_normal((K, P)), rng.standard_normal((K, K))
    D, Phis = target(W, Ys), distill_features(W, Ys).features
    for ridge in (1e-1 * largest_ridge(W, Ys), 1e-3 * largest_ridge(W, Ys)):
        large, small = (distill_features(W, Ys, ridge=ridge, root=root).features for root in ("large", "small"))
        order = ridge * np.linalg.norm(D, 2) ** 2
        assert np.linalg.norm(large - (Phis - ridge * D)) < 2 * order * np.linalg.norm(ridge * D)
        assert np.linalg.norm(small - ridge * D) < 2 * order * np.linalg.norm(ridge * D)


def test_limit_of_the_ridge_is_sharp(library, ratio, refit, rng):
    """Refused one part in 1e6 above (float32: 1e-4), accepted at the limit and 1e-6 below; W is accurate there."""
    for scale in [1e-8, 1.0, 1e8]:
        for root in ["large", "small"]:
            W, Ys = library.array(scale * rng.standard_normal((K, P))), library.array(np.eye(K))
            limit, step = largest_ridge(W, Ys), 1e-6 if library.dtype == "float64" else 1e-4
            norm = np.linalg.norm(to_numpy(W).astype(float), 2)
            assert ratio(limit, 1 / (4 * norm**2), size=P, eps=library.eps) < 30
            for ridge in (limit, (1 - step) * limit):
                distilled = distill_features(W, Ys, ridge=ridge, root=root)
                assert ratio(distilled.ridge_limit, limit, size=P, eps=library.eps) < 30
                assert exactness(ratio, refit, W, distilled, library.eps) < 30
            with pytest.raises(InfeasibleError, match=r"T3: ridge .* exceeds") as caught:
                distill_features(W, Ys, ridge=(1 + step) * limit, root=root)
            assert (caught.value.theorem, caught.value.value) == ("T3", (1 + step) * limit)
            assert ratio(caught.value.limit, limit, size=P, eps=library.eps) < 30


def test_factor_in_the_refusal_really_suffices_and_is_no_waste(ratio, refit, rng):
    for excess, m in itertools.product([1 + 1e-6, 1.2, 100.0, 1e12], [3, 5]):
        W, Ys = rng.standard_normal((K, P)), rng.standard_normal((m, K))
        ridge = excess * largest_ridge(W, Ys)
        with pytest.raises(InfeasibleError) as caught:
            distill_features(W, Ys, ridge=ridge)
        factor = float(
            re.search(r"multiply the labels by at least (\S+) \(labels\.scale_to_feasible\)", str(caught.value))[1]
        )
        assert exactness(ratio, refit, W, distill_features(W, factor * Ys, ridge=ridge)) < 30
        assert excess**0.5 <= factor < 1.011 * excess**0.5
        assert exactness(ratio, refit, W, distill_features(W, scale_to_feasible(Ys, W, ridge=ridge), ridge=ridge)) < 30


def test_features_labels_and_ridge_scale_together(ratio, rng):
    W, Ys = rng.standard_normal((K, P)), rng.standard_normal((5, K))
    ridge = 0.3 * largest_ridge(W, Ys)
    for root in ("large", "small"):
        wanted = distill_features(W, Ys, ridge=ridge, root=root).features
        for c in (1e-8, 1e8):
            got = distill_features(W, c * Ys, ridge=c * c * ridge, root=root).features
            assert ratio(got, c * wanted, size=5, amplification=100) < 30


@pytest.mark.parametrize("m", [4, 5, 7, 11])
def test_free_matrix_keeps_the_condition_at_its_minimum(ratio, refit, matrix, rng, m):
    W, Ys = matrix(K, P, rng=rng, cond=50.0), rng.standard_normal((m, K))
    least = np.linalg.cond(np.linalg.pinv(Ys).T @ W @ np.linalg.svd(W)[2][:K].T)
    Z = free_matrix(W, Ys, rng=rng)
    distilled = distill_features(W, Ys, free=Z)
    lost = np.linalg.cond(Ys) * least
    assert ratio(distilled.condition, least, size=m + P, amplification=lost) < 30
    assert np.linalg.matrix_rank(distilled.features) == min(m, P)
    assert exactness(ratio, refit, W, distilled) < 30
    for scale in np.geomspace(1e-2, 1e2, 20) if m <= P else ():
        gaussian = distill_features(W, Ys, free=scale * rng.standard_normal((m, P)))
        assert gaussian.condition > (1 - 30 * EPS * (m + P) * lost) * least


def test_free_matrix_is_zero_where_nothing_is_free_and_serves_every_library(library, ratio, rng):
    W, square, tall = (library.array(rng.standard_normal(shape)) for shape in ((K, P), (K, K), (5, K)))
    assert not np.any(to_numpy(free_matrix(W, square, rng=rng)))
    assert not np.any(to_numpy(free_matrix(W[:, :K], tall, rng=rng)))
    Z = free_matrix(W, tall, rng=rng, scale=2.0)
    assert library.owns(Z)
    s = np.linalg.svd(to_numpy(Z), compute_uv=False)
    assert ratio(s, [2, 2, 0, 0, 0], size=5 + P, eps=library.eps) < 30


@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize("fraction", [0.0, 0.5])
def test_centred_labels_need_one_point_less_than_classes(ratio, refit, rng, k, fraction):
    """T5: k - 1 points are exact for centred weights, and decide as the weights themselves do."""
    W = rng.standard_normal((k, P))
    centred, Ys = W - W.mean(0), centred_one_hot(np.arange(k - 1), k)
    distilled = distill_features(centred, Ys, ridge=fraction * largest_ridge(centred, Ys))
    assert len(distilled) == k - 1
    assert exactness(ratio, refit, centred, distilled) < 30
    D = centred[:-1] - centred[-1]  # labels e_j - 1/k: D_j = W_j - W_k
    assert ratio(target(centred, Ys), D, size=k, amplification=k) < 30
    X = rng.standard_normal((200, P))
    W_s = refit(distilled.features, distilled.labels, distilled.ridge)
    assert np.array_equal((X @ W_s.T).argmax(1), (X @ W.T).argmax(1))
    if k > 2:
        with pytest.raises(InfeasibleError, match=f"fewer than rank W = {k - 1}"):
            distill_features(centred, centred_one_hot(np.arange(k - 2), k))


def test_a_zero_singular_value_is_dropped_by_rank_and_not_inverted(ratio, rng):
    """T5 with m = k: centred weights have rank k - 1; the features have it too, and stay small."""
    W = rng.standard_normal((5, P))
    W -= W.mean(0)
    distilled = distill_features(W, np.eye(5))
    s = np.linalg.svd(distilled.features, compute_uv=False)
    t = np.linalg.svd(W, compute_uv=False)
    assert ratio(s[-1], 0.0, size=5 + P, unit=s[0]) < 30
    assert ratio(s[0], 1 / t[3], size=5 + P, amplification=t[0] / t[3]) < 30
    W_s = np.linalg.lstsq(distilled.features, np.eye(5), rcond=1e-12)[0].T
    assert ratio(W_s, W, size=5 + P, amplification=distilled.amplification) < 30


def test_zero_weights_have_the_zero_set(library):
    for ridge in (0.0, 1e9):
        distilled = distill_features(library.array(np.zeros((K, P))), library.array(np.eye(K)), ridge=ridge)
        assert library.owns(distilled.features)
        assert not np.any(to_numpy(distilled.features))
        assert (distilled.amplification, distilled.condition, distilled.ridge_limit) == (1.0, 1.0, np.inf)


def test_repeated_classes_are_exact_too(ratio, refit, rng):
    W, Ys = rng.standard_normal((K, P)), one_hot(repeated_classes(K, 5))
    for root in ("large", "small"):
        distilled = distill_features(W, Ys, ridge=0.7 * largest_ridge(W, Ys), root=root)
        assert exactness(ratio, refit, W, distilled) < 30


def test_wrong_roots_are_refused(rng):
    W = rng.standard_normal((K, P))
    with pytest.raises(ValueError, match="root must be 'large' or 'small', got 'plus'"):
        distill_features(W, np.eye(K), root="plus")
    with pytest.raises(ShapeError, match="one root for each of the 3 singular values, got 2"):
        distill_features(W, np.eye(K), root=["large", "small"])
    with pytest.raises(ValueError, match="ridge must be finite and >= 0"):
        distill_features(W, np.eye(K), ridge=-1e-9)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_limit_of_extreme_weights_is_zero_or_infinite_without_an_exception(scale):
    limit = largest_ridge(scale * np.eye(K, P), np.eye(K))
    assert limit == (np.inf if scale < 1 else 0.0)


def test_weights_of_any_unit_have_the_diagnostics_of_unit_size(rng, ratio):
    """Squares of singular values overflow or vanish there: what has no unit is computed without them."""
    for power, root in itertools.product([-300, -200, -120, 120, 200, 300], ["large", "small"]):
        W = rng.standard_normal((K, P))
        plain, other = (distill_features(w, np.eye(K), ridge=0.0, root=root) for w in (W, W * 2.0**power))
        assert np.array_equal(other.features, plain.features / 2.0**power)
        assert (other.amplification, other.condition) == (plain.amplification, plain.condition)
        if power > -200:  # else the largest ridge is no number
            ridge = 0.5 * largest_ridge(W, np.eye(K))
            plain, other = (
                distill_features(W * unit, np.eye(K), ridge=ridge / unit / unit, root=root)
                for unit in (1.0, 2.0**power)
            )
            assert ratio(other.amplification, plain.amplification, size=P, amplification=plain.condition**2) < 30
