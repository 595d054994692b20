"""Every map says the shape of its range; the features of real points keep to it, and projections too."""

from __future__ import annotations

import numpy as np
import pytest

from analytic_dd import features
from analytic_dd.features.ranges import Affine, Box, Circles, Open, Range, Subspace, affine_direction

GAMMA = np.geomspace(0.1, 10.0, 11)


def dense(*widths: int, activation: str = "leaky_relu", bias: bool = False) -> features.FullyConnected:
    return features.FullyConnected(widths, activation=activation, bias=bias, rng=4)


def linear(*widths: int, bias: bool = True) -> features.DeepLinear:
    return features.DeepLinear(widths, bias=bias, rng=5)


def fourier(d: int, p: int, form: str = "cos") -> features.RandomFourier:
    return features.RandomFourier(d, p, lengthscale=2.0, form=form, rng=3)


CASES: dict[str, tuple[features.FeatureMap, type[Range]]] = {
    "identity": (features.Identity(7), Subspace),
    "tikhonov": (features.TikhonovScaling(GAMMA), Subspace),
    "rff": (fourier(8, 6), Box),
    "rff-more-than-inputs": (fourier(8, 9), Open),
    "sincos": (fourier(8, 6, "sincos"), Circles),
    "sincos-more-than-inputs": (fourier(2, 6, "sincos"), Open),
    "fcnn": (dense(8, 6, bias=True), Subspace),
    "fcnn-tanh": (dense(8, 6, activation="tanh"), Box),
    "fcnn-elu": (dense(8, 6, activation="elu"), Box),
    "fcnn-tanh-bias": (dense(8, 6, activation="tanh", bias=True), Open),
    "fcnn-sigmoid": (dense(8, 6, activation="sigmoid"), Open),
    "fcnn-widening": (dense(6, 8), Open),
    "cnn": (features.Convolutional((4, 6), [3], stride=2, rng=7), Subspace),
    "cnn-not-onto": (features.Convolutional((4, 6), [5], stride=2, rng=7), Open),
    "inn": (features.InvertibleNetwork(8, rng=8), Subspace),
    "linear-onto": (linear(8, 6), Subspace),
    "linear-no-bias": (linear(8, 4, 6, bias=False), Subspace),
    "linear-bias": (linear(8, 4, 6), Affine),
    "tangent": (features.NeuralTangent([8, 3, 1], rng=6), Subspace),
    "tangent-bias": (features.NeuralTangent([8, 3, 1], rng=6, bias=True), Affine),
    "compose-dense": (features.Compose([dense(8, 7), dense(7, 6)]), Subspace),
    "compose-inner-box": (features.Compose([dense(8, 7, activation="tanh"), dense(7, 6)]), Box),
    "compose-last-box": (features.Compose([dense(8, 7), fourier(7, 6)]), Box),
    "compose-circles": (features.Compose([dense(8, 7), fourier(7, 6, "sincos")]), Circles),
    "compose-plane": (features.Compose([dense(8, 7), linear(7, 9)]), Affine),
    "compose-penalised-plane": (
        features.Compose([linear(8, 11), features.Identity(11), features.TikhonovScaling(GAMMA)]),
        Affine,
    ),
    "compose-affine-onto": (features.Compose([linear(8, 11), linear(11, 6)]), Open),
    "compose-inner-box-of-a-plane": (features.Compose([dense(8, 7, activation="tanh"), linear(7, 9)]), Open),
    "compose-not-onto": (features.Compose([linear(8, 9), dense(9, 9)]), Open),
}


@pytest.mark.parametrize("name", CASES)
def test_features_keep_to_the_range_that_the_map_names(name: str, ratio) -> None:
    """Bounds, circles, planes and projections are those of the features of real points."""
    phi, kind = CASES[name]
    found, X = phi.range, 0.7 * np.random.default_rng(0).standard_normal((40, phi.d))
    Phi = phi(X)
    assert type(found) is kind
    assert found.p == phi.p
    assert ratio(phi.project(Phi), Phi, size=phi.p, amplification=10.0) < 30
    if isinstance(found, Box):
        assert found.lower < 0.0 < found.upper
        assert np.all((found.lower <= Phi) & (found.upper >= Phi))
        assert phi.in_range(1e-3 * np.sign(np.random.default_rng(1).standard_normal((4, phi.p))))
    if isinstance(found, Circles):
        half = phi.p // 2
        assert ratio(np.hypot(Phi[:, :half], Phi[:, half:]), np.full((40, half), found.radius), size=phi.p) < 30
    if isinstance(found, Affine):
        assert ratio(Phi @ found.direction, np.ones(40), size=phi.p * np.linalg.norm(found.direction)) < 30
        inner = phi.maps[0](X) if name == "compose-plane" else X
        assert ratio(Phi, inner @ found.B.T + found.c, size=phi.p) < 30
        assert np.linalg.matrix_rank(found.basis.T @ Phi.T) == found.basis.shape[1]
    if isinstance(found, Subspace):
        rows = np.random.default_rng(2).standard_normal((5, phi.p))
        assert phi.in_range(phi.project(rows))
        assert np.linalg.matrix_rank(phi.project(np.eye(phi.p))) == np.linalg.matrix_rank(Phi)


@pytest.mark.parametrize("name", ["linear-bias", "linear-no-bias"])
def test_projection_is_the_nearest_point_of_the_span(name: str, ratio) -> None:
    """P P = P, P = P^T, and what is taken away is orthogonal to every feature."""
    phi, _ = CASES[name]
    P = phi.project(np.eye(phi.p))
    Phi = phi(np.random.default_rng(3).standard_normal((20, phi.d)))
    assert ratio(P @ P, P, size=phi.p) < 30
    assert ratio(P, P.T, size=phi.p) < 30
    assert np.abs((np.eye(phi.p) - P) @ Phi.T).max() < 30 * 2.0**-52 * phi.p * np.linalg.norm(Phi)
    assert np.linalg.matrix_rank(P) == (5 if name == "linear-bias" else 4)


def test_direction_of_a_plane_is_that_of_the_map() -> None:
    """B^T e = 0 and e . c = 1; no direction where c lies in range(B), also by rounding only."""
    rng = np.random.default_rng(0)
    B, c = rng.standard_normal((7, 4)), rng.standard_normal(7)
    e = affine_direction(B, c)
    assert np.abs(B.T @ e).max() < 30 * 2.0**-52 * np.linalg.norm(B) * np.linalg.norm(e)
    assert abs(e @ c - 1.0) < 30 * 2.0**-52 * np.linalg.norm(e) * np.linalg.norm(c)
    assert affine_direction(B, B @ rng.standard_normal(4)) is None


def test_only_the_identity_is_the_identity() -> None:
    """The fact that sums of bytes and boxes of pixels hang on."""
    assert {name for name, (phi, _) in CASES.items() if phi.is_identity} == {"identity"}
    assert features.Compose([features.Identity(3), features.Identity(3)]).is_identity
