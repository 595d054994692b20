"""T15: the amplification that a construction reports is a bound on first-order changes, and is attained within 50."""

import json

import numpy as np
import pytest

from analytic_dd import distill_features, few_features, minimal_features
from analytic_dd.distill import free_matrix, largest_ridge, target
from analytic_dd.labels import one_hot

K, P = 3, 7


def worst_change(distilled, refit, rng, *, of_labels, trials=60):
    """Largest |dW| / |W| / e over changes of relative size e of the features or labels, refitted exactly."""
    Phis, Ys, ridge = distilled.features, distilled.labels, distilled.ridge
    W, e = refit(Phis, Ys, ridge), 1e-7 / distilled.condition
    worst = 0.0
    for trial in range(trials):
        m = len(Ys)
        E = rng.standard_normal((m, K if of_labels else P))
        if trial % 2:  # all of the change in one direction of the sample space
            E = np.outer(np.linalg.svd(Phis)[0][:, trial % m], E[0])
        E *= e * np.linalg.norm(Ys if of_labels else Phis, 2) / np.linalg.norm(E)
        changed = refit(Phis, Ys + E, ridge) if of_labels else refit(Phis + E, Ys, ridge)
        worst = max(worst, np.linalg.norm(changed - W) / np.linalg.norm(W, 2) / e)
    return worst


def sets(matrix, rng):
    """Exact sets of many kinds, by name."""
    W = matrix(K, P, rng=rng, cond=30.0)
    ill = matrix(5, K, rng=rng, cond=100.0)
    deficient = matrix(K, P, rng=rng, cond=5.0, rank=K - 1)
    for root in ("large", "small"):
        for fraction in (1e-4, 0.3, 0.9):
            yield (
                f"one-hot {root} {fraction}",
                distill_features(W, np.eye(K), ridge=fraction * largest_ridge(W, np.eye(K)), root=root),
            )
        for name, Ys in (("ill labels", ill), ("unbalanced", one_hot(np.array([0, 1, 1, 1, 1, 2])))):
            ridge = 0.01 * largest_ridge(W, Ys)
            yield f"{name} {root}", distill_features(W, Ys, ridge=ridge, root=root)
        ridge = 0.01 * largest_ridge(deficient, np.eye(K))
        yield f"surplus label {root}", distill_features(deficient, np.eye(K), ridge=ridge, root=root)
        wide = rng.standard_normal((11, K))
        Z = 0.3 * rng.standard_normal((11, P))
        yield f"m > p {root}", distill_features(W, wide, free=Z, ridge=0.1 * largest_ridge(W, wide, free=Z), root=root)
        Z = free_matrix(W, ill, rng=rng)
        yield f"free {root}", distill_features(W, ill, free=Z, ridge=0.1 * largest_ridge(W, ill, free=Z), root=root)
    yield "ridge 0", distill_features(W, np.eye(K))
    yield "ridge 0 ill labels", distill_features(W, ill, free=free_matrix(W, ill, rng=rng))
    yield "ridge 0 m > p", distill_features(W, wide, free=rng.standard_normal((11, P)))
    yield (
        "mixed roots",
        distill_features(W, np.eye(K), ridge=0.3 * largest_ridge(W, np.eye(K)), root=["small", "large", "small"]),
    )
    yield "minimal", minimal_features(W)
    yield "minimal, ridge, scale", minimal_features(W, ridge=2.0, scale=0.1)
    yield "few", few_features(W, 2)


def test_amplification_is_a_bound_and_tight_within_fifty(matrix, refit, rng):
    for name, distilled in sets(matrix, rng):
        worst = max(worst_change(distilled, refit, rng, of_labels=of_labels) for of_labels in (False, True))
        assert worst <= distilled.amplification * (1 + 1e-3), name  # e = 1e-7 / cond: terms of the second order
        assert worst >= distilled.amplification / 50, name


def test_bound_fails_for_an_amplification_that_is_too_small(matrix, refit, rng):
    """The comparator is able to fail: worst changes come near the bound for well-conditioned sets."""
    distilled = minimal_features(matrix(K, P, rng=rng))
    assert worst_change(distilled, refit, rng, of_labels=False) > distilled.amplification / 5


@pytest.mark.parametrize("m", [3, 5, 11])
def test_ridge_limit_and_condition_are_those_of_the_target(ratio, rng, m):
    W, Ys, Z = rng.standard_normal((K, P)), rng.standard_normal((m, K)), rng.standard_normal((m, P))
    t = np.linalg.svd(target(W, Ys, free=Z), compute_uv=False)
    distilled = distill_features(W, Ys, free=Z)
    rank = min(m, P)
    cond = t[0] / t[rank - 1]
    assert ratio(distilled.ridge_limit, 1 / (4 * t[0] ** 2), size=m + P) < 30
    assert ratio(distilled.condition, cond, size=m + P, amplification=cond) < 30
    assert ratio(largest_ridge(W, Ys, free=Z), distilled.ridge_limit, size=m + P) < 30
    assert largest_ridge(W, Ys) >= largest_ridge(W, Ys, free=Z) * (1 - 30 * 2.0**-52 * (m + P))


def test_diagnostics_are_json_values(rng):
    distilled = distill_features(rng.standard_normal((K, P)), np.eye(K), ridge=1e-3)
    found = json.loads(json.dumps(distilled.diagnostics()))
    assert found["points"] == len(distilled) == K
    assert (found["theorem"], found["ridge"], found["relative_error"]) == ("T3", 1e-3, 0.0)
    assert found["amplification"] == distilled.amplification
