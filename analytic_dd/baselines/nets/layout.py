"""The order in memory of maps (n, c, h, w), and linear functions whose derivative is their transpose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

__all__ = ["channels_last", "linear", "stored_last"]

Map = Callable[[torch.Tensor, tuple[int, ...]], torch.Tensor]


def channels_last(maps: torch.Tensor) -> torch.Tensor:
    """Return maps or filters with the channels of a pixel beside each other in memory, also where there is one."""
    n, channels, height, width = maps.shape
    return maps.permute(0, 2, 3, 1).reshape(-1).view(n, height, width, channels).permute(0, 3, 1, 2)


def stored_last(maps: torch.Tensor) -> bool:
    """Whether the maps are on a CPU with the channels of a pixel beside each other in memory."""
    return bool(maps.device.type == "cpu" and maps.ndim == 4 and maps.stride(1) == 1)


def linear(given: torch.Tensor, there: Map, back: Map, shape: tuple[int, ...]) -> torch.Tensor:
    """Return ``there(given, shape)``, a linear function of ``given`` whose transpose is ``back(slope, shape)``."""
    found: torch.Tensor = _Linear.apply(given, there, back, shape)
    return found


class _Linear(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(given: torch.Tensor, there: Map, back: Map, shape: tuple[int, ...]) -> torch.Tensor:
        return there(given, shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        _, ctx.there, ctx.back, ctx.shape = inputs

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        return _Linear.apply(slope, ctx.back, ctx.there, ctx.shape), None, None, None
