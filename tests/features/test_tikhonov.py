"""T12: a Tikhonov penalty is the plain one in the coordinates of its Cholesky factor."""

import numpy as np
import pytest

from analytic_dd import ridge_weights
from analytic_dd.errors import ShapeError
from analytic_dd.features import TikhonovScaling, from_spec

N, P, K, RIDGE = 40, 7, 3, 0.3


@pytest.fixture(params=["diagonal", "matrix"])
def gamma(request, rng):
    if request.param == "diagonal":
        return rng.uniform(0.5, 3.0, P)
    A = rng.standard_normal((P + 2, P))
    return A.T @ A


def as_square(gamma):
    return np.diag(gamma) if gamma.ndim == 1 else gamma


def test_weights_satisfy_the_normal_equations_of_the_penalty(gamma, rng, ratio):
    Phi, Y = rng.standard_normal((N, P)), rng.standard_normal((N, K))
    phi = TikhonovScaling(gamma)
    W = phi.weights_of_inputs(ridge_weights(phi(Phi), Y, ridge=RIDGE))
    left = Phi.T @ Phi + RIDGE * as_square(gamma)
    scale = np.linalg.norm(left) * np.linalg.norm(W) + np.linalg.norm(Phi.T @ Y)
    amplification = phi.condition() * np.linalg.cond(phi(Phi))
    assert np.linalg.norm(W @ left - Y.T @ Phi) / (np.finfo(float).eps * N * amplification * scale) < 30


def test_penalty_is_the_squared_norm_of_the_new_weights(gamma, rng, ratio):
    phi, W = TikhonovScaling(gamma), rng.standard_normal((K, P))
    inner = phi.weights_of_inputs(W)
    penalty = np.trace(inner @ as_square(gamma) @ inner.T)
    assert ratio(penalty, np.sum(W * W), size=P, amplification=phi.condition() ** 2) < 30


def test_specification_keeps_every_digit(gamma):
    phi = TikhonovScaling(gamma)
    assert np.array_equal(from_spec(phi.spec()).gamma, phi.gamma)


def test_diagonal_is_the_matrix_with_that_diagonal(rng, ratio):
    gamma, X = rng.uniform(0.5, 3.0, P), rng.standard_normal((N, P))
    assert ratio(TikhonovScaling(gamma)(X), TikhonovScaling(np.diag(gamma))(X), size=P) < 30


@pytest.mark.parametrize(
    ("gamma", "error", "message"),
    [
        (np.ones((2, 3)), ShapeError, r"shape \(p,\) or \(p, p\), got \(2, 3\)"),
        (np.array([1.0, np.nan]), ValueError, "must be finite"),
        (np.array([1.0, -2.0]), ValueError, "least diagonal entry -2.0"),
        (np.array([[1.0, 2.0], [2.0, 1.0]]), ValueError, "least eigenvalue -1"),
        (np.array([[1.0, 0.5], [0.0, 1.0]]), ValueError, "must be symmetric"),
    ],
)
def test_what_is_no_penalty_is_refused(gamma, error, message):
    with pytest.raises(error, match=message):
        TikhonovScaling(gamma)
