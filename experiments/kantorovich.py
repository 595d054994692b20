r"""A proof that a system C phi(X) = W has an exact solution near a computed one, phi(x) = act(B x + b).

Let F(z) = C phi(X) - W at z = (C, X), A a right inverse of F' at the computed z_0 and G(y) = F(z_0 + A y), a square
system. If

    |G(0)| <= eta,   |G'(y) - I| <= kappa < 1  for |y| <= r,   eta <= (1 - kappa) r

then y - G(y) contracts the ball of radius r into itself, and G has a zero there: real points that carry W exactly,
within |A| r of the computed ones. G(0) and the derivatives of act are enclosed in balls (python-flint); |G'(0) - I| is
bounded by the product in float64 plus its rounding, and the change of G' over the ball by

    |G'(y) - G'(0)| <= (2 a_1 |B| + a_2 |C_0| |B| max_j |b_j|) rho |A|,   rho = |A| r,   |act'| <= a_1, |act''| <= a_2 .
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import arb, arb_mat, ctx

__all__ = ["ACTIVATIONS", "Activation", "Proof", "derivative", "prove"]

EPS = 2.0**-52


@dataclass(frozen=True)
class Activation:
    """A function of one number with its derivative, in float64 and in balls, and bounds of two derivatives."""

    value: Callable[[np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray], np.ndarray]
    ball: Callable[[Any], tuple[Any, Any]]
    steepest: float
    most_curved: float


def _tanh(x: Any) -> tuple[Any, Any]:
    t = x.tanh()
    return t, 1 - t * t


def _softplus(x: Any) -> tuple[Any, Any]:
    return (1 + x.exp()).log(), 1 / (1 + (-x).exp())


ACTIVATIONS = {
    "tanh": Activation(np.tanh, lambda x: 1.0 - np.tanh(x) ** 2, _tanh, 1.0, 1.0),
    "sin": Activation(np.sin, np.cos, lambda x: (x.sin(), x.cos()), 1.0, 1.0),
    "softplus": Activation(lambda x: np.logaddexp(0.0, x), lambda x: 1.0 / (1.0 + np.exp(-x)), _softplus, 1.0, 0.25),
}


@dataclass(frozen=True)
class Proof:
    """What was bounded."""

    proved: bool
    residual: float  # eta, an upper bound of |C phi(X) - W|
    contraction: float  # kappa over the ball of radius 2 eta
    radius: float  # the exact points are within it of the computed ones


def derivative(C: np.ndarray, features: np.ndarray, slopes: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Return the matrix (q p, m (q + d)) of F': columns are the entries of C, then those of X."""
    (q, m), (p, d) = C.shape, B.shape
    J = np.zeros((q, p, m * q + m * d))
    for row in range(q):
        J[row, :, row * m : (row + 1) * m] = features.T
        for i in range(m):
            first = m * q + i * d
            J[row, :, first : first + d] = C[row, i] * slopes[i][:, None] * B
    return J.reshape(q * p, -1)


def prove(C: np.ndarray, X: np.ndarray, W: np.ndarray, B: np.ndarray, b: np.ndarray, activation: str) -> Proof:
    """Decide whether C phi(X) = W has a real solution near (C, X); numbers in float64 are taken as they are."""
    act = ACTIVATIONS[activation]
    ctx.prec = 128
    Z = _balls(X) * _balls(B).transpose()
    pairs = [[act.ball(Z[i, j] + arb(float(b[j]))) for j in range(len(B))] for i in range(len(X))]
    Phi = arb_mat([[value for value, _ in row] for row in pairs])
    R = _balls(C) * Phi - _balls(W)
    eta = float((sum((x * x for x in R.entries()), arb(0))).sqrt().upper()) * (1.0 + 4.0 * EPS)
    features, slopes = (np.array([[float(x[k].mid()) for x in row] for row in pairs]) for k in (0, 1))
    away = max(float(part.rad()) for row in pairs for one in row for part in one)
    away += EPS * max(1.0, float(np.max(np.abs(features))))  # their midpoints, rounded
    J = derivative(C, features, slopes, B)
    A = np.linalg.pinv(J)
    size, norm = len(J), np.linalg.norm
    # entries of F' are off by ``away`` times 1 or |C| |B|, and by the rounding of three factors
    changed = (away * (1.0 + norm(C) * norm(B)) * np.sqrt(J.size) + 4.0 * EPS * norm(J)) * norm(A)
    rounding = (J.shape[1] + 4) * EPS * norm(J) * norm(A)
    start = float(norm(J @ A - np.eye(size)) + rounding + changed)
    slope = 2.0 * act.steepest * norm(B) + act.most_curved * norm(C) * norm(B) * float(np.max(norm(B, axis=1)))
    radius = 2.0 * eta
    kappa = (start + slope * float(norm(A)) ** 2 * radius) * (1.0 + 1e-10)
    return Proof(bool(kappa < 0.5), eta, float(kappa), float(norm(A)) * radius)


def _balls(A: np.ndarray) -> Any:
    return arb_mat([[float(x) for x in row] for row in A])
