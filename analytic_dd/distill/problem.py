"""What a construction is given: the model to reproduce, the map, the sums, and the real samples that take part."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from analytic_dd.arrays import Array
from analytic_dd.features import FeatureMap
from analytic_dd.linalg import row_basis

__all__ = ["Problem", "References"]


@dataclass(frozen=True)
class References:
    """Real samples in units of the map's inputs.

    Attributes
    ----------
    inputs : (m, d) array
    classes : (m,) int array or None
        Indices of their classes, where these are known.
    rows : (m,) int array or None
        Which training samples they are, where they are some.
    """

    inputs: Array
    classes: np.ndarray | None = None
    rows: np.ndarray | None = None

    def __len__(self) -> int:
        return int(self.inputs.shape[0])


@dataclass(frozen=True)
class Problem:
    """A model that a distilled set is to reproduce, and what a construction may use to do so.

    Attributes
    ----------
    W : (k, p) array
        Weights of the original model.
    feature_map : FeatureMap
        From inputs (n, d) to features (n, p).
    rng : numpy.random.Generator
        Draws what a theorem leaves free.
    intercept : (k,) array or None
        The unpenalised intercept that belongs to W (T12).
    sums : sums of the data or None
        About the mean of the data where there is an intercept: the metric of ``few``, the typical size of a feature
        vector, and what a set for several ridges is made from.
    centre : (p,) array or None
        The mean of the features of the data; needed with an intercept.
    ridge : float
        lambda of the original model.
    loss : str
        What the original model minimises: ``squared``, ``softmax``, ``logistic`` or ``poisson`` (T18).
    references : References or None
        Real samples.
    box : (lower, upper) or None
        The range of the pixels in units of inputs, (d,) each; see :func:`analytic_dd.distill.pixel_box`.
    mean, std : (d,) array or float
        inputs = (x - mean) / std of pixels x.
    """

    W: np.ndarray
    feature_map: FeatureMap
    rng: np.random.Generator
    intercept: np.ndarray | None = None
    sums: Any = None
    centre: np.ndarray | None = None
    ridge: float = 0.0
    loss: str = "squared"
    references: References | None = None
    box: tuple[np.ndarray, np.ndarray] | None = None
    mean: np.ndarray | float = 0.0
    std: np.ndarray | float = 1.0

    @property
    def k(self) -> int:
        """The number of outputs."""
        return int(self.W.shape[0])

    @property
    def rank(self) -> int:
        """The rank of W."""
        return len(row_basis(self.W))

    @property
    def typical_size(self) -> float:
        """The root mean square norm of a feature vector of the data, 1 where there are no sums."""
        if self.sums is None:
            return 1.0
        return math.sqrt(float(self.sums.trace) / self.sums.weight) or 1.0

    @property
    def counts_about_the_mean(self) -> bool:
        """Whether labels count about their mean, and the rows of W sum to 0 to rounding as those of classes do."""
        if self.intercept is None:
            return False
        limit = self.k * np.finfo(np.float64).eps * np.linalg.norm(self.W)
        return bool(np.linalg.norm(self.W.sum(axis=0)) <= limit)
