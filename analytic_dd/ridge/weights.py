"""Ridge regression weights from features: the solver is chosen by the error bound of T13."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import cast

import numpy as np

from analytic_dd.arrays import Array, ArrayT, as_matrices, as_ridge, in_double, namespace
from analytic_dd.errors import DivergenceError, RangeError, ShapeError
from analytic_dd.linalg import GramStatistics, StreamingQR, Sums, column_units, least_squares, thin_svd
from analytic_dd.linalg.thresholds import LIMITS
from analytic_dd.ridge.dual import DualStatistics
from analytic_dd.ridge.refinement import refine_weights
from analytic_dd.ridge.solver_choice import choose_solver, require_solver
from analytic_dd.ridge.stream import SampleStream
from analytic_dd.ridge.stream_weights import stream_weights

__all__ = ["AffineWeights", "ridge_weights", "ridge_weights_with_intercept"]

_ROWS = 4096
_SAFE = 1e-70, 1e70  # between these the squares do not overflow, times numbers of samples and conditions


def ridge_weights(Phi: ArrayT, Y: ArrayT, *, ridge: float, solver: str = "auto", rcond: float | None = None) -> ArrayT:
    r"""Fit ridge regression: the minimiser of ``|Phi W^T - Y|^2 + ridge |W|^2``.

        W = Y^T (Phi Phi^T + ridge I)^-1 Phi = Y^T V g(s) U^T     for Phi = V s U^T,
        g(s) = s / (s^2 + ridge);  g(s) = 1 / s at ridge = 0, the solution of minimum norm, at any rank.

    Theorem: T13.

    Parameters
    ----------
    Phi : (n, p) array
        Features, float32 or float64.
    Y : (n, k) array
        Labels.
    ridge : float
        lambda >= 0, absolute: ``ridge * I`` is added to the Gram matrix and never divided by n.
    solver : {"auto", "svd", "gram", "dual", "tsqr", "refined"}
        At ridge > 0 ``auto`` takes the Gram matrix, or for n < p the dual Phi Phi^T (n, n), with steps of refinement
        where they are needed. Where these do not converge, and at ridge = 0, it takes TSQR, or a thin SVD for n < p and
        where that takes about a second.
    rcond : float, optional
        Relative rank cut-off at ridge = 0; see :func:`analytic_dd.linalg.thin_svd`.

    Returns
    -------
    (k, p) array
        W, in the dtype and on the device of the input.

    Raises
    ------
    TypeError
        There are integers, or arrays of two libraries.
    ShapeError
        ``Phi`` or ``Y`` is not a matrix, or they differ in their number of rows.
    ValueError
        There is NaN, the ridge is negative, or the solver is unknown.
    RangeError
        The weights are beyond the range of float32.

    Notes
    -----
    *Cost.* An SVD takes O(n p min(n, p)), the Gram matrix n p^2 flops and p^2 memory, the dual n^2 p and n^2.
    *Numerics.* float32 is converted to float64 and back (jax without x64 stays in float32). The relative error of W is
    eps cond_eff by SVD, TSQR or the dual and eps cond_eff^2 by the Gram matrix, where cond_eff^2 = (s_1^2 + ridge) /
    (s_p^2 + ridge). By ``auto`` it is that of an SVD, or 1e-13.

    Examples
    --------
    >>> import numpy as np
    >>> ridge_weights(np.array([[2.0]]), np.array([[3.0]]), ridge=2.0)  # 2 * 3 / (2^2 + 2)
    array([[1.]])
    >>> ridge_weights(np.array([[2]]), np.array([[3.0]]), ridge=2.0)
    Traceback (most recent call last):
        ...
    TypeError: Phi must be float32 or float64, got int64; convert it, e.g. to float64
    """
    Phi, Y = as_matrices(Phi=Phi, Y=Y)
    ridge = as_ridge(ridge)
    if Phi.shape[0] != Y.shape[0]:
        raise ShapeError(f"Phi and Y must have the same number of rows, got {Phi.shape[0]} and {Y.shape[0]}")
    require_solver(solver)
    units, unit = column_units(Y), _unit(Phi, ridge)
    W = _fitted(Phi if unit == 1.0 else Phi / unit, Y / units, ridge / unit / unit, solver, rcond)
    return cast(ArrayT, _in_units(W, units, unit, Phi))


def _unit(Phi: Array, ridge: float) -> float:
    """Return a power of two in whose units the squares of the features and the ridge do not overflow; usually 1."""
    xp = namespace(Phi)
    size = max(float(xp.max(xp.abs(Phi))), math.sqrt(ridge))
    return 1.0 if size == 0.0 or _SAFE[0] < size < _SAFE[1] else math.ldexp(1.0, math.frexp(size)[1] - 1)


def _in_units(W: Array, units: Array, unit: float, like: Array) -> Array:
    """Return weights (k, p) times the units of the outputs, over that of the features, in the dtype of ``like``."""
    xp = namespace(W)
    with np.errstate(over="ignore"):  # named below
        W = (W * xp.astype(units, W.dtype, copy=False)[:, None]) / unit
        found = xp.astype(W, like.dtype, copy=False)
    if not bool(xp.all(xp.isfinite(found))):
        limit, size = float(xp.finfo(like.dtype).max), float(xp.max(xp.abs(W)))
        raise RangeError(
            f"weights must be numbers of {str(like.dtype).rsplit('.', maxsplit=1)[-1]}, at most {limit:.2g}, got "
            f"{size:.2g}; pass float64 arrays, or scale the features up or the labels down"
        )
    return found


def _fitted(Phi: Array, Y: Array, ridge: float, solver: str, rcond: float | None) -> Array:
    """Return W by the solver that was asked for, or by the fastest that is accurate."""
    (n, p), k = Phi.shape, Y.shape[1]
    W = _by_products(Phi, Y, ridge) if solver == "auto" else None
    if solver == "gram":
        W = GramStatistics(p, k).update(Phi, Y).weights(ridge)
    elif solver == "dual":
        W = DualStatistics(Phi, Y).weights(ridge)
    elif solver == "refined":
        sums = GramStatistics(p, k).update(Phi, Y).sums()
        W = stream_weights(sums, _stream(Phi, Y), ridge=ridge, solver=solver).weights
    elif solver == "tsqr" or (W is None and solver == "auto" and n >= p and n * p * p > LIMITS.svd):
        W = StreamingQR(p, k).update(Phi, Y).weights(ridge, rcond=rcond)
    elif W is None:
        W = _by_svd(Phi, Y, ridge, rcond)
    return W


def _by_products(Phi: Array, Y: Array, ridge: float) -> Array | None:
    """Return W from the Gram matrix or the dual, refined where that is needed, or None where it fails."""
    n, p = Phi.shape
    if ridge == 0.0 or n * p * min(n, p) < LIMITS.tiny:
        return None
    try:
        in_double(Phi[:1, :])
    except TypeError:  # jax without x64 has no sums, but an SVD squares nothing
        return None
    with contextlib.suppress(DivergenceError):  # too ill-conditioned
        if n < p:
            return DualStatistics(Phi, Y).weights(ridge)
        sums = GramStatistics(p, Y.shape[1]).update(Phi, Y).sums()
        if n <= LIMITS.wide * p:
            with contextlib.suppress(DivergenceError):
                return _refined_at_once(sums, Phi, Y, ridge)
        choice = choose_solver(sums, ridge, accept=LIMITS.accept_in_memory)
        if choice.solver == "gram":
            return choice.weights
        if choice.solver == "refined":
            target = max(choice.tsqr_error, LIMITS.accept_in_memory)
            return refine_weights(sums, _stream(Phi, Y), ridge, target=target, contraction=choice.contraction).weights
    return None


def _refined_at_once(sums: Sums, Phi: Array, Y: Array, ridge: float) -> Array:
    """Return W by refinement, which for n of the order of p takes less time than an estimate of the condition."""
    trace = float(namespace(sums.C).linalg.trace(sums.G))
    most = math.sqrt(sums.p) * 2.0**-52 * (trace / ridge + 1.0)  # the largest share of the error that a step can leave
    return refine_weights(sums, _stream(Phi, Y), ridge, target=LIMITS.accept_in_memory, contraction=most).weights


def _stream(Phi: Array, Y: Array) -> SampleStream:
    """Return a stream of blocks of rows, of which one at a time is converted to float64."""
    starts = range(0, Phi.shape[0], _ROWS)
    return SampleStream(lambda: ((Phi[start : start + _ROWS, :], Y[start : start + _ROWS, :]) for start in starts))


def _by_svd(Phi: Array, Y: Array, ridge: float, rcond: float | None) -> Array:
    with contextlib.suppress(TypeError):  # jax without x64 has no float64, but an SVD squares nothing
        Phi, Y = in_double(Phi), in_double(Y)
    if ridge == 0.0:
        return least_squares(Phi, Y, rcond=rcond)
    spectrum = thin_svd(Phi, rcond=0.0)
    return ((Y.T @ spectrum.U) * (spectrum.s / (spectrum.s**2 + ridge))) @ spectrum.Vt


@dataclass(frozen=True)
class AffineWeights:
    """A model ``x -> W phi(x) + b``.

    Attributes
    ----------
    weights : (k, p) array
    intercept : (k,) array
        In units of the labels; it is not penalised.
    """

    weights: Array
    intercept: Array


def ridge_weights_with_intercept(Phi: Array, Y: Array, *, ridge: float, rcond: float | None = None) -> AffineWeights:
    """Fit ridge regression with an unpenalised intercept: weights of the centred data, ``b = mean(Y) - W mean(Phi)``.

    Theorem: T12.

    Parameters and errors are those of :func:`ridge_weights`.

    Notes
    -----
    *Cost.* As :func:`ridge_weights`, and one centred copy of ``Phi``; for a stream use :meth:`GramStatistics.centred`.

    Examples
    --------
    >>> import numpy as np
    >>> Phi = np.array([[0.0], [1.0], [2.0]])
    >>> model = ridge_weights_with_intercept(Phi, 3.0 * Phi + 5.0, ridge=0.0)
    >>> model.weights.round(12), model.intercept.round(12)
    (array([[3.]]), array([5.]))
    """
    Phi, Y = as_matrices(Phi=Phi, Y=Y)
    xp, dtype = namespace(Phi), Phi.dtype
    with contextlib.suppress(TypeError):  # as in _by_svd, since a mean in float32 would lose digits before the fit
        Phi, Y = in_double(Phi), in_double(Y)
    mean, mean_y = xp.mean(Phi, axis=0), xp.mean(Y, axis=0)
    Phi, Y = Phi - mean, Y - mean_y
    # A second pass, because the rounding of the mean would be a direction that ridge = 0 divides by.
    rest, rest_y = xp.mean(Phi, axis=0), xp.mean(Y, axis=0)
    W = ridge_weights(Phi - rest, Y - rest_y, ridge=ridge, rcond=rcond)
    mean, mean_y = mean + rest, mean_y + rest_y
    b = mean_y - W @ mean
    return AffineWeights(xp.astype(W, dtype, copy=False), xp.astype(b, dtype, copy=False))
