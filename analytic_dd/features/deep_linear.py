"""Deep linear networks and their neural tangent features, as affine maps in closed form (T8e)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analytic_dd.features.affine import AffineMap
from analytic_dd.features.base import FeatureMap, draw_seed
from analytic_dd.features.layers import draw_layer
from analytic_dd.features.registry import MapOptions, option, register
from analytic_dd.features.sizes import MOST_LAYERS, Sizes, as_count, as_widths, default_widths, dense_numbers

__all__ = ["DeepLinear", "NeuralTangent"]


class _LinearLayers(AffineMap):
    """The random layers of both maps, h_l = W_l h_(l-1) + b_l = B_l x + c_l."""

    def __init__(
        self, widths: Sequence[int], *, bias: bool = False, rng: np.random.Generator | int, weights: str = "gaussian"
    ) -> None:
        self.widths = as_widths(widths)
        self.d, self.bias, self.weights, self.seed = self.widths[0], bool(bias), weights, draw_seed(rng)
        stream = self._stream()
        self._layers = [
            draw_layer(fan_in, fan_out, bias=self.bias, weights=weights, rng=stream)
            for fan_in, fan_out in zip(self.widths, self.widths[1:], strict=False)
        ]
        self._B, self._c, self.rank = self._form()
        self.p = self._B.shape[0]
        self.kind = self._kind()

    @abstractmethod
    def _form(self) -> tuple[np.ndarray, np.ndarray | None, int]:
        """Return B, c or None, and the rank of B."""

    @property
    def parameters(self) -> list[tuple[np.ndarray, np.ndarray | None]]:
        """``(W_l, b_l)`` of each layer, float64; ``b_l`` is None without biases."""
        return list(self._layers)

    def _product(self, start: int, stop: int) -> np.ndarray:
        """W_stop ... W_(start+1), from the layer ``start`` of units to the layer ``stop``."""
        product = np.eye(self.widths[start]) if start == stop else self._layers[start][0]
        for W, _ in self._layers[start + 1 : stop]:
            product = W @ product
        return product

    def _constants(self) -> list[np.ndarray]:
        """c_0 = 0, c_1, ..., c_L."""
        constants = [np.zeros(self.d)]
        for W, b in self._layers:
            constants.append(W @ constants[-1] + (0.0 if b is None else b))
        return constants


@dataclass(frozen=True)
class DeepLinearOptions(MapOptions):
    """What text may say of :class:`DeepLinear`."""

    depth: int | None = option(None, "number of layers, 2 by default")
    width: int | str | None = option(None, "units of every layer, or of each; hidden layers are 2 d wide by default")
    bias: bool = option(False, "biases")
    weights: str = option("gaussian", "gaussian or orthogonal")

    def widths(self, d: int) -> list[int]:
        """Return the widths of all layers."""
        # Hidden layers of 2 d: the product then has the condition of one square layer, not of several (1e4 to 1e7)
        layers = 2 if self.depth is None else as_count("depth", self.depth, most=MOST_LAYERS)
        wide = [d, *([2 * d] * (layers - 1)), d]
        return wide if self.width is None else default_widths(d, self.depth, self.width, usual=2)

    def sizes(self, d: int, *, image_shape: tuple[int, ...]) -> Sizes:
        """Return the sizes of the map."""
        return DeepLinear.sizes(widths=self.widths(d))

    def build(
        self, d: int, *, image_shape: tuple[int, ...], rng: np.random.Generator, sample: np.ndarray | None
    ) -> FeatureMap:
        """Return the map."""
        return DeepLinear(self.widths(d), bias=self.bias, weights=self.weights, rng=rng)


@register("deep-linear", DeepLinearOptions)
class DeepLinear(_LinearLayers):
    """A deep linear network,  phi(x) = W_L(... (W_1 x + b_1) ...) + b_L = B x + c .

    Theorem: T8e.

    Parameters
    ----------
    widths : sequence of int
        ``[d, ..., p]``, any sizes.
    bias : bool
        Biases from N(0, 1 / fan_in): the range is then c + range(B).
    rng : numpy.random.Generator or int
        It draws the weights; an integer is the seed itself.
    weights : {"gaussian", "orthogonal"}
        N(0, 1 / fan_in), or orthonormal.

    Raises
    ------
    ShapeError
        There are fewer than two widths, or one is not a positive integer.

    Notes
    -----
    The rank r is the narrowest width. The map is bijective for r = d = p, surjective for r = p, injective for r = d,
    and otherwise general, where features of the range have the pre-image nearest to the reference.

    *Cost.* The product B is formed once; a pre-image needs a QR of its full-rank factors at the narrowest layer.
    *Numerics.* The error is eps |B| |B^+|. One square Gaussian layer has a condition of 10^4 and each further one adds
    to it, while ``weights="orthogonal"`` has condition 1.

    Examples
    --------
    >>> phi = DeepLinear([3, 4, 5], bias=True, rng=0)
    >>> phi.kind, phi.rank
    ('injective', 3)
    >>> x = np.array([[1.0, -2.0, 0.5]])
    >>> np.allclose(phi.preimage(phi(x)), x)
    True
    >>> bool(phi.in_range(phi(x))), bool(phi.in_range(np.ones((1, 5))))
    (True, False)
    >>> DeepLinear([4, 2, 3], rng=0).preimage(np.ones((1, 3)))
    Traceback (most recent call last):
        ...
    analytic_dd.errors.RangeError: features must lie in the range of deep-linear: rows lie in range(B), of rank 2; \
row 0 is outside by 0.756; scale features, labels and ridge together by scale_into_range(Phi) (ridge by its square)
    """

    @classmethod
    def sizes(cls, *, widths: Sequence[int], **options: Any) -> Sizes:
        """Return the ends of ``widths`` and the numbers of the weights and of their product."""
        checked = as_widths(widths)
        return Sizes(checked[0], checked[-1], dense_numbers(checked) + checked[0] * checked[-1])

    def _form(self) -> tuple[np.ndarray, np.ndarray | None, int]:
        c = self._constants()[-1] if self.bias else None
        return self._product(0, len(self._layers)), c, min(self.widths)

    def _factors(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        if self.rank == self.p:
            return None, self._B
        if self.rank == self.d:
            return self._B, None
        narrow = self.widths.index(self.rank)
        return self._product(narrow, len(self._layers)), self._product(0, narrow)


@register("ntk-linear")
class NeuralTangent(_LinearLayers):
    """The gradient of a deep linear network by all its parameters, which is affine in x.

        d f_o / d W_l[i, j] = (W_L ... W_(l+1))[o, i] h_(l-1)[j] ,    d f_o / d b_l[i] = (W_L ... W_(l+1))[o, i]

    with h_(l-1) = B_(l-1) x + c_(l-1). Features are ordered by output o, then W_1, b_1, W_2, b_2, ... flattened in C
    order, as :func:`torch.func.jacrev` of a ``torch.nn.Sequential`` gives them.

    Theorem: T8e ("the NTK features of a deep linear network with biases are this affine case").

    Parameters
    ----------
    widths : sequence of int
        ``[d, ..., k]`` for k outputs, 1 for a scalar network.
    bias, rng, weights
        See :class:`DeepLinear`, which refuses the same widths.

    Notes
    -----
    The map is injective, because the derivative by W_1 holds x; with widths [d, 1] that is all, and the map is
    bijective. Without biases the features are linear in x.

    *Cost.* B has k * (number of parameters) rows and d columns: widths [784, 100, 1] take 0.5 GB.

    Examples
    --------
    >>> phi = NeuralTangent([3, 2, 1], bias=True, rng=0)
    >>> phi.p, phi.kind  # 2 * 3 + 2 + 1 * 2 + 1
    (11, 'injective')
    >>> x = np.array([[1.0, -2.0, 0.5]])
    >>> np.allclose(phi.preimage(phi(x)), x)
    True
    >>> bool(phi.in_range(np.ones((1, 11))))
    False
    """

    @classmethod
    def sizes(cls, *, widths: Sequence[int], bias: bool = False, **options: Any) -> Sizes:
        """Return d, the number of parameters for each output, and the numbers of B."""
        checked = as_widths(widths)
        p = checked[-1] * (dense_numbers(checked) - (0 if bias else sum(checked[1:])))
        return Sizes(checked[0], p, p * (checked[0] + 1) + dense_numbers(checked))

    def _form(self) -> tuple[np.ndarray, np.ndarray | None, int]:
        depth, outputs, constants = len(self._layers), self.widths[-1], self._constants()
        slopes, offsets = [], []
        for layer in range(depth):
            above = self._product(layer + 1, depth)
            slope = np.einsum("oi,jd->oijd", above, self._product(0, layer))
            slopes.append(slope.reshape(outputs, -1, self.d))
            offsets.append(np.einsum("oi,j->oij", above, constants[layer]).reshape(outputs, -1))
            if self.bias:
                slopes.append(np.zeros((*above.shape, self.d)))
                offsets.append(above)
        c = np.concatenate(offsets, axis=1).reshape(-1) if self.bias else None
        return np.concatenate(slopes, axis=1).reshape(-1, self.d), c, self.d

    def _factors(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        return (None, self._B) if self.rank == self.p else (self._B, None)
