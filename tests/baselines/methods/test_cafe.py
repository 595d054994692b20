"""CAFE: the loss on given features, the features of layers, the gradient, the two loops, and digits."""

import numpy as np
import pytest
import torch

from analytic_dd import data
from analytic_dd.baselines import distill
from analytic_dd.baselines.bench.controls import random_real
from analytic_dd.baselines.bench.evaluate import Networks, evaluate
from analytic_dd.baselines.ledger import Ledger
from analytic_dd.baselines.methods.cafe import CafeConfig, FeatureAlignment, feature_loss, layer_features
from analytic_dd.baselines.methods.task import Task
from analytic_dd.baselines.nets.network import ConvNet, MultiLayerPerceptron

WEIGHTS = (1.0, 1.0, 0.1, 0.1)
SHAPES = ((7, 5, 5), (7, 3, 3), (4, 2, 2), (11,))  # of the layers
OF_REAL, OF_SET = (0, 0, 0, 0, 1, 1, 2, 2, 2), (0, 1, 2)  # classes


def by_hand(real, synthetic, discrimination=0.01, weights=WEIGHTS):
    """The loss written out over classes, layers and entries."""
    total, k = 0.0, max(OF_SET) + 1
    centres = []
    for layer, (a, b) in enumerate(zip(real, synthetic, strict=True)):
        for label in range(k):
            mean = sum(a[i] for i, one in enumerate(OF_REAL) if one == label) / OF_REAL.count(label)
            centre = sum(b[i] for i, one in enumerate(OF_SET) if one == label) / OF_SET.count(label)
            distance = float(((mean - centre) ** 2).sum())
            total += weights[layer] * distance
            if layer == len(real) - 1:
                total += distance
                centres.append(centre.ravel())
    for x, label in zip(real[-1], OF_REAL, strict=True):
        scores = np.array([float(x.ravel() @ centre) for centre in centres])
        total += discrimination * (np.log(np.exp(scores - scores.max()).sum()) + scores.max() - scores[label])
    return total


def features(seed=0):
    rng = np.random.default_rng(seed)
    return [[rng.standard_normal((n, *shape)) for shape in SHAPES] for n in (len(OF_REAL), len(OF_SET))]


def loss_of(real, synthetic, **options):
    real, synthetic = ([torch.from_numpy(one) for one in part] for part in (real, synthetic))
    options = {"weights": WEIGHTS, "discrimination": 0.01} | options
    return feature_loss(real, synthetic, torch.tensor(OF_REAL), torch.tensor(OF_SET), 3, **options)


def test_the_loss_on_given_features_is_the_one_written_out_by_hand(ratio):
    real, synthetic = features()
    for discrimination in (0.0, 0.01, 1.0):
        found, wanted = (
            loss_of(real, synthetic, discrimination=discrimination),
            by_hand(real, synthetic, discrimination),
        )
        assert ratio(np.array(float(found)), np.array(wanted), size=300) < 30
    assert ratio(np.array(by_hand(real, synthetic, weights=WEIGHTS[::-1])), np.array(wanted), size=300) > 1e6


def test_layers_that_agree_in_their_class_means_have_no_distance():
    real, _ = features()
    means = [np.stack([one[np.array(OF_REAL) == label].mean(axis=0) for label in range(3)]) for one in real]
    scale = sum(float(np.sum(one**2)) for one in real)  # the loss squares what rounding of the means leaves
    assert float(loss_of(real, means, discrimination=0.0)) <= (30 * 2.0**-52) ** 2 * scale
    assert float(loss_of(real, means)) > 0.0


def test_the_features_are_those_after_each_relu_and_before_the_classifier():
    network = ConvNet((3, 8, 8), 5, width=4, depth=2)
    weights = network.draw(torch.Generator().manual_seed(0))
    images = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    found, logits = layer_features(network, weights, images)
    hidden = images
    for block in range(2):
        hidden = torch.conv2d(hidden, weights[f"{block}.conv.weight"], weights[f"{block}.conv.bias"], padding=1)
        hidden = torch.relu(torch.nn.functional.instance_norm(hidden))
        torch.testing.assert_close(found[block], hidden)
        hidden = torch.nn.functional.avg_pool2d(hidden, 2)
    assert torch.equal(found[2], network.embed(weights, images))
    torch.testing.assert_close(found[2], hidden.flatten(1))
    assert torch.equal(logits, network.logits(weights, images))
    mlp = MultiLayerPerceptron((3, 8, 8), 5, widths=(7, 6))
    found, _ = layer_features(mlp, mlp.draw(torch.Generator().manual_seed(0)), images)
    assert [tuple(one.shape) for one in found] == [(6, 7), (6, 6)]


def method(**config):
    """CAFE after its start, without a driver, in float64."""
    rng = np.random.default_rng(7)
    x, y = rng.integers(0, 256, (40, 8, 8, 3)).astype(np.uint8), np.repeat([0, 1, 2], [20, 15, 5])
    task = Task.of(data.Dataset.from_arrays(x, y, name="noise", split=False), dtype=torch.float64)
    config = CafeConfig(**{"width": 4, "depth": 2, "init": "real"} | config)
    found = FeatureAlignment(task, config, points_per_class=2, seed=0, ledger=Ledger())
    found.start()
    return found


@pytest.mark.parametrize("augment", [False, True])
def test_the_gradient_is_that_of_central_differences(augment):
    cafe = method(augment=augment)
    weights, start = cafe.draw_network(cafe.generator(0)), cafe.images.clone()

    def loss(images):
        cafe.images = images
        return cafe.matched(weights, cafe.rng(1), cafe.generator(1))

    _, gradient = loss(start)
    way = torch.randn(start.shape, generator=torch.Generator().manual_seed(3), dtype=start.dtype)
    h = 1e-5  # errors: h^2 of the differences and eps / h of their rounding, both about 1e-10
    slope = float(loss(start + h * way)[0] - loss(start - h * way)[0]) / (2 * h)
    assert slope == pytest.approx(float((gradient * way).sum()), rel=1e-5)


def test_both_loops_end_by_the_spread_of_accuracies_or_at_their_bound(monkeypatch):
    """Accuracies as a list: nine updates at a spread of 0.5, then four that are close."""
    updates, epochs = [], []
    said = iter([])

    def step(accuracies, **config):
        nonlocal said
        updates.clear(), epochs.clear()
        cafe, said = method(window=3, **config), iter(accuracies)
        matched, train = cafe.matched, FeatureAlignment.train
        monkeypatch.setattr(cafe, "matched", lambda *a: updates.append(0) or matched(*a))
        monkeypatch.setattr(FeatureAlignment, "train", lambda self, *a: epochs.append(0) or train(self, *a))
        monkeypatch.setattr(cafe, "accuracy", lambda *a: next(said))
        cafe.step(0)
        monkeypatch.undo()
        return len(updates), len(epochs), len(list(said))

    grows = [0.1, 0.2, 0.5]  # three epochs whose spread is 0.4
    settles = [0.3, *grows, 0.9, *grows, 0.9, *grows, 0.9]  # updates with 0.3, 0.9, 0.9, 0.9
    assert step(settles, settled=0.1, grown=0.3) == (4, 3, 0)
    assert step(settles, settled=0.7, grown=0.3) == (3, 2, 4)
    assert step(settles, settled=0.1, grown=0.3, most_updates=2) == (2, 1, 8)
    still = [0.3, *[0.5] * 7, 0.3]  # seven epochs that change nothing
    assert step(still, settled=0.1, grown=0.3, most_epochs=7, most_updates=2) == (2, 1, 0)


def test_digits_are_learned_better_than_from_random_images():
    digits = data.load("digits")
    config = dict(FeatureAlignment.config_type.quick) | {"width": 16, "steps": 4}
    found = distill("cafe", digits, config=config)
    networks = Networks(width=16, depth=2, nets=2, epochs=60)
    trained = evaluate(found.inputs, found.y, digits, networks).mean
    assert trained > evaluate(*random_real(digits, 1, seed=0), digits, networks).mean + 0.05
