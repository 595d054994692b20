"""Proofs that exact points lie beside computed ones: they hold where they should, and nowhere else."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def modules(scripts_as_modules):
    return scripts_as_modules("fewest_points", "kantorovich")


def solved(modules, activation, m, d=4, p=12, q=2):
    fewest = modules["fewest_points"]
    W, B, b = fewest.problem(d, p, q, 0)
    C, X, error = fewest.solve(W, B, b, activation, m, np.random.default_rng(1))
    return C, X, W, B, b, error


@pytest.mark.parametrize("activation", ["tanh", "sin", "softplus"])
def test_a_computed_solution_is_proved_and_other_weights_are_not(modules, activation):
    prove = modules["kantorovich"].prove
    C, X, W, B, b, _ = solved(modules, activation, 7)
    proof = prove(C, X, W, B, b, activation)
    assert proof.proved
    assert proof.contraction < 0.5
    act = modules["kantorovich"].ACTIVATIONS[activation]
    Phi = act.value(X @ B.T + b)
    rounding = 30 * 2.0**-52 * len(X) * (np.linalg.norm(C) * np.linalg.norm(Phi) + np.linalg.norm(W))
    assert np.linalg.norm(C @ Phi - W) <= proof.residual + rounding
    assert proof.radius < 1e-6
    for wrong in (W + 0.1, 2.0 * W):  # an exact solution may be anywhere, but not in a ball that is shown
        assert not prove(C, X, wrong, B, b, activation).proved


def test_the_bound_of_the_change_of_the_derivative_is_one(modules, rng):
    """|F'(z) - F'(z_0)| over random z near by stays below the slope that the proof uses."""
    kantorovich = modules["kantorovich"]
    for activation, act in kantorovich.ACTIVATIONS.items():
        C, X, _, B, b, _ = solved(modules, activation, 6)
        norm = np.linalg.norm
        slope = 2.0 * act.steepest * norm(B) + act.most_curved * norm(C) * norm(B) * np.max(norm(B, axis=1))
        first = kantorovich.derivative(C, act.value(X @ B.T + b), act.slope(X @ B.T + b), B)
        for size in (1e-3, 1e-1):
            C2, X2 = C + size * rng.standard_normal(C.shape), X + size * rng.standard_normal(X.shape)
            rho = np.sqrt(norm(C2 - C) ** 2 + norm(X2 - X) ** 2)
            there = kantorovich.derivative(C2, act.value(X2 @ B.T + b), act.slope(X2 @ B.T + b), B)
            extra = act.most_curved * norm(C2 - C) * norm(B) * np.max(norm(B, axis=1)) * rho  # of second order
            assert norm(there - first, 2) <= slope * rho + extra


def test_fewer_points_than_necessary_are_never_proved(modules):
    fewest = modules["fewest_points"]
    necessary = fewest.point_bounds(12, 4, 2).necessary
    C, X, W, B, b, error = solved(modules, "tanh", necessary - 1)
    assert error > 1e-3
    assert not modules["kantorovich"].prove(C, X, W, B, b, "tanh").proved


def test_a_cell_has_what_the_table_shows(modules):
    row = modules["fewest_points"].cell(4, 12, 1, "sin", 0)
    assert row["proved"]
    assert row["necessary"] <= row["found"] <= row["every_W"]
