"""A stream about a provisional mean: sums of large numbers that vary little keep the digits of the variation (T12)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from analytic_dd.arrays import Array, in_double, namespace
from analytic_dd.linalg import Sums

__all__ = ["AboutProvisionalMean"]


class AboutProvisionalMean:
    r"""Blocks of (Phi - c, Y - d, ...): c and d are the means of the first block that is read, d = 0 for classes.

    A time stamp is 1.7e9 with a spread of 100: its squares agree in 14 digits, and  G - n mean mean^T  has none left.
    About c they do not; what is left of the mean is small, and is taken away by :meth:`Sums.centred` as before.

    Theorem: T12 (a shift of features and labels changes the intercept only).

    Parameters
    ----------
    blocks : callable
        Gives blocks of (Phi, Y) or (Phi, Y, sample_weight), see :class:`analytic_dd.ridge.fit.SampleBlocks`.
    labels : bool
        Whether labels are shifted too: not those of classes, of which the largest decides.

    Examples
    --------
    >>> import numpy as np
    >>> stream = AboutProvisionalMean(lambda rows=None, /, *, stage="": [(np.array([[3.0], [5.0]]), np.ones((2, 1)))])
    >>> [(Phi.tolist(), Y.tolist()) for Phi, Y in stream()]
    [([[-1.0], [1.0]], [[0.0], [0.0]])]
    """

    def __init__(self, blocks: Callable[..., Iterable[tuple[Array, ...]]], *, labels: bool = True) -> None:
        self._blocks, self._labels = blocks, labels
        self.mean: Array = None
        self.mean_y: Array = None

    def __call__(self, rows: Any = None, /, *, stage: str = "") -> Iterator[tuple[Array, ...]]:
        for Phi, Y, *others in self._blocks(rows, stage=stage):
            F, T = in_double(Phi), in_double(Y)
            if self.mean is None:
                xp = namespace(F)
                self.mean, self.mean_y = xp.mean(F, axis=0), xp.mean(T, axis=0) * (1.0 if self._labels else 0.0)
            yield F - self.mean, T - self.mean_y, *others
            del Phi, Y, F, T  # before the next is made

    def undone(self, sums: Sums) -> Sums:
        r"""Return the sums of the samples themselves, from those about the provisional means.

        G + c s^T + s c^T + n c c^T,    C + d s^T + t c^T + n d c^T,    s = sum (phi - c),  t = sum (y - d)
        """
        c, d, n = self.mean, self.mean_y, sums.weight
        s, t = sums.sum_phi, sums.sum_y
        mixed = c[:, None] * (s + n * c)[None, :]
        return replace(
            sums,
            G=sums.G + mixed + s[:, None] * c[None, :],
            C=sums.C + d[:, None] * (s + n * c)[None, :] + t[:, None] * c[None, :],
            yy=sums.yy + 2.0 * d * t + n * d * d,
            sum_phi=s + n * c,
            sum_y=t + n * d,
        )
