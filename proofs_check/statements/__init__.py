"""The theorems as identities, each written once and run over several fields."""

from proofs_check.statements import (
    affine,
    conditioning,
    existence,
    few,
    futures,
    given_features,
    losses,
    models,
    networks,
    optima,
    original,
    realistic,
    roots,
    trajectories,
)
from proofs_check.statements.statement import STATEMENTS, Case, Statement, checks_by

__all__ = [
    "STATEMENTS",
    "Case",
    "Statement",
    "affine",
    "checks_by",
    "conditioning",
    "existence",
    "few",
    "futures",
    "given_features",
    "losses",
    "models",
    "networks",
    "optima",
    "original",
    "realistic",
    "roots",
    "trajectories",
]
