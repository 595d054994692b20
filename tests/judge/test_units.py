"""The certificate does not depend on units: of features, of the ridge with them, of any output with its labels."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytic_dd import certify_recovery, distill_features, minimal_features
from analytic_dd.distill import add_intercept, largest_ridge

K, M, P = 3, 5, 7
EPS = 2.0**-52
_OF_THE_UNITS = ("ridge", "relative_error", "out_of_span", "in_span")


def judged(W, Phis, Ys, ridge, b=None):
    return certify_recovery(W, Phis, Ys, ridge=ridge, intercept=b)


def problem(seed, *, exact, fraction, intercept):
    """W, features, labels, ridge and intercept of an exact set, or of one that has nothing to do with W."""
    rng = np.random.default_rng(seed)
    W, b = rng.standard_normal((K, P)), rng.standard_normal(K) if intercept else None
    ridge = fraction * largest_ridge(W, np.eye(K))
    if not exact:
        return W, rng.standard_normal((M, P)), rng.standard_normal((M, K)), ridge, b
    made = distill_features(W, np.eye(K), ridge=ridge)
    if intercept:
        made = add_intercept(made, W, b, centre=rng.standard_normal(P))
    return W, made.features, made.labels, made.ridge, b


@given(
    seed=st.integers(0, 2**16),
    exact=st.booleans(),
    fraction=st.sampled_from([0.0, 1e-6, 0.5]),
    intercept=st.booleans(),
    of_features=st.integers(-400, 400),
    of_outputs=st.lists(st.integers(-400, 400), min_size=K, max_size=K),
)
def test_powers_of_two_change_no_bit(seed, exact, fraction, intercept, of_features, of_outputs):
    """Phi 2^f, Y_i 2^(y_i), W_i 2^(y_i - f), ridge 4^f is the same regression in other units."""
    W, Phis, Ys, ridge, b = problem(seed, exact=exact, fraction=fraction, intercept=intercept)
    y = np.array(of_outputs)
    other = judged(
        np.ldexp(W, y[:, None] - of_features),
        np.ldexp(Phis, of_features),
        np.ldexp(Ys, y),
        float(np.ldexp(ridge, 2 * of_features)),
        None if b is None else np.ldexp(b, y),
    )
    plain = judged(W, Phis, Ys, ridge, b)
    assert plain.verdict == ("pass" if exact else "fail")
    same = {name: getattr(plain, name) for name in _OF_THE_UNITS}
    assert replace(other, **same) == plain
    if len(set(of_outputs)) == 1:  # |W_s - W| / |W| over all outputs depends on the unit of each
        assert [getattr(other, name) for name in _OF_THE_UNITS[1:]] == list(same.values())[1:]


@pytest.mark.parametrize("power", [-300, -170, -100, 0, 100, 300])
def test_features_that_have_nothing_to_do_with_the_weights_fail_in_any_unit(rng, power):
    W, Phis = rng.standard_normal((K, P)), rng.standard_normal((K, P))
    found = certify_recovery(W * 10.0**power, Phis / 10.0**power, np.eye(K), ridge=0.0)
    assert (found.verdict, found.relative_error > 0.1) == ("fail", True)


@pytest.mark.parametrize("labels", ["one-hot", "learned"])
def test_the_right_features_pass_in_any_unit(rng, labels):
    for power in [-300, -170, -100, 0, 100, 300]:
        W = rng.standard_normal((K, P))
        made = distill_features(W, np.eye(K)) if labels == "one-hot" else minimal_features(W)
        features, weights = made.features / 10.0**power, W * 10.0**power
        found = certify_recovery(weights, features, made.labels, ridge=0.0)
        assert found.verdict == "pass", str(found)
        assert certify_recovery(weights, features, made.labels * (1 + 1e-8), ridge=0.0).verdict == "fail"


@pytest.mark.parametrize("size", [1e-320, 1e-200, 1e200, 1e308])
def test_a_ridge_far_from_the_squared_features_is_judged(rng, size):
    """Where the ridge dwarfs the features, W_s = Y^T Phi / ridge; where it vanishes beside them, that of ridge 0."""
    W = rng.standard_normal((K, P))
    Q = np.linalg.qr(rng.standard_normal((P, K)))[0].T
    weights = W @ Q.T @ Q
    if size > 1.0:
        labels = Q @ W.T  # times ridge / |Phi|, divided by ridge / |Phi| in the weights
        assert certify_recovery(weights / size, Q, labels, ridge=size).verdict == "pass"
        assert certify_recovery(-weights / size, Q, labels, ridge=size).verdict == "fail"
    else:
        assert certify_recovery(weights, Q, Q @ W.T, ridge=size).verdict == "pass"
        assert certify_recovery(-weights, Q, Q @ W.T, ridge=size).verdict == "fail"


@pytest.mark.parametrize("unit", [1e12, 1e16, 1e200])
def test_an_output_that_is_lost_fails_whatever_the_unit_of_the_others(rng, unit):
    """It vanishes in the norm of all outputs."""
    W = rng.standard_normal((K, P))
    made = minimal_features(W)
    units = np.array([unit, 1.0, unit])
    weights, labels = W * units[:, None], made.labels * units
    assert certify_recovery(weights, made.features, labels, ridge=0.0).verdict == "pass"
    labels[:, 1] = 0.0
    found = certify_recovery(weights, made.features, labels, ridge=0.0)
    assert found.verdict == "fail"
    assert found.output == 1
    assert (found.output_error, found.prediction_error) == pytest.approx((1.0, 1.0), rel=30 * EPS * P)
    assert found.relative_error < max(2.0 / unit, 30 * EPS * P)


def test_an_output_without_weights_is_measured_by_its_labels(rng):
    W = rng.standard_normal((K, P))
    W[1] = 0.0
    features = rng.standard_normal((M, P))
    labels = features @ W.T
    projected = W @ np.linalg.pinv(features) @ features
    for unit in (1e-200, 1.0, 1e200):
        assert certify_recovery(projected * unit, features, labels * unit, ridge=0.0).verdict == "pass"
    labels[:, 1] = 1e-200
    assert certify_recovery(projected, features, labels, ridge=0.0).verdict == "fail"


def test_predictions_are_judged_beside_the_weights(matrix, rng):
    """An error of W within its bound, along the strongest direction of the features, spoils every prediction."""
    features = matrix(2, P, rng=rng, cond=1e7)
    V = np.linalg.svd(features, full_matrices=False)[2]
    W = V[1:]  # predictions of size 1e-7
    labels = features @ W.T
    assert certify_recovery(W, features, labels, ridge=0.0).verdict == "pass"
    found = certify_recovery(W + 1e-9 * V[:1], features, labels, ridge=0.0)
    assert found.output_error < found.bound
    assert found.prediction_error == pytest.approx(1e-2 / np.hypot(1.0, 1e-2), abs=30 * EPS * 1e7 * P)
    assert found.verdict == "fail"


def test_columns_of_far_units_are_no_pass_where_their_sizes_are_known(rng):
    """Weights of 1e4 and 1e-4 for features of 1e-4 and 1e4: an error of 1e-12 of |W| is one of 1e-4 of the scores."""
    sizes = np.array([1e4, 1e-4, 1.0, 1.0])
    W = rng.standard_normal((K, 4)) / sizes
    made = distill_features(W, np.eye(K))
    assert certify_recovery(W, made.features, made.labels, ridge=0.0).verdict == "pass"
    found = certify_recovery(W, made.features, made.labels, ridge=0.0, feature_sizes=sizes)
    assert found.verdict == "inconclusive"
    wrong = W * np.array([1.1, 1.0, 1.0, 1.0])  # of |W| that is 1e-9
    assert certify_recovery(wrong, made.features, made.labels, ridge=0.0).ratio < found.ratio * 1e9
    assert certify_recovery(wrong, made.features, made.labels, ridge=0.0, feature_sizes=sizes).verdict != "pass"


@pytest.mark.parametrize("unit", [1e-300, 1.0, 1e300])
def test_sizes_near_each_other_change_no_verdict(rng, unit):
    W = rng.standard_normal((K, P))
    made = distill_features(W, np.eye(K))
    sizes = unit * rng.uniform(0.1, 1.0, P)
    sizes[0] = 0.0  # a feature that the data do not have
    found = certify_recovery(W, made.features, made.labels, ridge=0.0, feature_sizes=sizes)
    assert found.verdict == "pass"
    noisy = W * (1 + 1e-9 * rng.standard_normal(W.shape))
    assert certify_recovery(noisy, made.features, made.labels, ridge=0.0, feature_sizes=sizes).verdict == "fail"


def test_sizes_that_are_none_are_refused(rng):
    W = rng.standard_normal((K, P))
    for wrong, said in ((np.ones(P - 1), r"must have shape \(7,\)"), (-np.ones(P), "must be >= 0")):
        with pytest.raises(ValueError, match=said):
            certify_recovery(W, W, np.eye(K), ridge=0.0, feature_sizes=wrong)
    with pytest.raises(TypeError, match="expected an array"):
        certify_recovery(W, W, np.eye(K), ridge=0.0, feature_sizes=[1.0] * P)
