"""Block conjugate gradients over a stream: the certified error is a bound, and reached; failure has a number."""

import numpy as np
import pytest

from analytic_dd.arrays import to_numpy
from analytic_dd.errors import DivergenceError
from analytic_dd.linalg import GramStatistics
from analytic_dd.ridge import iterate_weights
from analytic_dd.ridge.nystrom import Nystrom

N, P, K = 90, 37, 3


@pytest.fixture
def data(matrix, rng):
    """Features of condition 100 with columns of sizes from 0.1 to 10."""
    Phi = matrix(N, P, rng=rng, cond=100.0, scale=10.0) * np.geomspace(0.1, 10.0, P)
    return Phi, Phi @ rng.standard_normal((P, K)) + 0.1 * rng.standard_normal((N, K))


def blocks(Phi, Y, *weights):
    return [tuple(A[s] for A in (Phi, Y, *weights)) for s in (np.s_[:40], np.s_[40:41], np.s_[41:])]


def options(kind):
    return {"preconditioner": kind} | ({"rank": 20, "rng": np.random.default_rng(0)} if kind == "nystrom" else {})


@pytest.mark.parametrize("kind", ["none", "diagonal", "nystrom"])
@pytest.mark.parametrize("ridge", [1e-2, 10.0])
def test_certified_error_bounds_the_distance_from_the_exact_oracle(ratio, data, refit, kind, ridge):
    wanted = refit(*data, ridge)
    for tolerance in (1e-2, 1e-8):
        found = iterate_weights(blocks(*data), ridge=ridge, tolerance=tolerance, **options(kind))
        error = np.linalg.norm(found.weights - wanted) / np.linalg.norm(found.weights)
        assert error <= found.error_bound <= tolerance
        G = data[0].T @ data[0] + ridge * np.eye(P)
        residual = np.linalg.norm(data[1].T @ data[0] - found.weights @ G)
        unit = np.linalg.norm(found.weights) * np.linalg.norm(G)
        assert ratio(residual, found.residual, size=N, unit=unit) < 30


def test_bound_is_tight_where_the_error_lies_in_the_flattest_direction(ratio, rng):
    """Features without energy there: s_p = 0, so that residual / ridge is the error."""
    Phi = rng.standard_normal((N, P)) @ np.diag([0.0] + [1.0] * (P - 1))
    Y = rng.standard_normal((N, K))
    ridge, exact = 1.0, GramStatistics(P, K).update(Phi, Y).weights(1.0)
    start = exact.copy()
    start[:, 0] += 1e-3  # the residual of this start is ridge * 1e-3 there
    found = iterate_weights([(Phi, Y)], ridge=ridge, start=start, tolerance=0.1)
    assert found.iterations == 0
    error = np.linalg.norm(start - exact) / np.linalg.norm(start)
    lost = np.linalg.norm(exact) / np.linalg.norm(start - exact) * np.linalg.cond(Phi.T @ Phi + np.eye(P))
    assert ratio(error, found.error_bound, size=N, amplification=lost) < 30


def test_preconditioners_earn_their_keep(rng):
    """Columns of very different sizes; a spectrum that falls fast."""
    scaled = rng.standard_normal((200, P)) * np.geomspace(1.0, 1e3, P)
    Y = rng.standard_normal((200, K))
    plain = iterate_weights([(scaled, Y)], ridge=1.0, tolerance=1e-6, preconditioner="none")
    diagonal = iterate_weights([(scaled, Y)], ridge=1.0, tolerance=1e-6)
    assert diagonal.iterations < 0.5 * plain.iterations
    Q = np.linalg.qr(rng.standard_normal((120, 120)))[0]
    falling = rng.standard_normal((200, 120)) * np.geomspace(10.0, 1e-2, 120) @ Q.T
    plain = iterate_weights([(falling, Y)], ridge=1e-2, tolerance=1e-4, preconditioner="none")
    sketched = iterate_weights(
        [(falling, Y)], ridge=1e-2, tolerance=1e-4, preconditioner="nystrom", rank=100, rng=np.random.default_rng(0)
    )
    assert sketched.iterations < 0.2 * plain.iterations


def test_sketch_of_full_rank_is_the_inverse(rng, ratio):
    A = rng.standard_normal((N, P))
    G, omega = A.T @ A, np.linalg.qr(rng.standard_normal((P, P)))[0]
    M, least = Nystrom.of(omega, G @ omega, 0.5), np.linalg.eigvalsh(G)[0] + 0.5
    wanted = least * np.linalg.inv(G + 0.5 * np.eye(P))
    assert ratio(M.solve(np.eye(P)), wanted, size=P, amplification=np.linalg.cond(A) ** 2) < 30


def test_dependent_outputs_break_nothing(data, refit):
    """Two equal columns of labels and one of zeros: the directions have rank 1."""
    Phi, y = data[0], data[1][:, :1]
    Y = np.hstack([y, 2.0 * y, 0.0 * y])
    found = iterate_weights(blocks(Phi, Y), ridge=1.0)
    assert found.error_bound <= 1e-8
    wanted = refit(Phi, Y, 1.0)
    assert np.linalg.norm(found.weights - wanted) <= found.error_bound * np.linalg.norm(found.weights)
    assert np.array_equal(found.weights[2], np.zeros(P))


def test_all_outputs_share_one_space(data):
    """k outputs need fewer passes together than the slowest alone."""
    alone = [iterate_weights(blocks(data[0], data[1][:, [j]]), ridge=1e-2).iterations for j in range(K)]
    assert iterate_weights(blocks(*data), ridge=1e-2).iterations < max(alone)


def test_intercept_and_weights(data, rng):
    w = rng.uniform(0.0, 2.0, N)
    sums = GramStatistics(P, K).update(*data, sample_weight=w)
    found = iterate_weights(
        lambda: iter(blocks(*data, w)), ridge=1.0, mean=sums.mean_phi, mean_y=sums.mean_y, tolerance=1e-9
    )
    wanted = sums.centred().weights(1.0)
    rounding = 30 * 2.0**-52 * N * np.linalg.cond(data[0].T @ data[0] + np.eye(P))  # of the sums
    assert np.linalg.norm(found.weights - wanted) <= (found.error_bound + rounding) * np.linalg.norm(wanted)
    assert found.error_bound <= 1e-9


def test_every_library(summing_library, data):
    Phi, Y = (summing_library.array(A) for A in data)
    found = iterate_weights([(Phi, Y)], ridge=1.0, tolerance=1e-6, **options("nystrom"))
    assert isinstance(found.weights, summing_library.kind)
    wanted = to_numpy(GramStatistics(P, K).update(Phi, Y).weights(1.0))
    rounding = 30 * summing_library.eps * N  # of the weights to their dtype
    assert np.linalg.norm(to_numpy(found.weights) - wanted) <= (found.error_bound + rounding) * np.linalg.norm(wanted)
    assert found.error_bound <= 1e-6


def test_it_goes_on_from_the_last_weights(data):
    class Stop(Exception):
        pass

    kept = []

    def interrupt(iteration, error, W):
        kept.append(W)
        if iteration == 5:
            raise Stop

    whole = iterate_weights(blocks(*data), ridge=1e-2)
    with pytest.raises(Stop):
        iterate_weights(blocks(*data), ridge=1e-2, callback=interrupt)
    again = iterate_weights(blocks(*data), ridge=1e-2, start=kept[-1])
    assert again.iterations < whole.iterations
    assert again.error_bound <= 1e-8


def test_passes_are_counted(data):
    reads = []

    def read():
        reads.append(1)
        return iter(blocks(*data))

    found = iterate_weights(read, ridge=1.0)
    assert found.passes == len(reads) == found.iterations + 2  # the first, and one that verifies


def test_no_convergence_has_the_number(data):
    with pytest.raises(DivergenceError, match=r"certified relative error of W is \d.* after 3 iterations \(stopped at"):
        iterate_weights(blocks(*data), ridge=1e-2, max_iterations=3)
    with pytest.raises(DivergenceError, match="the residual is down to rounding"):
        iterate_weights(blocks(*data), ridge=1e-10, tolerance=1e-12)


def test_zero_labels_give_zero_weights(data):
    found = iterate_weights(blocks(data[0], np.zeros((N, K))), ridge=1.0)
    assert np.array_equal(found.weights, np.zeros((K, P)))
    assert found.error_bound == 0.0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ridge": 0.0}, "need ridge > 0"),
        ({"preconditioner": "ilu"}, "unknown preconditioner 'ilu'"),
        ({"preconditioner": "nystrom"}, "needs rank >= 1 and rng"),
        ({"preconditioner": "nystrom", "rank": 3}, "needs rank >= 1 and rng"),
    ],
)
def test_options_are_checked(data, given, message):
    with pytest.raises(ValueError, match=message):
        iterate_weights(blocks(*data), **({"ridge": 1.0} | given))
    with pytest.raises(TypeError, match="got a generator"):
        iterate_weights((b for b in blocks(*data)), ridge=1.0)
    with pytest.raises(ValueError, match="no samples"):
        iterate_weights([], ridge=1.0)
