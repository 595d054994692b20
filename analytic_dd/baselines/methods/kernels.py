"""Kernels of rows as torch functions that gradients flow through: linear, Gaussian, infinite networks, features.

A kernel is called as ``kernel(X)`` for the Gram matrix of one set of points, symmetric, and as ``kernel(X, X2)`` for
the matrix between two sets.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from analytic_dd.features import FeatureMap

__all__ = ["ArcCosine", "FeatureKernel", "Gaussian", "InfiniteNetwork", "Kernel", "Linear"]


class Kernel(ABC):
    """A positive semi-definite function of two rows.

    Attributes
    ----------
    name : str
        What a table calls it.
    """

    name: ClassVar[str]

    @abstractmethod
    def __call__(self, X: torch.Tensor, X2: torch.Tensor | None = None) -> torch.Tensor:
        """Return the matrix (m, n) of the kernel between the rows of ``X`` (m, d) and of ``X2`` (n, d) or ``X``."""

    def of_known(self, X: torch.Tensor, squares: torch.Tensor, X2: torch.Tensor) -> torch.Tensor:
        """Return the matrix between rows ``X``, whose ``squares`` |x|^2 (m,) are known, and ``X2``."""
        return self(X, X2)


@dataclass(frozen=True)
class Linear(Kernel):
    """K(x, x') = x . x'.

    Examples
    --------
    >>> Linear()(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]]))
    tensor([[11.]])
    """

    name: ClassVar[str] = "linear"

    def __call__(self, X: torch.Tensor, X2: torch.Tensor | None = None) -> torch.Tensor:
        """Return X X2^T."""
        return X @ (X if X2 is None else X2).T


@dataclass(frozen=True)
class Gaussian(Kernel):
    """K(x, x') = exp(-|x - x'|^2 / (2 l^2)).

    Notes
    -----
    *Numerics.* Squared distances are |x|^2 + |x'|^2 - 2 x.x', so that an entry near 1 has an error of eps |x|^2 / l^2.

    Examples
    --------
    >>> Gaussian(1.0)(torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0, 1.0]]))
    tensor([[0.3679]])
    """

    lengthscale: float  # l > 0, in the units of the inputs
    name: ClassVar[str] = "rbf"

    def __post_init__(self) -> None:
        if not 0.0 < self.lengthscale < math.inf:
            raise ValueError(f"lengthscale must be finite and > 0, got {self.lengthscale}; try median_lengthscale(X)")

    def __call__(self, X: torch.Tensor, X2: torch.Tensor | None = None) -> torch.Tensor:
        """Return the matrix of the kernel; ones on the diagonal of a Gram matrix."""
        return self._matrix(X, (X * X).sum(1), X2)

    def of_known(self, X: torch.Tensor, squares: torch.Tensor, X2: torch.Tensor) -> torch.Tensor:
        """Return the matrix of the kernel."""
        return self._matrix(X, squares, X2)

    def _matrix(self, X: torch.Tensor, squares: torch.Tensor, X2: torch.Tensor | None) -> torch.Tensor:
        other, others = (X, squares) if X2 is None else (X2, (X2 * X2).sum(1))
        squared = squares[:, None] + others[None, :] - 2.0 * (X @ other.T)
        if X2 is None:
            squared = _with_diagonal(squared, torch.zeros_like(squared[0]))
        return torch.exp(squared / (-2.0 * self.lengthscale**2))


class _Gram(torch.autograd.Function):
    """X X^T, whose slope in X is one product with a symmetric matrix, and not two."""

    generate_vmap_rule = True

    @staticmethod
    def forward(X: torch.Tensor) -> torch.Tensor:
        return X @ X.mT

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor) -> torch.Tensor:
        (X,) = ctx.saved_tensors
        return (slope + slope.mT) @ X


class ArcCosine(torch.autograd.Function):
    """t = arccos(c) and J(c) = sin t + (pi - t) c.

    The derivative of J, pi - t, is finite everywhere, c = 1 included; that of t is taken as 0 at c = -1 and 1 (see the
    notes of :class:`InfiniteNetwork`).

    Examples
    --------
    >>> c = torch.ones(1, dtype=torch.float64, requires_grad=True)
    >>> t, J = ArcCosine.apply(c)
    >>> bool(torch.autograd.grad(J.sum(), c)[0] == math.pi)
    True
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(cosine: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return t and J."""
        angle = torch.acos(cosine)
        return angle, torch.sqrt((1.0 - cosine) * (1.0 + cosine)) + (math.pi - angle) * cosine

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[torch.Tensor], output: tuple[torch.Tensor, torch.Tensor]) -> None:
        """Keep the cosines and the angles."""
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(inputs[0], output[0])

    @staticmethod
    def backward(ctx: Any, by_angle: torch.Tensor | None, by_J: torch.Tensor | None) -> torch.Tensor | None:
        """Return the gradient in c."""
        cosine, angle = ctx.saved_tensors
        found = None if by_J is None else by_J * (math.pi - angle)
        if by_angle is None:
            return found
        squared = (1.0 - cosine) * (1.0 + cosine)
        steep = by_angle * torch.where(squared > 0.0, torch.rsqrt(squared.clamp_min(_LEAST)), 0.0)
        return -steep if found is None else found - steep


class HiddenLayer(torch.autograd.Function):
    r"""The step from (K, T) to the next layer, between two sets: see :class:`InfiniteNetwork`.

    With c = K / sqrt(q q'), a = s / (2 pi), and g and h the slopes in the results K and T,

        slope in T:   a h (pi - t)
        slope in c:   a sqrt(q q') (pi - t) (g + h) + a T h / sin t             (1 / sin t is 0 at c = -1 and 1)
        slope in K:   that in c / sqrt(q q')
        slope in q:   half the sum over q' of  a sqrt(q q') J (g + h) - c times that in c,   over q;   likewise in q'

    Notes
    -----
    *Cost.* One arc cosine forward and one backward for each entry, some rows at a time, which the cache of a CPU holds.
    Nothing but the arguments is kept for the way back.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(
        K: torch.Tensor, T: torch.Tensor, q: torch.Tensor, q2: torch.Tensor, s: float, b: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return K and T of the next layer."""
        a, made = s / (2.0 * math.pi), []
        for rows in _blocks(K):
            cosine, size = _angles(K[rows], q[rows], q2)
            angle, J = ArcCosine.forward(cosine)
            new = torch.addcmul(K.new_full((), b), size, J, value=a)
            made.append((new, torch.addcmul(new, T[rows], math.pi - angle, value=a)))
        found = tuple(torch.cat(part) for part in zip(*made, strict=True))
        return found[0], found[1]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, torch.Tensor]) -> None:
        """Keep the arguments."""
        *tensors, ctx.s, _ = inputs
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor | None, h: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        """Return the slopes in K, T, q and q'."""
        if g is None and h is None:
            return (None,) * 6
        K, T, q, q2 = ctx.saved_tensors
        made, by_T = [], []
        for rows in _blocks(K):
            up = ctx.s / (2.0 * math.pi), *(None if slope is None else slope[rows] for slope in (g, h))
            by_K, one, by_q, by_q2 = _slopes(K[rows], T[rows], q[rows], q2, up)
            made.append((by_K, by_q, by_q2))
            by_T.append(one)
        slopes_K, slopes_q, slopes_q2 = zip(*made, strict=True)
        in_T = None if h is None else torch.cat(by_T)
        return torch.cat(slopes_K), in_T, torch.cat(slopes_q), torch.stack(slopes_q2).sum(0), None, None


def _slopes(
    K: torch.Tensor,
    T: torch.Tensor,
    q: torch.Tensor,
    q2: torch.Tensor,
    up: tuple[float, torch.Tensor | None, torch.Tensor | None],
) -> tuple[torch.Tensor, Any, torch.Tensor, torch.Tensor]:
    """Return the slopes of some rows of a layer in K, T, q and q', given (a, g, h)."""
    a, g, h = up
    (root, present), (root2, present2) = _root(q), _root(q2)
    product = root[:, None] * root2
    raw = K / product
    cosine, size = raw.clamp(-1.0, 1.0), torch.where(present[:, None] & present2, product, 0.0)
    angle, J = ArcCosine.apply(cosine)
    obtuse = math.pi - angle
    both = h if g is None else g if h is None else g + h
    assert both is not None
    scaled = a * size * both
    by_cosine, by_T = scaled * obtuse, None
    if h is not None:
        squared = (1.0 - cosine) * (1.0 + cosine)
        steep = torch.where(squared > 0.0, torch.rsqrt(squared.clamp_min(_LEAST)), 0.0)
        by_cosine = torch.addcmul(by_cosine, T * h, steep, value=a)
        by_T = a * h * obtuse
    by_cosine = torch.where(raw == cosine, by_cosine, 0.0)
    by_roots = scaled * J - by_cosine * cosine
    by_q, by_q2 = (
        torch.where(there, by_roots.sum(axis) / (2.0 * one * one), 0.0)
        for axis, one, there in ((1, root, present), (0, root2, present2))
    )
    return by_cosine / product, by_T, by_q, by_q2


def _angles(K: torch.Tensor, q: torch.Tensor, q2: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the cosines and sqrt(q q'); a row of zeros without bias has the cosine 0 with every other row."""
    (root, present), (root2, present2) = _root(q), _root(q2)
    return (K / (root[:, None] * root2)).clamp(-1.0, 1.0), (root * present)[:, None] * (root2 * present2)


def _blocks(K: torch.Tensor) -> list[slice]:
    """Return the rows of a matrix in blocks that the cache of a CPU holds; a GPU takes all at once."""
    step = max(1, _CACHED // max(1, K.shape[1])) if K.device.type == "cpu" else len(K)
    return [slice(first, first + step) for first in range(0, max(1, len(K)), max(1, step))]


_LEAST = 1e-300  # below every square of a sine that is not 0
_CACHED = 2**16  # entries of a matrix at a time


@dataclass(frozen=True)
class InfiniteNetwork(Kernel):
    r"""The kernel of a fully connected ReLU network of infinite width, in the NTK parameterisation.

    With s = W_std^2, b = b_std^2,   K_0 = s x.x' / d + b,  T_0 = K_0,  and for each hidden layer

        q = K(x, x),  q' = K(x', x'),   c = K / sqrt(q q'),   t = arccos c
        K <- s sqrt(q q') (sin t + (pi - t) c) / (2 pi) + b,
        T <- s T (pi - t) / (2 pi) + K

    K is the kernel of the Gaussian process (``of="nngp"``), T the tangent kernel (``of="ntk"``).

    Notes
    -----
    *Cost.* One product of the rows, then two arc cosines for each entry and layer.
    *Numerics.* Cosines are clamped to [-1, 1], where the exact ones lie by Cauchy and Schwarz, so that only rounding is
    removed. The diagonal of a Gram matrix has c = 1 exactly and is computed without any cosine. Elsewhere an error of
    eps in c near 1 becomes one of sqrt(eps) in t: for a repeated point T has an error of 1e-8 and its gradient one of
    3e-8, while K and its gradient have none of this order. T has a cusp there, and the derivative of t is taken as 0,
    the middle of the two sides.

    References
    ----------
    Cho, Saul, "Kernel methods for deep learning", NIPS 2009 (degree 0 and 1). Jacot, Gabriel, Hongler, "Neural tangent
    kernel", NeurIPS 2018.

    Examples
    --------
    >>> X = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    >>> InfiniteNetwork(1, W_std=2**0.5, b_std=0.0)(X)  # s = 2, c = 1 and 0: T = 2 on the diagonal, 1 / pi beside it
    tensor([[2.0000, 0.3183],
            [0.3183, 2.0000]], dtype=torch.float64)
    """

    depth: int = 1  # hidden layers, >= 0
    of: str = "ntk"  # "ntk" or "nngp"
    W_std: float = math.sqrt(2.0)  # standard deviations of weights (times 1 / sqrt(fan in)) and biases
    b_std: float = 0.1

    def __post_init__(self) -> None:
        if self.of not in ("ntk", "nngp"):
            raise ValueError(f"of must be ntk or nngp, got {self.of!r}")
        if self.depth < 0 or not self.W_std > 0.0 or not self.b_std >= 0.0:
            raise ValueError(
                f"depth and b_std must be >= 0 and W_std > 0, got {self.depth}, {self.b_std} and {self.W_std}"
            )

    @property
    def name(self) -> str:  # type: ignore[override]
        """``ntk`` or ``nngp``."""
        return self.of

    def __call__(self, X: torch.Tensor, X2: torch.Tensor | None = None) -> torch.Tensor:
        """Return the matrix of the kernel."""
        return self._matrix(X, (X * X).sum(1), X2)

    def of_known(self, X: torch.Tensor, squares: torch.Tensor, X2: torch.Tensor) -> torch.Tensor:
        """Return the matrix of the kernel."""
        return self._matrix(X, squares, X2)

    def _matrix(self, X: torch.Tensor, squares: torch.Tensor, X2: torch.Tensor | None) -> torch.Tensor:
        s, b, d = self.W_std**2, self.b_std**2, X.shape[1]
        others = squares if X2 is None else (X2 * X2).sum(1)
        q, q2 = (s / d * known + b for known in (squares, others))
        K = s / d * _Gram.apply(X) + b if X2 is None else torch.addmm(X.new_full((), b), X, X2.T, alpha=s / d)
        T, t_diagonal = K, q
        for _ in range(self.depth):
            if X2 is None:
                cosine, size = self._cosine(K, q)
                angle, J = ArcCosine.apply(cosine)
                K = s / (2.0 * math.pi) * size * J + b
                T = T * (s / (2.0 * math.pi) * (math.pi - angle)) + K
            else:
                K, T = HiddenLayer.apply(K, T, q, q2, s, b)
            q, q2 = s * q / 2.0 + b, s * q2 / 2.0 + b
            t_diagonal = s * t_diagonal / 2.0 + q
        found, diagonal = (K, q) if self.of == "nngp" else (T, t_diagonal)
        return found if X2 is not None else _with_diagonal(found, diagonal)

    @staticmethod
    def _cosine(K: torch.Tensor, q: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the cosines of a Gram matrix and sqrt(q q')."""
        root, present = _root(q)
        cosine = (K / (root[:, None] * root)).clamp(-1.0, 1.0)
        size = root * present
        return _with_diagonal(cosine, torch.ones_like(q)), size[:, None] * size


def _root(q: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return sqrt(q) and whether q > 0; where it is not, 1 has no infinite slope, and the cosine is 0.

    Without bias q is 0 for a row of zeros.
    """
    present = q > 0.0
    return torch.sqrt(torch.where(present, q, 1.0)), present


def _with_diagonal(A: torch.Tensor, diagonal: torch.Tensor) -> torch.Tensor:
    """Return the square matrix ``A`` with another diagonal."""
    eye = torch.eye(A.shape[0], dtype=torch.bool, device=A.device)
    return torch.where(eye, diagonal[None, :], A)


@dataclass(frozen=True, eq=False)
class FeatureKernel(Kernel):
    """K(x, x') = phi(x) . phi(x') for a feature map of finitely many features.

    Examples
    --------
    >>> from analytic_dd.features import Identity
    >>> FeatureKernel(Identity(2))(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]]))
    tensor([[11.]])
    """

    feature_map: FeatureMap
    name: ClassVar[str] = "features"

    def features(self, X: torch.Tensor) -> torch.Tensor:
        """Return phi(X) (m, p)."""
        Phi: torch.Tensor = self.feature_map(X)
        return Phi

    def __call__(self, X: torch.Tensor, X2: torch.Tensor | None = None) -> torch.Tensor:
        """Return phi(X) phi(X2)^T."""
        Phi = self.features(X)
        return Phi @ (Phi if X2 is None else self.features(X2)).T
