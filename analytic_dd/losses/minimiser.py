"""The original model of T18: the minimiser of a penalised loss over all samples, in one or several passes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from analytic_dd.arrays import Array, as_matrices, device_of, in_double, namespace, norm, to_numpy
from analytic_dd.errors import DivergenceError, ShapeError
from analytic_dd.linalg import thin_svd
from analytic_dd.linalg.linear_model import LinearModel
from analytic_dd.losses.loss import Loss
from analytic_dd.losses.newton import newton
from analytic_dd.losses.objective import Evaluation, PenalisedLoss
from analytic_dd.losses.registry import as_loss

__all__ = ["GLMWeights", "glm_weights", "stream_glm_weights"]

_NEWTON = 20_000  # k p' up to which a Newton step, with its (p', p') matrix, is worth it,
_COLUMNS = 4_096  # and p' up to which it is for any k: 134 MB
_SETTLED = 1e-12  # relative length of the last step
_FALLEN = 1e-8  # largest entry of the gradient where L-BFGS stops, relative to that at W = 0
_ROWS = 8192


@dataclass(frozen=True)
class GLMWeights(LinearModel):
    """The minimiser of a penalised loss, with ``weights`` (k, p) and ``intercept`` (k,) or None.

    Attributes
    ----------
    gradient : float
        Norm of the gradient at this point: 0 at the minimiser.
    error_bound : float
        ``gradient / ridge``, a bound on |W - W*| without an intercept (the penalised loss is ridge-strongly convex);
        infinite at ridge 0.
    value : float
        The penalised loss.
    passes : int
        How often the samples were read.
    solver : {"newton", "l-bfgs"}
    """

    gradient: float
    error_bound: float
    value: float
    passes: int
    solver: str = "newton"


def glm_weights(
    Phi: Array,
    Y: Array,
    *,
    loss: str | Loss,
    ridge: float,
    intercept: bool = False,
    sample_weight: Array | None = None,
    any_labels: bool = False,
) -> GLMWeights:
    r"""Fit the minimiser of  ``sum_i w_i (A(z_i) - y_i.z_i) + ridge / 2 |W|^2``,  ``z_i = W phi_i + b``.

    For the squared loss this is ridge regression with the same ridge. scikit-learn's LogisticRegression has
    C = 1 / ridge, its PoissonRegressor alpha = ridge / n.

    Theorem: T18 (the original model).

    Parameters
    ----------
    Phi : (n, p) array
    Y : (n, k) array
        One-hot labels or probabilities (softmax), entries in 0 .. 1 (logistic), counts >= 0 (poisson), any (squared).
    loss : {"squared", "softmax", "logistic", "poisson"} or Loss
    ridge : float
        lambda >= 0, absolute: the penalty is ``ridge / 2 |W|^2`` beside a *sum* over samples.
    intercept : bool
        Fit an unpenalised intercept.
    sample_weight : (n,) array, optional
    any_labels : bool
        Take labels that are no data of the loss too, such as those of T18 beyond their largest ridge.

    Returns
    -------
    GLMWeights
        In the dtype of the input; computed in float64. At ridge = 0 the minimiser whose W has the least norm.

    Raises
    ------
    InfeasibleError
        T18e: separated samples at ridge = 0; an intercept for a class that no sample has (or every sample has).
    ValueError
        Labels that are no data of the loss.
    DivergenceError
        No minimiser was found.

    Notes
    -----
    *Cost.* Newton: about 10 steps; for k p up to 300 the Hessian, n p^2 k^2 flops each, above it some tens of
    products of 6 n p k flops and one Gram product a step. Above k p = 20,000 and p = 4,096: L-BFGS, 4 n p k flops an
    iteration.
    *Numerics.* The gradient falls to its rounding, by L-BFGS to 1e-8 of that at W = 0; ``error_bound`` says what that
    leaves.

    Examples
    --------
    >>> Phi, Y = np.array([[1.0], [2.0], [-1.0]]), np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> model = glm_weights(Phi, Y, loss="softmax", ridge=1.0)
    >>> model.weights.round(4).tolist(), model.gradient < 1e-12
    ([[0.6127], [-0.6127]], True)
    >>> glm_weights(Phi[2:], Y[2:], loss="softmax", ridge=1.0, intercept=True)
    Traceback (most recent call last):
        ...
    analytic_dd.errors.InfeasibleError: T18e: the mean label of output 0 is 0, so its intercept has no minimiser; ...
    """
    Phi, Y = as_matrices(Phi=Phi, Y=Y)
    if Phi.shape[0] != Y.shape[0]:
        raise ShapeError(f"Phi and Y must have the same number of rows, got {Phi.shape[0]} and {Y.shape[0]}")
    if Phi.shape[0] < Phi.shape[1]:  # the minimiser lies in the row space: n unknowns an output
        Q, R = namespace(Phi).linalg.qr(in_double(Phi).T, mode="reduced")
        small = glm_weights(
            R.T,
            in_double(Y),
            loss=loss,
            ridge=ridge,
            intercept=intercept,
            sample_weight=sample_weight,
            any_labels=any_labels,
        )
        return _in_dtype(replace(small, weights=small.weights @ Q.T), Phi)
    parts = (Phi, Y) if sample_weight is None else (Phi, Y, sample_weight)
    n = int(Phi.shape[0])
    rows = [slice(start, min(start + _ROWS, n)) for start in range(0, n, _ROWS)]
    blocks = lambda: (tuple(A[block, ...] for A in parts) for block in rows)  # noqa: E731
    fit = stream_glm_weights(blocks, loss=loss, ridge=ridge, intercept=intercept, any_labels=any_labels)
    return _in_dtype(_least(fit, in_double(Phi)) if ridge == 0.0 and intercept else fit, Phi)


def _least(fit: GLMWeights, Phi: Array) -> GLMWeights:
    """Return the minimiser whose W alone has the least norm: the limit of small ridges, for which b is free."""
    xp = namespace(Phi)
    mean = xp.mean(Phi, axis=0)
    about = Phi - mean[None, :]
    rows = thin_svd(about - xp.mean(about, axis=0)[None, :]).Vt  # the rounding of the mean is no direction
    W = (fit.weights @ rows.T) @ rows
    assert fit.intercept is not None
    return replace(fit, weights=W, intercept=fit.intercept + (fit.weights - W) @ mean)


def _in_dtype(fit: GLMWeights, Phi: Array) -> GLMWeights:
    xp = namespace(Phi)
    b = None if fit.intercept is None else xp.astype(fit.intercept, Phi.dtype, copy=False)
    return replace(fit, weights=xp.astype(fit.weights, Phi.dtype, copy=False), intercept=b)


def stream_glm_weights(
    blocks: Callable[[], Iterable[tuple[Array, ...]]] | Iterable[tuple[Array, ...]],
    *,
    loss: str | Loss,
    ridge: float,
    intercept: bool = False,
    any_labels: bool = False,
    start: GLMWeights | None = None,
    settled: float = _SETTLED,
) -> GLMWeights:
    """Fit :func:`glm_weights` to blocks (Phi, Y) or (Phi, Y, sample_weight) that are read a pass at a time.

    Theorem: T18 (the original model). Parameters, errors and cost are those of :func:`glm_weights`; ``blocks`` is a
    list, or a function that returns a new iterator. The search starts at the model ``start``, if there is one, and ends
    with a step of relative length ``settled``.
    """
    objective = PenalisedLoss(blocks, loss=as_loss(loss), ridge=ridge, intercept=intercept, any_labels=any_labels)
    columns = objective.p + intercept
    small = objective.k * columns <= _NEWTON or columns <= _COLUMNS
    first = objective.start() if start is None else objective.point(start.weights, start.intercept)
    theta, found = newton(objective, start=first, settled=settled) if small else _lbfgs(objective, first, settled)
    gradient = objective.slope(found.gradient)
    return GLMWeights(
        *objective.model(theta),
        gradient,
        gradient / objective.ridge if objective.ridge > 0.0 else math.inf,
        found.value,
        objective.passes,
        "newton" if small else "l-bfgs",
    )


def _lbfgs(objective: PenalisedLoss, start: Array, settled: float) -> tuple[Array, Evaluation]:
    """Minimise by L-BFGS (scipy, on the host) until the value no longer falls by its rounding."""
    from scipy import optimize  # a tenth of the time of all imports

    xp, shape = namespace(start), start.shape

    def point(vector: np.ndarray) -> Array:
        return xp.reshape(xp.asarray(vector, dtype=start.dtype, device=device_of(start)), shape)

    def value_and_gradient(vector: np.ndarray) -> tuple[float, Any]:
        found = objective.evaluate(point(vector))
        return found.value, to_numpy(found.gradient).ravel()

    at_zero = to_numpy(objective.evaluate(objective.start()).gradient)
    rough = settled > _SETTLED
    options = {
        "maxiter": 20_000,
        "maxfun": 40_000,
        "ftol": 1e-2 * settled**2 if rough else 0.0,
        "gtol": _FALLEN * float(np.max(np.abs(at_zero))),
        "maxcor": 30,
    }
    done = optimize.minimize(value_and_gradient, to_numpy(start).ravel(), jac=True, method="L-BFGS-B", options=options)
    theta = point(done.x)
    found = objective.evaluate(theta)
    far = not rough and norm(found.gradient) > 1e-3 * float(np.linalg.norm(at_zero))
    if far or not math.isfinite(found.value):
        raise DivergenceError(
            f"L-BFGS stopped after {done.nit} iterations with a gradient of {norm(found.gradient):.1e}; scale the "
            "features, or take a larger ridge"
        )
    return theta, found
