"""Gradient descent that is unrolled: where it ends, and how that depends on the data it saw, in bounded memory."""

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


@dataclass(frozen=True, eq=False)
class Unrolled:
    """What follows from a descent, and its derivatives.

    Attributes
    ----------
    value : () tensor
        The objective at the last weights.
    variables : dict of str to tensor
        Its gradient in the data, by their names.
    step_sizes : (T,) tensor
        Its derivative in each step size.
    """

    value: torch.Tensor
    variables: dict[str, torch.Tensor]
    step_sizes: torch.Tensor


@torch.enable_grad()  # type: ignore[untyped-decorator]  # also where a caller has switched it off to score
def gradient(loss: Loss, weights: Parameters, variables: Variables, step: int) -> Parameters:
    """Return the gradient of the loss of a step in the weights; everything is a constant."""
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
    objective: Callable[[Parameters], torch.Tensor],
    weights: Parameters,
    variables: Variables,
    step_sizes: torch.Tensor,
    *,
    unroll: str = "recompute",
) -> Unrolled:
    r"""Differentiate an objective of the last weights in the data and the step sizes that led there.

        w_i+1 = w_i - eta_i g_i,    g_i = gradient of l_i(w_i; x) in w,    L = F(w_T),    i = 0 .. T - 1

    backwards from c = F'(w_T), with g_i and w_i constants of the other two lines:

        dL/d eta_i = - <c, g_i>,    dL/dx  gains  - eta_i d<c, g_i>/dx,    c <- c - eta_i d<c, g_i>/dw

    Parameters
    ----------
    loss : callable
        ``loss(weights, variables, step)``, a scalar; called twice with the same arguments it must give the same.
    objective : callable
        Of the last weights, a scalar.
    weights : dict of str to tensor
        w_0, constants.
    variables : mapping of str to tensor
        x: what the derivatives are taken in.
    step_sizes : (T,) tensor
        eta.
    unroll : str
        ``recompute``: keep the weights of each step and compute g_i again on the way back; ``graph``: keep the graph of
        all steps, as the published codes do.

    Returns
    -------
    Unrolled

    Notes
    -----
    *Cost.* ``graph``: one forward and two backward passes of a step, and the memory of T of them. ``recompute``: two
    forward and three backward passes, and the memory of one step and of T + 1 weights.
    *Numerics.* Both are exact derivatives of the same numbers and agree to rounding. A descent with eta times the
    largest curvature above 2 amplifies, its derivatives alike.

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
    loss: Loss,
    objective: Callable[[Parameters], torch.Tensor],
    weights: Parameters,
    variables: Variables,
    step_sizes: torch.Tensor,
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
    loss: Loss,
    objective: Callable[[Parameters], torch.Tensor],
    weights: Parameters,
    variables: Variables,
    step_sizes: torch.Tensor,
) -> Unrolled:
    moving, data, sizes = _leaves(weights), _leaves(variables), step_sizes.clone().requires_grad_()
    for step, size in enumerate(sizes.unbind()):
        g = _differentiable(loss(moving, data, step), moving)
        moving = _moved(moving, dict(zip(moving, g, strict=True)), size)
    value = objective(moving)
    *slopes, by_size = torch.autograd.grad(value, [*data.values(), sizes], materialize_grads=True)
    return Unrolled(value.detach(), dict(zip(data, slopes, strict=True)), by_size)


def passes(samples: int, steps: int, *, unroll: str) -> tuple[int, int]:
    """Return how many samples go forward and backward in ``steps`` steps on ``samples`` each, derivatives included."""
    forward, backward = (2, 3) if unroll == "recompute" else (1, 2)
    return forward * samples * steps, backward * samples * steps


def _leaves(values: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.detach().requires_grad_() for name, value in values.items()}


def _differentiable(value: torch.Tensor, weights: Parameters) -> tuple[torch.Tensor, ...]:
    """The gradient of a value, as part of the graph."""
    found: tuple[torch.Tensor, ...] = torch.autograd.grad(
        value, list(weights.values()), create_graph=True, materialize_grads=True
    )
    return found


def _moved(weights: Parameters, slope: Parameters, size: torch.Tensor) -> Parameters:
    return {name: value - size * slope[name] for name, value in weights.items()}
