"""Arrays of over 2^31 entries, as views of a short stream: no index, count or sum of theirs fits into 32 bits."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from analytic_dd.data.normalisation import channel_moments
from analytic_dd.linalg import GramStatistics

pytestmark = pytest.mark.slow  # each entry is read


def test_moments_of_bytes():
    """Sample i is the stream from i on; every byte of the stream is counted as often as it comes."""
    n, d = 700_000, 3_072
    stream = np.random.default_rng(0).integers(0, 256, n + d - 1, dtype=np.uint8)
    x = sliding_window_view(stream, d).reshape(n, 32, 32, 3)
    assert x.size > 2**31
    assert x.base is not None
    mean, std = channel_moments(x, 3)
    for channel in range(3):
        taken = np.zeros(n + d - 1, dtype=np.int64)
        for place in range(channel, d, 3):
            taken[place : place + n] += 1
        count, total, squares = (int(taken @ stream.astype(np.int64) ** power) for power in (0, 1, 2))
        assert mean[channel] == total / count
        assert std[channel] == np.sqrt((count * squares - total**2) / count**2)


def test_sums_of_features(ratio):
    n, p = 2**31 // 24 + 1, 24
    stream = np.random.default_rng(0).standard_normal(n + p - 1)
    Phi, Y = sliding_window_view(stream, p), np.broadcast_to(np.ones((1, 1)), (n, 1))
    assert Phi.size > 2**31
    sums = GramStatistics(p, 1).update(Phi, Y)
    assert sums.n == n
    wanted = np.empty((p, p))
    wanted[0] = wanted[:, 0] = [stream[:n] @ stream[j : j + n] for j in range(p)]
    for i, j in np.ndindex(p - 1, p - 1):  # a sample later, the first product leaves and another comes
        wanted[i + 1, j + 1] = wanted[i, j] - stream[i] * stream[j] + stream[i + n] * stream[j + n]
    assert ratio(sums.G, wanted, size=np.sqrt(n)) < 30
    wanted = np.array([stream[i : i + n].sum() for i in range(p)])
    assert ratio(sums.C[0], wanted, size=np.sqrt(n), unit=np.abs(stream).sum()) < 30
