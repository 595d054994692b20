"""Fully connected maps: the activations, the layers' inverses, bounded ranges, what is refused (T8b, T9)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analytic_dd.errors import InfeasibleError, RangeError, ShapeError
from analytic_dd.features import FullyConnected, right_inverse
from analytic_dd.features.activations import ACTIVATIONS

D, H, P = 8, 6, 5
INVERTIBLE = [name for name, act in ACTIVATIONS.items() if act.inverse is not None]
BOUNDED = [name for name, act in ACTIVATIONS.items() if act.inverse is not None and act.centred and not act.onto]


def points(rows: int = 4, scale: float = 0.5) -> np.ndarray:
    return scale * np.random.default_rng(0).standard_normal((rows, D))


@pytest.mark.parametrize("name", INVERTIBLE)
def test_activation_is_strictly_increasing_with_the_stated_range_and_inverse(ratio, name: str) -> None:
    act, T = ACTIVATIONS[name], np.linspace(-6.0, 6.0, 2001)
    H = act.forward(np, T, 0.1)
    assert np.all(np.diff(H) > 0)
    assert act.lower < H.min()
    assert H.max() < act.upper
    slope = np.gradient(H, T)
    assert ratio(act.inverse(np, H, 0.1), T, size=1, amplification=1 + 1 / slope.min()) < 30
    far = act.forward(np, np.array([-1e3, 1e3]), 0.1)
    for limit, value in ((act.lower, far[0]), (act.upper, far[1])):
        assert abs(value - limit) < 2e-3 or (np.isinf(limit) and abs(value) > 6)  # arctan is 1 / 1000 from its limit


@pytest.mark.parametrize("slope", [0.1, 1.0, 3.0, np.array([0.5, 1.0, 2.0]), np.array([0.5, 1.0, 0.2])])
def test_leaky_relu_is_its_definition_whatever_the_slope(slope: float | np.ndarray) -> None:
    T = np.random.default_rng(0).standard_normal((50, 3))
    T[0] = 0.0, -0.0, np.inf
    expected = np.where(T >= 0, T, T * slope)
    assert np.array_equal(ACTIVATIONS["leaky_relu"].forward(np, T, slope), expected)
    like = torch.as_tensor(slope, dtype=torch.float64)
    assert np.array_equal(ACTIVATIONS["leaky_relu"].forward(torch, torch.as_tensor(T), like).numpy(), expected)


@pytest.mark.parametrize("name", [n for n in INVERTIBLE if ACTIVATIONS[n].centred])
def test_stretch_bounds_the_ratio_of_slopes_up_to_the_reach(name: str) -> None:
    """|act^-1(a) - act^-1(b)| / |a - b| times the largest slope is at most ``stretch``, and not far less."""
    act = ACTIVATIONS[name]
    reach = min(act.reach, 5.0)
    H = np.linspace(max(act.lower, -reach), min(act.upper, reach), 4001)
    T = act.inverse(np, H, 0.1)
    secant = np.abs(T[H != 0] / H[H != 0])
    ratio = secant.max() * np.gradient(H, T).max()
    assert 0.25 * (act.stretch or 10.0) < ratio <= 1.001 * (act.stretch or 10.0)


@pytest.mark.parametrize(
    ("name", "oracle"),
    [
        ("leaky_relu", torch.nn.LeakyReLU(0.2)),
        ("asinh", torch.asinh),
        ("tanh", torch.tanh),
        ("elu", torch.nn.ELU()),
        ("softsign", torch.nn.Softsign()),
        ("softplus", torch.nn.Softplus()),
        ("sigmoid", torch.sigmoid),
        ("relu", torch.relu),
        ("gelu", torch.nn.GELU(approximate="tanh")),
        ("sin", torch.sin),
    ],
)
def test_network_is_that_of_torch(ratio, name: str, oracle: object) -> None:
    phi = FullyConnected([D, H, P], activation=name, bias=True, slope=0.2, rng=0)
    h = torch.tensor(points())
    for W, b in zip(phi._W, phi._b, strict=True):
        h = oracle(torch.nn.functional.linear(h, torch.tensor(W), torch.tensor(b)))
    lost = np.prod([np.linalg.norm(W) for W in phi._W]) * np.linalg.norm(points()) / np.linalg.norm(h.numpy())
    assert ratio(phi(points()), h.numpy(), size=H, amplification=1 + lost) < 30


def test_prelu_has_a_slope_for_each_unit() -> None:
    phi = FullyConnected([D, P], activation="prelu", slope=0.2, rng=0)
    X = points()
    T = X @ phi._W[0].T
    slopes = (phi(X) / T)[T < 0]
    assert len(np.unique(np.round(slopes, 12))) == P
    assert slopes.min() > 0.2
    assert slopes.max() < 1.0


def test_weights_have_variance_one_over_fan_in() -> None:
    for weights in ("gaussian", "orthogonal"):
        phi = FullyConnected([400, 300, 500], rng=0, weights=weights, bias=True)
        for W, b in zip(phi._W, phi._b, strict=True):
            for drawn in (W, b):  # five standard deviations of a variance
                assert abs(drawn.var() * W.shape[1] - 1.0) < 5 * np.sqrt(2 / drawn.size)


def test_one_layer_condition_is_that_of_its_matrix_over_the_slope(ratio) -> None:
    phi = FullyConnected([D, P], rng=0, slope=0.1)
    exact = np.linalg.cond(phi._W[0])
    above = 1 + 30 * np.finfo(float).eps * D * exact
    assert 0.95 <= phi.condition() / (10.0 * exact) <= above  # power iteration comes from below
    assert ratio(FullyConnected([D, P], rng=0, weights="orthogonal").condition(), 10.0, size=D) < 30


def test_reference_in_the_null_space_is_kept(ratio) -> None:
    """One layer: x - x_ref is in the row space of W, so x is the nearest of all pre-images."""
    phi, near = FullyConnected([D, P], rng=0, bias=True), points()
    Phi = np.random.default_rng(1).standard_normal((4, P))
    move = phi.preimage(Phi, near=near) - near
    null = np.linalg.svd(phi._W[0])[2][P:]
    unit = np.linalg.norm(move) + np.linalg.norm(near)
    assert ratio(move @ null.T, 0.0, size=D, amplification=phi.condition(), unit=unit) < 30


@pytest.mark.parametrize("name", BOUNDED)
@pytest.mark.parametrize("widths", [(D, D, D), (D, 7, H, P)])
def test_bounded_range_is_exact_at_any_depth(name: str, widths: tuple[int, ...]) -> None:
    """in_range says yes iff undoing the layers by hand stays in the range in every layer; c is that limit to 1 %."""
    phi = FullyConnected(widths, activation=name, rng=1)
    act, rng = ACTIVATIONS[name], np.random.default_rng(2)

    def stays(h: np.ndarray) -> bool:
        for W in reversed(phi._W):
            if not np.all((act.lower < h) & (h < act.upper)):
                return False
            h = np.linalg.pinv(W) @ act.inverse(np, h, None)
        return True

    answers = []
    for scale in np.geomspace(0.001, 2.0, 40):
        Phi = scale * rng.uniform(-1, 1, (1, phi.p))
        answers.append(stays(Phi[0]))
        assert bool(phi.in_range(Phi)) == answers[-1]
    assert {True, False} == set(answers)

    Phi = 9.0 * rng.uniform(-1, 1, (6, phi.p))
    c = phi.scale_into_range(Phi)
    sizes = []
    h = c * Phi
    for W in reversed(phi._W):
        sizes.append(float(np.max(-h if name == "elu" else np.abs(h))))
        h = act.inverse(np, h, None) @ np.linalg.pinv(W).T
    assert 0.95 * act.reach < max(sizes) < act.reach


def test_refusal_names_the_hidden_layer_that_leaves_the_range() -> None:
    phi = FullyConnected([D, D, D], activation="tanh", rng=1)
    Phi = np.full((2, D), 0.01)
    Phi[1] = 0.8
    with pytest.raises(RangeError, match=r"pre-image in hidden layer 1 must lie in \]-1, 1\[ \(tanh\); row 1, column"):
        phi.preimage(Phi)
    assert phi.in_range(np.full((1, D), 1.0)).excess == 0.0
    assert not phi.in_range(np.full((1, D), 1.0))


def test_reference_does_not_lead_out_of_a_bounded_hidden_range(ratio) -> None:
    """Far references are drawn towards the default pre-image until every layer stays in the range."""
    phi = FullyConnected([D, 7, P], activation="tanh", rng=1)
    Phi = np.random.default_rng(3).standard_normal((5, P))
    Phi = Phi * phi.scale_into_range(Phi)
    for scale in (0.1, 1.0, 30.0):
        near = points(5, scale)
        X = phi.preimage(Phi, near=near)
        assert ratio(phi(X), Phi, size=D, amplification=phi.condition()) < 30
        above = 1 + 30 * np.finfo(float).eps * D * phi.condition()
        assert np.all(np.linalg.norm(X - near, axis=1) <= np.linalg.norm(phi.preimage(Phi) - near, axis=1) * above)


REFUSED = [
    ([D, P], "relu", False, "T8b", "strictly monotone"),
    ([D, P], "gelu", False, "T8b", "strictly monotone"),
    ([D, P], "sin", True, "T8b", "strictly monotone"),
    ([D, P], "softplus", False, "T8b", r"0 inside the range .* softplus onto \]0, inf\[; .*near_copies"),
    ([D, P], "sigmoid", True, "T8b", r"0 inside the range .* sigmoid onto \]0, 1\[; .*near_copies"),
    ([D, P], "tanh", True, "T8b", "no biases with a bounded activation .*tanh with biases; .*near_copies"),
    ([D, P], "elu", True, "T8b", "no biases with a bounded activation"),
    ([D, 9, P], "leaky_relu", False, "T8b", "non-increasing widths .* got 9 after 8"),
    ([D, 9], "leaky_relu", False, "T10", r"non-increasing widths .*; use p <= d, or .* \(T10\)"),
]


@pytest.mark.parametrize(("widths", "activation", "bias", "theorem", "message"), REFUSED)
def test_maps_without_preimages_work_forward_and_refuse_with_the_reason(
    widths: list[int], activation: str, bias: bool, theorem: str, message: str
) -> None:
    phi = FullyConnected(widths, activation=activation, bias=bias, rng=0)
    assert phi.kind == "general"
    assert phi.condition() == np.inf
    Phi = phi(points())
    assert np.all(np.isfinite(Phi))
    assert torch.autograd.gradcheck(phi, (torch.tensor(points(1), requires_grad=True),))
    for refused in (phi.preimage, phi.in_range, phi.scale_into_range):
        with pytest.raises(InfeasibleError, match=message) as caught:
            refused(Phi)
        assert caught.value.theorem == theorem


@pytest.mark.parametrize(
    ("activation", "bias"), [("softplus", True), ("sigmoid", False), ("tanh", True), ("elu", True)]
)
def test_neighbours_of_one_image_have_local_preimages(ratio, activation: str, bias: bool) -> None:
    """T9: phi(x_0) and small steps from it come back exactly, near x_0, for any strictly monotone activation."""
    phi, x = FullyConnected([D, H, P], activation=activation, bias=bias, rng=0), points(1)
    steps = 1e-4 * np.vstack([np.zeros((1, P)), np.eye(P)])
    X = phi.local_preimage(phi(x) + steps, near=np.repeat(x, P + 1, axis=0))
    layers = np.prod([np.linalg.cond(W) for W in phi._W])
    assert ratio(phi(X), phi(x) + steps, size=D, amplification=layers) < 30
    assert np.abs(X - x).max() < 0.05
    assert ratio(X[:1], x, size=D, amplification=layers) < 30
    with pytest.raises(RangeError, match="take features closer"):
        phi.local_preimage(phi(x) - 50.0, near=x)
    with pytest.raises(InfeasibleError, match="strictly monotone"):
        FullyConnected([D, P], activation="gelu", rng=0).local_preimage(phi(x), near=x)


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ValueError, match=r"activation must be one of leaky_relu.*, got 'swish'"):
        FullyConnected([D, P], activation="swish", rng=0)
    with pytest.raises(ValueError, match=r"slope must lie in \]0, 1\], got 0"):
        FullyConnected([D, P], slope=0, rng=0)
    with pytest.raises(ValueError, match="weights must be gaussian or orthogonal"):
        FullyConnected([D, P], weights="sparse", rng=0)
    with pytest.raises(ShapeError, match="two or more positive integers"):
        FullyConnected([D, 0], rng=0)
    with pytest.raises(TypeError, match="rng must be"):
        FullyConnected([D, P], rng="seed")


def test_gradients_flow_after_a_first_use_without_them() -> None:
    """Parameters placed in torch.inference_mode or under no_grad are not kept for the graph."""
    phi, x = FullyConnected([D, P], rng=0, bias=True), torch.tensor(points(2))
    for mode in (torch.inference_mode, torch.no_grad):
        with mode():
            phi.preimage(phi(x))
        assert torch.autograd.gradcheck(lambda X: phi.preimage(phi(X)), (x.clone().requires_grad_(),))


def test_factorisation_is_made_once_and_not_pickled() -> None:
    phi = FullyConnected([D, P], rng=0)
    first = phi._inverses
    assert phi._inverses is first
    assert "_inverses" not in phi.__getstate__()


@pytest.mark.parametrize("library", ["numpy", "torch", "jax"])
def test_large_square_layers_are_inverted_by_factors(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    jax = pytest.importorskip("jax")
    make = {"numpy": np.asarray, "torch": torch.tensor, "jax": jax.numpy.asarray}[library]
    monkeypatch.setattr(right_inverse, "_LARGE", 1)
    phi, x = FullyConnected([D, D, D], rng=0), points(3)
    assert isinstance(phi._inverses[0], right_inverse.SquareInverse)
    with jax.enable_x64(True):
        back = phi.preimage(phi(make(x)))
    assert np.linalg.norm(np.asarray(back) - x) <= 30 * np.finfo(float).eps * phi.condition() * D * np.linalg.norm(x)
