"""How do time, memory and error compare with scikit-learn, torch and the bare BLAS product, from n = 1e3 to 1e6?

Gaussian features in float64, labels of a linear model with noise. At one ridge: ``ridge_weights``, scikit-learn's Ridge
and KernelRidge (linear kernel, small n), torch.linalg.lstsq on the rows [Phi; sqrt(ridge) I], the bare Phi^T Phi. With
a choice among 15 ridges by the squared error of leave-one-out on all samples: ``select_ridge``, RidgeCV. ``stream``
sums blocks that are made one after another, for sizes whose features are not held: its seconds include making them.
The error is that of the normal equations, |C - W (G + ridge I)| / |C|, computed after the clock has stopped.

Limits: n p^2 <= 2e13; 8 n p <= 2 GiB for what needs the features in memory; a method ``--seconds`` by its flops at 5e10
a second.

Run: python benchmarks/peers.py [--quick] [--repeats 3] [--seconds 150] [--samples 10000] [--methods "ours, one ridge"]
     (some sizes or methods: their rows replace those that are recorded)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import measurement

K, RIDGES = 10, 15
SAMPLES, FEATURES = (1_000, 10_000, 100_000, 1_000_000), (64, 256, 1024, 4096, 8192)
BUDGET, MEMORY, SMALL, RATE = 2e13, 2 * 2**30, 5_000, 5e10
ROWS = 4096


def data(n: int, p: int) -> tuple[Any, Any]:
    """Return Phi (n, p) and Y (n, K)."""
    import numpy as np

    rng = np.random.default_rng(0)
    Phi = rng.standard_normal((n, p))
    return Phi, Phi @ np.random.default_rng(1).standard_normal((p, K)) / p**0.5 + rng.standard_normal((n, K))


def grid(n: int) -> Any:
    """Return the ridges of a choice."""
    import numpy as np

    return n * np.geomspace(1e-6, 1e1, RIDGES)


def timed(n: int, p: int, prepare: Callable[..., Callable[[], tuple[Any, float | None]]]) -> dict[str, Any]:
    """Run what ``prepare(Phi, Y)`` returns, and measure the error of its W (K, p) at its ridge."""
    import numpy as np

    Phi, Y = data(n, p)
    prepare(Phi[:64].copy(), Y[:64].copy())()  # imports and threads are there before the clock starts
    fit = prepare(Phi, Y)
    began = time.perf_counter()
    W, ridge = fit()
    found: dict[str, Any] = {"seconds": time.perf_counter() - began, "ridge": ridge, "error": 0.0}
    if ridge is not None:
        left = (Y - Phi @ W.T).T @ Phi - ridge * W
        found["error"] = float(np.linalg.norm(left) / np.linalg.norm(Y.T @ Phi))
    return found


def bare_product(n: int, p: int) -> dict[str, Any]:
    """Phi^T Phi alone: a product, no fit."""
    return timed(n, p, lambda Phi, Y: lambda: (Phi.T @ Phi, None))


def ours(n: int, p: int) -> dict[str, Any]:
    """``ridge_weights`` at one ridge."""
    from analytic_dd.ridge import ridge_weights

    ridge = float(grid(n)[RIDGES // 2])
    return timed(n, p, lambda Phi, Y: lambda: (ridge_weights(Phi, Y, ridge=ridge), ridge))


def sklearn_ridge(n: int, p: int) -> dict[str, Any]:
    """scikit-learn's Ridge at one ridge."""
    from sklearn.linear_model import Ridge

    ridge = float(grid(n)[RIDGES // 2])
    return timed(n, p, lambda Phi, Y: lambda: (Ridge(alpha=ridge, fit_intercept=False).fit(Phi, Y).coef_, ridge))


def kernel_ridge(n: int, p: int) -> dict[str, Any]:
    """scikit-learn's KernelRidge; its dual coefficients as weights."""
    from sklearn.kernel_ridge import KernelRidge

    ridge = float(grid(n)[RIDGES // 2])

    def prepare(Phi: Any, Y: Any) -> Callable[[], tuple[Any, float]]:
        return lambda: (KernelRidge(alpha=ridge, kernel="linear").fit(Phi, Y).dual_coef_.T @ Phi, ridge)

    return timed(n, p, prepare)


def torch_lstsq(n: int, p: int) -> dict[str, Any]:
    """torch.linalg.lstsq (driver gels: QR) on the augmented rows."""
    import torch

    ridge = float(grid(n)[RIDGES // 2])

    def prepare(Phi: Any, Y: Any) -> Callable[[], tuple[Any, float]]:
        def fit() -> tuple[Any, float]:
            A = torch.cat([torch.from_numpy(Phi), ridge**0.5 * torch.eye(p, dtype=torch.float64)])
            B = torch.cat([torch.from_numpy(Y), torch.zeros((p, K), dtype=torch.float64)])
            return torch.linalg.lstsq(A, B, driver="gels").solution.T.numpy(), ridge

        return fit

    return timed(n, p, prepare)


def ours_choice(n: int, p: int) -> dict[str, Any]:
    """``select_ridge`` and the weights, from one set of sums; for n < p from inner products."""
    from analytic_dd.linalg import GramStatistics
    from analytic_dd.ridge import DualStatistics, select_ridge

    def prepare(Phi: Any, Y: Any) -> Callable[[], tuple[Any, float]]:
        def fit() -> tuple[Any, float]:
            sums = DualStatistics(Phi, Y) if n < p else GramStatistics(p, K).update(Phi, Y)
            choice = select_ridge(Phi, Y, ridges=grid(n), statistics=sums, max_samples=n)
            return sums.weights(choice.ridge), choice.ridge

        return fit

    return timed(n, p, prepare)


def ridge_cv(n: int, p: int) -> dict[str, Any]:
    """scikit-learn's RidgeCV."""
    from sklearn.linear_model import RidgeCV

    def prepare(Phi: Any, Y: Any) -> Callable[[], tuple[Any, float]]:
        def fit() -> tuple[Any, float]:
            model = RidgeCV(alphas=grid(n), fit_intercept=False).fit(Phi, Y)
            return model.coef_, float(model.alpha_)

        return fit

    return timed(n, p, prepare)


def stream(n: int, p: int) -> dict[str, Any]:
    """Blocks that are made, summed and forgotten; the error is that of the sums' own normal equations."""
    import numpy as np

    from analytic_dd.linalg import GramStatistics, accumulate

    teacher = np.random.default_rng(1).standard_normal((p, K)) / p**0.5

    def read(start: int, stop: int) -> tuple[Any, Any]:
        rng = np.random.default_rng([2, start])
        Phi = rng.standard_normal((stop - start, p))
        return Phi, Phi @ teacher + rng.standard_normal((stop - start, K))

    GramStatistics(p, K).update(*read(0, min(n, 64))).weights(1.0)
    ridge, began = float(grid(n)[RIDGES // 2]), time.perf_counter()
    sums = accumulate(GramStatistics(p, K), read, stop=n, rows=min(n, ROWS))
    W = sums.weights(ridge)
    seconds = time.perf_counter() - began
    left = sums.C - W @ sums.G - ridge * W
    return {"seconds": seconds, "ridge": ridge, "error": float(np.linalg.norm(left) / np.linalg.norm(sums.C))}


MEASURES = {
    "bare product": bare_product,
    "ours, one ridge": ours,
    "sklearn Ridge": sklearn_ridge,
    "sklearn KernelRidge": kernel_ridge,
    "torch lstsq": torch_lstsq,
    "ours, choice": ours_choice,
    "sklearn RidgeCV": ridge_cv,
    "stream": stream,
}


def flops(name: str, n: int, p: int) -> float:
    """Return roughly what a method takes: for the budget only."""
    least, gram = min(n, p), float(n) * p * p
    eigen = 9.0 * p**3
    return {
        "bare product": gram,
        "ours, one ridge": gram + eigen / 27 if n >= p else n * float(n) * p * 2,
        "sklearn Ridge": gram + eigen / 27 if n >= p else n * float(n) * p * 2,
        "sklearn KernelRidge": n * float(n) * p * 2 + n**3 / 3.0,
        "torch lstsq": 4.0 * (n + p) * p * p,
        "ours, choice": 3.0 * gram + eigen,
        "sklearn RidgeCV": 12.0 * n * p * least,
        "stream": gram + 40.0 * n * p + eigen / 27,
    }[name]


def cases(
    samples: Sequence[int], features: Sequence[int], methods: Sequence[str], seconds: float
) -> list[tuple[str, dict[str, Any]]]:
    """Return the measurements within the budget."""
    found = []
    for n in samples:
        for p in features:
            for name in methods:
                fits = name == "stream" or 8.0 * n * p <= MEMORY
                small = name != "sklearn KernelRidge" or n <= SMALL
                if n * float(p) ** 2 <= BUDGET and fits and small and flops(name, n, p) <= seconds * RATE:
                    found.append((name, {"n": n, "p": p}))
    return found


def main() -> None:
    """Measure, print the table, record it."""
    measurement.answer(MEASURES)
    chosen = measurement.options(
        __doc__,
        seconds={"type": float, "default": 150.0, "help": "limit of a method"},
        samples={"type": int, "nargs": "+", "default": SAMPLES, "help": "some of the sizes n"},
        methods={"nargs": "+", "default": list(MEASURES), "choices": list(MEASURES), "help": "some of the methods"},
    )
    samples, features = ((300, 2_000), (64,)) if chosen.quick else (chosen.samples, FEATURES)
    planned = cases(samples, features, chosen.methods, chosen.seconds)
    runs = measurement.alternating(__file__, planned, chosen.repeats)
    rows = [
        {"method": name, **size, "ridge": found[0]["ridge"]} | measurement.summary(found)
        for (name, size), found in zip(planned, runs, strict=True)
    ]
    measurement.show(
        ["n", "p", "method", "seconds", "peak MB", "ridge", "error"],
        [
            [f"{row['n']:,}", row["p"], row["method"], f"{row['seconds']:.4f}", f"{row['megabytes']:.0f}"]
            + ["" if row["ridge"] is None else f"{row['ridge']:.4g}", f"{row['error']:.0e}"]
            for row in rows
        ],
    )
    limits = {"flops": BUDGET, "bytes": MEMORY, "seconds": chosen.seconds, "kernel_samples": SMALL}
    facts = {"k": K, "ridges": RIDGES, "limits": limits}
    measurement.recorded_part(chosen, "peers", rows, ("n", "p", "method"), **facts)


if __name__ == "__main__":
    main()
