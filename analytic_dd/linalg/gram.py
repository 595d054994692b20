"""The accumulator of sums, which adds blocks of samples in place, whole or not at all (T13)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from analytic_dd.arrays import Array, as_matrix, as_weights, device_of, in_double, namespace
from analytic_dd.errors import ShapeError
from analytic_dd.linalg.provenance import Provenance
from analytic_dd.linalg.sums import Sums, require_same_sizes, write_sums
from analytic_dd.linalg.threads import one_thread
from analytic_dd.linalg.thresholds import LIMITS
from analytic_dd.linalg.tiles import GramAddition, mirror

__all__ = ["GramStatistics"]

_BLOCK_BYTES = 64 * 2**20  # rows are multiplied in blocks of about this size in float64, 4,096 rows at least
_READ = frozenset(
    {"G", "C", "yy", "sum_phi", "sum_y", "mean_phi", "mean_y", "trace", "has_spectrum"}
    | {"apply_gram", "centred", "spectrum", "largest_eigenvalue", "weights", "path", "factor", "on_host", "save"}
)


class GramStatistics:
    r"""Accumulate ``G = sum phi phi^T`` and ``C = sum y phi^T`` over samples, in float64.

    The accumulator has the attributes of its :meth:`sums`, such as ``G``, ``C``, ``yy``, ``mean_phi``, ``centred()``,
    ``weights(ridge)`` and ``save(path)``.

    Theorem: T13.

    Parameters
    ----------
    p : int
        Number of features.
    k : int
        Number of outputs.

    Attributes
    ----------
    provenance : Provenance or None
        A record of the samples in the sums, which whoever updates them sets.

    Notes
    -----
    *Cost.* A pass takes n p^2 flops with numpy (a symmetric rank-k update, half of a general product) and memory for
    p^2 numbers, a tile and one block. Nothing (n, n) and no second copy of the data is formed. Sums that were handed
    out are copied before the next update.
    *Numerics.* Sums are float64 whatever comes in, and products of float32 data are exact in it.
    *Interrupts.* When an exception (Ctrl-C too) stops an update in the middle, the update is finished before the
    exception goes on. Where that is interrupted again, the sums refuse to be read.

    Examples
    --------
    >>> import numpy as np
    >>> Phi, Y = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]), np.array([[1.0], [0.0], [1.0]])
    >>> whole = GramStatistics(2, 1).update(Phi, Y)
    >>> parts = GramStatistics(2, 1).update(Phi[:1], Y[:1]).merge(GramStatistics(2, 1).update(Phi[1:], Y[1:]))
    >>> bool(np.all(whole.G == parts.G)), whole.n
    (True, 3)
    >>> whole.update(Phi[:, :1], Y)
    Traceback (most recent call last):
        ...
    analytic_dd.errors.ShapeError: Phi must have 2 columns, got 1 (shape (3, 1))
    """

    def __init__(self, p: int, k: int) -> None:
        if p < 1 or k < 1:
            raise ShapeError(f"statistics need at least one feature and one output, got p = {p}, k = {k}")
        self.p, self.k = int(p), int(k)
        self.provenance: Provenance | None = None
        self._held: tuple[Sums, bool] | None = None  # the flag says that G has only its tiles on and below the diagonal
        self._given: tuple[Sums, Sums] | None = None  # what was held when sums were handed out, and those sums
        self._pending: tuple[GramAddition, Sums] | None = None  # an update that is not finished, and its result

    @classmethod
    def of(cls, sums: Sums) -> GramStatistics:
        """Return an accumulator that goes on from ``sums``, which stay as they are."""
        result = cls(sums.p, sums.k)
        result._held, result._given, result.provenance = (sums, False), (sums, sums), sums.provenance
        return result

    def __repr__(self) -> str:
        return f"{type(self).__name__}(n={self.n}, p={self.p}, k={self.k})"

    def __getattr__(self, name: str) -> Any:
        if name in _READ:
            return getattr(self.sums(), name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __getstate__(self) -> dict[str, Any]:
        return {"p": self.p, "k": self.k, "provenance": self.provenance, "sums": self.sums() if self.n else None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["p"], state["k"])  # type: ignore[misc]
        self.provenance = state["provenance"]
        if state["sums"] is not None:
            self._held, self._given = (state["sums"], False), (state["sums"],) * 2

    @property
    def n(self) -> int:
        """Number of samples so far."""
        return 0 if self._whole() is None else self._held[0].n  # type: ignore[index]

    @property
    def weight(self) -> float:
        """Sum of the sample weights so far."""
        return 0.0 if self._whole() is None else self._held[0].weight  # type: ignore[index]

    @property
    def gram_error(self) -> float:
        """See :class:`Sums`."""
        return 0.0 if self._whole() is None else self._held[0].gram_error  # type: ignore[index]

    def sums(self) -> Sums:
        """Return the sums so far, without a copy; later updates do not change them."""
        held = self._whole()
        if held is None:
            raise ValueError("the statistics are empty; call update(Phi, Y) first")
        sums, half = held
        if half:
            mirror(sums.G)
            self._held = sums, False
        if self._given is None or self._given[0] is not sums:
            self._given = sums, sums
        if self._given[1].provenance != self.provenance:
            self._given = sums, replace(sums, provenance=self.provenance)
        return self._given[1]

    def _whole(self) -> tuple[Sums, bool] | None:
        """Return what is held, unless an update was left in the middle."""
        if self._pending is not None:
            raise RuntimeError(
                "an update was interrupted twice, and the sums hold a part of its samples; load the last state, or sum "
                "again"
            )
        return self._held

    def update(self, Phi: Array, Y: Array, *, sample_weight: Array | None = None) -> GramStatistics:
        """Add the samples ``Phi`` (n, p), ``Y`` (n, k), all of them or none, and return ``self``.

        Parameters
        ----------
        Phi, Y : (n, p), (n, k) arrays
        sample_weight : (n,) array, optional
            Weights >= 0; a sample of weight 2 counts as two of weight 1 (T12, rows times the root of the weight).

        Raises
        ------
        ShapeError, TypeError, ValueError
            Sizes do not fit, or there are integers, NaN or weights < 0; the sums are then as before.
        """
        as_matrix(Phi, "Phi", columns=self.p, finite=False)
        as_matrix(Y, "Y", rows=Phi.shape[0], columns=self.k)
        held = self._whole()
        before = None if held is None else held[0]
        xp, n = namespace(Phi, Y, *([] if before is None else [before.C])), int(Phi.shape[0])
        blocks = _blocks(n, self.p)
        labels = in_double(Y)
        ones = xp.ones((n, 1), dtype=labels.dtype, device=device_of(labels))
        labels = xp.concat([labels, ones], axis=1)  # the row of ones makes the sum of Phi, in the same product as C
        weights = None if sample_weight is None else in_double(as_weights(sample_weight, n))[:, None]
        weighted = labels if weights is None else weights * labels
        with np.errstate(over="ignore", invalid="ignore"):
            moments = sum(in_double(Phi[block, :]).T @ weighted[block, :] for block in blocks).T
        if not bool(xp.all(xp.isfinite(moments))):
            as_matrix(Phi, "Phi")  # says where; nothing has been added yet
        sums, squares = xp.sum(weighted, axis=0), xp.sum(weighted * labels, axis=0)
        k, root = self.k, None if weights is None else xp.sqrt(weights)
        added = Sums(n, float(sums[k]), None, moments[:k, :], squares[:k], moments[k, :], sums[:k])
        if isinstance(Phi, np.ndarray):
            addition = GramAddition(self._own(before), _rows_of(Phi, root, blocks), len(blocks), blocks[0].stop)
            self._add_in_place(addition, added, before)
            return self
        G = None if before is None else before.G
        for block in blocks:
            product = _product(Phi[block, :], None if root is None else root[block, :])
            G = product if G is None else G + product
        self._held = _total(G, added, before), False
        return self

    def _own(self, before: Sums | None) -> np.ndarray:
        """Return a G that nobody else has."""
        if before is None:
            return np.zeros((self.p, self.p))
        shared = self._given is not None and self._given[0] is before
        return np.array(before.G) if shared else np.asarray(before.G)

    def _add_in_place(self, addition: GramAddition, added: Sums, before: Sums | None) -> None:
        """Add a block of samples to G and put its sums beside it; an interrupt in the middle waits for the end."""
        after = _total(addition.G, added, before)
        try:
            self._pending = addition, after
            self._settle()
        except BaseException:
            self._settle()
            raise

    def _settle(self) -> None:
        """Finish the update that is pending; every step may be taken twice."""
        if self._pending is not None:
            addition, after = self._pending
            with one_thread(addition.flops <= LIMITS.one_thread_flops):
                addition.finish()
            self._held = after, True
            self._pending = None

    def merge(self, other: GramStatistics | Sums) -> GramStatistics:
        """Add the sums of ``other`` and return ``self``; ``other`` is unchanged, see ``Sums.__add__``."""
        require_same_sizes(self, other)
        if other.n:
            theirs = other if isinstance(other, Sums) else other.sums()
            if self.n:
                self._take(self.sums() + theirs)
            else:
                told = theirs.provenance or self.provenance
                theirs = theirs if told is theirs.provenance else replace(theirs, provenance=told)
                self._given = theirs, theirs  # so that an update copies what belongs to the other
                self._take(theirs)
        return self

    def _take(self, sums: Sums) -> None:
        self._held = sums, False
        self.provenance = sums.provenance

    def subtract(self, other: GramStatistics | Sums) -> GramStatistics:
        """Take the sums of ``other`` away, whose samples are among these, and return ``self``; see ``Sums.__sub__``."""
        require_same_sizes(self, other)
        if other.n:
            theirs = other if isinstance(other, Sums) else other.sums()
            if theirs.n == self.n and theirs.weight <= self.weight * (1.0 + 1e-13):
                self._held, self.provenance = None, None
            else:
                self._take(self.sums() - theirs)
        return self

    def __add__(self, other: GramStatistics | Sums) -> GramStatistics:
        """Return new statistics over the samples of both, which stay as they are; it refuses what :meth:`merge` does.

        Examples
        --------
        >>> import numpy as np
        >>> one, other = (GramStatistics(2, 1).update(c * np.eye(2), np.ones((2, 1))) for c in (1.0, 2.0))
        >>> one + other, (one + other - one).G.tolist(), one.n
        (GramStatistics(n=4, p=2, k=1), [[4.0, 0.0], [0.0, 4.0]], 2)
        """
        return self._copied().merge(other) if isinstance(other, GramStatistics | Sums) else NotImplemented

    __radd__ = __add__  # of sums, which know no statistics

    def __sub__(self, other: GramStatistics | Sums) -> GramStatistics:
        """Return new statistics without the samples of ``other``; it refuses what :meth:`subtract` does."""
        return self._copied().subtract(other) if isinstance(other, GramStatistics | Sums) else NotImplemented

    def __rsub__(self, other: Sums) -> GramStatistics:
        """Return statistics over the samples of sums that are not among these."""
        return GramStatistics.of(other).subtract(self) if isinstance(other, Sums) else NotImplemented

    def _copied(self) -> GramStatistics:
        """Return an accumulator that goes on from these sums, of which none is copied before an update."""
        if self.n:
            return GramStatistics.of(self.sums())
        empty = GramStatistics(self.p, self.k)
        empty.provenance = self.provenance
        return empty

    def remove(
        self, Phi: Array, Y: Array, *, sample_weight: Array | None = None, provenance: Provenance | None = None
    ) -> GramStatistics:
        """Take samples away that were added before, and return ``self``; see :meth:`subtract`.

        Examples
        --------
        >>> import numpy as np
        >>> Phi, Y = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]), np.array([[1.0], [0.0], [1.0]])
        >>> GramStatistics(2, 1).update(Phi, Y).remove(Phi[2:], Y[2:]).G.tolist()
        [[1.0, 0.0], [0.0, 4.0]]
        """
        taken = GramStatistics(self.p, self.k).update(Phi, Y, sample_weight=sample_weight)
        taken.provenance = provenance
        return self.subtract(taken)

    def save_state(self, path: str | Path, **counts: int) -> None:
        """Write the sums so far with further ``counts``, see :func:`write_sums`; the next update copies nothing."""
        given = self._given
        write_sums(path, self.sums(), **counts)
        self._given = given

    @classmethod
    def load(cls, path: str | Path) -> GramStatistics:
        """Read sums written by :meth:`Sums.save`, to go on from them."""
        result = cls.of(Sums.load(path))
        result._given = None  # nobody else has them, so an update needs no copy
        return result


def _blocks(n: int, p: int) -> list[slice]:
    rows = max(4096, _BLOCK_BYTES // (8 * p))
    return [slice(start, min(start + rows, n)) for start in range(0, n, rows)]


def _total(G: Array, added: Sums, before: Sums | None) -> Sums:
    """Return the sums of both with their common G."""
    if before is None:
        return replace(added, G=G)
    return Sums(
        before.n + added.n,
        before.weight + added.weight,
        G,
        *(getattr(before, name) + getattr(added, name) for name in ("C", "yy", "sum_phi", "sum_y")),
        gram_error=before.gram_error,
    )


def _product(F: Array, root: Array | None) -> Array:
    F = in_double(F) if root is None else root * in_double(F)
    return F.T @ F


def _rows_of(Phi: np.ndarray, root: np.ndarray | None, blocks: list[slice]) -> Callable[[int], np.ndarray]:
    """Return a function that gives a block times the roots of its weights (T12), in memory that is taken here."""
    if root is None and Phi.dtype == np.float64:
        return lambda i: Phi[blocks[i]]
    buffer, factor = np.empty((blocks[0].stop, Phi.shape[1])), np.ones((1, 1)) if root is None else root
    last = [-1]

    def rows(i: int) -> np.ndarray:
        block = blocks[i]
        found = buffer[: block.stop - block.start]
        if last[0] != i:
            np.multiply(Phi[block], factor if root is None else factor[block], out=found)
            last[0] = i
        return found

    return rows
