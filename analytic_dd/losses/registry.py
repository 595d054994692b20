"""The losses by name."""

from __future__ import annotations

from analytic_dd.losses.logistic import Logistic
from analytic_dd.losses.loss import Loss
from analytic_dd.losses.poisson import Poisson
from analytic_dd.losses.softmax import Softmax
from analytic_dd.losses.squared import Squared

__all__ = ["LOSSES", "as_loss"]

LOSSES: dict[str, Loss] = {loss.name: loss for loss in (Squared(), Softmax(), Logistic(), Poisson())}


def as_loss(loss: str | Loss) -> Loss:
    """Return the loss of that name, or the loss itself.

    Examples
    --------
    >>> as_loss("softmax")
    Softmax()
    >>> as_loss("hinge")
    Traceback (most recent call last):
        ...
    ValueError: unknown loss 'hinge'; choose from squared, softmax, logistic, poisson
    """
    if isinstance(loss, Loss):
        return loss
    if loss not in LOSSES:
        raise ValueError(f"unknown loss {loss!r}; choose from {', '.join(LOSSES)}")
    return LOSSES[loss]
