"""npz files, and paths that no reader fits."""

import numpy as np

from analytic_dd.data import load, read_arrays


def test_npz_without_test_part_is_split(tmp_path):
    np.savez(tmp_path / "mine.npz", x_train=np.eye(10), y_train=list("ab") * 5)
    data = read_arrays(tmp_path / "mine.npz")
    assert (data.name, len(data.x_train), len(data.x_test)) == ("mine", 8, 2)
    assert "no test part" in data.source


def test_bad_npz_is_refused(tmp_path, refused):
    path = tmp_path / "mine.npz"
    np.savez(path, x=np.eye(4), y_train=[0, 1, 0, 1])
    refused(lambda: read_arrays(path), path, "no x_train", "x, y_train")
    np.savez(path, x_train=np.eye(4), y_train=np.eye(4))
    refused(lambda: read_arrays(path), path, "argmax(axis=1)")
    np.savez(path, x_train=np.eye(4), y_train=np.array([0, None, 1, 1], dtype=object))
    refused(lambda: read_arrays(path), path, "y_train", "pickle")
    np.savez(path, x_train=np.eye(4), y_train=[0, 1, 0, 1], x_test=np.eye(4))
    refused(lambda: read_arrays(path), path, "x_test and y_test")
    refused(lambda: read_arrays(path, max_bytes=100), path, "100")
    path.write_bytes(path.read_bytes()[:-30])
    refused(lambda: read_arrays(path), path)


def test_path_where_nothing_is(tmp_path, refused):
    refused(lambda: load(tmp_path / "none"), tmp_path / "none", "check the path")
    refused(lambda: load(f"{tmp_path}/none.npz"), "none.npz", "check the path")


def test_path_of_no_known_format(tmp_path, refused):
    (tmp_path / "a.h5").write_bytes(b"\x89HDF")
    refused(lambda: load(tmp_path / "a.h5"), tmp_path / "a.h5", "npz", "IDX", "CIFAR")
    (tmp_path / "empty").mkdir()
    refused(lambda: load(tmp_path / "empty"), tmp_path / "empty", "no data set")
