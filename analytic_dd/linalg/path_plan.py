"""What a path over ridges costs, by one eigendecomposition or by a Cholesky factor a ridge, and which is cheaper."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PathPlan", "plan_path"]

_SOLVERS = ("auto", "spectrum", "cholesky")
# Flops over the fraction of the rate of a general product that LAPACK reaches, measured at p = 784 and 1,500 on one
# core: eigh 9 p^3 at 1.2 times (its count is pessimistic), Cholesky p^3 / 3 at 0.6 of it.
_EIGH, _CHOLESKY = 9.0 / 1.2, 1.0 / 3.0 / 0.6


@dataclass(frozen=True)
class PathPlan:
    """The way to compute W for several ridges.

    Attributes
    ----------
    solver : {"spectrum", "cholesky"}
    spectrum_cost, cholesky_cost : float
        Modelled costs in flops at the rate of a general product.
    reason : str
        One line for the report.
    """

    solver: str
    spectrum_cost: float
    cholesky_cost: float
    reason: str


def plan_path(
    p: int, k: int, count: int, *, solver: str = "auto", at_hand: bool = False, definite: bool = True
) -> PathPlan:
    r"""Choose between one eigendecomposition and ``count`` Cholesky factors.

        spectrum  9 p^3 + 2 k p^2 + 2 k p^2 a ridge  (nothing for the first term where it is at hand)
        cholesky  (p^3 / 3 + 4 k p^2) a ridge

    with 9 p^3 weighted by 1 / 1.2 and p^3 / 3 by 1 / 0.6, the rates that LAPACK reaches: one eigendecomposition pays
    from about 14 ridges on.

    Theorem: T13.

    Parameters
    ----------
    p, k, count : int
        Numbers of features, outputs and ridges.
    solver : {"auto", "spectrum", "cholesky"}
    at_hand : bool
        Whether the eigendecomposition has been computed already.
    definite : bool
        Whether every ridge is large enough for a Cholesky factor; otherwise the rank must be decided on the spectrum.

    Raises
    ------
    ValueError
        Unknown solver; ``cholesky`` where a ridge is too small for it.

    Examples
    --------
    >>> plan_path(784, 10, 5).solver, plan_path(784, 10, 21).solver, plan_path(784, 10, 5, at_hand=True).solver
    ('cholesky', 'spectrum', 'spectrum')
    >>> plan_path(784, 10, 5, definite=False, solver="cholesky")
    Traceback (most recent call last):
        ...
    ValueError: a Cholesky factor needs ridge >= 1e-10 trace(G) for every ridge; take solver='spectrum'
    """
    if solver not in _SOLVERS:
        raise ValueError(f"unknown solver {solver!r} of a path; choose from {', '.join(_SOLVERS)}")
    spectrum = (0.0 if at_hand else _EIGH * p**3 + 2.0 * k * p**2) + 2.0 * k * p**2 * count
    cholesky = (_CHOLESKY * p**3 + 4.0 * k * p**2) * count
    if solver == "cholesky" and not definite:
        raise ValueError("a Cholesky factor needs ridge >= 1e-10 trace(G) for every ridge; take solver='spectrum'")
    chosen = solver if solver != "auto" else "cholesky" if definite and cholesky < spectrum else "spectrum"
    forced = "" if solver == "auto" else ", as asked"
    reason = f"{chosen}{forced}: {count} ridges cost {spectrum:.2g} flops by eigh, {cholesky:.2g} by Cholesky factors"
    return PathPlan(chosen, spectrum, cholesky, reason if definite else f"{reason} (a ridge is too small for these)")
