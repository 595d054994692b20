"""T9: one input and q near copies carry a whole model, for any activation with a Jacobian of full rank."""

import numpy as np
import pytest

from analytic_dd import InfeasibleError, ShapeError, certify_recovery, one_image_features
from analytic_dd.arrays import to_numpy
from analytic_dd.errors import RangeError
from analytic_dd.features import (
    Compose,
    Convolutional,
    DeepLinear,
    FullyConnected,
    Identity,
    InvertibleNetwork,
    RandomFourier,
)
from analytic_dd.features.activations import ACTIVATIONS
from analytic_dd.judge import map_amplification
from analytic_dd.ridge import ridge_weights

K, P, D, N = 3, 7, 11, 40
NEWTON = ("gelu", "gelu, bias", "sin", "sin, bias", "wider hidden layer", "sincos")


def dense(activation, *, bias=False, widths=(D, 9, P)):
    return FullyConnected(list(widths), activation=activation, bias=bias, rng=3)


MAPS = {
    **{name: dense(name) for name in ACTIVATIONS if name != "relu"},
    **{f"{name}, bias": dense(name, bias=True) for name in ACTIVATIONS if name != "relu"},
    "square": dense("leaky_relu", widths=(D, D)),
    "wider hidden layer": dense("tanh", widths=(D, 13, P)),
    "composed": Compose([dense("sigmoid", widths=(D, 9)), dense("softplus", bias=True, widths=(9, P))]),
    "identity": Identity(D),
    "fourier": RandomFourier(D, P, lengthscale=3.0, rng=0),
    "sincos": Compose([RandomFourier(D, 14, lengthscale=3.0, form="sincos", rng=1), DeepLinear([14, P], rng=0)]),
    "deep linear, bias": DeepLinear([D, 9, P], bias=True, rng=0),
    "convolutional": Convolutional((4, 6), [3], stride=2, rng=7),
    "invertible": InvertibleNetwork((2, 4), blocks=2, rng=8),
}


def image(phi):
    return np.random.default_rng(7).uniform(0.0, 1.0, phi.d)


def weights(phi, *, rank=K):
    rng = np.random.default_rng(1)
    X, Y = rng.uniform(0, 1, (N, phi.d)), rng.standard_normal((N, rank)) @ rng.standard_normal((rank, K))
    return ridge_weights(phi(X), Y, ridge=0.1)


def certificate(W, phi, built, inputs=None):
    """Of the inputs, through the map."""
    X = built.inputs if inputs is None else inputs
    Phis = phi(X)
    amplification = map_amplification(phi, X, Phis)
    return certify_recovery(W, Phis, built.labels, ridge=built.ridge, map_condition=amplification)


@pytest.mark.parametrize("name", MAPS)
def test_near_copies_of_one_input_are_exact(ratio, name):
    for ridge in [0.0, 0.25, 64.0]:
        phi, x0 = MAPS[name], image(MAPS[name])
        W = weights(phi)
        built = one_image_features(W, phi, x0, ridge=ridge)
        assert built.inputs.shape == (K + 1, phi.d)
        assert np.array_equal(built.inputs[0], x0)
        found = certificate(W, phi, built)
        assert found.ratio < 30
        lost = built.condition * map_amplification(phi, built.inputs, phi(built.inputs))
        assert ratio(built.relative_error, 0.0, size=K + 1 + phi.p, amplification=lost, unit=1.0) < 30
        change = np.abs(built.inputs - x0).max()
        assert change == built.largest_change
        assert 0.001 * np.ptp(x0) < change <= 0.01 * np.ptp(x0)
        assert built.inverse == ("newton" if name in NEWTON else "exact")


def test_arrays_stay_in_their_library(library):
    every = ["sigmoid", "gelu", "tanh, bias", "fourier"]  # the first two: an exact inverse, and Newton's method
    for name in every[:2] if library.name == "jax" else every:  # jax compiles for every shape
        phi = MAPS[name]
        W, x0 = library.array(weights(phi)), library.array(image(phi))
        built = one_image_features(W, phi, x0, ridge=0.25, largest_change=0.2)
        assert library.owns(built.inputs, built.features, built.labels)
        found = certificate(to_numpy(W).astype(float), phi, built, to_numpy(built.inputs).astype(float))
        assert found.ratio * 2.0**-52 / library.eps < 30  # the numbers were rounded in their library


@pytest.mark.parametrize("rank", [1, 2])
def test_one_copy_for_each_dimension_of_row_w(rank):
    phi = MAPS["tanh, bias"]
    W = weights(phi, rank=rank)
    built = one_image_features(W, phi, image(phi), ridge=0.5, rcond=1e-10)
    assert len(built) == rank + 1
    assert certificate(W, phi, built).ratio < 30


def test_copies_are_at_one_distance_in_feature_space_along_row_w(ratio):
    phi = MAPS["softplus"]
    W = weights(phi)
    built = one_image_features(W, phi, image(phi))
    moves = (built.features[1:] - built.features[0]) / built.step
    lost = phi.condition() * np.linalg.norm(built.features) / built.step  # differences of near features
    assert ratio(moves @ moves.T, np.eye(K), size=K + P, amplification=lost) < 30
    assert ratio(moves @ np.linalg.pinv(W) @ W, moves, size=K + P, amplification=lost) < 30


def test_inputs_do_not_depend_on_the_ridge():
    phi = MAPS["elu, bias"]
    first, second = (one_image_features(weights(phi), phi, image(phi), ridge=ridge) for ridge in (0.0, 5.0))
    assert np.array_equal(first.inputs, second.inputs)
    assert np.linalg.norm(first.labels - second.labels) > 1e-3 * np.linalg.norm(first.labels)


@pytest.mark.parametrize("limit", [1e-3, 1e-2, 0.1])
def test_largest_change_is_a_bound_and_is_used(limit):
    phi = MAPS["sigmoid, bias"]
    built = one_image_features(weights(phi), phi, image(phi), largest_change=limit)
    assert 0.2 * limit < built.largest_change <= limit


def test_error_grows_as_the_change_shrinks():
    phi = MAPS["leaky_relu"]
    errors = [one_image_features(weights(phi), phi, image(phi), largest_change=h).condition for h in (1e-2, 1e-4)]
    assert 30 < errors[1] / errors[0] < 300


def test_back_tracking_from_outside_of_the_range():
    """A sigmoid that is nearly saturated leaves little room on one side: the first steps have no pre-image."""
    phi = dense("sigmoid", widths=(D, P))
    x0 = 3.0 * image(phi)
    with pytest.raises(RangeError, match="take features closer"):
        phi.local_preimage(phi(x0[None]) + np.linalg.norm(phi(x0[None])), near=x0[None])
    built = one_image_features(weights(phi), phi, x0, largest_change=1e3)
    assert certificate(weights(phi), phi, built).ratio < 30


def test_newton_agrees_with_the_exact_inverse():
    phi = dense("tanh", bias=True, widths=(D, D))  # equal widths: only one pre-image
    exact, newton = (one_image_features(weights(phi), m, image(phi)) for m in (phi, phi.__call__))
    assert (exact.inverse, newton.inverse) == ("exact", "newton")
    moved, other = ((built.inputs[1:] - image(phi)) / built.step for built in (exact, newton))
    assert np.linalg.norm(moved - other) < 0.05 * np.linalg.norm(moved)  # to first order in the step


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"largest_change": 1e-12}, InfeasibleError, "T9: copies this near must determine W"),
        ({"largest_change": 0.0}, ValueError, "largest_change must be finite and > 0, got 0"),
        ({"x0": np.ones(D)}, ValueError, "0 for a constant x0"),
        ({"x0": np.ones((2, D))}, ShapeError, "x0 must be one input, got 2 rows"),
        ({"W": np.zeros((K, P))}, ValueError, "W is zero"),
        ({"W": np.ones((K, P + 1))}, ShapeError, r"phi\(x0\) must have 8 columns, got 7"),
        (
            {"phi": dense("relu")},
            InfeasibleError,
            "T9: the Jacobian of the feature map at x0 must have rank p = 7, got ",
        ),
        ({"phi": dense("tanh", widths=(5, P)), "x0": np.arange(5.0)}, InfeasibleError, "rank p = 7, got 5"),
    ],
)
def test_what_cannot_be_is_refused(change, kind, message):
    given = {"W": weights(MAPS["tanh"]), "phi": MAPS["tanh"], "x0": image(MAPS["tanh"])} | change
    W, phi, x0 = (given.pop(name) for name in ("W", "phi", "x0"))
    with pytest.raises(kind, match=message) as caught:
        one_image_features(W, phi, x0, largest_change=given.get("largest_change", 0.01 if np.ptp(x0) else None))
    if kind is InfeasibleError:
        assert caught.value.theorem == "T9"


@pytest.mark.parametrize("error", ["linear copies", "random directions", "labels of the other ridge"])
def test_planted_errors_are_noticed(error):
    """Copies that follow the wrong directions, or labels without the ridge, fail the certificate."""
    phi, x0 = MAPS["sigmoid"], image(MAPS["sigmoid"])
    W = weights(phi)
    built = one_image_features(W, phi, x0, ridge=0.25)
    inputs, labels = built.inputs, built.labels
    if error == "labels of the other ridge":
        labels = built.features @ W.T
    else:
        noise = np.random.default_rng(0).standard_normal(inputs.shape)
        inputs = x0 + 0.01 * noise if error == "random directions" else inputs + 1e-3 * built.largest_change * noise
        inputs[0], Phis = x0, phi(inputs)
        labels = (Phis + 0.25 * np.linalg.pinv(Phis).T) @ W.T
    amplification = map_amplification(phi, inputs, phi(inputs))
    assert certify_recovery(W, phi(inputs), labels, ridge=0.25, map_condition=amplification).verdict == "fail"
