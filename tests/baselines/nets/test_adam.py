"""Adam: against torch's, and its state."""

import torch

from analytic_dd.baselines.nets.adam import Adam


def gradients(step):
    """Some gradients that differ in size and sign."""
    generator = torch.Generator().manual_seed(step)
    return {
        "x": torch.randn(3, 5, generator=generator, dtype=torch.float64),
        "y": torch.full((7,), 10.0**-step).double(),
    }


def run(adam, values, steps):
    for step in steps:
        values = adam.step(values, gradients(step))
    return values


def start():
    return {"x": torch.ones(3, 5, dtype=torch.float64), "y": torch.zeros(7, dtype=torch.float64)}


def test_steps_are_those_of_torch(ratio):
    mine = run(Adam(0.03), start(), range(20))
    theirs = {name: value.clone().requires_grad_() for name, value in start().items()}
    other = torch.optim.Adam(theirs.values(), lr=0.03)
    for step in range(20):
        for name, gradient in gradients(step).items():
            theirs[name].grad = gradient
        other.step()
    for name, value in mine.items():
        assert ratio(value, theirs[name].detach(), size=20) < 30


def test_a_restored_state_goes_on_bit_for_bit():
    whole = run(Adam(0.03), start(), range(8))
    first = Adam(0.03)
    half = run(first, start(), range(4))
    kept = first.state()
    run(first, half, range(4, 6))  # the state is a copy: what comes after does not change it
    second = Adam(0.03)
    second.restore(kept)
    for name, value in run(second, half, range(4, 8)).items():
        assert torch.equal(value, whole[name])


def test_values_that_are_given_are_not_changed():
    values = start()
    run(Adam(0.03), values, range(2))
    assert torch.equal(values["x"], start()["x"])
