"""Fully connected networks with non-increasing widths, inverted layer by layer (T8b)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from analytic_dd.arrays import Array, as_matrix, dtype_name, namespace, without_autocast
from analytic_dd.errors import RangeError
from analytic_dd.features.activations import ACTIVATIONS, Activation
from analytic_dd.features.base import FeatureMap, Kind, draw_seed
from analytic_dd.features.layers import draw_layer, find_obstacle
from analytic_dd.features.ranges import Box, Open, Range, RangeCheck, Subspace, box_check, largest_scale
from analytic_dd.features.registry import MapOptions, option, register
from analytic_dd.features.right_inverse import SquareInverse, nearest_solution, right_inverse, spectral_norm
from analytic_dd.features.sizes import MOST_LAYERS, Sizes, as_count, as_widths, as_word, default_widths, dense_numbers

__all__ = ["FullyConnected"]

_PULLS = (0.5, 0.25, 0.125, 0.0)  # fractions of the reference tried in a bounded range; 0 is in it already


def _rows_inside(outside: list[tuple[int, Array]]) -> Array:
    """Return which rows (m, 1) stay in the range in every layer."""
    xp = namespace(outside[0][1])
    rows = [xp.all(excess < 0, axis=1, keepdims=True) for _, excess in outside]
    inside = rows[0]
    for row in rows[1:]:
        inside = xp.logical_and(inside, row)
    return inside


@dataclass(frozen=True)
class DenseOptions(MapOptions):
    """What text may say of :class:`FullyConnected`."""

    depth: int | None = option(None, "number of layers, 1 by default")
    width: int | str | None = option(None, "units of every layer, or of each (600-500-400); they shrink by default")
    activation: str = option("leaky_relu", "leaky_relu, asinh, tanh, elu, softsign, sigmoid, ...")
    slope: float = option(0.1, "slope of leaky_relu below 0")
    bias: bool = option(False, "biases")
    weights: str = option("gaussian", "gaussian or orthogonal")

    def widths(self, d: int) -> list[int]:
        """Return the widths of all layers."""
        # Square Gaussian layers have a condition of 1e4 to the power depth, widths that shrink to 3/4 of d one of 1e2
        layers = 1 if self.depth is None else as_count("depth", self.depth, most=MOST_LAYERS)
        return (
            [d - d * layer // (4 * layers) for layer in range(layers + 1)]
            if self.width is None and layers > 1
            else default_widths(d, self.depth, self.width, usual=1)
        )

    def sizes(self, d: int, *, image_shape: tuple[int, ...]) -> Sizes:
        """Return the sizes of the map."""
        return FullyConnected.sizes(widths=self.widths(d))

    def build(
        self, d: int, *, image_shape: tuple[int, ...], rng: np.random.Generator, sample: np.ndarray | None
    ) -> FeatureMap:
        """Return the map."""
        given = {key: value for key, value in asdict(self).items() if key not in ("depth", "width")}
        return FullyConnected(self.widths(d), rng=rng, **given)


@register("fcnn", DenseOptions)
class FullyConnected(FeatureMap):
    """A fully connected network with random weights, onto R^p or onto an open set around 0.

        h_0 = x,    h_l = act(W_l h_(l-1) + b_l),    phi(x) = h_L

    Theorem: T8b.

    Parameters
    ----------
    widths : sequence of int
        ``[d, ..., p]``; an exact pre-image needs them to be non-increasing.
    activation : str
        ``leaky_relu``, ``prelu`` (each unit has a slope uniform between ``slope`` and 1), ``asinh`` and
        ``bent_identity`` are onto R. ``tanh``, ``elu`` and ``softsign`` are bounded and have pre-images without biases
        (see :meth:`scale_into_range`). These with biases, ``softplus``, ``sigmoid``, ``relu``, ``gelu`` and ``sin`` are
        known forwards only.
    bias : bool
        Whether there are biases, from N(0, 1 / fan_in).
    rng : numpy.random.Generator or int
        It draws the weights; an integer is the seed itself.
    slope : float
        Slope of ``leaky_relu`` for negative values, in ]0, 1], and the lower end for ``prelu``.
    weights : {"gaussian", "orthogonal"}
        N(0, 1 / fan_in), or orthonormal rows scaled to the same size: condition 1 where a square Gaussian has 10^4.

    Raises
    ------
    ValueError
        The activation is unknown, or widths or slope are out of range.

    Notes
    -----
    ``kind`` is "bijective" for equal widths and "surjective" for non-increasing ones, onto an open range for a bounded
    activation. Otherwise it is "general", and :meth:`preimage` refuses.

    *Cost.* The first pre-image takes one QR of each W_l, O(d p^2), and every block of samples six products with a
    layer.
    *Numerics.* |phi(preimage(Phi)) - Phi| is of the order eps * depth * condition() * |Phi|.

    References
    ----------
    Chen, Liu, Vogelstein et al., "Provable and efficient dataset distillation for kernel ridge regression", 2024.

    Examples
    --------
    >>> phi = FullyConnected([4, 3, 2], rng=0)
    >>> phi.kind
    'surjective'
    >>> Phi = np.array([[0.5, -2.0]])
    >>> np.allclose(phi(phi.preimage(Phi)), Phi, rtol=1e-12)
    True
    >>> FullyConnected([4, 4], activation="sigmoid", rng=0).preimage(np.full((1, 4), 0.5))
    Traceback (most recent call last):
        ...
    analytic_dd.errors.InfeasibleError: exact pre-images need 0 inside the range of the activation (T8b), got sigmoid \
onto ]0, 1[; use leaky_relu, or near copies of real inputs (near_copies)
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        activation: str = "leaky_relu",
        bias: bool = False,
        rng: np.random.Generator | int,
        slope: float = 0.1,
        weights: str = "gaussian",
    ) -> None:
        self.widths = as_widths(widths)
        as_word("activation", activation, ACTIVATIONS)
        if not 0.0 < slope <= 1.0:
            raise ValueError(f"slope must lie in ]0, 1], got {slope}; 0 is relu, which has no inverse")
        self.d, self.p = self.widths[0], self.widths[-1]
        self.depth = len(self.widths) - 1
        self.activation, self.bias, self.slope, self.weights = activation, bool(bias), float(slope), weights
        self.seed = draw_seed(rng)
        self._obstacle = find_obstacle(self.widths, self._act, bias=self.bias)
        square = self.d == self.widths[-1] and len(set(self.widths)) == 1
        self.kind: Kind = "general" if self._obstacle else "bijective" if square else "surjective"
        self._draw()

    @classmethod
    def sizes(cls, *, widths: Sequence[int], **options: Any) -> Sizes:
        """Return the ends of ``widths`` and the numbers of the weights."""
        checked = as_widths(widths)
        return Sizes(checked[0], checked[-1], dense_numbers(checked))

    @property
    def _act(self) -> Activation:
        return ACTIVATIONS[self.activation]

    def _draw(self) -> None:
        stream = self._stream()
        self._W, self._b, self._slopes = [], [], []
        for fan_in, fan_out in zip(self.widths, self.widths[1:], strict=False):
            W, b = draw_layer(fan_in, fan_out, bias=self.bias, weights=self.weights, rng=stream)
            self._W.append(W)
            self._b.append(b)
            self._slopes.append(stream.uniform(self.slope, 1.0, fan_out) if self.activation == "prelu" else None)

    def _refuse(self) -> None:
        if self._obstacle:
            raise self._obstacle.error(self.d, self.p)

    def _slope_like(self, X: Array, layer: int) -> Any:
        slopes = self._slopes[layer]
        return self.slope if slopes is None else self._like(X, slopes)

    def _layer(self, H: Array, index: int) -> Array:
        """W_l h + b_l of the layer ``index`` = l - 1."""
        T, b = H @ self._like(H, self._W[index]).T, self._b[index]
        return T if b is None else T + self._like(H, b)

    def _forward(self, X: Array) -> list[Array]:
        """[h_0, ..., h_L]."""
        layers = [X]
        for index in range(self.depth):
            T = self._layer(layers[-1], index)
            layers.append(self._act.forward(namespace(X), T, self._slope_like(X, index)))
        return layers

    def _slopes_at(self, X: Array) -> Iterator[Array]:
        """act'(W_l h_(l-1) + b_l) of each layer in turn."""
        for index in range(self.depth):
            T, slope = self._layer(X, index), self._slope_like(X, index)
            yield self._act.derivative(namespace(X), T, slope)
            X = self._act.forward(namespace(X), T, slope)

    def _jvp(self, X: Array, V: Array) -> Array:
        for W, slopes in zip(self._W, self._slopes_at(X), strict=True):
            V = (V @ self._like(V, W).T) * slopes
        return V

    def _vjp(self, X: Array, U: Array) -> Array:
        for W, slopes in zip(reversed(self._W), reversed(list(self._slopes_at(X))), strict=True):
            U = (U * slopes) @ self._like(U, W)
        return U

    @property
    def range(self) -> Range:
        """All of R^p, or a box where the activation is bounded; unknown where T8b does not apply."""
        if self._obstacle:
            return Open(self.p, f"exact pre-images need {self._obstacle.wanted}")
        if self._act.onto:
            return Subspace(self.p)
        lower, upper = self._act.lower, self._act.upper
        return Box(self.p, lower, upper, f"every layer must stay in ]{lower:g}, {upper:g}[ ({self.activation})")

    def _map(self, X: Array) -> Array:
        return self._forward(X)[-1]

    @cached_property
    def _inverses(self) -> list[np.ndarray | SquareInverse]:
        """W_l^+ of each layer."""
        return [right_inverse(W) for W in self._W]

    def _back(
        self, H: Array, *, near: list[Array] | None = None, pull: float = 1.0, part: bool = False
    ) -> tuple[Array, list[tuple[int, Array]]]:
        """Undo the layers, and return how far each entry of each layer is outside of the range (negative: inside).

        ``near`` has references for h_0, ..., h_L, which ``pull`` draws towards 0; ``part`` asks for the
        well-conditioned part of the range. An entry outside is replaced before it is inverted, and no caller uses its
        row.
        """
        assert self._act.inverse is not None
        xp = namespace(H)
        lower, upper = self._act.limits(dtype_name(H))
        if part:  # a side that is unbounded is well-conditioned too
            lower = max(lower, -self._act.reach) if lower > -np.inf else lower
            upper = min(upper, self._act.reach) if upper < np.inf else upper
        outside = []
        for layer in range(self.depth, 0, -1):
            if lower > -np.inf or upper < np.inf:
                excess = xp.where(H - upper > lower - H, H - upper, lower - H)
                outside.append((layer, excess))
                H = xp.where(excess < 0, H, 0 * H + self._act.interior)
            W, P, b = self._W[layer - 1], self._inverses[layer - 1], self._b[layer - 1]
            S = self._act.inverse(xp, H, self._slope_like(H, layer - 1))
            S = S if b is None else S - self._like(H, b)
            reference = None if near is None or W.shape[0] == W.shape[1] else pull * near[layer - 1]
            H = nearest_solution(self._like(H, W), self._like(H, P), S, reference)
        return H, outside

    def in_range(self, Phi: Array) -> RangeCheck:
        """Say whether the layers can be undone, each by its pre-image of smallest norm, without leaving the range.

        The worst entry is one of ``Phi``, or of the first hidden layer from above that leaves the range. For equal
        widths the answer is exact.

        Raises
        ------
        InfeasibleError
            The network has no exact pre-images (T8b, T9, T10).
        """
        as_matrix(Phi, "Phi", columns=self.p)
        self._refuse()
        lower, upper = self._act.limits(dtype_name(Phi))
        if lower == -np.inf and upper == np.inf:
            return RangeCheck(True)
        worst = RangeCheck(True)
        for start in range(0, Phi.shape[0], self._block_rows()):
            stop = min(start + self._block_rows(), Phi.shape[0])
            for layer, excess in self._back(Phi[start:stop, :])[1]:
                what = "features" if layer == self.depth else f"the pre-image in hidden layer {layer}"
                reason = f"{what} must lie in ]{lower:g}, {upper:g}[ ({self.activation})"
                check = box_check(excess, reason, first_row=start)
                worst = check if check.excess > worst.excess else worst
                if not check:
                    break
        return worst

    def scale_into_range(self, Phi: Array) -> float:
        """Return the largest c <= 1, to one per cent, that brings every layer into the good part of the range.

        That is |h| <= 0.9 for tanh, -h <= 0.9 for elu, |h| <= 0.75 for softsign and |h| <= 2 for asinh; for the others
        c is 1.

        Raises
        ------
        InfeasibleError
            The network has no exact pre-images.
        """
        as_matrix(Phi, "Phi", columns=self.p)
        self._refuse()
        if self._act.reach == np.inf:
            return 1.0
        xp = namespace(Phi)
        return largest_scale(lambda c: all(bool(xp.all(e < 0)) for _, e in self._back(c * Phi, part=True)[1]))

    def _preimage(self, Phi: Array, near: Array | None) -> Array:
        if near is None or self.kind == "bijective":
            return self._back(Phi)[0]
        references = self._forward(near)
        X, outside = self._back(Phi, near=references)
        if not outside:
            return X
        # A reference may lead out of a bounded hidden range; the smallest pre-image does not, so draw towards it.
        xp = namespace(Phi)
        done = _rows_inside(outside)
        for pull in _PULLS:
            trial, outside = self._back(Phi, near=references, pull=pull)
            X = xp.where(done, X, trial)
            done = xp.logical_or(done, _rows_inside(outside))
        return X

    @without_autocast()
    def local_preimage(self, Phi: Array, *, near: Array) -> Array:
        """Return the pre-image nearest to ``near`` of features in the neighbourhood of phi(near), any bias (T9).

        It serves every strictly monotone activation, such as softplus, sigmoid and biased tanh, because features close
        to those of a real image are in the range even where no scaling brings others into it.

        Raises
        ------
        InfeasibleError
            Widths increase, or the activation is not strictly monotone.
        RangeError
            A layer leaves the range; features must be closer to phi(near).

        Examples
        --------
        >>> phi, x = FullyConnected([3, 2], activation="sigmoid", bias=True, rng=0), np.array([[0.1, 0.2, 0.3]])
        >>> np.allclose(phi(phi.local_preimage(phi(x) + 1e-3, near=x)), phi(x) + 1e-3)
        True
        """
        as_matrix(near, "near", rows=as_matrix(Phi, "Phi", columns=self.p).shape[0], columns=self.d)
        if self._act.inverse is None or self.widths != sorted(self.widths, reverse=True):
            self._refuse()
        X, outside = self._back(Phi, near=self._forward(near))
        for layer, excess in outside:
            check = box_check(excess, "")
            if not check:
                raise RangeError(
                    f"layer {layer} must stay in the range of {self.activation}, row {check.row}, column "
                    f"{check.column} is outside by {check.excess:.3g}; take features closer to phi(near)"
                )
        return X

    def flops(self) -> float:
        """Return the sum of 2 fan_in fan_out over layers."""
        return 2.0 * sum(W.size for W in self._W)

    def condition(self) -> float:
        r"""Return the worst amplification of a rounding error in a layer, infinite without exact pre-images.

            max over l of  |W_L ... W_(l+1)| |W_l| |W_l^+ ... W_L^+| stretch^(L - l + 1)

        Norms are spectral, and ``stretch`` bounds the ratio of slopes of the activation: 1 / slope for leaky ReLU, and
        the ratio up to the sizes that :meth:`scale_into_range` aims at for curved ones. Rows should not be small beside
        the biases.

        Notes
        -----
        *Cost.* Sixty power iterations for each layer; no singular value decomposition.
        """
        if self._obstacle:
            return float("inf")
        stretch, worst, P = self._act.stretch or 1.0 / self.slope, 1.0, self._inverses
        for layer in range(self.depth):
            above = spectral_norm(self._W[:layer:-1]) if layer < self.depth - 1 else 1.0
            growth = above * spectral_norm([self._W[layer]]) * spectral_norm(P[layer:])
            worst = max(worst, growth * stretch ** (self.depth - layer))
        return worst

    def _widest(self) -> int:
        return max(self.widths)
