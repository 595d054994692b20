"""One function from a stream to the weights: sums for n >= p, rows for n < p, and the same answer by each."""

import contextlib
import itertools

import numpy as np
import pytest

from analytic_dd import select_ridge
from analytic_dd.arrays import to_numpy
from analytic_dd.errors import DivergenceError
from analytic_dd.linalg import GramStatistics, Sums
from analytic_dd.ridge import DualStatistics, fit_weights, require_scale

K, P = 3, 11
both_intercepts = pytest.mark.parametrize("intercept", [False, True])
sizes = pytest.mark.parametrize("n", [40, 7], ids=["sums", "rows"])


def made(n, rng, p=P):
    Phi = rng.standard_normal((n, p)) + 0.5
    return Phi, np.eye(K)[(Phi[:, :K] + 0.7 * rng.standard_normal((n, K))).argmax(1)]


def stream(*arrays, rows_a_block=4):
    """Blocks of some rows; the passes that were asked for are in ``.asked``."""

    def blocks(rows=None, /, *, stage=""):
        blocks.asked.append(stage)
        chosen = np.arange(len(arrays[0])) if rows is None else rows
        for start in range(0, len(chosen), rows_a_block):
            yield tuple(A[chosen[start : start + rows_a_block]] for A in arrays)

    blocks.asked = []
    return blocks


def fit(blocks, Phi, Y, **options):
    return fit_weights(blocks, n=len(Phi), p=Phi.shape[1], k=Y.shape[1], **options)


def by_hand(Phi, Y, ridge, intercept, w=None):
    """W and b by an SVD of the weighted rows, about the weighted mean."""
    w = np.ones(len(Phi)) if w is None else w
    mean, mean_y = (np.average(A, axis=0, weights=w) * intercept for A in (Phi, Y))
    U, s, Vt = np.linalg.svd(np.sqrt(w)[:, None] * (Phi - mean), full_matrices=False)
    kept = s > 1e-10 * s[0]
    gain = np.where(kept, s / (s * s + ridge), 0.0)
    W = ((np.sqrt(w)[:, None] * (Y - mean_y)).T @ U * gain) @ Vt
    return W, mean_y - W @ mean


def test_weights_are_those_of_an_svd(ratio, rng):
    for n, intercept, weighted, ridge in itertools.product([40, 7], [False, True], [False, True], [0.0, 0.5]):
        Phi, Y = made(n, rng)
        w = rng.uniform(0.5, 2.0, n) if weighted else None
        found = fit(stream(Phi, Y, *(() if w is None else (w,))), Phi, Y, ridge=ridge, intercept=intercept)
        W, b = by_hand(Phi, Y, ridge, intercept, w)
        squared = np.linalg.cond(Phi - intercept * Phi.mean(0)) ** 2 if n > P else np.linalg.cond(Phi) ** 2 * 10
        assert ratio(found.weights, W, size=P, amplification=squared) < 30
        assert (found.intercept is None) == (not intercept)
        if intercept:
            assert ratio(found.intercept, b, size=P, amplification=squared) < 30
        assert isinstance(found.statistics, Sums if n > P else DualStatistics)


@sizes
def test_the_ridge_is_the_choice_of_select_ridge(ratio, rng, n):
    for intercept, scoring, criterion in itertools.product(
        [False, True], ["squared_error", "accuracy"], ["loo", "gcv"]
    ):
        Phi, Y = made(n, rng)
        found = fit(stream(Phi, Y), Phi, Y, ridge=criterion, scoring=scoring, intercept=intercept)
        wanted = select_ridge(Phi, Y, criterion=criterion, scoring=scoring, intercept=intercept)
        assert found.ridge == found.choice.ridge
        assert ratio(found.ridge, wanted.ridge, size=sum(Phi.shape)) < 30  # the grid follows s_1^2
        lost = 1.0 + np.linalg.norm(Phi, 2) ** 2 / wanted.ridges
        apart = (found.choice.scores - wanted.scores) / (lost * wanted.scores)
        assert ratio(apart, 0.0, size=sum(Phi.shape), unit=1.0) < 30
        assert (found.choice.criterion, found.choice.scoring) == (wanted.criterion, wanted.scoring)


@sizes
def test_drawn_samples_are_scored(rng, n):
    Phi, Y = made(n, rng)
    options = {"scoring": "accuracy", "max_samples": 5}
    found = fit(stream(Phi, Y), Phi, Y, rng=np.random.default_rng(5), **options)
    wanted = select_ridge(Phi, Y, rng=np.random.default_rng(5), **options)
    assert found.choice.samples == 5
    assert np.array_equal(found.choice.scores, wanted.scores)
    with pytest.raises(ValueError, match=f"{n} samples: leave-one-out draws 5 of them and needs rng"):
        fit(stream(Phi, Y), Phi, Y, **options)


@both_intercepts
def test_what_is_not_kept_is_mapped_again(monkeypatch, rng, intercept):
    from analytic_dd.ridge import fit as module

    Phi, Y = made(40, rng)
    options = {"scoring": "accuracy", "intercept": intercept}
    one, two = stream(Phi, Y), stream(Phi, Y)
    kept = fit(one, Phi, Y, **options)
    monkeypatch.setattr(module, "_KEPT_BYTES", 0)
    again = fit(two, Phi, Y, **options)
    assert np.array_equal(kept.choice.scores, again.choice.scores)
    assert "leave-one-out" in two.asked
    assert "leave-one-out" not in one.asked


@sizes
def test_one_pass_is_made_where_it_is_enough(rng, n):
    Phi, Y = made(n, rng)
    blocks = stream(Phi, Y)
    found = fit(blocks, Phi, Y, ridge=1.0)
    assert blocks.asked == ["gram"]
    assert found.passes == 0
    assert found.choice is None
    assert found.solver == ("gram" if n > P else "dual")
    again = fit(blocks, Phi, Y, ridge=2.0, statistics=found.statistics)
    assert blocks.asked == ["gram"]
    assert np.array_equal(again.weights, fit(blocks, Phi, Y, ridge=2.0).weights)


@both_intercepts
def test_rows_and_sums_of_the_same_samples_agree(ratio, rng, intercept):
    """n < p: the solver that keeps the (p, p) sums as the oracle; n > p: the rows."""
    for n in (7, 40):
        Phi, Y = made(n, rng)
        one, *others = (
            fit(stream(Phi, Y), Phi, Y, ridge=0.5, intercept=intercept, solver=solver)
            for solver in ("svd", "dual", "gram", "tsqr", "refined")
        )
        assert one.solver == "svd"
        for other in others:
            assert ratio(other.weights, one.weights, size=P, amplification=np.linalg.norm(Phi) ** 2 / 0.5) < 30


def test_rows_of_every_library_come_back_in_it(summing_library, ratio, rng):
    Phi, Y = made(7, rng)
    F, T = (summing_library.array(A) for A in (Phi, Y))
    found = fit_weights(lambda rows=None, /, *, stage="": [(F, T)], n=7, p=P, k=K, ridge="gcv", intercept=True)
    wanted = fit(stream(Phi, Y), Phi, Y, ridge="gcv", intercept=True)
    assert isinstance(found.weights, summing_library.kind)
    lost = {"size": P, "eps": summing_library.eps, "amplification": np.linalg.norm(Phi) ** 2 / wanted.ridge}
    assert ratio(found.weights, wanted.weights, **lost) < 30
    assert ratio(to_numpy(found.intercept), wanted.intercept, **lost) < 30


def test_inner_products_that_fail_give_way_to_an_svd(ratio, refit, matrix, rng):
    Phi, Y = matrix(7, 30, rng=rng, cond=1e12), rng.standard_normal((7, K))
    found = fit(stream(Phi, Y), Phi, Y, ridge=1e-22)
    assert found.solver == "svd"
    assert found.reason.startswith("svd, since")
    U, s, Vt = np.linalg.svd(Phi, full_matrices=False)
    assert ratio(found.weights, (Y.T @ U * (s / (s * s + 1e-22))) @ Vt, size=30, amplification=1e12) < 30
    with pytest.raises(DivergenceError):
        fit(stream(Phi, Y), Phi, Y, ridge=1e-22, solver="dual")


@both_intercepts
def test_wide_samples_form_nothing_of_size_p_by_p(monkeypatch, rng, intercept):
    """p = 20,000: the sums would take 3.2 GB; the largest array made is watched."""
    p, largest = 20_000, []
    monkeypatch.setattr(GramStatistics, "update", lambda *_, **__: pytest.fail("sums were made"))
    Phi, Y = made(7, rng, p=p)
    blocks = stream(Phi, Y)
    found = fit(blocks, Phi, Y, scoring="accuracy", intercept=intercept)
    for value in vars(found.statistics).values():
        largest.append(getattr(value, "size", 0))
    assert max(largest) == 7 * p
    assert found.weights.shape == (K, p)
    assert blocks.asked == ["gram"]


def test_stages_are_timed_by_name(rng):
    Phi, Y = made(40, rng)
    names = []

    @contextlib.contextmanager
    def timed(name):
        names.append(name)
        yield

    fit(stream(Phi, Y), Phi, Y, timed=timed)
    assert list(dict.fromkeys(names)) == ["gram", "eigendecomposition", "choice", "solve"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ridge": "aic"}, "ridge must be loo, gcv or a number >= 0, got 'aic'"),
        ({"ridge": -1.0}, "ridge must be finite and >= 0"),
        ({"solver": "cg"}, "unknown solver 'cg'; choose from auto, svd, gram, dual, tsqr, refined"),
        ({"scoring": "auc"}, "unknown scoring 'auc'"),
        ({"ridge": 1e150}, "ridge 1e[+]150 is too large: the squared features add up to"),
    ],
)
def test_bad_options_are_refused(rng, options, message):
    for n in [40, 7]:
        Phi, Y = made(n, rng)
        with pytest.raises(ValueError, match=message):
            fit(stream(Phi, Y), Phi, Y, **options)


@both_intercepts
@pytest.mark.parametrize("ridge", ["gcv", 0.5])
def test_sums_alone_make_the_model(ratio, rng, ridge, intercept):
    """No samples are at hand: the weights are those of the sums, and the reason says what they may be off by."""
    Phi, Y = made(40, rng)
    accumulated = GramStatistics(P, K).update(Phi, Y)
    found = fit_weights(statistics=accumulated, ridge=ridge, intercept=intercept)
    wanted = fit(stream(Phi, Y, rows_a_block=40), Phi, Y, ridge=ridge, intercept=intercept, solver="gram")
    if intercept:  # a stream is read about a provisional mean, and sums have none
        assert ratio(found.weights, wanted.weights, size=40 + P, amplification=np.linalg.cond(Phi) ** 2) < 30
    else:
        assert np.array_equal(found.weights, wanted.weights)
    assert found.solver == "gram"
    assert found.reason.startswith("gram, as there are sums only: predicted error of W")
    for options, message in (
        ({"ridge": "loo"}, "ridge 'loo' reads samples, and there are sums only; take 'gcv' or a number"),
        ({"solver": "refined"}, "solver 'refined' does not go with what is at hand; choose from auto, gram"),
    ):
        with pytest.raises(ValueError, match=message):
            fit_weights(statistics=accumulated, **{"ridge": 1.0} | options)
    with pytest.raises(ValueError, match="neither samples nor sums"):
        fit_weights(ridge=1.0)


@sizes
def test_statistics_of_the_other_kind_are_refused(rng, n):
    Phi, Y = made(n, rng)
    statistics = fit(stream(Phi, Y), Phi, Y, ridge=1.0).statistics
    with pytest.raises(ValueError, match="does not go with"):
        fit(stream(Phi, Y), Phi, Y, statistics=statistics, solver="svd" if n > P else "gram")


@sizes
def test_features_without_anything_to_fit_are_refused(rng, n):
    Y = made(n, rng)[1]
    with pytest.raises(ValueError, match="the features of all samples are zero"):
        fit(stream(np.zeros((n, P)), Y), np.zeros((n, P)), Y)
    with pytest.raises(ValueError, match="the features of all samples are constant"):
        fit(stream(np.full((n, P), 0.1), Y), np.zeros((n, P)), Y, intercept=True)


def test_rows_far_from_zero_are_not_constant(rng):
    """The sums of 1.7e9 + 0 .. 100 keep nothing of the deviation, which rows do."""
    Phi = 1.7e9 + rng.integers(0, 100, (7, P))
    rows = DualStatistics(Phi, np.ones((7, 1)))
    require_scale(rows, rows.centred(), 1.0, rows=True)
