"""One battery over every reader: a small set, written in its format, comes back as it was."""

import gzip
import io
import struct

import numpy as np
import pytest

import analytic_dd.data as data
from analytic_dd.data import Dataset

CLASSES_10 = tuple(f"kind{i}" for i in range(10))
CLASSES_100 = tuple(f"sort{i:02}" for i in range(100))


def idx(values):
    return (
        struct.pack(">BBBB", 0, 0, 8, values.ndim) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()
    )


def idx_files(small, pack, suffix=""):
    parts = {"train": (small.x_train, small.y_train), "t10k": (small.x_test, small.y_test)}
    for part, (x, y) in parts.items():
        yield f"{part}-images-idx3-ubyte{suffix}", pack(idx(x))
        yield f"{part}-labels-idx1-ubyte{suffix}", pack(idx(y.astype(np.uint8)))


def cifar(x, y, *more):
    columns = [np.asarray(label, np.uint8).reshape(-1, 1) for label in (*more, y)]
    return np.hstack([*columns, x.transpose(0, 3, 1, 2).reshape(len(x), -1)]).tobytes()


def cifar10_files(small, folder="cifar-10-batches-bin/"):
    yield folder + "batches.meta.txt", ("\n".join(CLASSES_10) + "\n\n").encode()
    for i, rows in enumerate(np.array_split(np.arange(len(small.y_train)), 5), start=1):
        yield f"{folder}data_batch_{i}.bin", cifar(small.x_train[rows], small.y_train[rows])
    yield folder + "test_batch.bin", cifar(small.x_test, small.y_test)


def cifar100_files(small):
    yield "cifar-100-binary/fine_label_names.txt", "\n".join(CLASSES_100).encode()
    yield "cifar-100-binary/train.bin", cifar(small.x_train, small.y_train, small.y_train // 5)
    yield "cifar-100-binary/test.bin", cifar(small.x_test, small.y_test, small.y_test // 5)


def image_files(small, image, prefix=""):
    for part, x, y in (("train", small.x_train, small.y_train), ("test", small.x_test, small.y_test)):
        for i in np.random.default_rng(1).permutation(len(y)):  # the order in the archive must not matter
            yield f"{prefix}{part}/{CLASSES_10[y[i]]}/{i:04}.png", image(x[i])
    yield f"{prefix}README.md", b"not an image"
    yield f"{prefix}train/{CLASSES_10[0]}/._0000.png", b"a shadow that macOS leaves"


def npz(small, classes=None):
    stream = io.BytesIO()
    name = np.asarray(classes if classes else range(10))
    np.savez(stream, x_train=small.x_train, y_train=name[small.y_train], x_test=small.x_test, y_test=name[small.y_test])
    return stream.getvalue()


class Box:
    """What a case gets: fixtures bundled, so that a case is one line."""

    def __init__(self, tmp_path, small, write, image):
        self.small, self.write, self.image, self.path = small, write, image, tmp_path

    def tar(self, name, files, mode):
        return self.write["tar"](self.path / name, files, mode)

    def folder(self, files):
        return self.write["folder"](self.path, files)


NUMBERS = tuple(range(10))
# name: (reader, shape of a sample, classes, how it is written)
CASES = {
    "idx-gz": (data.read_idx_folder, (5, 7), NUMBERS, lambda b, s: b.folder(idx_files(s, gzip.compress, ".gz"))),
    "idx-plain": (data.read_idx_folder, (5, 7), NUMBERS, lambda b, s: b.folder(idx_files(s, bytes))),
    "idx-by-file": (
        data.read_idx_folder,
        (5, 7),
        NUMBERS,
        lambda b, s: b.folder(idx_files(s, bytes)) / "train-images-idx3-ubyte",
    ),
    "npz-int": (data.read_arrays, (5, 7, 3), NUMBERS, lambda b, s: b.folder([("a.npz", npz(s))]) / "a.npz"),
    "npz-text": (data.read_arrays, (11,), CLASSES_10, lambda b, s: b.folder([("a.npz", npz(s, CLASSES_10))]) / "a.npz"),
    "cifar10-tar": (
        data.read_cifar_binary,
        (32, 32, 3),
        CLASSES_10,
        lambda b, s: b.tar("c.tar.gz", cifar10_files(s), "w:gz"),
    ),
    "cifar10-folder": (data.read_cifar_binary, (32, 32, 3), CLASSES_10, lambda b, s: b.folder(cifar10_files(s, ""))),
    "cifar100-tar": (
        data.read_cifar_binary,
        (32, 32, 3),
        CLASSES_100,
        lambda b, s: b.tar("c.tar.gz", cifar100_files(s), "w:gz"),
    ),
    "images-folder": (data.read_image_folder, (5, 7, 3), CLASSES_10, lambda b, s: b.folder(image_files(s, b.image))),
    "images-grey": (data.read_image_folder, (5, 7), CLASSES_10, lambda b, s: b.folder(image_files(s, b.image))),
    "images-tar": (
        data.read_image_folder,
        (5, 7, 3),
        CLASSES_10,
        lambda b, s: b.tar("i.tar", image_files(s, b.image, "./"), "w"),
    ),
    "images-tar.gz": (
        data.read_image_folder,
        (5, 7, 3),
        CLASSES_10,
        lambda b, s: b.tar("i.tgz", image_files(s, b.image, "set/"), "w:gz"),
    ),
    "images-tar.bz2": (
        data.read_image_folder,
        (5, 7),
        CLASSES_10,
        lambda b, s: b.tar("i.tar.bz2", image_files(s, b.image), "w:bz2"),
    ),
    "images-tar.xz": (
        data.read_image_folder,
        (5, 7, 3),
        CLASSES_10,
        lambda b, s: b.tar("i.tar.xz", image_files(s, b.image), "w:xz"),
    ),
    "images-zip": (
        data.read_image_folder,
        (5, 7, 3),
        CLASSES_10,
        lambda b, s: b.write["zip"](b.path / "i.zip", image_files(s, b.image)),
    ),
}


@pytest.fixture(params=CASES)
def case(request, tmp_path, small, write, image):
    """Return (reader, path, what must come back, the classes)."""
    reader, shape, classes, writes = CASES[request.param]
    expected = small(shape, len(classes))
    return reader, writes(Box(tmp_path, small, write, image), expected), expected, classes


def test_reader_returns_what_was_written(case):
    reader, path, expected, classes = case
    found = reader(path)
    for part in ("x_train", "y_train", "x_test", "y_test"):
        np.testing.assert_array_equal(getattr(found, part), getattr(expected, part), err_msg=part)
        assert getattr(found, part).dtype == getattr(expected, part).dtype
    assert found.classes == classes
    assert found.image_shape == expected.image_shape
    assert str(path).startswith(found.source)
    assert found.name


def test_content_has_one_hash_whatever_held_it(case):
    reader, path, expected, _ = case
    assert reader(path).sha256 == expected.sha256


def test_path_finds_its_reader(case):
    reader, path, _, classes = case
    by_path, by_reader = data.load(str(path)), reader(path)
    assert by_path.classes == classes
    assert (by_path.name, by_path.source, by_path.sha256) == (by_reader.name, by_reader.source, by_reader.sha256)
    assert data.read_path(path, name="mine").name == "mine"


def test_every_reader_is_in_the_battery():
    readers = {getattr(data, name) for name in data.__all__ if name.startswith("read_")}
    inner = {data.read_path, data.read_idx, data.read_digits}  # the dispatcher, one file, and no file at all
    inner |= {data.read_table}  # a table has one part: test_tables.py
    inner |= {getattr(data, name) for name in ("read_floats", "read_npy", "read_references") if name in data.__all__}
    assert {reader for reader, *_ in CASES.values()} == readers - inner


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    digits, bunch = data.load("digits"), load_digits()
    assert isinstance(digits, Dataset)
    assert digits.name == "digits"
    both = np.concatenate([digits.x_train, digits.x_test]).reshape(-1, 64)
    labels = np.concatenate([digits.y_train, digits.y_test])
    order, wanted = np.lexsort((labels, *both.T)), np.lexsort((bunch.target, *bunch.data.T))
    np.testing.assert_array_equal(both[order], bunch.data[wanted])
    np.testing.assert_array_equal(labels[order], bunch.target[wanted])


def test_split_of_digits_never_changes():
    # Results are compared across machines: another split would be another data set under the same name.
    assert data.load("digits").sha256 == "640698d325c1d5808ec256292e003655ee9e016f61c11bb614148d113ad68921"
