"""Two Dask workers on loopback: the weights of one run; a worker that is killed changes no bit."""

import os
import signal
import time

import numpy as np
import pytest

from analytic_dd.cluster import ArraySource, dask_array_statistics, dask_statistics, shard_tasks
from analytic_dd.errors import DataError
from analytic_dd.features import FullyConnected, Identity
from analytic_dd.linalg import BlockError, GramStatistics

N, D, K = 3001, 12, 3
MEAN, STD = np.array([120.0]), np.array([70.0])
PHI = FullyConnected([D, 9], rng=np.random.default_rng(0))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("source"), np.random.default_rng(5)
    np.save(folder / "x.npy", rng.integers(0, 256, (N, D), dtype=np.uint8))
    np.save(folder / "y.npy", rng.integers(0, K, N))
    return ArraySource(str(folder / "x.npy"), str(folder / "y.npy"), name="bytes", sha256="ab")


def tasks(source, count, rows=100):
    return shard_tasks(source, PHI, count=count, k=K, mean=MEAN, std=STD, rows=rows)


def one_after_another(tasks):
    """The tree of the module by hand, in this process."""
    sums = [task.statistics() for task in tasks]
    while len(sums) > 1:
        pairs = [GramStatistics(PHI.p, K).merge(a).merge(b) for a, b in zip(sums[::2], sums[1::2], strict=False)]
        sums = pairs + sums[2 * len(pairs) :]
    return sums[0]


def assert_same_bits(one, other):
    for name in ("G", "C", "yy", "sum_phi", "sum_y", "n", "weight", "provenance"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


def assert_weights_of_one_run(ratio, sums, source):
    whole = tasks(source, 1)[0].statistics()
    s = np.linalg.eigvalsh(whole.G)
    amplification = (s[-1] + 0.1) / (s[0] + 0.1)
    assert ratio(sums.weights(0.1), whole.weights(0.1), size=N, amplification=amplification) < 30
    assert sums.provenance == whole.provenance


@pytest.mark.parametrize("count", [1, 2, 5])
def test_weights_are_those_of_one_run(client, ratio, source, count):
    made = tasks(source, count)
    sums = dask_statistics(made, client)
    assert sums.n == N
    assert_weights_of_one_run(ratio, sums, source)
    assert_same_bits(sums, one_after_another(made))


def test_dask_arrays_of_chunks(client, ratio, source):
    import dask.array as da

    x, y = source.open()
    x, y = da.from_array(np.asarray(x), chunks=(400, D)), da.from_array(np.asarray(y), chunks=400)
    (task,) = tasks(source, 1)
    sums = dask_array_statistics(x, y, client, task=task, chains=2)
    assert sums.n == N
    assert_weights_of_one_run(ratio, sums, source)
    with pytest.raises(DataError, match="chunked along the samples only and alike"):
        dask_array_statistics(x.rechunk((400, 5)), y, client, task=task, chains=2)
    with pytest.raises(DataError, match="chunked along the samples only and alike"):
        dask_array_statistics(x, y.rechunk(300), client, task=task, chains=2)


def test_chunks_that_a_filter_emptied_are_no_chunks(client, source):
    import dask.array as da

    x, y = (np.asarray(array) for array in source.open())
    (task,) = tasks(source, 1)
    for kept, chains in ((np.arange(N) >= 800, 2), (np.arange(N) % 800 < 400, 9)):
        some = da.from_array(kept, chunks=400)
        some_x = da.from_array(x, chunks=(400, D))[some].compute_chunk_sizes()
        some_y = da.from_array(y, chunks=400)[some].compute_chunk_sizes()
        assert 0 in some_x.chunks[0]
        sums = dask_array_statistics(some_x, some_y, client, task=task, chains=chains)
        Phi, Y = task.features_of(x[kept], y[kept])
        assert sums.n == kept.sum()
        assert np.linalg.norm(sums.G - Phi.T @ Phi) <= 30 * 2**-52 * N * np.linalg.norm(sums.G)
        assert np.array_equal(sums.sum_y, Y.sum(axis=0))
    empty = da.from_array(np.zeros(N, bool), chunks=400)
    none = [da.from_array(a, chunks=c)[empty].compute_chunk_sizes() for a, c in ((x, (400, D)), (y, 400))]
    with pytest.raises(DataError, match="x and y have no sample"):
        dask_array_statistics(*none, client, task=task, chains=2)


@pytest.mark.parametrize("chains", [0, -1])
def test_no_chains_are_refused(source, chains):
    import dask.array as da

    x, y = (da.from_array(np.asarray(array)) for array in source.open())
    with pytest.raises(ValueError, match=f"at least one chain is needed, got {chains}"):
        dask_array_statistics(x, y, None, task=tasks(source, 1)[0], chains=chains)


def test_chunks_of_unknown_sizes_are_named(source):
    import dask.array as da

    x, y = (da.from_array(np.asarray(array)) for array in source.open())
    with pytest.raises(DataError, match=r"call compute_chunk_sizes\(\) of x and of y"):
        dask_array_statistics(x[y > 0], y[y > 0], None, task=tasks(source, 1)[0], chains=1)


def test_corrupt_samples_are_named(client, source, tmp_path):
    x = np.asarray(source.open()[0]).astype(np.float64)
    x[2050, 3] = np.nan
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(BlockError, match=r"samples 2000 to 2100 cannot be added: .*nan at row 50, column 3") as caught:
        dask_statistics(tasks(ArraySource(str(tmp_path / "x.npy"), source.y), 3), client, retries=0)
    assert caught.value.start == 2000


def test_no_tasks_are_refused():
    with pytest.raises(ValueError, match="no tasks to run"):
        dask_statistics([], None)


def test_memory_of_a_worker_does_not_grow_with_the_samples(client, tmp_path):
    """64 MB of features in float64 pass through a worker that grows by far less."""
    n, d = 80_000, 100
    for name, value in (("x", np.ones((n, d), np.uint8)), ("y", np.zeros(n, np.int64))):
        np.save(tmp_path / f"{name}.npy", value)
    source = ArraySource(str(tmp_path / "x.npy"), str(tmp_path / "y.npy"))
    made = shard_tasks(source, Identity(d), count=2, k=K, mean=MEAN, std=STD, rows=200)

    def peak():
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    before = client.run(peak)
    assert dask_statistics(made, client).n == n
    after = client.run(peak)
    assert set(before) == set(after)
    # 4 MB of bytes are mapped; the features of a worker's share would be 32 MB, and its inputs as much again
    assert all(after[worker] - before[worker] < 24 for worker in before)


def test_worker_killed_in_the_middle_changes_no_bit(client, source):
    """Last in this file: one worker is left."""
    for nanny in client.cluster.workers.values():
        nanny.close_gracefully()  # no worker is started in the place of one that is gone
    made = tasks(source, 2, rows=4)  # 375 blocks a task: longer than what is waited below
    pending = []

    class Watching:
        """Passes everything on, and kills a worker once its task has run for a while."""

        def submit(self, function, *args, **options):
            future = client.submit(function, *args, **options)
            if len(pending) < 2:
                pending.append(future)
                if len(pending) == 2:
                    self.kill()
            return future

        def kill(self):
            workers = client.run(os.getpid)
            for _ in range(600):
                busy = [worker for worker, keys in client.processing().items() if keys]
                if busy:
                    break
                time.sleep(0.01)
            time.sleep(0.05)
            states = [future.status for future in pending]
            os.kill(workers[busy[0]], signal.SIGKILL)
            assert "pending" in states

    sums = dask_statistics(made, Watching())
    assert sums.n == N
    assert_same_bits(sums, one_after_another(made))
