"""The training part of a data set on a device, which is all that an iterative method sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from analytic_dd.data import Dataset

__all__ = ["Task", "channels_first", "class_major_labels", "height_width_channels"]


@dataclass(frozen=True, eq=False)
class Task:
    """Training samples, stored in the dtype in which they came and normalised when they are drawn."""

    # (n, h, w, c): samples in the data's units, channels last. Rows of d numbers are images of 1 x d pixels.
    stored: torch.Tensor
    classes_of: torch.Tensor  # (n,) int64: class indices 0 .. k - 1
    members: tuple[np.ndarray, ...]  # tuple of (n_j,) int64 arrays: the row numbers of each class
    k: int  # number of classes
    mean: torch.Tensor  # (c,) or (d,): moments of each channel, or of each column of a table, in float64
    std: torch.Tensor
    image_shape: tuple[int, ...]  # the shape that the data set gives its images
    device: torch.device  # device and dtype of the samples that are drawn
    dtype: torch.dtype

    @classmethod
    def of(cls, dataset: Dataset, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Task:
        """Put the training part of ``dataset`` on ``device``, in the bytes it has."""
        shape = dataset.image_shape
        height, width, channels = height_width_channels(shape)
        samples = np.ascontiguousarray(dataset.x_train).reshape(-1, height, width, channels)
        if samples.dtype.kind == "u" and samples.dtype.itemsize > 1:  # torch has arithmetic for uint8 alone
            samples = samples.astype(np.int64)
        mean, std = dataset.statistics()
        k = len(dataset.classes)
        return cls(
            stored=torch.from_numpy(np.require(samples, requirements="W")).to(device),
            classes_of=torch.from_numpy(np.asarray(dataset.y_train, dtype=np.int64)).to(device),
            members=tuple(np.flatnonzero(dataset.y_train == label) for label in range(k)),
            k=k,
            mean=torch.as_tensor(mean, dtype=torch.float64, device=device),
            std=torch.as_tensor(std, dtype=torch.float64, device=device),
            image_shape=shape,
            device=torch.device(device),
            dtype=dtype,
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(c, h, w) of an image as a network sees it."""
        _, height, width, channels = self.stored.shape
        return channels, height, width

    @property
    def n(self) -> int:
        """Number of training samples."""
        return int(self.stored.shape[0])

    @property
    def d(self) -> int:
        """Numbers in a sample."""
        return int(np.prod(self.shape))

    def images(self, rows: np.ndarray | torch.Tensor) -> torch.Tensor:
        """Return normalised samples (len(rows), c, h, w)."""
        return self.normalised(torch.as_tensor(rows, device=self.device)).permute(0, 3, 1, 2).contiguous()

    def normalised(self, index: torch.Tensor | slice) -> torch.Tensor:
        """Return normalised samples (len(index), h, w, c), channels last: centred in float64, then of the dtype."""
        found = self.stored[index].to(torch.float64, copy=True)
        found.reshape(len(found), -1, len(self.mean)).sub_(self.mean).div_(self.std)  # a view: it is contiguous
        return found.to(self.dtype)

    def labels(self, rows: np.ndarray | torch.Tensor) -> torch.Tensor:
        """Return the classes (len(rows),) of samples."""
        return self.classes_of[torch.as_tensor(rows, device=self.device)]

    def samples(self, rows: np.ndarray | torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return normalised samples and their classes."""
        return self.images(rows), self.labels(rows)

    def draw(self, label: int, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw ``count`` different samples of a class, or all of a class that has fewer."""
        members = self.members[label]
        return rng.choice(members, size=min(count, len(members)), replace=False)

    def draw_balanced(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw ``count`` samples, equally many of each class but one more of the first where k does not divide."""
        sizes = [count // self.k + (label < count % self.k) for label in range(self.k)]
        return np.concatenate([self.draw(label, size, rng) for label, size in enumerate(sizes)])

    def real_images(self, per_class: int, rng: np.random.Generator) -> torch.Tensor:
        """Return ``per_class`` real images of each class, class-major; a class with fewer repeats some."""
        rows = [rng.choice(found, size=per_class, replace=per_class > len(found)) for found in self.members]
        return self.images(np.concatenate(rows))

    def first_images(self, init: str, per_class: int, rng: np.random.Generator) -> torch.Tensor:
        """Return the class-major images that a method starts from, ``"real"`` samples or standard normal noise."""
        if init == "real":
            return self.real_images(per_class, rng)
        noise = rng.standard_normal((self.k * per_class, *self.shape))
        return torch.from_numpy(noise).to(device=self.device, dtype=self.dtype)

    def as_rows(self, images: torch.Tensor) -> torch.Tensor:
        """Return images (m, c, h, w) as rows (m, d) in the order of the library: channels last."""
        return images.permute(0, 2, 3, 1).reshape(images.shape[0], -1)

    def as_images(self, rows: torch.Tensor) -> torch.Tensor:
        """Invert :meth:`as_rows`."""
        channels, height, width = self.shape
        return rows.reshape(-1, height, width, channels).permute(0, 3, 1, 2)


def height_width_channels(image_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return (h, w, c) of the samples of a data set; rows of d numbers are images of 1 x d pixels.

    Examples
    --------
    >>> height_width_channels((64,)), height_width_channels((28, 28)), height_width_channels((32, 32, 3))
    ((1, 64, 1), (28, 28, 1), (32, 32, 3))
    """
    return ((1, image_shape[0], 1), (*image_shape, 1), image_shape)[len(image_shape) - 1]  # type: ignore[return-value]


def channels_first(image_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return (c, h, w) of the samples of a data set, as networks have them."""
    height, width, channels = height_width_channels(image_shape)
    return channels, height, width


def class_major_labels(k: int, per_class: int) -> torch.Tensor:
    """Return 0, .., 0, 1, .., 1, .. (k * per_class,) int64."""
    return torch.arange(k).repeat_interleave(per_class)
