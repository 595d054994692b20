"""Whitening: the covariance is the predicted one in each convention, and the inverse undoes it."""

from dataclasses import replace

import numpy as np
import pytest

from analytic_dd import data
from analytic_dd.baselines.bench.zca import CONVENTIONS, Whitening
from analytic_dd.errors import RangeError, ShapeError


@pytest.fixture
def rows(rng):
    """40 rows of 7 correlated numbers, whose standard deviations span two decades."""
    return (rng.standard_normal((40, 7)) * np.geomspace(0.1, 10.0, 7)) @ rng.standard_normal((7, 7)) + 3.0


def second_moment(X, convention):
    """The covariance in the convention: over n, or over n - 1."""
    return np.cov(X.T, ddof=0 if convention == "relative" else 1)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("amount", [1e-3, 0.1, 10.0])
def test_the_whitened_covariance_is_the_predicted_one(rows, convention, amount, ratio):
    whitening = Whitening.of_rows(rows, convention=convention, amount=amount)
    condition = whitening.values[-1] / (whitening.values[0] + whitening.added)
    found = second_moment(whitening(rows), convention)
    assert ratio(found, whitening.covariance(), size=7, amplification=condition) < 30
    assert np.max(np.abs(whitening(rows).mean(axis=0))) < 1e-10


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_the_formulas_of_the_conventions(rows, convention, ratio):
    S = second_moment(rows, convention)
    added = {"relative": 0.1 * np.trace(S) / 7, "absolute": 0.1, "pca": 1e-5}[convention]
    whitening = Whitening.of_rows(rows, convention=convention)
    A = whitening.matrix
    inverse = np.linalg.inv(S + added * np.eye(7))
    assert ratio(A.T @ A, inverse, size=7, amplification=np.linalg.cond(S + added * np.eye(7))) < 30
    symmetric = np.allclose(A, A.T)
    assert symmetric == (convention != "pca")


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_the_inverse_undoes_it(rows, convention, ratio):
    whitening = Whitening.of_rows(rows, convention=convention)
    condition = np.sqrt(whitening.values[-1] / (whitening.values[0] + whitening.added))
    assert ratio(whitening.invert(whitening(rows)), rows, size=7, amplification=condition) < 30
    assert ratio(whitening.matrix @ whitening.inverse_matrix, np.eye(7), size=7, amplification=condition) < 30


def test_only_the_relative_convention_knows_no_units(rows):
    kept = {}
    for convention in CONVENTIONS:
        one, ten = (Whitening.of_rows(c * rows, convention=convention, amount=0.1)(c * rows) for c in (1.0, 10.0))
        kept[convention] = np.allclose(np.abs(one), np.abs(ten), rtol=1e-6)
    assert kept == {"relative": True, "absolute": False, "pca": False}


def test_fewer_rows_than_numbers_need_an_amount(rng):
    X = rng.standard_normal((5, 7))
    for convention in CONVENTIONS:
        with pytest.raises(RangeError, match="singular"):
            Whitening.of_rows(X, convention=convention, amount=0.0)
        whitening = Whitening.of_rows(X, convention=convention)
        assert np.count_nonzero(whitening.values) == 4  # rank n - 1: what rounding leaves is no variance
        assert np.allclose(whitening.invert(whitening(X)), X)


def test_a_data_set_is_whitened_by_its_training_part_alone():
    digits = data.load("digits")
    whitening = Whitening.of(digits, convention="relative")
    mean, std = digits.statistics()
    train = np.concatenate([X for X, _ in digits.blocks("train", mean=mean, std=std)])
    again = Whitening.of_rows(train, convention="relative")
    assert np.allclose(whitening.matrix, again.matrix, rtol=1e-10)
    white = whitening.dataset(digits)
    assert white.name == "digits, ZCA relative"
    assert white.x_train.shape == digits.x_train.shape
    assert np.allclose(white.x_train.reshape(-1, 64), whitening(train), atol=1e-5)
    other = replace(digits, x_test=digits.x_test[::-1].copy())
    assert np.array_equal(Whitening.of(other, convention="relative").matrix, whitening.matrix)
    restored = whitening.invert(white.x_test.reshape(-1, 64)) * std + mean
    assert np.allclose(restored, digits.x_test.reshape(-1, 64), atol=1e-4)


def test_bad_requests_are_refused(rows):
    with pytest.raises(ValueError, match="unknown convention 'zca'"):
        Whitening.of_rows(rows, convention="zca")
    with pytest.raises(RangeError, match="-1"):
        Whitening.of_rows(rows, convention="absolute", amount=-1.0)
    with pytest.raises(ShapeError, match="n >= 2"):
        Whitening.of_rows(rows[:1], convention="absolute")
    with pytest.raises(ShapeError, match=r"\(m, 7\)"):
        Whitening.of_rows(rows, convention="absolute")(rows[:, :3])
    digits = data.load("digits")
    with pytest.raises(ValueError, match="no images"):
        Whitening.of(digits, convention="pca").dataset(digits)
