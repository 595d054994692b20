"""Floating point operations of one step of finite-feature KIP, and minutes at a stated speed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

STEPS = 30_000  # published
THROUGHPUT = 1e13  # float64 operations a second that large products reach on a data-centre GPU
# For factorisations of tall matrices, which wait for memory. With it the published seconds of KIP with Label Solve on
# MNIST at 1, 10, 50 a class (159, 554, 3,114) come out as 160, 400 and 4,600.
FACTOR_THROUGHPUT = 2e12
LATENCY = 5e-3  # seconds that a step takes for its launches alone


@dataclass(frozen=True)
class Sizes:
    """n training samples of d numbers, p features, k classes, m points; ``mapping`` operations map one sample."""

    n: int
    d: int
    p: int
    k: int
    m: int
    mapping: float


def flops(sizes: Sizes, config: Mapping[str, Any]) -> dict[str, float]:
    """Return operations of one step by part; a gradient counts as twice its forward pass.

    ``products`` are matrix products, ``factors`` factorisations.
    """
    n, p, k, m = sizes.n, sizes.p, sizes.k, sizes.m
    q, labels, batch = min(m, p), config["labels"], config["target_batch"]
    forward = m * sizes.mapping + 2.0 * m * p * q + 4.0 * m * k * p
    forward += 2.0 * p * p * k if batch == 0 else 2.0 * min(batch, n) * p * k
    products, factors = 3.0 * forward, q**3
    if labels == "solved":  # Q^T G Q, its factor, and the QR of the features
        products += m * sizes.mapping + 2.0 * q * p * p + 2.0 * q * q * p
        factors += 4.0 * p * q * q + q**3
    if labels == "solved-in-graph":  # K_Ts, A, its pseudo-inverse and derivative: seven (n, m) x (m, m) products
        products += 3.0 * (2.0 * n * p * m + 2.0 * n * m * m) + 14.0 * n * m * m
        factors += 14.0 * n * m * m
    return {"products": products, "factors": factors}


def minutes(
    sizes: Sizes,
    config: Mapping[str, Any],
    *,
    steps: int = STEPS,
    throughput: float = THROUGHPUT,
    factor_throughput: float = FACTOR_THROUGHPUT,
    latency: float = LATENCY,
) -> float:
    """Return an estimate of the minutes that a run takes: operations at two speeds, and the latency of each step."""
    parts = flops(sizes, config)
    second = latency + parts["products"] / throughput + parts["factors"] / factor_throughput
    return steps * second / 60.0
