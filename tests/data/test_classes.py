"""A test part that is set aside: stratified, complete, the same every time."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analytic_dd.data import Dataset
from analytic_dd.data.classes import many_integers, stratified_split


@given(st.lists(st.integers(1, 40), min_size=2, max_size=7), st.randoms(use_true_random=False))
def test_split_is_a_partition_in_equal_shares(counts, random):
    y = np.repeat(np.arange(len(counts)), counts)
    random.shuffle(y)
    train, test = stratified_split(y, len(counts))
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(len(y)))
    of_test = np.bincount(y[test], minlength=len(counts))
    assert np.all(np.abs(of_test - np.array(counts) / 5) < 1)
    assert np.all(np.bincount(y[train], minlength=len(counts)) >= 1)


def test_a_fifth_rounded_up_is_set_aside():
    y = np.arange(1797) % 10
    train, test = stratified_split(y, 10)
    assert (len(train), len(test)) == (1437, 360)


def test_split_does_not_just_take_the_first():
    _, test = stratified_split(np.repeat([0, 1], 500), 2)
    assert 150 < np.mean(test[test < 500]) < 350


def test_split_is_said_in_the_source():
    x, y = np.eye(10), np.arange(10) % 2
    with_split = Dataset.from_arrays(x, y, source="there", split=True)
    assert with_split.source == "there; no test part: 20% of the samples set aside (stratified, seed 0)"
    assert (len(with_split.x_train), len(with_split.x_test)) == (8, 2)
    for data in (
        Dataset.from_arrays(x, y, source="there"),
        Dataset.from_arrays(x, y, x, y, source="there", split=True),
    ):
        assert data.source == "there"
        assert len(data.x_train) == 10


def test_draw_is_pinned():
    # PCG64's uniform keys; another draw would change every result on data that come without a test part.
    assert stratified_split(np.repeat([0, 1], 10), 2)[1].tolist() == [2, 3, 11, 13]


def test_no_labels_are_no_quantities():
    assert many_integers(np.zeros(0, dtype=np.int64)) == ""
