"""Invertible networks: bijections with Lipschitz constants that are known in both directions (T8d)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analytic_dd.errors import InfeasibleError
from analytic_dd.features.blocks import AdditiveCoupling, AffineCoupling, Block, Conditioner, ResidualBlock
from analytic_dd.features.invertible import InvertibleNetwork
from analytic_dd.features.layers import draw_orthonormal
from analytic_dd.features.orthogonal import Downsampling, Mixing

EPS = float(np.finfo(np.float64).eps)
RATIO = 30.0

COUPLINGS = ("additive", "affine", "residual")
MAPS: dict[str, Callable[[], InvertibleNetwork]] = {
    "additive, odd": lambda: InvertibleNetwork(11, coupling="additive", rng=0),
    "additive, haar": lambda: InvertibleNetwork((4, 6, 3), coupling="additive", squeeze="haar", rng=1),
    "affine": lambda: InvertibleNetwork((5, 7), coupling="affine", blocks=3, hidden=6, rng=2),
    "affine, checkerboard": lambda: InvertibleNetwork((4, 6), coupling="affine", squeeze="checkerboard", rng=3),
    "residual": lambda: InvertibleNetwork(9, coupling="residual", blocks=2, rng=4),
    "residual, haar": lambda: InvertibleNetwork((2, 6, 2), coupling="residual", squeeze="haar", rng=5),
}
every_map = pytest.mark.parametrize("name", MAPS)


def plain(X: Any, A: np.ndarray) -> Any:
    """Where a block would place a parameter: numpy or torch, float64."""
    return A if isinstance(X, np.ndarray) else torch.tensor(A)


def jacobian(block: Block, v: np.ndarray) -> np.ndarray:
    return torch.func.jacrev(lambda v: block.forward(v[None, :], plain)[0])(torch.tensor(v)).numpy()


def block_of(coupling: str, d: int = 13, hidden: int = 5) -> Block:
    made = {"additive": AdditiveCoupling, "affine": AffineCoupling, "residual": ResidualBlock}
    return made[coupling](np.random.default_rng(0), d, hidden)


# The map


@pytest.mark.parametrize(
    ("shape", "coupling", "squeeze"),
    [
        ((28, 28), "additive", "checkerboard"),
        ((28, 28), "affine", None),
        ((28, 28), "residual", "haar"),
        ((32, 32, 3), "additive", None),
        ((32, 32, 3), "affine", "haar"),
        ((32, 32, 3), "residual", "checkerboard"),
    ],
)
def test_defaults_invert_images_to_rounding_level(
    ratio: Any, shape: tuple[int, ...], coupling: str, squeeze: str | None
) -> None:
    phi = InvertibleNetwork(shape, coupling=coupling, squeeze=squeeze, hidden=16, rng=0)
    assert (phi.kind, phi.d, phi.p) == ("bijective", math.prod(shape), math.prod(shape))
    assert phi.condition() < 1000
    Phi = np.random.default_rng(0).standard_normal((3, phi.p))
    assert ratio(phi(phi.preimage(Phi)), Phi, size=phi.hidden, amplification=phi.blocks) < 30


def test_default_width_inverts_images_to_rounding_level(ratio: Any) -> None:
    phi = InvertibleNetwork((28, 28), rng=0)
    assert (phi.hidden, phi.coupling, phi.blocks) == (256, "affine", 4)
    Phi = np.random.default_rng(0).standard_normal((3, phi.p))
    assert ratio(phi(phi.preimage(Phi)), Phi, size=phi.hidden, amplification=phi.blocks) < 30


@settings(deadline=None, max_examples=60)
@given(
    st.integers(2, 12),
    st.integers(1, 3),
    st.sampled_from(COUPLINGS),
    st.floats(-100.0, 100.0),
    st.integers(0, 2**32),
)
@example(2, 1, "residual", -6.0, 0)  # found when tanh(u + beta) - tanh(beta) was computed by subtraction
def test_condition_bounds_the_error_at_every_scale(
    ratio: Any, d: int, blocks: int, coupling: str, power: float, seed: int
) -> None:
    """Features of size 1e-100 to 1e100: the map sends 0 to 0 and is Lipschitz, so the error stays relative."""
    phi = InvertibleNetwork(d, blocks=blocks, coupling=coupling, rng=seed)
    Phi = 10.0**power * np.random.default_rng(seed).standard_normal((2, d))
    assert ratio(phi(phi.preimage(Phi)), Phi, size=phi.blocks, amplification=phi.condition()) < 30
    assert ratio(phi.preimage(phi(Phi)), Phi, size=phi.blocks, amplification=phi.condition()) < 30


@every_map
def test_zero_maps_to_zero(name: str) -> None:
    phi = MAPS[name]()
    assert np.array_equal(phi(np.zeros((1, phi.d))), np.zeros((1, phi.p)))
    assert np.array_equal(phi.preimage(np.zeros((1, phi.p))), np.zeros((1, phi.d)))


@every_map
def test_jacobian_has_full_rank_and_condition_bounds_its_own(name: str) -> None:
    phi = MAPS[name]()
    for x in torch.tensor(2.0 * np.random.default_rng(0).standard_normal((5, phi.d))):
        J = torch.func.jacrev(lambda x: phi(x[None, :])[0])(x)
        assert int(torch.linalg.matrix_rank(J)) == phi.d
        assert float(torch.linalg.cond(J)) < phi.condition()


def test_features_are_not_linear(ratio: Any) -> None:
    """phi(x + y) is far from phi(x) + phi(y): else the map adds nothing to ridge regression."""
    for name, build in MAPS.items():
        phi = build()
        x, y = np.random.default_rng(0).standard_normal((2, 20, phi.d))
        # The square root of eps times the terms of a sum: rounding reaches half of these digits nowhere
        assert ratio(phi(x) + phi(y), phi(x + y), size=phi.d) > EPS**-0.5, name


# Its parts


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_lipschitz_constants_are_bounds(coupling: str) -> None:
    """Singular values of the Jacobian, in and out of the box, are in [1 / lipschitz_inverse, lipschitz]."""
    block, rng = block_of(coupling), np.random.default_rng(1)
    points = np.concatenate([scale * rng.standard_normal((100, 13)) for scale in (0.1, 1.0, 4.0)])
    values = np.array([np.linalg.svd(jacobian(block, v), compute_uv=False) for v in points])
    assert np.max(values) < block.lipschitz
    assert np.min(values) > 1.0 / block.lipschitz_inverse
    assert block.lipschitz < 3 * np.max(values)  # and the bounds are near
    assert 1.0 / block.lipschitz_inverse > np.min(values) / 3


def test_conditioner_attains_its_lipschitz_constant(ratio: Any) -> None:
    """At A a = -beta / gain, where tanh has slope 1, it stretches by gain * scale; it is the formula, and 0 at 0."""
    net = Conditioner(np.random.default_rng(0), 9, 4, 7, gain=2.0, scale=0.3)
    beta = np.arctanh(net.rest)
    V = np.random.default_rng(1).standard_normal((5, 9))
    wanted = (np.tanh(V @ net.inward + beta) - net.rest) @ net.outward
    assert ratio(net(V, plain), wanted, size=sum(net.inward.shape)) < 30
    a = np.linalg.lstsq(net.inward.T, -beta, rcond=None)[0]
    step = 1e-6 * net.inward[:, 0] / np.linalg.norm(net.inward[:, 0])
    moved = net((a + step)[None, :], plain) - net((a - step)[None, :], plain)
    assert abs(np.linalg.norm(moved) / 2e-6 / net.lipschitz - 1.0) < RATIO * EPS / 1e-6
    assert net.lipschitz == 0.6
    assert np.array_equal(net(np.zeros((1, 9)), plain), np.zeros((1, 7)))


@pytest.mark.parametrize("coupling", ["additive", "affine"])
def test_coupling_leaves_the_first_half_alone_and_is_undone(ratio: Any, coupling: str) -> None:
    block = block_of(coupling)
    V = 3.0 * np.random.default_rng(0).standard_normal((50, 13))
    out = block.forward(V, plain)
    assert np.array_equal(out[:, :6], V[:, :6])
    assert not np.any(np.isclose(out[:, 6:], V[:, 6:]))
    assert ratio(block.inverse(out, plain), V, size=V.shape[1]) < 30


def test_affine_coupling_scales_within_the_box_and_shifts_beyond(ratio: Any) -> None:
    """db'/db is e^s for |b| < 3, the same for both signs of b, between e^-0.3 and e^0.3; 1 beyond; continuous."""
    block, rng = block_of("affine"), np.random.default_rng(0)
    a = rng.standard_normal(6)

    def diagonal(b: np.ndarray) -> np.ndarray:
        return np.diagonal(jacobian(block, np.concatenate([a, b])))[6:]

    b = 2.9 * rng.uniform(-1.0, 1.0, 7)
    assert np.all(np.abs(np.log(diagonal(b))) < 0.3)
    assert np.max(np.abs(np.log(diagonal(b)))) > 0.01
    assert ratio(diagonal(-b), diagonal(b), size=len(a)) < 30  # s is a sum over a
    assert np.array_equal(diagonal(np.sign(b) * 3.1), np.ones(7))
    for side in (-3.0, 3.0):
        ends = np.tile(np.concatenate([a, np.full(7, side)]), (2, 1)) * np.array([[1 - 1e-12], [1 + 1e-12]])
        ends[:, :6] = a
        moved = np.linalg.norm(np.diff(block.forward(ends, plain), axis=0))
        assert moved <= block.lipschitz * np.linalg.norm(np.diff(ends, axis=0)) + RATIO * EPS * np.linalg.norm(ends)


def test_residual_block_is_a_contraction_and_its_inverse_the_fixed_point(ratio: Any) -> None:
    block, rng = block_of("residual"), np.random.default_rng(0)
    V, U = rng.standard_normal((2, 200, 13))
    moved = np.linalg.norm(block.branch(V, plain) - block.branch(U, plain), axis=1)
    assert np.all(moved <= 0.6 * np.linalg.norm(V - U, axis=1))
    X = block.inverse(V, plain)
    assert ratio(X + block.branch(X, plain), V, size=V.shape[1]) < 30


def test_block_that_is_no_contraction_is_an_error() -> None:
    """Weights ten times too large: the iteration cycles, and says so."""
    block = block_of("residual")
    block.branch.outward *= -10.0
    with pytest.raises(InfeasibleError, match=r"must settle to steps of 1.8e-15, got .*not a contraction") as caught:
        block.inverse(np.random.default_rng(0).standard_normal((3, 13)), plain)
    assert caught.value.theorem == "T8d"
    assert caught.value.value > caught.value.limit


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 2**32))
def test_mixing_is_orthogonal_and_permutes_whole_channels(channels: int, sites: int, seed: int) -> None:
    d = channels * sites
    mixing = Mixing(np.random.default_rng(seed), d, channels)
    Q = mixing.forward(np.eye(d), plain)
    assert np.max(np.abs(Q @ Q.T - np.eye(d))) < RATIO * EPS
    assert np.max(np.abs(mixing.inverse(Q, plain) - np.eye(d))) < RATIO * EPS
    groups = mixing.order.reshape(channels, sites)
    assert np.array_equal(groups % sites, np.tile(np.arange(sites), (channels, 1)))
    assert np.array_equal(np.sort(groups[:, 0]), sites * np.arange(channels))


def test_mixing_is_the_product_of_its_reflections(ratio: Any) -> None:
    mixing = Mixing(np.random.default_rng(0), 7, 7)
    wanted = np.eye(7)[:, mixing.order]
    for u in mixing.across.T:
        wanted = wanted @ (np.eye(7) - 2.0 * np.outer(u, u))
    assert ratio(mixing.forward(np.eye(7), plain), wanted, size=mixing.across.size) < 30


def test_checkerboard_takes_the_four_phases_as_channels() -> None:
    X = np.random.default_rng(0).standard_normal((2, 4, 6, 3))
    got = Downsampling((4, 6, 3), haar=False).forward(X.reshape(2, -1), plain).reshape(2, 4, 3, 2, 3)
    for phase, (i, j) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        assert np.array_equal(got[:, phase], X[:, i::2, j::2].transpose(0, 3, 1, 2))


@pytest.mark.parametrize("haar", [False, True])
def test_downsampling_is_orthogonal(haar: bool) -> None:
    step = Downsampling((4, 6, 3), haar=haar)
    Q = step.forward(np.eye(72), plain)
    assert np.max(np.abs(Q @ Q.T - np.eye(72))) < RATIO * EPS
    assert np.max(np.abs(step.inverse(Q, plain) - np.eye(72))) < RATIO * EPS


def test_haar_puts_a_constant_image_into_its_mean_channel() -> None:
    got = Downsampling((4, 6, 2), haar=True).forward(np.ones((1, 48)), plain).reshape(8, 6)
    assert np.array_equal(got[:2], np.full((2, 6), 2.0))
    assert np.array_equal(got[2:], np.zeros((6, 6)))


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 6), st.integers(1, 6))
def test_drawn_matrices_are_orthonormal(rows: int, columns: int) -> None:
    Q = draw_orthonormal(np.random.default_rng(0), rows, columns)
    small = Q @ Q.T if rows < columns else Q.T @ Q
    assert Q.shape == (rows, columns)
    assert np.max(np.abs(small - np.eye(min(rows, columns)))) < RATIO * EPS


# Refusals


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        (1, {}, r"needs at least 2 inputs, got 1; use Identity"),
        ((4, 6, 3, 2), {}, r"image_shape must be"),
        (0, {}, r"image_shape must be integers >= 1"),
        (8, {"blocks": 0}, r"blocks must be an integer >= 1"),
        (8, {"coupling": "spline"}, r"coupling must be one of additive, affine, residual, got 'spline'"),
        (8, {"squeeze": "haar"}, r"squeeze needs the shape of an image, got 8 inputs"),
        ((4, 6), {"squeeze": "daubechies"}, r"squeeze must be one of None, checkerboard, haar, got"),
        ((4, 5), {"squeeze": "checkerboard"}, r"needs even sides, got 4 x 5"),
        (9, {"hidden": 5}, r"hidden must be at most half of d = 9, got 5; use 4"),
    ],
)
def test_wrong_options_are_refused(shape: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        InvertibleNetwork(shape, rng=0, **options)
