"""Descent with momentum and Adam: the steps of torch, and a state that continues them."""

import pytest
import torch

from analytic_dd.baselines.nets.optimizers import Adam, Sgd

MOMENTUM = {"momentum": 0.9, "weight_decay": 5e-4}
KINDS = {
    "sgd": (lambda: Sgd(0.1), lambda values: torch.optim.SGD(values, lr=0.1)),
    "momentum": (lambda: Sgd(0.1, momentum=0.5), lambda values: torch.optim.SGD(values, lr=0.1, momentum=0.5)),
    "decay": (lambda: Sgd(0.1, **MOMENTUM), lambda values: torch.optim.SGD(values, lr=0.1, **MOMENTUM)),
    "adam": (lambda: Adam(0.03), lambda values: torch.optim.Adam(values, lr=0.03)),
}
each_kind = pytest.mark.parametrize("kind", KINDS)


def start():
    return {"x": torch.linspace(-1.0, 2.0, 7, dtype=torch.float64), "y": torch.zeros(3, 5, dtype=torch.float64)}


def gradients(values, step):
    """Of a function that is not quadratic, and some that shrink with the steps."""
    return {"x": torch.sin(3.0 * values["x"]), "y": torch.full((3, 5), 10.0**-step, dtype=torch.float64)}


def run(optimizer, values, steps):
    for step in steps:
        values = optimizer.step(values, gradients(values, step))
    return values


@each_kind
def test_steps_are_those_of_torch_and_leave_alone_what_is_given(kind, ratio):
    ours, theirs = KINDS[kind]
    given = start()
    mine = run(ours(), given, range(20))
    others = {name: value.clone().requires_grad_() for name, value in start().items()}
    optimizer = theirs(others.values())
    for step in range(20):
        for name, gradient in gradients({name: value.detach() for name, value in others.items()}, step).items():
            others[name].grad = gradient
        optimizer.step()
    for name, value in mine.items():
        assert ratio(value, others[name].detach(), size=20) < 30
        assert torch.equal(given[name], start()[name])


@each_kind
def test_a_restored_state_goes_on_bit_for_bit_and_shares_nothing(kind):
    make, _ = KINDS[kind]
    whole, first, second = run(make(), start(), range(8)), make(), make()
    half = run(first, start(), range(4))
    kept = first.state()
    second.restore(kept)
    for value in kept.values():
        value.zero_()
    run(first, half, range(4, 6))
    for name, value in run(second, half, range(4, 8)).items():
        assert torch.equal(value, whole[name])
