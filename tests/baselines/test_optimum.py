"""T20b, T20c, T20d: no points are below the bounds, and the sets that are returned have the values that are named."""

import numpy as np
import pytest
import torch

from analytic_dd import GramStatistics, data
from analytic_dd.baselines import distill, optimum
from analytic_dd.baselines.bench.run import objective_of
from analytic_dd.baselines.optimum import dc_bound, kip_optimum, moment_set, mtt_bound
from analytic_dd.distill import few_features
from analytic_dd.errors import ShapeError
from analytic_dd.ridge import ridge_weights

N, P, K, M = 40, 11, 3, 5


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    return rng.standard_normal((N, P)) * np.linspace(3.0, 0.5, P), rng.standard_normal((N, K))


def gradients(Phi, Y, Phis, Ys, s):
    G, C = Phis.T @ Phis - Phi.T @ Phi, Ys.T @ Phis - Y.T @ Phi
    return K * s**2 * np.sum(G**2) + np.sum(C**2)


def test_the_objective_of_gradient_matching_is_the_mean_over_random_weights(problem, ratio):
    Phi, Y = problem
    found, rng = dc_bound(problem, points=M, weight_std=0.3), np.random.default_rng(1)
    W = 0.3 * rng.standard_normal((20_000, K, P))
    G, C = (
        found.features.T @ found.features - Phi.T @ Phi,
        found.labels.T @ found.features - Y.T @ Phi,
    )
    squares = np.sum((W @ G - C) ** 2, axis=(1, 2))
    assert abs(squares.mean() - found.reached) < 6.0 * squares.std() / np.sqrt(len(W))
    assert ratio(found.reached, gradients(Phi, Y, found.features, found.labels, 0.3), size=N, amplification=10.0) < 30


@pytest.mark.parametrize("m", [1, M, P])
def test_no_points_have_gradients_below_the_bound(problem, m, ratio):
    Phi, Y = problem
    found = dc_bound(problem, points=m, weight_std=0.3)
    from_sums = dc_bound(GramStatistics(P, K).update(Phi, Y), points=m, weight_std=0.3)
    scale = float(np.sum((Phi.T @ Phi) ** 2))
    assert ratio(from_sums.bound / scale, found.bound / scale, size=P, amplification=10.0) < 30
    assert found.bound <= found.reached * (1 + 1e-12) + 1e-12 * scale
    rng, least = np.random.default_rng(2), np.inf
    for size in np.geomspace(1e-3, 1.0, 20):  # about the best points that are known, and far from them
        Phis = found.features + size * rng.standard_normal((len(found.features), P))
        least = min(least, gradients(Phi, Y, Phis, found.labels, 0.3))
    assert least >= found.bound
    if m == P:
        assert found.bound <= found.reached <= (30 * 2.0**-52 * 10.0 * P) ** 2 * scale


def test_rounds_lower_the_objective(problem):
    values = [dc_bound(problem, points=2, weight_std=0.1, rounds=rounds).reached for rounds in (1, 2, 5, 50)]
    assert values == sorted(values, reverse=True)


def test_moments_of_the_samples_by_rank_plus_one_points_and_the_tail_by_fewer(problem, ratio):
    Phi = problem[0]
    found, few = moment_set(Phi), moment_set(Phi, points=3)
    assert len(found.features) == found.fewest == P + 1
    cov = np.cov(Phi.T, bias=True)
    assert ratio(np.cov(found.features.T, bias=True), cov, size=N, amplification=3.0) < 30
    assert ratio(few.features.mean(axis=0), Phi.mean(axis=0), size=N, amplification=10.0) < 30
    values = np.linalg.eigvalsh(cov)[::-1]
    error = np.linalg.norm(np.cov(few.features.T, bias=True) - cov)
    assert ratio(few.covariance_error, error, size=N, amplification=10.0) < 30
    assert ratio(error, np.linalg.norm(values[2:]), size=N, amplification=10.0) < 30
    assert moment_set(np.ones((4, 2))).fewest == 1  # no spread: the mean is all there is


@pytest.mark.parametrize("ridge", [0.0, 0.7])
def test_learned_labels_reach_what_the_best_few_points_have(problem, ridge, ratio):
    Phi, Y = problem
    best = kip_optimum(problem, points=2, ridge=ridge)
    W = ridge_weights(best.features, best.labels, ridge=ridge)
    assert ratio(best.loss, np.sum((Phi @ W.T - Y) ** 2), size=N, amplification=10.0) < 30
    few = few_features(ridge_weights(Phi, Y, ridge=0.0), 2, metric=Phi.T @ Phi)  # T7
    W7 = ridge_weights(few.features, few.labels, ridge=0.0)
    assert ratio(best.loss, np.sum((Phi @ W7.T - Y) ** 2), size=N, amplification=10.0) < 30
    assert best.gap == 0.0


@pytest.mark.parametrize("copies", [1, 2])
def test_given_labels_reach_the_convex_optimum_and_no_points_are_below_it(problem, copies, ratio):
    Phi, Y = problem
    labels, ridge = np.repeat(np.eye(K), copies, axis=0), 200.0
    best = kip_optimum(problem, labels=labels, ridge=ridge)
    W = ridge_weights(best.features, labels, ridge=ridge)
    assert ratio(best.loss, np.sum((Phi @ W.T - Y) ** 2), size=N, amplification=10.0) < 30
    assert 0.0 <= best.gap <= optimum._CLOSED * np.sum(Y**2)  # where the iteration ends
    assert best.loss > 1.01 * kip_optimum(problem, labels=labels).loss  # the ridge holds it back
    x = torch.from_numpy(best.features + 0.5).requires_grad_()
    descent = torch.optim.LBFGS([x], max_iter=100, line_search_fn="strong_wolfe")

    def loss():
        K_ss = x @ x.T + ridge * torch.eye(len(x), dtype=x.dtype)
        W = torch.from_numpy(labels).T @ torch.linalg.solve(K_ss, x)
        return (torch.from_numpy(Phi) @ W.T - torch.from_numpy(Y)).square().sum()

    def closure():
        descent.zero_grad()
        value = loss()
        value.backward()
        return value

    descent.step(closure)
    reached = float(loss().detach())
    assert best.bound <= reached * (1 + 1e-12)
    assert reached < 1.02 * best.loss  # a descent from nearby comes close, so the bound is not idle


def test_displacements_of_students_have_the_rank_of_their_points():
    rng = np.random.default_rng(3)
    D = rng.standard_normal((4, K, P))
    points = rng.standard_normal((M, P))
    relative = np.linalg.norm(D, axis=(1, 2))
    inside = D @ np.linalg.pinv(points) @ points  # the best that any student on these points can do
    assert np.mean(np.linalg.norm(inside - D, axis=(1, 2)) ** 2 / relative**2) >= mtt_bound(D, points=M)
    assert mtt_bound(D, points=P) <= (30 * 2.0**-52 * P) ** 2


RUNS = {
    "kip learned": ("kip", {"features": "identity", "labels": "learned", "steps": 40}),
    "kip solved": ("kip", {"features": "rff:p=20", "labels": "solved", "steps": 20}),
    "kip fixed": ("kip", {"features": "identity", "labels": "fixed", "ridge": 2.0, "steps": 40}),
    "kip linear": ("kip", {"kernel": "linear", "steps": 40}),
    "dc": (
        "dc",
        {
            "network": "linear",
            "loss": "squared",
            "distance": "squared",
            "outer": 1,
            "inner": 0,
            "lr": 0.02,
            "steps": 40,
        },
    ),
    "dm": ("dm", {"network": "linear", "augment": False, "steps": 40}),
    "mtt": (
        "mtt",
        {"network": "linear", "augment": False, "experts": 2, "student_steps": 4, "expert_span": 1, "max_start": 2}
        | {"lr_img": 1.0, "lr_lr": 1e-3, "lr_0": 0.1, "steps": 30, "expert_lr": 0.1, "expert_batch": 32},
    ),
}


@pytest.mark.parametrize(("method", "config"), RUNS.values(), ids=RUNS)
@pytest.mark.parametrize("points", [1, 2])
def test_no_run_is_below_the_optimum(method, config, points):
    rng = np.random.default_rng(5)
    y = np.repeat(np.arange(3), 30)
    x = np.clip(50 * y[:, None, None] + 60 + 30 * rng.standard_normal((90, 4, 5)), 0, 255).astype(np.uint8)
    dataset = data.Dataset.from_arrays(x, y, name="small", split=False)
    result = distill(method, dataset, points_per_class=points, config=config)
    found = objective_of(result, dataset)
    assert found is not None
    eps = 2.0**-23 if method in ("dc", "dm", "mtt") else 2.0**-52  # of the arithmetic of the method
    assert found.gap >= -30.0 * 20 * eps * max(found.reached, 1e-3)
    assert found.reached > 0.0
    start = distill(method, dataset, points_per_class=points, config=config | {"steps": 0})
    assert found.reached < objective_of(start, dataset).reached  # the run went down what is measured


@pytest.mark.parametrize("config", [{"network": "linear"}, {"network": "mlp", "width": 4, "depth": 1}], ids=str)
def test_other_losses_and_networks_have_no_optimum_that_is_known(config):
    dataset = data.load("digits")
    result = distill("dc", dataset, config=config | {"steps": 0})
    assert objective_of(result, dataset) is None


def test_bad_input_is_refused_with_its_number(problem):
    with pytest.raises(ValueError, match="points must be at least 1, got 0"):
        kip_optimum(problem, points=0)
    with pytest.raises(ValueError, match="one of the two"):
        kip_optimum(problem)
    with pytest.raises(ValueError, match="one of the two"):
        kip_optimum(problem, points=2, labels=np.eye(K))
    with pytest.raises(ShapeError, match=f"labels must have {K} columns, got {K + 1}"):
        kip_optimum(problem, labels=np.eye(K + 1))
    with pytest.raises(ValueError, match="weight_std must be > 0, got 0"):
        dc_bound(problem, points=2, weight_std=0.0)
    with pytest.raises(ValueError, match="displacement 1 is 0"):
        mtt_bound(np.stack([np.ones((2, 3)), np.zeros((2, 3))]), points=1)
    with pytest.raises(ShapeError, match="displacements must have shape"):
        mtt_bound(np.ones((2, 3)), points=1)
