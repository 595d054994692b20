"""The arithmetic that the checks stand on: pseudo-inverses, degree bounds, enclosures."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest
from flint import arb, fmpq, nmod_poly

from proofs_check.ball.balls import Balls, enclosure, symmetric_eigenvectors
from proofs_check.exact.rationals import Rationals
from proofs_check.identity.degrees import Degree, Degrees
from proofs_check.identity.prime_field import PrimeField, random_prime
from proofs_check.matrix import Field, weights

SHAPES = [(3, 5, 3), (5, 3, 3), (4, 4, 4), (5, 4, 2), (3, 6, 1)]


@pytest.mark.parametrize(("rows", "columns", "rank"), SHAPES)
@pytest.mark.parametrize("field", ["rational", "prime"])
def test_pseudo_inverse_satisfies_the_four_equations_of_penrose(field: str, rows: int, columns: int, rank: int) -> None:
    rng = random.Random(1)
    F: Field = Rationals(1) if field == "rational" else PrimeField(random_prime(rng), rng)
    A = F.draw(rows, columns, rank)
    P = A.plus
    assert A.rank == rank
    for left, right in ((A @ P @ A, A), (P @ A @ P, P), ((A @ P).T, A @ P), ((P @ A).T, P @ A)):
        assert F.is_zero(left - right)


def test_pseudo_inverse_of_zero_is_zero() -> None:
    F = Rationals(0)
    assert F.is_zero(F.zeros(2, 3).plus)
    assert F.zeros(2, 3).plus.shape == (3, 2)


def test_weights_are_ridge_regression() -> None:
    F = Rationals(2)
    Phi, Y, lam = F.draw(4, 3), F.draw(4, 2), fmpq(7, 3)
    W = weights(Phi, Y, lam)
    assert F.is_zero(W @ (Phi.T @ Phi + lam * F.eye(3)) - Y.T @ Phi)
    assert not F.is_zero(weights(Phi, Y, 2 * lam) - W)


def test_cayley_factors_are_orthogonal() -> None:
    F = Rationals(3)
    Q = F.orthogonal(5, 3)
    assert F.is_zero(Q.T @ Q - F.eye(3))


def test_primes_are_primes_of_61_bits() -> None:
    rng = random.Random(0)
    for _ in range(20):
        p = random_prime(rng)
        assert 2**60 < p < 2**61
        assert all(pow(a, p - 1, p) == 1 for a in (2, 3, 5, 7))


@pytest.mark.parametrize("n", [1, 2, 4])
def test_degree_bounds_of_an_inverse_are_those_of_the_adjugate_and_determinant(n: int) -> None:
    F = Degrees([])
    bound = F.draw(n, n).inv.bound
    assert (bound.num, bound.den) == (n - 1, n)
    assert F.divided == n


def _degree_along_a_line(statement, p: int, seed: int, count: int) -> int:
    """Degree of numerator * anything by interpolation: values at t = 0 .. count - 1 of entries a + b t."""
    rng = random.Random(seed)
    draws = [(rng.randrange(p), rng.randrange(p)) for _ in range(200)]

    def value(t: int) -> tuple[int, int]:
        entries = iter(draws)

        class Line(PrimeField):
            def full(self, rows: int, columns: int):
                pairs = [next(entries) for _ in range(rows * columns)]
                values = [(a + b * t) % p for a, b in pairs]
                return self.constant([values[i * columns : (i + 1) * columns] for i in range(rows)])

        return statement(Line(p, rng))

    top, bottom = zip(*(value(t) for t in range(count)), strict=True)
    degrees = []
    for values in (top, bottom):
        P, basis = nmod_poly([0], p), nmod_poly([1], p)
        for t, y in enumerate(values):  # Newton's form
            c = (y - int(P(t))) * pow(int(basis(t)), -1, p) % p
            P, basis = P + basis * c, basis * nmod_poly([-t % p, 1], p)
        degrees.append(P.degree())
    return degrees


def test_degree_bound_is_a_bound_on_a_ridge_regression() -> None:
    def numerator_and_denominator(F):
        Phi, Y = F.draw(3, 4), F.draw(3, 2)
        K = Phi @ Phi.T + F.eye(3)
        W = weights(Phi, Y, 1)
        return int((int(F.det(K)) * int(W.entry(0, 0))) % F.p), int(F.det(K))

    top, bottom = _degree_along_a_line(numerator_and_denominator, random_prime(random.Random(5)), 6, 30)
    F = Degrees([])
    bound = weights(F.draw(3, 4), F.draw(3, 2), F.number(1)).bound
    assert (top, bottom) == (bound.num, bound.den) == (6, 6)


def test_height_bounds_the_sum_of_coefficients() -> None:
    x = Degree(1, 0)
    assert (x * x + x).num_bits >= 1.0  # x^2 + x
    assert Degree(1, 0).times(8).num_bits == 3.0
    assert (1 / (x + 1)).den_bits >= 1.0


def test_enclosure_sees_what_is_not_zero_and_what_is_too_wide() -> None:
    F = Balls(0)
    assert enclosure([F.zeros(2, 2)])[0]
    assert not enclosure([F.constant([[0, fmpq(1, 10**60)]])])[0]
    assert not enclosure([arb(0, 1e-30)])[0]
    assert not enclosure([arb("nan")])[0]


def test_eigenvectors_enclose_those_of_numpy(ratio) -> None:
    F = Balls(1)
    A = F.draw(4, 6)
    values, vectors = symmetric_eigenvectors(A @ A.T)
    floats = np.array([[float(x.mid()) for x in row] for row in (A @ A.T).a.tolist()])
    assert ratio([float(v.mid()) for v in values], np.linalg.eigvalsh(floats), size=4) < 30
    assert enclosure([vectors.T @ vectors - F.eye(4), vectors.T @ A @ A.T @ vectors - F.diag(values)])[0]


def test_fractions_agree_with_flint() -> None:
    F = Rationals(4)
    A = F.draw(2, 2)
    a, b, c, d = (Fraction(int(x.p), int(x.q)) for x in A.a.entries())
    det = a * d - b * c
    assert F.det(A) == fmpq(det.numerator, det.denominator)
