"""Training networks from scratch on one set: stochastic gradient descent with momentum, one by one or together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch.func import vmap
from torch.nn import functional as F

from analytic_dd.baselines.ledger import Ledger
from analytic_dd.baselines.nets.augment import Augmentation
from analytic_dd.baselines.nets.network import ConvNet, MultiLayerPerceptron, Network, Parameters
from analytic_dd.baselines.nets.sgd import Sgd

__all__ = ["train_network", "train_networks"]

_TOGETHER = 2_000  # pixels of a batch up to which networks train together on a CPU, see the notes of train_networks


def train_network(
    network: Network,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    epochs: int,
    batch: int = 256,
    lr: float = 0.01,
    momentum: float = 0.9,
    weight_decay: float = 5e-4,
    augmentation: Augmentation | None = None,
    generator: torch.Generator,
    ledger: Ledger | None = None,
) -> Parameters:
    """Train one network from scratch; see :func:`train_networks`.

    Parameters
    ----------
    labels : (m,) int64 or (m, k) float tensor
        Classes, or target probabilities.
    generator : torch.Generator
        On the CPU; draws the initial weights, the order of the samples and the augmentation.
    """
    return train_networks(
        network,
        images,
        labels,
        generators=[generator],
        epochs=epochs,
        batch=batch,
        lr=lr,
        momentum=momentum,
        weight_decay=weight_decay,
        augmentation=augmentation,
        ledger=ledger,
    )[0]


def train_networks(
    network: Network,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    generators: Sequence[torch.Generator],
    epochs: int,
    batch: int = 256,
    lr: float = 0.01,
    momentum: float = 0.9,
    weight_decay: float = 5e-4,
    augmentation: Augmentation | None = None,
    together: bool | None = None,
    ledger: Ledger | None = None,
) -> list[Parameters]:
    r"""Train networks from scratch on one set by stochastic gradient descent.

        v <- momentum v + grad (mean over the batch of -y . log softmax f(x)) + weight_decay theta
        theta <- theta - lr v,      lr divided by 10 in the second half of the epochs

    Parameters
    ----------
    network : Network
    images : (m, c, h, w) tensor
    labels : (m,) int64 or (m, k) float tensor
    generators : sequence of torch.Generator
        One a network: what it draws depends on its generator alone, not on the other networks.
    epochs : int
        Passes over the set. A batch that holds the whole set is not shuffled; the last one of an epoch may be smaller.
    augmentation : Augmentation, optional
        One operation a batch, with parameters for each image.
    together : bool, optional
        Train all in one vectorised computation. Default: as measured.
    ledger : Ledger, optional
        Counts steps and passes.

    Returns
    -------
    list of Parameters

    Notes
    -----
    *Cost.* epochs * ceil(m / batch) steps a network. Measured on one core, five networks together are 1.2 to 1.6 times
    as fast as one by one where a batch has 640 pixels, 0.9 to 1.2 times at 7,840, and slower (a grouped convolution)
    above. On a GPU small batches leave it idle, so that networks other than the deep transfer ones train together; that
    was not measured.
    *Numerics.* Together or not, networks agree to rounding, which training amplifies.
    """
    for name, value in (("epochs", epochs), ("batch", batch)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    targets = F.one_hot(labels, network.k).to(images.dtype) if labels.ndim == 1 else labels.to(images.dtype)
    if together is None:
        together = _faster_together(network, images, batch)
    groups = [list(generators)] if together else [[generator] for generator in generators]
    trained = []
    for group in groups:
        descent = _Descent(network, group, images, sgd=Sgd(lr, momentum=momentum, weight_decay=weight_decay))
        for epoch in range(epochs):
            descent.sgd.lr = lr if 2 * epoch < epochs else lr / 10.0
            for chosen in _batches(len(images), min(batch, len(images)), group):
                descent.step(*_samples(images, targets, chosen, group, augmentation))
                if ledger is not None:
                    ledger.network_steps += len(group)
                    ledger.synthetic_forward += chosen[0].numel() * len(group)
                    ledger.synthetic_backward += chosen[0].numel() * len(group)
        trained += descent.networks()
    return trained


def _faster_together(network: Network, images: torch.Tensor, batch: int) -> bool:
    if images.device.type != "cpu":
        return isinstance(network, ConvNet | MultiLayerPerceptron)
    return bool(min(batch, len(images)) * math.prod(images.shape[2:]) <= _TOGETHER)


def _batches(m: int, batch: int, generators: Sequence[torch.Generator]) -> list[list[torch.Tensor]]:
    """Return, for each step of an epoch, the samples of each network."""
    if batch == m:
        return [[torch.arange(m)] * len(generators)]
    orders = [torch.randperm(m, generator=generator).split(batch) for generator in generators]
    return [list(step) for step in zip(*orders, strict=True)]


def _samples(
    images: torch.Tensor,
    targets: torch.Tensor,
    chosen: Sequence[torch.Tensor],
    generators: Sequence[torch.Generator],
    augmentation: Augmentation | None,
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Return the (augmented) images and the targets of each network."""
    rows = [index.to(images.device) for index in chosen]
    drawn = [images[index] for index in rows]
    if augmentation is not None:
        pairs = zip(drawn, generators, strict=True)
        drawn = [augmentation(batch, augmentation.draw(len(batch), generator)) for batch, generator in pairs]
    return drawn, [targets[index] for index in rows]


class _Descent:
    """Parameters of one network, or of several stacked."""

    def __init__(
        self, network: Network, generators: Sequence[torch.Generator], images: torch.Tensor, *, sgd: Sgd
    ) -> None:
        self.sgd, self.nets = sgd, len(generators)
        drawn = [network.draw(generator, device=images.device, dtype=images.dtype) for generator in generators]
        one = drawn[0]
        self.parameters = one if self.nets == 1 else {name: torch.stack([p[name] for p in drawn]) for name in one}

        def loss(parameters: Parameters, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return -(y * F.log_softmax(network(parameters, x), dim=1)).sum(dim=1).mean()

        self.loss: Callable[..., torch.Tensor] = loss if self.nets == 1 else vmap(loss)

    def step(self, images: list[torch.Tensor], targets: list[torch.Tensor]) -> None:
        """Take one step; networks do not see each other, so the gradient of the sum is that of each."""
        x, y = (part[0] if self.nets == 1 else torch.stack(part) for part in (images, targets))
        leaves = {name: value.requires_grad_() for name, value in self.parameters.items()}
        gradients = torch.autograd.grad(self.loss(leaves, x, y).sum(), list(leaves.values()))
        with torch.no_grad():
            self.parameters = self.sgd.step(leaves, dict(zip(leaves, gradients, strict=True)))

    def networks(self) -> list[Parameters]:
        """Return the parameters of each network."""
        values = {name: value.detach() for name, value in self.parameters.items()}
        if self.nets == 1:
            return [values]
        return [{name: value[net].clone() for name, value in values.items()} for net in range(self.nets)]
