"""T24: a reduced basis generates the lattice (z, S C z), and the nearest plane finds near integers."""

from fractions import Fraction
from itertools import pairwise

import flint
import numpy as np
import pytest

from analytic_dd.linalg.lattice import combination_lattice

M, Q, S = 12, 3, 1e4


def lattice(rng, scale=S):
    return combination_lattice(np.linalg.qr(rng.standard_normal((M, Q)))[0].T, scale)


def test_basis_generates_the_same_lattice(rng, ratio):
    """Its first m columns are a unimodular integer matrix, and the others are S C times them."""
    made = lattice(rng)
    first = made.basis[:, :M]
    assert np.array_equal(first, np.rint(first))
    det = flint.fmpz_mat([[int(x) for x in row] for row in first]).det()
    assert abs(int(det)) == 1
    rounded = np.rint(S * made.combinations.T * 1024) / 1024
    terms = np.linalg.norm(first) * np.linalg.norm(rounded)
    assert ratio(first @ rounded, made.basis[:, M:], size=M, unit=terms) < 30


def test_basis_is_reduced(rng):
    """Lovasz' condition and size reduction, in rationals; the vectors are as short as the volume lets them be."""
    made = lattice(rng)
    B = [[Fraction(float(x)) for x in row] for row in made.basis]
    orthogonal, norms = [], []
    for i, row in enumerate(B):
        rest, mu = list(row), []
        for other, size in zip(orthogonal, norms, strict=True):
            factor = sum(a * b for a, b in zip(row, other, strict=True)) / size
            mu.append(factor)
            rest = [a - factor * b for a, b in zip(rest, other, strict=True)]
        assert all(abs(factor) <= Fraction(51, 100) for factor in mu)
        size = sum(a * a for a in rest)
        if i:
            assert size >= (Fraction(3, 4) - mu[-1] ** 2) * norms[-1]
        orthogonal.append(rest)
        norms.append(size)
    assert np.linalg.norm(made.basis, axis=1).max() < 10 * S ** (Q / M) * np.sqrt(M)


def test_lattice_vectors_are_their_own_nearest(rng):
    made = lattice(rng)
    Z = rng.integers(-50, 50, (M, 5)).astype(float)
    assert np.array_equal(made.nearest(Z, made.combinations @ Z), Z)


def test_combinations_are_kept_better_as_the_scale_grows_and_integers_move_more(rng):
    C = np.linalg.qr(rng.standard_normal((M, Q)))[0].T
    targets = rng.uniform(0, 255, (M, 40))
    missed, moved = [], []
    for scale in (1.0, 1e2, 1e4, 1e6):
        Z = combination_lattice(C, scale).nearest(targets, C @ targets)
        missed.append(np.linalg.norm(C @ (Z - targets)))
        moved.append(np.linalg.norm(Z - targets))
    assert all(later < 0.1 * earlier for earlier, later in pairwise(missed))
    assert moved == sorted(moved)
    assert moved[-1] / moved[1] == pytest.approx(1e4 ** (Q / M), rel=0.5)  # the law of T24
    assert missed[-1] / missed[1] == pytest.approx(1e4 ** (Q / M - 1), rel=0.9)


def test_nearest_plane_is_near_the_optimum_of_a_search_by_hand(rng):
    C = np.array([[0.6, -0.8]])
    made = combination_lattice(C, 20.0)
    grid = np.stack(np.meshgrid(np.arange(-30, 30), np.arange(-30, 30)), axis=-1).reshape(-1, 2).astype(float)
    for _ in range(20):
        t = rng.uniform(-5, 5, (2, 1))
        cost = lambda Z, t=t: np.sum((Z - t.T) ** 2, axis=1) + 400 * ((Z - t.T) @ C.T).ravel() ** 2  # noqa: E731
        best = cost(grid).min()
        assert cost(made.nearest(t, C @ t).T)[0] <= 2 * best + 1e-12
