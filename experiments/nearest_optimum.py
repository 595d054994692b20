"""T6 on 200 random problems: the distance is the one predicted, and at most that of the published formula.

Sizes, scale, weights and references are drawn for each problem. The published formula has one-hot labels, and once more
the model's own predictions for the references.

Run: python experiments/nearest_optimum.py [--quick]
"""

from __future__ import annotations

from typing import Any

import numpy as np
import records

from analytic_dd.distill import distill_features, nearest_features
from analytic_dd.labels import one_hot, repeated_classes
from analytic_dd.linalg import pseudo_inverse

PROBLEMS = 200


def problem(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw weights (k, p) and references (m, p), k < m < p, with singular values over up to four decades."""
    k = int(rng.integers(2, 11))
    m = k * int(rng.integers(2, 11))
    p = int(rng.integers(m + 1, 4 * m + 1))
    W = rng.standard_normal((k, p)) * 10.0 ** rng.uniform(-2, 2)
    references = rng.standard_normal((m, p)) * 10.0 ** rng.uniform(-2, 2, size=p) + rng.standard_normal(p)
    return W, references


def compare(W: np.ndarray, references: np.ndarray) -> dict[str, Any]:
    """Return the distance that is measured, the one predicted, and that of the published formula, relative."""
    (k, p), m = W.shape, len(references)
    Ys, size = (
        {"one_hot": one_hot(repeated_classes(k, m), k), "predicted": references @ W.T},
        np.linalg.norm(references),
    )
    nearest = nearest_features(W, references)
    free = pseudo_inverse(references).T
    published = {name: distill_features(W, labels, ridge=0.0, free=free).features for name, labels in Ys.items()}
    return {
        "k": k,
        "m": m,
        "p": p,
        "relative_distance": float(np.linalg.norm(nearest.features - references) / size),
        "predicted": float(nearest.predicted_distance / size),
        "published": {name: float(np.linalg.norm(Phis - references) / size) for name, Phis in published.items()},
    }


def main() -> None:
    """Draw, compare and record every problem."""
    options = records.parser(__doc__ or "").parse_args()
    rng = np.random.default_rng(options.seed)
    rows = [compare(*problem(rng)) for _ in range(20 if options.quick else PROBLEMS)]
    print(
        f"{len(rows)} problems: measured / predicted - 1 at most "
        f"{max(abs(row['relative_distance'] / row['predicted'] - 1.0) for row in rows):.1e}, nearest / published "
        f"at most {max(row['relative_distance'] / min(row['published'].values()) for row in rows):.3f}"
    )
    records.record_run(options, "nearest_optimum", rows)


if __name__ == "__main__":
    main()
