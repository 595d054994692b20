r"""T3 (lam_s > 0): the two roots, the limit, the continuum, the smallest target.

Rational instances: choose s and lam and put t = s / (s^2 + lam). Then 1 - 4 lam t^2 is the square of
(s^2 - lam) / (s^2 + lam), and the roots are s and lam / s; Cayley factors are the singular vectors.
"""

from __future__ import annotations

from proofs_check.matrix import Field, Matrix, Scalar, weights
from proofs_check.statements.statement import Case, Pairs, statement

__all__: list[str] = []


def _singular_triplets(F: Field, c: Case) -> tuple[Matrix, Matrix, list[Scalar], Scalar]:
    """V (m, r), U (p, r), values s, and lam."""
    r = min(c.r, c.m, c.p)
    return F.orthogonal(c.m, r), F.orthogonal(c.p, r), [F.scalar() for _ in range(r)], F.scalar()


@statement("T3", error="the second root is off by a factor of 2")
def both_roots(F: Field, c: Case, wrong: bool) -> Pairs:
    """Phi_s = V s U^T has the weights W = Y^T V t U^T, with either root for each singular value (all first, all second,
    mixed)"""
    V, U, s, lam = _singular_triplets(F, c)
    Y = F.draw(c.m, c.k)
    W = Y.T @ V @ F.diag([x / (x * x + lam) for x in s]) @ U.T
    second = [lam / x * (2 if wrong else 1) for x in s]
    mixed = [b if i % 2 == 0 else a for i, (a, b) in enumerate(zip(s, second, strict=True))]
    for roots in (s, second, mixed):
        yield weights(V @ F.diag(roots) @ U.T, Y, lam), W


@statement("T3", error="the constant 4 in the square root is 2")
def formulas(F: Field, c: Case, wrong: bool) -> Pairs:
    """s+ = (1 + root) / (2 t) and s- = 2 lam t / (1 + root), root^2 = 1 - 4 lam t^2, solve t s^2 - s + lam t = 0"""
    s, lam = F.scalar(), F.scalar()
    t, root = s / (s * s + lam), (s * s - lam) / (s * s + lam)
    yield root * root, 1 - (2 if wrong else 4) * (lam * t * t)
    for solution in ((1 + root) / (2 * t), 2 * lam * t / (1 + root)):
        yield t * solution * solution - solution + lam * t, F.number(0)


@statement("T3", error="the limit 1 / (4 t^2) is taken as 1 / (2 t^2)")
def limit(F: Field, c: Case, wrong: bool) -> Pairs:
    """no singular value of R exceeds 1 / (2 sqrt lam), reached at s^2 = lam only: 1/(4 lam) - g(s)^2 is a square times
    1/(4 lam)"""
    s, lam = F.scalar(), F.scalar()
    g = s / (s * s + lam)
    gap = (s * s - lam) / (s * s + lam)
    yield 1 / ((2 if wrong else 4) * lam) - g * g, gap * gap / (4 * lam)


@statement("T3", error="the two sides are rotated differently", when=lambda c: min(c.r, c.m, c.p) >= 2)
def continuum(F: Field, c: Case, wrong: bool) -> Pairs:
    """a repeated singular value has a continuum of solutions: V Q s Q^T U^T with mixed roots s and any orthogonal Q"""
    V, U, s, lam = _singular_triplets(F, c)
    Q, Y, t = F.orthogonal(len(s)), F.draw(c.m, c.k), s[0] / (s[0] * s[0] + lam)
    W = t * (Y.T @ V @ U.T)
    mixed = F.diag([lam / s[0] if i % 2 else s[0] for i in range(len(s))])
    other = F.orthogonal(len(s)) if wrong else Q
    yield weights(V @ Q @ mixed @ other.T @ U.T, Y, lam), W


@statement("T3", error="the projector on null(Y^T) is dropped", when=lambda c: c.q <= c.r)
def smallest_target(F: Field, c: Case, wrong: bool) -> Pairs:
    """Z = 0 gives the smallest |D|_2: D^T D = M^T M + Z^T (I - Y Y^+) Z, the last term positive semi-definite"""
    Y, Z = F.draw(c.m, c.k, c.r), F.draw(c.m, c.p)
    M = Y.T.plus @ Y.T @ F.draw(c.m, c.p, c.q)
    free = Z - Y @ (Y.plus @ Z)
    D = M + free
    yield D.T @ D, M.T @ M + (Z.T @ Z if wrong else free.T @ free)
