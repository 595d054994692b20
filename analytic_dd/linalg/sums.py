"""Sums that determine ridge regression: n, G = sum phi phi^T, C = sum y phi^T, sum y^2, sum phi and sum y.

Theorem: T12 (every sum takes the weight of the sample as a factor, 1 by default).
Theorem: T13. With a fixed feature map, chunks, processes and machines are merged by adding their sums; every ridge,
with or without an intercept, follows from them. Distilled sets of parts do not merge; these do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from analytic_dd.arrays import Array, as_matrix, as_ridge, device_of, namespace, to_numpy
from analytic_dd.errors import DataError, ShapeError
from analytic_dd.files import read_npz, write_npz
from analytic_dd.linalg.cholesky import CholeskyFactor
from analytic_dd.linalg.gram_spectrum import GramSpectrum, eigendecomposition, weights_of_independent
from analytic_dd.linalg.provenance import Provenance
from analytic_dd.linalg.spectrum import eigenvalues
from analytic_dd.linalg.thresholds import LIMITS

__all__ = ["Sums", "read_sums", "require_same_sizes", "write_sums"]

_FORMAT = "analytic_dd.GramStatistics/1"  # the name that 0.1 gave it; 0.1 reads these files too
_ARRAYS = ("G", "C", "yy", "sum_phi", "sum_y")
_ROUNDING = 100.0 * 2.0**-52  # of trace(G): an eigenvalue below minus this is no rounding of a sum of squares


@dataclass(frozen=True, eq=False, repr=False)
class Sums:
    r"""Sums over samples in float64, which :class:`GramStatistics` makes; they are added and subtracted, never changed.

    Theorem: T13.

    Attributes
    ----------
    n : int
        Number of samples.
    weight : float
        Sum of the sample weights; n without weights.
    G : (p, p) array
        Sum of phi phi^T, symmetric to the last bit.
    C : (k, p) array
        Sum of y phi^T.
    yy : (k,) array
        Sum of squared labels.
    sum_phi, sum_y : (p,), (k,) arrays
    provenance : Provenance or None
        A record of the samples in the sums, which ``+`` and ``-`` check and :meth:`save` keeps.
    gram_error : float
        Bound on the spectral norm of what G lost to sums that were taken away (and, in files of 0.1, to float32
        products); 0 where neither happened. The relative error of W from it is at most
        gram_error / (s_p^2 + ridge).

    Notes
    -----
    *Numerics.* The error of the weights is eps times the *square* of cond_eff,
    cond_eff^2 = (s_1^2 + ridge) / (s_p^2 + ridge); :func:`analytic_dd.ridge.choose_solver` says when to read the
    samples again instead.

    Examples
    --------
    >>> import numpy as np
    >>> from analytic_dd.linalg import GramStatistics
    >>> Phi, Y = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]), np.array([[1.0], [0.0], [1.0]])
    >>> whole = GramStatistics(2, 1).update(Phi, Y).sums()
    >>> part = GramStatistics(2, 1).update(Phi[:1], Y[:1]).sums()
    >>> (whole - part).G.tolist(), (whole - part + part).n
    ([[1.0, 1.0], [1.0, 5.0]], 3)
    >>> part - whole
    Traceback (most recent call last):
        ...
    ValueError: cannot take 3 samples of weight 3 from 1 of weight 1; they are not all among these
    """

    n: int
    weight: float
    G: Array
    C: Array
    yy: Array
    sum_phi: Array
    sum_y: Array
    provenance: Provenance | None = field(default=None, kw_only=True)
    gram_error: float = field(default=0.0, kw_only=True)
    _spectrum: GramSpectrum | None = field(default=None, init=False)

    @property
    def p(self) -> int:
        """Number of features."""
        return int(self.C.shape[1])

    @property
    def k(self) -> int:
        """Number of outputs."""
        return int(self.C.shape[0])

    def __repr__(self) -> str:
        return f"{type(self).__name__}(n={self.n}, p={self.p}, k={self.k})"

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_spectrum": None}  # as large as the sums, and computed again when needed

    def __add__(self, other: Sums) -> Sums:
        """Return the sums over the samples of both: the same p and k, the same feature map.

        Raises
        ------
        ShapeError
            p or k differ.
        DataError
            Their provenances differ in what must agree or name a sample twice, or only one has a provenance.
        """
        if not isinstance(other, Sums):
            return NotImplemented  # of an accumulator, which adds sums itself
        require_same_sizes(self, other)
        told = self._told_with(other)
        return Sums(
            self.n + other.n,
            self.weight + other.weight,
            *(getattr(self, name) + getattr(other, name) for name in _ARRAYS),
            provenance=None if told is None else told[0].joined(told[1]),
            gram_error=self.gram_error + other.gram_error,
        )

    def __sub__(self, other: Sums) -> Sums:
        """Return the sums over the samples that are not in ``other``, whose samples are among these (T13, T23c).

        Raises
        ------
        ValueError
            There is less weight or no sample left, or the remainder is no sum of squares (an eigenvalue is below -100
            eps trace(G)), so that those samples were never added.
        ShapeError, DataError
            As for ``+``, or the provenance does not name a sample.

        Notes
        -----
        *Cost.* p^3 / 3 flops for the check, 2 p^2 memory. *Numerics.* The remainder keeps the rounding of the sums
        before, so that ``gram_error`` grows by 10 eps trace(G). It matters where nearly everything is taken away.
        """
        if not isinstance(other, Sums):
            return NotImplemented
        require_same_sizes(self, other)
        if other.n > self.n or other.weight > self.weight * (1.0 + _ROUNDING):
            raise ValueError(
                f"cannot take {other.n} samples of weight {other.weight:.6g} from {self.n} of weight "
                f"{self.weight:.6g}; they are not all among these"
            )
        told = self._told_with(other)
        provenance = None if told is None else told[0].without(told[1])
        if other.n == self.n:
            raise ValueError(f"all {self.n} samples are taken away, and nothing is left to fit; keep at least one")
        left = [getattr(self, name) - getattr(other, name) for name in _ARRAYS]
        _require_sum_of_squares(left[0], left[2], _ROUNDING * self.trace, _ROUNDING * _total(self.yy))
        error = self.gram_error + other.gram_error + 0.1 * _ROUNDING * self.trace
        weight = max(self.weight - other.weight, 0.0)
        return Sums(self.n - other.n, weight, *left, provenance=provenance, gram_error=error)

    def _told_with(self, other: Sums) -> tuple[Provenance, Provenance] | None:
        """Return both provenances, or None where neither sum has one."""
        if self.provenance is None and other.provenance is None:
            return None
        if self.provenance is None or other.provenance is None:
            raise DataError(
                "one of the two sums has a provenance and the other has none, so that nobody can tell whether they "
                "are of one feature map; set .provenance of both, or of neither"
            )
        self._require_count()
        other._require_count()
        return self.provenance, other.provenance

    def _require_count(self) -> None:
        if self.provenance is not None and self.provenance.samples and self.provenance.count != self.n:
            raise DataError(
                f"the provenance names {self.provenance.count} samples, the sums hold {self.n}; "
                "set .provenance after an update"
            )

    def _require_weight(self) -> None:
        if not self.weight > 0.0:
            raise ValueError("the statistics have no weight; give a sample some")

    @property
    def mean_phi(self) -> Array:
        """The weighted mean of the features (p,)."""
        self._require_weight()
        return self.sum_phi / self.weight

    @property
    def mean_y(self) -> Array:
        """The weighted mean of the labels (k,)."""
        self._require_weight()
        return self.sum_y / self.weight

    @property
    def squares(self) -> Array:
        """The diagonal of G, the weighted sum of squares of each feature (p,)."""
        return namespace(self.G).linalg.diagonal(self.G)

    @property
    def trace(self) -> float:
        """The trace of G, the weighted sum of squared features."""
        return _total(self.squares)

    def apply_gram(self, X: Array) -> Array:
        """Return ``X G`` (q, p) for ``X`` (q, p)."""
        return as_matrix(X, "X", columns=self.p) @ self.G

    def on_host(self) -> Sums:
        """Return the same sums in numpy arrays, or these where they are."""
        if isinstance(self.C, np.ndarray):
            return self
        arrays: dict[str, Any] = {name: to_numpy(getattr(self, name)) for name in _ARRAYS}
        return replace(self, **arrays)

    def centred(self) -> Sums:
        """Return the sums of ``Phi - mean``, ``Y - mean``: ridge regression with an unpenalised intercept (T12).

        *Numerics.* ``G - n mean mean^T`` loses the digits by which the mean exceeds the deviation: sum about one near.
        """
        mean, mean_y = self.mean_phi, self.mean_y
        return Sums(
            self.n,
            self.weight,
            self.G - (self.weight * mean[:, None]) * mean[None, :],
            self.C - (self.weight * mean_y[:, None]) * mean[None, :],
            self.yy - self.weight * mean_y * mean_y,
            self.sum_phi * 0.0,
            self.sum_y * 0.0,
            gram_error=self.gram_error,
        )

    def spectrum(self) -> GramSpectrum:
        """Return the eigendecomposition of G, which is kept; O(p^3) once."""
        self._require_weight()
        if self._spectrum is None:
            xp = namespace(self.G)
            if not bool(xp.all(xp.isfinite(self.G))):
                raise ValueError("the Gram matrix is not finite: features overflow when squared; scale them down")
            object.__setattr__(self, "_spectrum", eigendecomposition(self.G))
        assert self._spectrum is not None
        return self._spectrum

    @property
    def has_spectrum(self) -> bool:
        """Whether the eigendecomposition is at hand, so that using it costs nothing."""
        return self._spectrum is not None

    def largest_eigenvalue(self) -> float:
        """Return the largest eigenvalue of G."""
        return float(self.spectrum().values[0])

    def weights(self, ridge: float) -> Array:
        """Return ridge regression weights (k, p): ``W = C (G + ridge I)^-1``, of least norm at ridge 0.

        *Cost.* A Cholesky factor, p^3 / 3 flops, where ridge >= 1e-10 trace(G) and no spectrum is at hand; else that.
        """
        ridge = as_ridge(ridge)
        self._require_weight()
        if self._spectrum is None and self._is_definite(ridge):
            return self.factor(ridge).solve(self.C.T).T
        found = weights_of_independent(self.G, self.C) if ridge == 0.0 else None
        return self.spectrum().weights(self.C, ridge) if found is None else found

    def path(self, ridges: Sequence[float] | np.ndarray) -> Array:
        """Return the weights (L, k, p) for all ``ridges``, by one eigendecomposition."""
        spectrum = self.spectrum()
        return namespace(self.C).stack([spectrum.weights(self.C, as_ridge(ridge)) for ridge in ridges])

    def factor(self, ridge: float) -> CholeskyFactor:
        """Return the Cholesky factor of ``G + ridge I``; ValueError where that is not positive definite."""
        G, xp = self.G, namespace(self.C)
        if isinstance(G, np.ndarray):
            shifted = G.copy()
            shifted.flat[:: self.p + 1] += ridge
            return CholeskyFactor(shifted)
        shifted = G + ridge * xp.eye(self.p, dtype=G.dtype, device=device_of(G))
        return CholeskyFactor(shifted)

    def _is_definite(self, ridge: float) -> bool:
        """Whether ``ridge`` is large enough that G + ridge I has a Cholesky factor."""
        trace = self.trace
        return ridge > 0.0 and LIMITS.definite * trace <= ridge < float("inf") and trace < float("inf")

    def save(self, path: str | Path) -> None:
        """Write the sums and their provenance to an npz file, atomically and without pickles."""
        write_sums(path, self)

    @classmethod
    def load(cls, path: str | Path) -> Sums:
        """Read sums written by :meth:`save`, of 0.1 too; see :func:`read_sums`."""
        return read_sums(path)[0]


def require_same_sizes(one: Any, other: Any) -> None:
    """Refuse sums of another p or k."""
    if (one.p, one.k) != (other.p, other.k):
        raise ShapeError(
            f"statistics must have the same p and k, got {(one.p, one.k)} and {(other.p, other.k)}; "
            "sums of different feature maps do not add"
        )


def _total(values: Array) -> float:
    return float(namespace(values).sum(values))


def _require_sum_of_squares(G: Array, yy: Array, slack: float, slack_y: float) -> None:
    """Refuse a remainder that is not positive semi-definite to within ``slack``, without an eigendecomposition."""
    xp = namespace(G)
    if float(xp.min(yy)) < -slack_y:
        raise ValueError(
            f"what is left has a sum of squared labels of {float(xp.min(yy)):.3g}; those samples were not added before"
        )
    try:
        CholeskyFactor(G + (2.0 * slack) * xp.eye(G.shape[0], dtype=G.dtype, device=device_of(G)))
    except ValueError:
        lowest = float(xp.min(eigenvalues(G)))
        if lowest < -slack:
            raise ValueError(
                f"what is left is no sum of squares: its smallest eigenvalue is {lowest:.3g}, rounding allows "
                f"{-slack:.2g}; those samples were not added before"
            ) from None


def write_sums(path: str | Path, sums: Sums, **counts: int) -> None:
    """Write sums (arrays of any library) and further ``counts``, replacing what stood at ``path`` at the end."""
    sums._require_weight()
    sums._require_count()
    numbers = {"n": sums.n, "weight": sums.weight, "gram_error": sums.gram_error} | counts
    members: dict[str, np.ndarray] = {"format": np.frombuffer(_FORMAT.encode(), dtype=np.uint8)}
    members |= {name: np.asarray(value) for name, value in numbers.items()}
    if sums.provenance is not None:
        members["provenance"] = np.frombuffer(sums.provenance.to_json().encode(), dtype=np.uint8)
    write_npz(path, members | {name: to_numpy(getattr(sums, name)) for name in _ARRAYS})


def read_sums(path: str | Path, *, counts: Sequence[str] = ()) -> tuple[Sums, dict[str, int]]:
    """Read and check what :func:`write_sums` wrote: the sums, and the further ``counts``.

    Raises
    ------
    DataError
        The file is another, or sizes in it contradict each other.
    """
    stored: dict[str, Any] = dict(read_npz(path))
    if bytes(stored.get("format", np.zeros(0, np.uint8))) != _FORMAT.encode():
        raise DataError(f"{path} holds no statistics of this version ({_FORMAT}); make it with GramStatistics.save")
    stored.setdefault("gram_error", np.asarray(0.0))
    _require_numbers(path, stored, counts)
    _require_sums(path, stored)
    if stored["gram_error"] < 0.0 or any(stored[name] < 0 for name in counts):
        raise DataError(f"{path}: errors and counts must be >= 0; the file is damaged, make it again")
    n, weight, error = int(stored["n"]), float(stored["weight"]), float(stored["gram_error"])
    provenance = _provenance(path, stored.get("provenance"), n)
    sums = Sums(n, weight, *(stored[name] for name in _ARRAYS), provenance=provenance, gram_error=error)
    return sums, {name: int(stored[name]) for name in counts}


def _require_numbers(path: str | Path, stored: dict[str, Any], counts: Sequence[str]) -> None:
    """Refuse members that are missing, not finite, or of another shape or kind."""
    k, p = stored["C"].shape if "C" in stored and stored["C"].ndim == 2 else (0, 0)
    shapes: dict[str, tuple[int, ...]] = {"C": (k, p), "G": (p, p), "yy": (k,), "sum_phi": (p,), "sum_y": (k,)}
    for name, shape in (shapes | dict.fromkeys(("n", *counts, "weight", "gram_error"), ())).items():
        array = stored.get(name)
        numeric = array is not None and array.dtype.kind == ("i" if name in ("n", *counts) else "f") and k and p
        if array is None or not numeric or array.shape != shape or not np.all(np.isfinite(array)):
            raise DataError(f"{path}: {name} must be finite of shape {shape}; the file is damaged, make it again")
    if any(stored[name].dtype != np.float64 for name in _ARRAYS):
        raise DataError(f"{path}: sums must be float64; the file is damaged, make it again")


def _require_sums(path: str | Path, stored: dict[str, Any]) -> None:
    """Refuse numbers that are sums of nothing."""
    G = stored["G"]
    if np.abs(G - G.T).max() > 1e-12 * np.abs(G).max():
        raise DataError(f"{path}: G must be symmetric; the file is damaged, make it again")
    if any(values.min() < -1e-9 * np.abs(values).max() for values in (np.diagonal(G), stored["yy"])):
        raise DataError(f"{path}: sums of squares must be >= 0; the file is damaged, make it again")
    if stored["n"] < 1 or not stored["weight"] > 0.0:
        raise DataError(f"{path}: n must be at least 1, got {stored['n']}; the file is damaged, make it again")


def _provenance(path: str | Path, stored: Any, n: int) -> Provenance | None:
    if stored is None:
        return None
    if stored.dtype != np.uint8 or stored.ndim != 1:
        raise DataError(f"{path}: the provenance must be bytes; the file is damaged, make it again")
    try:
        provenance = Provenance.from_json(stored.tobytes().decode())
    except (DataError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {error}") from error
    if provenance.samples and provenance.count != n:
        raise DataError(f"{path}: the provenance names {provenance.count} samples, the sums hold {n}; make it again")
    return provenance
