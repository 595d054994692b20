"""Gradient matching: the distance, the objective against oracles and differences, the inner training, the loops."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from analytic_dd import data
from analytic_dd.baselines.ledger import Ledger
from analytic_dd.baselines.methods.dc import (
    LOOPS,
    DcConfig,
    GradientMatching,
    gradient_distance,
    loss_gradient,
)
from analytic_dd.baselines.methods.task import Task
from analytic_dd.baselines.nets.augment import Augmentation
from analytic_dd.baselines.nets.network import ConvNet, MultiLayerPerceptron

NETWORK = ConvNet((2, 7, 5), 3, width=4, depth=2)


def generator(seed=0):
    """A torch generator."""
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    """A tensor of standard normal numbers."""
    return torch.randn(*shape, generator=generator(seed), dtype=dtype)


def layers(seed, dtype=torch.float64):
    """A gradient: filters, a bias, a matrix."""
    shapes = {"filters": (5, 2, 3, 3), "bias": (5,), "matrix": (3, 7)}
    return {name: normal(*shape, seed=seed, dtype=dtype) for name, shape in shapes.items()}


@pytest.mark.parametrize("scale", [1.0, 1e-12, 1e12])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_gradient_is_at_no_distance_from_itself(dtype, scale):
    a = {name: scale * value for name, value in layers(0, dtype).items()}
    assert float(gradient_distance(a, a)) == 0.0
    assert float(gradient_distance(a, layers(1, dtype))) > 1.0


def test_the_distance_is_symmetric():
    assert torch.equal(gradient_distance(layers(0), layers(1)), gradient_distance(layers(1), layers(0)))


def test_the_distance_does_not_see_how_long_rows_are(ratio):
    a, b = layers(0), layers(1)
    stretch = {name: torch.rand(len(value), generator=generator(2), dtype=torch.float64) for name, value in a.items()}
    longer = {name: value * (0.1 + stretch[name]).reshape(-1, *[1] * (value.ndim - 1)) for name, value in a.items()}
    assert ratio(gradient_distance(longer, b), gradient_distance(a, b), size=18) < 30
    turned = a | {"matrix": -a["matrix"]}
    assert abs(float(gradient_distance(turned, b) - gradient_distance(a, b))) > 0.1


def test_the_distance_is_one_minus_the_cosine_of_each_row(ratio):
    a, b = layers(0), layers(1)
    wanted = sum(
        1.0 - sum(x * y for x, y in zip(p, q, strict=True)) / math.hypot(*p) / math.hypot(*q)
        for name in ("filters", "matrix")
        for p, q in zip(a[name].flatten(1).tolist(), b[name].flatten(1).tolist(), strict=True)
    )
    assert ratio(gradient_distance(a, b), wanted, size=18) < 30
    assert float(gradient_distance(a, a | {"bias": -a["bias"]})) == 0.0


def test_the_published_form_sees_how_long_rows_are(ratio):
    """Rows of norm r: D(a, a) = 1e-6 / (r^2 + 1e-6) a row."""
    for r in (1.0, 1e-2, 1e-3):
        a = {"matrix": r * torch.eye(3, 7, dtype=torch.float64)}
        wanted = 3 * 1e-6 / (r * r + 1e-6)
        assert ratio(gradient_distance(a, a, distance="published"), wanted, size=7, unit=3.0) < 30
    a, b = ({name: 1e6 * value for name, value in layers(seed).items()} for seed in (0, 1))
    got = gradient_distance(a, b, distance="published")
    assert ratio(got, gradient_distance(a, b), size=18) < 30


def test_rows_of_zeros_count_as_documented_and_have_finite_slopes():
    a = {"matrix": torch.tensor([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0]], requires_grad=True)}
    b = {"matrix": torch.tensor([[0.0, 0.0], [3.0, 4.0], [5.0, 0.0]])}
    found = gradient_distance(a, b)
    assert float(found.detach()) == 0.5
    (slope,) = torch.autograd.grad(found, a["matrix"])
    assert bool(torch.isfinite(slope).all())


@pytest.mark.parametrize("label", [0, 2])
@pytest.mark.parametrize("m", [1, 4])
def test_a_linear_softmax_of_zeros_has_the_cosine_of_the_means(m, label, ratio):
    """Row j of the gradient is (1/C - [j = c]) times the mean image, so D = C (1 - cos)."""
    network = MultiLayerPerceptron((2, 3, 4), 5, widths=())
    weights = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in network.shapes().items()}
    real, synthetic = normal(11, 2, 3, 4, seed=1), normal(m, 2, 3, 4, seed=2)
    found = [loss_gradient(network, weights, x, torch.full((len(x),), label)) for x in (real, synthetic)]
    means = [x.mean(dim=0).flatten() for x in (real, synthetic)]
    wanted = 5 * (1.0 - F.cosine_similarity(*means, dim=0))
    assert ratio(gradient_distance(*found), wanted, size=11 * 24) < 30


def objective(weights, real, leaf, distance="cosine"):
    """The distance of one class as a function of its synthetic images."""
    wanted = loss_gradient(NETWORK, weights, real, torch.ones(len(real), dtype=torch.int64))
    labels = torch.ones(len(leaf), dtype=torch.int64)
    found = loss_gradient(NETWORK, weights, leaf, labels, create_graph=True)
    return gradient_distance(wanted, found, distance=distance)


@pytest.mark.parametrize("distance", ["cosine", "published"])
@pytest.mark.parametrize("operation", [None, "scale", "color"])
def test_the_gradient_in_the_images_is_that_of_central_differences(operation, distance):
    weights = NETWORK.draw(generator(), dtype=torch.float64)
    real, leaf = normal(6, 2, 7, 5, seed=1), normal(2, 2, 7, 5, seed=2).requires_grad_()
    augmentation = Augmentation((operation or "color",))
    shared = augmentation.draw(1, generator(3))

    def loss(x):
        augmented = x if operation is None else augmentation(x, shared)
        return objective(weights, real, augmented, distance)

    (gradient,) = torch.autograd.grad(loss(leaf), leaf)
    for seed in range(3):
        step, h = normal(*leaf.shape, seed=10 + seed), 1e-6
        difference = (loss(leaf + h * step) - loss(leaf - h * step)) / (2 * h)
        assert float((gradient * step).sum()) == pytest.approx(float(difference.detach()), rel=1e-6, abs=1e-8)


def test_the_gradient_of_the_loss_is_that_of_its_matrices_and_filters():
    weights = NETWORK.draw(generator(), dtype=torch.float64)
    images, labels = normal(6, 2, 7, 5), torch.tensor([0, 1, 2, 0, 1, 2])
    found = loss_gradient(NETWORK, weights, images, labels)
    assert list(found) == ["0.conv.weight", "1.conv.weight", "classifier.weight"]
    wanted = torch.func.grad(lambda w: F.cross_entropy(NETWORK.logits(w, images), labels))(weights)
    assert all(torch.equal(value, wanted[name]) for name, value in found.items())
    assert not any(value.requires_grad for value in found.values())
    assert not any(value.requires_grad for value in weights.values())


def method(config, per_class=2, dataset=None):
    """Gradient matching after its start, without a driver, in float64."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (40, 7, 5, 3)).astype(np.uint8), np.arange(40) % 3
    dataset = dataset or data.Dataset.from_arrays(x, y, name="noise", split=False)
    config = DcConfig(**{"width": 4, "depth": 2, "batch": 8, "outer": 1, "inner": 1, "init": "real"} | config)
    task = Task.of(dataset, dtype=torch.float64)
    found = GradientMatching(task, config, points_per_class=per_class, seed=0, ledger=Ledger())
    found.start()
    return found


def test_a_step_moves_all_images_along_the_gradient_of_the_sum_over_classes(ratio):
    dc = method({"lr": 0.3})
    start, weights, rng = dc.images.clone().requires_grad_(), dc.draw_network(dc.generator(0)), dc.rng(0)
    total = torch.zeros((), dtype=torch.float64)
    for label in range(3):
        real = dc.task.images(dc.task.draw(label, 8, rng))
        total = total + dc.distance(weights, real, start[2 * label : 2 * label + 2], label)
    (gradient,) = torch.autograd.grad(total, start)
    loss = dc.step(0)
    assert ratio(torch.tensor(loss, dtype=torch.float64), total.detach(), size=8) < 30
    assert ratio(dc.images, start.detach() - 0.3 * gradient, size=8, amplification=10.0) < 30


@pytest.mark.parametrize("inner", [0, 1, 4])
def test_the_inner_training_comes_between_two_updates_and_not_after_the_last(inner):
    once, twice = method({"outer": 1, "inner": inner}), method({"outer": 2, "inner": inner})
    once.step(0)
    twice.step(0)
    assert once.ledger.network_steps == 0
    assert twice.ledger.network_steps == inner
    other = method({"outer": 2, "inner": 2})
    other.step(0)
    assert not torch.equal(other.images, twice.images)


def test_the_inner_training_learns_the_classes_of_the_images():
    dc = method({})
    weights = dc.draw_network(dc.generator(0))
    losses = [
        float(F.cross_entropy(dc.network.logits(found, dc.images), dc.classes_of_points))
        for found in (weights, dc.trained_on_set(weights, dc.generator(1), 60, lr=0.05, batch=256))
    ]
    assert losses[1] < 0.8 * losses[0]


def test_the_distance_of_the_config_is_the_one_that_is_matched():
    losses = [method({"distance": distance}).step(0) for distance in ("cosine", "published")]
    assert abs(losses[0] - losses[1]) > 1e-6


def test_loops_are_the_published_ones_and_refused_where_there_are_none():
    assert LOOPS == {1: (1, 1), 10: (10, 50), 20: (20, 25), 30: (30, 20), 40: (40, 15), 50: (50, 10)}
    assert DcConfig().loops(10) == (10, 50)
    assert DcConfig(inner=0).loops(50) == (50, 0)
    assert DcConfig(outer=3).loops(20) == (3, 25)
    assert DcConfig(outer=3, inner=2).loops(7) == (3, 2)
    with pytest.raises(ValueError, match=r"loops are published for 1, 10, .* not for 7; set outer and inner"):
        DcConfig(outer=3).loops(7)


def test_defaults_are_published():
    config = DcConfig()
    assert (config.steps, config.lr, config.momentum, config.batch, config.init) == (1000, 0.1, 0.5, 256, "noise")
    assert (config.network, config.width, config.depth) == ("convnet", 128, 3)
    assert (config.net_lr, config.net_batch, config.outer, config.inner) == (0.01, 256, None, None)
    assert DcConfig(network="mlp").depth == 2
