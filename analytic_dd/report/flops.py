"""Flops and bytes of the stages of a fit by their model, and what fraction of the machine's GEMM rate they reached."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Sizes", "gemm_rate", "stage_costs", "stage_rates"]

_SHORTEST = 0.2  # seconds of all stages, below which a measurement of the machine would cost as much as the fit


@dataclass(frozen=True)
class Sizes:
    """What the costs of a fit depend on."""

    n: int  # samples in the sums, inputs, features, outputs
    d: int
    p: int
    k: int
    scored: int = 0  # samples that leave-one-out was scored on, and ridges of its grid; 0 where there was none
    ridges: int = 0
    mapped: int = 0  # samples that went through the map, again for a second pass
    map_flops: float | None = None  # of the map, a sample; None where it does not say


def stage_costs(sizes: Sizes) -> dict[str, tuple[float | None, float]]:
    r"""Return the modelled (flops, bytes) of each stage; bytes are the least: every operand once, in float64.

        features            m f                        m (d + p)       m samples mapped, f flops a sample of the map
        gram                n p^2 + 2 n p (k + 1)      n (p + k) + p^2 + k p
        eigendecomposition  9 p^3                      2 p^2
        choice              2 s p^2 + 2 s p k L        s p + p^2 + p k L + s k L     s samples scored at L ridges

    Theorem: T13.

    Examples
    --------
    >>> costs = stage_costs(Sizes(n=100, d=7, p=5, k=3))
    >>> costs["gram"], costs["features"]
    ((6500.0, 6720.0), (None, 0.0))
    """
    n, d, p, k, s, L = (float(v) for v in (sizes.n, sizes.d, sizes.p, sizes.k, sizes.scored, sizes.ridges))
    m, f = float(sizes.mapped), sizes.map_flops
    return {
        "features": (None if f is None else m * f, 8.0 * m * (d + p)),
        "gram": (n * p * p + 2.0 * n * p * (k + 1.0), 8.0 * (n * (p + k) + p * p + k * p)),
        "eigendecomposition": (9.0 * p**3, 16.0 * p * p),
        "choice": (2.0 * s * p * p + 2.0 * s * p * k * L, 8.0 * (s * p + p * p + p * k * L + s * k * L)),
    }


def gemm_rate(*, limit: float = 0.1, dtype: Any = np.float64) -> float:
    """Return the flops a second of a general product here and now: the best of squares that grow.

    Parameters
    ----------
    limit : float
        Seconds that the products may take, beside what they wait for other processes.
    dtype : dtype
        Of the factors.

    Examples
    --------
    >>> gemm_rate(limit=0.01) > 1e6
    True
    """
    best, flops, size, again = 0.0, 0.0, 128, 3
    rng = np.random.default_rng(0)
    A = rng.standard_normal((size, size)).astype(dtype)
    while again:
        started = time.perf_counter()
        A @ A
        seconds = max(time.perf_counter() - started, 1e-9)
        best, flops = max(best, 2.0 * size**3 / seconds), flops + 2.0 * size**3
        again -= 1  # one product may wait for other processes, and the first of a size for pages and threads
        if not again and (flops + 48.0 * size**3) / best < limit:  # three of the next size
            size, again = 2 * size, 3
            A = rng.standard_normal((size, size)).astype(dtype)
    return best


def stage_rates(sizes: Sizes, seconds: Mapping[str, float]) -> dict[str, Any]:
    """Return ``{"gemm_flops_per_second": ..., "rates": {stage: {flops, bytes, seconds, fraction_of_gemm}}}``.

    Parameters
    ----------
    sizes : Sizes
    seconds : mapping
        Wall seconds by stage; stages that did not run are left out. Where they took less than 0.2 s together the
        machine is not measured: rate and fractions are then None.

    Notes
    -----
    *Cost.* About 0.1 s where the machine is measured. *Numerics.* A fraction may exceed 1: sums of bytes and
    leave-one-out use float32 products where these decide or are exact, and the last part of a choice is skipped for
    samples that no leverage could turn.

    Examples
    --------
    >>> found = stage_rates(Sizes(n=100, d=7, p=5, k=3), {"gram": 0.01})
    >>> found["gemm_flops_per_second"], found["rates"]["gram"]["flops"], found["rates"]["gram"]["fraction_of_gemm"]
    (None, 6500.0, None)
    """
    costs = {stage: cost for stage, cost in stage_costs(sizes).items() if seconds.get(stage, 0.0) > 0.0}
    total = sum(seconds[stage] for stage in costs)
    rate = gemm_rate() if costs and total >= _SHORTEST else None

    def row(stage: str, flops: float | None, size: float) -> dict[str, float | None]:
        fraction = None if rate is None or flops is None else flops / seconds[stage] / rate
        return {"flops": flops, "bytes": size, "seconds": seconds[stage], "fraction_of_gemm": fraction}

    return {"gemm_flops_per_second": rate, "rates": {stage: row(stage, *cost) for stage, cost in costs.items()}}
