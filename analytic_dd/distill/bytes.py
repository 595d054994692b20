r"""Realistic sets whose pixels are integers and still carry W (T24).

Let X (m, d) be an exact set of the identity map. Whatever labels a set has, W is carried iff it lies in the row space.
Rounding the pixels loses 1e-1 of |W|. The integers near the levels with the least loss are, a column of pixels at a
time, lattice vectors (z, S Cn z) near a target (:mod:`analytic_dd.distill.integers`): one reduction, then Babai's
nearest plane for every column. Then

    relative error of W    about  S^-(1 - q/m),      change of a pixel    about  S^(q/m)  levels,

so an error e costs e^(-q/(m - q)) levels: ten times as many images as classes make exactness cheap. Labels are those of
T4 on the integers. Pixels outside of the integers' range are never clipped, which would lose W again: the code (low,
step) leaves a margin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from analytic_dd.arrays import Array, as_matrix, as_ridge, device_of, namespace, to_numpy
from analytic_dd.distill.distilled import FeatureSet
from analytic_dd.distill.integers import Pixels, integers_near
from analytic_dd.errors import ShapeError
from analytic_dd.labels import labels_for
from analytic_dd.ridge import ridge_weights

__all__ = ["ByteSet", "byte_set"]

_ERROR = 1e-4  # of W: decisions are those of the model from 5e-4 on (measured on MNIST)


@dataclass(frozen=True)
class ByteSet(FeatureSet):
    """A set whose inputs are ``low + step * levels`` for integers ``levels``.

    Attributes
    ----------
    levels : (m, d) array of uint8 or uint16
    low, step : float
        The code, in units of the inputs.
    inputs : (m, d) array
        ``low + step * levels``, which are the features too: the map is the identity. Labels are those of T4 on them.
    relative_error : float
        |W (I - X^+ X)| / |W| of the integers: what the set loses of W.
    rounding_error : float
        What plain rounding to the same code would lose.
    largest_change : float
        Largest distance of a level from the exact set's, in levels (1/2 for plain rounding).
    scale : float
        S.
    theorem : str
    """

    levels: Array = field(repr=False)
    low: float
    step: float
    inputs: Array = field(repr=False)
    relative_error: float
    rounding_error: float
    largest_change: float
    scale: float
    theorem: str = "T24"


def byte_set(
    distilled: Any,
    *,
    bits: int = 8,
    error: float | None = None,
    changes: float | None = None,
    weights: Array | None = None,
    code: tuple[float, float] | None = None,
) -> ByteSet:
    r"""Return a set of integer pixels near those of an exact set, with the same weights up to a wanted error.

    Theorem: T24.

    Parameters
    ----------
    distilled : DistilledSet, or a set with ``features`` (or ``inputs``), ``labels``, ``ridge``
        An exact set of the identity map with more points than rank W: of ``distill(X, y, construction=Nearest(...))``
        without an intercept, or :func:`nearest_features`, say.
    bits : {8, 16}
    error : float, optional
        The wanted relative error of W; 1e-4 by default. Either this or ``changes``.
    changes : float, optional
        The largest change of a pixel that is wanted, in levels (more than 1/2); W is then as exact as it allows.
    weights : (k, d) array, optional
        W; by default what ridge regression on the set gives.
    code : (low, step), optional
        An input x has the level (x - low) / step. By default the inputs' range, with a margin of 5 levels or what the
        changes take.

    Returns
    -------
    ByteSet

    Raises
    ------
    InfeasibleError
        T24: no more points than rank W; or no scale S reaches the error (the change).
    RangeError
        A level outside the integers' range with the given code.
    ShapeError, ValueError
        A set of another map than the identity, with an intercept, of another loss or for several ridges.
    ImportError
        python-flint is missing.

    Notes
    -----
    *Cost.* One lattice reduction a trial of S and block of about 100 images, half a second each for rank 10.
    *Numerics.* ``relative_error`` is measured on the integers that are returned, in float64.

    Examples
    --------
    >>> from analytic_dd.distill import nearest_features
    >>> rng = np.random.default_rng(0)
    >>> W, images = rng.standard_normal((2, 40)), rng.uniform(0.0, 1.0, (24, 40))
    >>> made = byte_set(nearest_features(W, images, ridge=0.1), error=1e-5)
    >>> made.levels.dtype, made.relative_error < 1e-5 < made.rounding_error, made.largest_change < 30.0
    (dtype('uint8'), True, True)
    >>> byte_set(nearest_features(W, images[:2], ridge=0.1))
    Traceback (most recent call last):
        ...
    analytic_dd.errors.InfeasibleError: T24: integers carry W in more points than its rank 2, got 2; take 10
    points or more
    """
    given, labels, ridge = _parts(distilled)
    xp = namespace(given)
    X = np.asarray(to_numpy(given), dtype=np.float64)
    W = np.asarray(to_numpy(ridge_weights(given, labels, ridge=ridge) if weights is None else weights), np.float64)
    if W.ndim != 2 or W.shape[1] != X.shape[1]:
        raise ShapeError(f"weights must have shape (k, {X.shape[1]}), got {W.shape}")
    top, wanted, most = _wanted(bits, error, changes)
    found = integers_near(
        W, Pixels(X), top=top, wanted=wanted, most=most, code=None if code is None else (float(code[0]), float(code[1]))
    )
    low, step = found.low, found.step
    levels = found.levels.astype(np.uint8 if bits == 8 else np.uint16)
    features = xp.asarray(found.values, device=device_of(given))
    target = xp.asarray(W, device=device_of(given))
    return ByteSet(
        levels=xp.asarray(levels, device=device_of(given)),
        low=low,
        step=step,
        inputs=features,
        features=features,
        labels=labels_for(features, target, ridge=ridge),
        ridge=ridge,
        relative_error=found.error,
        rounding_error=found.rounding_error,
        largest_change=found.largest,
        scale=found.scale,
    )


def _parts(distilled: Any) -> tuple[Array, Array, float]:
    """Features, labels and ridge of a set of the identity map."""
    if hasattr(distilled, "feature_map"):
        _require_plain(distilled)
        return as_matrix(distilled.inputs, "inputs"), as_matrix(distilled.y, "y"), as_ridge(distilled.ridge)
    features = distilled.features
    inputs = getattr(distilled, "inputs", None)
    if inputs is not None and tuple(inputs.shape) != tuple(features.shape):
        raise ShapeError(
            f"T24 is for the identity map, got inputs {tuple(inputs.shape)} with features {tuple(features.shape)}; "
            "for another map round to 16 bits and take the labels of T4 on the features of the integers"
        )
    return as_matrix(features, "features"), as_matrix(distilled.labels, "labels"), as_ridge(distilled.ridge)


def _require_plain(distilled: Any) -> None:
    """Refuse a stored set whose inputs are no features, or with more than one W to carry."""
    phi = distilled.feature_map
    if not phi.is_identity:
        raise ShapeError(
            f"T24 is for the identity map, got a set of {phi.name}; for another map round to 16 bits and take the "
            "labels of T4 on the features of the integers"
        )
    if distilled.intercept is not None:
        raise ValueError("byte_set keeps no intercept, got a set with one; use distill with Nearest(pixels='bytes')")
    if distilled.loss != "squared" or len(distilled.ridges) > 1:
        what = f"loss={distilled.loss!r}" if distilled.loss != "squared" else f"{len(distilled.ridges)} ridges"
        raise ValueError(f"T24 is for the squared loss and one ridge, got a set of {what}; distil with one of each")


def _wanted(bits: int, error: float | None, changes: float | None) -> tuple[int, float, float]:
    """Return the largest level, the wanted error of W, the largest change of a level."""
    if bits not in (8, 16):
        raise ValueError(f"bits must be 8 or 16, got {bits}")
    if error is not None and changes is not None:
        raise ValueError("give error or changes, not both: a smaller error takes larger changes")
    if error is not None and not 0.0 < error < 1.0:
        raise ValueError(f"error must lie between 0 and 1, got {error}; it is relative to |W|")
    if changes is not None and not 0.5 < changes < 2**bits:
        raise ValueError(f"changes must be more than 1/2 level (plain rounding) and below {2**bits}, got {changes}")
    most = math.inf if changes is None else float(changes)
    return 2**bits - 1, (_ERROR if error is None else float(error)) if changes is None else 0.0, most
