"""T22b (near copies), T23 (later data), T24 (integers), T25 (every penalty)."""

from __future__ import annotations

from proofs_check.matrix import Field, Matrix, Scalar, weights
from proofs_check.statements.given_features import labels_for
from proofs_check.statements.models import contrasts
from proofs_check.statements.statement import Case, Pairs, statement

__all__: list[str] = []


@statement("T22b", error="one base fewer than p / (d + 1)", when=lambda c: c.p >= 4 and c.k <= 3)
def near_copies(F: Field, c: Case, wrong: bool) -> Pairs:
    """bases xi_i with [phi(xi_i), J(xi_i)] of rank p and points xi_i + eps v_il of a piece where phi is linear carry
    every W: s (q + 1) points with labels of T4"""
    d = 2
    s = -(-c.p // (d + 1)) - int(wrong)
    W, eps = F.draw(c.k, c.p), F.scalar()
    features, jacobians = [F.draw(c.p, 1) for _ in range(s)], [F.draw(c.p, d) for _ in range(s)]
    M = F.below(*[A.T for pair in zip(features, jacobians, strict=True) for A in pair]).T
    z = M.plus @ W.T  # alpha_i, v_i one below the other, a column for each row of W
    points = [f.T for f in features]
    for i, (f, J) in enumerate(zip(features, jacobians, strict=True)):
        v = z.rows(range(i * (d + 1) + 1, (i + 1) * (d + 1)))
        points.append(F.ones(c.k) @ f.T + eps * (J @ v).T)
    Phi = F.below(*points)
    for lam in (None, F.scalar()):
        coefficients = _coefficients(F, z, eps, s, d, c.k)
        yield coefficients @ Phi, W
        if Phi.shape[0] <= c.p and lam is not None:
            yield weights(Phi, labels_for(Phi, W, lam), lam), W


def _coefficients(F: Field, z: Matrix, eps: Scalar, s: int, d: int, k: int) -> Matrix:
    """The dual coefficients (k, s (k + 1)) of W: alpha_il - 1 / eps at xi_i, and 1 / eps at the copy."""
    alpha = F.below(*[z.rows([i * (d + 1)]) for i in range(s)]).T
    copies = (1 / eps) * F.eye(k)
    own = alpha - (1 / eps) * F.ones(k, s)
    return F.below(own.T, *[copies] * s).T


@statement("T22b", error="the means of the pairs are forgotten", when=lambda c: c.p >= 4 and c.k <= 3)
def pairs(F: Field, c: Case, wrong: bool) -> Pairs:
    """Pairs xi +- eps v with bases of its own for each row, on pieces where phi is linear: means and differences."""
    d, s = 2, -(-c.p // 3)
    W, eps, half = F.draw(c.k, c.p), F.scalar(), 1 / F.number(2)
    for row in range(c.k):
        features, jacobians = [F.draw(c.p, 1) for _ in range(s)], [F.draw(c.p, d) for _ in range(s)]
        M = F.below(*[A.T for pair in zip(features, jacobians, strict=True) for A in pair]).T
        z = M.plus @ W.rows([row]).T  # alpha_i, v_i one below the other
        reached = F.zeros(1, c.p)
        for i, (f, J) in enumerate(zip(features, jacobians, strict=True)):
            move = eps * (J @ z.rows(range(i * (d + 1) + 1, (i + 1) * (d + 1)))).T
            plus, minus = f.T + move, f.T - move
            if not wrong:
                reached = reached + z.rows([i * (d + 1)]) @ (half * (plus + minus))
            reached = reached + (half / eps) * (plus - minus)
        yield reached, W.rows([row])


@statement("T22c", error="eps is forgotten", when=lambda c: c.k <= c.m)
def difference(F: Field, c: Case, wrong: bool) -> Pairs:
    """W = ((u + eps W) - u) / eps: points that reach u and points that reach u + eps W reach W together"""
    one, W, eps = F.draw(c.m, c.p), F.draw(c.k, c.p), F.scalar()
    C, D = F.draw(c.k, c.m), F.draw(c.k, c.m)
    other = D.plus @ (C @ one + eps * W)  # points whose features reach u + eps W with other coefficients
    yield D @ other - C @ one, eps * W
    factor = F.number(1) if wrong else 1 / eps
    joint = F.below((F.number(-1) * factor * C).T, (factor * D).T).T
    yield joint @ F.below(one, other), W


@statement("T22d", error="the points are no zero of C_0 phi", when=lambda c: c.m >= 2)
def kernel_of_rotations(F: Field, c: Case, wrong: bool) -> Pairs:
    """at a zero C_0 phi(X_0) = 0 the differential vanishes along (M C_0, 0) for every M: its rank loses q^2"""
    q = 1 if wrong else min(c.k, c.m - 1)
    Phi = F.draw(c.m, c.p)
    C = F.draw(q, c.m)
    if not wrong:
        Phi = Phi - C.plus @ C @ Phi  # features with C phi = 0
    M = F.draw(q, q)
    yield (M @ C) @ Phi, F.zeros(q, c.p)


def _later(G: Matrix, C: Matrix, lam: Scalar) -> Matrix:
    return C @ (G + lam * G.F.eye(G.shape[0])).inv


@statement("T23a", error="the old G alone is inverted", when=lambda c: c.p <= 7)
def new_data(F: Field, c: Case, wrong: bool) -> Pairs:
    """new data with sums G_n, C_n change W to W + (C_n - W G_n) (G + G_n + lam)^-1"""
    Phi, Y, new, answers, lam = F.draw(c.n, c.p), F.draw(c.n, c.k), F.draw(c.m, c.p), F.draw(c.m, c.k), F.scalar()
    G, C, G_n, C_n = Phi.T @ Phi, Y.T @ Phi, new.T @ new, answers.T @ new
    W = _later(G, C, lam)
    inverse = (G + lam * F.eye(c.p) if wrong else G + G_n + lam * F.eye(c.p)).inv
    yield W + (C_n - W @ G_n) @ inverse, _later(G + G_n, C + C_n, lam)


def memory(W: Matrix, V: Matrix, M: Matrix, lam: Scalar, wrong: bool) -> tuple[Matrix, Matrix]:
    """Sums of the points of T23b: G_s = Z (X^T Z)^-1 Z^T + N^T N, and C_s of the labels of T4 for W."""
    F = W.F
    X = M @ V
    Z = V - lam * X
    inner = Z @ (X.T @ Z).inv @ Z.T
    rest = W - W @ X @ (X.T @ Z).inv @ Z.T
    G = inner if wrong else inner + rest.T @ rest
    rows = Z.T if wrong else F.below(Z.T, rest)
    return G, W @ G + lam * (W @ (rows.plus @ rows))


@statement(
    "T23b", error="the rows blind to X are left out", when=lambda c: c.n >= c.p >= 3 and c.p <= 7 and c.k + 1 < c.p
)
def every_future(F: Field, c: Case, wrong: bool) -> Pairs:
    """the points of rank [Z^T; W] rows give the model of all data, now and with any samples B V^T and any labels"""
    r = 1
    Phi, Y, V, lam = F.draw(c.n, c.p), F.draw(c.n, c.k), F.draw(c.p, r), F.scalar()
    G, C = Phi.T @ Phi, Y.T @ Phi
    W = _later(G, C, lam)
    G_s, C_s = memory(W, V, (G + lam * F.eye(c.p)).inv, lam, wrong)
    yield _later(G_s, C_s, lam), W
    for _ in range(2):
        new, answers = F.draw(2, r) @ V.T, F.draw(2, c.k)
        G_n, C_n = new.T @ new, answers.T @ new
        yield _later(G_s + G_n, C_s + C_n, lam), _later(G + G_n, C + C_n, lam)


@statement("T23c", error="the set keeps the sample", when=lambda c: c.n > c.p >= 3 and c.p <= 7 and c.k + 1 < c.p)
def forgotten(F: Field, c: Case, wrong: bool) -> Pairs:
    """with the features of a sample as V the set without it (weight -1) has the model of the data without it"""
    Phi, Y, lam = F.draw(c.n, c.p), F.draw(c.n, c.k), F.scalar()
    G, C, gone, answer = Phi.T @ Phi, Y.T @ Phi, Phi.rows([0]), Y.rows([0])
    W = _later(G, C, lam)
    G_s, C_s = memory(W, gone.T, (G + lam * F.eye(c.p)).inv, lam, False)
    G_n, C_n = gone.T @ gone, answer.T @ gone
    sign = F.number(0 if wrong else -1)
    rest, labels = Phi.rows(range(1, c.n)), Y.rows(range(1, c.n))
    yield _later(G_s + sign * G_n, C_s + sign * C_n, lam), weights(rest, labels, lam)


@statement(
    "T23d",
    error="the second holder sends the points of his present model",
    when=lambda c: c.n >= c.p >= 4 and c.p <= 7 and 1 < c.k + 1 < c.p,
)
def merged_holders(F: Field, c: Case, wrong: bool) -> Pairs:
    """the set of a holder whose data lie in span V has their sums: both sets together give the model of all data"""
    r = 2
    Phi, Y, V, lam = F.draw(c.n, c.p), F.draw(c.n, c.k), F.draw(c.p, r), F.scalar()
    new, answers = F.draw(c.n, r) @ V.T, F.draw(c.n, c.k)
    one = F.eye(c.p)
    sums = []
    for A, B in ((Phi, Y), (new, answers)):
        G, C = A.T @ A, B.T @ A
        sums.append((G, C, _later(G, C, lam)))
    (G, C, W), (G_n, C_n, W_n) = sums
    G_s, C_s = memory(W, V, (G + lam * one).inv, lam, False)
    if wrong:
        G_t, C_t = W_n.T @ W_n, W_n @ W_n.T @ W_n + lam * W_n
    else:
        M = (G_n + lam * one).inv
        Z = V - lam * (M @ V)
        G_t = Z @ (V.T @ M @ Z).inv @ Z.T
        C_t = W_n @ G_t + lam * W_n
        yield G_t, G_n
        yield C_t, C_n
    yield _later(G_s + G_t, C_s + C_t, lam), _later(G + G_n, C + C_n, lam)


@statement("T24", error="C belongs to another W", when=lambda c: c.q <= c.m < c.p)
def lost_by_integers(F: Field, c: Case, wrong: bool) -> Pairs:
    """with C X = W integers L lose W (I - L^+ L) = C (X - L) (I - L^+ L): no more than C (X - L), whatever their
    labels"""
    X, L = F.draw(c.m, c.p), F.draw(c.m, c.p)
    C = F.draw(c.k, c.m, c.q)
    W = (F.draw(c.k, c.m, c.q) if wrong else C) @ X
    outside = F.eye(c.p) - L.plus @ L
    yield W @ outside, C @ (X - L) @ outside


@statement("T25", error="the labels' own part of R is cut off", when=lambda c: c.p <= 6 and c.n >= 2)
def objective(F: Field, c: Case, wrong: bool) -> Pairs:
    """[Phi Y] = Q R with orthonormal Q: the rows of R have the objective of the data at every W"""
    rows = min(c.n, c.p + c.k)
    R, W = F.draw(rows, c.p + c.k), F.draw(c.k, c.p)
    joint = F.orthogonal(c.n, rows) @ R
    Phi, Y = joint.columns(range(c.p)), joint.columns(range(c.p, c.p + c.k))
    kept = R.rows(range(max(1, rows - 1))) if wrong else R
    Phi_s, Y_s = kept.columns(range(c.p)), kept.columns(range(c.p, c.p + c.k))
    yield (Phi_s @ W.T - Y_s).norm2, (Phi @ W.T - Y).norm2
    yield Phi_s.T @ Phi_s, Phi.T @ Phi
    yield Y_s.T @ Phi_s, Y.T @ Phi


@statement("T25", error="the deviations are not scaled", when=lambda c: c.p <= 5 and c.k <= 3)
def objective_with_intercept(F: Field, c: Case, wrong: bool) -> Pairs:
    """with means: 1 mu + sqrt(m / n) H^T R_c, each point of weight n / m, has the objective with any intercept"""
    n, m = 9, 4
    R, mean = F.draw(m - 1, c.p + c.k), F.draw(1, c.p + c.k)
    data = F.ones(n) @ mean + contrasts(F, n).rows(range(m - 1)).T @ R
    scale = F.number(1) if wrong else F.number(2) / F.number(3)  # sqrt(m / n)
    points = F.ones(m) @ mean + scale * (contrasts(F, m).T @ R)
    W, b = F.draw(c.k, c.p), F.draw(1, c.k)
    sizes = []
    for A in (data, points):
        Phi, Y = A.columns(range(c.p)), A.columns(range(c.p, c.p + c.k))
        sizes.append((Phi @ W.T + F.ones(A.shape[0]) @ b - Y).norm2)
    yield (F.number(n) / F.number(m)) * sizes[1], sizes[0]
