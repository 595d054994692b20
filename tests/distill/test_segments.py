"""T19c: a student's few steps on the set end where an expert's many steps on the data do."""

import numpy as np
import pytest

from analytic_dd import GramStatistics
from analytic_dd.distill import segment_set
from analytic_dd.errors import RangeError, ShapeError

N, P, K = 60, 11, 3


@pytest.fixture
def data(matrix, rng):
    return matrix(N, P, rng=rng, cond=5.0), rng.standard_normal((N, K))


def descent(Phi, Y, W, step, steps):
    for _ in range(steps):
        W = W - step * (Phi @ W.T - Y).T @ Phi
    return W


def path(Phi, Y, step, steps, count):
    """The weights at the starts of consecutive segments of an expert's training from 0."""
    found = [np.zeros((K, P))]
    for _ in range(count - 1):
        found.append(descent(Phi, Y, found[-1], step, steps))
    return found


@pytest.mark.parametrize(("expert", "steps"), [((0.3, 7), 3), ((0.9, 20), 1), ((1.5, 4), 5), ((1.0, 1), 1)])
@pytest.mark.parametrize("segments", [1, 2])
def test_the_student_ends_where_the_expert_does(data, ratio, expert, steps, segments):
    starts = path(*data, *expert, segments)
    built = segment_set(data, starts, expert_step=expert[0], expert_steps=expert[1], step=0.4, steps=steps)
    assert len(built) == K * segments
    for W, error in zip(starts, built.relative_errors, strict=True):
        got, wanted = descent(built.features, built.labels, W, 0.4, steps), descent(*data, W, *expert)
        moved = np.linalg.norm(wanted - W)
        assert ratio(got, wanted, size=N * expert[1], amplification=1e3, unit=moved) < 30  # the square of cond
        assert error < 30 * N * 2.0**-52 * 1e3


def test_sums_are_enough_and_fewer_points_are_not(data, ratio):
    (Phi, Y), options = data, {"expert_step": 0.5, "expert_steps": 6, "step": 1.0, "steps": 2}
    of_sums = segment_set(GramStatistics(P, K).update(Phi, Y), [np.zeros((K, P))], **options)
    wanted = descent(Phi, Y, np.zeros((K, P)), 0.5, 6)
    got = descent(of_sums.features, of_sums.labels, np.zeros((K, P)), 1.0, 2)
    assert ratio(got, wanted, size=N, amplification=1e4) < 30
    fewer = descent(of_sums.features[1:], of_sums.labels[1:], np.zeros((K, P)), 1.0, 2)
    assert np.linalg.norm(fewer - wanted) > 1e-3 * np.linalg.norm(wanted)
    assert np.linalg.matrix_rank(wanted) == K  # W_N - W_0 lies in the row space of the features


def test_what_diverges_is_refused(data):
    starts, options = [np.zeros((K, P))], {"step": 0.4, "steps": 3}
    for expert, words in (
        ((2.1, 4), r"must be below 2 / \|G\|_2 = 2 \(descent diverges beyond\), got 2.1"),
        ((0.0, 4), "must be below 2|must be > 0, got 0"),
        ((1.5, 5), r"at most 1 / \|G\|_2 = 1, got 1.5: no student repeats their overshoot"),
    ):
        with pytest.raises(RangeError, match=words):
            segment_set(data, starts, expert_step=expert[0], expert_steps=expert[1], **options)
    with pytest.raises(RangeError, match="the student's step must be finite and > 0, got -1"):
        segment_set(data, starts, expert_step=0.5, expert_steps=2, step=-1.0, steps=3)
    with pytest.raises(ValueError, match="steps must be an integer >= 1, got 0"):
        segment_set(data, starts, expert_step=0.5, expert_steps=2, step=1.0, steps=0)
    with pytest.raises(ShapeError, match="starts must have shape"):
        segment_set(data, [np.zeros((K, P + 1))], expert_step=0.5, expert_steps=2, **options)
    minimiser = np.linalg.lstsq(*data, rcond=None)[0].T
    with pytest.raises(ValueError, match="weights that the expert moves, got none"):
        segment_set(data, [], expert_step=0.5, expert_steps=2, **options)
    assert max(segment_set(data, [minimiser], expert_step=0.5, expert_steps=2, **options).relative_errors) < np.inf
