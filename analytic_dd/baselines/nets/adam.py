"""Adam on a dictionary of tensors, with a state that can be stored."""

from __future__ import annotations

from collections.abc import Mapping

import torch

__all__ = ["Adam"]


class Adam:
    r"""Gradient steps that are scaled by running moments of the gradient.

        m <- b1 m + (1 - b1) g,   v <- b2 v + (1 - b2) g^2
        x <- x - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)

    Parameters
    ----------
    lr : float
        Step size.

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

    decay, decay_of_squares, eps = 0.9, 0.999, 1e-8

    def __init__(self, lr: float) -> None:
        self.lr = lr
        self.steps = 0
        self._mean: dict[str, torch.Tensor] = {}
        self._square: dict[str, torch.Tensor] = {}

    def step(
        self, values: Mapping[str, torch.Tensor], gradients: Mapping[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
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

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Continue from what :meth:`state` returned."""
        self.steps = int(state["steps"])
        self._mean = {name[5:]: value.clone() for name, value in state.items() if name.startswith("mean/")}
        self._square = {name[7:]: value.clone() for name, value in state.items() if name.startswith("square/")}
