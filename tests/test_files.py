"""Files: a write that fails leaves the old file; a file is never trusted."""

import errno
import io
import os
import struct
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytic_dd import files
from analytic_dd.data.array_files import read_arrays
from analytic_dd.errors import DataError
from analytic_dd.files import array_names, atomic_write, open_file, read_npy, read_npz, write_npz

ARRAYS = {
    "a": np.arange(15, dtype=np.float64).reshape(3, 5).T,
    "n": np.asarray(7),
    "text": np.array(["x", "yz"]),
    "none": np.zeros((0, 3), dtype=np.float32),
}


def header(shape, descr="<f8"):
    """Bytes of a version 1 header of an .npy file."""
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def npz(path, content, name="a.npy"):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return path


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "result"
    path.write_bytes(b"old")
    return path


def test_write_replaces_the_file_and_leaves_no_other(old):
    with atomic_write(old) as stream:
        stream.write(b"new")
        assert old.read_bytes() == b"old"
    assert old.read_bytes() == b"new"
    assert list(old.parent.iterdir()) == [old]


def test_new_folders_are_made_and_the_mode_is_that_of_an_ordinary_file(tmp_path):
    path = tmp_path / "some" / "folder" / "result"
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    with atomic_write(path) as stream:
        stream.write(b"new")
    assert path.stat().st_mode == ordinary.stat().st_mode


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt, MemoryError])
def test_exception_in_the_middle_leaves_the_old_file(old, kind):
    def fail():
        with atomic_write(old) as stream:
            stream.write(b"half")
            raise kind

    with pytest.raises(kind):
        fail()
    assert old.read_bytes() == b"old"
    assert list(old.parent.iterdir()) == [old]


@pytest.mark.parametrize("function", ["fsync", "replace", "fdopen", "open"])
def test_full_disk_leaves_the_old_file_and_says_what_to_do(old, monkeypatch, function):
    def full(*_args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, function, full)
    with pytest.raises(OSError, match=r"cannot write .*result: no space left on device; free some space") as caught:
        write_npz(old, ARRAYS)
    monkeypatch.undo()
    assert caught.value.errno == errno.ENOSPC
    assert old.read_bytes() == b"old"
    assert list(old.parent.iterdir()) == [old]


def test_folder_in_the_way_is_one_clear_line(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(OSError, match=r"cannot write .*result: .*; check the path"),
        atomic_write(tmp_path / "file" / "result"),
    ):
        pass


@pytest.mark.parametrize("write", [write_npz, lambda path, arrays: np.savez_compressed(path, **arrays)])
def test_arrays_come_back_bit_for_bit(tmp_path, write):
    write(tmp_path / "a.npz", ARRAYS)
    again = read_npz(tmp_path / "a.npz")
    assert list(again) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert again[name].dtype == array.dtype
        assert again[name].shape == array.shape
        assert again[name].tobytes() == array.tobytes()


def test_same_arrays_give_the_same_bytes_in_either_memory_order(tmp_path):
    write_npz(tmp_path / "a.npz", ARRAYS)
    write_npz(tmp_path / "b.npz", {name: np.array(array, order="F") for name, array in ARRAYS.items()})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_numpy_reads_what_is_written(tmp_path):
    write_npz(tmp_path / "a.npz", ARRAYS)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as again:
        assert np.array_equal(again["a"], ARRAYS["a"])


def test_objects_are_refused_at_writing_and_the_old_file_stays(old):
    with pytest.raises(TypeError, match="x has dtype object"):
        write_npz(old, {"x": np.array([{}])})
    assert old.read_bytes() == b"old"


def test_pickles_are_never_loaded(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "executed"),))

    np.savez(tmp_path / "a.npz", x=np.array([Bomb()], dtype=object))
    with pytest.raises(DataError, match=r"x\.npy has dtype object, .* pickles are never loaded; save \.astype\(str\)"):
        read_npz(tmp_path / "a.npz")
    assert not (tmp_path / "executed").exists()


def test_declared_size_is_refused_before_anything_is_read(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", zeros=np.zeros(10**6))
    assert (tmp_path / "a.npz").stat().st_size < 10_000
    monkeypatch.setattr(files, "_read_array", None)  # would raise if called
    with pytest.raises(DataError, match=r"declares 8,000,128 bytes .* more than the 1,000,000"):
        read_npz(tmp_path / "a.npz", max_bytes=10**6)


def test_arrays_that_memory_does_not_hold_are_refused_with_what_to_do(tmp_path, monkeypatch):
    """Of a machine with 1 kB; what is not wanted need not fit."""
    np.savez(tmp_path / "x.npz", x=np.zeros((40, 5)), y=np.zeros(40))
    np.save(tmp_path / "x.npy", np.zeros((40, 5)))
    monkeypatch.setattr("analytic_dd.memory.memory", lambda: 1e3)
    ways = (read_npz, "x.npz", "read it on"), (read_npy, "x.npy", "take fewer"), (read_arrays, "x.npz", "take fewer")
    for read, name, remedy in ways:
        with pytest.raises(MemoryError, match=rf"{name} take .* GiB, this machine has .*; {remedy}"):
            read(tmp_path / name)
    assert list(read_npz(tmp_path / "x.npz", names=("y",))) == ["y"]


@pytest.mark.parametrize("shape", [(10**15,), (2**62, 2**62), (3, 2), (-1,), (-2, -1), (True,), "x"])
def test_header_that_lies_about_the_shape_is_refused(tmp_path, shape):
    with pytest.raises(DataError, match=r"a\.npy is"):
        read_npz(npz(tmp_path / "a.npz", header(shape) + np.ones(5).tobytes()))


@pytest.mark.parametrize(
    "content", [b"", b"\x93NUMPY\x09\x00", b"P6 image", header((1,), "no dtype"), header((1,))[:20]]
)
def test_member_that_is_no_array_is_refused(tmp_path, content):
    with pytest.raises(DataError, match=r"a\.npy is not a numpy array"):
        read_npz(npz(tmp_path / "a.npz", content))


def test_other_files_are_refused(tmp_path):
    (tmp_path / "empty.npz").touch()
    (tmp_path / "text.npz").write_text("hello")
    np.save(tmp_path / "single.npy", np.ones(3))
    for name in ("empty.npz", "text.npz", "single.npy"):
        with pytest.raises(DataError, match=f"{name} is not a readable npz file"):
            read_npz(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"cannot read .*none\.npz: no such file"):
        read_npz(tmp_path / "none.npz")


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.999])
def test_truncated_file_is_refused(tmp_path, keep):
    write_npz(tmp_path / "a.npz", ARRAYS)
    content = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(content[: int(keep * len(content))])
    with pytest.raises(DataError, match="may be damaged"):
        read_npz(tmp_path / "a.npz")


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """One small file, stored and compressed."""
    folder = tmp_path_factory.mktemp("stored")
    arrays = {"a": np.arange(40.0), "b": np.arange(3)}
    write_npz(folder / "False.npz", arrays)
    np.savez_compressed(folder / "True.npz", **arrays)
    return folder


@given(data=st.data(), compress=st.booleans())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_every_damaged_byte_is_refused_or_harmless(stored, data, compress):
    """A changed byte ends in DataError or in right numbers (of fewer arrays if the count is hit), never in others."""
    content = bytearray((stored / f"{compress}.npz").read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = stored / "damaged.npz"
    path.write_bytes(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            again = read_npz(path)
    except DataError:
        return
    wanted = {"a": np.arange(40.0).tolist(), "b": [0, 1, 2]}
    assert all(array.tolist() == wanted[name] for name, array in again.items())


def test_error_line_names_file_reason_and_remedy():
    error = files.file_error("out", PermissionError(errno.EACCES, "Permission denied"))
    assert type(error) is PermissionError
    assert error.strerror == "cannot write out: permission denied; choose a folder that you may write to"
    assert "cannot read x: nothing" in str(files.file_error("x", io.UnsupportedOperation("nothing"), "read"))


def test_only_the_arrays_that_are_wanted_are_read(tmp_path):
    """Other members may be anything: a pickle, a note, what macOS leaves, a folder."""
    path = tmp_path / "a.npz"
    np.savez(path, x=np.eye(2), info=np.array({"author": "me"}, object))
    with zipfile.ZipFile(path, "a") as archive:
        for name, content in (("README.txt", "read me"), ("__MACOSX/._x.npy", "shadow"), ("notes/", "")):
            archive.writestr(name, content)
    assert list(read_npz(path, names=("x", "y"))) == ["x"]
    assert array_names(path) == ["x", "info", "__MACOSX/._x"]
    with pytest.raises(DataError, match=r"info\.npy has dtype object"):
        read_npz(path)


def test_an_array_that_comes_twice_is_refused(tmp_path):
    content = header((1,)) + np.ones(1).tobytes()
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", content)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.npy", content)
    with pytest.raises(DataError, match="a comes twice"):
        read_npz(tmp_path / "a.npz")


def test_a_file_unpacks_to_a_hundred_times_its_size_or_64_megabytes(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, a=np.zeros(8_300_000))  # 66.4 MB, 1,000 times what lies on the disk
    assert read_npz(path)["a"].size == 8_300_000
    np.savez_compressed(path, a=np.zeros(8_400_000))  # 67.2 MB: more than 2^26
    with pytest.raises(DataError, match=r"declares 67,200,128 bytes .* 67,108,864 .* uncompressed"):
        read_npz(path)
    with pytest.raises(DataError, match=r"declares 67,200,128 bytes"):
        read_npz(path, most_inflation=100)
    write_npz(path, {"a": np.zeros(8_400_000)})
    assert read_npz(path)["a"].size == 8_400_000


@pytest.mark.parametrize("descr", ["|S0", "<U0", "|V0", "|V8", [("a", "<f8")]])
def test_elements_of_no_size_and_records_are_refused(tmp_path, descr):
    """A million billion elements of no size fit into every file."""
    content = header((10**15,), descr) + bytes(64)
    (tmp_path / "a.npy").write_bytes(content)
    for read in (lambda: read_npy(tmp_path / "a.npy"), lambda: read_npz(npz(tmp_path / "a.npz", content))):
        with pytest.raises(DataError, match=r"a\.npy must hold numbers or text, got dtype"):
            read()


def test_other_packings_than_deflate_are_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.npy", header((1,)) + np.ones(1).tobytes())
    with pytest.raises(DataError, match="packed by method 14"):
        read_npz(tmp_path / "a.npz")


@pytest.mark.parametrize("read", [open_file, read_npz, read_npy, array_names])
def test_devices_and_pipes_are_refused_before_they_are_read(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")  # nobody writes: to open it for reading would wait for ever
    (tmp_path / "link").symlink_to("/dev/zero")
    for path in (tmp_path / "pipe", "/dev/zero", tmp_path / "link"):
        with pytest.raises(DataError, match=f"{path} is not a regular file; copy"):
            read(path)
    with pytest.raises(IsADirectoryError, match=f"cannot read {tmp_path}: is a directory"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a numpy array"),
        (b"text", "is not a numpy array"),
        (header((3,)) + bytes(23), "is shorter than its header says"),
        (header((2**40,)), "is shorter than its header says"),
        (header((1,), "|O") + bytes(8), "has dtype object"),
        (b"PK\x03\x04", "is an archive, not one array"),
    ],
    ids=["empty", "text", "a byte short", "huge", "objects", "archive"],
)
def test_npy_files_are_not_trusted(tmp_path, content, message):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(DataError, match=f"a.npy {message}"):
        read_npy(tmp_path / "a.npy")


def test_npy_files_come_back_bit_for_bit(tmp_path):
    for array in ARRAYS.values():
        np.save(tmp_path / "a.npy", array)
        again = read_npy(tmp_path / "a.npy")
        assert (again.dtype, again.shape, again.tobytes()) == (array.dtype, array.shape, array.tobytes())


def test_home_is_expanded_in_every_path(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_npz("~/sets/a.npz", {"a": np.eye(2)})
    assert (tmp_path / "sets" / "a.npz").exists()
    assert list(read_npz("~/sets/a.npz")) == array_names("~/sets/a.npz") == ["a"]


def test_without_a_home_the_whole_path_is_asked_for(monkeypatch):
    def none(_):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(files.Path, "expanduser", none)
    with pytest.raises(DataError, match=r"~/a\.npz begins with ~, and this user has no home folder"):
        read_npz("~/a.npz")


KILLED = """
import os, signal, sys
from analytic_dd.data.array_files import read_arrays
from analytic_dd.files import atomic_write
with atomic_write(sys.argv[1]) as stream:
    stream.write(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_next_write_removes_what_a_killed_one_left_and_nothing_else(old):
    for _ in range(2):
        subprocess.run([sys.executable, "-c", KILLED, old], check=False)
    assert len(list(old.parent.iterdir())) == 2  # the second has removed what the first left
    (old.parent / ".result.notes").touch()
    (old.parent / ".other.12345678.part").touch()
    with atomic_write(old) as stream, atomic_write(old) as other:  # one at work is not one that was killed
        stream.write(b"new")
        other.write(b"newer")
    assert sorted(file.name for file in old.parent.iterdir()) == [".other.12345678.part", ".result.notes", "result"]
    assert old.read_bytes() == b"new"  # the last that ends


def test_a_folder_is_never_replaced_by_a_file(tmp_path):
    (tmp_path / "result").mkdir()
    with (
        pytest.raises(IsADirectoryError, match=r"cannot write .*result: is a directory"),
        atomic_write(tmp_path / "result"),
    ):
        raise AssertionError("the block ran")
