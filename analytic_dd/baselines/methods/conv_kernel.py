r"""Kernels of infinitely wide convolutional ReLU networks with average pooling, from covariances of pixels.

With s = W_std^2, b = b_std^2 and c channels, a network has covariances K[p, p'] of the pixels of two images, and
tangent ones T[p, p']. They start from K = x_p . x'_p' / c, T = 0, and each layer makes new ones:

    3 x 3 convolution    K <- s / 9 sum_o K[p + o, p' + o] + b,     T <- s / 9 sum_o T[p + o, p' + o] + K
    ReLU                 r = sqrt(q_p q'_p' - K^2),  a = (pi - atan2(r, K)) / (2 pi)
                         K <- r / (2 pi) + a K,  T <- a T
    2 x 2 pooling        K, T <- means over the 4 x 4 pairs of pixels of two cells
    read-out             K <- s mean K + b,  T <- s mean T + K,  over p = p' (flattened) or all p, p' (averaged)

q_p is K[p, p] of the first image with itself, and q'_p' that of the second.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from analytic_dd.baselines.methods.kernels import Kernel
from analytic_dd.baselines.methods.pieces import Piece, in_pieces, rectangles
from analytic_dd.baselines.methods.pixel_pairs import PixelPairs, Positions, convolved, pooled

__all__ = ["ConvolutionalKernel", "convnet", "myrtle", "plain"]

LAYERS = ("conv", "pool")
READOUTS = ("flatten", "average")

_MYRTLE = {5: (2, 1, 1), 7: (2, 2, 2), 10: (3, 3, 3)}  # convolutions before each pooling


def plain(depth: int, *, pooling: bool = False) -> tuple[str, ...]:
    """Return ``depth`` convolutions with ReLU, each with or without pooling after it."""
    return (("conv", "pool") if pooling else ("conv",)) * depth


def convnet(depth: int) -> tuple[str, ...]:
    """Return the network of published KIP: a convolution, then ``depth`` times a convolution and pooling."""
    return ("conv", *("conv", "pool") * depth)


def myrtle(depth: int) -> tuple[str, ...]:
    """Return Myrtle-5, -7 or -10 up to its average over all pixels."""
    if depth not in _MYRTLE:
        raise ValueError(f"a Myrtle network has depth 5, 7 or 10, got {depth}")
    one, two, three = _MYRTLE[depth]
    return (*["conv"] * one, "pool", *["conv"] * two, "pool", *["conv"] * three)


class _Relu(torch.autograd.Function):
    """The step of a ReLU, from K, T (or None), q and q' to the new K and T.

    The derivative of the angle is taken as 0 at cosines of 1 and -1, where T has a cusp.
    """

    @staticmethod
    def forward(
        ctx: Any, K: torch.Tensor, T: torch.Tensor | None, q: torch.Tensor, q2: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        product = q * q2
        # The square is rounded before it is subtracted (a fused operation would not be), so that equal patches of two
        # images, which have K = q = q', get r = 0. By Cauchy and Schwarz the difference is negative by rounding only.
        root = (product - K * K).clamp_(min=0.0).sqrt_()
        slope = torch.atan2(root, K).neg_().add_(math.pi).div_(2.0 * math.pi)
        if not bool((q > 0.0).all() and (q2 > 0.0).all()):
            slope.masked_fill_(product == 0.0, 0.25)  # a patch of zeros has the cosine 0 with every other
        ctx.save_for_backward(K, T, q, q2, root, slope)
        ctx.set_materialize_grads(False)
        return root / (2.0 * math.pi) + slope * K, None if T is None else slope * T

    @staticmethod
    def backward(ctx: Any, of_K: torch.Tensor | None, of_T: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        K, T, q, q2, root, slope = ctx.saved_tensors
        gradient = torch.zeros_like(K) if of_K is None else of_K * slope
        sized = torch.zeros_like(K) if of_K is None else of_K * root / (2.0 * math.pi)  # sqrt(q q') d / d sqrt(q q')
        into_T = None
        if of_T is not None:
            into_T = of_T * slope
            turning = torch.where(root > 0.0, of_T * T / (2.0 * math.pi * root), 0.0)
            gradient = gradient.add_(turning)
            sized = sized.sub_(turning.mul_(K))
        of_q, of_q2 = (torch.where(each > 0.0, sized.sum_to_size(each.shape) / (2.0 * each), 0.0) for each in (q, q2))
        return gradient, into_T, of_q, of_q2


@dataclass(frozen=True)
class ConvolutionalKernel(Kernel):
    r"""The NTK or NNGP kernel of an infinitely wide network of 3 x 3 convolutions with ReLU and 2 x 2 average pooling.

    The equations stand at the top of this file. Rows are images, channels last.

    Notes
    -----
    *Cost.* A pair of images has a number for each pair of pixels that the read-out depends on. Flattened after L
    poolings, these are less than 2^L apart along each side, h w (2^(L+1) - 1)^2 of the (h w)^2 pairs; without pooling
    there are h w, and for an average all. A gradient computes each piece once more.
    *Numerics.* Equal patches of pixels, of one image or of two, have the cosine 1 exactly. An error of eps in a cosine
    that is near 1 and not equal to it becomes one of sqrt(eps) in T, and none of this order in K.

    References
    ----------
    Garriga-Alonso, Rasmussen, Aitchison, "Deep convolutional networks as shallow Gaussian processes", ICLR 2019. Arora,
    Du, Hu, Li, Salakhutdinov, Wang, "On exact computation with an infinitely wide neural net", NeurIPS 2019. Nguyen,
    Novak, Xiao, Lee, "Dataset distillation with infinitely wide convolutional networks", NeurIPS 2021. Shankar et al.,
    "Neural kernels without tangents", ICML 2020.

    Examples
    --------
    >>> kernel = ConvolutionalKernel((4, 4, 1), plain(2, pooling=True), of="nngp", W_std=2**0.5, b_std=0.0)
    >>> X = torch.ones(2, 16, dtype=torch.float64)
    >>> X[1] *= -2.0
    >>> K = kernel(X)
    >>> bool(torch.allclose(K[1, 1], 4 * K[0, 0]))  # ReLU networks without bias are homogeneous
    True
    """

    image_shape: tuple[int, int, int]
    # "conv" or "pool" each, see :func:`plain`, :func:`convnet` and :func:`myrtle`. A ``conv`` has zero padding and a
    # ReLU after it; pooling leaves out a last odd row or column.
    layers: tuple[str, ...]
    # "flatten" or "average": a linear layer of all numbers, or of their averages over the image
    readout: str = "flatten"
    of: str = "ntk"  # "ntk" or "nngp"
    W_std: float = math.sqrt(2.0)  # standard deviations of weights (times 1 / sqrt(fan in)) and biases
    b_std: float = 0.1
    memory: float = 64e6  # bytes that a piece of the matrix may take; one pair of images is computed in any case
    name: ClassVar[str] = "conv"

    def __post_init__(self) -> None:
        if self.of not in ("ntk", "nngp") or self.readout not in READOUTS:
            raise ValueError(f"of must be ntk or nngp, readout flatten or average, got {self.of!r}, {self.readout!r}")
        if "conv" not in self.layers or any(layer not in LAYERS for layer in self.layers):
            raise ValueError(f"layers must be conv or pool, with a conv among them, got {self.layers}")
        if not self.W_std > 0.0 or not self.b_std >= 0.0:
            raise ValueError(f"W_std must be > 0 and b_std >= 0, got {self.W_std} and {self.b_std}")
        poolings = self.layers.count("pool")
        if min(self.image_shape[:2]) < 2**poolings:
            raise ValueError(
                f"{poolings} poolings need images of at least {2**poolings} x {2**poolings}, got {self.image_shape[0]} "
                f"x {self.image_shape[1]}; use fewer layers, or none with pooling"
            )

    def __call__(self, X: torch.Tensor, X2: torch.Tensor | None = None) -> torch.Tensor:
        """Return the matrix of the kernel; a Gram matrix is symmetric and half of it is computed."""
        V = self._variances_of(X)
        if X2 is not None:
            return self._between(X, V, X2, self._variances_of(X2))
        K = self._between(X, V, X, V, upper=True)
        return K.triu() + K.triu(1).T

    def _variances_of(self, X: torch.Tensor) -> torch.Tensor:
        """Return the variances (n, ...) of the pixels of each image before every ReLU."""
        step = self._pairs_at_once(self._own_sides, X)
        slices = [slice(i, i + step) for i in range(0, len(X), step)]
        sizes = self._sizes
        width = sum(h * w for (h, w), layer in zip(sizes, self.layers, strict=False) if layer == "conv")
        return in_pieces(self.variances, [Piece((one,), (one,)) for one in slices], (len(X), width), X)

    def _between(
        self, X: torch.Tensor, V: torch.Tensor, X2: torch.Tensor, V2: torch.Tensor, *, upper: bool = False
    ) -> torch.Tensor:
        pairs = self._pairs_at_once(self._sides, X)
        rows = min(max(1, math.isqrt(pairs)), len(X))
        blocks = rectangles(len(X), len(X2), rows=rows, columns=max(1, pairs // rows), upper=upper)
        pieces = [Piece((one, one, other, other), (one, other)) for one, other in blocks]
        return in_pieces(self.between, pieces, (len(X), len(X2)), X, V, X2, V2)

    def variances(self, X: torch.Tensor) -> torch.Tensor:
        """Return the variances (n, v) of the pixels of ``X`` before every ReLU, layer after layer."""
        grids, found = self._grids(self._own_sides, X), []

        def own(K: torch.Tensor, grid: PixelPairs) -> tuple[torch.Tensor, torch.Tensor]:
            found.append(grid.diagonal(K))
            return found[-1], found[-1]

        images = self._images(X)
        self._through(self._products(images, images, grids[0]), grids, own, tangent=False)
        return torch.cat([q.flatten(1) for q in found], dim=1)

    def between(self, X: torch.Tensor, V: torch.Tensor, X2: torch.Tensor, V2: torch.Tensor) -> torch.Tensor:
        """Return the kernel (m, n) of all pairs of images at once, from their variances (m, v), (n, v)."""
        grids = self._grids(self._sides, X)
        K = self._products(self._images(X)[:, None], self._images(X2)[None], grids[0])
        variances = zip(self._split(V, 1), self._split(V2, 0), strict=True)
        K, T = self._through(K, grids, lambda K, grid: next(variances), tangent=self.of == "ntk")
        s, b = self.W_std**2, self.b_std**2
        nngp = s * K.mean(dim=(-2, -1)) + b
        return nngp if T is None else s * T.mean(dim=(-2, -1)) + nngp

    def _through(
        self,
        K: torch.Tensor,
        grids: list[PixelPairs],
        variances: Callable[[torch.Tensor, PixelPairs], tuple[torch.Tensor, torch.Tensor]],
        *,
        tangent: bool,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return K and T behind the layers that the grids stand between."""
        s, b, T = self.W_std**2, self.b_std**2, None
        for layer, grid, after in zip(self.layers, grids, grids[1:], strict=False):
            if layer == "pool":
                K, T = pooled(K, grid, after), None if T is None else pooled(T, grid, after)
                continue
            K = convolved(K, grid).mul_(s / 9.0).add_(b)
            if tangent:
                T = K if T is None else convolved(T, grid).mul_(s / 9.0).add_(K)
            q, q2 = variances(K, grid)
            K, T = _Relu.apply(K, T, grid.of_first(q), grid.of_second(q2))
        return K, T

    def _products(self, images: torch.Tensor, other: torch.Tensor, grid: PixelPairs) -> torch.Tensor:
        """Return x_p . x'_p' / c of images (..., c, h, w) for every pair of pixels."""
        channels = zip(images.unbind(-3), other.unbind(-3), strict=True)
        products = [grid.of_first(one) * grid.of_second(two) for one, two in channels]
        return sum(products[1:], products[0]) / len(products)

    def _images(self, X: torch.Tensor) -> torch.Tensor:
        return X.reshape(-1, *self.image_shape).permute(0, 3, 1, 2)

    def _split(self, V: torch.Tensor, dim: int) -> Iterator[torch.Tensor]:
        """Return the variances (n, h, w) of each layer with an axis put in at ``dim``."""
        sizes = [size for size, layer in zip(self._sizes, self.layers, strict=False) if layer == "conv"]
        parts = V.split([h * w for h, w in sizes], dim=1)
        return (part.reshape(-1, *size).unsqueeze(dim) for part, size in zip(parts, sizes, strict=True))

    @property
    def _sizes(self) -> list[tuple[int, int]]:
        """The sizes of an image before each layer and behind the last."""
        sizes = [self.image_shape[:2]]
        for layer in self.layers:
            h, w = sizes[-1]
            sizes.append((h // 2, w // 2) if layer == "pool" else (h, w))
        return sizes

    @property
    def _sides(self) -> list[tuple[Positions, Positions]]:
        """The pairs of positions along both sides that are needed at each point of the network."""
        return self._sides_until(len(self.layers), whole=self.readout == "average")

    @property
    def _own_sides(self) -> list[tuple[Positions, Positions]]:
        """Those of an image with itself: variances behind the last convolution."""
        last = len(self.layers) - self.layers[::-1].index("conv")
        return self._sides_until(last, whole=False)

    def _sides_until(self, end: int, *, whole: bool) -> list[tuple[Positions, Positions]]:
        sizes = self._sizes[: end + 1]
        radius = max(sizes[-1]) - 1 if whole else 0
        found = []
        for size, layer in zip(sizes[::-1], (*self.layers[:end], "end")[::-1], strict=True):
            radius = 2 * radius + 1 if layer == "pool" else radius
            found.append((Positions(size[0], min(radius, size[0] - 1)), Positions(size[1], min(radius, size[1] - 1))))
        return found[::-1]

    @staticmethod
    def _grids(sides: list[tuple[Positions, Positions]], like: torch.Tensor) -> list[PixelPairs]:
        return [PixelPairs.of(rows, columns, like) for rows, columns in sides]

    def _pairs_at_once(self, sides: list[tuple[Positions, Positions]], like: torch.Tensor) -> int:
        """Return how many pairs of images a piece may have: of each ReLU four numbers are kept, and some more pass."""
        numbers = [len(rows) * len(columns) for rows, columns in sides]
        kept = sum(number for number, layer in zip(numbers, self.layers, strict=False) if layer == "conv")
        return max(1, int(self.memory // ((4 * kept + 8 * max(numbers)) * like.element_size())))
