"""Statistics in files: bit for bit, and damage is refused."""

import numpy as np
import pytest

from analytic_dd.arrays import to_numpy
from analytic_dd.errors import DataError
from analytic_dd.files import read_npz, write_npz
from analytic_dd.linalg import GramStatistics

K, P, N = 3, 7, 40


@pytest.fixture
def path(tmp_path, rng):
    path = tmp_path / "sums.npz"
    GramStatistics(P, K).update(rng.standard_normal((N, P)), rng.standard_normal((N, K))).save(path)
    return path


def test_sums_come_back_bit_for_bit(summing_library, tmp_path, rng):
    Phi, Y = summing_library.array(rng.standard_normal((N, P))), summing_library.array(rng.standard_normal((N, K)))
    saved = GramStatistics(P, K).update(Phi, Y)
    saved.save(tmp_path / "sums.npz")
    loaded = GramStatistics.load(tmp_path / "sums.npz")
    assert (loaded.n, loaded.p, loaded.k) == (N, P, K)
    for name in ("G", "C", "yy", "sum_phi", "sum_y"):
        assert np.array_equal(getattr(loaded, name), to_numpy(getattr(saved, name)))
    loaded.save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "sums.npz").read_bytes()


def test_loaded_sums_go_on_summing(path, rng, ratio):
    loaded, more = GramStatistics.load(path), (rng.standard_normal((5, P)), rng.standard_normal((5, K)))
    G = loaded.G.copy()
    assert ratio(loaded.update(*more).G, G + more[0].T @ more[0], size=5) < 30
    assert loaded.n == N + 5


def test_empty_statistics_are_not_saved(tmp_path):
    with pytest.raises(ValueError, match="the statistics are empty"):
        GramStatistics(P, K).save(tmp_path / "sums.npz")
    assert list(tmp_path.iterdir()) == []


DAMAGES = {
    "no format": lambda a: a.pop("format"),
    "another version": lambda a: a.update(format=np.frombuffer(b"analytic_dd.GramStatistics/9", np.uint8)),
    "no C": lambda a: a.pop("C"),
    "C a vector": lambda a: a.update(C=a["C"][0]),
    "C empty": lambda a: a.update(C=a["C"][:0]),
    "no G": lambda a: a.pop("G"),
    "G of another size": lambda a: a.update(G=a["G"][:-1, :-1]),
    "G of integers": lambda a: a.update(G=np.ones((P, P), dtype=int)),
    "G not finite": lambda a: a["G"].__setitem__((1, 1), np.nan),
    "G not symmetric": lambda a: a["G"].__setitem__((1, 0), 1e3),
    "yy of another size": lambda a: a.update(yy=np.ones(K + 1)),
    "yy infinite": lambda a: a["yy"].__setitem__(0, np.inf),
    "sum_y of text": lambda a: a.update(sum_y=np.array(["a", "b", "c"])),
    "no samples": lambda a: a.update(n=np.asarray(0)),
    "fewer than no samples": lambda a: a.update(n=np.asarray(-1)),
    "half a sample": lambda a: a.update(n=np.asarray(0.5)),
    "many n": lambda a: a.update(n=np.arange(3)),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_contradictions_are_refused(path, damage):
    arrays = read_npz(path)
    damage(arrays)
    write_npz(path, arrays)
    with pytest.raises(DataError, match=r"sums\.npz"):
        GramStatistics.load(path)


def test_other_files_are_refused(path):
    content = path.read_bytes()
    path.write_bytes(content[:-30])
    with pytest.raises(DataError, match="may be damaged"):
        GramStatistics.load(path)
    write_npz(path, {"x": np.ones(3)})
    with pytest.raises(DataError, match="holds no statistics of this version"):
        GramStatistics.load(path)
    with pytest.raises(FileNotFoundError, match="cannot read"):
        GramStatistics.load(path.with_name("none.npz"))
