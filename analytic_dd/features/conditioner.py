r"""The small network inside a coupling or residual block, with a Lipschitz constant that is known exactly.

    net(a) = scale * B [ tanh(gain * A a + beta) - tanh(beta) ] ,      A A^T = I,  B^T B = I

|net(a) - net(a')| <= scale * gain * |a - a'| since tanh has slope at most 1, and net(0) = 0: blocks made of it map 0 to
0, and rounding errors stay relative to the features, provided that the difference is not computed by subtraction:

    tanh(u + beta) - tanh(beta) = T (1 - B^2) / (1 + T B) ,      T = tanh u,  B = tanh beta
"""

from __future__ import annotations

import numpy as np

from analytic_dd.arrays import Array, namespace
from analytic_dd.features.layers import draw_orthonormal
from analytic_dd.features.stage import Place

__all__ = ["Conditioner"]

_SHIFT = 1.0  # beta is in [-1, 1]: breaks the symmetry phi(-x) = -phi(x), and 1 + T B stays above 0.2


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
        self.rest = np.tanh(rng.uniform(-_SHIFT, _SHIFT, hidden))
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
