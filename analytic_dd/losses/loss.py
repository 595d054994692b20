"""What a loss is: A(z) - y.z with the mean mu = grad A and the Hessian of A (T18)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

from analytic_dd.arrays import Array, device_of, namespace
from analytic_dd.errors import InfeasibleError

__all__ = ["Loss"]


class Loss(ABC):
    r"""A canonical loss of k outputs: the logits z = W phi + b of a sample with label y cost ``A(z) - y.z``.

        mu(z) = grad A(z),     Hess A(z) >= 0,     a function of mu alone for every loss here

    Theorem: T18.

    Attributes
    ----------
    name : str
        What ``loss=`` and ``--loss`` call it.
    lowest, highest : float
        The labels that are data of this model (probabilities, counts); each entry lies between them.
    shift_free : bool
        Whether adding the same number to all logits of a sample changes nothing (softmax).
    """

    name: ClassVar[str]
    lowest: ClassVar[float] = -math.inf
    highest: ClassVar[float] = math.inf
    shift_free: ClassVar[bool] = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    @abstractmethod
    def value(self, Z: Array, Y: Array) -> Array:
        """``A(z) - y.z`` of each sample (n,) for logits ``Z`` and labels ``Y`` (n, k)."""

    @abstractmethod
    def mean(self, Z: Array) -> Array:
        """``mu(z)`` (n, k)."""

    @abstractmethod
    def curvature(self, mu: Array, V: Array) -> Array:
        """``Hess A(z) v`` (n, k) for each row v of ``V``, from the means ``mu`` (n, k)."""

    @abstractmethod
    def link(self, mu: Array) -> Array:
        """Return the logits (k,) whose mean is ``mu`` (k,), strictly inside of the range."""

    def hessian(self, Z: Array) -> Array:
        """``Hess A(z)`` (n, k, k) of each sample."""
        xp, mu = namespace(Z), self.mean(Z)
        units = xp.eye(Z.shape[1], dtype=Z.dtype, device=device_of(Z))
        columns = [self.curvature(mu, xp.broadcast_to(units[j : j + 1, :], Z.shape)) for j in range(Z.shape[1])]
        return xp.stack(columns, axis=2)

    def require_targets(self, Y: Array, *, first: int = 0) -> None:
        """Refuse labels (n, k) that are no data of this model; the message says where, counting rows from ``first``."""
        xp = namespace(Y)
        slack = 64.0 * float(xp.finfo(Y.dtype).eps)  # rounding of labels at an end of the range
        outside = (Y - self.lowest < -slack) | (Y - self.highest > slack)
        if bool(xp.any(outside)):
            row, column = _first(outside)
            bounds = f">= {self.lowest:g}" if self.highest == math.inf else f"in {self.lowest:g} .. {self.highest:g}"
            raise ValueError(
                f"labels of the {self.name} loss must be {bounds}, got {float(Y[row, column]):.6g} at row "
                f"{first + row}, column {column}; {self._remedy}"
            )

    _remedy: ClassVar[str] = "take loss='squared' for labels of any size"

    def require_mean(self, mean: Array) -> None:
        """Refuse an unpenalised intercept where the mean label (k,) is at an end: its minimiser is infinite (T18e)."""
        for j in range(mean.shape[0]):
            value = float(mean[j])
            for limit in (self.lowest, self.highest):
                if value == limit:
                    raise InfeasibleError(
                        f"T18e: the mean label of output {j} is {value:g}, so its intercept has no minimiser; "
                        "drop the output, or fit without an intercept",
                        theorem="T18e",
                        value=value,
                        limit=limit,
                    )

    def separated(self, Z: Array, Y: Array) -> bool:
        """Whether these logits have every hard label strictly on its side: then no minimiser exists at ridge 0."""
        return False

    def largest_multiple(self, mu: Array, E: Array) -> float:
        """Return the largest t >= 0 for which all of ``mu + t E`` are labels of this model."""
        down = _least_quotient(mu - self.lowest, -E) if math.isfinite(self.lowest) else math.inf
        up = _least_quotient(self.highest - mu, E) if math.isfinite(self.highest) else math.inf
        return min(down, up)


def _least_quotient(room: Array, speed: Array) -> float:
    """Return the least room / speed over positive speeds; infinite where no speed is positive."""
    xp = namespace(room)
    moving = speed > 0.0
    if not bool(xp.any(moving)):
        return math.inf
    return float(xp.min(xp.where(moving, room / xp.where(moving, speed, 1.0), math.inf)))


def _first(flags: Array) -> tuple[int, int]:
    """Row and column of the first true entry."""
    xp = namespace(flags)
    index = int(xp.argmax(xp.astype(xp.reshape(flags, (-1,)), xp.int32)))
    return divmod(index, int(flags.shape[1]))
