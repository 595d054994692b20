r"""The fewest points that carry a random W on act(B x + b), found and proved, beside the counts of T22.

For each (d, p, q, activation) and m from the necessary count on, Levenberg and Marquardt solve C phi(X) = W in (X, C)
from random points, C started at W phi(X)^+ (labels follow from T4). The first m that ends at rounding is recorded, with
whether an exact solution is proved to lie beside the computed one (``kantorovich``). One W a cell, drawn by the seed:
what is proved holds for this W and those in a ball about it, not for every W.

Run: python experiments/fewest_points.py [--quick]
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import records
from kantorovich import ACTIVATIONS, derivative, prove
from scipy.linalg import cho_factor, cho_solve

from analytic_dd import point_bounds

SIZES = [(4, 12), (6, 30), (8, 24), (8, 48), (16, 64), (16, 96), (32, 128), (64, 256), (128, 512)]  # (d, p)
LARGEST = 520  # equations q p of a cell
TRIES, STEPS = 3, 150


def problem(d: int, p: int, q: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return W (q, p), and B, b of the map."""
    rng = np.random.default_rng([seed, d, p, q])
    return rng.standard_normal((q, p)), 1.5 * rng.standard_normal((p, d)) / np.sqrt(d), rng.standard_normal(p)


def solve(
    W: np.ndarray, B: np.ndarray, b: np.ndarray, activation: str, m: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return C, X and the relative residual where Levenberg and Marquardt end."""
    act, q, d = ACTIVATIONS[activation], len(W), B.shape[1]
    X = rng.standard_normal((m, d))
    Z = X @ B.T + b
    C = W @ np.linalg.pinv(act.value(Z), rcond=1e-6)
    damping, size = 1e-2, float(np.linalg.norm(W))
    residual = C @ act.value(Z) - W
    for _ in range(STEPS):
        error = float(np.linalg.norm(residual))
        if error < 1e-13 * size:
            break
        J = derivative(C, act.value(Z), act.slope(Z), B)
        gram = J @ J.T
        for _ in range(8):
            shift = damping * error / size * np.trace(gram) / len(gram) + 1e-14 * np.trace(gram) / len(gram)
            step = J.T @ cho_solve(cho_factor(gram + shift * np.eye(len(gram))), residual.ravel())
            C_new, X_new = C - step[: m * q].reshape(q, m), X - step[m * q :].reshape(m, d)
            Z_new = X_new @ B.T + b
            after = C_new @ act.value(Z_new) - W
            if np.linalg.norm(after) < error:
                damping = max(damping / 5.0, 1e-12)
                C, X, Z, residual = C_new, X_new, Z_new, after
                break
            damping *= 4.0
        else:
            break
    return C, X, float(np.linalg.norm(residual)) / size


def cell(d: int, p: int, q: int, activation: str, seed: int) -> dict[str, Any]:
    """Return the row of a cell: the counts, the fewest points found, and the proof."""
    W, B, b = problem(d, p, q, seed)
    bounds, started = point_bounds(p, d, q), time.perf_counter()
    row: dict[str, Any] = {"d": d, "p": p, "q": q, "activation": activation, "necessary": bounds.necessary}
    row |= {"open_set": bounds.open_set, "every_W": bounds.every_W, "found": None, "proved": False}
    for m in range(bounds.necessary, p + 1):
        for attempt in range(TRIES):
            C, X, error = solve(W, B, b, activation, m, np.random.default_rng([seed, m, attempt]))
            if error < 1e-11:
                proof = prove(C, X, W, B, b, activation)
                row |= {"found": m, "proved": proof.proved, "residual": proof.residual}
                row |= {"contraction": proof.contraction, "radius": proof.radius}
                break
        if row["found"] is not None:
            break
    return row | {"seconds": time.perf_counter() - started}


def main() -> None:
    """Solve and prove every cell, smallest first, and record them."""
    options = records.parser(__doc__ or "").parse_args()
    cells = [
        (d, p, q, activation)
        for d, p in (SIZES[:2] if options.quick else SIZES)
        for q in (1, 2, 3)
        for activation in ACTIVATIONS
        if q * p <= LARGEST
    ]
    path = records.path_of(options, "fewest_points")
    rows = []
    for place in sorted(cells, key=lambda one: one[1] * one[2]):
        rows.append(cell(*place, options.seed))
        row = rows[-1]
        print(
            f"d = {row['d']}, p = {row['p']}, q = {row['q']}, {row['activation']}: necessary {row['necessary']}, found "
            f"{row['found']}{', proved' if row['proved'] else ''} in {row['seconds']:.1f} s",
            flush=True,
        )
        records.record(path, rows, seed=options.seed)


if __name__ == "__main__":
    main()
