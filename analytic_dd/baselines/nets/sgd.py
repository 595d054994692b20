"""Gradient descent with momentum on a dictionary of tensors, with a state that can be stored."""

from __future__ import annotations

from collections.abc import Mapping

import torch

__all__ = ["Sgd"]


class Sgd:
    r"""Gradient steps with momentum.

        v <- momentum v + g + weight_decay x,    x <- x - lr v,    v = 0 at the start

    Parameters
    ----------
    lr : float
        Step size.
    momentum, weight_decay : float

    Examples
    --------
    >>> sgd, x = Sgd(0.1, momentum=0.5), {"x": torch.tensor([1.0], dtype=torch.float64)}
    >>> x = sgd.step(x, {"x": torch.tensor([2.0], dtype=torch.float64)})
    >>> sgd.step(x, {"x": torch.tensor([2.0], dtype=torch.float64)})["x"]
    tensor([0.5000], dtype=torch.float64)
    """

    def __init__(self, lr: float, *, momentum: float = 0.0, weight_decay: float = 0.0) -> None:
        self.lr, self.momentum, self.weight_decay = lr, momentum, weight_decay
        self._velocity: dict[str, torch.Tensor] = {}

    def step(
        self, values: Mapping[str, torch.Tensor], gradients: Mapping[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """Return the values after one step; those given are not changed."""
        moved = {}
        for name, value in values.items():
            velocity = gradients[name]
            if self.weight_decay:
                velocity = velocity + self.weight_decay * value
            if self.momentum:
                velocity = velocity + self.momentum * self._velocity.get(name, torch.zeros_like(value))
                self._velocity[name] = velocity
            moved[name] = value - self.lr * velocity
        return moved

    def state(self) -> dict[str, torch.Tensor]:
        """Return the velocities as copies; none before the first step and without momentum."""
        return {name: value.clone() for name, value in self._velocity.items()}

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Continue from what :meth:`state` returned."""
        self._velocity = {name: value.clone() for name, value in state.items()}
