"""T15 (sensitivity), T16 (the certificate), T17 (what a set reveals)."""

from __future__ import annotations

from proofs_check.matrix import Field, weights
from proofs_check.statements.given_features import labels_for
from proofs_check.statements.statement import Case, Pairs, statement

__all__: list[str] = []


@statement("T15", error="the last term is dropped")
def difference(F: Field, c: Case, wrong: bool) -> Pairs:
    """R(Phi') - R(Phi) = (Phi' Phi'^T + lam)^-1 (E - E Phi^T R - Phi' E^T R), E = Phi' - Phi: no term is left out"""
    Phi, E, lam = F.draw(c.m, c.p), F.draw(c.m, c.p), F.scalar()
    other, one = Phi + E, F.eye(c.m)
    inverse = (other @ other.T + lam * one).inv
    R = (Phi @ Phi.T + lam * one).inv @ Phi
    change = E - E @ Phi.T @ R
    change = change if wrong else change - other @ E.T @ R
    yield inverse @ other - R, inverse @ change


@statement("T15", error="lam (a-b)^2 is claimed for both")
def divided_differences(F: Field, c: Case, wrong: bool) -> Pairs:
    """every divided difference of g is at most 1 / (s_min^2 + lam): (a^2+lam)(b^2+lam) exceeds (ab+lam)^2 by lam
    (a-b)^2 and (ab-lam)^2 by lam (a+b)^2"""
    a, b, lam = F.scalar(), F.scalar(), F.scalar()
    A, B = a * a + lam, b * b + lam
    plus, minus = (a / A + b / B) / (a + b), (a / A - b / B) / (a - b + F.number(0))
    yield plus * A * B, a * b + lam
    yield minus * A * B, lam - a * b
    yield A * B - (a * b + lam) * (a * b + lam), lam * (a - b) * (a - b)
    other = a - b if wrong else a + b
    yield A * B - (a * b - lam) * (a * b - lam), lam * other * other


@statement("T15", error="lam is left out of t")
def amplification(F: Field, c: Case, wrong: bool) -> Pairs:
    """amplification |Phi| / ((s_min^2 + lam) |D|): for the second root s_max / t_max = s_max^2 + lam; for the first it
    is s_max / s_min, and over cond(D) that is s_max^2 (s_min^2 + lam) / (s_min^2 (s_max^2 + lam)) <= 1 + lam /
    s_min^2 <= 2"""
    low, high, lam = F.scalar(), F.scalar(), F.scalar()
    A, B = low * low + lam, high * high + lam
    yield high / (high / B), high * high + (F.number(0) if wrong else lam)
    t_max, t_min = low / A, high / B  # the first root decreases in t
    yield high / (A * t_max), high / low
    yield (high / low) / (t_max / t_min), high * high * A / (low * low * B)
    yield A / (low * low) - high * high * A / (low * low * B), lam * A / (low * low * B)


@statement("T16", error="R1 is not projected on col(Phi_s), and R2 is dropped")
def certificate(F: Field, c: Case, wrong: bool) -> Pairs:
    """|W_s - W|^2 = |R2|^2 + |R1^T R(Phi_s)|^2 for any W, labels, features of any rank, any lam"""
    W, Phi, Y = F.draw(c.k, c.p, c.q), F.draw(c.m, c.p, c.r), F.draw(c.m, c.k)
    for lam in (None, F.scalar()):
        R2 = W - W @ Phi.plus @ Phi
        R1 = Phi @ Phi.plus @ (labels_for(Phi, W, lam) - Y)
        total = weights(Phi, R1, lam).norm2
        if not wrong:
            total = total + R2.norm2
        elif c.r >= c.p:
            total = total + Y.norm2
        yield (weights(Phi, Y, lam) - W).norm2, total


@statement("T17", error="the labels are not rotated", when=lambda c: c.q <= c.r and c.m >= c.k and c.n >= 2)
def function_of_weights(F: Field, c: Case, wrong: bool) -> Pairs:
    """the set is a function of W alone: rotated data (O Phi, O Y) have the same W and so the same set, which returns
    W"""
    Phi, Y, O, lam = F.draw(c.n, c.p), F.draw(c.n, c.k), F.orthogonal(c.n), F.scalar()  # noqa: E741
    W, other = weights(Phi, Y, lam), weights(O @ Phi, Y if wrong else O @ Y, lam)
    labels = F.draw(c.m, c.k)
    sets = [(labels.T.plus @ A).plus.T for A in (W, other)]
    yield sets[0], sets[1]
    yield weights(sets[0], labels, None), W


@statement("T17", error="the transpose is used for the pseudo-inverse", when=lambda c: c.k >= 2)
def data_recovered(F: Field, c: Case, wrong: bool) -> Pairs:
    """with n <= k and labels of full row rank the data come back: Phi = (((Y^T)^+ W)^+)^T at lam = 0; at lam > 0 the
    target R(Phi) = (Y^T)^+ W does, hence Phi up to the choice of a root for each singular value"""
    n = min(c.k, c.n)
    Phi, Y, lam = F.draw(n, c.p, c.r), F.draw(n, c.k), F.scalar()
    back = Y if wrong else Y.T.plus
    yield (back @ weights(Phi, Y, None)).plus.T, Phi
    yield back @ weights(Phi, Y, lam), (Phi @ Phi.T + lam * F.eye(n)).inv @ Phi
