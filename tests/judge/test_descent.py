"""Steps of gradient descent on a stored set, held against stored weights (T19)."""

from dataclasses import replace

import numpy as np
import pytest

from analytic_dd import FitOptions, cli, distill, save_distilled
from analytic_dd.distill import Trajectory
from analytic_dd.errors import DataError
from analytic_dd.judge.descent import steps_of_set

K, M, P = 3, 5, 7
AT = (1, 4, 21)
SIZE = (M + P) * AT[-1]  # of an error: every step adds one


def descended(F, Y, step, at):
    """Weights of plain gradient descent."""
    W, kept = np.zeros((Y.shape[1], F.shape[1])), []
    for t in range(1, max(at) + 1):
        W = W - step * (F @ W.T - Y).T @ F
        kept += [W] if t in at else []
    return np.array(kept)


def problem(rng, *, rate=1.0, mean=0.0):
    F, Y = rng.standard_normal((M, P)) + mean, rng.standard_normal((M, K)) + mean
    return F, Y, rate / np.linalg.norm(F - (F.mean(axis=0) if mean else 0.0), 2) ** 2


@pytest.mark.parametrize("rate", [1e-3, 1.0, 1.9, 2.5])
def test_the_closed_form_is_descent(rng, ratio, rate):
    F, Y, step = problem(rng, rate=rate)
    found = steps_of_set(descended(F, Y, step, AT), F, Y, step=step, at=AT)
    assert found.at == AT
    assert found.least <= found.error < found.bound
    assert ratio(found.bound, 0.0, size=SIZE, amplification=30 * max(1.0, (rate - 1.0) ** AT[-1]), unit=1.0) < 30


def test_with_an_intercept_steps_are_about_the_means(rng, ratio):
    F, Y, step = problem(rng, mean=10.0)
    W = descended(F - F.mean(axis=0), Y - Y.mean(axis=0), step, AT)
    found = steps_of_set(W, F, Y, step=step, at=AT, centred=True)
    assert found.error < found.bound
    assert ratio(found.bound, 0.0, size=SIZE, amplification=30 * 10.0, unit=1.0) < 30  # means of ten deviations
    about_zero = steps_of_set(W, F, Y, step=step, at=AT)
    assert about_zero.error > about_zero.bound


@pytest.mark.parametrize("offset", [(1e6, 0.0), (0.0, 1e9), (1e6, 1e6)])
def test_means_of_any_size_are_rounding_and_hide_no_error(rng, offset):
    """An output that is constant has weights of rounding size."""
    F, Y, step = problem(rng, mean=1.0)
    F, Y = F + offset[0], Y + offset[1]
    Y[:, -1] = Y[0, -1] + 0.1
    W = descended(F - F.mean(axis=0), Y - Y.mean(axis=0), step, AT)
    found = steps_of_set(W, F, Y, step=step, at=AT, centred=True)
    assert found.error < found.bound
    wrong = steps_of_set(W * (1.0 + 0.3 * np.eye(K)[0][:, None]), F, Y, step=step, at=AT, centred=True)
    assert abs(wrong.error - 0.3 / 1.3) < wrong.bound < wrong.error


def test_the_bound_of_an_output_is_its_own(rng):
    """Labels that features hardly see have a large bound, which says nothing of the other outputs."""
    F, Y = rng.standard_normal((9, P)), rng.standard_normal((9, K))
    Y[:, 0] += 1e8 * np.linalg.svd(F)[0][:, -1]
    step = 1.0 / np.linalg.norm(F, 2) ** 2
    W = descended(F, Y, step, AT)
    assert steps_of_set(W, F, Y, step=step, at=AT).error < steps_of_set(W, F, Y, step=step, at=AT).bound
    planted = 1e-6
    found = steps_of_set(W * (1.0 + planted * np.eye(K)[1][:, None]), F, Y, step=step, at=AT)
    assert abs(found.error - planted / (1.0 + planted)) < found.bound < found.error < found.largest_bound


PLANTS = {
    "weights of one step": lambda W, F, Y, step: (W * (1.0 + 1e-6 * np.eye(3)[1][:, None, None]), F, Y, step),
    "one output": lambda W, F, Y, step: (W * (1.0 - 2.0 * np.eye(K)[1][:, None]), F, Y, step),
    "the step": lambda W, F, Y, step: (W, F, Y, 1.001 * step),
    "labels": lambda W, F, Y, step: (W, F, Y + 1e-6, step),
    "features": lambda W, F, Y, step: (W, 1.0001 * F, Y, step),
    "no weights": lambda W, F, Y, step: (0.0 * W, F, Y, step),
    "steps that diverge": lambda W, F, Y, step: (W, F, Y, 1e200 * step),
}


@pytest.mark.parametrize("unit", [-480, 0, 480])
@pytest.mark.parametrize("plant", PLANTS)
def test_what_is_wrong_is_found_in_any_unit(rng, ratio, plant, unit):
    """An output of size 1e-150 beside the others is no rounding of theirs."""
    F, Y, step = problem(rng)
    arrays = PLANTS[plant](descended(F, Y, step, AT), F, Y, step)
    of_outputs = np.array([0, unit, -unit])

    def found(W, F, Y, step, units=of_outputs):
        return steps_of_set(np.ldexp(W, units[:, None]), F, np.ldexp(Y, units), step=step, at=AT)

    wrong, right = found(*arrays), found(descended(F, Y, step, AT), F, Y, step)
    assert not wrong.error <= right.bound  # steps that diverge have no error that is a number
    assert right.error < right.bound
    assert ratio(right.bound, 0.0, size=SIZE, amplification=30, unit=1.0) < 30
    assert right == found(descended(F, Y, step, AT), F, Y, step, 0 * of_outputs)
    in_units = steps_of_set(
        np.ldexp(descended(F, Y, step, AT), -200), np.ldexp(F, 200), Y, step=np.ldexp(step, -400), at=AT
    )
    assert in_units == found(descended(F, Y, step, AT), F, Y, step, 0 * of_outputs)


@pytest.fixture(scope="module")
def honest():
    rng = np.random.default_rng(0)
    y = np.arange(40) % K
    return distill(
        rng.standard_normal((40, 24)) * np.geomspace(1.0, 0.1, 24) + 3.0 * np.eye(K, 24)[y],
        y,
        construction=Trajectory(steps=16, tolerance=0.1),
        fit=FitOptions(ridge=3.0),
    )


def with_diagnostics(stored, **values):
    return replace(stored, meta=stored.meta | {"diagnostics": stored.meta["diagnostics"] | values})


FALSE = {
    "steps": (lambda s: replace(s, descent=1.5 * s.descent), "the file has output_error 0.028"),
    "an error of an output": (
        lambda s: with_diagnostics(s, output_error=1e-4),
        "the file has output_error 0.0001, but",
    ),
    "an error of the steps": (lambda s: with_diagnostics(s, steps_error=1e-9), "the file has steps_error 1e-09, but"),
    "the size of a step": (
        lambda s: with_diagnostics(s, step=1.5 * s.meta["diagnostics"]["step"]),
        "output_error 0.028",
    ),
    "no number": (lambda s: with_diagnostics(s, output_error=None), "the file has output_error inf, but"),
}


def test_a_step_at_which_descent_diverges_explains_nothing(honest, rng):
    larger = with_diagnostics(honest, step=4.0 * honest.meta["diagnostics"]["step"])
    (sentence,) = replace(larger, descent=1e50 * rng.standard_normal(honest.descent.shape)).false_claims(
        honest.verify()
    )
    assert "the file has a step of" in sentence


@pytest.mark.parametrize("name", FALSE)
def test_a_false_claim_of_steps_is_named(honest, name):
    falsify, said = FALSE[name]
    assert honest.false_claims(honest.verify()) == []
    (sentence,) = falsify(honest).false_claims(honest.verify())
    assert said in sentence
    assert "misses the stored weights of steps 1, 4, 16 by" in sentence


DAMAGED = {
    "steps of another number": {"steps_at": [1, 4]},
    "steps out of order": {"steps_at": [4, 1, 16]},
    "steps beyond the last": {"steps_at": [1, 4, 17]},
    "steps that are no integers": {"steps_at": [1.0, 4, 16]},
    "no steps": {"steps_at": None},
    "an endless step": {"step": float("inf")},
    "no size": {"step": "0.1"},
    "a size of 0": {"step": 0.0},
    "a size beyond float64": {"step": 10**400},
}


@pytest.mark.parametrize("name", DAMAGED)
def test_weights_of_steps_that_are_not_named_are_refused(honest, name):
    with pytest.raises(DataError, match=r"descent|step"):
        with_diagnostics(honest, **DAMAGED[name])


def test_verify_says_how_far_the_steps_are_and_fails_where_the_file_says_less(honest, tmp_path, capsys):
    save_distilled(tmp_path / "distilled.npz", honest)
    assert cli.main(["verify", str(tmp_path)]) == 0
    assert "gradient descent on the set misses the stored weights of steps 1, 4, 16 by" in capsys.readouterr().out
    save_distilled(tmp_path / "distilled.npz", with_diagnostics(honest, output_error=0.0))
    assert cli.main(["verify", str(tmp_path)]) == 1
    assert "the file has output_error 0, but gradient descent" in capsys.readouterr().out
    save_distilled(tmp_path / "distilled.npz", replace(honest, descent=None))
    assert cli.main(["verify", str(tmp_path)]) == 0
    assert "no weights of its steps are stored, so nothing shows its steps_error" in capsys.readouterr().out
