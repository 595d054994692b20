"""Digits: 1,797 real images of 8 x 8 pixels that scikit-learn carries, so that nothing need be downloaded."""

from __future__ import annotations

import numpy as np

from analytic_dd.data.dataset import Dataset

__all__ = ["read_digits"]


def read_digits() -> Dataset:
    """Return the digits: 1,437 training and 360 test images (8, 8) of bytes 0..16, classes 0 to 9.

    The split is fixed and stratified.

    Examples
    --------
    >>> digits = read_digits()
    >>> digits.x_train.shape, digits.x_test.shape, digits.x_train.dtype.name, int(digits.x_train.max())
    ((1437, 8, 8), (360, 8, 8), 'uint8', 16)
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return Dataset.from_arrays(
        bunch.images.astype(np.uint8), bunch.target, name="digits", source="scikit-learn's load_digits", split=True
    )
