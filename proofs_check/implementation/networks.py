"""Sets for trained networks (T21) against rational gradients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from analytic_dd.distill.trained import (
    NetworkSet,
    balanced_layers,
    balanced_units,
    linear_network_set,
    relu_network_set,
)
from analytic_dd.errors import InfeasibleError
from analytic_dd.judge import stationarity_certificate
from proofs_check.implementation.judge import Dyadics, Judge, probe, to_exact, to_float
from proofs_check.matrix import Matrix

__all__ = ["CHECKS"]


def _gradients(F: Dyadics, made: NetworkSet, ridge: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The gradient of the fit in every layer, in rational arithmetic on the float64 numbers, and -ridge W."""
    layers: Sequence[Matrix] = [to_exact(F, W) for W in made.weights]
    states, masks = [to_exact(F, made.inputs)], []
    for W in layers[:-1]:
        Z = states[-1] @ W.T
        active = [[int(made.activation == "linear" or z > 0) for z in row] for row in Z.a.tolist()]
        states.append(_masked(F, Z, active))
        masks.append(active)
    D = states[-1] @ layers[-1].T - to_exact(F, made.labels)
    for place in range(len(layers) - 1, -1, -1):
        yield to_float(D.T @ states[place]), -ridge * made.weights[place]
        if place:
            D = _masked(F, D @ layers[place], masks[place - 1])


def _masked(F: Dyadics, A: Matrix, mask: list[list[int]]) -> Matrix:
    rows = zip(A.a.tolist(), mask, strict=True)
    return F.constant([[z * on for z, on in zip(one, other, strict=True)] for one, other in rows])


@probe("T21c", deep=60)
def stationary_linear(F: Dyadics, judge: Judge) -> Iterator[float]:
    """linear_network_set: rank W points, and a rational gradient of rounding size in each of three layers"""
    ridge = float(to_float(F.scalar()))
    layers = balanced_layers([to_float(F.draw(4, 6)) / 4.0, to_float(F.draw(5, 4)) / 4.0, to_float(F.draw(3, 5)) / 4.0])
    made = linear_network_set(layers, ridge=ridge)
    yield judge.true(len(made) == 3)
    slack = 1e3 * float(np.linalg.cond(made.weights[-1] @ made.weights[-1].T))
    for fit, wanted in _gradients(F, made, ridge):
        yield judge.ratio(fit, wanted, slack)
    unequal = [2.0 * layers[0], layers[1], 0.5 * layers[2]]
    yield judge.refuses(InfeasibleError, lambda: linear_network_set(unequal, ridge=ridge))


@probe("T21d", deep=60)
def stationary_relu(F: Dyadics, judge: Judge) -> Iterator[float]:
    """relu_network_set: four points a unit, or two, a rational gradient of rounding size, and a Hessian above 0"""
    ridge = float(to_float(F.scalar()))
    A, B = balanced_units(to_float(F.draw(3, 4)), to_float(F.draw(4, 6)))
    for per_unit in (4, 2):
        rng = np.random.default_rng(F.random.randint(0, 10**6))
        made = relu_network_set(A, B, ridge=ridge, rng=rng, points_per_unit=per_unit)
        yield judge.true(len(made) == per_unit * 4)
        parts = float(np.linalg.norm(made.inputs) * np.linalg.norm(made.labels) * (1.0 + np.linalg.norm(A)))
        for fit, wanted in _gradients(F, made, ridge):
            yield judge.ratio(fit, wanted, 10.0 * (1.0 + parts / float(np.linalg.norm(wanted))))
        found = stationarity_certificate(made.inputs, made.labels, made.weights, ridge=ridge)
        yield judge.true(found.verdict == "strict local minimum")


CHECKS = [stationary_linear, stationary_relu]
