"""The one loop that trains networks: the steps of torch, batches, augmentation, counts, stacked or one by one."""

import itertools
import math
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from analytic_dd.baselines.ledger import Ledger
from analytic_dd.baselines.nets.augment import Augmentation
from analytic_dd.baselines.nets.network import ConvNet, MultiLayerPerceptron, Network
from analytic_dd.baselines.nets.training import Course, train_networks, trained, weights_by_epoch


def generators(count=1):
    return [torch.Generator().manual_seed(seed) for seed in range(count)]


def problem(m=7, k=3, shape=(2, 8, 9), dtype=torch.float64):
    """Images and classes whose sizes all differ."""
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.standard_normal((m, *shape))).to(dtype), torch.from_numpy(rng.integers(0, k, m))


@pytest.mark.parametrize("epochs", [1, 4, 5])
@pytest.mark.parametrize("soft", [False, True])
def test_training_is_that_of_torch(epochs, soft, ratio):
    images, classes = problem()
    network = MultiLayerPerceptron((2, 8, 9), 3, widths=(5,))
    labels = torch.softmax(torch.linspace(-1, 1, 21, dtype=torch.float64).reshape(7, 3), 1) if soft else classes
    drawn = network.draw(generators()[0], dtype=torch.float64)
    theirs = {name: value.requires_grad_() for name, value in drawn.items()}
    optimiser = torch.optim.SGD(theirs.values(), lr=0.05, momentum=0.9, weight_decay=5e-3)
    for epoch in range(epochs):
        optimiser.param_groups[0]["lr"] = 0.05 if epoch < (epochs + 1) // 2 else 0.005
        optimiser.zero_grad()
        F.cross_entropy(network.logits(theirs, images), labels).backward()
        optimiser.step()
    course = Course(epochs, lr=0.05, momentum=0.9, weight_decay=5e-3, drops=True)
    (ours,) = train_networks(network, images, labels, course=course, generators=generators())
    for name, value in theirs.items():
        assert ratio(ours[name], value.detach(), size=100, amplification=epochs) < 30, name


@pytest.mark.parametrize("augmentation", [None, Augmentation()], ids=["plain", "augmented"])
@pytest.mark.parametrize("batch", [3, 7])
def test_together_is_one_by_one(augmentation, batch, ratio):
    images, classes = problem()
    network = ConvNet((2, 8, 9), 3, width=5, depth=2)
    course = Course(4, batch, momentum=0.9, augmentation=augmentation)
    alone, together = (
        train_networks(network, images, classes, course=course, generators=generators(3), together=choice)
        for choice in (False, True)
    )
    for one, other in zip(alone, together, strict=True):
        for name, value in one.items():
            assert ratio(other[name], value, size=100, amplification=100) < 30, name
    assert not torch.equal(alone[0]["classifier.weight"], alone[1]["classifier.weight"])


class Recorder(nn.Module):
    """A layer that notes the images it sees."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, images):
        """Note and return them."""
        self.seen.append(images.detach().clone())
        return images


def recording(shape):
    """A linear network, and the layer that notes what it sees."""
    recorder = Recorder()
    layers = OrderedDict(note=recorder, flatten=nn.Flatten(), classifier=nn.Linear(math.prod(shape), 3, device="meta"))
    network = Network(shape, 3, layers)
    assert network.together > 100  # one image has gone through for the sizes of the layers
    recorder.seen.clear()
    return network, recorder.seen


def follow(course, images, ledger=None, shape=(1, 1, 2)):
    """Train a recording network; return the batches it saw."""
    network, seen = recording(shape)
    labels = torch.zeros(len(images), dtype=torch.int64)

    def samples(rows):
        return images[rows], labels[rows]

    weights = network.draw(generators()[0])
    trained(network, weights, samples, len(images), course, generators=generators(), ledger=ledger)
    return seen


def test_every_epoch_sees_every_image_once_and_the_ledger_counts_it():
    """A batch that holds all images keeps their order, unless it is always shuffled."""
    for always, batch in itertools.product([False, True], [1, 4, 7, 100]):
        images, ledger = torch.arange(14.0).reshape(7, 1, 1, 2), Ledger()
        seen = follow(Course(2, batch, 1e-3, always_shuffled=always), images, ledger)
        assert [len(part) for part in seen] == 2 * [len(part) for part in torch.zeros(7).split(batch)]
        first, second = torch.cat(seen)[:, 0, 0, 0].reshape(2, 7)
        shuffled = always or batch < 7
        assert torch.equal(first.sort().values, images[:, 0, 0, 0])
        assert torch.equal(second.sort().values, images[:, 0, 0, 0])
        assert torch.equal(first, second) != shuffled
        assert torch.equal(first, images[:, 0, 0, 0]) != shuffled
        counted = (ledger.network_steps, ledger.synthetic_forward, ledger.synthetic_backward)
        assert counted == (2 * math.ceil(7 / batch), 14, 14)


def test_each_network_shuffles_for_itself():
    images, (network, seen) = torch.arange(14.0).reshape(7, 1, 1, 2), recording((1, 1, 2))
    course, labels = Course(1, 3), torch.zeros(7, dtype=torch.int64)
    train_networks(network, images, labels, course=course, generators=generators(2), together=False)
    one, two = torch.cat(seen)[:, 0, 0, 0].reshape(2, 7)
    assert not torch.equal(one, two)


def test_augmentation_has_parameters_for_each_image():
    (seen,) = follow(Course(1, augmentation=Augmentation(("color",))), torch.ones(7, 1, 4, 4), shape=(1, 4, 4))
    assert len(set(seen[:, 0, 0, 0].tolist())) == 7


def test_weights_after_each_epoch_are_those_of_a_shorter_course():
    images, classes = problem()
    network = MultiLayerPerceptron((2, 8, 9), 3, widths=(5,))

    def samples(rows):
        return images[rows], classes[rows]

    def after(epochs):
        first = network.draw(generators()[0], dtype=torch.float64)
        return list(weights_by_epoch(network, first, samples, 7, Course(epochs, 3), generators=generators()))

    long, short = after(3), after(2)
    assert [len(long), len(short), len(after(0))] == [3, 2, 0]
    for one, other in zip(long, short, strict=False):
        assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert not torch.equal(long[1]["0.weight"], long[2]["0.weight"])


@pytest.mark.parametrize("options", [{"epochs": 0}, {"epochs": 1, "batch": 0}], ids=str)
def test_a_course_without_epochs_or_batches_is_refused(options):
    images, classes = problem()
    network = MultiLayerPerceptron((2, 8, 9), 3, widths=())
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        train_networks(network, images, classes, course=Course(**options), generators=generators())
