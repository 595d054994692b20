"""Statistics files that version 0.1 wrote: they load, with the sums of the samples that they were made of.

Each was made by ``GramStatistics.save`` (``accumulate`` with a state) of 0.1 from the twelve samples below.
"""

from pathlib import Path

import numpy as np
import pytest

from analytic_dd.linalg import GramStatistics, Provenance

STORED = Path(__file__).parents[1] / "data" / "v0.1"
COUNT = np.arange(12.0)
PHI = np.stack([(COUNT * c) % 7 - 3 for c in (1, 2, 3, 5)], axis=1)
Y = np.stack([COUNT % 2, COUNT % 3], axis=1)
W = (COUNT % 3) ** 2


def assert_sums(found, Phi, w):
    """Small integers: every sum is exact, in whatever order it was made."""
    assert (found.n, found.p, found.k, found.weight) == (12, 4, 2, w.sum())
    wanted = (Phi.T * w) @ Phi, (Y.T * w) @ Phi, w @ (Y * Y), w @ Phi, w @ Y
    for name, value in zip(("G", "C", "yy", "sum_phi", "sum_y"), wanted, strict=True):
        assert np.array_equal(getattr(found, name), value), name


def test_weighted_sums_load():
    found = GramStatistics.load(STORED / "weighted.npz")
    assert_sums(found, PHI, W)
    assert found.provenance is None


def test_the_state_of_an_accumulation_loads_with_its_provenance():
    found = GramStatistics.load(STORED / "state.npz")
    assert_sums(found, PHI, np.ones(12))
    assert found.provenance == Provenance.of(
        {"feature map": {"name": "identity", "d": 4}, "mean": [0.1], "labels": "values"},
        data="twelve",
        sha256="ab" * 32,
        start=0,
        stop=12,
    )


def test_sums_of_float32_products_load_with_what_they_are_off_by(tmp_path):
    found = GramStatistics.load(STORED / "float32.npz")
    exact = (0.1 * PHI).T @ (0.1 * PHI)
    assert 0.0 < np.linalg.norm(found.G - exact, 2) <= found.gram_error < 30 * 2.0**-23 * np.trace(exact)


@pytest.mark.parametrize("name", ["weighted", "state", "float32"])
def test_old_files_are_written_again_and_go_on_summing(tmp_path, name):
    found = GramStatistics.load(STORED / f"{name}.npz")
    found.provenance = None
    found.save(tmp_path / "again.npz")
    again = GramStatistics.load(tmp_path / "again.npz")
    assert np.array_equal(again.G, found.G)
    assert again.gram_error == found.gram_error
    more = again.update(PHI, Y)
    assert more.n == 24
    assert np.array_equal(more.G, found.G + PHI.T @ PHI)
