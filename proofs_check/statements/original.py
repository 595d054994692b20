"""T13 (fitting W from sums, the path over ridges, leave-one-out, GCV) and the counts of T10."""

from __future__ import annotations

from proofs_check.matrix import Field, weights
from proofs_check.statements.statement import Case, Pairs, statement

__all__: list[str] = []


@statement("T10", error="the labels are the first d of Y", when=lambda c: c.p < c.n)
def all_labels(F: Field, c: Case, wrong: bool) -> Pairs:
    """for every label set at once d points suffice: with X = Q R the set (R, Q^T Y) has the weights of (X, Y), any Y
    and lam"""
    Q, R, lam = F.orthogonal(c.n, c.p), F.draw(c.p, c.p), F.scalar()
    Y = F.draw(c.n, c.k)
    labels = Y.rows(range(c.p)) if wrong else Q.T @ Y
    for ridge in (None, lam):
        yield weights(R, labels, ridge), weights(Q @ R, Y, ridge)


@statement("T10", error="S is left out", when=lambda c: c.m < c.p)
def best_predictions(F: Field, c: Case, wrong: bool) -> Pairs:
    """prediction-optimal labels for given points: C = W S Phi_s^T (Phi_s S Phi_s^T)^+ leaves an error orthogonal to all
    reachable W_s"""
    root, Phi, W, lam = F.draw(c.p, c.p), F.draw(c.m, c.p), F.draw(c.k, c.p), F.scalar()
    S = root.T @ root
    metric = F.eye(c.p) if wrong else S
    C = W @ metric @ Phi.T @ (Phi @ metric @ Phi.T).plus
    Y = (Phi @ Phi.T + lam * F.eye(c.m)) @ C.T
    Ws = weights(Phi, Y, lam)
    yield Ws, C @ Phi
    yield (Ws - W) @ S @ Phi.T, F.zeros(c.k, c.m)


@statement("T13", error="the second C is left out")
def merged_sums(F: Field, c: Case, wrong: bool) -> Pairs:
    """sums of parts add: the model of all samples follows from G + G', C + C'"""
    parts, lam = [(F.draw(rows, c.p), F.draw(rows, c.k)) for rows in (c.n, c.m)], F.scalar()
    G = parts[0][0].T @ parts[0][0] + parts[1][0].T @ parts[1][0]
    C = parts[0][1].T @ parts[0][0]
    C = C if wrong else C + parts[1][1].T @ parts[1][0]
    Phi, Y = (F.below(parts[0][i], parts[1][i]) for i in (0, 1))
    yield C @ (G + lam * F.eye(c.p)).inv, weights(Phi, Y, lam)


@statement("T13", error="the eigenvalues are used as singular values", when=lambda c: c.p <= c.n)
def path(F: Field, c: Case, wrong: bool) -> Pairs:
    """one eigendecomposition G = Q g Q^T gives every model: W(lam) = C Q (g + lam)^-1 Q^T"""
    Q, V, s = F.orthogonal(c.p), F.orthogonal(c.n, c.p), [F.scalar() for _ in range(c.p)]
    Phi, Y = V @ F.diag(s) @ Q.T, F.draw(c.n, c.k)
    C = Y.T @ Phi
    for lam in (F.scalar(), F.scalar()):
        inverse = F.diag([1 / ((x if wrong else x * x) + lam) for x in s])
        yield C @ Q @ inverse @ Q.T, weights(Phi, Y, lam)


@statement("T13", error="e_i / (1 + h_i)", when=lambda c: c.n >= 2)
def leave_one_out(F: Field, c: Case, wrong: bool) -> Pairs:
    """the residual without sample i is e_i / (1 - h_i)"""
    Phi, Y, lam = F.draw(c.n, c.p), F.draw(c.n, c.k), F.scalar()
    hat = Phi @ (Phi.T @ Phi + lam * F.eye(c.p)).inv @ Phi.T
    W, rest = weights(Phi, Y, lam), range(1, c.n)
    without = weights(Phi.rows(rest), Y.rows(rest), lam)
    h = hat.entry(0, 0)
    slack = 1 + h if wrong else 1 - h
    yield (1 / slack) * (Y.rows([0]) - Phi.rows([0]) @ W.T), Y.rows([0]) - Phi.rows([0]) @ without.T


@statement("T13", error="1 / n is left out", when=lambda c: c.n >= 3)
def leave_one_out_with_intercept(F: Field, c: Case, wrong: bool) -> Pairs:
    """with an unpenalised intercept the leverage is that of the centred data plus 1 / n"""
    Phi, Y, lam, n = F.draw(c.n, c.p), F.draw(c.n, c.k), F.scalar(), c.n

    def centre(rows: int) -> tuple:
        average = (1 / F.number(rows)) * F.ones(1, rows)
        return F.eye(rows) - F.ones(rows) @ average, average

    H = centre(n)[0]
    W = weights(H @ Phi, H @ Y, lam)
    residual = (H @ Y - H @ Phi @ W.T).rows([0])
    hat = H @ Phi @ ((H @ Phi).T @ (H @ Phi) + lam * F.eye(c.p)).inv @ (H @ Phi).T
    h = hat.entry(0, 0) + (F.number(0) if wrong else 1 / F.number(n))
    rest, (H1, average1) = range(1, n), centre(n - 1)
    Phi1, Y1 = Phi.rows(rest), Y.rows(rest)
    W1 = weights(H1 @ Phi1, H1 @ Y1, lam)
    predicted = average1 @ Y1 + (Phi.rows([0]) - average1 @ Phi1) @ W1.T
    yield (1 / (1 - h)) * residual, Y.rows([0]) - predicted


@statement("T13", error="C_j is not subtracted", when=lambda c: c.n >= 2)
def folds(F: Field, c: Case, wrong: bool) -> Pairs:
    """k-fold models follow from the sums without a chunk: (C - C_j)(G - G_j + lam)^-1"""
    Phi, Y, lam = F.draw(c.n, c.p), F.draw(c.n, c.k), F.scalar()
    cut = c.n // 2
    inside, outside = range(cut), range(cut, c.n)
    G = Phi.T @ Phi - Phi.rows(inside).T @ Phi.rows(inside)
    C = Y.T @ Phi
    C = C if wrong else C - Y.rows(inside).T @ Phi.rows(inside)
    yield C @ (G + lam * F.eye(c.p)).inv, weights(Phi.rows(outside), Y.rows(outside), lam)


@statement("T13", error="2 lam is lam", when=lambda c: c.p <= c.n)
def residual_from_sums(F: Field, c: Case, wrong: bool) -> Pairs:
    """the squared residual of GCV follows from sums: |Y|^2 - sum_j |C q_j|^2 (g_j + 2 lam) / (g_j + lam)^2"""
    Q, V, s, lam = F.orthogonal(c.p), F.orthogonal(c.n, c.p), [F.scalar() for _ in range(c.p)], F.scalar()
    Phi, Y = V @ F.diag(s) @ Q.T, F.draw(c.n, c.k)
    twice = lam if wrong else 2 * lam
    gain = F.diag([(x * x + twice) / ((x * x + lam) * (x * x + lam)) for x in s])
    energy = Y.T @ Phi @ Q
    yield (Phi @ weights(Phi, Y, lam).T - Y).norm2, Y.norm2 - F.trace(energy @ gain @ energy.T)


@statement("T13", error="S is replaced by the first rows of Y", when=lambda c: c.p < c.n)
def triangular_factor(F: Field, c: Case, wrong: bool) -> Pairs:
    """TSQR: with [Phi Y] = Q [R S; 0 T] the model of (Phi, Y) is that of (R, S)"""
    columns = min(c.n, c.p + c.k)
    Q, R, S, T = F.orthogonal(c.n, columns), F.draw(c.p, c.p), F.draw(c.p, c.k), F.draw(columns - c.p, c.k)
    Phi = Q.columns(range(c.p)) @ R
    Y = Q @ F.below(S, T)
    for lam in (None, F.scalar()):
        yield weights(R, Y.rows(range(c.p)) if wrong else S, lam), weights(Phi, Y, lam)
