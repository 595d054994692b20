"""T21: trained weights are stationary on the set that is made for them, and the certificate tells what is not."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from analytic_dd import (
    balanced_layers,
    balanced_units,
    linear_network_set,
    relu_network_set,
    stationarity_certificate,
)
from analytic_dd.distill.trained import NetworkSet
from analytic_dd.errors import InfeasibleError, ShapeError

RIDGE = 0.3
NOTE = "local minimum; training from random weights does not find it"


def loss(inputs, labels, layers, ridge, activation):
    """The training loss, by torch."""
    state = torch.from_numpy(inputs)
    for place, W in enumerate(layers):
        state = state @ W.T
        if activation == "relu" and place < len(layers) - 1:
            state = state.relu()
    penalty = sum(W.square().sum() for W in layers)
    return 0.5 * (state - torch.from_numpy(labels)).square().sum() + 0.5 * ridge * penalty


def by_autograd(made):
    """Gradient and Hessian of the loss by automatic differentiation."""
    sizes = [W.shape for W in made.weights]
    flat = torch.from_numpy(np.concatenate([W.ravel() for W in made.weights]))

    def of(theta):
        parts = theta.split([rows * columns for rows, columns in sizes])
        layers = [part.reshape(size) for part, size in zip(parts, sizes, strict=True)]
        return loss(made.inputs, made.labels, layers, made.ridge, made.activation)

    return torch.func.grad(of)(flat).numpy(), torch.func.hessian(of)(flat).numpy()


def linear(rng, depth, scale=None):
    sizes = [*(7, 5, 6, 5)[:depth], 3]
    layers = balanced_layers([rng.standard_normal((b, a)) for a, b in pairwise(sizes)])
    return linear_network_set(layers, ridge=RIDGE, scale=scale)


def relu(rng, **how):
    A, B = balanced_units(rng.standard_normal((3, 4)), rng.standard_normal((4, 6)))
    return relu_network_set(A, B, ridge=RIDGE, rng=rng, **how)


def terms(made):
    """The size of the terms that cancel in the gradient: products of inputs, labels and all but one of the layers."""
    layers = np.prod([max(1.0, float(np.linalg.norm(W))) for W in made.weights])
    return float(np.linalg.norm(made.inputs) * np.linalg.norm(made.labels) * layers)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("scale", [None, 3.0])
def test_rank_many_points_hold_a_deep_linear_network(rng, depth, scale, ratio):
    made = linear(rng, depth, scale)
    product = np.linalg.multi_dot([*made.weights[::-1]]) if depth > 1 else made.weights[0]
    assert len(made) == np.linalg.matrix_rank(product)
    found = stationarity_certificate(made.inputs, made.labels, made.weights, ridge=RIDGE, activation="linear")
    gradient, hessian = by_autograd(made)
    size = sum(W.size for W in made.weights)
    for got in (found.gradient, np.linalg.norm(gradient)):
        assert ratio(got, 0.0, size=size, unit=terms(made)) < 30
    assert found.verdict == ("strict local minimum" if depth == 1 else "stationary point")
    assert ratio(min(found.least_eigenvalue, 0.0), 0.0, size=size, unit=found.largest_eigenvalue) < 30
    assert ratio(found.largest_eigenvalue, np.linalg.eigvalsh(hessian)[-1], size=size, amplification=10.0) < 30


def test_shorter_points_than_the_limit_make_a_saddle(rng):
    """The curvature along the least singular value changes its sign at the limit that the error names."""
    layers = balanced_layers([rng.standard_normal((4, 6)), rng.standard_normal((4, 4)), rng.standard_normal((3, 4))])
    with pytest.raises(InfeasibleError, match=r"T21c: scale must be > .* got 1e-06") as error:
        linear_network_set(layers, ridge=RIDGE, scale=1e-6)
    product, limit = layers[2] @ layers[1] @ layers[0], error.value.limit
    U, s, Vt = np.linalg.svd(product, full_matrices=False)
    for scale, verdict in ((0.99 * limit, "saddle"), (1.01 * limit, "stationary point")):
        labels = ((scale * s + RIDGE / scale * s ** (2.0 / 3.0 - 1.0)) * U).T
        found = stationarity_certificate(scale * Vt, labels, layers, ridge=RIDGE, activation="linear")
        assert found.verdict == verdict


@pytest.mark.parametrize("per_unit", [4, 2])
def test_four_or_two_points_a_unit_hold_a_relu_network_strictly(rng, ratio, per_unit):
    made = relu(rng, points_per_unit=per_unit)
    assert made.inputs.shape == (4 * per_unit, 6)
    active = (made.inputs @ made.weights[0].T > 0.0).reshape(4, per_unit, 4)
    own = active[range(4), :, range(4)]
    assert np.array_equal(own.sum(axis=1), [2] * 4)
    if per_unit == 2:
        assert np.array_equal(active.sum(axis=2), np.ones((4, 2)))  # and no other unit
    found = stationarity_certificate(made.inputs, made.labels, made.weights, ridge=RIDGE)
    gradient, hessian = by_autograd(made)
    values = np.linalg.eigvalsh(hessian)
    assert ratio(np.linalg.norm(gradient), 0.0, size=len(values), unit=terms(made)) < 30
    assert found.verdict == "strict local minimum"
    amplification = values[-1] / values[0]
    assert ratio(found.least_eigenvalue, values[0], size=len(values), amplification=amplification) < 30
    assert found.least_eigenvalue > 0.0
    # it is a minimum: the loss is larger all round
    here = loss(made.inputs, made.labels, [torch.from_numpy(W) for W in made.weights], RIDGE, "relu")
    for _ in range(20):
        moved = [torch.from_numpy(W + 1e-3 * rng.standard_normal(W.shape)) for W in made.weights]
        assert loss(made.inputs, made.labels, moved, RIDGE, "relu") > here


def test_training_from_near_by_returns_and_from_random_weights_does_not(rng):
    made = relu(rng)
    theta = np.concatenate([W.ravel() for W in made.weights])
    shapes = [W.shape for W in made.weights]

    def trained(start):
        rows = [np.ascontiguousarray(part.reshape(s)) for part, s in zip(start, shapes, strict=True)]  # for LBFGS
        layers = [torch.from_numpy(part).requires_grad_() for part in rows]
        options = {"max_iter": 500, "tolerance_grad": 1e-12, "tolerance_change": 0.0}
        descent = torch.optim.LBFGS(layers, line_search_fn="strong_wolfe", **options)  # the steps alone may diverge

        def closure():
            descent.zero_grad()
            value = loss(made.inputs, made.labels, layers, RIDGE, "relu")
            value.backward()
            return value

        descent.step(closure)
        end = np.concatenate([W.detach().numpy().ravel() for W in layers])
        return float(np.linalg.norm(end - theta) / np.linalg.norm(theta))

    for _ in range(3):  # from 3 % away
        noise = rng.standard_normal(theta.shape)
        near = theta + 0.03 * np.linalg.norm(theta) * noise / np.linalg.norm(noise)
        assert trained(np.split(near, [made.weights[0].size])) < 3e-4  # a hundredth, wherever the search stops
    assert trained([rng.standard_normal(W.shape) for W in made.weights]) > 0.1


@pytest.mark.parametrize("kind", [relu, lambda rng: linear(rng, 2)], ids=["relu", "linear"])
def test_the_note_is_always_printed(rng, kind):
    made = kind(rng)
    found = stationarity_certificate(made.inputs, made.labels, made.weights, ridge=RIDGE, activation=made.activation)
    assert made.note == found.note == NOTE
    assert NOTE in str(made)
    assert NOTE in str(found)


def test_the_certificate_tells_other_weights_and_other_labels(rng):
    made = relu(rng)
    for inputs, labels, weights, ridge in (
        (made.inputs, made.labels + 1e-6, made.weights, RIDGE),
        (made.inputs[1:], made.labels[1:], made.weights, RIDGE),
        (made.inputs, made.labels, (1.001 * made.weights[0], made.weights[1] / 1.001), RIDGE),
        (made.inputs, made.labels, made.weights, 1.001 * RIDGE),
    ):
        assert stationarity_certificate(inputs, labels, weights, ridge=ridge).verdict == "not stationary"
    zero = [np.zeros((2, 3)), np.zeros((1, 2))]  # 0 is stationary for linear layers; labels make it a saddle
    found = stationarity_certificate(np.eye(3), np.ones((3, 1)), zero, ridge=0.1, activation="linear")
    assert found.verdict == "saddle"


def test_units_of_the_data_and_of_the_weights_change_no_verdict(rng):
    made = relu(rng)
    for data, size in ((2.0**-450, 1.0), (2.0**450, 1.0), (1.0, 2.0**-400), (1.0, 2.0**400)):
        weights, ridge = [size * W for W in made.weights], RIDGE * data**2 * size**2
        for labels, verdict in ((made.labels, "strict local minimum"), (made.labels[::-1], "not stationary")):
            found = stationarity_certificate(data * made.inputs, data * size**2 * labels, weights, ridge=ridge)
            assert found.verdict == verdict
    found = stationarity_certificate(1e-200 * made.inputs, 1e-200 * made.labels[::-1], made.weights, ridge=0.0)
    assert found.verdict == "not stationary"
    assert stationarity_certificate(made.inputs, 1e300 * made.labels, made.weights, ridge=RIDGE).verdict == (
        "not stationary"
    )


def test_a_small_unit_does_not_hide_behind_the_others(rng):
    """The labels at its four points are turned to the other side of what the network says."""
    sizes = np.array([1.0, 1.0, 1.0, 1e-6])
    A, B = balanced_units(rng.standard_normal((3, 4)) * sizes, rng.standard_normal((4, 6)) * sizes[:, None])
    made = relu_network_set(A, B, ridge=RIDGE, rng=rng)
    labels, own = made.labels.copy(), slice(12, 16)
    labels[own] = 2.0 * np.maximum(made.inputs[own] @ B.T, 0.0) @ A.T - labels[own]
    assert stationarity_certificate(made.inputs, made.labels, made.weights, ridge=RIDGE).relative_gradient < (
        30 * 2.0**-52 * 16 / sizes[-1]  # points, and what the small unit loses
    )
    assert stationarity_certificate(made.inputs, labels, made.weights, ridge=RIDGE).verdict == "not stationary"


def test_a_unit_twice_is_no_strict_minimum(rng):
    """Two halves of a unit are stationary, and flat along what one gives to the other."""
    made, half = relu(rng), np.sqrt([1.0, 1.0, 1.0, 0.5, 0.5])
    B, A = (made.weights[0][[0, 1, 2, 3, 3]].T * half).T, made.weights[1][:, [0, 1, 2, 3, 3]] * half
    assert stationarity_certificate(made.inputs, made.labels, [B, A], ridge=RIDGE).verdict == "stationary point"


def test_a_unit_within_rounding_of_its_kink_is_refused(rng):
    made = relu(rng)
    inputs, b = made.inputs.copy(), made.weights[0][0]
    inputs[5] -= b * (inputs[5] @ b) / (b @ b)
    with pytest.raises(ValueError, match="a unit is at its kink at one of the points, to rounding"):
        stationarity_certificate(inputs, made.labels, made.weights, ridge=RIDGE)


def test_gradient_and_curvature_are_those_of_automatic_differentiation_at_any_weights(rng, ratio):
    weights = [rng.standard_normal((4, 6)), rng.standard_normal((5, 4)), rng.standard_normal((3, 5))]
    for activation in ("relu", "linear"):
        made = NetworkSet(
            rng.standard_normal((7, 6)), rng.standard_normal((7, 3)), RIDGE, tuple(weights), activation, "none"
        )
        gradient, hessian = by_autograd(made)
        found = stationarity_certificate(made.inputs, made.labels, weights, ridge=RIDGE, activation=activation)
        values = np.linalg.eigvalsh(hessian)
        assert ratio(found.gradient, np.linalg.norm(gradient), size=59, amplification=10.0) < 30
        assert ratio(found.largest_eigenvalue, values[-1], size=59, amplification=10.0) < 30
        amplification = 10.0 * values[-1] / abs(values[0])
        assert ratio(found.least_eigenvalue, values[0], size=59, amplification=amplification) < 30


def test_points_near_references_are_on_the_kink_of_their_unit(rng, ratio):
    references = rng.standard_normal((30, 6))
    made = relu(rng, references=references)
    u = made.inputs.reshape(4, 4, 6).mean(axis=1)
    on_kink = np.abs(np.sum(u * made.weights[0], axis=1))
    assert ratio(1.0 + on_kink, np.ones(4), size=6, amplification=10.0) < 30
    found = stationarity_certificate(made.inputs, made.labels, made.weights, ridge=RIDGE)
    assert found.verdict == "strict local minimum"


def test_bad_input_is_refused_with_its_number(rng):
    layers = [rng.standard_normal((4, 6)), rng.standard_normal((3, 4))]
    with pytest.raises(InfeasibleError, match=r"T21c: layers differ by 0\.\d+ from balanced ones"):
        linear_network_set(layers, ridge=RIDGE)
    with pytest.raises(ValueError, match="T21c needs a weight decay, got ridge = 0"):
        linear_network_set(balanced_layers(layers), ridge=0.0)
    with pytest.raises(InfeasibleError, match="T21c: scale must be > 0 for the weights not to be a saddle, got -1"):
        linear_network_set(balanced_layers(layers), ridge=RIDGE, scale=-1.0)
    with pytest.raises(ValueError, match="the product of the weights is 0"):
        balanced_layers([0.0 * layers[0], layers[1]])
    with pytest.raises(ShapeError, match=r"weights\[1\]"):
        balanced_layers([layers[0], layers[0]])
    A, B = balanced_units(layers[1], layers[0])
    with pytest.raises(InfeasibleError, match=r"T21d: \|a_l\| and \|b_l\| of unit 2 differ by 0\.5"):
        relu_network_set(A * np.array([1.0, 1.0, 1.5, 1.0]), B, ridge=RIDGE, rng=rng)
    with pytest.raises(InfeasibleError, match="T21d: units 0 and 1 are parallel, with cosine 1"):
        relu_network_set(*balanced_units(A, B[[0, 0, 2, 3]]), ridge=RIDGE, rng=rng)
    with pytest.raises(ValueError, match="unit 1 has weights 0"):
        relu_network_set(A, B * np.array([[1.0], [0.0], [1.0], [1.0]]), ridge=RIDGE, rng=rng)
    with pytest.raises(ValueError, match="points_per_unit must be 4 or 2, got 3"):
        relu_network_set(A, B, ridge=RIDGE, rng=rng, points_per_unit=3)
    never = balanced_units(A, np.vstack([B[:2], B[0] - B[1], B[3]]))  # unit 0 is active, 1 is not: so is 2
    with pytest.raises(InfeasibleError, match="T21d: no point was found at which unit 0 alone is active"):
        relu_network_set(*never, ridge=RIDGE, rng=rng, points_per_unit=2)
    with pytest.raises(ValueError, match="T21d needs a weight decay"):
        relu_network_set(A, B, ridge=0.0, rng=rng)
    with pytest.raises(ValueError, match="activation must be 'relu' or 'linear', got 'tanh'"):
        stationarity_certificate(np.eye(6), np.eye(6)[:, :3], layers, ridge=0.1, activation="tanh")
    with pytest.raises(ValueError, match="a unit is at its kink"):
        stationarity_certificate(np.zeros((1, 6)), np.zeros((1, 3)), layers, ridge=0.1)
    with pytest.raises(ValueError, match="Hessian of 10,000 weights is not formed; at most 4,000"):
        stationarity_certificate(np.ones((1, 100)), np.ones((1, 100)), [np.ones((100, 100))], ridge=0.1)
