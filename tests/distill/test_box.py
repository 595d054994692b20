"""Box: m + 1 points in a box that are as exact as the m points outside."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytic_dd import InfeasibleError, ShapeError, nearest_features
from analytic_dd.arrays import to_numpy
from analytic_dd.distill.box import move_into_box, pixel_box

K, M, P = 3, 5, 11


def pixels(rng, m=M):
    """References as images are: many entries on the faces of [0, 1]."""
    return np.clip(rng.uniform(-0.5, 1.5, (m, P)), 0.0, 1.0)


def test_set_in_the_box_is_exact(library, ratio, refit, rng):
    for ridge, tau in itertools.product([0.0, 0.25], [0.0, 0.5]):
        W, references = rng.standard_normal((K, P)), pixels(rng)
        assert nearest_features(W, references, tau=tau).features.min() < 0.0
        built = nearest_features(library.array(W), library.array(references), ridge=ridge, tau=tau, box=(0.0, 1.0))
        assert library.owns(built.features, built.labels)
        features = to_numpy(built.features)
        assert features.shape == (M + 1, P)
        assert features.min() >= 0.0
        assert features.max() <= 1.0
        assert built.theorem == "T6, Box"
        W, size = to_numpy(library.array(W)), M + 1 + np.sqrt(P)
        got = refit(built.features, built.labels, ridge)
        assert ratio(got, W, size=size, amplification=built.amplification, eps=library.eps) < 30


def test_distance_counts_the_moved_references_only(ratio, rng):
    W, references = rng.standard_normal((K, P)), pixels(rng)
    built = nearest_features(W, references, box=(0.0, 1.0))
    moved = np.linalg.norm(built.features[:M] - references)
    plain = nearest_features(W, references).distance
    for got, wanted in ((built.distance, moved), (built.predicted_distance, plain)):
        lost = np.linalg.cond(W) * np.linalg.norm(references) / wanted
        assert ratio(got, wanted, size=M + P, amplification=lost) < 30


def test_rows_inside_stay_to_the_last_bit_and_the_point_is_appended(rng):
    inside, outside = pixels(rng), pixels(rng) + rng.uniform(-0.3, 0.3, (M, P))
    g = rng.uniform(0.3, 0.7, P)
    moved = move_into_box(np.vstack([inside, outside]), 0.0, 1.0, interior=g)
    assert np.array_equal(moved[:M], inside)
    assert np.array_equal(moved[-1], g)


def test_step_is_the_largest(ratio, rng):
    """A row that left the box ends on a face of it, on the line to the interior point."""
    rows, g = rng.uniform(-1.0, 2.0, (M, P)), np.full(P, 0.5)
    moved = move_into_box(rows, 0.0, 1.0)[:M]
    steps = (moved - g) / (rows - g)
    lost = 1 / np.abs(moved - g).min()  # what is left of numbers up to 1 when g is subtracted
    assert ratio(steps, np.repeat(steps[:, :1], P, axis=1), size=1, amplification=lost) < 30
    assert np.all((steps > 0) & (steps <= 1))
    room = np.minimum(moved, 1.0 - moved).min(axis=1)
    assert np.all((room >= 0.0) & (room < 30 * 2.0**-52))


@pytest.mark.parametrize("offset", [0.0, -1e6, 3e8])
def test_box_of_each_pixel_far_from_zero_holds(rng, offset):
    lower = offset + rng.uniform(-2.0, -1.0, P)
    upper = offset + rng.uniform(1.0, 2.0, P)
    moved = move_into_box(offset + 3 * rng.standard_normal((200, P)), lower, upper)
    assert np.all(moved >= lower)
    assert np.all(moved <= upper)


def test_span_of_the_rows_is_kept(ratio, rng):
    rows = 2 * rng.standard_normal((M, P))
    moved = move_into_box(rows, 0.0, 1.0)
    beside = rows - rows @ np.linalg.pinv(moved) @ moved
    assert ratio(beside, 0.0, size=M + P, amplification=np.linalg.cond(moved), unit=np.linalg.norm(rows)) < 30


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        (
            {"interior": np.r_[1.0, np.full(P - 1, 0.5)]},
            InfeasibleError,
            r"distance of 0 to the nearest face \(column 0\)",
        ),
        ({"interior": np.full(P, 1.5)}, InfeasibleError, "distance of -0.5 to the nearest face"),
        (
            {"box": (0.0, np.r_[np.ones(P - 1), 0.0])},
            InfeasibleError,
            r"low must be below high, got 0 and 0 in column 10",
        ),
        ({"box": (3.0, -3.0)}, InfeasibleError, r"low must be below high, got 3 and -3 in column 0; exchange"),
        ({"interior": np.full(M, 0.5)}, ShapeError, r"interior must be a number or have shape \(11,\)"),
    ],
)
def test_point_that_is_not_interior_is_refused(rng, options, kind, message):
    with pytest.raises(kind, match=message):
        nearest_features(rng.standard_normal((K, P)), pixels(rng), **({"box": (0.0, 1.0)} | options))


def test_clipping_instead_is_noticed(ratio, refit, rng):
    """The planted error: clamped pixels are in the box and no longer exact."""
    W, built = rng.standard_normal((K, P)), None
    built = nearest_features(W, pixels(rng), box=(0.0, 1.0))
    clipped = np.clip(nearest_features(W, pixels(rng)).features, 0.0, 1.0)
    got = refit(clipped, clipped @ W.T, 0.0)
    assert not ratio(got, W, size=M + np.sqrt(P), amplification=built.amplification) < 30


@given(seed=st.integers(0, 2**16))
def test_no_input_in_the_pixel_box_is_stored_outside_the_range(seed):
    """Any input within the bounds, at either end above all, keeps  v * std + mean  within low and high."""
    rng = np.random.default_rng(seed)
    mean, std = (
        rng.uniform(-3, 3, 3) * 10.0 ** rng.integers(-3, 4),
        rng.uniform(0.01, 1, 3) * 10.0 ** rng.integers(-3, 4),
    )
    low, high = np.sort(rng.uniform(-5, 5, 2))
    lower, upper = pixel_box(low, high, mean=mean, std=std, d=12)
    inside = np.concatenate([lower[None], upper[None], rng.uniform(lower, upper, (50, 12))]).reshape(-1, 3)
    x = inside * std + mean
    assert x.min() >= low
    assert x.max() <= high
    ends = (np.stack([lower, upper]).reshape(-1, 3) * std + mean).reshape(2, 12)
    unit = np.finfo(float).eps * max(abs(low), abs(high), np.abs(mean).max())
    assert np.abs(ends - [[low], [high]]).max() < 30 * unit  # and the box is no smaller than rounding asks for
