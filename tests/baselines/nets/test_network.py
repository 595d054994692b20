"""Networks: sizes of the literature, the layers of torch, first weights, and none that is blind to its image."""

import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from analytic_dd import data
from analytic_dd.baselines.bench.controls import random_real
from analytic_dd.baselines.bench.evaluate import images_of
from analytic_dd.baselines.nets.named import NETWORKS, network_named
from analytic_dd.baselines.nets.network import SCHEMES, ConvNet, stacked
from analytic_dd.baselines.nets.training import Course, train_networks

TRANSFER = ("resnet18", "vgg11", "alexnet")
NETWORK = ConvNet((3, 16, 16), 10, width=40, depth=2)


@pytest.mark.parametrize(
    ("name", "shape", "k", "size"),
    [
        ("resnet18", (3, 32, 32), 10, 11_173_962),
        ("resnet18", (1, 28, 28), 10, 11_172_810),
        ("resnet18", (3, 32, 32), 100, 11_220_132),
        ("vgg11", (3, 32, 32), 10, 9_231_114),
        ("vgg11", (1, 28, 28), 10, 9_229_962),
        ("alexnet", (3, 32, 32), 10, 1_872_202),
        ("alexnet", (1, 28, 28), 10, 1_865_802),
        ("lenet", (1, 28, 28), 10, 61_706),
        ("lenet", (1, 32, 32), 10, 61_706),
        ("alexcifar", (3, 32, 32), 10, 1_756_426),
    ],
)
def test_parameter_counts_are_those_of_the_literature(name, shape, k, size):
    assert network_named(name, shape, k).size() == size


@pytest.mark.parametrize("name", TRANSFER)
def test_every_size_of_image_gives_logits_that_depend_on_it(name, ratio):
    for shape in [(1, 8, 8), (3, 4, 5), (1, 28, 28), (3, 32, 32), (3, 17, 16)]:
        network = network_named(name, shape, 7, width=4)
        parameters = network.draw(torch.Generator().manual_seed(0), dtype=torch.float64)
        images = torch.randn((5, *shape), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        logits = network.logits(parameters, images)
        assert logits.shape == (5, 7)
        assert bool(logits.isfinite().all())
        assert float(logits.std(dim=0).min()) > 1e-8  # a norm of one pixel would make all images alike, to rounding
        alone = network.logits(parameters, images[2:3])
        assert ratio(alone, logits[2:3], size=network.size(), amplification=1e3) < 30  # norms divide by small spreads


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_parameters_of_any_scheme_make_an_ordinary_module_with_the_same_logits(name, scheme):
    network, before = network_named(name, (3, 32, 32), 5, width=4), torch.get_rng_state()
    parameters = network.draw(torch.Generator().manual_seed(0), scheme=scheme)
    assert torch.equal(torch.get_rng_state(), before)
    assert {key: tuple(value.shape) for key, value in parameters.items()} == network.shapes()
    assert all(value.is_meta for value in network.parameters())
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    logits, hidden = network.logits(parameters, images), network.embed(parameters, images)
    wanted = F.linear(hidden, parameters["classifier.weight"], parameters.get("classifier.bias"))
    assert torch.equal(logits, wanted)
    assert bool(logits.isfinite().all())
    network.load_state_dict(parameters, assign=True)
    assert torch.equal(network(images), logits)


@pytest.mark.parametrize("name", ["vgg11", "alexnet"])
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28)], ids=str)
def test_plain_networks_are_those_of_torch_layer_by_layer(name, shape, ratio):
    network = network_named(name, shape, 3, width=4)
    parameters = network.draw(torch.Generator().manual_seed(0), dtype=torch.float64)
    plan = {
        "vgg11": [(4, 3, 1), (8, 3, 1), (16, 3, 0), (16, 3, 1), (32, 3, 0), (32, 3, 1), (32, 3, 0), (32, 3, 1)],
        "alexnet": [(4, 5, 1), (6, 5, 1), (8, 3, 0), (6, 3, 0), (6, 3, 1)],
    }[name]
    layers, channels = [], shape[0]
    for index, (out, side, pool) in enumerate(plan):
        padding = side // 2 + (2 if index == 0 and shape[0] == 1 else 0)
        layers.append(nn.Conv2d(channels, out, side, padding=padding))
        layers += [nn.GroupNorm(out, out)] if name == "vgg11" else []
        layers += [nn.ReLU(), *[nn.MaxPool2d(2)] * pool]
        channels = out
    theirs = nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * (1 if name == "vgg11" else 16), 3)).double()
    for target, value in zip(theirs.parameters(), parameters.values(), strict=True):
        target.data.copy_(value)
    images = torch.randn((2, *shape), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert ratio(network.logits(parameters, images), theirs(images).detach(), size=100, amplification=10) < 30


def test_a_residual_block_adds_what_comes_in(ratio):
    network = network_named("resnet18", (3, 8, 8), 5, width=4)
    parameters = network.draw(torch.Generator().manual_seed(0), dtype=torch.float64)
    images = torch.randn((2, 3, 8, 8), generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def normed(name, hidden, stride=1):
        weight = parameters[f"{name}.conv.weight"]
        hidden = F.conv2d(hidden, weight, None, stride, weight.shape[-1] // 2)
        return F.group_norm(hidden, len(weight), parameters[f"{name}.norm.weight"], parameters[f"{name}.norm.bias"])

    hidden = F.relu(normed("stem", images))
    for stage, stride in enumerate((1, 1, 1, 2)):  # 8, 8, 8 and 4 pixels, the last as of an image of 32 x 32
        for block in range(2):
            name, step = f"{stage}.{block}", stride if block == 0 else 1
            inner = normed(f"{name}.second", F.relu(normed(f"{name}.first", hidden, step)))
            skip = normed(f"{name}.skip", hidden, step) if block == 0 and stage > 0 else hidden
            hidden = F.relu(inner + skip)
    wanted = F.linear(hidden.mean((2, 3)), parameters["classifier.weight"], parameters["classifier.bias"])
    assert ratio(network.logits(parameters, images), wanted, size=100, amplification=10) < 30


@pytest.mark.parametrize(
    ("name", "shape", "features"),
    [
        ("vgg11", (1, 8, 8), 512),
        ("vgg11", (3, 16, 16), 512),
        ("vgg11", (3, 64, 64), 2048),
        ("alexnet", (1, 8, 8), 3072),
        ("resnet18", (1, 8, 8), 512),
    ],
)
def test_the_last_layer_of_a_small_image_has_the_published_size(name, shape, features):
    assert network_named(name, shape, 10).shapes()["classifier.weight"] == (10, features)


@pytest.mark.parametrize(
    ("name", "width", "epochs", "lr"),
    [("resnet18", 4, 30, 0.05), ("vgg11", 16, 60, 0.03), ("alexnet", 16, 150, 0.02)],  # no norm: 0.03 may diverge
)
def test_they_learn_ten_digits(name, width, epochs, lr):
    digits = data.load("digits")
    inputs, labels = random_real(digits, 1, seed=0)
    images, classes = images_of(inputs, digits), torch.from_numpy(labels.argmax(axis=1))
    network = network_named(name, (1, 8, 8), 10, width=width)
    course = Course(epochs, lr=lr, momentum=0.9, weight_decay=5e-4, drops=True)
    (found,) = train_networks(network, images, classes, course=course, generators=[torch.Generator().manual_seed(0)])
    assert torch.equal(network.logits(found, images).argmax(dim=1), classes)


@pytest.mark.parametrize("name", TRANSFER)
def test_what_is_no_image_is_refused(name):
    with pytest.raises(ValueError, match="4 x 4 pixels or more, got 1 x 64; use an MLP"):
        network_named(name, (1, 1, 64), 3)
    with pytest.raises(ValueError, match="even number"):
        network_named(name, (1, 8, 8), 3, width=3)


def drawn(scheme, seed=0, **others):
    """First weights by a rule."""
    return NETWORK.draw(torch.Generator().manual_seed(seed), scheme=scheme, **others)


@pytest.mark.parametrize(
    ("scheme", "deviation"),
    [
        ("xavier", lambda i, o: math.sqrt(2.0 / (i + o))),
        ("he", lambda i, o: math.sqrt(2.0 / i)),
        ("uniform", lambda i, o: 1.0 / math.sqrt(3.0 * i)),
    ],
)
def test_weights_have_the_variance_of_their_rule(scheme, deviation):
    weights = drawn(scheme)
    fans = {"0.conv.weight": (27, 360), "1.conv.weight": (360, 360), "classifier.weight": (640, 10)}
    for name, (fan_in, fan_out) in fans.items():
        value, wanted = weights[name], deviation(fan_in, fan_out)
        assert float(value.std()) == pytest.approx(wanted, rel=4.0 / math.sqrt(2 * value.numel()))  # 4 standard errors
        assert abs(float(value.mean())) < 4.0 * wanted / math.sqrt(value.numel())
        assert (float(value.abs().max()) < math.sqrt(3.0) * wanted) == (scheme == "uniform")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_norms_are_one_and_zero_and_normal_rules_have_no_bias(scheme):
    for name, value in drawn(scheme).items():
        if "norm" in name:
            assert torch.equal(value, torch.full_like(value, float(name.endswith("weight"))))
        elif name.endswith("bias"):
            assert bool(value.any()) == (scheme == "uniform")


def test_draws_depend_on_the_generator_alone():
    one, two, other = drawn("he"), drawn("he"), drawn("he", 1)
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    assert not torch.equal(one["0.conv.weight"], other["0.conv.weight"])
    assert drawn("he", dtype=torch.float64)["0.conv.weight"].dtype == torch.float64
    both = stacked([one, other])
    assert both["0.conv.weight"].shape == (2, 40, 3, 3, 3)
    assert torch.equal(both["0.conv.weight"][1], other["0.conv.weight"])


def test_another_rule_is_refused():
    with pytest.raises(ValueError, match="unknown scheme 'glorot'; choose from uniform, xavier, he"):
        drawn("glorot")


def dense(*widths):
    """Fully connected layers of these widths with a ReLU between two."""
    layers = [[nn.Linear(*pair), nn.ReLU()] for pair in itertools.pairwise(widths)]
    return [nn.Flatten(), *itertools.chain(*layers)][:-1]


def test_the_networks_of_unrolled_distillation_are_those_of_torch_layer_by_layer(ratio):
    """LeNet, and AlexCifarNet with torch's own norm over channels."""
    norm = nn.LocalResponseNorm(4, alpha=0.001 / 9.0, beta=0.75, k=1)
    plans = {
        ("lenet", (1, 28, 28)): [
            nn.Conv2d(1, 4, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 10, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            *dense(250, 80, 56, 3),
        ],
        ("alexcifar", (3, 32, 32)): [
            nn.Conv2d(3, 4, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, padding=1),
            norm,
            nn.Conv2d(4, 4, 5, padding=2),
            nn.ReLU(),
            norm,
            nn.MaxPool2d(3, 2, padding=1),
            *dense(256, 24, 12, 3),
        ],
    }
    for (name, shape), layers in plans.items():
        network = network_named(name, shape, 3, width=4)
        parameters = network.draw(torch.Generator().manual_seed(0), dtype=torch.float64)
        images = 30.0 * torch.randn((5, *shape), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        plain = nn.Sequential(*layers).double()
        plain.load_state_dict(dict(zip(plain.state_dict(), parameters.values(), strict=True)))
        wanted = plain(images)
        assert ratio(network.logits(parameters, images), wanted, size=network.size()) < 30
        without = nn.Sequential(*[one for one in layers if one is not norm]).double()
        without.load_state_dict(dict(zip(without.state_dict(), parameters.values(), strict=True)))
        if name == "alexcifar":
            assert ratio(without(images), wanted, size=network.size()) > 1e6  # the norm is felt at such sizes
    with pytest.raises(ValueError, match="LeNet takes images of 12 x 12 pixels or more, got 8 x 8"):
        network_named("lenet", (1, 8, 8), 3)
