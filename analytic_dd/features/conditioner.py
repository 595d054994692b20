r"""The small network inside a coupling or residual block, with a Lipschitz constant that is known exactly.

    net(a) = scale * B [ tanh(gain * A a + beta) - tanh(beta) ] ,      A A^T = I,  B^T B = I

|net(a) - net(a')| <= scale * gain * |a - a'| since tanh has slope at most 1, and net(0) = 0: blocks made of it map 0 to
0, so that rounding errors stay relative to the features.
"""

from __future__ import annotations

import numpy as np

from analytic_dd.arrays import Array, namespace
from analytic_dd.features.orthonormal import draw_orthonormal
from analytic_dd.features.stage import Place

__all__ = ["Conditioner"]


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
        self.shift = rng.standard_normal(hidden)
        self.rest = np.tanh(self.shift)
        self.lipschitz = gain * scale

    def __call__(self, V: Array, place: Place) -> Array:
        """Return the outputs (n, d_out) of the rows of ``V`` (n, d_in)."""
        xp = namespace(V)
        hidden = xp.tanh(xp.matmul(V, place(V, self.inward)) + place(V, self.shift)) - place(V, self.rest)
        return xp.matmul(hidden, place(V, self.outward))
