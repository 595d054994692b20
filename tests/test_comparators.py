"""The comparators and oracles of the tests are tested themselves: each passes what is right and fails what is not."""

import numpy as np
import pytest

EPS = 2.0**-52


def test_ratio_of_equal_matrices_is_zero_and_of_one_rounding_is_one(ratio):
    A = np.array([[1.0]])
    assert ratio(A, A, size=1) == 0.0
    assert ratio(A * (1 + EPS), A, size=1) == 1.0


@pytest.mark.parametrize("relative", [1e-9, 1e-2, np.nan, np.inf])
def test_ratio_fails_on_an_error(ratio, rng, relative):
    A = rng.standard_normal((3, 7))
    assert not ratio(A * (1 + relative), A, size=10, amplification=10) < 30


def test_ratio_fails_on_a_transposition_and_on_a_wrong_shape(ratio, rng):
    A = rng.standard_normal((3, 3))
    assert not ratio(A.T, A, size=10, amplification=1e6) < 30
    with pytest.raises(AssertionError, match="shapes differ"):
        ratio(A[:2], A, size=10)


def test_ratio_is_relative_and_scales_with_its_amplification(ratio, rng):
    A, B = rng.standard_normal((2, 3, 7))
    assert ratio(1e-8 * A, 1e-8 * B, size=1) == pytest.approx(ratio(A, B, size=1), rel=30 * EPS)
    assert ratio(A, B, size=2, amplification=5) == pytest.approx(ratio(A, B, size=1) / 10, rel=30 * EPS)


def test_ratio_of_what_should_vanish_takes_the_unit_of_its_terms(ratio, rng):
    A = rng.standard_normal((3, 7))
    assert ratio(A * EPS, 0.0, size=1, unit=np.linalg.norm(A)) == pytest.approx(1.0, rel=4 * EPS)
    assert not ratio(A * 1e-12, 0.0, size=1, unit=np.linalg.norm(A)) < 30
    assert not ratio(2.0, 0.0, size=1) < 30
    assert not ratio([1.0, 2.0], [1.0, np.nan], size=1) < 30


def test_worst_ratio_is_that_of_a_comparison_that_passed(ratio, monkeypatch):
    kind = type(ratio(1.0, 1.0, size=1))
    monkeypatch.setattr(kind, "worst", 2.0)
    monkeypatch.setattr(kind, "where", "")
    assert ratio(1.0, 1.0, size=1) < 30
    assert kind.worst == 2.0
    assert not ratio(1.0 + 40 * EPS, 1.0, size=1) < 30
    assert kind.worst == 2.0
    assert ratio(1.0 + 10 * EPS, 1.0, size=1) < 30
    assert kind.worst == 10.0
    assert "worst_ratio" in kind.where


def test_both_orders_hold_the_same_numbers(library, matrix, rng, pytestconfig):
    name = "f_contiguous" if pytestconfig.option.order == "F" else "c_contiguous"
    for A in (matrix(5, 3, rng=rng), rng.standard_normal((5, 3)), rng.uniform(size=(5, 3))):
        assert getattr(A.flags, name)
    if library.name == "numpy":
        assert getattr(library.array(np.ones((5, 3))).flags, name)
    if library.name == "torch":
        A = library.array(np.ones((5, 3)))
        assert (A.mT if name == "f_contiguous" else A).is_contiguous()


@pytest.mark.parametrize(("n", "p", "ridge"), [(3, 7, 0.0), (7, 3, 0.0), (3, 7, 0.25), (7, 3, 0.25)])
def test_exact_oracle_agrees_with_lapack_on_well_conditioned_data(ratio, refit, matrix, rng, n, p, ridge):
    Phi, Y = matrix(n, p, rng=rng), rng.standard_normal((n, 2))
    rows, zeros = np.vstack([Phi, np.sqrt(ridge) * np.eye(p)]), np.zeros((p, 2))
    wanted = np.linalg.lstsq(rows, np.vstack([Y, zeros]), rcond=1e-14)[0].T
    assert ratio(refit(Phi, Y, ridge), wanted, size=n + p, amplification=10.0) < 30
    assert not ratio(refit(Phi, Y, ridge + 1e-3), wanted, size=n + p, amplification=10.0) < 1e6


def test_exact_oracle_keeps_what_float64_loses(refit):
    """The Gram matrix of these features is singular in float64; the minimum over the reals is (2, 3)."""
    Phi = np.array([[1.0, 1.0], [2.0**-40, 0.0], [0.0, 2.0**-40]])
    assert np.array_equal(refit(Phi, Phi @ np.array([[2.0], [3.0]]), 0.0), [[2.0, 3.0]])


def test_matrix_has_the_spectrum_that_was_asked_for(ratio, matrix, rng):
    s = np.linalg.svd(matrix(5, 11, rng=rng, cond=1e4, scale=3.0, rank=3), compute_uv=False)
    assert ratio(s / [3.0, 3e-2, 3e-4, 1.0, 1.0], [1.0, 1.0, 1.0, 0.0, 0.0], size=11, amplification=1e4) < 30


def test_libraries_differ_in_kind_or_dtype(library):
    A = library.array(np.eye(3))
    assert library.owns(A)
    assert not library.owns(np.eye(3, dtype=np.float16), A)
    if library.name in ("strict", "jax"):
        with pytest.raises(TypeError):
            A[0, 0] = 2.0
