"""npz files, and paths that no reader fits."""

import zipfile

import numpy as np
import pytest

from analytic_dd.data import load, read_arrays


def test_npz_without_test_part_is_split(tmp_path):
    np.savez(tmp_path / "mine.npz", x_train=np.eye(10), y_train=list("ab") * 5)
    data = read_arrays(tmp_path / "mine.npz")
    assert (data.name, len(data.x_train), len(data.x_test)) == ("mine", 8, 2)
    assert "no test part" in data.source


def test_bad_npz_is_refused(tmp_path, refused):
    path = tmp_path / "mine.npz"
    np.savez(path, x=np.eye(4), y_train=[0, 1, 0, 1], **{"cat\x1b[2J": 1})
    refused(lambda: read_arrays(path), path, "no x_train", "x, y_train, cat\\x1b[2J;")
    np.savez(path, x_train=np.eye(4), y_train=np.ones((4, 4)))
    refused(lambda: read_arrays(path), path, "argmax(axis=1)")
    np.savez(path, x_train=np.eye(4), y_train=np.array([0, None, 1, 1], dtype=object))
    refused(lambda: read_arrays(path), path, "y_train", "pickle")
    np.savez(path, x_train=np.eye(4), y_train=[0, 1, 0, 1], x_test=np.eye(4))
    refused(lambda: read_arrays(path), path, "x_test and y_test")
    refused(lambda: read_arrays(path, max_bytes=100), path, "100")
    path.write_bytes(path.read_bytes()[:-30])
    refused(lambda: read_arrays(path), path)


@pytest.mark.parametrize(
    ("keys", "test_part"),
    [
        (("x_train", "y_train", "x_test", "y_test"), True),
        (("X_train", "y_train", "X_test", "y_test"), True),
        (("train_images", "train_labels", "test_images", "test_labels"), True),
        (("x", "y"), False),
        (("X", "y"), False),
    ],
)
def test_npz_files_under_usual_names_are_read_and_the_rest_of_them_is_not(tmp_path, keys, test_part):
    path, parts = tmp_path / "mine.npz", (np.arange(30.0).reshape(10, 3), [[0], [1]] * 5, np.ones((2, 3)), [[0], [1]])
    np.savez(path, **dict(zip(keys, parts, strict=False)), info=np.array({"a": 1}, object), x_val=np.array([None]))
    with zipfile.ZipFile(path, "a") as archive:
        for name, content in (("README.txt", "read me"), ("__MACOSX/._x_train.npy", "shadow"), ("notes/", "")):
            archive.writestr(name, content)
    data = load(path)
    assert (data.name, data.classes, data.d) == ("mine", (0, 1), 3)
    assert (len(data.x_train), len(data.x_test)) == ((10, 2) if test_part else (8, 2))
    assert data.source.startswith(f"{path} (x_val is not used)")


@pytest.mark.parametrize(("word", "shape"), [("first", (4, 4, 3)), ("last", (3, 4, 4))])
def test_npz_file_says_where_its_channels_are(tmp_path, word, shape, refused):
    np.savez(tmp_path / "a.npz", x=np.ones((12, 3, 4, 4)), y=[0, 1] * 6)
    refused(lambda: load(tmp_path / "a.npz"), "(12, 3, 4, 4)", "an array channels that holds this word")
    np.savez(tmp_path / "a.npz", x=np.ones((12, 3, 4, 4)), y=[0, 1] * 6, channels=word)
    assert load(tmp_path / "a.npz").image_shape == shape


def test_path_where_nothing_is(tmp_path, refused):
    refused(lambda: load(tmp_path / "none"), tmp_path / "none", "check the path")
    refused(lambda: load(f"{tmp_path}/none.npz"), "none.npz", "check the path")


def test_path_of_no_known_format(tmp_path, refused):
    (tmp_path / "a.h5").write_bytes(b"\x89HDF")
    refused(lambda: load(tmp_path / "a.h5"), tmp_path / "a.h5", "npz", "IDX", "CIFAR")
    (tmp_path / "empty").mkdir()
    refused(lambda: load(tmp_path / "empty"), tmp_path / "empty", "no data set")
