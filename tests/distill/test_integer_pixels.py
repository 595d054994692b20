"""T24 at the doors: sets of integer pixels from the command line to ordinary image files, and back."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from analytic_dd import RidgeDistiller, cli, data, distill, load_distilled
from analytic_dd.distill import Nearest
from analytic_dd.distill.integers import Pixels, integers_near
from analytic_dd.errors import DataError, InfeasibleError
from analytic_dd.model import FitOptions

READER = """
import csv, json, sys
import numpy as np
from PIL import Image
folder = sys.argv[1]
how = json.load(open(folder + "/set.json"))
with open(folder + "/labels.csv", newline="") as stream:
    head, *rows = csv.reader(stream)
levels = np.stack([np.asarray(Image.open(f"{folder}/{row[0]}")) for row in rows])
assert levels.dtype == np.uint8
X = ((how["low"] + how["step"] * levels - how["mean"]) / how["std"]).reshape(len(rows), -1)
Y = np.array([row[1:] for row in rows], dtype=float)
W = np.linalg.solve(X.T @ X + how["ridge"] * np.eye(X.shape[1]), X.T @ Y).T
np.save(folder + "/w.npy", W)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A set of bytes from the command line, and its export."""
    out, rng = tmp_path_factory.mktemp("bytes"), np.random.default_rng(0)
    digits = data.load("digits")
    noise = rng.integers(0, 60, (len(digits.y_train), 16, 16))
    larger = 12 * np.kron(digits.x_train, np.ones((2, 2), np.uint8)) + noise
    np.savez(out / "larger.npz", x=larger.astype(np.uint8), y=digits.y_train)
    words = ["distill", "--data", str(out / "larger.npz"), "--mode", "nearest", "--ipc", "10", "--pixels", "bytes"]
    words += ["--distilled-ridge", "0.5"]
    assert cli.main([*words, "--no-picture", "--out", str(out)]) == 0
    assert cli.main(["export", str(out), "--to", "folder", "--out", str(out / "png")]) == 0
    return out


def test_a_fresh_process_reads_100_png_files_and_a_table_and_fits_the_model(folder, ratio):
    subprocess.run([sys.executable, "-c", READER, str(folder / "png")], check=True, timeout=120)
    stored, W = load_distilled(folder), np.load(folder / "png" / "w.npy")
    assert len(list((folder / "png").glob("*.png"))) == 100
    condition = stored.verify().condition
    assert ratio(W, stored.w, size=max(stored.inputs.shape), amplification=condition**2) < 30
    assert 0.0 < stored.meta["error_to_original"] <= 1e-4
    assert stored.meta["error_to_original"] < 1e-2 * stored.meta["integers"]["rounding_error"]


def test_inputs_follow_from_the_levels_to_the_last_bit(folder):
    stored = load_distilled(folder)
    assert stored.levels.dtype == np.uint8
    x = stored.low + stored.step * stored.levels.astype(np.float64)
    assert np.array_equal(x, stored.x)
    assert np.array_equal(((x - stored.mean) / stored.std).reshape(stored.inputs.shape), stored.inputs)
    exactly = [float(stored.step) * 2.0**60 % 1.0, float(stored.low) * 2.0**60 % 1.0]
    assert exactly == [0.0, 0.0]  # low + step * level is no rounding, so every machine has the same inputs


def test_the_report_says_what_integers_miss(folder, capsys, ratio):
    assert (
        cli.main(["distill", "--mode", "nearest", "--ipc", "2", "--pixels", "uint16", "--out", str(folder / "b")]) == 0
    )
    out = capsys.readouterr().out
    for said in (
        "pixels are uint16, x = ",
        "plain rounding to the same levels by",
        "(T24)",
        "no level is further than",
    ):
        assert said in out
    assert "rounded to 8 bits" not in out
    report = json.loads((folder / "b" / "report.json").read_text())
    lost = {"size": 64, "amplification": report["certificate"]["condition"] ** 2, "unit": 1.0}
    assert ratio(report["integers"]["error"], report["error_to_original"], **lost) < 30
    assert report["certificate"]["verdict"] == "pass"


def test_levels_that_are_not_those_of_the_inputs_are_refused(folder):
    stored = load_distilled(folder)
    other = stored.levels.copy()
    other[3, 2, 1] ^= 1
    with pytest.raises(DataError, match="inputs must be those of levels, got a difference"):
        replace(stored, levels=other)
    with pytest.raises(DataError, match="levels must be uint8 or uint16"):
        replace(stored, levels=stored.levels.astype(np.int64))
    with pytest.raises(DataError, match="levels, low and step"):
        replace(stored, low=None)


def test_channels_have_their_own_normalisation_and_one_code(ratio):
    rng = np.random.default_rng(4)
    x = rng.integers(0, 256, (120, 5, 7, 3)) * np.array([1.0, 0.5, 0.25])
    colours = data.Dataset.from_arrays(x.astype(np.uint8), np.arange(120) % 3)
    for intercept in (False, True):
        fit = FitOptions(ridge=10.0, intercept=intercept)
        made = distill(colours, construction=Nearest(points_per_class=8, pixels="bytes", pixel_error=1e-6), fit=fit)
        exact = distill(colours, construction=Nearest(points_per_class=8), fit=fit)
        assert np.linalg.norm(made.w - exact.w) <= 1e-6 * np.linalg.norm(exact.w)
        assert np.ptp(made.std) > 10.0
        assert made.verify().verdict == "pass"
        assert np.abs(made.x - exact.x).max() <= 1.01 * float(made.step) * made.meta["integers"]["largest_change"]


def test_the_estimator_has_integers_of_its_own_inputs(ratio):
    X, y = data.load("digits").x_train.reshape(-1, 64) / 16.0, data.load("digits").y_train
    model = RidgeDistiller(mode="nearest", points_per_class=6, pixels="bytes", random_state=0).fit(X, y)
    exact = RidgeDistiller(mode="nearest", points_per_class=6, random_state=0).fit(X, y)
    assert model.certificate_.verdict == "pass"
    assert np.linalg.norm(model.coef_ - exact.coef_) <= 1e-4 * np.linalg.norm(exact.coef_)
    steps = np.diff(np.unique(model.distilled_X_))
    assert len(np.unique(model.distilled_X_)) <= 256
    levels = steps / steps.min()
    assert ratio(levels, np.rint(levels), size=256, amplification=np.abs(model.distilled_X_).max() / steps.min()) < 30


def test_what_has_no_integers_is_refused(capsys):
    digits = data.load("digits")
    with pytest.raises(InfeasibleError, match="integers carry W for features that are pixels, got rff"):
        distill(digits, features="rff:p=30", construction=Nearest(points_per_class=4, pixels="bytes"))
    with pytest.raises(InfeasibleError, match="more points than its rank 10, got 10"):
        distill(digits, construction=Nearest(pixels="bytes"))
    for words, said in (
        (["--box"], "--pixels bytes have a range of their own (T24), got --box"),
        (["--labels", "one-hot"], "pixels is for learned labels"),
        (["--pixel-error", "0"], "--pixel-error must lie between 0 and 1"),
        (["--ipc", "2"], "do not hold the changes of up to"),
    ):
        assert cli.main(["distill", "--mode", "nearest", "--pixels", "bytes", *words]) == 2
        assert said in capsys.readouterr().err
    assert cli.main(["distill", "--pixels", "bytes"]) == 2
    assert "--pixels bytes is an option of --mode nearest" in capsys.readouterr().err


@pytest.mark.parametrize("error", [1e-6, 1e-7])
def test_rows_in_the_proportion_of_what_they_carry_lose_less_than_orthonormal_rows(error):
    """T24 has orthonormal rows. Of the same volume, rows as long as W needs them lose less for the same changes."""
    exact = distill(data.load("digits"), construction=Nearest(points_per_class=4), fit=FitOptions(ridge=143.0))
    W, pixels = exact.w, Pixels(exact.inputs, exact.mean[0], exact.std[0])
    by_size, orthonormal = (integers_near(W, pixels, top=65535, wanted=error, weighted=w) for w in (True, False))
    law = len(W) / (len(exact.inputs) - len(W))  # changes grow as error^-law: brought to one error by it
    cost = [each.largest * (each.error / error) ** law for each in (by_size, orthonormal)]
    assert cost[0] < 0.8 * cost[1]
