"""What the tests of the readers share: a small data set, archives from a list of members, and a check of refusals."""

import io
import tarfile
import zipfile
from collections.abc import Callable

import numpy as np
import pytest

from analytic_dd.data import Dataset
from analytic_dd.errors import DataError


@pytest.fixture
def refused() -> Callable[..., str]:
    """Call something and check its refusal: the exact type, one line, and everything that it must mention."""

    def check(call: Callable[[], object], *mentions: object, kind: type[Exception] = DataError) -> str:
        with pytest.raises(kind) as caught:
            call()
        text = str(caught.value)
        assert caught.type is kind
        assert "\n" not in text
        missing = [str(mention) for mention in mentions if str(mention) not in text]
        assert not missing, f"{text!r} does not mention {missing}"
        return text

    return check


@pytest.fixture
def small() -> Callable[..., Dataset]:
    """Return a random data set of bytes with every class in both parts, ordered by class."""

    def make(shape: tuple[int, ...], k: int, *, per_class: int = 3, name: str = "small") -> Dataset:
        rng = np.random.default_rng(5)
        y_train, y_test = np.repeat(np.arange(k), per_class), np.repeat(np.arange(k), 2)
        x_train, x_test = (rng.integers(0, 256, (len(y), *shape), dtype=np.uint8) for y in (y_train, y_test))
        return Dataset.from_arrays(x_train, y_train, x_test, y_test, name=name)

    return make


def _tar(path, files, mode="w"):
    """Write a tar; ``files`` are (name, bytes) or (TarInfo, bytes)."""
    with tarfile.open(path, mode) as archive:
        for name, data in files:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(data) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(data))
    return path


def _zip(path, files):
    """Write a zip; ``files`` are (name, bytes) or (ZipInfo, bytes)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return path


def _folder(path, files):
    for name, data in files:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


@pytest.fixture
def write() -> dict[str, Callable]:
    """Return functions that write members (name, bytes) as a tar, a zip or a folder."""
    return {"tar": _tar, "zip": _zip, "folder": _folder}


@pytest.fixture
def image() -> Callable[..., bytes]:
    """Return a function that encodes an array as an image file."""
    from PIL import Image

    def encode(pixels: np.ndarray, kind: str = "PNG", **options: object) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, kind, **options)
        return stream.getvalue()

    return encode
