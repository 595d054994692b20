"""T10, first half: the best labels of given points, their error as a certificate, the greedy choice of points."""

import numpy as np
import pytest

from analytic_dd import InfeasibleError, ShapeError, distill_features, spanning_features
from analytic_dd.arrays import to_numpy
from analytic_dd.distill import greedy_rows
from analytic_dd.features import FullyConnected
from analytic_dd.labels import labels_for
from analytic_dd.ridge import ridge_weights

K, M, P, N = 3, 5, 11, 40


def metric_of(rng):
    F = rng.standard_normal((N, P)) @ np.diag(np.geomspace(1.0, 0.1, P))
    return F.T @ F


def root(S):
    return np.linalg.cholesky(S)


def test_certificate_is_the_error_of_the_refitted_weights(library, ratio, refit, rng):
    for with_metric in [False, True]:
        for ridge in [0.0, 0.25]:
            W, Phis, S = rng.standard_normal((K, P)), rng.standard_normal((M, P)), metric_of(rng)
            given = [library.array(A) for A in (W, Phis, S)]
            built = spanning_features(*given[:2], ridge=ridge, metric=given[2] if with_metric else None)
            assert library.owns(built.features, built.labels)
            L = root(S) if with_metric else np.eye(P)
            error = np.linalg.norm((refit(built.features, built.labels, ridge) - W) @ L) / np.linalg.norm(W @ L)
            wanted = [error]
            if not with_metric:
                wanted.append(np.linalg.norm(W @ (np.eye(P) - np.linalg.pinv(Phis) @ Phis)) / np.linalg.norm(W))
            lost = built.amplification * np.linalg.cond(L) / error  # the error is relative to |W|
            for value in wanted:
                assert ratio(built.relative_error, value, size=M + P, amplification=lost, eps=library.eps) < 30


def test_points_that_span_the_weights_are_exact(library, ratio, refit, rng):
    sizes = [P + 3] if library.name == "jax" else [M, P, P + 3]  # jax compiles for every shape
    for with_metric in [False, True]:
        for ridge in [0.0, 0.25]:
            for m in sizes:
                W, Phis, S = rng.standard_normal((K, P)), rng.standard_normal((m, P)), metric_of(rng)
                Phis[:K] = rng.standard_normal((K, K)) @ W
                W, Phis = (to_numpy(library.array(A)).astype(np.float64) for A in (W, Phis))
                built = spanning_features(
                    library.array(W), library.array(Phis), ridge=ridge, metric=library.array(S) if with_metric else None
                )
                amplification = built.amplification * (np.linalg.cond(root(S)) if with_metric else 1.0)
                got = refit(built.features, built.labels, ridge)
                assert ratio(got, W, size=m + P, amplification=amplification, eps=library.eps) < 30
                assert built.relative_error < 30 * library.eps * (m + P) * amplification


def test_deep_network_wider_than_its_input_takes_p_points(ratio, refit, rng):
    """p > d: no pre-image; any points whose features span are exact, on real inputs."""
    phi = FullyConnected([4, 16, P], activation="tanh", bias=True, rng=0)
    X, Y = rng.standard_normal((N, 4)), rng.standard_normal((N, K))
    W = ridge_weights(phi(X), Y, ridge=1e-3)
    with pytest.raises(InfeasibleError, match="T10"):
        phi.preimage(distill_features(W, np.eye(K)).features)
    built = spanning_features(W, phi(X[:P]), ridge=0.01)
    assert ratio(refit(built.features, built.labels, 0.01), W, size=P + P, amplification=built.amplification) < 30
    errors = [spanning_features(W, phi(X[:m])).relative_error for m in range(1, P)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] > 1e6 * 2.0**-52  # p - 1 points are not enough


def test_labels_without_a_metric_are_those_of_t4(ratio, rng):
    W, Phis = rng.standard_normal((K, P)), rng.standard_normal((M, P))
    for ridge in (0.0, 0.7):
        wanted = labels_for(Phis, W, ridge=ridge)
        for options in ({}, {"metric": 3.0 * np.eye(P)}):
            got = spanning_features(W, Phis, ridge=ridge, **options).labels
            assert ratio(got, wanted, size=M + P, amplification=np.linalg.cond(Phis)) < 30


@pytest.mark.parametrize("ridge", [0.0, 0.25])
def test_prediction_optimal_labels_predict_best(ratio, rng, ridge):
    """With S = Phi^T Phi no other labels come nearer to the predictions of W on the data; those of T4 are worse."""
    Phi = rng.standard_normal((N, P)) @ np.diag(np.geomspace(1.0, 0.05, P))
    W, Phis = rng.standard_normal((K, P)), Phi[:M]

    def error(labels):
        return np.linalg.norm(Phi @ (ridge_weights(Phis, labels, ridge=ridge) - W).T) / np.linalg.norm(Phi @ W.T)

    best = spanning_features(W, Phis, ridge=ridge, metric=Phi.T @ Phi)
    lost = best.amplification * np.linalg.cond(Phi) / best.relative_error  # the error is relative to |Phi W|
    assert ratio(best.relative_error, error(best.labels), size=N + P, amplification=lost) < 30
    assert error(best.labels) < 0.99 * error(labels_for(Phis, W, ridge=ridge))
    for size in (1e-3, 1e-1, 1.0):
        for _ in range(30):
            assert error(best.labels + size * rng.standard_normal((M, K))) > error(best.labels)


def test_prediction_optimal_weights_solve_the_normal_equations(ratio, rng):
    W, Phis, S = rng.standard_normal((K, P)), rng.standard_normal((M, P)), metric_of(rng)
    W_s = ridge_weights(Phis, spanning_features(W, Phis, ridge=0.3, metric=S).labels, ridge=0.3)
    C = W @ S @ Phis.T @ np.linalg.pinv(Phis @ S @ Phis.T)
    lost = np.linalg.cond(S)
    assert ratio(W_s, C @ Phis, size=M + P, amplification=lost) < 30
    assert ratio((W - W_s) @ S @ Phis.T, 0.0, size=M + P, amplification=lost, unit=np.linalg.norm(W @ S @ Phis.T)) < 30


def test_singular_metric_and_dependent_points(ratio, rng):
    """Directions that the data do not have cost nothing; a repeated point adds nothing."""
    F, W, Phis = rng.standard_normal((6, P)), rng.standard_normal((K, P)), rng.standard_normal((M, P))
    whole = spanning_features(W, F, metric=F.T @ F, ridge=0.1)
    lost = whole.amplification * np.linalg.cond(F)
    assert ratio(whole.relative_error, 0.0, size=M + P, amplification=lost, unit=1.0) < 30
    again, once = spanning_features(W, np.vstack([Phis, Phis[:2]]), ridge=0.1), spanning_features(W, Phis)
    lost = np.linalg.cond(Phis) / once.relative_error
    assert ratio(again.relative_error, once.relative_error, size=M + P, amplification=lost) < 30


@pytest.mark.parametrize("with_metric", [False, True])
def test_greedy_choice_is_no_worse_than_random(rng, with_metric):
    W, Phi = rng.standard_normal((K, P)), rng.standard_normal((N, P))
    S = metric_of(rng) if with_metric else None
    chosen = greedy_rows(W, Phi, M, metric=S)
    assert len(set(chosen.tolist())) == M
    found = spanning_features(W, Phi[chosen], metric=S).relative_error
    others = [spanning_features(W, Phi[rng.choice(N, M, replace=False)], metric=S).relative_error for _ in range(200)]
    assert found < min(others)


def test_every_greedy_step_is_the_best_next_point(library, ratio, rng):
    for with_metric in [False, True]:
        W, Phi = rng.standard_normal((K, P)), rng.standard_normal((N, P))
        S = metric_of(rng) if with_metric else None
        chosen = greedy_rows(library.array(W), library.array(Phi), 4, metric=None if S is None else library.array(S))
        for step in range(4):
            errors = [
                spanning_features(W, Phi[[*chosen[:step], i]], metric=S).relative_error
                for i in range(N)
                if i not in chosen[:step]
            ]
            got = spanning_features(W, Phi[chosen[: step + 1]], metric=S).relative_error
            lost = (1.0 if S is None else np.linalg.cond(root(S))) / min(errors)  # the error is relative to |W|
            assert ratio(got, min(errors), size=N + P, amplification=lost, eps=library.eps) < 30


def test_greedy_choice_stops_where_it_is_exact(ratio, rng):
    W = rng.standard_normal((K, P))
    Phi = np.vstack([rng.standard_normal((4, P)), rng.standard_normal((K, K)) @ W, rng.standard_normal((4, P))])
    chosen = greedy_rows(W, np.vstack([Phi, Phi]), 10)
    assert len(chosen) <= P
    found = spanning_features(W, np.vstack([Phi, Phi])[chosen])
    assert ratio(found.relative_error, 0.0, size=len(chosen) + P, amplification=found.condition, unit=1.0) < 30
    assert len(greedy_rows(W, np.tile(Phi[:2], (5, 1)), 10)) == 2


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"Phis": np.ones((M, 7))}, ShapeError, "same number of columns, got 7 and 11"),
        ({"ridge": -1.0}, ValueError, "ridge must be finite and >= 0, got -1"),
        ({"metric": np.eye(7)}, ShapeError, r"metric must have shape \(11, 11\)"),
        (
            {"metric": np.diag(np.r_[-1.0, np.ones(P - 1)])},
            ValueError,
            "positive semi-definite and not 0, got eigenvalues",
        ),
        ({"metric": np.zeros((P, P))}, ValueError, "positive semi-definite and not 0"),
    ],
)
def test_wrong_input_is_refused(rng, change, kind, message):
    given = {"W": rng.standard_normal((K, P)), "Phis": rng.standard_normal((M, P))} | change
    W, Phis = given.pop("W"), given.pop("Phis")
    with pytest.raises(kind, match=message):
        spanning_features(W, Phis, **given)


@pytest.mark.parametrize("m", [0, N + 1])
def test_wrong_numbers_of_points_are_refused(rng, m):
    with pytest.raises(ShapeError, match=r"m must lie in 1 \.\. 40, the number of candidates"):
        greedy_rows(rng.standard_normal((K, P)), rng.standard_normal((N, P)), m)


@pytest.mark.parametrize("error", ["no ridge term", "twice the ridge", "unprojected metric"])
def test_planted_errors_are_noticed(ratio, refit, rng, error):
    W, Phis, S = rng.standard_normal((K, P)), rng.standard_normal((M, P)), metric_of(rng)
    built = spanning_features(W, Phis, ridge=0.25, metric=S if error == "unprojected metric" else None)
    ridge = {"no ridge term": 0.0, "twice the ridge": 0.5}.get(error, 0.25)
    labels = labels_for(Phis, W, ridge=ridge)
    L = root(S) if error == "unprojected metric" else np.eye(P)
    got = np.linalg.norm((refit(Phis, labels, 0.25) - W) @ L) / np.linalg.norm(W @ L)
    lost = built.amplification * np.linalg.cond(L) / got
    assert not ratio(built.relative_error, got, size=M + P, amplification=lost) < 30
    assert built.relative_error < got
