"""Kernel ridge regression on a synthetic set: coefficients, weights, predictions, accuracy."""

from __future__ import annotations

import numpy as np
import torch

from analytic_dd.baselines.methods.kernels import FeatureKernel, Kernel
from analytic_dd.data import Dataset
from analytic_dd.errors import DataError, ShapeError
from analytic_dd.linalg import GramStatistics
from analytic_dd.ridge import ridge_weights

__all__ = [
    "dual_coefficients",
    "feature_loss",
    "feature_weights",
    "kernel_loss",
    "krr_accuracy",
    "predict",
    "ridge_value",
    "solve_positive",
    "sums_loss",
]

_BLOCK = 2048  # rows of a kernel matrix at a time


def ridge_value(trace: torch.Tensor, m: int, *, relative: float, absolute: float | None = None) -> torch.Tensor:
    """Return lambda: ``absolute`` if given, else ``relative * trace(K_ss) / m``; gradients flow through the trace.

    Examples
    --------
    >>> float(ridge_value(torch.tensor(6.0), 3, relative=0.5))
    1.0
    """
    return relative * trace / m if absolute is None else torch.full_like(trace, absolute)


def solve_positive(A: torch.Tensor, B: torch.Tensor) -> torch.Tensor:
    """Return A^-1 B by the Cholesky factor of a symmetric positive definite A; gradients flow through both.

    Raises
    ------
    torch.linalg.LinAlgError
        A is not positive definite to working precision.
    """
    factor, failed = torch.linalg.cholesky_ex(A)
    if int(failed):
        raise torch.linalg.LinAlgError(
            f"the kernel matrix {tuple(A.shape)} and its ridge are not positive definite to working precision; take a "
            "larger ridge"
        )
    return torch.cholesky_solve(B, factor)


def dual_coefficients(K: torch.Tensor, Y: torch.Tensor, ridge: torch.Tensor | float) -> torch.Tensor:
    """Return (K + ridge I)^-1 Y (m, k); the prediction at x is then K(x, X_s) times it."""
    return solve_positive(K + ridge * torch.eye(K.shape[0], dtype=K.dtype, device=K.device), Y)


def feature_weights(Phis: torch.Tensor, Y: torch.Tensor, ridge: torch.Tensor | float) -> torch.Tensor:
    r"""Return ridge regression weights (k, p), ridge > 0, by the smaller of the two systems.

        W^T = Phi^T (Phi Phi^T + ridge I)^-1 Y = (Phi^T Phi + ridge I)^-1 Phi^T Y

    Notes
    -----
    *Cost.* 2 m p min(m, p) flops for the matrix, min(m, p)^3 / 3 for the factor. Gradients flow through everything.
    """
    m, p = Phis.shape
    if m <= p:
        return dual_coefficients(Phis @ Phis.T, Y, ridge).T @ Phis
    return dual_coefficients(Phis.T @ Phis, Phis.T @ Y, ridge).T


def predict(
    kernel: Kernel, inputs: torch.Tensor, labels: torch.Tensor, X: torch.Tensor, *, ridge: torch.Tensor | float
) -> torch.Tensor:
    r"""Return predictions (n, k) at ``X`` (n, d) of kernel ridge regression on ``inputs`` (m, d), ``labels`` (m, k).

        f(x) = K(x, X_s) (K(X_s, X_s) + ridge I)^-1 y_s

    Parameters
    ----------
    ridge : float or scalar tensor
        The absolute ridge; 0 gives the solution of minimum norm of a feature kernel, and needs a definite Gram matrix
        of others.

    Notes
    -----
    *Cost.* m^3 / 3 flops, and m n entries of the kernel in blocks of rows.

    Examples
    --------
    >>> from analytic_dd.baselines.methods.kernels import Linear
    >>> x, y = torch.tensor([[2.0]]), torch.tensor([[3.0]])
    >>> predict(Linear(), x, y, torch.tensor([[1.0], [10.0]]), ridge=2.0).round()  # weight 2 * 3 / (2^2 + 2) = 1
    tensor([[ 1.],
            [10.]])
    """
    if isinstance(kernel, FeatureKernel):
        W = ridge_weights(kernel.features(inputs), labels, ridge=float(ridge))
        return torch.cat([kernel.features(rows) @ W.T for rows in X.split(_BLOCK)])
    dual = dual_coefficients(kernel(inputs), labels, ridge)
    return torch.cat([kernel(rows, inputs) @ dual for rows in X.split(_BLOCK)])


def krr_accuracy(
    inputs: np.ndarray,
    labels: np.ndarray,
    dataset: Dataset,
    kernel: Kernel,
    *,
    ridge_relative: float = 1e-6,
    ridge: float | None = None,
    device: str = "cpu",
) -> float:
    """Return the test accuracy of kernel ridge regression that is fitted on a synthetic set, in float64.

    Parameters
    ----------
    inputs : (m, d) array
        Rows normalised by the moments of the training part, channels last.
    labels : (m, k) array
    dataset : Dataset
        Its test part is scored, normalised as the training part.
    kernel : Kernel
    ridge_relative, ridge : float
        See :func:`ridge_value`.

    Raises
    ------
    DataError
        The data set has no test part.
    """
    if not len(dataset.y_test):
        raise DataError(f"{dataset.name} has no test part to be scored on")
    if inputs.ndim != 2 or inputs.shape[1] != dataset.d or labels.shape[:1] != inputs.shape[:1]:
        raise ShapeError(
            f"inputs must be (m, {dataset.d}) and labels (m, k), got {inputs.shape} and {labels.shape}; flatten images "
            "channels last"
        )
    x, y = (torch.as_tensor(A, dtype=torch.float64, device=device) for A in (inputs, labels))
    lam = ridge_value(kernel(x).trace(), len(x), relative=ridge_relative, absolute=ridge)
    mean, std = dataset.statistics()
    blocks = list(dataset.blocks("test", mean=mean, std=std))
    X = torch.cat([torch.from_numpy(block).to(device) for block, _ in blocks])
    right = predict(kernel, x, y, X, ridge=lam).argmax(dim=1).cpu().numpy() == dataset.y_test
    return float(np.mean(right))


def kernel_loss(
    K_ss: torch.Tensor, K_ts: torch.Tensor, Ys: torch.Tensor, Yt: torch.Tensor, ridge: torch.Tensor | float
) -> torch.Tensor:
    r"""Return the loss of the predictions at target samples, half the mean square over samples and outputs.

        L = |K_ts (K_ss + ridge I)^-1 Y_s - Y_t|^2 / (2 b k)

    Parameters
    ----------
    K_ss, K_ts : (m, m), (b, m) tensors
    Ys, Yt : (m, k), (b, k) tensors
    ridge : float or scalar tensor
        The absolute ridge.
    """
    return 0.5 * ((K_ts @ dual_coefficients(K_ss, Ys, ridge) - Yt) ** 2).mean()


def feature_loss(
    Phis: torch.Tensor, Phit: torch.Tensor, Ys: torch.Tensor, Yt: torch.Tensor, ridge: torch.Tensor | float
) -> torch.Tensor:
    """Return :func:`kernel_loss` for K = Phi Phi^T through the weights: 2 b p k flops in place of 2 b p m."""
    return 0.5 * ((Phit @ feature_weights(Phis, Ys, ridge).T - Yt) ** 2).mean()


def sums_loss(Phis: torch.Tensor, sums: GramStatistics, Ys: torch.Tensor, ridge: torch.Tensor | float) -> torch.Tensor:
    r"""Return :func:`feature_loss` on the whole training set from its sums G, C, yy: 2 p^2 k flops, whatever n.

        L = (tr(W G W^T) - 2 tr(W C^T) + sum yy) / (2 n k)

    Notes
    -----
    *Numerics.* The residual is a difference, so that L has an error of eps |Y|^2 / (2 n k); gradients are as accurate
    as G.
    """
    W = feature_weights(Phis, Ys, ridge)
    squares = (W @ sums.G * W).sum() - 2.0 * (W * sums.C).sum() + sums.yy.sum()
    loss: torch.Tensor = 0.5 * squares / (sums.n * sums.k)
    return loss
