"""Pooling: the means of torch, its first and second derivatives, stacked maps, odd sides."""

import pytest
import torch
from torch.func import grad, vmap
from torch.nn import functional as F

from analytic_dd.baselines.nets.layout import channels_last, stored_last
from analytic_dd.baselines.nets.pooling import HalfPool


def normal(*shape):
    """Standard normal numbers in float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("order", [torch.clone, channels_last])
@pytest.mark.parametrize("sides", [(4, 6), (2, 2), (5, 7), (6, 5)], ids=str)
def test_means_and_derivatives_are_those_of_torch(sides, order, ratio):
    found = []
    for pool in (HalfPool(), lambda maps: F.avg_pool2d(maps, 2)):
        maps = order(normal(2, 3, *sides)).requires_grad_()
        value = pool(maps)
        (slope,) = torch.autograd.grad((value.sin() * value).sum(), maps, create_graph=True)
        (second,) = torch.autograd.grad((slope.square() * maps).sum(), maps)
        found.append((value.detach(), slope.detach(), second))
    for got, wanted in zip(*found, strict=True):
        assert got.is_contiguous() or (order is channels_last and stored_last(got))
        assert ratio(got, wanted, size=4) < 30


def test_second_derivatives_are_those_of_differences():
    pool = HalfPool()
    assert torch.autograd.gradgradcheck(lambda maps: pool(maps) ** 3, normal(2, 3, 4, 6).requires_grad_())


def test_stacked_maps_have_the_derivatives_of_each(ratio):
    pool, maps = HalfPool(), normal(2, 3, 5, 4, 6)

    def steep(one):
        return grad(lambda x: grad(lambda z: (pool(z) ** 3).sum())(x).square().sum())(one)

    together = vmap(steep)(maps)
    for got, one in zip(together, maps, strict=True):
        assert ratio(got, steep(one), size=4, amplification=10.0) < 30


@pytest.mark.parametrize("maps", [normal(4, 6), normal(3, 6, 4).mT], ids=["rows", "columns first"])
def test_maps_with_other_axes_in_front_are_halved_too(maps):
    maps = maps.requires_grad_()
    found = HalfPool()(maps)
    assert torch.equal(found, HalfPool()(maps.detach()[None, None])[0, 0])
    assert torch.autograd.grad(found.sum(), maps)[0].unique().tolist() == [0.25]  # exact
