"""Differentiable Siamese augmentation: gradient matching but for what the images go through."""

import numpy as np
import pytest
import torch

from analytic_dd import data
from analytic_dd.baselines.ledger import Ledger
from analytic_dd.baselines.methods.dc import GradientMatching
from analytic_dd.baselines.methods.dsa import DsaConfig, SiameseAugmentation
from analytic_dd.baselines.methods.task import Task
from analytic_dd.baselines.nets.augment import AugmentParameters

OPTIONS = {"width": 4, "depth": 2, "batch": 8, "outer": 2, "inner": 1}


class Spy:
    """An augmentation that notes what it draws and what it is applied to; it may change nothing."""

    def __init__(self, augmentation, *, identity=False):
        self.augmentation, self.identity = augmentation, identity
        self.drawn, self.applied = [], []

    def draw(self, count, generator):
        """Draw and note."""
        found = self.augmentation.draw(count, generator)
        found = AugmentParameters.identity(found.operation, count) if self.identity else found
        self.drawn.append(found)
        return found

    def augmented(self, images, generator):
        """Draw and apply, as the augmentation does."""
        return self(images, self.draw(len(images), generator))

    def __call__(self, images, parameters):
        """Apply and note."""
        self.applied.append((len(images), parameters, images.requires_grad))
        return self.augmentation(images, parameters)


def method(kind=SiameseAugmentation, config=None, per_class=3):
    """A method after its start, without a driver."""
    rng = np.random.default_rng(7)
    x, y = rng.integers(0, 256, (40, 7, 5, 3)).astype(np.uint8), np.repeat([0, 1, 2], [20, 15, 5])
    task = Task.of(data.Dataset.from_arrays(x, y, name="noise", split=False))
    found = kind(task, DsaConfig(**OPTIONS | (config or {})), points_per_class=per_class, seed=0, ledger=Ledger())
    found.start()
    return found


def test_a_class_has_one_operation_on_both_sides_and_training_parameters_for_each_image():
    dsa = method(config={"net_batch": 4})
    dsa.augmentation = spy = Spy(dsa.augmentation)
    dsa.step(0)
    matching = [(8, True), (3, True), (8, True), (3, True), (5, True), (3, True)]  # batches, of 20, 15 and 5 samples
    training = [(4, False), (4, False), (1, False)]  # 9 images
    found = [(n, parameters.count == 1 and n != 1) for n, parameters, _ in spy.applied]
    assert found == matching + training + matching
    assert [parameters.count for parameters in spy.drawn] == [1, 1, 1, 4, 4, 1, 1, 1, 1]
    for real, synthetic in zip(spy.applied[:6:2], spy.applied[1:6:2], strict=True):
        assert real[1] is synthetic[1]
        assert (real[2], synthetic[2]) == (False, True)


def test_without_change_it_is_gradient_matching():
    """The identity in place of each operation, and no inner training, whose order of draws differs."""
    dsa = method(config={"outer": 1})
    dc = method(GradientMatching, {"outer": 1})
    dc.name, dc.images = "dsa", dsa.images.clone()  # the same draws from the same start
    dsa.augmentation = Spy(dsa.augmentation, identity=True)
    assert dsa.step(0) == dc.step(0)
    assert torch.equal(dsa.images, dc.images)
    changed = method(config={"outer": 1})
    changed.step(0)
    assert not torch.equal(changed.images, dsa.images)


def test_defaults_are_published():
    config = DsaConfig()
    assert (config.steps, config.lr, config.batch, config.init, config.digits) == (1000, 0.1, 256, "real", False)
    assert config.loops(10) == (10, 50)
    assert "flip" in method().augmentation.operations
    assert "flip" not in method(config={"digits": True}).augmentation.operations


def test_rows_are_refused_in_words():
    rows = data.Dataset.from_arrays(np.eye(12), np.arange(12) % 3, name="rows", split=False)
    config = DsaConfig(network="mlp", width=4)
    dsa = SiameseAugmentation(Task.of(rows), config, points_per_class=1, seed=0, ledger=Ledger())
    with pytest.raises(ValueError, match="samples of 1 x 12 pixels are rows, not images; switch augmentation off"):
        dsa.start()
