"""The path over ridges: the same weights by either way, the cheaper one chosen and reported."""

import numpy as np
import pytest

from analytic_dd.linalg import GramStatistics, plan_path

N, P, K = 40, 7, 3


@pytest.fixture
def sums(rng):
    return GramStatistics(P, K).update(rng.standard_normal((N, P)), rng.standard_normal((N, K)))


def test_both_ways_are_those_of_the_exact_oracle(rng, ratio, refit):
    Phi, Y = rng.standard_normal((N, P)), rng.standard_normal((N, K))
    ridges, squared = [1e-3, 1.0, 30.0], np.linalg.cond(Phi) ** 2
    for solver in ("spectrum", "cholesky"):
        path = GramStatistics(P, K).update(Phi, Y).path(ridges, solver=solver)
        assert path.shape == (3, K, P)
        for W, ridge in zip(path, ridges, strict=True):
            assert ratio(W, refit(Phi, Y, ridge), size=P, amplification=squared) < 30


def test_choice_follows_the_cost():
    few, many = plan_path(2000, 10, 3), plan_path(2000, 10, 40)
    assert (few.solver, many.solver) == ("cholesky", "spectrum")
    assert few.cholesky_cost < few.spectrum_cost
    assert many.spectrum_cost < many.cholesky_cost
    assert "cholesky: 3 ridges cost" in few.reason
    assert "as asked" in plan_path(2000, 10, 3, solver="spectrum").reason


def test_spectrum_at_hand_is_used(sums):
    assert sums.plan([1.0]).solver == "cholesky"
    sums.path([1.0])
    assert not sums.has_spectrum  # none was computed for one ridge
    sums.spectrum()
    assert sums.plan([1.0]).solver == "spectrum"
    assert sums.plan([1.0], solver="cholesky").solver == "cholesky"


def test_ridge_too_small_for_a_factor_takes_the_spectrum(sums):
    assert sums.plan([0.0, 1.0]).solver == "spectrum"
    assert "too small" in sums.plan([0.0, 1.0]).reason
    with pytest.raises(ValueError, match="a Cholesky factor needs ridge"):
        sums.path([0.0], solver="cholesky")
    with pytest.raises(ValueError, match="unknown solver 'lu'"):
        sums.path([1.0], solver="lu")
