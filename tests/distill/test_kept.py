"""Modes gradients, trajectory, future, sufficient: exact for W, and for what they keep besides."""

import numpy as np
import pytest

from analytic_dd import FitOptions, cli, distill, load_distilled, ridge_weights
from analytic_dd.distill import Future, Gradients, Problem, Sufficient, Trajectory
from analytic_dd.features import Identity
from analytic_dd.judge import certify_recovery
from analytic_dd.linalg import GramStatistics

N, P, K, RIDGE = 60, 9, 2, 0.7
ALL = {
    "gradients": Gradients(),
    "trajectory": Trajectory(steps=2),
    "future": Future(dimensions=3),
    "sufficient": Sufficient(),
}


@pytest.fixture
def data(rng):
    return rng.standard_normal((N, P)), rng.standard_normal((N, K))


def built(data, mode, fit=None):
    X, Y = data
    return distill(X, Y, construction=ALL[mode], fit=fit or FitOptions(ridge=RIDGE))


def gradient(Phi, Y, W):
    return (Phi @ W.T - Y).T @ Phi


@pytest.mark.parametrize("mode", ALL)
def test_ridge_regression_on_the_set_gives_the_model(data, mode):
    for intercept in [False, True]:
        if mode == "future" and intercept:
            with pytest.raises(ValueError, match="without an intercept"):
                built(data, mode, FitOptions(ridge=RIDGE, intercept=True))
            continue
        made = built(data, mode, FitOptions(ridge=RIDGE, intercept=intercept))
        assert made.verify().verdict == "pass"
        points = {"gradients": 2 * K, "trajectory": 3 * K, "future": 3 + K, "sufficient": P + 1}
        assert len(made.inputs) == points[mode] + intercept


@pytest.mark.parametrize("construction", [Gradients(), Trajectory(steps=1)], ids=["gradients", "trajectory"])
def test_rounding_of_the_solver_in_directions_that_the_sums_do_not_resolve_is_part_of_the_model(construction, rng):
    """MNIST has pixels that are constant: W has components of 1e-11 there, and a set of few points is more exact."""
    X, Y = rng.standard_normal((N, P)), rng.standard_normal((N, K))
    X[:, 0] *= 1e6
    X[:, 1:3], ridge = 0.0, 1e12  # the condition of the set is 60
    sums = GramStatistics(P, K).update(X, Y)
    W = sums.weights(ridge)
    W[:, 1:3] = 1e-10 * np.linalg.norm(W) * rng.standard_normal((K, 2))
    built = construction.build(Problem(W, Identity(P), rng, sums=sums, ridge=ridge))
    assert certify_recovery(W, built.inputs, built.distilled.labels, ridge=ridge).verdict == "pass"


@pytest.mark.parametrize("ridge", [1.0, 100.0])
def test_gradients_where_columns_are_nearly_the_same(data, rng, ridge):
    """A ridge above the small squares: the residual of the model is exact as a difference there."""
    X, Y = data[0].copy(), data[1]
    X[:, 1] = X[:, 0] + 1e-5 * rng.standard_normal(len(X))
    X[:, 2] = X[:, 0]
    assert built((X, Y), "gradients", FitOptions(ridge=ridge)).verify().verdict == "pass"


def test_gradients_at_zero_and_at_the_model_are_those_of_the_data(data, ratio):
    made, (X, Y) = built(data, "gradients"), data
    for W in (np.zeros((K, P)), made.w):
        assert ratio(gradient(made.inputs, made.y, W), gradient(X, Y, W), size=N, amplification=1e2) < 30


def test_steps_of_descent_are_those_on_the_data(data, ratio):
    made, (X, Y) = built(data, "trajectory"), data
    W = Ws = np.zeros((K, P))
    for step in (0.01, 0.003):
        W, Ws = W - step * gradient(X, Y, W), Ws - step * gradient(made.inputs, made.y, Ws)
        assert ratio(Ws, W, size=N, amplification=1e2) < 30


def test_later_samples_in_the_leading_directions(data, rng, ratio):
    made, (X, Y) = built(data, "future"), data
    V = np.linalg.svd(X)[2][:3]
    new, answers = rng.standard_normal((5, 3)) @ V, rng.standard_normal((5, K))
    wanted = ridge_weights(np.vstack([X, new]), np.vstack([Y, answers]), ridge=RIDGE)
    got = ridge_weights(np.vstack([made.inputs, new]), np.vstack([made.y, answers]), ridge=RIDGE)
    assert ratio(got, wanted, size=N, amplification=1e3) < 30


def test_objective_of_the_data(data, rng, ratio):
    made, (X, Y) = built(data, "sufficient"), data
    for _ in range(3):
        W = rng.standard_normal((K, P))
        got, wanted = (np.sum((A @ W.T - B) ** 2) for A, B in ((made.inputs, made.y), (X, Y)))
        assert ratio(got, wanted, size=N, amplification=1e2) < 30


def test_a_ridge_of_zero_is_refused(data):
    X, Y = data
    sums = GramStatistics(P, K).update(X, Y)
    for construction in ALL.values():
        problem = Problem(sums.weights(0.0), Identity(P), np.random.default_rng(0), sums=sums)
        with pytest.raises(ValueError, match="needs a ridge > 0 of the original model"):
            construction.build(problem)
        with pytest.raises(ValueError, match="needs the sums G and C"):
            construction.build(Problem(sums.weights(1.0), Identity(P), np.random.default_rng(0), ridge=1.0))


@pytest.mark.parametrize(
    "flags", [["gradients"], ["trajectory", "--steps", "2"], ["future", "--dimensions", "4"], ["sufficient"]], ids=str
)
def test_command_line(tmp_path, capsys, flags):
    assert cli.main(["distill", "--no-picture", "--ridge", "1", "--out", str(tmp_path), "--mode", *flags]) == 0
    assert load_distilled(tmp_path).verify().verdict == "pass"
    capsys.readouterr()
    assert cli.main(["distill", "--mode", flags[0], "--tau", "0.1", "--out", str(tmp_path / "other")]) == 2
    assert "--tau 0.1 is an option of --mode nearest" in capsys.readouterr().err


def test_a_tolerance_takes_fewer_points_and_says_how_far_the_steps_are(data, capsys, tmp_path, ratio):
    sizes = {}
    for tolerance in (None, 1e-2, 1e-8):
        made = distill(*data, construction=Trajectory(steps=4, tolerance=tolerance), fit=FitOptions(ridge=RIDGE))
        found, (X, Y) = made.meta["diagnostics"], data
        W, Ws, error, travelled = np.zeros((K, P)), np.zeros((K, P)), 0.0, 0.0
        for _ in range(4):
            step = 1.0 / np.linalg.norm(X, 2) ** 2
            W, Ws = W - step * gradient(X, Y, W), Ws - step * gradient(made.inputs, made.y, Ws)
            error, travelled = max(error, np.linalg.norm(W - Ws)), max(travelled, np.linalg.norm(W))
        assert ratio(error / travelled, found["steps_error"], size=N, amplification=1e2, unit=1.0) < 30
        if tolerance is None:
            assert ratio(found["steps_error"], 0.0, size=N, amplification=1e2, unit=1.0) < 30
        else:
            assert found["steps_error"] <= min(tolerance, found["steps_bound"] or 1.0)
        assert made.verify().verdict == "pass"
        sizes[tolerance] = len(made.inputs)
    assert K + 1 <= sizes[1e-2] < sizes[1e-8] <= sizes[None] <= 5 * K
    with pytest.raises(ValueError, match="tolerance must be finite and > 0, got 0"):
        Trajectory(tolerance=0.0)
    flags = ["distill", "--no-picture", "--ridge", "30", "--mode", "trajectory", "--steps", "30", "--tolerance", "0.01"]
    assert cli.main([*flags, "--out", str(tmp_path)]) == 0
    assert "30 steps of 1 / |G| from 0: |W_t^s - W_t| at most" in capsys.readouterr().out


@pytest.mark.parametrize("features", ["identity", "fcnn:depth=2,activation=tanh", "rff:p=5,lengthscale=9"])
@pytest.mark.parametrize("intercept", [False, True], ids=["plain", "intercept"])
@pytest.mark.parametrize("tolerance", [None, 0.1])
def test_the_stored_set_shows_its_steps_by_itself(data, features, intercept, tolerance, ratio):
    """Scaled into the range of a map (T4'), about the mean (T12), and for outputs of far units."""
    X, Y = data[0], data[1] * np.array([1e-20, 1e20])
    made = distill(
        X,
        Y,
        features=features,
        construction=Trajectory(steps=9, tolerance=tolerance),
        fit=FitOptions(ridge=RIDGE, intercept=intercept),
    )
    found, said = made.steps_found(), made.meta["diagnostics"]
    assert found.at == (1, 3, 9)
    assert abs(found.error - said["output_error"]) < found.bound
    amplification = 30 * np.linalg.cond(made.feature_map(made.inputs))
    assert ratio(found.bound, 0.0, size=(len(made.inputs) + P) * 9, amplification=amplification, unit=1.0) < 30
    assert made.false_claims(made.verify()) == []
    phi, centre = made.feature_map, int(intercept)
    F, T = (A - centre * A.mean(axis=0) for A in (phi(X), Y))
    step, W, steps = 1.0 / np.linalg.norm(F, 2) ** 2, np.zeros_like(made.w), []
    for _ in range(9):
        W = W - step * gradient(F, T, W)
        steps.append(W)
    for got, wanted in zip(made.descent, (steps[0], steps[2], steps[8]), strict=True):
        for output in range(K):  # labels are those of the sums: eps cond_eff^2
            size = np.linalg.cond(F) ** 2
            assert ratio(got[output], wanted[output], size=N, amplification=size) < 30
