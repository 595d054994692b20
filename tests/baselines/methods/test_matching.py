"""What the matching methods share: the velocity, the network, digits and MNIST."""

import os
from pathlib import Path

import numpy as np
import pytest

from analytic_dd import data
from analytic_dd.baselines.bench.evaluate import Networks, evaluate
from analytic_dd.baselines.methods.driver import distill

FOLDER = Path(os.environ.get("ANALYTIC_DD_DATA") or "data")
METHODS = ("dm", "dc", "dsa")
SMALL = {"width": 4, "depth": 2, "batch": 8}
LOOPS = {"outer": 2, "inner": 3, "net_batch": 4}  # of DC and DSA


def options(method, **others):
    """Options of a small run."""
    return SMALL | ({} if method == "dm" else LOOPS) | others


def small(shape=(8, 8), sizes=(20, 9, 1), dtype=np.uint8):
    """Images of three classes with means of their own: one smaller than a batch, one of a single image."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(len(sizes)), sizes)
    x = 128 + 40 * y.reshape(-1, *[1] * len(shape)) + 30 * rng.standard_normal((len(y), *shape))
    return data.Dataset.from_arrays(np.clip(x, 0, 255).astype(dtype), y, name="small", split=False)


@pytest.mark.parametrize("method", METHODS)
def test_the_velocity_is_part_of_the_state(method, ratio, tmp_path):
    state = tmp_path / "state.npz"
    once = {} if method == "dm" else {"outer": 1}
    distill(method, small(), config=options(method, steps=1, lr=1e-3, **once), state_file=state)
    with np.load(state) as stored:
        start = distill(method, small(), config=options(method, steps=0))
        moved = stored["state/images"] - start.inputs.reshape(3, 1, 8, 8)
        assert (
            ratio(moved, -1e-3 * stored["state/sgd/images"], size=1, eps=2.0**-23, unit=np.linalg.norm(start.inputs))
            < 30
        )
        assert np.abs(stored["state/sgd/images"]).max() > 0.0


@pytest.mark.parametrize("method", METHODS)
def test_a_perceptron_is_a_network_too(method):
    config = {"network": "mlp", "width": 6, "steps": 2}
    found = distill(method, small(), config=config)
    other = distill(method, small(), config=config | {"depth": 1})
    assert found.config["depth"] == 2
    assert not np.array_equal(found.inputs, other.inputs)


def test_rows_are_neither_augmented_nor_folded():
    with pytest.raises(ValueError, match="1 x 11 pixels are rows, not images; switch augmentation off"):
        distill("dm", small((11,)), config={"network": "mlp", "steps": 1})
    with pytest.raises(ValueError, match="halvings leave no pixel of 1 x 11; lower depth, or use an MLP for rows"):
        distill("dc", small((11,)), config={"steps": 1})


DIGITS = {"depth": 2, "width": 16, "batch": 32}


@pytest.fixture(scope="module")
def digits():
    """The digits of scikit-learn, 8 x 8."""
    return data.load("digits")


@pytest.fixture(scope="module")
def scored(digits):
    """Return the test accuracy of a network trained on a set, of two larger ones with augmentation."""

    def score(inputs, labels, *, augment=False):
        few = Networks(width=16, depth=2, nets=1, epochs=60, lr=0.05)
        networks = Networks(width=32, depth=2, nets=2, augment=True, epochs=500) if augment else few
        return evaluate(inputs, labels, digits, networks).mean

    return score


def class_means(dataset):
    """Return the mean images (k, d), normalised, and their classes."""
    return data.normalised(dataset.class_means(), *dataset.statistics()), np.arange(len(dataset.classes))


@pytest.mark.parametrize(
    ("method", "config", "least"),
    [
        ("dm", {"steps": 15, "digits": True}, 0.74),
        ("dc", {"steps": 20, "init": "real"}, 0.74),
        pytest.param("dsa", {"steps": 80, "width": 32, "batch": 64, "digits": True}, 0.86, marks=pytest.mark.slow),
    ],
)
def test_ten_digits_train_a_network(method, config, least, digits, scored):
    """More than random images do, which these networks begin with: of this seed 0.64 (dm) and 0.70 (dc)."""
    found = distill(method, digits, config=DIGITS | config)
    score = scored(found.inputs, found.classes_of_points, augment=method == "dsa")
    print(f"{method} {score:.3f}")
    assert score >= least


@pytest.mark.slow
@pytest.mark.skipif(not (FOLDER / "mnist").is_dir(), reason="no MNIST in $ANALYTIC_DD_DATA")
@pytest.mark.parametrize(
    ("method", "config"),
    [("dm", {"steps": 100, "digits": True}), ("dc", {"steps": 300, "lr": 1.0, "init": "real"})],
)
def test_on_mnist_ten_images_beat_the_class_means(method, config):
    """There the class means are a weak control: what beats them has distilled."""
    whole = data.load("mnist", offline=True)
    x, y = whole.x_train[:10_000], whole.y_train[:10_000]
    mnist = data.Dataset.from_arrays(x, y, whole.x_test, whole.y_test, name="mnist")
    found = distill(method, mnist, config={"depth": 3, "width": 16, "batch": 64} | config)
    networks = Networks(width=16, depth=3, nets=2)
    score = evaluate(found.inputs, found.classes_of_points, mnist, networks).mean
    means = evaluate(*class_means(mnist), mnist, networks).mean
    print(f"{method} {score:.3f}, class means {means:.3f}")
    assert score >= means + 0.05
