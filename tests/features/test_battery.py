"""One battery over every feature map: what the protocol promises, for each library and dtype; nothing is skipped.

Errors are ratios  |error| / |value| / (eps * depth * condition()) , to be below 30.
"""

from __future__ import annotations

import contextlib
import json
import pickle
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import array_api_strict
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from analytic_dd.arrays import dtype_name, to_numpy
from analytic_dd.errors import RangeError
from analytic_dd.features import (
    Compose,
    Convolutional,
    DeepLinear,
    FeatureMap,
    FullyConnected,
    Identity,
    InvertibleNetwork,
    NeuralTangent,
    RandomFourier,
    TikhonovScaling,
    base,
    from_spec,
)

RATIO = 30.0
D, P = 8, 6


@dataclass(frozen=True)
class Case:
    """A configuration, its number of layers, the rank of its Jacobian, and whether its range is less than R^p."""

    build: Callable[[], FeatureMap]
    depth: int
    rank: int
    bounded: bool = False


def fourier(p: int = P, rank: int = P, **options: Any) -> Case:
    return Case(lambda: RandomFourier(D, p, lengthscale=2.0, rng=3, **options), 1, rank, bounded=True)


def dense(*widths: int, bounded: bool = False, **options: Any) -> Case:
    return Case(lambda: FullyConnected(widths, rng=4, **options), len(widths) - 1, min(widths), bounded)


def linear(*widths: int, **options: Any) -> Case:
    return Case(lambda: DeepLinear(widths, rng=5, **options), 1, min(widths), bounded=min(widths) < widths[-1])


def tangent(*widths: int, bounded: bool = True, **options: Any) -> Case:
    return Case(lambda: NeuralTangent(widths, rng=6, **options), 1, widths[0], bounded)


def conv(shape: tuple[int, ...], channels: list[int], rank: int, **options: Any) -> Case:
    return Case(lambda: Convolutional(shape, channels, rng=7, **options), len(channels), rank)


def invertible(shape: int | tuple[int, ...], d: int, **options: Any) -> Case:
    return Case(lambda: InvertibleNetwork(shape, blocks=2, rng=8, **options), 2, d)


def penalty(p: int) -> np.ndarray:
    A = np.random.default_rng(9).standard_normal((p + 3, p))
    return A.T @ A


def compose(*cases: Case, rank: int, bounded: bool = False) -> Case:
    depth = sum(case.depth for case in cases)
    return Case(lambda: Compose([case.build() for case in cases]), depth, rank, bounded)


CASES = {
    "identity-1": Case(lambda: Identity(1), 1, 1),
    "identity-6": Case(lambda: Identity(6), 1, 6),
    "identity-8": Case(lambda: Identity(D), 1, D),
    "tikhonov-2": Case(lambda: TikhonovScaling(np.array([[2.0, -1.0], [-1.0, 1.0]])), 1, 2),
    "tikhonov-diagonal": Case(lambda: TikhonovScaling(np.geomspace(0.1, 10.0, D)), 1, D),
    "tikhonov-matrix": Case(lambda: TikhonovScaling(penalty(D)), 1, D),
    "rff-gaussian": fourier(),
    "rff-square": fourier(D, D),
    "rff-laplace": fourier(kernel="laplace"),
    "rff-matern": fourier(kernel="matern", nu=1.5),
    "rff-orthogonal": fourier(D, D, orthogonal=True),
    "rff-sincos": fourier(P, P // 2, form="sincos"),
    "fcnn-square": dense(D, D),
    "fcnn-narrowing-bias": dense(D, 7, P, bias=True, slope=0.3),
    "fcnn-deep": dense(D, D, 7, P),
    "fcnn-orthogonal": dense(D, D, P, weights="orthogonal"),
    "fcnn-prelu": dense(D, P, activation="prelu", bias=True),
    "fcnn-asinh": dense(D, D, P, activation="asinh", bounded=True),
    "fcnn-bent": dense(D, P, activation="bent_identity", bias=True),
    "fcnn-tanh": dense(D, D, activation="tanh", bounded=True),
    "fcnn-tanh-deep": dense(D, 7, P, P, activation="tanh", bounded=True),
    "fcnn-elu": dense(D, 7, P, activation="elu", bounded=True),
    "fcnn-softsign": dense(D, P, activation="softsign", bounded=True),
    "linear-square": linear(D, 10, D),
    "linear-onto": linear(D, 7, P, bias=True),
    "linear-wide": linear(D, 9, 11),
    "linear-wide-bias": linear(D, 9, 11, bias=True),
    "linear-narrow": linear(D, 4, P, bias=True),
    "linear-orthogonal": linear(D, D, D, weights="orthogonal"),
    "tangent-one": tangent(D, 1, bounded=False),
    "tangent-bias": tangent(D, 3, 1, bias=True),
    "tangent-outputs": tangent(D, 3, 4, 2, bias=True),
    "tangent-deep": tangent(D, 4, 2, 1),
    "cnn-circular": conv((4, 6), [3], 18, stride=2),
    "cnn-deep": conv((4, 4, 2), [7, 6], 24, stride=[2, 1], bias=True),
    "cnn-average": conv((4, 4, 2), [2], 8, pool="average"),
    "cnn-max": conv((4, 4, 2), [2], 8, pool="max"),
    "cnn-valid": conv((4, 6), [1], 8, padding="valid"),
    "cnn-zero": conv((4, 4), [1], 16, padding="zero", spread=0.2),
    "inn-additive": invertible(D, D, coupling="additive"),
    "inn-affine": invertible((2, 4), D, coupling="affine", squeeze="haar"),
    "inn-residual": invertible(D, D, coupling="residual"),
    "compose-dense": compose(dense(D, 7), dense(7, P, bias=True), rank=P),
    "compose-linear": compose(linear(D, D), dense(D, D), invertible(D, D), rank=D),
    "compose-fourier-last": compose(dense(D, D), fourier(), rank=P, bounded=True),
    "compose-tanh-first": compose(dense(D, 7, activation="tanh"), dense(7, P), rank=P, bounded=True),
    "compose-fourier-first": compose(fourier(), dense(P, P), rank=P, bounded=True),
    "compose-injective": compose(dense(D, D), linear(D, 11, bias=True), rank=D, bounded=True),
}

MAPS = {name: case.build() for name, case in CASES.items()}


@dataclass(frozen=True)
class Library:
    """How to make an array of one library and dtype."""

    array: Callable[[np.ndarray], Any]
    eps: float
    dtype: str
    context: Callable[[], Any] = contextlib.nullcontext


def libraries() -> dict[str, Library]:
    made: dict[str, Library] = {}
    for name in ("float32", "float64"):
        eps, t = float(np.finfo(name).eps), getattr(torch, name)
        made |= {
            f"numpy-{name}": Library(lambda A, n=name: A.astype(n), eps, name),
            f"torch-{name}": Library(lambda A, t=t: torch.tensor(A, dtype=t), eps, name),
            f"jax-{name}": Library(
                lambda A, n=name: jnp.asarray(A, dtype=n), eps, name, lambda n=name: jax.enable_x64(n == "float64")
            ),
            f"strict-{name}": Library(
                lambda A, n=name: array_api_strict.asarray(A, dtype=getattr(array_api_strict, n)), eps, name
            ),
        }
    return made


LIBRARIES = libraries()
NUMPY = LIBRARIES["numpy-float64"]
FAMILIES = {
    name.partition("-")[0]: [other for other in CASES if other.startswith(name.partition("-")[0])] for name in CASES
}


def every_map(test: Callable[[str], None]) -> Callable[[str], None]:
    """Make one case of a test for each family of maps, in which it holds for every map of the family."""

    @pytest.mark.parametrize("family", FAMILIES)
    def holds(family: str) -> None:
        for name in FAMILIES[family]:
            test(name)

    holds.__doc__, holds.of_map = test.__doc__, test
    return holds


# Six representative maps in every library, three of them in jax, which compiles for every shape; the others in numpy.
SIX = ("rff-gaussian", "fcnn-tanh", "linear-wide-bias", "cnn-max", "inn-affine", "compose-tanh-first")
FOREIGN = ("numpy-float32", "torch-float32", "strict-float32", "jax-float64")


def libraries_of(name: str) -> Iterator[Library]:
    """The libraries in which a map is tested, each in its context."""
    for key in ("numpy-float64", *(FOREIGN[: 4 if name in SIX[::2] else 3] if name in SIX else ())):
        with LIBRARIES[key].context():
            yield LIBRARIES[key]


def inputs(phi: FeatureMap, rows: int = 3, seed: int = 0) -> np.ndarray:
    """Points at which no bounded activation saturates."""
    return 0.3 * np.random.default_rng(seed).standard_normal((rows, phi.d))


def features_in_range(phi: FeatureMap, case: Case, rows: int = 3) -> np.ndarray:
    """Arbitrary features, scaled into an open range; where the range is thin, features of points."""
    if phi.kind not in ("bijective", "surjective"):
        return phi(inputs(phi, rows, seed=1))
    Phi = np.random.default_rng(1).standard_normal((rows, phi.p))
    return phi.scale_into_range(Phi) * Phi


def ratio(got: Any, wanted: Any, phi: FeatureMap, case: Case, eps: float) -> float:
    """The error in units of  eps * depth * condition() ."""
    got, wanted = (to_numpy(A).astype(np.float64) for A in (got, wanted))
    assert got.shape == wanted.shape
    error = float(np.linalg.norm(got - wanted) / np.linalg.norm(wanted))
    return error / (eps * case.depth * phi.condition())


def test_comparator_fails_on_planted_errors() -> None:
    """An error of 100 ratios, a NaN, and a wrong slope do not pass."""
    case, phi = CASES["fcnn-square"], MAPS["fcnn-square"]
    Phi = features_in_range(phi, case)
    unit = NUMPY.eps * case.depth * phi.condition()
    assert ratio(Phi * (1 + 100 * unit), Phi, phi, case, NUMPY.eps) > RATIO
    assert not ratio(np.full_like(Phi, np.nan), Phi, phi, case, NUMPY.eps) < RATIO
    other = FullyConnected([D, D], rng=4, slope=0.1001)
    assert ratio(other(phi.preimage(Phi)), Phi, phi, case, NUMPY.eps) > RATIO


def test_every_class_is_in_the_battery_three_times_or_more() -> None:
    from analytic_dd.features.registry import _MAPS

    forwards = {"patches"}  # known forwards only: test_patches, test_derivatives
    ours = [entry.map for entry in _MAPS.values() if entry.map.__module__.startswith("analytic_dd.")]
    kinds = [kind for kind in ours if not kind.is_code and kind.name not in forwards]
    counted = {kind.name: sum(type(phi) is kind for phi in MAPS.values()) for kind in kinds}
    assert min(counted.values()) >= 3, counted
    assert set(SIX) < set(MAPS)


@every_map
def test_condition_is_a_bound_and_not_wildly_pessimistic(name: str) -> None:
    """Over random features the worst ratio is below 30 and above 10^-3 (10^-4 for a composition)."""
    case, phi = CASES[name], MAPS[name]
    Phi = features_in_range(phi, case, rows=25)
    worst = max(ratio(phi(phi.preimage(Phi[i : i + 1])), Phi[i : i + 1], phi, case, NUMPY.eps) for i in range(25))
    assert worst < RATIO
    assert worst > (1e-4 if name.startswith("compose") else 1e-3) or name.startswith(("identity", "tangent-one"))
    assert 1.0 <= phi.condition() < np.inf


@every_map
def test_round_trip_returns_the_features(name: str) -> None:
    """phi(preimage(Phi)) = Phi, near a reference too; library, dtype and shape are those of the input."""
    case, phi = CASES[name], MAPS[name]
    for library in libraries_of(name):
        Phi = library.array(features_in_range(phi, case))
        if phi.kind not in ("bijective", "surjective"):
            Phi = phi(library.array(inputs(phi, seed=1)))
        near = library.array(inputs(phi, seed=2))
        for reference in (None, near):
            X = phi.preimage(Phi, near=reference)
            assert type(X) is type(Phi)
            assert dtype_name(X) == library.dtype
            assert X.shape == (3, phi.d)
            assert ratio(phi(X), Phi, phi, case, library.eps) < RATIO


@every_map
def test_preimage_of_an_injective_map_returns_the_inputs(name: str) -> None:
    """preimage(phi(X)) = X for bijective and injective maps; for the others it has the same features."""
    case, phi = CASES[name], MAPS[name]
    for library in libraries_of(name):
        X = library.array(inputs(phi))
        back = phi.preimage(phi(X))
        if phi.kind in ("bijective", "injective"):
            assert ratio(back, X, phi, case, library.eps) < RATIO
        else:
            assert np.linalg.norm(to_numpy(back) - to_numpy(X)) > 1e-3
            assert ratio(phi(back), phi(X), phi, case, library.eps) < RATIO


@every_map
def test_map_agrees_with_its_float64_values(name: str) -> None:
    """The parameters do not depend on the library or the dtype."""
    case, phi = CASES[name], MAPS[name]
    for library in libraries_of(name):
        assert ratio(phi(library.array(inputs(phi))), phi(inputs(phi)), phi, case, library.eps) < RATIO


@every_map
def test_reference_is_approached(name: str) -> None:
    """near= is no farther from the reference than the default pre-image, and a point is nearest to itself."""
    case, phi = CASES[name], MAPS[name]
    Phi, near = features_in_range(phi, case), inputs(phi, seed=2)
    default, found = phi.preimage(Phi), phi.preimage(Phi, near=near)
    far, close = np.linalg.norm(default - near), np.linalg.norm(found - near)
    assert close <= far * (1 + RATIO * NUMPY.eps * phi.condition())
    itself = phi.preimage(phi(near), near=near)
    assert ratio(itself, near, phi, case, NUMPY.eps) < RATIO
    if phi.kind == "surjective" and phi.p < phi.d and name not in ("rff-laplace", "cnn-average"):
        assert close < far


@every_map
def test_features_out_of_range_are_refused_with_the_worst_entry(name: str) -> None:
    """A bounded range names row and excess, and nothing is clamped; a map onto R^p takes features of any size."""
    case, phi = CASES[name], MAPS[name]
    for library in libraries_of(name):
        good = features_in_range(phi, case)
        bad = good.copy()
        bad[1] = -800.0 * np.abs(bad[1]) - 800.0 * (1 + np.arange(phi.p) % 2)
        Phi = library.array(bad)
        check = phi.in_range(Phi)
        if not case.bounded:
            assert check
            assert np.all(np.isfinite(to_numpy(phi.preimage(Phi))))
            continue
        assert not check
        assert check.row == 1
        assert check.excess > 0
        with pytest.raises(RangeError, match=r"row 1.* is outside by .*scale_into_range"):
            phi.preimage(Phi)
        assert phi.in_range(library.array(good[[0, 2]]))


@every_map
def test_scaling_brings_features_into_the_range(name: str) -> None:
    """0 < c <= 1, c Phi is in the range (T4'), c = 1 where nothing need be done; or the refusal says why."""
    case, phi = CASES[name], MAPS[name]
    Phi = 5.0 * np.random.default_rng(3).standard_normal((4, phi.p))
    if phi.kind in ("bijective", "surjective"):
        c = phi.scale_into_range(Phi)
        assert 0.0 < c <= 1.0
        assert phi.in_range(c * Phi)
        assert (c < 1.0) == case.bounded
        assert phi.scale_into_range(0.99 * c * Phi) == 1.0
    else:
        with pytest.raises(RangeError, match=r"outside by|common radius|scaling"):
            phi.scale_into_range(Phi)
        unit = NUMPY.eps * case.depth * phi.condition()
        assert abs(phi.scale_into_range(phi(inputs(phi))) - 1.0) < RATIO * unit


@every_map
def test_rows_are_independent_and_blocks_do_not_matter(name: str) -> None:
    """A subset maps to the subset; whole = blockwise, forward and backward, for numpy and torch."""
    case, phi = CASES[name], MAPS[name]
    X = inputs(phi, rows=40)
    Phi, chosen = phi(X), [3, 17, 39]
    assert ratio(phi(X[chosen]), Phi[chosen], phi, case, NUMPY.eps) < RATIO
    back = phi.preimage(Phi, near=X[::-1].copy())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "_BLOCK_BYTES", 1)
        assert phi._block_rows() == 16
        assert ratio(phi(X), Phi, phi, case, NUMPY.eps) < RATIO
        assert ratio(phi(torch.tensor(X)), Phi, phi, case, NUMPY.eps) < RATIO
        assert ratio(phi.preimage(Phi, near=X[::-1].copy()), back, phi, case, NUMPY.eps) < RATIO
    assert bool(phi.in_range(Phi))


@every_map
def test_same_seed_is_the_same_map(name: str) -> None:
    """After pickling, after JSON, and when built again; another seed is another map."""
    case, phi = CASES[name], MAPS[name]
    phi.preimage(phi(inputs(phi)))  # what is computed at the first use is no part of the map
    Phi = phi(inputs(phi))
    stored = pickle.dumps(phi)
    for other in (pickle.loads(stored), from_spec(json.loads(json.dumps(phi.spec()))), case.build()):
        assert other == phi
        assert repr(other) == repr(phi)
        assert (other.kind, other.d, other.p) == (phi.kind, phi.d, phi.p)
        assert np.array_equal(other(inputs(phi)), Phi)
    if "rng" in phi.options():
        other = from_spec({**phi.spec(), "rng": 99})
        assert other != phi
        assert phi.condition() == 1.0 or not np.allclose(other(inputs(phi)), Phi)


@every_map
def test_global_random_state_neither_matters_nor_changes(name: str) -> None:
    phi = MAPS[name]
    made = []
    for seed in (0, 1):
        np.random.seed(seed)  # noqa: NPY002 - the point of the test
        torch.manual_seed(seed)
        random.seed(seed)
        before = str(np.random.get_state()), torch.get_rng_state().tolist(), random.getstate()  # noqa: NPY002
        fresh = CASES[name].build()
        made.append((fresh(inputs(phi)), fresh.preimage(fresh(inputs(phi))), fresh.condition()))
        assert before == (str(np.random.get_state()), torch.get_rng_state().tolist(), random.getstate())  # noqa: NPY002
    assert all(np.array_equal(a, b) for a, b in zip(*made, strict=True))


@every_map
def test_rank_of_the_jacobian_is_what_kind_says(name: str) -> None:
    case, phi = CASES[name], MAPS[name]
    wanted = {"bijective": (phi.d, phi.p), "surjective": (phi.p,), "injective": (phi.d,), "general": (case.rank,)}
    assert {case.rank} == set(wanted[phi.kind])
    assert phi.kind != "general" or case.rank < min(phi.d, phi.p)
    for x in torch.tensor(inputs(phi, rows=3, seed=4)):
        J = torch.func.jacrev(lambda x: phi(x[None, :])[0])(x)
        assert int(torch.linalg.matrix_rank(J)) == case.rank


@every_map
def test_torch_gradients_flow_through_map_and_preimage(name: str) -> None:
    """gradcheck forward; and  J_phi J_preimage = I  (a right inverse; on the range where that is thin)."""
    case, phi = CASES[name], MAPS[name]
    x = torch.tensor(inputs(phi, rows=1, seed=5), requires_grad=True)
    assert torch.autograd.gradcheck(phi, (x,))
    Phi = torch.tensor(features_in_range(phi, case, rows=1), requires_grad=True)
    back = torch.autograd.functional.jacobian(phi.preimage, Phi)[0, :, 0, :]
    forth = torch.autograd.functional.jacobian(phi, phi.preimage(Phi).detach())[0, :, 0, :]
    product = forth @ back
    wanted = torch.eye(phi.p, dtype=torch.float64) if case.rank == phi.p else product @ product
    unit = RATIO * NUMPY.eps * case.depth * phi.condition() * torch.linalg.norm(forth) * torch.linalg.norm(back)
    assert torch.linalg.norm(product - wanted) <= unit
    assert abs(torch.trace(product) - case.rank) <= phi.p**0.5 * unit  # the rank of a projector is its trace


@every_map
def test_wrong_inputs_are_refused(name: str) -> None:
    """Another size, integers, NaN and a reference of another number of rows."""
    phi = MAPS[name]
    Phi = phi(inputs(phi))
    with pytest.raises(ValueError, match=f"must have {phi.d} columns, got {phi.d + 1}"):
        phi(np.zeros((2, phi.d + 1)))
    with pytest.raises(TypeError, match="float32 or float64, got int64"):
        phi(np.zeros((2, phi.d), dtype=np.int64))
    with pytest.raises(ValueError, match="finite, got nan at row 0, column 0"):
        phi.preimage(np.full_like(Phi, np.nan))
    with pytest.raises(ValueError, match="near must have 3 rows, got 2"):
        phi.preimage(Phi, near=inputs(phi, rows=2))


class Clamping(FullyConnected):
    """Planted: features outside are moved into the range in silence."""

    def in_range(self, Phi: Any) -> base.RangeCheck:
        return base.RangeCheck(True)

    def _preimage(self, Phi: Any, near: Any) -> Any:
        return super()._preimage(np.clip(Phi, -0.999, 0.999), near)


class ForgetsBias(FullyConnected):
    """Planted: the pre-image leaves the biases out."""

    def _preimage(self, Phi: Any, near: Any) -> Any:
        kept, self._b = self._b, [None] * self.depth
        try:
            return super()._preimage(Phi, near)
        finally:
            self._b = kept


class IgnoresReference(FullyConnected):
    """Planted: the reference is pushed away from."""

    def _nearer(self, Phi: Any, near: Any) -> Any:
        return self._preimage(Phi, -near)


class BatchNormalised(FullyConnected):
    """Planted: rows see each other."""

    def _map(self, X: Any) -> Any:
        return super()._map(X - X.mean(0))


class GlobalState(FullyConnected):
    """Planted: noise from the global generator."""

    def _map(self, X: Any) -> Any:
        return super()._map(X) + 1e-9 * np.random.standard_normal()  # noqa: NPY002 - the planted fault


class Miscalled(DeepLinear):
    """Planted: rank 4, called surjective."""

    kind = property(lambda self: "surjective", lambda self, value: None)  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("name", "planted", "test"),
    [
        ("fcnn-tanh", Clamping, test_features_out_of_range_are_refused_with_the_worst_entry),
        ("fcnn-narrowing-bias", ForgetsBias, test_round_trip_returns_the_features),
        ("fcnn-narrowing-bias", IgnoresReference, test_reference_is_approached),
        ("fcnn-square", BatchNormalised, test_rows_are_independent_and_blocks_do_not_matter),
        ("fcnn-square", GlobalState, test_same_seed_is_the_same_map),
        ("linear-narrow", Miscalled, test_rank_of_the_jacobian_is_what_kind_says),
    ],
)
def test_planted_fault_fails_the_test_meant_for_it(
    name: str, planted: Any, test: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = MAPS[name].options()
    monkeypatch.setitem(MAPS, name, planted(options.pop("widths"), **options))
    with pytest.raises(AssertionError):
        test.of_map(name)


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_cast_where_the_caller_casts(name: str) -> None:
    """torch.autocast would multiply in bfloat16; the same operations in float32 have the same bits."""
    phi = CASES[name].build()
    X, V, U = (
        torch.tensor(np.random.default_rng(2).uniform(size=(3, d)), dtype=torch.float32) for d in (phi.d, phi.d, phi.p)
    )
    near = X + 0.01

    def found() -> list[torch.Tensor]:
        Phi = phi(X)
        both = phi.preimage(Phi), phi.preimage(Phi, near=near)
        return [Phi, *both, phi.jvp(X, V), phi.vjp(X, U), phi.jacobian(X[0])]

    with torch.autocast("cpu"):
        cast = found()
    assert all(map(torch.equal, cast, found()))
