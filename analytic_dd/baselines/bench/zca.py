r"""Whitening by the eigenvectors of the covariance, in the three conventions that published sets were made with.

With rows X (n, d) that have been normalised already, their mean c, and the covariance U diag(s) U^T:

    relative    A = U diag(s + r mean(s))^(-1/2) U^T     covariance over n         kernel inducing points (r of 0.1)
    absolute    A = U diag(s + eps)^(-1/2) U^T           covariance over n - 1     trajectory matching (eps = 0.1)
    pca         A = diag(s + eps)^(-1/2) U^T             covariance over n - 1     rotated to the principal axes

The whitened rows are (x - c) A^T, so that with e the number added to s their covariance is U diag(s / (s + e)) U^T,
and diag(s / (s + e)) for ``pca``: the identity only where e is small beside s. A set that was distilled in whitened
pixels is looked at, and compared with others, after the inverse.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from analytic_dd.data import Dataset
from analytic_dd.errors import RangeError, ShapeError, unknown_word

__all__ = ["CONVENTIONS", "Whitening", "preprocessed"]

CONVENTIONS = ("relative", "absolute", "pca")

_DEFAULT = {"relative": 0.1, "absolute": 0.1, "pca": 1e-5}


@dataclass(frozen=True)
class Whitening:
    """An affine map of rows that decorrelates the training samples, with its inverse.

    Attributes
    ----------
    convention : str
        One of ``CONVENTIONS``.
    centre : (d,) array
        c.
    vectors : (d, d) array
        U, in columns.
    values : (d,) array
        s, ascending; what rounding makes negative is 0.
    added : float
        The number e that is added to every s.

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((50, 3)) @ np.diag([1.0, 10.0, 0.1])
    >>> whitening = Whitening.of_rows(X, convention="absolute", amount=1e-9)
    >>> np.allclose(np.cov(whitening(X).T), np.eye(3), atol=1e-6)
    True
    >>> np.allclose(whitening.invert(whitening(X)), X)
    True
    """

    convention: str
    centre: np.ndarray
    vectors: np.ndarray
    values: np.ndarray
    added: float

    @classmethod
    def of_rows(cls, X: np.ndarray, *, convention: str, amount: float | None = None) -> Whitening:
        """Return the whitening of rows X (n, d).

        Parameters
        ----------
        X : (n, d) array
        convention : {"relative", "absolute", "pca"}
        amount : float, optional
            r or eps of the convention; 0.1, 0.1 and 1e-5 by default.

        Raises
        ------
        ShapeError
            Fewer than two rows.
        RangeError
            The amount is negative, or 0 with a singular covariance.

        Notes
        -----
        *Cost.* n d^2 flops for the covariance, 9 d^3 for its eigenvectors; 3 d^2 floats of memory.
        *Numerics.* The relative error of A is eps max(s) / (min(s) + e).
        """
        if X.ndim != 2 or len(X) < 2:
            raise ShapeError(f"whitening needs rows (n, d) with n >= 2, got {X.shape}")
        rows = np.asarray(X, dtype=np.float64)
        centre = rows.mean(axis=0)
        centred = rows - centre
        return cls._of(centre, centred.T @ centred, len(rows), convention=convention, amount=amount)

    @classmethod
    def of(cls, dataset: Dataset, *, convention: str, amount: float | None = None) -> Whitening:
        """Return the whitening of the normalised training rows of a data set, a block at a time."""
        mean, std = dataset.statistics()
        n, d = len(dataset.y_train), dataset.d
        if n < 2:
            raise ShapeError(f"whitening needs at least 2 training samples, {dataset.name} has {n}")
        centre = sum(X.sum(axis=0) for X, _ in dataset.blocks("train", mean=mean, std=std)) / n
        product = np.zeros((d, d))
        for X, _ in dataset.blocks("train", mean=mean, std=std):
            X -= centre
            product += X.T @ X
        return cls._of(np.asarray(centre), product, n, convention=convention, amount=amount)

    @classmethod
    def _of(
        cls, centre: np.ndarray, product: np.ndarray, n: int, *, convention: str, amount: float | None
    ) -> Whitening:
        if convention not in CONVENTIONS:
            raise ValueError(unknown_word("convention", convention, CONVENTIONS))
        values, vectors = np.linalg.eigh(product / (n if convention == "relative" else n - 1))
        floor = len(values) * np.finfo(np.float64).eps * values[-1]  # below it an eigenvalue is rounding
        values = np.where(values > floor, values, 0.0)
        amount = _DEFAULT[convention] if amount is None else amount
        added = float(amount * values.mean() if convention == "relative" else amount)
        if amount < 0.0 or values[0] + added <= 0.0:
            raise RangeError(
                f"the amount must be >= 0, and > 0 where the covariance is singular, got {amount}; raise it"
            )
        return cls(convention, centre, vectors, values, added)

    @property
    def scales(self) -> np.ndarray:
        """The singular values (d,) of A."""
        return np.asarray(1.0 / np.sqrt(self.values + self.added))

    @property
    def matrix(self) -> np.ndarray:
        """A (d, d)."""
        rotated = self.scales[:, None] * self.vectors.T
        return np.asarray(rotated if self.convention == "pca" else self.vectors @ rotated)

    @property
    def inverse_matrix(self) -> np.ndarray:
        """A^-1 (d, d)."""
        back = self.vectors / self.scales
        return np.asarray(back if self.convention == "pca" else back @ self.vectors.T)

    def covariance(self) -> np.ndarray:
        """Return the covariance (d, d) that the whitened training rows have, by the formula."""
        kept = self.values / (self.values + self.added)
        return np.asarray(np.diag(kept) if self.convention == "pca" else (self.vectors * kept) @ self.vectors.T)

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Return the whitened rows (m, d) of normalised rows (m, d)."""
        return np.asarray((self._rows(X) - self.centre) @ self.matrix.T)

    def invert(self, Z: np.ndarray) -> np.ndarray:
        """Return the normalised rows (m, d) of whitened rows."""
        return np.asarray(self._rows(Z) @ self.inverse_matrix.T + self.centre)

    def _rows(self, X: np.ndarray) -> np.ndarray:
        if X.ndim != 2 or X.shape[1] != len(self.centre):
            raise ShapeError(f"rows must be (m, {len(self.centre)}), got {X.shape}")
        return np.asarray(X, dtype=np.float64)

    def dataset(self, dataset: Dataset, *, label: str | None = None) -> Dataset:
        """Return a data set with both parts whitened as the training part was, in float32.

        Its name ends with ``label``, by default with the convention. Methods normalise what they are given by its
        channel moments; those of a whitened set are 0 and about 1.

        Raises
        ------
        ValueError
            Rotated rows are no images.
        """
        if self.convention == "pca" and len(dataset.image_shape) > 1:
            raise ValueError("rows along principal axes are no images; use the convention relative or absolute")
        mean, std = dataset.statistics()

        def part(split: str) -> np.ndarray:
            blocks = [self(X).astype(np.float32) for X, _ in dataset.blocks(split, mean=mean, std=std)]
            rows = np.concatenate(blocks) if blocks else np.zeros((0, dataset.d), dtype=np.float32)
            return np.asarray(rows.reshape(-1, *dataset.image_shape))

        name, source = f"{dataset.name}, {label or f'ZCA {self.convention}'}", f"{dataset.source}; whitened"
        return replace(dataset, name=name, source=source, x_train=part("train"), x_test=part("test"))


def preprocessed(text: str, dataset: Dataset) -> Dataset:
    """Return a data set whitened as ``zca``, ``zca:CONVENTION`` or ``zca:CONVENTION=AMOUNT`` says; relative by default.

    Examples
    --------
    >>> from analytic_dd import data
    >>> preprocessed("zca:absolute=0.5", data.load("digits")).name
    'digits, ZCA absolute=0.5'
    >>> preprocessed("pca", data.load("digits"))
    Traceback (most recent call last):
        ...
    ValueError: unknown preprocessing 'pca'; choose from zca, zca:relative, zca:absolute, zca:pca; did you mean zca?
    """
    name, _, options = text.partition(":")
    convention, _, amount = (options or "relative").partition("=")
    known = ("zca", *(f"zca:{one}" for one in CONVENTIONS))
    if name != "zca" or convention not in CONVENTIONS:
        raise ValueError(unknown_word("preprocessing", text, known))
    try:
        added = float(amount) if amount else None
    except ValueError as error:
        raise ValueError(f"the amount of {name}:{convention} must be a number, got {amount!r}") from error
    return Whitening.of(dataset, convention=convention, amount=added).dataset(
        dataset, label=f"ZCA {options or convention}"
    )
