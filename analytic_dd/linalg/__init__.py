"""Linear algebra that knows no labels, images or classes."""

from analytic_dd.linalg.gram import GramSpectrum, GramStatistics
from analytic_dd.linalg.spectrum import Spectrum, pseudo_inverse, row_basis, thin_svd
from analytic_dd.linalg.tsqr import StreamingQR

__all__ = ["GramSpectrum", "GramStatistics", "Spectrum", "StreamingQR", "pseudo_inverse", "row_basis", "thin_svd"]
