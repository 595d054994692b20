"""The loss of Kernel Inducing Points and Label Solve, from kernel matrices, from features, or from sums of them."""

from __future__ import annotations

import torch

from analytic_dd.baselines.methods.krr import dual_coefficients, feature_weights
from analytic_dd.linalg import GramStatistics

__all__ = ["feature_loss", "kernel_loss", "sums_loss"]


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
