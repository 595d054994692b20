"""Whitening: the covariance is the predicted one in each convention, and the inverse undoes it."""

from dataclasses import replace

import numpy as np
import pytest

from analytic_dd import data
from analytic_dd.baselines.bench.zca import CONVENTIONS, Whitening, preprocessed
from analytic_dd.baselines.methods.task import Task
from analytic_dd.data import normalised
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
def test_the_matrix_and_the_whitened_covariance_are_those_of_the_convention(rows, convention, amount, ratio):
    """A^2 = (S + e)^-1, and S goes to A S A."""
    S, eye = second_moment(rows, convention), np.eye(7)
    added = amount * np.trace(S) / 7 if convention == "relative" else amount
    whitening = Whitening.of_rows(rows, convention=convention, amount=amount)
    condition = np.linalg.cond(S + added * eye)
    A = whitening.matrix
    assert ratio(A @ A, np.linalg.inv(S + added * eye), size=7, amplification=condition) < 30
    assert ratio(A, A.T, size=7) < 30
    found = second_moment(whitening(rows), convention)
    assert ratio(found, S @ np.linalg.inv(S + added * eye), size=7, amplification=condition) < 30
    assert ratio(whitening.invert(whitening(rows)), rows, size=7, amplification=np.sqrt(condition)) < 30
    centre, deviation = whitening(rows).mean(axis=0), np.sqrt(np.trace(found))
    assert float(np.linalg.norm(centre)) < 30 * 2.0**-52 * 40 * np.sqrt(condition) * deviation


def test_published_amounts_are_a_tenth_and_only_the_relative_convention_knows_no_units(rows, ratio):
    kept = {}
    for convention in CONVENTIONS:
        one, ten = (Whitening.of_rows(c * rows, convention=convention)(c * rows) for c in (1.0, 10.0))
        kept[convention] = ratio(one, ten, size=7, amplification=np.linalg.cond(rows)) < 30
        again = Whitening.of_rows(rows, convention=convention, amount=0.1)
        assert np.array_equal(again(rows), one)
    assert kept == {"relative": True, "absolute": False}


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_fewer_rows_than_numbers_need_an_amount(rng, convention, ratio):
    X = rng.standard_normal((5, 7))
    with pytest.raises(RangeError, match="singular"):
        Whitening.of_rows(X, convention=convention, amount=0.0)
    whitening = Whitening.of_rows(X, convention=convention)
    assert np.count_nonzero(whitening.values) == 4  # rank n - 1: what rounding leaves is no variance
    assert ratio(whitening.invert(whitening(X)), X, size=7, amplification=10.0) < 30


def test_a_data_set_is_whitened_by_its_training_part_alone(ratio):
    digits = data.load("digits")
    whitening, (mean, std) = Whitening.of(digits), digits.statistics()
    train = normalised(digits.x_train, mean, std)
    condition = (whitening.values[-1] + whitening.added) / whitening.added
    assert ratio(whitening.matrix, Whitening.of_rows(train).matrix, size=1438, amplification=condition) < 30
    white = preprocessed("zca", digits)
    assert white.name == "digits, ZCA relative"
    assert ratio(white.x_train.reshape(-1, 64), whitening(train), size=64, eps=2.0**-23) < 30
    other = replace(digits, x_test=digits.x_test[::-1].copy())
    assert np.array_equal(Whitening.of(other).matrix, whitening.matrix)
    assert ratio(whitening.invert(white.x_test.reshape(-1, 64)), normalised(digits.x_test, mean, std), size=64) > 30
    back = whitening.invert(white.x_test.reshape(-1, 64))
    assert ratio(back, normalised(digits.x_test, mean, std), size=64, eps=2.0**-23) < 30


def test_bad_requests_are_refused(rows):
    with pytest.raises(ValueError, match="unknown convention 'zca'"):
        Whitening.of_rows(rows, convention="zca")
    with pytest.raises(RangeError, match="-1"):
        Whitening.of_rows(rows, convention="absolute", amount=-1.0)
    with pytest.raises(ShapeError, match="n >= 2"):
        Whitening.of_rows(rows[:1])
    with pytest.raises(ShapeError, match=r"\(m, 7\)"):
        Whitening.of_rows(rows)(rows[:, :3])


def test_whitening_of_pixels_is_that_of_the_code_of_trajectory_matching(ratio):
    """On [0, 1]: (x - c) U diag(s + 0.1)^-1/2 U^T with the covariance over n - 1, and methods see just that."""
    digits = data.load("digits")
    X = digits.x_train.reshape(len(digits.y_train), -1) / np.float64(digits.value_range()[1])
    values, vectors = np.linalg.eigh(np.cov(X.T))
    wanted = (X - X.mean(axis=0)) @ (vectors / np.sqrt(np.maximum(values, 0.0) + 0.1)) @ vectors.T
    white = preprocessed("zca:pixels", digits)
    mean, std = white.statistics()
    assert (mean.tolist(), std.tolist()) == ([0.0], [1.0])
    (found,) = (block for block, _ in white.blocks("train", rows=len(X), mean=mean, std=std))
    condition = (values[-1] + 0.1) / 0.1
    assert ratio(found, wanted, size=64, eps=2.0**-23, amplification=condition) < 30  # it is stored in float32
    absolute = preprocessed("zca:absolute", digits)
    normal, own = (
        next(iter(one.blocks("train", rows=len(X), mean=one.statistics()[0], std=one.statistics()[1])))[0]
        for one in (absolute, white)
    )
    assert ratio(normal, own, size=64, eps=2.0**-23, amplification=condition) > 1e3
    assert Task.of(white).images(np.arange(3)).numpy().ravel() == pytest.approx(wanted[:3].ravel(), abs=1e-5)


def test_whitening_of_trajectory_matching_adds_a_part_of_the_mean_eigenvalue_of_pixels(ratio):
    """On [0, 1]: 0.094 of the mean eigenvalue, where the code adds another part of it, by the scale of the pixels."""
    digits = data.load("digits")
    X = digits.x_train.reshape(len(digits.y_train), -1) / np.float64(digits.value_range()[1])
    S = np.cov(X.T, ddof=0)
    values, vectors = np.linalg.eigh(S)
    added = 0.094 * np.trace(S) / 64
    wanted = (X - X.mean(axis=0)) @ (vectors / np.sqrt(np.maximum(values, 0.0) + added)) @ vectors.T
    found = preprocessed("zca:mtt", digits).x_train.reshape(len(X), -1)
    condition = (values[-1] + added) / added
    assert ratio(found, wanted, size=64, eps=2.0**-23, amplification=condition) < 30
    same = preprocessed(f"zca:pixels={added:.17g}", digits).x_train.reshape(len(X), -1)
    slack = np.abs(same - found).max() / np.abs(found).max()
    assert 0.0 < slack < 1.0 / len(X)  # its covariance is over n - 1


def test_whitening_of_inducing_points_centres_each_image_and_gives_it_unit_norm(ratio):
    digits = data.load("digits")
    X = digits.x_train.reshape(len(digits.y_train), -1).astype(np.float64)
    X = X - X.mean(axis=1, keepdims=True)
    X = X / np.linalg.norm(X, axis=1, keepdims=True)
    S = np.cov(X.T, ddof=0)
    values, vectors = np.linalg.eigh(S)
    added = 0.1 * np.trace(S) / 64
    wanted = (X - X.mean(axis=0)) @ (vectors / np.sqrt(np.maximum(values, 0.0) + added)) @ vectors.T
    white = preprocessed("zca:kip", digits)
    (found,) = (block for block, _ in white.blocks("train", rows=len(X), mean=np.zeros(1), std=np.ones(1)))
    condition = (values[-1] + added) / added
    assert ratio(found, wanted, size=64, eps=2.0**-23, amplification=condition) < 30
    brighter = replace(digits, x_train=2.0 * digits.x_train + 7.0, x_test=2.0 * digits.x_test + 7.0)
    again = preprocessed("zca:kip", brighter)  # brightness and contrast of an image are taken from it
    assert ratio(again.x_train, white.x_train, size=64, eps=2.0**-23, amplification=condition) < 30
