"""What a feature map promises: exact pre-images, a range that it knows, and a specification that rebuilds it.

Theorem: T8 (surjective maps). ``preimage`` takes a distilled set in feature space to one in input space, whose weights
are those of the original model to within ``eps * condition()``.
"""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, ClassVar, Literal, cast

import array_api_compat as compat
import numpy as np

from analytic_dd.arrays import (
    Array,
    ArrayT,
    as_matrix,
    detached,
    device_of,
    dtype_name,
    eps_of,
    namespace,
    without_autocast,
)
from analytic_dd.errors import InfeasibleError, RangeError
from analytic_dd.features.ranges import Open, Range, RangeCheck, Subspace
from analytic_dd.features.sizes import Sizes
from analytic_dd.memory import require_memory

__all__ = ["FeatureMap", "ForwardMap", "Kind", "draw_seed"]

Kind = Literal["bijective", "surjective", "injective", "general"]

_BLOCK_BYTES = 64 * 2**20  # the most that a block of samples takes in its widest layer


def draw_seed(rng: np.random.Generator | int) -> int:
    """Return the integer that determines a map's parameters, which a generator draws or a specification gives."""
    if isinstance(rng, np.random.Generator):
        return int(rng.integers(2**63))
    if isinstance(rng, (int, np.integer)) and not isinstance(rng, bool) and rng >= 0:
        return int(rng)
    raise TypeError(f"rng must be a numpy.random.Generator or a seed >= 0, got {rng!r}; use default_rng(0)")


class FeatureMap(ABC):
    """A map phi from inputs (n, d) to features (n, p); rows are independent samples.

    Attributes
    ----------
    d, p : int
        Sizes of an input and of a feature vector.
    kind : {"bijective", "surjective", "injective", "general"}
        What is known of phi as a map R^d -> R^p; a map onto an open box counts as surjective too, see :meth:`in_range`.
    made_in : str
        The dtype in which its numbers were trained, where Jacobians take far less time in it than in float64; else "".

    Notes
    -----
    Parameters are float64 numpy arrays. A call brings them to the library, dtype and device of the input, and torch
    gradients flow through inputs. It computes in that dtype, also where the caller has torch.autocast; a ``backward``
    that the caller starts is the caller's. A subclass writes ``_map``, ``_preimage`` and ``condition``, keeps the
    constructor's arguments as attributes (the seed of ``rng`` as ``seed``), and says its ``range`` where that is not
    all of R^p. With ``_jvp`` and ``_vjp`` it has derivatives in closed form, and otherwise central differences.
    """

    name: ClassVar[str]
    is_code: ClassVar[bool] = False  # whether only its code can rebuild it
    made_in: str = ""  # the dtype in which its numbers were trained, where Jacobians take far less time than in float64
    kind: Kind
    d: int
    p: int
    seed: int  # of a map that draws its parameters

    @without_autocast()
    def __call__(self, X: ArrayT) -> ArrayT:
        """Return the features (n, p) of the inputs ``X`` (n, d), a block of samples at a time."""
        as_matrix(X, "X", columns=self.d)
        return cast(ArrayT, self._blockwise(self._map, X))

    @without_autocast()
    def preimage(self, Phi: ArrayT, *, near: ArrayT | None = None) -> ArrayT:
        """Return inputs ``X`` (m, d) with phi(X) = Phi, the nearest to ``near`` (m, d) that the map finds.

        No row is farther from its reference than the pre-image without one.

        Raises
        ------
        RangeError
            A row of ``Phi`` is not in the range. The message names the worst entry, and nothing is clamped.
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
            return cast(ArrayT, self._blockwise(lambda rows: self._preimage(rows, None), Phi, columns=self.d))
        return cast(ArrayT, self._blockwise(self._nearer, Phi, near, columns=self.d))

    def in_range(self, Phi: Array) -> RangeCheck:
        """Say whether every row of ``Phi`` (m, p) is in the range of phi, and which entry is worst."""
        as_matrix(Phi, "Phi", columns=self.p)
        return RangeCheck(True)

    def scale_into_range(self, Phi: Array) -> float:
        """Return the largest c in (0, 1] with which the map recommends c * Phi; labels and ridge scale along (T4').

        Raises
        ------
        RangeError
            No scaling brings ``Phi`` into the range.
        """
        as_matrix(Phi, "Phi", columns=self.p)
        return 1.0

    def local_preimage(self, Phi: Array, *, near: Array) -> Array:
        """Return the inputs near ``near`` (m, d) of features in the neighbourhood of phi(near).

        A map onto its range takes :meth:`preimage`; other maps override this where their layers can be inverted.

        Theorem: T9.

        Raises
        ------
        InfeasibleError
            The map has no inverse in closed form near a point; Newton's method with :meth:`jacobian` may find one.
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
    def range(self) -> Range:
        """The shape of the range, which decides what constructions apply: all of R^p for a map onto it.

        Maps onto a smaller range say so; see :mod:`analytic_dd.features.ranges`.
        """
        onto = self.kind in ("bijective", "surjective")
        return Subspace(self.p) if onto else Open(self.p, f"{self.name} is not known to be onto")

    @property
    def is_identity(self) -> bool:
        """Whether phi(x) = x, so that sums and bounds of the inputs are those of the features."""
        return False

    def project(self, W: Array) -> Array:
        """Return the rows of ``W`` (k, p) projected on the span of all features (T8e); ``W`` itself for most maps.

        Up to rounding, weights that were fitted on these features have their rows there already.
        """
        return self.range.project(W)

    @without_autocast()
    def jvp(self, X: Array, V: Array) -> Array:
        r"""Return the derivatives (n, p) of the features in the directions ``V`` (n, d), the rows  J(x_i) v_i .

        ``X`` has n rows, or one row for all directions.

        Theorem: T9, T22 (what a construction asks of a map that has no pre-images).

        Notes
        -----
        *Numerics.* Maps with a closed form are exact to rounding. Others take central differences, whose relative error
        is about eps^(2/3). At a kink it is the derivative of the piece that the map evaluates.
        """
        return self._along(self._jvp, X, V, "V", (self.d, self.p))

    @without_autocast()
    def vjp(self, X: Array, U: Array) -> Array:
        r"""Return the gradients (n, d) of the features with coefficients ``U`` (n, p), the rows  J(x_i)^T u_i .

        See :meth:`jvp`.
        """
        return self._along(self._vjp, X, U, "U", (self.p, self.d))

    @without_autocast()
    def jacobian(self, x: Array) -> Array:
        """Return the Jacobian (p, d) of phi at one input ``x``, of shape (d,) or (1, d).

        Notes
        -----
        *Cost.* One :meth:`jvp` of d directions, or a cheaper way of the map. O(p d) memory.

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
            return self._blockwise(partial(function, X), V, columns=sizes[1])
        return self._blockwise(function, X, V, columns=sizes[1])

    def _affine(self) -> tuple[np.ndarray, np.ndarray | None] | None:
        """Return B (p, d), and c (p,) or None, of a map B x + c; None for any other map."""
        return None

    def _jvp(self, X: Array, V: Array) -> Array:
        """Take central differences; a map with a closed form overrides this and :meth:`_vjp`."""
        xp = namespace(X)
        size = xp.max(xp.abs(V), axis=1, keepdims=True)
        reach = xp.max(xp.abs(X), axis=1, keepdims=True)
        reach = xp.where(reach > 1.0, reach, xp.ones_like(reach))
        step = eps_of(X) ** (1.0 / 3.0) * reach / xp.where(size > 0.0, size, xp.ones_like(size))
        return (self._map(X + step * V) - self._map(X - step * V)) / (2.0 * step)

    def _vjp(self, X: Array, U: Array) -> Array:
        """Use the Jacobian of each input."""
        if X.shape[0] == 1:
            return U @ self._jacobian(X)
        xp = namespace(X)
        rows = [U[i : i + 1, :] @ self._jacobian(X[i : i + 1, :]) for i in range(X.shape[0])]
        return xp.concat(rows, axis=0)

    def _jacobian(self, x: Array) -> Array:
        eye = namespace(x).eye(self.d, dtype=x.dtype, device=device_of(x))
        return self._blockwise(lambda rows: self._jvp(x, rows), eye).T

    def _nearer(self, Phi: Array, near: Array) -> Array:
        """Keep for each row the nearer of two pre-images; what is nearest in each layer need not be nearest in all."""
        xp = namespace(Phi)
        found, default = self._preimage(Phi, near), self._preimage(Phi, None)
        far, close = (xp.sum((X - near) ** 2, axis=1, keepdims=True) for X in (default, found))
        return xp.where(close <= far, found, default)

    @abstractmethod
    def _map(self, X: Array) -> Array:
        """Return the features of one block of checked inputs."""

    @abstractmethod
    def _preimage(self, Phi: Array, near: Array | None) -> Array:
        """Return inputs of features that are known to be in the range."""

    @abstractmethod
    def condition(self) -> float:
        """Return the factor by which the round trip phi(preimage(Phi)) may amplify rounding (1 for the identity)."""

    def flops(self) -> float | None:
        """Return the flops that a sample takes in products with layers, or None where the map does not say."""
        return None

    def options(self) -> dict[str, Any]:
        """Return the constructor's arguments as JSON values, ``rng`` as the integer seed.

        A map whose attributes have other names than these arguments overrides it.
        """
        names = inspect.signature(type(self)).parameters
        return {name: _as_json(getattr(self, "seed" if name == "rng" else name)) for name in names}

    @classmethod
    def sizes(cls, *args: Any, **options: Any) -> Sizes | None:
        """Return the sizes that the constructor's arguments ask for, or None where only the map itself knows them.

        With sizes, no map is drawn for a stored set whose arrays have other sizes, nor beyond bounds.
        """
        return None

    def _stream(self) -> np.random.Generator:
        """Return the generator that draws the parameters, of whose number :meth:`sizes` speaks.

        PCG64 has the same stream on every platform. Parameters that the machine cannot hold are refused.
        """
        drawn = self.sizes(**self.options())
        if drawn is not None:
            require_memory(
                8.0 * drawn.numbers,
                f"the {drawn.numbers:,} parameters of features {self.name!r}",
                "use fewer features, layers or channels",
            )
        return np.random.Generator(np.random.PCG64(self.seed))

    def spec(self) -> dict[str, Any]:
        """Return the JSON values from which :func:`analytic_dd.features.from_spec` rebuilds this map."""
        return {"map": self.name, **self.options()}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{key}={value!r}' for key, value in self.options().items())})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FeatureMap) and self.spec() == other.spec()

    __hash__ = None  # type: ignore[assignment]

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is computed when it is first used."""
        lazy = [key for key in self.__dict__ if isinstance(getattr(type(self), key, None), cached_property)]
        return {key: value for key, value in self.__dict__.items() if key not in ("_placed", *lazy)}

    def _like(self, X: Array, A: Any) -> Array:
        """Return the parameter ``A`` in the library, dtype and device of ``X``, where it then stays."""
        if isinstance(X, np.ndarray) and X.dtype == A.dtype:
            return A
        placed = self.__dict__.setdefault("_placed", {})
        xp = namespace(X)
        key = (id(A), xp.__name__, dtype_name(X), str(device_of(X)))
        if key not in placed:
            B = xp.asarray(np.asarray(A), dtype=X.dtype, device=device_of(X))
            if compat.is_torch_array(B) and B.is_inference():
                return B  # a tensor of torch.inference_mode could not serve a gradient later
            placed[key] = (A, B)
        return placed[key][1]

    def _widest(self) -> int:
        """Return how many floats a sample takes in its widest layer, which sets the size of a block."""
        return max(self.d, self.p)

    def _block_rows(self) -> int:
        """Return the number of samples in a block."""
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


def _as_json(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return list(value) if isinstance(value, (tuple, list)) else value


class ForwardMap(FeatureMap):
    """A map that is known forwards only, and has no pre-images in closed form.

    Theorem: T9, T10, T22 (what is left is points near real inputs, or points whose features span).
    """

    kind: Kind = "general"
    title: str  # what the map is, in a message

    @property
    def range(self) -> Open:
        """A neighbourhood of a point where the Jacobian has rank p."""
        return Open(self.p, f"{self.title} is known forwards only")

    def _preimage(self, Phi: Array, near: Array | None) -> Array:
        raise InfeasibleError(
            f"T9: a map that is known forwards only has no pre-images, got {self.title}; use near copies of real "
            "inputs (near_copies), or points whose features span the features (T10)",
            theorem="T9",
            value=float(self.p),
            limit=float(self.d),
        )

    def condition(self) -> float:
        """Return infinity, because there is no round trip."""
        return math.inf
