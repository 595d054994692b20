"""Distribution matching: one step to the class means, the gradient, the augmentation that both sides share."""

import numpy as np
import pytest
import torch
from torch import nn

from analytic_dd import data
from analytic_dd.baselines.ledger import Ledger
from analytic_dd.baselines.methods.dm import DistributionMatching, DmConfig, distance_of_means
from analytic_dd.baselines.methods.task import Task
from analytic_dd.baselines.nets.network import ConvNet, Network


class Rotation(Network):
    """An embedding by an orthonormal matrix."""

    def __init__(self, shape, k):
        d = int(np.prod(shape))
        rotate = nn.Linear(d, d, bias=False, device="meta")
        layers = {"flatten": nn.Flatten(), "rotate": rotate, "classifier": nn.Linear(d, k, device="meta")}
        super().__init__(shape, k, layers)

    def draw(self, generator, *, scheme="uniform", device="cpu", dtype=torch.float32):
        """Draw an orthonormal matrix."""
        normal = torch.randn(self.shapes()["rotate.weight"], generator=generator, dtype=torch.float64)
        return {"rotate.weight": torch.linalg.qr(normal).Q.to(device=device, dtype=dtype)}


def method(config, *, per_class=3, dtype=torch.float64, seed=0):
    """Distribution matching after its start, without a driver; classes of 20, 15 and 5 samples."""
    rng = np.random.default_rng(7)
    x, y = rng.integers(0, 256, (40, 7, 5, 3)).astype(np.uint8), np.repeat([0, 1, 2], [20, 15, 5])
    task = Task.of(data.Dataset.from_arrays(x, y, name="noise", split=False), dtype=dtype)
    config = DmConfig(**{"width": 4, "depth": 2} | config)
    found = DistributionMatching(task, config, points_per_class=per_class, seed=seed, ledger=Ledger())
    found.start()
    return found


@pytest.mark.parametrize(("dtype", "eps"), [(torch.float32, 2.0**-23), (torch.float64, 2.0**-52)], ids=str)
@pytest.mark.parametrize("per_class", [1, 3, 8])
def test_an_orthonormal_embedding_lands_on_the_class_means_in_one_step(per_class, dtype, eps, ratio):
    dm = method({"lr": per_class / 2, "augment": False}, per_class=per_class, dtype=dtype)
    dm.network = Rotation(dm.task.shape, dm.task.k)
    before = dm.images.reshape(3, per_class, -1)
    dm.step(0)
    after = dm.images.reshape(3, per_class, -1)
    means = torch.stack([dm.task.images(rows).flatten(1).mean(dim=0) for rows in dm.task.members])
    # measured 8e-7 in float32: sums over 70 pixels and 20 samples
    assert ratio(after.mean(dim=1), means, size=90, eps=eps) < 30
    assert ratio(before.mean(dim=1), means, size=90, eps=eps) > 1e4
    shifts = (after - before).double()
    assert ratio(shifts, shifts.mean(dim=1, keepdim=True).expand_as(shifts), size=90, eps=eps) < 30


def test_the_loss_is_the_squared_distance_of_means(ratio):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((11, 5)), rng.standard_normal((3, 5))
    wanted = np.sum((a.mean(0) - b.mean(0)) ** 2)
    assert ratio(distance_of_means(torch.from_numpy(a), torch.from_numpy(b)), wanted, size=11 * 5) < 30


@pytest.mark.parametrize("augment", [False, True])
def test_a_step_moves_along_the_gradient_of_central_differences(augment, ratio):
    dm = method({"lr": 0.1, "augment": augment})
    start = dm.images.clone()

    def loss(images):
        dm.images = images
        generator, rng = dm.generator(0), dm.rng(0)
        weights, total = dm.draw_network(generator), 0.0
        for label in range(3):
            real, synthetic, _ = dm.batches(label, rng, generator)
            total = total + distance_of_means(dm.network.embed(weights, real), dm.network.embed(weights, synthetic))
        return float(total.detach())

    reported = dm.step(0)
    gradient = (start - dm.images) / 0.1
    assert ratio(loss(start), reported, size=90, amplification=10.0) < 30
    for seed in range(3):
        step, h = torch.randn(start.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64), 1e-6
        difference = (loss(start + h * step) - loss(start - h * step)) / (2 * h)
        assert float((gradient * step).sum()) == pytest.approx(difference, rel=1e-5, abs=1e-7)


def test_real_and_synthetic_images_of_a_class_are_augmented_alike():
    """With the whole class as synthetic images, the means agree whatever the operation is; and images are changed."""
    dm, changed = method({}, per_class=5), 0
    rows = dm.task.members[2]
    dm.images[10:15] = dm.task.images(rows)
    for index in range(12):
        real, synthetic, _ = dm.batches(2, dm.rng(index), dm.generator(index))
        order = [int((synthetic - image).abs().sum(dim=(1, 2, 3)).argmin()) for image in real]
        assert sorted(order) == [0, 1, 2, 3, 4]
        assert torch.equal(real, synthetic[order])
        changed += not torch.equal(synthetic, dm.images[10:15])
    assert changed >= 8


def test_every_class_has_an_operation_of_its_own():
    dm = method({})
    seen = []
    augmentation = dm.augmentation
    dm.augmentation = Spy(augmentation, seen)
    dm.step(0)
    assert len(seen) == 3
    assert len({id(parameters) for parameters, _ in seen}) == 3


class Spy:
    """An augmentation that notes what it draws."""

    def __init__(self, augmentation, seen):
        self.augmentation, self.seen = augmentation, seen

    def draw(self, count, generator):
        """Draw and note."""
        found = self.augmentation.draw(count, generator)
        self.seen.append((found, count))
        return found

    def __call__(self, images, parameters):
        """Apply."""
        return self.augmentation(images, parameters)


def test_the_networks_of_steps_differ_and_are_not_trained():
    dm = method({})
    one, two = (dm.draw_network(dm.generator(index)) for index in (0, 1))
    assert not torch.equal(one["0.conv.weight"], two["0.conv.weight"])
    dm.step(0)
    assert dm.ledger.network_steps == 0


def test_defaults_are_published():
    config = DmConfig()
    assert (config.steps, config.lr, config.momentum, config.batch) == (20_000, 1.0, 0.5, 256)
    assert (config.init, config.augment, config.digits, config.network) == ("real", True, False, "convnet")
    parameters = ConvNet((3, 32, 32), 10).draw(torch.Generator())
    assert ConvNet((3, 32, 32), 10).embed(parameters, torch.zeros(1, 3, 32, 32)).shape == (1, 2048)
    assert "flip" in method({}).augmentation.operations
    assert "flip" not in method({"digits": True}).augmentation.operations
