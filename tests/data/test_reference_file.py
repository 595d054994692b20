"""Reference images from npy and npz files; bad files are one clear error."""

import io

import numpy as np
import pytest

from analytic_dd.data import Dataset, read_references
from analytic_dd.errors import DataError


@pytest.fixture
def dataset():
    return Dataset.from_arrays(np.eye(6), ["cat", "dog"] * 3, name="pets")


def test_an_npy_file_is_images_alone(dataset, tmp_path):
    images = np.arange(12, dtype=np.uint8).reshape(2, 6)
    np.save(tmp_path / "images.npy", images)
    found, classes = read_references(tmp_path / "images.npy", dataset)
    assert classes is None
    assert found.dtype == np.uint8
    assert np.array_equal(found, images)


def test_an_npz_file_names_classes(dataset, tmp_path):
    np.savez(tmp_path / "images.npz", x=np.ones((3, 6)), y=["dog", "cat", "dog"])
    assert read_references(tmp_path / "images.npz", dataset)[1].tolist() == [1, 0, 1]
    np.savez(tmp_path / "alone.npz", x=np.ones((3, 6)))
    assert read_references(tmp_path / "alone.npz", dataset)[1] is None


def test_classes_may_be_numbers(tmp_path):
    numbered = Dataset.from_arrays(np.eye(6), [3, 7] * 3)
    np.savez(tmp_path / "images.npz", x=np.ones((2, 6)), y=np.array([7, 3]))
    assert read_references(tmp_path / "images.npz", numbered)[1].tolist() == [1, 0]


def test_bad_files_are_refused(dataset, tmp_path):
    cases = {
        "text.npy": (lambda path: path.write_text("no array"), "is not a numpy array"),
        "objects.npy": (lambda path: np.save(path, np.array([{}], object)), "pickles are never loaded"),
        "flat.npy": (lambda path: np.save(path, np.zeros(6)), r"images as numbers, \(m, ...\), got dtype float64"),
        "words.npy": (lambda path: np.save(path, np.array([["a"]])), "got dtype <U1"),
        "short.npy": (lambda path: path.write_bytes(_huge()), "shorter than its header says"),
        "other.npz": (
            lambda path: np.savez(path, images=np.zeros((2, 6))),
            "must have an array x of images, got images",
        ),
        "bird.npz": (
            lambda path: np.savez(path, x=np.zeros((1, 6)), y=["bird"]),
            r"classes of pets \(cat, dog\), got 'bird'",
        ),
        "named.npy": (lambda path: path.write_bytes(_archive()), "archive, not one array"),
    }
    for name, (write, message) in cases.items():
        write(tmp_path / name)
        with pytest.raises(DataError, match=message):
            read_references(tmp_path / name, dataset)
    with pytest.raises(OSError, match=r"cannot read .*none.npy"):
        read_references(tmp_path / "none.npy", dataset)


def _huge():
    """An npy file that declares a terabyte and holds nothing."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 1000)})
    return stream.getvalue()


def _archive():
    stream = io.BytesIO()
    np.savez(stream, x=np.zeros((2, 6)))
    return stream.getvalue()
