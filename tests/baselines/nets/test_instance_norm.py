"""Instance norm: torch, derivatives of differences, stacked networks; images in pieces are images at once."""

import pytest
import torch
from torch.func import grad, vmap
from torch.nn import functional as F

from analytic_dd.baselines.nets.instance_norm import InstanceNorm, _Norm
from analytic_dd.baselines.nets.layout import channels_last, stored_last
from analytic_dd.baselines.nets.network import ConvNet

NORM = InstanceNorm(4)


def normal(*shape, seed=0):
    """Standard normal numbers in float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def norm(x, weight, bias):
    """The layer as a function."""
    return torch.func.functional_call(NORM, {"weight": weight, "bias": bias}, (x,))


def lost(x):
    """What the norm multiplies rounding by in a second derivative: the third power of one deviation over another."""
    scale = torch.rsqrt(x.detach().var(dim=(-2, -1), unbiased=False))
    return float(scale.max() / scale.min()) ** 3


def inputs():
    """Images, scales and shifts as leaves."""
    return [value.requires_grad_() for value in (normal(3, 4, 5, 2), normal(4, seed=1), normal(4, seed=2))]


def first_and_second(function, given):
    """The gradient of a function of the norm, with and without a graph, and the gradient of the norm of that."""
    loss = (function(*given).sin() * normal(3, 4, 5, 2, seed=3)).sum()
    plain = torch.autograd.grad(loss, given, retain_graph=True)
    slopes = torch.autograd.grad(loss, given, create_graph=True)
    return plain, slopes, torch.autograd.grad(sum(slope.square().sum() for slope in slopes), given)


def test_value_and_gradient_are_those_of_torch_to_the_bit_with_and_without_a_graph():
    x, weight, bias = given = inputs()
    assert torch.equal(norm(*given), F.group_norm(x, 4, weight, bias))
    plain, slopes, _ = first_and_second(norm, given)
    wanted, _, _ = first_and_second(lambda x, weight, bias: F.group_norm(x, 4, weight, bias), given)
    assert all(torch.equal(one, two) for one, two in zip(plain, wanted, strict=True))
    assert all(torch.equal(one, two) for one, two in zip(plain, slopes, strict=True))


@pytest.mark.parametrize("order", [torch.clone, channels_last])
def test_derivatives_are_those_of_torch_and_of_differences_in_either_order_of_channels(order, ratio):
    x, *others = inputs()
    given = [order(x).detach().requires_grad_(), *others]
    assert stored_last(given[0]) == (order is channels_last)
    assert (
        ratio(norm(*given).detach(), F.group_norm(x, 4, *others).detach(), size=x[0, 0].numel(), amplification=lost(x))
        < 30
    )
    _, first, second = first_and_second(norm, given)
    _, wanted_first, wanted = first_and_second(lambda x, weight, bias: F.group_norm(x, 4, weight, bias), [x, *others])
    for one, two in zip((*first, *second), (*wanted_first, *wanted), strict=True):
        assert ratio(one.detach(), two.detach(), size=x.numel(), amplification=lost(x)) < 30
    assert torch.autograd.gradgradcheck(norm, given)


def plain_means(x, weight, bias):
    """The 2 x 2 means of what is positive after the group norm of torch."""
    return F.avg_pool2d(F.relu(F.group_norm(x, 4, weight, bias)), 2)


def halved(x, weight, bias):
    """The layer with ReLU and pool, as a function."""
    return _Norm.apply(x, weight, bias, True)[0]


def test_means_of_positive_parts_have_the_derivatives_of_torch_and_keep_one_tensor_of_their_size(ratio):
    x, weight, bias = normal(3, 4, 6, 2), normal(4, seed=1), normal(4, seed=2)
    found, kept = [], []
    for function, order in ((plain_means, torch.clone), (halved, channels_last)):
        given = [value.detach().requires_grad_() for value in (order(x), weight, bias)]
        with torch.autograd.graph.saved_tensors_hooks(lambda one: kept.append(one.numel()) or one, lambda one: one):
            value = function(*given)
        kept.append(0)
        slopes = torch.autograd.grad((value.sin() * normal(3, 4, 3, 1, seed=3)).sum(), given, create_graph=True)
        bends = torch.autograd.grad(sum(slope.square().sum() for slope in slopes), given)
        found.append([value.detach(), *(slope.detach() for slope in slopes), *bends])
    for one, two in zip(*found, strict=True):
        assert ratio(one, two, size=x.numel(), amplification=lost(x)) < 30
    assert sum(numbers >= x.numel() for numbers in kept[kept.index(0) :]) == 1


@pytest.mark.parametrize("shared", [True, False])
def test_stacked_scales_have_the_derivatives_of_each(shared, ratio):
    weights = normal(2, 4)
    x = normal(3, 4, 5, 2, seed=1) if shared else normal(2, 3, 4, 5, 2, seed=1)

    def steep(function):
        return lambda weight, x: grad(lambda x: function(x, weight, weight).sin().sum())(x).square().sum()

    for function in (norm, lambda x, *others: halved(channels_last(x[:, :, :4]), *others)):
        found = vmap(grad(steep(function)), in_dims=(0, None if shared else 0))(weights, x)
        wanted = torch.stack([grad(steep(function))(weights[one], x if shared else x[one]) for one in range(2)])
        assert ratio(found, wanted, size=x.numel(), amplification=lost(x)) < 30


@pytest.mark.parametrize("pieces", [1, 2, 4, 7])
def test_images_in_pieces_have_the_logits_and_the_derivatives_of_all_at_once(pieces, ratio):
    network, images = ConvNet((1, 8, 6), 3, width=4, depth=2), normal(7, 1, 8, 6)
    assert network.together == 2**20 // (4 * 48)
    weights = network.draw(torch.Generator().manual_seed(0), dtype=torch.float64)

    def found(images):
        leaves = {name: value.clone().requires_grad_() for name, value in weights.items()}
        images = images.clone().requires_grad_()
        loss = F.cross_entropy(network.logits(leaves, images), torch.arange(7) % 3)
        slopes = torch.autograd.grad(loss, list(leaves.values()), create_graph=True)
        return loss, torch.autograd.grad(sum(slope.square().sum() for slope in slopes), images)[0]

    wanted, network.together = found(images), -(-7 // pieces)
    for one, two in zip(found(images), wanted, strict=True):
        assert ratio(one.detach(), two.detach(), size=network.size(), amplification=100.0) < 30  # two norms, twice
    assert network.embed(weights, images[:0]).shape == (0, 8)


def test_one_channel_has_the_digits_of_contiguous_images_whatever_its_strides(ratio):
    """Strides of one channel may say channels last, for which the kernels of torch have other sums."""
    network, rows = ConvNet((1, 8, 6), 3, width=4, depth=2), normal(7, 8, 6, 1)
    weights = network.draw(torch.Generator().manual_seed(0), dtype=torch.float64)
    last, first = rows.permute(0, 3, 1, 2), rows.reshape(7, 1, 8, 6)
    assert last.stride() != first.stride()
    assert torch.equal(network.logits(weights, last), network.logits(weights, first))
