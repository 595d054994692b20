"""Converses and counterexamples decided on rational instances."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

from flint import fmpq

from proofs_check.check import Check, Outcome, claim_of
from proofs_check.exact.rationals import Rationals
from proofs_check.matrix import Matrix, weights
from proofs_check.statements.affine import height

__all__ = ["CHECKS", "decided"]


def decided(
    theorem: str, *, instances: int = 8, deep: int = 300
) -> Callable[[Callable[[Rationals, bool], Iterator[bool]]], Check]:
    """Make a check of a generator ``body(F, wrong)`` that yields truths; with ``wrong`` one of them is false."""

    def register(body: Callable[[Rationals, bool], Iterator[bool]]) -> Check:
        def decide(is_deep: bool, negate: bool) -> Outcome:
            count = deep if is_deep else instances
            for seed in range(count):
                for index, true in enumerate(body(Rationals(seed), negate)):
                    if not true:
                        return Outcome(False, seed + 1, "false", f"seed {seed}, claim {index}")
            return Outcome(True, count, "exact")

        return Check(theorem, "converse", body.__name__, claim_of(body), decide)

    return register


def _equal(A: Matrix, B: Matrix) -> bool:
    return A.F.is_zero(A - B)


@decided("T1")
def other_target(F: Rationals, wrong: bool) -> Iterator[bool]:
    """a set whose target D has Y^T D != W does not give W: its weights are Y^T D"""
    Y, W = F.draw(4, 3), F.draw(3, 5)
    good = Y.T.plus @ W + F.draw(4, 5) - Y @ (Y.plus @ F.zeros(4, 5))
    D = Y.T.plus @ W if wrong else good
    yield not _equal(Y.T @ D, W)
    Ws = weights(D.plus.T, Y, None)
    yield _equal(Ws, Y.T @ D)
    yield not _equal(Ws, W)


@decided("T1")
def positive_error(F: Rationals, wrong: bool) -> Iterator[bool]:
    """range(W) outside of range(Y^T): the best error |(I - Y^+ Y) W| is positive; fewer points than rank W always
    are"""
    k, p = 4, 6
    W = F.draw(k, p)
    for m in (1, 2, 3):
        Y = F.draw(k if wrong else m, k)
        missing = W - Y.plus @ (Y @ W)
        yield missing.norm2 > 0


@decided("T2")
def product_of_pseudo_inverses(F: Rationals, wrong: bool) -> Iterator[bool]:
    """(Y^+ W)^+ = W^+ Y fails for rank-deficient W, though it holds for invertible factors: take the pseudo-inverse of
    the product"""
    W, Y = (F.draw(3, 3), F.draw(3, 3)) if wrong else (F.draw(3, 5, 1), F.draw(3, 3))
    yield not _equal((Y.plus @ W).plus, W.plus @ Y)


@decided("T2")
def unique(F: Rationals, wrong: bool) -> Iterator[bool]:
    """m = k and invertible labels: the target is unique (null(Y^T) = 0), so exactly one set is exact at lam_s = 0"""
    Y = F.draw(5 if wrong else 4, 4)
    yield Y.rank == 4
    yield F.is_zero(F.eye(Y.shape[0]) - Y @ Y.plus)


@decided("T3")
def above_the_limit(F: Rationals, wrong: bool) -> Iterator[bool]:
    """lam one part in 10^6 above 1 / (4 |D|^2): max g = 1 / (2 sqrt lam) < |D|, no solution; at the limit s = 1 / (2 t)
    is one"""
    t, Y = [F.scalar() for _ in range(3)], F.draw(3, 3)
    V, U = F.orthogonal(3), F.orthogonal(5, 3)
    top = max(t)
    limit = 1 / (4 * top * top)
    lam = limit * (1 + fmpq(-1 if wrong else 1, 10**6))
    yield 1 - 4 * lam * top * top < 0  # the discriminant of t s^2 - s + lam t = 0
    yield 1 / (4 * lam) < top * top  # the maximum of g^2 over all s
    # At the limit, with all singular values equal to the largest: s = 1 / (2 t) = sqrt(lam)
    W = top * (Y.T @ V @ U.T)
    yield _equal(weights((1 / (2 * top)) * (V @ U.T), Y, limit), W)
    yield not _equal(weights((1 / (2 * top)) * (V @ U.T), Y, lam), W)


@decided("T3")
def number_of_solutions(F: Rationals, wrong: bool) -> Iterator[bool]:
    """distinct singular values have exactly 2^r solutions of this form, all different and all exact"""
    V, U, lam = F.orthogonal(3), F.orthogonal(4, 3), fmpq(1)
    s = [fmpq(2 + i, 3) if not wrong else fmpq(1) for i in range(3)]  # 1 = sqrt(lam): the two roots meet
    s = s if wrong else [x + fmpq(3, 5) for x in s]
    Y = F.draw(3, 3)
    W = Y.T @ V @ F.diag([x / (x * x + lam) for x in s]) @ U.T
    sets = [V @ F.diag(list(pair)) @ U.T for pair in product(*((x, lam / x) for x in s))]
    yield all(_equal(weights(Phi, Y, lam), W) for Phi in sets)
    yield all(not _equal(A, B) for i, A in enumerate(sets) for B in sets[:i])


@decided("T5")
def centred_points(F: Rationals, wrong: bool) -> Iterator[bool]:
    """k - 1 points are necessary: H W has rank k - 1 and k - 2 points leave |(I - Y^+ Y) H W| > 0 for any labels; k - 1
    do not"""
    k, p = 5, 7
    H = F.eye(k) - fmpq(1, k) * F.ones(k, k)
    W = H @ F.draw(k, p)
    yield W.rank == k - 1
    for labels in (H.rows(range(k - 1 if wrong else k - 2)), F.draw(k - 2, k)):
        yield (W - labels.plus @ (labels @ W)).norm2 > 0
    enough = H.rows(range(k - 1))
    yield F.is_zero(W - enough.plus @ (enough @ W))


@decided("T6")
def infimum_not_attained(F: Rationals, wrong: bool) -> Iterator[bool]:
    """the infimum is not attained where V^T Phi_ref W^T is singular: the formula then gives a set that misses W"""
    basis = F.orthogonal(5)
    W = F.draw(2, 2) @ basis.columns([0, 1]).T
    inside = F.draw(3, 1) if not wrong else F.draw(3, 2)
    left = F.orthogonal(3)
    sigma = F.diag([fmpq(1), fmpq(2), fmpq(30)])
    N = left @ sigma @ basis.columns([2, 3, 4]).T
    ref = inside @ basis.columns(range(inside.shape[1])).T + N
    V = left.columns([0, 1])
    Phi = ref - V @ (V.T @ N)
    yield (V.T @ ref @ W.T).rank < 2
    yield not _equal(W @ Phi.plus @ Phi, W)


@decided("T6b", instances=1, deep=1)
def rank_deficient_is_nearer(F: Rationals, wrong: bool) -> Iterator[bool]:
    """a rank-deficient exact set can be nearer than the optimum over full row rank"""
    W, Y = F.constant([[1, 0]]), F.constant([[1], [0]])
    half = fmpq(1, 2)
    near = F.constant([[half, 0], [half, 1 if wrong else 0]])
    ref = F.constant([[half, 0], [half, 0]])
    yield _equal(weights(near, Y, None), W)
    bound = ((Y - ref @ W.T) @ W.plus.T).norm2  # every full-row-rank exact set is at least this far
    yield (near - ref).norm2 < bound


@decided("T6b")
def attained_for_labels_that_differ(F: Rationals, wrong: bool) -> Iterator[bool]:
    """care: where U^T Y is singular (U the q trailing left singular vectors of N) the formula misses W: an infimum"""
    basis, left = F.orthogonal(5), F.orthogonal(3)
    W = F.draw(1, 1) @ basis.columns([0]).T
    U = left.columns([2])
    Y = F.draw(3, 1) if wrong else left.columns([0, 1]) @ F.draw(2, 1)
    kept = left.columns([0, 1]) @ F.diag([fmpq(3), fmpq(2)]) @ basis.columns([1, 2]).T
    Phi = Y @ W.plus.T + kept
    yield F.is_zero(U.T @ Y)
    yield not _equal(weights(Phi, Y, None), W)


@decided("T7")
def optimum_for_few(F: Rationals, wrong: bool) -> Iterator[bool]:
    """the error of m points with any labels is at least the exact optimum, and rank W points reach 0"""
    left, right, sigma = F.orthogonal(4), F.orthogonal(6, 4), [fmpq(9), fmpq(5), fmpq(3), fmpq(1)]
    W = left @ F.diag(sigma) @ right.T
    for m in (1, 2, 3):
        bound = sum((s * s for s in sigma[m:]), fmpq(0))
        for lam in (None, F.scalar()):
            Ws = weights(F.draw(m, 6), F.draw(m, 4), lam)
            yield (Ws - W).norm2 > (W.norm2 if wrong else bound)
        U = left.columns(range(m))
        yield (U @ (U.T @ W) - W).norm2 == bound


def _affine(F: Rationals, k: int, d: int, p: int) -> tuple[Matrix, Matrix, Matrix, Matrix]:
    B, offset = F.draw(p, d), F.draw(1, p)
    Phi = F.draw(k + p, d) @ B.T + F.ones(k + p) @ offset
    return B, offset, height(B, offset), weights(Phi, F.draw(k + p, k), F.scalar())


@decided("T8e")
def too_few_points(F: Rationals, wrong: bool) -> Iterator[bool]:
    """biased deep linear, fixed one-hot labels, lam_s = 0: k points miss the range (the only exact features have e.phi
    != 1)"""
    k, p = 3, 7
    _, _, e, W = _affine(F, k, 4, p)
    a = W.plus.T @ e
    Y = F.diag([1 / a.entry(i, 0) for i in range(k)]) if wrong else F.eye(k)
    Phi = (Y.T.inv @ W).plus.T  # T2: the only solution
    yield not _equal(Phi @ e, F.ones(k))


@decided("T8e")
def repeated_class(F: Rationals, wrong: bool) -> Iterator[bool]:
    """k + 1 points with a repeated class fail: 1 = Y 1 lies in col(Y), so v = 0; with lam > 0 no number of one-hot
    points is exact at lam_s = 0"""
    k = 3
    B, offset, e, _ = _affine(F, k, 4, 7)
    last = F.zeros(1, k) if wrong else F.eye(k).rows([0])
    Y = F.below(F.eye(k), last)
    one = F.ones(k + 1)
    yield F.is_zero(one - Y @ (Y.plus @ one))
    lam, samples = F.scalar(), 9
    labels = F.below(F.eye(k), F.eye(k), F.eye(k))
    Phi = F.draw(samples, 4) @ B.T + F.ones(samples) @ offset
    w = weights(Phi, labels, lam).T @ F.ones(k)
    yield (w.T @ e - w.T @ w).entry(0, 0) > 0  # at lam_s = 0 an exact one-hot set would have 0 here


@decided("T8e", instances=6)
def impossibility_is_of_ridge_zero(F: Rationals, wrong: bool) -> Iterator[bool]:
    """care: at lam_s = lam one-hot labels are possible (the data themselves), so the impossibility is one of lam_s = 0;
    and for k = 1 a lam_s > 0 can place a single point with a fixed label"""
    k, p, d = 2, 6, 4
    B, offset, e, _ = _affine(F, k, d, p)
    labels = F.below(*[F.eye(k)] * 4)
    Phi, lam = F.draw(8, d) @ B.T + F.ones(8) @ offset, F.scalar()
    W = weights(Phi, labels, lam)
    yield _equal(weights(Phi, labels, lam + 1 if wrong else lam), W) and _equal(Phi @ e, F.ones(8))
    w = weights(Phi, F.draw(8, 1), lam)
    rise = (w @ e).entry(0, 0)
    w, rise = (w, rise) if rise > 0 else (fmpq(-1) * w, -rise)
    size2 = w.norm2
    label = 2 * size2 / rise  # any label >= |w|^2 / (w.e) will do
    ridge = label / rise - size2 / (rise * rise)
    point = (1 / rise) * w
    yield ridge > 0 and _equal(point @ e, F.ones(1)) and _equal(weights(point, label * F.ones(1), ridge), w)


@decided("T10")
def counts_for_all_labels(F: Rationals, wrong: bool) -> Iterator[bool]:
    """for every label set at once d points are necessary in LRR: some labels make W of rank d"""
    n, d = 8, 5
    X = F.draw(n, d, d - 1 if wrong else d)
    yield weights(X, F.eye(n), F.scalar()).rank == d


@decided("T11")
def several_ridges_count(F: Rationals, wrong: bool) -> Iterator[bool]:
    """rank-many points are necessary for several ridges: the rows of all W(lam_i) lie in the row space of Phi_s"""
    Phi, Y, p = F.draw(8, 6), F.draw(8, 1), 6
    models = F.below(*[weights(Phi, Y, fmpq(i + 1)) for i in range(3)])
    yield models.rank == 3
    points = F.draw(3 if wrong else 2, p) if not wrong else models
    yield not _equal(models @ points.plus @ points, models)


@decided("T16")
def certificate_sees_errors(F: Rationals, wrong: bool) -> Iterator[bool]:
    """the certificate is zero for exact sets only: any change of the labels within the span shows"""
    Phi, W = F.draw(4, 6), F.draw(2, 4)
    W = W @ Phi
    Y = Phi @ W.T + (F.zeros(4, 2) if wrong else fmpq(1, 10**30) * F.ones(4, 2))
    yield (weights(Phi, Y, None) - W).norm2 > 0


@decided("T17", instances=3)
def recovery_up_to_root(F: Rationals, wrong: bool) -> Iterator[bool]:
    """care: at lam > 0 the data come back up to the root only: s and lam / s have the same W"""
    V, U, Y, lam = F.orthogonal(3), F.orthogonal(5, 3), F.draw(3, 3), F.scalar()
    s = [F.scalar() + i for i in range(3)]
    one, other = V @ F.diag(s) @ U.T, V @ F.diag([lam / x for x in s]) @ U.T
    ridge = None if wrong else lam
    yield _equal(weights(one, Y, ridge), weights(other, Y, ridge))
    yield not _equal(one, other) or all(x * x == lam for x in s)


CHECKS = [
    other_target,
    positive_error,
    product_of_pseudo_inverses,
    unique,
    above_the_limit,
    number_of_solutions,
    centred_points,
    infimum_not_attained,
    rank_deficient_is_nearer,
    attained_for_labels_that_differ,
    optimum_for_few,
    too_few_points,
    repeated_class,
    impossibility_is_of_ridge_zero,
    counts_for_all_labels,
    several_ridges_count,
    certificate_sees_errors,
    recovery_up_to_root,
]
