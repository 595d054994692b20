r"""Newton's method for the penalised loss: steps from a factor of the Hessian, or from conjugate gradients (T18).

A step solves  Hess f(theta) S = -grad f(theta)  and is halved until f falls. Small problems (k p' up to 300) factor
the Hessian. Larger ones never form it: conjugate gradients with the preconditioner  (sum_i w_i c_i phi_i phi_i^T +
ridge I)^-1  for each output, c_i the mean curvature of sample i, which is the Hessian itself where all outputs curve
alike.

Where a common shift of all logits changes nothing (softmax), the Hessian is singular on shifts of the intercept; the
gradient and so the step are orthogonal to them, and a multiple of the projector on them is added to the Hessian, which
changes no step.
"""

from __future__ import annotations

from collections.abc import Callable

from analytic_dd.arrays import Array, device_of, namespace, norm
from analytic_dd.errors import DivergenceError, InfeasibleError
from analytic_dd.linalg import CholeskyFactor, thin_svd
from analytic_dd.losses.objective import Evaluation, PenalisedLoss

__all__ = ["newton"]

_DIRECT = 300  # k p' up to which the Hessian is formed: above it conjugate gradients take a third of the time
_STEPS, _HALVINGS, _PRODUCTS = 100, 50, 500
_SETTLED = 1e-12  # |step| / |theta| at which the next error is below rounding: quadratic, or a factor of 1e-3
_LEAST, _MOST = 1e-3, 0.1  # relative residual of conjugate gradients: the smaller, the nearer the minimiser
_MANY = 30  # products in a step after which the preconditioner is made anew
_NEAR = 1e-6  # |step| / |theta| below which the gradient falls at every step, but for rounding
_GONE = 1e-12  # part of the first gradient below which the same holds: a tiny ridge makes long steps of rounding
_STALLED = 2  # steps without a smaller gradient: it is rounding


def newton(
    objective: PenalisedLoss, *, start: Array | None = None, settled: float = _SETTLED
) -> tuple[Array, Evaluation]:
    """Return the minimiser theta (k, p') and the evaluation there; at ridge = 0 that of minimum norm.

    Theorem: T18, T18e (where no minimiser exists).

    Parameters
    ----------
    objective : PenalisedLoss
    start : (k, p') array, optional
        Where to start, such as the minimiser for a larger ridge.
    settled : float
        The relative length of the last step.

    Raises
    ------
    InfeasibleError
        T18e: ridge = 0 and the samples are separated, so that no minimiser exists.
    DivergenceError
        No minimiser within 100 steps.
    """
    theta = objective.start() if start is None else start
    here = objective.evaluate(theta)
    best, waited = (theta, here), 0
    first, direction = norm(here.gradient), _Direction(objective)
    for _ in range(_STEPS):
        share = norm(here.gradient) / (first or 1.0)
        step = direction.of(theta, here.gradient, forcing=min(_MOST, max(_LEAST, share)))
        theta, here = _shortened(objective, theta, step, here)
        if here.separated:
            raise InfeasibleError(
                "T18e: the samples are separated by a hyperplane and ridge = 0, so the loss has no minimiser (it "
                "falls along a ray); take ridge > 0",
                theorem="T18e",
                value=0.0,
                limit=0.0,
            )
        moved = norm(step) / (norm(theta) or 1.0)
        smaller = norm(here.gradient) < 0.5 * norm(best[1].gradient)
        near = moved < _NEAR or norm(here.gradient) <= _GONE * first
        waited = waited + 1 if near and not smaller else 0
        if norm(here.gradient) < norm(best[1].gradient):
            best = theta, here
        if moved <= settled or waited >= _STALLED or norm(here.gradient) == 0.0:
            return best
    raise DivergenceError(
        f"no minimiser after {_STEPS} Newton steps, the gradient is {norm(here.gradient):.1e}; at ridge = 0 the "
        "samples may be separated in some direction (T18e): take ridge > 0"
    )


def _shortened(objective: PenalisedLoss, theta: Array, step: Array, here: Evaluation) -> tuple[Array, Evaluation]:
    """Halve the step until the value falls by a ten-thousandth of what the slope says, up to rounding."""
    slope = _inner(step, here.gradient)
    allowance = 1e-14 * (abs(here.value) + 1.0)
    length = 1.0
    for _ in range(_HALVINGS):
        there = objective.evaluate(theta + length * step)
        if there.value <= here.value + 1e-4 * length * slope + allowance:
            return theta + length * step, there
        length *= 0.5
    return theta, here


class _Direction:
    """Newton steps of one objective; the preconditioner of one step serves the next ones while it does well."""

    def __init__(self, objective: PenalisedLoss) -> None:
        self.objective = objective
        self._precondition: Callable[[Array], Array] | None = None

    def of(self, theta: Array, gradient: Array, *, forcing: float) -> Array:
        """Return the step (k, p') at a point."""
        objective = self.objective
        if gradient.shape[0] * gradient.shape[1] <= _DIRECT:
            return _direct(objective, theta, gradient)
        if self._precondition is None:
            self._precondition = _preconditioner(objective, theta)
        step, products = _conjugate_gradients(
            lambda D: objective.product(theta, D), -gradient, self._precondition, zero_at=gradient, forcing=forcing
        )
        if products > _MANY:
            self._precondition = None
        return step


def _direct(objective: PenalisedLoss, theta: Array, gradient: Array) -> Array:
    """Return the step from a Cholesky factor; where the Hessian is singular, that of minimum norm."""
    xp, H = namespace(gradient), objective.hessian(theta)
    right = -xp.reshape(gradient, (-1, 1))
    if objective.ridge > 0.0:
        try:
            factor = CholeskyFactor(H + _shifts(objective, H))
            return xp.reshape(factor.solve(right), gradient.shape)
        except ValueError:  # a ridge below rounding
            pass
    spectrum = thin_svd(H, rcond=H.shape[0] * 2.0**-52)
    return xp.reshape(spectrum.Vt.T @ ((spectrum.U.T @ right) / spectrum.s[:, None]), gradient.shape)


def _shifts(objective: PenalisedLoss, H: Array) -> Array:
    """Return a multiple of the projector on shifts of the intercept common to all outputs; 0 where these count."""
    if not (objective.loss.shift_free and objective.intercept):
        return 0.0
    xp, k, columns = namespace(H), objective.k, objective.p + 1
    shift = xp.zeros((k, columns), dtype=H.dtype, device=device_of(H))
    shift = xp.reshape(xp.concat([shift[:, :-1], shift[:, -1:] + 1.0], axis=1), (-1, 1))
    return (float(xp.linalg.trace(H)) / (k * columns * k)) * (shift @ shift.T)


def _preconditioner(objective: PenalisedLoss, theta: Array) -> Callable[[Array], Array]:
    xp, G = namespace(theta), objective.curvature_gram(theta)
    size = G.shape[0]
    floor = objective.penalty + 1e-12 * float(xp.linalg.trace(G)) / size
    factor = CholeskyFactor(G + floor * xp.eye(size, dtype=G.dtype, device=device_of(G)))
    return lambda D: factor.solve(D.T).T


def _inner(A: Array, B: Array) -> float:
    return float(namespace(A).sum(A * B))


def _conjugate_gradients(
    product: Callable[[Array], Array],
    right: Array,
    precondition: Callable[[Array], Array],
    *,
    zero_at: Array,
    forcing: float,
) -> tuple[Array, int]:
    """Solve ``H S = right`` for matrices (k, p') to a relative residual; return the number of products too."""
    S, residual = 0.0 * zero_at, right
    P = Z = precondition(residual)
    rho, target = _inner(residual, Z), forcing * norm(right)
    products = 0
    while products < _PRODUCTS and norm(residual) > target:
        products += 1
        HP = product(P)
        curvature = _inner(P, HP)
        if not curvature > 0.0:  # a flat direction at ridge = 0: what has been found is a descent direction
            break
        alpha = rho / curvature
        S, residual = S + alpha * P, residual - alpha * HP
        Z = precondition(residual)
        rho, before = _inner(residual, Z), rho
        P = Z + (rho / before) * P
    return (S if norm(S) > 0.0 else P), products
