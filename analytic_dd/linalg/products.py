"""Gram products of a block of samples in float32, with an error that is measured, not assumed.

    E = fl32(F^T F) - F^T F,    E[|E X|^2] = t |E|^2   for a Gaussian X (p, t) that does not depend on F

so t products with vectors, 4 t p flops a sample against p^2 for the block itself, give the size of E.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from analytic_dd.arrays import Array, in_double, namespace, norm
from analytic_dd.errors import InfeasibleError, RangeError

__all__ = ["BlockProduct", "ProductRule", "float32_error_limit", "gram_product", "require_float32_range"]

_KINDS = ("float64", "float32", "auto")
_PROBES = 8
_SAFETY = 10.0  # |E| > 10 times its estimate from 8 probes: probability below 2e-7 (chi-square of 8, at most 8 / 100)
_UNIT = 2.0**-24  # unit round-off of float32
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class ProductRule:
    """In which precision blocks of samples are multiplied; their sum is float64 always.

    Attributes
    ----------
    kind : {"float64", "float32", "auto"}
        ``auto``: float32 while the measured errors add up to at most ``tolerance * smallest_ridge``, then float64.
    tolerance : float
        The largest relative error of W that float32 may cause.
    smallest_ridge : float or None
        The smallest ridge that the sums are for; ``auto`` needs it.

    Examples
    --------
    >>> ProductRule("float16")
    Traceback (most recent call last):
        ...
    ValueError: unknown products 'float16'; choose from float64, float32, auto
    """

    kind: str = "float64"
    tolerance: float = 1e-6
    smallest_ridge: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise ValueError(f"unknown products {self.kind!r}; choose from {', '.join(_KINDS)}")
        if not 0.0 < self.tolerance < 1.0:
            raise ValueError(f"tolerance must be in (0, 1), got {self.tolerance}; it is a relative error of W")
        if self.kind == "auto" and not (self.smallest_ridge is not None and self.smallest_ridge > 0.0):
            raise ValueError(
                f"products='auto' needs smallest_ridge > 0, got {self.smallest_ridge}: the error that float32 causes "
                "is judged against it"
            )

    @property
    def budget(self) -> float:
        """The largest |E| that ``auto`` admits: |W error| <= |E| |W| / (s_p^2 + ridge) <= tolerance |W|."""
        return math.inf if self.smallest_ridge is None else self.tolerance * self.smallest_ridge

    def require_accuracy(self, gram_error: float, smallest: float, ridge: float) -> None:
        """Refuse a ridge at which an error of G may change W by more than the tolerance.

        With W~ (G + E + ridge I) = C = W (G + ridge I):  |W~ - W| = |W E (G + E + ridge I)^-1|.

        Raises
        ------
        InfeasibleError
            T13: ``gram_error / (smallest + ridge)`` exceeds the tolerance; ``smallest`` is the least eigenvalue of G.
        """
        lowest = smallest + ridge
        error = gram_error / lowest if lowest > 0.0 else math.inf
        if error > self.tolerance:
            raise InfeasibleError(
                f"float32 products may have changed W by {error:.2g} of its norm at ridge {ridge:.3g}, more than the "
                f"tolerance {self.tolerance:.2g}; take products='float64', a larger ridge, or refine W on the data",
                theorem="T13",
                value=error,
                limit=self.tolerance,
            )


@dataclass(frozen=True)
class BlockProduct:
    """``F^T F`` of a block.

    Attributes
    ----------
    value : (p, p) array
    error : float
        Bound on its Frobenius distance from the exact product, by which float32 exceeds float64; 0 for float64.
    single : bool
        Whether it was computed in float32.
    """

    value: Array
    error: float
    single: bool


def float32_error_limit(rows: int, trace: float) -> float:
    r"""Return the worst case of |E|: gamma_(rows + 2) trace(F^T F), gamma_n = n u / (1 - n u), u = 2^-24.

    ``rows`` products are summed, each factor rounded once before. Overflow apart, it holds for any order of summation.

    Examples
    --------
    >>> round(float32_error_limit(1022, 1.0) * 2**14, 2)
    1.0
    """
    n = (rows + 2) * _UNIT
    return n / (1.0 - n) * trace if n < 1.0 else math.inf


def require_float32_range(F: Array) -> None:
    """Refuse a block whose products overflow in float32.

    Raises
    ------
    RangeError
        The sum of the squares of a column exceeds 3.4e38; every other sum of products is at most that.

    Examples
    --------
    >>> require_float32_range(np.array([[1.0, 2e19]]))
    Traceback (most recent call last):
        ...
    analytic_dd.errors.RangeError: products overflow in float32: the squares of column 1 add up to 4e+38, the largest \
float32 is 3.4e+38; take products='float64' or scale the features down
    """
    if not _may_overflow(F):
        return
    squares = _squares(F)
    if float(np.max(squares)) * (1.0 + (F.shape[0] + 2) * 2.0 * _UNIT) >= _LARGEST:
        column = int(np.argmax(squares))
        raise RangeError(
            f"products overflow in float32: the squares of column {column} add up to {squares[column]:.3g}, the "
            f"largest float32 is {_LARGEST:.2g}; take products='float64' or scale the features down"
        )


def _may_overflow(F: Array) -> bool:
    """Whether rows times the largest square is beyond float32: no overflow is possible otherwise, and it costs less."""
    xp = namespace(F)
    largest = max(float(xp.max(F)), -float(xp.min(F)))
    return not F.shape[0] * largest * largest * (1.0 + (F.shape[0] + 2) * 2.0 * _UNIT) < _LARGEST


def _squares(F: Array) -> np.ndarray:
    xp = namespace(F)
    with np.errstate(over="ignore"):
        return np.asarray([float(value) for value in xp.sum(in_double(F) ** 2, axis=0)])


def gram_product(F: Array, rule: ProductRule, *, spent: float = 0.0) -> BlockProduct:
    r"""Return ``F^T F`` of one block by the rule.

    Theorem: T13.

    Parameters
    ----------
    F : (b, p) array
        float32 or float64; already multiplied by the roots of the sample weights.
    rule : ProductRule
    spent : float
        Errors of the blocks before: ``auto`` goes on in float64 once the budget is used up.

    Notes
    -----
    *Cost.* b p^2 flops in float32 and 32 b p in float64 for the measurement; a block that ``auto`` rejects is
    computed twice. *Numerics.* The error is the smaller of the measured one (10 times the estimate: exceeded with
    probability below 2e-7) and of the worst case, :func:`float32_error_limit`.
    """
    if rule.kind == "float64" or spent >= rule.budget:
        return _in_float64(F)
    xp = namespace(F)
    if rule.kind == "float32":
        require_float32_range(F)
    elif _may_overflow(F):
        return _in_float64(F)
    single = xp.astype(F, xp.float32, copy=False)
    value = in_double(single.T @ single)
    trace = float(xp.sum(xp.linalg.diagonal(value)))
    worst = float32_error_limit(int(F.shape[0]), trace * (1.0 + 2.0 * (F.shape[0] + 2) * _UNIT))
    error = min(_measured_error(value, in_double(F)), worst) + F.shape[0] * F.shape[1] * 2.0**-149  # underflow
    if rule.kind == "auto" and spent + error > rule.budget:
        return _in_float64(F)
    return BlockProduct(value, error, True)


def _in_float64(F: Array) -> BlockProduct:
    F = in_double(F)
    with np.errstate(over="ignore"):  # an overflow is named by GramStatistics.spectrum
        return BlockProduct(F.T @ F, 0.0, False)


def _measured_error(value: Array, F: Array) -> float:
    """10 times the Frobenius norm of value - F^T F as 8 fixed Gaussian vectors see it."""
    xp, p = namespace(F), F.shape[1]
    X = np.random.default_rng(20240607).standard_normal((p, _PROBES))
    X = xp.asarray(X, dtype=F.dtype, device=getattr(F, "device", None))
    return _SAFETY / math.sqrt(_PROBES) * norm(value @ X - F.T @ (F @ X))
