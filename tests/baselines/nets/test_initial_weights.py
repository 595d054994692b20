"""First weights: the variances of the rules, zero biases, generators of one's own."""

import math

import pytest
import torch

from analytic_dd.baselines.nets.initial_weights import SCHEMES, draw_weights, stacked
from analytic_dd.baselines.nets.named import NETWORKS, network_named
from analytic_dd.baselines.nets.network import ConvNet

NETWORK = ConvNet((3, 16, 16), 10, width=40, depth=2)


def drawn(scheme, seed=0, network=NETWORK, **others):
    """Weights by a rule."""
    return draw_weights(network, scheme, torch.Generator().manual_seed(seed), **others)


@pytest.mark.parametrize(("scheme", "fans"), [("xavier", lambda i, o: i + o), ("he", lambda i, o: i)])
def test_weights_have_the_variance_of_their_rule(scheme, fans):
    weights = drawn(scheme)
    for name, (fan_in, fan_out) in {
        "0.conv.weight": (27, 360),
        "1.conv.weight": (360, 360),
        "classifier.weight": (640, 10),
    }.items():
        value = weights[name]
        wanted = math.sqrt(2.0 / fans(fan_in, fan_out))
        deviations = 4.0 / math.sqrt(2 * value.numel())  # four standard errors of a standard deviation
        assert float(value.std()) == pytest.approx(wanted, rel=deviations)
        assert abs(float(value.mean())) < 4.0 * wanted / math.sqrt(value.numel())


@pytest.mark.parametrize("scheme", ["xavier", "he"])
def test_biases_are_zero_and_norms_are_one_and_zero(scheme):
    for name, value in drawn(scheme).items():
        if value.ndim == 1:
            assert torch.equal(value, torch.ones_like(value) if name.endswith("norm.weight") else 0.0 * value)


def test_uniform_is_the_draw_of_the_network():
    wanted = NETWORK.draw(torch.Generator().manual_seed(3))
    assert all(torch.equal(value, wanted[name]) for name, value in drawn("uniform", 3).items())


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_network_has_first_weights(name, scheme):
    network = network_named(name, (3, 32, 32), 5, width=4)
    weights = drawn(scheme, network=network)
    assert {key: tuple(value.shape) for key, value in weights.items()} == network.shapes()
    assert bool(network(weights, torch.ones(2, 3, 32, 32)).isfinite().all())


def test_draws_depend_on_the_generator_alone():
    before = torch.get_rng_state()
    one, two, other = drawn("he"), drawn("he"), drawn("he", 1)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    assert not torch.equal(one["0.conv.weight"], other["0.conv.weight"])
    double = drawn("he", dtype=torch.float64)
    assert double["0.conv.weight"].dtype == torch.float64


def test_stacked_networks_have_one_more_axis():
    both = stacked([drawn("he"), drawn("he", 1)])
    assert both["0.conv.weight"].shape == (2, 40, 3, 3, 3)
    assert torch.equal(both["0.conv.weight"][1], drawn("he", 1)["0.conv.weight"])


def test_another_rule_is_refused():
    with pytest.raises(ValueError, match="unknown scheme 'glorot'; choose from xavier, he, uniform"):
        drawn("glorot")
