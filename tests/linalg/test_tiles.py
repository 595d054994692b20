"""Gram matrices by tiles of columns: every tile once, and a sum that is symmetric whenever it is looked at (T13)."""

import itertools
import pickle

import numpy as np
import pytest

from analytic_dd.linalg import GramStatistics, tiles


@pytest.mark.parametrize("p", [1, 7, 800, 801, 1601, 4000])
def test_tiles_cover_every_column_once(p):
    found = tiles.tiles(p)
    assert np.array_equal(np.concatenate([np.arange(p)[tile] for tile in found]), np.arange(p))
    widths = [tile.stop - tile.start for tile in found]
    assert max(widths) <= 800
    assert max(widths) - min(widths) <= 1


def test_integers_are_summed_exactly(monkeypatch):
    for width, dtype in itertools.product([1, 2, 3, 7, 100], [np.float32, np.float64]):
        monkeypatch.setattr(tiles, "_WIDTH", width)
        F = np.random.default_rng(0).integers(-9, 10, (30, 7)).astype(dtype)
        G = np.zeros((7, 7))
        tiles.add_gram(G, F[:20])
        tiles.add_gram(G, F[20:])
        tiles.mirror(G)
        assert np.array_equal(G, F.T.astype(float) @ F)


@pytest.mark.parametrize("looks", [(), (0,), (1,), (0, 1, 2)])
def test_sums_are_symmetric_whenever_they_are_looked_at(monkeypatch, tmp_path, looks):
    monkeypatch.setattr(tiles, "_WIDTH", 2)
    rng = np.random.default_rng(1)
    Phi, Y = rng.integers(-9, 10, (30, 7)).astype(float), rng.integers(0, 2, (30, 2)).astype(float)
    sums, other = GramStatistics(7, 2), GramStatistics(7, 2).update(Phi[20:], Y[20:])
    for step, rows in enumerate((slice(0, 10), slice(10, 20))):
        sums.update(Phi[rows], Y[rows])
        if step in looks:
            assert np.array_equal(sums.G, Phi[: rows.stop].T @ Phi[: rows.stop])
    if 2 in looks:
        assert np.array_equal(other.G, other.G.T)
    assert np.array_equal(pickle.loads(pickle.dumps(sums)).G, Phi[:20].T @ Phi[:20])
    left = sums.merge(other).subtract(GramStatistics(7, 2).update(Phi[:5], Y[:5]))
    assert np.array_equal(left.G, Phi[5:].T @ Phi[5:])
    left.update(Phi[:5], Y[:5]).save(tmp_path / "sums.npz")
    assert np.array_equal(GramStatistics.load(tmp_path / "sums.npz").G, Phi.T @ Phi)
