"""T23: the set stands for the data in every future within a subspace, and after samples are forgotten."""

import functools
from dataclasses import replace

import numpy as np
import pytest

from analytic_dd import GramStatistics, future_set, merge_sets, minimal_features, ridge_weights, update
from analytic_dd.arrays import to_numpy
from analytic_dd.errors import InfeasibleError, ShapeError

N, P, K, R, NEW = 40, 11, 3, 2, 7


def data(rng):
    return rng.standard_normal((N, P)), rng.standard_normal((N, K))


def arrivals(rng, V, k=K, n=NEW):
    return rng.standard_normal((n, V.shape[1])) @ V.T, rng.standard_normal((n, k))


def together(*sets):
    return (np.vstack(parts) for parts in zip(*sets, strict=True))


def gain(Phi, ridge):
    return 1.0 + np.linalg.norm(Phi, 2) ** 2 / ridge


@pytest.mark.parametrize("ridge", [1e-2, 1.0, 1e3])
@pytest.mark.parametrize("sums", [False, True])
def test_ridge_regression_on_the_set_with_what_comes_is_that_on_everything(ratio, rng, ridge, sums):
    (Phi, Y), V = data(rng), rng.standard_normal((P, R))
    built = future_set(GramStatistics(P, K).update(Phi, Y) if sums else (Phi, Y), V, ridge=ridge)
    assert len(built) == R + K
    for n in (0, 1, NEW, 50):
        new = arrivals(rng, V, n=n)
        wanted = ridge_weights(*together((Phi, Y), new), ridge=ridge)
        got = ridge_weights(*together((built.features, built.labels), new), ridge=ridge)
        assert ratio(got, wanted, size=N, amplification=gain(np.vstack([Phi, new[0]]), ridge)) < 30


def test_every_library(summing_library, rng):
    library, (Phi, Y), V = summing_library, data(rng), rng.standard_normal((P, R))
    Phi, Y, V = (to_numpy(library.array(A)).astype(float) for A in (Phi, Y, V))
    built = future_set((library.array(Phi), library.array(Y)), library.array(V), ridge=1.0)
    assert library.owns(built.features, built.labels, built.subspace, built.weights)
    new, answers = arrivals(rng, to_numpy(built.subspace).astype(float))
    later = update(built, library.array(new), library.array(answers))
    assert library.owns(later.features, later.weights)
    wanted = ridge_weights(*together((Phi, Y), (new, answers)), ridge=1.0)
    for W in (later.weights, ridge_weights(later.features, later.labels, ridge=1.0)):
        assert np.linalg.norm(to_numpy(W) - wanted) < 30 * library.eps * N * gain(Phi, 1.0) * np.linalg.norm(wanted)


def test_new_classes(ratio, rng):
    (Phi, Y), V = data(rng), rng.standard_normal((P, R))
    built = future_set((Phi, Y), V, ridge=0.5)
    new = arrivals(rng, V, k=K + 2)
    wanted = ridge_weights(*together((Phi, np.hstack([Y, np.zeros((N, 2))])), new), ridge=0.5)
    later = update(built, *new)
    assert later.weights.shape == (K + 2, P)
    assert ratio(later.weights, wanted, size=N, amplification=gain(np.vstack([Phi, new[0]]), 0.5)) < 30


def test_updates_one_after_the_other_in_any_order(ratio, rng):
    (Phi, Y), V = data(rng), rng.standard_normal((P, R))
    parts = [arrivals(rng, V) for _ in range(3)]
    wanted = ridge_weights(*together((Phi, Y), *parts), ridge=0.5)
    lost = gain(np.vstack([Phi, *(F for F, _ in parts)]), 0.5)
    for order in ((0, 1, 2), (2, 0, 1)):
        memory = future_set((Phi, Y), V, ridge=0.5)
        for i in order:
            memory = update(memory, *parts[i])
            assert len(memory) == R + K
        for W in (memory.weights, ridge_weights(memory.features, memory.labels, ridge=0.5)):
            assert ratio(W, wanted, size=N, amplification=lost) < 30
    back = memory
    for i in range(3):
        back = update(back, *parts[i], sign=-1)
    assert ratio(back.weights, ridge_weights(Phi, Y, ridge=0.5), size=N, amplification=lost) < 30


@pytest.mark.parametrize("gone", [[0], [1, 3], [0, 1, 2, 3]])
def test_any_subset_of_named_samples_is_forgotten(ratio, rng, gone):
    """T23c: f + q points."""
    Phi, Y = data(rng)
    memory = future_set((Phi, Y), Phi[:4].T, ridge=0.5)
    assert len(memory) == 4 + K
    after = update(memory, Phi[gone], Y[gone], sign=-1)
    wanted = ridge_weights(np.delete(Phi, gone, axis=0), np.delete(Y, gone, axis=0), ridge=0.5)
    assert after.theorem == "T23c"
    for W in (after.weights, ridge_weights(after.features, after.labels, ridge=0.5)):
        assert ratio(W, wanted, size=N, amplification=gain(Phi, 0.5)) < 30
    # as if they had never been there: the set is a set of the remaining data, for every later sample
    new = arrivals(rng, Phi[:4].T)
    kept = (np.delete(Phi, gone, axis=0), np.delete(Y, gone, axis=0))
    wanted = ridge_weights(*together(kept, new), ridge=0.5)
    assert ratio(update(after, *new).weights, wanted, size=N, amplification=gain(np.vstack([Phi, new[0]]), 0.5)) < 30


def test_holders_merge_on_a_common_subspace(ratio, rng):
    """T23d: the data of all but the first lie in the subspace; their sets have their sums, and no point more."""
    (Phi, Y), V = data(rng), rng.standard_normal((P, 4))
    parts = [(Phi, Y), arrivals(rng, V, n=30), arrivals(rng, V, n=11)]
    sets = [future_set(part, V, ridge=0.5) for part in parts]
    for part, one in zip(parts[1:], sets[1:], strict=True):
        assert len(one) == 4
        G = part[0].T @ part[0]
        assert ratio(one.features.T @ one.features, G, size=P, amplification=gain(part[0], 0.5)) < 30
    merged = merge_sets(sets)
    everything = functools.reduce(lambda one, other: tuple(together(one, other)), parts)
    wanted, amplification = ridge_weights(*everything, ridge=0.5), gain(everything[0], 0.5)
    assert merged.theorem == "T23d"
    assert ratio(merged.weights, wanted, size=N, amplification=amplification) < 30
    later = arrivals(rng, V)  # the merged set answers the future too
    wanted = ridge_weights(*together(everything, later), ridge=0.5)
    assert ratio(update(merged, *later).weights, wanted, size=N, amplification=amplification) < 30


def test_sets_that_do_not_merge_are_refused_with_the_number(rng):
    (Phi, Y), V = data(rng), rng.standard_normal((P, 4))
    first, second = future_set((Phi, Y), V, ridge=0.5), future_set(arrivals(rng, V, n=30), V, ridge=0.5)
    with pytest.raises(
        InfeasibleError, match=r"T23d: \d+\.?\d* % of the norm of the points of set 1 lies outside"
    ) as error:
        merge_sets([second, first])
    assert error.value.theorem == "T23d"
    other = future_set(arrivals(rng, V, n=30), rng.standard_normal((P, 4)), ridge=0.5)
    with pytest.raises(InfeasibleError, match=r"T23d: \d+\.?\d* % of the norm of the subspace of set 1 lies outside"):
        merge_sets([first, other])
    with pytest.raises(ValueError, match=r"one ridge, got 0.5 and 2 \(set 1\)"):
        merge_sets([first, future_set(arrivals(rng, V, n=30), V, ridge=2.0)])
    with pytest.raises(TypeError, match="set 1 has no subspace"):
        merge_sets([first, minimal_features(first.weights)])
    with pytest.raises(ValueError, match="at least one set, got none"):
        merge_sets([])


def test_fewer_points_cannot_do(rng):
    """[V^T M G; W] has the rank of the set; with one point left out some future is missed."""
    (Phi, Y), V = data(rng), rng.standard_normal((P, R))
    built = future_set((Phi, Y), V, ridge=0.5)
    G = Phi.T @ Phi
    needed = np.vstack([V.T @ np.linalg.solve(G + 0.5 * np.eye(P), G), ridge_weights(Phi, Y, ridge=0.5)])
    assert np.linalg.matrix_rank(needed) == len(built)
    for left_out in range(len(built)):
        kept = np.delete(built.features, left_out, axis=0)
        assert np.linalg.norm(needed - needed @ np.linalg.pinv(kept) @ kept) > 1e-3


def test_the_set_of_the_present_model_alone_misses_the_future(rng):
    (Phi, Y), V = data(rng), rng.standard_normal((P, R))
    now = minimal_features(ridge_weights(Phi, Y, ridge=0.5), ridge=0.5)
    new = arrivals(rng, V)
    wanted = ridge_weights(*together((Phi, Y), new), ridge=0.5)
    got = ridge_weights(*together((now.features, now.labels), new), ridge=0.5)
    assert np.linalg.norm(got - wanted) > 1e-2 * np.linalg.norm(wanted)
    with pytest.raises(TypeError, match="the set has no subspace: it fixes the present model only"):
        update(now, *new)


def test_what_lies_outside_the_subspace_is_refused_and_would_be_wrong(rng):
    (Phi, Y), V = data(rng), rng.standard_normal((P, R))
    built = future_set((Phi, Y), V, ridge=0.5)
    new, answers = arrivals(rng, V)
    new = new + 0.1 * rng.standard_normal(new.shape)
    with pytest.raises(
        InfeasibleError, match=r"T23b: \d+\.?\d* % of the norm of the new features lies outside"
    ) as error:
        update(built, new, answers)
    assert error.value.theorem == "T23b"
    wanted = ridge_weights(*together((Phi, Y), (new, answers)), ridge=0.5)
    got = ridge_weights(*together((built.features, built.labels), (new, answers)), ridge=0.5)
    assert np.linalg.norm(got - wanted) > 1e-4 * np.linalg.norm(wanted)


def test_dependent_directions_and_weights_inside_the_subspace_take_fewer_points(rng):
    Phi, Y = data(rng)
    W = ridge_weights(Phi, Y, ridge=0.5)
    V = rng.standard_normal((P, R))
    assert len(future_set((Phi, Y), np.hstack([V, V @ rng.standard_normal((R, R))]), ridge=0.5)) == R + K
    G = Phi.T @ Phi
    inside = np.linalg.solve(G, (G + 0.5 * np.eye(P)) @ W.T)  # M G times these columns is W^T
    assert len(future_set((Phi, Y), inside, ridge=0.5)) == K


def test_samples_that_the_data_cannot_hold_are_not_forgotten(rng):
    Phi, Y = data(rng)
    memory = future_set((Phi, Y), Phi[:2].T, ridge=0.5)
    with pytest.raises(InfeasibleError, match="T23c: the samples to be forgotten have leverage") as error:
        update(memory, 100 * Phi[:1], Y[:1], sign=-1)
    assert (error.value.theorem, error.value.limit) == ("T23c", 1.0)
    assert error.value.value > 1.0


def test_bad_input_is_refused(rng):
    (Phi, Y), V = data(rng), rng.standard_normal((P, R))
    with pytest.raises(InfeasibleError, match="T23b: ridge = 0 has no inverse"):
        future_set((Phi, Y), V, ridge=0.0)
    with pytest.raises(ValueError, match="the subspace has rank 0"):
        future_set((Phi, Y), 0 * V, ridge=0.5)
    with pytest.raises(ShapeError, match="subspace must have 11 rows, got 10"):
        future_set((Phi, Y), V[1:], ridge=0.5)
    built = future_set((Phi, Y), V, ridge=0.5)
    new, answers = arrivals(rng, V)
    with pytest.raises(ValueError, match=r"sign must be \+1 .* got 2"):
        update(built, new, answers, sign=2)
    with pytest.raises(ShapeError, match="Phi must have 11 columns, got 10"):
        update(built, new[:, 1:], answers)
    with pytest.raises(ShapeError, match="the same number of rows, got 7 and 6"):
        update(built, new, answers[1:])
    from_the_set_alone = update(replace(built, weights=None), new, answers)
    assert np.array_equal(from_the_set_alone.weights, update(built, new, answers).weights)


@pytest.mark.parametrize("power", [-498, -400, 400, 498])
def test_the_unit_of_the_features_changes_no_point(rng, ratio, power):
    """Features times c and the ridge times c^2: (X^T X)^-1 is of size c^-2, which W of size 1 / c must not overflow."""
    Phi, Y, V = rng.standard_normal((40, 7)), rng.standard_normal((40, 2)), np.linalg.qr(rng.standard_normal((7, 3)))[0]
    unit = 2.0**power
    one, other = future_set((Phi, Y), V, ridge=1.0), future_set((unit * Phi, Y), V, ridge=unit**2)
    assert len(one) == len(other) == 5
    G, H = (made.features.T @ made.features for made in (one, replace(other, features=other.features / unit)))
    assert ratio(H, G, size=40, amplification=100.0) < 30
