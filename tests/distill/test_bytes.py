"""T24: integer pixels that carry W, where plain rounding does not."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from analytic_dd import FitOptions, byte_set, distill, nearest_features, ridge_weights
from analytic_dd.distill import Nearest, minimal_features
from analytic_dd.errors import InfeasibleError, RangeError, ShapeError

K, D, M = 3, 64, 30


def near_set(rng, m=M, k=K, ridge=0.5):
    """Smooth images and a model of noise: the exact set is near them, and rounding loses it."""
    waves = np.cos(np.pi * np.outer(np.arange(D), np.arange(D) + 0.5) / D)
    images = 0.5 + 0.1 * (rng.standard_normal((m, D)) / (1.0 + np.arange(D))) @ waves
    W = 1e-2 * rng.standard_normal((k, D))
    return W, nearest_features(W, images, ridge=ridge)


def projected(W, X):
    basis = np.linalg.qr(np.asarray(X, dtype=float).T)[0]
    return W @ basis @ basis.T


def missed(W, X):
    return np.linalg.norm(W - projected(W, X)) / np.linalg.norm(W)


def near_features(stored):
    """The set without its map: features, labels and ridge."""
    return SimpleNamespace(features=stored.inputs, labels=stored.y, ridge=stored.ridge)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("error", [1e-2, 1e-5])
def test_integers_carry_the_weights_to_the_wanted_error(rng, bits, error, ratio):
    W, near = near_set(rng)
    made = byte_set(near, bits=bits, error=error)
    assert made.levels.dtype == (np.uint8 if bits == 8 else np.uint16)
    assert made.levels.shape == (M, D)
    inputs = made.low + made.step * made.levels.astype(float)
    assert np.array_equal(inputs, made.inputs)
    assert missed(W, inputs) <= error
    lost = {"size": D, "amplification": np.linalg.cond(inputs), "unit": 1.0}
    assert ratio(made.relative_error, missed(W, inputs), **lost) < 30
    fitted = ridge_weights(inputs, made.labels, ridge=made.ridge)
    assert np.linalg.norm(fitted - W) <= 1.01 * error * np.linalg.norm(W)
    exact = (near.features - made.low) / made.step
    assert ratio(np.abs(made.levels - exact).max(), made.largest_change, size=1, unit=np.abs(exact).max()) < 30


def test_a_distilled_set_of_the_identity_map_is_taken(rng, ratio):
    X, y = rng.uniform(0.0, 1.0, (M, D)), np.arange(M) % K
    near, fit = Nearest(points_per_class=8), FitOptions(ridge=0.5)
    stored = distill(X, y, construction=near, fit=fit)
    made, of_features = byte_set(stored, error=1e-3), byte_set(near_features(stored), error=1e-3)
    assert np.array_equal(made.levels, of_features.levels)
    kept = projected(stored.w, made.inputs)
    lost = {"size": D, "amplification": np.linalg.cond(made.inputs) ** 2, "unit": np.linalg.norm(stored.w)}
    assert ratio(ridge_weights(made.inputs, made.labels, ridge=made.ridge), kept, **lost) < 30
    with pytest.raises(ShapeError, match="T24 is for the identity map, got a set of fcnn"):
        byte_set(distill(X, y, features="fcnn:depth=1", construction=near, fit=fit))
    with pytest.raises(ValueError, match=r"keeps no intercept, got a set with one; use distill with Nearest\(pixels='"):
        byte_set(distill(X, y, construction=near, fit=FitOptions(ridge=0.5, intercept=True)))
    with pytest.raises(ValueError, match="one ridge, got a set of loss='softmax'"):
        byte_set(distill(X, y, fit=FitOptions(ridge=0.5, loss="softmax")))


def test_plain_rounding_loses_them_and_so_does_clipping(rng, ratio):
    W, near = near_set(rng)
    made = byte_set(near, error=1e-5)
    rounded = made.low + made.step * np.rint((near.features - made.low) / made.step)
    assert ratio(made.rounding_error, missed(W, rounded), size=D, amplification=np.linalg.cond(rounded)) < 30
    assert made.rounding_error > 1e3 * made.relative_error
    clipped = made.low + made.step * np.clip(made.levels, 5, None).astype(float)
    if made.levels.min() < 5:
        assert missed(W, clipped) > 1e2 * made.relative_error


def test_png_files_and_a_table_of_labels_are_enough(rng, tmp_path):
    W, near = near_set(rng)
    made = byte_set(near, error=1e-6)
    for i, row in enumerate(made.levels):
        Image.fromarray(row.reshape(8, 8)).save(tmp_path / f"{i:03}.png")
    np.savetxt(tmp_path / "labels.csv", made.labels, delimiter=",", fmt="%.17g")
    levels = np.array([np.asarray(Image.open(path)).ravel() for path in sorted(tmp_path.glob("*.png"))])
    inputs, labels = made.low + made.step * levels.astype(float), np.loadtxt(tmp_path / "labels.csv", delimiter=",")
    fitted = ridge_weights(inputs, labels, ridge=made.ridge)
    assert np.linalg.norm(fitted - W) <= 1.1 * 1e-6 * np.linalg.norm(W)  # the error that was asked for


def test_changes_bound_the_pixels(rng):
    W, near = near_set(rng)
    errors = []
    for changes in (2.0, 5.0, 20.0):
        made = byte_set(near, changes=changes)
        assert made.largest_change <= changes
        errors.append(missed(W, made.inputs))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-3 * errors[0]


def test_an_error_costs_levels_by_the_law(rng):
    """e^(-q / (m - q)): a thousand times more exact takes 10^(3 q / (m - q)) times larger changes."""
    _, near = near_set(rng)
    coarse, fine = (byte_set(near, error=e, bits=16) for e in (1e-3, 1e-9))
    got = np.log(fine.largest_change / coarse.largest_change) / np.log(coarse.relative_error / fine.relative_error)
    assert got == pytest.approx(K / (M - K), rel=0.5)


def test_more_images_than_a_lattice_holds_go_in_blocks(rng):
    W, near = near_set(rng, m=250)
    made = byte_set(near, error=1e-5)
    assert missed(W, made.inputs) <= 1e-5
    assert made.largest_change < 5.0


def test_a_given_code_is_kept_or_refused(rng):
    _, near = near_set(rng)
    low, step = near.features.min() - 0.2, np.ptp(near.features) / 150
    made = byte_set(near, error=1e-4, code=(low, step))
    assert (made.low, made.step) == (low, step)
    with pytest.raises(RangeError, match=r"levels must lie in 0 .. 255, got .*clipping would lose W"):
        byte_set(near, error=1e-4, code=(near.features.min() + 0.2, step))


def test_given_weights(rng):
    W, near = near_set(rng)
    one, other = byte_set(near, error=1e-4), byte_set(near, error=1e-4, weights=W)
    assert missed(W, one.inputs) == pytest.approx(missed(W, other.inputs), rel=2.0)


def test_no_more_points_than_rank_is_refused(rng):
    W = rng.standard_normal((K, D))
    with pytest.raises(InfeasibleError, match="more points than its rank 3, got 3; take 11 points or more") as error:
        byte_set(minimal_features(W))
    assert (error.value.theorem, error.value.value, error.value.limit) == ("T24", 3.0, 4.0)


def test_an_error_out_of_reach_is_refused_with_what_was_reached(rng):
    _, near = near_set(rng, m=K + 1)
    with pytest.raises(InfeasibleError, match=r"T24: integers must carry W to 1.0e-12, got") as error:
        byte_set(near, error=1e-12)
    assert error.value.theorem == "T24"
    with pytest.raises(InfeasibleError, match=r"T24: changes of at most 0.51 levels are wanted"):
        byte_set(near_set(rng, m=5, k=4)[1], changes=0.51)


def test_bad_input_is_refused(rng, monkeypatch):
    W, near = near_set(rng)
    with pytest.raises(ValueError, match="bits must be 8 or 16, got 12"):
        byte_set(near, bits=12)
    with pytest.raises(ValueError, match="give error or changes, not both"):
        byte_set(near, error=1e-3, changes=3.0)
    for error in (0.0, 1.0):
        with pytest.raises(ValueError, match="error must lie between 0 and 1"):
            byte_set(near, error=error)
    with pytest.raises(ValueError, match="changes must be more than 1/2"):
        byte_set(near, changes=0.5)
    with pytest.raises(ShapeError, match="weights must have shape"):
        byte_set(near, weights=W[:, 1:])
    monkeypatch.setitem(sys.modules, "flint", None)
    with pytest.raises(ImportError, match=r"pip install 'analytic-dd\[bytes\]'"):
        byte_set(near)
