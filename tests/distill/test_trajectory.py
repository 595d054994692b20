"""T19: descent on the set passes through the weights that descent on the data passes through."""

import numpy as np
import pytest
import torch

from analytic_dd import GramStatistics, trajectory_set
from analytic_dd.arrays import to_numpy
from analytic_dd.distill import end_point_set
from analytic_dd.errors import RangeError, ShapeError

N, P, K, T = 60, 17, 3, 4


def data(rng, cond=5.0):
    U, V = np.linalg.qr(rng.standard_normal((N, P)))[0], np.linalg.qr(rng.standard_normal((P, P)))[0]
    return U @ np.diag(np.geomspace(1.0, 1.0 / cond, P)) @ V.T, rng.standard_normal((N, K))


def gradient(Phi, Y, W):
    return (Phi @ W.T - Y).T @ Phi


def descent(Phi, Y, W, *, steps=(0.5, 1.3, 0.2, 0.9), decay=0.0, momentum=0.0, nesterov=False):
    """Plain loop: W_1 .. W_T of gradient descent on 1/2 |Phi W^T - Y|^2 + decay / 2 |W|^2."""
    path, velocity = [], 0.0 * W
    for step in steps:
        g = gradient(Phi, Y, W) + decay * W
        velocity = momentum * velocity + g
        W = W - step * (g + momentum * velocity if nesterov else velocity)
        path.append(W)
    return path


METHODS = {
    "plain": {},
    "other steps": {"steps": (1.1, 1.1, 0.01, 1.9)},
    "weight decay": {"decay": 0.3},
    "heavy ball": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9, "nesterov": True, "decay": 0.1},
}


ROUNDING = 30 * 2.0**-52 * N  # of a step; step and momentum multiply an error by at most 3


def furthest(one, other):
    return max(np.linalg.norm(a - b) for a, b in zip(one, other, strict=True)) / np.linalg.norm(other[-1])


@pytest.mark.parametrize("method", METHODS)
def test_every_first_order_method_takes_the_same_steps_from_zero(rng, method):
    Phi, Y = data(rng)
    built = trajectory_set((Phi, Y), T)
    zero = np.zeros((K, P))
    assert len(built) == built.exact_points == T * K
    assert furthest(
        descent(built.features, built.labels, zero, **METHODS[method]), descent(Phi, Y, zero, **METHODS[method])
    ) < (ROUNDING * 3.0**T)


@pytest.mark.parametrize("method", ["plain", "heavy ball"])
def test_from_any_start(rng, method):
    Phi, Y = data(rng)
    start = rng.standard_normal((K, P))
    built = trajectory_set((Phi, Y), T, start=start)
    got, wanted = (descent(A, B, start, **METHODS[method]) for A, B in ((built.features, built.labels), (Phi, Y)))
    assert len(built) == T * K
    assert furthest(got, wanted) < ROUNDING * 3.0**T


def test_weight_decay_from_a_start_needs_its_predictions_too(rng):
    Phi, Y = data(rng)
    start, options = rng.standard_normal((K, P)), {"steps": (0.5, 1.3), "decay": 0.3}
    wanted = descent(Phi, Y, start, **options)
    with_decay, without = (trajectory_set((Phi, Y), 2, start=start, weight_decay=decay) for decay in (True, False))
    assert len(with_decay) <= 4 * K
    assert furthest(descent(with_decay.features, with_decay.labels, start, **options), wanted) < ROUNDING * 3.0**2
    assert furthest(descent(without.features, without.labels, start, **options), wanted) > 1e-4


def test_torch_sgd_on_the_set(ratio, rng):
    Phi, Y = data(rng)
    built = trajectory_set((Phi, Y), T)

    def train(A, B):
        layer = torch.nn.Linear(P, K, bias=False, dtype=torch.float64)
        torch.nn.init.zeros_(layer.weight)
        optimiser = torch.optim.SGD(layer.parameters(), lr=0.4, momentum=0.8, nesterov=True, weight_decay=0.05)
        for _ in range(T):
            optimiser.zero_grad()
            (0.5 * ((layer(torch.tensor(A)) - torch.tensor(B)) ** 2).sum()).backward()
            optimiser.step()
        return layer.weight.detach().numpy()

    assert ratio(train(built.features, built.labels), train(Phi, Y), size=N, amplification=3.0**T) < 30


def test_sums_are_enough_in_every_library(summing_library, rng):
    Phi, Y = (to_numpy(summing_library.array(A)) for A in data(rng))
    stats = GramStatistics(P, K).update(summing_library.array(Phi), summing_library.array(Y))
    built = trajectory_set(stats, T)
    F, B = to_numpy(built.features), to_numpy(built.labels)
    zero = np.zeros((K, P))
    wanted = descent(Phi.astype(float), Y.astype(float), zero)
    assert furthest(descent(F, B, zero), wanted) < ROUNDING * 3.0**T * np.linalg.cond(Phi) ** 2  # of sums


def test_one_point_fewer_misses(rng):
    """r is necessary: some later gradient needs each of the directions."""
    Phi, Y = data(rng)
    complete, fewer = trajectory_set((Phi, Y), T), trajectory_set((Phi, Y), T, points=T * K - 1)
    zero = np.zeros((K, P))
    error = furthest(descent(fewer.features, fewer.labels, zero), descent(Phi, Y, zero))
    exact = furthest(descent(complete.features, complete.labels, zero), descent(Phi, Y, zero))
    assert exact < ROUNDING * 3.0**T < 1e-7 < error
    assert fewer.exact_points == T * K
    rows = np.vstack([gradient(Phi, Y, W) for W in [zero, *descent(Phi, Y, zero)[:-1]]])
    assert np.linalg.matrix_rank(rows) == T * K  # every gradient of a set lies in the row space of its features


def test_a_later_step_is_not_exact(rng):
    Phi, Y = data(rng)
    built, zero = trajectory_set((Phi, Y), 2), np.zeros((K, P))
    steps = (0.5, 1.3, 0.2, 0.9)
    got, wanted = (descent(A, B, zero, steps=steps) for A, B in ((built.features, built.labels), (Phi, Y)))
    assert furthest(got[:2], wanted[:2]) < ROUNDING * 3.0**2
    assert furthest(got[2:], wanted[2:]) > 1e-4


@pytest.mark.parametrize("blocks", [1, 2, 3, 5])
def test_bound_of_fewer_points_is_a_bound(ratio, rng, blocks):
    """T19d, for steps of 1 / |G|; and the measured error is what a plain loop finds."""
    Phi, Y = data(rng, cond=100.0)
    steps, zero = 30, np.zeros((K, P))
    built = trajectory_set((Phi, Y), steps, points=blocks * K)
    sizes = (1.0 / np.linalg.norm(Phi, 2) ** 2,) * steps
    got, wanted = (descent(A, B, zero, steps=sizes) for A, B in ((built.features, built.labels), (Phi, Y)))
    travelled = max(np.linalg.norm(W) for W in wanted)
    error = max(np.linalg.norm(a - b) for a, b in zip(got, wanted, strict=True)) / travelled
    assert ratio(built.relative_error, error, size=N * steps, unit=1.0) < 30
    assert error <= built.bound
    assert built.blocks == blocks
    assert built.theorem == "T19d"
    C, G = Y.T @ Phi, Phi.T @ Phi
    wanted_bound = 4 * np.linalg.norm(C) * steps / np.linalg.norm(G, 2) * np.exp(-((blocks - 1) ** 2) / steps)
    assert ratio(built.bound * travelled, wanted_bound, size=N * steps) < 30


def test_error_falls_with_the_points_and_a_complete_set_has_none(rng):
    Phi, Y = data(rng, cond=100.0)
    errors = [trajectory_set((Phi, Y), 30, points=m).relative_error for m in (3, 6, 9, 12, 17)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < ROUNDING * 30  # steps
    complete = trajectory_set((Phi, Y), 30)
    assert (len(complete), complete.bound, complete.theorem) == (P, 0.0, "T19a")


def test_long_trajectories_take_no_more_points_than_features(rng):
    Phi, Y = data(rng)
    built, zero = trajectory_set((Phi, Y), 500), np.zeros((K, P))
    steps = (0.9,) * 500
    assert len(built) == P
    assert (
        furthest(descent(built.features, built.labels, zero, steps=steps), descent(Phi, Y, zero, steps=steps))
        < ROUNDING * np.linalg.cond(Phi) ** 2 / 0.9  # the sum over steps of (1 - 0.9 / cond^2)^t
    )


def test_end_point_after_equal_steps(library, ratio, rng):
    """T19b."""
    for steps in [1, 7]:
        for step in [0.1, 1.0, 1.5]:
            start, end = (library.array(A) for A in rng.standard_normal((2, K, P)))
            built = end_point_set(start, end, step=step, steps=steps)
            assert library.owns(built.features, built.labels)
            F, B, W_0, W_T = (to_numpy(A).astype(float) for A in (built.features, built.labels, start, end))
            reached = descent(F, B, W_0, steps=(step,) * steps)[-1]
            assert ratio(reached, W_T, size=P, amplification=10 * steps, eps=library.eps) < 30
            assert len(built) == K


def test_end_point_takes_the_rank_of_the_way(rng):
    start = rng.standard_normal((K, P))
    end = start + np.outer(rng.standard_normal(K), rng.standard_normal(P))
    assert len(end_point_set(start, end, step=0.3, steps=5)) == 1


def test_bad_input_is_refused(rng):
    Phi, Y = data(rng)
    with pytest.raises(ValueError, match="steps must be an integer >= 1, got 0"):
        trajectory_set((Phi, Y), 0)
    with pytest.raises(ValueError, match="points must be at least 1, got 0"):
        trajectory_set((Phi, Y), 2, points=0)
    with pytest.raises(ShapeError, match=r"start must have shape \(3, 17\), got \(17, 3\)"):
        trajectory_set((Phi, Y), 2, start=np.zeros((P, K)))
    with pytest.raises(ValueError, match="the start has gradient 0"):
        trajectory_set((Phi, 0 * Y), 2)
    with pytest.raises(RangeError, match=r"step must lie between 0 and 2 .* got 2"):
        end_point_set(np.zeros((K, P)), np.ones((K, P)), step=2.0, steps=3)
    with pytest.raises(ShapeError, match="one shape"):
        end_point_set(np.zeros((K, P)), np.ones((K, P - 1)), step=0.5, steps=3)
    with pytest.raises(ValueError, match="start and end are equal"):
        end_point_set(np.ones((K, P)), np.ones((K, P)), step=0.5, steps=3)
    with pytest.raises(ValueError, match="steps must be an integer >= 1"):
        end_point_set(np.zeros((K, P)), np.ones((K, P)), step=0.5, steps=0)
