"""The theorems as identities, each written once and run over several fields."""

from proofs_check.statements import (
    affine,
    conditioning,
    existence,
    few,
    given_features,
    models,
    original,
    realistic,
    roots,
)
from proofs_check.statements.statement import STATEMENTS, Case, Statement

__all__ = [
    "STATEMENTS",
    "Case",
    "Statement",
    "affine",
    "conditioning",
    "existence",
    "few",
    "given_features",
    "models",
    "original",
    "realistic",
    "roots",
]
