"""The battery of MTT, DD and LD: seeds, resume, counts, every shape of data, divergence, memory, digits."""

import numpy as np
import pytest
import torch

from analytic_dd import data
from analytic_dd.baselines.bench.evaluate import evaluate
from analytic_dd.baselines.bench.own_steps import trained_networks
from analytic_dd.baselines.methods.dd import UnrolledDistillation
from analytic_dd.baselines.methods.driver import distill
from analytic_dd.baselines.methods.task import Task
from analytic_dd.errors import DivergenceError

METHODS = ("mtt", "dd", "ld")
NETWORK = {"network": "convnet", "width": 4, "depth": 2, "experts": 2, "expert_lr": 0.1, "expert_batch": 8}
OPTIONS = {
    "mtt": {"student_steps": 3, "expert_span": 1, "max_start": 2, "lr_img": 10.0, "lr_lr": 1e-3, "lr_0": 0.1},
    "dd": {"inner_steps": 2, "inner_epochs": 2, "batch": 16, "inits": 2, "step_size": 0.1, "expert_epochs": 2},
    "ld": {"inner_steps": 2, "batch": 16, "inits": 2, "step_size": 0.1, "expert_epochs": 2, "lr_step": 0.1},
}


def options(method, **others):
    """Options of a small run."""
    return NETWORK | OPTIONS[method] | others


def small(shape=(8, 8), sizes=(20, 9, 1), dtype=np.uint8):
    """Images of three classes with means of their own: one smaller than a batch, one of a single image."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(len(sizes)), sizes)
    x = 128 + 40 * y.reshape(-1, *[1] * len(shape)) + 30 * rng.standard_normal((len(y), *shape))
    return data.Dataset.from_arrays(np.clip(x, 0, 255).astype(dtype), y, name="small", split=False)


@pytest.mark.parametrize("method", METHODS)
def test_two_runs_are_identical_and_leave_the_random_state_alone(method):
    before, numpy_before = torch.get_rng_state(), str(np.random.mtrand._rand.get_state())
    one = distill(method, small(), points_per_class=2, config=options(method, steps=3))
    assert torch.equal(torch.get_rng_state(), before)
    assert str(np.random.mtrand._rand.get_state()) == numpy_before
    torch.rand(1)
    two = distill(method, small(), points_per_class=2, config=options(method, steps=3))
    assert np.array_equal(one.inputs, two.inputs)
    assert np.array_equal(one.y, two.y)
    assert one.learned == two.learned
    assert [loss for _, _, loss in one.losses] == [loss for _, _, loss in two.losses]
    other = distill(method, small(), points_per_class=2, seed=1, config=options(method, steps=3))
    assert not np.array_equal(one.inputs, other.inputs)


VARIANTS = [
    ("mtt", {"momentum": 0.9}),
    ("mtt", {"synthetic_batch": 4, "unroll": "graph", "init": "noise"}),
    ("dd", {}),
    ("dd", {"weights": "fixed", "optimizer": "sgd", "step_sizes": "one"}),
    ("dd", {"weights": "pretrained-random", "inits": 1, "halve_every": 2}),
    ("ld", {}),
    ("ld", {"weights": "pretrained-fixed"}),
]


@pytest.mark.parametrize(("method", "more"), VARIANTS, ids=str)
def test_a_resumed_run_is_the_run_bit_for_bit(method, more, tmp_path):
    state, config = tmp_path / "state.npz", options(method, **more)
    whole = distill(method, small(), points_per_class=2, config=config | {"steps": 4})
    half = distill(method, small(), points_per_class=2, config=config | {"steps": 2}, state_file=state)
    again = distill(method, small(), points_per_class=2, config=config | {"steps": 4}, state_file=state, resume=True)
    moved = "y" if method == "ld" else "inputs"
    assert not np.array_equal(getattr(half, moved), getattr(whole, moved))
    assert np.array_equal(again.inputs, whole.inputs)
    assert np.array_equal(again.y, whole.y)
    assert again.learned == whole.learned
    assert [loss for _, _, loss in again.losses] == [loss for _, _, loss in whole.losses]
    counts = [
        {k: v for k, v in run.ledger.to_dict().items() if k.endswith(("ward", "steps", "expert_bytes"))}
        for run in (again, whole)
    ]
    assert counts[0] == counts[1]


def test_the_ledger_of_trajectory_matching_counts_what_is_done_by_hand():
    """Two steps of three student steps of 6 images; an expert: 2 epochs of 30 samples in 4 batches, 3 snapshots."""
    found = distill("mtt", small(), points_per_class=2, config=options("mtt", steps=2, experts=1))
    ledger = found.ledger
    assert (ledger.synthetic_forward, ledger.synthetic_backward) == (2 * 2 * 3 * 6, 2 * 3 * 3 * 6)
    assert (ledger.real_forward, ledger.real_backward) == (2 * 30, 2 * 30)
    assert ledger.network_steps == 2 * 3 + 2 * 4
    assert ledger.expert_bytes == 3 * 4 * _size_of_network()
    assert ledger.steps == 2


def _size_of_network():
    """Two blocks: 3 x 3 filters, biases, scales and shifts of 4 channels; a linear layer on 2 x 2 pixels of them."""
    blocks = (9 * 1 * 4 + 4 + 8) + (9 * 4 * 4 + 4 + 8)
    return blocks + (2 * 2 * 4 * 3 + 3)


@pytest.mark.parametrize(("method", "unrolled"), [("dd", 4), ("ld", 2)])
def test_the_ledger_of_an_unroll_counts_what_is_done_by_hand(method, unrolled):
    """Two steps of two networks; 6 images in two parts, so 3 a gradient step; 16 real samples a network."""
    ledger = distill(method, small(), points_per_class=2, config=options(method, steps=2)).ledger
    seen = 2 * 2 * unrolled * 3
    assert (ledger.synthetic_forward, ledger.synthetic_backward) == (2 * seen, 3 * seen)
    assert (ledger.real_forward, ledger.real_backward) == (2 * 2 * 16, 2 * 2 * 16)
    assert (ledger.network_steps, ledger.expert_bytes, ledger.kernel_entries) == (2 * 2 * unrolled, 0, 0)


@pytest.mark.parametrize("per_class", [1, 3])
@pytest.mark.parametrize("shape", [(8, 8), (6, 9, 3), (8, 5, 1), (28, 28)], ids=str)
@pytest.mark.parametrize("method", METHODS)
def test_every_shape_of_images_and_small_classes(method, shape, per_class):
    dataset = small(shape)
    config = options(method, steps=2, expert_batch=256, **({} if method == "mtt" else {"batch": 1024}))
    found = distill(method, dataset, points_per_class=per_class, config=config)
    start = distill(method, dataset, points_per_class=per_class, config=config | {"steps": 0})
    assert found.x.shape == (3 * per_class, *dataset.image_shape)
    assert np.isfinite(found.inputs).all()
    if method == "ld":
        assert np.array_equal(found.inputs, start.inputs)
        assert np.allclose(found.y.sum(axis=1), 1.0, atol=1e-6)
        assert (np.abs(found.y - start.y).max(axis=1) > 0.0).all()
    else:
        assert (np.abs(found.inputs - start.inputs).max(axis=1) > 0.0).all()
        assert np.array_equal(found.y, np.eye(3)[np.repeat([0, 1, 2], per_class)])


@pytest.mark.parametrize("method", METHODS)
def test_rows_of_numbers_are_data(method):
    config = options(method, network="mlp", width=6, depth=None, steps=2) | (
        {"augment": False} if method == "mtt" else {}
    )
    assert distill(method, small((11,), dtype=np.float64), config=config).x.shape == (3, 11)


DIVERGENT = [
    ("mtt", {"lr_img": 1e30}, "lower lr_img"),
    ("mtt", {"lr_0": 1e30}, "step size of 1e.30; lower lr_0"),
    ("dd", {"lr": 1e30}, "lower lr .1e.30 now"),
    ("dd", {"step_size": 1e30}, "step sizes up to 1e.30; lower step_size"),
    ("ld", {"lr_step": 1e4}, "lower lr_step .10000 now"),
]


@pytest.mark.parametrize(("method", "more", "knob"), DIVERGENT, ids=str)
def test_a_run_that_diverges_names_step_and_knob_and_keeps_the_last_good_state(method, more, knob, tmp_path):
    state = tmp_path / "state.npz"
    with pytest.raises(
        DivergenceError, match=rf"{method}: the loss of step \d+ is nan; .*{knob}.*state before it is in"
    ):
        distill(method, small(), config=options(method, steps=9, **more), state_file=state)
    with np.load(state) as stored:
        assert all(np.isfinite(stored[name]).all() for name in stored.files if name.startswith("state/"))


@pytest.mark.parametrize("method", METHODS)
def test_an_interrupt_keeps_the_state_and_a_resume_ends_as_if_there_was_none(method, tmp_path):
    state, config = tmp_path / "state.npz", options(method, steps=3)

    def interrupt(done, loss, running):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        distill(method, small(), config=config, callback=interrupt, state_file=state)
    again = distill(method, small(), config=config, state_file=state, resume=True)
    whole = distill(method, small(), config=config)
    assert np.array_equal(again.inputs, whole.inputs)
    assert np.array_equal(again.y, whole.y)


def test_too_little_memory_on_the_device_says_what_to_lower(monkeypatch):
    def full(self, index):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(UnrolledDistillation, "step", full)
    with pytest.raises(
        MemoryError, match="dd on cpu ran out of memory; lower the batch, the unrolled steps or the points"
    ):
        distill("dd", small(), config=options("dd", steps=1))


@pytest.fixture(scope="module")
def digits():
    """The digits of scikit-learn, 8 x 8."""
    return data.load("digits")


def test_trajectories_of_digits_give_ten_images_that_train_a_network(digits):
    config = NETWORK | OPTIONS["mtt"] | {"width": 16, "expert_lr": 0.05, "expert_batch": 64, "max_start": 3}
    config |= {"student_steps": 10, "expert_span": 2, "lr_lr": 1e-4, "augment": False, "steps": 60}
    found = distill("mtt", digits, config=config)
    score = evaluate(found.inputs, found.classes_of_points, digits, width=32, depth=2, nets=2).mean
    print(f"mtt {score:.3f}, step size {found.learned['step_size']:.3f}")
    assert score >= 0.82


def test_ten_digits_lead_a_fixed_network_to_the_classes(digits):
    """On the first weights that the set was made for, and with its own five steps."""
    config = {"width": 16, "depth": 2, "weights": "fixed", "inner_steps": 5, "inner_epochs": 1, "init": "real"}
    config |= {"step_size": 0.1, "lr": 0.1, "lr_step": 0.02, "batch": 256, "steps": 150}
    found = distill("dd", digits, config=config)
    start = distill("dd", digits, config=config | {"steps": 0})
    scores = []
    for result in (found, start):
        network, (weights,) = trained_networks(result, digits)
        task, (mean, std) = Task.of(digits), digits.statistics()
        x = torch.as_tensor((digits.x_test.reshape(-1, 64) - mean) / std).float()
        right = network(weights, task.as_images(x)).argmax(dim=1).numpy() == digits.y_test
        scores.append(right.mean())
    print(f"dd {scores[0]:.3f}, before {scores[1]:.3f}")
    assert scores[0] >= 0.80 > scores[1]
