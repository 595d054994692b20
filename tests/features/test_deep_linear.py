"""Deep linear networks and their tangent features: B and c in closed form, the range, projections (T8e)."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch

from analytic_dd.errors import RangeError
from analytic_dd.features import DeepLinear, NeuralTangent

D = 6
EPS = 2.0**-52


def points(rows: int = 5) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((rows, D))


def network(phi: DeepLinear | NeuralTangent) -> torch.nn.Sequential:
    """The network of torch with the same parameters, in float64."""
    layers = []
    for W, b in phi.parameters:
        layer = torch.nn.Linear(W.shape[1], W.shape[0], bias=b is not None, dtype=torch.float64)
        layer.weight.data = torch.tensor(W)
        if b is not None:
            layer.bias.data = torch.tensor(b)
        layers.append(layer)
    return torch.nn.Sequential(*layers)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("widths", [[D, 4], [D, 8, 5], [D, 3, 7, 9]])
def test_map_is_the_network(widths: list[int], bias: bool, ratio: Callable[..., float]) -> None:
    phi, X = DeepLinear(widths, bias=bias, rng=1), points()
    # the product of the layers' norms over that of the features: what a sum of cancelling terms loses
    amplification = np.prod([np.linalg.norm(W) for W, _ in phi.parameters]) * np.linalg.norm(X) / np.linalg.norm(phi(X))
    amplification = max(1.0, amplification)
    wanted = network(phi)(torch.tensor(X)).detach().numpy()
    assert ratio(phi(X), wanted, size=max(D, *widths), amplification=amplification) < 30
    B, c = phi.affine()
    assert (B.shape, c.shape) == ((widths[-1], D), (widths[-1],))
    assert ratio(phi(X), X @ B.T + c, size=D, amplification=amplification) < 30
    assert bias == bool(np.any(c))
    assert np.linalg.matrix_rank(B) == phi.rank == min(widths)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("widths", [[D, 1], [D, 4, 1], [D, 4, 3, 2], [D, 8, 3]])
def test_tangent_features_are_the_gradients_of_the_network(
    widths: list[int], bias: bool, ratio: Callable[..., float]
) -> None:
    """Against torch.func: one jacobian a point, output-major, parameters in torch's order."""
    phi, model = NeuralTangent(widths, bias=bias, rng=1), network(NeuralTangent(widths, bias=bias, rng=1))
    parameters = dict(model.named_parameters())

    def gradients(x: torch.Tensor) -> torch.Tensor:
        parts = torch.func.jacrev(lambda p: torch.func.functional_call(model, p, (x,)))(parameters)
        return torch.cat([part.reshape(widths[-1], -1) for part in parts.values()], dim=1).reshape(-1)

    wanted = torch.stack([gradients(x) for x in torch.tensor(points())]).detach().numpy()
    amplification = max(1.0, np.prod([np.linalg.norm(W) for W, _ in phi.parameters]))
    assert ratio(phi(points()), wanted, size=max(D, *widths), amplification=amplification) < 30
    assert phi.p == widths[-1] * sum(a * b + bias * b for a, b in itertools.pairwise(widths))
    assert phi.kind == ("bijective" if widths == [D, 1] and not bias else "injective")


@pytest.mark.parametrize("widths", [[D, 5], [D, D, D], [D, 9], [D, 3, 8, 7], [D, 4, 5]])
def test_preimage_is_the_pseudo_inverse(widths: list[int], ratio: Callable[..., float]) -> None:
    """The product of the inverses of the full-rank factors is B^+ ."""
    phi = DeepLinear(widths, bias=True, rng=2)
    B = phi.affine()[0]
    # an inverse is accurate to eps cond, and each factor has a condition of its own
    amplification = np.prod([np.linalg.cond(W) for W, _ in phi.parameters])
    assert ratio(phi._inverse, np.linalg.pinv(B), size=max(D, *widths), amplification=amplification) < 30
    exact, rounding = np.linalg.norm(B, 2) * np.linalg.norm(np.linalg.pinv(B), 2), 30 * EPS * D * amplification
    assert 0.95 * exact <= phi.condition() <= (1 + rounding) * exact  # power iteration comes from below


def test_range_tolerance_is_relative_and_stated(ratio: Callable[..., float]) -> None:
    """Rounding (a few eps) is in the range, 10^-12 of the features is not, whatever their size and dtype."""
    phi = DeepLinear([D, 3, 8], rng=3)
    normal = np.linalg.svd(phi.affine()[0])[0][:, -1]
    for size in (1e-8, 1.0, 1e8):
        Phi = size * phi(points())
        unit = np.linalg.norm(Phi, axis=1)[:, None] * normal
        assert phi.in_range(Phi)
        assert phi.in_range(Phi + 1e-15 * unit)
        check = phi.in_range(Phi + 1e-12 * unit * (np.arange(5)[:, None] == 3))
        assert (check.inside, check.row, check.column) == (False, 3, -1)
        beyond = 1e-12 * np.linalg.norm(unit[3])
        s = np.linalg.svd(phi.affine()[0], compute_uv=False)
        lost = s[0] / s[2]  # of rank 3
        assert ratio(check.excess, beyond, size=8, amplification=lost, unit=np.linalg.norm(Phi[3])) < 30
        assert phi.in_range((Phi + 1e-8 * unit).astype(np.float32))


def test_weights_are_projected_on_what_features_span(ratio: Callable[..., float]) -> None:
    W = np.random.default_rng(4).standard_normal((2, 8))
    for bias, rank in ((False, 3), (True, 4)):
        phi = DeepLinear([D, 3, 8], bias=bias, rng=3)
        projected = phi.project(W)
        assert ratio(phi.project(projected), projected, size=8) < 30
        lost = np.linalg.norm(phi(points())) * np.linalg.norm(W) / np.linalg.norm(phi(points()) @ W.T)
        assert ratio(phi(points()) @ projected.T, phi(points()) @ W.T, size=8, amplification=lost) < 30
        span = phi(np.random.default_rng(5).standard_normal((20, D)))
        assert np.linalg.matrix_rank(np.vstack([span, projected]), tol=1e-10) == rank
        if not bias:
            assert phi.in_range(projected)
            with pytest.raises(RangeError, match="outside by"):
                phi.preimage(W)


def test_fitted_weights_are_in_the_range_already(ratio) -> None:
    phi, rng = DeepLinear([D, 4, 9], bias=True, rng=3), np.random.default_rng(6)
    Phi = phi(rng.standard_normal((30, D)))
    W = rng.standard_normal((2, 30)) @ np.linalg.solve(Phi @ Phi.T + 0.1 * np.eye(30), Phi)
    s = np.linalg.svd(Phi, compute_uv=False)
    assert ratio(phi.project(W), W, size=30, amplification=(s[0] ** 2 + 0.1) / 0.1) < 30


def test_one_scaling_brings_features_to_the_affine_range(ratio) -> None:
    """T8e: a set is realisable iff its rows lie in span(B, c) and e.phi = 1; c is 1 / e.phi where that is common."""
    phi = DeepLinear([D, 3, 8], bias=True, rng=3)
    Phi = phi(points())
    B, c = phi.affine()
    perp = c - B @ np.linalg.pinv(B) @ c
    e = perp / (perp @ perp)
    condition = np.linalg.cond(B) * np.linalg.norm(c) / np.linalg.norm(perp)
    lost = condition * np.linalg.norm(Phi) * np.linalg.norm(e)
    assert ratio(Phi @ e, np.ones(len(Phi)), size=8, amplification=lost) < 30
    size = np.linalg.norm(perp) * np.linalg.norm(B)
    assert np.linalg.norm(perp @ B) / (np.finfo(float).eps * 8 * condition * size) < 30
    scale = phi.scale_into_range(2.5 * Phi)
    assert ratio(scale, 0.4, size=8, amplification=condition) < 30
    assert ratio(phi(phi.preimage(scale * 2.5 * Phi)), Phi, size=8, amplification=condition) < 30
    for bad in (0.5 * Phi, Phi * (1 + np.arange(5))[:, None], -Phi):
        with pytest.raises(RangeError, match="project the weights on the range"):
            phi.scale_into_range(bad)
