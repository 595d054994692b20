"""Archives that are hostile or damaged: every one is one clear line, and nothing is unpacked that was not declared."""

import bz2
import gzip
import io
import lzma
import os
import tarfile
import threading
import tracemalloc
import zipfile

import numpy as np
import pytest

from analytic_dd.data import archive, read_image_folder
from analytic_dd.data.archive import members
from analytic_dd.errors import DataError

FILES = [("train/ant/1.png", b"one" * 700), ("train/bee/2.png", b"two")]
OUTSIDE = ["../evil.png", "train/../../evil.png", "/etc/evil.png", "C:/evil.png", "..\\evil.png", "\\\\host\\evil.png"]
PACK = {"tar": bytes, "tar.gz": gzip.compress, "tar.bz2": bz2.compress, "tar.xz": lzma.compress}


def contents(path, **options):
    return [(name, read()) for name, read in members(path, **options)]


@pytest.fixture
def tar_bytes(tmp_path, write):
    """Return the bytes of a plain tar of FILES."""
    return write["tar"](tmp_path / "plain.tar", FILES).read_bytes()


@pytest.mark.parametrize("kind", PACK)
def test_members_of_a_tar_are_read(kind, tmp_path, tar_bytes):
    path = tmp_path / f"a.{kind}"
    path.write_bytes(PACK[kind](tar_bytes))
    assert contents(path) == FILES


def test_members_of_a_zip_and_a_folder_are_read(tmp_path, write):
    assert contents(write["zip"](tmp_path / "a.zip", FILES)) == FILES
    assert contents(write["folder"](tmp_path / "f", FILES)) == FILES


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_member_that_points_outside_is_refused(name, kind, tmp_path, write, refused):
    path = write[kind](tmp_path / f"a.{kind}", [*FILES, (name, b"x")])
    refused(lambda: contents(path), path, repr(name), "outside")


def special(name, kind):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_link_or_device_in_a_tar_is_refused(kind, tmp_path, write, refused):
    path = write["tar"](tmp_path / "a.tar", [*FILES, (special("train/ant/3.png", kind), b"")])
    refused(lambda: contents(path), path, "'train/ant/3.png'", "link or a device")


def test_link_in_a_zip_is_refused(tmp_path, write, refused):
    info = zipfile.ZipInfo("train/ant/3.png")
    info.external_attr = 0o120777 << 16
    path = write["zip"](tmp_path / "a.zip", [*FILES, (info, b"/etc/passwd")])
    refused(lambda: contents(path), path, "'train/ant/3.png'", "link")


def test_encrypted_zip_is_refused(tmp_path, write, refused):
    data = bytearray(write["zip"](tmp_path / "a.zip", FILES).read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    refused(lambda: contents(tmp_path / "a.zip"), "'train/ant/1.png'", "encrypted; unpack it yourself")


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_declared_sizes_together_are_limited(kind, tmp_path, write, refused):
    path = write[kind](tmp_path / f"a.{kind}", [(f"c/{i}.png", bytes(1000)) for i in range(10)])
    assert len(contents(path, max_bytes=20_000)) == 10
    refused(lambda: contents(path, max_bytes=9_000), path, "c/5.png", "9,000")


@pytest.mark.parametrize("kind", ["tar.gz", "tar.xz"])
def test_declared_bomb_is_refused_before_it_is_unpacked(kind, tmp_path, refused):
    # 300 MB of zeros in less than 1 MB: refused by its header, with no more than a read-ahead of it unpacked.
    info = tarfile.TarInfo("train/ant/bomb.png")
    info.size = 300 * 2**20
    opener = gzip.open if kind == "tar.gz" else lzma.open
    with opener(tmp_path / f"a.{kind}", "wb") as stream:
        stream.write(info.tobuf() + bytes(2**20))
    refused(lambda: contents(tmp_path / f"a.{kind}"), "'train/ant/bomb.png'", "314,573,312", "67,108,864")


def test_bomb_hidden_in_a_header_is_refused(tmp_path, refused):
    # A pax header is read by tarfile itself, before its member is seen. Members before it must not earn it room.
    before = b"".join(tarfile.TarInfo(f"c/{i}").tobuf() for i in range(1000))
    info = tarfile.TarInfo("name")
    info.type, info.size = tarfile.XHDTYPE, 200 * 2**20
    with gzip.open(tmp_path / "a.tar.gz", "wb", compresslevel=1) as stream:
        stream.write(before + info.tobuf())
        for _ in range(200):
            stream.write(bytes(2**20))
    tracemalloc.start()
    try:
        refused(lambda: contents(tmp_path / "a.tar.gz"), tmp_path / "a.tar.gz", "more than its members declare")
        assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    finally:
        tracemalloc.stop()


def test_bomb_behind_the_end_is_refused(tmp_path, tar_bytes, refused):
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(tar_bytes + bytes(30 * 2**20)))
    refused(lambda: contents(tmp_path / "a.tar.gz"), "more than its members declare")


def test_zip_member_that_is_longer_than_declared_is_refused(tmp_path, write, refused):
    data = bytearray(write["zip"](tmp_path / "a.zip", [("c/1.png", bytes(100_000))]).read_bytes())
    for mark, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = data.index(mark) + at
        data[start : start + 4] = (10).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(data)
    refused(lambda: contents(tmp_path / "a.zip"), tmp_path / "a.zip", "damaged")


@pytest.mark.parametrize("kind", [*PACK, "zip"])
def test_truncation_anywhere_is_an_error(kind, tmp_path, tar_bytes, write, refused):
    path = tmp_path / f"a.{kind}"
    whole = write["zip"](path, FILES).read_bytes() if kind == "zip" else PACK[kind](tar_bytes)
    content_end = tar_bytes.rindex(b"two") + 512 if kind == "tar" else len(whole)  # behind it a plain tar is only zeros
    lengths = {*np.linspace(1, content_end - 1, 40).astype(int).tolist(), *range(512, content_end + 1, 512)}
    for length in lengths - {len(whole)}:
        path.write_bytes(whole[:length])
        refused(lambda: contents(path), path)


def test_damaged_header_in_the_middle_does_not_end_the_archive(tmp_path, tar_bytes, refused):
    data = bytearray(tar_bytes)
    data[data.index(b"train/bee")] ^= 1
    (tmp_path / "a.tar").write_bytes(data)
    refused(lambda: contents(tmp_path / "a.tar"), tmp_path / "a.tar", "header")


@pytest.mark.parametrize("kind", [*PACK, "zip"])
def test_damaged_bytes_raise_nothing_but_data_errors(kind, tmp_path, tar_bytes, write):
    path = tmp_path / f"a.{kind}"
    whole = write["zip"](path, FILES).read_bytes() if kind == "zip" else PACK[kind](tar_bytes)
    rng = np.random.default_rng(2)
    refusals = []
    for _ in range(150):
        data = np.frombuffer(whole, np.uint8).copy()
        data[rng.integers(0, len(data), 3)] = rng.integers(0, 256, 3)
        path.write_bytes(data.tobytes())
        try:
            contents(path)
        except DataError as error:
            refusals.append(str(error))
    assert len(refusals) > 20
    assert not [text for text in refusals if "\n" in text or str(path) not in text]


def test_file_that_is_no_archive_is_refused(tmp_path, refused):
    for name in ("a.tar", "a.tar.gz", "a.zip"):
        (tmp_path / name).write_bytes(b"plain text, not an archive at all" * 40)
        refused(lambda name=name: contents(tmp_path / name), name)


def test_empty_archives_are_refused(tmp_path, write, refused):
    refused(lambda: read_image_folder(write["tar"](tmp_path / "a.tar", [])), "a.tar", "no images")
    refused(lambda: read_image_folder(write["zip"](tmp_path / "a.zip", [])), "a.zip", "no images")


def test_large_member_is_not_read(tmp_path, write, monkeypatch, refused):
    monkeypatch.setattr(archive, "MAX_MEMBER", 1000)
    for kind in ("tar", "zip", "folder"):
        path = write[kind](tmp_path / f"a.{kind}", FILES)
        refused(lambda path=path: contents(path), "1.png", "2,100", "1,000")


def test_nothing_is_extracted(tmp_path, write):
    path = write["tar"](tmp_path / "a.tar", FILES)
    before = sorted(os.listdir(tmp_path))
    contents(path)
    assert sorted(os.listdir(tmp_path)) == before


def test_unreadable_file_names_itself(tmp_path, refused):
    for name in ("none.tar", "none.zip"):
        refused(lambda name=name: contents(tmp_path / name), name, "check the path", kind=FileNotFoundError)


def test_interrupt_passes_through(tmp_path, tar_bytes, monkeypatch):
    (tmp_path / "a.tar").write_bytes(tar_bytes)

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(tarfile.TarFile, "extractfile", interrupt)
    with pytest.raises(KeyboardInterrupt):
        contents(tmp_path / "a.tar")


def test_headers_are_not_hoarded(tmp_path, write):
    # One header object a member would be 1 kB for every image of a set of millions.
    path = write["tar"](tmp_path / "a.tar", ((f"c/{i}.png", b"x") for i in range(4000)))
    tracemalloc.start()
    try:
        assert sum(1 for _ in members(path)) == 4000
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_tail_of_zeros_of_any_usual_record_is_fine(tmp_path):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("c/1.png"), io.BytesIO())
    (tmp_path / "a.tar").write_bytes(stream.getvalue() + bytes(100 * 512))
    assert contents(tmp_path / "a.tar") == [("c/1.png", b"")]


@pytest.mark.parametrize("kind", PACK)
def test_tars_behind_one_another_are_read_to_the_end(kind, tmp_path, tar_bytes, write):
    more = write["tar"](tmp_path / "more.tar", [("c/3.png", b"three")]).read_bytes()
    path = tmp_path / f"a.{kind}"
    path.write_bytes(PACK[kind](tar_bytes) + PACK[kind](more))
    assert contents(path) == [*FILES, ("c/3.png", b"three")]
    path.write_bytes(PACK[kind](tar_bytes + more))
    assert contents(path) == [*FILES, ("c/3.png", b"three")]


def test_zips_behind_one_another_are_refused(tmp_path, write, refused):
    """A zip is found from its end: the first of two would vanish."""
    one, two = (write["zip"](tmp_path / f"{i}.zip", FILES).read_bytes() for i in range(2))
    (tmp_path / "a.zip").write_bytes(one + two)
    refused(lambda: contents(tmp_path / "a.zip"), tmp_path / "a.zip", "two zips behind one another")
    (tmp_path / "a.zip").write_bytes(b"#!/bin/sh a program that unpacks itself" + two)
    assert contents(tmp_path / "a.zip") == FILES


def test_packing_that_is_not_read_is_named(tmp_path, write, refused):
    data = write["zip"](tmp_path / "a.zip", FILES).read_bytes()
    for method, words in ((9, "Deflate64"), (95, "method 95")):
        packed = data.replace(b"PK\x01\x02\x14\x03\x14\0\0\0\x08", b"PK\x01\x02\x14\x03\x14\0\0\0" + bytes([method]))
        assert packed != data
        (tmp_path / "a.zip").write_bytes(packed)
        refused(lambda: contents(tmp_path / "a.zip"), "'train/ant/1.png'", f"packed by {words}; pack it again")


def test_a_pipe_is_refused_before_it_is_read(tmp_path, refused):
    for name in ("a.tar", "a.zip"):
        os.mkfifo(tmp_path / name)
        refused(lambda name=name: contents(tmp_path / name), tmp_path / name, "not a regular file")
    os.mkfifo(tmp_path / "0.png")
    refused(lambda: [read() for name, read in members(tmp_path) if name == "0.png"], tmp_path / "0.png", "regular file")


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch, refused):
    def denied(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", denied)
    refused(lambda: contents(tmp_path), f"cannot read {tmp_path}: permission denied", kind=PermissionError)


def test_an_archive_left_unread_waits_for_no_thread(tmp_path, tar_bytes, monkeypatch):
    """It may be collected while another thread is starting, which would wait for this one."""

    def join(*_):
        raise AssertionError("waited for a thread")

    (tmp_path / "a.tar").write_bytes(tar_bytes)
    found = members(tmp_path / "a.tar")
    assert next(found)[0] == FILES[0][0]
    monkeypatch.setattr(threading.Thread, "join", join)
    found.close()
