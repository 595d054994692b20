"""T6, T6b: exact sets near references: exactness, the predicted distance, and that nothing is nearer."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from analytic_dd import InfeasibleError, ShapeError, distill_features, nearest_features
from analytic_dd.arrays import to_numpy
from analytic_dd.distill import target
from analytic_dd.labels import centred_one_hot, one_hot, repeated_classes

K, M, P = 3, 5, 11
EPS = 2.0**-52


def split(W, references):
    """N and singular values (m of them), by other means than the code: a full SVD and an explicit projector."""
    N = references @ (np.eye(W.shape[1]) - np.linalg.pinv(W) @ W)
    s = np.linalg.svd(N, compute_uv=False)
    return N, np.concatenate([s, np.zeros(max(0, len(references) - len(s)))])


def optimum(W, references):
    q = np.linalg.matrix_rank(W)
    return math.sqrt(np.sum(split(W, references)[1][len(references) - q :] ** 2))


def published(W, references, Ys):
    """The published choice of Z: the target of the references."""
    free = np.linalg.pinv(references).T
    D = np.linalg.pinv(Ys.T) @ W + (np.eye(len(Ys)) - Ys @ np.linalg.pinv(Ys)) @ free
    return np.linalg.pinv(D).T


def size_of(W, m):
    return m + math.sqrt(W.shape[1])


def test_learned_labels_are_exact(library, ratio, refit, rng):
    cases = [(0.25, M)] if library.name == "jax" else itertools.product([0.0, 0.25], [K, M])
    for ridge, m in cases:  # jax compiles for every shape
        W, references = rng.standard_normal((K, P)), rng.standard_normal((m, P))
        built = nearest_features(library.array(W), library.array(references), ridge=ridge)
        assert library.owns(built.features, built.labels)
        W = to_numpy(library.array(W))
        got = refit(built.features, built.labels, ridge)
        assert ratio(got, W, size=size_of(W, m), amplification=built.amplification, eps=library.eps) < 30
        assert built.relative_error < 30 * library.eps * m * built.amplification


@pytest.mark.parametrize("rank", [1, 2, K])
def test_rank_deficient_weights_need_fewer_references_moved(ratio, refit, matrix, rng, rank):
    W, references = matrix(K, P, rng=rng, rank=rank), rng.standard_normal((M, P))
    built = nearest_features(W, references)
    assert np.linalg.matrix_rank(built.features - references, tol=30 * EPS * (M + P) * built.condition) == rank
    assert (
        ratio(refit(built.features, built.labels, 0.0), W, size=size_of(W, M), amplification=built.amplification) < 30
    )


def test_distance_is_the_predicted_optimum(library, ratio, rng):
    for scale in [1e-150, 1.0, 1e150]:
        W, references = rng.standard_normal((K, P)), rng.standard_normal((M, P))
        built = nearest_features(
            library.array((scale if library.dtype == "float64" else 1.0) * W), library.array(references)
        )
        moved = float(np.linalg.norm(to_numpy(built.features) - to_numpy(library.array(references))))
        largest = np.abs(to_numpy(built.features) - references).max()
        # differences of numbers of the size of the references, the singular values through the projector on row(W)
        lost = np.linalg.cond(W) * np.linalg.norm(references) / min(moved, largest)
        for got, wanted in (
            (built.distance, moved),
            (built.distance, built.predicted_distance),
            (built.predicted_distance, optimum(W, references)),
            (built.relative_distance, moved / np.linalg.norm(references)),
            (built.largest_change, largest),
        ):
            assert ratio(got, wanted, size=M + P, amplification=lost, eps=library.eps) < 30


def test_never_farther_than_the_published_choice(ratio):
    for seed in range(200):
        rng = np.random.default_rng(seed)
        p, k = int(rng.integers(4, 16)), int(rng.integers(1, 4))
        m = int(rng.integers(k, p))
        W, references = (
            rng.standard_normal((k, p)),
            rng.uniform(0, 2, p) + rng.standard_normal((m, p)) @ np.diag(rng.uniform(0.01, 1, p)),
        )
        Ys = one_hot(repeated_classes(k, m), k)
        theirs = np.linalg.norm(published(W, references, Ys) - references)
        learned, fixed = nearest_features(W, references), nearest_features(W, references, labels=Ys)
        lost = np.linalg.norm(references) / learned.distance * np.linalg.cond(references)
        above = 1 + 30 * EPS * (m + p) * lost
        for built in (learned, fixed):
            assert ratio(built.distance, built.predicted_distance, size=m + p, amplification=lost) < 30, seed
            assert built.distance <= theirs * above, seed
        assert learned.distance <= fixed.distance * above, seed


def test_no_direct_search_over_exact_sets_is_nearer(rng):
    """An exact Phi has C Phi = A B for a basis B of row(W); for each C, A the nearest of these is a projection."""
    W, references = rng.standard_normal((2, 6)), rng.standard_normal((4, 6))
    basis, best = np.linalg.qr(W.T)[0].T, optimum(W, references)

    def distance(z):
        C, A = z[:8].reshape(2, 4), z[8:].reshape(2, 2)
        return np.linalg.norm(np.linalg.pinv(C) @ (A @ basis - C @ references)) / best

    found = [minimize(distance, rng.standard_normal(12), options={"maxiter": 400}).fun for _ in range(12)]
    assert min(found) >= 1 - 30 * EPS * 10 * np.linalg.norm(references) / best  # a bound ...
    assert min(found) < 1 + 1e-4  # ... and a tight one: where the search stops


def test_features_do_not_depend_on_the_ridge(rng):
    W, references = rng.standard_normal((K, P)), rng.standard_normal((M, P))
    sets = [nearest_features(W, references, ridge=ridge) for ridge in (0.0, 1e-3, 7.0)]
    assert all(np.array_equal(built.features, sets[0].features) for built in sets)
    assert np.linalg.norm(sets[0].labels - sets[2].labels) > 0.01 * np.linalg.norm(sets[0].labels)


@pytest.mark.parametrize("m", [P - 1, P, P + 2])
def test_references_that_span_row_w_already_stay(ratio, refit, rng, m):
    W = rng.standard_normal((K, P))
    references = (
        rng.standard_normal((m, P))
        if m >= P
        else np.vstack([W[:, ::-1] @ np.eye(P)[::-1], rng.standard_normal((m - K, P))])
    )
    built = nearest_features(W, references, ridge=0.5)
    for got in (built.distance, built.predicted_distance):
        assert (
            ratio(got, 0.0, size=m + P, amplification=np.linalg.cond(references), unit=np.linalg.norm(references)) < 30
        )
    assert (
        ratio(refit(built.features, built.labels, 0.5), W, size=size_of(W, m), amplification=built.amplification) < 30
    )


def test_of_many_free_combinations_those_that_carry_w_are_taken(ratio, refit, rng):
    """Four references in row(W) of dimension 3: one of their combinations vanishes and must not be chosen."""
    W = rng.standard_normal((K, P))
    references = np.vstack([rng.standard_normal((K + 1, K)) @ W, rng.standard_normal((2, P))])
    built = nearest_features(W, references, ridge=0.5)
    assert ratio(built.distance, 0.0, size=6 + P, amplification=np.linalg.cond(W), unit=np.linalg.norm(references)) < 30
    assert (
        ratio(refit(built.features, built.labels, 0.5), W, size=size_of(W, 6), amplification=built.amplification) < 30
    )


def test_references_that_are_zero_are_not_chosen(ratio, refit, rng):
    """Every combination is free here; the singular vectors alone would name the zero rows."""
    W = np.eye(K, P)
    built = nearest_features(W, np.vstack([rng.standard_normal((K, K)) @ W, np.zeros((K, P))]), ridge=0.5)
    assert built.distance == 0.0
    assert (
        ratio(refit(built.features, built.labels, 0.5), W, size=size_of(W, 6), amplification=built.amplification) < 30
    )


@pytest.mark.parametrize("kind", ["repeated", "orthogonal"])
def test_references_for_which_the_infimum_is_not_attained_are_refused(ratio, rng, kind):
    W, references = rng.standard_normal((K, P)), rng.standard_normal((M, P))
    references = references[[0, 1, 2, 3, 3]] if kind == "repeated" else split(W, references)[0]
    with pytest.raises(InfeasibleError, match=r"T6: .* must span it") as caught:
        nearest_features(W, references)
    assert caught.value.theorem == "T6"
    assert caught.value.value <= caught.value.limit
    assert ratio(caught.value.limit, 0.0, size=M + P, unit=1.0) < 30


def test_tau_trades_distance_for_conditioning(ratio, refit, matrix, rng):
    """The distance, and how much of row(W) the moved combinations carry, grow with tau; the condition falls."""
    W = rng.standard_normal((K, P))
    references = matrix(8, P, rng=rng, cond=1e3)
    sets = [nearest_features(W, references, tau=tau, ridge=0.01) for tau in (0.0, 0.01, 0.1, 0.5, 1.0, 10.0)]
    distances, carried = [built.distance for built in sets], []
    for built in sets:
        V = np.linalg.svd(built.features - references)[0][:, :K]
        carried.append(np.linalg.norm(V.T @ references @ np.linalg.pinv(W) @ W))
        lost = np.linalg.norm(references) / distances[0] * np.linalg.cond(W)
        assert ratio(built.predicted_distance, distances[0], size=8 + P, amplification=lost) < 30
        got = refit(built.features, built.labels, 0.01)
        assert ratio(got, W, size=size_of(W, 8), amplification=built.amplification) < 30
    for values in (distances, carried):
        assert all(low <= high * (1 + 30 * EPS * (8 + P) * lost) for low, high in itertools.pairwise(values))
        assert values[0] < 0.5 * values[-1]
    assert sets[-1].condition < 0.5 * sets[0].condition


def test_weights_are_those_of_the_distance(ratio, refit, rng):
    W, references = rng.standard_normal((K, P)), rng.standard_normal((M, P))
    images, pixels = rng.uniform(0.1, 3, M), rng.uniform(0.1, 3, P)
    built = nearest_features(W, references, point_weights=images, feature_weights=pixels)
    root, side = np.sqrt(images)[:, None], np.sqrt(pixels)
    scaled = nearest_features(W * side, root * references * side)
    assert ratio(built.features, scaled.features / root / side, size=M + P, amplification=scaled.condition) < 30
    plain = nearest_features(W, references).features - references
    best = optimum(W * side, root * references * side)
    lost = np.linalg.cond(W * side) * np.linalg.norm(root * references * side) / best
    assert ratio(built.distance, best, size=M + P, amplification=lost) < 30
    assert built.distance < 0.999 * np.linalg.norm(root * plain * side)
    assert (
        ratio(refit(built.features, built.labels, 0.0), W, size=size_of(W, M), amplification=built.amplification) < 30
    )


def test_equal_weights_change_nothing_and_heavy_images_stay(ratio, rng):
    W, references = rng.standard_normal((K, P)), rng.standard_normal((M, P))
    plain = nearest_features(W, references)
    same = nearest_features(W, references, point_weights=np.full(M, 4.0))
    assert ratio(same.features, plain.features, size=M + P, amplification=plain.condition) < 30
    assert ratio(same.distance, 2 * plain.distance, size=M + P, amplification=plain.condition) < 30
    heavy = nearest_features(W, references, point_weights=np.array([1.0, 1e6, 1.0, 1.0, 1.0]))
    moved, before = (np.linalg.norm(built.features[1] - references[1]) for built in (heavy, plain))
    assert moved < 1e-2 * before


@pytest.mark.parametrize("kind", ["rotation", "permutation", "scale"])
def test_nearest_sets_follow_the_references(ratio, rng, kind):
    W, references = rng.standard_normal((K, P)), rng.standard_normal((M, P))
    plain = nearest_features(W, references)
    built = plain.features
    if kind == "rotation":
        Q = np.linalg.qr(rng.standard_normal((P, P)))[0]
        got, wanted = nearest_features(W @ Q, references @ Q).features, built @ Q
    elif kind == "permutation":
        order = rng.permutation(M)
        got, wanted = nearest_features(W, references[order]).features, built[order]
    else:
        got, wanted = nearest_features(1e3 * W, 7 * references).features, 7 * built
    assert ratio(got, wanted, size=M + P, amplification=plain.condition) < 30


def soft(rng, m, k):
    Y = rng.uniform(0.05, 1, (m, k))
    return Y / Y.sum(axis=1, keepdims=True)


LABELS = {
    "one-hot": lambda rng, m: one_hot(repeated_classes(K, m), K),
    "soft": lambda rng, m: soft(rng, m, K),
}


def test_fixed_labels_are_exact_and_at_the_predicted_distance(library, ratio, refit, rng):
    for kind, m in itertools.product(LABELS, [M, P]):
        W, references, Ys = rng.standard_normal((K, P)), rng.standard_normal((m, P)), LABELS[kind](rng, m)
        built = nearest_features(library.array(W), library.array(references), labels=library.array(Ys))
        assert library.owns(built.features, built.labels)
        W, Ys = to_numpy(library.array(W)), to_numpy(library.array(Ys))
        assert np.array_equal(to_numpy(built.labels), Ys)
        got = refit(built.features, built.labels, 0.0)
        assert ratio(got, W, size=size_of(W, m), amplification=built.amplification, eps=library.eps) < 30
        _, s = split(W, references)
        wanted = math.hypot(np.linalg.norm((Ys - references @ W.T) @ np.linalg.pinv(W).T), np.linalg.norm(s[m - K :]))
        t = np.linalg.svd(W, compute_uv=False)
        lost = t[0] / t[-1] * (np.linalg.norm(references) + np.linalg.norm(Ys) / t[-1]) / wanted
        for found in (built.distance, built.predicted_distance):
            assert ratio(found, wanted, size=m + P, amplification=lost, eps=library.eps) < 30


@pytest.mark.parametrize("power", [0, 4, 7, 10, -4, -10])
def test_the_error_of_fixed_labels_is_measured(refit, rng, power):
    """The reported error is that of the rounded set, not of the theorem: 0 was reported where it is 1e-4."""
    W, references = rng.standard_normal((K, P)) * 10.0**power, 10 * rng.standard_normal((M, P))
    built = nearest_features(W, references, labels=rng.standard_normal((M, K)))
    error = np.linalg.norm(refit(built.features, built.labels, 0.0) - W) / np.linalg.norm(W)
    assert error == pytest.approx(built.relative_error, abs=30 * 2.0**-52 * size_of(W, M) * built.amplification)
    assert (built.relative_error > 1e-6) if power == 10 else (built.relative_error < 1e-4)


@pytest.mark.parametrize("power", [26, 150, -26])
def test_fixed_labels_that_vanish_beside_the_references_or_hide_them_are_refused(rng, power):
    W, references, Ys = rng.standard_normal((K, P)), 10 * rng.standard_normal((M, P)), rng.standard_normal((M, K))
    with pytest.raises(InfeasibleError, match="must have full row rank") as error:
        nearest_features(W * 10.0**power, references, labels=Ys)
    assert (error.value.theorem, error.value.limit) == ("T6b", M)
    assert error.value.value < M
    factor = float(str(error.value).split("multiply the labels by about ")[1].split(",")[0])
    assert nearest_features(W * 10.0**power, references, labels=factor * Ys).relative_error < 1e-9


def test_centred_labels_for_a_centred_model(ratio, refit, rng):
    W, references = rng.standard_normal((K, P)), rng.standard_normal((M, P))
    W = W - W.mean(axis=0)
    built = nearest_features(W, references, labels=centred_one_hot(repeated_classes(K, M), K))
    assert (
        ratio(refit(built.features, built.labels, 0.0), W, size=size_of(W, M), amplification=built.amplification) < 30
    )
    lost = built.condition * np.linalg.norm(references) / built.distance
    assert ratio(built.distance, built.predicted_distance, size=M + P, amplification=lost) < 30


def test_no_direct_search_over_free_matrices_is_nearer(rng):
    """Every exact set of full row rank for these labels is (D^+)^T for a free matrix Z (T2)."""
    W, references, Ys = rng.standard_normal((2, 6)), rng.standard_normal((4, 6)), one_hot(repeated_classes(2, 4), 2)
    best = nearest_features(W, references, labels=Ys).distance
    M, N, R = (torch.tensor(A) for A in (target(W, Ys), np.eye(4) - Ys @ np.linalg.pinv(Ys), references))

    def distance(z):
        Z = torch.tensor(z.reshape(4, 6), requires_grad=True)
        D = M + N @ Z
        found = torch.linalg.norm(torch.linalg.solve(D @ D.T, D) - R) / best
        found.backward()
        return found.item(), Z.grad.numpy().ravel()

    starts = [rng.standard_normal(24) for _ in range(3)] + [np.linalg.pinv(references).T.ravel()]
    searched = [minimize(distance, start, jac=True, options={"maxiter": 150}).x.reshape(4, 6) for start in starts]
    sets = [distill_features(W, Ys, free=Z).features for Z in searched]
    found = [np.linalg.norm(features - references) / best for features in sets]
    assert min(found) >= 1 - 30 * EPS * 10 * np.linalg.norm(references) / best
    assert min(found) < 1 + 1e-2  # where the search stops


def test_point_weights_hold_for_fixed_labels_too(ratio, refit, rng):
    W, references, Ys = rng.standard_normal((K, P)), rng.standard_normal((M, P)), one_hot(repeated_classes(K, M), K)
    images = rng.uniform(0.1, 3, M)
    built = nearest_features(W, references, labels=Ys, point_weights=images)
    plain = nearest_features(W, references, labels=Ys).features - references
    lost = built.condition * np.linalg.norm(references) / built.distance
    assert ratio(built.distance, built.predicted_distance, size=M + P, amplification=lost) < 30
    assert built.distance < 0.999 * np.linalg.norm(np.sqrt(images)[:, None] * plain)
    assert (
        ratio(refit(built.features, built.labels, 0.0), W, size=size_of(W, M), amplification=built.amplification) < 30
    )


def refusals():
    rng = np.random.default_rng(0)
    W, R = rng.standard_normal((K, P)), rng.standard_normal((M, P))
    Ys, many = one_hot(repeated_classes(K, M), K), rng.standard_normal((P + 2, P))
    flat = Ys.copy()
    flat[:, 2] = flat[:, 1]
    few = np.vstack([rng.standard_normal((2, P))] * 3)[:M]
    return {
        "fewer references than rank W": (W, R[:2], {}, InfeasibleError, "T1: 2 references are fewer than rank W = 3"),
        "other columns": (W, R[:, :7], {}, ShapeError, "same number of columns, got 7 and 11"),
        "zero W": (0 * W, R, {}, ValueError, "W is zero"),
        "negative tau": (W, R, {"tau": -0.1}, ValueError, "tau must be finite and >= 0, got -0.1"),
        "negative weight": (W, R, {"point_weights": -np.ones(M)}, ValueError, "point_weights must be finite and > 0"),
        "weights of another size": (W, R, {"feature_weights": np.ones(M)}, ShapeError, r"must have shape \(11,\)"),
        "labels and ridge": (W, R, {"labels": Ys, "ridge": 0.5}, InfeasibleError, "T6b: fixed labels are for ridge 0"),
        "labels and tau": (W, R, {"labels": Ys, "tau": 0.5}, ValueError, "tau is for learned labels"),
        "labels and box": (W, R, {"labels": Ys, "box": (0.0, 1.0)}, ValueError, "box is for learned labels"),
        "labels and pixels": (
            W,
            R,
            {"labels": Ys, "feature_weights": np.ones(P)},
            ValueError,
            "feature_weights is for",
        ),
        "labels of another size": (W, R, {"labels": Ys[:4]}, ShapeError, r"labels must have shape \(5, 3\)"),
        "labels of rank < k": (W, R, {"labels": flat}, InfeasibleError, "T1: the columns of W are not in"),
        "labels of rank > q": (W - W.mean(0), R, {"labels": Ys}, InfeasibleError, "rank Ys = 3 and rank W = 2"),
        "m > p": (
            W,
            many,
            {"labels": one_hot(repeated_classes(K, P + 2), K)},
            InfeasibleError,
            "m = 13 points of p = 11",
        ),
        "references of rank 2": (
            W,
            few,
            {"labels": soft(rng, M, K)},
            InfeasibleError,
            "T6b: the (references|labels) must",
        ),
    }


@pytest.mark.parametrize("name", refusals())
def test_what_cannot_be_is_refused(name):
    W, references, options, kind, message = refusals()[name]
    with pytest.raises(kind, match=message):
        nearest_features(W, references, **options)


@pytest.mark.parametrize("error", ["leading vectors", "no projector", "labels of ridge 0"])
def test_planted_errors_are_noticed(ratio, refit, rng, error):
    """The comparators above fail on the largest singular values, on Phi_ref for N, on labels without the ridge."""
    W, references = rng.standard_normal((K, P)), rng.standard_normal((M, P))
    built = nearest_features(W, references, ridge=0.5)
    N, features, labels = split(W, references)[0], built.features, built.labels
    if error == "labels of ridge 0":
        labels = features @ W.T
    else:
        U = np.linalg.svd(N if error == "leading vectors" else references)[0]
        V = U[:, :K] if error == "leading vectors" else U[:, M - K :]
        features = references - V @ V.T @ (N if error == "leading vectors" else references)
        labels = (features + 0.5 * np.linalg.pinv(features).T) @ W.T
    if error == "leading vectors":
        assert np.linalg.norm(features - references) > (1 + 1e-3) * built.predicted_distance
    else:
        got = refit(features[np.any(features != 0, axis=1)], labels, 0.5)
        assert not ratio(got, W, size=size_of(W, M), amplification=built.amplification) < 30
