"""Momentum descent: that of torch, and a state that continues it."""

import pytest
import torch

from analytic_dd.baselines.nets.sgd import Sgd

OPTIONS = [{}, {"momentum": 0.5}, {"momentum": 0.9, "weight_decay": 5e-4}]


def gradient(values):
    """Of a function that is not quadratic."""
    return {name: torch.sin(3.0 * value) for name, value in values.items()}


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_steps_are_those_of_torch(options, ratio):
    start = torch.linspace(-1.0, 2.0, 7, dtype=torch.float64)
    theirs = start.clone().requires_grad_()
    optimiser, ours, values = torch.optim.SGD([theirs], lr=0.1, **options), Sgd(0.1, **options), {"x": start}
    for _ in range(5):
        theirs.grad = gradient({"x": theirs.detach()})["x"]
        optimiser.step()
        values = ours.step(values, gradient(values))
    assert ratio(values["x"], theirs.detach(), size=5) < 30
    assert torch.equal(start, torch.linspace(-1.0, 2.0, 7, dtype=torch.float64))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_state_continues_bit_for_bit_and_shares_nothing(options):
    one, values = Sgd(0.1, **options), {"x": torch.linspace(-1.0, 2.0, 7)}
    values = one.step(values, gradient(values))
    state = one.state()
    two = Sgd(0.1, **options)
    two.restore(state)
    for velocity in state.values():
        velocity.fill_(float("nan"))
    assert torch.equal(one.step(values, gradient(values))["x"], two.step(values, gradient(values))["x"])
