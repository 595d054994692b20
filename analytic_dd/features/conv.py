r"""Convolutional networks of several layers that images can be brought back through exactly (T8c)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from analytic_dd.arrays import Array, as_matrix, namespace
from analytic_dd.errors import ShapeError
from analytic_dd.features.activations import ACTIVATIONS
from analytic_dd.features.base import FeatureMap, draw_seed
from analytic_dd.features.conv_border import ValidLayer, ZeroLayer
from analytic_dd.features.conv_circular import CircularLayer, torus_norm
from analytic_dd.features.conv_layer import ConvolutionLayer, draw_kernel
from analytic_dd.features.ranges import RangeCheck, largest_scale
from analytic_dd.features.registry import MapOptions, option, register
from analytic_dd.features.sizes import (
    MOST_LAYERS,
    Shape,
    Sizes,
    as_count,
    as_image_shape,
    as_sizes,
    as_word,
    default_layers,
)
from analytic_dd.features.stage import ActivationStage, AveragePooling, Chain, MaxPooling, Stage

__all__ = ["Convolutional"]

_LAYERS: dict[str, type[ConvolutionLayer]] = {"circular": CircularLayer, "valid": ValidLayer, "zero": ZeroLayer}
_POOLS: dict[str, type[AveragePooling] | type[MaxPooling]] = {"average": AveragePooling, "max": MaxPooling}


def _most_size(shape: Shape) -> int:
    """Return the largest side of a kernel that is built: beyond the image it sees pixels again, and takes time."""
    return 8 * max(shape[:2]) + 1


@dataclass(frozen=True)
class ConvolutionalOptions(MapOptions):
    """What text may say of :class:`Convolutional`."""

    depth: int = option(3, "number of layers")
    channels: int | str | None = option(None, "of every layer, or of each (3-11-10)")
    stride: int | str | None = option(None, "of every layer, or of each; 2 while both sides are even by default")
    size: int = option(3, "odd side of the kernels")
    padding: str = option("circular", "circular, valid or zero")
    pool: str | None = option(None, "average, max or none")
    activation: str = option("leaky_relu", "leaky_relu or asinh")
    slope: float = option(0.1, "slope of leaky_relu below 0")
    bias: bool = option(False, "biases")
    spread: float = option(0.9, "spectral norm of the noise of the kernels")

    def sizes(self, d: int, *, image_shape: tuple[int, ...]) -> Sizes | None:
        """Return the sizes of the map."""
        if len(image_shape) == 1 or self.padding not in _LAYERS:  # both are refused by name
            return None
        given = self._given()
        channels, stride = _layers(image_shape, **given)
        return Convolutional.sizes(image_shape=image_shape, **given | {"channels": channels, "stride": stride})

    def _given(self) -> dict[str, Any]:
        return asdict(self) | {"pool": None if self.pool == "none" else self.pool}

    def build(
        self, d: int, *, image_shape: tuple[int, ...], rng: np.random.Generator, sample: np.ndarray | None
    ) -> FeatureMap:
        """Return the map."""
        if len(image_shape) == 1:
            raise ShapeError(
                f"features 'cnn' need images, got rows of {d} numbers; give an array of images, or pass a map that "
                "knows the image_shape: features.Convolutional(image_shape, channels, rng=0)"
            )
        return Convolutional.from_options(image_shape, rng=rng, **self._given())


def _layers(
    image_shape: Sequence[int],
    *,
    depth: int = 3,
    size: int = 3,
    channels: int | str | Sequence[int] | None = None,
    stride: int | str | Sequence[int] | None = None,
    pool: str | None = None,
    **options: Any,
) -> tuple[list[int], list[int]]:
    """Return the channels and strides of each layer."""
    depth = as_count("depth", depth, most=MOST_LAYERS)
    return default_layers(
        as_image_shape(image_shape),
        depth,
        size=as_count("size", size),
        channels=None if channels is None else as_sizes("channels", channels, depth),
        stride=None if stride is None else as_sizes("stride", stride, depth),
        halving=1 if pool is None else 2,
    )


@register("cnn", ConvolutionalOptions)
class Convolutional(FeatureMap):
    r"""A network of convolution, activation and pooling layers with an exact pre-image.

    phi(x) = f_L(... f_1(x)) ,    f_l(x) = pool(act(K_l * x + b_l)) ;    the pre-image undoes one stage after the other:
    x <- x_ref + A_l^+ (act^-1(unpool(h)) - b_l - A_l x_ref) .

    Theorem: T8c.

    Parameters
    ----------
    image_shape : (rows, columns) or (rows, columns, channels)
        An input row is an image of this shape, channels last, flattened in C order.
    channels : sequence of int
        Channels c_1, ..., c_L after each layer. With circular padding the map is onto for c_l <= c_(l-1) stride_l^2.
    size : int
        Odd side of the kernels.
    stride : int or sequence of int
        Stride of each layer; with circular padding it divides the image.
    padding : {"circular", "valid", "zero"}
        What a kernel sees outside the image.
    pool : {None, "average", "max"}
        Pooling of 2 x 2 pixels after each layer.
    activation : str
        A name in :data:`analytic_dd.features.activations.ACTIVATIONS`; pre-images need one that is onto R.
    slope : float
        Slope of a leaky ReLU below 0.
    bias : bool
        Whether the layers have normal biases of size 0.1. The error of a round trip is then relative to the size of
        features and biases.
    spread : float
        Kernels are an orthonormal rearrangement of pixels plus normal noise of spectral norm ``spread``, so that the
        singular values of a layer with circular padding are in [1 - spread, 1 + spread]. From 1 on nothing is known.
    rng : numpy.random.Generator or int
        It draws the kernels; an integer is the seed itself.

    Attributes
    ----------
    layers : tuple of ConvolutionLayer
        The convolutions.
    chain : Chain
        Convolutions, activations and poolings, in order.

    Raises
    ------
    ShapeError
        ``image_shape`` is not two or three sizes.
    ValueError
        A kernel is even, an option unknown, lists differ in length, or a stride does not divide the image.

    Notes
    -----
    *Cost.* A layer takes O(n h' w' size^2 c_in c_out); a pre-image takes two Fourier solves and two convolutions. With
    valid or zero padding it is a product with the dense pseudo-inverse up to side 1,200, and beyond LSMR in numpy, one
    image at a time and without gradients.
    *Numerics.* See :meth:`condition`. With ``near`` the rounding is relative to the size of the references too.
    Equality c_l = c_(l-1) stride_l^2 is admitted, but ill-conditioned with kernels of large ``spread``.

    References
    ----------
    Sedghi, Gupta, Long: The singular values of convolutional layers. ICLR 2019.

    Examples
    --------
    >>> phi = Convolutional((8, 6), [3], stride=2, rng=np.random.default_rng(0))
    >>> phi.kind, phi.d, phi.p
    ('surjective', 48, 36)
    >>> Phi = np.linspace(-1.0, 1.0, 72).reshape(2, 36)
    >>> bool(np.allclose(phi(phi.preimage(Phi)), Phi, rtol=0, atol=1e-14))
    True
    >>> Convolutional((8, 6), [5], stride=2, rng=0).preimage(np.ones((1, 60)))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    analytic_dd.errors.InfeasibleError: layer 1 must be onto, but its 60 outputs exceed its 48 inputs (take ...
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        channels: Sequence[int],
        *,
        size: int = 3,
        stride: int | Sequence[int] = 1,
        padding: str = "circular",
        pool: str | None = None,
        activation: str = "leaky_relu",
        slope: float = 0.1,
        bias: bool = False,
        spread: float = 0.9,
        rng: np.random.Generator | int,
    ) -> None:
        self.image_shape = as_image_shape(image_shape)[: len(tuple(image_shape))]
        self.channels = as_sizes("channels", channels)
        self.stride = as_sizes("stride", stride, len(self.channels))
        self.size = as_count("size", size)
        self.padding, self.pool, self.activation = padding, pool, activation
        self.slope, self.bias, self.spread = float(slope), bool(bias), float(spread)
        self._check()
        self.seed = draw_seed(rng)
        stages = list(self._build(self._stream()))
        self.layers = tuple(stage for stage in stages if isinstance(stage, ConvolutionLayer))
        self.chain = Chain(stages, per_layer=len(stages) // len(self.layers))
        self.d, self.p, self.kind = math.prod(self.image_shape), math.prod(self.chain.shape_out), self.chain.kind

    @classmethod
    def sizes(
        cls,
        *,
        image_shape: Sequence[int],
        channels: Sequence[int],
        padding: str = "circular",
        pool: str | None = None,
        **options: Any,
    ) -> Sizes:
        """Return the sizes of the images at both ends, and the numbers of the kernels and of their symbols."""
        size, strides = options.get("size", 3), options.get("stride", 1)
        h, w, c = shape = as_image_shape(image_shape)
        widths, numbers = as_sizes("channels", channels), 0
        size = as_count("size", size, most=_most_size(shape))
        for c_out, s in zip(widths, as_sizes("stride", strides, len(widths)), strict=True):
            h, w = (_LAYERS[padding].length_out(length, size, s) for length in (h, w))
            numbers += 2 * c * c_out * (size**2 + (h * w * s**2 if padding == "circular" else 0))
            h, w, c = (h, w, c_out) if pool is None else (h // 2, w // 2, c_out)
        return Sizes(math.prod(shape), h * w * c, numbers)

    @classmethod
    def from_options(
        cls,
        image_shape: Sequence[int],
        *,
        depth: int = 3,
        size: int = 3,
        channels: int | str | Sequence[int] | None = None,
        stride: int | str | Sequence[int] | None = None,
        rng: np.random.Generator | int,
        **options: Any,
    ) -> Convolutional:
        """Fill in what text such as ``cnn:depth=3,channels=3-11-10,pool=average`` does not say.

        Parameters
        ----------
        image_shape : (rows, columns) or (rows, columns, channels)
        depth : int
            Number of layers.
        size : int
            Side of the kernels; 5 or 7 give better features than 3, in more time.
        channels, stride : int, str such as "3-11-10", or sequence
            One for all layers or one per layer; see :func:`default_layers` for what is not given.
        rng : numpy.random.Generator or int
        **options
            Passed to the constructor.

        Examples
        --------
        >>> phi = Convolutional.from_options((28, 28), depth=3, rng=0)
        >>> phi.channels, phi.stride, phi.p
        ((3, 11, 10), (2, 2, 1), 490)
        >>> Convolutional.from_options((28, 28), channels="3-x", rng=0)
        Traceback (most recent call last):
            ...
        ValueError: channels must be integers >= 1, such as 8 or 3-11-10, got '3-x'
        """
        widths, strides = _layers(
            image_shape, depth=depth, size=size, channels=channels, stride=stride, pool=options.get("pool")
        )
        return cls(image_shape, widths, size=size, stride=strides, rng=rng, **options)

    def singular_values(self, layer: int) -> np.ndarray:
        """Return all singular values of a convolution (0, ..., L - 1) as a matrix, largest first.

        Notes
        -----
        *Cost.* Circular padding: small SVDs, one per frequency. Valid or zero padding: one dense SVD.
        """
        return self.layers[layer].singular_values()

    def condition(self) -> float:
        """Return the product over layers of cond(A_l) times the stretch of activation (1 / slope) and pooling (max: 2).

        It is a bound to first order, since the stages that follow amplify a rounding error by their conditions. It is
        infinite for a map that is not onto.
        """
        return self.chain.condition

    def in_range(self, Phi: Array) -> RangeCheck:
        """Say that every feature vector is in the range, except for asinh, whose inverse may overflow.

        Raises
        ------
        InfeasibleError
            T8c: a layer is not onto, so that the range has no closed form.
        """
        as_matrix(Phi, "Phi", columns=self.p)
        self.chain.require_onto()
        if self.activation != "asinh":
            return RangeCheck(True)
        return self.chain.check(_images(Phi, self.chain.shape_out), self._like)

    def scale_into_range(self, Phi: Array) -> float:
        """Return 1, or for asinh the largest c <= 1, to one per cent, at which no layer's inverse overflows."""
        return largest_scale(lambda c: bool(self.in_range(c * Phi)))

    def _check(self) -> None:
        """Refuse options that no network has."""
        as_word("padding", self.padding, _LAYERS)
        as_word("pool", self.pool, (None, *_POOLS))
        as_word("activation", self.activation, ACTIVATIONS)
        if self.size % 2 == 0:
            raise ValueError(f"size of a kernel must be odd, got {self.size}; use {self.size + 1}")
        if not 0.0 < self.slope < math.inf:
            raise ValueError(f"slope must be > 0, got {self.slope}: a flat half has no inverse")
        if not 0.0 <= self.spread < math.inf:
            raise ValueError(f"spread must be >= 0, got {self.spread}")

    def _build(self, rng: np.random.Generator) -> Iterator[Stage]:
        """Draw the parameters, layer by layer, and yield the stages."""
        shape = as_image_shape(self.image_shape)
        for c_out, stride in zip(self.channels, self.stride, strict=True):
            kernel, noise = draw_kernel(rng, self.size, shape[2], c_out, stride)
            bias = 0.1 * rng.standard_normal(c_out)
            kernel = kernel + self.spread / torus_norm(noise, shape, stride=stride) * noise
            layer = _LAYERS[self.padding](shape, kernel, stride=stride, bias=bias if self.bias else None)
            yield layer
            yield ActivationStage(layer.shape_out, self.activation, slope=self.slope)
            shape = layer.shape_out
            if self.pool is not None:
                pooling = _POOLS[self.pool](shape)
                shape = pooling.shape_out
                yield pooling

    def _map(self, X: Array) -> Array:
        return _rows(self.chain.states(_images(X, self.chain.shape_in), self._like)[-1])

    def _jvp(self, X: Array, V: Array) -> Array:
        X, V = (_images(A, self.chain.shape_in) for A in (X, V))
        return _rows(self.chain.jvp(X, V, self._like))

    def _vjp(self, X: Array, U: Array) -> Array:
        X, U = _images(X, self.chain.shape_in), _images(U, self.chain.shape_out)
        return _rows(self.chain.vjp(X, U, self._like))

    def _preimage(self, Phi: Array, near: Array | None) -> Array:
        references = None if near is None else _images(near, self.chain.shape_in)
        return _rows(self.chain.preimage(_images(Phi, self.chain.shape_out), references, self._like))

    def _widest(self) -> int:
        return self.chain.widest


def _images(X: Array, shape: Shape) -> Array:
    return namespace(X).reshape(X, (-1, *shape))


def _rows(X: Array) -> Array:
    return namespace(X).reshape(X, (X.shape[0], -1))
