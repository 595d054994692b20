"""What does not matter changes nothing, at any door: samples of weight 0, units, order, repetition, blocks, libraries.

Each relation compares two runs through a front door: bit for bit where the same numbers are added in the same order,
else by the ratio of the rounding that explains a difference, which sums amplify by the condition of G + ridge I (T13).
"""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from analytic_dd import FitOptions, RidgeDistiller, RidgeDistillerRegressor, cli, distill, load_distilled
from analytic_dd.baselines.bench.closed_form import closed_form
from analytic_dd.data import Dataset, blocks
from analytic_dd.distill import chosen, modes

N, D, K, RIDGE = 60, 7, 3, 4.0

WORDS = {  # of every mode that the doors know, and of what else an option makes of one
    "exact": {},
    "exact, learned": {"labels": "learned", "distilled_ridge": 0.5},
    "exact, real": {"init": "real"},
    "few": {"points": 2},
    "nearest": {"points_per_class": 2},
    "nearest, herding": {"points_per_class": 2, "references": "herding"},
    "one-image": {},
    "near-copies": {"bases": 3},
    "gradients": {},
    "trajectory": {"steps": 2},
    "future": {},
    "sufficient": {},
}
FEW_EXAMPLES = settings(max_examples=4)


@dataclass(frozen=True)
class Run:
    """What a door makes of samples."""

    ridge: float
    W: np.ndarray | None
    b: np.ndarray | None
    inputs: np.ndarray
    labels: np.ndarray

    def assert_same(self, other, *, x=1.0, w=1.0, y=1.0):
        """The other run bit for bit, with inputs, weights and labels in these units."""
        assert self.ridge * x**2 == other.ridge
        for one, two, unit in (
            (self.W, other.W, w),
            (self.b, other.b, y),
            (self.inputs, other.inputs, x),
            (self.labels, other.labels, y),
        ):
            assert (one is None) == (two is None)
            assert one is None or np.array_equal(one * unit, two)

    def assert_near(self, other, ratio, amplification):
        """The same ridge and model to rounding; the set is checked by its certificate, in its own door."""
        assert ratio(other.ridge, self.ridge, size=N) < 30
        if self.W is not None:
            assert ratio(other.W, self.W, size=N, amplification=amplification) < 30
        if self.b is not None:
            assert ratio(other.b, self.b, size=N, amplification=amplification, unit=1.0) < 30


def samples(seed=0, n=N):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % K
    return 3.0 * np.eye(K, D)[y] + rng.standard_normal((n, D)), y


def amplification(X, ridge=RIDGE):
    s = np.linalg.svd(X, compute_uv=False)
    return (s[0] ** 2 + ridge) / (s[-1] ** 2 + ridge)


def words_of(name, more):
    return {"mode": name.partition(",")[0]} | WORDS[name] | more


def called(X, y, w=None, *, name="exact", ridge=RIDGE, intercept=False, folder=None, **more):
    made = distill(
        X,
        y,
        construction=chosen(**words_of(name, more)),
        fit=FitOptions(ridge=ridge, intercept=intercept),
        sample_weight=w,
    )
    assert made.verify().verdict == "pass"
    return Run(made.meta["ridge"], made.w, made.intercept, made.inputs, made.y)


def estimated(X, y, w=None, *, name="exact", ridge=RIDGE, intercept=False, folder=None, **more):
    model = RidgeDistiller(**words_of(name, more), ridge=ridge, fit_intercept=intercept, random_state=0)
    model.fit(X, y, sample_weight=w)
    assert model.certificate_.verdict == "pass"
    b = model.intercept_ if intercept else None
    return Run(model.ridge_, model.coef_, b, model.distilled_X_, model.distilled_labels_)


def commanded(X, y, w=None, *, name="exact", ridge=RIDGE, intercept=False, folder=None, **more):
    np.savez(folder / "data.npz", x_train=X, y_train=y, x_test=X[:K], y_test=y[:K])
    flags = ["--ridge", str(ridge), *(["--intercept"] if intercept else [])]
    if w is not None:
        np.save(folder / "w.npy", w)
        flags += ["--sample-weights", str(folder / "w.npy")]
    short = {"points_per_class": "--ipc"}
    for word, value in words_of(name, more).items():
        flags += [short.get(word, "--" + word.replace("_", "-")), str(value)]
    out = ["--out", str(folder / "set"), "--no-picture", "--offline"]
    assert cli.main(["distill", "--data", str(folder / "data.npz"), *out, *flags]) == 0
    made = load_distilled(folder / "set")
    assert json.loads((folder / "set" / "report.json").read_text())["recovery"]["verdict"] == "pass"
    return Run(made.meta["ridge"], made.w, made.intercept, made.inputs, made.y)


def benched(X, y, w=None, *, name="exact", ridge=RIDGE, folder=None, **more):
    assert w is None
    dataset = Dataset.from_arrays(X, y, X[:K], y[:K])
    words = words_of(name, more)
    made = closed_form(
        dataset, points_per_class=words.pop("points_per_class", 1), config=words | {"original_ridge": ridge}
    )
    return Run(made.learned["original_ridge"], None, None, made.inputs, made.y)


DOORS = {"distill": called, "estimator": estimated, "command line": commanded, "bench": benched}
WEIGHTED = [name for name in DOORS if name != "bench"]
BENCHED = [name for name in WORDS if name != "few"]  # whose number of points bench counts by classes
each_door = pytest.mark.parametrize("door", DOORS)


def through(door, *arguments, folder, **options):
    return DOORS[door](*arguments, folder=folder, **options)


def test_every_mode_is_here():
    assert {name.partition(",")[0] for name in WORDS} == set(modes())


@pytest.mark.parametrize("name", WORDS)
@pytest.mark.parametrize("door", WEIGHTED)
def test_a_weight_of_0_is_a_sample_left_out(door, name, tmp_path, capsys):
    """Outliers of weight 0, of every class and between the others: their values and their number change no bit."""
    (X, y), rng = samples(), np.random.default_rng(1)
    kept = np.sort(rng.permutation(2 * N)[:N])
    everything, classes, weights = 1e3 * rng.standard_normal((2 * N, D)), rng.integers(0, K, 2 * N), np.zeros(2 * N)
    weights[kept] = rng.uniform(0.5, 2.0, N)
    everything[kept], classes[kept] = X, y
    one = through(door, X, y, weights[kept], name=name, folder=tmp_path)
    other = through(door, everything, classes, weights, name=name, folder=tmp_path)
    one.assert_same(other)


@pytest.mark.parametrize("door", ["distill", "estimator"])
def test_a_class_of_samples_of_weight_0_is_no_class(door):
    X, y = samples()
    one = through(door, X[y < 2], y[y < 2], np.ones(np.sum(y < 2)), folder=None)
    one.assert_same(through(door, X, y, (y < 2).astype(float), folder=None))


@pytest.mark.parametrize("name", WORDS)
@pytest.mark.parametrize("door", DOORS)
def test_the_unit_of_the_samples_changes_no_bit(door, name, tmp_path, capsys, ratio):
    """Where samples are normalised, all follows; where they are not, inputs have the unit, and ridges its square."""
    if door == "bench" and name not in BENCHED:
        name = "exact"
    X, y = samples()
    one = through(door, X, y, name=name, folder=tmp_path)
    for power in (-200, 200):
        unit = 1.0 if door in ("command line", "bench") else 2.0**power
        more = {key: value * unit**2 for key, value in WORDS[name].items() if key == "distilled_ridge"}
        other = through(door, np.ldexp(X, power), y, name=name, ridge=RIDGE * unit**2, folder=tmp_path, **more)
        if name == "future" and unit != 1.0 and abs(power) > 100:  # LAPACK scales matrices of such sizes itself
            assert ratio(other.inputs / unit, one.inputs, size=N, amplification=amplification(X)) < 30
            assert np.array_equal(other.W * unit, one.W)
        else:
            one.assert_same(other, x=unit, w=1 / unit)


def weights_as_copies(door, X, y, copies, folder):
    """The same samples with whole weights, and with as many copies of each."""
    many = np.repeat(np.arange(N), copies)
    if door == "bench":  # takes no weights: twice the samples at twice the ridge
        return benched(X, y), benched(X[many], y[many], ridge=2.0 * RIDGE)
    run = {"intercept": True, "folder": folder}
    return through(door, X, y, copies.astype(float), **run), through(door, X[many], y[many], **run)


@each_door
@FEW_EXAMPLES
@given(seed=st.integers(0, 2**16), data=st.data())
def test_whole_weights_are_copies(door, ratio, seed, data):
    """Where inputs are normalised by the moments of the samples, weights leave these alone; equal ones do so too."""
    X, y = samples(seed)
    normalised = door in ("command line", "bench")
    copies = np.full(N, 2) if normalised else np.array(data.draw(st.lists(st.integers(1, 4), min_size=N, max_size=N)))
    with tempfile.TemporaryDirectory() as folder:
        one, other = weights_as_copies(door, X, y, copies, Path(folder))
    if door == "bench":
        assert ratio(other.inputs, one.inputs, size=N, amplification=amplification(X) * np.linalg.cond(one.inputs)) < 30
    else:
        one.assert_near(other, ratio, amplification(X))


@each_door
@FEW_EXAMPLES
@given(seed=st.integers(0, 2**16), order=st.permutations(range(N)))
def test_the_order_of_samples_does_not_matter(door, ratio, seed, order):
    (X, y), order = samples(seed), np.array(order)
    with tempfile.TemporaryDirectory() as folder:
        run = {"folder": Path(folder)}
        one, other = through(door, X, y, **run), through(door, X[order], y[order], **run)
    one.assert_near(other, ratio, amplification(X))
    size = amplification(X) * np.linalg.cond(one.inputs) ** 2
    assert ratio(other.inputs, one.inputs, size=N, amplification=size) < 30


@each_door
@pytest.mark.parametrize("rows", [1, 7])
def test_the_size_of_blocks_does_not_matter(door, rows, ratio, tmp_path, capsys, monkeypatch):
    X, y = samples()
    one = through(door, X, y, folder=tmp_path, ridge="loo")
    monkeypatch.setattr(blocks, "BLOCK_BYTES", rows * 8 * D)
    assert blocks.block_rows((D,)) == rows
    other = through(door, X, y, folder=tmp_path, ridge="loo")
    one.assert_near(other, ratio, amplification(X, one.ridge))


@each_door
def test_the_number_of_threads_does_not_matter(door, ratio, tmp_path, capsys):
    X, y = samples(n=400)
    runs = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            runs.append(through(door, X, y, folder=tmp_path))
    runs[0].assert_near(runs[1], ratio, amplification(X))


def same_points(one, other, ratio, *, unordered=False):
    """Near copies at a distance of rounding, each of its own; and as many."""
    assert one.inputs.shape == other.inputs.shape
    away = one.inputs[:, None] - other.inputs[None] if unordered else (one.inputs - other.inputs)[:, None]
    nearest = np.linalg.norm(away, axis=2).min(axis=1)
    size = np.abs(one.inputs).max()  # Newton's method ends within rounding times the condition of M, some 1e2
    return ratio(size + nearest, size, size=N, amplification=1e2) < 30


NO_MATTER = {  # how the samples are given, and whether the points then come in another order
    "order": lambda X, y: ({"X": X[::-1], "y": y[::-1]}, True),
    "repetition": lambda X, y: ({"X": np.repeat(X, 2, axis=0), "y": np.repeat(y, 2), "ridge": 2.0 * RIDGE}, False),
    "blocks": lambda X, y: ({"X": X, "y": y}, False),
    "threads": lambda X, y: ({"X": X, "y": y}, False),
}


@pytest.mark.parametrize("what", NO_MATTER)
@each_door
def test_near_copies_do_not_depend_on_how_samples_are_given(door, what, ratio, tmp_path, capsys, monkeypatch):
    """Where every sample is a candidate (at most 256), bases are chosen by their features and Jacobians alone.

    Of more samples the candidates are drawn by number, so that another order is another draw: W is then the same, and
    no more is stated. Kinds and dtypes of arrays change no bit, below.
    """
    (X, y), run = samples(), {"name": "near-copies", "folder": tmp_path}
    one = through(door, X, y, **run)
    given, unordered = NO_MATTER[what](X, y)
    if what == "blocks":
        monkeypatch.setattr(blocks, "BLOCK_BYTES", 7 * 8 * D)
    with threadpool_limits(2 if what == "threads" else 1):
        other = through(door, given.pop("X"), given.pop("y"), **given, **run)
    if what != "repetition":
        one.assert_near(other, ratio, amplification(X))
    elif one.W is not None:
        assert ratio(other.W, one.W, size=N, amplification=amplification(X)) < 30
    assert same_points(one, other, ratio, unordered=unordered)


ARRAYS = {
    "torch": lambda X: torch.tensor(X),
    "torch with a gradient": lambda X: torch.tensor(X, requires_grad=True),
    "jax": lambda X: jnp.asarray(X),
    "pandas": lambda X: pandas.DataFrame(X),
    "lists": lambda X: X.tolist(),
    "Fortran order": np.asfortranarray,
    "every second of an array": lambda X: np.repeat(X, 2, axis=0)[::2],
    "read only": lambda X: np.frombuffer(X.tobytes(), X.dtype).reshape(X.shape),
    "big-endian": lambda X: X.astype(">f8"),
    "float32": lambda X: X.astype(np.float32),
}


@pytest.mark.parametrize("kind", ARRAYS)
@pytest.mark.parametrize("door", ["distill", "estimator"])
@pytest.mark.parametrize("name", ["exact", "near-copies"])
def test_the_kind_of_array_changes_no_bit(door, kind, name, tmp_path):
    """All compute in float64; the numbers here are the same in float32."""
    X, y = samples()
    X = np.round(X * 64.0) / 64.0
    one = through(door, X, y, folder=tmp_path, name=name)
    with jax.enable_x64(True):
        one.assert_same(through(door, ARRAYS[kind](X), y, folder=tmp_path, name=name))


@pytest.mark.parametrize("dtype", ["int8", "int64", "float16", "float32", ">i4", "bool"])
@each_door
def test_the_dtype_of_samples_changes_no_bit(door, dtype, tmp_path, capsys):
    (X, y), low = samples(), -20 if np.dtype(dtype).kind != "b" else 0
    X = np.clip(np.round(X * 4.0), low, 20 if low else 1)
    for name in ("exact", "near-copies") if door != "command line" else ("exact",):  # which reads files alike
        one = through(door, X, y, folder=tmp_path, name=name)
        one.assert_same(through(door, X.astype(dtype), y, folder=tmp_path, name=name))


@FEW_EXAMPLES
@given(seed=st.integers(0, 2**16), data=st.data())
def test_a_regression_takes_weights_as_copies_and_order_as_none(ratio, seed, data):
    rng = np.random.default_rng(seed)
    X, Y = rng.standard_normal((N, D)), rng.standard_normal((N, K))
    copies = np.array(data.draw(st.lists(st.integers(0, 3), min_size=N, max_size=N)))
    copies[: 2 * D] = 1
    many = rng.permutation(np.repeat(np.arange(N), copies))
    make = RidgeDistillerRegressor(ridge=RIDGE, fit_intercept=True, random_state=0)
    one = make.fit(X, Y, sample_weight=copies.astype(float))
    W, b = one.coef_.copy(), np.array(one.intercept_)
    other = make.fit(X[many], Y[many])
    lost = amplification(X[many] - X[many].mean(axis=0))
    assert ratio(other.coef_, W, size=N, amplification=lost) < 30
    assert ratio(other.intercept_, b, size=N, amplification=lost, unit=1.0) < 30
