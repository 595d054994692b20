"""What the sets of T18 to T25 cannot do with one point fewer, and what does not exist at all."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from itertools import pairwise

from flint import arb, fmpq, nmod_mat

from proofs_check.ball.balls import Balls
from proofs_check.ball.losses import cross_entropy, softmax
from proofs_check.check import Outcome, checked
from proofs_check.converse.counts import jacobian_rank
from proofs_check.converse.instances import decided
from proofs_check.exact.rationals import Rationals
from proofs_check.identity.prime_field import random_prime
from proofs_check.matrix import Matrix, weights
from proofs_check.statements.losses import centred

__all__ = ["CHECKS"]


def _inside(rows: Matrix, span: Matrix) -> bool:
    return rows.F.is_zero(rows - rows @ span.plus @ span)


@decided("T18a")
def too_few_points(F: Rationals, wrong: bool) -> Iterator[bool]:
    """fewer points than rank W (softmax: k - 2): every stationary W_s has its rows in their row space, W has not"""
    k, p = 5, 7
    W = centred(F, F.draw(k, p))
    yield W.rank == k - 1
    base = W.rows(range(k - 1))
    yield not _inside(W, F.draw(k - 1, k - 1) @ base if wrong else F.draw(k - 2, p))


@decided("T18b")
def uncentred(F: Rationals, wrong: bool) -> Iterator[bool]:
    """an uncentred W is no softmax solution at lam > 0: its gradient's column sums are lam 1^T W, not 0"""
    W = F.draw(3, 5)
    yield not F.is_zero(F.ones(1, 3) @ (centred(F, W) if wrong else W))


@checked("T18c", "converse")
def no_point_pulls_harder(deep: bool, negate: bool) -> Outcome:
    """no label in the simplex has (y - mu(z)).z above w((k - 1) / e): random logits, all classes"""
    # Random logits stay below Lambert's number.
    count = 200 if deep else 20
    F = Balls(0)
    for index in range(count):
        k = 2 + index % 5
        z = F.draw(1, k)
        mu = softmax(F, z)
        most = (arb(k - 1) / arb(1).exp()).lambertw() / (40 if negate else 1)
        for j in range(k):
            y = F.constant([[int(i == j) for i in range(k)]])
            if not bool(F.trace((y - mu) @ z.T) < most):
                return Outcome(False, index + 1, "above", f"k = {k}, class {j}")
    return Outcome(True, count, "exact", "enclosed on both sides")


@checked("T18e", "converse")
def no_minimiser(deep: bool, negate: bool) -> Outcome:
    """separated samples at lam = 0: the cross-entropy falls along the ray t W, towards 0, which it never is"""
    # Cross-entropy of separated samples along a ray.
    count = 30 if deep else 4
    for seed in range(count):
        F = Balls(seed)
        Y = F.constant([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]])
        noise = F.draw(4, 3)
        Z = (F.number(-5) if negate else F.number(5)) * Y + noise  # |noise| < 2: every margin is above 0
        losses = [cross_entropy(F, arb(t) * Z, Y) for t in (1, 2, 4, 8)]
        falling = all(bool(b < a) for a, b in pairwise(losses))
        if not (falling and bool(losses[-1] > 0) and bool(losses[-1] < arb(1) / 100)):
            return Outcome(False, seed + 1, "does not fall", f"seed {seed}")
    return Outcome(True, count, "exact", "enclosed")


@checked("T18e", "ball")
def ray(deep: bool, negate: bool) -> Outcome:
    """the loss of a sample is log(1 + sum_j exp(-margin_j)) > 0"""
    # The same for one sample in closed form: log(1 + sum exp(-t m_j)) at its margins m.
    F = Balls(1)
    for t in (1, 3, 10):
        Z = F.constant([[arb(t), arb(0), arb(-t)]])
        loss = cross_entropy(F, Z, F.constant([[1, 0, 0]]))
        closed = (1 + (arb(-t)).exp() + (arb(-2 * t)).exp()).log() * (2 if negate else 1)
        if not (loss - closed).contains(0):
            return Outcome(False, t, "differs")
    return Outcome(True, 3, "0 is enclosed")


@decided("T19a")
def trajectory_count(F: Rationals, wrong: bool) -> Iterator[bool]:
    """T k points are necessary: the gradients at W_0 .. W_(T-1) have rank T k for generic data"""
    n, p, k = 9, 7, 2
    Phi, Y = F.draw(n, p), F.draw(n, k)
    G, C, W, rows = Phi.T @ Phi, Y.T @ Phi, F.zeros(k, p), []
    for _ in range(3):
        rows.append(W @ G - C)
        W = W - fmpq(1, 100) * rows[-1]
    stacked = F.below(*rows)
    yield stacked.rank == (2 if wrong else 3) * k


@decided("T20a")
def gradient_count(F: Rationals, wrong: bool) -> Iterator[bool]:
    """the rank of all gradients is necessary: each gradient of a set lies in the row space of its features"""
    n, p, k = 8, 7, 2
    Phi, Y = F.draw(n, p), F.draw(n, k)
    rows = F.below(*[(Phi @ W.T - Y).T @ Phi for W in (F.draw(k, p), F.draw(k, p))])
    yield rows.rank == 2 * k
    yield not _inside(rows, rows if wrong else F.draw(2 * k - 1, p))


@checked("T22a", "exact")
def open_set(deep: bool, negate: bool) -> Outcome:
    """m + floor(m / q) d >= p: the differential of (X, C) -> C phi(X) is onto at some point, so an open set of W is
    reached (phi cubic)"""
    # The Jacobian of (X, C) -> C phi(X) has full rank at the count of T22a for phi = (A x + b)^3.
    rng = random.Random(7)
    shapes = ((2, 6, 2), (3, 8, 2), (3, 10, 3), (4, 9, 1), (2, 9, 3))
    for d, p, q in shapes if deep else shapes[:4]:
        count = next(m for m in range(q, p + q + 1) if m + (m // q) * d >= p)
        least = math.ceil(max(q, q * p / (d + q)))
        rank = jacobian_rank(d, p, q, least - 1 if negate else count, rng)
        if rank != q * p or least > count:
            return Outcome(False, len(shapes), "short", f"d={d} p={p} q={q}: rank {rank} of {q * p}")
    return Outcome(True, len(shapes), "exact", "a rank over one prime field bounds the generic rank from below")


@checked("T22d", "exact")
def onto_at_a_zero(deep: bool, negate: bool) -> Outcome:
    """phi = (A x)^3 + A x is odd, so pairs x, -x with equal coefficients are a zero; with s pairs for each row of W and
    s (d + q) >= p the differential is onto there (rank over a prime field), and W is carried by points near them"""
    # p features are independent: odd polynomials of degree 3 have 6 coefficients for d = 2, 13 for d = 3
    rng, shapes = random.Random(9), ((2, 6, 1), (3, 8, 2), (3, 10, 2), (3, 12, 3))
    for d, p, q in shapes if deep else shapes[:3]:
        pairs = -(-p // (d + q)) - int(negate)
        P = random_prime(rng)
        A = [[rng.randrange(P) for _ in range(d)] for _ in range(p)]
        halves = [[rng.randrange(P) for _ in range(d)] for _ in range(pairs * q)]
        points = [[sign * a % P for a in x] for x in halves for sign in (1, -1)]
        T = [[sum(a * v for a, v in zip(A[j], x, strict=True)) % P for j in range(p)] for x in points]
        phi = [[(t**3 + t) % P for t in row] for row in T]
        columns = []
        for i in range(len(points)):
            row = i // (2 * pairs)  # the only row of C_0 that uses this point, with coefficient 1
            for a in range(d):
                columns.append([(3 * T[i][j] ** 2 + 1) * A[j][a] * (o == row) % P for o in range(q) for j in range(p)])
            for o in range(q):
                columns.append([phi[i][j] if other == o else 0 for other in range(q) for j in range(p)])
        rank = int(nmod_mat(len(columns), q * p, [x for column in columns for x in column], P).rank())
        zero = all((phi[2 * i][j] + phi[2 * i + 1][j]) % P == 0 for i in range(len(halves)) for j in range(p))
        if rank != q * p or not zero:
            return Outcome(False, len(shapes), "short", f"d={d} p={p} q={q}: rank {rank} of {q * p}")
    return Outcome(True, len(shapes), "exact", "a rank over one prime field bounds the generic rank from below")


@checked("T22a", "converse")
def necessary(deep: bool, negate: bool) -> Outcome:
    """fewer than q p / (d + q) points: the differential is nowhere onto, and a set of W of measure zero is reached
    (Sard)"""
    rng, shapes = random.Random(8), ((2, 6, 2), (3, 10, 3), (2, 9, 2))
    for d, p, q in shapes:
        m = math.ceil(q * p / (d + q)) - (0 if negate else 1)
        if jacobian_rank(d, p, q, m, rng) >= q * p:
            return Outcome(False, len(shapes), "onto", f"d={d} p={p} q={q} m={m}")
    return Outcome(True, len(shapes), "exact", "m (d + q) < q p columns")


@decided("T21b")
def fewer_points_than_rank(F: Rationals, wrong: bool) -> Iterator[bool]:
    """m < rank W_l points: the gradient of the fit in W_l has rank m at most, and -lam W_l, which it should be, more"""
    m, rank = 2, 3
    W = F.draw(5, 6, 2 if wrong else rank)
    gradient = F.draw(5, m) @ F.draw(m, 6)  # residuals carried back to the layer, times what reaches it
    yield gradient.rank <= m
    yield W.rank > m


@decided("T22b")
def one_base_fewer(F: Rationals, wrong: bool) -> Iterator[bool]:
    """one base fewer than p / (d + 1): features and Jacobians have a rank below p, and a generic W is missed"""
    p, d, s = 9, 2, 3
    columns = F.draw(p, (s if wrong else s - 1) * (d + 1))
    yield columns.rank < p
    yield not _inside(F.draw(2, p), columns.T)


@decided("T23b")
def future_count(F: Rationals, wrong: bool) -> Iterator[bool]:
    """rank [V^T M G; W] points are necessary, and the k points of the present model alone miss the future"""
    n, p, k, lam = 9, 6, 2, fmpq(1)
    Phi, Y, V = F.draw(n, p), F.draw(n, k), F.draw(p, 2)
    G = Phi.T @ Phi
    W, M = weights(Phi, Y, lam), (G + lam * F.eye(p)).inv
    needed = F.below(V.T @ M @ G, W)
    yield needed.rank == 4
    yield not _inside(needed, needed if wrong else W)
    new, answers = F.draw(3, 2) @ V.T, F.draw(3, k)
    labels = (W + lam * W.plus.T) @ W.T  # T4 on the points W
    both, all_data = F.below(W, new), F.below(Phi, new)
    yield not F.is_zero(weights(both, F.below(labels, answers), lam) - weights(all_data, F.below(Y, answers), lam))
    yield F.is_zero(weights(W, labels, lam) - W)


@decided("T24")
def rounding_loses(F: Rationals, wrong: bool) -> Iterator[bool]:
    """plain rounding loses W: the rounded set has another row space"""
    X = F.draw(4, 7)
    W = F.draw(2, 4) @ X
    rounded = F.constant([[int(x.p) // int(x.q) for x in row] for row in X.a.tolist()])
    yield not _inside(W, X if wrong else rounded)


@decided("T25")
def sufficient_count(F: Rationals, wrong: bool) -> Iterator[bool]:
    """rank [Phi Y] rows are necessary: the joint Gram matrix of a set has at most as high a rank"""
    joint = F.draw(9, 5)
    gram = joint.T @ joint
    yield gram.rank == 5
    fewer = F.draw(5 if wrong else 4, 5)
    yield (fewer.T @ fewer).rank < 5


CHECKS = [
    too_few_points,
    uncentred,
    no_point_pulls_harder,
    no_minimiser,
    ray,
    trajectory_count,
    gradient_count,
    fewer_points_than_rank,
    open_set,
    necessary,
    onto_at_a_zero,
    one_base_fewer,
    future_count,
    rounding_loses,
    sufficient_count,
]
