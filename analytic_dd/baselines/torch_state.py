"""torch as a run finds it, whatever its caller has switched on: a seed alone determines the results."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from analytic_dd.arrays import without_autocast

__all__ = ["plain_torch"]


@contextlib.contextmanager
def plain_torch() -> Iterator[None]:
    """Run with the global state that torch begins with, and give the caller's back; also a decorator.

    The default dtype is float32, the default device the CPU, products of float32 are those of float32; gradients are
    recorded, in no inference mode; nothing is cast by autocast; the random state is the caller's again at the end, also
    after an error or an interrupt. Dtype and precision belong to the process: of several threads the last that ends
    gives them back.

    Examples
    --------
    >>> with torch.no_grad(), torch.autocast("cpu"), plain_torch():
    ...     torch.is_grad_enabled(), torch.is_autocast_enabled("cpu"), torch.get_default_dtype()
    (True, False, torch.float32)
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[]))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(without_autocast())
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        stack.enter_context(_plain_numbers())
        yield


@dataclass(eq=False)
class _Numbers:
    """The dtype and the precision that a block found, which are those of the whole process."""

    dtype: torch.dtype
    precision: str


_INSIDE: list[_Numbers] = []  # of the blocks that have begun and not ended, in the order in which they began
_LOCK = threading.RLock()


@contextlib.contextmanager
def _plain_numbers() -> Iterator[None]:
    mine = _Numbers(torch.float32, "highest")
    try:
        with _LOCK:  # what is found and that it is kept are one step for other threads
            mine.dtype, mine.precision = torch.get_default_dtype(), torch.get_float32_matmul_precision()
            _INSIDE.append(mine)
            _set(_Numbers(torch.float32, "highest"))
        yield
    finally:
        with _LOCK:
            _leave(mine)


def _leave(mine: _Numbers) -> None:
    """Give back what a block found, or leave it to the block that began next and has not ended."""
    if mine not in _INSIDE:
        return
    index = _INSIDE.index(mine)
    later = _INSIDE[index + 1 :]
    del _INSIDE[index]
    if later:
        later[0].dtype, later[0].precision = mine.dtype, mine.precision
    else:
        _set(mine)


def _set(numbers: _Numbers) -> None:
    torch.set_default_dtype(numbers.dtype)
    torch.set_float32_matmul_precision(numbers.precision)
