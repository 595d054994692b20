"""Filters for patches of images: patches of the images themselves, in the coordinates in which patches are white.

Reference: Coates, Ng: The importance of encoding versus training with sparse coding and vector quantization. ICML 2011.
"""

from __future__ import annotations

import math

import numpy as np

from analytic_dd.features.sizes import as_count
from analytic_dd.linalg import eigh

__all__ = ["white_filters"]

_DRAWN = 20_000  # patches from which the covariance is computed
_FLAT = 0.1  # a filter needs this share of the mean variance of patches, unlike the background of digits


def white_filters(
    images: np.ndarray, count: int, size: int, *, whitening: float, contrast: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return filters (size, size, channels, count) of mean 0 and the offsets (count,) of their responses.

    Of patches v less their mean, over their deviation, with  C = cov v = Q diag(s) Q^T  and  M = Q diag(s +
    whitening)^(-1/2) Q^T , a filter is  M w / |w|  for a patch  w = M (v - mean v) , its offset  a^T mean v .

    Parameters
    ----------
    images : (n, h, w, channels) float64 array
    count, size : int
        Number of filters and the side of a patch.
    whitening, contrast : float
        What is added to the variances of normalised patches, and to the variance of a patch.
    rng : numpy.random.Generator
        It draws the patches.

    Raises
    ------
    ValueError
        There are fewer patches with some contrast than ``count``; a size beyond the images; whitening <= 0.
    """
    if not 0.0 < whitening < math.inf:
        raise ValueError(f"whitening must be > 0, got {whitening}")
    U = _drawn(images, size, rng)
    centred = U - U.mean(axis=1, keepdims=True)
    variance = np.mean(centred**2, axis=1)
    V = centred / np.sqrt(variance + contrast)[:, None]
    mean = V.mean(axis=0)
    values, vectors = eigh((V - mean).T @ (V - mean) / len(V))
    whiten = (vectors / np.sqrt(np.maximum(values, 0.0) + whitening)) @ vectors.T
    lively = np.flatnonzero(variance > _FLAT * variance.mean())
    if len(lively) < count:
        raise ValueError(
            f"the images must have {count} patches with some contrast, got {len(lively)} of {len(U)} drawn; use "
            "fewer filters or more images"
        )
    white = (V[np.sort(rng.permutation(lively)[:count])] - mean) @ whiten
    A = whiten @ (white / np.linalg.norm(white, axis=1, keepdims=True)).T
    A = A - A.mean(axis=0)
    return A.reshape(size, size, images.shape[3], count), mean @ A


def _drawn(images: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return patches (count, n) at different places of the images."""
    h, w = images.shape[1:3]
    size = as_count("size", size, most=min(h, w))
    places = len(images), h - size + 1, w - size + 1
    chosen = rng.choice(math.prod(places), size=min(_DRAWN, math.prod(places)), replace=False)
    i, a, b = np.unravel_index(chosen, places)
    offsets = np.arange(size)
    patches = images[i[:, None, None], (a[:, None] + offsets)[:, :, None], (b[:, None] + offsets)[:, None, :]]
    return np.asarray(patches.reshape(len(chosen), -1))
