"""Names and paths: where a data set is looked for, in which order, and what is said when it is not found."""

import dataclasses
import socket

import numpy as np
import pytest

import analytic_dd.data as data
from analytic_dd.data.registry import REGISTRY


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """Give every test its own data folder and cache, and no way to open a socket."""

    def no_socket(*_, **__):
        raise AssertionError("a socket was opened")

    monkeypatch.setenv("ANALYTIC_DD_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home-cache"))
    monkeypatch.setattr(socket, "socket", no_socket)
    monkeypatch.setattr(socket, "create_connection", no_socket)
    monkeypatch.setattr(socket, "getaddrinfo", no_socket)
    cache = data.locations()["cache"]
    assert cache.is_relative_to(tmp_path)
    return tmp_path / "data", cache


IMAGES = np.random.default_rng(0).integers(0, 256, (20, 5, 7), dtype=np.uint8)


def write_idx(folder, shift=0, parts=("train", "t10k")):
    folder.mkdir(parents=True, exist_ok=True)
    for part in parts:
        head = bytes([0, 0, 8, 3, 0, 0, 0, 20, 0, 0, 0, 5, 0, 0, 0, 7])
        (folder / f"{part}-images-idx3-ubyte").write_bytes(head + (IMAGES + np.uint8(shift)).tobytes())
        labels = bytes([0, 0, 8, 1, 0, 0, 0, 20]) + bytes(range(10)) * 2
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(labels)


def entry(key, **changes):
    return dataclasses.replace(REGISTRY[key], **{"content": "", **changes})


def test_data_folder_comes_before_the_cache(places):
    folder, cache = places
    write_idx(cache / "mnist", shift=1)
    assert data.load(entry("mnist"), offline=True).x_train[0, 0, 0] == IMAGES[0, 0, 0] + 1
    write_idx(folder / "mnist")
    assert data.load(entry("mnist"), offline=True).x_train[0, 0, 0] == IMAGES[0, 0, 0]


@pytest.mark.parametrize("place", ["mnist", "MNIST/raw", "."])
def test_usual_places_of_mnist(place, places):
    write_idx(places[0] / place)
    mnist = data.load(entry("mnist"), offline=True)
    assert (mnist.name, mnist.image_shape, len(mnist.x_test)) == ("MNIST", (5, 7), 20)


def test_fashion_has_names_and_is_not_mnist_by_another_name(places, refused):
    write_idx(places[0])
    refused(lambda: data.load("fashion-mnist", offline=True), "fashion-mnist is not on this machine")
    write_idx(places[0] / "fashion-mnist")
    fashion = data.load("fashion-mnist", offline=True)
    assert (fashion.name, fashion.classes[0], fashion.classes[9]) == ("Fashion-MNIST", "T-shirt/top", "Ankle boot")
    assert fashion.y_train.tolist() == list(range(10)) * 2


def test_other_data_under_the_name_of_mnist_are_refused(places, refused):
    write_idx(places[0] / "mnist")
    refused(lambda: data.load("mnist"), places[0] / "mnist", "not the published MNIST", "by its path")


def test_download_that_was_interrupted_is_not_taken_for_the_set(places, refused):
    write_idx(places[1] / "fashion-mnist", parts=("train",))
    refused(lambda: data.load("fashion-mnist", offline=True), "not on this machine")


def test_jpeg_version_of_cifar10_says_so(places, write, image):
    files = [
        (f"{part}/{name}/0.png", image(np.zeros((5, 7, 3), np.uint8))) for part in ("train", "test") for name in "ab"
    ]
    places[0].mkdir()
    path = write["tar"](places[0] / "cifar10-jpeg.tar.xz", files, "w:xz")
    assert data.load("cifar10", offline=True).name == "CIFAR-10 (JPEG)"
    assert data.load(path).name == "cifar10-jpeg"
    records = np.zeros((2, 3073), np.uint8)
    batches = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    contents = [np.where(np.arange(3073) == 0, [[2 * i % 10], [(2 * i + 1) % 10]], records) for i in range(6)]
    members = [(name, rows.astype(np.uint8).tobytes()) for name, rows in zip(batches, contents, strict=True)]
    write["tar"](places[0] / "cifar-10-binary.tar.gz", members, "w:gz")
    assert data.load("cifar10", offline=True).name == "CIFAR-10"


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10", "cifar100"])
def test_offline_says_what_was_looked_for_and_where(name, places, refused):
    folder, cache = places
    first = REGISTRY[name].forms[0].paths[0]
    refused(lambda: data.load(name, offline=True), name, first, folder, cache, f"data fetch {name}", "ANALYTIC_DD_DATA")


def test_unset_variable_is_said(places, monkeypatch, refused):
    monkeypatch.setenv("ANALYTIC_DD_DATA", "")
    assert data.locations()["$ANALYTIC_DD_DATA"] is None
    refused(lambda: data.load("mnist", offline=True), "not set")


@pytest.mark.parametrize(("typed", "meant"), [("minst", "mnist"), ("cifar-10", "cifar10"), ("MNIST", "mnist")])
def test_nearest_name_is_suggested(typed, meant, refused):
    refused(lambda: data.load(typed), repr(typed), f"did you mean {meant}?", "digits")
    refused(lambda: data.fetch(typed), repr(typed), f"did you mean {meant}?")


def test_name_like_no_other_gets_no_suggestion(refused):
    assert "did you mean" not in refused(lambda: data.load("qqqqq"), "'qqqqq'", "digits", "path")


def test_name_comes_before_a_folder_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_idx(tmp_path / "digits")
    assert data.load("digits").image_shape == (8, 8)
    assert data.load("./digits").image_shape == (5, 7)
    assert data.load(tmp_path / "digits").image_shape == (5, 7)


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_idx(tmp_path / "mine")
    assert data.load("~/mine").name == "mine"


def test_home_is_expanded_in_the_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ANALYTIC_DD_DATA", "~/sets")
    assert data.locations()["$ANALYTIC_DD_DATA"] == tmp_path / "sets"


def test_a_user_without_a_home_needs_none(places, monkeypatch, refused):
    import platformdirs

    def none(*_):
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr(platformdirs, "user_cache_dir", none)
    write_idx(places[0] / "mnist")
    assert data.load(entry("mnist")).name == "MNIST"
    assert [line.state for line in data.describe()] == ["embedded", "found", *["not found"] * 3]
    refused(lambda: data.load("cifar10"), "cifar10", "no home folder", "ANALYTIC_DD_DATA")


def test_places_that_may_not_be_read_are_named(places, monkeypatch, refused):
    def denied(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(places[0]), "exists", denied)
    for call in (data.describe, lambda: data.load("mnist"), lambda: data.load(places[0])):
        refused(call, f"cannot read {places[0]}", "permission denied", kind=PermissionError)


def test_description_lists_every_name(places):
    write_idx(places[0] / "fashion-mnist")
    lines = {line.name: line for line in data.describe()}
    assert tuple(lines) == data.names() == ("digits", "mnist", "fashion-mnist", "cifar10", "cifar100")
    assert (lines["digits"].state, lines["digits"].path) == ("embedded", None)
    assert (lines["mnist"].state, lines["mnist"].path, lines["mnist"].size) == ("not found", None, 11_594_722)
    fashion = lines["fashion-mnist"]
    assert (fashion.state, fashion.path) == ("found", places[0] / "fashion-mnist")
    assert fashion.size == sum(file.stat().st_size for file in fashion.path.iterdir()) == 2 * (16 + 700 + 8 + 20)


def test_fetch_needs_no_network_for_what_is_here(places):
    assert data.fetch("digits") is None
    write_idx(places[0] / "fashion-mnist")
    assert data.fetch("fashion-mnist") == places[0] / "fashion-mnist"


def test_registry_is_complete():
    for key, known in REGISTRY.items():
        assert key == known.key
        assert bool(known.forms) == bool(known.files) == (key != "digits")
        for file in known.files:
            assert len(bytes.fromhex(file.sha256)) == 32
            assert file.size > 0
            assert file.urls
            assert all(url.startswith("http") and url.endswith(f"/{file.name}") for url in file.urls)
            if any(url.startswith("http:") for url in file.urls):
                assert file.urls[0].startswith("https:")


def test_import_is_light(modules_after):
    """Neither --help nor data that are on this machine load decoders or what opens the network."""
    heavy = {"PIL", "ssl", "requests", "tqdm", "matplotlib", "torch", "jax"}
    (loaded,) = modules_after("import analytic_dd.data; analytic_dd.data.locations()")
    assert loaded & heavy == set()


def test_sets_of_one_name_are_told_apart_by_their_folders(tmp_path):
    for folder in ("one", "two", "other/two"):
        (tmp_path / folder).mkdir(parents=True)
        np.savez(tmp_path / folder / "data.npz", x=np.eye(10), y=[0, 1] * 5)
    names = [*(tmp_path / folder / "data.npz" for folder in ("one", "two", "other/two")), "digits"]
    loaded = [data.name for data in data.load_several(names)]
    assert loaded == ["one/data", f"{tmp_path.name}/two/data", "other/two/data", "digits"]
    assert [data.name for data in data.load_several(names[:1])] == ["data"]


@pytest.mark.parametrize("name", ["set.v1", "set.v2"])
def test_a_dot_in_the_name_of_a_folder_is_part_of_it(name, tmp_path, write, image):
    files = [(f"{label}/{i}.png", image(np.full((5, 7), i, np.uint8))) for label in "ab" for i in range(5)]
    assert data.load(write["folder"](tmp_path / name, files)).name == name
    assert data.load(write["tar"](tmp_path / f"{name}.tar.gz", files, "w:gz")).name == name
