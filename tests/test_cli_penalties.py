"""Several ridges (T11), sample weights and Tikhonov penalties (T12) from the command line, judged on the file."""

import json

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from analytic_dd import cli, data, load_distilled, ridge_weights
from analytic_dd.features import TikhonovScaling

EPS = np.finfo(float).eps


@pytest.fixture
def distil(tmp_path, capsys):
    """Distil the digits and return what is stored and reported."""

    def call(*arguments):
        status = cli.main(["distill", "--out", str(tmp_path / "out"), "--no-picture", "--json", *map(str, arguments)])
        captured = capsys.readouterr()
        assert status == 0, captured.err
        return load_distilled(tmp_path / "out"), json.loads(captured.out)

    return call


@pytest.fixture
def refused(tmp_path, capsys):
    def call(*arguments):
        status = cli.main(["distill", "--out", str(tmp_path / "out"), "--no-picture", *map(str, arguments)])
        captured = capsys.readouterr()
        assert status == 2
        assert len(captured.err.splitlines()) == 1
        assert not (tmp_path / "out").exists()
        return captured.err

    return call


def training_inputs():
    dataset = data.load("digits")
    mean, std = dataset.statistics()
    return dataset, np.concatenate([X for X, _ in dataset.blocks("train", mean=mean, std=std)])


def cond(F, ridge):
    """cond_eff^2 of F^T F + ridge, of the directions that the samples have."""
    values = np.linalg.eigvalsh(F.T @ F)
    return (values[-1] + ridge) / (values[values > 1e-10 * values[-1]][0] + ridge)


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("features", ["identity", "fcnn:depth=2", "rff"])
def test_several_ridges_are_recovered_from_the_file(distil, ratio, features, intercept):
    flags = ["--intercept"] if intercept else []
    stored, report = distil("--features", features, "--ridge", 0.1, 1, 10, *flags)
    assert report["theorem"] == ("T12 on T11" if intercept else "T11")
    assert [row["verdict"] for row in report["recovery_by_ridge"]] == ["pass"] * 3
    assert [row["ridge"] for row in report["recovery_by_ridge"]] == [0.1, 1.0, 10.0]
    dataset, X = training_inputs()
    phi = stored.feature_map
    Phi, Phis, Y = phi(X), phi(stored.inputs), np.eye(10)[dataset.y_train]
    centred = Phi - Phi.mean(axis=0)
    for row, W, ridge in zip(report["recovery_by_ridge"], stored.path, stored.ridges, strict=True):
        wanted = Ridge(alpha=row["ridge"], fit_intercept=intercept, solver="cholesky").fit(Phi, Y).coef_
        got = Ridge(alpha=ridge, fit_intercept=intercept, solver="svd").fit(Phis, stored.y).coef_
        assert ratio(W, wanted, size=64, amplification=cond(centred if intercept else Phi, row["ridge"])) < 30
        assert np.linalg.norm(got - W) <= row["bound"] * np.linalg.norm(W)
        assert row["original"] == row["distilled"]


def test_the_worst_of_several_ridges_decides(distil, tmp_path, capsys):
    stored, _ = distil("--ridge", 0.1, 1, 10)
    path = stored.path.copy()
    path[2] *= 1.0 + 1e-6
    from dataclasses import replace

    from analytic_dd import save_distilled

    save_distilled(tmp_path / "changed.npz", replace(stored, path=path))
    assert cli.main(["verify", str(tmp_path / "changed.npz")]) == 1
    assert "fail" in capsys.readouterr().out
    assert [each.verdict for each in replace(stored, path=path).certificates()] == ["pass", "pass", "fail"]


def test_balanced_weights_are_those_of_scikit_learn(distil, ratio):
    stored, report = distil("--ridge", 1, "--sample-weights", "balanced")
    dataset, X = training_inputs()
    counts = np.bincount(dataset.y_train)
    w = (len(dataset.y_train) / 10 / counts)[dataset.y_train]
    peer = Ridge(alpha=1.0, fit_intercept=False).fit(X, np.eye(10)[dataset.y_train], sample_weight=w)
    assert ratio(stored.w, peer.coef_, size=64, amplification=cond(np.sqrt(w)[:, None] * X, 1.0)) < 30
    assert report["sample_weights"] == "balanced"


@pytest.mark.parametrize("ridge", ["loo", 1.0, 1e-12])
def test_weights_from_a_file_count_as_copies(distil, ratio, tmp_path, ridge):
    dataset, X = training_inputs()
    w = np.random.default_rng(0).integers(1, 4, len(X)).astype(float)
    np.save(tmp_path / "w.npy", w)
    stored, report = distil("--ridge", ridge, "--features", "cnn:depth=1", "--sample-weights", tmp_path / "w.npy")
    Phi, rows = stored.feature_map(X), np.repeat(np.arange(len(X)), w.astype(int))
    wanted = ridge_weights(Phi[rows], np.eye(10)[dataset.y_train[rows]], ridge=report["ridge"])
    assert ratio(stored.w, wanted, size=64, amplification=cond(Phi[rows], report["ridge"])) < 30
    assert report["recovery"]["verdict"] == "pass"


@pytest.mark.parametrize("features", ["identity", "fcnn", "inn"])
def test_tikhonov_penalty_from_a_file(distil, ratio, tmp_path, features):
    gamma = np.random.default_rng(0).uniform(0.5, 4.0, 64)
    np.save(tmp_path / "gamma.npy", gamma)
    stored, report = distil("--features", features, "--ridge", 1, "--tikhonov", tmp_path / "gamma.npy")
    dataset, X = training_inputs()
    Phi = stored.feature_map(X) * np.sqrt(gamma)  # the stored map ends with the division by the root
    Y = np.eye(10)[dataset.y_train]
    wanted = np.linalg.solve(Phi.T @ Phi + np.diag(gamma), Phi.T @ Y).T
    lost = np.linalg.cond(Phi.T @ Phi + np.diag(gamma)) * gamma.max() / gamma.min()
    assert ratio(TikhonovScaling(gamma).weights_of_inputs(stored.w), wanted, size=64, amplification=lost) < 30
    assert report["recovery"]["verdict"] == "pass"
    assert report["tikhonov"] == "given"


def test_bad_files_of_weights_and_penalties_are_refused(refused, tmp_path):
    np.save(tmp_path / "short.npy", np.ones(3))
    assert "must have shape (1437,)" in refused("--sample-weights", tmp_path / "short.npy")
    np.save(tmp_path / "text.npy", np.array(["a"]))
    assert "must hold sample weights as numbers" in refused("--sample-weights", tmp_path / "text.npy")
    np.save(tmp_path / "negative.npy", -np.ones(64))
    assert "penalty must be positive" in refused("--tikhonov", tmp_path / "negative.npy")
    assert "of the size of the features, got 3 for 64" in refused("--tikhonov", tmp_path / "short.npy")
    assert "cannot read" in refused("--tikhonov", tmp_path / "missing.npy")


def test_options_that_several_ridges_leave_no_room_for_are_refused(refused):
    assert "--points 12 does not go with a set for several ridges" in refused("--ridge", 1, 2, "--points", 12)
    assert "several ridges makes its own labels" in refused("--ridge", 1, 2, "--labels", "one-hot")
    assert "got 'loo'" in refused("--ridge", "loo", 2)
