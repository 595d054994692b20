"""Distilled sets and statistics that version 0.1 stored: they load, certify, and hold the weights of their data.

Made from digits by its command line: ``distill`` (exact), ``distill --ridge 1 30 900 --intercept`` (several_ridges),
``distill --mode nearest --features fcnn:width=48,bias=true --sample-weights balanced --seed 4`` (nearest), and ``stats
--features fcnn:width=20 --labels centred --sample-weights balanced --seed 3 --shard 1/2`` (half_1; half_2 likewise).
"""

import shutil
from pathlib import Path

import numpy as np
import pytest

from analytic_dd import cli, data, load_distilled, save_distilled
from analytic_dd.features import from_spec
from analytic_dd.linalg import GramStatistics

STORED = Path(__file__).parent / "data" / "v0.1"
SETS = ("exact", "several_ridges", "nearest")


def weights_and_intercept(Phi, Y, ridge, w=None, *, intercept=False):
    """Ridge regression with weights of samples by a least-squares solver on the stacked problem; (W, b)."""
    w = np.ones(len(Phi)) if w is None else w
    centre, mean = (w @ A / w.sum() if intercept else 0.0 * A[0] for A in (Phi, Y))
    root, p = np.sqrt(w)[:, None], Phi.shape[1]
    rows = np.vstack([root * (Phi - centre), np.sqrt(ridge) * np.eye(p)])
    W = np.linalg.lstsq(rows, np.vstack([root * (Y - mean), np.zeros((p, Y.shape[1]))]), rcond=None)[0].T
    return W, mean - W @ centre


def digits(mean, std):
    """Normalised training rows of digits, and their one-hot labels."""
    dataset = data.load("digits", offline=True)
    images = np.asarray(dataset.x_train, dtype=float).reshape(len(dataset.y_train), -1)
    return (images - mean) / std, np.eye(10)[dataset.y_train]


def balanced(Y):
    return (len(Y) / (Y.shape[1] * Y.sum(axis=0)))[Y.argmax(axis=1)]


@pytest.mark.parametrize("name", SETS)
def test_a_set_of_0_1_certifies_for_each_of_its_ridges(name):
    stored = load_distilled(STORED / f"{name}.npz")
    certificates = stored.certificates()
    assert len(certificates) == {"several_ridges": 3}.get(name, 1)
    assert {certificate.verdict for certificate in certificates} == {"pass"}
    assert stored.meta["versions"]["analytic-dd"] == "0.1.0"


@pytest.mark.parametrize("name", SETS)
def test_a_set_of_0_1_refits_to_the_weights_of_its_data(ratio, name):
    stored = load_distilled(STORED / f"{name}.npz")
    several, w = name == "several_ridges", None
    X, Y = digits(stored.mean, stored.std)
    if name == "nearest":
        w = balanced(Y)
    path = stored.path if several else stored.w[None]
    for i, ridge in enumerate(stored.ridges):
        of_data = stored.meta["ridges"][i] if several else stored.meta["ridge"]
        refitted, b = weights_and_intercept(stored.feature_map(stored.inputs), stored.y, ridge, intercept=several)
        wanted, b_data = weights_and_intercept(stored.feature_map(X), Y, of_data, w, intercept=several)
        condition = stored.meta["certificate"]["amplification"]
        assert ratio(refitted, path[i], size=64, amplification=condition) < 30
        # the Gram matrix was solved: the condition of X, squared, which the ridge bounds
        s = np.linalg.svd(stored.feature_map(X), compute_uv=False)
        assert ratio(path[i], wanted, size=64, amplification=s[0] ** 2 / (s[-1] ** 2 + of_data)) < 30
        if several:
            assert ratio(stored.path_intercepts[i], b_data, size=64, amplification=condition) < 30
            assert ratio(b, b_data, size=64, amplification=condition) < 30


def test_what_only_some_sets_hold_is_read():
    nearest = load_distilled(STORED / "nearest.npz")
    assert nearest.references.shape == (10, 8, 8)
    assert nearest.meta["reference_classes"] == list(range(10))
    assert nearest.feature_map.spec()["bias"] is True
    assert load_distilled(STORED / "several_ridges.npz").path.shape == (3, 10, 64)


@pytest.mark.parametrize("name", SETS)
def test_a_set_of_0_1_is_written_again_bit_for_bit(tmp_path, name):
    stored = load_distilled(STORED / f"{name}.npz")
    save_distilled(tmp_path / "again.npz", stored)
    with np.load(STORED / f"{name}.npz") as old, np.load(tmp_path / "again.npz") as new:
        for key in set(old.files) - {"meta"}:
            assert old[key].dtype == new[key].dtype
            assert old[key].tobytes() == new[key].tobytes()


@pytest.mark.parametrize("command", ["verify", "show"])
@pytest.mark.parametrize("name", SETS)
def test_the_command_line_opens_a_set_of_0_1(tmp_path, capsys, command, name):
    shutil.copy(STORED / f"{name}.npz", tmp_path / "distilled.npz")
    assert cli.main([command, str(tmp_path)]) == 0
    assert "pass" in capsys.readouterr().out


def test_statistics_of_0_1_merge_and_are_distilled_to_the_weights_of_the_data(tmp_path, ratio):
    merged = tmp_path / "merged.npz"
    assert cli.main(["merge", str(STORED / "half_1.npz"), str(STORED / "half_2.npz"), "--out", str(merged)]) == 0
    assert GramStatistics.load(merged).n == 1437
    distil = ["distill", "--from-stats", str(merged), "--ridge", "2", "--labels", "centred", "--out", str(tmp_path)]
    assert cli.main(distil) == 0
    stored = load_distilled(tmp_path)
    X, Y = digits(stored.mean, stored.std)
    Phi = from_spec(stored.meta["features"])(X)
    wanted, _ = weights_and_intercept(Phi, Y - 0.1, 2.0, balanced(Y))
    s = np.linalg.svd(Phi, compute_uv=False)
    assert ratio(stored.w, wanted, size=20, amplification=(s[0] / s[-1]) ** 2) < 30
    assert stored.certify().verdict == "pass"


def test_halves_of_0_1_are_not_added_twice(tmp_path, capsys):
    half = str(STORED / "half_1.npz")
    assert cli.main(["merge", half, half, "--out", str(tmp_path / "twice.npz")]) == 2
    assert "samples 0 to 718" in capsys.readouterr().err
    assert not (tmp_path / "twice.npz").exists()
