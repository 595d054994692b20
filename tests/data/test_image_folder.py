"""Images in class folders: damaged ones, odd sizes and colours, and folders whose meaning is unclear."""

import io
import struct
import zlib

import numpy as np
import pytest

from analytic_dd.data import read_image_folder

RNG = np.random.default_rng(4)


@pytest.fixture
def two(image):
    """Return members of the smallest image folder: two classes, one image each, in both parts."""
    pixels = RNG.integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
    return [
        (f"{part}/{name}/0.png", image(x)) for part in ("train", "test") for name, x in zip("ab", pixels, strict=True)
    ]


def test_images_of_other_sizes_or_colours_are_named(two, tmp_path, write, image, refused):
    for odd in (np.zeros((7, 5, 3), np.uint8), np.zeros((5, 7), np.uint8)):
        path = write["tar"](tmp_path / "a.tar", [*two, ("train/b/odd.png", image(odd))])
        refused(
            lambda path=path: read_image_folder(path), path, "'train/b/odd.png'", "x".join(map(str, odd.shape)), "5x7x3"
        )


def test_test_images_of_another_size_are_refused(two, tmp_path, write, image, refused):
    other = [(f"test/{name}/0.png", image(np.zeros((5, 9, 3), np.uint8))) for name in "ab"]
    path = write["tar"](tmp_path / "a.tar", [*two[:2], *other])
    refused(lambda: read_image_folder(path), path, "x_test", "(5, 7, 3)", "5, 9, 3")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP"])
def test_damaged_image_is_named(kind, two, tmp_path, write, image, refused):
    member = f"train/a/bad.{kind.lower()}"
    data = image(RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8), kind)
    for damaged in (data[: len(data) // 2], data[:10], b"", b"no image at all"):
        path = write["folder"](tmp_path / "d", [*two, (member, damaged)])
        refused(lambda path=path: read_image_folder(path), path, repr(member))


def test_image_is_refused_by_its_declared_size(two, tmp_path, write, refused):
    def png(width, height):
        head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        chunk = b"IHDR" + head
        body = b"IDAT" + zlib.compress(bytes(1000))
        chunks = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (chunk, body, b"IEND")]
        return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)

    def jpeg(width, height):
        return b"\xff\xd8\xff\xc0\x00\x11\x08" + struct.pack(">HHB", height, width, 3) + bytes(1000)

    path = write["tar"](tmp_path / "a.tar", [("train/a/bomb.jpg", jpeg(60_000, 60_000)), *two])
    refused(lambda path=path: read_image_folder(path), path, "'train/a/bomb.jpg'", "60000 x 60000 pixels")
    for size in ((9000, 9000), (11_000, 11_000), (60_000, 60_000)):  # below, above and far above where PIL warns
        path = write["tar"](tmp_path / "a.tar", [("train/a/bomb.png", png(*size)), *two])
        refused(lambda path=path: read_image_folder(path), path, "'train/a/bomb.png'", "pixels")


def test_images_decode_to_a_limited_size(two, tmp_path, write, image, refused):
    more = [(f"train/a/{i}.png", image(np.zeros((5, 7, 3), np.uint8))) for i in range(1, 70)]
    path = write["tar"](tmp_path / "a.tar", [*two, *more])
    limit = 71 * 105  # of the training images; the tar declares more, but let that pass
    size = path.stat().st_size
    assert len(read_image_folder(path, max_bytes=size).x_train) == 71
    small = write["folder"](tmp_path / "d", [*two, *more])
    assert len(read_image_folder(small, max_bytes=limit).x_train) == 71
    refused(lambda: read_image_folder(small, max_bytes=limit - 1), small, "decode", f"{limit - 1:,}", "train/b/0.png")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "CMYK", "I;16"])
def test_other_colour_modes_are_refused(mode, two, tmp_path, write, refused):
    from PIL import Image

    member = "train/a/odd.tiff"
    path = write["folder"](tmp_path / "d", two)
    Image.new(mode, (7, 5)).save(path / member)
    refused(lambda: read_image_folder(path), repr(member), mode, "convert")


def test_palettes_become_colours_and_bits_become_grey(tmp_path):
    from PIL import Image

    pixels = np.zeros((5, 7, 3), np.uint8)
    pixels[2, 3] = 255, 0, 51
    for name, mode in (("p", "P"), ("one", "1")):
        for label in "ab":
            (tmp_path / name / label).mkdir(parents=True)
            Image.fromarray(pixels).convert(mode).save(tmp_path / name / label / "0.png")
    np.testing.assert_array_equal(read_image_folder(tmp_path / "p").x_train[0], pixels)
    ones = read_image_folder(tmp_path / "one").x_train
    assert ones.shape == (2, 5, 7)
    assert set(np.unique(ones)) <= {0, 255}


JPEGS = {
    "plain": {},
    "progressive": {"progressive": True},
    "restarts, no subsampling": {"subsampling": 0, "restart_marker_rows": 1},
    "RGB": {"keep_rgb": True},
    "comment and thumbnail": {"comment": "a comment", "exif": b"Exif\x00\x00\xff\xd8\xff\xc0\x00\x11\x08\x00\x01"},
}


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("channels", [(), (3,)])
def test_jpeg_is_what_pil_decodes(tmp_path, write, image, kind, channels):
    from PIL import Image

    if kind == "RGB" and not channels:
        pytest.skip("of colours only")
    pixels = RNG.integers(0, 256, (4, 45, 37, *channels), dtype=np.uint8)
    files = [(f"train/{'ab'[i % 2]}/{i}.JPG", image(pixels[i], "JPEG", **JPEGS[kind])) for i in range(4)]
    path = write["folder"](tmp_path / "d", files)
    found = read_image_folder(path)
    wanted = [np.asarray(Image.open(path / f"train/{'ab'[i % 2]}/{i}.JPG")) for i in (0, 2, 1, 3)]
    got = np.concatenate([found.x_train, found.x_test])
    assert got.shape == (4, 45, 37, *channels)
    assert {A.tobytes() for A in got} == {A.tobytes() for A in wanted}


def test_jpegs_of_other_kinds_are_left_to_pil(two, tmp_path, write, image, refused):
    """Four channels; a frame header behind the first scan, of a size that is not one."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (5, 7, 4), dtype=np.uint8), "CMYK").save(buffer, "JPEG")
    path = write["folder"](tmp_path / "d", [*two, ("train/a/1.jpg", buffer.getvalue())])
    refused(lambda: read_image_folder(path), path, "colour mode CMYK")
    data = image(RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8), "JPEG")
    start = data.index(b"\xff\xc0")
    path = write["folder"](tmp_path / "e", [*two, ("train/a/1.jpg", data[:start] + data[start + 19 :])])
    refused(lambda: read_image_folder(path), path, "train/a/1.jpg", "damaged")


def test_class_folders_without_parts_are_split(tmp_path, write, image):
    files = [(f"{name}/{i:02}.png", image(np.full((5, 7), 10 * i, np.uint8))) for name in "ab" for i in range(10)]
    for path in (write["tar"](tmp_path / "a.tar.bz2", files, "w:bz2"), write["folder"](tmp_path / "d", files)):
        data = read_image_folder(path)
        assert (len(data.x_train), len(data.x_test)) == (16, 4)
        assert np.bincount(data.y_test).tolist() == [2, 2]
        assert "no test part: 20%" in data.source


def test_validation_folder_is_the_test_part_when_it_is_the_only_one(two, tmp_path, write):
    path = write["tar"](tmp_path / "a.tar", [(name.replace("test/", "val/"), data) for name, data in two])
    assert len(read_image_folder(path).x_test) == 2


def test_unclear_parts_are_refused_not_merged(two, tmp_path, write, refused):
    data = two[0][1]
    for member in ("val/a/0.png", "extra/a/0.png", "a/0.png"):
        path = write["tar"](tmp_path / "a.tar", [*two, (member, data)])
        refused(lambda path=path: read_image_folder(path), path, "'train'", repr(member[:-8].rstrip("/")))
    refused(lambda: read_image_folder(write["tar"](tmp_path / "b.tar", two[2:])), "'test'")


def test_image_outside_class_folders_is_named(two, tmp_path, write, refused):
    for member in ("0.png", "train/0.png"):
        path = write["tar"](tmp_path / "a.tar", [*two, (member, two[0][1])])
        refused(lambda path=path: read_image_folder(path), path, repr(member), "class folder")


def test_member_that_comes_twice_is_named(two, tmp_path, write, refused):
    path = write["tar"](tmp_path / "a.tar", [*two, two[0]])
    refused(lambda: read_image_folder(path), path, "'train/a/0.png'", "twice")


def test_class_of_the_test_part_only_is_refused(two, tmp_path, write, refused):
    path = write["tar"](tmp_path / "a.tar", [*two, ("test/c/0.png", two[0][1])])
    refused(lambda: read_image_folder(path), path, "'c'", "y_train does not have")


def test_links_in_a_users_own_folder_are_followed(two, tmp_path, write):
    real = write["folder"](tmp_path / "real", two)
    linked = tmp_path / "linked" / "train"
    linked.mkdir(parents=True)
    for name in "ab":
        (linked / name).symlink_to(real / "train" / name)
    (real / "train" / "a" / "loop").symlink_to(tmp_path / "linked")  # a cycle must end
    assert len(read_image_folder(tmp_path / "linked").y_train) == 2
