"""``distill --dask``: workers sum the samples (T13), and the set is that of one process but for rounding."""

import numpy as np
import pytest

from analytic_dd import load_distilled
from analytic_dd.cli import main
from analytic_dd.data import Reading
from analytic_dd.errors import DataError
from analytic_dd.model.shard import NamedData, NamedShard

N, D, K = 70, 6, 3


@pytest.fixture(scope="module")
def address():
    """Two workers, threads of this process."""
    from distributed import Client

    with Client(processes=False, n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as client:
        yield client.scheduler.address


@pytest.fixture
def folder(tmp_path, monkeypatch, rng):
    monkeypatch.chdir(tmp_path)
    x, y = rng.standard_normal((N, D)) + 3.0, np.arange(N) % K
    np.savez("set.npz", x_train=x[:61], y_train=y[:61], x_test=x[61:], y_test=y[61:])
    np.save("table.npy", np.column_stack([x, 1e6 * x @ np.arange(D) + 1e5 * rng.standard_normal(N)]))
    np.save("weights.npy", np.arange(61) % 4 / 2.0)  # every fourth sample has weight 0
    return tmp_path


def samples(words):
    """The rows that a command reads, without the part for tests of its own."""
    return np.load("table.npy")[:, :-1] if "table" in words else np.load("set.npz")["x_train"]


@pytest.mark.parametrize(
    "words",
    [
        "--data set.npz --ridge loo --intercept --sample-weights weights.npy --labels centred",
        "--data set.npz --ridge 0.5 --features fcnn:depth=1 --mode nearest --ipc 2",
        "--data table.npy --target 6 --task regress --ridge 0.5",
    ],
)
def test_workers_make_the_set_of_one_process(address, folder, ratio, words):
    assert main(["distill", "--no-picture", *words.split(), "--out", "here"]) == 0
    assert main(["distill", "--no-picture", *words.split(), "--dask", address, "--out", "there"]) == 0
    here, there = load_distilled("here"), load_distilled("there")
    assert here.meta["samples"] == there.meta["samples"]
    assert ratio(there.meta["ridge"], here.meta["ridge"], size=N) < 30
    for name in ("mean", "std"):
        assert ratio(getattr(there, name), getattr(here, name), size=N) < 30
    s = np.linalg.svd(here.feature_map((samples(words) - here.mean) / here.std), compute_uv=False)
    assert ratio(there.w, here.w, size=N, amplification=(s[0] ** 2 + here.ridge) / (s[-1] ** 2 + here.ridge)) < 30
    assert there.verify().verdict == "pass"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--loss softmax", "--loss softmax reads the samples in every step, and sums have none; leave out --dask"),
        ("--solver dual", "--solver dual keeps the samples, and workers send sums"),
        ("--dtype float32", "Dask workers sum in float64 on CPUs, got --dtype float32"),
        ("--dask nowhere", "no Dask scheduler answers at nowhere"),
        ("--dask 0", "dask must be local, a number of workers >= 1 or a scheduler's address, got 0"),
        ("--from-stats sums.npz", "leave out --dask beside --from-stats"),
    ],
)
def test_what_workers_cannot_do_is_one_line(address, folder, capsys, words, said):
    data = [] if "--from-stats" in words else ["--data", "set.npz"]
    assert main(["distill", "--no-picture", *data, "--dask", address, *words.split()]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_worker_that_reads_other_data_is_refused(folder):
    named = NamedData("set.npz", "ab", Reading())
    task = NamedShard(named, {"map": "identity"}, (0.0,) * D, (1.0,) * D, "one-hot", (1, 1))
    with pytest.raises(DataError, match=r"a Dask worker reads another 'set\.npz' than this machine"):
        task.statistics()
