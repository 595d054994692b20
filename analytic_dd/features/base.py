"""What a feature map promises: an exact pre-image, a range it can be asked about, a specification it is rebuilt from.

Theorem: T8 (surjective maps). A distilled set in feature space becomes one in input space by ``preimage``; the weights
are then those of the original model to within ``eps * condition()``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import array_api_compat as compat
import numpy as np

from analytic_dd.arrays import Array, as_matrix, detached, dtype_name, eps_of, namespace
from analytic_dd.errors import InfeasibleError, RangeError
from analytic_dd.features.ranges import Range
from analytic_dd.features.sizes import Sizes

__all__ = ["FeatureMap", "Kind", "RangeCheck", "draw_seed", "parameters_from"]

Kind = Literal["bijective", "surjective", "injective", "general"]


_BLOCK_BYTES = 64 * 2**20  # what a block of samples may take in its widest layer


def draw_seed(rng: np.random.Generator | int) -> int:
    """Return the integer that determines a map's parameters: drawn from a generator, or given (by a specification)."""
    if isinstance(rng, np.random.Generator):
        return int(rng.integers(2**63))
    if isinstance(rng, (int, np.integer)) and not isinstance(rng, bool) and rng >= 0:
        return int(rng)
    raise TypeError(f"rng must be a numpy.random.Generator or a seed >= 0, got {rng!r}; use default_rng(0)")


def parameters_from(seed: int) -> np.random.Generator:
    """Return the generator that a map's parameters are drawn from: PCG64, the same stream on every platform."""
    return np.random.Generator(np.random.PCG64(seed))


@dataclass(frozen=True)
class RangeCheck:
    """Whether features lie in the range of a map; true or false as a condition.

    Attributes
    ----------
    inside : bool
    row, column : int
        The worst entry (``column`` is -1 where the range constrains whole rows).
    excess : float
        By how much that entry is outside, in units of features; negative is the room that is left.
    reason : str
        The range in words.
    """

    inside: bool
    row: int = 0
    column: int = 0
    excess: float = -np.inf
    reason: str = "every feature vector is in the range"

    def __bool__(self) -> bool:
        return self.inside


class FeatureMap(ABC):
    """A map phi from inputs (n, d) to features (n, p); rows are independent samples.

    Attributes
    ----------
    d, p : int
        Sizes of an input and of a feature vector.
    kind : {"bijective", "surjective", "injective", "general"}
        What is known of phi as a map R^d -> R^p ("surjective" for a map onto an open box too, see :meth:`in_range`).

    Notes
    -----
    Parameters are kept once, as float64 numpy arrays, and are brought to the library, dtype and device of the input
    when called; torch gradients flow through inputs. A subclass writes ``_map``, ``_preimage``, ``range``,
    ``condition`` and ``options``; with ``_jvp`` and ``_vjp`` it has derivatives in closed form, without them central
    differences.
    """

    name: ClassVar[str]
    is_code: ClassVar[bool] = False  # whether it is code that a specification cannot rebuild
    kind: Kind
    d: int
    p: int

    def __call__(self, X: Array) -> Array:
        """Return the features (n, p) of the inputs ``X`` (n, d), a block of samples at a time."""
        as_matrix(X, "X", columns=self.d)
        return self._blockwise(self._map, X)

    def preimage(self, Phi: Array, *, near: Array | None = None) -> Array:
        """Return inputs ``X`` (m, d) with phi(X) = Phi, the nearest to ``near`` (m, d) that the map can name.

        No row is farther from its reference than the pre-image without one.

        Raises
        ------
        RangeError
            A row of ``Phi`` is not in the range; the message names the worst entry and by how much. Nothing is clamped.
        """
        as_matrix(Phi, "Phi", columns=self.p)
        if near is not None:
            as_matrix(near, "near", rows=Phi.shape[0], columns=self.d)
        check = self.in_range(detached(Phi))
        if not check:
            where = f"row {check.row}" + (f", column {check.column}" if check.column >= 0 else "")
            raise RangeError(
                f"features must lie in the range of {self.name}: {check.reason}; {where} is outside by "
                f"{check.excess:.3g}; scale features, labels and ridge together by scale_into_range(Phi) (ridge by its "
                "square)"
            )
        if near is None or self.kind in ("bijective", "injective"):
            return self._blockwise(lambda rows: self._preimage(rows, None), Phi, columns=self.d)
        return self._blockwise(self._nearer, Phi, near, columns=self.d)

    def in_range(self, Phi: Array) -> RangeCheck:
        """Say whether every row of ``Phi`` (m, p) is in the range of phi, and which entry is worst."""
        as_matrix(Phi, "Phi", columns=self.p)
        return RangeCheck(True)

    def scale_into_range(self, Phi: Array) -> float:
        """Return the largest c in (0, 1] that the map recommends for c * Phi to be in its range (T4': scale all three).

        Raises
        ------
        RangeError
            No scaling brings ``Phi`` into the range.
        """
        as_matrix(Phi, "Phi", columns=self.p)
        return 1.0

    def local_preimage(self, Phi: Array, *, near: Array) -> Array:
        """Return the inputs near ``near`` (m, d) of features in the neighbourhood of phi(near).

        A map onto its range takes :meth:`preimage`; others say more where an inverse of their layers exists.

        Theorem: T9.

        Raises
        ------
        InfeasibleError
            The map has no inverse in closed form, even near a point; Newton's method with :meth:`jacobian` may have.
        RangeError
            ``Phi`` is too far from phi(near).
        """
        if self.kind not in ("bijective", "surjective"):
            raise InfeasibleError(
                f"T9: a pre-image near a point needs a map onto its range, got {self.name} of kind {self.kind}; use "
                "its Jacobian (Newton's method), or points whose features span the features (T10)",
                theorem="T9",
                value=0.0,
                limit=1.0,
            )
        return self.preimage(Phi, near=near)

    @property
    @abstractmethod
    def range(self) -> Range:
        """The shape of the range, by which a construction is chosen; see :mod:`analytic_dd.features.ranges`."""

    @property
    def is_identity(self) -> bool:
        """Whether phi(x) = x: sums of the inputs are sums of the features, and a range of pixels one of features."""
        return False

    def project(self, W: Array) -> Array:
        """Return the rows of ``W`` (k, p) projected on the span of all features (T8e); ``W`` itself for most maps.

        The weights of a model fitted on these features have their rows there already, up to rounding.
        """
        return self.range.project(W)

    def jvp(self, X: Array, V: Array) -> Array:
        r"""Return the derivatives of the features in given directions: rows  J(x_i) v_i .

        Theorem: T9, T22 (what a construction asks of a map that has no pre-images).

        Parameters
        ----------
        X : (n, d) or (1, d) array
            Inputs; one row serves all directions.
        V : (n, d) array
            Directions.

        Returns
        -------
        (n, p) array

        Notes
        -----
        *Numerics.* To rounding for maps with a closed form. Others take central differences, whose relative error is
        about eps^(2/3). At a kink of a piecewise linear map it is the derivative of the piece that the map evaluates.
        """
        return self._along(self._jvp, X, V, "V", (self.d, self.p))

    def vjp(self, X: Array, U: Array) -> Array:
        r"""Return the gradients of the features' combinations: rows  J(x_i)^T u_i .

        Parameters
        ----------
        X : (n, d) or (1, d) array
            Inputs; one row serves all combinations.
        U : (n, p) array
            Coefficients.

        Returns
        -------
        (n, d) array
        """
        return self._along(self._vjp, X, U, "U", (self.p, self.d))

    def jacobian(self, x: Array) -> Array:
        """Return the Jacobian (p, d) of phi at one input ``x``, of shape (d,) or (1, d).

        Notes
        -----
        *Cost.* One :meth:`jvp` of d directions, or what the map has that is cheaper. O(p d) memory.

        Examples
        --------
        >>> from analytic_dd.features import FullyConnected
        >>> phi, x = FullyConnected([3, 2], rng=0), np.array([0.1, -0.2, 0.3])
        >>> phi.jacobian(x).shape, bool(np.allclose(phi.jacobian(x) @ x, phi(x[None])[0]))  # piecewise linear
        ((2, 3), True)
        """
        x = x[None, :] if getattr(x, "ndim", 2) == 1 else x
        as_matrix(x, "x", rows=1, columns=self.d)
        return self._jacobian(x)

    def _along(
        self, function: Callable[[Array, Array], Array], X: Array, V: Array, name: str, sizes: tuple[int, int]
    ) -> Array:
        """Check X and V and apply ``function`` to blocks of rows; ``sizes`` are the columns of V and of the values."""
        as_matrix(V, name, columns=sizes[0])
        as_matrix(X, "X", rows=None if X.shape[0] == 1 else V.shape[0], columns=self.d)
        if X.shape[0] == 1:
            return self._blockwise(lambda rows: function(X, rows), V, columns=sizes[1])
        return self._blockwise(function, X, V, columns=sizes[1])

    def _affine(self) -> tuple[np.ndarray, np.ndarray | None] | None:
        """B (p, d) and c (p,) or None of a map B x + c; None for any other map."""
        return None

    def _jvp(self, X: Array, V: Array) -> Array:
        """Central differences; a map with a closed form overrides this and :meth:`_vjp`."""
        xp = namespace(X)
        size = xp.max(xp.abs(V), axis=1, keepdims=True)
        reach = xp.max(xp.abs(X), axis=1, keepdims=True)
        reach = xp.where(reach > 1.0, reach, xp.ones_like(reach))
        step = eps_of(X) ** (1.0 / 3.0) * reach / xp.where(size > 0.0, size, xp.ones_like(size))
        return (self._map(X + step * V) - self._map(X - step * V)) / (2.0 * step)

    def _vjp(self, X: Array, U: Array) -> Array:
        """From the Jacobian of each input."""
        if X.shape[0] == 1:
            return U @ self._jacobian(X)
        xp = namespace(X)
        rows = [U[i : i + 1, :] @ self._jacobian(X[i : i + 1, :]) for i in range(X.shape[0])]
        return xp.concat(rows, axis=0)

    def _jacobian(self, x: Array) -> Array:
        eye = namespace(x).eye(self.d, dtype=x.dtype, device=compat.device(x))
        return self._blockwise(lambda rows: self._jvp(x, rows), eye).T

    def _nearer(self, Phi: Array, near: Array) -> Array:
        """Keep, row by row, the nearer of two pre-images: the nearest in every layer need not be nearest in all."""
        xp = namespace(Phi)
        found, default = self._preimage(Phi, near), self._preimage(Phi, None)
        far, close = (xp.sum((X - near) ** 2, axis=1, keepdims=True) for X in (default, found))
        return xp.where(close <= far, found, default)

    @abstractmethod
    def _map(self, X: Array) -> Array:
        """Features of one block of checked inputs."""

    @abstractmethod
    def _preimage(self, Phi: Array, near: Array | None) -> Array:
        """Inputs of features that are known to be in the range."""

    @abstractmethod
    def condition(self) -> float:
        """Return the factor by which the round trip phi(preimage(Phi)) may amplify rounding (1 for the identity)."""

    def flops(self) -> float | None:
        """Return the flops of a sample in products with layers, or None: the map does not say."""
        return None

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Return the constructor's arguments as JSON values, ``rng`` as the integer seed."""

    @classmethod
    def sizes(cls, *args: Any, **options: Any) -> Sizes | None:
        """Return the sizes that the constructor's arguments ask for, or None: the map cannot say without being built.

        A map that says so is never drawn for a stored set whose arrays have other sizes, nor beyond bounds.
        """
        return None

    def spec(self) -> dict[str, Any]:
        """Return what :func:`analytic_dd.features.from_spec` rebuilds this map from: JSON values only."""
        return {"map": self.name, **self.options()}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{key}={value!r}' for key, value in self.options().items())})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FeatureMap) and self.spec() == other.spec()

    __hash__ = None  # type: ignore[assignment]

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_placed"}

    def _like(self, X: Array, A: Any) -> Array:
        """Return the parameter ``A`` in the library, dtype and device of ``X``; placed once, then reused."""
        if isinstance(X, np.ndarray) and X.dtype == A.dtype:
            return A
        placed = self.__dict__.setdefault("_placed", {})
        xp = namespace(X)
        key = (id(A), xp.__name__, dtype_name(X), str(compat.device(X)))
        if key not in placed:
            B = xp.asarray(np.asarray(A), dtype=X.dtype, device=compat.device(X))
            if compat.is_torch_array(B) and B.is_inference():
                return B  # made in torch.inference_mode: it could not serve a gradient later
            placed[key] = (A, B)
        return placed[key][1]

    def _widest(self) -> int:
        """Number of floats a sample takes in its widest layer; sets the size of a block."""
        return max(self.d, self.p)

    def _block_rows(self) -> int:
        """Number of samples in a block."""
        return int(max(16, _BLOCK_BYTES // (8 * self._widest())))

    def _blockwise(self, function: Callable[..., Array], *inputs: Array, columns: int | None = None) -> Array:
        """Apply ``function`` to blocks of rows of ``inputs``; its values have ``columns`` columns (p by default)."""
        rows, total = self._block_rows(), inputs[0].shape[0]
        if total <= rows:
            return function(*inputs)
        blocks = (tuple(A[start : min(start + rows, total), :] for A in inputs) for start in range(0, total, rows))
        if isinstance(inputs[0], np.ndarray):
            out = np.empty((total, self.p if columns is None else columns), dtype=inputs[0].dtype)
            for index, block in enumerate(blocks):
                out[index * rows : (index + 1) * rows] = function(*block)
            return out
        return namespace(inputs[0]).concat([function(*block) for block in blocks], axis=0)
