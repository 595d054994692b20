r"""Invertible blocks of vectors: couplings and residual blocks, and the small network inside of them (T8d).

    net(a) = scale * B [ tanh(gain * A a + beta) - tanh(beta) ] ,      A A^T = I,  B^T B = I

|net(a) - net(a')| <= scale * gain * |a - a'| since tanh has slope at most 1, and net(0) = 0: blocks made of it map 0 to
0, and rounding errors stay relative to the features, provided that the difference is not computed by subtraction:

    tanh(u + beta) - tanh(beta) = T (1 - B^2) / (1 + T B) ,      T = tanh u,  B = tanh beta

A coupling changes half of a vector in a way that is undone knowing the other half. A residual block adds a contraction,
which a fixed point iteration undoes.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np

from analytic_dd.arrays import Array, eps_of, namespace
from analytic_dd.errors import InfeasibleError
from analytic_dd.features.layers import draw_orthonormal
from analytic_dd.features.stage import Place
from analytic_dd.linalg import singular_values

__all__ = ["AdditiveCoupling", "AffineCoupling", "Block", "Conditioner", "ResidualBlock"]

_OFFSET = 1.0  # beta in [-1, 1] breaks the symmetry phi(-x) = -phi(x) and keeps 1 + T B above 0.2
_GAIN = 1.0  # pre-activations have the size of the inputs, where tanh is neither linear nor saturated
_SHIFT = 1.0  # Lipschitz constant of the shift t
_LOG_SCALE = 0.3  # |s| < 0.3 gives a factor between 0.74 and 1.35
_BEND = 0.5  # Lipschitz constant of the argument of tanh in s
_REACH = 3.0  # up to here, three standard deviations of a pixel, entries are scaled; beyond, they are shifted
_CONTRACTION = 0.6  # Lipschitz constant of f: 70 iterations to rounding level, condition (1 + 0.6) / (1 - 0.6) = 4
_RESIDUAL_GAIN = 2.0  # a bounded f is a small part of v; larger pre-activations bend it more for the same constant
_SETTLED = 8.0  # steps below this multiple of eps |v| are rounding


class Conditioner:
    """A network with one hidden layer between orthonormal matrices.

    Parameters
    ----------
    rng : numpy.random.Generator
    d_in, hidden, d_out : int
        Sizes; ``hidden`` is at most both others.
    gain, scale : float
        Size of the pre-activations and of the outputs.

    Attributes
    ----------
    lipschitz : float
        ``gain * scale``.
    """

    def __init__(
        self, rng: np.random.Generator, d_in: int, hidden: int, d_out: int, *, gain: float, scale: float
    ) -> None:
        self.inward = np.ascontiguousarray(gain * draw_orthonormal(rng, hidden, d_in).T)
        self.outward = np.ascontiguousarray(scale * draw_orthonormal(rng, d_out, hidden).T)
        self.rest = np.tanh(rng.uniform(-_OFFSET, _OFFSET, hidden))
        self.slope = 1.0 - self.rest**2
        self.lipschitz = gain * scale

    def __call__(self, V: Array, place: Place) -> Array:
        """Return the outputs (n, d_out) of the rows of ``V`` (n, d_in)."""
        xp = namespace(V)
        T = xp.tanh(xp.matmul(V, place(V, self.inward)))
        return xp.matmul(T * place(V, self.slope) / (1.0 + T * place(V, self.rest)), place(V, self.outward))

    def jvp(self, V: Array, dV: Array, place: Place) -> Array:
        """Return the derivative at ``V`` in the directions ``dV``."""
        xp = namespace(V)
        hidden = xp.matmul(dV, place(V, self.inward)) * self._slopes(V, place)
        return xp.matmul(hidden, place(V, self.outward))

    def vjp(self, V: Array, U: Array, place: Place) -> Array:
        """Return the transposed derivative at ``V`` applied to ``U`` (n, d_out)."""
        xp = namespace(V)
        hidden = xp.matmul(U, place(V, self.outward).T) * self._slopes(V, place)
        return xp.matmul(hidden, place(V, self.inward).T)

    def _slopes(self, V: Array, place: Place) -> Array:
        """The derivative of T (1 - B^2) / (1 + T B) by the pre-activation:  (1 - T^2) (1 - B^2) / (1 + T B)^2 ."""
        xp = namespace(V)
        T = xp.tanh(xp.matmul(V, place(V, self.inward)))
        return (1.0 - T) * (1.0 + T) * place(V, self.slope) / (1.0 + T * place(V, self.rest)) ** 2


class Block(ABC):
    """An invertible map of vectors with f(0) = 0, and Lipschitz constants of it and of its inverse."""

    lipschitz: float
    lipschitz_inverse: float

    @abstractmethod
    def forward(self, V: Array, place: Place) -> Array:
        """Map the rows of ``V`` (n, d)."""

    @abstractmethod
    def inverse(self, V: Array, place: Place) -> Array:
        """Undo :meth:`forward`."""

    @abstractmethod
    def jvp(self, V: Array, dV: Array, place: Place) -> Array:
        """Return the derivative at ``V`` in the directions ``dV``."""

    @abstractmethod
    def vjp(self, V: Array, U: Array, place: Place) -> Array:
        """Return the transposed derivative at ``V`` applied to ``U``."""


class AdditiveCoupling(Block):
    """The shear (a, b) -> (a, b + t(a)), whose inverse has the same Lipschitz constant."""

    def __init__(self, rng: np.random.Generator, d: int, hidden: int) -> None:
        self.half = d // 2
        self.shift = Conditioner(rng, self.half, hidden, d - self.half, gain=_GAIN, scale=_SHIFT / _GAIN)
        self.lipschitz = self.lipschitz_inverse = _shear(self.shift.lipschitz, 1.0)

    def forward(self, V: Array, place: Place) -> Array:
        """Add t(a) to b."""
        a, b = V[:, : self.half], V[:, self.half :]
        return namespace(V).concat([a, b + self.shift(a, place)], axis=1)

    def inverse(self, V: Array, place: Place) -> Array:
        """Subtract it."""
        a, b = V[:, : self.half], V[:, self.half :]
        return namespace(V).concat([a, b - self.shift(a, place)], axis=1)

    def jvp(self, V: Array, dV: Array, place: Place) -> Array:
        """(da, db + t'(a) da)."""
        a, da, db = V[:, : self.half], dV[:, : self.half], dV[:, self.half :]
        return namespace(V).concat([da, db + self.shift.jvp(a, da, place)], axis=1)

    def vjp(self, V: Array, U: Array, place: Place) -> Array:
        """(u + t'(a)^T v, v)."""
        u, v = U[:, : self.half], U[:, self.half :]
        return namespace(V).concat([u + self.shift.vjp(V[:, : self.half], v, place), v], axis=1)


class AffineCoupling(Block):
    r"""(a, b) -> (a, e^s b + t) for |b| <= 3, with linear tails of slope 1; s = alpha tanh(net(a)), t = t(a).

    With b^ = b cut to [-3, 3] this is b + (e^s - 1) b^ + t; the inverse, with r = y - t, is r - (e^s - 1) (e^-s r)^.
    A pure e^s b has no Lipschitz constant (d/da e^s b grows with b), and then no bound on rounding errors holds for
    every input; the linear tails give it one.
    """

    def __init__(self, rng: np.random.Generator, d: int, hidden: int) -> None:
        self.half = d // 2
        self.shift = Conditioner(rng, self.half, hidden, d - self.half, gain=_GAIN, scale=_SHIFT / _GAIN)
        self.bend = Conditioner(rng, self.half, hidden, d - self.half, gain=_GAIN, scale=_BEND / _GAIN)
        stretch = math.exp(_LOG_SCALE)
        shear = _REACH * stretch * _LOG_SCALE * self.bend.lipschitz + self.shift.lipschitz
        self.lipschitz = _shear(shear, stretch)
        # Inside, db/da = -(b s' + e^-s t'), at most 3 |s'| + e^alpha |t'|; in the tails db/dy = 1 and it is as forward.
        inside = _REACH * _LOG_SCALE * self.bend.lipschitz + stretch * self.shift.lipschitz
        self.lipschitz_inverse = _shear(max(inside, shear), stretch)

    def forward(self, V: Array, place: Place) -> Array:
        """Scale and shift b."""
        xp = namespace(V)
        a, b = V[:, : self.half], V[:, self.half :]
        s = _LOG_SCALE * xp.tanh(self.bend(a, place))
        return xp.concat([a, b + xp.expm1(s) * _cut(b) + self.shift(a, place)], axis=1)

    def inverse(self, V: Array, place: Place) -> Array:
        """Undo the shift, then the scale."""
        xp = namespace(V)
        a, r = V[:, : self.half], V[:, self.half :] - self.shift(V[:, : self.half], place)
        s = _LOG_SCALE * xp.tanh(self.bend(a, place))
        return xp.concat([a, r - xp.expm1(s) * _cut(r * xp.exp(-s))], axis=1)

    def jvp(self, V: Array, dV: Array, place: Place) -> Array:
        """(da, by_b db + (by_s s'(a) + t'(a)) da)."""
        a, da, db = V[:, : self.half], dV[:, : self.half], dV[:, self.half :]
        by_b, by_net = self._partials(V, place)
        changed = by_b * db + by_net * self.bend.jvp(a, da, place) + self.shift.jvp(a, da, place)
        return namespace(V).concat([da, changed], axis=1)

    def vjp(self, V: Array, U: Array, place: Place) -> Array:
        """Transpose :meth:`jvp`."""
        a, u, v = V[:, : self.half], U[:, : self.half], U[:, self.half :]
        by_b, by_net = self._partials(V, place)
        first = u + self.bend.vjp(a, by_net * v, place) + self.shift.vjp(a, v, place)
        return namespace(V).concat([first, by_b * v], axis=1)

    def _partials(self, V: Array, place: Place) -> tuple[Array, Array]:
        """Return the derivatives of  b + (e^s - 1) b^  by b, and by the network that s is alpha tanh of."""
        xp = namespace(V)
        b = V[:, self.half :]
        bend = xp.tanh(self.bend(V[:, : self.half], place))
        s = _LOG_SCALE * bend
        by_b = 1.0 + xp.where(xp.abs(b) <= _REACH, xp.expm1(s), 0.0 * s)
        return by_b, xp.exp(s) * _cut(b) * _LOG_SCALE * (1.0 - bend) * (1.0 + bend)


def _cut(b: Array) -> Array:
    return namespace(b).clip(b, -_REACH, _REACH)


def _shear(off_diagonal: float, diagonal: float) -> float:
    """Return a bound on the norm of [[1, 0], [S, D]] with |S|, |D| given: the norm of [[1, 0], [|S|, |D|]]."""
    return float(singular_values(np.array([[1.0, 0.0], [off_diagonal, diagonal]]))[0])


class ResidualBlock(Block):
    """v -> v + f(v), |f(v) - f(v')| <= 0.6 |v - v'|; the inverse repeats v <- y - f(v) until the steps are rounding."""

    def __init__(self, rng: np.random.Generator, d: int, hidden: int) -> None:
        self.branch = Conditioner(rng, d, hidden, d, gain=_RESIDUAL_GAIN, scale=_CONTRACTION / _RESIDUAL_GAIN)
        self.lipschitz = 1.0 + self.branch.lipschitz
        self.lipschitz_inverse = 1.0 / (1.0 - self.branch.lipschitz)

    def forward(self, V: Array, place: Place) -> Array:
        """Add f(v)."""
        return V + self.branch(V, place)

    def jvp(self, V: Array, dV: Array, place: Place) -> Array:
        """dV + f'(v) dV."""
        return dV + self.branch.jvp(V, dV, place)

    def vjp(self, V: Array, U: Array, place: Place) -> Array:
        """U + f'(v)^T U."""
        return U + self.branch.vjp(V, U, place)

    def inverse(self, V: Array, place: Place) -> Array:
        """Iterate to rounding level.

        Raises
        ------
        InfeasibleError
            T8d: the steps do not shrink as a contraction's must.
        """
        xp, limit = namespace(V), _SETTLED * eps_of(V)
        X, moved, length = V, V[:, 0], V[:, 0]
        for _ in range(10 + math.ceil(math.log(limit) / math.log(_CONTRACTION))):
            new = V - self.branch(X, place)
            moved, length = (xp.sqrt(xp.sum(A**2, axis=1)) for A in (new - X, new))
            X = new
            if bool(xp.all(moved <= limit * length)):
                return X
        step = float(xp.max(moved)) / float(xp.max(length))
        raise InfeasibleError(
            f"the fixed point iteration must settle to steps of {limit:.2g}, got {step:.2g}: the block is not a "
            f"contraction; rebuild the map from its specification",
            theorem="T8d",
            value=step,
            limit=limit,
        )
