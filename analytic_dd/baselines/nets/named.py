"""Networks by their names."""

from __future__ import annotations

from analytic_dd.baselines.nets.lenet import AlexCifarNet, LeNet
from analytic_dd.baselines.nets.network import ConvNet, LinearNetwork, MultiLayerPerceptron, Network
from analytic_dd.baselines.nets.transfer import AlexNet, ResNet18, Vgg11
from analytic_dd.errors import unknown_word

__all__ = ["NETWORKS", "network_named"]

_OF_ONE_DEPTH: dict[
    str, tuple[type[ResNet18 | Vgg11 | AlexNet | LeNet | AlexCifarNet], int]
] = {  # the class and its published width
    "resnet18": (ResNet18, 64),
    "vgg11": (Vgg11, 64),
    "alexnet": (AlexNet, 128),
    "lenet": (LeNet, 6),
    "alexcifar": (AlexCifarNet, 64),
}
NETWORKS = ("convnet", "mlp", *_OF_ONE_DEPTH, "linear")


def network_named(
    name: str, shape: tuple[int, int, int], k: int, *, width: int | None = None, depth: int | None = None
) -> Network:
    """Return a network for images of a shape (c, h, w) and k classes.

    Parameters
    ----------
    name : str
        ``convnet`` (of width 128 and depth 3), ``mlp`` (two layers of 128), ``resnet18`` (width 64), ``vgg11`` (64),
        ``alexnet`` (128), ``lenet`` (6), ``alexcifar`` (64) or ``linear`` (without hidden layers).
    width, depth : int, optional
        They replace the published ones above. Only ``convnet`` and ``mlp`` have a depth, and ``linear`` has neither.

    Examples
    --------
    >>> network_named("convnet", (1, 28, 28), 10).size()
    317706
    """
    if name not in NETWORKS:
        raise ValueError(unknown_word("network", name, NETWORKS))
    if (width is not None and width < 1) or (depth is not None and depth < 1):
        raise ValueError(f"width and depth must be at least 1, got {width} and {depth}")
    if name == "convnet":
        return ConvNet(shape, k, width=width or 128, depth=depth or 3)
    if name == "mlp":
        return MultiLayerPerceptron(shape, k, widths=(width or 128,) * (depth or 2))
    if name == "linear":
        return LinearNetwork(shape, k)
    if depth is not None:
        raise ValueError(f"{name} has one depth, got depth {depth}; leave it out")
    kind, published = _OF_ONE_DEPTH[name]
    return kind(shape, k, width=width or published)
