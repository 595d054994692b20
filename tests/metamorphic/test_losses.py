"""What does not matter changes nothing for softmax, logistic and Poisson models and for samples that come in parts.

Bit for bit where the same numbers are added in the same order; else both models are the minimiser of one loss to the
gradient that Newton's method leaves, so that they differ by that over the ridge.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from analytic_dd import FitOptions, RidgeDistiller, RidgeDistillerRegressor, cli, distill, load_distilled
from analytic_dd.data import blocks
from analytic_dd.distill import chosen

N, D, K, RIDGE = 36, 7, 3, 4.0
EPS = 2.0**-52
FEW_EXAMPLES = settings(max_examples=2)


@dataclass(frozen=True)
class Run:
    """What a door makes of samples."""

    W: np.ndarray
    b: np.ndarray | None
    inputs: np.ndarray
    labels: np.ndarray

    def assert_same(self, other, *, x=1.0):
        """The other run bit for bit, with inputs in this unit and weights in its inverse."""
        assert np.array_equal(self.W / x, other.W)
        assert (self.b is None) == (other.b is None)
        assert self.b is None or np.array_equal(self.b, other.b)
        assert np.array_equal(self.inputs * x, other.inputs)
        assert np.array_equal(self.labels, other.labels)

    def assert_near(self, other, X):
        """The same minimiser: gradients of rounding size, relative to the sums that they are differences of."""
        allowed = EPS * N * float(np.linalg.norm(X)) * N / RIDGE
        assert np.linalg.norm(other.W - self.W) < 30 * allowed
        assert self.b is None or np.linalg.norm(other.b - self.b) < 30 * allowed * np.linalg.norm(X)


def samples(loss, seed=0):
    """Inputs, and classes or counts; the means of softmax, logistic and Poisson models are far from their ends."""
    rng = np.random.default_rng(seed)
    y = np.arange(N) % K
    X = 1.5 * np.eye(K, D)[y] + rng.standard_normal((N, D))
    return X, rng.poisson(np.exp(0.3 * X[:, :K])).astype(float) if loss == "poisson" else y


def called(loss, X, y, w=None, *, ridge=RIDGE, intercept=True, folder=None):
    made = distill(
        X,
        y,
        construction=chosen(mode="exact", labels="learned"),
        fit=FitOptions(ridge=ridge, intercept=intercept, loss=loss),
        sample_weight=w,
    )
    assert made.verify().verdict == "pass"
    return Run(made.w, made.intercept, made.inputs, made.y)


def estimated(loss, X, y, w=None, *, ridge=RIDGE, intercept=True, folder=None):
    make = RidgeDistillerRegressor if loss == "poisson" else RidgeDistiller
    model = make(mode="exact", labels="learned", loss=loss, ridge=ridge, fit_intercept=intercept, random_state=0)
    model.fit(X, y, sample_weight=w)
    assert model.certificate_.verdict == "pass"
    return Run(
        model.coef_,
        model.intercept_ if intercept else None,
        model.distilled_X_,
        getattr(model, "distilled_labels_", None) if hasattr(model, "distilled_labels_") else model.distilled_y_,
    )


def commanded(loss, X, y, w=None, *, ridge=RIDGE, intercept=True, folder=None):
    np.savez(folder / "data.npz", x_train=X, y_train=y, x_test=X[:K], y_test=y[:K])
    flags = ["--ridge", str(ridge), "--loss", loss, "--labels", "learned", *(["--intercept"] if intercept else [])]
    flags += ["--task", "regress"] if loss == "poisson" else []
    if w is not None:
        np.save(folder / "w.npy", w)
        flags += ["--sample-weights", str(folder / "w.npy")]
    out = ["--out", str(folder / "set"), "--no-picture", "--offline"]
    assert cli.main(["distill", "--data", str(folder / "data.npz"), *out, *flags]) == 0
    made = load_distilled(folder / "set")
    assert made.verify().verdict == "pass"
    return Run(made.w, made.intercept, made.inputs, made.y)


DOORS = {"distill": called, "estimator": estimated, "command line": commanded}
LOSSES = ("softmax", "logistic", "poisson")
IN_PYTHON = [(door, loss) for door in ("distill", "estimator") for loss in LOSSES]
each_way = pytest.mark.parametrize(("door", "loss"), [*IN_PYTHON, ("command line", "poisson")])


@pytest.mark.parametrize(("door", "loss"), [*IN_PYTHON, ("command line", "softmax")])
def test_a_weight_of_0_is_a_sample_left_out(door, loss, tmp_path, capsys):
    """Outliers of weight 0 between the others, with labels that no sample has: no bit changes."""
    (X, y), rng = samples(loss), np.random.default_rng(1)
    kept, weights = np.sort(rng.permutation(2 * N)[:N]), np.zeros(2 * N)
    weights[kept] = rng.uniform(0.5, 2.0, N)
    everything, labels = 1e3 * rng.standard_normal((2 * N, D)), np.repeat(y, 2, axis=0)[::-1].copy()
    everything[kept], labels[kept] = X, y
    one = DOORS[door](loss, X, y, weights[kept], folder=tmp_path)
    one.assert_same(DOORS[door](loss, everything, labels, weights, folder=tmp_path))


@each_way
@pytest.mark.parametrize("power", [-100, 100])
def test_the_unit_of_the_samples_changes_no_bit(door, loss, power, tmp_path, capsys):
    """The command line normalises, so that its inputs have no unit; elsewhere they have it, and ridges its square."""
    X, y = samples(loss)
    unit = 1.0 if door == "command line" else 2.0**power
    one = DOORS[door](loss, X, y, folder=tmp_path)
    other = DOORS[door](loss, np.ldexp(X, power), y, ridge=RIDGE * unit**2, folder=tmp_path)
    one.assert_same(other, x=unit)


@each_way
@FEW_EXAMPLES
@given(seed=st.integers(0, 2**16), order=st.permutations(range(N)))
def test_the_order_of_samples_does_not_matter(door, loss, seed, order):
    (X, y), order = samples(loss, seed), np.array(order)
    with tempfile.TemporaryDirectory() as folder:
        one = DOORS[door](loss, X, y, folder=Path(folder))
        one.assert_near(DOORS[door](loss, X[order], y[order], folder=Path(folder)), X)


@pytest.mark.parametrize(("door", "loss"), IN_PYTHON)
@FEW_EXAMPLES
@given(seed=st.integers(0, 2**16), copies=st.lists(st.integers(1, 4), min_size=N, max_size=N))
def test_whole_weights_are_copies(door, loss, seed, copies):
    (X, y), many = samples(loss, seed), np.repeat(np.arange(N), copies)
    one = DOORS[door](loss, X, y, np.array(copies, dtype=float))
    one.assert_near(DOORS[door](loss, X[many], y[many]), X[many])


@each_way
def test_the_size_of_blocks_and_the_number_of_threads_do_not_matter(door, loss, tmp_path, capsys, monkeypatch):
    X, y = samples(loss)
    one = DOORS[door](loss, X, y, folder=tmp_path)
    with threadpool_limits(2):
        one.assert_near(DOORS[door](loss, X, y, folder=tmp_path), X)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 7 * 8 * D)
    one.assert_near(DOORS[door](loss, X, y, folder=tmp_path), X)


@each_way
def test_the_kind_and_the_dtype_of_arrays_change_no_bit(door, loss, tmp_path, capsys):
    X, y = samples(loss)
    X = np.clip(np.round(X * 4.0), -20, 20)
    one = DOORS[door](loss, X, y, folder=tmp_path)
    for dtype in ("int8", "float32", ">f8"):
        one.assert_same(DOORS[door](loss, X.astype(dtype), y, folder=tmp_path))
    if door == "command line":
        return
    with jax.enable_x64(True):
        for kind in (torch.tensor, jnp.asarray, np.asfortranarray):
            one.assert_same(DOORS[door](loss, kind(X), y, folder=tmp_path))


def parts_of(model, X, y, w, cuts, **first):
    """Samples given in parts to an estimator."""
    for number, rows in enumerate(np.split(np.arange(len(y)), cuts)):
        some = None if w is None else w[rows]
        model.partial_fit(X[rows], y[rows], sample_weight=some, **(first if number == 0 else {}))
    return model


@FEW_EXAMPLES
@given(seed=st.integers(0, 2**16), order=st.permutations(range(N)), cuts=st.sets(st.integers(1, N - 1), max_size=4))
@pytest.mark.parametrize("make", [RidgeDistiller, RidgeDistillerRegressor])
def test_parts_in_any_order_with_weights_of_0_are_the_samples_that_count(make, ratio, seed, order, cuts):
    """Outliers of weight 0 in every part: bit for bit. Another order of samples, other parts, or all at once: near."""
    rng, (X, y) = np.random.default_rng(seed), samples("softmax", seed)
    y = y if make is RidgeDistiller else X[:, :2] ** 2
    classes, order = {"classes": range(K)} if make is RidgeDistiller else {}, np.array(order)
    w, settings_of = rng.uniform(0.5, 2.0, N), {"ridge": RIDGE, "fit_intercept": True, "random_state": 0}
    one = parts_of(make(**settings_of), X, y, w, sorted(cuts), **classes)
    far, none = 1e3 * rng.standard_normal(X.shape), np.stack([np.zeros(N), w], axis=1).ravel()
    between = np.stack([far, X], axis=1).reshape(2 * N, D), np.repeat(y, 2, axis=0)
    same = parts_of(make(**settings_of), *between, none, [2 * cut for cut in sorted(cuts)], **classes)
    assert np.array_equal(one.coef_, same.coef_)
    assert np.array_equal(one.distilled_X_, same.distilled_X_)
    others = (
        make(**settings_of).fit(X, y, sample_weight=w),
        parts_of(make(**settings_of), X[order], y[order], w[order], [N // 2], **classes),
    )
    squares = np.linalg.svd(X - X.mean(axis=0), compute_uv=False) ** 2
    lost = (squares[0] + RIDGE) / (squares[-1] + RIDGE)
    for other in others:
        assert ratio(other.coef_, one.coef_, size=N, amplification=lost) < 30
    unit = 2.0**40
    other = parts_of(make(**settings_of | {"ridge": RIDGE * unit**2}), unit * X, y, w, sorted(cuts), **classes)
    assert np.array_equal(other.coef_ * unit, one.coef_)
