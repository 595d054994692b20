"""The penalised loss over a stream of samples: value, gradient, Hessian, a block at a time (T18)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from analytic_dd.arrays import Array, as_matrix, as_ridge, as_weights, device_of, in_double, namespace, norm
from analytic_dd.losses.loss import Loss

__all__ = ["Evaluation", "PenalisedLoss"]

Blocks = Iterable[tuple[Array, ...]]

_MOST = 500  # exponents of 2 up to which a square is a number


@dataclass(frozen=True)
class Evaluation:
    """The penalised loss at a point: its value, its gradient (k, p'), whether the logits separate all samples."""

    value: float
    gradient: Array
    separated: bool


class PenalisedLoss:
    r"""``f(W, b) = sum_i w_i (A(z_i) - y_i.z_i) + ridge / 2 |W|^2,  z_i = W phi_i + b``, over blocks of samples.

    A point is theta = [W / unit b] (k, p'), with p' = p + 1 where the model has an (unpenalised) intercept, else p. The
    unit is the power of two in which the largest feature is 1: weights of features of any size are numbers beside
    intercepts, and no result depends on the unit of the features.

    Theorem: T18.

    Parameters
    ----------
    blocks : callable or re-iterable
        Gives (Phi, Y) or (Phi, Y, sample_weight), the same at every pass: a list, or a function that returns a new
        iterator.
    loss : Loss
    ridge : float
        lambda >= 0, absolute.
    intercept : bool
    any_labels : bool
        Take labels that are no data of the loss too, such as those of T18 beyond their largest ridge.

    Attributes
    ----------
    n, p, k : int
    mean_label : (k,) array
    unit : float
    penalty : float
        The ridge of W / unit, ``ridge * unit^2``.
    passes : int
        How often the samples were read.

    Notes
    -----
    *Cost.* A pass: value and gradient 4 n p k flops, a product with the Hessian as many, the Hessian n p^2 k^2; one
    block of float64 and n k means in memory.
    """

    def __init__(
        self,
        blocks: Callable[[], Blocks] | Blocks,
        *,
        loss: Loss,
        ridge: float,
        intercept: bool = False,
        any_labels: bool = False,
    ) -> None:
        if isinstance(blocks, Iterator):
            raise TypeError(
                f"blocks are read more than once, got a {type(blocks).__name__}; give a list, or a function that "
                "returns a new iterator"
            )
        self._blocks, self.loss, self.ridge, self.intercept = blocks, loss, as_ridge(ridge), intercept
        self.passes = self.n = 0
        self._means: tuple[Any, list[Array]] = (None, [])
        total: Any = 0.0
        largest = 0.0
        for Phi, Y, weight in self._checked():
            if not any_labels:
                self.loss.require_targets(Y, first=self.n)
            xp = namespace(Y)
            largest = max(largest, float(xp.max(xp.where(weight > 0.0, xp.max(xp.abs(Phi), axis=1), 0.0 * weight))))
            total = total + xp.concat([xp.sum(weight[:, None] * Y, axis=0), xp.sum(weight)[None]])
            self.n, self.p, self.k = self.n + int(Y.shape[0]), int(Phi.shape[1]), int(Y.shape[1])
        if self.n == 0 or not float(total[self.k]) > 0.0:
            raise ValueError("there are no samples, or none has a weight above 0; give some")
        self.unit = _unit(largest, self.ridge)
        self.penalty = self.ridge * self.unit**2
        self.mean_label = total[: self.k] / total[self.k]
        if intercept and not any_labels:
            loss.require_mean(self.mean_label)

    def __iter__(self) -> Iterator[tuple[Array, Array, Array]]:
        """Yield blocks (Phi, Y, weight) in float64."""
        self.passes += 1
        blocks = self._blocks() if callable(self._blocks) else self._blocks
        for Phi, Y, *weights in blocks:
            xp, labels = namespace(Phi, Y), in_double(Y)
            weight = in_double(weights[0]) if weights else xp.ones_like(labels[:, 0])
            yield in_double(Phi), labels, weight

    def _checked(self) -> Iterator[tuple[Array, Array, Array]]:
        for Phi, Y, weight in self:
            as_matrix(Phi, "Phi")
            as_matrix(Y, "Y", rows=Phi.shape[0])
            yield Phi, Y, as_weights(weight, Phi.shape[0])

    def start(self) -> Array:
        """Return W = 0 with the intercept whose mean is the mean label, (k, p')."""
        xp, mean = namespace(self.mean_label), self.mean_label
        zeros = xp.zeros((self.k, self.p), dtype=mean.dtype, device=device_of(mean))
        return xp.concat([zeros, self.loss.link(mean)[:, None]], axis=1) if self.intercept else zeros

    def evaluate(self, theta: Array) -> Evaluation:
        """Return value and gradient at ``theta`` (k, p')."""
        value, gradient, separated = 0.0, self._penalty(theta), True
        with np.errstate(over="ignore", invalid="ignore"):  # an infinite value is refused by the line search
            for Phi, Y, weight in self:
                Z = self._logits(Phi, theta)
                value = value + float(namespace(Z).sum(weight * self.loss.value(Z, Y)))
                gradient = gradient + self._pull(Phi, weight[:, None] * (self.loss.mean(Z) - Y))
                separated = separated and self.ridge == 0.0 and self.loss.separated(Z, Y)
        W = theta[:, : self.p]
        return Evaluation(value + 0.5 * self.penalty * float(namespace(W).sum(W * W)), gradient, separated)

    def product(self, theta: Array, D: Array) -> Array:
        """Return the Hessian at ``theta`` times the direction ``D``, both (k, p').

        The means at ``theta``, n k numbers, are kept until another point is asked for.
        """
        total, known = self._penalty(D), self._means[1] if self._means[0] is theta else None
        means = []
        for i, (Phi, _, weight) in enumerate(self):
            mu = self.loss.mean(self._logits(Phi, theta)) if known is None else known[i]
            means.append(mu)
            total = total + self._pull(Phi, weight[:, None] * self.loss.curvature(mu, self._logits(Phi, D)))
        self._means = (theta, means)
        return total

    def hessian(self, theta: Array) -> Array:
        """Return the Hessian at ``theta``, (k p', k p'), in the order of the rows of ``theta``."""
        xp, k = namespace(theta), self.k
        blocks: list[list[Array]] = [[0.0] * k for _ in range(k)]
        for Phi, _, weight in self:
            F = self._augmented(Phi)
            curvature = weight[:, None, None] * self.loss.hessian(self._logits(Phi, theta))
            for a in range(k):
                for b in range(a + 1):
                    blocks[a][b] = blocks[a][b] + F.T @ (curvature[:, a, b][:, None] * F)
        rows = [xp.concat([blocks[max(a, b)][min(a, b)] for b in range(k)], axis=1) for a in range(k)]
        ones = xp.ones_like(theta) * self.penalty
        if self.intercept:
            ones = xp.concat([ones[:, : self.p], 0.0 * ones[:, self.p :]], axis=1)
        ridge = xp.reshape(ones, (-1,))
        return xp.concat(rows, axis=0) + xp.eye(ridge.shape[0], dtype=ridge.dtype, device=device_of(ridge)) * ridge

    def curvature_gram(self, theta: Array) -> Array:
        """Return ``sum_i w_i trace(Hess A(z_i)) / k phi_i phi_i^T`` (p', p'): the Hessian, averaged over outputs."""
        total: Any = 0.0
        for Phi, _, weight in self:
            F, H = self._augmented(Phi), self.loss.hessian(self._logits(Phi, theta))
            trace = sum(H[:, a, a] for a in range(self.k)) / self.k
            F = namespace(F).sqrt(weight * trace)[:, None] * F  # a symmetric product takes half of the time
            total = total + F.T @ F
        return total

    def _logits(self, Phi: Array, theta: Array) -> Array:
        Z = Phi @ (theta[:, : self.p].T * self.unit)
        return Z + theta[:, self.p][None, :] if self.intercept else Z

    def _pull(self, Phi: Array, R: Array) -> Array:
        """``R^T [Phi unit 1]``."""
        xp, product = namespace(R), (R.T @ Phi) * self.unit
        return xp.concat([product, xp.sum(R, axis=0)[:, None]], axis=1) if self.intercept else product

    def _penalty(self, theta: Array) -> Array:
        xp, W = namespace(theta), self.penalty * theta[:, : self.p]
        return xp.concat([W, 0.0 * theta[:, self.p :]], axis=1) if self.intercept else W

    def _augmented(self, Phi: Array) -> Array:
        Phi = self.unit * Phi
        return namespace(Phi).concat([Phi, 0.0 * Phi[:, :1] + 1.0], axis=1) if self.intercept else Phi

    def point(self, W: Array, b: Array | None) -> Array:
        """Return theta (k, p') of a model."""
        W = W / self.unit
        return namespace(W).concat([W, b[:, None]], axis=1) if b is not None else W

    def model(self, theta: Array) -> tuple[Array, Array | None]:
        """Return the weights and the intercept of a point."""
        return theta[:, : self.p] * self.unit, theta[:, self.p] if self.intercept else None

    def slope(self, gradient: Array) -> float:
        """Return the norm of a gradient in W and b."""
        return math.hypot(norm(gradient[:, : self.p]) / self.unit, norm(gradient[:, self.p :]))


def _unit(largest: float, ridge: float) -> float:
    """2^-f with features below 2^f; larger where the ridge would be no number."""
    if largest == 0.0:
        return 1.0
    f = math.frexp(largest)[1]
    return math.ldexp(1.0, -max(f, (math.frexp(ridge)[1] - _MOST) // 2, -_MOST))
