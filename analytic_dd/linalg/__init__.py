"""Linear algebra that knows no labels, images or classes."""

from analytic_dd.linalg.accumulation import BlockError, accumulate, merge_files
from analytic_dd.linalg.byte_sums import ByteSums
from analytic_dd.linalg.cholesky import CholeskyFactor
from analytic_dd.linalg.gram import GramStatistics
from analytic_dd.linalg.gram_spectrum import GramSpectrum, eigendecomposition
from analytic_dd.linalg.least_squares import column_units, least_squares, outside
from analytic_dd.linalg.provenance import Provenance, SampleRange
from analytic_dd.linalg.spectrum import (
    Spectrum,
    eigenvalues,
    eigh,
    full_rank_inverse,
    pseudo_inverse,
    row_basis,
    singular_values,
    svd,
    thin_svd,
)
from analytic_dd.linalg.sums import Sums
from analytic_dd.linalg.tsqr import StreamingQR

__all__ = [
    "BlockError",
    "ByteSums",
    "CholeskyFactor",
    "GramSpectrum",
    "GramStatistics",
    "Provenance",
    "SampleRange",
    "Spectrum",
    "StreamingQR",
    "Sums",
    "accumulate",
    "column_units",
    "eigendecomposition",
    "eigenvalues",
    "eigh",
    "full_rank_inverse",
    "least_squares",
    "merge_files",
    "outside",
    "pseudo_inverse",
    "row_basis",
    "singular_values",
    "svd",
    "thin_svd",
]
