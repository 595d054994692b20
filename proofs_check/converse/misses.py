"""What the sets of T18 to T23 miss where a hypothesis fails, or with fewer points."""

from __future__ import annotations

from collections.abc import Iterator

from flint import arb, fmpq

from proofs_check.ball.balls import Balls
from proofs_check.ball.losses import softmax
from proofs_check.check import Outcome, checked
from proofs_check.converse.instances import decided
from proofs_check.exact.rationals import Rationals
from proofs_check.matrix import Matrix, weights
from proofs_check.statements.futures import memory

__all__ = ["CHECKS"]


def _inside(rows: Matrix, span: Matrix) -> bool:
    return rows.F.is_zero(rows - rows @ span.plus @ span)


def _equal(A: Matrix, B: Matrix) -> bool:
    return A.F.is_zero(A - B)


@checked("T18d", "converse")
def copies_are_needed(deep: bool, negate: bool) -> Outcome:
    """k one-hot points with logits t (e_i - 1/k) pull lam |W|^2 = k (y - mu).z of at most k w((k - 1) / e), for every
    t: a larger lam |W|^2 takes copies"""
    F, count = Balls(3), 60 if deep else 12
    for k in (2, 3, 5):
        most = (arb(k - 1) / arb(1).exp()).lambertw() / (2 if negate else 1)
        y = F.constant([[int(j == 0) for j in range(k)]])
        for step in range(1, count + 1):
            t = arb(step) / 3 + most / 97  # never the t = 1 + w where the limit is reached
            z = t * (y - F.constant([[arb(1) / k for _ in range(k)]]))
            if not bool(F.trace((y - softmax(F, z)) @ z.T) < most):
                return Outcome(False, step, "above", f"k = {k}, step {step}")
    return Outcome(True, 3 * count, "exact", "enclosed below the limit")


@decided("T19b")
def fewer_points_to_the_end(F: Rationals, wrong: bool) -> Iterator[bool]:
    """rank(W_T - W_0) points are necessary: steps on a set move W within the rows of its points"""
    k, p = 3, 6
    start, way = F.draw(k, p), F.draw(k, p)
    points = F.draw(k, k) @ way if wrong else F.draw(k - 1, p)
    Y, W = F.draw(points.shape[0], k), start
    for _ in range(3):
        W = W - fmpq(1, 9) * ((points @ W.T - Y).T @ points)
    yield _inside(W - start, points)
    yield not _inside(way, points)


@decided("T19c")
def fewer_points_than_ways(F: Rationals, wrong: bool) -> Iterator[bool]:
    """fewer points than the ways of the expert from all starts have rank miss one of them"""
    n, p, k = 9, 6, 2
    Phi, Y = F.draw(n, p), F.draw(n, k)
    G, C, ways = Phi.T @ Phi, Y.T @ Phi, []
    for start in (F.draw(k, p), F.draw(k, p)):
        W = start
        for _ in range(2):
            W = W - fmpq(1, 1000) * (W @ G - C)
        ways.append(W - start)
    needed = F.below(*ways)
    yield needed.rank == 2 * k
    yield not _inside(needed, needed if wrong else F.draw(2 * k - 1, p))


@decided("T19d")
def fewer_blocks_are_not_exact(F: Rationals, wrong: bool) -> Iterator[bool]:
    """one block of the Krylov space for two steps: the second step differs, so that a bound is all there is"""
    n, p, k, eta = 9, 6, 2, fmpq(1, 100)
    Phi, Y = F.draw(n, p), F.draw(n, k)
    G, C = Phi.T @ Phi, Y.T @ Phi
    rows = F.below(C, C @ G) if wrong else C
    P, first = rows.plus @ rows, eta * C
    yield not _equal(first - eta * (first @ P @ G @ P - C), first - eta * (first @ G - C))


@decided("T21c")
def short_points_make_a_saddle(F: Rationals, wrong: bool) -> Iterator[bool]:
    """L = 3 and c^2 below lam / (3 s^(4/3)): the weights are stationary, and the loss falls on both sides of them along
    their singular value"""
    w, c = F.scalar(), F.scalar()
    lam = 3 * w**4 * c * c * (fmpq(3, 4) if wrong else fmpq(4, 3))
    label = c * w**3 + lam / (c * w)

    def loss(v: fmpq) -> fmpq:
        return (c * v**3 - label) ** 2 / 2 + 3 * lam * v * v / 2

    yield 3 * c * w * w * (c * w**3 - label) + 3 * lam * w == 0
    yield loss(w * fmpq(1001, 1000)) < loss(w) and loss(w * fmpq(999, 1000)) < loss(w)


@decided("T21c")
def unbalanced_layers(F: Rationals, wrong: bool) -> Iterator[bool]:
    """on any data W_2^T (gradient in W_2) is (gradient in W_1) W_1^T, so that factors which are stationary at lam > 0
    are balanced, and others are on no set"""
    d, h, m = 4, 3, 5
    one = F.draw(h, d)
    two = one.T if wrong else F.draw(d, h)
    X = F.draw(m, d)
    D = X @ one.T @ two.T - F.draw(m, d)
    yield _equal(two.T @ (D.T @ (X @ one.T)), (D @ two).T @ X @ one.T)
    yield not _equal(two.T @ two, one @ one.T)


@decided("T21d")
def unbalanced_units(F: Rationals, wrong: bool) -> Iterator[bool]:
    """on any data a.(gradient in a) is b.(gradient in b) for a ReLU unit, so that |a| = |b| is necessary at lam > 0"""
    d, m = 4, 6
    b = F.draw(d, 1)
    a = F.orthogonal(d) @ b if wrong else F.draw(d, 1)
    X, D = F.draw(m, d), F.draw(m, d)
    active = F.diag([fmpq(int(z[0] > 0)) for z in (X @ b).a.tolist()])
    of_a, of_b = D.T @ active @ X @ b, X.T @ active @ D @ a
    yield F.trace(a.T @ of_a) == F.trace(b.T @ of_b)
    yield F.trace(a.T @ a) != F.trace(b.T @ b)


@decided("T22c")
def one_group_is_not_enough(F: Rationals, wrong: bool) -> Iterator[bool]:
    """phi(x) = (x, x^2): one point reaches every W with W_1 /= 0, an open set, and misses (0, 1); two reach it"""
    first, second = F.scalar(), F.scalar()
    x, c = second / first, first * first / second
    yield (c * x, c * x * x) == (first, second)
    for c, x in ((first, fmpq(0)), (fmpq(0), second)):  # all ways to have c x = 0
        yield c * x * x != (0 if wrong else 1)
    yield F.constant([[first, first * first], [first + second, (first + second) ** 2]]).rank == 2


@decided("T22d")
def too_few_at_a_zero(F: Rationals, wrong: bool) -> Iterator[bool]:
    """m (d + q) - q^2 < q p: at a zero C_0 phi(X_0) = 0 the differential is onto nowhere, since it vanishes along
    rotations of C_0; beside zeros as many points may do"""
    d, p, q, m = 2, 5, 2, 3
    C, Phi = F.draw(q, m), F.draw(m, p)
    if not wrong:
        Phi = Phi - C.plus @ C @ Phi
    moves = [F.constant([[int(j == r)] for j in range(q)]) @ Phi.rows([i]) for r in range(q) for i in range(m)]
    moves += [C.columns([i]) @ F.draw(1, p) for i in range(m) for _ in range(d)]
    flat = F.below(*[F.below(*[move.rows([r]).T for r in range(q)]).T for move in moves])
    yield flat.rank <= m * (d + q) - q * q < q * p


def _of_sums(G: Matrix, C: Matrix, lam: fmpq) -> Matrix:
    return C @ (G + lam * G.F.eye(G.shape[0])).inv


@decided("T23a")
def other_sums(F: Rationals, wrong: bool) -> Iterator[bool]:
    """the k points of the present model in the place of the old data: new samples change W in another way"""
    n, p, k, lam = 9, 5, 2, fmpq(1)
    Phi, Y, new, answers = F.draw(n, p), F.draw(n, k), F.draw(3, p), F.draw(3, k)
    W = weights(Phi, Y, lam)
    G, C = (Phi.T @ Phi, Y.T @ Phi) if wrong else (W.T @ W, (W + lam * W.plus.T) @ W.T @ W)
    yield _equal(_of_sums(G, C, lam), W)
    all_data = weights(F.below(Phi, new), F.below(Y, answers), lam)
    yield not _equal(_of_sums(G + new.T @ new, C + answers.T @ new, lam), all_data)


@decided("T23c")
def another_sample(F: Rationals, wrong: bool) -> Iterator[bool]:
    """a memory made for one sample does not forget another exactly"""
    n, p, k, lam = 9, 5, 2, fmpq(1)
    Phi, Y = F.draw(n, p), F.draw(n, k)
    G, C = Phi.T @ Phi, Y.T @ Phi
    named, gone = Phi.rows([0]), 0 if wrong else 1
    G_s, C_s = memory(_of_sums(G, C, lam), named.T, (G + lam * F.eye(p)).inv, lam, False)
    x, y, rest = Phi.rows([gone]), Y.rows([gone]), [i for i in range(n) if i != gone]
    yield not _equal(_of_sums(G_s - x.T @ x, C_s - y.T @ x, lam), weights(Phi.rows(rest), Y.rows(rest), lam))


@decided("T23d")
def present_models_do_not_merge(F: Rationals, wrong: bool) -> Iterator[bool]:
    """the k points of each holder's own model, stacked, do not give the model of all their data"""
    p, k, lam, sums = 5, 2, fmpq(1), []
    holders = [(F.draw(7, p), F.draw(7, k)) for _ in range(2)]
    for Phi, Y in holders:
        W = weights(Phi, Y, lam)
        points = (Phi, Y) if wrong else (W, ((W + lam * W.plus.T) @ W.T).T)
        yield _equal(weights(*points, lam), W)
        sums.append((points[0].T @ points[0], points[1].T @ points[0]))
    (G, C), (H, D) = sums
    every = [F.below(*parts) for parts in zip(*holders, strict=True)]
    yield not _equal(_of_sums(G + H, C + D, lam), weights(*every, lam))


CHECKS = [
    copies_are_needed,
    fewer_points_to_the_end,
    fewer_points_than_ways,
    fewer_blocks_are_not_exact,
    short_points_make_a_saddle,
    unbalanced_layers,
    unbalanced_units,
    one_group_is_not_enough,
    too_few_at_a_zero,
    other_sums,
    another_sample,
    present_models_do_not_merge,
]
