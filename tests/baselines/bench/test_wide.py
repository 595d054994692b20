"""Wide finite networks fitted to labels: the layers by their formula, the fit by linear algebra, the score."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from analytic_dd.baselines.bench import wide
from analytic_dd.baselines.bench.plan import parse_variant, plan
from analytic_dd.baselines.bench.protocol import Protocol, score
from analytic_dd.baselines.bench.requirements import require_possible
from analytic_dd.baselines.bench.run import control_result
from analytic_dd.baselines.methods.conv_kernel import ConvolutionalKernel, convnet
from analytic_dd.baselines.nets.network import LinearNetwork
from analytic_dd.baselines.nets.wide import WideConvNet, fitted, largest_eigenvalue
from analytic_dd.data import Dataset
from analytic_dd.errors import DivergenceError

SMALL = Protocol(nets=2, wide_width=6, wide_depth=1, wide_steps=60)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def data():
    """Three classes that differ in their brightness."""
    rng, y = np.random.default_rng(0), np.arange(30) % 3
    x = (60 * y[:, None, None] + rng.integers(0, 60, (30, 4, 6))).astype(np.uint8)
    return Dataset.from_arrays(x, y, x_test=x, y_test=y, name="small")


def test_layers_are_scaled_draws_of_unit_variance():
    """Convolution, ReLU, then blocks with pooling, then a linear layer, written out."""
    network = WideConvNet((2, 4, 6), 3, width=5, depth=2, W_std=1.3, b_std=0.2)
    drawn = network.draw(generator(), dtype=torch.float64)
    images = torch.randn(7, 2, 4, 6, generator=generator(1), dtype=torch.float64)
    hidden = images
    for index, fan_in in enumerate((18, 45, 45)):
        weight, bias = drawn[f"conv{index}.weight"], drawn[f"conv{index}.bias"]
        hidden = F.conv2d(hidden, 1.3 * weight / fan_in**0.5, 0.2 * bias, padding=1).clamp(min=0.0)
        hidden = F.avg_pool2d(hidden, 2) if index else hidden
    expected = 1.3 / 5**0.5 * hidden.flatten(1) @ drawn["classifier.weight"].T + 0.2 * drawn["classifier.bias"]
    error = (network.logits(drawn, images) - expected).abs().max() / expected.abs().max()
    assert error < 30 * np.finfo(float).eps * 45 * 3  # terms of a sum, layers
    numbers = torch.cat([value.flatten() for value in drawn.values()])
    assert abs(float(numbers.square().mean()) - 1.0) < 5.0 * (2.0 / len(numbers)) ** 0.5


def test_the_tangent_kernel_of_wide_networks_is_the_kernel_of_kip():
    """On average over draws, with an error of one over the width; other scales are far from it."""
    rows = torch.randn(3, 16, generator=generator(), dtype=torch.float64)
    found = torch.zeros(3, 3, dtype=torch.float64)
    for seed in range(4):
        network = WideConvNet((1, 4, 4), 1, width=64, depth=1)
        drawn = network.draw(generator(seed), dtype=torch.float64)
        leaves = [value.requires_grad_() for value in drawn.values()]
        logits = network.logits(drawn, rows.reshape(3, 1, 4, 4))[:, 0]
        slopes = [torch.autograd.grad(one, leaves, retain_graph=True) for one in logits]
        J = torch.stack([torch.cat([slope.flatten() for slope in each]) for each in slopes])
        found += J @ J.T / 4.0
    errors = {}
    for of, W_std in (("ntk", 2.0**0.5), ("ntk", 1.3), ("nngp", 2.0**0.5)):
        expected = ConvolutionalKernel((4, 4, 1), convnet(1), of=of, W_std=W_std, b_std=0.1)(rows)
        errors[of, W_std] = float((found - expected).norm() / expected.norm())
    right = errors.pop(("ntk", 2.0**0.5))
    assert right < 0.1 < 0.2 < min(errors.values())  # 1 / 64 over four draws; no rounding is near


@pytest.mark.parametrize("factor", [math.nan, 1e3])
def test_a_network_that_diverges_has_no_score(monkeypatch, data, factor):
    first = wide.fitted
    monkeypatch.setattr(wide, "fitted", lambda *a, **o: {name: factor * W for name, W in first(*a, **o).items()})
    with pytest.raises(DivergenceError, match="a wide network misses the labels by"):
        score("wide", control_result("random", data, 1, seed=0), data, protocol=SMALL)


def test_the_step_size_is_that_of_the_tangent_kernel_and_the_fit_of_a_linear_network_is_the_nearest():
    network, k = LinearNetwork((1, 2, 4), 3), 3
    rows = torch.linalg.qr(torch.randn(8, 5, generator=generator(), dtype=torch.float64)).Q.T
    X = torch.linspace(1.0, 1.4, 5, dtype=torch.float64)[:, None] * rows
    images, targets = X.reshape(5, 1, 2, 4), torch.randn(5, k, generator=generator(1), dtype=torch.float64)
    first = network.draw(generator(2), dtype=torch.float64)
    values = torch.linalg.eigvalsh(X @ X.T)
    found = largest_eigenvalue(network, first, images)
    assert found <= float(values[-1]) * (1.0 + 30 * np.finfo(float).eps * len(X))
    assert found > 0.9 * float(values[-1])  # 20 power steps at a ratio of 0.86
    last = fitted(network, first, images, targets, steps=150, momentum=0.5)["classifier.weight"]
    start = first["classifier.weight"]
    nearest = start + (torch.linalg.pinv(X) @ (targets - X @ start.T)).T
    condition = float(values[-1] / values[0])
    assert float((last - nearest).norm() / nearest.norm()) < 30 * np.finfo(float).eps * len(X) * condition


def test_a_set_is_scored_by_networks_that_have_its_labels(data):
    """Labels that are no probabilities are taken as they are; equal seeds give equal bits."""
    result = control_result("random", data, 2, seed=0)
    found = score("wide", result, data, protocol=SMALL)
    assert found.accuracies == score("wide", result, data, protocol=SMALL).accuracies
    assert len(found.accuracies) == 2
    assert found.details["labels_left"] < 0.1
    assert found.accuracy > 0.8
    few = score("wide", result, data, protocol=Protocol(nets=1, wide_width=6, wide_depth=1, wide_steps=1))
    assert few.details["labels_left"] > found.details["labels_left"]
    result.y[:] = 3.0 - 5.0 * result.y  # the largest label is no more that of the class
    assert score("wide", result, data, protocol=SMALL).accuracy < 0.2


def test_wide_networks_are_in_plans_refused_where_they_must_fail(data):
    variants = [parse_variant(name)[0] for name in ("kip:steps=1", "full")]
    cells = plan([data], variants, ipcs=[1], seeds=[0], predictors=["wide", "ridge"], config={})
    assert [cell.predictors for cell in cells.sets] == [("wide", "ridge"), ("ridge",)]
    assert "full, small, wide: it fits the labels of all points at once" in cells.left_out
    with pytest.raises(ValueError, match="must fail: 3 halvings leave no pixel of 4 x 6; lower depth"):
        require_possible(cells, {"small": data}, protocol=Protocol())
    require_possible(cells, {"small": data}, protocol=SMALL)
