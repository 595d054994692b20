"""What a network starts from: random weights by a rule, stacked where several networks are trained together."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from analytic_dd.baselines.nets.network import Network, Parameters

__all__ = ["SCHEMES", "draw_weights", "stacked"]

SCHEMES = ("xavier", "he", "uniform")


def draw_weights(
    network: Network,
    scheme: str,
    generator: torch.Generator,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Parameters:
    r"""Draw the weights of a network.

        xavier    normal, variance 2 / (fan in + fan out)
        he        normal, variance 2 / fan in
        uniform   on +- 1 / sqrt(fan in), biases too: :meth:`Network.draw`, as networks are drawn everywhere else

    With the first two, biases are 0. Norms are 1 and 0 always.

    Parameters
    ----------
    network : Network
    scheme : {"xavier", "he", "uniform"}
    generator : torch.Generator
        On the CPU: draws do not depend on the device.

    References
    ----------
    Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010; He,
    Zhang, Ren, Sun, "Delving deep into rectifiers", ICCV 2015.
    """
    if scheme == "uniform":
        return network.draw(generator, device=device, dtype=dtype)
    if scheme not in SCHEMES:
        raise ValueError(f"unknown scheme {scheme!r}; choose from {', '.join(SCHEMES)}")
    drawn: Parameters = {}
    for name, shape in network.shapes().items():
        if len(shape) > 1:
            drawn[name] = _deviation(shape, scheme) * torch.randn(shape, generator=generator)
        else:
            drawn[name] = torch.ones(shape) if ".norm." in name and name.endswith("weight") else torch.zeros(shape)
    return {name: value.to(device=device, dtype=dtype) for name, value in drawn.items()}


def _deviation(shape: tuple[int, ...], scheme: str) -> float:
    """Of the weights (out, in, ...) of a layer: a filter counts as often as it has pixels."""
    pixels = math.prod(shape[2:])
    fan_in, fan_out = pixels * shape[1], pixels * shape[0]
    return math.sqrt(2.0 / (fan_in + fan_out if scheme == "xavier" else fan_in))


def stacked(networks: Sequence[Parameters]) -> Parameters:
    """Return weights with one more axis in front, for :func:`torch.func.vmap`."""
    return {name: torch.stack([weights[name] for weights in networks]) for name in networks[0]}
