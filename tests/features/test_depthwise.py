"""Convolutions in float64 with channels side by side have the values and slopes of torch's."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from analytic_dd.features import Network
from analytic_dd.features.depthwise import SideBySide

zeros = partial(torch.zeros, dtype=torch.float64)
OTHERS = {  # the channels of maps, the weight, and what is passed on to torch
    "all channels": (3, (4, 3, 3, 3), {}),
    "groups of two": (4, (4, 2, 3, 3), {"groups": 2}),
    "two maps a channel": (3, (6, 1, 3, 3), {"groups": 3}),
    "dilation": (3, (3, 1, 2, 2), {"groups": 3, "dilation": 2}),
    "padding by name": (3, (3, 1, 3, 3), {"groups": 3, "padding": "same"}),
    "every other pixel": (3, (4, 3, 1, 1), {"stride": 2}),
    "one channel": (1, (1, 1, 3, 3), {}),
}
TAKEN = {
    "depthwise": (5, (5, 1, 3, 3), {"groups": 5}),
    "stride and padding": (5, (5, 1, 3, 2), {"groups": 5, "stride": (2, 3), "padding": (2, 1)}),
    "stride of numpy": (5, (5, 1, 3, 3), {"groups": 5, "stride": np.int64(2)}),
    "as large as the image": (5, (5, 1, 8, 9), {"groups": 5}),
    "one pixel": (5, (4, 5, 1, 1), {}),
}


class Calls(TorchFunctionMode):
    """How often torch convolves by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += function is functional.conv2d
        return function(*args, **(kwargs or {}))


def drawn(channels: int, shape: tuple[int, ...], *, bias: bool) -> list[Any]:
    rng = np.random.default_rng(0)
    maps, weight = (torch.tensor(rng.standard_normal(size)) for size in ((2, channels, 8, 9), shape))
    return [
        maps.requires_grad_(),
        weight.requires_grad_(),
        torch.tensor(rng.standard_normal(shape[0])) if bias else None,
    ]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", [*TAKEN, *OTHERS])
def test_values_and_slopes_are_those_of_torch(name: str, bias: bool, ratio) -> None:
    """What is not taken over is torch's own, to the last bit."""
    channels, shape, options = (TAKEN | OTHERS)[name]
    args = drawn(channels, shape, bias=bias)
    wanted = functional.conv2d(*args, **options)
    with Calls() as calls, SideBySide():
        found = functional.conv2d(*args, **options)
    assert calls.count == (name in OTHERS)
    assert found.shape == wanted.shape
    of, to = found.detach(), wanted.detach()
    assert torch.equal(of, to) if name in OTHERS else ratio(of.numpy(), to.numpy(), size=weight_numbers(shape)) < 30
    C = torch.tensor(np.random.default_rng(1).standard_normal(wanted.shape))
    for one, other in zip(*(torch.autograd.grad(out, args[:2], C) for out in (found, wanted)), strict=True):
        assert ratio(one.numpy(), other.numpy(), size=C[:, 0].numel() * weight_numbers(shape)) < 30


def weight_numbers(shape: tuple[int, ...]) -> int:
    """The products of one entry of the output."""
    return shape[1] * shape[2] * shape[3]


@pytest.mark.parametrize(
    ("change", "options"),
    [
        ({"maps": zeros(1, 5, 2, 9)}, {}),  # smaller than the kernel
        ({"maps": zeros(1, 5, 8, 9).float()}, {}),
        ({"weight": zeros(5, 2, 3, 3)}, {}),
        ({"weight": zeros(5, 1, 3, 3).float()}, {}),
        ({"weight": zeros(4, 6, 1, 1)}, {"groups": 1}),
        ({"bias": zeros(1)}, {}),
        ({"bias": zeros(5).float()}, {}),
        ({}, {"padding": -1}),
        ({}, {"stride": 0}),
    ],
)
def test_what_torch_refuses_is_refused_in_its_words(change: Any, options: Any) -> None:
    arrays = {"maps": zeros(1, 5, 8, 9), "weight": zeros(5, 1, 3, 3), "bias": None} | change
    words = []
    for mode in (nullcontext(), SideBySide()):
        with pytest.raises(RuntimeError) as caught, mode:
            functional.conv2d(*arrays.values(), **{"groups": 5} | options)
        words.append(str(caught.value))
    assert words[0] == words[1]


class Views(torch.nn.Module):
    """A layer that needs the order of torch in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 2, 1, dtype=torch.float64)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.conv(images).view(len(images), -1)


def test_a_module_that_needs_the_order_of_torch_has_it() -> None:
    module = Views().eval()
    # It is torch's own convolution in the end, with its bits
    phi, X = Network(module, (6, 5, 3)), np.random.default_rng(3).standard_normal((4, 90))
    images = torch.tensor(X.reshape(4, 6, 5, 3)).permute(0, 3, 1, 2).contiguous()
    assert np.array_equal(phi(X), module(images).detach().numpy())


@pytest.mark.parametrize(("dtype", "by_torch"), [(np.float64, 0), (np.float32, 2)])
def test_a_network_in_float64_takes_them(dtype: Any, by_torch: int) -> None:
    """In float32 torch has kernels; where gradients are wanted, it keeps less."""
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 3, 3, groups=3), torch.nn.ReLU(), torch.nn.Conv2d(3, 2, 1), torch.nn.Flatten()
    )
    phi = Network(module.eval(), (6, 5, 3))
    X = np.random.default_rng(2).standard_normal((4, phi.d)).astype(dtype)
    with Calls() as calls:
        phi(X)
    assert calls.count == by_torch
    with Calls() as calls:
        phi(torch.tensor(X).requires_grad_())
    assert calls.count == 2
