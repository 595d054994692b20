"""Units of outputs as powers of two, in which a regression is fitted and distilled.

Numbers of any unit (prices in millions, currents in nanoamperes, both at once) are divided by a power of two near their
spread, output by output. That is exact, so neither the model nor its distilled set depends on the unit: no square
overflows, fixed labels fit the weights, and no output is rounding beside another.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from analytic_dd.arrays import to_numpy
from analytic_dd.distill.distilled import DistilledInputs
from analytic_dd.errors import RangeError
from analytic_dd.linalg import Sums

__all__ = ["in_outputs", "in_units", "require_squares", "units_of", "units_of_sums"]

_LEAST, _LARGEST = -960, 1000  # exponents of two: below, weights would be denormal; above, sums of labels overflow
_SQUARES = 480  # of numbers whose squares, and sums of a million of these, are float64 of full precision
_ROUNDING = 2.0**-40  # of the mean square: a variance below it is rounding


def units_of(Y: np.ndarray) -> np.ndarray:
    """Return a power of two (k,) for each column of outputs (n, k): more than its half spread, at most twice it.

    A column that does not vary is measured by its size, one of zeros by 1.

    Raises
    ------
    RangeError
        Numbers so large or so small that weights would not be numbers of full precision.

    Examples
    --------
    >>> units_of(np.array([[1.0, 3e20, 5.0], [2.0, 1e20, 5.0]])).tolist()
    [1.0, 1.4757395258967641e+20, 8.0]
    """
    low, high = Y.min(axis=0), Y.max(axis=0)
    spread = high / 2.0 - low / 2.0
    size = np.where(spread > 0.0, spread, np.maximum(np.abs(low), np.abs(high)))
    exponents = np.where(size > 0.0, np.frexp(size)[1], 0)
    bad = (exponents < _LEAST) | (exponents > _LARGEST)
    if np.any(bad):
        column = int(np.flatnonzero(bad)[0])
        raise RangeError(
            f"outputs must vary by 1e-288 to 1e300, got {size[column]:.3g} in column {column}; "
            "give them in another unit"
        )
    return np.ldexp(1.0, exponents)


def require_squares(Y: np.ndarray) -> None:
    """Refuse outputs (n, k) that sums of squares cannot hold; sums are kept in the units of the outputs.

    Raises
    ------
    RangeError
        Numbers beyond 1e144, or a column whose largest is below 1e-144.
    """
    size = np.abs(Y).max(axis=0)
    exponents = np.where(size > 0.0, np.frexp(size)[1], 0)
    if np.any(np.abs(exponents) > _SQUARES):
        column = int(np.argmax(np.abs(exponents)))
        raise RangeError(
            f"sums hold squares of outputs, so that these must be 1e-144 to 1e144, got {size[column]:.3g} in column "
            f"{column}; give them in another unit"
        )


def units_of_sums(sums: Sums) -> np.ndarray:
    """Return a power of two (k,) near the deviation of each output in sums, or near its size where it does not vary."""
    mean_square = to_numpy(sums.yy) / sums.weight
    variance = mean_square - to_numpy(sums.mean_y) ** 2
    size = np.sqrt(np.where(variance > _ROUNDING * mean_square, variance, mean_square))
    return np.ldexp(1.0, np.where(size > 0.0, np.frexp(size)[1], 0))


def in_units(sums: Sums, units: np.ndarray) -> Sums:
    """Return the sums of outputs divided by ``units`` (k,), powers of two: exactly the same sums."""
    return replace(sums, C=sums.C / units[:, None], yy=sums.yy / units**2, sum_y=sums.sum_y / units)


def in_outputs(result: DistilledInputs, units: np.ndarray) -> DistilledInputs:
    """Return a distilled set of outputs divided by ``units`` (k,) for the outputs themselves: exactly the same set."""

    def times(values: Any, shape: tuple[int, ...]) -> Any:
        return None if values is None else values * units.reshape(shape)

    return replace(
        result,
        distilled=result.distilled.in_outputs(units),
        weights=times(result.weights, (-1, 1)),
        intercept=times(result.intercept, (-1,)),
        path=times(result.path, (1, -1, 1)),
        path_intercepts=times(result.path_intercepts, (1, -1)),
    )
