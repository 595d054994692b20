"""jvp, vjp and the Jacobian of every map, beside torch's automatic differentiation and beside finite differences."""

from __future__ import annotations

import math
from typing import Any

import array_api_strict
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from analytic_dd import features
from analytic_dd.arrays import dtype_name, to_numpy
from analytic_dd.errors import InfeasibleError, RangeError, ShapeError
from analytic_dd.features.activations import ACTIVATIONS
from analytic_dd.features.ranges import Subspace

EPS = 2.0**-52


def penalty(p: int) -> np.ndarray:
    A = np.random.default_rng(9).standard_normal((p + 3, p))
    return A.T @ A


def patches(shape: tuple[int, ...], **options: Any) -> features.Patches:
    X = np.random.default_rng(7).standard_normal((20, math.prod(shape)))
    return features.Patches.from_data(X, shape, filters=5, rng=np.random.default_rng(8), **options)


SMOOTH = {
    "identity": features.Identity(6),
    "tikhonov-diagonal": features.TikhonovScaling(np.geomspace(0.1, 10.0, 6)),
    "tikhonov-matrix": features.TikhonovScaling(penalty(6)),
    "rff-cos": features.RandomFourier(8, 11, lengthscale=2.0, rng=3),
    "rff-sincos": features.RandomFourier(8, 6, lengthscale=2.0, rng=3, form="sincos"),
    "linear": features.DeepLinear([8, 4, 6], bias=True, rng=5),
    "tangent": features.NeuralTangent([8, 3, 4, 2], bias=True, rng=6),
    "inn-additive": features.InvertibleNetwork(8, coupling="additive", blocks=2, rng=8),
    "inn-affine": features.InvertibleNetwork((2, 4), coupling="affine", squeeze="haar", blocks=2, rng=8),
    "inn-checkerboard": features.InvertibleNetwork((4, 2, 2), coupling="affine", squeeze="checkerboard", rng=8),
    "inn-residual": features.InvertibleNetwork(9, coupling="residual", blocks=2, rng=8),
    "patches-softplus": patches((6, 6, 3), size=3, grid=2, activation="softplus"),
    "patches-mirror": patches((4, 6, 3), size=3, grid=2, activation="softplus", mirror=True),
    "compose-smooth": features.Compose(
        [
            features.FullyConnected([8, 7], activation="tanh", rng=1),
            features.RandomFourier(7, 5, lengthscale=1.0, rng=2),
        ]
    ),
}
PIECEWISE = {
    "patches": patches((8, 10), size=4),
    "cnn-circular": features.Convolutional((4, 6), [3], stride=2, rng=7),
    "cnn-circular-5": features.Convolutional((4, 4, 2), [5, 4], size=5, stride=[2, 1], bias=True, rng=7),
    "cnn-average": features.Convolutional((4, 4, 2), [3], pool="average", rng=7),
    "cnn-max": features.Convolutional((5, 6, 2), [3], pool="max", padding="zero", rng=7),
    "cnn-valid": features.Convolutional((9, 8), [4, 2], padding="valid", stride=[2, 1], rng=7),
    "cnn-zero": features.Convolutional((5, 4), [2, 3], padding="zero", stride=[2, 1], rng=7),
    "compose": features.Compose(
        [
            features.FullyConnected([8, 6], rng=1),
            features.InvertibleNetwork(6, rng=2),
            features.DeepLinear([6, 9], bias=True, rng=3),
        ]
    ),
}
DENSE = {f"fcnn-{name}": features.FullyConnected([8, 9, 5], activation=name, bias=True, rng=4) for name in ACTIVATIONS}
MAPS: dict[str, features.FeatureMap] = SMOOTH | PIECEWISE | DENSE
SIX = ("rff-cos", "fcnn-tanh", "cnn-max", "inn-affine", "tangent", "compose")
every_map = pytest.mark.parametrize("name", MAPS)


def points(phi: features.FeatureMap, rows: int = 3, seed: int = 0) -> np.ndarray:
    return 0.7 * np.random.default_rng(seed).standard_normal((rows, phi.d))


def by_autograd(phi: features.FeatureMap, x: np.ndarray) -> np.ndarray:
    """The Jacobian (p, d) of the map as it is evaluated, by torch."""
    found = torch.autograd.functional.jacobian(lambda t: phi(t[None])[0], torch.tensor(x))
    return np.asarray(found)


@every_map
def test_derivatives_agree_with_automatic_differentiation(name: str, ratio: Any) -> None:
    """Each row of jvp and vjp is the Jacobian of its own input; one input serves many directions."""
    phi, rng = MAPS[name], np.random.default_rng(1)
    X = points(phi)
    V, U = rng.standard_normal((3, phi.d)), rng.standard_normal((3, phi.p))
    J = np.stack([by_autograd(phi, x) for x in X])
    amplification = max(np.linalg.cond(A) if np.linalg.matrix_rank(A) == min(A.shape) else 1.0 for A in J)
    size = phi.d * min(amplification, 100.0)  # layers of a product cancel, a little
    assert ratio(phi.jacobian(X[0]), J[0], size=size) < 30
    assert ratio(phi.jvp(X, V), np.einsum("npd,nd->np", J, V), size=size) < 30
    assert ratio(phi.vjp(X, U), np.einsum("npd,np->nd", J, U), size=size) < 30
    assert ratio(phi.jvp(X[:1], V), V @ J[0].T, size=size) < 30
    assert ratio(phi.vjp(X[:1], U), U @ J[0], size=size) < 30


@every_map
def test_central_differences_approach_the_jacobian_in_the_second_order(name: str) -> None:
    """|(phi(x + h v) - phi(x - h v)) / 2 h - J v| falls by 4 when h is halved, or is rounding / h."""
    phi, X = MAPS[name], points(MAPS[name], rows=1)
    V = np.random.default_rng(2).standard_normal((1, phi.d))
    exact = phi.jvp(X, V)

    def error(h: float) -> float:
        return float(np.linalg.norm((phi(X + h * V) - phi(X - h * V)) / (2 * h) - exact))

    coarse, fine = error(2.0**-10), error(2.0**-11)
    rounding = 30 * EPS * phi.d * float(np.linalg.norm(phi(X))) * 2.0**11
    assert fine <= max(0.3 * coarse, rounding)
    assert coarse <= max(2.0**-8 * float(np.linalg.norm(exact)), rounding)


@pytest.mark.parametrize("library", ["numpy", "torch", "jax", "strict"])
def test_derivatives_in_every_library(library: str, ratio: Any) -> None:
    """Library, dtype and shape are those of the input (float32), the values those of float64."""
    for name in SIX[::2] if library == "jax" else SIX:  # jax compiles for every shape
        phi, rng, dtype = MAPS[name], np.random.default_rng(3), "float32"
        rows = 1 if library == "jax" else phi.d  # the shapes of the Jacobian serve all
        shapes = ((rows, phi.d), (phi.d, phi.d), (phi.d, phi.p))
        X, V, U = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
        wanted = [phi.jvp(*(A.astype(float) for A in (X, V))), phi.vjp(*(A.astype(float) for A in (X, U)))]
        wanted.append(phi.jacobian(X[0].astype(float)))
        array = {
            "numpy": np.asarray,
            "torch": torch.tensor,
            "jax": jnp.asarray,
            "strict": lambda A: array_api_strict.asarray(A, dtype=array_api_strict.float32),
        }[library]
        got = [phi.jvp(array(X), array(V)), phi.vjp(array(X), array(U)), phi.jacobian(array(X[0]))]
        for A, B in zip(got, wanted, strict=True):
            assert type(A) is type(array(X))
            assert dtype_name(A) == dtype
            assert ratio(to_numpy(A), B, size=phi.d, amplification=10.0, eps=2.0**-23) < 30


class Quadratic(features.FeatureMap):
    """A user's map without derivatives of its own:  phi(x) = (x_1^2, x_1 x_2)."""

    name, kind, d, p = "quadratic", "general", 2, 2
    range = Subspace(2)

    def _map(self, X: Any) -> Any:
        return np.stack([X[:, 0] ** 2, X[:, 0] * X[:, 1]], axis=1)

    def _preimage(self, Phi: Any, near: Any) -> Any:
        raise NotImplementedError

    def condition(self) -> float:
        return np.inf

    def options(self) -> dict[str, Any]:
        return {}


def test_a_map_without_derivatives_takes_central_differences(ratio: Any) -> None:
    """Exact for a quadratic map but for rounding / h, h = eps^(1/3); vjp and the Jacobian follow from jvp."""
    phi, x = Quadratic(), np.array([0.5, -3.0])
    J = np.array([[1.0, 0.0], [-3.0, 0.5]])
    X, U = np.stack([x, x]), np.array([[1.0, 2.0], [0.0, -1.0]])
    for got, wanted in ((phi.jacobian(x), J), (phi.vjp(X, U), U @ J), (phi.vjp(X[:1], U), U @ J)):
        assert ratio(got, wanted, size=EPS ** (-1 / 3)) < 30
    assert np.all(phi.jvp(X, np.zeros((2, 2))) == 0.0)
    with pytest.raises(InfeasibleError, match="T9: a pre-image near a point needs a map onto its range"):
        phi.local_preimage(X, near=X)


def test_wrong_sizes_are_refused() -> None:
    phi = MAPS["rff-cos"]
    X = points(phi)
    with pytest.raises(ShapeError, match="V must have 8 columns, got 11"):
        phi.jvp(X, np.zeros((3, 11)))
    with pytest.raises(ShapeError, match="X must have 2 rows, got 3"):
        phi.vjp(X, np.zeros((2, 11)))
    with pytest.raises(ShapeError, match="x must have 1 rows, got 3"):
        phi.jacobian(X)


LOCAL = {
    "sigmoid": features.FullyConnected([8, 7, 5], activation="sigmoid", bias=True, rng=4),
    "compose-sigmoid": features.Compose(
        [features.Identity(8), features.FullyConnected([8, 5], activation="softplus", rng=4)]
    ),
    "inn": MAPS["inn-affine"],
    "cnn": MAPS["cnn-circular"],
    "rff": features.RandomFourier(8, 5, lengthscale=2.0, rng=3),
    "linear-onto": features.DeepLinear([8, 5], rng=3, bias=True),
}


@pytest.mark.parametrize("name", LOCAL)
def test_local_preimage_has_the_features_and_is_near(name: str, ratio: Any) -> None:
    """phi(X) = Phi, and |X - near| is of the first order in |Phi - phi(near)|."""
    phi, near = LOCAL[name], points(LOCAL[name])
    near = 0.3 * near
    change = np.random.default_rng(4).standard_normal((3, phi.p)) * float(np.abs(phi(near)).max())
    far = []
    for h in (2.0**-12, 2.0**-13):
        X = phi.local_preimage(phi(near) + h * change, near=near)
        s = np.linalg.svd(phi.jacobian(near[0]), compute_uv=False)
        assert ratio(phi(X), phi(near) + h * change, size=phi.d, amplification=10 * s[0] / s[-1]) < 30
        far.append(float(np.linalg.norm(X - near)))
    assert 1.9 < far[0] / far[1] < 2.1


@pytest.mark.parametrize("name", ["linear", "cnn-zero", "tangent", "fcnn-relu"])
def test_local_preimage_of_a_map_that_is_not_onto_is_refused(name: str) -> None:
    phi = MAPS[name]
    with pytest.raises(InfeasibleError) as caught:
        phi.local_preimage(phi(points(phi)), near=points(phi))
    assert caught.value.theorem in ("T8b", "T9", "T10")


def test_local_preimage_too_far_is_refused() -> None:
    phi = LOCAL["compose-sigmoid"]
    with pytest.raises(RangeError, match="take features closer"):
        phi.local_preimage(-np.ones((3, 5)), near=points(phi))
