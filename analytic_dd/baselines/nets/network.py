"""Networks: torch modules that are called with parameters of the caller's own.

A network knows the shapes of its parameters and holds no numbers, because they stand on torch's meta device. The caller
draws the numbers into a dictionary of tensors, which :func:`torch.func.functional_call` puts in their places. So
training can be vectorised over networks, differentiated and unrolled, and no draw touches the global random state.
``network.load_state_dict(parameters, assign=True)`` makes an ordinary module of it.
"""

from __future__ import annotations

import functools
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.func import functional_call

from analytic_dd.baselines.nets.convolution import Convolution
from analytic_dd.baselines.nets.instance_norm import InstanceNorm
from analytic_dd.baselines.nets.layout import stored_last
from analytic_dd.baselines.nets.pooling import HalfPool
from analytic_dd.errors import unknown_word

__all__ = [
    "SCHEMES",
    "ConvNet",
    "LinearNetwork",
    "MultiLayerPerceptron",
    "Network",
    "Parameters",
    "apart",
    "block",
    "stacked",
]

Parameters = dict[str, torch.Tensor]

SCHEMES = ("uniform", "xavier", "he")
_CACHED = 2**20  # numbers of the largest output of a layer, for images that go through on a CPU at a time


class Network(nn.Sequential):
    """A classifier: layers one after the other, the last a linear one with the name ``classifier``.

    Parameters
    ----------
    shape : (c, h, w)
        Shape of an image.
    k : int
        Number of classes.
    layers : mapping of str to nn.Module
        The layers in their order, made on the meta device.
    """

    def __init__(self, shape: tuple[int, int, int], k: int, layers: Mapping[str, nn.Module]) -> None:
        super().__init__(OrderedDict(layers))
        self.shape, self.k = shape, k

    def logits(self, parameters: Parameters, images: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, k) of images (n, c, h, w)."""
        return self._through(self, parameters, images)

    def embed(self, parameters: Parameters, images: torch.Tensor) -> torch.Tensor:
        """Return what stands before the classifier (n, features)."""
        before = nn.Sequential(OrderedDict(list(self.named_children())[:-1]))
        return self._through(before, {n: p for n, p in parameters.items() if not n.startswith("classifier.")}, images)

    @functools.cached_property
    def outputs(self) -> list[tuple[nn.Module, int]]:
        """The layers in the order in which an image passes them, each with how many numbers it puts out."""
        found: list[tuple[nn.Module, int]] = []
        layers = [layer for layer in self.modules() if not list(layer.children())]
        hooks = [one.register_forward_hook(lambda layer, _, out: found.append((layer, out.numel()))) for one in layers]
        # Meta tensors import for seconds, and in float32 a CPU passes several layers at once
        zeros = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in self.shapes().items()}
        with torch.no_grad():
            functional_call(self, zeros, (torch.zeros(1, *self.shape, dtype=torch.float64),), tie_weights=False)
        for hook in hooks:
            hook.remove()
        return found

    @functools.cached_property
    def together(self) -> int:
        """Number of images that go through at a time on a CPU, whose cache holds about what the largest layer makes."""
        return max(1, _CACHED // max(numbers for _, numbers in self.outputs))

    def _through(self, layers: nn.Module, parameters: Parameters, images: torch.Tensor) -> torch.Tensor:
        """Return what layers make of images; on a CPU they see as many images at a time as its cache holds.

        Filters are prepared once for all pieces.
        """
        images = images.flatten(1).reshape(images.shape)  # the strides of one channel are those of many
        count = round(len(images) / self.together) if images.device.type == "cpu" else 1
        pieces = images.chunk(max(1, count))
        filters = {f"{name}.weight": one for name, one in layers.named_modules() if isinstance(one, Convolution)}
        prepared = {name: one.prepared(parameters[name], len(pieces[0])) for name, one in filters.items()}
        # No two names share a tensor, and torch's search for shared ones takes as long as a small network.
        found = [functional_call(layers, parameters | prepared, (piece,), tie_weights=False) for piece in pieces]
        return found[0] if len(found) == 1 else torch.cat(found)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every parameter, in the order in which they are applied."""
        return {name: tuple(value.shape) for name, value in self.named_parameters()}

    def size(self) -> int:
        """Return the number of parameters."""
        return sum(value.numel() for value in self.parameters())

    def draw(
        self,
        generator: torch.Generator,
        *,
        scheme: str = "uniform",
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> Parameters:
        r"""Draw parameters.

            uniform   on +- 1 / sqrt(fan in), biases too, as the layers of torch
            xavier    normal, variance 2 / (fan in + fan out); biases are 0
            he        normal, variance 2 / fan in; biases are 0

        A norm starts at scale 1 and shift 0. Each pixel of a filter counts in the fans.

        Parameters
        ----------
        generator : torch.Generator
            On the CPU, so that draws do not depend on the device.
        scheme : {"uniform", "xavier", "he"}

        References
        ----------
        Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010; He,
        Zhang, Ren, Sun, "Delving deep into rectifiers", ICCV 2015.
        """
        if scheme not in SCHEMES:
            raise ValueError(unknown_word("scheme", scheme, SCHEMES))
        drawn: Parameters = {}
        for path, layer in self.named_modules():
            dot, fan_in, fan_out = f"{path}." if path else "", 1, 1
            for name, parameter in layer.named_parameters(recurse=False):
                shape, matrix = parameter.shape, parameter.ndim > 1
                if isinstance(layer, InstanceNorm):
                    drawn[dot + name] = torch.ones(shape) if name == "weight" else torch.zeros(shape)
                    continue
                if matrix:
                    fan_in, fan_out = math.prod(shape[1:]), shape[0] * math.prod(shape[2:])
                if scheme == "uniform":  # the bias that follows has the fan of its weight
                    drawn[dot + name] = 1.0 / math.sqrt(fan_in) * (2.0 * torch.rand(shape, generator=generator) - 1.0)
                elif matrix:
                    fans = fan_in + fan_out if scheme == "xavier" else fan_in
                    drawn[dot + name] = math.sqrt(2.0 / fans) * torch.randn(shape, generator=generator)
                else:
                    drawn[dot + name] = torch.zeros(shape)
        return {name: value.to(device=device, dtype=dtype) for name, value in drawn.items()}


def stacked(networks: Sequence[Parameters]) -> Parameters:
    """Return weights with one more axis in front, for :func:`torch.func.vmap`."""
    return {name: torch.stack([weights[name] for weights in networks]) for name in networks[0]}


def apart(networks: Parameters) -> list[Parameters]:
    """Return stacked weights as those of each network."""
    count = len(next(iter(networks.values())))
    return [{name: value[net].clone() for name, value in networks.items()} for net in range(count)]


def block(conv: nn.Conv2d, *after: nn.Module, norm: bool = True) -> nn.Sequential:
    """Return a convolution, an instance norm with the name ``norm`` if asked for, and what comes after."""
    layers: list[tuple[str, nn.Module]] = [("conv", conv)]
    if norm:
        layers.append(("norm", InstanceNorm(conv.out_channels)))
    return nn.Sequential(OrderedDict([*layers, *((type(one).__name__, one) for one in after)]))


class _Halving(nn.Sequential):
    """The layers of a block that ends with a pool; with channels last, those after the convolution are one."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        conv, norm, relu, pool = self
        hidden: torch.Tensor = conv(maps)
        if stored_last(hidden) and hidden.shape[2] % 2 == hidden.shape[3] % 2 == 0:
            assert isinstance(norm, InstanceNorm)
            return norm.halved(hidden)
        found: torch.Tensor = pool(relu(norm(hidden)))
        return found


class ConvNet(Network):
    """Blocks of convolution 3x3, instance norm with affine, ReLU, average pool 2; then a linear layer.

    The first convolution pads by 3 on one channel (28 to 32 pixels), by 1 otherwise.

    Parameters
    ----------
    width, depth : int
        128 and 3 in the literature: 317,706 parameters on MNIST, 320,010 on CIFAR-10.

    Examples
    --------
    >>> ConvNet((1, 28, 28), 10).size(), ConvNet((3, 32, 32), 10).size()
    (317706, 320010)
    """

    def __init__(self, shape: tuple[int, int, int], k: int, *, width: int = 128, depth: int = 3) -> None:
        channels, *sides = shape
        padding = 3 if channels == 1 and min(sides) >= 28 else 1
        last = [(side + 2 * (padding - 1)) >> depth for side in sides]
        if min(last) < 1:
            raise ValueError(
                f"{depth} halvings leave no pixel of {sides[0]} x {sides[1]}; lower depth, or use an MLP for rows"
            )
        layers: dict[str, nn.Module] = {}
        with torch.device("meta"):
            for index in range(depth):
                pad, grown = (1, padding - 1) if index else (padding, 0)
                inner = [side + 2 * grown >> index for side in sides]
                conv = Convolution(width if index else channels, width, (inner[0], inner[1]), padding=pad)
                after = {"norm": InstanceNorm(width), "ReLU": nn.ReLU(inplace=True), "HalfPool": HalfPool()}
                layers[str(index)] = _Halving(OrderedDict({"conv": conv} | after))
            layers |= {"flatten": nn.Flatten(), "classifier": nn.Linear(width * math.prod(last), k)}
        super().__init__(shape, k, layers)


class MultiLayerPerceptron(Network):
    """Fully connected layers with ReLU.

    Examples
    --------
    >>> network = MultiLayerPerceptron((1, 8, 8), 10, widths=(64,))
    >>> parameters = network.draw(torch.Generator().manual_seed(0))
    >>> tuple(network.logits(parameters, torch.zeros(5, 1, 8, 8)).shape), network.size()
    ((5, 10), 4810)
    """

    def __init__(self, shape: tuple[int, int, int], k: int, *, widths: tuple[int, ...] = (128, 128)) -> None:
        layers: dict[str, nn.Module] = {"flatten": nn.Flatten()}
        sizes = (math.prod(shape), *widths)
        with torch.device("meta"):
            for index, width in enumerate(widths):
                layers |= {str(index): nn.Linear(sizes[index], width), f"relu{index}": nn.ReLU()}
            layers["classifier"] = nn.Linear(sizes[-1], k)
        super().__init__(shape, k, layers)


class LinearNetwork(Network):
    """One linear layer without intercept; what stands before it are the pixels.

    Examples
    --------
    >>> LinearNetwork((1, 8, 8), 10).size()
    640
    """

    def __init__(self, shape: tuple[int, int, int], k: int) -> None:
        classifier = nn.Linear(math.prod(shape), k, bias=False, device="meta")
        super().__init__(shape, k, {"flatten": nn.Flatten(), "classifier": classifier})
