"""T18: the certificate of a set for a loss is a bound on |W_s - W|, and sees what it should."""

import itertools

import numpy as np
import pytest

from analytic_dd import glm_labels
from analytic_dd.errors import RankWarning, ShapeError
from analytic_dd.judge import certify_loss
from analytic_dd.losses import glm_weights

K, M, P = 4, 7, 5
each_loss = pytest.mark.parametrize("loss", ["squared", "softmax", "logistic", "poisson"])


def exact_set(rng, loss, intercept=False, weighted=False, ridge=None):
    W = 0.3 * rng.standard_normal((K, P))
    W, Phi = W - W.mean(axis=0), rng.standard_normal((M, P))
    b = rng.standard_normal(K) if intercept else None
    w = rng.uniform(0.5, 2.0, M) if weighted else None
    largest = glm_labels(Phi, W, loss=loss, ridge=0.0, weights=w, intercept=b).largest_ridge
    ridge = min(1.0, 0.5 * largest)
    Y = glm_labels(Phi, W, loss=loss, ridge=ridge, weights=w, intercept=b).labels
    return W, Phi, Y, {"loss": loss, "ridge": ridge, "intercept": b, "weights": w}


@each_loss
def test_exact_sets_pass(rng, loss):
    for intercept, weighted in itertools.product([False, True], [False, True]):
        W, Phi, Y, options = exact_set(rng, loss, intercept, weighted)
        found = certify_loss(W, Phi, Y, **options)
        assert found.verdict == "pass"
        assert found.ratio < 30
        assert found.bound < 1e-6
        assert found.to_dict()["points"] == M
        assert "rounding allows" in str(found)


def relative_distance(loss, fit, W, Phi, b):
    """The largest of an output, in units of its weights, intercepts in units of weights times the largest feature."""
    unit, gap = np.ldexp(1.0, np.frexp(np.abs(Phi).max())[1]), np.zeros(len(W)) if b is None else fit.intercept - b
    gap = gap - gap.mean() if loss == "softmax" else gap
    away, sizes = np.column_stack([fit.weights - W, gap / unit]), np.linalg.norm(W, axis=1)
    if loss == "softmax":
        return np.linalg.norm(away) / sizes.min()
    return np.max(np.linalg.norm(away, axis=1) / sizes)


@each_loss
@pytest.mark.parametrize("intercept", [False, True])
def test_relative_error_is_a_bound_on_the_distance_of_the_minimiser(rng, loss, intercept):
    W, Phi, Y, options = exact_set(rng, loss, intercept)
    for change in (1e-6, 1e-4, 1e-3):
        other = np.abs(Y + change * rng.uniform(-1, 1, Y.shape)) if loss != "squared" else Y + change
        other = other / other.sum(axis=1, keepdims=True) if loss == "softmax" else other
        fit = glm_weights(Phi, other, loss=loss, ridge=options["ridge"], intercept=intercept)
        found = certify_loss(W, Phi, other, **options)
        assert relative_distance(loss, fit, W, Phi, options["intercept"]) <= found.relative_error * (1 + 1e-2)
        assert found.verdict == "fail"


@each_loss
def test_planted_errors_fail(rng, loss):
    W, Phi, Y, options = exact_set(rng, loss)
    planted = {
        "labels": (W, Phi, Y + 1e-8),
        "features": (W, Phi * (1 + 1e-8), Y),
        "weights": (W * (1 + 1e-8), Phi, Y),
    }
    for name, arrays in planted.items():
        assert certify_loss(*arrays, **options).verdict == "fail", name
    assert certify_loss(W, Phi, Y, **(options | {"ridge": options["ridge"] * (1 + 1e-7)})).verdict == "fail"


def test_a_wrong_intercept_fails(rng):
    W, Phi, Y, options = exact_set(rng, "softmax", intercept=True)
    shifted = options | {"intercept": options["intercept"] + 1.0}  # the same for all classes: the same model
    assert certify_loss(W, Phi, Y, **shifted).verdict == "pass"
    wrong = options | {"intercept": options["intercept"] + np.array([1e-7, 0.0, 0.0, 0.0])}
    found = certify_loss(W, Phi, Y, **wrong)
    assert found.verdict == "fail"
    assert found.intercept_error > 5e-8


@pytest.mark.parametrize("loss", ["softmax", "logistic"])
def test_an_intercept_at_1e16_fails(rng, loss):
    """Of one class, where its loss has no curvature left; of all, where logits beside it have no digits."""
    W, Phi, Y, options = exact_set(rng, loss, intercept=True)
    for far in (1e16 * np.eye(K)[0], -1e16 * np.eye(K)[1], np.full(K, 1e16), 60.0 * np.eye(K)[2]):
        assert certify_loss(W, Phi, Y, **options | {"intercept": options["intercept"] + far}).verdict == "fail"


@pytest.mark.parametrize("wrong", [0.0, 1.0, -100.0])
def test_an_intercept_of_a_class_without_curvature_is_not_known(rng, wrong):
    """Labels of both signs hide that the class has no mass: the sum that an intercept balances says nothing of it."""
    Phi, W = rng.standard_normal((8, 4)), 0.3 * rng.standard_normal((3, 4))
    W, b = W - W.mean(axis=0), np.array([0.0, 0.2, -36.0]) + 11.9
    Y = glm_labels(Phi, W, loss="softmax", ridge=1e-3, intercept=b).labels
    assert Y[:, 2].min() < 0.0 < Y[:, 2].max()
    found = certify_loss(W, Phi, Y, loss="softmax", ridge=1e-3, intercept=b + np.array([0.0, 0.0, wrong]))
    assert found.verdict == "inconclusive"


@each_loss
def test_what_is_small_does_not_hide_behind_what_is_large(rng, loss):
    """All of W beside an intercept, and one output beside the others: with the sign turned neither passes."""
    W, Phi, _, options = exact_set(rng, loss)
    del options["weights"]
    small, b = 1e-14 * W, np.array([3.0, 1.0, -1.0, -3.0])
    Y = glm_labels(Phi, small, loss=loss, ridge=options["ridge"], intercept=b).labels
    assert certify_loss(-small, Phi, Y, **options | {"intercept": b}).verdict != "pass"
    one = W * np.array([[1e-14], [1.0], [1.0], [1.0]])
    one[1:] -= one.sum(axis=0) / 3  # the columns of W sum to 0, as softmax wants them
    turned = one * np.array([[-1.0], [1.0], [1.0], [1.0]])
    Y = glm_labels(Phi, one, loss=loss, ridge=options["ridge"]).labels
    assert certify_loss(turned, Phi, Y, **options).verdict != "pass"


def test_a_tiny_ridge_is_inconclusive(rng):
    W, Phi, Y, _ = exact_set(rng, "softmax")
    Y = glm_labels(Phi, W, loss="softmax", ridge=1e-12).labels
    assert certify_loss(W, Phi, Y, loss="softmax", ridge=1e-12).verdict == "inconclusive"


@each_loss
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("points", [3, M])
def test_relative_error_at_ridge_zero_bounds_the_distance_of_the_least_minimiser(rng, loss, intercept, points):
    """Fewer points than features: the part of W outside of their span counts, the rest obeys the curvature."""
    W, Phi = 0.3 * rng.standard_normal((K, P)), rng.standard_normal((points, P))
    W, b = W - W.mean(axis=0), rng.standard_normal(K) if intercept else None
    F = Phi if b is None else Phi - Phi.mean(axis=0)
    W = W @ np.linalg.pinv(F) @ F
    Y = glm_labels(Phi, W, loss=loss, ridge=0.0, intercept=b).labels
    exact = certify_loss(W, Phi, Y, loss=loss, ridge=0.0, intercept=b)
    assert (exact.verdict, exact.ratio < 30) == ("pass", True)
    for change in (1e-8, 1e-5, 1e-3):
        other = Y * (1.0 + change * rng.uniform(0.0, 1.0, Y.shape)) if loss != "logistic" else Y * (1.0 - change)
        other = other / other.sum(axis=1, keepdims=True) if loss == "softmax" else other
        fit = glm_weights(Phi, other, loss=loss, ridge=0.0, intercept=intercept)
        found = certify_loss(W, Phi, other, loss=loss, ridge=0.0, intercept=b)
        assert relative_distance(loss, fit, W, Phi, b) <= found.relative_error * (1 + 1e-6)
        assert found.verdict == "fail"
    beside = W + 1e-3 * rng.standard_normal((K, 1)) * np.linalg.svd(F)[2][-1]
    if points < P:
        beside = beside - beside.mean(axis=0)
        assert certify_loss(beside, Phi, Y, loss=loss, ridge=0.0, intercept=b).verdict == "fail"


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("loss", ["softmax", "poisson"])
def test_saturated_labels_of_independent_points_say_their_logits(rng, loss, intercept):
    """A label of 1e-13 determines its logit as any other: exact sets pass, a change of one digit in 1e7 does not."""
    Phi, W = rng.standard_normal((M, 2 * M)), rng.standard_normal((K, 2 * M))
    F = Phi - Phi.mean(axis=0) if intercept else Phi
    W, b = (W - W.mean(axis=0)) @ np.linalg.pinv(F) @ F, np.arange(K) - 1.5 if intercept else None
    W = W * (36.0 / np.ptp(Phi @ W.T, axis=1).max())
    Y = glm_labels(Phi, W, loss=loss, ridge=0.0, intercept=b).labels
    options = {"loss": loss, "ridge": 0.0, "intercept": b}
    assert Y.min() < 1e-7
    assert certify_loss(W, Phi, Y, **options).verdict == "pass"
    place = np.unravel_index(Y.argmin(), Y.shape)
    changed = Y.copy()
    changed[place] *= 1.0 + 1e-7
    found = certify_loss(W, Phi, changed, **options)
    step = np.linalg.norm(np.linalg.pinv(F)[:, place[0]]) * 1e-7 / np.linalg.norm(W)
    assert found.verdict == "fail"
    assert found.relative_error > 0.5 * step * (
        1.0 if b is None else np.linalg.norm(W) / np.hypot(*map(np.linalg.norm, (W, b)))
    )
    for other in (Y * (1.0 + 1e-8), np.roll(Y, 1, axis=1), np.maximum(Y, 1e-7)):
        assert certify_loss(W, Phi, other, **options).verdict == "fail"
    assert certify_loss(W * (1.0 + 1e-8), Phi, Y, **options).verdict == "fail"


def test_an_inconclusive_verdict_says_why_and_what_to_do(rng):
    W, Phi, Y, options = exact_set(rng, "softmax")
    assert str(certify_loss(W, Phi, Y, **options)).endswith(")")
    tiny = certify_loss(W, Phi, glm_labels(Phi, W, loss="softmax", ridge=1e-12).labels, loss="softmax", ridge=1e-12)
    assert (tiny.verdict, "a ridge of 1e-12 holds W less firmly" in str(tiny)) == ("inconclusive", True)
    F = np.array([[30.0], [1.0]])  # 1 - label is 1e-13, of which rounding leaves three digits
    ends = certify_loss(
        np.ones((1, 1)),
        F,
        glm_labels(F, np.ones((1, 1)), loss="logistic", ridge=0.0).labels,
        loss="logistic",
        ridge=0.0,
    )
    assert (ends.verdict, "an end of their range" in str(ends)) == ("inconclusive", True)


def test_labels_at_an_end_of_their_range_at_ridge_zero_never_pass(rng):
    """Saturated means have no curvature to speak of."""
    Phi, W = rng.standard_normal((3, P)), 1e3 * rng.standard_normal((K, P))
    Y = glm_labels(Phi, W @ np.linalg.pinv(Phi) @ Phi, loss="softmax", ridge=0.0).labels
    assert certify_loss(W, Phi, Y, loss="softmax", ridge=0.0).verdict != "pass"


def test_bad_input_is_refused(rng):
    W, Phi, Y, _ = exact_set(rng, "softmax")
    with pytest.raises(ValueError, match="unknown loss 'hinge'"):
        certify_loss(W, Phi, Y, loss="hinge", ridge=1.0)
    with pytest.raises(ShapeError, match="do not fit"):
        certify_loss(W, Phi, Y[:-1], loss="softmax", ridge=1.0)
    with pytest.raises(ShapeError, match="intercept must have shape"):
        certify_loss(W, Phi, Y, loss="softmax", ridge=1.0, intercept=np.zeros(2))


@each_loss
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("power", [-498, 498])
def test_units_change_no_digit(rng, loss, intercept, power):
    """Features times c, W over c and the ridge times c^2; sample weights and ridge times another; with errors too."""
    W, Phi, Y, options = exact_set(rng, loss, intercept, weighted=True)
    unit, copies = 2.0**power, 2.0 ** (-power // 3)
    for ridge, model in itertools.product((options["ridge"], 0.0), (W, -W)):
        one = certify_loss(model, Phi, Y, **options | {"ridge": ridge})
        there = {"ridge": ridge * unit**2 * copies, "weights": options["weights"] * copies}
        other = certify_loss(model / unit, Phi * unit, Y, **options | there)
        assert one.to_dict() | {"ridge": 0.0} == other.to_dict() | {"ridge": 0.0}


@pytest.mark.parametrize("loss", ["logistic", "poisson"])
@pytest.mark.parametrize("ridge", [0.0, 0.1])
@pytest.mark.parametrize("size", [1e-15, 1e-170, 1e-300])
def test_an_output_of_rounding_size_does_not_hide(rng, loss, ridge, size):
    """Its sign turned, beside others and with all of W as small: squares of 1e-170 are 0."""
    W, Phi = 0.3 * rng.standard_normal((K, P)), rng.standard_normal((3, P))
    W = (W @ np.linalg.pinv(Phi) @ Phi) * np.array([[size], [1.0], [1.0], [1.0]])
    Y = glm_labels(Phi, W, loss=loss, ridge=ridge).labels
    turned = W * np.array([[-1.0], [1.0], [1.0], [1.0]])
    assert certify_loss(turned, Phi, Y, loss=loss, ridge=ridge).verdict != "pass"
    assert certify_loss(turned[:1], Phi, Y[:, :1], loss=loss, ridge=ridge).verdict != "pass"
    assert certify_loss(W[1:], Phi, Y[:, 1:], loss=loss, ridge=ridge).verdict == "pass"


def test_an_output_that_is_rounding_beside_its_intercept_is_a_constant(rng):
    W, Phi, b = np.full((1, P), 1e-18), rng.standard_normal((M, P)), np.array([2.0])
    Y = np.full((M, 1), np.exp(2.0))
    assert certify_loss(W, Phi, Y, loss="poisson", ridge=1.0, intercept=b).verdict == "pass"
    assert certify_loss(1e10 * W, Phi, Y, loss="poisson", ridge=1.0, intercept=b).verdict == "fail"


@pytest.mark.parametrize("loss", ["squared", "logistic", "poisson"])
def test_weights_that_change_the_last_bits_of_an_intercept_are_no_constant(loss):
    """Labels differ by an ulp or two, and W follows from the difference: off by a tenth, or with its sign turned."""
    Phi, W, b = np.array([[0.1], [-1.0]]), np.array([[1e-6], [6e-16]]), np.array([0.7, -1.3])
    Y = glm_labels(Phi, W, loss=loss, ridge=0.1, intercept=b).labels
    assert certify_loss(W, Phi, Y, loss=loss, ridge=0.1, intercept=b).verdict == "inconclusive"
    assert certify_loss(-W, Phi, Y, loss=loss, ridge=0.1, intercept=b).verdict != "pass"
    turned = W * np.array([[1.0], [-1.0]])
    assert certify_loss(turned, Phi, Y, loss=loss, ridge=0.1, intercept=b).verdict != "pass"


def test_a_common_shift_of_softmax_weights_fails_at_ridge_zero(rng):
    """It changes no prediction, but the minimiser of least norm has none."""
    Phi, W = rng.standard_normal((3, P)), 0.3 * rng.standard_normal((K, P))
    W = (W - W.mean(axis=0)) @ np.linalg.pinv(Phi) @ Phi
    Y = glm_labels(Phi, W, loss="softmax", ridge=0.0).labels
    found = certify_loss(W + 1e-6 * Phi[0], Phi, Y, loss="softmax", ridge=0.0)
    assert found.verdict == "fail"
    assert found.relative_error >= 1e-6 * np.sqrt(K) * np.linalg.norm(Phi[0]) / np.linalg.norm(W)


@each_loss
def test_points_of_weight_zero_are_left_out(rng, loss):
    for ridge in (None, 0.0):
        W, Phi, Y, options = exact_set(rng, loss, intercept=True, weighted=True)
        options |= {} if ridge is None else {"ridge": ridge}
        far, w = rng.standard_normal((2, P)) * 1e9, np.append(options["weights"], [0.0, 0.0])
        more = np.vstack([Phi, far]), np.vstack([Y, 5.0 * Y[:2]])
        assert certify_loss(W, *more, **options | {"weights": w}) == certify_loss(W, Phi, Y, **options)
    with pytest.raises(ValueError, match="must not all be 0"):
        certify_loss(W, Phi, Y, **options | {"weights": np.zeros(M)})


@each_loss
@pytest.mark.parametrize("ridge", [0.0, 0.5])
def test_what_is_no_number_passes_nothing(rng, loss, ridge):
    W, Phi, Y, _ = exact_set(rng, loss)
    Y = Y if ridge else glm_labels(Phi, W, loss=loss, ridge=0.0).labels
    b = np.zeros(K)
    for arrays in ((1e300 * W, Phi, Y), (W, 1e300 * Phi, Y), (W, 0.0 * Phi, Y), (W, Phi, 1e300 * Y)):
        found = certify_loss(*arrays, loss=loss, ridge=ridge, intercept=b)
        assert found.verdict != "pass"
        assert not np.isnan(found.relative_error)
    for condition in (np.nan, np.inf):
        assert certify_loss(W, Phi, Y, loss=loss, ridge=ridge, map_condition=condition).verdict != "pass"
    for bad in (np.full(K, np.nan), np.full(K, np.inf)):
        with pytest.raises(ValueError, match="intercept must be finite"):
            certify_loss(W, Phi, Y, loss=loss, ridge=ridge, intercept=bad)


@each_loss
def test_a_singular_value_near_the_cut_off_of_solvers_is_inconclusive(rng, loss):
    U, V = (np.linalg.qr(rng.standard_normal((side, 3)))[0] for side in (M, P))
    Phi = (U * np.array([1.0, 0.5, 2.0 * M * 2.0**-52])) @ V.T
    W = rng.standard_normal((K, 2)) @ V[:, :2].T
    W = W - W.mean(axis=0)
    with pytest.warns(RankWarning):
        Y = glm_labels(Phi, W, loss=loss, ridge=0.0).labels
    assert certify_loss(W, Phi, Y, loss=loss, ridge=0.0).verdict == "inconclusive"


@each_loss
def test_points_far_from_zero_have_no_singular_value_of_rounding_about_their_mean(rng, loss):
    """Deviations from the mean of 4 points have rank 3 to rounding: what rounding of the mean left is no direction."""
    Phi, b = rng.standard_normal((4, P)) + 300.0 * rng.standard_normal(P), rng.standard_normal(K)
    F = Phi - Phi.mean(axis=0)
    W = rng.standard_normal((K, 4)) @ F
    W = 0.1 * (W - W.mean(axis=0))
    b = b - W @ Phi.mean(axis=0)
    Y = glm_labels(Phi, W, loss=loss, ridge=0.0, intercept=b).labels
    assert certify_loss(W, Phi, Y, loss=loss, ridge=0.0, intercept=b).verdict == "pass"
