"""IDX files that are damaged, hostile or do not fit together."""

import bz2
import gzip
import itertools
import struct
import tracemalloc

import numpy as np
import pytest

from analytic_dd.data import load, read_idx, read_idx_folder

RNG = np.random.default_rng(4)


def idx(values, code, *, sizes=None):
    sizes = values.shape if sizes is None else sizes
    return struct.pack(">BBBB", 0, 0, code, len(sizes)) + struct.pack(f">{len(sizes)}I", *sizes) + values.tobytes()


PIXELS = RNG.integers(0, 256, (11, 5, 7), dtype=np.uint8)
GOOD = idx(PIXELS, 8)


@pytest.mark.parametrize(
    ("code", "dtype"), [(8, ">u1"), (9, ">i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")]
)
def test_every_number_type_of_idx_is_read(code, dtype, tmp_path):
    values = RNG.integers(-100, 100, (11, 5)).astype(dtype)
    (tmp_path / "x").write_bytes(idx(values, code))
    found = read_idx(tmp_path / "x")
    np.testing.assert_array_equal(found, values)
    assert found.dtype == np.dtype(dtype).newbyteorder("=")


@pytest.mark.parametrize(
    ("data", "mention"),
    [
        (b"\x00\x00\x0a\x03" + GOOD[4:], "not an IDX file"),
        (b"PK\x03\x04" + GOOD[4:], "50 4b 03 04"),
        (b"\x00\x00\x08\x00", "not an IDX file"),
        (GOOD[:3], "not an IDX file"),
        (b"", "nothing"),
        (GOOD[:9], "truncated"),
        (GOOD[:-1], "truncated"),
        (GOOD[:16], "truncated"),
        (GOOD + b"\0", "bytes after"),
        (idx(PIXELS, 8, sizes=(2**31, 2**31, 7)), "more than"),
        (idx(PIXELS, 8, sizes=(1000, 1000, 1000)), "truncated"),
    ],
)
def test_damaged_idx_is_refused(data, mention, tmp_path, refused):
    for pack in [bytes, gzip.compress]:
        path = tmp_path / "train-images-idx3-ubyte"
        path.write_bytes(pack(data))
        refused(lambda: read_idx(path), path, mention)


def test_truncated_or_damaged_gz_is_refused(tmp_path, refused):
    path, packed = tmp_path / "x.gz", gzip.compress(GOOD)
    for length in (11, len(packed) // 2, len(packed) - 8, len(packed) - 1):
        path.write_bytes(packed[:length])
        refused(lambda: read_idx(path), path)
    path.write_bytes(packed[:-8] + bytes(8))
    refused(lambda: read_idx(path), path, "CRC")
    path.write_bytes(packed + b"garbage")
    refused(lambda: read_idx(path), path)


def test_idx_declares_before_it_takes_memory(tmp_path, refused):
    # 100 MB of zeros in 100 kB, declared as such: refused by the limit, with nothing unpacked.
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(idx(np.zeros((100, 2**20), np.uint8), 8), compresslevel=1))
    tracemalloc.start()
    try:
        refused(lambda: read_idx(path, max_bytes=10**8), path, "104,857,600", "100,000,000")
        assert tracemalloc.get_traced_memory()[1] < 5 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gz"])
def test_idx_takes_no_memory_that_the_file_cannot_fill(pack, tmp_path, refused):
    (tmp_path / "x").write_bytes(pack(idx(PIXELS, 8, sizes=(1000, 1000, 1000))))
    tracemalloc.start()
    try:
        refused(lambda: read_idx(tmp_path / "x"), tmp_path / "x", "truncated", "1,000,000,000")
        assert tracemalloc.get_traced_memory()[1] < 5 * 2**20
    finally:
        tracemalloc.stop()


def test_idx_bomb_behind_the_declared_end_is_not_unpacked(tmp_path, refused):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(GOOD + bytes(100 * 2**20), compresslevel=1))
    tracemalloc.start()
    try:
        refused(lambda: read_idx(path), path, "bytes after the 385")
        assert tracemalloc.get_traced_memory()[1] < 5 * 2**20
    finally:
        tracemalloc.stop()


@pytest.fixture
def idx_folder(tmp_path):
    """Return a folder of the four files."""
    labels = np.arange(11, dtype=np.uint8) % 3
    for part in ("train", "t10k"):
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(GOOD)
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels, 8))
    return tmp_path


def test_missing_idx_file_is_named(idx_folder, refused):
    for name in ("t10k-labels", "train-labels", "train-images"):
        (idx_folder / f"{name}-idx{3 if 'images' in name else 1}-ubyte").unlink()
        refused(lambda: read_idx_folder(idx_folder), idx_folder, f"no {'t10k-labels' if 't10k' in name else name}")
        (idx_folder / "t10k-images-idx3-ubyte").unlink(missing_ok=True)


def test_idx_without_test_files_sets_a_part_aside(idx_folder):
    for kind in ("images-idx3", "labels-idx1"):
        (idx_folder / f"t10k-{kind}-ubyte").unlink()
    data = read_idx_folder(idx_folder)
    assert (len(data.x_train), len(data.x_test)) == (8, 3)
    assert "no test part" in data.source


def test_idx_images_and_labels_that_do_not_fit_are_refused(idx_folder, refused):
    (idx_folder / "train-labels-idx1-ubyte").write_bytes(idx(np.arange(10, dtype=np.uint8), 8))
    refused(lambda: read_idx_folder(idx_folder), idx_folder, "11 samples", "10 labels")
    (idx_folder / "train-labels-idx1-ubyte").write_bytes(GOOD)
    refused(lambda: read_idx_folder(idx_folder), idx_folder, "y_train", "(11, 5, 7)")


def test_idx_floats_that_are_not_finite_are_refused(idx_folder, refused):
    values = np.ones((11, 5, 7), ">f4")
    values[3, 1, 6] = np.inf
    (idx_folder / "train-images-idx3-ubyte").write_bytes(idx(values, 13))
    (idx_folder / "t10k-images-idx3-ubyte").write_bytes(idx(values[:0], 13))
    refused(lambda: read_idx_folder(idx_folder), idx_folder)
    (idx_folder / "t10k-images-idx3-ubyte").write_bytes(idx(np.ones((11, 5, 7), ">f4"), 13))
    refused(lambda: read_idx_folder(idx_folder), idx_folder, "inf", "sample 3", "(1, 6)")


def test_bz2_idx_is_read_too(tmp_path, refused):
    (tmp_path / "x").write_bytes(bz2.compress(GOOD))
    np.testing.assert_array_equal(read_idx(tmp_path / "x"), PIXELS)
    (tmp_path / "x").write_bytes(bz2.compress(GOOD)[:-9])
    refused(lambda: read_idx(tmp_path / "x"), tmp_path / "x")


LABELS = (np.arange(11) % 3).astype(np.uint8)
# layout: names of images and labels, by part ("train", or how the test part is called)
LAYOUTS = {
    "mnist": "{part}-{kind}-idx{n}-ubyte",
    "mnist, packed": "{part}-{kind}-idx{n}-ubyte.gz",
    "dots": "{part}-{kind}.idx{n}-ubyte",
    "emnist": "emnist-letters-{part}-{kind}-idx{n}-ubyte.gz",
    "kaggle's folders": "{part}-{kind}-idx{n}-ubyte/{part}-{kind}-idx{n}-ubyte",
    "kaggle's folders inside another": "data/{part}-{kind}.idx{n}-ubyte/{part}-{kind}.idx{n}-ubyte",
    "torchvision": "MNIST/raw/{part}-{kind}-idx{n}-ubyte",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_sets_are_found_where_they_usually_lie(layout, tmp_path, write):
    for test, kind in itertools.product(["t10k", "test"], ["folder", "tar", "zip"]):
        home = tmp_path / test
        home.mkdir(exist_ok=True)
        files = []
        for part in ("train", test):
            for what, n, data in (("images", 3, idx(PIXELS, 8)), ("labels", 1, idx(LABELS, 8))):
                name = LAYOUTS[layout].format(part=part, kind=what, n=n)
                files.append((name, gzip.compress(data) if name.endswith(".gz") else data))
        path = write[kind](
            home / f"mine.{kind}", [*files, ("README.md", b""), (".hidden/train-images-idx3-ubyte", b"")]
        )
        data = load(path)
        np.testing.assert_array_equal(data.x_train, PIXELS)
        np.testing.assert_array_equal(data.x_test, PIXELS)
        assert data.y_train.tolist() == data.y_test.tolist() == LABELS.tolist()
        assert data.name == ("emnist-letters" if layout == "emnist" else "mine.folder" if kind == "folder" else "mine")
        if kind == "folder" and layout in ("mnist", "mnist, packed", "dots", "emnist"):
            assert load(path / files[0][0]).sha256 == data.sha256


def test_of_several_sets_one_must_be_named(idx_folder, tmp_path, refused):
    for folder in ("MNIST/raw", "FashionMNIST/raw"):
        (tmp_path / "root" / folder).mkdir(parents=True)
        for file in idx_folder.glob("t*"):
            (tmp_path / "root" / folder / file.name).write_bytes(file.read_bytes())
    root = tmp_path / "root"
    refused(lambda: load(root), root, "FashionMNIST/raw, MNIST/raw", "name the folder")
    assert load(root / "MNIST").name == "MNIST"
    for file in idx_folder.glob("t*-ubyte"):
        file.with_name(f"emnist-digits-{file.name}").write_bytes(file.read_bytes())
    refused(lambda: read_idx_folder(idx_folder), "., emnist-digits")
    assert read_idx_folder(idx_folder / "emnist-digits-train-labels-idx1-ubyte").name == "emnist-digits"


def test_a_packed_and_an_unpacked_copy_are_one_set(idx_folder):
    for file in list(idx_folder.iterdir()):
        file.with_name(file.name + ".gz").write_bytes(gzip.compress(file.read_bytes()))
    np.testing.assert_array_equal(read_idx_folder(idx_folder).x_train, PIXELS)


def test_packed_numbers_may_not_grow_beyond_bounds(tmp_path, refused):
    """65 MB of zeros in 65 kB: beyond 64 MB, and beyond 100 times the size."""
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(idx(np.zeros((65, 2**20), np.uint8), 8)))
    refused(lambda: read_idx(path), path, "68,157,440", "67,108,864", "unpack it yourself")
    path.write_bytes(gzip.compress(idx(np.zeros((63, 2**20), np.uint8), 8)))
    assert read_idx(path).shape == (63, 2**20)
