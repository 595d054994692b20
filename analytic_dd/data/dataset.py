"""A labelled data set, which every reader returns and which is checked once when it is made."""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from analytic_dd.arrays import host_array
from analytic_dd.data.blocks import block_rows, normalised_blocks
from analytic_dd.data.classes import as_labels, check_classes, describe_split, encode, stratified_split
from analytic_dd.data.normalisation import channel_moments, class_means, value_range
from analytic_dd.data.samples import as_samples, check_same_dtype, check_samples
from analytic_dd.errors import DataError

__all__ = ["Dataset", "content_sha256"]


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Training and test samples with their classes.

    Parameters
    ----------
    name : str
        What results on it are labelled with.
    x_train, x_test : (n, \\*image_shape) array
        Samples in the dtype they came in (bytes stay bytes): rows (d,), grey images (h, w) or images with channels
        last (h, w, c). The test part may have no sample.
    y_train, y_test : (n,) int64 array
        Indices 0..k-1 into ``classes``.
    classes : tuple of int or str
        At least two; every one has a training sample.
    image_shape : tuple of int
        Shape of one sample.
    source : str
        Where the data came from, in words.
    columns : tuple of str
        Names of the columns of a table, each of which has a mean and a deviation of its own; empty for images and for
        rows of one unit.
    moments : (mean, std), optional
        What samples are normalised by, in the place of their own moments; see :meth:`with_moments`.

    Raises
    ------
    DataError
        See :meth:`validate`.

    See Also
    --------
    Dataset.from_arrays : takes arrays as they come and finds the classes.

    Examples
    --------
    >>> data = Dataset.from_arrays(np.eye(4), ["a", "b", "a", "b"])
    >>> data.classes, data.y_train.tolist(), data.image_shape
    (('a', 'b'), [0, 1, 0, 1], (4,))
    >>> Dataset.from_arrays(np.eye(4), ["a", "b", "a"])
    Traceback (most recent call last):
        ...
    analytic_dd.errors.DataError: arrays: x_train has 4 samples and y_train 3 labels; give one label a sample
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes: tuple[int | str, ...]
    image_shape: tuple[int, ...]
    source: str = "arrays"
    columns: tuple[str, ...] = ()
    moments: tuple[np.ndarray, np.ndarray] | None = None

    def __repr__(self) -> str:
        shape, parts = tuple(self.x_train.shape[1:]), f"{len(self.x_train):,} + {len(self.x_test):,} samples"
        return f"Dataset({self.name}: {parts} of shape {shape}, {len(self.classes)} classes)"

    def __post_init__(self) -> None:
        self.validate()

    @classmethod
    def from_arrays(
        cls,
        x_train: object,
        y_train: object,
        x_test: object = None,
        y_test: object = None,
        *,
        name: str = "arrays",
        source: str = "arrays",
        classes: tuple[int | str, ...] | None = None,
        split: bool = False,
        channels: str | None = None,
        columns: tuple[str, ...] = (),
    ) -> Dataset:
        """Make a data set from arrays.

        Parameters
        ----------
        x_train, x_test : array
            (n, d) rows, (n, h, w) or (n, h, w, c) images; (n, c, h, w) with c of 1, 3 or 4 is moved to channels last.
        y_train, y_test : (n,) array of int or str
            Classes; with ``classes`` given, indices into it.
        name, source : str
            See :class:`Dataset`.
        classes : tuple of int or str, optional
            The classes in the order of their indices. Default: the sorted labels of the training samples.
        split : bool
            Set a fifth of the training samples aside when there is no test part (stratified, always the same).
        channels : {"first", "last"}, optional
            Where the channels of (n, c, h, w) or (n, h, w, c) are; needed where both axes could be channels.
        columns : tuple of str, optional
            See :class:`Dataset`.

        Raises
        ------
        DataError
            Arrays fit no data set, as they hold objects, one-hot labels, NaN or masked entries, differ in length or
            size, have axes that could be either, or leave a class without a sample.

        Notes
        -----
        *Cost.* Arrays that are contiguous and channels last are kept, not copied.
        """
        with _naming(name, source):
            if (x_test is None) != (y_test is None):
                raise DataError("x_test and y_test must come together, got one of them; give both or neither")
            samples, labels = as_samples(x_train, "x_train", channels=channels), as_labels(y_train, "y_train")
            others = samples[:0] if _is_empty(x_test) else as_samples(x_test, "x_test", channels=channels)
            other_labels = labels[:0] if _is_empty(y_test) else as_labels(y_test, "y_test")
            labels, other_labels, classes = encode(labels, other_labels, classes)
        whole = cls(name, samples, labels, others, other_labels, classes, samples.shape[1:], source, columns)
        return whole._set_aside() if split and not len(others) else whole

    def _set_aside(self) -> Dataset:
        """Return the data set with a test part taken from its training samples."""
        train, test = stratified_split(self.y_train, len(self.classes))
        x, y = self.x_train, self.y_train
        source = f"{self.source}; {describe_split()}"
        return replace(self, x_train=x[train], y_train=y[train], x_test=x[test], y_test=y[test], source=source)

    def validate(self) -> None:
        """Check everything that readers and users can get wrong; done when a data set is made.

        Raises
        ------
        DataError
            Lengths or sizes differ, there are objects, NaN or infinity, fewer than two classes or a class without a
            training sample, or labels are no indices into ``classes``. The message names the data set and the place.

        Notes
        -----
        *Cost.* One pass over float data, and none over bytes and integers. A constant feature is allowed.
        """
        with _naming(self.name, self.source):
            check_classes(self.classes, self.y_train, self.y_test)
            if self.columns and (len(self.columns),) != self.image_shape:
                raise DataError(f"columns must name each of the {self.image_shape} numbers, got {len(self.columns)}")
            check_same_dtype(self.x_train, self.x_test)
            for split in ("train", "test"):
                check_samples(*self._part(split), self.image_shape, split)

    def _part(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        if split == "train":
            return self.x_train, self.y_train
        if split == "test":
            return self.x_test, self.y_test
        raise ValueError(f"split must be 'train' or 'test', got {split!r}")

    @property
    def channels(self) -> int:
        """How many numbers normalise a sample: one a column of a table, c for images (h, w, c), otherwise 1."""
        return len(self.columns) or (self.image_shape[2] if len(self.image_shape) == 3 else 1)

    @property
    def d(self) -> int:
        """Size of a flattened sample."""
        return math.prod(self.image_shape)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the content: dtype, shape and bytes of samples and labels of both parts, whatever file held them.

        Notes
        -----
        *Cost.* One pass over the bytes, at the first use only.
        """
        return content_sha256(self.x_train, self.y_train, self.x_test, self.y_test)

    def only(self, rows: np.ndarray) -> Dataset:
        """Return the data set with these training samples only, in this order; the test part and classes stay."""
        return replace(self, x_train=self.x_train[rows], y_train=self.y_train[rows])

    def with_moments(self, mean: object, std: object) -> Dataset:
        """Return the data set to be normalised by these moments of each channel, in the data's units.

        A network that others trained wants inputs that are normalised as its own training data were.

        Examples
        --------
        >>> data = Dataset.from_arrays(np.array([[1, 3], [5, 7]], np.uint8), [0, 1]).with_moments([2.0], [4.0])
        >>> next(data.blocks("train", mean=data.statistics()[0], std=data.statistics()[1]))[0]
        array([[-0.25,  0.25],
               [ 0.75,  1.25]])
        """
        mean, std = self._per_channel(mean, "mean", 0.0), self._per_channel(std, "std", 1.0)
        if not (np.all(np.isfinite(mean)) and np.all(np.isfinite(std)) and np.all(std > 0.0)):
            raise DataError(f"mean must be finite and std > 0, got {mean.tolist()} and {std.tolist()}")
        return replace(self, moments=(mean, std))

    def class_means(self) -> np.ndarray:
        """Return the mean training sample of each class (k, *image_shape), in the data's units; exact for bytes."""
        return class_means(self.x_train, self.y_train, len(self.classes))

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (mean, std) of each channel over the training samples, (channels,) float64, in the data's units.

        With :attr:`moments` it returns these. Grey images and rows have one channel, a table has one a column. A
        standard deviation of 0 is returned as 1, so that division is safe.

        Notes
        -----
        *Cost.* One pass, a few blocks of 16 MB of memory. *Numerics.* Exact integer sums for uint8; otherwise
        blocks of shifted float64 are merged, so that a large mean costs no digits of the standard deviation.

        Examples
        --------
        >>> mean, std = Dataset.from_arrays(np.array([[1, 3], [5, 7]], np.uint8), [0, 1]).statistics()
        >>> mean.tolist(), round(float(std[0]) ** 2, 12)
        ([4.0], 5.0)
        """
        return channel_moments(self.x_train, self.channels) if self.moments is None else self.moments

    def value_range(self) -> tuple[float, float]:
        """Return the range of the pixels in the data's units: 0 to 255 for bytes, 0 to 1, or what the samples span.

        Notes
        -----
        *Cost.* One pass for the smallest and the largest value.

        Examples
        --------
        >>> Dataset.from_arrays(np.array([[0, 255], [5, 7]], np.uint8), [0, 1]).value_range()
        (0.0, 255.0)
        """
        return value_range(self.x_train)

    def blocks(
        self,
        split: str,
        *,
        rows: int | None = None,
        mean: np.ndarray | None = None,
        std: np.ndarray | None = None,
        order: np.ndarray | None = None,
        reuse: bool = False,
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (X, y) a block at a time: X (b, d) float64 = (x - mean) / std flattened in C order, y (b,) int64.

        Parameters
        ----------
        split : {"train", "test"}
            The part.
        rows : int, optional
            Samples a block. Default: as many as make about 16 MB of float64.
        mean, std : (channels,) array, optional
            From :meth:`statistics`, in the data's units. Default: 0 and 1.
        order : (r,) int array, optional
            Indices of the samples to take, in this order. Default: all, as stored.
        reuse : bool
            Write all blocks into one array: X is then valid until the next block is asked for. Fresh memory for every
            block takes as long as the conversion.

        Notes
        -----
        *Cost.* One block of float64; without ``reuse`` every block is a fresh array, which the caller may
        keep or change.

        Examples
        --------
        >>> data = Dataset.from_arrays(np.arange(6, dtype=np.uint8).reshape(3, 2), [0, 1, 0])
        >>> [X.tolist() for X, _ in data.blocks("train", rows=2, mean=np.ones(1), order=np.array([2, 0, 1]))]
        [[[3.0, 4.0], [-1.0, 0.0]], [[1.0, 2.0]]]
        """
        x, y = self._part(split)
        rows = block_rows(self.image_shape) if rows is None else rows
        if rows < 1:
            raise ValueError(f"rows must be at least 1, got {rows}")
        order = None if order is None else np.asarray(order)
        return normalised_blocks(
            x, y, rows, order, self._per_channel(mean, "mean", 0.0), self._per_channel(std, "std", 1.0), reuse=reuse
        )

    def _per_channel(self, values: object, name: str, default: float) -> np.ndarray:
        if values is None:
            return np.full(self.channels, default)
        array = np.asarray(values, dtype=np.float64)
        if array.shape != (self.channels,):
            raise ValueError(f"{name} must have shape ({self.channels},), one number a channel, got {array.shape}")
        return array


def _is_empty(array: object) -> bool:
    return array is None or not host_array(array, "the test part").size


@contextlib.contextmanager
def _naming(name: str, source: str) -> Iterator[None]:
    """Put in front of a :class:`DataError` what it is about: the file, or else the name of the data set."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{name if source == 'arrays' else source}: {error}") from error


def content_sha256(*arrays: np.ndarray) -> str:
    """Return the SHA-256 of dtypes, shapes and bytes of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.name}{array.shape};".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
