"""The Cholesky factor: solutions, sizes beyond one block, extremes, refusals."""

from dataclasses import replace

import numpy as np
import pytest

from analytic_dd.arrays import to_numpy
from analytic_dd.errors import ShapeError
from analytic_dd.linalg import CholeskyFactor, cholesky


@pytest.mark.parametrize("p", [1, 7, 128, 129, 300])
def test_solution_solves(ratio, matrix, rng, p):
    A = matrix(p + 3, p, rng=rng, cond=1e3)
    G, X = A.T @ A, rng.standard_normal((p, 3))
    assert ratio(CholeskyFactor(G).solve(G @ X), X, size=p, amplification=np.linalg.cond(G)) < 30


def test_every_library(summing_library, ratio, rng):
    A = rng.standard_normal((40, 7))
    G, B = summing_library.array(A.T @ A), summing_library.array(rng.standard_normal((7, 3)))
    X = CholeskyFactor(G).solve(B)
    assert summing_library.owns(X)
    cond = np.linalg.cond(to_numpy(G))
    assert ratio(to_numpy(G) @ to_numpy(X), B, size=7, amplification=cond, eps=summing_library.eps) < 30


@pytest.mark.parametrize("cond", [1.0, 1e3, 1e6])
def test_extremes_are_the_ends_of_the_spectrum(ratio, matrix, rng, cond):
    A = matrix(40, 17, rng=rng, cond=cond, scale=3.0)
    largest, smallest = CholeskyFactor(A.T @ A).extremes()
    assert ratio(largest, 9.0, size=40) < 30
    assert ratio(smallest, 9.0 / cond**2, size=40, amplification=cond**2) < 30


@pytest.mark.parametrize("cond", [1.0, 1e3])
def test_iterated_extremes_are_inside_and_near_the_ends(monkeypatch, matrix, rng, cond):
    monkeypatch.setattr(cholesky, "LIMITS", replace(cholesky.LIMITS, eigenvalues=0))
    A = matrix(40, 17, rng=rng, cond=cond, scale=3.0)
    largest, smallest = CholeskyFactor(A.T @ A).extremes()
    rounding = 30 * 2.0**-52 * 40
    assert 0.9 <= largest / 9.0 <= 1 + rounding
    assert 1 - rounding * cond**2 <= smallest / (9.0 / cond**2) <= 1.1


def test_not_definite_is_refused(summing_library):
    with pytest.raises(ValueError, match=r"the matrix \(2, 2\) is not positive definite"):
        CholeskyFactor(summing_library.array(np.array([[1.0, 2.0], [2.0, 1.0]])))


def test_sizes_are_checked():
    with pytest.raises(ShapeError, match=r"square matrix, got shape \(2, 3\)"):
        CholeskyFactor(np.ones((2, 3)))
    with pytest.raises(ShapeError, match="B must have 2 rows"):
        CholeskyFactor(np.eye(2)).solve(np.ones((3, 1)))


@pytest.mark.parametrize("threshold", [1, 10**9])
def test_both_libraries_make_the_same_factor(monkeypatch, ratio, threshold):
    monkeypatch.setattr(cholesky, "LIMITS", replace(cholesky.LIMITS, cholesky_overwrites=threshold))
    F = np.random.default_rng(0).standard_normal((40, 20))
    A = F.T @ F
    half = np.tril(A) + np.triu(np.full_like(A, np.nan), 1)  # only the lower triangle is read
    L = CholeskyFactor(half).L
    assert np.array_equal(np.triu(L, 1), np.zeros_like(A))
    assert ratio(L @ L.T, A, size=20) < 30
    for wrong in (-A, np.full_like(A, np.nan)):
        with pytest.raises(ValueError, match="not positive definite"):
            CholeskyFactor(wrong)
