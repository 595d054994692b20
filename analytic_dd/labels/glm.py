"""Labels that make given features exact for softmax, logistic, Poisson or squared loss (T18a, T18b)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from analytic_dd.arrays import Array, as_matrices, as_ridge, as_weights, dtype_name, eps_of, namespace, norm
from analytic_dd.errors import InfeasibleError, RangeError, ShapeError
from analytic_dd.linalg import Spectrum, thin_svd
from analytic_dd.losses import Loss, as_loss

__all__ = ["GLMLabels", "glm_labels"]


@dataclass(frozen=True)
class GLMLabels:
    """Labels with which a penalised loss on given points has its minimum at W.

    Attributes
    ----------
    labels : (m, k) array
        Ys.
    largest_ridge : float
        Up to this ridge the labels are data of the loss: probabilities (softmax, logistic), rates >= 0 (poisson).
    ridge : float
        lambda_s.
    admissible : bool
        Whether ``ridge`` is at most ``largest_ridge``. Beyond it the minimiser is still W, but code that wants
        probabilities refuses the labels.
    copies : int
        With so many copies of every point (or sample weights so many times larger) the labels of
        :func:`glm_labels` are admissible at this ridge; 1 where they are. 0 where no number of copies does.
    missing : float
        Relative part of W outside the row space of the points, of rounding size: the minimiser is W without it.
    loss : str
    """

    labels: Array
    largest_ridge: float
    ridge: float
    admissible: bool
    copies: int
    missing: float
    loss: str


def glm_labels(
    Phi: Array,
    W: Array,
    *,
    loss: str | Loss,
    ridge: float,
    weights: Array | None = None,
    intercept: Array | None = None,
    tolerance: float | None = None,
) -> GLMLabels:
    r"""Return the labels with which the points ``Phi`` have the minimiser ``W`` of a penalised loss.

    The loss of a sample is A(z) - y.z with mu = grad A, the penalty ridge / 2 |W|^2. At W the gradient
    Phi^T diag(w) (mu - Ys) + ridge W^T must vanish, which for row(W) in the row space of Phi is solved by

        Ys = mu(Phi W^T) + ridge E,     E = diag(w)^(-1/2) ((diag(w)^(1/2) Phi)^+)^T W^T

    W is the only minimiser for ridge > 0; at ridge = 0 it is the one of minimum norm (softmax: W about its column
    means). With an intercept b, the features in E are taken about their weighted mean, and b is added to the logits.

    Theorem: T18a, T18b.

    Parameters
    ----------
    Phi : (m, p) array
        Features of the points: any points whose rows (about their mean, with an intercept) span row(W).
    W : (k, p) array
        Weights to reproduce. Softmax at ridge > 0: columns that sum to 0, as those of every minimiser do.
    loss : {"squared", "softmax", "logistic", "poisson"} or Loss
    ridge : float
        lambda_s >= 0, absolute.
    weights : (m,) array, optional
        Sample weights > 0 of the points.
    intercept : (k,) array, optional
        b of a model with an unpenalised intercept.
    tolerance : float, optional
        The largest relative part of W outside the row space that is taken for rounding; by default 1e-6, in float32
        100 eps.

    Returns
    -------
    GLMLabels

    Raises
    ------
    InfeasibleError
        T18a: row(W) is not in the row space of the points (fewer points than rank W, softmax: than k - 1 for a generic
        model). T18b: columns of W that do not sum to 0.
    RangeError
        Labels beyond the numbers of the dtype: Poisson means of logits above 709.
    ShapeError, TypeError, ValueError
        Sizes that do not fit, integers, NaN, a weight that is not positive.

    Notes
    -----
    *Cost.* A thin SVD of Phi. *Numerics.* Error of the refitted W: eps cond(Phi) (1 + |Phi|^2 / ridge), as for any
    model with that penalty. Rows of softmax labels sum to 1 of themselves: those of E sum to 0.

    Examples
    --------
    >>> import numpy as np
    >>> from analytic_dd.losses import glm_weights
    >>> W = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
    >>> made = glm_labels(2.0 * np.eye(2), W, loss="softmax", ridge=0.03)  # k - 1 = 2 points for 3 classes
    >>> fit = glm_weights(2.0 * np.eye(2), made.labels, loss="softmax", ridge=0.03)
    >>> made.admissible, bool(np.allclose(fit.weights, W, rtol=0, atol=1e-13))
    (True, True)
    >>> glm_labels(np.array([[1.0, 0.0]]), W, loss="softmax", ridge=0.1)
    Traceback (most recent call last):
        ...
    analytic_dd.errors.InfeasibleError: T18a: 0.71 of |W| lies outside the row space of the 1 points (rank 1, W has ...
    """
    Phi, W = as_matrices(Phi=Phi, W=W)
    loss, ridge = as_loss(loss), as_ridge(ridge)
    _require_sizes(Phi, W, intercept)
    if loss.shift_free and ridge > 0.0:
        _require_centred(W, loss)
    root, F = _weighted(Phi, weights, about_mean=intercept is not None)
    limit = max(1e-6, 100.0 * eps_of(F)) if tolerance is None else float(tolerance)
    spectrum = _span(F, W, limit, about_mean=intercept is not None)
    inside = spectrum.Vt @ W.T
    missing = norm(W.T - spectrum.Vt.T @ inside) / (norm(W) or 1.0)
    E = (spectrum.U / spectrum.s) @ inside
    if intercept is not None:  # small singular values magnify the part along 1 that rounding left in U; F has none
        E = E - root @ (root.T @ E) / norm(root) ** 2
    E = E / root
    Z = Phi @ W.T if intercept is None else Phi @ W.T + intercept[None, :]
    with np.errstate(over="ignore"):  # refused below
        mu = loss.mean(Z)
    xp, labels = namespace(Phi), mu + ridge * E
    if not bool(xp.all(xp.isfinite(labels))):
        raise RangeError(
            f"labels of the {loss.name} loss must be numbers of {dtype_name(Phi)}, got logits of "
            f"{float(xp.min(Z)):.3g} to {float(xp.max(Z)):.3g}; take smaller weights or features"
        )
    largest = loss.largest_multiple(mu, E)
    admissible = ridge <= largest
    copies = 1 if admissible else math.ceil(ridge / largest) if largest > 0.0 else 0
    return GLMLabels(labels, largest, ridge, admissible, copies, missing, loss.name)


def _require_sizes(Phi: Array, W: Array, intercept: Array | None) -> None:
    if Phi.shape[1] != W.shape[1]:
        raise ShapeError(f"Phi and W must have the same number of columns, got {Phi.shape[1]} and {W.shape[1]}")
    if intercept is not None and tuple(intercept.shape) != (W.shape[0],):
        raise ShapeError(
            f"intercept must have shape {(W.shape[0],)}, one entry a row of W, got {tuple(intercept.shape)}"
        )


def _require_centred(W: Array, loss: Loss) -> None:
    xp = namespace(W)
    rest = norm(xp.sum(W, axis=0)[None, :]) / (norm(W) or 1.0)
    limit = 1e3 * W.shape[0] * eps_of(W)
    if rest > limit:
        raise InfeasibleError(
            f"T18b: the columns of W must sum to 0 for the {loss.name} loss at ridge > 0, as those of every minimiser "
            f"do; their sums are {rest:.2g} of |W|; subtract the mean of the rows (W - W.mean(axis=0)), which changes "
            "no probability",
            theorem="T18b",
            value=rest,
            limit=limit,
        )


def _weighted(Phi: Array, weights: Array | None, *, about_mean: bool) -> tuple[Array, Array]:
    """Return the roots (m, 1) of the weights and the weighted features, about their weighted mean on request."""
    xp = namespace(Phi)
    w = xp.ones_like(Phi[:, 0]) if weights is None else xp.astype(as_weights(weights, Phi.shape[0]), Phi.dtype)
    if not bool(xp.all(w > 0.0)):
        raise ValueError("sample weights of the points must be > 0, got 0; drop that point")
    root = xp.sqrt(w)[:, None]
    if about_mean:
        for _ in range(2):  # the second pass removes the rounding of the mean itself
            Phi = Phi - (xp.sum(w[:, None] * Phi, axis=0) / xp.sum(w))[None, :]
    return root, root * Phi


def _span(F: Array, W: Array, tolerance: float, *, about_mean: bool) -> Spectrum:
    """Return the SVD of the features, and refuse features whose rows do not span row(W)."""
    spectrum = thin_svd(F)
    outside = norm(W - (W @ spectrum.Vt.T) @ spectrum.Vt) / (norm(W) or 1.0)
    if not outside <= tolerance:
        rank, extra = thin_svd(W).rank, " + 1" if about_mean else ""
        raise InfeasibleError(
            f"T18a: {outside:.2g} of |W| lies outside the row space of the {F.shape[0]} points (rank {spectrum.rank}, "
            f"W has rank {rank}); take at least {rank}{extra} points whose features span the rows of W, such as "
            "nearest_features gives",
            theorem="T18a",
            value=outside,
            limit=tolerance,
        )
    return spectrum
