"""Unrolled gradient descent: where it ends, and how that depends on the data it saw, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from analytic_dd.baselines.nets.network import Parameters
from analytic_dd.errors import unknown_word

__all__ = ["UNROLLS", "Unrolled", "descend", "gradient", "passes", "unrolled_gradient"]

UNROLLS = ("recompute", "graph")

Variables = Mapping[str, torch.Tensor]
Loss = Callable[[Parameters, Variables, int], torch.Tensor]  # of the weights and the data, in a step
Objective = Callable[[Parameters], torch.Tensor]  # of the last weights


@dataclass(frozen=True, eq=False)
class Unrolled:
    """What follows from a descent, and its derivatives."""

    value: torch.Tensor  # scalar: the objective at the last weights
    variables: dict[str, torch.Tensor]  # its gradient in the data, by their names
    step_sizes: torch.Tensor  # (T,): its derivative in each step size


@torch.enable_grad()  # type: ignore[untyped-decorator]  # also where a caller has switched it off to score
def gradient(loss: Loss, weights: Parameters, variables: Variables, step: int) -> Parameters:
    """Return the gradient in the weights of the loss of a step, cut off from every graph."""
    leaves, fixed = _leaves(weights), {name: value.detach() for name, value in variables.items()}
    found = torch.autograd.grad(loss(leaves, fixed, step), list(leaves.values()), materialize_grads=True)
    return dict(zip(leaves, found, strict=True))


def descend(loss: Loss, weights: Parameters, variables: Variables, step_sizes: torch.Tensor) -> Parameters:
    """Return the weights after one step of gradient descent for each step size.

    Examples
    --------
    >>> half_square = lambda weights, variables, step: 0.5 * (weights["w"] - variables["x"]).square().sum()
    >>> descend(half_square, {"w": torch.zeros(1)}, {"x": torch.ones(1)}, torch.tensor([0.5, 0.5]))
    {'w': tensor([0.7500])}
    """
    for step, size in enumerate(step_sizes.detach()):
        weights = _moved(weights, gradient(loss, weights, variables, step), size)
    return weights


@torch.enable_grad()  # type: ignore[untyped-decorator]
def unrolled_gradient(
    loss: Loss,
    objective: Objective,
    weights: Parameters,
    variables: Variables,
    step_sizes: torch.Tensor,
    *,
    unroll: str = "recompute",
) -> Unrolled:
    r"""Differentiate an objective of the last weights in the data and the step sizes that led there.

        w_(i+1) = w_i - eta_i g_i,    g_i = gradient of l_i(w_i; x) in w,    L = F(w_T),    i = 0 .. T - 1

    Backwards from c = F'(w_T), each step gives

        dL/d eta_i = - <c, g_i>,    dL/dx  gains  - eta_i d<c, g_i>/dx,    c <- c - eta_i d<c, g_i>/dw

    Parameters
    ----------
    loss : callable
        ``loss(weights, variables, step)``, a scalar that is the same in every call with the same arguments.
    objective : callable
        F, a scalar function of the last weights.
    weights : dict of str to tensor
        w_0, which are constants.
    variables : mapping of str to tensor
        x, the data.
    step_sizes : (T,) tensor
        eta.
    unroll : str
        ``recompute`` keeps the weights of each step and computes g_i again on the way back; ``graph`` keeps the graph
        of all steps, as the published codes do.

    Notes
    -----
    *Cost.* ``graph`` takes one forward and two backward passes of each step and the memory of T steps; ``recompute``
    takes two forward and three backward passes and the memory of one step and of T + 1 weights.
    *Numerics.* Both are exact derivatives of the same numbers and agree to rounding. Where eta times the largest
    curvature exceeds 2, the descent and its derivatives amplify errors.

    References
    ----------
    Maclaurin, Duvenaud, Adams, "Gradient-based hyperparameter optimization through reversible learning", ICML 2015.

    Examples
    --------
    One step on (w - x)^2 / 2 from 0 ends at eta x; the square of that has the slope 2 eta^2 x in x.

    >>> half_square = lambda weights, variables, step: 0.5 * (weights["w"] - variables["x"]).square().sum()
    >>> square = lambda weights: weights["w"].square().sum()
    >>> found = unrolled_gradient(
    ...     half_square, square, {"w": torch.zeros(1)}, {"x": torch.tensor([3.0])}, torch.tensor([0.5])
    ... )
    >>> found.value, found.variables["x"], found.step_sizes
    (tensor(2.2500), tensor([1.5000]), tensor([9.]))
    """
    if unroll not in UNROLLS:
        raise ValueError(unknown_word("unroll", unroll, UNROLLS))
    if not len(step_sizes):
        value = objective({name: value.detach() for name, value in weights.items()})
        zeros = {name: torch.zeros_like(value) for name, value in variables.items()}
        return Unrolled(value.detach(), zeros, torch.zeros_like(step_sizes))
    follow = _recomputed if unroll == "recompute" else _whole_graph
    return follow(loss, objective, weights, variables, step_sizes.detach())


def _recomputed(
    loss: Loss, objective: Objective, weights: Parameters, variables: Variables, step_sizes: torch.Tensor
) -> Unrolled:
    path = [{name: value.detach() for name, value in weights.items()}]
    for step, size in enumerate(step_sizes):
        path.append(_moved(path[-1], gradient(loss, path[-1], variables, step), size))
    last = _leaves(path.pop())
    value = objective(last)
    back = torch.autograd.grad(value, list(last.values()), materialize_grads=True)
    total = {name: torch.zeros_like(variable) for name, variable in variables.items()}
    slopes = torch.zeros_like(step_sizes)
    for step in reversed(range(len(step_sizes))):
        leaves, data, size = _leaves(path.pop()), _leaves(variables), step_sizes[step]
        g = _differentiable(loss(leaves, data, step), leaves)
        pairing = torch.stack([(one * other).sum() for one, other in zip(back, g, strict=True)]).sum()
        slopes[step] = -pairing.detach()
        found = torch.autograd.grad(pairing, [*leaves.values(), *data.values()], materialize_grads=True)
        back = tuple(one - size * bend for one, bend in zip(back, found[: len(leaves)], strict=True))
        for name, slope in zip(data, found[len(leaves) :], strict=True):
            total[name] = total[name] - size * slope
    return Unrolled(value.detach(), total, slopes)


def _whole_graph(
    loss: Loss, objective: Objective, weights: Parameters, variables: Variables, step_sizes: torch.Tensor
) -> Unrolled:
    moving, data, sizes = _leaves(weights), _leaves(variables), step_sizes.clone().requires_grad_()
    for step, size in enumerate(sizes.unbind()):
        g = _differentiable(loss(moving, data, step), moving)
        moving = _moved(moving, dict(zip(moving, g, strict=True)), size)
    value = objective(moving)
    *slopes, by_size = torch.autograd.grad(value, [*data.values(), sizes], materialize_grads=True)
    return Unrolled(value.detach(), dict(zip(data, slopes, strict=True)), by_size)


def passes(samples: int, steps: int, *, unroll: str) -> tuple[int, int]:
    """Return how many samples pass forward and backward in ``steps`` steps on ``samples`` each, with derivatives."""
    forward, backward = (2, 3) if unroll == "recompute" else (1, 2)
    return forward * samples * steps, backward * samples * steps


def _leaves(values: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.detach().requires_grad_() for name, value in values.items()}


def _differentiable(value: torch.Tensor, weights: Parameters) -> tuple[torch.Tensor, ...]:
    """Return the gradient of a value as part of the graph."""
    found: tuple[torch.Tensor, ...] = torch.autograd.grad(
        value, list(weights.values()), create_graph=True, materialize_grads=True
    )
    return found


def _moved(weights: Parameters, slope: Parameters, size: torch.Tensor) -> Parameters:
    return {name: value - size * slope[name] for name, value in weights.items()}
