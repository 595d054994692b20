r"""Convolutions in float64 on a CPU that torch computes in many small products, with the channels side by side.

A depthwise convolution is a sum over the entries of its kernel, of all channels at once,

    out[:, r, c, :] = sum_ij  X[:, r stride + i, c stride + j, :] * K[i, j, :],

and a convolution by one pixel is a product of matrices. In float64 torch.nn.functional.conv2d has a product for each
channel of each image in the former, and one for each image in the latter. Both are linear in X, and autograd
differentiates them as they stand.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

__all__ = ["SideBySide"]


class SideBySide(TorchFunctionMode):
    """A context in which torch.nn.functional.conv2d takes these ways where they apply.

    Notes
    -----
    *Numerics.* Sums of the same products in another order. *Cost.* A pass over the input for each entry of the kernel;
    autograd keeps the input of each.
    """

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call the function, or a convolution of this module in its place."""
        kwargs = kwargs or {}
        if function is torch.nn.functional.conv2d:
            call = _SIGNATURE.bind(*args, **kwargs)
            call.apply_defaults()
            found = _convolved(**call.arguments)
            if found is not None:
                return found
        return function(*args, **kwargs)


def _conv2d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> None:
    """Have the parameters of torch.nn.functional.conv2d, which has no signature of its own."""


_SIGNATURE = inspect.signature(_conv2d)


def _convolved(
    input: torch.Tensor, weight: torch.Tensor, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> torch.Tensor | None:
    """Return the convolution, or None where torch's own is as good."""
    if input.dtype != torch.float64 or input.device.type != "cpu" or input.ndim != 4 or isinstance(padding, str):
        return None
    steps, borders, channels = _pair(stride), _pair(padding), input.shape[1]
    one_pixel = groups == 1 and tuple(weight.shape[1:]) == (channels, 1, 1) and (steps, borders) == ((1, 1), (0, 0))
    depthwise = 1 < groups == channels and tuple(weight.shape[:2]) == (channels, 1) and _pair(dilation) == (1, 1)
    if not (one_pixel or depthwise) or not _is_valid(input, weight, bias, steps, borders):
        return None
    X = input.permute(0, 2, 3, 1)
    if one_pixel:
        out = torch.matmul(X, weight[:, :, 0, 0].T)
    else:
        out = _depthwise(X.contiguous(), weight[:, 0, :, :].permute(1, 2, 0), steps, borders)
    return (out if bias is None else out + bias).permute(0, 3, 1, 2)


def _is_valid(
    input: torch.Tensor, weight: torch.Tensor, bias: Any, stride: tuple[int, int], padding: tuple[int, int]
) -> bool:
    """Whether torch takes such numbers and sizes; it says itself what is wrong with others."""
    rests = (input.shape[2 + axis] + 2 * padding[axis] - weight.shape[2 + axis] for axis in (0, 1))
    fits = bias is None or (bias.dtype == input.dtype and bias.shape == weight.shape[:1])
    return fits and weight.dtype == input.dtype and min(stride) > 0 and min(*padding, *rests) >= 0


def _depthwise(X: torch.Tensor, K: torch.Tensor, stride: tuple[int, int], padding: tuple[int, int]) -> torch.Tensor:
    """Sum over the entries of the kernel K (rows, columns, channels)."""
    above, left = padding
    if above or left:
        X = torch.nn.functional.pad(X, (0, 0, left, left, above, above))
    rows, columns = ((X.shape[1 + axis] - K.shape[axis]) // stride[axis] + 1 for axis in (0, 1))
    out = None
    for i in range(K.shape[0]):
        for j in range(K.shape[1]):
            some = X[:, i :: stride[0], j :: stride[1], :][:, :rows, :columns, :]
            out = some * K[i, j] if out is None else out.addcmul_(some, K[i, j])
    assert out is not None
    return out


def _pair(size: Any) -> tuple[int, int]:
    """Return what torch takes as one number or as two."""
    return (int(size[0]), int(size[-1])) if isinstance(size, tuple | list) else (int(size), int(size))
