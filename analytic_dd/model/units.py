"""Units of outputs as powers of two, in which a regression is fitted and distilled.

Numbers of any unit (prices in millions, currents in nanoamperes, both at once) are divided by a power of two near their
spread, output by output. That is exact, so neither the model nor its distilled set depends on the unit: no square
overflows, fixed labels fit the weights, and no output is rounding beside another.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from analytic_dd.distill.distilled import DistilledInputs
from analytic_dd.errors import RangeError

__all__ = ["in_outputs", "units_of"]

_LEAST, _LARGEST = -960, 1000  # exponents of two: below, weights would be denormal; above, sums of labels overflow


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


def in_outputs(result: DistilledInputs, units: np.ndarray) -> DistilledInputs:
    """Return a distilled set of outputs divided by ``units`` (k,) for the outputs themselves: exactly the same set."""

    def times(values: Any, shape: tuple[int, ...]) -> Any:
        return None if values is None else values * units.reshape(shape)

    return replace(
        result,
        distilled=replace(result.distilled, labels=times(result.distilled.labels, (1, -1))),
        weights=times(result.weights, (-1, 1)),
        intercept=times(result.intercept, (-1,)),
        path=times(result.path, (1, -1, 1)),
        path_intercepts=times(result.path_intercepts, (1, -1)),
    )
