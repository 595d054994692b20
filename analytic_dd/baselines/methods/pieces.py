r"""A differentiable function of rows in pieces that memory admits, here or over the workers of a Dask cluster.

A piece has some rows of each tensor and a place in the result. Its values are a pure function of these rows, and so is
its share of the gradient, the vector-Jacobian product with the part of the cotangent at its place, which computes the
piece once more in place of keeping what it passed through. The gradient is the sum of the shares in the order of the
pieces, so that it has the same bits wherever, and however often, a piece was computed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from analytic_dd.cluster import current_client, in_order
from analytic_dd.linalg.threads import one_torch_thread

__all__ = ["Piece", "in_pieces", "rectangles"]

Function = Callable[..., torch.Tensor]


@dataclass(frozen=True)
class Piece:
    """The rows of each tensor that a piece takes, and where its values stand in the result."""

    rows: tuple[slice, ...]
    place: tuple[slice, ...]


def rectangles(m: int, n: int, *, rows: int, columns: int, upper: bool = False) -> list[tuple[slice, slice]]:
    """Return the blocks of a matrix (m, n), row by row; with ``upper`` those that meet the upper triangle.

    Examples
    --------
    >>> [(one.start, other.start) for one, other in rectangles(4, 4, rows=2, columns=3, upper=True)]
    [(0, 0), (0, 3), (2, 0), (2, 3)]
    """
    starts = itertools.product(range(0, m, rows), range(0, n, columns))
    return [
        (slice(i, min(i + rows, m)), slice(j, min(j + columns, n)))
        for i, j in starts
        if not upper or min(j + columns, n) > i
    ]


def in_pieces(
    function: Function, pieces: Sequence[Piece], shape: tuple[int, ...], *tensors: torch.Tensor
) -> torch.Tensor:
    """Return the tensor of ``shape`` that ``function`` fills piece by piece; what no piece covers is zero.

    Parameters
    ----------
    function : callable
        From rows of the tensors to the values of a piece, differentiable and picklable.
    pieces : sequence of Piece
    tensors : (n, ...) tensors
        Gradients flow to those that need them.

    Notes
    -----
    *Cost.* Memory of one piece, and that of the tensors; the gradient computes each piece a second time. Workers are
    sent the rows of a piece and send back its values or gradients.
    """
    found: torch.Tensor = _InPieces.apply(function, pieces, shape, *tensors)
    return found


class _InPieces(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, function: Function, pieces: Sequence[Piece], shape: tuple[int, ...], *tensors: torch.Tensor
    ) -> torch.Tensor:
        ctx.function, ctx.pieces, ctx.client = function, pieces, current_client()
        ctx.save_for_backward(*tensors)
        result = tensors[0].new_zeros(shape)
        calls = ((function, _rows(tensors, piece)) for piece in pieces)
        for piece, values in zip(pieces, _made(_values, calls, ctx.client, tensors[0].device), strict=True):
            result[piece.place] = values
        return result

    @staticmethod
    def backward(ctx: Any, cotangent: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        tensors, needed = ctx.saved_tensors, ctx.needs_input_grad[3:]
        sums = [torch.zeros_like(one) if need else None for one, need in zip(tensors, needed, strict=True)]
        calls = ((ctx.function, _rows(tensors, piece), needed, cotangent[piece.place]) for piece in ctx.pieces)
        for piece, shares in zip(ctx.pieces, _made(_shares, calls, ctx.client, cotangent.device), strict=True):
            for total, rows, share in zip(sums, piece.rows, shares, strict=True):
                if total is not None:
                    total[rows] += share
        return None, None, None, *sums


def _rows(tensors: Sequence[torch.Tensor], piece: Piece) -> list[torch.Tensor]:
    return [one[rows] for one, rows in zip(tensors, piece.rows, strict=True)]


def _values(function: Function, rows: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the values of a piece."""
    with torch.no_grad():
        return function(*rows)


def _shares(
    function: Function, rows: Sequence[torch.Tensor], needed: Sequence[bool], cotangent: torch.Tensor
) -> list[torch.Tensor | None]:
    """Return the vector-Jacobian products of a piece with the tensors that need one."""
    leaves = [one.detach().requires_grad_(need) for one, need in zip(rows, needed, strict=True)]
    with torch.enable_grad():
        values = function(*leaves)
    found = iter(torch.autograd.grad(values, [leaf for leaf in leaves if leaf.requires_grad], cotangent))
    return [next(found) if need else None for need in needed]


def _made(made: Callable[..., Any], calls: Iterator[Any], client: Any, device: torch.device) -> Iterator[Any]:
    """Yield the result of each call in order, in tensors."""
    if client is None:
        yield from in_order(made, calls, None)
        return
    sent = ((made, str(device), _mapped(_as_array, call)) for call in calls)
    for found in in_order(_on_worker, sent, client):
        yield _mapped(lambda A: _as_tensor(A, device), found)


def _on_worker(made: Callable[..., Any], device: str, call: Any) -> Any:
    """Make a call with arrays for tensors, by one thread: sums of one have the same bits on each worker."""
    with one_torch_thread():
        return _mapped(_as_array, made(*_mapped(lambda A: _as_tensor(A, device), call)))


def _mapped(convert: Callable[[Any], Any], value: Any) -> Any:
    """Return lists and tuples with each array or tensor converted."""
    if isinstance(value, list | tuple):
        return type(value)(_mapped(convert, one) for one in value)
    return convert(value)


def _as_array(value: Any) -> Any:
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value


def _as_tensor(value: Any, device: torch.device | str) -> Any:
    return torch.tensor(value, device=device) if isinstance(value, np.ndarray) else value
