"""How data may lie on a disk: each layout with what comes of it, classes and sizes of parts, or a refusal in words."""

import io
import json
import tarfile
import zipfile

import numpy as np
import pandas
import pytest
from PIL import Image

from analytic_dd import data
from analytic_dd.data import Reading
from analytic_dd.errors import DataError

RNG = np.random.default_rng(11)


def png(shape=(6, 6), mode=None, **how):
    """A random image as bytes of a PNG file, or of another format."""
    image = Image.fromarray(RNG.integers(0, 256, shape, dtype=np.uint8))
    stream, kind = io.BytesIO(), how.pop("format", "PNG")
    (image if mode is None else image.convert(mode)).save(stream, kind, **how)
    return stream.getvalue()


def images(*folders, count=5, make=png, ending="png"):
    """``count`` images in each folder."""
    return {f"{folder}/{i}.{ending}": make() for folder in folders for i in range(count)}


def turned():
    """A portrait image that its EXIF turns to 8 x 6."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return png((8, 6, 3), format="JPEG", exif=exif)


def bits16():
    stream = io.BytesIO()
    Image.fromarray(RNG.integers(0, 65536, (6, 6), dtype=np.uint16)).save(stream, "PNG")
    return stream.getvalue()


def alpha(opaque):
    image = RNG.integers(0, 256, (6, 6, 4), dtype=np.uint8)
    image[..., 3] = 255 if opaque else 128
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return stream.getvalue()


def table(n=20, **columns):
    frame = {"age": RNG.integers(18, 80, n), "income": RNG.normal(4e4, 1e4, n), "target": np.arange(n) % 2}
    return pandas.DataFrame(frame | columns)


def csv(frame, **how):
    return frame.to_csv(index=how.pop("index", False), **how).encode()


def parquet(frame):
    stream = io.BytesIO()
    frame.to_parquet(stream)
    return stream.getvalue()


def npz(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


TWO, HOLE = np.arange(20) % 2, np.where(np.arange(20) == 3, np.nan, 1.0)
ROWS = RNG.standard_normal((20, 4))
REGRESS = Reading(task="regress")

# name: (files, what is loaded, how, (classes or outputs, training samples, test samples) or words of the refusal)
LAYOUTS = {
    "class folders": (images("a", "b"), "", None, (2, 8, 2)),
    "class folders of torchvision, train and val": (
        images("train/a", "train/b", "val/a", "val/b"),
        "",
        None,
        (2, 10, 10),
    ),
    "train, val and test": (images("train/a", "train/b", "val/a", "test/a"), "", None, (2, 10, 5)),
    "Training and Testing": (images("Training/a", "Training/b", "Testing/a"), "", None, (2, 10, 5)),
    "one folder above all": (images("archive/train/a", "archive/train/b", "archive/test/b"), "", None, (2, 10, 5)),
    "hidden folders beside": (
        images("train/a", "train/b", "test/a") | {"train/.ipynb_checkpoints/0.png": png(), ".git/0.png": png()},
        "",
        None,
        (2, 10, 5),
    ),
    "__MACOSX of a zip": (images("a", "b") | {"__MACOSX/a/._0.png": b"x", "a/.DS_Store": b"x"}, "", None, (2, 8, 2)),
    "Kaggle's seg_train/seg_train": (
        images("seg_train/seg_train/a", "seg_train/seg_train/b", "seg_test/seg_test/a"),
        "",
        None,
        (2, 10, 5),
    ),
    "Tiny ImageNet's images folders": (images("train/a/images", "train/b/images"), "", None, (2, 8, 2)),
    "a test part alone": (images("test/a", "test/b"), "", None, "images under 'test' only"),
    "images in no class": (images("."), "", None, "lies in no class folder"),
    "one class": (images("a"), "", None, "at least two classes"),
    "an empty class folder": (images("a", "b") | {"c/notes.txt": b"x"}, "", None, "class folder 'c' has no image"),
    "a logo above the classes": (images("a", "b") | {"logo.svg": b"<svg/>"}, "", None, (2, 8, 2)),
    "JPEG files": (images("a", "b", make=lambda: png((6, 6, 3), format="JPEG"), ending="jpg"), "", None, (2, 8, 2)),
    "EXIF orientation": (images("a", "b", make=turned, ending="jpg"), "", None, (2, 8, 2)),
    "palettes": (images("a", "b", make=lambda: png((6, 6, 3), mode="P")), "", None, (2, 8, 2)),
    "opaque alpha": (images("a", "b", make=lambda: alpha(True)), "", None, (2, 8, 2)),
    "transparent": (images("a", "b", make=lambda: alpha(False)), "", None, "10 of 10 images cannot be used"),
    "16 bits": (images("a", make=bits16) | images("b"), "", None, "5 of 10 images cannot be used"),
    "grey and colour": (images("a") | images("b", make=lambda: png((6, 6, 3))), "", None, (2, 8, 2)),
    "mixed sizes": (images("a") | images("b", make=lambda: png((9, 6))), "", None, "resize=64 brings them to one"),
    "mixed sizes, resized": (images("a") | images("b", make=lambda: png((9, 6))), "", Reading(resize=4), (2, 8, 2)),
    "mixed sizes, cropped": (
        images("a") | images("b", make=lambda: png((9, 6))),
        "",
        Reading(resize=4, crop=True),
        (2, 8, 2),
    ),
    "a damaged image": (images("a", "b") | {"a/9.png": b"no image"}, "", None, "'a/9.png' is"),
    "CSV with a target column": ({"t.csv": csv(table())}, "t.csv", None, (2, 16, 4)),
    "CSV with another target": (
        {"t.csv": csv(table().rename(columns={"target": "buys"}))},
        "t.csv",
        Reading(target="buys"),
        (2, 16, 4),
    ),
    "CSV without a usual target": (
        {"t.csv": csv(table().rename(columns={"target": "buys"}))},
        "t.csv",
        None,
        "target='buys'",
    ),
    "semicolons": ({"t.csv": csv(table(), sep=";")}, "t.csv", None, (2, 16, 4)),
    "tabs": ({"t.tsv": csv(table(), sep="\t")}, "t.tsv", None, (2, 16, 4)),
    "a byte order mark": ({"t.csv": b"\xef\xbb\xbf" + csv(table())}, "t.csv", None, (2, 16, 4)),
    "Latin-1": ({"t.csv": csv(table(city=["Zürich", "Bern"] * 10)).decode().encode("latin-1")}, "t.csv", None, "UTF-8"),
    "an index that pandas wrote": ({"t.csv": csv(table(), index=True)}, "t.csv", None, (2, 16, 4)),
    "text columns": ({"t.csv": csv(table(city=["Rom", "Bern"] * 10))}, "t.csv", None, (2, 16, 4)),
    "text that is no category": (
        {"t.csv": csv(table(60, name=[f"n{i}" for i in range(60)]))},
        "t.csv",
        None,
        "name has 60",
    ),
    "missing values": ({"t.csv": csv(table(age=HOLE))}, "t.csv", None, "missing in age (1)"),
    "booleans and text labels": (
        {"t.csv": csv(table(target=["yes", "no"] * 10, vip=TWO > 0))},
        "t.csv",
        None,
        (2, 16, 4),
    ),
    "a CSV of quantities": ({"t.csv": csv(table(target=ROWS[:, 0]))}, "t.csv", REGRESS, (1, 16, 4)),
    "quantities taken for classes": ({"t.csv": csv(table(target=ROWS[:, 0]))}, "t.csv", None, "task='regress'"),
    "parquet": ({"t.parquet": parquet(table())}, "t.parquet", None, (2, 16, 4)),
    "npz with x and y": ({"d.npz": npz(x=ROWS, y=TWO)}, "d.npz", None, (2, 16, 4)),
    "npz with all parts": (
        {"d.npz": npz(x_train=ROWS, y_train=TWO, x_test=ROWS, y_test=TWO)},
        "d.npz",
        None,
        (2, 20, 20),
    ),
    "npz of MedMNIST": (
        {"d.npz": npz(train_images=ROWS, train_labels=TWO[:, None], test_images=ROWS, test_labels=TWO[:, None])},
        "d.npz",
        None,
        (2, 20, 20),
    ),
    "npz of quantities": ({"d.npz": npz(x=ROWS, y=ROWS[:, :2])}, "d.npz", REGRESS, (2, 16, 4)),
    "npz with other names": (
        {"d.npz": npz(images=ROWS, y=TWO)},
        "d.npz",
        None,
        "no x_train and y_train, but images, y",
    ),
    "npy files beside each other": ({"X.npy": npy(ROWS), "y.npy": npy(TWO)}, "", None, (2, 16, 4)),
    "an npy table": ({"t.npy": npy(np.column_stack([ROWS, TWO]))}, "t.npy", Reading(target="-1"), (2, 16, 4)),
    "an npy table without a target": ({"t.npy": npy(ROWS)}, "t.npy", None, "target='-1'"),
    "JSON": ({"t.json": json.dumps([1]).encode()}, "t.json", None, "is of no known format"),
}


def outcome(path, how):
    try:
        read = data.load(path, reading=how)
    except DataError as error:
        return str(error)
    names = read.classes if isinstance(read, data.Dataset) else read.outputs
    return len(names), len(read.x_train), len(read.x_test)


def packed(files, path):
    """The files in a tar or a zip."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return path
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("where", ["folder", "data.tar.gz", "data.zip"])
def test_every_layout_has_its_outcome(where, tmp_path):
    found, wanted = {}, {}
    for index, (name, (files, entry, how, expected)) in enumerate(LAYOUTS.items()):
        if where == "folder":
            path = tmp_path / f"data{index}"
            for file, content in files.items():
                (path / file).parent.mkdir(parents=True, exist_ok=True)
                (path / file).write_bytes(content)
            path = path / entry if entry else path
        elif entry or name.startswith("npy files"):
            continue  # one file is not packed
        else:
            (tmp_path / str(index)).mkdir()
            path = packed(files, tmp_path / str(index) / where)
        wanted[name], found[name] = expected, outcome(path, how)
        if isinstance(expected, str) and expected in str(found[name]):
            found[name] = expected
    assert found == wanted
    assert len(wanted) > (40 if where == "folder" else 20)


def test_orientation_is_applied_and_palettes_are_colours(tmp_path):
    for name, shape in (("EXIF orientation", (6, 8, 3)), ("palettes", (6, 6, 3)), ("opaque alpha", (6, 6, 3))):
        for file, content in LAYOUTS[name][0].items():
            (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / file).write_bytes(content)
        assert data.load(tmp_path / name).image_shape == shape
