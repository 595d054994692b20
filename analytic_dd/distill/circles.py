"""Sin/cos random Fourier features: the range is a product of circles, reached with two points a direction (T8a)."""

from __future__ import annotations

import math

from analytic_dd.arrays import Array, as_matrix, as_ridge, device_of, namespace
from analytic_dd.distill.distilled import DistilledFeatures
from analytic_dd.labels import labels_for
from analytic_dd.linalg import thin_svd

__all__ = ["circle_features"]


def circle_features(W: Array, radius: float, *, ridge: float = 0.0) -> DistilledFeatures:
    r"""Build an exact set of 2 rank(W) points whose pairs (phi_i, phi_(i + p/2)) lie on circles, with learned labels.

    Every plane vector u with |u| <= radius is the middle of two points of the circle,

        u = (a + b) / 2,    a, b = u +- sqrt(radius^2 - |u|^2) u_perp / |u|,

    so each row of a basis of row(W), scaled into the discs, becomes two rows on the circles; they span row(W).

    Theorem: T8a (2 q points) with T4; any ridge.

    Parameters
    ----------
    W : (k, p) array
        p even; the first half are cosines, the second the sines of the same angles.
    radius : float
        sqrt(2/p), from :attr:`features.RandomFourier.radius`.
    ridge : float
        lambda_s >= 0, absolute.

    Returns
    -------
    DistilledFeatures

    Raises
    ------
    ValueError
        p is odd, or ``radius`` is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> distilled = circle_features(np.array([[1.0, 0.0, 0.0, 2.0]]), 0.5)
    >>> Phis = distilled.features
    >>> np.hypot(Phis[:, :2], Phis[:, 2:]).round(12)
    array([[0.5, 0.5],
           [0.5, 0.5]])
    >>> bool(np.allclose(labels_for(Phis, np.array([[1.0, 0.0, 0.0, 2.0]]), ridge=0.0), distilled.labels))
    True
    """
    as_matrix(W, "W")
    ridge = as_ridge(ridge)
    if W.shape[1] % 2 or not radius > 0.0:
        raise ValueError(f"pairs on circles need an even p and a radius > 0, got p = {W.shape[1]}, radius = {radius}")
    xp, half = namespace(W), W.shape[1] // 2
    basis = thin_svd(W).Vt
    x, y = basis[:, :half], basis[:, half:]
    size = xp.hypot(x, y)
    scale = radius / (math.sqrt(2.0) * float(xp.max(size)))  # inside by a margin: at the rim both points coincide
    x, y, size = scale * x, scale * y, scale * size
    height = xp.sqrt(radius * radius - size * size)
    safe = xp.where(size > 0.0, size, xp.ones_like(size))
    across, up = xp.where(size > 0.0, -y / safe, xp.ones_like(x)), xp.where(size > 0.0, x / safe, xp.zeros_like(x))
    # Alternate the side from pair to pair, so that the differences of different rows do not line up
    side = xp.asarray([(-1.0) ** i for i in range(half)], dtype=W.dtype, device=device_of(W))
    dx, dy = height * across * side, height * up * side
    plus, minus = xp.concat([x + dx, y + dy], axis=1), xp.concat([x - dx, y - dy], axis=1)
    Phis = xp.concat([plus, minus], axis=0)
    spectrum = thin_svd(Phis)
    return DistilledFeatures(
        Phis,
        labels_for(Phis, W, ridge=ridge),
        ridge,
        theorem="T8a",
        amplification=spectrum.condition,
        condition=spectrum.condition,
    )
