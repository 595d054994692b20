"""The iterative methods as their papers state them, in plain torch: what ``iterative_steps`` compares the package with.

Modules, optimisers and interpolation are those of torch; there is a loop over classes, over networks and over the
steps of a student, whose graph is kept as a whole; one backward pass follows. Nothing here is of the package.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

Pair = tuple[torch.Tensor, torch.Tensor]  # real and synthetic images of a class, augmented alike


def convnet(shape: tuple[int, int, int], k: int, *, width: int = 128, depth: int = 3) -> nn.Sequential:
    """Return blocks of convolution 3x3, instance norm, ReLU, average pool 2, and a linear layer."""
    channels, side, _ = shape
    padding = 3 if channels == 1 and side >= 28 else 1
    side += 2 * (padding - 1)
    layers: list[nn.Module] = []
    for index in range(depth):
        layers.append(nn.Conv2d(width if index else channels, width, 3, padding=1 if index else padding))
        layers += [nn.GroupNorm(width, width), nn.ReLU(), nn.AvgPool2d(2)]
        side //= 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(width * side * side, k))


def drawn(count: int, operations: Sequence[str]) -> tuple[str, dict[str, torch.Tensor]]:
    """Draw one of the operations and its parameters for ``count`` images, or 1 that a batch shares."""

    def uniform(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(count)

    chosen = operations[int(torch.randint(len(operations), (1,)))]
    places = {"down": uniform(-0.5, 0.5), "across": uniform(-0.5, 0.5)}
    values = {
        "color": {"brightness": uniform(-0.5, 0.5), "saturation": uniform(0.0, 2.0), "contrast": uniform(0.5, 1.5)},
        "crop": {"reach": torch.full((count,), 0.125)} | places,
        "cutout": {"side": torch.full((count,), 0.5)} | places,
        "flip": {"flipped": (torch.rand(count) < 0.5).float()},
        "scale": {"down": uniform(1 / 1.2, 1.2), "across": uniform(1 / 1.2, 1.2)},
        "rotate": {"angle": uniform(-15.0, 15.0)},
    }
    return chosen, values[chosen]


def augmented(images: torch.Tensor, operation: str, values: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return the images (n, c, h, w) after an operation of differentiable Siamese augmentation."""
    given = {name: value.to(images.dtype).expand(len(images)) for name, value in values.items()}
    if operation == "color":
        images = images + given["brightness"][:, None, None, None]
        grey = images.mean(dim=1, keepdim=True)
        images = grey + given["saturation"][:, None, None, None] * (images - grey)
        level = images.mean(dim=(1, 2, 3), keepdim=True)
        return level + given["contrast"][:, None, None, None] * (images - level)
    if operation == "flip":
        return torch.where(given["flipped"][:, None, None, None] > 0.5, images.flip(3), images)
    if operation in ("crop", "cutout"):
        return (_cropped if operation == "crop" else _cut_out)(images, **given)
    if operation == "scale":
        zero = torch.zeros_like(given["down"])
        rows = [torch.stack([given["across"], zero, zero], 1), torch.stack([zero, given["down"], zero], 1)]
    else:
        angle = torch.deg2rad(given["angle"])
        c, s, zero = torch.cos(angle), torch.sin(angle), torch.zeros_like(angle)
        rows = [torch.stack([c, -s, zero], 1), torch.stack([s, c, zero], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=True)
    return F.grid_sample(images, grid, align_corners=True)


def _cropped(images: torch.Tensor, reach: torch.Tensor, down: torch.Tensor, across: torch.Tensor) -> torch.Tensor:
    n, _, height, width = images.shape
    tall, wide = (math.floor(float(reach[0]) * side + 0.5) for side in (height, width))
    padded = F.pad(images, (wide, wide, tall, tall)).permute(0, 2, 3, 1)
    top = tall + torch.floor(down * (2 * tall + 1) + 0.5).long()
    left = wide + torch.floor(across * (2 * wide + 1) + 0.5).long()
    rows, columns = top[:, None] + torch.arange(height), left[:, None] + torch.arange(width)
    return padded[torch.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _cut_out(images: torch.Tensor, side: torch.Tensor, down: torch.Tensor, across: torch.Tensor) -> torch.Tensor:
    masks = []
    for length, place in ((images.shape[2], down), (images.shape[3], across)):
        size = torch.floor(side * length + 0.5)
        first = torch.floor((place + 0.5) * length) - torch.floor(size / 2)
        position = torch.arange(length)
        masks.append((position >= first[:, None]) & (position < (first + size)[:, None]))
    hole = masks[0][:, :, None] & masks[1][:, None, :]
    return images * (~hole[:, None]).to(images.dtype)


def dm_loss(net: nn.Sequential, pairs: Iterable[Pair]) -> torch.Tensor:
    """DM: the sum over classes of the squared distance of mean features, in a network that is not trained."""
    embed, loss = net[:-1], torch.zeros(())
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    for real, synthetic in pairs:
        loss = loss + (embed(real).detach().mean(dim=0) - embed(synthetic).mean(dim=0)).square().sum()
    return loss


def dc_loss(net: nn.Sequential, pairs: Iterable[Pair]) -> torch.Tensor:
    """DC and DSA: the sum over classes of the distances of the gradients in the weights, 1 - cosine of each row."""
    parameters, loss = list(net.parameters()), torch.zeros(())
    for label, (real, synthetic) in enumerate(pairs):
        found = []
        for images in (real, synthetic):
            classes = torch.full((len(images),), label)
            graph = images is synthetic
            found.append(torch.autograd.grad(F.cross_entropy(net(images), classes), parameters, create_graph=graph))
        for wanted, got in zip(*found, strict=True):
            if wanted.ndim > 1:
                a, b = wanted.detach().flatten(1), got.flatten(1)
                loss = loss + (1.0 - (a * b).sum(dim=1) / (a.norm(dim=1) * b.norm(dim=1))).sum()
    return loss


def train(
    net: nn.Sequential,
    images: torch.Tensor,
    classes: torch.Tensor,
    *,
    epochs: int,
    batch: int,
    change: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> None:
    """DC and DSA: train the network on the synthetic set between two updates of it, augmented by ``change``."""
    sgd = torch.optim.SGD(net.parameters(), lr=0.01)
    for _ in range(epochs):
        for rows in torch.randperm(len(images)).split(batch):
            seen = images[rows] if change is None else change(images[rows])
            sgd.zero_grad()
            F.cross_entropy(net(seen), classes[rows]).backward()
            sgd.step()


def mtt_loss(
    net: nn.Sequential,
    first: torch.Tensor,
    target: torch.Tensor,
    images: Callable[[int], torch.Tensor],
    classes: torch.Tensor,
    lr: torch.Tensor,
    steps: int,
) -> torch.Tensor:
    """MTT: the relative squared distance of a student after some steps from the expert's weights, which are one vector.

    ``images(i)`` are those of step i, augmented.
    """
    student = first.clone().requires_grad_()
    for step in range(steps):
        loss = F.cross_entropy(functional_call(net, _parts(net, student), (images(step),)), classes)
        student = student - lr * torch.autograd.grad(loss, student, create_graph=True)[0]
    return (student - target).square().sum() / (first - target).square().sum()


def vector(net: nn.Sequential) -> torch.Tensor:
    """Return all parameters one after the other."""
    return nn.utils.parameters_to_vector(net.parameters()).detach()


def _parts(net: nn.Sequential, vector: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the parameters that a vector holds one after the other."""
    shapes = {name: value.shape for name, value in net.named_parameters()}
    parts = vector.split([shape.numel() for shape in shapes.values()])
    return {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}


def dd_loss(
    net: nn.Sequential,
    starts: Sequence[torch.Tensor],
    batches: Sequence[tuple[torch.Tensor, torch.Tensor]],
    sizes: torch.Tensor,
    real: tuple[torch.Tensor, torch.Tensor],
) -> torch.Tensor:
    """DD: the sum over first weights of the loss on real images, after a gradient step on each synthetic batch."""
    total = torch.zeros(())
    for start in starts:
        weights = start.clone().requires_grad_()
        for (images, classes), size in zip(batches, sizes.unbind(), strict=True):
            loss = F.cross_entropy(functional_call(net, _parts(net, weights), (images,)), classes)
            weights = weights - size * torch.autograd.grad(loss, weights, create_graph=True)[0]
        total = total + F.cross_entropy(functional_call(net, _parts(net, weights), (real[0],)), real[1])
    return total


def ntk(X: torch.Tensor, X2: torch.Tensor | None = None, *, s: float = 2.0, b: float = 0.01) -> torch.Tensor:
    """Return the tangent kernel of an infinite network with one hidden layer of ReLU, between rows."""
    other, d = X if X2 is None else X2, X.shape[1]
    q, q2 = (s * A.square().sum(dim=1) / d + b for A in (X, other))
    first = s / d * (X @ other.T) + b
    size = (q[:, None] * q2[None, :]).sqrt()
    cosine = (first / size).clamp(-1.0, 1.0)
    if X2 is None:
        eye = torch.eye(len(X), dtype=torch.bool)
        cosine = torch.where(eye, 0.0, cosine)  # arccos has no slope at 1
    angle = torch.acos(cosine)
    second = s * size * (torch.sqrt(1.0 - cosine.square()) + (math.pi - angle) * cosine) / (2.0 * math.pi) + b
    found = s * first * (math.pi - angle) / (2.0 * math.pi) + second
    return found if X2 is not None else torch.where(eye, (s * q + b).expand_as(found), found)


def ridge(K: torch.Tensor) -> torch.Tensor:
    """Return 1e-6 of the mean of the diagonal as a multiple of the identity."""
    return 1e-6 * K.trace() / len(K) * torch.eye(len(K), dtype=K.dtype)


def kip_loss(x: torch.Tensor, y: torch.Tensor, X: torch.Tensor, Y: torch.Tensor) -> torch.Tensor:
    """KIP: half the mean square of what kernel ridge regression on the points leaves of the targets."""
    K = ntk(x)
    return 0.5 * (ntk(X, x) @ torch.linalg.solve(K + ridge(K), y) - Y).square().mean()


def solved_labels(x: torch.Tensor, X: torch.Tensor, Y: torch.Tensor) -> torch.Tensor:
    """Label Solve: the labels of the points with which kernel ridge regression leaves least of all targets."""
    K = ntk(x)
    K_Ts = torch.cat([ntk(rows, x) for rows in X.split(2_000)])
    return (K + ridge(K)) @ torch.linalg.lstsq(K_Ts, Y).solution
