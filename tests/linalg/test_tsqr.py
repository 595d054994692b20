"""Least squares over a stream by QR: an error of eps * cond where the Gram matrix has eps * cond^2."""

import numpy as np
import pytest

from analytic_dd.arrays import to_numpy
from analytic_dd.errors import ShapeError
from analytic_dd.linalg import GramStatistics, StreamingQR

K, P, N = 3, 7, 40
EPS = 2.0**-52


@pytest.fixture
def ill(matrix, rng):
    """Features of condition 1e10 and labels that they fit exactly; the weights 1 .. 21."""
    Phi = matrix(N, P, rng=rng, cond=1e10)
    return Phi, Phi @ np.arange(1.0, 22.0).reshape(K, P).T


def stream(Phi, Y, cuts=()):
    factor = StreamingQR(P, K)
    for start, stop in zip((0, *cuts), (*cuts, N), strict=True):
        factor.update(Phi[start:stop, :], Y[start:stop, :])
    return factor


def test_error_grows_with_cond_where_that_of_the_gram_matrix_grows_with_its_square(ratio, refit, ill):
    wanted = refit(*ill, 0.0)
    by_qr = ratio(stream(*ill).weights(0.0), wanted, size=P, amplification=1e10)
    by_gram = ratio(GramStatistics(P, K).update(*ill).weights(0.0), wanted, size=P, amplification=1e10)
    assert by_qr < 30 < 1e3 < by_gram


def test_weights_are_those_of_the_exact_oracle(summing_library, ratio, refit, rng):
    jax = summing_library.name == "jax"  # which compiles for every shape
    for ridge in [0.0, 1e-3, 10.0]:
        for cuts in [(20,)] if jax else [(), (1,), (5, 9, 10), (37,)]:
            Phi, Y = (
                summing_library.array(rng.standard_normal((N, P))),
                summing_library.array(rng.standard_normal((N, K))),
            )
            W = stream(Phi, Y, cuts).weights(ridge)
            assert isinstance(W, summing_library.kind)
            s = np.linalg.svd(to_numpy(Phi).astype(float), compute_uv=False)
            cond = np.sqrt((s[0] ** 2 + ridge) / (s[-1] ** 2 + ridge))
            assert ratio(W, refit(Phi, Y, ridge), size=N, amplification=cond) < 30


def test_factor_has_the_size_of_the_features_and_labels_whatever_the_stream(ill):
    Phi, Y = ill
    factor = StreamingQR(P, K)
    for _ in range(30):
        factor.update(Phi, Y)
    assert factor.R.shape == (P + K, P + K)
    assert factor.n == 30 * N


def test_merge_equals_the_whole_in_either_order(ratio, refit, ill):
    Phi, Y = ill

    def part(start, stop):
        return StreamingQR(P, K).update(Phi[start:stop], Y[start:stop])

    wanted = refit(Phi, Y, 0.0)
    for merged in (part(0, 5).merge(part(5, N)), part(5, N).merge(part(0, 5)), StreamingQR(P, K).merge(part(0, N))):
        assert merged.n == N
        assert ratio(merged.weights(0.0), wanted, size=P, amplification=1e10) < 30


def test_fewer_samples_than_features_give_the_minimum_norm(ratio, rng):
    Phi, Y = rng.standard_normal((5, P)), rng.standard_normal((5, K))
    W = StreamingQR(P, K).update(Phi, Y).weights(0.0)
    assert ratio(W, (np.linalg.pinv(Phi) @ Y).T, size=P, amplification=np.linalg.cond(Phi)) < 30


def test_float32_data_are_factored_in_float64(summing_library):
    """The column [1, 2^-20, 2^-20] has a norm that float32 rounds to 1: the second column's part would vanish."""
    t = 2.0**-20
    Phi = summing_library.array(np.array([[1.0, 1.0], [t, 0.0], [0.0, t]]))
    Y = summing_library.array(np.array([[5.0], [2 * t], [3 * t]]))
    W = to_numpy(StreamingQR(2, 1).update(Phi, Y).weights(0.0))
    assert np.abs(W - [[2.0, 3.0]]).max() < 30 * EPS * 2**20 * 5


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match="at least one feature"):
        StreamingQR(0, 1)
    with pytest.raises(ShapeError, match="Phi must have 7 columns"):
        StreamingQR(P, K).update(np.ones((2, 5)), np.ones((2, K)))
    with pytest.raises(ShapeError, match=r"got \(7, 3\) and \(5, 3\)"):
        StreamingQR(P, K).merge(StreamingQR(5, K))
    with pytest.raises(ValueError, match="no samples yet"):
        StreamingQR(P, K).weights(0.0)
