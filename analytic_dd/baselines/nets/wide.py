"""A convolutional network whose wide limit is the kernel of published KIP, and its fit to labels by least squares."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.func import jvp, vjp
from torch.nn import functional as F

from analytic_dd.baselines.nets.network import Network, Parameters

__all__ = ["WideConvNet", "fitted", "largest_eigenvalue"]

_POWER_STEPS = 20


class _WideConv(nn.Conv2d):
    """x -> W_std / sqrt(fan in) W * x + b_std b, 3 x 3 with padding."""

    def __init__(self, channels: int, width: int, scales: tuple[float, float]) -> None:
        super().__init__(channels, width, 3, padding=1)
        self.scales = scales[0] / math.sqrt(9 * channels), scales[1]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the layer's values."""
        assert self.bias is not None
        return F.conv2d(images, self.scales[0] * self.weight, self.scales[1] * self.bias, padding=1)


class _WideLinear(nn.Linear):
    """x -> W_std / sqrt(fan in) W x + b_std b."""

    def __init__(self, fan_in: int, k: int, scales: tuple[float, float]) -> None:
        super().__init__(fan_in, k)
        self.scales = scales[0] / math.sqrt(fan_in), scales[1]

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the layer's values."""
        return F.linear(hidden, self.scales[0] * self.weight, self.scales[1] * self.bias)


class WideConvNet(Network):
    r"""A convolution with ReLU, then blocks of convolution, ReLU and 2 x 2 average pooling, then a linear layer.

    All numbers are drawn from N(0, 1), and layers scale them by W_std / sqrt(fan in) and b_std. Nothing is normalised.
    As the width grows, gradient descent becomes kernel regression with the kernel ``convnet-ntk``.

    Parameters
    ----------
    width, depth : int
        1,024 channels and 3 blocks as published.
    W_std, b_std : float

    References
    ----------
    Nguyen, Novak, Xiao, Lee, "Dataset distillation with infinitely wide convolutional networks", NeurIPS 2021.

    Examples
    --------
    >>> WideConvNet((3, 32, 32), 10, width=8).size()
    3266
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        k: int,
        *,
        width: int = 1024,
        depth: int = 3,
        W_std: float = math.sqrt(2.0),
        b_std: float = 0.1,
    ) -> None:
        channels, *sides = shape
        last = [side >> depth for side in sides]
        if min(last) < 1:
            raise ValueError(f"{depth} halvings leave no pixel of {sides[0]} x {sides[1]}; lower depth")
        scales, layers = (W_std, b_std), dict[str, nn.Module]()
        with torch.device("meta"):
            for index in range(depth + 1):
                layers[f"conv{index}"] = _WideConv(width if index else channels, width, scales)
                layers[f"relu{index}"] = nn.ReLU()
                if index:
                    layers[f"pool{index}"] = nn.AvgPool2d(2)
            layers |= {"flatten": nn.Flatten(), "classifier": _WideLinear(width * math.prod(last), k, scales)}
        super().__init__(shape, k, layers)

    def draw(
        self,
        generator: torch.Generator,
        *,
        scheme: str = "normal",
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> Parameters:
        """Draw all numbers from N(0, 1), the one scheme of this network."""
        if scheme != "normal":
            raise ValueError(f"a wide network is drawn from N(0, 1), got scheme {scheme!r}; leave it out")
        drawn = {name: torch.randn(shape, generator=generator) for name, shape in self.shapes().items()}
        return {name: value.to(device=device, dtype=dtype) for name, value in drawn.items()}


def largest_eigenvalue(network: Network, weights: Parameters, images: torch.Tensor) -> float:
    """Return the largest eigenvalue of J J^T by power steps, J the Jacobian of all logits in the weights.

    The steps approach it from below, and start at equal numbers.
    """
    values, backward = vjp(lambda given: network.logits(given, images), weights)
    direction, found = torch.ones_like(values) / math.sqrt(values.numel()), 0.0
    for _ in range(_POWER_STEPS):
        (gradient,) = backward(direction)
        _, product = jvp(lambda given: network.logits(given, images), (weights,), (gradient,))
        found = float(product.norm())
        if not 0.0 < found < math.inf:
            raise ValueError(f"the tangent kernel has a largest eigenvalue of {found}; the images are 0 or not finite")
        direction = product / found
    return found


def fitted(
    network: Network,
    weights: Parameters,
    images: torch.Tensor,
    targets: torch.Tensor,
    *,
    steps: int,
    momentum: float = 0.9,
) -> Parameters:
    r"""Descend on half of |logits - targets|^2 over all images at once, and return the last weights.

        v <- momentum v + grad,    theta <- theta - v / lambda

    lambda is the largest eigenvalue of the tangent kernel at the first weights, so that nothing is tuned. A network
    that is linear in its weights goes to the least-squares fit that is nearest to the first weights.
    """
    size = 1.0 / largest_eigenvalue(network, weights, images)
    velocity = {name: torch.zeros_like(value) for name, value in weights.items()}
    for _ in range(steps):
        leaves = {name: value.detach().requires_grad_() for name, value in weights.items()}
        loss = 0.5 * (network.logits(leaves, images) - targets).square().sum()
        gradients = torch.autograd.grad(loss, list(leaves.values()))
        with torch.no_grad():
            for name, gradient in zip(leaves, gradients, strict=True):
                velocity[name] = momentum * velocity[name] + gradient
            weights = {name: value.detach() - size * velocity[name] for name, value in leaves.items()}
    return weights
