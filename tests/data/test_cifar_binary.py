"""CIFAR's binary version: its layout, and files that are missing, damaged or pickles."""

import numpy as np
import pytest

from analytic_dd.data import load, read_cifar_binary

RNG = np.random.default_rng(4)


@pytest.fixture
def cifar_folder(tmp_path):
    """Return a folder of CIFAR-10's files, two records each."""
    for i, name in enumerate([*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]):
        records = RNG.integers(0, 256, (2, 3073), dtype=np.uint8)
        records[:, 0] = (2 * i) % 10, (2 * i + 1) % 10
        (tmp_path / name).write_bytes(records.tobytes())
    return tmp_path


def test_cifar_without_names_has_numbers(cifar_folder):
    assert read_cifar_binary(cifar_folder).classes == tuple(range(10))
    assert read_cifar_binary(cifar_folder).name == "CIFAR-10"


def test_first_pixel_of_cifar_is_red_first(cifar_folder):
    data = bytearray((cifar_folder / "data_batch_1.bin").read_bytes())
    data[1], data[1 + 1024], data[1 + 2048], data[2] = 10, 20, 30, 40  # red, green, blue; then red of the next column
    (cifar_folder / "data_batch_1.bin").write_bytes(data)
    image = read_cifar_binary(cifar_folder).x_train[0]
    assert image[0, 0].tolist() == [10, 20, 30]
    assert image[0, 1, 0] == 40


@pytest.mark.parametrize("name", ["data_batch_3.bin", "test_batch.bin"])
def test_cifar_file_that_is_missing_or_short_is_named(name, cifar_folder, refused):
    data = (cifar_folder / name).read_bytes()
    (cifar_folder / name).write_bytes(data[:-5])
    refused(lambda: read_cifar_binary(cifar_folder), cifar_folder, name, "6,141", "3,073")
    (cifar_folder / name).write_bytes(b"")
    refused(lambda: read_cifar_binary(cifar_folder), cifar_folder, name)
    (cifar_folder / name).unlink()
    refused(lambda: read_cifar_binary(cifar_folder), cifar_folder, f"no {name}")


def test_cifar_label_out_of_range_is_named(cifar_folder, refused):
    data = bytearray((cifar_folder / "data_batch_2.bin").read_bytes())
    data[3073] = 10
    (cifar_folder / "data_batch_2.bin").write_bytes(data)
    refused(lambda: read_cifar_binary(cifar_folder), "data_batch_2.bin", "record 1", "label 10")


def test_cifar_file_that_comes_twice_is_refused(cifar_folder, refused):
    (cifar_folder / "sub").mkdir()
    (cifar_folder / "sub" / "test_batch.bin").write_bytes((cifar_folder / "test_batch.bin").read_bytes())
    refused(lambda: read_cifar_binary(cifar_folder), "sub/test_batch.bin", "twice")


@pytest.mark.parametrize(
    "member", ["cifar-10-batches-py/data_batch_1", "cifar-10-batches-py/batches.meta", "cifar-100-python/train"]
)
def test_cifar_pickles_are_refused_and_never_loaded(member, tmp_path, write, refused):
    poison = b"cos\nsystem\n(S'touch " + bytes(tmp_path / "owned") + b"'\ntR."
    path = write["tar"](tmp_path / "cifar-python.tar.gz", [(member, poison)], "w:gz")
    for read in (load, read_cifar_binary):
        refused(lambda read=read: read(path), path, member, "pickle", "binary")
    assert not (tmp_path / "owned").exists()


def test_coarse_labels_of_cifar100(tmp_path, write, refused):
    fine = np.arange(200) % 100
    records = RNG.integers(0, 256, (200, 3074), dtype=np.uint8)
    records[:, 0], records[:, 1] = fine // 5, fine
    files = [("train.bin", records.tobytes()), ("test.bin", records[:100].tobytes())]
    path = write["tar"](tmp_path / "c.tar", files)
    coarse, plain = read_cifar_binary(path, labels="coarse"), read_cifar_binary(path)
    np.testing.assert_array_equal(coarse.y_train, fine // 5)
    np.testing.assert_array_equal(plain.y_train, fine)
    assert (coarse.name, plain.name) == ("CIFAR-100 (coarse)", "CIFAR-100")
    assert (len(coarse.classes), len(plain.classes)) == (20, 100)
    refused(lambda: read_cifar_binary(path, labels="both"), "'both'", kind=ValueError)
