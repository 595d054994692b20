"""Samples that are read again and again, a block at a time: in float64, centred, times the roots of their weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from analytic_dd.arrays import Array, as_matrix, in_double, namespace

__all__ = ["SampleStream"]

Blocks = Iterable[tuple[Array, ...]]


class SampleStream:
    r"""Iterate over blocks ``(F, T)`` such that ridge regression on all F, T is the weighted, centred one (T12).

        F = sqrt(w) (Phi - mean),   T = sqrt(w) (Y - mean_y)

    Parameters
    ----------
    blocks : callable or re-iterable
        Gives (Phi, Y) or (Phi, Y, sample_weight), the same at every pass: a list, or a function that returns a new
        iterator.
    mean, mean_y : (p,), (k,) arrays, optional
        The means of a model with an unpenalised intercept, :attr:`GramStatistics.mean_phi` and ``mean_y``.

    Attributes
    ----------
    passes : int
        How often the samples were read.

    Raises
    ------
    TypeError
        A generator, which is empty after the first pass.

    Examples
    --------
    >>> import numpy as np
    >>> stream = SampleStream([(np.ones((2, 1)), np.ones((2, 1)), np.array([4.0, 0.0]))])
    >>> [F.tolist() for F, T in stream], [F.tolist() for F, T in stream]
    ([[[2.0], [0.0]]], [[[2.0], [0.0]]])
    >>> SampleStream(block for block in stream)
    Traceback (most recent call last):
        ...
    TypeError: blocks are read more than once, got a generator; give a list, or a function that returns a new iterator
    """

    def __init__(
        self, blocks: Callable[[], Blocks] | Blocks, *, mean: Array | None = None, mean_y: Array | None = None
    ) -> None:
        if isinstance(blocks, Iterator):
            raise TypeError(
                f"blocks are read more than once, got a {type(blocks).__name__}; give a list, or a function that "
                "returns a new iterator"
            )
        self._blocks, self._mean, self._mean_y = blocks, mean, mean_y
        self.passes = 0

    def __iter__(self) -> Iterator[tuple[Array, Array]]:
        self.passes += 1
        blocks = self._blocks() if callable(self._blocks) else self._blocks
        for Phi, Y, *weights in blocks:
            as_matrix(Phi, "Phi")
            as_matrix(Y, "Y", rows=Phi.shape[0])
            F = in_double(Phi) if self._mean is None else in_double(Phi) - self._mean
            T = in_double(Y) if self._mean_y is None else in_double(Y) - self._mean_y
            if weights:
                root = namespace(F).sqrt(in_double(weights[0]))[:, None]
                F, T = root * F, root * T
            yield F, T

    def residual(self, W: Array, ridge: float) -> Array:
        r"""Return ``C - W (G + ridge I) = sum (T - F W^T)^T F - ridge W`` (k, p), from the data and not from G.

        Notes
        -----
        *Cost.* 4 n p k flops and one pass. *Numerics.* The rounding is that of a residual of least squares,
        eps |F| |T - F W^T|; C - W G from the sums would have eps |G| |W|.
        """
        total = -ridge * W
        for F, T in self:
            total = total + (T - F @ W.T).T @ F
        return total
