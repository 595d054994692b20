r"""Labels for given points, and which real points to take (T10, first half): nothing is asked of the feature map.

Where no pre-image exists (deep nonlinear networks, p > d) the points come first. With the rows of C (k, m) as dual
coefficients, the model of any labels is  W_s = C Phis,  and the labels  Ys = (Phis Phis^T + ridge I) C^T  give it for
any ridge. So the best labels are a least-squares problem for C, whose residual is the certificate.
"""

from __future__ import annotations

import numpy as np

from analytic_dd.arrays import Array, as_matrices, as_ridge, eps_of, namespace, norm
from analytic_dd.distill.distilled import DistilledFeatures
from analytic_dd.distill.exact import _amplification
from analytic_dd.errors import ShapeError
from analytic_dd.linalg import Spectrum, eigh, thin_svd

__all__ = ["describe", "greedy_rows", "spanning_features"]


def spanning_features(
    W: Array, Phis: Array, *, ridge: float = 0.0, metric: Array | None = None, rcond: float | None = None
) -> DistilledFeatures:
    r"""Give the points ``Phis`` the labels whose model is nearest to ``W``, and say exactly how near.

        min over labels of |(W_s - W) S^(1/2)|:   C = W S Phis^T (Phis S Phis^T)^+,   W_s = C Phis,
        Ys = (Phis Phis^T + ridge I) C^T          (S = I:  Ys = (Phis + ridge (Phis^+)^T) W^T,  W_s = W Phis^+ Phis)

    Theorem: T10 (T4 for S = I). The set is exact iff the rows of W lie in the row space of Phis: p points that span
    the features always suffice; q p / (d + q) are necessary for generic W of rank q and inputs in R^d.

    Parameters
    ----------
    W : (k, p) array
        Weights to reproduce.
    Phis : (m, p) array
        Features of the points, any m and rank.
    ridge : float
        lambda_s >= 0, absolute; no upper limit.
    metric : (p, p) array, optional
        S, positive semi-definite; I by default. With S = Phi^T Phi of the original data the labels are
        prediction-optimal: no others predict the data more nearly as the model W does.
    rcond : float, optional
        Relative rank cut-off for Phis (Phis S^(1/2) with a metric).

    Returns
    -------
    DistilledFeatures
        ``relative_error`` is |(W_s - W) S^(1/2)| / |W S^(1/2)|: the certificate, rounding size for an exact set.

    Raises
    ------
    ShapeError, TypeError, ValueError
        Sizes that do not fit, integers, NaN, a negative ridge, a metric that is not positive semi-definite.

    Notes
    -----
    *Cost.* One SVD of an (m, p) matrix; with a metric a second one and the eigendecomposition of S, O(p^3).
    *Numerics.* ``Phis S Phis^T`` is never formed: its condition is the square of that of Phis S^(1/2). Eigenvalues of S
    up to p eps of the largest are unresolved and count as 0.

    Examples
    --------
    >>> built = spanning_features(np.array([[3.0, 4.0]]), np.array([[2.0, 0.0]]))
    >>> built.labels, built.relative_error  # one point sees one direction: 4 of 5 is out of reach
    (array([[6.]]), 0.8)
    >>> spanning_features(np.array([[3.0, 4.0]]), np.array([[2.0, 0.0, 1.0]]))
    Traceback (most recent call last):
        ...
    analytic_dd.errors.ShapeError: Phis and W must have the same number of columns, got 3 and 2
    """
    W, Phis = _checked(W, Phis)
    ridge, spectrum = as_ridge(ridge), thin_svd(Phis, rcond=rcond)
    if metric is None:
        coordinates = W @ spectrum.Vt.T
        dual, missing, scale = (spectrum.U / spectrum.s) @ coordinates.T, W - coordinates @ spectrum.Vt, norm(W)
        Ys = Phis @ W.T + ridge * dual
    else:
        root = _root_of(metric, W)
        seen, wanted = thin_svd(Phis @ root, rcond=rcond), W @ root
        coordinates = wanted @ seen.Vt.T
        dual, missing, scale = (seen.U / seen.s) @ coordinates.T, wanted - coordinates @ seen.Vt, norm(wanted)
        Ys = Phis @ (dual.T @ Phis).T + ridge * dual
    error = norm(missing) / scale if scale > 0.0 else 0.0
    return describe(Phis, Ys, ridge, theorem="T10", relative_error=error, spectrum=spectrum)


def describe(
    Phis: Array,
    Ys: Array,
    ridge: float,
    *,
    theorem: str,
    relative_error: float = 0.0,
    spectrum: Spectrum | None = None,
) -> DistilledFeatures:
    """Put a set of any origin into a :class:`DistilledFeatures`, with its amplification (T15) and condition.

    Examples
    --------
    >>> built = describe(np.diag([2.0, 1.0]), np.eye(2), 0.0, theorem="T2")
    >>> built.condition, len(built)
    (2.0, 2)
    """
    spectrum = thin_svd(Phis) if spectrum is None else spectrum
    xp, s = namespace(Phis), spectrum.s
    gain = 1.0 / (s + ridge / s)  # singular values of the target D = R(Phis): in general not in descending order
    order = xp.argsort(-gain)
    U, Vt = xp.take(spectrum.U, order, axis=1), xp.take(spectrum.Vt, order, axis=0)
    D = Spectrum(U, xp.take(gain, order, axis=0), Vt, 0.0, 0.0)
    amplification = _amplification(Ys, D, xp.take(s, order, axis=0), ridge) if bool(xp.any(Ys != 0.0)) else 1.0
    return DistilledFeatures(Phis, Ys, ridge, theorem, amplification, spectrum.condition, relative_error=relative_error)


def greedy_rows(W: Array, Phi: Array, m: int, *, metric: Array | None = None) -> np.ndarray:
    r"""Choose ``m`` rows of ``Phi``, each the one that lowers the error of :func:`spanning_features` most.

    With r_i the part of a candidate outside the span so far, and E = W minus what that span gives, the squared error
    falls by  |E r_i|^2 / |r_i|^2.

    Theorem: T10. Each step is optimal, the choice as a whole need not be.

    Parameters
    ----------
    W : (k, p) array
    Phi : (n, p) array
        Features of the candidates, real samples for instance.
    m : int
        Number of points, 1 to n.
    metric : (p, p) array, optional
        S of :func:`spanning_features`.

    Returns
    -------
    (m,) array of int
        Row indices in the order of choice; fewer where these are exact already or nothing independent is left.

    Raises
    ------
    ShapeError, TypeError, ValueError
        ``m`` outside 1 .. n; as for :func:`spanning_features`.

    Notes
    -----
    *Cost.* O(n p (m + k)) a step of k products, one copy of Phi; O(m n p k) in all.

    Examples
    --------
    >>> greedy_rows(np.array([[3.0, 4.0]]), np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), 2)
    array([2, 0])
    """
    W, Phi = _checked(W, Phi)
    if not 1 <= m <= Phi.shape[0]:
        raise ShapeError(f"m must lie in 1 .. {Phi.shape[0]}, the number of candidates, got {m}")
    root = None if metric is None else _root_of(metric, W)
    rest, E = (Phi, W) if root is None else (Phi @ root, W @ root)
    xp, cutoff = namespace(Phi), max(Phi.shape) * eps_of(Phi)
    sizes, scale = xp.sum(rest * rest, axis=1), norm(E)
    chosen: list[int] = []
    while len(chosen) < m and norm(E) > cutoff * scale:
        left = xp.sum(rest * rest, axis=1)
        independent = left > cutoff * cutoff * sizes
        gain = xp.sum((rest @ E.T) ** 2, axis=1) / xp.where(independent, left, 1.0 + 0.0 * left)
        best = int(xp.argmax(xp.where(independent, gain, 0.0 * gain)))
        if not float(gain[best]) > 0.0 or not bool(independent[best]):
            break
        chosen.append(best)
        direction = rest[best, :] / norm(rest[best, :])
        rest = rest - (rest @ direction)[:, None] * direction
        E = E - (E @ direction)[:, None] * direction
    return np.asarray(chosen, dtype=np.int64)


def _checked(W: Array, Phis: Array) -> tuple[Array, Array]:
    W, Phis = as_matrices(W=W, Phis=Phis)
    if Phis.shape[1] != W.shape[1]:
        raise ShapeError(f"Phis and W must have the same number of columns, got {Phis.shape[1]} and {W.shape[1]}")
    return W, Phis


def _root_of(metric: Array, W: Array) -> Array:
    """L (p, p) with S = L L^T."""
    W, S = as_matrices(W=W, metric=metric)
    p, xp = W.shape[1], namespace(W)
    if S.shape != (p, p):
        raise ShapeError(f"metric must have shape {(p, p)}, got {tuple(S.shape)}")
    values, vectors = eigh((S + S.T) / 2.0)
    least, largest = float(values[0]), float(values[-1])
    if least < -p * eps_of(S) * max(largest, 0.0) or not largest > 0.0:
        raise ValueError(
            f"metric must be positive semi-definite and not 0, got eigenvalues from {least:.3g} to {largest:.3g}; "
            "take Phi^T Phi"
        )
    resolved = values > p * eps_of(S) * largest  # the square root would make 1e-8 of what rounding left
    return vectors * xp.sqrt(xp.where(resolved, values, 0.0 * values))
