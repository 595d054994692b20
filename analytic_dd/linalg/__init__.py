"""Linear algebra that knows no labels, images or classes."""

from analytic_dd.linalg.spectrum import Spectrum, pseudo_inverse, row_basis, thin_svd

__all__ = ["Spectrum", "pseudo_inverse", "row_basis", "thin_svd"]
