"""Shapes and ranks that the statements run on: every order of m, k, p, n and every kind of rank deficiency."""

from __future__ import annotations

import random

from proofs_check.statements import Case

__all__ = ["FIXED", "random_cases"]

FIXED = (  # k, m, p, n differ wherever a theorem lets them, so that no transposition passes
    Case(m=3, k=5, p=7, q=2, r=3, n=9),  # m < k
    Case(m=5, k=5, p=7, q=5, r=5, n=9),  # m = k, invertible labels
    Case(m=5, k=5, p=6, q=2, r=4, n=4),  # m = k, labels of rank k - 1; n < p
    Case(m=6, k=4, p=7, q=4, r=4, n=9),  # k < m < p
    Case(m=6, k=4, p=8, q=2, r=3, n=5),  # k < m < p, both rank-deficient; m > n
    Case(m=8, k=3, p=5, q=3, r=3, n=6),  # m > p, m > n
    Case(m=8, k=3, p=5, q=2, r=2, n=11),  # m > p, rank-deficient
    Case(m=7, k=2, p=5, q=1, r=1, n=3),  # labels and weights of rank 1
    Case(m=4, k=6, p=3, q=3, r=4, n=7),  # k > p
    Case(m=2, k=3, p=4, q=2, r=2, n=5),  # m = rank W < k
    Case(m=5, k=2, p=6, q=2, r=2, n=8),
    Case(m=1, k=1, p=1, q=1, r=1, n=2),
    Case(m=1, k=3, p=4, q=1, r=1, n=3),
)


def random_cases(count: int, seed: int, *, largest: int = 8) -> list[Case]:
    """Draw cases with m, p, n up to ``largest``, k up to half of it, and any ranks."""
    rng = random.Random(seed)
    cases = []
    for _ in range(count):
        m, p, n = (rng.randint(1, largest) for _ in range(3))
        k = rng.randint(1, largest // 2 + 1)
        cases.append(Case(m, k, p, q=rng.randint(1, min(k, p)), r=rng.randint(1, min(m, max(k, p))), n=n))
    return cases
