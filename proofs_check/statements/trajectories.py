"""T19 (trajectories) and T20a (gradients): a set has the gradients of the data where the residuals are kept."""

from __future__ import annotations

from proofs_check.matrix import Field, Matrix, Scalar
from proofs_check.statements.statement import Case, Pairs, statement

__all__: list[str] = []


def _beside(F: Field, *blocks: Matrix) -> Matrix:
    return F.below(*[block.T for block in blocks]).T


def _kept(residuals: Matrix) -> Matrix:
    """V V^T for an orthonormal basis V of the columns: the sums of the set are Phi^T V V^T Phi, Y^T V V^T Phi."""
    return residuals @ residuals.plus


@statement("T20a", error="the residual at W_1 only is kept", when=lambda c: 2 * c.k < c.n and c.p > 1)
def gradients(F: Field, c: Case, wrong: bool) -> Pairs:
    """with V a basis of the residuals at W_1, W_2 the set (V^T Phi, V^T Y) has the gradients of the data at both"""
    Phi, Y, models = F.draw(c.n, c.p), F.draw(c.n, c.k), [F.draw(c.k, c.p) for _ in range(2)]
    residuals = [Phi @ W.T - Y for W in models]
    P = _kept(residuals[0] if wrong else _beside(F, *residuals))
    for W in models:
        yield W @ (Phi.T @ P @ Phi) - Y.T @ P @ Phi, W @ (Phi.T @ Phi) - Y.T @ Phi


@statement("T20a", error="the root is left out", when=lambda c: c.k < c.p)
def gradients_from_sums(F: Field, c: Case, wrong: bool) -> Pairs:
    """from the sums: h = (W G - C) G^(-1/2) has h h^T = E^T E for the residual E in the columns of Phi (G with rational
    roots), Phi_s = V^T G^(1/2), Y_s = Phi_s W^T - V^T h^T"""
    Q, roots = F.orthogonal(c.p), [F.scalar() for _ in range(c.p)]
    root, inverse = Q @ F.diag(roots) @ Q.T, Q @ F.diag([1 / s for s in roots]) @ Q.T
    G, C, W = root @ root, F.draw(c.k, c.p), F.draw(c.k, c.p)
    h = (W @ G - C) @ (root if wrong else inverse)
    P = h.plus @ h  # V V^T
    residual = P @ h.T
    yield residual.T @ P @ root, W @ G - C
    yield h @ h.T, (W @ G - C) @ G.inv @ (W @ G - C).T


def _descent(
    G: Matrix, C: Matrix, W: Matrix, steps: list[tuple[Scalar, Scalar, Scalar]], momentum: Scalar
) -> list[Matrix]:
    """Gradient descent with a step size, a weight decay and a momentum at every step."""
    path, velocity = [], None
    for step, decay, _ in steps:
        g = W @ G - C + decay * W
        velocity = g if velocity is None else momentum * velocity + g
        W = W - step * velocity
        path.append(W)
    return path


@statement("T19a", error="the first block only is kept", when=lambda c: 2 * c.k < c.n <= 9 and c.p > 1)
def trajectory(F: Field, c: Case, wrong: bool) -> Pairs:
    """from 0 the set of the Krylov space {E_0, K E_0} has the same W_1, W_2 for all step sizes, weight decays and
    momenta"""
    Phi, Y = F.draw(c.n, c.p), F.draw(c.n, c.k)
    steps, momentum = [(F.scalar(), F.scalar(), None) for _ in range(2)], F.scalar()
    P = _kept(Y if wrong else _beside(F, Y, Phi @ (Phi.T @ Y)))
    zero = F.zeros(c.k, c.p)
    data = _descent(Phi.T @ Phi, Y.T @ Phi, zero, steps, momentum)
    small = _descent(Phi.T @ P @ Phi, Y.T @ P @ Phi, zero, steps, momentum)
    yield from zip(small, data, strict=True)


@statement("T19a", error="they are left out", when=lambda c: 3 * c.k < c.n <= 11 and c.p > 1)
def trajectory_from_a_start(F: Field, c: Case, wrong: bool) -> Pairs:
    """from W_0 with weight decay the predictions Phi W_0^T belong to the Krylov space too"""
    Phi, Y, start = F.draw(c.n, c.p), F.draw(c.n, c.k), F.draw(c.k, c.p)
    steps, momentum = [(F.scalar(), F.scalar(), None) for _ in range(2)], F.scalar()
    E = Phi @ start.T - Y
    blocks = [E, Phi @ (Phi.T @ E)] + ([] if wrong else [Phi @ start.T])
    P = _kept(_beside(F, *blocks))
    data = _descent(Phi.T @ Phi, Y.T @ Phi, start, steps, momentum)
    small = _descent(Phi.T @ P @ Phi, Y.T @ P @ Phi, start, steps, momentum)
    yield from zip(small, data, strict=True)


@statement("T19a", error="P projects on the rows of C only", when=lambda c: 2 * c.k < c.p)
def trajectory_in_features(F: Field, c: Case, wrong: bool) -> Pairs:
    """in features: with P the projector on the rows {C, C G} the sums P G P and C have the same W_1, W_2 from 0"""
    Phi, Y = F.draw(c.n, c.p), F.draw(c.n, c.k)
    G, C = Phi.T @ Phi, Y.T @ Phi
    rows = C if wrong else F.below(C, C @ G)
    P, steps, momentum = rows.plus @ rows, [(F.scalar(), F.scalar(), None) for _ in range(2)], F.scalar()
    zero = F.zeros(c.k, c.p)
    pairs = zip(_descent(P @ G @ P, C, zero, steps, momentum), _descent(G, C, zero, steps, momentum), strict=True)
    yield from pairs


@statement("T19c", error="the student contracts as the expert does")
def segments(F: Field, c: Case, wrong: bool) -> Pairs:
    """M steps are one step with the sums I - (I - e G)^M; four steps of an expert are two of a student"""
    one, zero = F.number(1), F.number(0)
    Q, contractions = F.orthogonal(c.p), [F.scalar() for _ in range(c.p)]
    e, s = F.scalar(), F.scalar()
    best, first = F.draw(c.k, c.p), F.diag([one if i == 0 else zero for i in range(c.p)])
    G = Q @ F.diag([(1 - x) / e for x in contractions]) @ Q.T
    start = F.draw(c.k, c.p)
    moved = _descent(G, best @ G, start, [(e, zero, None)] * 4, zero)[-1]
    sums = Q @ F.diag([1 - x * x * x * x for x in contractions]) @ Q.T
    yield moved, start - (start @ sums - best @ sums)
    beside = best + F.draw(c.k, c.p) @ Q @ first @ Q.T  # W - W* along one eigenvector
    x = contractions[0]
    small = ((1 - (x if wrong else x * x)) / s) * (Q @ first @ Q.T)
    student = _descent(small, best @ small, beside, [(s, zero, None)] * 2, zero)[-1]
    yield student, _descent(G, best @ G, beside, [(e, zero, None)] * 4, zero)[-1]


@statement("T19b", error="the labels are at the end itself", when=lambda c: c.q <= min(c.k, c.p))
def end_point(F: Field, c: Case, wrong: bool) -> Pairs:
    """orthonormal rows of W_T - W_0 with labels at 1 / (1 - (1 - eta)^N) of the way: N steps of size eta end at W_T"""
    Phi, start, eta = F.orthogonal(c.p, c.q).T, F.draw(c.k, c.p), F.scalar()
    way = F.draw(c.k, c.q) @ Phi
    left = (1 - eta) * (1 - eta) * (1 - eta)
    Y = Phi @ start.T + (F.number(1) if wrong else 1 / (1 - left)) * (Phi @ way.T)
    W = start
    for _ in range(3):
        W = W - eta * ((Phi @ W.T - Y).T @ Phi)
    yield W, start + way
