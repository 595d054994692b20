"""torch's global state: nothing here depends on the caller's, and the caller has it again, whatever happens inside."""

import contextlib

import numpy as np
import pytest
import torch

from analytic_dd.baselines.bench import evaluate as evaluate_module
from analytic_dd.baselines.bench import own_steps
from analytic_dd.baselines.bench.protocol import Protocol, score
from analytic_dd.baselines.bench.run import objective_of
from analytic_dd.baselines.methods.driver import distill
from analytic_dd.baselines.torch_state import plain_torch
from analytic_dd.data import Dataset


def dataset():
    rng, y = np.random.default_rng(0), np.arange(12) % 3
    x = rng.integers(0, 256, (12, 4, 5), dtype=np.uint8)
    return Dataset.from_arrays(x, y, x_test=x, y_test=y, name="small")


def state():
    """All of the global state that torch_state names."""
    found = [torch.get_default_dtype(), torch.get_float32_matmul_precision(), torch.get_default_device()]
    found += [torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")]
    return [*found, torch.random.get_rng_state().tolist()]


@contextlib.contextmanager
def odd():
    """A caller who has switched on everything."""
    try:
        torch.set_default_dtype(torch.float64)
        torch.set_float32_matmul_precision("medium")
        with torch.autocast("cpu", dtype=torch.bfloat16), torch.inference_mode(), torch.device("meta"):
            yield
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_float32_matmul_precision("highest")


def run_of(name, data):
    """Something that a caller can call, as a function without arguments."""
    linear = {"network": "linear", "steps": 1, "inner_steps": 1, "inner_epochs": 1, "batch": 5, "inits": 1}
    published = {"lr_img": 1.0, "lr_lr": 1e-6, "lr_0": 0.01}
    matched = {"network": "linear", "augment": False, "steps": 1, "experts": 1, "expert_epochs": 2, "max_start": 1}
    dd = distill("dd", data, config=linear)
    mtt = distill("mtt", data, config=matched | {"expert_span": 1, "student_steps": 2, **published})
    small = Protocol(nets=1, epochs=2, mlp_width=3)
    return {
        "distill": lambda: distill("dd", data, config=linear).inputs,
        "score": lambda: score("mlp", dd, data, protocol=small).accuracies,
        "own steps": lambda: own_steps.own_accuracies(dd, data)[0],
        "objective": lambda: objective_of(mtt, data),
    }[name]


@pytest.mark.parametrize("name", ["distill", "score", "own steps", "objective"])
def test_a_run_neither_depends_on_the_state_nor_changes_it(name):
    run = run_of(name, dataset())
    expected = run()
    with odd():
        before = state()
        found = run()
        assert state() == before
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("what", [ValueError, KeyboardInterrupt])
def test_an_error_and_an_interrupt_leave_the_state_as_it_was(monkeypatch, what):
    inside = []

    def fails(*given, **options):
        inside.append(state()[:-1])
        torch.rand(3)
        raise what

    monkeypatch.setattr(evaluate_module, "train_networks", fails)
    run = run_of("score", dataset())
    with odd():
        before = state()
        with pytest.raises(what):
            run()
        assert state() == before
    assert inside == [[torch.float32, "highest", torch.device("cpu"), True, False, False]]


def test_of_blocks_that_do_not_end_in_turn_the_last_gives_back_what_the_first_found():
    """As in two threads: the default dtype belongs to the process."""
    first, second = plain_torch(), plain_torch()
    try:
        torch.set_default_dtype(torch.float64)
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert torch.get_default_dtype() == torch.float32
        second.__exit__(None, None, None)
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
