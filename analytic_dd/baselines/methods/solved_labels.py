"""Labels with which a synthetic set predicts the training set best, in closed form.

Kernel ridge regression on the points predicts A y_s, with A = K_Ts (K_ss + ridge I)^-1 (n, m). The labels sought are

    y_s = argmin |A y - Y|^2                                                            (Label Solve)

In the coefficients a = (K_ss + ridge I)^-1 y the problem is argmin |K_Ts a - Y|^2, which does not depend on the ridge.
Its solution gives y_s = (K_ss + ridge I) a without forming A.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch

from analytic_dd.baselines.methods.krr import dual_coefficients
from analytic_dd.linalg import StreamingQR, thin_svd

__all__ = ["SolvedLabels", "feature_labels", "kernel_labels", "labels_in_graph"]

_MARGIN = 1e3  # pivots of a factor are above the least eigenvalue, mostly by less than this


@dataclass(frozen=True)
class SolvedLabels:
    """Labels and how well the training set is predicted with them."""

    labels: torch.Tensor  # (m, k)
    squares: float  # |A y_s - Y|^2, summed over samples and outputs


def kernel_labels(
    K_ss: torch.Tensor, blocks: Iterable[tuple[torch.Tensor, torch.Tensor]], ridge: torch.Tensor | float
) -> SolvedLabels:
    """Return y_s from blocks (K_bs, Y_b) of the rows of K_Ts and Y.

    Parameters
    ----------
    K_ss : (m, m) tensor
    blocks : iterable of ((b, m), (b, k)) tensors
        The whole training set, once.
    ridge : float or scalar tensor
        The absolute ridge of the predictor that will use the labels.

    Notes
    -----
    *Cost.* At most 3 n (m + k)^2 flops; memory of one block and of 15 (m + k)^2 numbers, whatever n.
    *Numerics.* QR gives an error of eps * cond(K_Ts). Where points coincide and K_Ts lacks rank, the coefficients are
    those of minimum norm.
    """
    m, factor = K_ss.shape[0], None
    for K_bs, Y in _gathered(blocks, 4 * m):
        factor = StreamingQR(m, Y.shape[1]) if factor is None else factor
        factor.update(K_bs, Y)
    if factor is None:
        raise ValueError("labels are solved on at least one block of the training set, got none")
    coefficients: torch.Tensor = factor.weights(0.0, rcond=max(factor.n, m) * torch.finfo(K_ss.dtype).eps).T
    residual = factor.R[:, :m] @ coefficients - factor.R[:, m:]  # has the norm of the residual of all rows
    return SolvedLabels(K_ss @ coefficients + ridge * coefficients, float((residual * residual).sum()))


def _gathered(
    blocks: Iterable[tuple[torch.Tensor, torch.Tensor]], rows: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield blocks joined to so many rows or more: a factor is joined to each block anew."""
    parts: list[tuple[torch.Tensor, torch.Tensor]] = []
    for K_bs, Y in blocks:
        parts.append((K_bs.detach(), Y))
        if sum(len(K) for K, _ in parts) >= rows:
            yield _one(parts)
            parts = []
    if parts:
        yield _one(parts)


def _one(parts: list[tuple[torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
    K, Y = (torch.cat(part) if len(part) > 1 else part[0] for part in zip(*parts, strict=True))
    return K, Y


def feature_labels(Phis: torch.Tensor, G: torch.Tensor, C: torch.Tensor, ridge: torch.Tensor | float) -> torch.Tensor:
    r"""Return y_s (m, k) for finite features from the sums G = Phi^T Phi (p, p) and C = Y^T Phi (k, p).

    With Phi_s^T = Q R (Q orthonormal) the weights that labels can give are  W^T = Q z,  and

        z = argmin |Phi Q z - Y|^2 = (Q^T G Q)^-1 Q^T C^T,      y_s = R^T z + ridge R^+ z     (T4)

    Notes
    -----
    *Cost.* 2 m p^2 + 4 m^2 p flops for m <= p and no pass over the data.
    *Numerics.* Errors grow with cond(Phi Q)^2, where Phi Q are the data on the span of the points, and not with the
    condition of Phi_s or the ridge. Points that coincide take a thin SVD in place of QR. Where the data do not fill the
    span, the solution has minimum norm.
    """
    Q, R = _row_space(Phis)
    z = _normal_solution(Q.T @ G @ Q, Q.T @ C.T)
    orthonormal, triangle = torch.linalg.qr(R.T)  # R^+ = orthonormal triangle^-T
    inverse: torch.Tensor = orthonormal @ torch.linalg.solve_triangular(triangle.T, z, upper=False)
    return R.T @ z + ridge * inverse


def _row_space(Phis: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return Q (p, r), R (r, m) with Phis^T = Q R, of full rank r."""
    Q, R = torch.linalg.qr(Phis.T)
    diagonal = R.diagonal().abs()
    if float(diagonal.min()) > max(Phis.shape) * torch.finfo(Phis.dtype).eps * float(diagonal.max()):
        return Q, R
    spectrum = thin_svd(Phis, rcond=max(Phis.shape) * torch.finfo(Phis.dtype).eps)
    return spectrum.Vt.T, spectrum.s[:, None] * spectrum.U.T


def _normal_solution(H: torch.Tensor, B: torch.Tensor) -> torch.Tensor:
    """Return H^+ B for a symmetric H >= 0, by a Cholesky factor where H is definite to working precision.

    Rounding may leave a factor to an H that lacks rank, as that of columns in which no sample differs. Its pivots are
    within a few eps of 0 then, and the labels would reach 1e12 and more.
    """
    factor, failed = torch.linalg.cholesky_ex(H)
    least, pivots = H.shape[0] * torch.finfo(H.dtype).eps, factor.diagonal().square()
    if not int(failed) and float(pivots.min()) > _MARGIN * least * float(pivots.max()):
        return torch.cholesky_solve(B, factor)
    values, vectors = torch.linalg.eigh(H)
    kept = values > least * values[-1]
    inverse = torch.where(kept, 1.0 / torch.where(kept, values, torch.ones_like(values)), torch.zeros_like(values))
    return vectors @ (inverse[:, None] * (vectors.T @ B))


def labels_in_graph(
    K_ss: torch.Tensor, K_Ts: torch.Tensor, Y: torch.Tensor, ridge: torch.Tensor | float
) -> torch.Tensor:
    r"""Return y_s = A^+ Y (m, k) as the published finite-feature KIP does at every step, gradients included.

        A = K_Ts (K_ss + ridge I)^-1   (n, m)

    Notes
    -----
    *Cost.* A singular value decomposition of an (n, m) matrix of the whole training set, about 14 n m^2 flops, its
    derivative, and several (n, m) matrices of memory. :func:`feature_labels` returns the same labels without a pass
    over the data, and by the envelope theorem their derivative adds nothing to the gradient of a loss on the whole
    training set.
    """
    wide = dual_coefficients(K_ss, K_Ts.T, ridge)  # A^T: the derivative of pinv of a tall matrix forms (n, n) ones
    labels: torch.Tensor = torch.linalg.pinv(wide).T @ Y
    return labels
