"""T20a: a set has the gradients of the data at given weights, with as few points as their rank."""

import numpy as np
import pytest

from analytic_dd import GramStatistics, gradient_set
from analytic_dd.arrays import to_numpy
from analytic_dd.errors import ShapeError

N, P, K, L = 40, 9, 3, 2


def data(rng):
    return rng.standard_normal((N, P)), rng.standard_normal((N, K))


def gradient(Phi, Y, W):
    return (Phi @ W.T - Y).T @ Phi


def amplification(Phi, Y, W):
    return (np.linalg.norm(Phi) ** 2 * np.linalg.norm(W) + np.linalg.norm(Phi) * np.linalg.norm(Y)) / np.linalg.norm(
        gradient(Phi, Y, W)
    )


def test_gradients_are_those_of_the_data(library, ratio, rng):
    for count in [1, L]:
        Phi, Y = (library.array(A) for A in data(rng))
        W = library.array(rng.standard_normal((count, K, P)))
        if library.name == "jax" and library.dtype == "float32":
            with pytest.raises(TypeError, match="jax_enable_x64"):
                gradient_set((Phi, Y), W)
            continue
        built = gradient_set((Phi, Y), W)
        assert library.owns(built.features, built.labels)
        assert len(built) == built.fewest == count * K
        F, T, A, B, V = (to_numpy(x).astype(float) for x in (built.features, built.labels, Phi, Y, W))
        for i in range(count):
            scale = amplification(A, B, V[i])
            assert ratio(gradient(F, T, V[i]), gradient(A, B, V[i]), size=P, amplification=scale, eps=library.eps) < 30
            assert built.relative_errors[i] < 30 * library.eps * P * scale


def test_sums_are_enough(ratio, rng):
    Phi, Y = data(rng)
    W = list(rng.standard_normal((L, K, P)))
    built = gradient_set(GramStatistics(P, K).update(Phi, Y), W)
    for each in W:
        scale = amplification(Phi, Y, each) * np.linalg.cond(Phi)
        assert (
            ratio(gradient(built.features, built.labels, each), gradient(Phi, Y, each), size=P, amplification=scale)
            < 30
        )
    assert len(built) == L * K


def test_no_smaller_set_has_them(rng):
    """Every gradient of a set lies in the row space of its features, and these gradients have the rank of the set."""
    Phi, Y = data(rng)
    W = rng.standard_normal((L, K, P))
    built = gradient_set((Phi, Y), W)
    stacked = np.vstack([gradient(Phi, Y, each) for each in W])
    assert np.linalg.matrix_rank(stacked) == len(built)
    for left_out in range(len(built)):
        kept = np.delete(built.features, left_out, axis=0)
        assert np.linalg.norm(stacked - stacked @ np.linalg.pinv(kept) @ kept) > 1e-3


@pytest.mark.parametrize("points", [1, 2])
def test_fewer_points_leave_the_tail_of_the_singular_values_and_no_less(ratio, rng, points):
    Phi, Y = data(rng)
    W = rng.standard_normal((K, P))
    wanted = gradient(Phi, Y, W)
    built = gradient_set((Phi, Y), W, points=points)
    tail = np.linalg.norm(np.linalg.svd(wanted, compute_uv=False)[points:])
    got = np.linalg.norm(gradient(built.features, built.labels, W) - wanted)
    assert len(built) == points
    lost = amplification(Phi, Y, W) * np.linalg.norm(wanted) / tail
    assert ratio(got, tail, size=P, amplification=lost) < 30
    assert ratio(built.relative_errors[0], tail / np.linalg.norm(wanted), size=P, amplification=lost) < 30
    for _ in range(20):  # Eckart and Young: any gradient of so few points has rank <= points
        other = gradient(rng.standard_normal((points, P)), rng.standard_normal((points, K)), W)
        assert np.linalg.norm(other - wanted) > tail


def test_fewer_points_for_several_weights_keep_the_largest_residuals(rng):
    Phi, Y = data(rng)
    W = np.stack([rng.standard_normal((K, P))] * 3)
    W[1] += 1e-6 * rng.standard_normal((K, P))
    W[2] += 1e-6 * rng.standard_normal((K, P))
    built = gradient_set((Phi, Y), W, points=K)
    assert built.fewest == P  # 3 K
    apart = max(np.linalg.norm(gradient(Phi, Y, W[i]) - gradient(Phi, Y, W[0])) for i in (1, 2))
    assert max(built.relative_errors) < 2 * apart / np.linalg.norm(gradient(Phi, Y, W[0]))


def test_weights_of_very_different_size_all_count(rng):
    Phi, Y = data(rng)
    W = rng.standard_normal((L, K, P))
    W[1] *= 1e10
    built = gradient_set((Phi, Y), W)
    for error, each in zip(built.relative_errors, W, strict=True):
        assert error < 30 * 2.0**-52 * P * amplification(Phi, Y, each)


def test_rotated_points_are_as_exact(ratio, rng):
    Phi, Y = data(rng)
    W = rng.standard_normal((K, P))
    built = gradient_set((Phi, Y), W)
    Q = np.linalg.qr(rng.standard_normal((K, K)))[0]
    scale = amplification(Phi, Y, W)
    got = gradient(Q @ built.features, Q @ built.labels, W)
    assert ratio(got, gradient(Phi, Y, W), size=P, amplification=scale) < 30


def test_adam_takes_the_same_steps_at_its_own_iterates(ratio, rng):
    """Adam is no linear method: the set is made for the weights it passes through."""

    def adam(Phi, Y, steps):
        W, m, v, path = np.zeros((K, P)), 0.0, 0.0, []
        for t in range(1, steps + 1):
            path.append(W)
            g = gradient(Phi, Y, W)
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            W = W - 0.01 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        return [*path, W]

    Phi, Y = data(rng)
    path = adam(Phi, Y, 2)
    built = gradient_set((Phi, Y), path[:-1])
    assert len(built) == 2 * K
    least = min(np.abs(gradient(Phi, Y, W)).min() for W in path[:-1])  # every entry makes a step of the same size
    lost = max(np.linalg.norm(gradient(Phi, Y, W)) * amplification(Phi, Y, W) for W in path[:-1]) / least
    for one, other in zip(adam(built.features, built.labels, 2), path, strict=True):
        assert ratio(one, other, size=P, amplification=lost, unit=np.linalg.norm(path[-1])) < 30


def test_bad_input_is_refused(rng):
    Phi, Y = data(rng)
    W = rng.standard_normal((K, P))
    for weights in ([], ()):
        with pytest.raises(ValueError, match="weights must name at least one matrix"):
            gradient_set((Phi, Y), weights)
    with pytest.raises(ShapeError, match=r"weights must have shape \(3, 9\), got \(9, 3\)"):
        gradient_set((Phi, Y), W.T)
    with pytest.raises(ShapeError, match=r"weights must have shape \(L, k, p\)"):
        gradient_set((Phi, Y), W[None, None])
    with pytest.raises(ValueError, match="points must be at least 1, got 0"):
        gradient_set((Phi, Y), W, points=0)
    with pytest.raises(ValueError, match="all gradients are zero"):
        gradient_set((np.eye(P), np.zeros((P, K))), 0 * W)
    with pytest.raises(TypeError, match=r"expected sums .* got ndarray"):
        gradient_set(Phi, W)
    with pytest.raises(ValueError, match="all features are zero"):
        gradient_set((0 * Phi, Y), W)
    with pytest.raises(ShapeError, match="the same number of rows, got 40 and 39"):
        gradient_set((Phi, Y[1:]), W)
