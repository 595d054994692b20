r"""Trained weights of a small ReLU network as an exact stationary point of four or two images a unit (T21d), on digits.

A network 64-12-10 without biases is trained on the digits with weight decay from small weights, so that all of its
units live; its units are balanced. Then training goes on from the set alone: from weights near by and random ones.

Run: python experiments/trained_networks.py [--quick]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import records
import torch

from analytic_dd import balanced_units, data, relu_network_set, stationarity_certificate

UNITS, DECAY = 12, 0.1
AWAY = (1e-2, 3e-2, 1e-1)
STARTS = 3


def trained(X: np.ndarray, Y: np.ndarray, start: Sequence[np.ndarray], steps: int) -> list[np.ndarray]:
    """Return B, A after L-BFGS on 1/2 |f(X) - Y|^2 + decay/2 |weights|^2."""
    inputs, labels = torch.from_numpy(X), torch.from_numpy(Y)
    layers = [torch.from_numpy(W.copy()).requires_grad_() for W in start]
    descent = torch.optim.LBFGS(
        layers,
        max_iter=steps,
        history_size=50,
        tolerance_grad=1e-13,
        tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )

    def closure() -> torch.Tensor:
        descent.zero_grad()
        outputs = (inputs @ layers[0].T).relu() @ layers[1].T
        value = 0.5 * (outputs - labels).square().sum() + 0.5 * DECAY * sum(W.square().sum() for W in layers)
        value.backward()
        return value

    descent.step(closure)
    return [W.detach().numpy() for W in layers]


def distance(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> float:
    """Return the relative distance of all weights."""
    sizes = [np.linalg.norm(a - b) for a, b in zip(one, other, strict=True)]
    return float(np.linalg.norm(sizes) / np.linalg.norm([np.linalg.norm(b) for b in other]))


def accuracy(weights: Sequence[np.ndarray], X: np.ndarray, y: np.ndarray) -> float:
    """Return the part of samples that a network decides rightly."""
    outputs = np.maximum(X @ weights[0].T, 0.0) @ weights[1].T
    return float(np.mean(outputs.argmax(axis=1) == y))


def measured(
    A: np.ndarray,
    B: np.ndarray,
    per_unit: int,
    test: tuple[np.ndarray, np.ndarray],
    rng: np.random.Generator,
    steps: int,
) -> list[dict[str, Any]]:
    """Return a row for each distance from which training on the set starts."""
    made = relu_network_set(A, B, ridge=DECAY, rng=rng, points_per_unit=per_unit)
    found = stationarity_certificate(made.inputs, made.labels, made.weights, ridge=DECAY)
    print(made, found, sep="\n")
    rows: list[dict[str, Any]] = []
    size = np.linalg.norm(np.concatenate([W.ravel() for W in made.weights]))
    for away in (*AWAY, None):
        ends = []
        for _ in range(STARTS):
            noise = [rng.standard_normal(W.shape) for W in made.weights]
            noise = [N * (size / np.linalg.norm(np.concatenate([M.ravel() for M in noise]))) for N in noise]
            first = noise if away is None else [W + away * N for W, N in zip(made.weights, noise, strict=True)]
            ends.append(trained(made.inputs, made.labels, first, steps))
        found_away = [distance(one, made.weights) for one in ends]
        row = {"data": "digits", "start": "random" if away is None else f"{100 * away:g} % away"}
        row |= {"points": len(made), "units": len(B), "starts": STARTS, "decay": DECAY}
        row |= {"gradient": found.gradient, "relative_gradient": found.relative_gradient, "verdict": found.verdict}
        row |= {"least_eigenvalue": found.least_eigenvalue, "largest_eigenvalue": found.largest_eigenvalue}
        row |= {"accuracy": accuracy(made.weights, *test), "kink": found.kink, "note": found.note}
        row |= {"largest_distance": max(found_away), "least_distance": min(found_away)}
        row["accuracy_after"] = float(np.mean([accuracy(one, *test) for one in ends]))
        rows.append(row)
        print(f"{row['start']}: {min(found_away):.2g} to {max(found_away):.2g} away after training", flush=True)
    return rows


def main() -> None:
    """Train, distil, judge, and train again from the set."""
    options = records.parser(__doc__ or "").parse_args()
    dataset = data.load("digits", offline=True)
    mean, std = dataset.statistics()
    parts = [next(iter(dataset.blocks(part, mean=mean, std=std))) for part in ("train", "test")]
    (X, y), (Xt, yt) = parts
    rng, steps = np.random.default_rng(options.seed), 100 if options.quick else 300
    start = [rng.standard_normal((UNITS, X.shape[1])) / 32.0, rng.standard_normal((10, UNITS)) / 3.0]
    B, A = trained(X, np.eye(10)[y], start, steps)
    A, B = balanced_units(A, B)
    rows = [row for per_unit in (4, 2) for row in measured(A, B, per_unit, (Xt, yt), rng, 2 * steps)]
    records.record_run(options, "trained_networks", rows)


if __name__ == "__main__":
    main()
