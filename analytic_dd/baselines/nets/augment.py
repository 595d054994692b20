"""Siamese augmentation: one random operation, whose parameters are drawn once and shared by several batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from analytic_dd.errors import ShapeError

__all__ = ["OPERATIONS", "AugmentParameters", "Augmentation"]

OPERATIONS = ("color", "crop", "cutout", "flip", "scale", "rotate")

_IDENTITY = {  # the parameters with which each operation changes nothing
    "color": {"brightness": 0.0, "saturation": 1.0, "contrast": 1.0},
    "crop": {"reach": 0.0, "down": 0.0, "across": 0.0},
    "cutout": {"side": 0.0, "down": 0.0, "across": 0.0},
    "flip": {"flipped": 0.0},
    "scale": {"down": 1.0, "across": 1.0},
    "rotate": {"angle": 0.0},
}


@dataclass(frozen=True, eq=False)
class AugmentParameters:
    """An operation with its parameters, which all images of a batch share or each has for itself."""

    operation: str  # one of ``OPERATIONS``
    # (count,) float32 each; lengths are fractions of the side of an image, angles are in degrees
    values: Mapping[str, torch.Tensor]

    @property
    def count(self) -> int:
        """The number of images, or 1 where a batch shares the parameters."""
        return len(next(iter(self.values.values())))

    @classmethod
    def identity(cls, operation: str, count: int = 1) -> AugmentParameters:
        """Return the parameters with which an operation changes nothing, to the last bit."""
        still = _IDENTITY[operation]
        return cls(operation, {name: torch.full((count,), value) for name, value in still.items()})


@dataclass(frozen=True)
class Augmentation:
    r"""Augmentation of images by one of several operations, differentiable in the images.

    ========  ==============================================================================================
    color     x + b;  then x + (s - 1) (x - mean over channels);  then x + (q - 1) (x - mean of the image)
    crop      a shift by whole pixels, zero outside
    cutout    a square with a random centre is set to zero
    flip      left and right change places
    scale     (i, j) <- (a i, b j), bilinear, zero outside
    rotate    (i, j) <- R(angle) (i, j), bilinear, zero outside
    ========  ==============================================================================================

    Coordinates are pixels from the centre of the image, so that corners stay corners (``align_corners=True``).

    Notes
    -----
    *Cost.* O(n c h w), where scale and rotate read four pixels for one.
    *Numerics.* Each image is computed in its dtype and does not depend on the others in its batch. Zero is the mean of
    a channel, since images are normalised.

    References
    ----------
    Zhao, Bilen, "Dataset condensation with differentiable Siamese augmentation", ICML 2021.

    Examples
    --------
    >>> augmentation = Augmentation()
    >>> generator = torch.Generator().manual_seed(0)
    >>> shared = augmentation.draw(1, generator)  # the same for a real and a synthetic batch
    >>> real, synthetic = torch.rand(7, 3, 8, 8), torch.rand(2, 3, 8, 8)
    >>> tuple(augmentation(real, shared).shape), tuple(augmentation(synthetic, shared).shape)
    ((7, 3, 8, 8), (2, 3, 8, 8))
    >>> augmentation(real, augmentation.draw(2, generator))
    Traceback (most recent call last):
        ...
    analytic_dd.errors.ShapeError: parameters for 2 images, but 7 came; draw 1 to share them, or 7
    >>> Augmentation.for_images((1, 28, 28), digits=True).operations
    ('color', 'crop', 'cutout', 'scale', 'rotate')
    """

    operations: tuple[str, ...] = OPERATIONS  # each is as likely to be drawn as the others
    brightness: float = 0.5  # b is uniform on +- ``brightness``, s on 1 +- ``saturation``, q on 1 +- ``contrast``
    saturation: float = 1.0
    contrast: float = 0.5
    # Largest shift and side of the square, as fractions of the side of the image, rounded to pixels
    crop: float = 0.125
    cutout: float = 0.5
    flip: float = 0.5  # probability
    scale: float = 1.2  # a and b are uniform on [1 / ``scale``, ``scale``]
    rotate: float = 15.0  # the angle is uniform on +- ``rotate`` degrees

    def __post_init__(self) -> None:
        object.__setattr__(self, "operations", tuple(self.operations))
        unknown = [name for name in self.operations if name not in OPERATIONS]
        if unknown or not self.operations:
            raise ValueError(f"operations must be one or more of {', '.join(OPERATIONS)}, got {self.operations}")
        for name in ("brightness", "saturation", "contrast", "rotate"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be >= 0 and finite, got {getattr(self, name)}")
        for name in ("crop", "cutout", "flip"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must be between 0 and 1, got {getattr(self, name)}")
        if not 1.0 <= self.scale < math.inf:
            raise ValueError(f"scale must be >= 1 and finite, got {self.scale}")

    @classmethod
    def for_images(cls, shape: tuple[int, int, int], *, digits: bool = False) -> Augmentation:
        """Return the published augmentation for images of a shape (c, h, w).

        Parameters
        ----------
        shape : (c, h, w)
        digits : bool
            Whether the images are digits or letters, which are not flipped because a mirror changes what they mean.

        Raises
        ------
        ValueError
            Samples of 1 x d pixels are rows without neighbours, to which no operation means anything.
        """
        if min(shape[1:]) < 2:
            raise ValueError(f"samples of {shape[1]} x {shape[2]} pixels are rows, not images; switch augmentation off")
        return cls(tuple(name for name in OPERATIONS if not (digits and name == "flip")))

    def draw(self, count: int, generator: torch.Generator) -> AugmentParameters:
        """Draw an operation and ``count`` sets of its parameters, 1 to share or n for n images."""
        chosen = self.operations[int(torch.randint(len(self.operations), (1,), generator=generator))]

        def uniform(low: float, high: float) -> torch.Tensor:
            return low + (high - low) * torch.rand(count, generator=generator)

        if chosen == "color":
            reaches = {"brightness": self.brightness, "saturation": self.saturation, "contrast": self.contrast}
            still = _IDENTITY["color"]
            values = {name: uniform(still[name] - reach, still[name] + reach) for name, reach in reaches.items()}
        elif chosen in ("crop", "cutout"):
            name, length = ("reach", self.crop) if chosen == "crop" else ("side", self.cutout)
            values = {name: uniform(length, length), "down": uniform(-0.5, 0.5), "across": uniform(-0.5, 0.5)}
        elif chosen == "flip":
            values = {"flipped": (uniform(0.0, 1.0) < self.flip).float()}
        elif chosen == "scale":
            values = {name: uniform(1.0 / self.scale, self.scale) for name in ("down", "across")}
        else:
            values = {"angle": uniform(-self.rotate, self.rotate)}
        return AugmentParameters(chosen, values)

    def augmented(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return the images after one operation that is drawn, with parameters for each image."""
        return self(images, self.draw(len(images), generator))

    def __call__(self, images: torch.Tensor, parameters: AugmentParameters) -> torch.Tensor:
        """Return the images (n, c, h, w) after the operation of ``parameters``.

        Raises
        ------
        ShapeError
            There are neither 1 nor n sets of parameters.
        """
        if parameters.count not in (1, len(images)):
            raise ShapeError(
                f"parameters for {parameters.count} images, but {len(images)} came; draw 1 to share them, "
                f"or {len(images)}"
            )
        dtype = torch.promote_types(images.dtype, torch.float32)  # of coordinates
        values = {name: value.to(dtype).to(images.device) for name, value in parameters.values.items()}
        return _APPLY[parameters.operation](images, **{name: value[:, None, None] for name, value in values.items()})


def _color(
    images: torch.Tensor, brightness: torch.Tensor, saturation: torch.Tensor, contrast: torch.Tensor
) -> torch.Tensor:
    b, s, q = (value[:, None].to(images.dtype) for value in (brightness, saturation - 1.0, contrast - 1.0))
    images = images + b
    images = images + s * (images - images.mean(dim=1, keepdim=True))
    return images + q * (images - images.mean(dim=(1, 2, 3), keepdim=True))


def _crop(images: torch.Tensor, reach: torch.Tensor, down: torch.Tensor, across: torch.Tensor) -> torch.Tensor:
    rows, columns = _grid(images)

    def shift(fraction: torch.Tensor, side: int) -> torch.Tensor:
        """Return whole numbers from -r to r, all equally likely for a fraction uniform on [-1/2, 1/2)."""
        r = (reach * side + 0.5).floor()
        return (fraction * (2.0 * r + 1.0) + 0.5).floor().long()

    return _pixels(images, rows + shift(down, images.shape[2]), columns + shift(across, images.shape[3]))


def _cutout(images: torch.Tensor, side: torch.Tensor, down: torch.Tensor, across: torch.Tensor) -> torch.Tensor:
    def covered(position: torch.Tensor, fraction: torch.Tensor, length: int) -> torch.Tensor:
        centre, size = ((fraction + 0.5) * length).floor(), (side * length + 0.5).floor()
        first = centre - (size / 2.0).floor()
        return (position >= first) & (position < first + size)

    rows, columns = _grid(images)
    hole = covered(rows, down, images.shape[2]) & covered(columns, across, images.shape[3])
    return images.masked_fill(hole[:, None], 0.0)


def _scale(images: torch.Tensor, down: torch.Tensor, across: torch.Tensor) -> torch.Tensor:
    rows, columns, middle, centre = _from_the_centre(images)
    return _bilinear(images, middle + down * rows, centre + across * columns)


def _rotate(images: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    rows, columns, middle, centre = _from_the_centre(images)
    cosine, sine = torch.cos(torch.deg2rad(angle)), torch.sin(torch.deg2rad(angle))
    return _bilinear(images, middle + cosine * rows + sine * columns, centre + cosine * columns - sine * rows)


_APPLY: dict[str, Callable[..., torch.Tensor]] = {
    "color": _color,
    "crop": _crop,
    "cutout": _cutout,
    "flip": lambda images, flipped: torch.where(flipped[:, None] > 0.5, images.flip(3), images),
    "scale": _scale,
    "rotate": _rotate,
}


def _grid(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return row numbers (h, 1) and column numbers (1, w)."""
    height, width = images.shape[2:]
    return torch.arange(height, device=images.device)[:, None], torch.arange(width, device=images.device)[None, :]


def _from_the_centre(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, float, float]:
    """Return rows (h, 1) and columns (1, w) counted from the centre, and the centre, in exact multiples of 1/2."""
    rows, columns = (positions.to(torch.promote_types(images.dtype, torch.float32)) for positions in _grid(images))
    middle, centre = ((side - 1) / 2.0 for side in images.shape[2:])
    return rows - middle, columns - centre, middle, centre


def _bilinear(images: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Return images interpolated at positions in pixels, broadcast to (count, h, w); zero outside.

    Positions are in pixels, because those of a grid on [-1, 1] would not be whole numbers exactly.
    """
    rows, columns = torch.broadcast_tensors(rows, columns)
    top, left = rows.floor(), columns.floor()
    below, right = rows - top, columns - left
    total = torch.zeros_like(images)
    for down, part in ((0, 1.0 - below), (1, below)):
        for across, share in ((0, 1.0 - right), (1, right)):
            weight = (part * share).to(images.dtype)[:, None]
            total = total + weight * _pixels(images, top.long() + down, left.long() + across)
    return total


def _pixels(images: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Return the pixels (n, c, h, w) at whole positions, broadcast to (count, h, w); zero outside."""
    n, channels, height, width = images.shape
    rows, columns = torch.broadcast_tensors(rows, columns)
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    index = (rows.clamp(0, height - 1) * width + columns.clamp(0, width - 1)).flatten(1)
    taken = images.flatten(2).gather(2, index[:, None].expand(n, channels, height * width))
    return torch.where(inside[:, None], taken.reshape(images.shape), 0.0)
