"""What is computed of a data set a block at a time: the statistics, and the normalised blocks themselves."""

import tracemalloc

import numpy as np
import pytest

from analytic_dd.data import Dataset
from analytic_dd.data.blocks import BLOCK_BYTES
from analytic_dd.errors import DataError
from analytic_dd.model import DatasetSource

RNG = np.random.default_rng(3)
EPS = np.finfo(np.float64).eps


def images(*shape, dtype=np.uint8):
    return RNG.integers(0, 256, shape).astype(dtype)


@pytest.mark.parametrize(("shape", "channels"), [((40, 11), 1), ((40, 5, 7), 1), ((40, 5, 7, 3), 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float64])
def test_statistics_are_numpys(shape, channels, dtype):
    data = Dataset.from_arrays(images(*shape, dtype=dtype), np.arange(40) % 3)
    mean, std = data.statistics()
    by_channel = data.x_train.reshape(-1, channels).astype(np.float64)
    assert mean.shape == std.shape == (channels,)
    assert mean.dtype == std.dtype == np.float64
    # numpy's own error: a few roundings over pairwise sums of numbers up to 255
    assert np.all(np.abs(mean - by_channel.mean(axis=0)) < 30 * EPS * 255)
    assert np.all(np.abs(std - by_channel.std(axis=0)) < 30 * EPS * 255)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_statistics_over_many_blocks_are_exact(dtype):
    x = np.empty((3 * 65536 + 17, 2), dtype)  # more rows than a 32-bit sum of squared bytes allows at once
    x[:, 0], x[:, 1] = 255, 253
    mean, std = Dataset.from_arrays(x, np.arange(len(x)) % 2).statistics()
    assert mean.tolist() == [254.0]
    assert std.tolist() == [1.0]


def test_deviation_sees_the_drift_from_block_to_block():
    n = 3 * 65536 + 17
    x = np.arange(n, dtype=np.float64).reshape(-1, 1) * np.ones(32)  # 0, 1, ..., n - 1: four blocks of other means
    _, std = Dataset.from_arrays(x, np.arange(n) % 2).statistics()
    assert abs(std[0] / np.sqrt((n**2 - 1) / 12) - 1) < 30 * EPS


def test_large_mean_costs_no_digits_of_the_deviation():
    x = 1e8 + np.array([[-1.0], [1.0]] * 500_000)
    mean, std = Dataset.from_arrays(x, np.arange(len(x)) % 2).statistics()
    assert abs(mean[0] - 1e8) <= 1e8 * EPS
    assert abs(std[0] - 1.0) < 30 * EPS


@pytest.mark.parametrize(("dtype", "value"), [(np.uint8, 7), (np.float64, 0.1)])
def test_deviation_of_a_constant_channel_is_one(dtype, value):
    x = images(40, 5, 7, 3, dtype=dtype)
    x[..., 1] = value
    mean, std = Dataset.from_arrays(x, np.arange(40) % 3).statistics()
    assert mean[1] == value
    assert std[1] == 1.0
    assert std[0] > 1.0


@pytest.mark.parametrize("shape", [(11,), (5, 7), (5, 7, 3)])
def test_blocks_together_are_the_normalised_set(shape):
    for rows in [1, 7, 40, 41, None]:
        x, y = images(40, *shape), RNG.permutation(np.arange(40) % 3)
        data = Dataset.from_arrays(x, y, x[:9], y[:9])
        mean, std = data.statistics()
        wanted = ((x.astype(np.float64) - (mean if len(shape) == 3 else mean[0])) / std).reshape(40, -1)
        for split, size in (("train", 40), ("test", 9)):
            blocks = list(data.blocks(split, rows=rows, mean=mean, std=std))
            assert [len(X) for X, _ in blocks[:-1]] == [rows] * (len(blocks) - 1)
            np.testing.assert_array_equal(np.concatenate([X for X, _ in blocks]), wanted[:size])
            np.testing.assert_array_equal(np.concatenate([labels for _, labels in blocks]), y[:size])
            assert blocks[0][0].dtype == np.float64
            assert blocks[0][0].flags.c_contiguous


def test_blocks_follow_an_order():
    x, y = images(40, 5), np.arange(40) % 3
    order = RNG.permutation(40)[:23]
    blocks = list(Dataset.from_arrays(x, y).blocks("train", rows=10, order=order))
    assert [len(X) for X, _ in blocks] == [10, 10, 3]
    np.testing.assert_array_equal(np.concatenate([X for X, _ in blocks]), x[order])
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in blocks]), y[order])


def test_blocks_may_be_kept_and_changed():
    x = images(40, 5)
    data = Dataset.from_arrays(x.copy(), np.arange(40) % 3)
    for X, labels in data.blocks("train", rows=10):
        X[:] = -1.0
        labels[:] = 99
    np.testing.assert_array_equal(data.x_train, x)
    assert data.y_train.max() == 2
    first, second, *_ = (X for X, _ in data.blocks("train", rows=10))
    assert not np.shares_memory(first, second)


def test_blocks_never_hold_the_whole_set_in_float():
    x = np.zeros((50_000, 1024), np.uint8)
    data = Dataset.from_arrays(x, np.arange(len(x)) % 2)
    tracemalloc.start()
    try:
        total = sum(len(X) for X, _ in data.blocks("train", mean=np.ones(1), std=np.ones(1)))
        data.statistics()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total == len(x)
    assert peak < 4 * BLOCK_BYTES < x.size * 8 / 6


def test_wrong_options_of_blocks_are_refused(refused):
    data = Dataset.from_arrays(images(4, 5, 7, 3), [0, 1, 0, 1])
    refused(lambda: data.blocks("valid"), "'valid'", "'train' or 'test'", kind=ValueError)
    refused(lambda: data.blocks("train", rows=0), "0", kind=ValueError)
    refused(lambda: data.blocks("train", mean=np.zeros(1)), "(3,)", "(1,)", kind=ValueError)


def test_given_moments_take_the_place_of_those_of_the_samples():
    """In every reader of a data set, also in parts of it."""
    x = np.random.default_rng(0).integers(0, 256, (7, 2, 3, 3)).astype(np.uint8)
    mean, std = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])
    given = Dataset.from_arrays(x, np.arange(7) % 2).with_moments(mean, std)
    wanted = (x[3:6] - mean) / std
    assert np.array_equal(DatasetSource(given.only(np.arange(3, 6))).inputs(np.arange(3))[0], wanted.reshape(3, -1))
    assert given.sha256 == Dataset.from_arrays(x, np.arange(7) % 2).sha256
    with pytest.raises(DataError, match=r"std > 0, got .*0\.0"):
        given.with_moments(mean, 0.0 * std)
    with pytest.raises(ValueError, match=r"mean must have shape \(3,\), one number a channel"):
        given.with_moments([0.0], std)
