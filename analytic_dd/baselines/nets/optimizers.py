"""Gradient descent with momentum, and Adam, on a dictionary of tensors.

They are not ``torch.optim``: that fuses products and sums, so a step of it differs in the last bit from
``x - lr * g`` as an unrolled descent takes it. Trajectory matching needs a student and an expert that agree to the bit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch

__all__ = ["Adam", "Optimizer", "Sgd"]

Tensors = Mapping[str, torch.Tensor]


class Optimizer(ABC):
    """Steps along gradients, with a state that can be stored.

    Parameters
    ----------
    lr : float
        Step size.
    """

    def __init__(self, lr: float) -> None:
        self.lr = lr

    @abstractmethod
    def step(self, values: Tensors, gradients: Tensors) -> dict[str, torch.Tensor]:
        """Return the values after one step; those given are not changed."""

    @abstractmethod
    def state(self) -> dict[str, torch.Tensor]:
        """Return what the next step depends on, as copies."""

    @abstractmethod
    def restore(self, state: Tensors) -> None:
        """Continue from what :meth:`state` returned."""


class Sgd(Optimizer):
    r"""Gradient steps with momentum.

        v <- momentum v + g + weight_decay x,    x <- x - lr v,    v = 0 at the start

    Parameters
    ----------
    momentum, weight_decay : float

    Examples
    --------
    >>> sgd, x = Sgd(0.1, momentum=0.5), {"x": torch.tensor([1.0], dtype=torch.float64)}
    >>> x = sgd.step(x, {"x": torch.tensor([2.0], dtype=torch.float64)})
    >>> sgd.step(x, {"x": torch.tensor([2.0], dtype=torch.float64)})["x"]
    tensor([0.5000], dtype=torch.float64)
    """

    def __init__(self, lr: float, *, momentum: float = 0.0, weight_decay: float = 0.0) -> None:
        super().__init__(lr)
        self.momentum, self.weight_decay = momentum, weight_decay
        self._velocity: dict[str, torch.Tensor] = {}

    def step(self, values: Tensors, gradients: Tensors) -> dict[str, torch.Tensor]:
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
        """Return the velocities as copies; there are none before the first step and without momentum."""
        return {name: value.clone() for name, value in self._velocity.items()}

    def restore(self, state: Tensors) -> None:
        """Continue from what :meth:`state` returned."""
        self._velocity = {name: value.clone() for name, value in state.items()}


class Adam(Optimizer):
    r"""Gradient steps that are scaled by running moments of the gradient.

        m <- b1 m + (1 - b1) g,   v <- b2 v + (1 - b2) g^2
        x <- x - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)

    Parameters
    ----------
    decay : float
        b1.

    References
    ----------
    Kingma, Ba, "Adam: a method for stochastic optimization", ICLR 2015 (b1 = 0.9, b2 = 0.999, eps = 1e-8).

    Examples
    --------
    The first step has the size lr in every coordinate, whatever the size of the gradient.

    >>> x = {"x": torch.tensor([1.0, 2.0], dtype=torch.float64)}
    >>> Adam(0.5).step(x, {"x": torch.tensor([1e-3, -70.0], dtype=torch.float64)})["x"].round(decimals=4)
    tensor([0.5000, 2.5000], dtype=torch.float64)
    """

    decay_of_squares, eps = 0.999, 1e-8

    def __init__(self, lr: float, *, decay: float = 0.9) -> None:
        super().__init__(lr)
        self.decay = decay
        self.steps = 0
        self._mean: dict[str, torch.Tensor] = {}
        self._square: dict[str, torch.Tensor] = {}

    def step(self, values: Tensors, gradients: Tensors) -> dict[str, torch.Tensor]:
        """Return the values after one step; those given are not changed."""
        self.steps += 1
        moved = {}
        for name, value in values.items():
            g = gradients[name]
            mean = self.decay * self._mean.get(name, torch.zeros_like(g)) + (1.0 - self.decay) * g
            square = self.decay_of_squares * self._square.get(name, torch.zeros_like(g))
            square = square + (1.0 - self.decay_of_squares) * g * g
            self._mean[name], self._square[name] = mean, square
            size = (square / (1.0 - self.decay_of_squares**self.steps)).sqrt() + self.eps
            moved[name] = value - self.lr * (mean / (1.0 - self.decay**self.steps)) / size
        return moved

    def state(self) -> dict[str, torch.Tensor]:
        """Return the number of steps and the moments as copies."""
        moments = {f"mean/{name}": value.clone() for name, value in self._mean.items()}
        squares = {f"square/{name}": value.clone() for name, value in self._square.items()}
        return {"steps": torch.tensor(self.steps), **moments, **squares}

    def restore(self, state: Tensors) -> None:
        """Continue from what :meth:`state` returned."""
        self.steps = int(state["steps"])
        self._mean = {name[5:]: value.clone() for name, value in state.items() if name.startswith("mean/")}
        self._square = {name[7:]: value.clone() for name, value in state.items() if name.startswith("square/")}
