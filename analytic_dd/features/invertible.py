r"""Invertible networks: as many features as inputs, and an exact inverse (T8d)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analytic_dd.arrays import Array
from analytic_dd.errors import ShapeError
from analytic_dd.features.base import FeatureMap, Kind, draw_seed
from analytic_dd.features.blocks import AdditiveCoupling, AffineCoupling, Block, ResidualBlock
from analytic_dd.features.orthogonal import Downsampling, Mixing
from analytic_dd.features.registry import MapOptions, option, register
from analytic_dd.features.sizes import MOST_LAYERS, Sizes, as_count, as_image_shape, as_sizes, as_word
from analytic_dd.features.stage import Steps

__all__ = ["InvertibleNetwork"]

_BLOCKS: dict[str, Callable[..., Block]] = {
    "additive": AdditiveCoupling,
    "affine": AffineCoupling,
    "residual": ResidualBlock,
}
_SQUEEZES = (None, "checkerboard", "haar")
_HIDDEN = 256  # default width of the networks in the blocks, at most half of d


@dataclass(frozen=True)
class InvertibleOptions(MapOptions):
    """What text may say of :class:`InvertibleNetwork`."""

    blocks: int = option(4, "number of blocks")
    coupling: str = option("affine", "additive, affine or residual")
    hidden: int | None = option(None, "width of the networks in the blocks, 256 or half of d by default")
    squeeze: str | None = option(None, "checkerboard, haar or none: how an image is downsampled first")

    def build(
        self, d: int, *, image_shape: tuple[int, ...], rng: np.random.Generator, sample: np.ndarray | None
    ) -> FeatureMap:
        """Return the map."""
        squeeze = None if self.squeeze == "none" else self.squeeze
        return InvertibleNetwork(
            image_shape, blocks=self.blocks, coupling=self.coupling, hidden=self.hidden, squeeze=squeeze, rng=rng
        )


@register("inn", InvertibleOptions)
class InvertibleNetwork(FeatureMap):
    r"""A bijection of R^d by downsampling, and blocks of orthogonal mixing and an invertible coupling.

    phi = f_L o Q_L o ... o f_1 o Q_1 o S ,    x = S^T Q_1^T f_1^-1(... Q_L^T f_L^-1(phi)) ,    phi(0) = 0.

    Theorem: T8d.

    Parameters
    ----------
    image_shape : int, (rows, columns) or (rows, columns, channels)
        Size of an input row, or the shape of the image that it is (channels last, C order).
    blocks : int
        Number L of blocks.
    coupling : {"additive", "affine", "residual"}
        b + t(a), e^s(a) b + t(a) with bounded s, or v + f(v) with a contraction f.
    hidden : int, optional
        Width of the networks in the blocks; 256, or half of d when that is less.
    squeeze : {None, "checkerboard", "haar"}
        How an image is downsampled first; mixing then permutes channels in place of all coordinates.
    rng : numpy.random.Generator or int
        It draws the parameters; an integer is the seed itself.

    Raises
    ------
    ShapeError
        There are fewer than two inputs, or ``squeeze`` has no image.
    ValueError
        An option is unknown, a side is odd with ``squeeze``, or ``hidden`` exceeds d / 2.

    Notes
    -----
    *Cost.* A block takes O(n d (hidden + 1)) forward and backward, a residual block up to 80 times that backward.
    *Numerics.* Every block has known Lipschitz constants in both directions, see :meth:`condition`.

    References
    ----------
    Dinh, Sohl-Dickstein, Bengio: Density estimation using Real NVP. ICLR 2017.
    Behrmann et al.: Invertible residual networks. ICML 2019.
    Durkan et al.: Neural spline flows. NeurIPS 2019 (linear tails).

    Examples
    --------
    >>> phi = InvertibleNetwork((4, 6), coupling="affine", squeeze="haar", rng=np.random.default_rng(0))
    >>> phi.kind, phi.d, phi.p
    ('bijective', 24, 24)
    >>> Phi = np.linspace(-1.0, 1.0, 48).reshape(2, 24)
    >>> bool(np.allclose(phi(phi.preimage(Phi)), Phi, rtol=0, atol=1e-14))
    True
    >>> InvertibleNetwork((5, 6), squeeze="haar", rng=0)
    Traceback (most recent call last):
        ...
    ValueError: downsampling needs even sides, got 5 x 6; use squeeze=None
    """

    kind: Kind = "bijective"

    def __init__(
        self,
        image_shape: int | Sequence[int],
        *,
        blocks: int = 4,
        coupling: str = "affine",
        hidden: int | None = None,
        squeeze: str | None = None,
        rng: np.random.Generator | int,
    ) -> None:
        self.image_shape = _shape(image_shape)
        self.d = self.p = math.prod(self.image_shape)
        self.blocks = as_count("blocks", blocks, most=MOST_LAYERS)
        self.coupling, self.squeeze = coupling, squeeze
        self._check()
        self.hidden = as_count("hidden", min(_HIDDEN, self.d // 2) if hidden is None else hidden)
        if self.hidden > self.d // 2:
            raise ValueError(f"hidden must be at most half of d = {self.d}, got {self.hidden}; use {self.d // 2}")
        self.seed = draw_seed(rng)
        self._build(self._stream())

    @classmethod
    def sizes(
        cls, *, image_shape: int | Sequence[int], blocks: int = 4, hidden: int | None = None, **options: Any
    ) -> Sizes:
        """Return d twice and the numbers of the networks in the blocks and of the reflections."""
        d = math.prod(_shape(image_shape))
        width = min(_HIDDEN, d // 2) if hidden is None else as_count("hidden", hidden)
        return Sizes(d, d, as_count("blocks", blocks, most=MOST_LAYERS) * d * (2 * width + 12))

    def _build(self, rng: np.random.Generator) -> None:
        """Draw the parameters, block by block."""
        channels = self.d
        self.steps: list[Block] = []
        if self.squeeze is not None:
            shape = as_image_shape(self.image_shape)
            channels = 4 * shape[2]
            self.steps.append(Downsampling(shape, haar=self.squeeze == "haar"))
        for _ in range(self.blocks):
            self.steps.append(Mixing(rng, self.d, channels))
            self.steps.append(_BLOCKS[self.coupling](rng, self.d, self.hidden))

    def _check(self) -> None:
        """Refuse options that no network has."""
        if self.d < 2:
            raise ShapeError(f"an invertible network needs at least 2 inputs, got {self.d}; use Identity")
        as_word("coupling", self.coupling, _BLOCKS)
        as_word("squeeze", self.squeeze, _SQUEEZES)
        if self.squeeze is not None and len(self.image_shape) == 1:
            raise ShapeError(f"squeeze needs the shape of an image, got {self.image_shape[0]} inputs; use squeeze=None")

    def condition(self) -> float:
        """Return the product over steps of Lipschitz constants, forward times inverse.

        It is a bound to first order, since the steps that follow amplify a rounding error by their constants.
        """
        return math.prod(step.lipschitz * step.lipschitz_inverse for step in self.steps)

    def _map(self, X: Array) -> Array:
        for step in self.steps:
            X = step.forward(X, self._like)
        return X

    def _jvp(self, X: Array, V: Array) -> Array:
        return Steps(self.steps).jvp(X, V, self._like)

    def _vjp(self, X: Array, U: Array) -> Array:
        return Steps(self.steps).vjp(X, U, self._like)

    def _preimage(self, Phi: Array, near: Array | None) -> Array:
        for step in reversed(self.steps):
            Phi = step.inverse(Phi, self._like)
        return Phi


def _shape(image_shape: int | Sequence[int]) -> tuple[int, ...]:
    """Return (d,) or the shape of an image, as given."""
    if isinstance(image_shape, int) or len(tuple(image_shape)) == 1:
        return as_sizes("image_shape", image_shape)
    return as_image_shape(image_shape)[: len(tuple(image_shape))]
