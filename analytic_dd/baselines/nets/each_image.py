"""Augmentation with an operation for each image: crop, scale or rotate, as gradient matching was evaluated on MNIST."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from analytic_dd.baselines.nets.augment import Augmentation, AugmentParameters

__all__ = ["EachImage"]

_OPERATIONS = ("crop", "scale", "rotate")

Drawn = tuple[AugmentParameters, ...]


@dataclass(frozen=True)
class EachImage:
    r"""One of crop, scale and rotate for each image, each as likely as the others.

    The amounts are those of the code of gradient matching, which trains networks that score sets of MNIST for 1,000
    epochs under them and distils without (recalled). There, what is outside of an image has the mean of the set, and
    here that of the data; there, scaled images take the nearest pixel, and here they are bilinear.

    References
    ----------
    Zhao, Mopuri, Bilen, "Dataset condensation with gradient matching", ICLR 2021.

    Examples
    --------
    >>> augmentation = EachImage()
    >>> images = torch.rand(5, 1, 28, 28)
    >>> tuple(augmentation.augmented(images, torch.Generator().manual_seed(0)).shape)
    (5, 1, 28, 28)
    """

    crop: float = 1.0 / 7.0  # largest shift as a fraction of the side: 4 pixels of 28
    scale: float = 0.2  # height and width become 1 - ``scale`` to 1 + ``scale`` of what they were
    rotate: float = 45.0  # the angle is uniform on +- ``rotate`` degrees

    def __post_init__(self) -> None:
        if not (0.0 <= self.crop <= 1.0 and 0.0 <= self.scale < 1.0 and 0.0 <= self.rotate < math.inf):
            raise ValueError(
                f"crop must be in [0, 1], scale in [0, 1) and rotate >= 0, got {self.crop}, {self.scale}, {self.rotate}"
            )

    def draw(self, count: int, generator: torch.Generator) -> Drawn:
        """Draw parameters of the three operations for ``count`` images, of which two change nothing for an image."""
        chosen = torch.randint(len(_OPERATIONS), (count,), generator=generator)

        def uniform(reach: float) -> torch.Tensor:
            return reach * (2.0 * torch.rand(count, generator=generator) - 1.0)

        drawn = {
            "crop": {"reach": torch.full((count,), self.crop), "down": uniform(0.5), "across": uniform(0.5)},
            "scale": {name: 1.0 / (1.0 + uniform(self.scale)) for name in ("down", "across")},
            "rotate": {"angle": uniform(self.rotate)},
        }
        found = []
        for number, operation in enumerate(_OPERATIONS):
            still = AugmentParameters.identity(operation, count).values
            values = {
                name: torch.where(chosen == number, value, still[name]) for name, value in drawn[operation].items()
            }
            found.append(AugmentParameters(operation, values))
        return tuple(found)

    def __call__(self, images: torch.Tensor, parameters: Drawn) -> torch.Tensor:
        """Return the images (n, c, h, w), each after its operation."""
        for one in parameters:
            images = _APPLIED(images, one)
        return images

    def augmented(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return the images after operations that are drawn for each."""
        return self(images, self.draw(len(images), generator))


_APPLIED = Augmentation()
