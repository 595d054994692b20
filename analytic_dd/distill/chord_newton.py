r"""The chord method of Newton, accelerated, for near copies: it removes what curvature leaves of linear steps (T22b).

From alpha and v of the linear system, with the same M = [phi(xi_i), J(xi_i)] at each step, so that its Gram matrix is
factored once:

    w = r_l - sum_i alpha_il phi(xi_i) - (phi(xi_i + eps v_il) - phi(xi_i)) / eps,        (alpha, v) += M^+ w,

until w is rounding. Steps are combinations of the last ones (:class:`Steps`); eps is the largest for which this
converges.
"""

from __future__ import annotations

from analytic_dd.arrays import Array, eps_of, namespace, norm
from analytic_dd.distill.bases import Bases
from analytic_dd.linalg import least_squares

__all__ = ["Steps", "copies_of"]

_STEPS, _TRIALS = 60, 10
_PAST = 3  # steps that the next one is combined of
_SLOW = 0.9  # a step that leaves more of the residual than this ends the iteration


def copies_of(bases: Bases, limits: Array, sides: int, *, rtol: float) -> tuple[list[list[Array]], float]:
    """Return near copies of complete bases, on each side an array (q, d) a base, and their change over the limit.

    They have the least residual of those at several eps; there are none where no copies stay within the limits.

    Theorem: T22b.

    Parameters
    ----------
    bases : Bases
    limits : (d,) array
        The largest change of each entry.
    sides : {1, 2}
        Copies, or pairs.
    rtol : float
        The residual that counts as exact.
    """
    xp = namespace(limits)
    first = bases.first()
    reach = xp.stack([xp.max(xp.abs(v) / limits, axis=1) for v in first[1]])
    eps = 0.5 / xp.max(reach, axis=0)[:, None]
    best: _Found = (float("inf"), [], 0.0)
    for _ in range(_TRIALS):
        # what the next eps would leave, or less where that is not exact: the residual bounds the error
        enough = min(_rounding(bases, first[0], 0.25 * eps), rtol)
        found = _iterated(bases, first, eps, limits, sides, enough)
        if found[0] >= best[0] and best[0] < 1e-3:
            break  # a smaller eps has more rounding
        best = min(best, found, key=lambda tried: tried[0])
        eps = 0.25 * eps
        if best[0] <= enough:
            break
    return best[1], best[2]


def _rounding(bases: Bases, alpha: list[Array], eps: Array) -> float:
    """Return what features rounded to eps_machine leave of the residual: alpha of them, and their differences / eps."""
    lengths = [norm(bases.values[i : i + 1, :]) for i in bases.chosen]
    each = sum(length * (abs(a)[:, None] + 2.0 / eps) for length, a in zip(lengths, alpha, strict=True))
    return eps_of(bases.target) * norm(each) / norm(bases.target)


_Found = tuple[float, list[list[Array]], float]  # the residual, copies on either side, their change


def _iterated(
    bases: Bases, first: tuple[list[Array], list[Array]], eps: Array, limits: Array, sides: int, enough: float
) -> _Found:
    """Newton's method with the same M from the linear solution, accelerated, until a residual is small enough."""
    target, xp = bases.target, namespace(limits)
    alpha, v = first
    roots = [bases.candidates[i : i + 1, :] for i in bases.chosen]
    best: _Found = (float("inf"), [], 0.0)
    steps = Steps()
    for _ in range(_STEPS):
        moves = [eps * v_i for v_i in v]
        change = max(float(xp.max(xp.abs(move) / limits)) for move in moves)
        if not change <= 1.0:
            break
        copies = [[x + sign * move for x, move in zip(roots, moves, strict=True)] for sign in (1.0, -1.0)[:sides]]
        reached = 0.0 * target
        for index, (i, a) in enumerate(zip(bases.chosen, alpha, strict=True)):
            f = bases.values[i : i + 1, :]
            F = [bases.phi(side[index]) for side in copies]
            centre, step = (f, F[0] - f) if sides == 1 else (0.5 * (F[0] + F[1]), 0.5 * (F[0] - F[1]))
            reached = reached + a[:, None] * centre + step / eps
        missing = target - reached
        residual = norm(missing) / norm(target)
        if not residual < _SLOW * best[0]:
            break
        best = (residual, copies, change)
        if residual <= enough:
            break
        more = bases.correction(steps.after(missing), copies)
        alpha = [one + other for one, other in zip(alpha, more[0], strict=True)]
        v = [one + other for one, other in zip(v, more[1], strict=True)]
    return best


class Steps:
    """Anderson's method: what M is to be solved for next, from what earlier steps were and did to the residual.

    Let r be the residual (p,) of a row, R and S the differences of the last residuals and the last steps as columns. Of

        r - R gamma          the residual that a combination of the last points would have, were all linear

    the least is taken, and the step  r - (R + S) gamma  goes on from there; the first one is r, which is Newton's.

    References: Anderson: Iterative procedures for nonlinear integral equations. J. ACM 12, 1965. Walker, Ni: Anderson
    acceleration for fixed-point iterations. SIAM J. Numer. Anal. 49, 2011.
    """

    def __init__(self) -> None:
        self.last: tuple[Array, Array] | None = None  # the residuals and the steps (q, p)
        self.past: list[tuple[Array, Array]] = []

    def after(self, residuals: Array) -> Array:
        """Return the next steps (q, p) for the residuals (q, p) that the last ones left."""
        xp = namespace(residuals)
        if self.last is not None:
            self.past = [*self.past, (residuals - self.last[0], self.last[1])][-_PAST:]
        steps = residuals
        if self.past:
            changes = xp.stack([change for change, _ in self.past], axis=2)
            rcond = changes.shape[1] * eps_of(changes)
            rows = range(residuals.shape[0])
            solved = [least_squares(changes[i, ...], residuals[i, :][:, None], rcond=rcond) for i in rows]
            shares = xp.concat(solved, axis=0)
            for j, (change, step) in enumerate(self.past):
                steps = steps - shares[:, j : j + 1] * (change + step)
        self.last = residuals, steps
        return steps
