"""Train networks on a small set as on any other, and score them on the test part at the very end."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from analytic_dd.baselines.methods.task import channels_first, height_width_channels
from analytic_dd.baselines.nets.augment import Augmentation
from analytic_dd.baselines.nets.each_image import EachImage
from analytic_dd.baselines.nets.named import network_named
from analytic_dd.baselines.nets.network import Network, Parameters
from analytic_dd.baselines.nets.training import Course, train_networks
from analytic_dd.baselines.torch_state import plain_torch
from analytic_dd.data import Dataset
from analytic_dd.errors import DataError, ShapeError

__all__ = ["Evaluation", "Networks", "augmentation_of", "evaluate", "images_of", "targets_of"]

_EPOCHS, _EPOCHS_AUGMENTED = 300, 1_000
_STREAM = 0x6E657473  # of the networks' random numbers
_ROWS = 500  # test images at a time


@dataclass(frozen=True)
class Networks:
    """Which networks are trained on a set, and how."""

    network: str = "convnet"  # "convnet", "mlp", "resnet18", "vgg11" or "alexnet"
    width: int | None = None  # see :func:`network_named`
    depth: int | None = None
    nets: int = 5  # number of networks, which differ in their first weights and in the order of their batches
    seed: int = 0  # equal seeds give every set the same networks
    # Whether they train with Siamese augmentation, with parameters for each image, or "dc": with an operation for each
    # image as gradient matching was evaluated on MNIST (:class:`EachImage`)
    augment: bool | str = False
    soft: bool = False  # whether the labels are the targets of the cross-entropy; they must then be probabilities
    epochs: int | None = None  # 300 by default, or 1,000 with augmentation
    batch: int = 256  # largest number of samples in a step
    lr: float = 0.01  # see :class:`Course`
    momentum: float = 0.9
    weight_decay: float = 5e-4

    def __post_init__(self) -> None:
        if self.augment not in (False, True, "dc"):
            raise ValueError(f"augment must be true, false or 'dc', got {self.augment!r}")

    def network_for(self, dataset: Dataset) -> Network:
        """Return the network for the images of a data set."""
        shape, k = channels_first(dataset.image_shape), len(dataset.classes)
        return network_named(self.network, shape, k, width=self.width, depth=self.depth)

    def course(self, dataset: Dataset) -> Course:
        """Return how the networks train on sets of ``dataset``."""
        epochs = (_EPOCHS_AUGMENTED if self.augment else _EPOCHS) if self.epochs is None else self.epochs
        augmentation = EachImage() if self.augment == "dc" else augmentation_of(dataset) if self.augment else None
        lr, momentum, decay = self.lr, self.momentum, self.weight_decay
        return Course(epochs, self.batch, lr, momentum, decay, drops=True, augmentation=augmentation)


@dataclass(frozen=True)
class Evaluation:
    """Test accuracies of networks trained on one set."""

    accuracies: tuple[float, ...]  # the accuracy of each network, a fraction
    mean: float  # over the networks; the standard deviation is that of a sample, and 0 for one network
    std: float
    seconds: float  # wall time of training and scoring
    # What the loss saw: ``"hard"`` classes, the ``"argmax"`` of labels that are not one-hot, or ``"soft"`` labels
    labels: str
    epochs: int
    diverged: int  # number of networks whose parameters are no longer finite; they are scored as they are


@plain_torch()
def evaluate(
    inputs: np.ndarray,
    labels: np.ndarray,
    dataset: Dataset,
    networks: Networks | None = None,
    *,
    device: str = "cpu",
    together: bool | None = None,
) -> Evaluation:
    """Train networks from scratch on a set and return their accuracies on the test part.

    The networks are scored as they are after the last epoch. Nothing is selected, and no test sample is read before all
    networks are trained.

    Parameters
    ----------
    inputs : (m, d) array
        Normalised by the channel moments of the training part, channels last, as a ``BaselineResult`` has them.
    labels : (m,) int or (m, k) array
        Class indices, or labels. The largest of the labels is the class, or with ``soft`` they are the target.
    dataset : Dataset
    networks : Networks, optional
    device : str
    together : bool, optional
        See :func:`train_networks`.

    Raises
    ------
    DataError
        The data set has no test part.
    ShapeError, ValueError
        Sizes do not fit, soft labels are no probabilities, or the network is unknown.

    Notes
    -----
    *Cost.* nets * epochs * m passes forward and backward, then nets passes of the test part.
    *Numerics.* float32. On a CPU equal seeds give equal bits for one number of threads.

    Examples
    --------
    >>> from analytic_dd import data
    >>> from analytic_dd.baselines.bench.controls import random_real
    >>> digits = data.load("digits")
    >>> inputs, labels = random_real(digits, 1, seed=0)
    >>> found = evaluate(inputs, labels, digits, Networks("mlp", nets=2, epochs=30))
    >>> found.mean > 0.3, found.labels, found.epochs
    (True, 'hard', 30)
    """
    if not len(dataset.y_test):
        raise DataError(f"{dataset.name} has no test part to be scored on")
    networks = Networks() if networks is None else networks
    if networks.nets < 1:
        raise ValueError(f"nets must be at least 1, got {networks.nets}")
    started, k = time.perf_counter(), len(dataset.classes)
    images = images_of(inputs, dataset, device=device)
    targets, kind = targets_of(labels, k, m=len(images), soft=networks.soft)
    model = networks.network_for(dataset)
    course = networks.course(dataset)
    seeds = [np.random.default_rng([networks.seed, _STREAM, net]).integers(2**63) for net in range(networks.nets)]
    generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
    trained = train_networks(model, images, targets.to(device), course=course, generators=generators, together=together)
    accuracies = test_accuracies(model, trained, dataset, device)
    return Evaluation(
        accuracies=tuple(accuracies),
        mean=float(np.mean(accuracies)),
        std=float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else 0.0,
        seconds=time.perf_counter() - started,
        labels=kind,
        epochs=course.epochs,
        diverged=sum(not all(bool(value.isfinite().all()) for value in one.values()) for one in trained),
    )


def augmentation_of(dataset: Dataset) -> Augmentation:
    """Return the augmentation for a data set, which flips no digits."""
    name = dataset.name.lower().partition(",")[0]  # a comma begins what was done to the pixels
    return Augmentation.for_images(channels_first(dataset.image_shape), digits=name in ("digits", "mnist"))


def images_of(inputs: np.ndarray, dataset: Dataset, *, device: str = "cpu") -> torch.Tensor:
    """Return rows (m, d), channels last, as images (m, c, h, w) in float32."""
    if inputs.ndim != 2 or inputs.shape[1] != dataset.d or len(inputs) == 0:
        raise ShapeError(
            f"inputs must be (m, {dataset.d}) with m >= 1, got {inputs.shape}; flatten images channels last"
        )
    height, width, channels = height_width_channels(dataset.image_shape)
    rows = torch.as_tensor(np.asarray(inputs, dtype=np.float32)).to(device)
    return rows.reshape(-1, height, width, channels).permute(0, 3, 1, 2).contiguous()


def targets_of(labels: np.ndarray | torch.Tensor, k: int, *, m: int, soft: bool) -> tuple[torch.Tensor, str]:
    """Return the target probabilities (m, k) in float32 and what they are: ``hard``, ``argmax`` or ``soft``.

    Raises
    ------
    ShapeError, ValueError
        Neither (m,) classes 0 .. k - 1 nor (m, k) labels came, or with ``soft`` rows that are no probabilities.

    Examples
    --------
    >>> targets_of(np.array([[0.7, 0.3]]), 2, m=1, soft=False)
    (tensor([[1., 0.]]), 'argmax')
    >>> targets_of(np.array([[0.9, -0.1]]), 2, m=1, soft=True)
    Traceback (most recent call last):
        ...
    ValueError: soft labels must be >= 0 with rows that sum to 1, got a smallest of -0.1; use hard labels (the argmax)
    """
    given = torch.as_tensor(labels).detach().cpu()
    if given.shape == (m,) and not given.is_floating_point():
        if m and not 0 <= int(given.min()) <= int(given.max()) < k:
            raise ValueError(f"classes must be 0 .. {k - 1}, got {int(given.min())} .. {int(given.max())}")
        return F.one_hot(given.long(), k).float(), "hard"
    if given.shape != (m, k):
        raise ShapeError(f"labels must be ({m},) class indices or ({m}, {k}), got {tuple(given.shape)}")
    given = given.double()
    if not bool(given.isfinite().all()):
        raise ValueError("labels must be finite, got NaN or infinity")
    if soft:
        if float(given.min()) < 0.0 or float((given.sum(dim=1) - 1.0).abs().max()) > 1e-4:
            fault = f"a smallest of {float(given.min()):.3g}" if float(given.min()) < 0.0 else "other sums"
            raise ValueError(
                f"soft labels must be >= 0 with rows that sum to 1, got {fault}; use hard labels (the argmax)"
            )
        return given.float(), "soft"
    hard = F.one_hot(given.argmax(dim=1), k).double()
    centred = hard - hard.mean(dim=1, keepdim=True)
    return hard.float(), "hard" if torch.equal(given, hard) or torch.allclose(given, centred) else "argmax"


def test_accuracies(model: Network, trained: list[Parameters], dataset: Dataset, device: str) -> list[float]:
    """Return the fraction of right decisions of each network on the test part."""
    mean, std = dataset.statistics()
    right, done = np.zeros(len(trained)), 0
    with torch.no_grad():
        for X, y in dataset.blocks("test", rows=_ROWS, mean=mean, std=std):
            images = images_of(X, dataset, device=device)
            for net, parameters in enumerate(trained):
                right[net] += np.sum(model.logits(parameters, images).argmax(dim=1).cpu().numpy() == y)
            done += len(y)
    return [float(count) / done for count in right]
