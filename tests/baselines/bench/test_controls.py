"""The controls as sets: class-major, of training samples only, for every number of points a class."""

from functools import partial

import numpy as np
import pytest

from analytic_dd import data
from analytic_dd.baselines.bench import coresets
from analytic_dd.baselines.bench.controls import CONTROLS, control_set, k_means, means_of_parts, random_real
from analytic_dd.data import Dataset


@pytest.fixture
def uneven(rng):
    """Colour images of three classes with 1, 4 and 15 samples."""
    y = np.repeat([0, 1, 2], [1, 4, 15])
    x = rng.integers(0, 256, (20, 2, 5, 3)).astype(np.uint8)
    return Dataset.from_arrays(x, y, x, y, name="uneven")


def normalised(dataset, x):
    return data.normalised(x.astype(np.float64), *dataset.statistics())


@pytest.mark.parametrize("name", [name for name in CONTROLS if name != "full"])
def test_sets_are_class_major_for_classes_of_every_size(uneven, name, monkeypatch):
    monkeypatch.setattr(coresets, "ShortRun", partial(coresets.ShortRun, epochs=2, draws=5, set_epochs=3))
    for per_class in (1, 3, 6):  # as many as the smallest class has, and more than the next one has
        inputs, labels = control_set(name, uneven, per_class, seed=0)
        assert inputs.shape == (3 * per_class, 30)
        assert np.array_equal(labels, np.eye(3)[np.repeat([0, 1, 2], per_class)])
        assert bool(np.all(np.isfinite(inputs)))
    assert np.array_equal(inputs, control_set(name, uneven, 6, seed=0)[0])


@pytest.mark.parametrize("per_class", [1, 3])
def test_random_images_are_training_samples_of_their_class(uneven, per_class):
    inputs, labels = random_real(uneven, per_class, seed=1)
    for row, label in zip(inputs, labels.argmax(axis=1), strict=True):
        members = normalised(uneven, uneven.x_train[uneven.y_train == label])
        assert np.any(np.all(members == row, axis=1))
    large = inputs[labels.argmax(axis=1) == 2]
    assert len(np.unique(large, axis=0)) == per_class  # none twice where the class has enough
    assert not np.array_equal(inputs, random_real(uneven, per_class, seed=2)[0])


def test_class_means_are_the_means_and_several_are_means_of_parts(digits, ratio):
    means = normalised(digits, digits.class_means())
    assert ratio(means_of_parts(digits, 1, seed=0)[0], means, size=len(digits.x_train)) < 30
    parts = means_of_parts(digits, 2, seed=0)[0].reshape(10, 2, 64)
    for label in range(10):
        n = int(np.sum(digits.y_train == label))
        sizes = np.array([n - n // 2, n // 2])
        assert ratio((parts[label] * sizes[:, None]).sum(axis=0) / n, means[label], size=n) < 30
    assert np.max(np.abs(parts[:, 0] - parts[:, 1])) > 1e-3


def test_one_centre_is_the_mean_and_several_are_the_means_of_their_nearest_samples(digits, ratio):
    whole = {"size": len(digits.x_train)}
    assert ratio(k_means(digits, 1, seed=0)[0], means_of_parts(digits, 1, seed=0)[0], **whole) < 30
    centres = k_means(digits, 3, seed=0)[0].reshape(10, 3, 64)
    for label in range(10):
        X = normalised(digits, digits.x_train[digits.y_train == label])
        nearest = ((X[:, None] - centres[label]) ** 2).sum(axis=2).argmin(axis=1)
        for index, centre in enumerate(centres[label]):
            assert ratio(X[nearest == index].mean(axis=0), centre, **whole) < 30


def test_the_full_set_is_the_training_part(digits, ratio):
    inputs, labels = control_set("full", digits, 1, seed=0)
    assert ratio(inputs, normalised(digits, digits.x_train), size=64) < 30
    assert np.array_equal(labels.argmax(axis=1), digits.y_train)


def test_bad_requests_are_refused(uneven):
    with pytest.raises(ValueError, match="unknown control 'mean'"):
        control_set("mean", uneven, 1, seed=0)
    with pytest.raises(ValueError, match="points_per_class must be >= 1, got 0"):
        control_set("random", uneven, 0, seed=0)
