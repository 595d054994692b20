"""Images in class folders: damaged ones, odd sizes and colours, and folders whose meaning is unclear."""

import io
import itertools
import shutil
import struct
import warnings
import zlib

import numpy as np
import pytest

from analytic_dd.data import read_image_folder
from analytic_dd.data.image import without_words_of_pil

RNG = np.random.default_rng(4)


@pytest.fixture
def two(image):
    """Return members of the smallest image folder: two classes, one image each, in both parts."""
    pixels = RNG.integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
    return [
        (f"{part}/{name}/0.png", image(x)) for part in ("train", "test") for name, x in zip("ab", pixels, strict=True)
    ]


def test_images_of_other_sizes_are_named(two, tmp_path, write, image, refused):
    path = write["tar"](tmp_path / "a.tar", [*two, ("train/b/odd.png", image(np.zeros((7, 5, 3), np.uint8)))])
    refused(lambda: read_image_folder(path), path, "'train/b/odd.png'", "7x5x3", "5x7x3")


def test_test_images_of_another_size_are_refused(two, tmp_path, write, image, refused):
    other = [(f"test/{name}/0.png", image(np.zeros((5, 9, 3), np.uint8))) for name in "ab"]
    path = write["tar"](tmp_path / "a.tar", [*two[:2], *other])
    refused(lambda: read_image_folder(path), path, "2 of 4 images", "'test/b/0.png' is 5x9x3", "is 5x7x3")


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


def test_small_files_of_large_empty_images_are_refused(two, tmp_path, write, image, refused):
    """Each of them is allowed; together they would fill the memory from files of some kilobytes."""
    blank = image(np.zeros((4_000, 4_000), np.uint8))
    many = [(f"{part}/{i}.png", blank) for part in ("a", "b") for i in range(4)]
    assert sum(len(data) for _, data in many) < 2**20
    path = write["tar"](tmp_path / "a.tar", many)
    refused(lambda: read_image_folder(path), path, "'b/0.png'", "67,108,864", "numpy.savez")


def test_images_decode_to_a_limited_size(two, tmp_path, write, image, refused):
    more = [(f"train/a/{i}.png", image(np.zeros((5, 7, 3), np.uint8))) for i in range(1, 70)]
    path = write["tar"](tmp_path / "a.tar", [*two, *more])
    limit = 73 * 105  # of all images; the tar declares more, but let that pass
    size = path.stat().st_size
    assert len(read_image_folder(path, max_bytes=size).x_train) == 71
    small = write["folder"](tmp_path / "d", [*two, *more])
    assert len(read_image_folder(small, max_bytes=limit).x_train) == 71
    refused(lambda: read_image_folder(small, max_bytes=limit - 1), small, "decode", f"{limit - 1:,}", "train/b/0.png")


@pytest.mark.parametrize(
    ("mode", "kind", "reason"),
    [
        ("RGBA", "png", "is transparent in places"),
        ("LA", "tiff", "is transparent in places"),
        ("CMYK", "jpg", "has colour mode CMYK"),
        ("YCbCr", "tiff", "has colour mode YCbCr"),
        ("I;16", "png", "has more than 8 bits a channel (mode I;16)"),
        ("I;16", "tiff", "has more than 8 bits a channel (mode I;16)"),
        ("F", "tiff", "has more than 8 bits a channel (mode F)"),
    ],
)
def test_what_would_lose_something_in_8_bits_is_refused(mode, kind, reason, two, tmp_path, write, refused):
    from PIL import Image

    member = f"train/a/odd.{kind}"
    path = write["folder"](tmp_path / "d", two)
    Image.new(mode, (7, 5)).save(path / member)
    refused(lambda: read_image_folder(path), f"{path}: 1 of 5 images cannot be used: {member!r} {reason}", "Convert")


def png(pixels, bits, colour):
    """A PNG written by hand: PIL does not write colours of 16 bits."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(f">u{bits // 8}").tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    packed = [struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def ppm(pixels):
    return b"P6 7 5 65535\n" + pixels.astype(">u2").tobytes()


def test_16_bits_that_pil_would_cut_to_8_are_refused(two, tmp_path, write, refused):
    pixels = RNG.integers(0, 2**16, (5, 7, 3))
    for name, data in (("odd.png", png(pixels, 16, 2)), ("odd.ppm", ppm(pixels))):
        path = write["folder"](tmp_path / name, [*two, (f"train/a/{name}", data)])
        refused(lambda path=path: read_image_folder(path), name, "more than 8 bits a channel")
    path = write["folder"](tmp_path / "8 bits", [*two, ("train/a/fine.png", png(pixels // 256, 8, 2))])
    np.testing.assert_array_equal(read_image_folder(path).x_train[1], pixels // 256)


def test_frames_are_refused(two, tmp_path, write, refused):
    from PIL import Image

    frames = [Image.fromarray(RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)) for _ in range(3)]
    for kind in ("gif", "png", "webp", "tiff"):
        path = write["folder"](tmp_path / kind, two)
        frames[0].save(path / f"train/a/film.{kind}", save_all=True, append_images=frames[1:])
        refused(lambda path=path: read_image_folder(path), f"film.{kind}' has several frames")


def test_alpha_that_is_opaque_everywhere_is_dropped(tmp_path, write):
    from PIL import Image

    pixels = RNG.integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
    for label, x in zip("ab", pixels, strict=True):
        (tmp_path / label).mkdir()
        Image.fromarray(x).convert("RGBA").save(tmp_path / label / "0.png")
        Image.fromarray(x).quantize(200).convert("P").save(tmp_path / label / "1.png", transparency=255)
    found = read_image_folder(tmp_path)
    both = np.concatenate([found.x_train, found.x_test])
    assert {A.tobytes() for A in both} >= {A.tobytes() for A in pixels}
    assert both.shape == (4, 5, 7, 3)


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff"])
def test_images_stand_upright_as_exif_says(kind, tmp_path):
    from PIL import Image

    for orientation, turn in [(1, 0), (3, 2), (6, 3), (8, 1)]:
        pixels = np.kron(RNG.integers(0, 256, (2, 3), dtype=np.uint8), np.ones((8, 8), np.uint8))
        exif = Image.Exif()
        exif[274], folder = orientation, tmp_path / str(orientation)
        for label in "ab":
            (folder / label).mkdir(parents=True)
            Image.fromarray(pixels).convert("RGB").save(folder / label / f"0.{kind}", exif=exif, quality=100)
        upright = np.rot90(pixels, turn)
        found = read_image_folder(folder).x_train
        assert found.shape[1:] == (*upright.shape, 3)
        assert np.abs(found[0].astype(int) - upright[:, :, None]).max() <= 8  # of the JPEG


def test_offenders_are_in_one_list(two, tmp_path, write, image, refused):
    odd = [(f"train/a/{i:02}.png", image(np.zeros((5, 8, 3), np.uint8))) for i in range(12)]
    path = write["folder"](tmp_path / "d", [*two, *odd, ("train/b/film.jp2", b""), ("train/b/torn.png", b"no")])
    text = refused(
        lambda: read_image_folder(path), "14 of 18 images", "'train/a/09.png' is 5x8x3", "; and 4 more. Convert"
    )
    assert "'train/a/10.png'" not in text


def test_every_ending_of_pil_is_read_or_refused_and_no_class_vanishes(two, tmp_path, write, refused):
    from PIL import Image

    Image.init()
    path = write["folder"](tmp_path / "d", two)
    for number, ending in enumerate(sorted({*Image.registered_extensions(), ".heic", ".unknown", ""})):
        (path / "train" / "dog").mkdir()
        (path / "train" / "dog" / f"0{ending}").write_bytes(b"not an image")
        text = refused(lambda: read_image_folder(path), path, "dog")
        assert "cannot be used: 'train/dog/0" in text or "class folder 'train/dog' has no image" in text, ending
        (path / "train" / "dog").rename(tmp_path / str(number))


@pytest.mark.parametrize("ending", ["jfif", "jpe", "JPG", "jpeg"])
def test_jpegs_are_read_by_any_of_their_endings(ending, tmp_path, write, image):
    data = image(RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8), "JPEG")
    path = write["folder"](tmp_path / "d", [("cat/0.jpg", data), (f"dog/0.{ending}", data)])
    assert read_image_folder(path).classes == ("cat", "dog")


@pytest.mark.parametrize("kind", ["folder", "tar", "zip"])
def test_an_empty_class_folder_is_refused(kind, two, tmp_path, write, refused):
    path = write["folder"](tmp_path / "d", two)
    (path / "train" / "c").mkdir()
    (path / "notes").mkdir()  # not at the place of a class
    if kind != "folder":
        shutil.make_archive(tmp_path / "a", kind, path)
        path = tmp_path / f"a.{kind}"
    refused(lambda: read_image_folder(path), path, "class folder 'train/c' has no image that is read", "move it away")


def test_files_beside_the_images_are_not_images(two, tmp_path, write):
    beside = [("README.md", b""), ("logo.svg", b""), ("train/logo.svg", b""), ("train/a/boxes.txt", b"")]
    beside += [("annotations/0.xml", b""), ("train/a/thumbs/list.txt", b"")]
    path = write["folder"](tmp_path / "d", [*two, *beside])
    assert read_image_folder(path).classes == ("a", "b")


HIDDEN = [".ipynb_checkpoints/0.png", "train/.Trash-1000/0.png", "train/a/._0.png", "__MACOSX/train/a/._0.png"]
HIDDEN += ["train/@eaDir/0.png", ".git/config", "train/.DS_Store", "train/b/Thumbs.db", "train/$RECYCLE.BIN/0.png"]


@pytest.mark.parametrize("kind", ["folder", "tar", "zip"])
def test_what_is_hidden_or_left_by_a_system_is_no_class(kind, two, tmp_path, write):
    path = write[kind](tmp_path / f"d.{kind}", [*two, *((name, b"not an image") for name in HIDDEN)])
    found = read_image_folder(path)
    assert (found.classes, len(found.x_train), len(found.x_test)) == (("a", "b"), 2, 2)


def test_names_with_backslashes_are_paths(two, tmp_path, write):
    path = write["zip"](tmp_path / "a.zip", [(name.replace("/", "\\"), data) for name, data in two])
    assert read_image_folder(path).sha256 == read_image_folder(write["zip"](tmp_path / "b.zip", two)).sha256


@pytest.mark.parametrize("grey", [(0, 2), (1, 2), (3,)], ids=["first", "among", "last"])
def test_grey_images_among_coloured_ones_have_three_equal_channels(grey, tmp_path):
    """As torchvision reads them; Tiny ImageNet has some hundreds."""
    from PIL import Image

    rng = np.random.default_rng(0)
    wanted = rng.integers(0, 256, (4, 5, 7, 3), dtype=np.uint8)
    for index in range(4):
        if index in grey:
            wanted[index] = wanted[index, :, :, :1]
        folder = tmp_path / "ab"[index // 2]
        folder.mkdir(exist_ok=True)
        Image.fromarray(wanted[index, :, :, 0] if index in grey else wanted[index]).save(folder / f"{index}.png")
    found = read_image_folder(tmp_path)
    every = np.concatenate([found.x_train, found.x_test])
    assert sorted(image.tobytes() for image in every) == sorted(image.tobytes() for image in wanted)
    assert f"{len(grey)} grey images in three equal channels" in found.source


@pytest.mark.parametrize("grey", [("val",), ("train", "test")], ids=" and ".join)
def test_colours_of_a_part_that_is_not_used_change_nothing(grey, tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    for part in ("train", "test", "val"):
        for label in "ab":
            (tmp_path / part / label).mkdir(parents=True)
            shape = (5, 7) if part in grey else (5, 7, 3)
            Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(tmp_path / part / label / "0.png")
    found = read_image_folder(tmp_path)
    assert found.image_shape == ((5, 7) if "train" in grey else (5, 7, 3))
    assert found.source.endswith("(val not used)")


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


@pytest.mark.parametrize(("kind", "channels"), [(k, c) for k in JPEGS for c in ((), (3,)) if c or k != "RGB"])
def test_jpeg_is_what_pil_decodes(tmp_path, write, image, kind, channels):
    from PIL import Image

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


# layout: folders of images, and (train, test) classes that must be found, or None where it is refused
LAYOUTS = {
    "flat": (["cat", "dog"], ["cat", "dog"]),
    "parts": (["train/cat", "train/dog", "test/cat"], ["cat", "dog"]),
    "parts in capitals": (["Train/cat", "Train/dog", "TEST/cat"], ["cat", "dog"]),
    "three parts": (["train/cat", "train/dog", "val/dog", "test/cat"], ["cat", "dog"]),
    "a class named train": (["train/car", "train/train", "test/train"], ["car", "train"]),
    "a class named test": (["train/test", "train/car", "test/test"], ["car", "test"]),
    "flat with a class named train": (["car", "train"], ["car", "train"]),
    "images": (["train/n1/images", "train/n2/images", "val/n1/images"], ["n1", "n2"]),
    "flat images": (["n1/images", "n2/images"], ["n1", "n2"]),
    "a class named images": (["train/images", "train/boxes", "test/images"], ["boxes", "images"]),
    "inside others": (["a/b/train/cat", "a/b/train/dog", "a/b/val/dog"], ["cat", "dog"]),
    "training part alone": (["set/train/cat", "set/train/dog"], ["cat", "dog"]),
    "unlabelled test": (["train/cat", "train/dog", "val/dog", "test"], ["cat", "dog"]),
    "test part alone": (["test/cat", "test/dog"], None),
    "no classes": (["train", "test"], None),
    "parts beside a class": (["train", "val", "cat"], None),
    "unlabelled test without another": (["train/cat", "train/dog", "test"], None),
    "another part": (["train/cat", "train/dog", "extra/cat"], None),
    "a class beside parts": (["train/cat", "train/dog", "cat"], None),
    "too deep": (["train/cat/old", "train/cat/new", "train/dog/old"], None),
    "two depths": (["cat", "cat/more", "dog"], None),
    "two training parts": (["train/cat", "train/dog", "training/cat"], None),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_are_read_or_refused(layout, tmp_path, write, image, refused):
    for kind in ["folder", "tar", "zip"]:
        folders, classes = LAYOUTS[layout]
        places = [(n, folder, i) for n, folder in enumerate(folders) for i in range(5)]
        files = [(f"{folder}/{i}.png", image(np.full((5, 7), 10 * n + i, np.uint8))) for n, folder, i in places]
        path = write[kind](tmp_path / f"d.{kind}", files)
        if classes is None:
            refused(lambda: read_image_folder(path), path, ";")
            continue
        data = read_image_folder(path)
        assert list(data.classes) == classes
        # pixels say which folder an image came from, and so which class it must have
        for x, y in ((data.x_train, data.y_train), (data.x_test, data.y_test)):
            for pixel, label in zip(x[:, 0, 0], y, strict=True):
                assert data.classes[label] in folders[pixel // 10].split("/")
        if layout == "three parts":
            assert "val not used" in data.source
            assert {folders[pixel // 10] for pixel in data.x_test[:, 0, 0]} == {"test/cat"}
        if layout == "unlabelled test":
            assert "test not used" in data.source


@pytest.mark.parametrize("kind", ["folder", "tar", "zip"])
def test_tiny_imagenet_is_read_in_its_own_layout(kind, tmp_path, write, image, refused):
    for images, above in itertools.product(["val/images", "val"], ["", "tiny-imagenet-200/"]):
        names = ("n01443537", "n01629819", "n02056570")

        def png(value):
            return image(np.full((5, 7, 3), value, np.uint8))

        files = [
            (f"train/{name}/images/{name}_{i}.JPEG", png(10 * k + i)) for k, name in enumerate(names) for i in range(4)
        ]
        files += [(f"train/{name}/{name}_boxes.txt", b"boxes") for name in names]
        order = RNG.permutation(9)
        files += [(f"{images}/val_{i}.JPEG", png(100 + i)) for i in range(9)]
        lines = "".join(f"val_{i}.JPEG\t{names[i % 3]}\t0\t32\t44\t62\n" for i in order)
        files += [("val/val_annotations.txt", lines.encode()), ("words.txt", b""), ("wnids.txt", b"")]
        files += [("test/images/test_0.JPEG", png(200))]
        home = tmp_path / (images + above).replace("/", "-")
        home.mkdir()
        path = write[kind](home / f"d.{kind}", [(above + name, data) for name, data in files])
        data = read_image_folder(path)
        assert data.classes == names
        assert data.y_train.tolist() == [0] * 4 + [1] * 4 + [2] * 4
        assert data.x_train[:, 0, 0, 0].tolist() == [10 * k + i for k in range(3) for i in range(4)]
        assert data.y_test.tolist() == [0] * 3 + [1] * 3 + [2] * 3
        assert data.x_test[:, 0, 0, 0].tolist() == [100, 103, 106, 101, 104, 107, 102, 105, 108]
        assert "test not used" in data.source
        files[-4] = ("val/val_annotations.txt", lines.replace("val_3.", "val_30.").encode())
        path = write[kind](home / f"e.{kind}", [(above + name, data) for name, data in files])
        refused(lambda: read_image_folder(path), path, "val/val_annotations.txt' names no class for 'val_3.JPEG'")


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


def test_readers_in_two_threads_leave_the_filters_of_warnings_as_they_were():
    before = list(warnings.filters)
    first, second = without_words_of_pil(), without_words_of_pil()
    first.__enter__()
    second.__enter__()
    warnings.warn_explicit("metadata", UserWarning, "x.py", 1, module="PIL.TiffImagePlugin")
    with pytest.warns(UserWarning, match="ours"):
        warnings.warn_explicit("ours", UserWarning, "x.py", 1, module="analytic_dd.data")
    first.__exit__(None, None, None)  # before the second, as threads may end
    warnings.warn_explicit("metadata", UserWarning, "x.py", 2, module="PIL.TiffImagePlugin")
    second.__exit__(None, None, None)
    assert warnings.filters == before
    with pytest.raises(UserWarning, match="metadata"):  # the filter of the tests: an error
        warnings.warn_explicit("metadata", UserWarning, "x.py", 3, module="PIL.TiffImagePlugin")
