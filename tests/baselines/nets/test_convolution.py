"""Convolution by points: the sums of torch, derivatives of differences, stacked filters, and float32 beside float64."""

import pytest
import torch
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from analytic_dd.baselines.nets.convolution import _CHANNELS, Convolution, _matrices, at_points, by_points
from analytic_dd.baselines.nets.layout import channels_last, stored_last
from analytic_dd.baselines.nets.network import ConvNet


def growth(*points):
    """The largest sum of moduli of terms on the way to an output, for maps and filters of ones, over its 9 taps."""
    A, G, B = (matrix.abs() for matrix in _matrices(torch.float64, *points))
    return float((A.T @ (G.sum(dim=1) * B.sum(dim=1))).max()) / 9.0


GROWTH = growth()


def normal(*shape, seed=0, dtype=torch.float64):
    """Standard normal numbers."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def convolved(maps, filters):
    """The function under test."""
    return by_points(maps, at_points(filters))


def test_terms_grow_less_than_at_the_usual_points():
    assert growth((0.0, 1.0, -1.0, 2.0, -2.0)) > GROWTH


def test_values_are_those_of_torch_and_both_derivatives_those_of_differences(ratio):
    maps, filters = normal(2, 3, 8, 4), normal(5, 3, 3, 3, seed=1)
    assert ratio(convolved(maps, filters), F.conv2d(maps, filters, padding=1), size=27, amplification=GROWTH) < 30
    small = [normal(1, 1, 4, 8).requires_grad_(), normal(2, 1, 3, 3, seed=1).requires_grad_()]
    assert torch.autograd.gradgradcheck(convolved, small, fast_mode=True)
    both = torch.autograd.grad(convolved(*small).sin().sum(), small)
    for one in range(2):  # a network that is frozen, or images that are: the same products, so the same bits
        given = [leaf if index == one else leaf.detach() for index, leaf in enumerate(small)]
        assert torch.equal(torch.autograd.grad(convolved(*given).sin().sum(), small[one])[0], both[one])


def test_stacked_filters_have_the_derivatives_of_each(ratio):
    maps, filters = normal(2, 3, 4, 8), normal(2, 5, 3, 3, 3, seed=1)

    def steep(one):
        return grad(lambda one: grad(lambda x: convolved(x, one).sin().sum())(maps).square().sum())(one)

    wanted = torch.stack([steep(one) for one in filters])
    assert ratio(vmap(steep)(filters), wanted, size=27 * 64, amplification=GROWTH) < 30


def test_stacked_filters_on_the_numbers_under_their_taps_have_the_derivatives_of_each(ratio):
    maps, filters = (normal(*shape, dtype=torch.float32) for shape in ((2, 2, 32, 32), (3, _CHANNELS, 2, 3, 3)))
    layer = Convolution(2, _CHANNELS, (32, 32), padding=2)

    def steep(one):
        given = {"weight": one, "bias": one[:, 0, 0, 0]}
        return grad(lambda x: functional_call(layer, given, (x,)).sin().sum())(maps).square().sum()

    wanted = torch.stack([grad(steep)(one) for one in filters])
    size = filters[0, 0].numel() * layer(maps)[:, 0].numel()  # products of a sum, sums of a slope
    assert ratio(vmap(grad(steep))(filters), wanted, size=size, eps=torch.finfo(torch.float32).eps) < 30


def found(network, weights, images, classes, dtype):
    """The loss of a network, its gradient in the filters, and the derivative of that in the images."""
    given = {name: value.to(dtype) for name, value in weights.items()}
    leaves = {
        name: value.requires_grad_() for name, value in given.items() if value.ndim > 1
    }  # a norm takes biases out
    images = images.to(dtype).requires_grad_()
    loss = F.cross_entropy(network.logits(given | leaves, images), classes)
    slopes = torch.autograd.grad(loss, list(leaves.values()), create_graph=True)
    bent = torch.autograd.grad(sum(slope.square().sum() for slope in slopes), images)
    return [loss.detach(), *(slope.detach() for slope in slopes), *bent]


@pytest.mark.parametrize("width", [_CHANNELS // 2, _CHANNELS])
@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 28, 28)], ids=str)
def test_a_network_in_float32_has_the_loss_and_the_derivatives_of_float64(shape, width, ratio):
    """Float64 and few filters take torch's kernels, and many in float32 go by points, with channels last."""
    network = ConvNet(shape, 3, width=width, depth=2)
    weights, images = network.draw(torch.Generator().manual_seed(0)), normal(8, *shape, dtype=torch.float32)
    inner = network.get_submodule("1").conv
    assert isinstance(inner, Convolution)
    # Numbers of axes and strides, which are exact: filters at points have one axis less
    many, filters = width >= _CHANNELS, weights["1.conv.weight"]
    assert inner.prepared(filters, len(images)).ndim == filters.ndim - many
    first = {name.removeprefix("0.conv."): value for name, value in weights.items() if name.startswith("0.conv.")}
    assert stored_last(functional_call(network.get_submodule("0").conv, first, (images,))) == many
    assert inner.prepared(filters.double(), len(images)).ndim == filters.ndim
    classes = torch.arange(8) % 3
    exact = found(network, weights, images, classes, torch.float64)
    for one, two in zip(found(network, weights, images, classes, torch.float32), exact, strict=True):
        assert ratio(one, two, size=9, eps=torch.finfo(torch.float32).eps) < 30


def test_logits_do_not_depend_on_the_order_of_images_in_memory():
    network, images = ConvNet((3, 16, 16), 3, width=_CHANNELS, depth=2), normal(8, 3, 16, 16, dtype=torch.float32)
    weights = network.draw(torch.Generator().manual_seed(0))
    last = channels_last(images)
    assert last.stride() != images.stride()
    assert torch.equal(network.logits(weights, last), network.logits(weights, images))  # both are put in one order
