"""Trajectory matching: its oracles, its gradient, the learned step size, batches, published values."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from analytic_dd import data
from analytic_dd.baselines.ledger import Ledger
from analytic_dd.baselines.methods.mtt import (
    PUBLISHED,
    MttConfig,
    TrajectoryMatching,
    student_batches,
    trajectory_distance,
)
from analytic_dd.baselines.methods.task import Task
from analytic_dd.baselines.methods.unroll import UNROLLS, descend, unrolled_gradient
from analytic_dd.baselines.nets.network import ConvNet

SMALL = {
    "network": "convnet",
    "width": 4,
    "depth": 2,
    "experts": 3,
    "expert_lr": 0.1,
    "expert_batch": 8,
    "student_steps": 3,
    "expert_span": 2,
    "max_start": 2,
    "lr_img": 1.0,
    "lr_lr": 1e-3,
    "lr_0": 0.1,
}
NETWORK = ConvNet((2, 5, 4), 3, width=4, depth=2)


def method(config=None, *, per_class=2, sizes=(8, 8, 8), dtype=torch.float64, seed=0):
    """Trajectory matching after its start, without a driver; samples are class-major."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(len(sizes)), sizes)
    x = np.clip(128 + 40 * y[:, None, None, None] + 30 * rng.standard_normal((len(y), 6, 5, 3)), 0, 255)
    dataset = data.Dataset.from_arrays(x.astype(np.uint8), y, name="small", split=False)
    options = MttConfig(**SMALL | (config or {}))
    task = Task.of(dataset, dtype=dtype)
    found = TrajectoryMatching(task, options, points_per_class=per_class, seed=seed, ledger=Ledger())
    found.start()
    return found


@pytest.mark.parametrize("unroll", UNROLLS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("steps", [1, 3])
def test_the_batches_and_the_step_size_of_the_expert_give_a_loss_of_exactly_zero(steps, dtype, unroll):
    """An expert whose batch is the training part makes a step an epoch; the synthetic set is that batch."""
    config = {"expert_batch": 24, "expert_lr": 0.1, "expert_span": steps, "student_steps": steps, "augment": False}
    mtt = method(config | {"unroll": unroll}, per_class=8, dtype=dtype)
    mtt.images = mtt.task.images(torch.arange(24))
    before = mtt.images.clone()
    assert mtt.step(0) == 0.0
    assert torch.equal(mtt.images, before)
    assert float(mtt.step_size) == 0.1
    other = method(config | {"lr_0": 0.101}, per_class=8, dtype=dtype)
    other.images = before
    assert other.step(0) > 1e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_student_of_no_steps_has_a_loss_of_exactly_one(dtype):
    mtt = method({"student_steps": 0}, dtype=dtype)
    before = mtt.images.clone()
    assert [mtt.step(index) for index in range(4)] == [1.0] * 4
    assert torch.equal(mtt.images, before)
    assert float(mtt.step_size) == 0.1


def weights(seed):
    """A network."""
    return NETWORK.draw(torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("unroll", UNROLLS)
def test_the_derivative_of_one_step_in_the_step_size(unroll, ratio):
    """dL/d eta = -2 <theta_1 - theta*, g> / |theta_0 - theta*|^2."""
    first, target = weights(0), weights(1)
    x, y = torch.randn(6, 2, 5, 4, generator=torch.Generator().manual_seed(2)).double(), torch.arange(6) % 3

    def loss(w, variables, step):
        return F.cross_entropy(NETWORK.logits(w, variables["images"]), y)

    found = unrolled_gradient(
        loss,
        lambda w: trajectory_distance(w, first, target),
        first,
        {"images": x},
        torch.tensor([0.7], dtype=torch.float64),
        unroll=unroll,
    )
    g = torch.func.grad(lambda w: F.cross_entropy(NETWORK.logits(w, x), y))(first)
    away = sum(((first[name] - 0.7 * g[name] - target[name]) * g[name]).sum() for name in g)
    size = sum((first[name] - target[name]).square().sum() for name in g)
    assert ratio(found.step_sizes, (-2.0 * away / size)[None], size=NETWORK.size()) < 30


def test_the_distance_is_the_relative_squared_distance_of_all_weights(ratio):
    first, target, student = weights(0), weights(1), weights(2)
    flat = [np.concatenate([value.numpy().ravel() for value in w.values()]) for w in (student, first, target)]
    wanted = np.sum((flat[0] - flat[2]) ** 2) / np.sum((flat[1] - flat[2]) ** 2)
    assert ratio(trajectory_distance(student, first, target), wanted, size=NETWORK.size()) < 30
    assert float(trajectory_distance(target, first, target)) == 0.0
    assert float(trajectory_distance(first, first, target)) == 1.0


@pytest.mark.parametrize("config", [{"augment": False}, {"synthetic_batch": 4}, {"unroll": "recompute"}], ids=str)
def test_a_step_moves_images_and_step_size_along_central_differences(config):
    mtt = method(config | {"momentum": 0.0, "student_steps": 4})
    start, log_lr, h = mtt.images.clone(), mtt.log_lr.clone(), 1e-6
    rng = mtt.rng(0)
    expert = mtt.experts[int(rng.integers(3))]
    epoch = int(rng.integers(2))
    first, target, student = expert.at(epoch), expert.at(epoch + 2), mtt.student_loss(mtt.generator(0))

    def loss(images=start, log_lr=log_lr):
        last = descend(student, first, {"images": images}, (0.1 * log_lr.exp()).expand(4))
        return float(trajectory_distance(last, first, target))

    assert mtt.step(0) == loss()
    gradient, slope = (start - mtt.images) / 1.0, (log_lr - mtt.log_lr) / (1e-3 / 0.1**2)
    for seed in range(3):
        way = torch.randn(start.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        difference = (loss(start + h * way) - loss(start - h * way)) / (2 * h)
        assert float((gradient * way).sum()) == pytest.approx(difference, rel=1e-5, abs=1e-8)
    difference = (loss(log_lr=log_lr + h) - loss(log_lr=log_lr - h)) / (2 * h)
    assert float(slope) == pytest.approx(difference, rel=1e-5, abs=1e-8)


def test_the_graph_is_kept_where_memory_admits_it():
    kept, again = (method({"unroll_memory": memory}) for memory in (4e9, 1.0))
    assert (kept.settings.unroll, again.settings.unroll) == ("graph", "recompute")
    assert kept.counts["synthetic_forward"] == again.counts["synthetic_forward"] // 2
    assert kept.step(0) == again.step(0)  # the student is the same to the bit
    assert method({"unroll": "recompute"}).settings.unroll == "recompute"


def test_the_first_move_of_the_step_size_is_the_published_one_to_first_order():
    """eta - lr_lr dL/d eta; log eta moves by lr_lr / lr_0^2 times eta dL/d eta."""
    moves = []
    for lr_lr in (1e-3, 1e-4):
        mtt = method({"lr_lr": lr_lr, "momentum": 0.0, "augment": False})
        rng = mtt.rng(0)
        expert = mtt.experts[int(rng.integers(3))]
        epoch = int(rng.integers(2))
        first, target = expert.at(epoch), expert.at(epoch + 2)
        found = unrolled_gradient(
            mtt.student_loss(mtt.generator(0)),
            lambda w, first=first, target=target: trajectory_distance(w, first, target),
            first,
            {"images": mtt.images},
            torch.full((3,), 0.1, dtype=torch.float64),
        )
        mtt.step(0)
        published = -lr_lr * float(found.step_sizes.sum())
        moves.append(abs((float(mtt.step_size) - 0.1) / published - 1.0))
    assert moves[0] < 0.1
    assert moves[1] == pytest.approx(moves[0] / 10.0, rel=0.05)


def test_the_step_size_stays_positive_whatever_its_gradient(ratio):
    mtt = method({"lr_0": 1.0, "lr_lr": 0.3})
    for index in range(12):
        mtt.step(index)
        assert float(mtt.step_size) > 0.0
    assert mtt.learned() == {"step_size": float(mtt.step_size)}
    assert abs(float(mtt.step_size) - 1.0) > 0.01
    still = method({"lr_lr": 0.0})
    still.step(0)
    assert ratio(still.step_size, 0.1, size=1) < 30


def test_a_set_larger_than_a_batch_is_seen_in_epochs():
    batches = student_batches(7, 3, 6, torch.Generator().manual_seed(0))
    assert [len(rows) for rows in batches] == [3, 3, 1, 3, 3, 1]
    one, two = torch.cat(batches[:3]), torch.cat(batches[3:])
    assert sorted(one.tolist()) == sorted(two.tolist()) == list(range(7))
    assert not torch.equal(one, two)
    whole = student_batches(7, 7, 2, torch.Generator().manual_seed(0))
    assert all(torch.equal(rows, torch.arange(7)) for rows in whole)
    assert student_batches(7, 3, 0, torch.Generator()) == []


class Spy:
    """An augmentation that notes what it draws and applies."""

    def __init__(self, augmentation):
        self.augmentation, self.drawn, self.applied = augmentation, [], []

    def draw(self, count, generator):
        """Draw and note."""
        self.drawn.append(self.augmentation.draw(count, generator))
        return self.drawn[-1]

    def __call__(self, images, parameters):
        """Note and apply."""
        self.applied.append(parameters)
        return self.augmentation(images, parameters)


def test_the_way_back_sees_the_augmentation_of_the_way_there():
    mtt = method({"synthetic_batch": 4, "unroll": "recompute"})
    mtt.experts[0], mtt.experts[1], mtt.experts[2]
    mtt.augmentation = spy = Spy(mtt.augmentation)
    mtt.step(0)
    assert [parameters.count for parameters in spy.drawn] == [4, 2, 4]
    there = [spy.drawn.index(parameters) for parameters in spy.applied]
    assert there == [0, 1, 2, 2, 1, 0]


def test_experts_and_starts_are_drawn_from_all():
    mtt, seen = method({"experts": 3, "max_start": 2, "width": 2}), set()
    at, experts = type(mtt.experts[0]).at, mtt.experts
    for index in range(40):
        rng = mtt.rng(index)
        seen.add((int(rng.integers(3)), int(rng.integers(2))))
    assert len(seen) == 6
    mtt.step(0)
    assert at(experts[0], 3) is not None
    assert experts[0].epochs == 3  # max_start - 1 + expert_span
    with pytest.raises(IndexError):
        at(experts[0], 4)


def test_experts_are_trained_when_they_are_drawn_and_not_before():
    mtt = method({"experts": 100})
    assert mtt.ledger.real_forward == 0
    mtt.step(0)
    assert mtt.ledger.real_forward == 3 * 24
    assert mtt.passes_once()["real_forward"] == 100 * 3 * 24


def test_defaults_are_published():
    config = MttConfig()
    assert (config.steps, config.experts, config.expert_lr, config.expert_batch) == (5000, 100, 0.01, 256)
    assert (config.momentum, config.augment, config.init, config.network) == (0.5, True, "real", "convnet")
    steps = {"student_steps": 50, "expert_span": 2, "max_start": 2}
    assert PUBLISHED["cifar10", 1] == steps | {"lr_img": 100.0, "lr_lr": 1e-7, "lr_0": 0.01}
    assert set(PUBLISHED) == {(name, ipc) for name in ("cifar10", "cifar100") for ipc in (1, 10, 50)}


@pytest.mark.parametrize(("k", "name"), [(10, "cifar10"), (100, "cifar100")])
@pytest.mark.parametrize("ipc", [1, 10, 50])
def test_the_published_values_complete_a_config(k, name, ipc):
    x, y = np.zeros((2 * k, 32, 32, 3), dtype=np.uint8), np.arange(2 * k) % k
    x[0] = 1
    task = Task.of(data.Dataset.from_arrays(x, y, name="c", split=False))
    found = MttConfig(lr_0=0.5).completed(task, ipc)
    table = PUBLISHED[name, ipc]
    assert (found.lr_0, found.student_steps, found.lr_img) == (0.5, table["student_steps"], table["lr_img"])
    assert found.expert_epochs == table["max_start"] - 1 + table["expert_span"]
    assert MttConfig(expert_epochs=50).completed(task, ipc).expert_epochs == 50
    with pytest.raises(ValueError, match=rf"nothing is published for {k} classes .* with 7 a class; set student_steps"):
        MttConfig().completed(task, 7)
