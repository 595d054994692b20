"""A data set: what is refused, how images are laid out, and its hash."""

import hashlib

import numpy as np
import pytest

from analytic_dd.data import Dataset
from analytic_dd.data.blocks import block_rows

RNG = np.random.default_rng(3)


def images(*shape, dtype=np.uint8):
    return RNG.integers(0, 256, shape).astype(dtype)


# what is given to from_arrays, and what the one line must mention
REFUSED = {
    "labels of another length": ((images(5, 3), [0, 1, 0, 1]), ("5 samples", "4 labels")),
    "test labels of another length": ((images(3, 2), [0, 1, 0], images(2, 2), [1]), ("2 samples", "1 labels", "test")),
    "one class only": ((images(3, 2), [4, 4, 4]), ("two classes", "got one class: 4;")),
    "unknown test label": ((images(3, 2), ["a", "b", "a"], images(2, 2), ["a", "zebra"]), ("'zebra'", "sample 1")),
    "kinds of labels": ((images(2, 2), ["a", "b"], images(2, 2), [0, 1]), ("text", "integers")),
    "one-hot labels": ((images(3, 2), np.eye(3)), ("(3, 3)", "argmax(axis=1)")),
    "a column of labels": ((images(2, 2), [[0], [1]]), ("(2, 1)", "ravel()")),
    "fractions as labels": ((images(2, 2), [0.5, 1.0]), ("float64", "astype(int)")),
    "objects": ((np.array([[1, None], [2, 3]], dtype=object), [0, 1]), ("x_train", "object")),
    "complex": ((np.eye(2) * 1j, [0, 1]), ("complex128",)),
    "object labels": ((images(2, 2), np.array([0, None], dtype=object)), ("y_train", "object")),
    "labels that are no text": ((images(2, 2), np.array([b"\xff", b"a"])), ("UTF-8",)),
    "other sizes in the test part": ((images(2, 3), [0, 1], images(2, 4), [0, 1]), ("x_test", "(3,)", "(2, 4)")),
    "other dtype in the test part": ((images(2, 3), [0, 1], np.ones((2, 3)), [0, 1]), ("uint8", "float64", "scale")),
    "a test part without labels": ((images(2, 3), [0, 1], images(2, 3)), ("x_test and y_test",)),
    "no samples": ((np.empty((0, 3)), []), ("y_train", "none")),
    "no features": ((np.empty((2, 0)), [0, 1]), ("(2, 0)",)),
    "one axis": ((np.arange(4), [0, 1, 0, 1]), ("(4,)", "reshape")),
    "five axes": ((np.ones((2, 1, 1, 1, 1)), [0, 1]), ("(2, 1, 1, 1, 1)",)),
    "channels on neither end": ((np.ones((2, 5, 6, 7)), [0, 1]), ("(2, 5, 6, 7)", "channels")),
}


@pytest.mark.parametrize("what", REFUSED)
def test_bad_arrays_are_refused_in_one_line(what, refused):
    arrays, mentions = REFUSED[what]
    refused(lambda: Dataset.from_arrays(*arrays, name="mine"), "mine", *mentions)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("split", ["train", "test"])
def test_position_of_a_value_that_is_not_finite_is_named(value, split, refused):
    x = {"train": np.ones((40, 3, 5), np.float32), "test": np.ones((9, 3, 5), np.float32)}
    x[split][7, 2, 4] = value
    y_train, y_test = np.arange(40) % 3, np.arange(9) % 3
    arrays = (x["train"], y_train, x["test"], y_test)
    refused(lambda: Dataset.from_arrays(*arrays), f"x_{split}", value, "sample 7", "(2, 4)")


def test_value_that_is_not_finite_is_found_beyond_the_first_block():
    rows = block_rows((1024,))
    x = np.zeros((2 * rows + 3, 1024), np.float16)
    x[2 * rows + 1, 1000] = np.nan
    with pytest.raises(ValueError, match=rf"got nan at sample {2 * rows + 1}, position \(1000,\)"):
        Dataset.from_arrays(x, np.arange(len(x)) % 2)


def test_class_without_training_sample_is_refused(refused):
    arrays = (images(3, 2), [0, 2, 0])
    refused(lambda: Dataset.from_arrays(*arrays, classes=("ant", "bee", "cat")), "'bee'", "no training sample")


@pytest.mark.parametrize("label", [-1, 2])
def test_label_outside_the_given_classes_is_refused(label, refused):
    arrays = (images(3, 2), [0, 1, label])
    refused(lambda: Dataset.from_arrays(*arrays, classes=("ant", "bee")), f"got {label} at sample 2")


def test_direct_construction_is_checked_too(refused):
    x, y = images(4, 3), np.array([0, 1, 0, 1])
    good = {"x_train": x, "y_train": y, "x_test": x[:0], "y_test": y[:0], "classes": (0, 1), "image_shape": (3,)}
    Dataset("d", **good)
    refused(lambda: Dataset("d", **good | {"image_shape": (4,)}), "(4,)", "(4, 3)")
    refused(lambda: Dataset("d", **good | {"y_train": y.astype(np.int32)}), "int32", "from_arrays")
    refused(lambda: Dataset("d", **good | {"classes": (0, 0)}), "different")
    refused(lambda: Dataset("d", **good | {"x_train": x.astype(object), "x_test": x[:0].astype(object)}), "object")


def test_constant_feature_is_fine():
    x = images(6, 4)
    x[:, 2] = 9
    assert Dataset.from_arrays(x, [0, 1] * 3).d == 4


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float16, np.float32, np.float64, np.bool_])
def test_dtype_and_memory_are_kept(dtype):
    x = images(6, 4, 5, dtype=dtype)
    data = Dataset.from_arrays(x, [0, 1] * 3)
    assert data.x_train.dtype == dtype
    assert np.shares_memory(data.x_train, x)
    assert data.x_test.shape == (0, 4, 5)
    assert data.y_train.dtype == data.y_test.dtype == np.int64


def test_channels_first_is_moved_and_one_channel_is_dropped():
    last = images(4, 5, 7, 3)
    data = Dataset.from_arrays(np.moveaxis(last, -1, 1), [0, 1, 0, 1])
    np.testing.assert_array_equal(data.x_train, last)
    assert data.x_train.flags.c_contiguous
    assert (data.image_shape, data.channels, data.d) == ((5, 7, 3), 3, 105)
    for grey in (last[..., :1], np.moveaxis(last[..., :1], -1, 1)):
        data = Dataset.from_arrays(grey, [0, 1, 0, 1])
        np.testing.assert_array_equal(data.x_train, last[..., 0])
        assert (data.image_shape, data.channels) == ((5, 7), 1)


def test_channels_last_is_left_alone_when_both_ends_could_be_channels():
    x = images(4, 3, 7, 3)
    np.testing.assert_array_equal(Dataset.from_arrays(x, [0, 1, 0, 1]).x_train, x)


def test_foreign_byte_order_becomes_native():
    x = np.arange(12, dtype=">f4").reshape(4, 3)
    data = Dataset.from_arrays(x, np.array([0, 1, 0, 1], dtype=">i4"))
    assert data.x_train.dtype.isnative
    np.testing.assert_array_equal(data.x_train, x)


def test_hash_is_of_the_content():
    x, y = images(6, 4), np.arange(6) % 2
    base = Dataset.from_arrays(x, y)
    header = [b"uint8(6, 4);", x.tobytes(), b"int64(6,);", y.tobytes(), b"uint8(0, 4);", b"int64(0,);"]
    assert base.sha256 == hashlib.sha256(b"".join(header)).hexdigest()
    assert Dataset.from_arrays(np.asfortranarray(x), y.astype(np.uint8), name="other").sha256 == base.sha256
    changed = x.copy()
    changed[5, 3] ^= 1
    others = [(changed, y), (x.reshape(6, 2, 2), y), (x, 1 - y), (x.view(np.int8), y), (x[:4], y[:4], x[4:], y[4:])]
    hashes = {Dataset.from_arrays(*other).sha256 for other in others}
    assert len(hashes | {base.sha256}) == len(others) + 1


def test_empty_test_part_is_no_test_part():
    x, y = images(6, 4), ["a", "b"] * 3
    data = Dataset.from_arrays(x, y, x[:0], [])
    assert data.sha256 == Dataset.from_arrays(x, y).sha256
    assert list(data.blocks("test")) == []
