"""A data set: what is refused, how images are laid out, and its hash."""

import hashlib

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
import torch

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
    "several classes a sample": ((images(3, 2), 1 - np.eye(3, dtype=int)), ("(3, 3)", "argmax(axis=1)")),
    "a row of labels": ((images(2, 2), [[0, 2]]), ("(1, 2)", "argmax(axis=1)")),
    "a block of labels": ((images(2, 2), [[[0]], [[1]]]), ("(2, 1, 1)", "ravel()")),
    "labels beyond int64": ((images(2, 2), np.array([0, 2**63 + 5], np.uint64)), (f"{2**63 + 5}", "astype(str)")),
    "dates as labels": ((images(2, 2), np.array(["2001-02-03", "2001-02-04"], "M8[D]")), ("datetime64", "text")),
    "a masked label": ((images(3, 2), np.ma.masked_equal([0, 7, 1], 7)), ("y_train", "1 masked entry", "(1,)")),
    "masked samples": ((np.ma.masked_less(images(3, 2), 256), [0, 1, 0]), ("x_train", "6 masked entries", ".filled")),
    "sparse samples": ((scipy.sparse.eye(3), [0, 1, 0]), ("x_train", "sparse", ".toarray()")),
    "rows of other lengths": (([[1, 2], [3]], [0, 1]), ("x_train", "equal length", "list of 2")),
    "bfloat16": ((torch.ones(2, 3, dtype=torch.bfloat16), [0, 1]), ("x_train", "bfloat16", "float32")),
    "bfloat16 of jax": ((jnp.ones((2, 3), dtype="bfloat16"), [0, 1]), ("x_train", "bfloat16", "float32")),
    "text and numbers": ((images(3, 2), np.array(["a", 1, "b"], object)), ("y_train", "got 1 at sample 1", "str")),
    "a text label that is missing": ((images(2, 2), np.array(["a", np.nan], object)), ("got nan at sample 1",)),
    "a number that is missing": ((images(3, 2), [0.0, 1.0, np.nan]), ("no label at sample 2", "drop")),
    "channels on both ends": ((np.ones((12, 3, 4, 4)), [0, 1] * 6), ("(12, 3, 4, 4)", "channels='first'")),
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


@pytest.mark.parametrize(("channels", "axis"), [("first", 1), ("last", 3)])
def test_where_both_ends_could_be_channels_the_user_says_which(channels, axis, refused):
    x, y = images(4, 3, 7, 3), [0, 1, 0, 1]
    data = Dataset.from_arrays(x, y, x, y, channels=channels)
    for found in (data.x_train, data.x_test):
        np.testing.assert_array_equal(found, np.moveaxis(x, axis, -1))
    refused(lambda: Dataset.from_arrays(images(4, 5, 7, 3), y, channels="first"), "(4, 5, 7, 3)")
    refused(lambda: Dataset.from_arrays(x, y, channels="middle"), "'middle'")


class Column:
    """Labels as a table gives them: something that numpy can read."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=object)


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (np.array([[7], [3], [7]]), (3, 7)),
        (torch.tensor([7, 3, 7], dtype=torch.uint8), (3, 7)),
        (np.array([7, 3, 7], np.uint64), (3, 7)),
        (np.array([2**63 - 1, 3, 3], np.uint64), (3, 2**63 - 1)),
        (np.array(["b", "a", "b"], object), ("a", "b")),
        (Column(["b", "a", "b"]), ("a", "b")),
        (Column([7, 3, 7]), (3, 7)),
        (np.array([True, False, True]), (0, 1)),
        (np.array(["b", "a", "b"], np.dtypes.StringDType()), ("a", "b")),
    ],
)
def test_labels_of_every_usual_kind_are_read(y, classes):
    data = Dataset.from_arrays(images(3, 2), y)
    assert data.classes == classes
    assert [type(name) for name in data.classes] == [type(name) for name in classes]
    assert data.y_train.tolist() == ([1, 0, 1] if classes[1] != 2**63 - 1 else [1, 0, 0])


def test_tensors_of_a_network_are_samples_without_their_gradient(recwarn):
    x = torch.rand(4, 5, requires_grad=True)
    data = Dataset.from_arrays(x, [0, 1, 0, 1])
    np.testing.assert_array_equal(data.x_train, x.detach().numpy())
    assert not recwarn.list


@pytest.mark.parametrize("name", [1.5, ("a",), None])
def test_classes_that_are_no_names_are_refused(name, refused):
    refused(lambda: Dataset.from_arrays(images(3, 2), [0, 1, 0], classes=("ant", name)), repr(name))


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
