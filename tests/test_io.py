"""Stored sets: what is written comes back bit for bit, and certifies as it did."""

import numpy as np
import pytest

from analytic_dd import DataError, files, load_distilled, save_distilled
from analytic_dd.data import Dataset
from analytic_dd.distill import chosen
from analytic_dd.io import DistilledSet, normalised, pixels, to_json
from analytic_dd.model import FitOptions
from analytic_dd.report import run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A distilled set of colour images of 3 classes, 4 x 5 pixels, with an intercept."""
    rng = np.random.default_rng(2)
    y = np.repeat(np.arange(3), 40)
    x = rng.integers(0, 256, (120, 4, 5, 3), dtype=np.uint8)
    names = ("red", "green", "blue")
    dataset = Dataset.from_arrays(x, y, x[::3], y[::3], name="colours", classes=names, channels="last")
    path = tmp_path_factory.mktemp("set")
    run(dataset, "identity", chosen(points_per_class=2), path, FitOptions(intercept=True))
    return path


def test_arrays_come_back_bit_for_bit(folder, tmp_path):
    stored = load_distilled(folder)
    save_distilled(tmp_path / "again.npz", stored)
    assert (tmp_path / "again.npz").read_bytes() == (folder / "distilled.npz").read_bytes()
    assert stored.classes.tolist() == ["red", "green", "blue"]
    assert stored.inputs.dtype == stored.y.dtype == stored.w.dtype == np.float64


def test_certificate_is_the_one_that_was_stored(folder):
    stored = load_distilled(folder)
    again, kept = stored.certify().to_dict(), stored.meta["certificate"]
    assert again["verdict"] == kept["verdict"] == "pass"
    assert again == kept


def test_images_are_inputs_in_pixel_units_channels_last(folder):
    stored = load_distilled(folder)
    assert stored.x.shape == (7, 4, 5, 3)
    assert np.array_equal(stored.x, stored.inputs.reshape(stored.x.shape) * stored.std + stored.mean)
    difference = stored.inputs_from_pixels() - stored.inputs
    assert np.abs(difference).max() < 30 * np.finfo(float).eps * np.abs(stored.x / stored.std[0]).max()


def test_class_means_are_those_of_the_data(folder):
    rng = np.random.default_rng(2)
    x = rng.integers(0, 256, (120, 4, 5, 3), dtype=np.uint8)
    assert np.array_equal(load_distilled(folder).class_means[1], x[40:80].sum(axis=0, dtype=np.int64) / 40)


def test_a_file_of_another_format_is_refused(folder, tmp_path):
    stored = load_distilled(folder)
    other = DistilledSet(**{**vars(stored), "meta": stored.meta | {"format": "analytic_dd.DistilledSet/99"}})
    save_distilled(tmp_path / "other.npz", other)
    with pytest.raises(DataError, match=r"format 'analytic_dd\.DistilledSet/99', this version reads"):
        load_distilled(tmp_path / "other.npz")


def test_arrays_that_do_not_fit_are_refused(folder):
    stored = load_distilled(folder)
    with pytest.raises(DataError, match="y has another shape"):
        DistilledSet(**{**vars(stored), "y": stored.y[:-1]})


@pytest.mark.parametrize("mode", ["nearest", "one-image"])
def test_references_come_back_bit_for_bit_and_in_pixel_units(tmp_path, mode):
    rng = np.random.default_rng(2)
    x, y = rng.integers(0, 256, (120, 4, 5, 3), dtype=np.uint8), np.repeat(np.arange(3), 40)
    run(Dataset.from_arrays(x, y, name="colours", channels="last"), "identity", chosen(mode=mode), tmp_path)
    stored = load_distilled(tmp_path)
    assert np.array_equal(stored.references, x[stored.meta["reference_rows"]])
    assert stored.references.dtype == np.float64
    save_distilled(tmp_path / "again.npz", stored)
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "distilled.npz").read_bytes()
    for wrong in (np.zeros((3, 4, 5)), np.zeros((7, 4, 5, 3))):
        with pytest.raises(DataError, match="references has another shape"):
            DistilledSet(**{**vars(stored), "references": wrong})


def test_normalised_undoes_pixels(ratio):
    rng = np.random.default_rng(0)
    inputs, mean, std = rng.standard_normal((3, 24)), np.array([1.0, 10.0, 5.0]), np.array([2.0, 3.0, 0.5])
    stored = pixels(inputs, mean, std, (2, 4, 3))
    lost = np.linalg.norm(stored) / np.linalg.norm(inputs) / std.min()  # the mean takes digits away
    assert ratio(normalised(stored, mean, std), inputs, size=1, amplification=lost) < 30


def test_pixels_multiply_by_channel():
    x = pixels(np.ones((1, 4)), np.array([1.0, 10.0]), np.array([2.0, 3.0]), (1, 2, 2))
    assert x.tolist() == [[[[3.0, 13.0], [3.0, 13.0]]]]


def test_json_is_strict():
    assert to_json({"a": np.float64(1.5), "b": np.inf, "c": np.arange(2), "d": (True, None)}) == (
        '{"a": 1.5, "b": null, "c": [0, 1], "d": [true, null]}'
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"distilled_ridge": None}, "must hold a valid distilled_ridge"),
        ({"distilled_ridge": -1.0}, "must hold a valid distilled_ridge"),
        ({"distilled_ridges": 3}, "must hold a valid distilled_ridges"),
        ({"distilled_ridges": [0.0, 2.0]}, "a set for 2 ridges must have a path of weights"),
        ({"features": None}, "must hold a valid features"),
        ({"features": "identity"}, "must hold a valid features"),
        ({"data": None, "diagnostics": {}}, "must hold a valid data, diagnostics"),
        ({"certificate": "pass"}, "must hold a valid certificate"),
        ({"certificate": {"relative_error": 0.0, "bound": "abc"}}, "must hold a valid certificate"),
        ({"loss": ["squared"]}, "must hold a valid loss"),
        ({"reference_classes": [0, 3]}, "must hold a valid reference_classes"),
    ],
)
def test_a_meta_that_later_readers_could_not_use_is_refused(folder, change, message):
    stored = load_distilled(folder)
    meta = stored.meta | change
    with pytest.raises(DataError, match=message):
        DistilledSet(**{**vars(stored), "meta": {name: value for name, value in meta.items() if value is not None}})


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("w", lambda w: w[0], r"w \(k, p\) and x .* got "),
        ("std", np.zeros_like, r"std must be > 0, got 0\.0; the file is damaged"),
        ("x", lambda x: x + 1e-9, "x must be inputs . std . mean, got a difference of up to 1e-09"),
    ],
)
def test_a_changed_array_is_refused_on_loading(folder, tmp_path, name, change, message):
    with np.load(folder / "distilled.npz") as stored:
        arrays = dict(stored)
    np.savez(tmp_path / "changed.npz", **(arrays | {name: change(arrays[name])}))
    with pytest.raises(DataError, match=message):
        load_distilled(tmp_path / "changed.npz")


def test_images_that_another_machine_rounded_are_the_same(folder, tmp_path):
    stored = load_distilled(folder)
    save_distilled(tmp_path / "other.npz", DistilledSet(**{**vars(stored), "x": np.nextafter(stored.x, np.inf)}))
    assert load_distilled(tmp_path / "other.npz").certify().verdict == "pass"


def test_a_file_that_inflates_is_refused_before_it_is_read(folder, tmp_path, monkeypatch):
    with np.load(folder / "distilled.npz") as stored:
        np.savez_compressed(tmp_path / "bomb.npz", **(dict(stored) | {"w": np.zeros((3, 10**7))}))
    monkeypatch.setattr(files, "_read_array", None)  # would raise if called
    with pytest.raises(DataError, match=r"bomb.npz declares 240,.* bytes of arrays in a file of"):
        load_distilled(tmp_path / "bomb.npz")


def test_only_distilled_sets_are_saved(tmp_path):
    with pytest.raises(TypeError, match="expected a DistilledSet, as load_distilled returns, got dict"):
        save_distilled(tmp_path / "a.npz", {})
