"""Labels that say a class."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from array_api_compat import device

from analytic_dd.arrays import namespace
from analytic_dd.errors import DataError, ShapeError
from analytic_dd.labels import centred_one_hot, one_hot, repeated_classes


@pytest.mark.parametrize("dtype", ["uint8", "int64", "uint64"])
def test_rows_have_a_one_at_the_class(dtype):
    y = np.array([2, 0, 4, 2], dtype=dtype)
    Y = one_hot(y)
    assert Y.shape == (4, 5)
    assert Y.dtype == np.float64
    assert Y.argmax(1).tolist() == [2, 0, 4, 2]
    assert np.array_equal(Y.sum(1), np.ones(4))
    assert np.array_equal(one_hot(y.tolist()), Y)
    assert np.array_equal(one_hot(range(3)), np.eye(3))


def test_labels_are_of_the_library_of_the_classes(library, ratio):
    classes = library.array(np.array([2.0, 0.0, 4.0, 2.0]))
    y = namespace(classes).astype(classes, namespace(classes).int32)
    for make in (one_hot, centred_one_hot):
        Y = make(y, 7, dtype=np.dtype(library.dtype).type)
        assert library.owns(Y)
        assert device(Y) == device(y)
        wanted = make(np.array([2, 0, 4, 2]), 7)
        assert ratio(Y, wanted, size=1, eps=library.eps) < 30


def test_labels_are_float64_and_jax_without_it_is_told():
    assert one_hot(torch.tensor([1, 0])).dtype == torch.float64
    with pytest.raises(TypeError, match=r"pass dtype=numpy\.float32"):
        one_hot(jnp.asarray([1, 0]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [2, 3, 7])
def test_centred_rows_sum_to_zero_and_have_rank_k_minus_one(dtype, k):
    Y = centred_one_hot(np.arange(k), dtype=dtype)
    assert Y.dtype == dtype
    assert np.abs(Y.sum(1)).max() <= k * np.finfo(dtype).eps
    assert np.linalg.matrix_rank(Y.astype(float), tol=0.5) == k - 1  # the others are 1
    assert np.abs(Y - (np.eye(k) - 1 / k)).max() <= np.finfo(dtype).eps


@pytest.mark.parametrize(
    ("k", "points", "counts"), [(3, 7, [3, 2, 2]), (5, 5, [1] * 5), (5, 3, [1, 1, 1, 0, 0]), (1, 4, [4])]
)
def test_classes_repeat_as_evenly_as_possible_in_class_major_order(k, points, counts):
    y = repeated_classes(k, points)
    assert np.bincount(y, minlength=k).tolist() == counts
    assert np.all(np.diff(y) >= 0)


@pytest.mark.parametrize(
    ("y", "k", "kind", "message"),
    [
        (np.array([0.0, 1.0]), None, TypeError, "must be integers, got float64"),
        (np.array([True, False]), None, TypeError, "must be integers, got bool"),
        (np.array(["cat"]), None, TypeError, "encode names with numpy.unique"),
        (np.array([[0], [1]]), None, ShapeError, r"got shape \(2, 1\); use y\.ravel\(\)"),
        (np.array([0, 2**64 - 1], np.uint64), None, ValueError, r"18,446,744,073,709,551,616 classes take .* GB"),
        (np.array([0, 2**64 - 1], np.uint64), 3, ValueError, r"must lie in 0 \.\. 2, got 0 \.\. 18446744073709551615"),
        (np.ma.masked_equal([0, 1], 1), 3, DataError, "1 masked entry"),
        (np.array([[0, 1]]), None, ShapeError, r"one non-empty axis, got shape \(1, 2\)"),
        (np.zeros(0, dtype=int), None, ShapeError, "one non-empty axis"),
        (np.array([0, 3]), 3, ValueError, r"must lie in 0 \.\. 2, got 0 \.\. 3"),
        (np.array([-1, 2]), 3, ValueError, "must be >= 0, got -1"),
        (np.array([-1, 0]), None, ValueError, "must be >= 0, got -1; encode classes as"),
    ],
)
def test_wrong_class_indices_are_refused(y, k, kind, message):
    for make in (one_hot, centred_one_hot):
        with pytest.raises(kind, match=message):
            make(y, k)


def test_no_classes_or_points_are_refused():
    for k, points in ((0, 1), (1, 0)):
        with pytest.raises(ValueError, match="at least one class and one point"):
            repeated_classes(k, points)
