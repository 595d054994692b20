"""Compositions: kinds, bounded inner maps, references that lead astray (T8)."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from analytic_dd.errors import InfeasibleError, RangeError, ShapeError
from analytic_dd.features import Compose, DeepLinear, FullyConnected, Identity, RandomFourier, from_spec

D, P = 7, 5


def test_values_and_preimages_are_those_of_the_parts(ratio) -> None:
    f, g = FullyConnected([D, D], rng=0), DeepLinear([D, P], rng=1)
    phi, rng = Compose([f, g]), np.random.default_rng(0)
    X, Phi = rng.standard_normal((3, D)), rng.standard_normal((3, P))
    assert np.array_equal(phi(X), g(f(X)))
    assert np.array_equal(phi.preimage(Phi), f.preimage(g.preimage(Phi)))
    near = f.preimage(g.preimage(Phi, near=f(X)), near=X)
    distance = [np.linalg.norm(A - X, axis=1, keepdims=True) for A in (near, phi.preimage(Phi))]
    nearer = np.where(distance[0] <= distance[1], near, phi.preimage(Phi))
    assert ratio(phi.preimage(Phi, near=X), nearer, size=D, amplification=phi.condition()) < 30
    assert phi.condition() == f.condition() * g.condition()


@pytest.mark.parametrize(
    ("widths", "kind"),
    [([D, D, D], "bijective"), ([D, D, P], "surjective"), ([D, D, 9], "injective"), ([D, P, 9], "general")],
)
def test_kind_is_the_weakest(widths: list[int], kind: str) -> None:
    assert Compose([DeepLinear(pair, rng=0) for pair in pairwise(widths)]).kind == kind


def test_inner_range_is_checked_with_its_own_entry(ratio) -> None:
    phi = Compose([FullyConnected([D, D], activation="tanh", rng=0), DeepLinear([D, D], rng=1)])
    Phi = 0.1 * phi(np.ones((3, D)))
    Phi[2] *= 1e4
    check = phi.in_range(Phi)
    assert (check.inside, check.row) == (False, 2)
    with pytest.raises(RangeError, match=r"range of compose: features must lie in \]-1, 1\[ \(tanh\); row 2, column"):
        phi.preimage(Phi)
    c = phi.scale_into_range(Phi)
    assert ratio(phi(phi.preimage(c * Phi)), c * Phi, size=D, amplification=phi.condition()) < 30
    assert phi.scale_into_range(1.05 * c * Phi) < 1.0


def test_reference_that_leaves_an_inner_range_is_not_followed(ratio) -> None:
    phi = Compose([FullyConnected([D, D], activation="tanh", rng=0), DeepLinear([D, P], rng=1)])
    Phi = 0.05 * np.random.default_rng(0).standard_normal((4, P))
    near = 3.0 * np.random.default_rng(1).standard_normal((4, D))
    X = phi.preimage(Phi, near=near)
    assert ratio(phi(X), Phi, size=D, amplification=phi.condition()) < 30


def test_refusal_of_a_part_is_that_of_the_whole() -> None:
    phi = Compose([FullyConnected([D, D], activation="relu", rng=0), Identity(D)])
    assert phi.kind == "general"
    with pytest.raises(InfeasibleError, match="strictly monotone"):
        phi.preimage(np.ones((1, D)))


def test_composition_of_compositions_is_rebuilt() -> None:
    inner = Compose([RandomFourier(D, P, lengthscale=2.0, rng=0), Identity(P)])
    phi = Compose([Identity(D), inner])
    assert from_spec(phi.spec()) == phi
    assert np.array_equal(from_spec(phi.spec())(np.ones((2, D))), inner(np.ones((2, D))))


def test_sizes_must_fit() -> None:
    with pytest.raises(ShapeError, match="map 1 takes 8, got 7"):
        Compose([Identity(7), Identity(8)])
    with pytest.raises(ShapeError, match="at least one map"):
        Compose([])
