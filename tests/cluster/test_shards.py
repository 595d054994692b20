"""Shards: together all samples, the same sums as one run, files that merge, bounded memory."""

import os
import pickle
import tracemalloc

import numpy as np
import pytest

from analytic_dd.cluster import ArraySource, dataset_shard, parse_shard, shard_range, shard_tasks
from analytic_dd.data import Dataset
from analytic_dd.errors import DataError
from analytic_dd.features import FullyConnected, Identity
from analytic_dd.linalg import BlockError, GramStatistics, merge_files
from analytic_dd.staging import locked

N, D, K = 103, 12, 3
MEAN, STD = np.array([120.0]), np.array([70.0])


@pytest.fixture
def arrays(rng):
    return rng.integers(0, 256, (N, 3, 4), dtype=np.uint8), rng.integers(0, K, N)


@pytest.fixture
def source(arrays, tmp_path):
    for name, array in zip(("x", "y"), arrays, strict=True):
        np.save(tmp_path / f"{name}.npy", array)
    return ArraySource(str(tmp_path / "x.npy"), str(tmp_path / "y.npy"), name="bytes", sha256="ab")


@pytest.fixture
def phi():
    return FullyConnected([D, 9], rng=np.random.default_rng(0))


def direct(arrays, phi):
    """The sums as one product each, written out."""
    x, y = arrays
    return GramStatistics(phi.p, K).update(phi((x.reshape(len(x), -1) - MEAN[0]) / STD[0]), np.eye(K)[y])


def tasks(source, phi, count, **options):
    return shard_tasks(source, phi, count=count, k=K, mean=MEAN, std=STD, **({"rows": 10} | options))


@pytest.mark.parametrize("count", [1, 2, 7, N])
def test_shards_cover_every_sample_once(count):
    edges = [shard_range(N, i, count) for i in range(1, count + 1)]
    assert [sample for edge in edges for sample in range(*edge)] == list(range(N))
    sizes = {stop - start for start, stop in edges}
    assert max(sizes) - min(sizes) <= 1


def test_shards_that_are_none_are_refused():
    for text in ["", "1", "1/", "/2", "0/3", "4/3", "a/b", "-1/3", "1/3/5", "1.0/2"]:
        with pytest.raises(ValueError, match="a shard is i/N"):
            parse_shard(text)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_weights_of_shards_are_those_of_one_run(source, arrays, phi, ratio, count):
    total = GramStatistics(phi.p, K)
    for task in pickle.loads(pickle.dumps(tasks(source, phi, count))):
        total.merge(task.statistics())
    wanted = direct(arrays, phi)
    s = np.linalg.eigvalsh(wanted.G)
    assert total.n == total.provenance.count == N
    amplification = (s[-1] + 0.1) / (s[0] + 0.1)
    assert ratio(total.weights(0.1), wanted.weights(0.1), size=N, amplification=amplification) < 30


def test_labels_are_coded_as_asked(source, arrays, phi, tmp_path, ratio):
    y = arrays[1]
    (centred,) = tasks(source, phi, 1, labels="centred")
    assert ratio(centred.statistics().sum_y, (np.eye(K)[y] - 1 / K).sum(0), size=N, amplification=N) < 30
    np.save(tmp_path / "values.npy", np.eye(K)[y] + 0.5)
    values = ArraySource(source.x, str(tmp_path / "values.npy"))
    (task,) = tasks(values, phi, 1, labels="values")
    assert ratio(task.statistics().sum_y, (np.eye(K)[y] + 0.5).sum(0), size=N) < 30
    with pytest.raises(ValueError, match="unknown labels 'soft'"):
        tasks(source, phi, 1, labels="soft")
    with pytest.raises(BlockError, match=r"labels must be 10 integers 0 \.\. 2, got dtype float64"):
        tasks(values, phi, 1)[0].statistics()


def test_shards_merge_from_files_and_differences_are_refused(source, arrays, phi, tmp_path):
    paths = [tmp_path / f"{i}.npz" for i in range(3)]
    for task, path in zip(tasks(source, phi, 3), paths, strict=True):
        task.statistics().save(path)
    total = merge_files(paths)
    wanted = direct(arrays, phi)
    assert total.n == N
    assert np.linalg.norm(total.G - wanted.G) <= 30 * 2.0**-52 * N * np.linalg.norm(wanted.G)
    with pytest.raises(DataError, match="samples 0 to 34 of 'bytes' are in both sums"):
        merge_files([paths[0], paths[1], paths[0]])
    other = FullyConnected([D, 9], rng=np.random.default_rng(1))
    tasks(source, other, 3)[2].statistics().save(paths[2])
    with pytest.raises(DataError, match=r"2\.npz does not merge .* different feature map: rng do not add"):
        merge_files(paths)


def test_interrupted_task_resumes_to_the_same_bits(source, phi, tmp_path, monkeypatch):
    (task,) = tasks(source, phi, 1)
    whole, features_of, done = task.statistics(), type(task).features_of, []

    def stops(self, x, y):
        done.append(len(x))
        if sum(done) > 50:
            raise KeyboardInterrupt
        return features_of(self, x, y)

    monkeypatch.setattr(type(task), "features_of", stops)
    with pytest.raises(KeyboardInterrupt):
        task.statistics(state=tmp_path / "state.npz")
    assert 0 < GramStatistics.load(tmp_path / "state.npz").n <= 50
    monkeypatch.setattr(type(task), "features_of", features_of)
    assert np.array_equal(task.statistics(state=tmp_path / "state.npz").G, whole.G)


def test_memory_is_bounded_by_the_block(tmp_path):
    n, d = 40_000, 100
    np.save(tmp_path / "x.npy", np.ones((n, d), np.uint8))
    np.save(tmp_path / "y.npy", np.zeros(n, np.int64))
    source = ArraySource(str(tmp_path / "x.npy"), str(tmp_path / "y.npy"))
    (task,) = shard_tasks(source, Identity(d), count=1, k=2, mean=np.zeros(1), std=np.ones(1), rows=500)
    tracemalloc.start()
    try:
        task.statistics()
        assert tracemalloc.get_traced_memory()[1] < 10 * 8 * 500 * d + 10 * 8 * d * d < 8 * n * d / 2
    finally:
        tracemalloc.stop()


def test_shards_of_a_data_set(arrays, phi, tmp_path):
    x, y = arrays
    data = Dataset.from_arrays(x, y)
    whole = dataset_shard(data, phi, mean=MEAN, std=STD, rows=10)
    wanted = direct(arrays, phi)
    assert np.linalg.norm(whole.G - wanted.G) <= 30 * 2.0**-52 * N * np.linalg.norm(wanted.G)
    assert whole.provenance.agree["classes"] == [0, 1, 2]
    assert whole.provenance.agree["feature map"] == phi.spec()
    assert whole.provenance.samples[0].sha256 == data.sha256
    paths = [tmp_path / f"{i}.npz" for i in (1, 2)]
    for i, path in enumerate(paths, start=1):
        dataset_shard(data, phi, shard=(i, 2), mean=MEAN, std=STD, rows=10).save(path)
    assert merge_files(paths).provenance == whole.provenance
    dataset_shard(data, phi, shard=(2, 2), mean=MEAN + 1, std=STD).save(paths[1])
    with pytest.raises(DataError, match=r"different mean do not add: \[120\.0\] and \[121\.0\]"):
        merge_files(paths)


def test_weighted_shards_are_the_weighted_whole(arrays, phi, tmp_path):
    x, y = arrays
    data, w = Dataset.from_arrays(x, y), np.random.default_rng(0).uniform(0.0, 3.0, len(y))
    paths = [tmp_path / f"{i}.npz" for i in (1, 2, 3)]
    for i, path in enumerate(paths, start=1):
        dataset_shard(data, phi, shard=(i, 3), mean=MEAN, std=STD, sample_weight=w, rows=10).save(path)
    sums = merge_files(paths)
    Phi = phi((x.reshape(len(x), -1) - MEAN) / STD)
    wanted = GramStatistics(phi.p, 3).update(Phi, np.eye(3)[y], sample_weight=w)
    for name in ("G", "C", "sum_phi", "sum_y", "weight"):
        one, two = getattr(sums, name), getattr(wanted, name)
        assert np.linalg.norm(one - two) <= 30 * 2.0**-52 * N * np.linalg.norm(two)
    assert sums.n == N
    dataset_shard(data, phi, shard=(3, 3), mean=MEAN, std=STD, rows=10).save(paths[2])
    with pytest.raises(DataError, match=r"different sample weights do not add: 'given' and None"):
        merge_files(paths)
    with pytest.raises(ValueError, match=r"sample weights must have shape \(103,\)"):
        dataset_shard(data, phi, mean=MEAN, std=STD, sample_weight=w[1:])


def test_zarr_and_npy_give_the_same_bits(source, arrays, phi, tmp_path):
    import zarr

    for name, array in zip(("x", "y"), arrays, strict=True):
        stored = zarr.create_array(
            str(tmp_path / f"{name}.zarr"), shape=array.shape, dtype=array.dtype, chunks=(16, *array.shape[1:])
        )
        stored[...] = array
    other = ArraySource(str(tmp_path / "x.zarr"), str(tmp_path / "y.zarr"), name="bytes", sha256="ab")
    one, two = (tasks(s, phi, 1)[0].statistics() for s in (source, other))
    assert np.array_equal(one.G, two.G)
    assert one.provenance == two.provenance


def test_sources_that_are_none_are_refused(source, tmp_path):
    (tmp_path / "text.npy").write_text("no array")
    (tmp_path / "folder").mkdir()
    np.save(tmp_path / "short.npy", np.zeros(5, int))
    np.save(tmp_path / "objects.npy", np.array([{}, 1], dtype=object), allow_pickle=True)
    for name in ("text.npy", "folder", "objects.npy", "short.npy"):
        with pytest.raises(DataError, match=name):
            ArraySource(source.x, str(tmp_path / name)).open()
    for name in ("none.npy", "none.zarr"):
        with pytest.raises(FileNotFoundError, match=f"cannot read .*{name}"):
            ArraySource(source.x, str(tmp_path / name)).open()


def test_truncated_file_in_the_middle_of_the_stream_is_named(arrays, phi, tmp_path):
    """A zarr chunk that is damaged; the sums before it are kept."""
    import zarr

    for name, array in zip(("x", "y"), arrays, strict=True):
        stored = zarr.create_array(
            str(tmp_path / name), shape=array.shape, dtype=array.dtype, chunks=(10, *array.shape[1:])
        )
        stored[...] = array
    chunk = tmp_path / "x" / "c" / "5" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:10])
    (task,) = tasks(ArraySource(str(tmp_path / "x"), str(tmp_path / "y")), phi, 1)
    with pytest.raises(BlockError, match="samples 50 to 60 cannot be added"):
        task.statistics(state=tmp_path / "state.npz")
    assert GramStatistics.load(tmp_path / "state.npz").n == 50


def test_paths_may_be_paths_and_begin_with_the_home(source, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for made in (ArraySource(tmp_path / "x.npy", tmp_path / "y.npy"), ArraySource("~/x.npy", "~/y.npy")):
        assert (made.x, made.y) == (source.x, source.y)
        assert pickle.loads(pickle.dumps(made)) == made


@pytest.mark.parametrize("name", ["x.npy", "y.npy"])
def test_a_pipe_or_text_in_the_place_of_numbers_is_refused(source, tmp_path, name):
    np.save(tmp_path / name, np.array(["a"] * N))
    with pytest.raises(DataError, match=f"{name} must hold numbers, got dtype <U1"):
        source.open()
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match=f"{name} is not a regular file"):
        source.open()


def test_labels_in_a_column_or_without_sign_are_labels(source, arrays, phi, tmp_path):
    wanted = tasks(source, phi, 1)[0].statistics()
    for y in (arrays[1][:, None], arrays[1].astype(np.uint64)):
        np.save(tmp_path / "y.npy", y)
        assert np.array_equal(tasks(source, phi, 1)[0].statistics().C, wanted.C)


def test_two_processes_do_not_go_on_from_one_state(source, phi, tmp_path):
    (task,) = tasks(source, phi, 1)
    with (
        locked(tmp_path, "sums.npz"),
        pytest.raises(DataError, match=f"process {os.getpid()} on .* is writing to .*sums.npz; wait"),
    ):
        task.statistics(state=tmp_path / "sums.npz")
    first = task.statistics(state=tmp_path / "sums.npz")
    assert first.n == N
    assert np.array_equal(task.statistics(state=tmp_path / "sums.npz").G, first.G)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["sums.npz", "x.npy", "y.npy"]
