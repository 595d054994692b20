"""Decisions of leave-one-out through float32 are those of float64, whatever the ridge; few rows are computed twice."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from analytic_dd.linalg import GramStatistics
from analytic_dd.ridge import left_out
from analytic_dd.ridge.left_out import LeftOut, _leading, right_decisions

N, P, K = 700, 31, 3
RIDGES = np.geomspace(1e-10, 1.0, 21)


def problem(*, cond=1e3, scale=1.0, seed=0, n=N):
    rng = np.random.default_rng(seed)
    U, V = (np.linalg.qr(rng.standard_normal((side, P)))[0] for side in (n, P))
    Phi = scale * np.sqrt(n) * (U * np.geomspace(1.0, 1.0 / cond, P)) @ V.T
    fitted = Phi @ rng.standard_normal((P, K)) / scale
    return Phi, np.eye(K)[(fitted + 0.5 * rng.standard_normal((n, K))).argmax(1)]


def made(Phi, Y, *, intercept=False, grid=RIDGES):
    sums = GramStatistics(P, K).update(Phi, Y)
    return LeftOut(sums, grid * float(sums.spectrum().values[0]), centred=sums.centred() if intercept else None)


def in_double(left, Phi, Y, part=None):
    return right_decisions(left.predictions(Phi, Y, part)[0], Y)


@pytest.mark.parametrize("intercept", [False, True])
def test_decisions_are_those_of_float64(intercept):
    for scale, cond in itertools.product([1e-120, 1.0, 1e120], [1.0, 1e3, 1e9]):  # beyond the range of float32
        for seed in range(5):
            Phi, Y = problem(cond=cond, scale=scale, seed=seed)
            left = made(Phi, Y, intercept=intercept)
            assert np.array_equal(left.right(Phi, Y), in_double(left, Phi, Y))


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_decisions_from_features_rounded_to_float32_are_those_of_the_exact_ones(intercept, kind):
    for scale, cond in itertools.product([1e-120, 1e-30, 1.0, 1e30, 1e120], [1.0, 1e3, 1e9]):
        for seed in range(5):
            Phi, Y = problem(cond=cond, scale=scale, seed=seed)
            Phi = Phi + 100.0 * scale * intercept  # a mean far from 0, where rounding hurts
            left, again = made(Phi, Y, intercept=intercept), []
            with np.errstate(over="ignore", invalid="ignore"):
                rounded = Phi.astype(np.float32).astype(kind)
                right = left.right(rounded, Y, exact=lambda rows: again.append(rows) or Phi[rows])
            assert np.array_equal(right, in_double(left, Phi, Y))
            if cond == 1.0 and scale == 1.0:
                assert sum(map(len, again)) < N / 20


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_rounding_that_is_not_counted_is_noticed(monkeypatch, kind):
    """The planted error: features of float32 are taken for exact ones, also on the edge."""
    Phi, Y = problem()
    left = edges(Phi, Y)
    rounded = Phi.astype(np.float32).astype(kind)
    assert np.array_equal(left.right(rounded, Y, exact=lambda rows: Phi[rows]), in_double(left, Phi, Y))
    monkeypatch.setattr("analytic_dd.ridge.left_out._rounded", lambda lengths, p: 0.0 * lengths)
    assert not np.array_equal(left.right(rounded, Y, exact=lambda rows: rounded[rows]), in_double(left, Phi, Y))


@pytest.mark.parametrize("labels", ["one-hot", "centred", "any"])
def test_decisions_hold_for_every_code_of_labels(labels):
    Phi, Y = problem()
    Y = {"one-hot": Y, "centred": Y - 1 / K, "any": Y + 0.3 * np.random.default_rng(1).random(Y.shape)}[labels]
    left = made(Phi, Y)
    assert np.array_equal(left.right(Phi, Y), in_double(left, Phi, Y))
    rounded = Phi.astype(np.float32).astype(np.float64)
    assert np.array_equal(left.right(rounded, Y, exact=lambda rows: Phi[rows]), in_double(left, Phi, Y))


def test_decisions_of_parts_of_samples():
    Phi, Y = problem(n=40)
    part, left = np.random.default_rng(3).random(40), made(Phi, Y)
    assert np.array_equal(left.right(Phi, Y, part), in_double(left, Phi, Y, part))
    assert not np.array_equal(left.right(Phi, Y, part), left.right(Phi, Y))


def edges(Phi, Y):
    """Ridges beside those where the decision on a sample turns, by bisection in float64: a relative 1e-9 off."""
    sums, found = GramStatistics(P, K).update(Phi, Y), []
    unit = float(sums.spectrum().values[0])

    def right(ridge, row):
        left = LeftOut(sums, [ridge])
        return bool(in_double(left, Phi[row : row + 1], Y[row : row + 1])[0, 0])

    decisions = in_double(made(Phi, Y), Phi, Y)
    for row, i in list(zip(*np.nonzero(decisions[:, 1:] != decisions[:, :-1]), strict=True))[:10]:
        low, high = unit * RIDGES[i], unit * RIDGES[i + 1]
        while high / low - 1.0 > 1e-10:
            middle = np.sqrt(low * high)
            low, high = (middle, high) if right(middle, row) == right(low, row) else (low, middle)
        found += [low * (1.0 - 1e-9), high * (1.0 + 1e-9)]
    assert len(found) >= 4
    return LeftOut(sums, sorted(found))


@pytest.fixture
def computed_again(monkeypatch):
    """How many rows each call of ``predictions`` had."""
    rows, predictions = [], LeftOut.predictions
    monkeypatch.setattr(
        LeftOut, "predictions", lambda self, F, *rest: rows.append(len(F)) or predictions(self, F, *rest)
    )
    return rows


def test_decisions_on_the_edge_are_made_in_float64(computed_again):
    Phi, Y = problem()
    left = edges(Phi, Y)
    computed_again.clear()
    right = left.right(Phi, Y)
    assert 0 < sum(computed_again) < N / 4
    assert np.array_equal(right, in_double(left, Phi, Y))


def test_an_error_that_is_believed_to_be_zero_is_noticed(monkeypatch):
    """The planted error: float32 decides alone, also on the edge."""
    leverage = LeftOut._leverage

    def wrong(self, F, size, rows, lost):
        h, error = leverage(self, F, size, rows, lost)
        return h, 0.0 * error

    Phi, Y = problem()
    left = edges(Phi, Y)
    monkeypatch.setattr(LeftOut, "_leverage", wrong)
    assert not np.array_equal(left.right(Phi, Y), in_double(left, Phi, Y))


def test_leverages_are_within_their_stated_error():
    for cond in (1.0, 1e3, 1e6):
        Phi, Y = problem(cond=cond)
        left = made(Phi, Y)
        _, exact = left.predictions(Phi, Y)
        size = np.linalg.norm(Phi, axis=1)
        left.right(Phi, Y)
        h, error = left._leverage(Phi, size, np.arange(N), np.zeros(N))
        assert np.all(np.abs(h - exact) <= error)
        assert np.median(np.abs(h - exact) / error) > 1e-4  # a bound, not a phrase


def test_few_samples_are_computed_twice(computed_again):
    Phi, Y = problem(cond=1e3, n=4000)
    made(Phi, Y).right(Phi, Y)
    assert sum(computed_again) < 0.1 * len(Phi)


def test_samples_that_can_hardly_be_left_out(computed_again):
    """As many samples as features: at a tiny ridge every leverage is 1 to rounding, and float64 has to decide."""
    Phi, Y = problem(n=P, cond=2.0)
    left = made(Phi, Y, grid=np.array([1e-30, 1e-2]))
    right = left.right(Phi, Y)
    assert computed_again == [P]
    assert np.array_equal(right, in_double(left, Phi, Y))


def test_an_error_of_the_left_side_that_is_believed_to_be_zero_is_noticed(monkeypatch):
    """The planted error: fitted values of float32 decide alone, also on the edge."""
    Phi, Y = problem()
    left = edges(Phi, Y)
    Phi = Phi.astype(np.float32)
    wanted = in_double(left, Phi.astype(np.float64), Y)
    assert np.array_equal(left.right(Phi, Y, exact=lambda rows: Phi[rows].astype(np.float64)), wanted)
    monkeypatch.setattr("analytic_dd.ridge.left_out._largest", lambda error, scale: 0.0)
    monkeypatch.setattr("analytic_dd.ridge.left_out._UNIT", 0.0)
    assert not np.array_equal(left.right(Phi, Y, exact=lambda rows: Phi[rows].astype(np.float64)), wanted)


@pytest.fixture
def bounded(monkeypatch):
    """Bounds from the first coordinates, however few these are and however little they are worth."""
    monkeypatch.setattr("analytic_dd.ridge.left_out._LEAST", 1)
    monkeypatch.setattr("analytic_dd.ridge.left_out._USEFUL", 1e9)


@pytest.mark.parametrize("intercept", [False, True])
def test_decisions_by_bounds_are_those_of_float64(bounded, intercept):
    for scale, cond in itertools.product([1e-120, 1.0, 1e120], [1.0, 10.0, 1e3]):
        for seed in range(5):
            Phi, Y = problem(cond=cond, scale=scale, seed=seed)
            left, part = made(Phi, Y, intercept=intercept), np.random.default_rng(seed).random(N)
            assert left._leading > 0
            for some in (None, part):
                assert np.array_equal(left.right(Phi, Y, some), in_double(left, Phi, Y, some))
            with np.errstate(over="ignore"):
                rounded = Phi.astype(np.float32)
            assert np.array_equal(left.right(rounded, Y, exact=lambda rows: Phi[rows]), in_double(left, Phi, Y))


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("cond", [1.0, 3.0, 30.0])
def test_bounds_are_above_the_leverages_and_decide_most_samples(bounded, monkeypatch, cond, intercept):
    Phi, Y = problem(cond=cond, n=4000)
    left, rows, leverage = made(Phi, Y, intercept=intercept), [], LeftOut._leverage
    _, exact = left.predictions(Phi, Y)

    def watched(self, F, size, some, lost):
        rows.append(some)
        return leverage(self, F, size, some, lost)

    monkeypatch.setattr(LeftOut, "_leverage", watched)
    left.right(Phi, Y)
    F = Phi - left.mean if intercept else Phi
    bound = left._bound(F, np.linalg.norm(F, axis=1), np.arange(4000), np.zeros(4000))
    assert np.all(bound >= exact)
    assert cond > 3.0 or (np.median(bound / exact) < 10 and len(rows[-1]) < 400)


def test_a_bound_that_is_too_low_is_noticed(bounded, monkeypatch):
    """The planted error: what is left of a sample beside its first coordinates is forgotten."""
    bound = LeftOut._bound
    Phi, Y = problem(cond=3.0)
    left = edges(Phi, Y)
    assert left._leading > 0
    assert np.array_equal(left.right(Phi, Y), in_double(left, Phi, Y))
    monkeypatch.setattr(LeftOut, "_bound", lambda self, *given: 0.0 * bound(self, *given))
    assert not np.array_equal(left.right(Phi, Y), in_double(left, Phi, Y))


def test_bounds_are_used_where_the_tail_is_small():
    left = made(*problem(cond=1.0, n=4000))
    assert left._leading == 0  # of 31 coordinates
    assert _leading(np.full(640, 1e-4), 1.0) == 40
    assert _leading(np.full(640, 4.4e-4), 1.0) == 80
    assert _leading(np.full(640, 1.0), 1.0) == 0


@pytest.fixture
def few_ridges(monkeypatch):
    """Models at some ridges make those at the others, however small they are, to a hundredth."""
    monkeypatch.setattr("analytic_dd.ridge.left_out._MANY", 1)
    monkeypatch.setattr("analytic_dd.ridge.left_out._BETWEEN", 1e-2)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_decisions_from_models_at_few_ridges_are_those_at_all(few_ridges, kind):
    Phi, Y = problem(cond=10.0)
    Phi = Phi.astype(np.float32).astype(np.float64)
    for left in (made(Phi, Y), made(Phi, Y, intercept=True), edges(Phi, Y)):
        right = left.right(Phi.astype(kind), Y, exact=lambda rows: Phi[rows])
        assert len(left._shared.between.chosen) < 3 * len(left.inverse[0]) / 4
        assert np.array_equal(right, in_double(left, Phi, Y))


def test_models_between_ridges_that_are_believed_to_be_exact_are_noticed(few_ridges, monkeypatch):
    """The planted error: their stated error is forgotten."""
    Phi, Y = problem(cond=10.0)
    left = edges(Phi, Y)
    tolerance = 1e-2
    found = left_out.between(left.values, left.inverse, tolerance=tolerance)
    assert np.all(found.error <= tolerance)
    assert np.all(np.abs(left.inverse[:, found.chosen] @ found.coefficients / left.inverse - 1.0) <= found.error)
    exact = replace(found, error=0.0 * found.error)
    monkeypatch.setattr(left_out, "between", lambda *given, tolerance: exact)
    assert not np.array_equal(left.right(Phi, Y), in_double(left, Phi, Y))
